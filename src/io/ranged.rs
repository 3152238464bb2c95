//! Uncompressed voxels behind a URL: runs of planes or rows as chunks, each of them one request.

use std::{marker::PhantomData, sync::Arc};

use super::{Fetched, Source, packed::Packed};
use crate::{
    block::BlockMut,
    error::{Error, Result},
    layout::{Access, Ahead, Layout, stream_unit},
    region::Region,
    storage::RangedFile,
    voxel::Voxel,
};

/// Bytes of one request, about: at 50 ms for an answer, and with as many under way as a store asks for, 300 MB/s.
const REQUEST_BYTES: u64 = 1 << 20;

/// A volume in a file that is read by ranges.
#[derive(Debug)]
pub struct RangedSource<T> {
    file: Arc<RangedFile>,
    layout: Layout,
    packed: Packed,
    voxel: PhantomData<T>,
}

impl<T: Voxel> RangedSource<T> {
    /// The layout's access, chunk and memory are set. That the file is long enough was looked at when its header was read.
    pub fn new(file: Arc<RangedFile>, mut layout: Layout, packed: Packed) -> RangedSource<T> {
        let memory = file.memory();
        layout.access = Access::Chunked;
        layout.chunk = stream_unit(layout.grid.shape, packed.voxel_bytes(), REQUEST_BYTES);
        let voxels = layout.chunk.iter().fold(1u64, |n, &extent| n.saturating_mul(extent));
        let chunk_bytes = voxels.saturating_mul(packed.voxel_bytes()).saturating_add(memory.request_bytes);
        layout.transfer_bytes = chunk_bytes;
        layout.resident_bytes = memory.resident_bytes;
        layout.ahead = Ahead { chunks: file.requests(), chunk_bytes };
        RangedSource { file, layout, packed, voxel: PhantomData }
    }

    fn bytes(&self, group: u64, region: Region) -> Result<Vec<u8>> {
        let mut runs = self.packed.runs(group, region);
        let Some((start, voxels)) = runs.next() else { return Ok(Vec::new()) };
        let end = |(position, voxels): (u64, usize)| position + voxels as u64 * self.packed.voxel_bytes();
        let end = runs.last().map_or(end((start, voxels)), end);
        self.file.read(start, end - start).map_err(|e| e.at("read", self.file.path()))
    }
}

impl<T: Voxel> Source<T> for RangedSource<T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        let stored = Some(self.bytes(group, into.region)?);
        self.read_fetched(Fetched::new(group, into.region, stored), into)
    }

    fn fetch(&self, group: u64, region: Region) -> Result<Option<Fetched>> {
        Ok(Some(Fetched::new(group, region, Some(self.bytes(group, region)?))))
    }

    fn read_fetched(&self, fetched: Fetched, mut into: BlockMut<'_, T>) -> Result<()> {
        let bytes = fetched.stored.unwrap_or_default();
        let (mut first, mut start) = (0, None);
        for (position, voxels) in self.packed.runs(fetched.group, fetched.region) {
            let at = (position - *start.get_or_insert(position)) as usize;
            let run = bytes.get(at..at + voxels * self.packed.voxel_bytes() as usize);
            let run = run.ok_or_else(|| Error::usage("fewer bytes were brought than the region has"))?;
            self.packed.unpack(run, &mut into, first);
            first += voxels;
        }
        Ok(())
    }
}
