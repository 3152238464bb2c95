//! Shards in any order, and gone on with.

use std::{fs, path::Path};

use super::*;
use crate::checkpoint::ledger::{NoLedger, Restored};

/// Chunk contents of different lengths, every fifth left out.
fn content(at: [u64; 3]) -> Vec<u8> {
    let n = at[0] * 49 + at[1] * 7 + at[2];
    if n.is_multiple_of(5) { Vec::new() } else { vec![n as u8; (n % 13 + 1) as usize] }
}

fn site(dir: &Path) -> BuildSite {
    BuildSite { store: Arc::new(DirStore::new(dir)), folder: dir.to_path_buf() }
}

/// Edge shards of 2x3x2 chunks of a grid of 5x3x2, one voxel each.
fn assembler(early_limit: u64, ledger: Arc<dyn Ledger>) -> Assembler {
    let grid = ShardGrid { level: 0, shape: [5, 3, 2], chunk: [1; 3], per_shard: [3, 3, 4] };
    Assembler::new(grid, early_limit, ledger)
}

const KEY: &str = "c/1/0/0";

fn at(key: usize) -> [u64; 3] {
    [3 + key as u64 / 6, key as u64 / 2 % 3, key as u64 % 2]
}

/// Assembles an edge shard out of its twelve chunks in the order of `keys`; the shard's bytes.
fn assemble(keys: &[usize], early_limit: u64) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let site = site(dir.path());
    let assembler = assembler(early_limit, NoLedger::shared());
    let mut total = 0;
    for &key in keys {
        assert!(assembler.finish(&site).is_err() || key == keys[0]);
        total += assembler.put(&site, KEY, 0, at(key), content(at(key))).unwrap();
    }
    assembler.finish(&site).unwrap();
    assert_eq!(assembler.early_bytes.load(Ordering::Relaxed), 0);
    let bytes = only_file(dir.path());
    assert_eq!(bytes.len() as u64, total);
    bytes
}

/// The shard's bytes, when there is nothing else in its folder.
fn only_file(dir: &Path) -> Vec<u8> {
    let path = dir.join(KEY);
    let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["0"]);
    fs::read(&path).unwrap()
}

/// Keeps entries in memory; `recorded` are those that a kill leaves.
#[derive(Debug)]
struct Notes {
    writer: String,
    pending: Mutex<Vec<Entry>>,
    recorded: Mutex<Vec<Entry>>,
}

impl Notes {
    fn of(writer: &str) -> Arc<Notes> {
        Arc::new(Notes { writer: writer.into(), pending: Mutex::default(), recorded: Mutex::default() })
    }
}

impl Ledger for Notes {
    fn note(&self, entry: Entry) {
        lock(&self.pending).push(entry);
    }

    fn record(&self) -> Result<()> {
        let pending = std::mem::take(&mut *lock(&self.pending));
        lock(&self.recorded).extend(pending);
        Ok(())
    }

    fn writer(&self) -> &str {
        &self.writer
    }
}

/// Puts chunks until `kill` of them are there, with a checkpoint before the last `lost`; what a kill leaves on record.
fn killed(site: &BuildSite, assembler: &Assembler, notes: &Notes, keys: &[usize], lost: usize) {
    let safe = keys.len().saturating_sub(lost);
    for (n, &key) in keys.iter().enumerate() {
        if n == safe {
            assembler.flush(site).unwrap();
            notes.record().unwrap();
            assembler.settle().unwrap();
        }
        assembler.put(site, KEY, 0, at(key), content(at(key))).unwrap();
    }
}

#[test]
fn a_killed_run_is_gone_on_with_to_the_same_bytes() {
    let expected = assemble(&(0..12).collect::<Vec<_>>(), 1000);
    let mut seed = 7u64;
    let mut below = |n: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % n
    };
    for round in 0..400 {
        let dir = tempfile::tempdir().unwrap();
        let site = site(dir.path());
        let mut journals: Vec<(String, Vec<Entry>)> = Vec::new();
        for run in 0.. {
            let mut restored = Restored::default();
            journals
                .iter()
                .for_each(|(writer, entries)| entries.iter().for_each(|entry| restored.add(writer, entry.clone())));
            restored.drop_finished_shards();
            let notes = Notes::of(&format!("{round}-{run}"));
            let assembler = assembler([0, 20, 1000][below(3)], notes.clone());
            let mut level = restored.levels.remove(&0).unwrap_or_default();
            assembler.adopt(&site, &mut level, |_, _| true).unwrap();
            assembler.load(&site, &level).unwrap();
            let done = level.volumes.entry(0).or_default().clone();
            let mut open: Vec<usize> =
                (0..12).filter(|&key| !done.cover(assembler.grid.region(at(key), [1; 3]))).collect();
            for n in (1..open.len()).rev() {
                open.swap(n, below(n + 1));
            }
            if run == 4 {
                open.iter().for_each(|&key| {
                    assembler.put(&site, KEY, 0, at(key), content(at(key))).unwrap();
                });
                assembler.finish(&site).unwrap();
                break;
            }
            let (puts, lost) = (below(open.len() + 1), below(4));
            killed(&site, &assembler, &notes, &open[..puts], lost);
            // What was made safe is all that the next run knows.
            journals.push((notes.writer.clone(), lock(&notes.recorded).clone()));
        }
        let left: Vec<_> = fs::read_dir(dir.path().join("c/1/0")).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(fs::read(dir.path().join(KEY)).unwrap(), expected, "round {round}: {left:?}");
    }
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
    let (path, site) = (dir.path().join("c/0/0/0"), site(dir.path()));
    let grid = ShardGrid { level: 0, shape: [1, 1, 2], chunk: [1; 3], per_shard: [1, 1, 2] };
    let assembler = Assembler::new(grid, 100, NoLedger::shared());
    assembler.put(&site, "c/0/0/0", 0, [0, 0, 1], Vec::new()).unwrap();
    assert!(assembler.put(&site, "c/0/0/0", 0, [0, 0, 1], Vec::new()).is_err());
    assert_eq!(assembler.put(&site, "c/0/0/0", 0, [0, 0, 0], Vec::new()).unwrap(), 0);
    assert!(!path.exists());
    assembler.finish(&site).unwrap();
}
