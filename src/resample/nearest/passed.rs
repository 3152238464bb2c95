//! Voxels copied out of chunks as they pass: nothing is carried on.

use super::Nearest;
use crate::{
    block::{BlockMut, BlockRef},
    region::Region,
    resample::{
        carry::{Along, Carry, Extents, Part},
        looks::Looks,
    },
    voxel::Voxel,
};

/// One volume of a column of nearest voxels.
pub(super) struct Passed<'a, T: Voxel> {
    op: &'a Nearest<T>,
    along: [Along; 3],
    /// What the column needs of the source.
    source: Region,
    outside: T,
    parts: [Vec<Part>; 3],
}

impl<'a, T: Voxel> Passed<'a, T> {
    /// Nothing was copied yet.
    pub(super) fn new(op: &'a Nearest<T>, source: Region, target: Region, chunk: [u64; 3], outside: T) -> Self {
        let along = std::array::from_fn(|s| Along::new(op, s, target, chunk[s]));
        Passed { op, along, source, outside, parts: Default::default() }
    }
}

/// Bytes of [`Passed`].
pub(super) fn passed_bytes(extents: &Extents) -> u64 {
    let parts: usize = extents.touched.iter().sum();
    let chunks: usize = (0..3).map(|s| extents.target[s].div_ceil(extents.touched[s].max(1))).sum();
    ((2 * parts + chunks) * size_of::<Part>()) as u64
}

impl<T: Voxel> Carry<T> for Passed<'_, T> {
    fn take(&mut self, chunk: BlockRef<'_, T>, target: &mut BlockMut<'_, T>, volume: usize) {
        let Some(part) = self.meet(chunk.region) else { return };
        self.set(target, volume, |[z, y]| {
            let row = chunk.row(0, part.lo[0] + z as i64, part.lo[1] + y as i64, part.lo[2]..part.hi[2]);
            move |x| row[x]
        });
    }

    fn take_even(&mut self, value: T, region: Region, target: &mut BlockMut<'_, T>, volume: usize) -> bool {
        if self.meet(region).is_some() {
            self.set(target, volume, |_| move |_| value);
        }
        true
    }

    fn outside(&self) -> T {
        self.outside
    }
}

impl<T: Voxel> Passed<'_, T> {
    /// What the column needs of a chunk, with its parts of target indices; `None` where that is nothing.
    fn meet(&mut self, chunk: Region) -> Option<Region> {
        let part = chunk.intersect(&self.source);
        if part.is_empty() {
            return None;
        }
        for (s, parts) in self.parts.iter_mut().enumerate() {
            self.along[s].parts(part.lo[s]..part.hi[s], |i| self.op.taps(s, i), parts);
        }
        Some(part)
    }

    /// Sets the voxels of the chunk at hand: `rows` gives the samples of a row, by places in what is needed of the chunk.
    fn set<R: Fn(usize) -> T>(&self, target: &mut BlockMut<'_, T>, volume: usize, rows: impl Fn([usize; 2]) -> R) {
        let axes: [usize; 3] = std::array::from_fn(|s| self.op.target_axis(s));
        let [_, ny, nx] = target.region.shape();
        let stride = [ny * nx, nx, 1][axes[2]] as i64;
        let [zs, ys, xs] = &self.parts;
        let Some(first) = xs.first().map(|x| x.index) else { return };
        for z in zs {
            for y in ys {
                let row = rows([z.from, y.from]);
                let mut index = [0; 3];
                (0..3).for_each(|s| index[axes[s]] = [z.index, y.index, first][s]);
                let base = target.offset(volume, index) as i64;
                for x in xs {
                    target.voxels[(base + (x.index - first) * stride) as usize] = row(x.from);
                }
            }
        }
    }
}
