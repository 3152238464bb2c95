//! How the chunks of an array are compressed, where it is a way that we write.

use serde_json::{Map, Value, json};

use super::{Codec, whole};

/// How the chunks of an array are compressed, out of its metadata; `None` where we do not write with that compressor.
pub(super) fn codec_of(document: &Map<String, Value>) -> Option<Codec> {
    if document.get("zarr_format").and_then(whole) == Some(2) {
        let compressor = document.get("compressor")?;
        return if compressor.is_null() { Some(Codec::None) } else { codec(compressor.get("id")?, compressor) };
    }
    let codecs = document.get("codecs")?.as_array()?;
    let name = |codec: &Value| codec.as_str().or_else(|| codec.get("name")?.as_str()).unwrap_or_default().to_string();
    let sharding = codecs.iter().find(|codec| name(codec) == "sharding_indexed");
    let codecs = match sharding {
        Some(sharding) => sharding.get("configuration")?.get("codecs")?.as_array()?,
        None => codecs,
    };
    // What makes samples coarser needs not be done to the means of coarser levels.
    let structural = ["bytes", "transpose", "crc32c", "bitround", "quantize"];
    let mut compressors =
        codecs.iter().filter(|codec| !structural.contains(&name(codec).trim_start_matches("numcodecs.")));
    let Some(first) = compressors.next() else { return Some(Codec::None) };
    let none = Value::Null;
    codec(&json!(name(first)), first.get("configuration").unwrap_or(&none)).filter(|_| compressors.next().is_none())
}

fn codec(name: &Value, options: &Value) -> Option<Codec> {
    let level = |key: &str| options.get(key).and_then(Value::as_i64);
    let small = |level: i64| u8::try_from(level).ok();
    let codec = match (name.as_str()?, options.get("cname").and_then(Value::as_str)) {
        // Level 0 is the library's own default.
        ("zstd" | "numcodecs.zstd", _) => {
            Codec::Zstd(i32::try_from(level("level")?).ok().filter(|&n| n != 0).unwrap_or(3))
        }
        ("gzip" | "numcodecs.gzip", _) => Codec::Gzip(small(level("level")?)?),
        ("blosc" | "numcodecs.blosc", Some("zstd")) => Codec::BloscZstd(small(level("clevel")?)?),
        ("blosc" | "numcodecs.blosc", Some("lz4")) => Codec::BloscLz4(small(level("clevel")?)?),
        _ => return None,
    };
    codec.check().is_ok().then_some(codec)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn compressors_are_recognised() {
        let v3 = |codecs: Value| codec_of(&object(json!({"zarr_format": 3, "codecs": codecs})));
        let bytes = json!({"name": "bytes"});
        let zstd = json!({"name": "zstd", "configuration": {"level": 5, "checksum": true}});
        assert_eq!(v3(json!([bytes, zstd])), Some(Codec::Zstd(5)));
        assert_eq!(v3(json!([bytes, {"name": "crc32c"}])), Some(Codec::None));
        assert_eq!(v3(json!([bytes, zstd, zstd])), None);
        assert_eq!(v3(json!([bytes, {"name": "bz2", "configuration": {"level": 5}}])), None);
        let blosc = json!({"name": "blosc", "configuration": {"cname": "zstd", "clevel": 5}});
        let shards = json!({"name": "sharding_indexed", "configuration": {"codecs": [bytes, blosc]}});
        assert_eq!(v3(json!([shards])), Some(Codec::BloscZstd(5)));
        let v2 = |compressor: Value| codec_of(&object(json!({"zarr_format": 2, "compressor": compressor})));
        assert_eq!(v2(json!({"id": "blosc", "cname": "lz4", "clevel": 3})), Some(Codec::BloscLz4(3)));
        assert_eq!(v2(json!({"id": "zlib", "level": 3})), None);
        assert_eq!(v2(Value::Null), Some(Codec::None));
    }
}
