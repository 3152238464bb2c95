//! The NIfTI header beside the levels of an image, as an array of bytes (NIfTI-Zarr 1.0.rc1, section 2.4): how it is stored.

use std::{fmt, sync::Arc};

use serde_json::{Value, json};

use super::{meta::ArrayMeta, node, sample::Sample};
use crate::{
    error::{Error, Result},
    io::{nifti::LoneHeader, ome::OmeVersion},
    storage::Store,
    voxel::Dtype,
};

/// The name of the array.
pub const NAME: &str = "nifti";

/// Chunks that are read at most: the specification has one.
const MOST_CHUNKS: u64 = 1024;

/// A header and its extensions, to be written.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderBytes(pub Arc<[u8]>);

impl fmt::Debug for HeaderBytes {
    /// By its checksum: extensions may be long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, crc32 {:08x}", self.0.len(), crc32fast::hash(&self.0))
    }
}

impl HeaderBytes {
    /// The documents of the array by their keys, the one that makes it an array last.
    pub(super) fn documents(&self, version: OmeVersion) -> Vec<(String, Value)> {
        let len = self.0.len();
        match version {
            OmeVersion::V04 => {
                let array = json!({"zarr_format": 2, "shape": [len], "chunks": [len], "dtype": "|u1", "compressor": null,
                    "fill_value": null, "order": "C", "filters": null, "dimension_separator": "/"});
                vec![(format!("{NAME}/.zarray"), array)]
            }
            OmeVersion::V05 | OmeVersion::V06 => {
                let array = json!({
                    "zarr_format": 3,
                    "node_type": "array",
                    "shape": [len],
                    "data_type": "uint8",
                    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [len]}},
                    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
                    "fill_value": 0,
                    "codecs": [{"name": "bytes"}, {"name": "crc32c"}],
                    "attributes": {},
                });
                vec![(format!("{NAME}/zarr.json"), array)]
            }
        }
    }

    /// Its one chunk as it is stored: in 0.5 and 0.6 with a checksum behind it.
    pub fn chunk(&self, version: OmeVersion) -> Vec<u8> {
        let mut bytes = self.0.to_vec();
        if version.zarr_format() == 3 {
            bytes.extend(crc32c::crc32c(&self.0).to_le_bytes());
        }
        bytes
    }

    /// The key of the chunk.
    pub(super) fn chunk_key(version: OmeVersion) -> String {
        match version {
            OmeVersion::V04 => format!("{NAME}/0"),
            OmeVersion::V05 | OmeVersion::V06 => format!("{NAME}/c/0"),
        }
    }
}

/// The array beside the levels of the image at the root of `store`; `None` where there is none. What it cannot be is told in `warnings`,
/// and counts as none.
///
/// # Errors
/// Those of storage.
pub(super) fn find(store: &Arc<dyn Store>, zarr_format: u8, warnings: &mut Vec<String>) -> Result<Option<ArrayMeta>> {
    let store = store.below(NAME);
    let mut ignore = |what: &dyn fmt::Display| {
        warnings.push(format!("{}: no NIfTI header is taken from it: {what}", store.describe("").display()));
        Ok(None)
    };
    let meta = match node::read_array(zarr_format, &store) {
        Ok(Some(meta)) => meta,
        Ok(None) => return Ok(None),
        Err(error @ (Error::Malformed { .. } | Error::Unsupported { .. })) => return ignore(&error),
        Err(error) => return Err(error),
    };
    let most = LoneHeader::most_bytes();
    if meta.sample != Sample::Plain(Dtype::U8) || meta.shape.len() != 1 {
        return ignore(&format!("{:?} of shape {:?}, expected a list of bytes", meta.sample, meta.shape));
    }
    let (len, chunk) = (meta.shape[0], meta.chunk[0].max(meta.object[0]));
    if !(1..=most).contains(&len) || chunk > most || len.div_ceil(meta.chunk[0].max(1)) > MOST_CHUNKS {
        return ignore(&format!("{len} bytes in chunks of {chunk}, expected at most {most} in one chunk"));
    }
    Ok(Some(meta))
}
