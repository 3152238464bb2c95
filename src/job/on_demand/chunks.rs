//! Decoded chunks that are kept for the next region: those used last, within a number of bytes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
};

use crate::error::Result;

/// Group, and place in the grid of chunks.
pub(super) type Key = (u64, [u64; 3]);

/// A chunk that is decoded once, by the first who needs it; the others wait.
type Cell<T> = Arc<Mutex<Option<Arc<Vec<T>>>>>;

/// The chunks that are kept.
pub(super) struct Chunks<T> {
    room_bytes: u64,
    kept: Mutex<Kept<T>>,
}

struct Kept<T> {
    cells: HashMap<Key, (Cell<T>, u64, u64)>,
    /// Keys by their last use.
    uses: BTreeMap<u64, Key>,
    now: u64,
    bytes: u64,
}

impl<T> Chunks<T> {
    /// Room for so many bytes.
    pub(super) fn new(room_bytes: u64) -> Chunks<T> {
        let kept = Kept { cells: HashMap::new(), uses: BTreeMap::new(), now: 0, bytes: 0 };
        Chunks { room_bytes, kept: Mutex::new(kept) }
    }

    /// The chunk `key` of `bytes`, decoded where it is not kept.
    ///
    /// # Errors
    /// Those of `decode`; the next who asks tries again.
    pub(super) fn get(&self, key: Key, bytes: u64, decode: impl FnOnce() -> Result<Vec<T>>) -> Result<Arc<Vec<T>>> {
        if bytes > self.room_bytes {
            return decode().map(Arc::new);
        }
        let cell = self.lock().cell(key, bytes, self.room_bytes);
        let mut chunk = cell.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(chunk) = chunk.as_ref() {
            return Ok(chunk.clone());
        }
        Ok(chunk.insert(Arc::new(decode()?)).clone())
    }

    /// Whether anybody is at work with them.
    pub(super) fn is_taken(&self) -> bool {
        match self.kept.try_lock() {
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Poisoned(kept)) => kept.into_inner().is_taken(),
            Ok(kept) => kept.is_taken(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Kept<T> {
    fn is_taken(&self) -> bool {
        self.cells.values().any(|(cell, ..)| matches!(cell.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// The cell of a chunk, empty where it is new; those that were not used for longest make room for it.
    fn cell(&mut self, key: Key, bytes: u64, room_bytes: u64) -> Cell<T> {
        self.now += 1;
        if let Some((cell, _, used)) = self.cells.get_mut(&key) {
            self.uses.remove(used);
            self.uses.insert(self.now, key);
            *used = self.now;
            return cell.clone();
        }
        while self.bytes + bytes > room_bytes {
            let Some((_, oldest)) = self.uses.pop_first() else { break };
            self.bytes -= self.cells.remove(&oldest).map_or(0, |(_, bytes, _)| bytes);
        }
        let cell = Cell::default();
        self.cells.insert(key, (cell.clone(), bytes, self.now));
        self.uses.insert(self.now, key);
        self.bytes += bytes;
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn key(n: u64) -> Key {
        (0, [n, 0, 0])
    }

    #[test]
    fn the_ones_used_last_are_kept() {
        let chunks = Chunks::<u8>::new(30);
        let mut decodes = 0;
        let mut get = |n| {
            chunks.get(key(n), 10, || {
                decodes += 1;
                Ok(vec![n as u8; 10])
            })
        };
        for n in [0, 1, 2, 0, 3, 0, 2, 3, 1] {
            assert_eq!(get(n).unwrap()[0], n as u8);
        }
        // 0, 1, 2, then 3 in the place of 1, then 1 again.
        assert_eq!(decodes, 5);
        assert_eq!(chunks.lock().bytes, 30);
        assert!(!chunks.is_taken());
    }

    #[test]
    fn errors_are_not_kept_and_large_chunks_neither() {
        let chunks = Chunks::<u8>::new(30);
        assert!(chunks.get(key(0), 10, || Err(Error::usage("no"))).is_err());
        assert_eq!(*chunks.get(key(0), 10, || Ok(vec![1])).unwrap(), vec![1]);
        assert_eq!(*chunks.get(key(1), 31, || Ok(vec![2])).unwrap(), vec![2]);
        assert_eq!(*chunks.get(key(1), 31, || Ok(vec![3])).unwrap(), vec![3]);
    }

    #[test]
    fn a_chunk_under_way_is_seen() {
        let chunks = Chunks::<u8>::new(30);
        let inside = chunks.get(key(0), 10, || Ok(vec![u8::from(chunks.is_taken())])).unwrap();
        assert_eq!(*inside, vec![1]);
    }
}
