//! `.zarray` (Zarr storage specification version 2).

use std::path::Path;

use serde_json::{Map, Value};

use super::{ArrayMeta, KeyEncoding, brief, codecs, extents, filters, whole};
use crate::{
    error::{Error, Result},
    io::zarr::{
        codec::{ByteCodec, Chain},
        filter::Format,
        sample::Sample,
    },
};

/// Reads a `.zarray`; `path` is for messages.
pub(super) fn parse(path: &Path, document: &Map<String, Value>) -> Result<ArrayMeta> {
    let get = |key: &str| document.get(key).unwrap_or(&Value::Null);
    if whole(get("zarr_format")) != Some(2) {
        return Err(Error::malformed(path, "zarr_format", brief(get("zarr_format")), "2"));
    }
    let (shape, chunk) = (extents(path, document, "shape")?, extents(path, document, "chunks")?);
    let name = get("dtype").as_str().unwrap_or_default();
    let (sample, big_endian) = Sample::from_v2(name).ok_or_else(|| dtype_refused(path, get("dtype")))?;
    let fill = sample
        .fill_bytes(get("fill_value"), big_endian)
        .ok_or_else(|| Error::malformed(path, "fill_value", brief(get("fill_value")), format!("a value of {name}")))?;
    let stored_order = match get("order").as_str() {
        Some("C") => (0..shape.len()).collect(),
        Some("F") => (0..shape.len()).rev().collect(),
        _ => return Err(Error::malformed(path, "order", brief(get("order")), "\"C\" or \"F\"")),
    };
    let filters = get("filters").as_array().map_or(&[][..], Vec::as_slice);
    let array = filters::plain(sample).map(|dtype| Format { dtype, big_endian: big_endian && dtype.bytes() > 1 });
    let mut chain = parse_filters(path, filters, array)?;
    let compressor = get("compressor");
    if !compressor.is_null() {
        chain.push(codecs::byte_codec(path, compressor, "id", compressor)?);
    }
    Ok(ArrayMeta {
        codec: None,
        zarr_format: 2,
        object: chunk.clone(),
        shard: None,
        shape,
        chunk,
        sample,
        big_endian,
        fill,
        stored_order,
        chain: Chain(chain),
        keys: KeyEncoding { prefix: None, separator: separator(path, get("dimension_separator"))? },
        dimension_names: Vec::new(),
        attributes: Map::new(),
    })
}

fn separator(path: &Path, found: &Value) -> Result<char> {
    match found.as_str() {
        None if found.is_null() => Ok('.'),
        Some(".") => Ok('.'),
        Some("/") => Ok('/'),
        _ => Err(Error::malformed(path, "dimension_separator", brief(found), "\".\" or \"/\"")),
    }
}

fn dtype_refused(path: &Path, found: &Value) -> Error {
    let hint = "supported are bool, integers and floats of 16 to 64 bits; store other types as those".to_string();
    Error::Unsupported {
        path: path.to_path_buf(),
        what: format!("samples of type {} are not supported", brief(found)),
        hint: Some(hint),
    }
}

/// v2's `filters`, in the order in which they encode samples of `array`.
fn parse_filters(path: &Path, list: &[Value], array: Option<Format>) -> Result<Vec<ByteCodec>> {
    if list.len() > 32 {
        return Err(Error::malformed(path, "number of filters", list.len(), "at most 32"));
    }
    let mut samples = array;
    let step = |step: &Value| {
        let name = step.get("id").and_then(Value::as_str).unwrap_or_default();
        match filters::of_samples(path, name, step, samples)? {
            filters::Undo::Nothing => Ok(None),
            filters::Undo::Filter(filter, encoded) => {
                samples = Some(encoded);
                Ok(Some(ByteCodec::Filter(filter)))
            }
            filters::Undo::Other => {
                samples = None;
                codecs::byte_codec(path, step, "id", step).map(Some)
            }
        }
    };
    list.iter().map(step).filter_map(Result::transpose).collect()
}
