//! Drops entries that later ones make redundant.

use std::collections::BTreeMap;

use crate::{checkpoint::ledger::Entry, region::Region};

/// The entries without inner chunks of shards that are complete.
pub(super) fn without_spent(mut entries: Vec<Entry>) -> Vec<Entry> {
    // By level and volume.
    let mut complete: BTreeMap<(u32, u64), Vec<Region>> = BTreeMap::new();
    for entry in &entries {
        if let Entry::Region { level, volume, region, .. } = entry {
            complete.entry((*level, *volume)).or_default().push(*region);
        }
    }
    entries.retain(|entry| match entry {
        Entry::Chunk { level, volume, chunk, .. } => {
            let found = complete.get(&(*level, *volume));
            !found.is_some_and(|found| found.iter().any(|whole| whole.contains(&chunk.region)))
        }
        _ => true,
    });
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{
        ledger::{ChunkLocation, StoredChunk},
        stamp::Stamp,
    };

    #[test]
    fn only_chunks_of_complete_shards_are_left_out() {
        let chunk = |lo: [i64; 3], turn| Entry::Chunk {
            level: 0,
            volume: 0,
            shard: "0/c/0/0/0".into(),
            turn,
            chunk: StoredChunk {
                region: Region::new(lo, lo.map(|n| n + 4)),
                place: ChunkLocation::Empty,
                crc32c: None,
            },
        };
        let shard = |volume| {
            let (region, stamp) = (Region::new([0; 3], [8; 3]), Some(Stamp { bytes: 16, crc32c: 7 }));
            Entry::Region { level: 0, volume, region, empty_chunks: 1, stamp }
        };
        let (inside, outside) = (chunk([0, 4, 4], 3), chunk([8, 0, 0], 0));
        for others in [vec![], vec![shard(1)]] {
            let entries = [vec![inside.clone(), outside.clone()], others].concat();
            assert_eq!(without_spent(entries.clone()), entries);
        }
        let left = without_spent(vec![inside, outside.clone(), shard(0), shard(1)]);
        assert_eq!(left, [outside, shard(0), shard(1)]);
    }
}
