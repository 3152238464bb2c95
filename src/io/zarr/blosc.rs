//! Frames of Blosc 1 with zstd inside, for shuffled samples of 2, 4 or 8 bytes.
//!
//! c-blosc searches all bytes of a chunk for matches with the same effort. The low bytes of a noisy scan have none: there zstd's
//! level 9 takes twenty times as long as level 1, for a larger result. Here the bytes of each significance are a stream of
//! their own, as c-blosc has them for other codecs, and the level that was asked for is spent where it makes a difference.
//! Any Blosc decoder reads these frames (c-blosc 1.21, README_CHUNK_FORMAT.rst).

use multiversion::multiversion;
use zstd::zstd_safe::compress_bound;

use crate::{io::zstandard, sys};

/// Bytes of a stream in a full block: the most that zstd compresses at a time.
const STREAM_BYTES: usize = 128 << 10;
/// What is tried at both levels, from the middle of a stream.
const TRIED_BYTES: usize = 4 << 10;
/// The level asked for has to make a block smaller by this part of it.
const WORTHWHILE: u64 = 128;
/// Blocks of fewer samples are one stream, since c-blosc does not split them.
const FEWEST_SPLIT: usize = 128;
const HEADER_BYTES: usize = 16;
/// The most that c-blosc takes, header included.
const LARGEST_FRAME: usize = i32::MAX as usize;

const FORMAT_VERSIONS: [u8; 2] = [2, 1];
const SHUFFLED: u8 = 0x1;
const COPIED: u8 = 0x2;
const NOT_SPLIT: u8 = 0x10;
const ZSTD: u8 = 4 << 5;

/// Memory of [`encode`] beyond raw bytes, result and the tables of the level: a block shuffled, its streams compressed, one
/// of them once more, and the tables of level 1.
pub(super) const SCRATCH_BYTES: u64 = 4 << 20;

/// The level of zstd that c-blosc means by one of its own, 1 to 9.
pub(super) fn zstd_level(level: u8) -> i32 {
    if level >= 9 { 22 } else { i32::from(level) * 2 - 1 }
}

/// Encodes samples of `sample_bytes` (2, 4 or 8) at c-blosc's `level`, 0 to 9; the same bytes for the same input, always.
pub(super) fn encode(raw: &[u8], sample_bytes: usize, level: u8) -> Result<Vec<u8>, String> {
    if raw.len() > LARGEST_FRAME - HEADER_BYTES {
        return Err(format!("{} bytes, and a Blosc frame holds {LARGEST_FRAME}", raw.len()));
    }
    let samples = block_samples(raw.len() / sample_bytes);
    let streams = if samples < FEWEST_SPLIT { 1 } else { sample_bytes };
    let flags = SHUFFLED | ZSTD | if streams == 1 { NOT_SPLIT } else { 0 };
    let mut frame = sys::reserve((HEADER_BYTES + raw.len()) as u64)?;
    frame.extend_from_slice(&[FORMAT_VERSIONS[0], FORMAT_VERSIONS[1], flags, sample_bytes as u8]);
    [raw.len(), samples * sample_bytes, 0].iter().for_each(|&n| frame.extend_from_slice(&word(n)));
    if level == 0 || !Encoder::new(sample_bytes, level)?.blocks(raw, samples, streams, &mut frame)? {
        frame.truncate(HEADER_BYTES);
        frame[2] |= COPIED;
        frame.extend_from_slice(raw);
    }
    let len = word(frame.len());
    frame[HEADER_BYTES - len.len()..HEADER_BYTES].copy_from_slice(&len);
    Ok(frame)
}

fn word(n: usize) -> [u8; 4] {
    (n as u32).to_le_bytes()
}

/// Samples of a block: an even part of the chunk where there is one, since what is left over cannot be split.
fn block_samples(samples: usize) -> usize {
    let fewest = samples.div_ceil(STREAM_BYTES);
    let even = (fewest..2 * fewest).find(|n| samples.is_multiple_of(*n));
    even.map_or(STREAM_BYTES, |blocks| samples / blocks).max(1)
}

/// Compressors of one chunk. They must not outlive it: zstd salts its tables by what a context has compressed before, so that the
/// bytes would depend on the order of chunks.
struct Encoder {
    sample_bytes: usize,
    quick: zstandard::Encoder,
    /// At the level that was asked for; none where that is the lowest.
    deep: Option<zstandard::Encoder>,
    shuffled: Vec<u8>,
}

impl Encoder {
    fn new(sample_bytes: usize, level: u8) -> Result<Encoder, String> {
        let encoder = |level| zstandard::Encoder::new(level, false);
        let deep = if level > 1 { Some(encoder(zstd_level(level))?) } else { None };
        Ok(Encoder { sample_bytes, quick: encoder(1)?, deep, shuffled: Vec::new() })
    }

    /// Appends where blocks begin, and the blocks; false where that takes more than the raw bytes do.
    fn blocks(&mut self, raw: &[u8], samples: usize, streams: usize, frame: &mut Vec<u8>) -> Result<bool, String> {
        let room = HEADER_BYTES + raw.len();
        let block_bytes = samples * self.sample_bytes;
        let table = frame.len();
        let first = table + raw.len().div_ceil(block_bytes) * size_of::<u32>();
        if first > room {
            return Ok(false);
        }
        frame.resize(first, 0);
        for (n, block) in raw.chunks(block_bytes).enumerate() {
            let start = word(frame.len());
            frame[table + n * start.len()..][..start.len()].copy_from_slice(&start);
            let streams = if block.len() < block_bytes { 1 } else { streams };
            for stream in self.streams(block, streams)? {
                if frame.len() + size_of::<u32>() + stream.len() > room {
                    return Ok(false);
                }
                frame.extend_from_slice(&word(stream.len()));
                frame.extend_from_slice(&stream);
            }
        }
        Ok(true)
    }

    /// The streams of a block as they are stored: raw where zstd makes them no smaller.
    fn streams(&mut self, block: &[u8], streams: usize) -> Result<Vec<Vec<u8>>, String> {
        let mut shuffled = std::mem::take(&mut self.shuffled);
        shuffle(block, self.sample_bytes, &mut shuffled);
        let raw = || shuffled.chunks(block.len() / streams);
        let mut stored = raw().map(|stream| smaller(&mut self.quick, stream)).collect::<Result<Vec<_>, _>>()?;
        let total = stored.iter().map(Vec::len).sum::<usize>() as u64;
        let least = total / (WORTHWHILE * streams as u64);
        for (stream, stored) in raw().zip(&mut stored) {
            if self.saves(stream, stored.len() as u64)? > least
                && let Some(deep) = &mut self.deep
            {
                let again = smaller(deep, stream)?;
                if again.len() < stored.len() {
                    *stored = again;
                }
            }
        }
        self.shuffled = shuffled;
        Ok(stored)
    }

    /// About how many of the `stored` bytes of a stream the level asked for would save: as a sample tells, all for short streams.
    fn saves(&mut self, stream: &[u8], stored: u64) -> Result<u64, String> {
        let Some(deep) = &mut self.deep else { return Ok(0) };
        if stream.len() < 4 * TRIED_BYTES {
            return Ok(stored);
        }
        let tried = &stream[(stream.len() - TRIED_BYTES) / 2..][..TRIED_BYTES];
        let quick = smaller(&mut self.quick, tried)?.len() as u64;
        let deep = smaller(deep, tried)?.len() as u64;
        Ok(stored * quick.saturating_sub(deep) / quick)
    }
}

/// What a decoder takes for `raw`: compressed, or as it is where that would be no smaller.
fn smaller(encoder: &mut zstandard::Encoder, raw: &[u8]) -> Result<Vec<u8>, String> {
    let mut encoded = sys::reserve(compress_bound(raw.len()) as u64)?;
    let len = encoder.encode(raw, &mut encoded)?;
    Ok(if len < raw.len() { encoded } else { raw.to_vec() })
}

/// The first bytes of all samples, then the second ones, and so on.
fn shuffle(block: &[u8], sample_bytes: usize, shuffled: &mut Vec<u8>) {
    shuffled.resize(block.len(), 0);
    match sample_bytes {
        2 => planes::<2>(block, shuffled),
        4 => planes::<4>(block, shuffled),
        _ => planes::<8>(block, shuffled),
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn planes<const N: usize>(block: &[u8], shuffled: &mut [u8]) {
    let (samples, _) = block.as_chunks::<N>();
    for (k, plane) in shuffled.chunks_exact_mut(samples.len().max(1)).enumerate() {
        for (byte, sample) in plane.iter_mut().zip(samples) {
            *byte = sample[k];
        }
    }
}

#[cfg(test)]
mod tests {
    use zarrs::array::codec::{blosc_decompress_bytes, blosc_validate};

    use super::*;

    /// A walk with noise in the low bytes, constant for a stretch.
    fn samples(count: usize, sample_bytes: usize) -> Vec<u8> {
        let mut seed = 9u64;
        let value = |n: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            if n % 50_000 < 10_000 { 7 } else { (n as u64 / 40) ^ (seed >> 58) | (n as u64 / 9000) << 40 }
        };
        (0..count)
            .map(value)
            .collect::<Vec<_>>()
            .iter()
            .flat_map(|v| v.to_le_bytes()[..sample_bytes].to_vec())
            .collect()
    }

    fn decoded(frame: &[u8]) -> Vec<u8> {
        blosc_decompress_bytes(frame, blosc_validate(frame).unwrap(), 1).unwrap()
    }

    #[test]
    fn c_blosc_reads_every_shape_of_frame() {
        for sample_bytes in [2, 4, 8] {
            // One sample, too few to split, one block, even parts, and a prime number: a part is left over.
            for count in [1, 127, 128, 1000, 131_072, 262_144, 300_000, 262_147] {
                let raw = samples(count, sample_bytes);
                for level in [0, 1, 5, 9] {
                    let frame = encode(&raw, sample_bytes, level).unwrap();
                    assert_eq!(decoded(&frame), raw, "{count} samples of {sample_bytes}, level {level}");
                    assert!(frame.len() <= raw.len() + HEADER_BYTES);
                    assert!(level == 0 || count < 128 || frame.len() < raw.len() / 2);
                    assert_eq!(frame, encode(&raw, sample_bytes, level).unwrap());
                }
            }
        }
    }

    #[test]
    fn what_does_not_compress_is_copied() {
        let mut seed = 1u64;
        let mut random = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 56) as u8
        };
        let raw: Vec<u8> = (0..600_000).map(|_| random()).collect();
        let frame = encode(&raw, 2, 5).unwrap();
        assert_eq!(frame.len(), raw.len() + HEADER_BYTES);
        assert_eq!(decoded(&frame), raw);
    }

    #[test]
    fn the_level_is_spent_where_it_saves() {
        // Low bytes are noise, high bytes walk: only a search finds the short repeats of that.
        let (mut seed, mut walk) = (3u64, 0u8);
        let value = |_| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            walk = walk.wrapping_add((seed >> 40) as u8 % 3).wrapping_sub(1);
            [(seed >> 59) as u8, walk]
        };
        let raw: Vec<u8> = (0..131_072).flat_map(value).collect();
        let mut encoder = Encoder::new(2, 5).unwrap();
        let mut shuffled = Vec::new();
        shuffle(&raw, 2, &mut shuffled);
        let saved = |stream: &[u8]| encoder.saves(stream, 1 << 20).unwrap();
        let [low, high] = [&shuffled[..131_072], &shuffled[131_072..]].map(saved);
        assert!(low < 1 << 12 && high > 1 << 14, "{low} {high}");
        assert!(encode(&raw, 2, 5).unwrap().len() < encode(&raw, 2, 1).unwrap().len());
    }

    #[test]
    fn chunks_are_cut_evenly_where_that_is_possible() {
        assert_eq!([1, 100, 131_072, 131_074, 262_144].map(block_samples), [1, 100, 131_072, 65_537, 131_072]);
        assert_eq!(block_samples(128 * 128 * 128), 131_072);
        assert_eq!(block_samples(100 * 100 * 100), 125_000);
        assert_eq!(block_samples(262_147), STREAM_BYTES);
    }
}
