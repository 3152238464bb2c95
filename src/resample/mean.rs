//! The mean of the voxels that a target voxel spans.

use super::{BlockOp, Footprint, Scratch, halved::Halved, rows};
use crate::{
    block::{BlockMut, BlockRef},
    region::Region,
    voxel::{Rounding, Voxel, num::Arithmetic},
};

/// Mean of boxes of 1, 2, 4 or 8 source voxels; at the far border of those that exist. Exact for samples of up to 16 bits,
/// then rounded by `floor(x + 0.5)`.
///
/// The sum is taken row by row (planes outside, rows inside), then along x: the same as linear interpolation halfway between the
/// voxels, at a third of its time.
#[derive(Clone, Copy, Debug)]
pub struct Mean(Halved);

impl Mean {
    /// `factors` (1 or 2 along each axis) are the source voxels that a target voxel spans.
    pub fn new(source_shape: [u64; 3], factors: [u64; 3]) -> Mean {
        Mean(Halved::new(source_shape, factors))
    }
}

impl Footprint for Mean {
    fn target_shape(&self) -> [u64; 3] {
        self.0.target_shape()
    }

    fn source_region(&self, target: Region) -> Region {
        self.0.source_region(target)
    }

    fn source_axis(&self, target_axis: usize) -> Option<usize> {
        self.0.source_axis(target_axis)
    }

    fn scratch_bytes(&self, target: Region) -> u64 {
        self.0.scratch_bytes(target)
    }

    fn table_bytes(&self) -> u64 {
        self.0.table_bytes()
    }
}

impl<T: Voxel> BlockOp<T> for Mean {
    fn apply(
        &self,
        source: BlockRef<'_, T>,
        target: &mut BlockMut<'_, T>,
        piece: Region,
        scratch: &mut Scratch<T::Acc>,
    ) {
        let sums = scratch.take(source.region.shape()[2]);
        let halves = self.0.factor_along_rows() == 2;
        for volume in 0..target.volumes {
            let source = source.volume(volume);
            for z in piece.lo[0]..piece.hi[0] {
                for y in piece.lo[1]..piece.hi[1] {
                    let rows = self.0.rows(&source, z, y);
                    let count = add_rows(rows.iter().flatten(), sums);
                    let out = target.row(volume, z, y, piece.lo[2]..piece.hi[2]);
                    if halves { halve(sums, count, out) } else { rows::store_scaled(sums, reciprocal::<T>(count), out) }
                }
            }
        }
    }
}

/// The sum of rows, in the order in which they come; how many there were.
fn add_rows<'a, T: Voxel>(rows: impl Iterator<Item = &'a &'a [T]>, sums: &mut [T::Acc]) -> usize {
    let mut count = 0;
    for row in rows {
        if count == 0 {
            rows::load(row, sums)
        } else {
            rows::accumulate(row, sums)
        }
        count += 1;
    }
    count
}

/// Pairs of sums to means; the last one may be alone.
fn halve<T: Voxel>(sums: &[T::Acc], rows: usize, out: &mut [T]) {
    let pairs = sums.len() / 2;
    let (whole, last) = out.split_at_mut(pairs.min(out.len()));
    rows::store_pairs(sums, reciprocal::<T>(2 * rows), whole);
    if let ([voxel, ..], Some(sum)) = (last, sums.get(2 * pairs)) {
        *voxel = T::from_acc(*sum * reciprocal::<T>(rows), Rounding::Nearest);
    }
}

/// `1 / count`: a power of two, and so exact.
fn reciprocal<T: Voxel>(count: usize) -> T::Acc {
    T::Acc::of_f64(1.0 / count.max(1) as f64)
}
