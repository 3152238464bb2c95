//! Compressors of chunks that are written: deterministic, and with a checksum wherever the format has room for one.

use std::{cell::RefCell, ops::RangeInclusive};

use flate2::{Compress, FlushCompress, Status};
use zarrs::array::codec::{BloscCompressionLevel, BloscCompressor, BloscShuffleMode, blosc_compress_bytes};

use super::blosc;

use crate::{io::zstandard, sys};

/// Level of zstd where none is given: the fastest.
pub const DEFAULT_ZSTD_LEVEL: i32 = 1;

/// How chunks are compressed on writing. zstd and gzip carry a checksum, the others get crc32c in Zarr v3; v2 knows no
/// codec for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Level 1 to 22.
    Zstd(i32),
    /// Level 0 to 9, bytes shuffled, bits where a sample is one byte.
    BloscZstd(u8),
    /// Level 0 to 9, shuffled alike.
    BloscLz4(u8),
    /// Level 0 to 9.
    Gzip(u8),
    None,
}

impl Codec {
    /// The codecs of Zarr v3 metadata, for samples of `sample_bytes`.
    pub fn metadata(self, sample_bytes: usize) -> Vec<serde_json::Value> {
        let shuffle = if sample_bytes > 1 { "shuffle" } else { "bitshuffle" };
        let blosc = |cname: &str, level: u8| {
            serde_json::json!({"name": "blosc", "configuration": {
                "cname": cname, "clevel": level, "shuffle": shuffle, "typesize": sample_bytes, "blocksize": 0}})
        };
        let crc32c = serde_json::json!({"name": "crc32c"});
        match self {
            Codec::Zstd(level) => {
                vec![serde_json::json!({"name": "zstd", "configuration": {"level": level, "checksum": true}})]
            }
            Codec::BloscZstd(level) => vec![blosc("zstd", level), crc32c],
            Codec::BloscLz4(level) => vec![blosc("lz4", level), crc32c],
            Codec::Gzip(level) => vec![serde_json::json!({"name": "gzip", "configuration": {"level": level}})],
            Codec::None => vec![crc32c],
        }
    }

    /// `compressor` of Zarr v2 metadata. The frames of zstd have their checksum here too; the member that would say so is
    /// left out, because numcodecs before 0.13 and tensorstore refuse it, and no decoder asks.
    pub fn metadata_v2(self, sample_bytes: usize) -> serde_json::Value {
        let blosc = |cname: &str, level: u8| {
            let shuffle = if sample_bytes > 1 { 1 } else { 2 };
            serde_json::json!({"id": "blosc", "cname": cname, "clevel": level, "shuffle": shuffle, "blocksize": 0})
        };
        match self {
            Codec::Zstd(level) => serde_json::json!({"id": "zstd", "level": level}),
            Codec::BloscZstd(level) => blosc("zstd", level),
            Codec::BloscLz4(level) => blosc("lz4", level),
            Codec::Gzip(level) => serde_json::json!({"id": "gzip", "level": level}),
            Codec::None => serde_json::Value::Null,
        }
    }

    /// The levels that the compressor knows, where it has any.
    pub fn levels(self) -> Option<RangeInclusive<i32>> {
        match self {
            Codec::Zstd(_) => Some(1..=22),
            Codec::BloscZstd(_) | Codec::BloscLz4(_) | Codec::Gzip(_) => Some(0..=9),
            Codec::None => None,
        }
    }

    /// Whether the level is one that the compressor knows.
    pub fn check(self) -> Result<(), String> {
        let level = match self {
            Codec::Zstd(level) => level,
            Codec::BloscZstd(level) | Codec::BloscLz4(level) | Codec::Gzip(level) => i32::from(level),
            Codec::None => 0,
        };
        match self.levels() {
            Some(known) if !known.contains(&level) => {
                Err(format!("compression level {level} is outside {} to {}", known.start(), known.end()))
            }
            _ => Ok(()),
        }
    }

    /// Encodes one chunk of samples of `sample_bytes` for Zarr v3; the same bytes for the same input, always.
    pub fn encode(self, raw: Vec<u8>, sample_bytes: usize) -> Result<Vec<u8>, String> {
        let mut encoded = self.compress(raw, sample_bytes)?;
        if matches!(self, Codec::BloscZstd(_) | Codec::BloscLz4(_) | Codec::None) {
            encoded = with_crc32c(encoded);
        }
        // What waits to be written is counted by its length.
        encoded.shrink_to_fit();
        Ok(encoded)
    }

    /// The same for Zarr v2, where nothing can stand behind the compressor.
    pub fn encode_v2(self, raw: Vec<u8>, sample_bytes: usize) -> Result<Vec<u8>, String> {
        let mut encoded = self.compress(raw, sample_bytes)?;
        encoded.shrink_to_fit();
        Ok(encoded)
    }

    fn compress(self, raw: Vec<u8>, sample_bytes: usize) -> Result<Vec<u8>, String> {
        match self {
            Codec::Zstd(level) => encode_zstd(&raw, level),
            Codec::Gzip(level) => encode_gzip(&raw, level),
            // c-blosc splits no single bytes, and they are shuffled by bits.
            Codec::BloscZstd(level) if sample_bytes > 1 => blosc::encode(&raw, sample_bytes, level),
            Codec::BloscZstd(level) => encode_blosc(&raw, BloscCompressor::Zstd, level, sample_bytes),
            Codec::BloscLz4(level) => encode_blosc(&raw, BloscCompressor::LZ4, level, sample_bytes),
            Codec::None => Ok(raw),
        }
    }

    /// Memory that encoding one chunk of `raw_bytes` takes: raw and stored bytes, and the compressor's tables.
    pub fn encode_memory(self, raw_bytes: u64) -> u64 {
        let tables = match self {
            Codec::Zstd(level) => zstd_tables(level, raw_bytes),
            // Blocks of at most 1 MiB.
            Codec::BloscZstd(level) => {
                zstd_tables(blosc::zstd_level(level), raw_bytes.min(1 << 20)) + blosc::SCRATCH_BYTES
            }
            Codec::BloscLz4(_) => (2 << 20) + (512 << 10),
            Codec::Gzip(_) => 512 << 10,
            Codec::None => 0,
        };
        raw_bytes.saturating_mul(2).saturating_add(raw_bytes / 16).saturating_add(64 << 10).saturating_add(tables)
    }
}

/// Window, chain and hash of the levels of zstd 1.5 for large inputs, each a power of two (clevels.h); levels from 1 on.
const ZSTD_LOGS: [[u32; 3]; 22] = [
    [19, 13, 14],
    [20, 15, 16],
    [21, 16, 17],
    [21, 18, 18],
    [21, 18, 19],
    [21, 18, 19],
    [21, 19, 20],
    [21, 19, 20],
    [22, 20, 21],
    [22, 21, 22],
    [22, 21, 22],
    [22, 22, 23],
    [22, 22, 22],
    [22, 22, 23],
    [22, 23, 23],
    [22, 22, 22],
    [23, 23, 22],
    [23, 23, 22],
    [23, 24, 22],
    [25, 25, 23],
    [26, 26, 24],
    [27, 27, 25],
];
/// What a context of zstd has besides its tables: sequences and literals of a block of 128 KiB, statistics, short matches.
const ZSTD_CONTEXT_BYTES: u64 = 2 << 20;

/// A compressing context of zstd at `level`, for inputs of known size.
///
/// Tables have four bytes for each place, those of hashes one more; a small input makes them smaller: its window is the power of two
/// that holds it, and no table has more than twice the places of that.
fn zstd_tables(level: i32, raw_bytes: u64) -> u64 {
    let [window, chain, hash] = ZSTD_LOGS[(level.clamp(1, 22) - 1) as usize];
    let most = raw_bytes.max(1).checked_next_power_of_two().map_or(63, u64::trailing_zeros).clamp(10, window) + 1;
    // Inputs of up to 256 KiB have levels of their own: up to level 4 no table has a log above 17.
    let of = |log: u32| match raw_bytes {
        ..=0x40000 if level <= 4 => most.min(17),
        ..=0x40000 => most,
        _ => log.min(most),
    };
    // Long-distance matches, which the widest windows bring along.
    let distant = if most > 27 { 16 << 20 } else { 0 };
    (5 << of(hash)) + (4 << of(chain)) + distant + ZSTD_CONTEXT_BYTES
}

pub(super) fn with_crc32c(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

pub(super) fn encode_zstd(raw: &[u8], level: i32) -> Result<Vec<u8>, String> {
    let mut encoder = zstandard::Encoder::new(level, true)?;
    let mut encoded = sys::reserve(zstd::zstd_safe::compress_bound(raw.len()) as u64)?;
    encoder.encode(raw, &mut encoded)?;
    Ok(encoded)
}

thread_local! {
    /// The compressor of a thread and its level. Tables made anew for each of many small chunks leave the allocator's heap in
    /// pieces: a thousand chunks of 200 bytes took 60 MiB.
    static DEFLATE: RefCell<Option<(u8, Compress)>> = const { RefCell::new(None) };
}

pub(super) fn encode_gzip(raw: &[u8], level: u8) -> Result<Vec<u8>, String> {
    DEFLATE.with_borrow_mut(|kept| {
        let known = kept.take().filter(|(known, _)| *known == level);
        let new = || (level, Compress::new(flate2::Compression::new(u32::from(level)), false));
        let (_, deflate) = kept.insert(known.unwrap_or_else(new));
        deflate.reset();
        let mut encoded = sys::reserve(raw.len() as u64 + raw.len() as u64 / 1000 + (64 << 10))?;
        // RFC 1952: deflate, no flags, no time, how much it tries, an unknown system.
        let tries = match level {
            9 => 2,
            0 | 1 => 4,
            _ => 0,
        };
        encoded.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, tries, 255]);
        deflated(deflate, raw, &mut encoded)?;
        encoded.extend_from_slice(&crc32fast::hash(raw).to_le_bytes());
        encoded.extend_from_slice(&(raw.len() as u32).to_le_bytes());
        // The large room goes whole where little of it was needed.
        Ok(if encoded.len() < SMALL_CHUNK_BYTES { encoded.as_slice().to_vec() } else { encoded })
    })
}

/// Encoded chunks below this are copied out of the room that was made for them.
const SMALL_CHUNK_BYTES: usize = 64 << 10;

fn deflated(deflate: &mut Compress, raw: &[u8], encoded: &mut Vec<u8>) -> Result<(), String> {
    loop {
        let left = &raw[deflate.total_in() as usize..];
        let flush = if left.is_empty() { FlushCompress::Finish } else { FlushCompress::None };
        if encoded.len() == encoded.capacity() {
            encoded.try_reserve(64 << 10).map_err(|e| e.to_string())?;
        }
        if deflate.compress_vec(left, encoded, flush).map_err(|e| e.to_string())? == Status::StreamEnd {
            return Ok(());
        }
    }
}

fn encode_blosc(raw: &[u8], inner: BloscCompressor, level: u8, sample_bytes: usize) -> Result<Vec<u8>, String> {
    let level = BloscCompressionLevel::try_from(level).map_err(|_| format!("no level {level}"))?;
    let shuffle = if sample_bytes > 1 { BloscShuffleMode::Shuffle } else { BloscShuffleMode::BitShuffle };
    blosc_compress_bytes(raw, level, shuffle, sample_bytes, inner, 0, 1).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn gzip_by_a_kept_compressor_has_the_bytes_of_a_new_one() {
        let ramp: Vec<u8> = (0..200_000u32).map(|n| (n / 7 % 251) as u8 ^ (n >> 9) as u8).collect();
        for level in [9, 1, 6, 6, 2] {
            for len in [200, 0, 70_000, 1, 200_000] {
                let mut expected = Vec::new();
                let compression = flate2::Compression::new(u32::from(level));
                flate2::bufread::GzEncoder::new(&ramp[..len], compression).read_to_end(&mut expected).unwrap();
                assert_eq!(encode_gzip(&ramp[..len], level).unwrap(), expected, "level {level}, {len} bytes");
            }
        }
    }

    /// Chunks just above a power of two once had tables of twice the size that was counted.
    #[test]
    fn contexts_of_zstd_are_as_large_as_counted_at_most() {
        let mut seed = 3u64;
        let mut random = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 40) as u8 & 15
        };
        let noise: Vec<u8> = (0..9_000_000).map(|_| random()).collect();
        for len in [1, 1000, 16 << 10, (16 << 10) + 1, 128 << 10, (128 << 10) + 1, 256 << 10, (256 << 10) + 1] {
            for level in 1..=22 {
                check(level, &noise[..len]);
            }
        }
        for (len, level) in [(1_100_000, 9), (1_100_000, 15), (1_100_000, 22), (9_000_000, 3), (9_000_000, 12)] {
            check(level, &noise[..len]);
        }
    }

    fn check(level: i32, raw: &[u8]) {
        let mut context = zstd::zstd_safe::CCtx::create();
        let mut encoded = Vec::with_capacity(zstd::zstd_safe::compress_bound(raw.len()));
        context.set_parameter(zstd::zstd_safe::CParameter::CompressionLevel(level)).unwrap();
        context.compress2(&mut encoded, raw).unwrap();
        let (bytes, counted) = (context.sizeof() as u64, zstd_tables(level, raw.len() as u64));
        assert!(bytes <= counted, "level {level}, {} bytes: {bytes} of {counted}", raw.len());
    }
}
