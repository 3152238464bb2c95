//! One entry of a series as a volume of its own: views of a sink, for passes that treat each volume differently. Those of a
//! source are [`crate::io::view`]s.
//!
//! An entry is one index of the outer axes; where the last of them holds the colours of a voxel, an entry has all of those.

use super::View;
use crate::{
    block::BlockRef,
    error::Result,
    io::{Encoded, Sink},
    layout::Layout,
    region::Region,
    voxel::Voxel,
};

/// The layout of one of `entries` equal parts of a series, read or written as voxels of `T`.
///
/// Chunks that span several entries are decoded whole for each, which is counted as memory of a transfer.
pub fn entry_layout<T: Voxel>(series: &Layout, entries: u64) -> Layout {
    View::entry(&series.outer, entries, 0).layout(series, size_of::<T>())
}

/// One entry of a sink. The sink behind is finished with the last entry.
pub struct EntrySink<'a, T> {
    inner: &'a dyn Sink<T>,
    layout: Layout,
    first: u64,
    is_last: bool,
}

impl<'a, T: Voxel> EntrySink<'a, T> {
    /// Entry `n` of `entries`.
    pub fn new(inner: &'a dyn Sink<T>, entries: u64, n: u64) -> EntrySink<'a, T> {
        let layout = entry_layout::<T>(inner.layout(), entries);
        let first = n * (inner.layout().outer.volumes() / entries.max(1));
        EntrySink { inner, layout, first, is_last: n + 1 == entries }
    }
}

impl<T: Voxel> Sink<T> for EntrySink<'_, T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn encode(&self, outer: u64, unit: Region, block: BlockRef<'_, T>) -> Result<Encoded> {
        self.inner.encode(self.first + outer, unit, block)
    }

    fn put(&self, outer: u64, unit: Region, encoded: Encoded) -> Result<u64> {
        self.inner.put(self.first + outer, unit, encoded)
    }

    fn flush(&self) -> Result<()> {
        self.inner.flush()
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    fn settle(&self) -> Result<()> {
        self.inner.settle()
    }

    fn finish(&self) -> Result<()> {
        if self.is_last { self.inner.finish() } else { Ok(()) }
    }
}
