//! Separable interpolation: one pass per axis over tap tables, plane by plane.
//!
//! Planes stand across source axis 0. Where axis 0 is up-sampled, each source plane is resampled within itself first
//! and planes are combined last, from a ring; where it is down-sampled, planes are combined first. Within a plane the
//! same choice is made for rows. It depends on the mapping alone, so the order of rounding errors does not depend
//! on blocks.

use std::ops::Range;

use super::{
    BlockOp, Footprint, Outside, Scratch, TapTable,
    axes::Axes,
    carry::{Carry, Carrying, Extents as Carried, Folded, Looks, Sums, folded_bytes, lanes},
    rows,
};
use crate::{
    block::{BlockMut, BlockRef},
    geometry::AxisMap,
    region::Region,
    voxel::{Real, Rounding, Voxel},
};

/// Pieces of more planes are not looked at plane by plane each time a plan asks.
const LONG_PLANES: i64 = 1024;

/// A separable kernel over an axis-aligned mapping, permutation and flips included.
#[derive(Clone, Debug)]
pub struct Separable<T: Voxel> {
    axes: Axes<T::Acc>,
    planes_last: bool,
    rows_last: bool,
    /// Whether axis 0 runs backwards.
    reversed: bool,
    /// Planes that must stay at hand for the longest piece there is.
    longest_ring: usize,
    outside: T,
    rounding: Rounding,
    /// Whether sums may go beyond the source's range, and are counted where they do.
    overshoots: bool,
}

/// Extents of one piece, in source-axis order: what it reads and what it fills.
struct Extents {
    source: [usize; 3],
    target: [usize; 3],
    /// Planes of the ring.
    ring: usize,
}

impl<T: Voxel> Separable<T> {
    /// `tables[a]` belongs to target axis `a` of `maps`.
    pub fn new(
        target_shape: [u64; 3],
        maps: &[AxisMap; 3],
        tables: [TapTable<T::Acc>; 3],
        outside: Outside,
        rounding: Rounding,
    ) -> Separable<T> {
        let axes = Axes::new(target_shape, maps, &tables);
        let scale = |s: usize| maps[axes.target_axis[s]].scale;
        let mut op = Separable {
            planes_last: scale(0).abs() <= 1.0,
            rows_last: scale(1).abs() <= 1.0,
            reversed: scale(0) < 0.0,
            longest_ring: 0,
            axes,
            outside: outside.voxel(),
            rounding,
            overshoots: false,
        };
        op.longest_ring = if op.planes_last { op.ring_of(&op.axes.tables[0].inside()) } else { 0 };
        op
    }

    /// The same with sums counted that the type does not hold, where the kernel has negative weights.
    pub fn with_overshoot(self, overshoots: bool) -> Separable<T> {
        Separable { overshoots: overshoots && !T::DTYPE.is_float(), ..self }
    }

    /// Whether sums along axis 0 come first and along axis 2 last, or might as well, since what comes otherwise only copies.
    fn sums_in_storage_order(&self) -> bool {
        let [z, y, _] = &self.axes.tables;
        (!self.planes_last || z.selects()) && (!self.rows_last || y.selects())
    }

    fn extents(&self, inside: &[Range<i64>; 3], source: Region) -> Extents {
        let target = std::array::from_fn(|s| (inside[s].end - inside[s].start).max(0) as usize);
        Extents { source: source.shape(), target, ring: if self.planes_last { self.ring(&inside[0]) } else { 0 } }
    }

    /// Target planes in the order in which their source planes ascend.
    fn plane_order(&self, planes: &Range<i64>) -> impl Iterator<Item = i64> + use<T> {
        let (range, reversed) = (planes.clone(), self.reversed);
        (0..range.end - range.start).map(move |n| if reversed { range.end - 1 - n } else { range.start + n })
    }

    /// Planes that must stay at hand while axis 0 is walked in ascending source order.
    fn ring(&self, planes: &Range<i64>) -> usize {
        if planes.end - planes.start > LONG_PLANES { self.longest_ring } else { self.ring_of(planes) }
    }

    fn ring_of(&self, planes: &Range<i64>) -> usize {
        let (mut newest, mut needed) = (i64::MIN, 0);
        for i in self.plane_order(planes) {
            let (first, weights) = self.axes.tables[0].at(i);
            newest = newest.max(first + weights.len() as i64 - 1);
            needed = needed.max(newest - first + 1);
        }
        needed as usize
    }

    /// Scratch samples for each purpose: ring, combined plane, rows passed along x, one source row, two sums.
    fn scratch_parts(&self, e: &Extents) -> [usize; 5] {
        let plane = if self.planes_last { 0 } else { e.source[1] * e.source[2] };
        let passed = if self.rows_last { e.source[1] * e.target[2] } else { 0 };
        [e.ring * e.target[1] * e.target[2], plane, passed, e.source[2], 2 * e.source[2].max(e.target[2])]
    }
}

impl<T: Voxel> Footprint for Separable<T> {
    fn target_shape(&self) -> [u64; 3] {
        self.axes.target_shape
    }

    fn source_region(&self, target: Region) -> Region {
        self.axes.source_region(target)
    }

    fn source_axis(&self, target_axis: usize) -> Option<usize> {
        self.axes.source_axis(target_axis)
    }

    fn scratch_bytes(&self, target: Region) -> u64 {
        let source = self.source_region(target);
        if source.is_empty() {
            return 0;
        }
        let parts = self.scratch_parts(&self.extents(&self.axes.inside(target), source));
        (parts.iter().sum::<usize>() * size_of::<T::Acc>()) as u64
    }

    fn table_bytes(&self) -> u64 {
        self.axes.table_bytes()
    }

    fn carrying(&self) -> Option<&dyn Carrying> {
        self.sums_in_storage_order().then_some(self)
    }
}

impl<T: Voxel> Looks for Separable<T> {
    fn target_axis(&self, s: usize) -> usize {
        self.axes.target_axis[s]
    }

    fn inside(&self, s: usize) -> Range<i64> {
        self.axes.tables[s].inside()
    }

    fn taps(&self, s: usize, i: i64) -> Range<i64> {
        self.axes.tables[s].hull_at(i)
    }
}

impl<T: Voxel> Carrying for Separable<T> {
    fn carried_bytes(&self, extents: &Carried) -> u64 {
        folded_bytes(extents, lanes(&self.axes.tables[2]), size_of::<T::Acc>())
    }
}

impl<T: Voxel> BlockOp<T> for Separable<T> {
    fn apply(
        &self,
        source: BlockRef<'_, T>,
        target: &mut BlockMut<'_, T>,
        piece: Region,
        scratch: &mut Scratch<T::Acc>,
    ) {
        let inside = self.axes.inside(piece);
        let filled = inside.iter().all(|r| !r.is_empty());
        let filled_voxels = inside.iter().map(|r| (r.end - r.start).max(0) as u64).product::<u64>();
        if !filled || filled_voxels < piece.voxels() {
            fill(target, piece, self.outside);
        }
        if !filled {
            return;
        }
        let extents = self.extents(&inside, source.region);
        let parts = self.scratch_parts(&extents);
        let memory = scratch.take(parts.iter().sum());
        let (ring, memory) = memory.split_at_mut(parts[0]);
        let (plane, memory) = memory.split_at_mut(parts[1]);
        let (passed, memory) = memory.split_at_mut(parts[2]);
        let (row, sums) = memory.split_at_mut(parts[3]);
        let mut beyond = [0; 2];
        for volume in 0..target.volumes {
            let mut piece = Piece {
                op: self,
                source: source.volume(volume),
                inside: &inside,
                extents: &extents,
                passed: &mut *passed,
                row: &mut *row,
                sums: &mut *sums,
                beyond: [0; 2],
            };
            if self.planes_last {
                piece.planes_last(&mut *ring, target, volume);
            } else {
                piece.planes_first(&mut *plane, target, volume);
            }
            beyond = [0, 1].map(|end| beyond[end] + piece.beyond[end]);
        }
        scratch.add_beyond(beyond);
    }

    fn carry<'a>(&'a self, target: Region, chunk: [u64; 3]) -> Option<Box<dyn Carry<T> + 'a>> {
        let sums = Sums::new(&self.axes.tables[2], self.rounding);
        let carry = || Folded::<T, Sums>::new(sums, &self.axes, target, chunk, self.outside);
        self.sums_in_storage_order().then(|| -> Box<dyn Carry<T> + 'a> { Box::new(carry()) })
    }
}

/// One volume of one piece under way.
struct Piece<'a, T: Voxel> {
    op: &'a Separable<T>,
    source: BlockRef<'a, T>,
    inside: &'a [Range<i64>; 3],
    extents: &'a Extents,
    passed: &'a mut [T::Acc],
    row: &'a mut [T::Acc],
    sums: &'a mut [T::Acc],
    /// Samples below and above what the type holds.
    beyond: [u64; 2],
}

impl<T: Voxel> Piece<'_, T> {
    /// Resamples each source plane within itself, keeps the newest in a ring, and combines them per target plane.
    fn planes_last(&mut self, ring: &mut [T::Acc], target: &mut BlockMut<'_, T>, volume: usize) {
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
    fn planes_first(&mut self, plane: &mut [T::Acc], target: &mut BlockMut<'_, T>, volume: usize) {
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
                self.op.along_row(row, self.source.region.lo[2], &self.inside[2], passed);
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
                self.op.along_row(&sum[..sx], self.source.region.lo[2], &self.inside[2], &mut rest[..tx]);
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

impl<T: Voxel> Separable<T> {
    /// The pass along a row: target indices `inside` from source samples that start at index `source_lo`.
    fn along_row(&self, samples: &[T::Acc], source_lo: i64, inside: &Range<i64>, out: &mut [T::Acc]) {
        for (i, out) in inside.clone().zip(out) {
            let (first, weights) = self.axes.tables[2].at(i);
            let first = (first - source_lo) as usize;
            *out = match weights {
                [w] => samples[first] * *w,
                [w0, w1] => samples[first] * *w0 + samples[first + 1] * *w1,
                _ if self.axes.tables[2].has_gaps() => {
                    rows::dot_of_some(weights, &samples[first..first + weights.len()])
                }
                _ => rows::dot(weights, &samples[first..first + weights.len()]),
            };
        }
    }

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

/// Sets every voxel of `piece`, in all volumes, to `value`.
pub(super) fn fill<T: Voxel>(target: &mut BlockMut<'_, T>, piece: Region, value: T) {
    for volume in 0..target.volumes {
        for z in piece.lo[0]..piece.hi[0] {
            for y in piece.lo[1]..piece.hi[1] {
                target.row(volume, z, y, piece.lo[2]..piece.hi[2]).fill(value);
            }
        }
    }
}
