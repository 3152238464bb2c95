//! Datasets: extent, sample type, chunks, filters and fill value.
//!
//! Source: HDF5 File Format Specification 3.0, "IV.A.2. Data Object Header Messages".

use super::{
    bytes::{Bytes, Fields, NOWHERE},
    filters::Filter,
    header::{Header, kind},
};
use crate::{io::tiff::fault::Fault, voxel::Dtype};

/// Voxels along one axis, at most.
const MOST_EXTENT: u64 = 1 << 31;

/// What the volumes of an image have in common.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Storage {
    /// As stored: at the far faces there may be more than the image has.
    pub shape: [u64; 3],
    pub chunk: [u64; 3],
    pub dtype: Dtype,
    pub big_endian: bool,
    pub filters: Vec<Filter>,
    /// One sample, as stored.
    pub fill: Vec<u8>,
}

/// A dataset of voxels.
#[derive(Clone, Debug)]
pub(super) struct Dataset {
    pub storage: Storage,
    /// The tree of its chunks; `None` where none was ever stored.
    pub tree: Option<u64>,
}

/// Numbers as they stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub dtype: Dtype,
    pub big_endian: bool,
}

impl Dataset {
    /// Reads the header of a dataset of three axes in chunks.
    ///
    /// # Errors
    /// No such dataset; damage; storage that is not read, by its name.
    pub(super) fn read(bytes: &Bytes, at: u64, place: &str) -> Result<Dataset, Fault> {
        let header = Header::read(bytes, at)?;
        let body = |kind: u16, what: &str| {
            let message =
                header.find(kind).ok_or_else(|| Fault::wrong(place, format!("without {what}"), "a dataset"))?;
            match message.is_shared {
                true => Err(Fault::Unread(format!("keeps {what} of {place} in another object, which is not read"))),
                false => Ok(message.body.as_slice()),
            }
        };
        let shape = extents(body(kind::DATASPACE, "an extent")?)?;
        let shape: [u64; 3] = shape[..]
            .try_into()
            .map_err(|_| Fault::wrong(place, format!("a dataset of the shape {shape:?}"), "three axes: z, y, x"))?;
        if let Some(wrong) = shape.iter().find(|&&extent| extent == 0 || extent > MOST_EXTENT) {
            return Err(Fault::wrong(place, format!("{wrong} voxels along an axis"), format!("1 to {MOST_EXTENT}")));
        }
        let Numbers { dtype, big_endian } = numbers(body(kind::DATATYPE, "a type")?, place)?;
        let (tree, chunk) = chunks(body(kind::LAYOUT, "a layout")?, dtype, place)?;
        let filters = match header.find(kind::FILTERS) {
            Some(_) => Filter::list(body(kind::FILTERS, "filters")?)?,
            None => Vec::new(),
        };
        let fill = fill(&header, dtype.bytes())?;
        Ok(Dataset { storage: Storage { shape, chunk, dtype, big_endian, filters, fill }, tree })
    }
}

/// The extents of a dataspace.
///
/// # Errors
/// A version that is not known.
pub(super) fn extents(body: &[u8]) -> Result<Vec<u64>, Fault> {
    let mut fields = Fields::new(body, "an extent");
    let (version, rank) = (fields.u8()?, fields.u8()?);
    match version {
        1 => fields.skip(6)?,
        2 => fields.skip(2)?,
        other => return Err(Fault::wrong("an extent", format!("of version {other}"), "1 or 2")),
    }
    (0..rank).map(|_| fields.u64()).collect()
}

/// The type of numbers.
///
/// # Errors
/// What is no integer and no IEEE float.
pub(super) fn numbers(body: &[u8], place: &str) -> Result<Numbers, Fault> {
    let mut fields = Fields::new(body, "a type");
    let (class, flags) = (fields.u8()? & 15, fields.number(3)?);
    let size = fields.u32()?;
    let (offset, precision) = if class < 2 { (fields.u16()?, u32::from(fields.u16()?)) } else { (0, 0) };
    let found = match (class, size, flags & 8 != 0) {
        (0, 1, false) => Some(Dtype::U8),
        (0, 1, true) => Some(Dtype::I8),
        (0, 2, false) => Some(Dtype::U16),
        (0, 2, true) => Some(Dtype::I16),
        (0, 4, false) => Some(Dtype::U32),
        (0, 4, true) => Some(Dtype::I32),
        (0, 8, false) => Some(Dtype::U64),
        (0, 8, true) => Some(Dtype::I64),
        (1, 4, _) if is_ieee(fields, [23, 8, 23], 127)? => Some(Dtype::F32),
        (1, 8, _) if is_ieee(fields, [52, 11, 52], 1023)? => Some(Dtype::F64),
        _ => None,
    };
    let is_whole = offset == 0 && precision == size.saturating_mul(8) && flags & 0x40 == 0;
    let dtype = found.filter(|_| is_whole).ok_or_else(|| {
        let name = ["integers", "floats", "times", "text", "bits", "opaque samples", "compounds"].get(class as usize);
        Fault::Unread(format!("has {} of {size} bytes in {place}, which are not read", name.unwrap_or(&"samples")))
    })?;
    Ok(Numbers { dtype, big_endian: flags & 1 != 0 })
}

/// Where exponent and mantissa stand.
fn is_ieee(mut fields: Fields<'_>, [exponent, width, mantissa]: [u64; 3], bias: u64) -> Result<bool, Fault> {
    let found = [fields.number(1)?, fields.number(1)?, fields.number(1)?, fields.number(1)?, fields.number(4)?];
    Ok(found == [exponent, width, 0, mantissa, bias])
}

/// Where samples stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stored<'a> {
    /// In the header itself.
    Within(&'a [u8]),
    /// In one piece, from here on.
    Whole(Option<u64>),
    /// In chunks: their tree, and their extents with the bytes of a sample last.
    Chunks(Option<u64>, Vec<u64>),
}

/// Where the samples of a dataset stand.
///
/// # Errors
/// A layout that is not read, by its name.
pub(super) fn stored<'a>(body: &'a [u8], place: &str) -> Result<Stored<'a>, Fault> {
    let mut fields = Fields::new(body, "a layout");
    let (version, class) = (fields.u8()?, fields.u8()?);
    let address = |at: u64| (at != NOWHERE).then_some(at);
    match (version, class) {
        (3 | 4, 0) => {
            let len = fields.u16()?;
            fields.take(len.into()).map(Stored::Within)
        }
        (3 | 4, 1) => Ok(Stored::Whole(address(fields.u64()?))),
        (3, 2) => {
            let rank = fields.u8()?;
            let tree = fields.u64()?;
            let dims = (0..rank).map(|_| fields.u32().map(u64::from)).collect::<Result<_, _>>()?;
            Ok(Stored::Chunks(address(tree), dims))
        }
        (4 | 5, 2) => {
            let what = "has chunks in an index of HDF5 1.10, as it makes them by the setting libver='latest', which is not read";
            Err(Fault::Unread(what.into()))
        }
        _ => Err(Fault::Unread(format!(
            "has a layout of version {version} and class {class} in {place}, which is not read"
        ))),
    }
}

/// The tree of chunks, and their extent.
fn chunks(body: &[u8], dtype: Dtype, place: &str) -> Result<(Option<u64>, [u64; 3]), Fault> {
    let (tree, dims) = match stored(body, place)? {
        Stored::Chunks(tree, dims) => (tree, dims),
        _ => {
            return Err(Fault::Unread(format!("has {place} stored in one piece and not in chunks, which is not read")));
        }
    };
    match dims[..] {
        [z, y, x, size] if [z, y, x].iter().all(|&n| n > 0) && size == dtype.bytes() as u64 => Ok((tree, [z, y, x])),
        _ => Err(Fault::wrong(place, format!("chunks of {dims:?}"), "three extents and the bytes of a sample")),
    }
}

/// The value of samples of chunks that were never stored.
fn fill(header: &Header, size: usize) -> Result<Vec<u8>, Fault> {
    let zero = vec![0; size];
    let (message, is_new) = match (header.find(kind::FILL), header.find(kind::OLD_FILL)) {
        (Some(message), _) => (message, true),
        (None, Some(message)) => (message, false),
        (None, None) => return Ok(zero),
    };
    let mut fields = Fields::new(&message.body, "a fill value");
    if is_new {
        let version = fields.u8()?;
        let is_defined = match version {
            1 | 2 => {
                fields.skip(2)?;
                fields.u8()? != 0
            }
            _ => fields.u8()? & 0x20 != 0,
        };
        if !is_defined {
            return Ok(zero);
        }
    }
    let len = fields.u32()? as usize;
    if len == 0 {
        return Ok(zero);
    }
    if len != size {
        return Err(Fault::wrong("a fill value", format!("of {len} bytes"), format!("{size}")));
    }
    Ok(fields.take(size)?.to_vec())
}
