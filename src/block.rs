//! A region and the voxels in it, borrowed.
//!
//! Voxels stand in C order (slowest axis first). Several `volumes` of the same region may be stacked: the components of
//! an RGB voxel, or the volumes that share one storage chunk.

use crate::{region::Region, voxel::Voxel};

/// Read-only voxels of `volumes` stacked copies of `region`.
#[derive(Clone, Copy, Debug)]
pub struct BlockRef<'a, T> {
    pub region: Region,
    pub volumes: usize,
    pub voxels: &'a [T],
}

/// Writable voxels of `volumes` stacked copies of `region`.
#[derive(Debug)]
pub struct BlockMut<'a, T> {
    pub region: Region,
    pub volumes: usize,
    pub voxels: &'a mut [T],
}

impl<'a, T: Voxel> BlockRef<'a, T> {
    /// Panics when `voxels` does not hold exactly `volumes` times the region: that is a bug of the caller.
    pub fn new(region: Region, volumes: usize, voxels: &'a [T]) -> Self {
        assert_eq!(voxels.len() as u64, region.voxels() * volumes as u64, "block {region} x {volumes}");
        BlockRef { region, volumes, voxels }
    }

    /// One of the stacked volumes.
    pub fn volume(&self, n: usize) -> BlockRef<'a, T> {
        let len = self.voxels.len() / self.volumes;
        BlockRef { region: self.region, volumes: 1, voxels: &self.voxels[n * len..(n + 1) * len] }
    }

    /// The run of voxels of volume `n` from `x.start` to `x.end` in row `y` of plane `z` (all global indices).
    pub fn row(&self, n: usize, z: i64, y: i64, x: std::ops::Range<i64>) -> &'a [T] {
        let start = offset(self.region, n, [z, y, x.start]);
        &self.voxels[start..start + (x.end - x.start) as usize]
    }
}

impl<'a, T: Voxel> BlockMut<'a, T> {
    /// Panics when `voxels` does not hold exactly `volumes` times the region: that is a bug of the caller.
    pub fn new(region: Region, volumes: usize, voxels: &'a mut [T]) -> Self {
        assert_eq!(voxels.len() as u64, region.voxels() * volumes as u64, "block {region} x {volumes}");
        BlockMut { region, volumes, voxels }
    }

    /// The run of voxels of volume `n` from `x.start` to `x.end` in row `y` of plane `z` (all global indices).
    pub fn row(&mut self, n: usize, z: i64, y: i64, x: std::ops::Range<i64>) -> &mut [T] {
        let start = offset(self.region, n, [z, y, x.start]);
        &mut self.voxels[start..start + (x.end - x.start) as usize]
    }

    /// Offset of global index `at` of volume `n` in `voxels`.
    pub fn offset(&self, n: usize, at: [i64; 3]) -> usize {
        offset(self.region, n, at)
    }

    /// The same region and voxels, to read.
    pub fn as_ref(&self) -> BlockRef<'_, T> {
        BlockRef { region: self.region, volumes: self.volumes, voxels: self.voxels }
    }

    /// Copies what `from` has of this region, volume by volume (`from_volume` first in `from`, `self` from 0).
    pub fn copy_from(&mut self, from: BlockRef<'_, T>, from_volume: usize) {
        let both = self.region.intersect(&from.region);
        if both.is_empty() {
            return;
        }
        let x = both.lo[2]..both.hi[2];
        for n in 0..self.volumes {
            for z in both.lo[0]..both.hi[0] {
                for y in both.lo[1]..both.hi[1] {
                    self.row(n, z, y, x.clone()).copy_from_slice(from.row(from_volume + n, z, y, x.clone()));
                }
            }
        }
    }
}

/// Offset of global index `at` of volume `n` in the voxels of `region`.
fn offset(region: Region, n: usize, at: [i64; 3]) -> usize {
    let [nz, ny, nx] = region.shape();
    let [z, y, x]: [usize; 3] = std::array::from_fn(|a| (at[a] - region.lo[a]) as usize);
    ((n * nz + z) * ny + y) * nx + x
}
