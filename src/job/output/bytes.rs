//! How large a target is before compression, and of how many files.

use super::{Format, Output, Recipe};
use crate::{
    geometry::Grid,
    io::zarr::file_count,
    job::{disk::RawBytes, size::stored_raw_bytes},
    layout::Layout,
};

impl Output {
    /// Bytes before compression, with the header: of the finest level, and of each coarser one.
    pub fn raw_bytes(&self) -> (RawBytes, Vec<RawBytes>) {
        let header = match &self.recipe {
            Recipe::Nifti { prefix, .. } => prefix.len() as u64,
            Recipe::Zarr(_) => 0,
        };
        let coarser = |grid: &Grid| stored_raw_bytes(&Layout { grid: grid.clone(), ..self.layout.clone() });
        let levels = self.pyramid.iter().flat_map(|pyramid| &pyramid.target.levels.coarser).map(coarser);
        let header = RawBytes { voxels: header, ..RawBytes::default() };
        (stored_raw_bytes(&self.layout) + header, levels.collect())
    }

    /// Files with voxels, of all levels.
    pub fn files(&self) -> u64 {
        let object = self.layout.shard.unwrap_or(self.layout.chunk);
        let of_level = |shape: [u64; 3]| file_count(shape, self.layout.outer.volumes(), object);
        let coarser = self.pyramid.iter().flat_map(|pyramid| &pyramid.target.levels.coarser);
        match self.format {
            Format::Zarr => coarser.map(|grid| grid.shape).chain([self.layout.grid.shape]).map(of_level).sum(),
            Format::Pair => 2,
            Format::Nifti | Format::NiftiGz | Format::Tiff => 1,
        }
    }
}
