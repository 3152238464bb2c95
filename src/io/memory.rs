//! Volumes in memory: for callers of the library, and the model that tests compare every format with.

use std::sync::{Mutex, PoisonError};

use super::{Encoded, Sink, Source, convert::Lost};
use crate::{
    block::{BlockMut, BlockRef},
    error::Result,
    layout::Layout,
    region::Region,
    voxel::Voxel,
};

/// A volume in memory; voxels in C order `[volume][component][z][y][x]`.
///
/// The layout may claim any access and chunking, so that it can stand in for any format.
#[derive(Clone, Debug)]
pub struct MemorySource<T> {
    layout: Layout,
    voxels: Vec<T>,
}

impl<T: Voxel> MemorySource<T> {
    /// Panics when the number of voxels is not the layout's.
    pub fn new(layout: Layout, voxels: Vec<T>) -> MemorySource<T> {
        assert_eq!(voxels.len() as u64, samples(&layout), "voxels of a memory source");
        MemorySource { layout, voxels }
    }
}

impl<T: Voxel> Source<T> for MemorySource<T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        copy(&self.layout, &self.voxels, group, into);
        Ok(())
    }
}

/// A volume in memory that belongs to somebody else; voxels as in [`MemorySource`].
#[derive(Clone, Debug)]
pub struct SliceSource<'a, T> {
    layout: Layout,
    voxels: &'a [T],
}

impl<'a, T: Voxel> SliceSource<'a, T> {
    /// Panics when the number of voxels is not the layout's.
    pub fn new(layout: Layout, voxels: &'a [T]) -> SliceSource<'a, T> {
        assert_eq!(voxels.len() as u64, samples(&layout), "voxels of a slice");
        SliceSource { layout, voxels }
    }
}

impl<T: Voxel> Source<T> for SliceSource<'_, T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        copy(&self.layout, self.voxels, group, into);
        Ok(())
    }
}

fn samples(layout: &Layout) -> u64 {
    layout.grid.voxels() * layout.outer.volumes() * layout.components as u64
}

fn copy<T: Voxel>(layout: &Layout, voxels: &[T], group: u64, into: BlockMut<'_, T>) {
    let components = layout.components;
    let volumes = layout.outer.volumes() as usize * components;
    let all = BlockRef::new(Region::of_shape(layout.grid.shape), volumes, voxels);
    let len = into.region.voxels() as usize * components;
    for (member, volume) in layout.outer.members(group).into_iter().enumerate() {
        let voxels = &mut into.voxels[member * len..(member + 1) * len];
        BlockMut::new(into.region, components, voxels).copy_from(all, volume as usize * components);
    }
}

/// A volume under construction in memory; voxels in C order `[volume][component][z][y][x]`.
#[derive(Debug)]
pub struct MemorySink<T> {
    layout: Layout,
    voxels: Mutex<Vec<T>>,
}

impl<T: Voxel> MemorySink<T> {
    /// All voxels 0.
    pub fn new(layout: Layout) -> MemorySink<T> {
        let voxels = vec![T::default(); samples(&layout) as usize];
        MemorySink { layout, voxels: Mutex::new(voxels) }
    }

    /// The voxels.
    pub fn into_voxels(self) -> Vec<T> {
        self.voxels.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Voxel> Sink<T> for MemorySink<T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn encode(&self, _outer: u64, unit: Region, block: BlockRef<'_, T>) -> Result<Encoded> {
        let mut voxels = vec![T::default(); unit.voxels() as usize * self.layout.components];
        BlockMut::new(unit, self.layout.components, &mut voxels).copy_from(block, 0);
        let bytes = bytemuck::cast_slice(&voxels).to_vec();
        Ok(Encoded { raw_bytes: bytes.len() as u64, bytes, check: Default::default(), lost: Lost::default() })
    }

    fn put(&self, outer: u64, unit: Region, encoded: Encoded) -> Result<u64> {
        let components = self.layout.components;
        let stored: Vec<T> = encoded.bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect();
        let mut voxels = self.voxels.lock().unwrap_or_else(PoisonError::into_inner);
        let len = self.layout.grid.voxels() as usize * components;
        let volume = &mut voxels[outer as usize * len..(outer as usize + 1) * len];
        BlockMut::new(Region::of_shape(self.layout.grid.shape), components, volume)
            .copy_from(BlockRef::new(unit, components, &stored), 0);
        Ok(encoded.bytes.len() as u64)
    }

    fn finish(&self) -> Result<()> {
        Ok(())
    }
}
