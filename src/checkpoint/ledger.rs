//! Notes of what sinks have stored, and what they learn of earlier runs.
//!
//! An [`Entry`] is noted when the bytes of a write unit are in storage. It counts only after
//! [`Sink::sync`](crate::io::Sink::sync). How entries are kept is not known here.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use super::{
    check::Check,
    stamp::{Extent, Stamp},
};
use crate::{
    error::Result,
    region::{Boxes, Region},
};

/// Where an inner chunk of an unfinished shard lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkLocation {
    /// All fill: nowhere.
    Empty,
    /// In the beginning of the shard.
    Part(Extent),
    /// In the file of chunks that came early.
    Side(Extent),
}

/// Something that was stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Whole write units in their final place: a chunk, a shard, or any region of a raw file. The stamp is of their bytes, of none
    /// where all of it was left out; records of earlier versions have none.
    Region { level: u32, volume: u64, region: Region, empty_chunks: u64, stamp: Option<Stamp> },
    /// An inner chunk of a shard that is not complete.
    Chunk { level: u32, volume: u64, shard: String, turn: u64, chunk: StoredChunk },
    /// A unit of a stream.
    Unit(StreamUnit),
}

/// An inner chunk of an unfinished shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredChunk {
    pub region: Region,
    pub place: ChunkLocation,
    /// Of its stored bytes; records of earlier versions have none.
    pub crc32c: Option<u32>,
}

/// A unit of a stream: number `number` of all, in a segment file that the writer begun with unit `segment`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamUnit {
    pub number: u64,
    pub segment: u64,
    pub extent: Extent,
    /// Of the raw bytes.
    pub check: Check,
    pub raw_bytes: u64,
    /// CRC-32C of the stored bytes; records of earlier versions have none.
    pub stored_crc32c: Option<u32>,
}

impl StreamUnit {
    /// The stamp of the stored bytes.
    pub fn stamp(&self) -> Option<Stamp> {
        self.stored_crc32c.map(|crc32c| Stamp { bytes: self.extent.len, crc32c })
    }
}

/// Hears of everything that a sink stores.
pub trait Ledger: fmt::Debug + Send + Sync {
    fn note(&self, entry: Entry);

    /// Puts what was noted on record at once; for entries whose data are safe already.
    fn record(&self) -> Result<()> {
        Ok(())
    }

    /// A name that no other run has, part of the names of unfinished files: host, process and a number.
    fn writer(&self) -> &str;
}

/// Nobody hears; for what is not to be gone on with.
#[derive(Debug)]
pub struct NoLedger(String);

impl NoLedger {
    /// For sinks that take a shared ledger.
    pub fn shared() -> Arc<dyn Ledger> {
        Arc::new(NoLedger(crate::sys::writer_name()))
    }
}

impl Ledger for NoLedger {
    fn note(&self, _entry: Entry) {}

    fn writer(&self) -> &str {
        &self.0
    }
}

/// What earlier runs have stored.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    pub levels: BTreeMap<u32, RestoredLevel>,
    /// Units of a stream: disjoint runs by the number of their first unit.
    pub runs: BTreeMap<u64, StreamRun>,
}

/// What is stored of one level.
#[derive(Clone, Debug, Default)]
pub struct RestoredLevel {
    pub volumes: BTreeMap<u64, Boxes>,
    /// Chunks left out because they are all fill.
    pub empty_chunks: u64,
    /// Unfinished shards by their keys, as each of their writers left them.
    pub shards: HashMap<String, Vec<Unfinished>>,
}

/// A shard as one writer left it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unfinished {
    pub writer: String,
    pub volume: u64,
    /// By their place in line.
    pub chunks: BTreeMap<u64, StoredChunk>,
}

/// Successive units of a stream that lie behind each other in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRun {
    pub units: u64,
    pub writer: String,
    pub segment: u64,
    pub extent: Extent,
    /// Of the raw bytes.
    pub check: Check,
    pub raw_bytes: u64,
    /// Of the stored bytes; nothing where a unit's is not known.
    pub stamp: Option<Stamp>,
}

impl RestoredLevel {
    /// Forgets what no run of ours can have stored: outside `whole`, of a volume beyond the last, or a shard that is not where the
    /// key (of volume, region) would have it. Journals lie where others may write, and their names of files become paths.
    pub fn keep_within(&mut self, whole: Region, volumes: u64, key: impl Fn(u64, Region) -> String) {
        let is_in = |volume: u64, region: &Region| volume < volumes && whole.contains(region);
        self.volumes.retain(|&volume, boxes| boxes.regions().iter().all(|region| is_in(volume, region)));
        self.shards.retain(|name, writers| {
            writers.retain(|Unfinished { volume, chunks, .. }| {
                chunks
                    .values()
                    .all(|StoredChunk { region, .. }| is_in(*volume, region) && key(*volume, *region) == *name)
            });
            !writers.is_empty()
        });
    }
}

impl Restored {
    /// Takes in an entry of `writer`'s. What is known already changes nothing.
    pub fn add(&mut self, writer: &str, entry: Entry) {
        match entry {
            Entry::Region { level, volume, region, empty_chunks, .. } => {
                let level = self.levels.entry(level).or_default();
                if level.volumes.entry(volume).or_default().insert(region) {
                    level.empty_chunks = level.empty_chunks.saturating_add(empty_chunks);
                }
            }
            Entry::Chunk { level, volume, shard, turn, chunk } => {
                let writers = self.levels.entry(level).or_default().shards.entry(shard).or_default();
                let found = writers.iter().position(|unfinished| unfinished.writer == writer);
                let n = found.unwrap_or_else(|| {
                    writers.push(Unfinished { writer: writer.into(), volume, ..Unfinished::default() });
                    writers.len() - 1
                });
                writers[n].chunks.insert(turn, chunk);
            }
            Entry::Unit(unit) => self.add_unit(writer, unit),
        }
    }

    /// Joins a unit to the run before it, or begins a run.
    pub fn add_unit(&mut self, writer: &str, unit: StreamUnit) {
        if let Some((&first, run)) = self.runs.range_mut(..=unit.number).next_back() {
            let (next, end) = (first.saturating_add(run.units), run.extent.offset + run.extent.len);
            if unit.number < next {
                return;
            }
            let raw_bytes = run.raw_bytes.checked_add(unit.raw_bytes);
            let check = run.check.then(run.raw_bytes, (unit.check, unit.raw_bytes));
            let follows = unit.number == next && unit.extent.offset == end;
            if let (true, Some(raw_bytes), Some(check)) = (follows, raw_bytes, check)
                && unit.segment == run.segment
                && run.writer == writer
            {
                (run.check, run.raw_bytes) = (check, raw_bytes);
                run.extent.len += unit.extent.len;
                run.stamp = run.stamp.zip(unit.stamp()).map(|(before, unit)| before.then(unit));
                run.units += 1;
                return;
            }
        }
        let (writer, stamp) = (writer.into(), unit.stamp());
        let StreamUnit { number, segment, extent, check, raw_bytes, .. } = unit;
        self.runs.insert(number, StreamRun { units: 1, writer, segment, extent, check, raw_bytes, stamp });
    }

    /// Forgets unfinished shards that somebody has finished.
    pub fn drop_finished_shards(&mut self) {
        for level in self.levels.values_mut() {
            let RestoredLevel { volumes, shards, .. } = level;
            shards.retain(|_, writers| {
                let is_open = |unfinished: &Unfinished| {
                    let done = volumes.get(&unfinished.volume);
                    unfinished.chunks.values().any(|chunk| !done.is_some_and(|done| done.cover(chunk.region)))
                };
                writers.iter().any(is_open)
            });
        }
    }

    /// Voxels that are stored of a level, all volumes.
    pub fn voxels(&self, level: u32) -> u64 {
        let volumes = |level: &RestoredLevel| level.volumes.values().map(Boxes::voxels).fold(0, u64::saturating_add);
        self.levels.get(&level).map_or(0, volumes)
    }

    /// Voxels of a level that are stored in any form, also in unfinished shards, and in units of a stream of so many bytes a voxel.
    pub fn held_voxels(&self, level: u32, voxel_bytes: u64) -> u64 {
        let unfinished = |writers: &Vec<Unfinished>| {
            let held =
                |of: &Unfinished| of.chunks.values().map(|chunk| chunk.region.voxels()).fold(0, u64::saturating_add);
            writers.iter().map(held).max().unwrap_or(0)
        };
        let in_shards = |level: &RestoredLevel| level.shards.values().map(unfinished).fold(0, u64::saturating_add);
        let in_stream = self.runs.values().map(|run| run.raw_bytes / voxel_bytes.max(1)).fold(0, u64::saturating_add);
        let in_stream = if level == 0 { in_stream } else { 0 };
        self.voxels(level).saturating_add(self.levels.get(&level).map_or(0, in_shards)).saturating_add(in_stream)
    }

    /// Whether nothing was stored.
    pub fn is_empty(&self) -> bool {
        let is_empty = |level: &RestoredLevel| level.volumes.values().all(Boxes::is_empty) && level.shards.is_empty();
        self.runs.is_empty() && self.levels.values().all(is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(number: u64, segment: u64, offset: u64) -> Entry {
        let (extent, check) = (Extent { offset, len: 10 }, Check::Crc32(crc32fast::hash(&[number as u8])));
        Entry::Unit(StreamUnit { number, segment, extent, check, raw_bytes: 1, stored_crc32c: Some(number as u32) })
    }

    #[test]
    fn units_that_follow_each_other_are_one_run() {
        let mut restored = Restored::default();
        for (writer, entry) in [
            ("a", unit(0, 0, 5)),
            ("a", unit(1, 0, 15)),
            ("b", unit(4, 4, 0)),
            ("c", unit(1, 1, 0)),
            ("b", unit(5, 4, 10)),
        ] {
            restored.add(writer, entry);
        }
        let runs: Vec<(u64, u64, &str)> =
            restored.runs.iter().map(|(&first, run)| (first, run.units, run.writer.as_str())).collect();
        assert_eq!(runs, [(0, 2, "a"), (4, 2, "b")]);
        assert_eq!(restored.runs[&0].check, Check::Crc32(crc32fast::hash(&[0, 1])));
        assert_eq!(restored.runs[&4].extent, Extent { offset: 0, len: 20 });
    }

    #[test]
    fn what_cannot_have_been_stored_is_forgotten() {
        let mut restored = Restored::default();
        let (inside, outside) = (Region::new([0; 3], [2; 3]), Region::new([0; 3], [2, 2, 9]));
        for (volume, region) in [(0, inside), (1, outside), (2, inside)] {
            restored.add("a", Entry::Region { level: 0, volume, region, empty_chunks: u64::MAX, stamp: None });
        }
        for (shard, region) in [("c/0", inside), ("../c/0", inside), ("/c/0", inside), ("c/1", outside)] {
            let chunk = StoredChunk { region, place: ChunkLocation::Empty, crc32c: None };
            restored.add("a", Entry::Chunk { level: 0, volume: 0, shard: shard.to_string(), turn: 0, chunk });
        }
        let level = restored.levels.get_mut(&0).unwrap();
        level.keep_within(Region::new([0; 3], [4; 3]), 2, |_, region| format!("c/{}", region.lo[0]));
        assert_eq!((level.volumes.len(), level.shards.len()), (1, 1));
        assert!(level.volumes.contains_key(&0) && level.shards.contains_key("c/0"));
    }

    #[test]
    fn regression_units_of_more_bytes_than_there_are() {
        let mut restored = Restored::default();
        for (number, offset) in [(0, 0), (1, 10)] {
            let Entry::Unit(unit) = unit(number, 0, offset) else { unreachable!() };
            restored.add_unit("a", StreamUnit { raw_bytes: u64::MAX - 3, ..unit });
        }
        assert_eq!(restored.runs.len(), 2);
    }

    #[test]
    fn regression_the_last_unit_of_all() {
        let mut restored = Restored::default();
        restored.add("a", unit(u64::MAX, 0, 0));
        restored.add("a", unit(u64::MAX, 0, 10));
        assert_eq!(restored.runs.len(), 1);
    }

    #[test]
    fn what_is_noted_twice_counts_once() {
        let mut restored = Restored::default();
        let region = Region::new([0; 3], [4; 3]);
        for writer in ["a", "b"] {
            let region = Region::new([0; 3], [2; 3]);
            let chunk = StoredChunk { region, place: ChunkLocation::Empty, crc32c: None };
            restored.add(writer, Entry::Chunk { level: 0, volume: 0, shard: "0/c/0".into(), turn: 0, chunk });
        }
        assert_eq!(restored.levels[&0].shards["0/c/0"].len(), 2);
        for writer in ["a", "b"] {
            restored.add(writer, Entry::Region { level: 0, volume: 0, region, empty_chunks: 3, stamp: None });
        }
        restored.drop_finished_shards();
        assert!(restored.levels[&0].shards.is_empty());
        assert_eq!((restored.levels[&0].empty_chunks, restored.voxels(0)), (3, 64));
    }
}
