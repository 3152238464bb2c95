//! Voxels copied out of chunks as they pass: nothing is carried on.

use super::{Along, Carry, Extents, Looks, Part};
use crate::{
    block::{BlockMut, BlockRef},
    region::Region,
    resample::Nearest,
    voxel::Voxel,
};

/// One volume of a column of nearest voxels.
pub struct Passed<'a, T: Voxel> {
    op: &'a Nearest<T>,
    along: [Along; 3],
    /// What the column needs of the source.
    source: Region,
    outside: T,
    parts: [Vec<Part>; 3],
}

impl<'a, T: Voxel> Passed<'a, T> {
    pub fn new(op: &'a Nearest<T>, source: Region, target: Region, chunk: [u64; 3], outside: T) -> Self {
        let along = std::array::from_fn(|s| Along::new(op, s, target, chunk[s]));
        Passed { op, along, source, outside, parts: Default::default() }
    }
}

/// Bytes of [`Passed`].
pub fn passed_bytes(extents: &Extents) -> u64 {
    let parts: usize = extents.touched.iter().sum();
    let chunks: usize = (0..3).map(|s| extents.target[s].div_ceil(extents.touched[s].max(1))).sum();
    ((2 * parts + chunks) * size_of::<Part>()) as u64
}

impl<T: Voxel> Carry<T> for Passed<'_, T> {
    fn take(&mut self, chunk: BlockRef<'_, T>, target: &mut BlockMut<'_, T>, volume: usize) {
        let part = chunk.region.intersect(&self.source);
        if part.is_empty() {
            return;
        }
        for (s, parts) in self.parts.iter_mut().enumerate() {
            self.along[s].parts(part.lo[s]..part.hi[s], |i| self.op.taps(s, i), parts);
        }
        let axes: [usize; 3] = std::array::from_fn(|s| self.op.target_axis(s));
        let [_, ny, nx] = target.region.shape();
        let stride = [ny * nx, nx, 1][axes[2]] as i64;
        let [zs, ys, xs] = &self.parts;
        let Some(first) = xs.first().map(|x| x.index) else { return };
        for z in zs {
            for y in ys {
                let row = chunk.row(0, part.lo[0] + z.from as i64, part.lo[1] + y.from as i64, part.lo[2]..part.hi[2]);
                let mut index = [0; 3];
                (0..3).for_each(|s| index[axes[s]] = [z.index, y.index, first][s]);
                let base = target.offset(volume, index) as i64;
                for x in xs {
                    target.voxels[(base + (x.index - first) * stride) as usize] = row[x.from];
                }
            }
        }
    }

    fn outside(&self) -> T {
        self.outside
    }
}
