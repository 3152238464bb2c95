//! How the samples of a page stand: size, type, strips or tiles, compression.
//!
//! Source: TIFF 6.0; technical notes 1 and 3 (predictors); libtiff for zstd.

use super::{
    bytes::Walk,
    codec::Compression,
    directory::{self as tags, Directory},
    fault::Fault,
};
use crate::voxel::Dtype;

/// What all pages of a series have in common.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Format {
    pub rows: u64,
    pub columns: u64,
    /// Samples of a voxel.
    pub samples: u64,
    /// Whether each of them has a plane of its own.
    pub planes: bool,
    pub dtype: Dtype,
    pub compression: Compression,
    pub predictor: Predictor,
    /// Rows and columns of a strip or tile.
    pub chunk: [u64; 2],
    pub tiled: bool,
    pub photometric: u64,
}

/// What was done to the samples of a row before compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Predictor {
    None,
    /// Differences of neighbours.
    Horizontal,
    /// The bytes of floats apart, and their differences.
    Float,
}

/// Colours that are read as samples of a voxel.
pub(super) const RGB: u64 = 2;
pub(super) const MIN_IS_WHITE: u64 = 0;
pub(super) const PALETTE: u64 = 3;
const YCBCR: u64 = 6;
/// Samples of a voxel, at most.
const MOST_SAMPLES: u64 = 1 << 12;
/// Voxels along an axis, at most.
const MOST_EXTENT: u64 = 1 << 40;

impl Format {
    /// As a directory states it.
    ///
    /// # Errors
    /// Sizes that are none, and what is not read here.
    pub(super) fn of(directory: &Directory, walk: &mut Walk<'_>) -> Result<Format, Fault> {
        let extent = |name: &str, value: Option<u64>| match value {
            Some(n) if (1..MOST_EXTENT).contains(&n) => Ok(n),
            other => Err(Fault::wrong(name, other.map_or("absent".into(), |n| n.to_string()), "1 or more")),
        };
        let columns = extent("ImageWidth", directory.number(walk, tags::WIDTH)?)?;
        let rows = extent("ImageLength", directory.number(walk, tags::HEIGHT)?)?;
        let samples = directory.number(walk, tags::SAMPLES)?.unwrap_or(1);
        if !(1..=MOST_SAMPLES).contains(&samples) {
            return Err(Fault::wrong("SamplesPerPixel", samples, format!("1 to {MOST_SAMPLES}")));
        }
        let photometric = directory.number(walk, tags::PHOTOMETRIC)?.unwrap_or(1);
        let compression = Compression::of(directory.number(walk, tags::COMPRESSION)?.unwrap_or(1))?;
        if photometric == YCBCR {
            return Err(Fault::Unread("has colours as YCbCr, which are not read".into()));
        }
        let dtype = dtype(directory, walk)?;
        for (tag, name) in [(tags::DEPTH, "ImageDepth"), (tags::TILE_DEPTH, "TileDepth")] {
            if let Some(depth) = directory.number(walk, tag)?.filter(|depth| *depth > 1) {
                return Err(Fault::Unread(format!("has pages of {depth} planes ({name}), which are not read")));
            }
        }
        let tiled = directory.list(tags::TILE_OFFSETS).is_some() || directory.list(tags::TILE_WIDTH).is_some();
        let chunk = match tiled {
            true => [
                extent("TileLength", directory.number(walk, tags::TILE_HEIGHT)?)?,
                extent("TileWidth", directory.number(walk, tags::TILE_WIDTH)?)?,
            ],
            false => [
                extent("RowsPerStrip", Some(directory.number(walk, tags::ROWS_PER_STRIP)?.unwrap_or(rows).min(rows)))?,
                columns,
            ],
        };
        let predictor = match (compression, directory.number(walk, tags::PREDICTOR)?.unwrap_or(1)) {
            (Compression::None | Compression::PackBits, _) | (_, 1) => Predictor::None,
            (_, 2) => Predictor::Horizontal,
            (_, 3) if dtype.is_float() => Predictor::Float,
            (_, other) => return Err(Fault::Unread(format!("has predictor {other} on {dtype}, which is not read"))),
        };
        let planes = directory.number(walk, tags::PLANAR)? == Some(2) && samples > 1;
        let format =
            Format { rows, columns, samples, planes, dtype, compression, predictor, chunk, tiled, photometric };
        match format.chunk_bytes() {
            Some(bytes) if bytes < 1 << 62 => Ok(format),
            _ => Err(Fault::wrong(
                "the size of a strip or tile",
                format!("{} x {} voxels", chunk[1], chunk[0]),
                "less than 2^62 bytes",
            )),
        }
    }

    /// Samples that stand together in a strip or tile.
    pub(super) fn together(&self) -> u64 {
        if self.planes { 1 } else { self.samples }
    }

    /// How often the strips or tiles of a page come: once for each plane of samples.
    pub(super) fn apart(&self) -> u64 {
        if self.planes { self.samples } else { 1 }
    }

    /// Bytes of so many voxels of a row, all samples that stand together.
    pub(super) fn row_bytes(&self, columns: u64) -> u64 {
        columns.saturating_mul(self.together()).saturating_mul(self.dtype.bytes() as u64)
    }

    /// Bytes of a whole strip or tile, decoded.
    fn chunk_bytes(&self) -> Option<u64> {
        let voxels = self.chunk[0].checked_mul(self.chunk[1])?;
        voxels.checked_mul(self.together())?.checked_mul(self.dtype.bytes() as u64)
    }

    /// Rows that strip or tile `n` of a plane has: the last strip may have fewer.
    pub(super) fn rows_of(&self, n: u64) -> u64 {
        if self.tiled {
            self.chunk[0]
        } else {
            self.chunk[0].min(self.rows.saturating_sub(n.saturating_mul(self.chunk[0])))
        }
    }

    /// Bytes of strip or tile `n` of a plane, decoded.
    pub(super) fn bytes_of(&self, n: u64) -> u64 {
        self.row_bytes(self.chunk[1]).saturating_mul(self.rows_of(n))
    }

    /// Strips or tiles along a column and along a row.
    pub(super) fn counts(&self) -> [u64; 2] {
        [self.rows.div_ceil(self.chunk[0]), self.columns.div_ceil(self.chunk[1])]
    }

    /// Strips or tiles of a page.
    pub(super) fn count(&self) -> u64 {
        let [down, along] = self.counts();
        down.saturating_mul(along).saturating_mul(self.apart())
    }

    /// Bytes of a page, decoded, without what tiles have beyond it.
    pub(super) fn page_bytes(&self) -> u64 {
        self.row_bytes(self.columns).saturating_mul(self.rows).saturating_mul(self.apart())
    }

    /// In words, for messages.
    pub(super) fn words(&self) -> String {
        let samples = if self.samples > 1 { format!(" x {}", self.samples) } else { String::new() };
        format!("{}x{} {}{samples} {}", self.columns, self.rows, self.dtype, self.compression.name())
    }
}

fn dtype(directory: &Directory, walk: &mut Walk<'_>) -> Result<Dtype, Fault> {
    let bits = directory.uniform(walk, tags::BITS, "BitsPerSample")?.unwrap_or(1);
    let kind = directory.uniform(walk, tags::SAMPLE_FORMAT, "SampleFormat")?.unwrap_or(1);
    if bits >= 8 && directory.number(walk, tags::FILL_ORDER)? == Some(2) {
        return Err(Fault::Unread("has the bits of a byte in the other order (FillOrder 2), which is not read".into()));
    }
    Ok(match (kind, bits) {
        (1 | 4, 8) => Dtype::U8,
        (1 | 4, 16) => Dtype::U16,
        (1 | 4, 32) => Dtype::U32,
        (1 | 4, 64) => Dtype::U64,
        (2, 8) => Dtype::I8,
        (2, 16) => Dtype::I16,
        (2, 32) => Dtype::I32,
        (2, 64) => Dtype::I64,
        (3, 32) => Dtype::F32,
        (3, 64) => Dtype::F64,
        _ => {
            let kind = match kind {
                1 | 4 => "unsigned integers",
                2 => "signed integers",
                3 => "floats",
                5 | 6 => "complex numbers",
                _ => "numbers of a type that is not known, and",
            };
            return Err(Fault::Unread(format!("has samples that are {kind} of {bits} bits, which are not read")));
        }
    })
}
