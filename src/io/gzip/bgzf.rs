//! BGZF, the blocked gzip of SAMtools (SAM specification v1, section 4.1): blocks of up to 64 KiB that can be decoded by
//! themselves, in parallel.

use std::{
    fs::File,
    io,
    marker::PhantomData,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use libdeflater::Decompressor;

use crate::{
    block::BlockMut,
    error::{Error, Result},
    io::{Source, packed::Packed},
    layout::{Access, Layout, stream_unit},
    storage::nfs,
    voxel::Voxel,
};

/// Raw bytes between two entries of the index, at least.
const INDEX_STEP: u64 = 512 << 10;
/// The fixed header of a block with its one extra field.
const HEADER_BYTES: usize = 18;
/// CRC-32 and length at the end of a block.
const TRAILER_BYTES: usize = 8;
const MAX_BLOCK_BYTES: usize = 64 << 10;

/// Whether the file starts with a BGZF block.
pub fn is_bgzf(path: &Path) -> Result<bool> {
    let file = nfs::open(path).map_err(Error::io("open", path))?;
    let mut header = [0; HEADER_BYTES];
    match file.read_exact_at(&mut header, 0) {
        Ok(()) => Ok(block_len(&header).is_some()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(source) => Err(Error::Io { action: "read", path: path.to_path_buf(), source }),
    }
}

/// Length of the block that starts with `header`, if it is one: BSIZE + 1.
fn block_len(header: &[u8; HEADER_BYTES]) -> Option<usize> {
    let fixed = header[..4] == [0x1f, 0x8b, 8, 4] && header[10..16] == [6, 0, b'B', b'C', 2, 0];
    let len = usize::from(u16::from_le_bytes([header[16], header[17]])) + 1;
    (fixed && len >= HEADER_BYTES + TRAILER_BYTES).then_some(len)
}

/// A place in the file where a block starts.
#[derive(Clone, Copy, Debug)]
struct Entry {
    raw: u64,
    compressed: u64,
}

/// A volume in a BGZF file: chunks in any order.
#[derive(Debug)]
pub struct BgzfSource<T> {
    path: PathBuf,
    layout: Layout,
    packed: Packed,
    file: File,
    index: Vec<Entry>,
    voxel: PhantomData<T>,
}

impl<T: Voxel> BgzfSource<T> {
    /// Opens the file and hops over its block headers once. The layout's access, chunk and memory are set.
    pub fn open(path: &Path, mut layout: Layout, packed: Packed) -> Result<BgzfSource<T>> {
        let file = nfs::open(path).map_err(Error::io("open", path))?;
        let needed = packed.position(layout.outer.volumes(), [0; 3]);
        let index = index(path, &file, needed)?;
        layout.access = Access::Chunked;
        layout.chunk = stream_unit(layout.grid.shape, packed.voxel_bytes(), INDEX_STEP);
        let unit_bytes = layout.chunk.iter().product::<u64>() * packed.voxel_bytes();
        layout.transfer_bytes = unit_bytes + 4 * MAX_BLOCK_BYTES as u64;
        layout.resident_bytes = (index.len() * size_of::<Entry>()) as u64;
        Ok(BgzfSource { path: path.to_path_buf(), layout, packed, file, index, voxel: PhantomData })
    }

    /// The raw bytes from `position` on.
    fn read_raw(&self, position: u64, out: &mut [u8]) -> Result<()> {
        let n = self.index.partition_point(|entry| entry.raw <= position) - 1;
        let Entry { mut raw, mut compressed } = self.index[n];
        let end = position + out.len() as u64;
        let mut decoder = BlockDecoder::default();
        while raw < end {
            let (block, len) = decoder.decode(&self.path, &self.file, compressed)?;
            let (lo, hi) = (raw.max(position), (raw + block.len() as u64).min(end));
            if lo < hi {
                out[(lo - position) as usize..(hi - position) as usize]
                    .copy_from_slice(&block[(lo - raw) as usize..(hi - raw) as usize]);
            }
            raw += block.len() as u64;
            compressed += len;
        }
        Ok(())
    }
}

/// One entry every [`INDEX_STEP`] raw bytes, up to `needed` raw bytes.
fn index(path: &Path, file: &File, needed: u64) -> Result<Vec<Entry>> {
    let damaged = |what: &str, offset| Error::Stream { path: path.to_path_buf(), what: what.to_string(), offset };
    let mut index = vec![Entry { raw: 0, compressed: 0 }];
    let (mut raw, mut compressed) = (0, 0);
    let mut last = 0;
    while raw < needed {
        let mut header = [0; HEADER_BYTES];
        let mut length = [0; 4];
        file.read_exact_at(&mut header, compressed).map_err(|_| damaged("BGZF stream is cut off", compressed))?;
        let len = block_len(&header).ok_or_else(|| damaged("no BGZF block", compressed))? as u64;
        file.read_exact_at(&mut length, compressed + len - 4)
            .map_err(|_| damaged("BGZF block is cut off", compressed))?;
        let block_raw = u64::from(u32::from_le_bytes(length));
        if block_raw > MAX_BLOCK_BYTES as u64 {
            return Err(damaged("BGZF block claims more than 64 KiB", compressed));
        }
        if raw >= last + INDEX_STEP {
            index.push(Entry { raw, compressed });
            last = raw;
        }
        raw += block_raw;
        compressed += len;
    }
    Ok(index)
}

/// The memory for one block, compressed and raw.
struct BlockDecoder {
    decompressor: Decompressor,
    compressed: Vec<u8>,
    raw: Vec<u8>,
}

impl Default for BlockDecoder {
    fn default() -> Self {
        BlockDecoder { decompressor: Decompressor::new(), compressed: Vec::new(), raw: Vec::new() }
    }
}

impl BlockDecoder {
    /// The block at byte `at`: its raw bytes, and its length in the file.
    fn decode(&mut self, path: &Path, file: &File, at: u64) -> Result<(&[u8], u64)> {
        let damaged = |what: String| Error::Stream { path: path.to_path_buf(), what, offset: at };
        let mut header = [0; HEADER_BYTES];
        file.read_exact_at(&mut header, at).map_err(Error::io("read", path))?;
        let len = block_len(&header).ok_or_else(|| damaged("no BGZF block".into()))?;
        self.compressed.resize(len, 0);
        file.read_exact_at(&mut self.compressed, at).map_err(Error::io("read", path))?;
        self.raw.resize(MAX_BLOCK_BYTES, 0);
        // The gzip entry point checks CRC-32 and length.
        let n = self
            .decompressor
            .gzip_decompress(&self.compressed, &mut self.raw)
            .map_err(|error| damaged(format!("BGZF block is damaged ({error})")))?;
        Ok((&self.raw[..n], len as u64))
    }
}

impl<T: Voxel> Source<T> for BgzfSource<T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, mut into: BlockMut<'_, T>) -> Result<()> {
        let mut bytes = Vec::new();
        let mut first = 0;
        for (position, voxels) in self.packed.runs(group, into.region) {
            bytes.resize(voxels * self.packed.voxel_bytes() as usize, 0);
            self.read_raw(position, &mut bytes)?;
            self.packed.unpack(&bytes, &mut into, first);
            first += voxels;
        }
        Ok(())
    }
}
