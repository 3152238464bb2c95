//! Fills pictures from a volume that is stored already, by a bounded number of reads.

use std::{collections::BTreeSet, sync::atomic::AtomicBool, sync::atomic::Ordering};

use super::{
    Raster, Values,
    watched::{SHOWN, sample},
};
use crate::{
    block::{BlockMut, BlockRef},
    error::{Error, Result},
    io::Source,
    layout::{Access, Layout},
    region::Region,
    voxel::Voxel,
};

/// What of a row of a positioned file is read at once, in voxels.
const ROW_VOXELS: u64 = 256;

/// How much may be read. A stream is passed over once, up to the last chunk that is needed.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Chunks that may be decoded, and their bytes together.
    pub chunks: u64,
    pub bytes: u64,
}

impl Default for Bound {
    fn default() -> Bound {
        Bound { chunks: 4096, bytes: 4 << 30 }
    }
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// Chunks that hold what was lacking, and how many of them were read.
    pub needed: u64,
    pub read: u64,
    /// Chunks of these that are absent and stand for the fill value.
    pub absent: u64,
}

/// Brings the samples that `rasters` lack of the first volume of `source`. Where that would take more than the bound, chunks are left out evenly.
///
/// # Errors
/// Those of the source; [`Error::Stopped`].
pub fn fill<T: Voxel>(
    rasters: &[&Raster],
    source: &dyn Source<T>,
    values: &Values,
    bound: Bound,
    stop: &AtomicBool,
) -> Result<Filled> {
    let layout = source.layout();
    let (group, member) = layout.outer.locate(SHOWN);
    let unit = match layout.access {
        Access::Random => [1, 1, ROW_VOXELS.min(layout.grid.shape[2].max(1))],
        Access::Chunked | Access::Ascending => layout.chunk,
    };
    let needed = units(rasters, unit);
    let every = match layout.access {
        Access::Chunked => stride(needed.len() as u64, chunk_bytes::<T>(layout, unit), bound),
        Access::Random | Access::Ascending => 1,
    };
    let volumes = layout.outer.members_of(group) as usize * layout.components;
    let mut voxels = Vec::new();
    let mut filled = Filled { needed: needed.len() as u64, ..Filled::default() };
    for at in needed.into_iter().step_by(every) {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped { blocks_done: filled.read, blocks: filled.needed });
        }
        let region = region(layout, unit, at);
        voxels.resize(region.voxels() as usize * volumes, T::default());
        source.read(group, BlockMut::new(region, volumes, &mut voxels)).map_err(|source| Error::Read {
            outer: SHOWN,
            region,
            source: Box::new(source),
        })?;
        let block = BlockRef::new(region, volumes, &voxels);
        let value = |at| sample(block, member * layout.components, layout.components, at, values);
        rasters.iter().for_each(|raster| raster.take(region, &value));
        filled.read += 1;
    }
    filled.absent = source.missing_chunks();
    Ok(filled)
}

/// Units of storage that hold what is lacking, in C order.
fn units(rasters: &[&Raster], unit: [u64; 3]) -> BTreeSet<[u64; 3]> {
    let mut units = BTreeSet::new();
    for raster in rasters {
        let [columns, rows] = raster.size;
        let mut last = None;
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            if raster.get(row * columns + column).is_some() {
                continue;
            }
            let Some(voxel) = raster.voxel([column, row]) else { continue };
            let at = std::array::from_fn(|a| voxel[a] as u64 / unit[a].max(1));
            if last.replace(at) != Some(at) {
                units.insert(at);
            }
        }
    }
    units
}

fn region(layout: &Layout, unit: [u64; 3], at: [u64; 3]) -> Region {
    let lo: [i64; 3] = std::array::from_fn(|a| (at[a] * unit[a]) as i64);
    let hi = std::array::from_fn(|a| ((at[a] + 1) * unit[a]).min(layout.grid.shape[a]) as i64);
    Region::new(lo, hi)
}

fn chunk_bytes<T>(layout: &Layout, unit: [u64; 3]) -> u64 {
    let voxel = layout.outer.largest_group().saturating_mul((layout.components * size_of::<T>()) as u64);
    unit.iter().fold(voxel, |bytes, &n| bytes.saturating_mul(n))
}

/// Every how many units one is read.
fn stride(units: u64, bytes: u64, bound: Bound) -> usize {
    let most = bound.chunks.min(bound.bytes / bytes.max(1)).max(1);
    usize::try_from(units.div_ceil(most)).unwrap_or(usize::MAX).max(1)
}
