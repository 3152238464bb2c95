//! `zarr.json` of an array (Zarr core specification version 3.1; sharding codec 1.0; transpose codec 1.0).

use std::path::Path;

use serde_json::{Map, Value};

use super::{ArrayMeta, KeyEncoding, ShardIndexMeta, brief, codecs, extents, name, unsupported, whole};
use crate::{
    error::{Error, Result},
    io::zarr::{codec::Chain, sample::Sample},
};

/// Reads a `zarr.json`; `path` is for messages.
pub(super) fn parse(path: &Path, document: &Map<String, Value>) -> Result<ArrayMeta> {
    let get = |key: &str| document.get(key).unwrap_or(&Value::Null);
    if whole(get("zarr_format")) != Some(3) {
        return Err(Error::malformed(path, "zarr_format", brief(get("zarr_format")), "3"));
    }
    if get("node_type").as_str() != Some("array") {
        return Err(Error::malformed(path, "node_type", brief(get("node_type")), "\"array\""));
    }
    if get("storage_transformers").as_array().is_some_and(|list| !list.is_empty()) {
        return Err(unsupported(path, "storage transformers are not supported"));
    }
    refuse_foreign(path, document)?;
    let shape = extents(path, document, "shape")?;
    let name = name(get("data_type")).unwrap_or_default();
    let sample = Sample::from_v3(name)
        .ok_or_else(|| unsupported(path, format!("samples of type {} are not supported", brief(get("data_type")))))?;
    let object = object_shape(path, get("chunk_grid"))?;
    let pipeline = codecs::Pipeline::parse(path, get("codecs"), shape.len(), true, Some(sample))?;
    let (chunk, shard, pipeline) = match pipeline.sharding {
        Some(sharding) => sharded(path, &sharding, sample, pipeline.stored_order)?,
        None => (object.clone(), None, pipeline),
    };
    let fill = sample
        .fill_bytes(get("fill_value"), pipeline.big_endian)
        .ok_or_else(|| Error::malformed(path, "fill_value", brief(get("fill_value")), format!("a value of {name}")))?;
    Ok(ArrayMeta {
        codec: None,
        zarr_format: 3,
        shape,
        object,
        chunk,
        shard,
        sample,
        big_endian: pipeline.big_endian,
        fill,
        stored_order: pipeline.stored_order,
        chain: Chain(pipeline.bytes),
        keys: key_encoding(path, get("chunk_key_encoding"))?,
        dimension_names: dimension_names(path, get("dimension_names"))?,
        attributes: get("attributes").as_object().cloned().unwrap_or_default(),
    })
}

/// Unknown members must be refused unless they say that they need not be understood (core 3.1, "Extension points").
fn refuse_foreign(path: &Path, document: &Map<String, Value>) -> Result<()> {
    const KNOWN: [&str; 12] = [
        "zarr_format",
        "node_type",
        "shape",
        "data_type",
        "chunk_grid",
        "chunk_key_encoding",
        "fill_value",
        "codecs",
        "attributes",
        "storage_transformers",
        "dimension_names",
        "consolidated_metadata",
    ];
    let optional = |value: &Value| value.is_null() || value.get("must_understand") == Some(&Value::Bool(false));
    match document.iter().find(|(key, value)| !KNOWN.contains(&key.as_str()) && !optional(value)) {
        Some((key, _)) => Err(unsupported(path, format!("metadata member '{key}' is not understood"))),
        None => Ok(()),
    }
}

fn object_shape(path: &Path, grid: &Value) -> Result<Vec<u64>> {
    match (name(grid), grid.get("configuration").and_then(Value::as_object)) {
        (Some("regular"), Some(configuration)) => extents(path, configuration, "chunk_shape"),
        _ => Err(unsupported(path, format!("chunk grid {} is not supported", brief(grid)))),
    }
}

type Sharded = (Vec<u64>, Option<ShardIndexMeta>, codecs::Pipeline);

fn sharded(path: &Path, sharding: &Map<String, Value>, sample: Sample, outer_order: Vec<usize>) -> Result<Sharded> {
    let dims = outer_order.len();
    if outer_order.iter().enumerate().any(|(i, &d)| i != d) {
        return Err(unsupported(path, "a transpose before sharding is not supported"));
    }
    let chunk = extents(path, sharding, "chunk_shape")?;
    let list = |key: &str| sharding.get(key).unwrap_or(&Value::Null);
    let inner = codecs::Pipeline::parse(path, list("codecs"), dims, false, Some(sample))?;
    let index = codecs::Pipeline::parse(path, list("index_codecs"), dims, false, None)?;
    let crc32c = match index.bytes.as_slice() {
        [] => false,
        [crate::io::zarr::codec::ByteCodec::Crc32c] => true,
        _ => return Err(unsupported(path, "a compressed shard index is not supported")),
    };
    let at_end = match sharding.get("index_location").filter(|at| !at.is_null()).map(Value::as_str) {
        None | Some(Some("end")) => true,
        Some(Some("start")) => false,
        Some(_) => {
            let found = brief(&sharding["index_location"]);
            return Err(Error::malformed(path, "index_location", found, "\"start\" or \"end\""));
        }
    };
    Ok((chunk, Some(ShardIndexMeta { at_end, big_endian: index.big_endian, crc32c }), inner))
}

fn key_encoding(path: &Path, found: &Value) -> Result<KeyEncoding> {
    let (prefix, default_separator) = match name(found) {
        Some("default") => (Some("c"), '/'),
        Some("v2") => (None, '.'),
        _ => return Err(unsupported(path, format!("chunk key encoding {} is not supported", brief(found)))),
    };
    let stated = found.get("configuration").and_then(|c| c.get("separator")).filter(|separator| !separator.is_null());
    let separator = match stated.map(Value::as_str) {
        None => default_separator,
        Some(Some("/")) => '/',
        Some(Some(".")) => '.',
        Some(_) => return Err(Error::malformed(path, "chunk key separator", brief(found), "\"/\" or \".\"")),
    };
    Ok(KeyEncoding { prefix, separator })
}

fn dimension_names(path: &Path, found: &Value) -> Result<Vec<Option<String>>> {
    let malformed = || Error::malformed(path, "dimension_names", brief(found), "a list of names or null");
    match found {
        Value::Null => Ok(Vec::new()),
        Value::Array(names) => names
            .iter()
            .map(|name| match name {
                Value::Null => Ok(None),
                Value::String(name) => Ok(Some(name.clone())),
                _ => Err(malformed()),
            })
            .collect(),
        _ => Err(malformed()),
    }
}
