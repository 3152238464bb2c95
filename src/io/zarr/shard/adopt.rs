//! Takes over unfinished shards of earlier runs.
//!
//! Of several versions of a shard, the one with the most chunks counts. Its chunks are recorded under the new run's name
//! first, and only then its files are renamed. If a kill comes in between, one of the two records is still right.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use super::{Assembler, Early, Shard, lock, remove, side_path, slot};
use crate::{
    checkpoint::{
        ledger::{ChunkLocation, RestoredLevel, StoredChunk, Unfinished},
        stamp::{self, Extent, Stamp},
    },
    error::{Error, Result},
    region::Region,
    storage::{BuildSite, DirStore, nfs, unfinished},
};

/// What is left of one writer's work on a shard, and in which file its beginning lies.
struct Left<'a> {
    key: &'a str,
    writer: &'a str,
    beginning: PathBuf,
    shard: Shard,
    /// CRC-32C of the chunks, by their turns.
    sums: BTreeMap<u64, u32>,
}

/// The two files of one writer's shard, as far as they are there.
struct Files {
    beginning: Option<File>,
    side: Option<File>,
}

impl Assembler {
    /// Takes over those shards of `level` that have a chunk for which `is_ours` holds (volume, region); their chunks are done then.
    pub(crate) fn adopt(
        &self,
        site: &BuildSite,
        level: &mut RestoredLevel,
        is_ours: impl Fn(u64, Region) -> bool,
    ) -> Result<()> {
        let shards = std::mem::take(&mut level.shards);
        let mut taken = Vec::new();
        for (key, writers) in &shards {
            let ours = |left: &&Unfinished| left.chunks.values().any(|chunk| is_ours(left.volume, chunk.region));
            let found = writers.iter().filter(ours).filter_map(|unfinished| self.look(site, key, unfinished, true));
            if let Some(left) = found.max_by_key(|left| left.shard.next + left.shard.early.len() as u64) {
                self.note_all(site, &left);
                taken.push(left);
            }
        }
        self.ledger.record()?;
        let (writer, mut own) = (self.ledger.writer().to_string(), Vec::new());
        for left in taken {
            self.take_files(site, &left)?;
            let done = level.volumes.entry(left.shard.volume).or_default();
            let chunks = self.places(&left);
            chunks.values().for_each(|chunk| {
                done.insert(chunk.region);
            });
            own.push((left.key.to_string(), Unfinished { writer: writer.clone(), volume: left.shard.volume, chunks }));
        }
        level.shards = own.into_iter().map(|(key, unfinished)| (key, vec![unfinished])).collect();
        Ok(())
    }

    /// Goes on with the shards that this run has taken over.
    pub(crate) fn load(&self, site: &BuildSite, level: &RestoredLevel) -> Result<()> {
        for (key, writers) in &level.shards {
            let own = writers.iter().filter(|unfinished| unfinished.writer == self.ledger.writer());
            let Some(Left { mut shard, .. }) = own.filter_map(|left| self.look(site, key, left, false)).next() else {
                continue;
            };
            self.append_waiting(site, key, &mut shard)?;
            if shard.next == shard.chunks() {
                self.complete(site, key, &mut shard)?;
            } else {
                lock(&self.open).insert(key.clone(), Arc::new(Mutex::new(shard)));
            }
        }
        Ok(())
    }

    /// What was spent before this flush is the older half from now on. A lock of its own, held for no longer: whoever finishes a
    /// shard has that one's, and takes this one.
    pub(super) fn age_spent(&self) {
        let [new, old] = &mut *lock(&self.spent);
        old.append(new);
    }

    /// The shard as far as its files hold what the record says; `None` where that is nothing. What was looked at before is not
    /// `read` again.
    fn look<'a>(&self, site: &BuildSite, key: &'a str, left: &'a Unfinished, read: bool) -> Option<Left<'a>> {
        let path = site.path(key);
        // A shard that was finished, but not on record, has its name already.
        let part = unfinished(&path, &left.writer);
        let beginning = if stamp::file_bytes(&part).is_some() { part } else { path.clone() };
        let open = |path| stamp::open(path).ok().filter(|_| read);
        let files = Files { beginning: open(&beginning), side: open(&side_path(&path, &left.writer)) };
        let region = left.chunks.values().next()?.region;
        let at: [u64; 3] = std::array::from_fn(|a| region.lo[a] as u64 / self.grid.chunk[a]);
        let (mut shard, mut sums, mut in_line) = (self.empty_shard(left.volume, at), BTreeMap::new(), true);
        for (&turn, chunk) in &left.chunks {
            if turn >= shard.chunks() || chunk.region != self.grid.region(shard.at(turn), [1; 3]) {
                return None;
            }
            in_line &= turn == shard.next;
            let sum = if read { files.sum(chunk) } else { chunk.crc32c };
            in_line &= self.take(&mut shard, (turn, in_line), chunk.place, sum);
            sums.extend(sum.map(|sum| (turn, sum)));
        }
        let holds_any = shard.next > 0 || !shard.early.is_empty();
        holds_any.then(|| Left { key, writer: &left.writer, beginning, shard, sums })
    }

    /// Takes chunk `turn` of the record into the shard, where `sum` says that it is there; whether the next one may follow it.
    fn take(&self, shard: &mut Shard, (turn, in_line): (u64, bool), place: ChunkLocation, sum: Option<u32>) -> bool {
        match (place, sum) {
            (ChunkLocation::Part(Extent { offset, len }), Some(crc32c)) if in_line && offset == shard.part.bytes => {
                shard.entries[slot(turn, shard.extent, self.grid.per_shard)] = (offset, len);
                shard.part = shard.part.then(Stamp { bytes: len, crc32c });
                shard.next += 1;
            }
            (ChunkLocation::Empty, _) if in_line => shard.next += 1,
            (ChunkLocation::Empty, _) => {
                shard.early.insert(turn, Early::Memory(Vec::new()));
            }
            (ChunkLocation::Side(extent), Some(_)) => {
                shard.side_bytes = shard.side_bytes.max(extent.offset + extent.len);
                shard.early.insert(turn, Early::Side(extent));
                return false;
            }
            _ => return false,
        }
        true
    }

    fn note_all(&self, site: &BuildSite, left: &Left<'_>) {
        for (turn, StoredChunk { place, crc32c, .. }) in self.places(left) {
            self.note(site, left.key, &left.shard, turn, place, crc32c.unwrap_or(0));
        }
    }

    /// Where the chunks of a shard lie.
    fn places(&self, Left { shard, sums, .. }: &Left<'_>) -> BTreeMap<u64, StoredChunk> {
        let stored = |turn: u64, place| {
            let crc32c = Some(sums.get(&turn).copied().unwrap_or(0));
            (turn, StoredChunk { region: self.grid.region(shard.at(turn), [1; 3]), place, crc32c })
        };
        let in_line = (0..shard.next).map(|turn| match shard.entries[slot(turn, shard.extent, self.grid.per_shard)] {
            super::ABSENT => stored(turn, ChunkLocation::Empty),
            (offset, len) => stored(turn, ChunkLocation::Part(Extent { offset, len })),
        });
        let early = shard.early.iter().map(|(&turn, early)| match early {
            Early::Memory(_) => stored(turn, ChunkLocation::Empty),
            Early::Side(extent) => stored(turn, ChunkLocation::Side(*extent)),
        });
        in_line.chain(early).collect()
    }

    fn take_files(&self, site: &BuildSite, Left { key, writer, beginning, shard, .. }: &Left<'_>) -> Result<()> {
        let side = side_path(&site.path(key), writer);
        if shard.side_bytes > 0 {
            rename(&side, &self.side(site, key))?;
        } else {
            remove(&side)?;
        }
        if shard.part.bytes == 0 {
            return remove(beginning);
        }
        let part = self.part(site, key);
        rename(beginning, &part)?;
        // An index may stand behind the chunks already.
        let file = DirStore::reopen(&part).map_err(Error::io("open", &part))?;
        file.set_len(shard.part.bytes).map_err(Error::io("shorten", &part))
    }
}

impl Files {
    /// The CRC-32C of a chunk's bytes, which are as the record says; `None` where they are not.
    fn sum(&self, chunk: &StoredChunk) -> Option<u32> {
        let (file, extent) = match chunk.place {
            ChunkLocation::Empty => return Some(0),
            ChunkLocation::Part(extent) => (self.beginning.as_ref()?, extent),
            ChunkLocation::Side(extent) => (self.side.as_ref()?, extent),
        };
        let found = stamp::stamp_of(file, [extent]).ok()?.crc32c;
        chunk.crc32c.is_none_or(|written| written == found).then_some(found)
    }
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    nfs::rename(from, to).map_err(Error::io("rename to", to))
}
