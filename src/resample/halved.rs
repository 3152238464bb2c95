//! Axes halved: which source voxels a target voxel spans. What [`super::Mean`] and [`super::Mode`] share.

use super::Footprint;
use crate::{block::BlockRef, region::Region, voxel::Voxel};

/// A grid whose voxels span 1 or 2 source voxels along each axis; at the far border those that exist.
#[derive(Clone, Copy, Debug)]
pub struct Halved {
    source_shape: [u64; 3],
    factors: [u64; 3],
}

impl Halved {
    /// `factors` are 1 or 2.
    pub fn new(source_shape: [u64; 3], factors: [u64; 3]) -> Halved {
        Halved { source_shape, factors: factors.map(|factor| factor.clamp(1, 2)) }
    }

    /// Source voxels along x of one target voxel that lies inside.
    pub fn factor_along_rows(&self) -> usize {
        self.factors[2] as usize
    }

    /// The source rows that target row `y` of plane `z` spans, as far as they exist; `source` holds no others.
    pub fn rows<'a, T: Voxel>(&self, source: &BlockRef<'a, T>, z: i64, y: i64) -> [Option<&'a [T]>; 4] {
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
        (target.shape()[2] as u64 * self.factors[2]).saturating_mul(size_of::<f64>() as u64)
    }

    fn table_bytes(&self) -> u64 {
        0
    }
}
