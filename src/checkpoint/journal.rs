//! Journals: each run records what it has stored and what survives a crash of the machine.
//!
//! In a folder a journal is one file that grows. In an object store each checkpoint is a small object. Entries stay in
//! memory until the data they describe is safe: [`Journal::take`] before the sync, [`Journal::keep`] after it. When a
//! journal is full, workers write it before they store more.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    ops::ControlFlow,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use super::{record, spent::without_spent};
use crate::{
    checkpoint::ledger::{Entry, Ledger, Restored},
    error::{Error, Result},
    storage::{Part, Store, StoreError, nfs},
};

const PREFIX: &str = "journal-";
/// Bytes of a journal that are read at once.
const READ_BYTES: u64 = 1 << 20;
/// Entries in memory, some 100 bytes each, from which on needless ones are dropped; where half of them stay, the journal is full.
const MOST_ENTRIES: usize = 8 << 10;
/// Text of entries that is written at once.
const TEXT_BYTES: usize = 64 << 10;

/// The journal of this run.
#[derive(Debug)]
pub struct Journal {
    writer: String,
    state: Arc<dyn Store>,
    /// Entries that are not on record yet.
    pending: Mutex<Pending>,
    full: AtomicBool,
    record: Mutex<Record>,
}

#[derive(Debug)]
struct Pending {
    entries: Vec<Entry>,
    /// How many there may be before needless ones are dropped again.
    room: usize,
}

impl Default for Pending {
    fn default() -> Pending {
        Pending { entries: Vec::new(), room: MOST_ENTRIES }
    }
}

#[derive(Debug, Default)]
struct Record {
    file: Option<File>,
    /// Objects written so far.
    objects: u64,
}

impl Journal {
    /// A journal of `writer` in the folder or store of the state; nothing is created before there is something to keep.
    pub fn new(state: Arc<dyn Store>, writer: &str) -> Journal {
        let (pending, full, record) = (Mutex::default(), AtomicBool::new(false), Mutex::default());
        Journal { writer: writer.into(), state, pending, full, record }
    }

    /// The entries noted so far, which are then no longer kept in memory. The data that they speak of is to be made safe, and then
    /// the entries handed to [`Journal::keep`].
    pub fn take(&self) -> Vec<Entry> {
        let pending = std::mem::take(&mut *self.pending());
        self.full.store(false, Ordering::Relaxed);
        pending.entries
    }

    /// Whether so many entries wait in memory that they should be kept before anything more is stored.
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts entries on record.
    pub fn keep(&self, entries: &[Entry]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let (action, key) = ("write", format!("{PREFIX}{}", self.writer));
        if self.state.folder().is_some() {
            let path = self.state.describe(&key);
            if record.file.is_none() {
                let opened = nfs::unlinked().append(true).create(true).open(&path);
                record.file = Some(opened.map_err(Error::io("create", &path))?);
            }
            let Some(file) = &mut record.file else { return Ok(()) };
            return append(file, entries).and_then(|()| file.sync_data()).map_err(Error::io(action, &path));
        }
        let text: String = entries.iter().map(record::line).collect();
        let key = format!("{key}-{:06}", record.objects);
        self.state.put(&key, text.into_bytes()).map_err(|e| e.at(action, self.state.describe(&key)))?;
        record.objects += 1;
        Ok(())
    }
}

impl Ledger for Journal {
    fn note(&self, entry: Entry) {
        let mut pending = self.pending();
        pending.entries.push(entry);
        if pending.entries.len() >= pending.room {
            pending.entries = without_spent(std::mem::take(&mut pending.entries));
            pending.room = (2 * pending.entries.len()).max(MOST_ENTRIES);
            self.full.store(pending.room > MOST_ENTRIES, Ordering::Relaxed);
        }
    }

    fn record(&self) -> Result<()> {
        self.keep(&self.take())
    }

    fn writer(&self) -> &str {
        &self.writer
    }
}

/// Writes a line for each entry behind what is there.
fn append(file: &mut File, entries: &[Entry]) -> std::io::Result<()> {
    // A line that an earlier attempt has left unfinished ends here.
    let mut text = String::from("\n");
    for entry in entries {
        text.push_str(&record::line(entry));
        if text.len() >= TEXT_BYTES {
            file.write_all(text.as_bytes())?;
            text.clear();
        }
    }
    file.write_all(text.as_bytes())
}

/// What all journals in the folder or store say.
pub fn restore(state: &dyn Store) -> Result<Restored> {
    restore_if(state, &mut |_| true)
}

/// An entry of a journal.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    pub writer: &'a str,
    /// When the last line of the journal was written, where that is known.
    pub written: Option<SystemTime>,
    pub entry: &'a Entry,
}

/// The same, of those entries for which `holds`: what they speak of is there.
pub fn restore_if(state: &dyn Store, holds: &mut dyn FnMut(Said<'_>) -> bool) -> Result<Restored> {
    let mut writers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let listed = state.list_top(&mut |key, _| {
        if let Some(name) = key.strip_prefix(PREFIX).filter(|name| is_writer(name)) {
            let writer = if state.folder().is_some() { name } else { name.rsplit_once('-').map_or(name, |(w, _)| w) };
            writers.entry(writer.to_string()).or_default().push(key.to_string());
        }
        ControlFlow::Continue(())
    });
    listed.map_err(|e| e.at("list", state.describe("")))?;
    let mut restored = Restored::default();
    for (writer, mut keys) in writers {
        keys.sort();
        for key in keys {
            let written = state.modified(&key).map_err(|e| e.at("look at", state.describe(&key)))?;
            let read = lines(state, &key, &mut |line| {
                let holds = |entry: &Entry| holds(Said { writer: &writer, written, entry });
                if let Some(entry) = record::parse(line).filter(holds) {
                    restored.add(&writer, entry);
                }
            });
            read.map_err(|e| e.at("read", state.describe(&key)))?;
        }
    }
    restored.drop_finished_shards();
    Ok(restored)
}

/// Names of writers become parts of names of files.
fn is_writer(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && !name.ends_with(".part")
}

/// Calls `each` with every line, a piece of the file at a time.
fn lines(state: &dyn Store, key: &str, each: &mut dyn FnMut(&str)) -> Result<(), StoreError> {
    let total = state.size(key)?.unwrap_or(0);
    let (mut offset, mut rest) = (0, Vec::new());
    while offset < total {
        let len = READ_BYTES.min(total - offset);
        let Some(piece) = state.get_part(key, Part::Range { offset, len })? else { return Ok(()) };
        offset += len;
        rest.extend_from_slice(&piece.bytes);
        let Some(end) = rest.iter().rposition(|&byte| byte == b'\n') else {
            // No line of ours is that long.
            rest.truncate(READ_BYTES as usize);
            continue;
        };
        rest[..end].split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()).for_each(&mut *each);
        rest.drain(..=end);
    }
    std::str::from_utf8(&rest).into_iter().for_each(each);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{region::Region, storage::DirStore};

    fn entry(n: i64) -> Entry {
        let region = Region::new([n, 0, 0], [n + 1, 4, 4]);
        Entry::Region { level: 0, volume: 0, region, empty_chunks: 1, stamp: None }
    }

    fn kept(journal: &Journal, entries: std::ops::Range<i64>) {
        entries.map(entry).for_each(|entry| journal.note(entry));
        journal.keep(&journal.take()).unwrap();
        assert!(journal.take().is_empty());
    }

    #[test]
    fn what_is_kept_is_restored_up_to_a_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        let state: Arc<dyn Store> = Arc::new(DirStore::new(dir.path()));
        let (a, b) = (Journal::new(state.clone(), "a-1"), Journal::new(state.clone(), "b-2"));
        kept(&a, 0..3);
        kept(&b, 2..4);
        kept(&a, 4..5);
        let restored = restore(state.as_ref()).unwrap();
        assert_eq!((restored.voxels(0), restored.levels[&0].empty_chunks), (5 * 16, 5));

        // Every way of tearing the journal leaves the lines before.
        let path = dir.path().join("journal-a-1");
        let whole = fs::read(&path).unwrap();
        fs::remove_file(dir.path().join("journal-b-2")).unwrap();
        let mut last = u64::MAX;
        for len in (0..=whole.len()).rev() {
            fs::write(&path, &whole[..len]).unwrap();
            let voxels = restore(state.as_ref()).unwrap().voxels(0);
            assert!(voxels <= last.min(4 * 16) && voxels.is_multiple_of(16), "{len}");
            last = voxels;
        }
        // Going on behind a torn line loses nothing of what follows.
        fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        kept(&Journal::new(state.clone(), "a-1"), 7..9);
        assert_eq!(restore(state.as_ref()).unwrap().voxels(0), 5 * 16);
    }

    /// A raw target of planes of one voxel once held a million entries before it kept the first.
    #[test]
    fn a_journal_of_many_entries_is_full_until_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::new(Arc::new(DirStore::new(dir.path())), "a");
        for round in 0..3 {
            let first = round * MOST_ENTRIES as i64;
            (0..MOST_ENTRIES as i64 - 1).map(|n| entry(first + n)).for_each(|entry| journal.note(entry));
            assert!(!journal.is_full());
            journal.note(entry(first + MOST_ENTRIES as i64 - 1));
            assert!(journal.is_full() && journal.pending().entries.len() == MOST_ENTRIES);
            journal.keep(&journal.take()).unwrap();
            assert!(!journal.is_full());
        }
        let restored = restore(&DirStore::new(dir.path())).unwrap();
        assert_eq!(restored.voxels(0), 3 * MOST_ENTRIES as u64 * 16);
    }

    #[test]
    fn what_is_not_text_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let state: Arc<dyn Store> = Arc::new(DirStore::new(dir.path()));
        kept(&Journal::new(state.clone(), "a"), 0..2);
        let mut bytes = vec![0xff; 3 << 20];
        bytes.push(b'\n');
        bytes.extend(fs::read(dir.path().join("journal-a")).unwrap());
        fs::write(dir.path().join("journal-b"), bytes).unwrap();
        assert_eq!(restore(state.as_ref()).unwrap().voxels(0), 2 * 16);
    }
}
