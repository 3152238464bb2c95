//! How a volume is cut into chunks and shards where the user does not say.

/// A shard is grown until it holds this much, or the whole volume.
const SHARD_BYTES: u64 = 128 << 20;
/// The same for volumes of more than a tebibyte in all, to keep the number of files in hand.
const LARGE_SHARD_BYTES: u64 = 512 << 20;

/// Voxels along each side of a chunk: what viewers fetch at a time, and small enough that one block of a target fits tight
/// budgets.
const CHUNK_EDGE: u64 = 64;

/// Shards are up to four times as long along rows, so that a raw source, which is read by rows, is read once per shard.
const ROW_FAVOUR: [u64; 3] = [1, 1, 4];

/// Inner chunk and shard, in voxels (z, y, x), for a volume of this shape in `outer_volumes` copies.
///
/// Chunks have 64 voxels along each axis, less where the volume is smaller. Shards double along their shortest axis, a row
/// counting for a quarter of its length, until a file holds 128 MiB to 1 GiB; a small volume is one
/// shard.
pub fn default_chunking(shape: [u64; 3], outer_volumes: u64, voxel_bytes: usize) -> ([u64; 3], Option<[u64; 3]>) {
    let chunk = shape.map(|extent| extent.clamp(1, CHUNK_EDGE));
    let counts: [u64; 3] = std::array::from_fn(|a| shape[a].max(1).div_ceil(chunk[a]));
    let bytes = |extent: [u64; 3]| extent.iter().fold(voxel_bytes as u64, |n, &e| n.saturating_mul(e));
    let total = bytes(shape).saturating_mul(outer_volumes.max(1));
    let wanted = if total > 1 << 40 { LARGE_SHARD_BYTES } else { SHARD_BYTES };
    let mut times = [1u64; 3];
    let extent = |times: [u64; 3]| std::array::from_fn(|a| times[a] * chunk[a]);
    while bytes(extent(times)) < wanted {
        let grows = (0..3).filter(|&a| times[a] < counts[a]).min_by_key(|&a| (times[a] * chunk[a] / ROW_FAVOUR[a], a));
        let Some(axis) = grows else { break };
        times[axis] = (times[axis] * 2).min(counts[axis]);
    }
    (chunk, Some(extent(times)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn big_volumes_get_files_of_100_mb_to_1_gb() {
        for (shape, voxel_bytes) in [
            ([1024, 1536, 1536], 2),
            ([20_000, 30_000, 30_000], 1),
            ([20_000, 30_000, 30_000], 8),
            ([30, 100_000, 100_000], 2),
            ([4096, 4096, 4096], 4),
        ] {
            let (chunk, shard) = default_chunking(shape, 1, voxel_bytes);
            let shard = shard.unwrap();
            let bytes = shard.iter().product::<u64>() * voxel_bytes as u64;
            assert!((100_000_000..1_100_000_000).contains(&bytes), "{shape:?}: {bytes}");
            assert!((0..3).all(|a| shard[a] % chunk[a] == 0 && chunk[a] <= 128 && chunk[a] <= shape[a]));
        }
    }

    #[test]
    fn small_volumes_are_one_shard_or_one_chunk() {
        assert_eq!(default_chunking([20, 23, 29], 100, 2), ([20, 23, 29], Some([20, 23, 29])));
        assert_eq!(default_chunking([1, 1, 1], 1, 8), ([1, 1, 1], Some([1, 1, 1])));
        let (chunk, shard) = default_chunking([120, 512, 512], 1, 2);
        assert_eq!((chunk, shard), ([64, 64, 64], Some([128, 512, 512])));
        assert_eq!(default_chunking([0, u64::MAX, 5], u64::MAX, 8).0, [1, 64, 5]);
    }
}
