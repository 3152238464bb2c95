//! The memory that assembling shards takes, for the plan.

use super::{Assembler, ShardGrid};

/// Shards that a schedule has open at once, at most.
const OPEN_SHARDS: u64 = 64;
/// An entry of an index.
const INDEX_BYTES: u64 = 16;
/// A chunk in the tree of those that came early, its bytes not among them.
const EARLY_ENTRY_BYTES: u64 = 64;
/// A shard besides both.
const SHARD_BYTES: u64 = 1024;
/// Notes of chunks that may wait for a record, and memory of one, with room for as many that are being written.
const MOST_NOTES: u64 = 8 << 10;
const NOTE_BYTES: u64 = 400;

impl Assembler {
    /// Memory held over the run: waiting chunks, the indexes of the shards of `volumes` that are open at once with what is known of
    /// chunks that came early, and notes of chunks that are not on record yet.
    pub(crate) fn resident_bytes(grid: &ShardGrid, volumes: u64, early_limit: u64) -> u64 {
        let product = |counts: [u64; 3]| counts.iter().fold(1u64, |n, &count| n.saturating_mul(count));
        let (slots, counts) = (product(grid.per_shard), grid.counts());
        let chunks = product(std::array::from_fn(|a| grid.per_shard[a].min(counts[a])));
        let shards = product(std::array::from_fn(|a| counts[a].div_ceil(grid.per_shard[a]))).saturating_mul(volumes);
        let shard = slots.saturating_mul(INDEX_BYTES).saturating_add(chunks.saturating_mul(EARLY_ENTRY_BYTES));
        let open = shard.saturating_add(SHARD_BYTES).saturating_mul(shards.min(OPEN_SHARDS));
        // While one shard is completed, its index stands in memory once more.
        let notes = chunks.saturating_mul(shards).min(MOST_NOTES).saturating_mul(NOTE_BYTES);
        [open, slots.saturating_mul(INDEX_BYTES), notes].into_iter().fold(early_limit, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_grid_has_few_shards_open_and_a_large_shard_has_much_to_note() {
        let of = |shape: [u64; 3], per_shard: [u64; 3], volumes: u64| {
            Assembler::resident_bytes(&ShardGrid { level: 0, shape, chunk: [5; 3], per_shard }, volumes, 0)
        };
        // One chunk in a shard of many: one index in memory, one to be written.
        assert_eq!(of([5; 3], [10; 3], 1), 2 * 16_000 + 64 + 1024 + 400);
        assert_eq!(of([5; 3], [10; 3], 3), 16_000 + 3 * (16_000 + 64 + 1024 + 400));
        assert_eq!(of([500; 3], [10; 3], 1), 16_000 + 64 * (16_000 + 64_000 + 1024) + 8192 * 400);
        assert_eq!(of([u64::MAX; 3], [1 << 40; 3], u64::MAX), u64::MAX);
    }
}
