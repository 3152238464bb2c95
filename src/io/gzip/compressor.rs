//! Compresses write units, each by itself.

use flate2::{Compress, Compression, FlushCompress, Status};
use libdeflater::{CompressionLvl, Compressor};

use super::{DEFAULT_LEVEL, Framing, reopen::reopen};
use crate::{
    checkpoint::check::Check,
    io::{Encoded, convert::Lost},
};

/// Raw bytes of one BGZF block: what SAMtools uses, so that even data that does not compress fits 64 KiB.
const BGZF_RAW_BYTES: usize = 65_280;
/// Raw bytes of one block of a single member at the default level. libdeflate's level 1 takes at least 4 bytes a match and 8192 matches
/// a block, so that it makes one block of this.
const PART_RAW_BYTES: usize = 32 << 10;
/// Level of parts that libdeflate compresses to something that cannot go on.
const FALLBACK_LEVEL: u32 = 2;

/// A compressor and its input, for one unit after another.
#[derive(Debug)]
pub(super) struct UnitCompressor {
    pub raw: Vec<u8>,
    framing: Framing,
    coder: Coder,
}

enum Coder {
    Deflate(Compress),
    /// Parts that libdeflate compresses and, for those whose end is not known, a compressor that can go on by itself.
    Parts {
        compressor: Compressor,
        block: Vec<u8>,
        other: Option<Box<Compress>>,
    },
    Bgzf {
        compressor: Compressor,
        block: Vec<u8>,
    },
}

impl std::fmt::Debug for Coder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Coder::Deflate(_) => "Deflate",
            Coder::Parts { .. } => "Parts",
            Coder::Bgzf { .. } => "Bgzf",
        })
    }
}

impl UnitCompressor {
    /// A compressor for units of this framing.
    pub(super) fn new(framing: Framing) -> UnitCompressor {
        let coder = match framing {
            Framing::Single { level: DEFAULT_LEVEL } | Framing::Zlib { level: DEFAULT_LEVEL } => {
                let (compressor, block) = whole_streams(DEFAULT_LEVEL, PART_RAW_BYTES);
                Coder::Parts { compressor, block, other: None }
            }
            Framing::Single { level } | Framing::Zlib { level } => {
                Coder::Deflate(Compress::new(Compression::new(level), false))
            }
            Framing::Bgzf { level } => {
                let (compressor, block) = whole_streams(level, BGZF_RAW_BYTES);
                Coder::Bgzf { compressor, block }
            }
        };
        UnitCompressor { raw: Vec::new(), framing, coder }
    }

    /// One unit, compressed by itself, ready to stand behind any other; no larger than it needs to be.
    pub(super) fn compress(&mut self, raw: &[u8]) -> Encoded {
        let mut out = Vec::new();
        match &mut self.coder {
            Coder::Deflate(compressor) => deflate(compressor, raw, &mut out),
            Coder::Parts { compressor, block, other } => parts(compressor, block, other, raw, &mut out),
            Coder::Bgzf { compressor, block } => bgzf_blocks(compressor, block, raw, &mut out),
        }
        let check = match self.framing {
            Framing::Single { .. } => Check::Crc32(crc32fast::hash(raw)),
            Framing::Zlib { .. } => Check::Adler32(libdeflater::adler32(raw)),
            // Each block has its own.
            Framing::Bgzf { .. } => Check::default(),
        };
        // In place: what comes out is held once, by the block that waits for its turn.
        out.shrink_to_fit();
        Encoded { bytes: out, check, raw_bytes: raw.len() as u64, lost: Lost::default() }
    }
}

/// A compressor of whole streams, and room for one of `raw_bytes`.
fn whole_streams(level: u32, raw_bytes: usize) -> (Compressor, Vec<u8>) {
    let mut compressor = Compressor::new(CompressionLvl::new(level as i32).unwrap_or_default());
    let block = vec![0; compressor.deflate_compress_bound(raw_bytes)];
    (compressor, block)
}

/// Raw deflate that ends on a byte border and refers to nothing before it, from parts of fixed size.
fn parts(
    compressor: &mut Compressor,
    block: &mut [u8],
    other: &mut Option<Box<Compress>>,
    raw: &[u8],
    out: &mut Vec<u8>,
) {
    out.reserve_exact(raw.len() + raw.len() / 128 + 1024);
    for part in raw.chunks(PART_RAW_BYTES) {
        let reopened = match compressor.deflate_compress(part, block) {
            Ok(n) => reopen(&mut block[..n], part.len()).map(|behind| (n, behind)),
            Err(_) => None,
        };
        match reopened {
            Some((n, behind)) => {
                out.extend_from_slice(&block[..n]);
                out.extend_from_slice(behind);
            }
            None => {
                let fallback = || Box::new(Compress::new(Compression::new(FALLBACK_LEVEL), false));
                deflate(other.get_or_insert_with(fallback), part, out);
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::gzip::DEFAULT_BGZF_LEVEL;
    use flate2::{Decompress, FlushDecompress, Status};

    /// Smooth with noise, noise, one value: the blocks that a part may be.
    fn mixed(len: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut noise = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let byte = |n: usize| match n / 50_000 % 3 {
            0 => (n / 500) as u8 ^ (noise() >> 6),
            1 => noise(),
            _ => 7,
        };
        (0..len).map(byte).collect()
    }

    /// Units one behind the other, and an empty last block.
    #[test]
    fn units_of_a_member_are_one_stream_at_every_level() {
        for level in 0..=9 {
            let mut press = UnitCompressor::new(Framing::Single { level });
            let units = [1 << 20, 1, 352, (1 << 20) + 12_345, 40, 0, 32 << 10, 65_536].map(mixed);
            let mut stream: Vec<u8> = units.iter().flat_map(|unit| press.compress(unit).bytes).collect();
            stream.extend([3, 0]);
            let raw = units.concat();
            let mut found = Vec::with_capacity(raw.len() + 1);
            let status = Decompress::new(false).decompress_vec(&stream, &mut found, FlushDecompress::Finish);
            assert!(matches!(status, Ok(Status::StreamEnd)) && found == raw, "level {level}");
        }
    }

    /// A unit's bytes are its own, whatever a compressor made before.
    #[test]
    fn units_do_not_depend_on_those_before() {
        for framing in [Framing::Single { level: DEFAULT_LEVEL }, Framing::Bgzf { level: DEFAULT_BGZF_LEVEL }] {
            let (unit, mut press) = (mixed(200_000), UnitCompressor::new(framing));
            let first = press.compress(&unit);
            press.compress(&unit[77..]);
            assert!(
                press.compress(&unit).bytes == first.bytes
                    && UnitCompressor::new(framing).compress(&unit).bytes == first.bytes
            );
        }
    }
}
