//! A volume written as gzip, compressed unit by unit.
//!
//! The bytes depend on the write units alone, which are fixed by shape and sample type. Each unit is compressed by
//! itself. A single member ends each unit with a full flush (RFC 1951 section 3.2.4: an empty stored block on a byte
//! border), so that compressed units can be put one behind the other; their CRCs are combined.
//!
//! Compressors and their buffers are kept and used again, and what is handed on has its exact size: made anew for each unit,
//! buffers that grow and tables of some 100 KiB left the heap full of holes, and a run some MiB above its budget.

use std::{
    fs::File,
    io::Write,
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use flate2::{Compress, Compression, FlushCompress, Status};
use libdeflater::{CompressionLvl, Compressor};

use crate::{
    block::BlockRef,
    error::{Error, Result},
    io::{Access, Encoded, Layout, Sink, nifti::write_unit, packed::Packed},
    region::Region,
    sys::behind::Behind,
    voxel::Voxel,
};

/// Raw bytes of one BGZF block: what SAMtools uses, so that even data that does not compress fits 64 KiB.
const BGZF_RAW_BYTES: usize = 65_280;
/// The empty block that ends a BGZF file.
const BGZF_END: [u8; 28] = [31, 139, 8, 4, 0, 0, 0, 0, 0, 255, 6, 0, 66, 67, 2, 0, 27, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// A gzip header without name and time, of unknown system.
const MEMBER_HEADER: [u8; 10] = [31, 139, 8, 0, 0, 0, 0, 0, 0, 255];
/// A final deflate block without content.
const FINAL_BLOCK: [u8; 2] = [3, 0];
/// Working memory of one compressor.
const COMPRESSOR_BYTES: u64 = 1 << 20;

/// Level of a single member: the fastest that compresses well.
pub const DEFAULT_LEVEL: u32 = 2;
/// Level of BGZF blocks.
pub const DEFAULT_BGZF_LEVEL: u32 = 1;

/// How the stream is cut into gzip members, and the compression level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One member: any reader of gzip reads it. Level 0 to 9.
    Single { level: u32 },
    /// Blocks of 64 KiB, each a member: faster to write, and to read in parallel. Level 0 to 12.
    Bgzf { level: u32 },
}

/// A gzip file under construction.
#[derive(Debug)]
pub struct GzipSink<T> {
    path: PathBuf,
    layout: Layout,
    packed: Packed,
    framing: Framing,
    state: Mutex<State>,
    /// As many as were ever in use at once.
    idle: Mutex<Vec<Press>>,
    voxel: PhantomData<T>,
}

#[derive(Debug)]
struct State {
    file: File,
    behind: Behind,
    crc: crc32fast::Hasher,
    raw_bytes: u64,
}

/// The layout of a gzip target of this shape: write units in order.
pub fn target_layout(mut layout: Layout) -> Layout {
    let voxel_bytes = (layout.components * layout.stored.bytes()) as u64;
    layout.access = Access::Ascending;
    layout.chunk = write_unit(layout.grid.shape, voxel_bytes);
    layout.shard = None;
    // A unit before compression and after, in the buffers of its press.
    layout.transfer_bytes = 2 * layout.chunk.iter().product::<u64>() * voxel_bytes + COMPRESSOR_BYTES;
    layout.resident_bytes = 0;
    layout
}

impl<T: Voxel> GzipSink<T> {
    /// Creates the file and writes `prefix` (the NIfTI header and its extensions) as the first unit. `layout` is that of
    /// [`target_layout`].
    pub fn create(path: &Path, layout: Layout, packed: Packed, prefix: &[u8], framing: Framing) -> Result<Self> {
        let file = File::create_new(path).map_err(Error::io("create", path))?;
        let state = Mutex::new(State { file, behind: Behind::default(), crc: crc32fast::Hasher::new(), raw_bytes: 0 });
        let (path, idle) = (path.to_path_buf(), Mutex::default());
        let sink = GzipSink { path, layout, packed, framing, state, idle, voxel: PhantomData };
        if let Framing::Single { .. } = framing {
            sink.append(&Encoded { bytes: MEMBER_HEADER.to_vec(), ..Encoded::default() })?;
        }
        if !prefix.is_empty() {
            sink.append(&Press::new(framing).compress(prefix))?;
        }
        Ok(sink)
    }

    fn append(&self, encoded: &Encoded) -> Result<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.file.write_all(&encoded.bytes).map_err(Error::io("write", &self.path))?;
        state.behind.wrote(&state.file, encoded.bytes.len() as u64);
        state.crc.combine(&crc32fast::Hasher::new_with_initial_len(encoded.crc32, encoded.raw_bytes));
        state.raw_bytes += encoded.raw_bytes;
        Ok(encoded.bytes.len() as u64)
    }
}

impl<T: Voxel> Sink<T> for GzipSink<T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn encode(&self, _outer: u64, unit: Region, block: BlockRef<'_, T>) -> Result<Encoded> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut press = idle.unwrap_or_else(|| Press::new(self.framing));
        let mut raw = std::mem::take(&mut press.raw);
        raw.clear();
        let nans = self.packed.pack(unit, block, &mut raw);
        let encoded = press.compress(&raw);
        press.raw = raw;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(press);
        Ok(Encoded { nans, ..encoded })
    }

    fn put(&self, _outer: u64, _unit: Region, encoded: Encoded) -> Result<u64> {
        self.append(&encoded)
    }

    fn finish(&self) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let end = match self.framing {
            Framing::Single { .. } => {
                let (crc, len) = (state.crc.clone().finalize(), state.raw_bytes as u32);
                [&FINAL_BLOCK[..], &crc.to_le_bytes(), &len.to_le_bytes()].concat()
            }
            Framing::Bgzf { .. } => BGZF_END.to_vec(),
        };
        state.file.write_all(&end).map_err(Error::io("write", &self.path))?;
        state.file.sync_data().map_err(Error::io("write back", &self.path))
    }
}

/// A compressor and its buffers, for one unit after another.
#[derive(Debug)]
struct Press {
    raw: Vec<u8>,
    out: Vec<u8>,
    coder: Coder,
}

enum Coder {
    Deflate(Compress),
    Bgzf { compressor: Compressor, block: Vec<u8> },
}

impl std::fmt::Debug for Coder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Coder::Deflate(_) => "Deflate",
            Coder::Bgzf { .. } => "Bgzf",
        })
    }
}

impl Press {
    fn new(framing: Framing) -> Press {
        let coder = match framing {
            Framing::Single { level } => Coder::Deflate(Compress::new(Compression::new(level), false)),
            Framing::Bgzf { level } => {
                let level = CompressionLvl::new(level as i32).unwrap_or_default();
                let mut compressor = Compressor::new(level);
                let block = vec![0; compressor.deflate_compress_bound(BGZF_RAW_BYTES)];
                Coder::Bgzf { compressor, block }
            }
        };
        Press { raw: Vec::new(), out: Vec::new(), coder }
    }

    /// One unit, compressed by itself, ready to stand behind any other; no larger than it needs to be.
    fn compress(&mut self, raw: &[u8]) -> Encoded {
        self.out.clear();
        let crc32 = match &mut self.coder {
            Coder::Deflate(compressor) => {
                deflate(compressor, raw, &mut self.out);
                crc32fast::hash(raw)
            }
            Coder::Bgzf { compressor, block } => {
                bgzf_blocks(compressor, block, raw, &mut self.out);
                0
            }
        };
        Encoded { bytes: self.out.as_slice().to_vec(), crc32, raw_bytes: raw.len() as u64, nans: 0 }
    }
}

/// Raw deflate that ends on a byte border and refers to nothing before it.
fn deflate(compressor: &mut Compress, raw: &[u8], out: &mut Vec<u8>) {
    compressor.reset();
    out.reserve_exact(raw.len() + raw.len() / 128 + 1024);
    loop {
        let rest = &raw[compressor.total_in() as usize..];
        // Into memory that grows, deflate cannot fail; it is done when it leaves room after taking all input.
        let status = compressor.compress_vec(rest, out, FlushCompress::Full);
        let done = compressor.total_in() as usize == raw.len() && out.len() < out.capacity();
        if done && matches!(status, Ok(Status::Ok | Status::BufError)) {
            return;
        }
        out.reserve_exact(out.len().max(64 << 10) / 4);
    }
}

fn bgzf_blocks(compressor: &mut Compressor, block: &mut [u8], raw: &[u8], out: &mut Vec<u8>) {
    out.reserve_exact(raw.len() + raw.len() / 128 + 1024);
    for part in raw.chunks(BGZF_RAW_BYTES) {
        let n = match compressor.deflate_compress(part, block) {
            Ok(n) if n + 26 <= 1 << 16 => n,
            _ => stored_block(part, block),
        };
        let total = (n + 26 - 1) as u16;
        out.extend_from_slice(&[31, 139, 8, 4, 0, 0, 0, 0, 0, 255, 6, 0, b'B', b'C', 2, 0]);
        out.extend_from_slice(&total.to_le_bytes());
        out.extend_from_slice(&block[..n]);
        out.extend_from_slice(&crc32fast::hash(part).to_le_bytes());
        out.extend_from_slice(&(part.len() as u32).to_le_bytes());
    }
}

/// A final stored block: what does not compress (RFC 1951 section 3.2.4).
fn stored_block(part: &[u8], out: &mut [u8]) -> usize {
    let len = part.len() as u16;
    out[0] = 1;
    out[1..3].copy_from_slice(&len.to_le_bytes());
    out[3..5].copy_from_slice(&(!len).to_le_bytes());
    out[5..5 + part.len()].copy_from_slice(part);
    5 + part.len()
}
