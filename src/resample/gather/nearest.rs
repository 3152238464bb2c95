//! The voxel next to each point, its bits copied.

use multiversion::multiversion;

use super::look::{STRIP, Strip};
use crate::{block::BlockRef, geometry::settle, region::Region, voxel::Voxel};

/// Takes voxel `floor(c + 0.5)` for each point of the strip.
#[multiversion(targets("x86_64+avx2"))]
pub fn strip<T: Voxel>(voxels: BlockRef<'_, T>, bounds: Region, strip: &Strip, out: &mut [T]) {
    let region = voxels.region;
    let [_, ny, nx] = region.shape().map(|extent| extent as f64);
    let mut offsets = [0.0; STRIP];
    for (a, stride) in [ny * nx, nx, 1.0].into_iter().enumerate() {
        let (lo, last, origin) = (bounds.lo[a] as f64, (bounds.hi[a] - 1) as f64, region.lo[a] as f64);
        for (offset, &c) in offsets.iter_mut().zip(&strip.at[a]).take(out.len()) {
            let nearest = (settle(c) + 0.5).floor();
            let nearest = if nearest > lo { nearest } else { lo };
            let nearest = if nearest < last { nearest } else { last };
            *offset += (nearest - origin) * stride;
        }
    }
    for (voxel, offset) in out.iter_mut().zip(offsets) {
        *voxel = voxels.voxels[offset as i64 as usize];
    }
}
