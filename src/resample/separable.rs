//! Separable interpolation: one pass per axis over tap tables, plane by plane.
//!
//! Planes stand across source axis 0. Where axis 0 is up-sampled, each source plane is resampled within itself first
//! and planes are combined last, from a ring; where it is down-sampled, planes are combined first. Within a plane the
//! same choice is made for rows. It depends on the mapping alone, so the order of rounding errors does not depend
//! on blocks.

use std::ops::Range;

mod piece;

use piece::Piece;

use super::{
    BlockOp, Footprint, Outside, TapTable, Workspace,
    axes::Axes,
    carry::{Carry, Carrying, Extents as Carried, Folded, Sums, folded_bytes, lanes},
    fill::fill,
    looks::Looks,
};
use crate::{
    block::{BlockMut, BlockRef},
    geometry::AxisMap,
    region::Region,
    voxel::{Rounding, Voxel},
};

/// Products of a weight that take as long as copying a voxel, about.
const PRODUCTS_PER_COPY: f64 = 4.0;
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
    /// [`Footprint::fetch_cost`]
    fetch_cost: f64,
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
        let axes = Axes::new(target_shape, maps, tables);
        let scale = |s: usize| maps[axes.target_axis[s]].scale;
        let mut op = Separable {
            planes_last: scale(0).abs() <= 1.0,
            rows_last: scale(1).abs() <= 1.0,
            reversed: scale(0) < 0.0,
            longest_ring: 0,
            fetch_cost: 1.0,
            axes,
            outside: outside.voxel(),
            rounding,
            overshoots: false,
        };
        let [planes, rows, along] = op.axes.tables.each_ref().map(TapTable::products);
        // The passes that each source voxel takes part in by itself.
        let products = if op.planes_last { rows + along } else { planes };
        op.fetch_cost = 1.0 + products / PRODUCTS_PER_COPY;
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

    fn fetch_cost(&self) -> f64 {
        self.fetch_cost
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
        scratch: &mut Workspace<T::Acc>,
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
        let sums = Sums::new(&self.axes.tables[2], self.rounding, self.overshoots);
        let carry = || Folded::<T, Sums>::new(sums, &self.axes, target, chunk, self.outside);
        self.sums_in_storage_order().then(|| -> Box<dyn Carry<T> + 'a> { Box::new(carry()) })
    }
}
