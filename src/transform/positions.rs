//! Reads fields of positions as fields of displacements: each vector minus the position of its voxel.

use crate::{
    block::BlockMut,
    error::Result,
    geometry::Affine,
    io::{Fetched, Source},
    layout::Layout,
    region::Region,
    voxel::{Rounding, Voxel},
};

/// A source of positions as one of displacements. NaN, which says that a voxel looks nowhere, stays NaN.
pub(super) struct Displacements<T> {
    pub inner: Box<dyn Source<T>>,
    /// Index (storage order) to the position (x, y, z) of its voxel, in the field's own numbers.
    pub index_to_position: Affine,
}

impl<T: Voxel> Displacements<T> {
    fn subtract(&self, group: u64, region: Region, voxels: &mut [T]) {
        let width = region.shape()[2];
        let components: Vec<u64> = self.inner.layout().outer.members(group);
        let places =
            components.into_iter().flat_map(|component| region.tiles([1, 1, width]).map(move |row| (component, row)));
        for ((component, row), voxels) in places.zip(voxels.chunks_exact_mut(width.max(1))) {
            let [k, j, i, origin] = self.index_to_position.m[component as usize % 3];
            let [z, y, x] = row.lo.map(|index| index as f64);
            for (n, voxel) in voxels.iter_mut().enumerate() {
                let place = k * z + j * y + i * (x + n as f64) + origin;
                *voxel = T::from_f64(voxel.to_f64() - place, Rounding::Nearest);
            }
        }
    }
}

impl<T: Voxel> Source<T> for Displacements<T> {
    fn layout(&self) -> &Layout {
        self.inner.layout()
    }

    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        let BlockMut { region, volumes, voxels } = into;
        self.inner.read(group, BlockMut { region, volumes, voxels: &mut *voxels })?;
        self.subtract(group, region, voxels);
        Ok(())
    }

    fn fetch(&self, group: u64, region: Region) -> Result<Option<Fetched>> {
        self.inner.fetch(group, region)
    }

    fn read_fetched(&self, fetched: Fetched, into: BlockMut<'_, T>) -> Result<()> {
        let (group, BlockMut { region, volumes, voxels }) = (fetched.group, into);
        self.inner.read_fetched(fetched, BlockMut { region, volumes, voxels: &mut *voxels })?;
        self.subtract(group, region, voxels);
        Ok(())
    }

    fn missing_chunks(&self) -> u64 {
        self.inner.missing_chunks()
    }
}
