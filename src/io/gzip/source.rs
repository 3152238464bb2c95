//! A volume in a gzip stream: runs of raw bytes in ascending order.

use std::{
    marker::PhantomData,
    path::Path,
    sync::{Mutex, PoisonError},
};

use super::inflate::{Inflate, STATE_BYTES, Start};
use crate::{
    block::BlockMut,
    error::{Error, Result},
    io::{Source, packed::Packed},
    layout::{Access, Layout, stream_unit},
    storage::Forward,
    voxel::Voxel,
};

/// Raw bytes of one unit of reading, about; larger for large volumes, so that there are some ten thousand at most.
const UNIT_BYTES: std::ops::RangeInclusive<u64> = 512 << 10..=4 << 20;

/// A volume read forward from a gzip file.
#[derive(Debug)]
pub struct GzipSource<T> {
    layout: Layout,
    packed: Packed,
    state: Mutex<State>,
    voxel: PhantomData<T>,
}

#[derive(Debug)]
struct State {
    stream: Inflate,
    bytes: Vec<u8>,
}

impl<T: Voxel> GzipSource<T> {
    /// Opens the stream. The layout's access, chunk and memory are set to those of this reader.
    pub fn open(path: &Path, layout: Layout, packed: Packed) -> Result<GzipSource<T>> {
        GzipSource::open_at(path, Start::FILE, layout, packed)
    }

    /// The same for a stream that begins somewhere in the file.
    pub fn open_at(path: &Path, start: Start, layout: Layout, packed: Packed) -> Result<GzipSource<T>> {
        Ok(GzipSource::of(path, Forward::local(path, start.at)?, start, layout, packed))
    }

    /// The same for a file that is read from the stream's beginning on; `path` is for messages.
    pub fn of(path: &Path, file: Forward, start: Start, mut layout: Layout, packed: Packed) -> GzipSource<T> {
        layout.access = Access::Ascending;
        let volume_bytes = layout.grid.voxels().saturating_mul(packed.voxel_bytes());
        let unit_bytes = (volume_bytes >> 13).clamp(*UNIT_BYTES.start(), *UNIT_BYTES.end());
        layout.chunk = stream_unit(layout.grid.shape, packed.voxel_bytes(), unit_bytes);
        layout.transfer_bytes = 0;
        layout.resident_bytes =
            STATE_BYTES + file.memory_bytes() + layout.chunk.iter().product::<u64>() * packed.voxel_bytes();
        let state = Mutex::new(State { stream: Inflate::new(path, file, start), bytes: Vec::new() });
        GzipSource { layout, packed, state, voxel: PhantomData }
    }
}

impl<T: Voxel> Source<T> for GzipSource<T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, mut into: BlockMut<'_, T>) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { stream, bytes } = &mut *state;
        let mut first = 0;
        for (position, voxels) in self.packed.runs(group, into.region) {
            if position < stream.position() {
                let what =
                    format!("a gzip stream is read forward only: byte {position} is wanted at {}", stream.position());
                return Err(Error::usage(what));
            }
            stream.skip_to(position)?;
            bytes.resize(voxels * self.packed.voxel_bytes() as usize, 0);
            stream.read_exact(bytes)?;
            self.packed.unpack(bytes, &mut into, first);
            first += voxels;
        }
        if stream.position() == self.packed.position(self.layout.outer.volumes(), [0; 3]) {
            stream.check_end()?;
        }
        Ok(())
    }
}
