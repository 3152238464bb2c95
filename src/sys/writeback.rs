//! Keeps the page cache of written files small.
//!
//! A memory cgroup is charged for the pages of files that its processes write. Clean pages cost nothing to reclaim; dirty
//! pages make a process wait for the disk at its limit, or end it. So written data is sent to the disk every few MiB, and
//! under a small limit it is waited for and dropped a step later. Nothing here can fail a run: if the kernel or the file
//! system does not take the advice, the pages stay.

use std::{
    collections::VecDeque,
    fs::File,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{drop_range, limits, wait_and_drop, write_back};

/// Bytes of one file between two steps.
const STEP_BYTES: u64 = 8 << 20;
/// Whole files that wait to be dropped, at most.
const FILES: usize = 32;
/// Under a larger limit what is written stays in the cache, for whoever reads it next.
const SMALL_BYTES: u64 = 4 << 30;

/// How far the write-back of one file has come. Any thread may write, in any order.
#[derive(Debug, Default)]
pub struct Behind {
    written: AtomicU64,
}

impl Behind {
    /// To be told of each write, after it.
    pub fn wrote(&self, file: &File, bytes: u64) {
        let before = self.written.fetch_add(bytes, Ordering::Relaxed);
        appended(file, before, bytes);
    }
}

/// Of a file that is only appended to: `bytes` were written at `offset`.
pub fn appended(file: &File, offset: u64, bytes: u64) {
    if offset / STEP_BYTES != offset.saturating_add(bytes) / STEP_BYTES {
        step(file);
    }
}

/// Waits for what the step before began, where that is worth it, and begins to write back the rest.
fn step(file: &File) {
    if is_tight() {
        wait_and_drop(file);
    }
    write_back(file);
}

/// Whole files on their way to the disk, oldest first.
static CLOSED: Mutex<VecDeque<(File, u64)>> = Mutex::new(VecDeque::new());

/// Of a file that is complete; all but the last 8 MiB of a larger one are on the disk.
pub fn closed(file: File, bytes: u64) {
    if !is_tight() {
        return;
    }
    write_back(&file);
    let mut queue = CLOSED.lock().unwrap_or_else(PoisonError::into_inner);
    queue.push_back((file, bytes.min(STEP_BYTES)));
    let mut waiting: u64 = queue.iter().map(|(_, bytes)| bytes).sum();
    let mut done = Vec::new();
    while waiting > STEP_BYTES || queue.len() > FILES {
        let Some((file, bytes)) = queue.pop_front() else { break };
        waiting -= bytes;
        done.push(file);
    }
    drop(queue);
    done.iter().for_each(wait_and_drop);
}

/// Closes the files that [`closed`] holds on to.
pub fn settle() {
    CLOSED.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// Bytes of a large file that stay in the cache after they were read, for whoever reads them again as a neighbour's halo.
const KEPT_BYTES: u64 = 16 << 20;
/// Shorter reads share pages with others that are still to come: all of them are dropped together, and seldom.
const LONG_BYTES: u64 = 64 << 10;
/// Bytes in pages between two such drops: the part of the memory there is, and the least.
const SELDOM: (u64, u64) = (16, 256 << 20);
const PAGE_BYTES: u64 = 4096;

/// Drops what was read of one file, a while later. Any thread may read, anywhere.
///
/// A file that is larger than half of the memory there is would push everything else out of the cache and be gone from it
/// before its end. Fresh pages for all of it also cost more than used ones: 8 GiB of holes, read in parts of 1 MiB, 2.4 s against
/// 0.7 s, and 19.7 s in a virtual machine that had to ask its host for each page.
#[derive(Debug)]
pub struct PassingThrough {
    recent: Mutex<Recent>,
    seldom_bytes: u64,
    short_bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct Recent {
    ranges: VecDeque<(u64, u64)>,
    bytes: u64,
}

impl PassingThrough {
    /// For a file of so many bytes; none for one that may stay.
    pub fn of(file_bytes: u64) -> Option<PassingThrough> {
        let cache_bytes = limits::cache_bytes();
        let seldom_bytes = (cache_bytes / SELDOM.0).max(SELDOM.1);
        let passing = PassingThrough { recent: Mutex::default(), seldom_bytes, short_bytes: AtomicU64::new(0) };
        (file_bytes > cache_bytes / 2).then_some(passing)
    }

    /// To be told of each read, after it.
    pub fn read(&self, file: &File, offset: u64, bytes: u64) {
        if bytes < LONG_BYTES {
            let pages_bytes = bytes.next_multiple_of(PAGE_BYTES);
            let before = self.short_bytes.fetch_add(pages_bytes, Ordering::Relaxed);
            if before / self.seldom_bytes != (before + pages_bytes) / self.seldom_bytes {
                drop_range(file, 0, 0);
            }
            return;
        }
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.ranges.push_back((offset, bytes));
        recent.bytes += bytes;
        while recent.bytes > KEPT_BYTES {
            let Some((offset, bytes)) = recent.ranges.pop_front() else { break };
            recent.bytes -= bytes;
            drop_range(file, offset, bytes);
        }
    }
}

/// Whether a memory cgroup with a small limit is charged for the cache.
fn is_tight() -> bool {
    static TIGHT: OnceLock<bool> = OnceLock::new();
    *TIGHT.get_or_init(|| limits::own_cgroup_memory().is_some_and(|limit| limit.bytes < SMALL_BYTES))
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::fs::FileExt};

    use super::*;

    #[test]
    fn only_the_last_reads_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, [7]).unwrap();
        let (file, passing) = (File::open(&path).unwrap(), PassingThrough::of(u64::MAX).unwrap());
        for n in 0..100 {
            passing.read(&file, n << 20, 1 << 20);
            passing.read(&file, n << 20, 1 << 10);
        }
        let recent = passing.recent.lock().unwrap();
        assert_eq!((recent.bytes, recent.ranges.len()), (KEPT_BYTES, 16));
        assert_eq!(recent.ranges.back(), Some(&(99 << 20, 1 << 20)));
        assert_eq!(passing.short_bytes.load(Ordering::Relaxed), 100 * PAGE_BYTES);
        assert!(PassingThrough::of(1 << 20).is_none());
    }

    #[test]
    fn what_is_written_stays_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let file = File::create_new(&path).unwrap();
        let (behind, part) = (Behind::default(), vec![7u8; 3 << 20]);
        for n in (0..7u64).rev() {
            file.write_all_at(&part, n * part.len() as u64).unwrap();
            behind.wrote(&file, part.len() as u64);
            wait_and_drop(&file);
        }
        let small = dir.path().join("small");
        for n in 0..100 {
            let mut file = File::create(&small).unwrap();
            file.write_all(&[n]).unwrap();
            closed(file, 1);
        }
        assert!(CLOSED.lock().unwrap().len() <= FILES);
        settle();
        assert_eq!(std::fs::read(&path).unwrap(), vec![7; 21 << 20]);
        assert_eq!(std::fs::read(&small).unwrap(), [99]);
    }
}
