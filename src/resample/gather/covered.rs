//! What a target voxel covers of the source on an oblique mapping, by sample points spread over it.
//!
//! On axis-aligned mappings overlaps are exact; here a voxel is looked at on a raster of points at most half a source voxel
//! apart, each of which stands for the source voxel that it falls into.

use super::look::Strip;
use crate::{
    block::BlockRef,
    geometry::{Affine, settle},
    region::Region,
    resample::{
        Area,
        cover::{Extreme, median, most_frequent},
        order::Order,
    },
    voxel::{Rounding, Voxel},
};

/// Points along each axis of a target voxel at most.
const MOST_POINTS: f64 = 32.0;

/// An offset, a vote, and what sorting them takes.
const SCRATCH_BYTES: u64 = 48;

/// Sample points of a target voxel.
#[derive(Clone, Debug)]
pub(super) struct AreaSamples {
    pub cover: Area,
    /// Source voxels from the centre of the target voxel to each point.
    offsets: Vec<[f64; 3]>,
    /// The farthest that any of them is from the centre along any source axis.
    pub reach: f64,
}

impl AreaSamples {
    /// The samples that a target voxel covers, for a mapping.
    pub(super) fn new(cover: Area, mapping: &Affine) -> AreaSamples {
        let counts = [0, 1, 2].map(|t| (2.0 * mapping.column_norm(t)).ceil().clamp(1.0, MOST_POINTS) as i64);
        let place = |n: i64, of: i64| (n as f64 + 0.5) / of as f64 - 0.5;
        let raster = Region::new([0; 3], counts);
        let offsets: Vec<[f64; 3]> = raster
            .tiles([1; 3])
            .map(|point| {
                let at: [f64; 3] = std::array::from_fn(|t| place(point.lo[t], counts[t]));
                mapping.m.map(|row| row[0] * at[0] + row[1] * at[1] + row[2] * at[2])
            })
            .collect();
        let reach = offsets.iter().flatten().fold(0.0, |reach: f64, x| reach.max(x.abs()));
        AreaSamples { cover, offsets, reach }
    }

    /// Memory of the table.
    pub(super) fn bytes(&self) -> u64 {
        (self.offsets.len() * size_of::<[f64; 3]>()) as u64
    }

    /// Bytes that the points of one voxel take while they are looked at.
    pub(super) fn scratch_bytes(&self) -> u64 {
        self.offsets.len() as u64 * SCRATCH_BYTES
    }

    /// Fills each voxel of the strip from the source voxels under its points; those beyond the border do not count.
    pub(super) fn strip<T: Voxel>(
        &self,
        samples: BlockRef<'_, T>,
        bounds: Region,
        strip: &Strip,
        (rounding, order): (Rounding, Order),
        out: &mut [T],
    ) {
        let mut under: Vec<usize> = Vec::with_capacity(self.offsets.len());
        for (n, voxel) in out.iter_mut().enumerate() {
            let c = strip.index(n);
            under.clear();
            under.extend(self.offsets.iter().filter_map(|offset| {
                let at: [i64; 3] = std::array::from_fn(|a| (settle(c[a] + offset[a]) + 0.5).floor() as i64);
                (0..3).all(|a| bounds.lo[a] <= at[a] && at[a] < bounds.hi[a]).then(|| place(samples.region, at))
            }));
            if under.is_empty() {
                // The centre is inside, or the source goes on without end.
                let nearest = |a: usize| ((settle(c[a]) + 0.5).floor() as i64).clamp(bounds.lo[a], bounds.hi[a] - 1);
                under.push(place(samples.region, std::array::from_fn(nearest)));
            }
            *voxel = self.summary(samples.voxels, &mut under, (rounding, order));
        }
    }

    fn summary<T: Voxel>(&self, voxels: &[T], under: &mut Vec<usize>, (rounding, order): (Rounding, Order)) -> T {
        if self.cover == Area::Mean {
            let sum: f64 = under.iter().map(|&at| voxels[at].to_f64()).sum();
            return T::from_f64(sum / under.len() as f64, rounding);
        }
        if self.cover == Area::Mode {
            let mut votes: Vec<(T, f64)> = under.iter().map(|&at| (voxels[at], 1.0)).collect();
            return most_frequent(&mut votes, order);
        }
        under.sort_unstable();
        under.dedup();
        let mut found: Vec<T> = under.iter().map(|&at| voxels[at]).collect();
        match self.cover {
            Area::Min => Extreme::Min.of(&found),
            Area::Max => Extreme::Max.of(&found),
            _ => median(&mut found, rounding),
        }
    }
}

fn place(region: Region, at: [i64; 3]) -> usize {
    let [_, ny, nx] = region.shape();
    let [z, y, x]: [usize; 3] = std::array::from_fn(|a| (at[a] - region.lo[a]) as usize);
    (z * ny + y) * nx + x
}
