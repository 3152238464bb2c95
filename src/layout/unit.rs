//! Units of streams: the pieces of a volume that are written, compressed or read by themselves.

/// At least this much of a volume, where the volume has it.
const MIN_BYTES: u64 = 1 << 20;

/// Extent of one write unit in voxels, storage order: the fewest whole rows of a plane, or whole planes where a plane
/// is smaller, that make 1 MiB.
///
/// A function of the shape and the bytes of one voxel (all components) alone, so that the bytes of a compressed target
/// do not depend on how the work was split.
pub fn write_unit(shape: [u64; 3], voxel_bytes: u64) -> [u64; 3] {
    let [nz, ny, nx] = shape;
    let row = nx.saturating_mul(voxel_bytes).max(1);
    let plane = row.saturating_mul(ny).max(1);
    if plane >= MIN_BYTES {
        [1, MIN_BYTES.div_ceil(row).min(ny).max(1), nx]
    } else {
        [MIN_BYTES.div_ceil(plane).min(nz).max(1), ny, nx]
    }
}

/// A run of whole rows, or of whole planes where they are small, of at most about `bytes`.
pub fn stream_unit(shape: [u64; 3], voxel_bytes: u64, bytes: u64) -> [u64; 3] {
    let [nz, ny, nx] = shape;
    let row = nx.saturating_mul(voxel_bytes).max(1);
    let plane = row.saturating_mul(ny);
    if plane > bytes { [1, (bytes / row).clamp(1, ny), nx] } else { [(bytes / plane.max(1)).clamp(1, nz), ny, nx] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_where_a_plane_is_large_else_planes() {
        assert_eq!(write_unit([120, 512, 512], 2), [2, 512, 512]);
        assert_eq!(write_unit([120, 1024, 512], 2), [1, 1024, 512]);
        assert_eq!(write_unit([9, 1025, 512], 2), [1, 1024, 512]);
        assert_eq!(write_unit([9, 3000, 3000], 4), [1, 88, 3000]);
        assert_eq!(write_unit([9, 7, 1 << 40], 1), [1, 1, 1 << 40]);
    }

    #[test]
    fn units_are_clipped_to_the_volume() {
        assert_eq!(write_unit([20, 23, 29], 2), [20, 23, 29]);
        assert_eq!(write_unit([1, 1, 1], 16), [1, 1, 1]);
        assert_eq!(write_unit([u64::MAX, u64::MAX, u64::MAX], 8), [1, 1, u64::MAX]);
    }

    #[test]
    fn units_are_runs_of_rows_or_planes() {
        assert_eq!(stream_unit([10, 512, 512], 2, 1 << 20), [2, 512, 512]);
        assert_eq!(stream_unit([10, 2048, 2045], 2, 1 << 20), [1, 256, 2045]);
        assert_eq!(stream_unit([1, 1, 9_000_000], 8, 1 << 20), [1, 1, 9_000_000]);
        assert_eq!(stream_unit([3, 2, 1], 1, 1 << 20), [3, 2, 1]);
    }
}
