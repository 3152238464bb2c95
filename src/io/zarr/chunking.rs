//! How a volume is cut into chunks and shards where the user does not say.

/// A shard is grown until it holds this much, or the whole volume.
const SHARD_BYTES: u64 = 128 << 20;
/// The same for volumes of more than [`LARGE_BYTES`].
const LARGE_SHARD_BYTES: u64 = 512 << 20;
/// No shard is grown beyond this, however many files that makes: a shard is written by one run, and read again as a whole
/// by whoever copies it.
const LARGEST_SHARD_BYTES: u64 = 16 << 30;

/// From here on a volume is large: chunks have twice the side, shards four times the bytes.
const LARGE_BYTES: u64 = 1 << 40;

/// More files than this in one array are avoided, and warned about.
pub const MANY_FILES: u64 = 100_000;

/// Voxels along each side of a chunk: what viewers fetch at a time, and small enough that one block of a target fits tight
/// budgets. Large volumes have an eighth of the chunks, and of the entries in each shard's index, by twice the side.
const CHUNK_EDGE: u64 = 64;
const LARGE_CHUNK_EDGE: u64 = 128;

/// Sides of chunks that are files of their own, and what such a chunk may hold.
const FILE_EDGES: [u64; 4] = [64, 128, 192, 256];
const LARGEST_FILE_BYTES: u64 = 64 << 20;
/// Up to this many files the smallest of those sides is taken; beyond it, the first that keeps to [`MANY_FILES`].
const FEW_FILES: u64 = 10_000;

/// Shards are up to four times as long along rows, so that a raw source, which is read by rows, is read once per shard.
const ROW_FAVOUR: [u64; 3] = [1, 1, 4];

/// Inner chunk and shard, in voxels (z, y, x), for a volume of this shape in `outer_volumes` copies.
///
/// Chunks have 64 voxels along each axis (128 in volumes of more than 1 TiB), less where the volume is smaller. Shards
/// double along their shortest axis, a row counting for a quarter of its length, until a file holds 128 MiB (512 MiB), and
/// on while there are more than 10^5 files, up to 16 GiB; a small volume is one shard.
pub fn default_chunking(shape: [u64; 3], outer_volumes: u64, voxel_bytes: usize) -> ([u64; 3], Option<[u64; 3]>) {
    let total = bytes(shape, voxel_bytes).saturating_mul(outer_volumes.max(1));
    let (edge, wanted) =
        if total > LARGE_BYTES { (LARGE_CHUNK_EDGE, LARGE_SHARD_BYTES) } else { (CHUNK_EDGE, SHARD_BYTES) };
    let chunk = shape.map(|extent| extent.clamp(1, edge));
    let counts: [u64; 3] = std::array::from_fn(|a| shape[a].max(1).div_ceil(chunk[a]));
    let mut times = [1u64; 3];
    let extent = |times: [u64; 3]| std::array::from_fn(|a| times[a] * chunk[a]);
    loop {
        let held = bytes(extent(times), voxel_bytes);
        let many = || file_count(shape, outer_volumes, extent(times)) > MANY_FILES;
        if held >= wanted && (held > LARGEST_SHARD_BYTES / 2 || !many()) {
            break;
        }
        let grows = (0..3).filter(|&a| times[a] < counts[a]).min_by_key(|&a| (times[a] * chunk[a] / ROW_FAVOUR[a], a));
        let Some(axis) = grows else { break };
        times[axis] = (times[axis] * 2).min(counts[axis]);
    }
    (chunk, Some(extent(times)))
}

/// Chunk in voxels (z, y, x) where each one is a file: 64 to 256 along each axis, so that there are no more than 10^5
/// files, but never more than 64 MiB in one.
pub fn default_file_chunk(shape: [u64; 3], outer_volumes: u64, voxel_bytes: usize) -> [u64; 3] {
    let clipped = |edge: u64| shape.map(|extent| extent.clamp(1, edge));
    let mut held = FILE_EDGES.iter().filter(|&&edge| bytes(clipped(edge), voxel_bytes) <= LARGEST_FILE_BYTES);
    let files = |edge: u64| file_count(shape, outer_volumes, clipped(edge));
    let fits = |&&edge: &&u64| files(edge) <= if edge == FILE_EDGES[0] { FEW_FILES } else { MANY_FILES };
    let edge = held.clone().find(fits).or(held.next_back()).unwrap_or(&FILE_EDGES[0]);
    clipped(*edge)
}

/// Inner chunk for a shard that the user asks for, in a volume whose default chunk is `default_chunk`: an even part of the
/// shard of about the usual side, or the shard itself where that is small.
pub fn chunk_of_shard(shard: [u64; 3], default_chunk: [u64; 3]) -> [u64; 3] {
    let edge = if default_chunk.iter().any(|&extent| extent > CHUNK_EDGE) { LARGE_CHUNK_EDGE } else { CHUNK_EDGE };
    shard.map(|extent| match extent {
        0 => edge,
        _ if extent <= edge => extent,
        _ => (edge / 2..=edge).rev().find(|part| extent.is_multiple_of(*part)).unwrap_or(edge),
    })
}

/// Files of an array of this shape, where each holds `object` voxels; saturating.
pub fn file_count(shape: [u64; 3], outer_volumes: u64, object: [u64; 3]) -> u64 {
    (0..3).fold(outer_volumes.max(1), |n, a| n.saturating_mul(shape[a].max(1).div_ceil(object[a].max(1))))
}

fn bytes(extent: [u64; 3], voxel_bytes: usize) -> u64 {
    extent.iter().fold(voxel_bytes as u64, |n, &e| n.saturating_mul(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of one shard, number of files, entries of an index.
    fn measures(shape: [u64; 3], voxel_bytes: usize) -> (u64, u64, u64) {
        let (chunk, shard) = default_chunking(shape, 1, voxel_bytes);
        let shard = shard.unwrap();
        assert!((0..3).all(|a| shard[a] % chunk[a] == 0 && chunk[a] <= 128 && chunk[a] <= shape[a]));
        let entries = (0..3).map(|a| shard[a] / chunk[a]).product();
        (bytes(shard, voxel_bytes), file_count(shape, 1, shard), entries)
    }

    #[test]
    fn big_volumes_get_files_of_100_mb_to_1_gb() {
        for (shape, voxel_bytes) in [
            ([1024, 1536, 1536], 2),
            ([20_000, 30_000, 30_000], 1),
            ([30, 100_000, 100_000], 2),
            ([4096, 4096, 4096], 4),
            // 1 TB and 36 TB.
            ([5_000, 10_000, 10_000], 2),
            ([20_000, 30_000, 30_000], 2),
        ] {
            let (bytes, files, entries) = measures(shape, voxel_bytes);
            assert!((100_000_000..1_100_000_000).contains(&bytes), "{shape:?}: {bytes}");
            assert!(files <= MANY_FILES && entries <= 4096, "{shape:?}: {files} files, {entries} entries");
        }
    }

    #[test]
    fn a_terabyte_is_some_thousand_files_and_a_petabyte_a_hundred_thousand() {
        let (bytes, files, _) = measures([5_000, 10_000, 10_000], 2);
        assert!(bytes <= 256 << 20 && (1_000..10_000).contains(&files), "{bytes} {files}");
        for voxel_bytes in [1, 2, 4, 8] {
            // 1 PB: 10^15 bytes.
            let shape = [80_000, 100_000, 125_000 / voxel_bytes as u64];
            let (bytes, files, entries) = measures(shape, voxel_bytes);
            assert!((4 << 30..=16 << 30).contains(&bytes), "{voxel_bytes}: {bytes}");
            assert!((10_000..=MANY_FILES).contains(&files), "{voxel_bytes}: {files}");
            // The indexes of 64 open shards.
            assert!(entries * 16 * 64 <= 8 << 20, "{voxel_bytes}: {entries}");
        }
        // Beyond, shards stay and files grow.
        let (bytes, files, _) = measures([1_000_000, 1_000_000, 1_000_000], 1);
        assert!(bytes <= 16 << 30 && files > MANY_FILES, "{bytes} {files}");
    }

    #[test]
    fn small_volumes_are_one_shard_or_one_chunk() {
        assert_eq!(default_chunking([20, 23, 29], 100, 2), ([20, 23, 29], Some([20, 23, 29])));
        assert_eq!(default_chunking([1, 1, 1], 1, 8), ([1, 1, 1], Some([1, 1, 1])));
        let (chunk, shard) = default_chunking([120, 512, 512], 1, 2);
        assert_eq!((chunk, shard), ([64, 64, 64], Some([128, 512, 512])));
        assert_eq!(default_chunking([0, u64::MAX, 5], u64::MAX, 8).0, [1, 64, 5]);
        assert_eq!(default_chunking([20, 23, 29], u64::MAX, 2).1, Some([20, 23, 29]));
    }

    #[test]
    fn a_shard_is_divided_evenly_where_it_can_be() {
        assert_eq!(chunk_of_shard([512, 96, 20], [20, 64, 64]), [64, 48, 20]);
        assert_eq!(chunk_of_shard([512, 100, 101], [1, 128, 128]), [128, 100, 101]);
        // 101 is prime: the refusal says that it is no multiple of 64.
        assert_eq!(chunk_of_shard([101, 0, u64::MAX - 1], [64; 3]), [64, 64, 49]);
    }

    #[test]
    fn chunks_of_their_own_grow_with_the_number_of_files() {
        assert_eq!(default_file_chunk([20, 23, 29], 1, 2), [20, 23, 29]);
        assert_eq!(default_file_chunk([1024, 1536, 1536], 1, 2), [64; 3]);
        assert_eq!(default_file_chunk([2048, 2048, 2048], 1, 2), [128; 3]);
        assert_eq!(default_file_chunk([8000, 8000, 8000], 1, 2), [192; 3]);
        assert_eq!(default_file_chunk([10_000, 10_000, 10_000], 1, 2), [256; 3]);
        // As far as it goes: 128 MiB a file would be too much to hold.
        assert_eq!(default_file_chunk([10_000, 10_000, 10_000], 1, 8), [192; 3]);
        assert_eq!(default_file_chunk([0, u64::MAX, 5], u64::MAX, 8), [1, 256, 5]);
    }
}
