//! Array metadata of Zarr v2 and v3, checked and brought into one form. No I/O, nothing allocated by what it claims.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Codec, codec::Chain, sample::Sample};
use crate::error::{Error, Result};

mod codecs;
mod compressor;
mod filters;
mod v2;
mod v3;

use compressor::codec_of;

/// An array as storage has it; every list is in the array's own dimension order.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrayMeta {
    /// 2 or 3.
    pub zarr_format: u8,
    pub shape: Vec<u64>,
    /// Extent of what one key holds: a chunk, or a shard.
    pub object: Vec<u64>,
    /// Extent of what is decoded as one: the chunk, or the inner chunk of a shard.
    pub chunk: Vec<u64>,
    pub shard: Option<ShardIndexMeta>,
    pub sample: Sample,
    pub big_endian: bool,
    /// Stored bytes of one fill value.
    pub fill: Vec<u8>,
    /// Dimensions as the samples of a decoded chunk stand, slowest first.
    pub stored_order: Vec<usize>,
    pub chain: Chain,
    /// How chunks like these are written; `None` where we do not write with their compressor.
    pub codec: Option<Codec>,
    pub keys: KeyEncoding,
    pub dimension_names: Vec<Option<String>>,
    /// v3 attributes; empty for v2, where they stand in a file of their own.
    pub attributes: Map<String, Value>,
}

/// How the index of a shard is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardIndexMeta {
    pub at_end: bool,
    pub big_endian: bool,
    pub crc32c: bool,
}

/// From chunk coordinates to keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEncoding {
    /// `c` for the default encoding of v3, nothing for v2.
    pub prefix: Option<&'static str>,
    pub separator: char,
}

impl KeyEncoding {
    /// The key below the array's own path.
    pub fn key(&self, at: &[u64]) -> String {
        let mut parts: Vec<String> = self.prefix.iter().map(|p| p.to_string()).collect();
        parts.extend(at.iter().map(u64::to_string));
        parts.join(&self.separator.to_string())
    }
}

impl ArrayMeta {
    /// Parses and checks `zarr.json`; `path` is for messages.
    pub fn from_v3(path: &Path, document: &Map<String, Value>) -> Result<ArrayMeta> {
        let meta = v3::parse(path, document)?;
        ArrayMeta { codec: codec_of(document), ..meta }.checked(path)
    }

    /// Parses and checks `.zarray`; `path` is for messages.
    pub fn from_v2(path: &Path, document: &Map<String, Value>) -> Result<ArrayMeta> {
        let meta = v2::parse(path, document)?;
        ArrayMeta { codec: codec_of(document), ..meta }.checked(path)
    }

    fn checked(self, path: &Path) -> Result<ArrayMeta> {
        let dims = self.shape.len();
        if dims == 0 || dims > 32 {
            return Err(Error::malformed(path, "number of dimensions", dims, "1 to 32"));
        }
        let sample_bytes = self.sample.bytes() as u64;
        check_extents(path, "shape", &self.shape, dims, sample_bytes)?;
        check_extents(path, "chunk shape", &self.object, dims, sample_bytes)?;
        check_extents(path, "inner chunk shape", &self.chunk, dims, sample_bytes)?;
        for d in 0..dims {
            if !self.object[d].is_multiple_of(self.chunk[d]) {
                let expected = format!("a divisor of the shard's {:?}", self.object);
                return Err(Error::malformed(path, "inner chunk shape", format!("{:?}", self.chunk), expected));
            }
        }
        let mut seen = self.stored_order.clone();
        seen.sort_unstable();
        if seen != (0..dims).collect::<Vec<_>>() {
            let found = format!("{:?}", self.stored_order);
            return Err(Error::malformed(path, "transpose order", found, format!("a permutation of {dims} axes")));
        }
        if !self.dimension_names.is_empty() && self.dimension_names.len() != dims {
            let found = self.dimension_names.len();
            return Err(Error::malformed(path, "number of dimension_names", found, dims.to_string()));
        }
        Ok(self)
    }

    /// Bytes of one decoded chunk, padding included.
    pub fn chunk_bytes(&self) -> u64 {
        self.chunk.iter().product::<u64>() * self.sample.bytes() as u64
    }

    /// Inner chunks along each axis of one shard; all 1 without shards.
    pub fn chunks_per_object(&self) -> Vec<u64> {
        self.object.iter().zip(&self.chunk).map(|(object, chunk)| object / chunk).collect()
    }

    /// Distance in samples of neighbours along each dimension, in a decoded chunk.
    pub fn strides(&self) -> Vec<u64> {
        let mut strides = vec![0; self.chunk.len()];
        let mut step = 1;
        for &d in self.stored_order.iter().rev() {
            strides[d] = step;
            step *= self.chunk[d];
        }
        strides
    }
}

/// Each extent at least 1, and all of them together less than 2^62 bytes.
fn check_extents(path: &Path, field: &str, extents: &[u64], dims: usize, sample_bytes: u64) -> Result<()> {
    let malformed = |expected: &str| Err(Error::malformed(path, field, format!("{extents:?}"), expected));
    if extents.len() != dims {
        return malformed(&format!("{dims} extents"));
    }
    if extents.contains(&0) {
        return malformed("extents of at least 1");
    }
    let total = extents.iter().try_fold(sample_bytes, |n, &extent| n.checked_mul(extent));
    if total.is_none_or(|bytes| bytes >= 1 << 62) {
        return malformed("fewer than 2^62 bytes");
    }
    Ok(())
}

/// A list of unsigned integers under `key`.
fn extents(path: &Path, document: &Map<String, Value>, key: &str) -> Result<Vec<u64>> {
    let found = document.get(key).unwrap_or(&Value::Null);
    let list = found.as_array().map(|list| list.iter().map(whole).collect::<Option<Vec<u64>>>());
    list.flatten().ok_or_else(|| Error::malformed(path, key, brief(found), "a list of extents"))
}

/// An unsigned integer, also where it was written with a point (`2.0`).
pub(super) fn whole(value: &Value) -> Option<u64> {
    let exact = |x: &f64| x.fract() == 0.0 && (0.0..=2f64.powi(53)).contains(x);
    value.as_u64().or_else(|| value.as_f64().filter(exact).map(|x| x as u64))
}

/// A JSON value for a message: its first 80 characters.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn unsupported(path: &Path, what: impl Into<String>) -> Error {
    Error::Unsupported { path: path.to_path_buf(), what: what.into(), hint: None }
}

/// The name of an extension point: a string, or the member `name` of an object.
fn name(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("name").and_then(Value::as_str))
}

#[cfg(test)]
mod tests;
