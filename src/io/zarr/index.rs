//! Indexes of shards: read, checked, and a few of them kept.
//!
//! Sharding codec 1.0, "Binary shard format": per inner chunk in C order the offset and length as u64, both 2^64-1 where
//! it is absent, at the start or the end of the shard.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use super::meta::{ArrayMeta, ShardIndexMeta};

/// Indexes kept at most.
const CACHED: u64 = 8;
/// Bytes of indexes kept at most, as long as that is one.
const CACHED_BYTES: u64 = 4 << 20;
const ABSENT: u64 = u64::MAX;

/// Memory that indexes take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexMemory {
    /// Held for the whole run.
    pub cache_bytes: u64,
    /// While one is being read.
    pub load_bytes: u64,
}

/// What the indexes of an array take; nothing without shards.
pub(crate) fn memory(meta: &ArrayMeta) -> IndexMemory {
    let Some(shard) = meta.shard else { return IndexMemory { cache_bytes: 0, load_bytes: 0 } };
    let bytes = stored_bytes(meta, shard);
    IndexMemory { cache_bytes: bytes.saturating_mul(cached(bytes)), load_bytes: bytes.saturating_mul(2) }
}

fn cached(bytes: u64) -> u64 {
    (CACHED_BYTES / bytes.max(1)).clamp(1, CACHED)
}

/// Stored bytes of one index, checksum included.
pub(crate) fn stored_bytes(meta: &ArrayMeta, shard: ShardIndexMeta) -> u64 {
    let entries = meta.chunks_per_object().iter().fold(1u64, |n, &count| n.saturating_mul(count));
    entries.saturating_mul(16).saturating_add(if shard.crc32c { 4 } else { 0 })
}

/// Where the inner chunks of one shard stand.
#[derive(Debug, PartialEq)]
pub(crate) struct ShardIndex {
    entries: Vec<(u64, u64)>,
    file_bytes: u64,
}

impl ShardIndex {
    /// Parses the stored index of a shard of `file_bytes`.
    ///
    /// # Errors
    ///
    /// A message where the checksum does not fit.
    pub(crate) fn parse(stored: &[u8], shard: ShardIndexMeta, file_bytes: u64) -> Result<ShardIndex, String> {
        let body = if shard.crc32c { checked(stored)? } else { stored };
        let number = |bytes: &[u8]| {
            let mut eight = [0; 8];
            eight.copy_from_slice(bytes);
            if shard.big_endian { u64::from_be_bytes(eight) } else { u64::from_le_bytes(eight) }
        };
        let entries = body.chunks_exact(16).map(|entry| (number(&entry[..8]), number(&entry[8..]))).collect();
        Ok(ShardIndex { entries, file_bytes })
    }

    /// A shard that is not there: every chunk is absent.
    pub(crate) fn absent() -> ShardIndex {
        ShardIndex { entries: Vec::new(), file_bytes: 0 }
    }

    /// Size of the shard.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Whether every chunk has bytes of its own, and none those of the index.
    ///
    /// Entries that point outside the file are left to [`ShardIndex::entry`]. Takes 24 bytes per chunk while it runs.
    ///
    /// # Errors
    ///
    /// A message with the first two that share bytes.
    pub(crate) fn check_apart(&self, shard: ShardIndexMeta, index_bytes: u64) -> Result<(), String> {
        let start = if shard.at_end { self.file_bytes.saturating_sub(index_bytes) } else { 0 };
        let index = (start, index_bytes.min(self.file_bytes), usize::MAX);
        let slots = (0..self.entries.len()).filter_map(|slot| match self.entry(slot) {
            Ok(Some((offset, len))) if len > 0 => Some((offset, len, slot)),
            _ => None,
        });
        let mut all: Vec<(u64, u64, usize)> = Vec::with_capacity(self.entries.len() + 1);
        all.extend(slots.chain((index.1 > 0).then_some(index)));
        all.sort_unstable();
        let shared = all.windows(2).find(|pair| pair[0].0 + pair[0].1 > pair[1].0);
        let Some(&[(a, a_len, first), (b, b_len, second)]) = shared else { return Ok(()) };
        let name = |slot| if slot == usize::MAX { "the index".to_string() } else { format!("inner chunk {slot}") };
        let (first, second) = (name(first), name(second));
        Err(format!("{first} ({a_len} bytes at {a}) and {second} ({b_len} bytes at {b}) share bytes of the shard"))
    }

    /// Offset and length of inner chunk `slot`; `None` where it is absent.
    ///
    /// # Errors
    ///
    /// A message where the entry points outside the file.
    pub(crate) fn entry(&self, slot: usize) -> Result<Option<(u64, u64)>, String> {
        match self.entries.get(slot) {
            None | Some(&(ABSENT, ABSENT)) => Ok(None),
            Some(&(offset, len)) if offset.checked_add(len).is_some_and(|end| end <= self.file_bytes) => {
                Ok(Some((offset, len)))
            }
            Some((offset, len)) => {
                let size = self.file_bytes;
                Err(format!("the shard's index says {len} bytes at {offset}, the shard has {size} bytes"))
            }
        }
    }
}

fn checked(stored: &[u8]) -> Result<&[u8], String> {
    let (body, sum) = stored.split_last_chunk::<4>().ok_or("the shard's index is cut")?;
    let (found, expected) = (crc32c::crc32c(body), u32::from_le_bytes(*sum));
    if found != expected {
        return Err(format!("checksum of the shard's index is {found:08x}, stored is {expected:08x}"));
    }
    Ok(body)
}

/// The indexes used last, by the coordinates of their shards.
#[derive(Debug)]
pub(crate) struct IndexCache {
    capacity: usize,
    recent: Mutex<VecDeque<(Vec<u64>, Arc<ShardIndex>)>>,
}

impl IndexCache {
    /// For the shards of one array; empty.
    pub(crate) fn new(meta: &ArrayMeta) -> IndexCache {
        let capacity = meta.shard.map_or(0, |shard| cached(stored_bytes(meta, shard)) as usize);
        IndexCache { capacity, recent: Mutex::default() }
    }

    /// The index of a shard, if it is kept.
    pub(crate) fn get(&self, shard: &[u64]) -> Option<Arc<ShardIndex>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let at = recent.iter().position(|(key, _)| key == shard)?;
        let hit = recent.remove(at)?;
        let index = hit.1.clone();
        recent.push_front(hit);
        Some(index)
    }

    /// Keeps an index, perhaps in place of another one.
    pub(crate) fn put(&self, shard: &[u64], index: Arc<ShardIndex>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|(key, _)| key != shard);
        recent.push_front((shard.to_vec(), index));
        recent.truncate(self.capacity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_held_against_the_file() {
        let shard = ShardIndexMeta { at_end: true, big_endian: false, crc32c: true };
        let mut stored = Vec::new();
        for number in [0u64, 10, ABSENT, ABSENT, 10, 91, u64::MAX - 1, 5, 3, ABSENT] {
            stored.extend_from_slice(&number.to_le_bytes());
        }
        let sum = crc32c::crc32c(&stored).to_le_bytes();
        stored.extend_from_slice(&sum);
        let index = ShardIndex::parse(&stored, shard, 100).unwrap();
        assert_eq!(index.entry(0), Ok(Some((0, 10))));
        assert_eq!(index.entry(1), Ok(None));
        assert!(index.entry(2).is_err() && index.entry(3).is_err() && index.entry(4).is_err());
        for bit in 0..stored.len() * 8 {
            let mut bad = stored.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(ShardIndex::parse(&bad, shard, 100).is_err(), "bit {bit}");
        }
        assert!(ShardIndex::parse(&[1, 2], shard, 100).is_err());
    }

    #[test]
    fn chunks_have_bytes_of_their_own() {
        let check = |entries: &[(u64, u64)], at_end| {
            let shard = ShardIndexMeta { at_end, big_endian: false, crc32c: false };
            let index = ShardIndex { entries: entries.to_vec(), file_bytes: 164 };
            index.check_apart(shard, 64)
        };
        assert_eq!(check(&[(50, 50), (0, 50), (ABSENT, ABSENT), (u64::MAX, 3)], true), Ok(()));
        assert_eq!(check(&[(64, 50), (114, 50)], false), Ok(()));
        assert_eq!(check(&[(10, 0), (0, 100)], true), Ok(()));
        for (entries, at_end) in [([(0, 51), (50, 50)], true), ([(0, 9), (0, 9)], true), ([(0, 9), (90, 11)], true)] {
            assert!(check(&entries, at_end).unwrap_err().contains("share bytes"));
        }
        let error = check(&[(63, 9), (100, 1)], false).unwrap_err();
        assert_eq!(error, "the index (64 bytes at 0) and inner chunk 0 (9 bytes at 63) share bytes of the shard");
    }
}
