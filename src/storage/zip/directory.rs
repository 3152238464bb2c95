//! The entries of an archive, found by name. The directory is held as it stands in the file, with a place for each name.

use std::sync::atomic::{AtomicU32, Ordering};

use bytesize::ByteSize;

use super::{
    end::End,
    entry::{self, Entry, RECORD_BYTES},
};
use crate::{
    error::{Error, Result},
    storage::RangedFile,
    sys,
};

/// The part of a budget that a directory may take, and what it may take at least and at most.
const SHARE: u64 = 4;
const LEAST_BYTES: u64 = 1 << 20;
const MOST_BYTES: u64 = 1 << 30;
/// Bytes that one read asks for at most.
const READ_BYTES: u64 = 8 << 20;
/// Beside each record.
const PLACE_BYTES: u64 = (size_of::<u32>() + size_of::<AtomicU32>()) as u64;

/// The entries of an archive by their names; of several under one name the last, as Python's zipfile has it.
#[derive(Debug)]
pub(super) struct Directory {
    raw: Vec<u8>,
    /// Where records begin in `raw`, in the order of their names.
    order: Vec<u32>,
    /// How many bytes stand before those of each entry, once that was read; 0 until then.
    starts: Vec<AtomicU32>,
    /// Whether an entry is compressed.
    pub has_deflated: bool,
}

impl Directory {
    /// Reads the directory that `end` tells of.
    ///
    /// # Errors
    /// [`Error::Malformed`] for what is no directory, [`Error::Unsupported`] where it takes more than its share of the budget.
    pub(super) fn read(file: &RangedFile, end: End) -> Result<Directory> {
        check_size(file, end)?;
        let malformed = |found: String, expected: String| {
            Error::malformed(file.path(), "directory of the zip archive", found, expected)
        };
        let mut raw = sys::reserve(end.bytes).map_err(|what| malformed(what, "fewer".into()))?;
        while (raw.len() as u64) < end.bytes {
            let done = raw.len() as u64;
            let piece = file.read(end.at + done, READ_BYTES.min(end.bytes - done));
            raw.extend_from_slice(&piece.map_err(|e| e.at("read", file.path()))?);
        }
        let (mut count, mut at, mut has_deflated) = (0u64, 0, false);
        while at < raw.len() {
            let broken =
                || malformed(format!("damaged at entry {count}, byte {}", end.at + at as u64), "entries".into());
            let len = entry::record_len(&raw[at..]).ok_or_else(broken)?;
            let entry = Entry::parse(&raw[at..at + len]).map_err(|what| malformed(what, "a whole entry".into()))?;
            has_deflated |= entry.stored != entry.size;
            at += len;
            count += 1;
        }
        let is_stated = count == end.entries || !end.is_large && count % (1 << 16) == end.entries;
        if !is_stated {
            return Err(malformed(format!("of {count} entries"), format!("the {} that are stated", end.entries)));
        }
        Ok(Directory::sorted(raw, count as usize, has_deflated))
    }

    fn sorted(raw: Vec<u8>, count: usize, has_deflated: bool) -> Directory {
        let (mut order, mut at) = (Vec::with_capacity(count), 0);
        while let Some(len) = entry::record_len(&raw[at..]) {
            order.push(at as u32);
            at += len;
        }
        let name = |&at: &u32| entry::name(&raw[at as usize..]);
        // Of equal names the last in the directory stands first, and stays.
        order.sort_unstable_by(|a, b| name(a).cmp(name(b)).then(b.cmp(a)));
        order.dedup_by(|a, b| name(a) == name(b));
        let starts = order.iter().map(|_| AtomicU32::new(0)).collect();
        Directory { raw, order, starts, has_deflated }
    }

    /// The entry of this name, and its number.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.order.binary_search_by(|&at| self.name_at(at).cmp(name.as_bytes())).ok()
    }

    /// Entry `n`, by name.
    ///
    /// # Errors
    /// None that reading the directory has not told of.
    pub(super) fn entry(&self, n: usize) -> Result<Entry<'_>, String> {
        Entry::parse(&self.raw[self.order[n] as usize..])
    }

    /// Numbers of the entries whose names begin with `prefix`.
    pub(super) fn below(&self, prefix: &str) -> std::ops::Range<usize> {
        let prefix = prefix.as_bytes();
        let start = self.order.partition_point(|&at| self.name_at(at) < prefix);
        let begins = |&at: &u32| self.name_at(at).starts_with(prefix);
        start..start + self.order[start..].partition_point(begins)
    }

    /// The name of entry `n`.
    pub(super) fn name(&self, n: usize) -> &[u8] {
        self.name_at(self.order[n])
    }

    fn name_at(&self, at: u32) -> &[u8] {
        entry::name(&self.raw[at as usize..])
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Bytes before those of entry `n`, if that was read.
    pub(super) fn start(&self, n: usize) -> Option<u64> {
        Some(self.starts[n].load(Ordering::Relaxed)).filter(|&len| len > 0).map(u64::from)
    }

    /// Notes it: 196 KiB at most.
    pub(super) fn note_start(&self, n: usize, len: u64) {
        self.starts[n].store(len as u32, Ordering::Relaxed);
    }
}

fn check_size(file: &RangedFile, end: End) -> Result<()> {
    let most = sys::budget().map_or(MOST_BYTES, |budget| (budget / SHARE).clamp(LEAST_BYTES, MOST_BYTES));
    let places = (end.bytes / RECORD_BYTES as u64).saturating_mul(PLACE_BYTES);
    let bytes = end.bytes.saturating_add(places);
    if bytes <= most {
        return Ok(());
    }
    let way_out = match bytes {
        ..=MOST_BYTES => {
            format!("--memory {}MiB is enough; an image in larger shards takes less", (bytes * SHARE) >> 20)
        }
        _ => "unpack the archive, or write the image in larger shards".into(),
    };
    Err(Error::Unsupported {
        path: file.path().to_path_buf(),
        what: format!(
            "the directory of the zip archive ({} entries) takes up to {}, and {} are left to it",
            end.entries,
            ByteSize(bytes).display().iec(),
            ByteSize(most).display().iec()
        ),
        hint: Some(way_out),
    })
}
