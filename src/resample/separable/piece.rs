//! The passes over one piece, plane by plane.

use std::ops::Range;

use multiversion::multiversion;

use super::{Extents, Separable};
use crate::{
    block::{BlockMut, BlockRef},
    resample::{rows, taps::TapTable},
    voxel::{Real, Voxel},
};

/// One volume of one piece under way.
pub(super) struct Piece<'a, T: Voxel> {
    pub op: &'a Separable<T>,
    pub source: BlockRef<'a, T>,
    pub inside: &'a [Range<i64>; 3],
    pub extents: &'a Extents,
    pub passed: &'a mut [T::Acc],
    pub row: &'a mut [T::Acc],
    pub sums: &'a mut [T::Acc],
    /// Samples below and above what the type holds.
    pub beyond: [u64; 2],
}

impl<T: Voxel> Piece<'_, T> {
    /// Resamples each source plane within itself, keeps the newest in a ring, and combines them per target plane.
    pub(super) fn planes_last(&mut self, ring: &mut [T::Acc], target: &mut BlockMut<'_, T>, volume: usize) {
        let [_, ty, tx] = self.extents.target;
        let (plane_len, ring_len) = (ty * tx, self.extents.ring as i64);
        let slot = |z: i64| (z.rem_euclid(ring_len) as usize) * plane_len;
        // Taps do not begin in ascending order: a whole index is a single tap, its neighbours reach back behind it.
        let mut newest = self.source.region.lo[0] - 1;
        for i in self.op.plane_order(&self.inside[0]) {
            let (first, weights) = self.op.axes.tables[0].at(i);
            for z in newest + 1..first + weights.len() as i64 {
                let at = slot(z);
                self.source_plane(z, &mut ring[at..at + plane_len]);
                newest = z;
            }
            for y in 0..ty {
                let ring = &*ring;
                let at = |k: usize| slot(first + k as i64) + y * tx;
                rows::combine(weights, |k| &ring[at(k)..at(k) + tx], &mut self.sums[..tx]);
                let at = [i, self.inside[1].start + y as i64];
                self.op.store(self.inside, at, &self.sums[..tx], target, volume, &mut self.beyond);
            }
        }
    }

    /// Combines source planes per target plane, then resamples within the plane.
    pub(super) fn planes_first(&mut self, plane: &mut [T::Acc], target: &mut BlockMut<'_, T>, volume: usize) {
        let [_, sy, sx] = self.extents.source;
        for i in self.op.plane_order(&self.inside[0]) {
            let (first, weights) = self.op.axes.tables[0].at(i);
            for y in 0..sy {
                let out = &mut plane[y * sx..(y + 1) * sx];
                for (k, &w) in some(weights) {
                    rows::load(source_row(&self.source, first + k as i64, y), self.row);
                    if k == 0 { rows::scale(w, self.row, out) } else { rows::add_scaled(w, self.row, out) }
                }
            }
            self.within_plane(Rows::Ready(plane), Out::Target { target, volume, z: i });
        }
    }

    /// Source plane `z`, resampled within itself, to `out` (target rows of this piece).
    fn source_plane(&mut self, z: i64, out: &mut [T::Acc]) {
        self.within_plane(Rows::Source(z), Out::Plane(out));
    }

    /// The passes along rows and columns of one plane, in the order that the mapping fixes.
    fn within_plane(&mut self, from: Rows<'_, T::Acc>, mut out: Out<'_, '_, T>) {
        let [_, sy, sx] = self.extents.source;
        let [_, ty, tx] = self.extents.target;
        let y_lo = self.source.region.lo[1];
        if self.op.rows_last {
            for y in 0..sy {
                let passed = &mut self.passed[y * tx..(y + 1) * tx];
                let row: &[T::Acc] = match &from {
                    Rows::Ready(plane) => &plane[y * sx..(y + 1) * sx],
                    Rows::Source(z) => {
                        rows::load(source_row(&self.source, *z, y), self.row);
                        self.row
                    }
                };
                along_row(&self.op.axes.tables[2], row, self.source.region.lo[2], &self.inside[2], passed);
            }
        }
        for y in 0..ty {
            let target_y = self.inside[1].start + y as i64;
            let (first, weights) = self.op.axes.tables[1].at(target_y);
            let first = (first - y_lo) as usize;
            let (sum, rest) = self.sums.split_at_mut(self.sums.len() / 2);
            if self.op.rows_last {
                let passed = &*self.passed;
                rows::combine(weights, |k| &passed[(first + k) * tx..(first + k + 1) * tx], &mut sum[..tx]);
                self.op.emit(self.inside, target_y, y, &sum[..tx], &mut out, &mut self.beyond);
            } else {
                match &from {
                    Rows::Ready(plane) => {
                        rows::combine(weights, |k| &plane[(first + k) * sx..(first + k + 1) * sx], &mut sum[..sx]);
                    }
                    Rows::Source(z) => {
                        for (k, &w) in some(weights) {
                            rows::load(source_row(&self.source, *z, first + k), self.row);
                            if k == 0 {
                                rows::scale(w, self.row, &mut sum[..sx]);
                            } else {
                                rows::add_scaled(w, self.row, &mut sum[..sx]);
                            }
                        }
                    }
                }
                let table = &self.op.axes.tables[2];
                along_row(table, &sum[..sx], self.source.region.lo[2], &self.inside[2], &mut rest[..tx]);
                self.op.emit(self.inside, target_y, y, &rest[..tx], &mut out, &mut self.beyond);
            }
        }
    }
}

/// Where the rows of a plane come from.
enum Rows<'a, A> {
    /// A plane that was combined already.
    Ready(&'a [A]),
    /// Source plane of this index.
    Source(i64),
}

/// Where the rows of a resampled plane go.
enum Out<'a, 'b, T: Voxel> {
    Plane(&'a mut [T::Acc]),
    Target { target: &'a mut BlockMut<'b, T>, volume: usize, z: i64 },
}

/// The weights that are not 0, and their numbers: of stretched kernels some within are. The first one is not 0.
fn some<A: Real>(weights: &[A]) -> impl Iterator<Item = (usize, &A)> {
    weights.iter().enumerate().filter(|(_, w)| **w != A::ZERO)
}

fn source_row<'a, T: Voxel>(source: &BlockRef<'a, T>, z: i64, y: usize) -> &'a [T] {
    source.row(0, z, source.region.lo[1] + y as i64, source.region.lo[2]..source.region.hi[2])
}

/// The pass along a row: target indices `inside` from source samples that start at index `source_lo`.
#[multiversion(targets("x86_64+avx2"))]
fn along_row<A: Real>(table: &TapTable<A>, samples: &[A], source_lo: i64, inside: &Range<i64>, out: &mut [A]) {
    let has_gaps = table.has_gaps();
    for ((first, weights), out) in table.each(inside.clone()).zip(out) {
        let first = (first - source_lo) as usize;
        *out = match weights {
            [w] => samples[first] * *w,
            [w0, w1] => samples[first] * *w0 + samples[first + 1] * *w1,
            _ if has_gaps => rows::dot_of_some(weights, &samples[first..first + weights.len()]),
            _ => rows::dot(weights, &samples[first..first + weights.len()]),
        };
    }
}

impl<T: Voxel> Separable<T> {
    fn emit(
        &self,
        inside: &[Range<i64>; 3],
        target_y: i64,
        y: usize,
        sums: &[T::Acc],
        out: &mut Out<'_, '_, T>,
        beyond: &mut [u64; 2],
    ) {
        match out {
            Out::Plane(plane) => plane[y * sums.len()..(y + 1) * sums.len()].copy_from_slice(sums),
            Out::Target { target, volume, z } => self.store(inside, [*z, target_y], sums, target, *volume, beyond),
        }
    }

    /// Rounds one row into the target. `at` are the target indices along source axes 0 and 1.
    fn store(
        &self,
        inside: &[Range<i64>; 3],
        at: [i64; 2],
        sums: &[T::Acc],
        target: &mut BlockMut<'_, T>,
        volume: usize,
        beyond: &mut [u64; 2],
    ) {
        if self.overshoots {
            let [below, above] = rows::count_beyond::<T>(sums);
            *beyond = [beyond[0] + below, beyond[1] + above];
        }
        let start = self.axes.target_index([at[0], at[1], inside[2].start]);
        let stride = self.axes.stride(target.region);
        if stride == 1 {
            let row = target.row(volume, start[0], start[1], start[2]..start[2] + sums.len() as i64);
            rows::store(sums, row, self.rounding);
            return;
        }
        let first = target.offset(volume, start);
        for (voxel, &sum) in target.voxels[first..].iter_mut().step_by(stride).zip(sums) {
            *voxel = T::from_acc(sum, self.rounding);
        }
    }
}
