//! Colour components as volumes of an axis of their own, for targets that have no compound voxels.

use crate::{
    block::BlockMut,
    error::Result,
    io::Source,
    layout::{Access, Axis, Layout, stream_unit},
    voxel::Voxel,
};

/// Raw bytes of one chunk of a source that has none of its own.
const CHUNK_BYTES: u64 = 512 << 10;

/// A source whose components have become a last outer axis `c`, stored together: decoded once for all of them.
pub struct Components<T> {
    source: Box<dyn Source<T>>,
    layout: Layout,
}

impl<T: Voxel> Components<T> {
    /// The components of `source` as volumes.
    pub fn new(source: Box<dyn Source<T>>) -> Components<T> {
        let mut layout = source.layout().clone();
        let len = layout.components as u64;
        layout.outer.axes.push(Axis { name: "c".into(), len, step: 1.0, start: 0.0, unit: None });
        layout.outer.chunk.push(len);
        if layout.access == Access::Random {
            layout.access = Access::Chunked;
            layout.chunk = stream_unit(layout.grid.shape, len * layout.stored.bytes() as u64, CHUNK_BYTES);
        }
        layout.components = 1;
        Components { source, layout }
    }
}

impl<T: Voxel> Source<T> for Components<T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        // The group is the voxel's own volume; its members are the components, stacked in the same order.
        self.source.read(group, into)
    }

    fn missing_chunks(&self) -> u64 {
        self.source.missing_chunks()
    }

    fn hidden_keys(&self) -> u64 {
        self.source.hidden_keys()
    }
}
