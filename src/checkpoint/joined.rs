//! Many entries as few, which say the same.

use std::collections::BTreeMap;

use crate::{io::ledger::Entry, region::Region};

/// Level and volume.
type Whose = (u32, u64);

/// The same by fewer entries: regions that make a larger one are one, with the sum of their empty chunks, and inner chunks of
/// shards that are complete are left out.
///
/// Regions do not overlap: each was stored once. What has a stamp stays by itself: the stamp is of its own bytes.
pub fn joined(entries: Vec<Entry>) -> Vec<Entry> {
    let mut complete: BTreeMap<Whose, Vec<Region>> = BTreeMap::new();
    let mut regions: BTreeMap<Whose, Vec<(Region, u64)>> = BTreeMap::new();
    let mut others = Vec::new();
    for entry in entries {
        if let Entry::Region { level, volume, region, .. } = entry {
            complete.entry((level, volume)).or_default().push(region);
        }
        match entry {
            Entry::Region { level, volume, region, empty_chunks, stamp: None } => {
                regions.entry((level, volume)).or_default().push((region, empty_chunks));
            }
            other => others.push(other),
        }
    }
    for found in regions.values_mut() {
        // Rows first, as units are stored mostly in C order.
        (0..3).rev().for_each(|axis| join_along(axis, found));
    }
    others.retain(|entry| match entry {
        Entry::Chunk { level, volume, chunk, .. } => {
            let found = complete.get(&(*level, *volume));
            !found.is_some_and(|found| found.iter().any(|whole| whole.contains(&chunk.region)))
        }
        _ => true,
    });
    let regions = regions.into_iter().flat_map(|((level, volume), found)| {
        let entry = move |(region, empty_chunks)| Entry::Region { level, volume, region, empty_chunks, stamp: None };
        found.into_iter().map(entry)
    });
    others.extend(regions);
    others
}

/// Joins regions that have a face across `axis` in common.
fn join_along(axis: usize, regions: &mut Vec<(Region, u64)>) {
    let across = |region: &Region| {
        let others = [(axis + 1) % 3, (axis + 2) % 3];
        others.map(|a| (region.lo[a], region.hi[a]))
    };
    regions.sort_unstable_by_key(|(region, _)| (across(region), region.lo[axis]));
    regions.dedup_by(|(next, more), (region, empty_chunks)| {
        let follows = across(region) == across(next) && region.hi[axis] == next.lo[axis];
        if follows {
            region.hi[axis] = next.hi[axis];
            *empty_chunks = empty_chunks.saturating_add(*more);
        }
        follows
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{
        ledger::{Place, Restored, StoredChunk},
        stamp::Stamp,
    };

    fn region(lo: [i64; 3], hi: [i64; 3], volume: u64) -> Entry {
        Entry::Region { level: 0, volume, region: Region::new(lo, hi), empty_chunks: 1, stamp: None }
    }

    fn restored(entries: &[Entry]) -> (u64, u64) {
        let mut restored = Restored::default();
        entries.iter().for_each(|entry| restored.add("a", entry.clone()));
        (restored.voxels(0), restored.levels[&0].empty_chunks)
    }

    #[test]
    fn tiles_of_a_volume_become_one_region() {
        let tiles: Vec<Region> = Region::new([0; 3], [7, 9, 11]).tiles([2, 3, 4]).collect();
        // In an order of several workers.
        let order = (0..tiles.len()).map(|n| n * 7 % tiles.len());
        let mut entries: Vec<Entry> = order.map(|n| region(tiles[n].lo, tiles[n].hi, 3)).collect();
        let whole = joined(entries.clone());
        let sum = Entry::Region {
            level: 0,
            volume: 3,
            region: Region::new([0; 3], [7, 9, 11]),
            empty_chunks: 36,
            stamp: None,
        };
        assert_eq!(whole, [sum]);
        entries.pop();
        entries.push(region([0; 3], [1; 3], 4));
        let few = joined(entries.clone());
        assert!(few.len() < 6, "{few:?}");
        assert_eq!(restored(&few), restored(&entries));
    }

    #[test]
    fn only_chunks_of_complete_shards_are_left_out() {
        let chunk = |lo: [i64; 3], turn| Entry::Chunk {
            level: 0,
            volume: 0,
            shard: "0/c/0/0/0".into(),
            turn,
            chunk: StoredChunk { region: Region::new(lo, lo.map(|n| n + 4)), place: Place::Empty, crc32c: None },
        };
        let (inside, outside) = (chunk([0, 4, 4], 3), chunk([8, 0, 0], 0));
        let shard = region([0; 3], [8; 3], 0);
        assert_eq!(joined(vec![inside.clone(), outside.clone()]), [inside.clone(), outside.clone()]);
        assert_eq!(joined(vec![inside, outside.clone(), shard.clone()]), [outside, shard]);
    }

    #[test]
    fn what_has_a_stamp_stays_by_itself() {
        let stamped = |lo: i64| {
            let (region, stamp) = (Region::new([lo, 0, 0], [lo + 1, 4, 4]), Stamp { bytes: 16, crc32c: lo as u32 });
            Entry::Region { level: 0, volume: 0, region, empty_chunks: 0, stamp: Some(stamp) }
        };
        let entries = vec![stamped(0), stamped(1), stamped(2)];
        assert_eq!(joined(entries.clone()), entries);
    }
}
