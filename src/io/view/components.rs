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
        let len = source.layout().components as u64;
        Components::along(source, Axis { name: "c".into(), len, step: 1.0, start: 0.0, unit: None })
    }

    /// The same along an axis of the file, whose indices stand together voxel by voxel.
    pub fn along(source: Box<dyn Source<T>>, axis: Axis) -> Components<T> {
        let layout = apart(source.layout().clone(), axis);
        Components { source, layout }
    }
}

/// A layout whose components have become this axis, the last outer one.
pub fn apart(mut layout: Layout, axis: Axis) -> Layout {
    let len = axis.len;
    layout.outer.axes.push(axis);
    layout.outer.chunk.push(len);
    if layout.access == Access::Random {
        layout.access = Access::Chunked;
        let voxel_bytes = len.saturating_mul(layout.stored.bytes() as u64);
        layout.chunk = stream_unit(layout.grid.shape, voxel_bytes, CHUNK_BYTES);
    }
    layout.components = 1;
    layout
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
