//! The codec lists of array metadata.

use std::path::Path;

use serde_json::{Map, Value};

use super::{
    brief,
    filters::{self, Undo},
    name, unsupported,
};
use crate::{
    error::{Error, Result},
    io::zarr::{
        codec::ByteCodec,
        filter::{Filter, Format},
        sample::Sample,
    },
};

/// A codec list of v3 in one form: transposes, then `bytes` or sharding, then compressors.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub stored_order: Vec<usize>,
    pub big_endian: bool,
    pub bytes: Vec<ByteCodec>,
    /// The configuration of `sharding_indexed`, where that stands instead of `bytes`.
    pub sharding: Option<Map<String, Value>>,
}

impl Pipeline {
    /// `sample` is what is encoded; `None` for the index of a shard, which has no filters.
    pub(super) fn parse(
        path: &Path,
        list: &Value,
        dims: usize,
        may_shard: bool,
        sample: Option<Sample>,
    ) -> Result<Pipeline> {
        let Some(list) = list.as_array().filter(|list| list.len() <= 32) else {
            return Err(Error::malformed(path, "codecs", brief(list), "a list of at most 32 codecs"));
        };
        let mut stored_order: Vec<usize> = (0..dims).collect();
        let mut steps = list.iter().peekable();
        let mut samples = sample.and_then(filters::plain).map(|dtype| Format { dtype, big_endian: false });
        let mut filtered: Vec<ByteCodec> = Vec::new();
        while let Some(step) = steps.next_if(|step| is_of_arrays(step)) {
            let configuration = step.get("configuration").unwrap_or(&Value::Null);
            match filters::of_samples(path, name(step).unwrap_or_default(), configuration, samples)? {
                Undo::Nothing => {}
                Undo::Filter(filter, encoded) => {
                    samples = Some(encoded);
                    filtered.push(ByteCodec::Filter(filter));
                }
                Undo::Other => {
                    let order = transpose_order(path, step, dims)?;
                    stored_order = order.into_iter().map(|d| stored_order[d]).collect();
                }
            }
        }
        let (big_endian, sharding) = match steps.next() {
            Some(step) if matches!(name(step), Some("bytes" | "endian")) => (endian(path, step)?, None),
            Some(step) if name(step) == Some("sharding_indexed") && may_shard => {
                let configuration = step.get("configuration").and_then(Value::as_object).cloned();
                (false, Some(configuration.unwrap_or_default()))
            }
            Some(step) if name(step) == Some("sharding_indexed") => {
                return Err(unsupported(path, "shards within shards are not supported"));
            }
            Some(step) => return Err(unsupported(path, format!("codec {} is not supported", brief(step)))),
            None => return Err(Error::malformed(path, "codecs", "without 'bytes'", "an array to bytes codec")),
        };
        if !filtered.is_empty() {
            refuse_mixed(path, &filtered, &stored_order, big_endian, sharding.is_some())?;
        }
        let bytes = steps
            .map(|step| byte_codec(path, step, "name", step.get("configuration").unwrap_or(&Value::Null)))
            .collect::<Result<Vec<_>>>()?;
        if sharding.is_some() && !bytes.is_empty() {
            return Err(unsupported(path, "a compressed shard is not supported"));
        }
        let bytes = filtered.into_iter().chain(bytes).collect();
        Ok(Pipeline { stored_order, big_endian, bytes, sharding })
    }
}

/// Codecs from arrays to arrays.
fn is_of_arrays(step: &Value) -> bool {
    name(step).is_some_and(|name| name == "transpose" || filters::is_of_samples(name))
}

/// Filters of v3 are undone on little-endian samples below any sharding, and differences in C order only.
fn refuse_mixed(path: &Path, filtered: &[ByteCodec], order: &[usize], big_endian: bool, sharded: bool) -> Result<()> {
    let transposed = order.iter().enumerate().any(|(i, &d)| i != d);
    let big = |format: &Format| format.big_endian;
    let refused = |codec: &ByteCodec| match codec {
        ByteCodec::Filter(Filter::Delta { encoded, .. }) => transposed || big(encoded),
        ByteCodec::Filter(Filter::FixedScaleOffset { encoded, .. }) => big(encoded),
        _ => false,
    };
    if big_endian || sharded || filtered.iter().any(refused) {
        let names: Vec<String> = filtered.iter().map(ByteCodec::name).collect();
        let what = format!("filter {} with big-endian samples, a transpose or sharding after it", names.join(", "));
        return Err(unsupported(path, format!("{what} is not supported")));
    }
    Ok(())
}

/// A compressor by its name under `name_key`, with its configuration.
pub(super) fn byte_codec(path: &Path, step: &Value, name_key: &str, configuration: &Value) -> Result<ByteCodec> {
    let name = step.get(name_key).and_then(Value::as_str).or(step.as_str()).unwrap_or_default();
    Ok(match name.strip_prefix("numcodecs.").unwrap_or(name) {
        "blosc" => {
            let inner = configuration.get("cname").and_then(Value::as_str).unwrap_or("lz4");
            let block_bytes = configuration.get("blocksize").and_then(Value::as_u64).unwrap_or(0);
            ByteCodec::Blosc { inner: inner.to_string(), block_bytes }
        }
        "zstd" => ByteCodec::Zstd,
        "gzip" => ByteCodec::Gzip,
        "zlib" => ByteCodec::Zlib,
        "bz2" => ByteCodec::Bz2,
        "lz4" => ByteCodec::Lz4,
        // numcodecs' own crc32c may stand in front of the data; the codec of the specification never does.
        "crc32c" if configuration.get("location").is_none_or(|at| at == "end") => ByteCodec::Crc32c,
        "shuffle" => return filters::shuffle(path, configuration),
        _ => {
            let hint = "supported are blosc, zstd, gzip, zlib, bz2, lz4, crc32c and the filters delta, \
                        fixedscaleoffset, shuffle, bitround and quantize; store it anew with these";
            return Err(Error::Unsupported {
                path: path.to_path_buf(),
                what: format!("codec {} is not supported", brief(step)),
                hint: Some(hint.into()),
            });
        }
    })
}

fn endian(path: &Path, step: &Value) -> Result<bool> {
    match step.get("configuration").and_then(|c| c.get("endian")).filter(|e| !e.is_null()).map(|e| e.as_str()) {
        None | Some(Some("little")) => Ok(false),
        Some(Some("big")) => Ok(true),
        Some(_) => Err(Error::malformed(path, "endian", brief(step), "\"little\" or \"big\"")),
    }
}

/// Dimension `i` of the encoded array is dimension `order[i]` of the decoded one.
fn transpose_order(path: &Path, step: &Value, dims: usize) -> Result<Vec<usize>> {
    let order = step.get("configuration").and_then(|c| c.get("order")).unwrap_or(&Value::Null);
    let list = match order {
        Value::String(c) if c == "C" => Some((0..dims).collect()),
        Value::String(f) if f == "F" => Some((0..dims).rev().collect()),
        Value::Array(list) => list.iter().map(|d| d.as_u64().map(|d| d as usize)).collect::<Option<Vec<usize>>>(),
        _ => None,
    };
    let permutation = |list: &Vec<usize>| list.len() == dims && (0..dims).all(|d| list.contains(&d));
    list.filter(permutation)
        .ok_or_else(|| Error::malformed(path, "transpose order", brief(order), format!("a permutation of {dims} axes")))
}
