//! The taps along all three axes of an axis-aligned mapping, and how target voxels stand along source axes.

use std::ops::Range;

use super::{TapTable, looks::Looks};
use crate::{geometry::AxisMap, region::Region, voxel::Real};

/// One tap table per source axis, permutation and flips included: what ops over products of taps share.
#[derive(Clone, Debug)]
pub(super) struct Axes<A> {
    pub target_shape: [u64; 3],
    /// Target axis of each source axis.
    pub target_axis: [usize; 3],
    /// Per source axis: the taps of its target axis.
    pub tables: [TapTable<A>; 3],
}

impl<A: Real> Axes<A> {
    /// `tables[a]` belongs to target axis `a` of `maps`.
    pub(super) fn new(target_shape: [u64; 3], maps: &[AxisMap; 3], tables: [TapTable<A>; 3]) -> Axes<A> {
        let [a, b, c] = tables;
        let mut along = [(0, a), (1, b), (2, c)];
        along.sort_by_key(|&(t, _)| maps[t].source_axis);
        Axes { target_shape, target_axis: std::array::from_fn(|s| along[s].0), tables: along.map(|(_, table)| table) }
    }

    /// The part of `piece` that looks inside the source, per source axis, in target indices.
    pub(super) fn inside(&self, piece: Region) -> [Range<i64>; 3] {
        std::array::from_fn(|s| {
            let (t, inside) = (self.target_axis[s], self.tables[s].inside());
            piece.lo[t].max(inside.start)..piece.hi[t].min(inside.end)
        })
    }

    /// Hull of the taps of every voxel in `target`.
    pub(super) fn source_region(&self, target: Region) -> Region {
        let ranges: [Range<i64>; 3] = std::array::from_fn(|s| {
            let t = self.target_axis[s];
            self.tables[s].source(target.lo[t]..target.hi[t])
        });
        let region =
            Region { lo: std::array::from_fn(|s| ranges[s].start), hi: std::array::from_fn(|s| ranges[s].end) };
        if region.is_empty() { Region::EMPTY } else { region }
    }

    /// The source axis of a target axis, where there is one.
    pub(super) fn source_axis(&self, target_axis: usize) -> Option<usize> {
        self.target_axis.iter().position(|&t| t == target_axis)
    }

    /// Memory of the three tables.
    pub(super) fn table_bytes(&self) -> u64 {
        self.tables.iter().map(TapTable::bytes).sum()
    }

    /// The target index of the voxel at `at`, target indices along the source axes.
    pub(super) fn target_index(&self, at: [i64; 3]) -> [i64; 3] {
        let mut index = [0; 3];
        (0..3).for_each(|s| index[self.target_axis[s]] = at[s]);
        index
    }

    /// Voxels of `block`, a target region, from one to the next along source axis 2.
    pub(super) fn stride(&self, block: Region) -> usize {
        let [_, ny, nx] = block.shape();
        [ny * nx, nx, 1][self.target_axis[2]]
    }
}

impl<A: Real> Looks for Axes<A> {
    fn target_axis(&self, s: usize) -> usize {
        self.target_axis[s]
    }

    fn inside(&self, s: usize) -> Range<i64> {
        self.tables[s].inside()
    }

    fn taps(&self, s: usize, i: i64) -> Range<i64> {
        self.tables[s].hull_at(i)
    }
}
