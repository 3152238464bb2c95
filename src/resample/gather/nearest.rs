//! The voxel next to each point, its bits copied.

use multiversion::multiversion;

use super::look::Strip;
use crate::{block::BlockRef, geometry::settle, region::Region, voxel::Voxel};

/// Takes voxel `floor(c + 0.5)` for each point of the strip.
#[multiversion(targets("x86_64+avx2"))]
pub fn strip<S: Voxel, T: Voxel, F: Fn(S) -> T>(
    samples: BlockRef<'_, S>,
    bounds: Region,
    strip: &Strip,
    convert: F,
    out: &mut [T],
) {
    let region = samples.region;
    let [_, ny, nx] = region.shape();
    for (n, voxel) in out.iter_mut().enumerate() {
        let c = strip.index(n);
        let [z, y, x]: [usize; 3] = std::array::from_fn(|a| {
            let i = ((settle(c[a]) + 0.5).floor() as i64).clamp(bounds.lo[a], bounds.hi[a] - 1);
            (i - region.lo[a]) as usize
        });
        *voxel = convert(samples.voxels[(z * ny + y) * nx + x]);
    }
}
