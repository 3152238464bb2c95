use serde_json::json;

use super::*;
use crate::{io::zarr::codec::ByteCodec, voxel::Dtype};

fn v3(document: Value) -> Result<ArrayMeta> {
    ArrayMeta::from_v3(Path::new("a"), document.as_object().unwrap())
}

fn v2(document: Value) -> Result<ArrayMeta> {
    ArrayMeta::from_v2(Path::new("a"), document.as_object().unwrap())
}

fn plain_v3() -> Value {
    json!({"zarr_format": 3, "node_type": "array", "shape": [20, 23, 29], "data_type": "int16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [8, 8, 16]}},
        "chunk_key_encoding": {"name": "default"}, "fill_value": -1,
        "codecs": [{"name": "transpose", "configuration": {"order": [1, 2, 0]}},
            {"name": "bytes", "configuration": {"endian": "big"}}, {"name": "zstd"}, "crc32c"]})
}

fn plain_v2() -> Value {
    json!({"zarr_format": 2, "shape": [20, 23, 29], "chunks": [8, 8, 16], "dtype": ">u2", "fill_value": null,
        "order": "F", "filters": null, "compressor": {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1}})
}

#[test]
fn version_3() {
    let meta = v3(plain_v3()).unwrap();
    assert_eq!(meta.sample, Sample::Plain(Dtype::I16));
    assert_eq!((meta.big_endian, meta.fill.as_slice()), (true, &[0xff, 0xff][..]));
    assert_eq!(meta.chain.0, [ByteCodec::Zstd, ByteCodec::Crc32c]);
    assert_eq!(meta.strides(), [1, 128, 8]);
    assert_eq!(meta.keys.key(&[1, 0, 2]), "c/1/0/2");
}

#[test]
fn two_transposes_compose() {
    let mut document = plain_v3();
    document["codecs"] = json!([{"name": "transpose", "configuration": {"order": [1, 2, 0]}},
        {"name": "transpose", "configuration": {"order": [2, 1, 0]}}, {"name": "bytes"}]);
    assert_eq!(v3(document).unwrap().stored_order, [0, 2, 1]);
}

#[test]
fn version_2() {
    let meta = v2(plain_v2()).unwrap();
    assert_eq!(meta.strides(), [1, 8, 64]);
    assert_eq!((meta.big_endian, meta.keys.key(&[1, 0, 2])), (true, "1.0.2".to_string()));
    assert_eq!(meta.chain.describe(), "blosc-lz4");
}

#[test]
fn shards() {
    let mut document = plain_v3();
    let inner = json!({"name": "sharding_indexed", "configuration": {"chunk_shape": [4, 8, 8],
        "codecs": [{"name": "bytes"}], "index_codecs": [{"name": "bytes"}, {"name": "crc32c"}]}});
    document["codecs"] = json!([inner]);
    let meta = v3(document.clone()).unwrap();
    assert_eq!(meta.chunks_per_object(), [2, 1, 2]);
    assert_eq!(meta.shard, Some(ShardIndexMeta { at_end: true, big_endian: false, crc32c: true }));
    let mut uneven = document.clone();
    uneven["codecs"][0]["configuration"]["chunk_shape"] = json!([3, 8, 8]);
    assert!(matches!(v3(uneven), Err(Error::Malformed { .. })));
    let mut nested = document.clone();
    nested["codecs"][0]["configuration"]["codecs"] = json!([inner]);
    assert!(matches!(v3(nested), Err(Error::Unsupported { .. })));
    document["codecs"] = json!([inner, {"name": "gzip"}]);
    assert!(matches!(v3(document), Err(Error::Unsupported { .. })));
}

#[test]
fn lies_are_refused_before_anything_is_allocated() {
    let huge = 1u64 << 62;
    for (key, value) in [
        ("shape", json!([huge, huge, huge])),
        ("shape", json!([1, 2, 0])),
        ("shape", json!([])),
        ("shape", json!([1, 2])),
        ("shape", json!([-1, 2, 3])),
        ("shape", json!(1.5)),
        ("fill_value", json!("NaN")),
        ("fill_value", json!(1e300)),
        ("data_type", json!("r16")),
        ("codecs", json!([])),
        ("codecs", json!([{"name": "vlen-utf8"}])),
        ("codecs", json!([{"name": "bytes"}, {"name": "pcodec"}])),
        ("codecs", json!([{"name": "transpose", "configuration": {"order": [0, 0, 1]}}, {"name": "bytes"}])),
        ("chunk_grid", json!({"name": "regular", "configuration": {"chunk_shape": [0, 8, 8]}})),
        ("chunk_grid", json!({"name": "regular", "configuration": {"chunk_shape": [huge, huge, 8]}})),
        ("chunk_grid", json!({"name": "rectangular"})),
        ("chunk_key_encoding", json!({"name": "default", "configuration": {"separator": "/../"}})),
        ("storage_transformers", json!([{"name": "x"}])),
        ("foreign", json!({"name": "x"})),
    ] {
        let mut document = plain_v3();
        document[key] = value.clone();
        assert!(v3(document).is_err(), "{key}: {value}");
    }
    for (key, value) in [
        ("order", json!("A")),
        ("filters", json!([{"id": "delta"}])),
        ("compressor", json!({"id": "lzma"})),
        ("chunks", json!([8, 8, 8, 8])),
        ("dtype", json!([["a", "<i4"]])),
        ("dimension_separator", json!("..")),
    ] {
        let mut document = plain_v2();
        document[key] = value.clone();
        assert!(v2(document).is_err(), "{key}: {value}");
    }
}

#[test]
fn bitround_and_quantize_leave_nothing_to_undo() {
    for filter in [
        json!({"id": "bitround", "keepbits": 3}),
        json!({"id": "quantize", "digits": 1, "dtype": "<f4"}),
        json!({"id": "quantize", "digits": 1, "dtype": "<f4", "astype": "<f4"}),
    ] {
        let mut document = plain_v2();
        document["dtype"] = json!("<f4");
        document["filters"] = json!([filter, {"id": "delta", "dtype": "<f4"}]);
        let meta = v2(document).unwrap();
        assert_eq!(meta.chain.describe(), "delta+blosc-lz4", "{filter}");
    }
    let mut document = plain_v2();
    document["dtype"] = json!("<f8");
    document["filters"] = json!([{"id": "quantize", "digits": 1, "dtype": "<f8", "astype": "<f4"}]);
    assert_eq!(v2(document.clone()).unwrap().chain.describe(), "fixedscaleoffset+blosc-lz4");
    document["filters"] = json!([{"id": "quantize", "digits": 1, "dtype": "<f8", "astype": "<f2"}]);
    assert!(matches!(v2(document), Err(Error::Unsupported { .. })));
    for name in ["bitround", "numcodecs.bitround", "numcodecs.quantize"] {
        let mut document = plain_v3();
        let configuration = json!({"keepbits": 3, "digits": 2, "dtype": "<f4"});
        document["data_type"] = json!("float32");
        document["codecs"] = json!([{"name": name, "configuration": configuration}, "bytes", "gzip"]);
        let meta = v3(document.clone()).unwrap();
        assert_eq!(meta.chain.0, [ByteCodec::Gzip], "{name}");
        // Beside transposes and within shards too, since nothing is undone.
        document["codecs"] = json!([{"name": "sharding_indexed", "configuration": {"chunk_shape": [4, 8, 8],
            "codecs": [{"name": name, "configuration": configuration}, "bytes"], "index_codecs": ["bytes", "crc32c"]}}]);
        assert!(v3(document).unwrap().chain.0.is_empty(), "{name}");
    }
}

#[test]
fn members_that_were_dumped_unset_or_with_a_point() {
    let mut document = plain_v3();
    for (key, value) in [
        ("zarr_format", json!(3.0)),
        ("shape", json!([20.0, 23, 29.0])),
        ("attributes", Value::Null),
        ("dimension_names", json!(["z", null, "x"])),
        ("storage_transformers", json!([])),
        ("consolidated_metadata", Value::Null),
        ("foreign", json!({"must_understand": false, "name": "x"})),
        ("unset", Value::Null),
        ("data_type", json!({"name": "int16", "configuration": null})),
        ("chunk_key_encoding", json!({"name": "default", "configuration": {"separator": null}})),
        ("codecs", json!([{"name": "bytes", "configuration": {"endian": null}}, "zstd"])),
    ] {
        document[key] = value;
    }
    let meta = v3(document).unwrap();
    assert_eq!((meta.shape, meta.keys.separator), (vec![20, 23, 29], '/'));
    assert_eq!(meta.dimension_names, [Some("z".into()), None, Some("x".into())]);
    let mut document = plain_v2();
    for (key, value) in [
        ("zarr_format", json!(2.0)),
        ("chunks", json!([8.0, 8.0, 16.0])),
        ("dtype", json!("|b1")),
        ("fill_value", json!("false")),
        ("dimension_separator", Value::Null),
    ] {
        document[key] = value;
    }
    let meta = v2(document.clone()).unwrap();
    assert_eq!((meta.chunk, meta.fill), (vec![8, 8, 16], vec![0]));
    document["chunks"] = json!([8.5, 8.0, 16.0]);
    assert!(v2(document).is_err());
}
