//! One value for a whole region.

use crate::{block::BlockMut, region::Region, voxel::Voxel};

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
