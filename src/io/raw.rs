//! Uncompressed voxels in a file: read through a memory map or by position, written by position.
//!
//! Mapped pages count as resident memory, so a read gives them back every few MiB. A fault maps up to 2 MiB: a large folio of the page cache
//! (since Linux 6.18) at a multiple of its size. Mapped memory is counted and given back in such units.
#![allow(unsafe_code, reason = "maps of files")]

use std::{
    fs::{File, OpenOptions},
    io,
    marker::PhantomData,
    os::{
        fd::AsRawFd,
        unix::fs::{FileExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use memmap2::{Mmap, UncheckedAdvice};

use super::{Encoded, Sink, Source, around::Around, packed::Packed};
use crate::{
    block::{BlockMut, BlockRef},
    checkpoint::{
        ledger::{Entry, Ledger, NoLedger},
        stamp::{self, Extent, Stamp},
    },
    error::{Error, Result},
    layout::{Access, Layout},
    region::Region,
    storage::nfs::{self, SteadyFile},
    sys::{
        WatchedMap,
        writeback::{Behind, PassingThrough},
    },
    voxel::Voxel,
};

/// Mapped bytes after which a read gives its pages back: a few units.
const MAPPED_BYTES: u64 = 8 << 20;
/// Bytes that one positioned read asks for at most.
const READ_BYTES: usize = 1 << 20;
/// Bytes between two runs that are read along with them: another call to the kernel costs as much.
const GAP_BYTES: u64 = 4 << 10;
/// Runs that one positioned read brings at most: each is noted in 16 bytes.
const MOST_RUNS: usize = 4 << 10;
/// What one positioned read takes.
pub const READ_TRANSFER_BYTES: u64 = (READ_BYTES + 2 * MOST_RUNS * size_of::<(u64, usize)>()) as u64;
/// What one fault maps at most, at a multiple of it in the file: the largest folio.
const FAULT_BYTES: u64 = 2 << 20;

/// How a raw file is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawAccess {
    Map,
    Position,
}

/// An uncompressed volume in a file.
#[derive(Debug)]
pub struct RawSource<T> {
    path: PathBuf,
    layout: Layout,
    packed: Packed,
    file: SteadyFile,
    map: Option<Map>,
    passing: Option<PassingThrough>,
    voxel: PhantomData<T>,
}

/// A mapped file, and who tells when it becomes shorter.
#[derive(Debug)]
struct Map {
    _watched: WatchedMap,
    bytes: Mmap,
    file: File,
}

impl Map {
    /// Maps a file; `None` where there are so many maps that this one could not be watched.
    fn new(path: &Path, file: &SteadyFile) -> Result<Option<Map>> {
        let file = file.with(File::try_clone).map_err(Error::io("map", path))?;
        // SAFETY: the map is only read, and only through copies. Where the file shrinks under it, the watch ends the process with
        // a message, and what was read before is held against the file's length.
        let bytes = unsafe { Mmap::map(&file) }.map_err(Error::io("map", path))?;
        let watched = WatchedMap::new(path, file.as_raw_fd(), bytes.as_ptr() as usize, bytes.len());
        Ok(watched.map(|_watched| Map { _watched, bytes, file }))
    }
}

impl<T: Voxel> RawSource<T> {
    /// Opens the volume; `layout.transfer_bytes` is set to what one read takes.
    ///
    /// # Errors
    /// A file that is too short for its voxels is refused with both lengths.
    pub fn open(path: &Path, mut layout: Layout, packed: Packed, access: RawAccess) -> Result<RawSource<T>> {
        let file = SteadyFile::open(path).map_err(Error::io("open", path))?;
        let len = file.bytes();
        let end = packed.position(layout.outer.volumes(), [0; 3]);
        if len < end {
            return Err(Error::malformed(path, "file length", format!("{len} bytes"), format!("at least {end} bytes")));
        }
        layout.transfer_bytes = match access {
            RawAccess::Map => MAPPED_BYTES + 2 * FAULT_BYTES,
            RawAccess::Position => READ_TRANSFER_BYTES,
        };
        let map = match access {
            RawAccess::Map => Map::new(path, &file)?,
            RawAccess::Position => None,
        };
        let (path, passing) = (path.to_path_buf(), PassingThrough::of(len));
        Ok(RawSource { path, layout, packed, file, map, passing, voxel: PhantomData })
    }

    fn read_mapped(&self, map: &Map, volume: u64, into: &mut BlockMut<'_, T>) -> io::Result<()> {
        let mut window = MappedWindow::new(&map.bytes);
        let mut first = 0;
        // Runs are cut so that one of them never maps more than the window.
        let most = (MAPPED_BYTES / self.packed.voxel_bytes()).max(1) as usize;
        for (position, voxels) in self.packed.runs(volume, into.region) {
            for part in (0..voxels).step_by(most) {
                let n = most.min(voxels - part);
                let start = position + part as u64 * self.packed.voxel_bytes();
                let bytes = window.touch(start, n as u64 * self.packed.voxel_bytes());
                self.packed.unpack(bytes, into, first);
                first += n;
            }
        }
        // What lies in the last page of a file that was cut reads as 0, without any signal.
        if map.file.metadata()?.len() < map.bytes.len() as u64 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was read"));
        }
        Ok(())
    }

    fn read_positioned(&self, volume: u64, into: &mut BlockMut<'_, T>) -> io::Result<()> {
        let voxel_bytes = self.packed.voxel_bytes();
        let (mut bytes, mut first) = (Vec::new(), 0);
        for span in spans(self.packed.runs(volume, into.region), voxel_bytes) {
            let (start, end) = (span[0].0, span.last().map_or(0, |(at, voxels)| at + *voxels as u64 * voxel_bytes));
            let len = (end - start) as usize;
            bytes.resize(len.max(bytes.len()), 0);
            self.file.read_exact_at(&mut bytes[..len], start)?;
            if let Some(passing) = &self.passing {
                self.file.with(|file| {
                    passing.read(file, start, len as u64);
                    Ok(())
                })?;
            }
            for (position, voxels) in span {
                let run = &bytes[(position - start) as usize..][..voxels * voxel_bytes as usize];
                self.packed.unpack(run, into, first);
                first += voxels;
            }
        }
        Ok(())
    }
}

/// Runs of voxels (position, voxels), put together to what one positioned read takes: neighbours with little between them.
fn spans(runs: impl Iterator<Item = (u64, usize)>, voxel_bytes: u64) -> impl Iterator<Item = Vec<(u64, usize)>> {
    let most = (READ_BYTES / voxel_bytes as usize).max(1);
    let part = move |position: u64, voxels: usize, first: usize| {
        (position + first as u64 * voxel_bytes, most.min(voxels - first))
    };
    let parts = runs.flat_map(move |(at, voxels)| (0..voxels).step_by(most).map(move |first| part(at, voxels, first)));
    let mut parts = parts.peekable();
    std::iter::from_fn(move || {
        let (start, voxels) = parts.next()?;
        let mut end = start + voxels as u64 * voxel_bytes;
        let mut span = vec![(start, voxels)];
        let follows = |end: u64, position: u64, voxels: usize| {
            let close = position >= end && position - end <= GAP_BYTES;
            close && position + voxels as u64 * voxel_bytes - start <= READ_BYTES as u64
        };
        while span.len() < MOST_RUNS
            && let Some((position, voxels)) = parts.next_if(|&(position, voxels)| follows(end, position, voxels))
        {
            end = position + voxels as u64 * voxel_bytes;
            span.push((position, voxels));
        }
        Some(span)
    })
}

impl<T: Voxel> Source<T> for RawSource<T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, mut into: BlockMut<'_, T>) -> Result<()> {
        let read = match &self.map {
            Some(map) => self.read_mapped(map, group, &mut into),
            None => self.read_positioned(group, &mut into),
        };
        read.map_err(Error::io("read", &self.path))
    }
}

/// The part of a map that one read has touched; gives its pages back when it has grown, and at the end.
struct MappedWindow<'a> {
    map: &'a Mmap,
    start: u64,
    end: u64,
    touched: u64,
}

impl<'a> MappedWindow<'a> {
    fn new(map: &'a Mmap) -> Self {
        MappedWindow { map, start: 0, end: 0, touched: 0 }
    }

    /// The bytes `start..start + len`; positions ascend from call to call.
    fn touch(&mut self, start: u64, len: u64) -> &'a [u8] {
        let (lo, hi) = (start / FAULT_BYTES * FAULT_BYTES, (start + len).next_multiple_of(FAULT_BYTES));
        if self.touched + (hi - lo) > MAPPED_BYTES + FAULT_BYTES {
            self.give_back();
        }
        if self.touched == 0 {
            self.start = lo;
            self.end = lo;
        }
        self.touched += hi - lo.max(self.end).min(hi);
        self.end = self.end.max(hi);
        &self.map[start as usize..(start + len) as usize]
    }

    fn give_back(&mut self) {
        let (start, end) = (self.start as usize, (self.end as usize).min(self.map.len()));
        if self.touched > 0 && start < end {
            // SAFETY: the map is read-only and file-backed: pages given back are read again from the file.
            // Advice that the kernel does not take costs memory, not correctness.
            let _ = unsafe { self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start) };
        }
        self.touched = 0;
    }
}

impl Drop for MappedWindow<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// An uncompressed volume under construction.
#[derive(Debug)]
pub struct RawSink<T> {
    path: PathBuf,
    layout: Layout,
    packed: Packed,
    file: File,
    ledger: Arc<dyn Ledger>,
    behind: Behind,
    voxel: PhantomData<T>,
}

/// Shorter runs share pages with others that are still to come: those are left to the kernel.
const BEHIND_BYTES: usize = 64 << 10;

/// Rows are written in parts of at least this many voxels.
const ROW_UNIT: u64 = 64;

/// The layout of a raw target of this shape: any region can be written, whole rows best.
pub fn target_layout(mut layout: Layout) -> Layout {
    layout.access = Access::Random;
    layout.chunk = [1, 1, layout.grid.shape[2].min(ROW_UNIT)];
    layout.shard = None;
    layout.transfer_bytes = 0;
    layout.resident_bytes = 0;
    layout
}

impl<T: Voxel> RawSink<T> {
    /// Creates the file at its full length with what stands around the voxels, for whom `mode` allows and the umask leaves it to;
    /// `packed.offset` is that of `around`. `layout` is that of [`target_layout`].
    pub fn create_for(path: &Path, layout: Layout, packed: Packed, around: &Around, mode: u32) -> Result<RawSink<T>> {
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
        RawSink::extended(path, file.map_err(Error::io("create", path))?, layout, packed, around, NoLedger::shared())
    }

    /// The same for a file that others may have created, and have written to: each writes the same header.
    pub fn join(
        path: &Path,
        layout: Layout,
        packed: Packed,
        around: &Around,
        ledger: Arc<dyn Ledger>,
    ) -> Result<RawSink<T>> {
        let opened = nfs::unlinked().write(true).create(true).truncate(false).open(path);
        RawSink::extended(path, opened.map_err(Error::io("create", path))?, layout, packed, around, ledger)
    }

    fn extended(
        path: &Path,
        file: File,
        layout: Layout,
        packed: Packed,
        around: &Around,
        ledger: Arc<dyn Ledger>,
    ) -> Result<RawSink<T>> {
        let end = packed.position(layout.outer.volumes(), [0; 3]);
        let write = |bytes: &[u8], at| file.write_all_at(bytes, at).map_err(Error::io("write", path));
        write(&around.head, 0)?;
        write(&around.lead, around.head.len() as u64)?;
        file.set_len(end.saturating_add(around.tail.len() as u64)).map_err(Error::io("extend", path))?;
        write(&around.tail, end)?;
        let (path, behind) = (path.to_path_buf(), Behind::default());
        Ok(RawSink { path, layout, packed, file, behind, ledger, voxel: PhantomData })
    }
}

/// Whether the file at `path` is as long as it is to be, as it is from when it was created on.
pub fn is_whole(path: &Path, layout: &Layout, packed: &Packed, around: &Around) -> bool {
    let end = packed.position(layout.outer.volumes(), [0; 3]);
    stamp::file_bytes(path) == Some(end.saturating_add(around.tail.len() as u64))
}

/// Whether the voxels of a region of a volume stand in the file at `path` with this stamp; they are read where it has changed since
/// `written`.
pub fn holds(
    path: &Path,
    layout: &Layout,
    packed: &Packed,
    (volume, region, stamp): (u64, Region, Stamp),
    written: Option<SystemTime>,
) -> bool {
    if volume >= layout.outer.volumes() || !Region::of_shape(layout.grid.shape).contains(&region) {
        return false;
    }
    let extent = |(offset, voxels): (u64, usize)| Extent { offset, len: voxels as u64 * packed.voxel_bytes() };
    let runs = packed.runs(volume, region).map(extent);
    stamp::open(path).and_then(|file| stamp.is_of(&file, runs, written)).unwrap_or(false)
}

impl<T: Voxel> Sink<T> for RawSink<T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn encode(&self, _outer: u64, unit: Region, block: BlockRef<'_, T>) -> Result<Encoded> {
        let mut bytes = Vec::new();
        let lost = self.packed.pack(unit, block, &mut bytes);
        Ok(Encoded { raw_bytes: bytes.len() as u64, bytes, check: Default::default(), lost })
    }

    fn put(&self, outer: u64, unit: Region, encoded: Encoded) -> Result<u64> {
        let mut first = 0;
        for (position, voxels) in self.packed.runs(outer, unit) {
            let len = voxels * self.packed.voxel_bytes() as usize;
            let bytes = &encoded.bytes[first..first + len];
            self.file.write_all_at(bytes, position).map_err(Error::io("write", &self.path))?;
            if len >= BEHIND_BYTES {
                self.behind.wrote(&self.file, len as u64);
            }
            first += len;
        }
        let stamp = Some(Stamp::of(&encoded.bytes));
        self.ledger.note(Entry::Region { level: 0, volume: outer, region: unit, empty_chunks: 0, stamp });
        Ok(encoded.bytes.len() as u64)
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::io("write back", &self.path))
    }

    fn finish(&self) -> Result<()> {
        Sink::<T>::sync(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_with_little_between_them_are_read_at_once() {
        let spans = |runs: &[(u64, usize)]| spans(runs.iter().copied(), 2).collect::<Vec<_>>();
        let gap = GAP_BYTES;
        assert_eq!(spans(&[(0, 10), (20 + gap, 10)]), [vec![(0, 10), (20 + gap, 10)]]);
        assert_eq!(spans(&[(0, 10), (21 + gap, 10)]), [vec![(0, 10)], vec![(21 + gap, 10)]]);
        assert_eq!(spans(&[(100, 10), (0, 10)]), [vec![(100, 10)], vec![(0, 10)]]);
        // A long run is cut, and what follows joins its last part.
        let most = READ_BYTES / 2;
        let long = [vec![(0, most)], vec![(2 * most as u64, 7), (2 * most as u64 + 14, 3)]];
        assert_eq!(spans(&[(0, most + 7), (2 * most as u64 + 14, 3)]), long);
        // No span is longer than a read.
        let rows: Vec<(u64, usize)> = (0..5000).map(|row| (row * 1000, 400)).collect();
        for span in spans(&rows) {
            let (start, (last, voxels)) = (span[0].0, span[span.len() - 1]);
            assert!(last + 2 * voxels as u64 - start <= READ_BYTES as u64);
        }
        assert_eq!(spans(&rows).concat(), rows);
        // Nor has it more runs than are counted, as of columns of voxels.
        let column: Vec<(u64, usize)> = (0..100_000).map(|row| (row * 10, 1)).collect();
        assert!(spans(&column).iter().all(|span| span.len() <= MOST_RUNS));
        assert_eq!(spans(&column).concat(), column);
    }
}
