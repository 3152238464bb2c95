//! Nearest neighbour: bits are copied, in any type.

use std::ops::Range;

use super::{
    BlockOp, Footprint, Outside, Workspace,
    carry::{Carry, Carrying, Extents},
    fill::fill,
    looks::Looks,
    taps::{TapTable, inside_range},
};
use crate::{
    block::{BlockMut, BlockRef},
    geometry::{AxisMap, settle},
    region::Region,
    voxel::{Real, Voxel},
};

mod passed;

use passed::{Passed, passed_bytes};

/// Takes voxel `floor(c + 0.5)` over an axis-aligned mapping, permutation and flips included.
#[derive(Clone, Debug)]
pub struct Nearest<T> {
    target_shape: [u64; 3],
    maps: [AxisMap; 3],
    bounds: Region,
    /// Per target axis: the indices that look inside the source.
    inside: [Range<i64>; 3],
    outside: T,
    /// Memory of the tables that showed that every voxel is copied.
    shown_bytes: u64,
}

impl<T: Voxel> Nearest<T> {
    /// `bounds` are the source voxels that exist.
    pub fn new(target_shape: [u64; 3], maps: [AxisMap; 3], bounds: Region, outside: Outside) -> Nearest<T> {
        let inside = std::array::from_fn(|t| {
            let s = maps[t].source_axis;
            inside_range(&maps[t], target_shape[t], &(bounds.lo[s]..bounds.hi[s]), outside == Outside::Edge)
        });
        Nearest { target_shape, maps, bounds, inside, outside: outside.voxel(), shown_bytes: 0 }
    }

    /// The same op in place of `tables`, whose memory it counts: they were held while the plan was made.
    pub(super) fn instead_of<A: Real>(self, tables: &[TapTable<A>; 3]) -> Nearest<T> {
        Nearest { shown_bytes: tables.iter().map(TapTable::bytes).sum(), ..self }
    }

    /// The source index that target index `i` along target axis `t` looks at.
    fn source_index(&self, t: usize, i: i64) -> i64 {
        let s = self.maps[t].source_axis;
        let c = settle(self.maps[t].at(i));
        // The cast saturates; the clamp only matters for `Outside::Edge`.
        ((c + 0.5).floor() as i64).clamp(self.bounds.lo[s], self.bounds.hi[s] - 1)
    }

    fn inside(&self, piece: Region) -> Region {
        let inside = Region { lo: self.inside.clone().map(|r| r.start), hi: self.inside.clone().map(|r| r.end) };
        piece.intersect(&inside)
    }
}

impl<T: Voxel> Footprint for Nearest<T> {
    fn target_shape(&self) -> [u64; 3] {
        self.target_shape
    }

    fn source_region(&self, target: Region) -> Region {
        let inside = self.inside(target);
        if inside.is_empty() {
            return Region::EMPTY;
        }
        let mut region = Region::EMPTY;
        for (t, map) in self.maps.iter().enumerate() {
            let ends = [self.source_index(t, inside.lo[t]), self.source_index(t, inside.hi[t] - 1)];
            region.lo[map.source_axis] = ends[0].min(ends[1]);
            region.hi[map.source_axis] = ends[0].max(ends[1]) + 1;
        }
        region
    }

    fn source_axis(&self, target_axis: usize) -> Option<usize> {
        Some(self.maps[target_axis].source_axis)
    }

    fn scratch_bytes(&self, target: Region) -> u64 {
        target.shape().iter().sum::<usize>() as u64 * 8
    }

    fn table_bytes(&self) -> u64 {
        self.shown_bytes
    }

    fn carrying(&self) -> Option<&dyn Carrying> {
        Some(self)
    }
}

impl<T: Voxel> Looks for Nearest<T> {
    fn target_axis(&self, s: usize) -> usize {
        self.maps.iter().position(|map| map.source_axis == s).unwrap_or(s)
    }

    fn inside(&self, s: usize) -> Range<i64> {
        self.inside[self.target_axis(s)].clone()
    }

    fn taps(&self, s: usize, i: i64) -> Range<i64> {
        let at = self.source_index(self.target_axis(s), i);
        at..at + 1
    }
}

impl<T: Voxel> Carrying for Nearest<T> {
    fn carried_bytes(&self, extents: &Extents) -> u64 {
        passed_bytes(extents)
    }
}

impl<T: Voxel> BlockOp<T> for Nearest<T> {
    fn apply(&self, source: BlockRef<'_, T>, target: &mut BlockMut<'_, T>, piece: Region, _: &mut Workspace<T::Acc>) {
        let inside = self.inside(piece);
        if inside.voxels() < piece.voxels() {
            fill(target, piece, self.outside);
        }
        if inside.is_empty() {
            return;
        }
        let shape = source.region.shape();
        let strides = [shape[1] * shape[2], shape[2], 1];
        let offsets: [Vec<usize>; 3] = std::array::from_fn(|t| {
            let s = self.maps[t].source_axis;
            let offset = |i| (self.source_index(t, i) - source.region.lo[s]) as usize * strides[s];
            (inside.lo[t]..inside.hi[t]).map(offset).collect()
        });
        let [z_offsets, y_offsets, x_offsets] = &offsets;
        let contiguous = x_offsets.windows(2).all(|pair| pair[1] == pair[0] + 1);
        for volume in 0..target.volumes {
            let voxels = source.volume(volume).voxels;
            for (z, z_offset) in (inside.lo[0]..).zip(z_offsets) {
                for (y, y_offset) in (inside.lo[1]..).zip(y_offsets) {
                    let row = target.row(volume, z, y, inside.lo[2]..inside.hi[2]);
                    let from = &voxels[z_offset + y_offset..];
                    if contiguous {
                        row.copy_from_slice(&from[x_offsets[0]..x_offsets[0] + row.len()]);
                    } else {
                        row.iter_mut().zip(x_offsets).for_each(|(voxel, &x)| *voxel = from[x]);
                    }
                }
            }
        }
    }

    fn carry<'a>(&'a self, target: Region, chunk: [u64; 3]) -> Option<Box<dyn Carry<T> + 'a>> {
        Some(Box::new(Passed::new(self, self.source_region(target), target, chunk, self.outside)))
    }
}
