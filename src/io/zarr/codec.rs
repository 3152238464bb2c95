//! Compressors of chunks, decoded within a bound that is known beforehand.
//!
//! The sizes that a stored stream claims are never believed: each decoder is given room for what a chunk can hold and
//! fails where the stream asks for more. zarrs decodes Blosc; its other decoders trust the stream, so theirs are not used.

use std::borrow::Cow;

use zarrs::array::codec::{blosc_decompress_bytes, blosc_validate};

use super::{
    deflated::{decode_gzip, decode_zlib, read_within},
    filter::Filter,
    limit::SizeLimit,
};

use crate::{io::zstandard, sys};

/// Largest block that c-blosc chooses by itself (1.21, compute_blocksize). Its decoder takes memory for two blocks of whatever
/// size a chunk claims.
const BLOSC_BLOCK_BYTES: u64 = 1 << 20;

/// Zarr codecs from bytes to bytes that can be read.
#[derive(Clone, Debug, PartialEq)]
pub enum ByteCodec {
    /// `block_bytes` as the metadata state them; 0 for automatic.
    Blosc {
        inner: String,
        block_bytes: u64,
    },
    Zstd,
    Gzip,
    Zlib,
    Bz2,
    /// numcodecs' framing: decoded size as u32, then one LZ4 block.
    Lz4,
    Crc32c,
    Filter(Filter),
}

impl ByteCodec {
    /// As array metadata have it.
    pub fn name(&self) -> String {
        match self {
            ByteCodec::Blosc { inner, .. } => format!("blosc-{inner}"),
            ByteCodec::Zstd => "zstd".into(),
            ByteCodec::Gzip => "gzip".into(),
            ByteCodec::Zlib => "zlib".into(),
            ByteCodec::Bz2 => "bz2".into(),
            ByteCodec::Lz4 => "lz4".into(),
            ByteCodec::Crc32c => "crc32c".into(),
            ByteCodec::Filter(filter) => filter.name().into(),
        }
    }

    /// Largest stored size that is believed for a decoded size: every codec here adds less to what it cannot compress.
    fn encoded_room(&self, decoded: SizeLimit) -> SizeLimit {
        match (self, decoded) {
            (ByteCodec::Crc32c, SizeLimit::Exactly(n)) => SizeLimit::Exactly(n.saturating_add(4)),
            (ByteCodec::Filter(filter), SizeLimit::Exactly(n)) => SizeLimit::Exactly(filter.encoded_bytes(n)),
            (ByteCodec::Filter(filter), SizeLimit::AtMost(n)) => SizeLimit::AtMost(filter.encoded_bytes(n)),
            (_, limit) => SizeLimit::AtMost(limit.bytes().saturating_add(limit.bytes() / 16).saturating_add(64 << 10)),
        }
    }

    /// Working memory of the decoder beyond its input and output.
    fn scratch_bytes(&self, decoded: u64) -> u64 {
        match self {
            // Two blocks.
            ByteCodec::Blosc { block_bytes, .. } => {
                (*block_bytes).max(BLOSC_BLOCK_BYTES).min(decoded).saturating_mul(2) + (256 << 10)
            }
            ByteCodec::Bz2 => 5 << 20,
            ByteCodec::Zstd => 256 << 10,
            ByteCodec::Gzip | ByteCodec::Zlib => 128 << 10,
            ByteCodec::Lz4 | ByteCodec::Crc32c | ByteCodec::Filter(_) => 0,
        }
    }

    fn decode<'a>(&self, encoded: Cow<'a, [u8]>, limit: SizeLimit) -> Result<Cow<'a, [u8]>, String> {
        let decoded = match self {
            ByteCodec::Crc32c => check_crc32c(encoded)?,
            ByteCodec::Blosc { block_bytes, .. } => {
                Cow::Owned(decode_blosc(&encoded, limit, (*block_bytes).max(BLOSC_BLOCK_BYTES))?)
            }
            ByteCodec::Zstd => Cow::Owned(decode_zstd(&encoded, limit)?),
            ByteCodec::Gzip => Cow::Owned(decode_gzip(&encoded, limit)?),
            ByteCodec::Zlib => Cow::Owned(decode_zlib(&encoded, limit)?),
            ByteCodec::Bz2 => Cow::Owned(read_within(bzip2::read::MultiBzDecoder::new(&*encoded), limit)?),
            ByteCodec::Lz4 => Cow::Owned(decode_lz4(&encoded, limit)?),
            ByteCodec::Filter(filter) => {
                self.encoded_room(limit).check(encoded.len() as u64)?;
                let mut decoded = sys::reserve(limit.bytes())?;
                filter.decode(&encoded, &mut decoded)?;
                Cow::Owned(decoded)
            }
        };
        limit.check(decoded.len() as u64)?;
        Ok(decoded)
    }
}

/// The codecs of a chunk, in the order in which they encode.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chain(pub Vec<ByteCodec>);

impl Chain {
    /// Decodes one chunk to exactly `decoded_bytes`; the message says which codec found what wrong.
    pub fn decode<'a>(&self, encoded: &'a [u8], decoded_bytes: u64) -> Result<Cow<'a, [u8]>, String> {
        let rooms = self.rooms(decoded_bytes);
        let mut data = Cow::Borrowed(encoded);
        for (codec, limit) in self.0.iter().zip(&rooms).rev() {
            data = codec.decode(data, *limit).map_err(|what| format!("{}: {what}", codec.name()))?;
        }
        SizeLimit::Exactly(decoded_bytes).check(data.len() as u64)?;
        Ok(data)
    }

    /// Room before each codec, then the room of what is stored.
    fn rooms(&self, decoded_bytes: u64) -> Vec<SizeLimit> {
        let mut rooms = vec![SizeLimit::Exactly(decoded_bytes)];
        for codec in &self.0 {
            rooms.push(codec.encoded_room(rooms[rooms.len() - 1]));
        }
        rooms
    }

    /// Largest stored size of a chunk that is read at all.
    pub fn encoded_limit(&self, decoded_bytes: u64) -> u64 {
        self.rooms(decoded_bytes).last().map_or(decoded_bytes, |limit| limit.bytes())
    }

    /// Memory that decoding one chunk takes at its peak: stored bytes, decoded bytes, codecs.
    pub fn decode_memory(&self, decoded_bytes: u64) -> u64 {
        let scratch = self.0.iter().map(|codec| codec.scratch_bytes(decoded_bytes)).max().unwrap_or(0);
        let rooms = self.rooms(decoded_bytes);
        // A checksum is cut off in place; every other codec has an output of its own.
        let outputs = self.0.iter().zip(&rooms).filter(|(codec, _)| **codec != ByteCodec::Crc32c);
        let stored = rooms.last().map_or(0, |limit| limit.bytes());
        outputs.fold(stored.saturating_add(scratch), |sum, (_, limit)| sum.saturating_add(limit.bytes()))
    }

    /// The codecs in the order in which they were applied, for messages.
    pub fn describe(&self) -> String {
        if self.0.is_empty() {
            return "none".into();
        }
        self.0.iter().map(ByteCodec::name).collect::<Vec<_>>().join("+")
    }
}

fn decode_zstd(encoded: &[u8], limit: SizeLimit) -> Result<Vec<u8>, String> {
    let mut decoded = sys::reserve(limit.bytes())?;
    zstandard::decode(encoded, &mut decoded)?;
    Ok(decoded)
}

/// Decoded size as little-endian u32, then one LZ4 block.
fn decode_lz4(encoded: &[u8], limit: SizeLimit) -> Result<Vec<u8>, String> {
    let (size, block) = encoded.split_first_chunk::<4>().ok_or("shorter than its header")?;
    let claimed = u64::from(u32::from_le_bytes(*size));
    limit.check(claimed)?;
    let mut decoded = sys::reserve(claimed)?;
    decoded.resize(claimed as usize, 0);
    let found = lz4_flex::block::decompress_into(block, &mut decoded).map_err(|e| e.to_string())?;
    SizeLimit::Exactly(claimed).check(found as u64)?;
    Ok(decoded)
}

/// Blosc 1 header: version, versionlz, flags, typesize, then nbytes, blocksize, cbytes as u32 (c-blosc README_HEADER).
fn decode_blosc(encoded: &[u8], limit: SizeLimit, most_block_bytes: u64) -> Result<Vec<u8>, String> {
    if encoded.len() < 16 || encoded[3] == 0 {
        return Err("damaged header".into());
    }
    let claimed = blosc_validate(encoded).ok_or("damaged header")?;
    limit.check(claimed as u64)?;
    let block = u64::from(u32::from_le_bytes([encoded[8], encoded[9], encoded[10], encoded[11]]));
    if block > most_block_bytes {
        return Err(format!("blocks of {block} bytes, expected at most {most_block_bytes}"));
    }
    if claimed == 0 {
        return Ok(Vec::new());
    }
    sys::reserve(claimed as u64)?;
    blosc_decompress_bytes(encoded, claimed, 1).map_err(|e| e.to_string())
}

fn check_crc32c(encoded: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, String> {
    let Some(body) = encoded.len().checked_sub(4) else {
        return Err(format!("{} bytes, expected at least 4", encoded.len()));
    };
    let found = crc32c::crc32c(&encoded[..body]);
    let stored = u32::from_le_bytes([encoded[body], encoded[body + 1], encoded[body + 2], encoded[body + 3]]);
    if found != stored {
        return Err(format!("checksum is {found:08x}, stored is {stored:08x}"));
    }
    Ok(match encoded {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[..body]),
        Cow::Owned(mut bytes) => {
            bytes.truncate(body);
            Cow::Owned(bytes)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::encode::{Codec, encode_gzip, encode_zstd, with_crc32c},
        *,
    };

    fn ramp(n: usize) -> Vec<u8> {
        (0..n).map(|i| (i / 7) as u8).collect()
    }

    fn written() -> [(Codec, Chain); 5] {
        let blosc =
            |inner: &str| Chain(vec![ByteCodec::Blosc { inner: inner.into(), block_bytes: 0 }, ByteCodec::Crc32c]);
        [
            (Codec::Zstd(3), Chain(vec![ByteCodec::Zstd])),
            (Codec::BloscZstd(5), blosc("zstd")),
            (Codec::BloscLz4(5), blosc("lz4")),
            (Codec::Gzip(6), Chain(vec![ByteCodec::Gzip])),
            (Codec::None, Chain(vec![ByteCodec::Crc32c])),
        ]
    }

    #[test]
    fn what_is_encoded_decodes_and_every_flipped_bit_is_noticed() {
        let raw = ramp(1000);
        for (codec, chain) in written() {
            let encoded = codec.encode(raw.clone(), 2).unwrap();
            assert_eq!(encoded, codec.encode(raw.clone(), 2).unwrap());
            assert_eq!(chain.decode(&encoded, 1000).unwrap(), raw);
            for bit in 0..encoded.len() * 8 {
                let mut bad = encoded.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                if let Ok(decoded) = chain.decode(&bad, 1000) {
                    assert_eq!(decoded, raw, "{codec:?} bit {bit}");
                }
            }
            for cut in 0..encoded.len() {
                assert!(chain.decode(&encoded[..cut], 1000).is_err(), "{codec:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn lz4_blocks_stay_within_the_room() {
        let lz4 = |stored: &[u8], limit: SizeLimit| decode_lz4(stored, limit);
        // "abcd", a match of 8 at distance 4, then the literals "eabcde".
        let stored = [18, 0, 0, 0, 0x44, b'a', b'b', b'c', b'd', 4, 0, 0x60, b'e', b'a', b'b', b'c', b'd', b'e'];
        assert_eq!(lz4(&stored, SizeLimit::Exactly(18)).unwrap(), b"abcdabcdabcdeabcde");
        assert!(lz4(&stored, SizeLimit::Exactly(17)).is_err());
        // Made by numcodecs 0.16.6: four runs of 16.
        let runs = [64, 0, 0, 0, 27, 0, 1, 0, 27, 1, 1, 0, 27, 2, 1, 0, 22, 3, 1, 0, 80, 3, 3, 3, 3, 3];
        let expected: Vec<u8> = (0..64).map(|i| i / 16).collect();
        assert_eq!(lz4(&runs, SizeLimit::AtMost(64)).unwrap(), expected);
        let mut seed = 7u64;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % below
        };
        for _ in 0..20_000 {
            let mut bad = runs[..4 + random(runs.len() - 3)].to_vec();
            for _ in 0..random(4) {
                let at = random(bad.len());
                bad[at] = random(256) as u8;
            }
            if let Ok(decoded) = lz4(&bad, SizeLimit::AtMost(64)) {
                assert!(decoded.len() <= 64);
            }
        }
        assert!(lz4(&[13, 0], SizeLimit::Exactly(13)).is_err());
        assert!(lz4(&[1, 0, 0, 0, 0xf0, 255, 255], SizeLimit::Exactly(1)).is_err());
        assert!(lz4(&[255, 255, 255, 255, 0x1f, 0, 1, 0], SizeLimit::AtMost(100)).is_err());
    }

    #[test]
    fn filters_are_held_to_their_sizes() {
        use super::super::filter::Format;
        let format = |dtype| Format { dtype, big_endian: false };
        let (encoded, decoded) = (format(crate::voxel::Dtype::I8), format(crate::voxel::Dtype::I32));
        let delta = Filter::Delta { encoded, decoded };
        let chain = Chain(vec![ByteCodec::Filter(delta), ByteCodec::Zstd]);
        assert_eq!(chain.rooms(16)[1], SizeLimit::Exactly(4));
        let stored = encode_zstd(&[1, 2, 255, 0], 1).unwrap();
        assert_eq!(chain.decode(&stored, 16).unwrap()[..], [1, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0]);
        assert!(chain.decode(&stored, 12).is_err() && chain.decode(&stored, 20).is_err());
        assert!(Chain(vec![ByteCodec::Filter(delta)]).decode(&[0; 5], 16).is_err());
    }

    #[test]
    fn bombs_are_refused_within_the_room() {
        let zeros = vec![0; 50 << 20];
        for (codec, chain) in written() {
            let bomb = codec.encode(zeros.clone(), 2).unwrap();
            assert!(chain.decode(&bomb, 8192).is_err(), "{codec:?}");
        }
    }

    #[test]
    fn a_frame_that_claims_a_gibibyte_is_refused() {
        // Magic, single segment with 8-byte content size, the size, one empty last raw block.
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
        frame.extend_from_slice(&(1u64 << 30).to_le_bytes());
        frame.extend_from_slice(&[1, 0, 0]);
        assert!(Chain(vec![ByteCodec::Zstd]).decode(&frame, 8192).is_err());
    }

    #[test]
    fn blocks_of_blosc_are_bounded() {
        let raw = ramp(5 << 20);
        let mut encoded = Codec::BloscLz4(5).encode(raw.clone(), 1).unwrap();
        encoded.truncate(encoded.len() - 4);
        let chain = |block_bytes| Chain(vec![ByteCodec::Blosc { inner: "lz4".into(), block_bytes }]);
        assert_eq!(chain(0).decode(&encoded, 5 << 20).unwrap(), raw);
        encoded[8..12].copy_from_slice(&(5u32 << 20).to_le_bytes());
        let error = chain(0).decode(&encoded, 5 << 20).unwrap_err();
        assert_eq!(error, "blosc-lz4: blocks of 5242880 bytes, expected at most 1048576");
    }

    #[test]
    fn streams_within_streams_are_bounded_too() {
        let chain = Chain(vec![ByteCodec::Crc32c, ByteCodec::Gzip, ByteCodec::Zstd]);
        let inner = encode_gzip(&with_crc32c(ramp(100)), 5).unwrap();
        assert_eq!(chain.decode(&encode_zstd(&inner, 1).unwrap(), 100).unwrap(), ramp(100));
        assert_eq!(chain.rooms(100)[1], SizeLimit::Exactly(104));
        assert!(chain.decode(&encode_zstd(&vec![0; 10 << 20], 1).unwrap(), 100).is_err());
    }
}
