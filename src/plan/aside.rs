//! Chunks that wait in files of their own until their shard can take them.

use crate::layout::Layout;

/// Shards that are begun, and those whose files only a record still needs, take so much at most, or one shard where that is larger.
const MOST_BYTES: u64 = 8 << 30;

/// What such files take, about and at most, before compression: nothing where blocks bring the chunks of each shard in their order.
pub(super) fn bytes(target: &Layout, block: [u64; 3], blocks_in_line: bool) -> u64 {
    let Some(shard) = target.shard else { return 0 };
    if blocks_in_line && in_line(block, target.chunk, shard) {
        return 0;
    }
    let shard_bytes = shard.iter().fold(target.voxel_bytes(), |n, &extent| n.saturating_mul(extent));
    let shape = target.grid.shape;
    let whole = (0..3).map(|a| shape[a].next_multiple_of(target.chunk[a].max(1)));
    let whole = whole.fold(target.voxel_bytes().saturating_mul(target.outer.volumes()), u64::saturating_mul);
    whole.min(shard_bytes.max(MOST_BYTES))
}

/// Whether blocks in C order bring the chunks of a shard in C order: along the axes behind the first that a block has several
/// chunks along, it has all of them.
fn in_line(block: [u64; 3], chunk: [u64; 3], shard: [u64; 3]) -> bool {
    let first = (0..3).find(|&a| block[a] > chunk[a]).unwrap_or(2);
    (first + 1..3).all(|a| block[a] >= shard[a])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_whole_rows_or_planes_of_a_shard_are_in_line() {
        let of = |block| in_line(block, [8; 3], [32, 64, 64]);
        for block in [[8, 8, 8], [8, 8, 64], [8, 8, 16], [8, 16, 64], [16, 64, 64], [64, 64, 128]] {
            assert!(of(block), "{block:?}");
        }
        for block in [[8, 16, 16], [16, 16, 64], [16, 64, 32], [16, 8, 8]] {
            assert!(!of(block), "{block:?}");
        }
    }
}
