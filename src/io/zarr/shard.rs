//! Assembles shards from inner chunks that arrive in any order: the same bytes for each order.
//!
//! Inner chunks stand in C order. The next one in line is appended to `<shard>.<writer>.part`. An early one waits in
//! memory, up to a limit for all shards, then in `<shard>.<writer>.side`. After the last one comes the index (sharding
//! codec 1.0, "Binary shard format", at the end, with its crc32c), and the store takes the file. Files are open only
//! while they are touched. If the folder outlives the run, each chunk is noted with its location, so that another run can
//! resume.

use std::{
    collections::{BTreeMap, HashMap},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    checkpoint::{
        ledger::{ChunkLocation, Entry, Ledger, StoredChunk},
        stamp::{Extent, Stamp},
    },
    error::{Error, Result},
    region::Region,
    storage::{BuildSite, DirStore, unfinished},
    sys::writeback,
};

mod adopt;
mod files;
mod memory;

use files::{index, rank, remove, side_path, slot, write_at};

const ABSENT: (u64, u64) = (u64::MAX, u64::MAX);

/// The chunks of a grid, and how many a shard has.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShardGrid {
    pub level: u32,
    /// Voxels.
    pub shape: [u64; 3],
    pub chunk: [u64; 3],
    /// Chunks.
    pub per_shard: [u64; 3],
}

impl ShardGrid {
    /// Inner chunks of the whole grid.
    fn counts(&self) -> [u64; 3] {
        std::array::from_fn(|a| self.shape[a].div_ceil(self.chunk[a]))
    }

    /// The voxels of `extent` chunks from chunk `at` on.
    fn region(&self, at: [u64; 3], extent: [u64; 3]) -> Region {
        Region {
            lo: std::array::from_fn(|a| (at[a] * self.chunk[a]) as i64),
            hi: std::array::from_fn(|a| ((at[a] + extent[a]) * self.chunk[a]).min(self.shape[a]) as i64),
        }
    }
}

/// Puts shards together; any thread may bring any chunk.
#[derive(Debug)]
pub(super) struct Assembler {
    grid: ShardGrid,
    ledger: Arc<dyn Ledger>,
    early_limit: u64,
    early_bytes: AtomicU64,
    open: Mutex<HashMap<String, Arc<Mutex<Shard>>>>,
    /// Chunks of finished shards that are all fill.
    empty: AtomicU64,
    /// Files of early chunks whose shards are finished: first since the last flush, then those before.
    spent: Mutex<[Vec<PathBuf>; 2]>,
}

#[derive(Debug)]
struct Shard {
    volume: u64,
    /// The first chunk.
    first: [u64; 3],
    /// Chunks that lie in the grid, along each axis.
    extent: [u64; 3],
    /// Place in line of the next chunk to be appended.
    next: u64,
    entries: Vec<(u64, u64)>,
    /// Of what stands in the beginning of the shard.
    part: Stamp,
    side_bytes: u64,
    early: BTreeMap<u64, Early>,
}

#[derive(Debug)]
enum Early {
    Memory(Vec<u8>),
    Side(Extent),
}

impl Shard {
    fn chunks(&self) -> u64 {
        self.extent.iter().product()
    }

    /// The chunk that has this place in line.
    fn at(&self, turn: u64) -> [u64; 3] {
        let [_, ny, nx] = self.extent;
        let within = [turn / (ny * nx), turn / nx % ny, turn % nx];
        std::array::from_fn(|a| self.first[a] + within[a])
    }
}

impl Assembler {
    /// No shard is open; chunks that come early wait in `early_limit` bytes of memory.
    pub(super) fn new(grid: ShardGrid, early_limit: u64, ledger: Arc<dyn Ledger>) -> Assembler {
        Assembler {
            grid,
            ledger,
            early_limit,
            early_bytes: AtomicU64::new(0),
            open: Mutex::default(),
            empty: AtomicU64::new(0),
            spent: Mutex::default(),
        }
    }

    /// Chunks of finished shards that were left out because they are all fill.
    pub(super) fn empty_chunks(&self) -> u64 {
        self.empty.load(Ordering::Relaxed)
    }

    /// Takes inner chunk `at` (coordinates in the whole grid) of the shard `key` of a volume; empty for one that is left out.
    ///
    /// The number of bytes that this chunk adds to storage, the index with the last one.
    pub(super) fn put(&self, site: &BuildSite, key: &str, volume: u64, at: [u64; 3], bytes: Vec<u8>) -> Result<u64> {
        let shard = self.shard(key, volume, at);
        let mut shard = lock(&shard);
        let turn = rank(std::array::from_fn(|a| at[a] - shard.first[a]), shard.extent);
        if turn < shard.next || shard.early.contains_key(&turn) {
            return Err(self.error(site, key, at, bytes.len()));
        }
        let mut stored = bytes.len() as u64;
        if turn == shard.next {
            self.append(site, key, &mut shard, &bytes)?;
            self.append_waiting(site, key, &mut shard)?;
        } else {
            self.hold(site, key, &mut shard, turn, bytes)?;
        }
        if shard.next == shard.chunks() {
            stored += self.complete(site, key, &mut shard)?;
            lock(&self.open).remove(key);
        }
        Ok(stored)
    }

    /// Brings early chunks that wait in memory to their files.
    pub(super) fn flush(&self, site: &BuildSite) -> Result<()> {
        self.age_spent();
        if !site.is_kept() {
            return Ok(());
        }
        let open: Vec<(String, Arc<Mutex<Shard>>)> =
            lock(&self.open).iter().map(|(key, shard)| (key.clone(), shard.clone())).collect();
        for (key, shard) in open {
            let mut shard = lock(&shard);
            let waits = |early: &Early| matches!(early, Early::Memory(bytes) if !bytes.is_empty());
            let turns: Vec<u64> = shard.early.iter().filter(|(_, early)| waits(early)).map(|(&turn, _)| turn).collect();
            for turn in turns {
                if let Some(Early::Memory(bytes)) = shard.early.remove(&turn) {
                    self.early_bytes.fetch_sub(bytes.len() as u64, Ordering::Relaxed);
                    self.put_aside(site, &key, &mut shard, turn, &bytes)?;
                }
            }
        }
        Ok(())
    }

    /// Removes files that only a record older than the last flush needed.
    pub(super) fn settle(&self) -> Result<()> {
        let old = std::mem::take(&mut lock(&self.spent)[1]);
        old.iter().try_for_each(|side| remove(side))
    }

    /// An error where a shard still waits for chunks.
    pub(super) fn finish(&self, site: &BuildSite) -> Result<()> {
        let open = lock(&self.open);
        if let Some((key, shard)) = open.iter().next() {
            let shard = lock(shard);
            let expected = format!("{} inner chunks", shard.chunks());
            let arrived = format!("{} inner chunks", shard.next + shard.early.len() as u64);
            return Err(Error::malformed(site.store.describe(key), "unfinished shard", arrived, expected));
        }
        let spent = std::mem::take(&mut *lock(&self.spent));
        spent.iter().flatten().try_for_each(|side| remove(side))
    }

    fn error(&self, site: &BuildSite, key: &str, at: [u64; 3], len: usize) -> Error {
        let (path, chunk) = (site.store.describe(key), format!("inner {at:?}"));
        Error::Chunk { action: "write", path, chunk, stored_bytes: len as u64, what: "it was written before".into() }
    }

    fn shard(&self, key: &str, volume: u64, at: [u64; 3]) -> Arc<Mutex<Shard>> {
        let mut open = lock(&self.open);
        open.entry(key.to_string()).or_insert_with(|| Arc::new(Mutex::new(self.empty_shard(volume, at)))).clone()
    }

    fn empty_shard(&self, volume: u64, at: [u64; 3]) -> Shard {
        let (per_shard, counts) = (self.grid.per_shard, self.grid.counts());
        let first: [u64; 3] = std::array::from_fn(|a| at[a] / per_shard[a] * per_shard[a]);
        Shard {
            volume,
            first,
            extent: std::array::from_fn(|a| per_shard[a].min(counts[a] - first[a])),
            next: 0,
            entries: vec![ABSENT; per_shard.iter().product::<u64>() as usize],
            part: Stamp::default(),
            side_bytes: 0,
            early: BTreeMap::new(),
        }
    }

    /// Notes where chunk `turn` lies, with the CRC-32C of its bytes, where that outlives the run.
    fn note(&self, site: &BuildSite, key: &str, shard: &Shard, turn: u64, place: ChunkLocation, crc32c: u32) {
        if site.is_kept() {
            let chunk = StoredChunk { region: self.grid.region(shard.at(turn), [1; 3]), place, crc32c: Some(crc32c) };
            let (level, volume, shard) = (self.grid.level, shard.volume, key.to_string());
            self.ledger.note(Entry::Chunk { level, volume, shard, turn, chunk });
        }
    }

    fn append(&self, site: &BuildSite, key: &str, shard: &mut Shard, bytes: &[u8]) -> Result<()> {
        let turn = shard.next;
        let (stamp, extent) = (Stamp::of(bytes), Extent { offset: shard.part.bytes, len: bytes.len() as u64 });
        if !bytes.is_empty() {
            write_at(&self.part(site, key), extent.offset, bytes)?;
            shard.entries[slot(turn, shard.extent, self.grid.per_shard)] = (extent.offset, extent.len);
            shard.part = shard.part.then(stamp);
        }
        shard.next += 1;
        let place = if bytes.is_empty() { ChunkLocation::Empty } else { ChunkLocation::Part(extent) };
        self.note(site, key, shard, turn, place, stamp.crc32c);
        Ok(())
    }

    fn append_waiting(&self, site: &BuildSite, key: &str, shard: &mut Shard) -> Result<()> {
        while let Some(early) = shard.early.remove(&shard.next) {
            match early {
                Early::Memory(bytes) => {
                    self.append(site, key, shard, &bytes)?;
                    self.early_bytes.fetch_sub(bytes.len() as u64, Ordering::Relaxed);
                }
                Early::Side(Extent { offset, len }) => {
                    let side = self.side(site, key);
                    let mut bytes = vec![0; len as usize];
                    let file = DirStore::reopen(&side).map_err(Error::io("open", &side))?;
                    file.read_exact_at(&mut bytes, offset).map_err(Error::io("read", &side))?;
                    self.append(site, key, shard, &bytes)?;
                }
            }
        }
        Ok(())
    }

    /// Takes a chunk that came before its turn.
    fn hold(&self, site: &BuildSite, key: &str, shard: &mut Shard, turn: u64, bytes: Vec<u8>) -> Result<()> {
        let len = bytes.len() as u64;
        let waiting = self.early_bytes.fetch_add(len, Ordering::Relaxed).saturating_add(len);
        if waiting <= self.early_limit || bytes.is_empty() {
            if bytes.is_empty() {
                self.note(site, key, shard, turn, ChunkLocation::Empty, 0);
            }
            shard.early.insert(turn, Early::Memory(bytes));
            return Ok(());
        }
        self.early_bytes.fetch_sub(len, Ordering::Relaxed);
        self.put_aside(site, key, shard, turn, &bytes)
    }

    fn put_aside(&self, site: &BuildSite, key: &str, shard: &mut Shard, turn: u64, bytes: &[u8]) -> Result<()> {
        let extent = Extent { offset: shard.side_bytes, len: bytes.len() as u64 };
        write_at(&self.side(site, key), extent.offset, bytes)?;
        shard.side_bytes += extent.len;
        shard.early.insert(turn, Early::Side(extent));
        self.note(site, key, shard, turn, ChunkLocation::Side(extent), Stamp::of(bytes).crc32c);
        Ok(())
    }

    /// Index, and over to the store; the bytes of the index. A shard without chunks is not written.
    fn complete(&self, site: &BuildSite, key: &str, shard: &mut Shard) -> Result<u64> {
        let (mut index_bytes, mut stamp) = (0, Stamp::default());
        if shard.part.bytes > 0 {
            let index = index(&shard.entries);
            let part = self.part(site, key);
            writeback::closed(write_at(&part, shard.part.bytes, &index)?, shard.part.bytes);
            stamp = shard.part.then(Stamp::of(&index));
            site.store.put_file(key, &part).map_err(|e| e.at("write", site.store.describe(key)))?;
            index_bytes = index.len() as u64;
        }
        let side = self.side(site, key);
        match site.is_kept() {
            // On record its chunks lie there still.
            true if shard.side_bytes > 0 => lock(&self.spent)[0].push(side),
            true => {}
            false => remove(&side)?,
        }
        let present = shard.entries.iter().filter(|entry| **entry != ABSENT).count() as u64;
        let empty_chunks = shard.chunks() - present;
        self.empty.fetch_add(empty_chunks, Ordering::Relaxed);
        let region = self.grid.region(shard.first, shard.extent);
        let (level, volume, stamp) = (self.grid.level, shard.volume, Some(stamp));
        self.ledger.note(Entry::Region { level, volume, region, empty_chunks, stamp });
        Ok(index_bytes)
    }

    /// The unfinished shard.
    fn part(&self, site: &BuildSite, key: &str) -> PathBuf {
        unfinished(&site.path(key), self.ledger.writer())
    }

    fn side(&self, site: &BuildSite, key: &str) -> PathBuf {
        side_path(&site.path(key), self.ledger.writer())
    }
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
