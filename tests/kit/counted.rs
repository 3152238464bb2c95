//! A source that counts what is asked of it and holds the caller to the rules of its access.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use reslice::{
    block::BlockMut,
    error::Result,
    io::Source,
    layout::{Access, Layout},
    voxel::Voxel,
};

/// Counts reads per chunk; panics when a chunk is not whole or a stream is not read as a stream.
pub(crate) struct Counted<S> {
    inner: S,
    reads: Mutex<HashMap<(u64, [i64; 3]), u64>>,
    buffers: Mutex<HashSet<usize>>,
    last: Mutex<Option<(u64, [i64; 3])>>,
    running: AtomicU64,
}

impl<S> Counted<S> {
    pub(crate) fn new(inner: S) -> Counted<S> {
        Counted {
            inner,
            reads: Mutex::default(),
            buffers: Mutex::default(),
            last: Mutex::default(),
            running: AtomicU64::new(0),
        }
    }

    /// Reads of each chunk that was read at all.
    pub(crate) fn counts(&self) -> Vec<u64> {
        self.reads.lock().unwrap().values().copied().collect()
    }

    /// Different pieces of memory that were handed over to be filled.
    pub(crate) fn buffers(&self) -> u64 {
        self.buffers.lock().unwrap().len() as u64
    }

    fn note<T: Voxel>(&self, layout: &Layout, group: u64, into: &BlockMut<'_, T>) {
        let key = (group, into.region.lo);
        *self.reads.lock().unwrap().entry(key).or_default() += 1;
        if layout.access == Access::Random {
            return;
        }
        self.buffers.lock().unwrap().insert(into.voxels.as_ptr() as usize);
        let at = std::array::from_fn(|a| into.region.lo[a] as u64 / layout.chunk[a]);
        assert_eq!(into.region, layout.chunk_region(at), "not one whole chunk");
        if layout.access == Access::Ascending {
            let mut last = self.last.lock().unwrap();
            assert!(last.is_none_or(|last| last < key), "{key:?} after {last:?}");
            *last = Some(key);
        }
    }
}

impl<T: Voxel, S: Source<T>> Source<T> for Counted<S> {
    fn layout(&self) -> &Layout {
        self.inner.layout()
    }

    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        let layout = self.inner.layout();
        self.note(layout, group, &into);
        let others = self.running.fetch_add(1, Ordering::SeqCst);
        assert!(others == 0 || layout.access != Access::Ascending, "two reads of a stream at a time");
        std::thread::yield_now();
        let result = self.inner.read(group, into);
        self.running.fetch_sub(1, Ordering::SeqCst);
        result
    }
}
