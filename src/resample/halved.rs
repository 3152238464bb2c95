//! Axes halved: each target voxel is made of the 1, 2, 4 or 8 source voxels that it spans.

use super::{BlockOp, Footprint, Workspace, mean, mode};
use crate::{
    block::{BlockMut, BlockRef},
    region::Region,
    voxel::Voxel,
};

/// What a target voxel is, of those that it spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Summary {
    /// Their mean, by `floor(x + 0.5)` in integers; exact for samples of up to 16 bits.
    Mean,
    /// The most frequent of them, ties to the lower: for labels, which must not be averaged.
    Mode,
}

/// Voxels that span 1 or 2 source voxels along each axis; at the far border those that exist.
#[derive(Clone, Copy, Debug)]
pub(super) struct Halved {
    summary: Summary,
    source_shape: [u64; 3],
    factors: [u64; 3],
}

impl Halved {
    /// `factors` are 1 or 2.
    pub(super) fn new(summary: Summary, source_shape: [u64; 3], factors: [u64; 3]) -> Halved {
        Halved { summary, source_shape, factors: factors.map(|factor| factor.clamp(1, 2)) }
    }

    /// The source rows that target row `y` of plane `z` spans, as far as they exist; `source` holds no others.
    fn rows<'a, T: Voxel>(&self, source: &BlockRef<'a, T>, z: i64, y: i64) -> [Option<&'a [T]>; 4] {
        let region = source.region;
        let [fz, fy, _] = self.factors.map(|factor| factor as i64);
        std::array::from_fn(|n| {
            let (dz, dy) = (n as i64 / 2, n as i64 % 2);
            let (sz, sy) = (z * fz + dz, y * fy + dy);
            let exists = dz < fz && dy < fy && sz < region.hi[0] && sy < region.hi[1];
            exists.then(|| source.row(0, sz, sy, region.lo[2]..region.hi[2]))
        })
    }
}

impl Footprint for Halved {
    fn target_shape(&self) -> [u64; 3] {
        std::array::from_fn(|a| self.source_shape[a].div_ceil(self.factors[a]))
    }

    fn source_region(&self, target: Region) -> Region {
        let factor = |a: usize| self.factors[a] as i64;
        let region = Region {
            lo: std::array::from_fn(|a| target.lo[a] * factor(a)),
            hi: std::array::from_fn(|a| (target.hi[a] * factor(a)).min(self.source_shape[a] as i64)),
        };
        if region.is_empty() { Region::EMPTY } else { region }
    }

    fn source_axis(&self, target_axis: usize) -> Option<usize> {
        Some(target_axis)
    }

    /// One source row in the widest type of accumulation.
    fn scratch_bytes(&self, target: Region) -> u64 {
        match self.summary {
            Summary::Mean => (target.shape()[2] as u64 * self.factors[2]).saturating_mul(size_of::<f64>() as u64),
            Summary::Mode => 0,
        }
    }

    fn table_bytes(&self) -> u64 {
        0
    }
}

impl<T: Voxel> BlockOp<T> for Halved {
    fn apply(
        &self,
        source: BlockRef<'_, T>,
        target: &mut BlockMut<'_, T>,
        piece: Region,
        scratch: &mut Workspace<T::Acc>,
    ) {
        let step = self.factors[2] as usize;
        let width = source.region.shape()[2];
        for volume in 0..target.volumes {
            let source = source.volume(volume);
            for z in piece.lo[0]..piece.hi[0] {
                for y in piece.lo[1]..piece.hi[1] {
                    let rows = self.rows(&source, z, y);
                    let rows = rows.iter().flatten().copied();
                    let out = target.row(volume, z, y, piece.lo[2]..piece.hi[2]);
                    match self.summary {
                        Summary::Mean => mean::fill(rows, step, scratch.take(width), out),
                        Summary::Mode => mode::fill(rows, step, out),
                    }
                }
            }
        }
    }
}
