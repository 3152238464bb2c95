//! Shards put together from inner chunks that arrive in any order, to the same bytes.
//!
//! Inner chunks stand in C order. One that is next in line is appended to `<shard>.part`; an early one waits in memory up
//! to a limit shared by all shards, beyond that in `<shard>.side`. The last one brings the index (sharding codec 1.0,
//! "Binary shard format", at the end, with its crc32c), and the store takes the file. A file is open only while it is
//! touched.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::store::{DirStore, Store, part_path};
use crate::{
    error::{Error, Result},
    sys::behind,
};

/// Shards that a schedule has open at once, for the memory their indexes are counted with.
const OPEN_SHARDS: u64 = 64;
const ABSENT: (u64, u64) = (u64::MAX, u64::MAX);

/// Puts shards together; any thread may bring any chunk.
#[derive(Debug)]
pub struct Assembler {
    per_shard: [u64; 3],
    counts: [u64; 3],
    early_limit: u64,
    early_bytes: AtomicU64,
    open: Mutex<HashMap<String, Arc<Mutex<Shard>>>>,
}

/// Where an image is written: its store, and where shards are put together on the way.
#[derive(Clone, Debug)]
pub struct Yard {
    pub store: Arc<dyn Store>,
    /// A local folder; the store's own, if it is one.
    pub folder: PathBuf,
}

impl Yard {
    /// Where the shard of `key` would lie if the folder were the store; its unfinished files are named after it.
    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(key)
    }
}

#[derive(Debug)]
struct Shard {
    /// Chunks that lie in the grid, along each axis.
    extent: [u64; 3],
    /// Place in line of the next chunk to be appended.
    next: u64,
    entries: Vec<(u64, u64)>,
    part_bytes: u64,
    side_bytes: u64,
    early: BTreeMap<u64, Early>,
}

#[derive(Debug)]
enum Early {
    Memory(Vec<u8>),
    Side { offset: u64, len: usize },
}

impl Assembler {
    /// `per_shard` and `counts` are inner chunks of a shard and of the whole grid.
    pub fn new(per_shard: [u64; 3], counts: [u64; 3], early_limit: u64) -> Assembler {
        Assembler { per_shard, counts, early_limit, early_bytes: AtomicU64::new(0), open: Mutex::default() }
    }

    /// Memory held over the run: waiting chunks, and the indexes of the shards that are open at once.
    pub fn resident_bytes(&self) -> u64 {
        let slots = self.per_shard.iter().product::<u64>();
        self.early_limit.saturating_add(slots.saturating_mul(16).saturating_add(1024).saturating_mul(OPEN_SHARDS))
    }

    /// Takes inner chunk `at` (coordinates in the whole grid) of the shard `key`; empty for one that is left out.
    ///
    /// The number of bytes that this chunk adds to storage, the index with the last one.
    pub fn put(&self, yard: &Yard, key: &str, at: [u64; 3], bytes: Vec<u8>) -> Result<u64> {
        let path = &yard.path(key);
        let shard = self.shard(key, at);
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let within: [u64; 3] = std::array::from_fn(|a| at[a] % self.per_shard[a]);
        let turn = rank(within, shard.extent);
        if turn < shard.next || shard.early.contains_key(&turn) {
            return Err(self.error(yard, key, at, bytes.len()));
        }
        let mut stored = bytes.len() as u64;
        if turn == shard.next {
            self.append(path, &mut shard, &bytes)?;
            self.append_waiting(path, &mut shard)?;
        } else {
            self.keep(path, &mut shard, turn, bytes)?;
        }
        if shard.next == shard.extent.iter().product::<u64>() {
            stored += complete(yard, key, &mut shard)?;
            self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        }
        Ok(stored)
    }

    /// An error where a shard still waits for chunks.
    pub fn finish(&self, yard: &Yard) -> Result<()> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((key, shard)) = open.iter().next() else { return Ok(()) };
        let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = format!("{} inner chunks", shard.extent.iter().product::<u64>());
        let arrived = shard.next + shard.early.len() as u64;
        Err(Error::malformed(yard.store.describe(key), "unfinished shard", format!("{arrived} inner chunks"), expected))
    }

    fn error(&self, yard: &Yard, key: &str, at: [u64; 3], len: usize) -> Error {
        let (path, chunk) = (yard.store.describe(key), format!("inner {at:?}"));
        Error::Chunk { action: "write", path, chunk, stored_bytes: len as u64, what: "it was written before".into() }
    }

    fn shard(&self, key: &str, at: [u64; 3]) -> Arc<Mutex<Shard>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shard) = open.get(key) {
            return shard.clone();
        }
        let first: [u64; 3] = std::array::from_fn(|a| at[a] / self.per_shard[a] * self.per_shard[a]);
        let shard = Arc::new(Mutex::new(Shard {
            extent: std::array::from_fn(|a| self.per_shard[a].min(self.counts[a] - first[a])),
            next: 0,
            entries: vec![ABSENT; self.per_shard.iter().product::<u64>() as usize],
            part_bytes: 0,
            side_bytes: 0,
            early: BTreeMap::new(),
        }));
        open.insert(key.to_string(), shard.clone());
        shard
    }

    fn append(&self, path: &Path, shard: &mut Shard, bytes: &[u8]) -> Result<()> {
        if !bytes.is_empty() {
            let slot = slot(shard.next, shard.extent, self.per_shard);
            write_at(&part_path(path), shard.part_bytes, bytes)?;
            shard.entries[slot] = (shard.part_bytes, bytes.len() as u64);
            shard.part_bytes += bytes.len() as u64;
        }
        shard.next += 1;
        Ok(())
    }

    fn append_waiting(&self, path: &Path, shard: &mut Shard) -> Result<()> {
        while let Some(early) = shard.early.remove(&shard.next) {
            match early {
                Early::Memory(bytes) => {
                    self.append(path, shard, &bytes)?;
                    self.early_bytes.fetch_sub(bytes.len() as u64, Ordering::Relaxed);
                }
                Early::Side { offset, len } => {
                    let side = side_path(path);
                    let mut bytes = vec![0; len];
                    let file = File::open(&side).map_err(Error::io("open", &side))?;
                    file.read_exact_at(&mut bytes, offset).map_err(Error::io("read", &side))?;
                    self.append(path, shard, &bytes)?;
                }
            }
        }
        Ok(())
    }

    fn keep(&self, path: &Path, shard: &mut Shard, turn: u64, bytes: Vec<u8>) -> Result<()> {
        let len = bytes.len() as u64;
        let waiting = self.early_bytes.fetch_add(len, Ordering::Relaxed).saturating_add(len);
        let early = if waiting <= self.early_limit || bytes.is_empty() {
            Early::Memory(bytes)
        } else {
            self.early_bytes.fetch_sub(len, Ordering::Relaxed);
            write_at(&side_path(path), shard.side_bytes, &bytes)?;
            let offset = shard.side_bytes;
            shard.side_bytes += len;
            Early::Side { offset, len: bytes.len() }
        };
        shard.early.insert(turn, early);
        Ok(())
    }
}

/// Index, and over to the store; the bytes of the index. A shard without chunks is not written.
fn complete(yard: &Yard, key: &str, shard: &mut Shard) -> Result<u64> {
    let path = &yard.path(key);
    // Also one that a killed run left.
    let side = side_path(path);
    match fs::remove_file(&side) {
        Err(e) if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Err(Error::io("remove", &side)(e));
        }
        _ => {}
    }
    if shard.part_bytes == 0 {
        return Ok(0);
    }
    let mut index: Vec<u8> = Vec::with_capacity(shard.entries.len() * 16 + 4);
    for (offset, len) in &shard.entries {
        index.extend_from_slice(&offset.to_le_bytes());
        index.extend_from_slice(&len.to_le_bytes());
    }
    let sum = crc32c::crc32c(&index);
    index.extend_from_slice(&sum.to_le_bytes());
    let part = part_path(path);
    let file = write_at(&part, shard.part_bytes, &index)?;
    behind::closed(file, shard.part_bytes);
    yard.store.put_file(key, &part).map_err(|e| e.at("write", yard.store.describe(key)))?;
    Ok(index.len() as u64)
}

/// Writes at `offset`; the file is made anew at offset 0, whatever a killed run left there.
fn write_at(path: &Path, offset: u64, bytes: &[u8]) -> Result<File> {
    let file = match offset {
        0 => DirStore::create(path),
        _ => OpenOptions::new().write(true).open(path),
    };
    let file = file.map_err(Error::io("write", path))?;
    file.write_all_at(bytes, offset).map_err(Error::io("write", path))?;
    behind::appended(&file, offset, bytes.len() as u64);
    Ok(file)
}

fn side_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".side");
    path.with_file_name(name)
}

/// Place in line of chunk `at` among those that lie in the grid, C order.
fn rank(at: [u64; 3], extent: [u64; 3]) -> u64 {
    (at[0] * extent[1] + at[1]) * extent[2] + at[2]
}

/// Entry in the index, which counts the chunks beyond the grid too.
fn slot(turn: u64, extent: [u64; 3], per_shard: [u64; 3]) -> usize {
    let at = [turn / (extent[1] * extent[2]), turn / extent[2] % extent[1], turn % extent[2]];
    rank(at, per_shard) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chunk contents of different lengths, every fifth left out.
    fn content(at: [u64; 3]) -> Vec<u8> {
        let n = at[0] * 49 + at[1] * 7 + at[2];
        if n.is_multiple_of(5) { Vec::new() } else { vec![n as u8; (n % 13 + 1) as usize] }
    }

    fn yard(dir: &Path) -> Yard {
        Yard { store: Arc::new(DirStore::new(dir)), folder: dir.to_path_buf() }
    }

    /// Assembles an edge shard of 2x3x2 chunks out of 3x3x4 in the order of `keys`; the shard's bytes.
    fn assemble(keys: &[usize], early_limit: u64) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let (path, yard) = (dir.path().join("c/1/0/0"), yard(dir.path()));
        let assembler = Assembler::new([3, 3, 4], [5, 3, 2], early_limit);
        let mut total = 0;
        for &key in keys {
            let at = [3 + key as u64 / 6, key as u64 / 2 % 3, key as u64 % 2];
            assert!(assembler.finish(&yard).is_err() || key == keys[0]);
            total += assembler.put(&yard, "c/1/0/0", at, content(at)).unwrap();
        }
        assembler.finish(&yard).unwrap();
        assert_eq!(assembler.early_bytes.load(Ordering::Relaxed), 0);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, total);
        bytes
    }

    #[test]
    fn the_same_bytes_for_any_order_and_any_limit() {
        let in_order: Vec<usize> = (0..12).collect();
        let expected = assemble(&in_order, 1000);
        let mut order = in_order.clone();
        let mut seed = 1u64;
        for _ in 0..50 {
            for n in (1..order.len()).rev() {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                order.swap(n, (seed >> 33) as usize % (n + 1));
            }
            for limit in [0, 20, 1000] {
                assert_eq!(assemble(&order, limit), expected, "{order:?} {limit}");
            }
        }
    }

    #[test]
    fn an_empty_shard_is_not_written_and_a_chunk_comes_once() {
        let dir = tempfile::tempdir().unwrap();
        let (path, yard) = (dir.path().join("c/0/0/0"), yard(dir.path()));
        let assembler = Assembler::new([1, 1, 2], [1, 1, 2], 100);
        assembler.put(&yard, "c/0/0/0", [0, 0, 1], Vec::new()).unwrap();
        assert!(assembler.put(&yard, "c/0/0/0", [0, 0, 1], Vec::new()).is_err());
        assert_eq!(assembler.put(&yard, "c/0/0/0", [0, 0, 0], Vec::new()).unwrap(), 0);
        assert!(!path.exists());
        assembler.finish(&yard).unwrap();
    }
}
