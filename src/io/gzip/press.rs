//! Compression of units, each by itself.

use flate2::{Compress, Compression, FlushCompress, Status};
use libdeflater::{CompressionLvl, Compressor};

use super::Framing;
use crate::io::{Encoded, convert::Lost};

/// Raw bytes of one BGZF block: what SAMtools uses, so that even data that does not compress fits 64 KiB.
const BGZF_RAW_BYTES: usize = 65_280;

/// A compressor and its buffers, for one unit after another.
#[derive(Debug)]
pub struct Press {
    pub raw: Vec<u8>,
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
    pub fn new(framing: Framing) -> Press {
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
    pub fn compress(&mut self, raw: &[u8]) -> Encoded {
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
        Encoded { bytes: self.out.as_slice().to_vec(), crc32, raw_bytes: raw.len() as u64, lost: Lost::default() }
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
