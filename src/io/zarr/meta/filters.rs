//! Filters of numcodecs in v2's `filters` and in the codec lists of v3.

use std::path::Path;

use serde_json::Value;

use super::brief;
use crate::{
    error::{Error, Result},
    io::zarr::{
        codec::ByteCodec,
        filter::{Filter, Format},
        sample::Sample,
    },
    voxel::Dtype,
};

/// Whether `name` is a filter from samples to samples, in v3 with the prefix `numcodecs.`.
pub(super) fn is_of_samples(name: &str) -> bool {
    matches!(bare(name), "delta" | "fixedscaleoffset" | "bitround" | "quantize")
}

/// A name of v2 or v3 without the prefix of the latter.
fn bare(name: &str) -> &str {
    name.strip_prefix("numcodecs.").unwrap_or(name)
}

/// What reading does about one step of a list of codecs.
pub(super) enum Undo {
    /// Samples stay as they are: the step made them coarser, which is not undone.
    Nothing,
    /// A filter from samples to samples, and what its output is.
    Filter(Filter, Format),
    /// The step is no filter of samples.
    Other,
}

/// What is to be undone of a step, by its name.
pub(super) fn of_samples(path: &Path, name: &str, configuration: &Value, samples: Option<Format>) -> Result<Undo> {
    if !is_of_samples(name) {
        return Ok(Undo::Other);
    }
    if bare(name) == "bitround" {
        return Ok(Undo::Nothing);
    }
    let decoded = format(configuration.get("dtype"));
    let encoded = match configuration.get("astype") {
        None | Some(Value::Null) => decoded,
        other => format(other),
    };
    if bare(name) == "quantize" && same_type(configuration) {
        return Ok(Undo::Nothing);
    }
    let (Some(decoded), Some(encoded)) = (decoded, encoded) else { return Err(refused(path, configuration)) };
    if samples != Some(decoded) {
        let expected = samples.map_or("samples, not bytes".into(), |s| format!("the array's {}", s.dtype));
        return Err(Error::malformed(path, format!("dtype of filter {name}"), decoded.dtype, expected));
    }
    let number = |key: &str| configuration.get(key).and_then(Value::as_f64);
    let integers = !encoded.dtype.is_float() && !decoded.dtype.is_float();
    let filter = match (bare(name), number("scale"), number("offset")) {
        // What is left is samples of another type.
        ("quantize", ..) => Filter::FixedScaleOffset { scale: 1.0, offset: 0.0, encoded, decoded },
        ("delta", ..) if integers || encoded.dtype == decoded.dtype => Filter::Delta { encoded, decoded },
        ("fixedscaleoffset", Some(scale), Some(offset)) => Filter::FixedScaleOffset { scale, offset, encoded, decoded },
        _ => return Err(refused(path, configuration)),
    };
    Ok(Undo::Filter(filter, encoded))
}

/// Whether a filter's output has the type of its input.
fn same_type(configuration: &Value) -> bool {
    match configuration.get("astype") {
        None | Some(Value::Null) => true,
        astype => astype == configuration.get("dtype"),
    }
}

/// numcodecs' `shuffle`, from bytes to bytes.
pub(super) fn shuffle(path: &Path, configuration: &Value) -> Result<ByteCodec> {
    let found = configuration.get("elementsize").unwrap_or(&Value::Null);
    let element_bytes = if found.is_null() { Some(4) } else { found.as_u64() };
    match element_bytes {
        Some(element_bytes) => Ok(ByteCodec::Filter(Filter::Shuffle { element_bytes })),
        None => Err(Error::malformed(path, "elementsize of filter shuffle", brief(found), "a number of bytes")),
    }
}

/// NumPy's type strings, with or without a byte order, or the names of v3.
fn format(found: Option<&Value>) -> Option<Format> {
    let name = found?.as_str()?;
    let with_order = || Sample::from_v2(&format!("<{name}"));
    let (sample, big_endian) =
        Sample::from_v2(name).or_else(with_order).or_else(|| Some((Sample::from_v3(name)?, false)))?;
    plain(sample).map(|dtype| Format { dtype, big_endian: big_endian && dtype.bytes() > 1 })
}

/// The type of samples that filters work on; `None` for bool and half precision.
pub(super) fn plain(sample: Sample) -> Option<Dtype> {
    match sample {
        Sample::Plain(dtype) => Some(dtype),
        Sample::Bool | Sample::Half => None,
    }
}

fn refused(path: &Path, configuration: &Value) -> Error {
    let hint = "filters are undone between integers and between floats of one type; store it anew without this one";
    Error::Unsupported {
        path: path.to_path_buf(),
        what: format!("filter {} is not supported", brief(configuration)),
        hint: Some(hint.into()),
    }
}
