//! Chunks compressed by gzip and zlib: a whole stream at once, by libdeflate.
//!
//! Each thread keeps one decompressor. States made anew for each of many small chunks leave the allocator's heap in pieces: a
//! thousand chunks of 320 bytes took 25 MiB.

use std::{cell::RefCell, io::Read};

use libdeflater::{DecompressionError, Decompressor};

use super::limit::SizeLimit;

use crate::sys;

/// Bytes that deflate makes of one at most: the room for a short stream is small, whatever its chunk could hold.
const MOST_RATIO: u64 = 1032;

thread_local! {
    static DECOMPRESSOR: RefCell<Decompressor> = RefCell::new(Decompressor::new());
}

/// What a gzip stream holds: all its members, each held against its checksum.
pub(crate) fn decode_gzip(encoded: &[u8], limit: SizeLimit) -> Result<Vec<u8>, String> {
    let first = DECOMPRESSOR.with_borrow_mut(|it| within(encoded, limit, |room| it.gzip_decompress(encoded, room)))?;
    if ends_with(encoded, &first) {
        return Ok(first);
    }
    // Bytes stand behind the first member: others, or what is none. libdeflate does not say where it ended.
    read_within(flate2::read::MultiGzDecoder::new(encoded), limit)
}

/// What a zlib stream holds, held against its checksum.
pub(crate) fn decode_zlib(encoded: &[u8], limit: SizeLimit) -> Result<Vec<u8>, String> {
    DECOMPRESSOR.with_borrow_mut(|it| within(encoded, limit, |room| it.zlib_decompress(encoded, room)))
}

/// Whether a gzip member of these bytes ends where `encoded` does (RFC 1952: CRC-32 and length modulo 2^32).
fn ends_with(encoded: &[u8], decoded: &[u8]) -> bool {
    let mut end = [0; 8];
    end[..4].copy_from_slice(&libdeflater::crc32(decoded).to_le_bytes());
    end[4..].copy_from_slice(&(decoded.len() as u32).to_le_bytes());
    encoded.ends_with(&end)
}

/// What `decompress` makes of `encoded`, in the room of `limit`.
fn within(
    encoded: &[u8],
    limit: SizeLimit,
    decompress: impl FnOnce(&mut [u8]) -> Result<usize, DecompressionError>,
) -> Result<Vec<u8>, String> {
    let room = limit.bytes().min((encoded.len() as u64).saturating_mul(MOST_RATIO));
    let mut decoded = sys::reserve(room)?;
    decoded.resize(room as usize, 0);
    let found = decompress(&mut decoded).map_err(|error| match error {
        DecompressionError::BadData => "damaged or cut off".to_string(),
        DecompressionError::InsufficientSpace => too_long(limit),
    })?;
    decoded.truncate(found);
    Ok(decoded)
}

/// Reads to the end, where checksums stand, but never more than one byte past the room.
pub(crate) fn read_within(decoder: impl Read, limit: SizeLimit) -> Result<Vec<u8>, String> {
    let mut decoded = sys::reserve(limit.bytes().saturating_add(1))?;
    decoder.take(limit.bytes().saturating_add(1)).read_to_end(&mut decoded).map_err(|e| e.to_string())?;
    if decoded.len() as u64 > limit.bytes() {
        return Err(too_long(limit));
    }
    Ok(decoded)
}

fn too_long(limit: SizeLimit) -> String {
    format!("more than the {} decoded bytes expected", limit.bytes())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder, write::ZlibEncoder};

    use super::*;

    fn gzip(raw: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(raw).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(raw: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(raw).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn members_of_gzip_stand_behind_each_other() {
        let (one, two) = (vec![7u8; 5000], (0..3000u32).map(|n| n as u8).collect::<Vec<_>>());
        let both = [gzip(&one), gzip(&two)].concat();
        assert_eq!(decode_gzip(&both, SizeLimit::Exactly(8000)).unwrap(), [one.clone(), two].concat());
        assert_eq!(decode_gzip(&gzip(&one), SizeLimit::AtMost(9000)).unwrap(), one);
        // An empty member at the end, as bgzip leaves it.
        assert_eq!(decode_gzip(&[gzip(&one), gzip(&[])].concat(), SizeLimit::Exactly(5000)).unwrap(), one);
        assert!(decode_gzip(&both, SizeLimit::AtMost(7999)).unwrap_err().contains("7999"));
        assert!(decode_gzip(&[gzip(&one), vec![1; 20]].concat(), SizeLimit::AtMost(9000)).is_err());
    }

    #[test]
    fn a_stream_stays_within_its_room_and_is_whole() {
        let raw: Vec<u8> = (0..4000u32).map(|n| (n * n) as u8).collect();
        // As short as deflate makes them.
        let zeros = vec![0; 50 << 20];
        assert_eq!(decode_zlib(&zlib(&zeros), SizeLimit::Exactly(50 << 20)).as_ref(), Ok(&zeros));
        for (decode, encoded) in [(decode_gzip as fn(&[u8], SizeLimit) -> _, gzip(&raw)), (decode_zlib, zlib(&raw))] {
            assert_eq!(decode(&encoded, SizeLimit::Exactly(4000)).as_ref(), Ok(&raw));
            assert!(decode(&encoded, SizeLimit::Exactly(3999)).unwrap_err().contains("3999"));
            // Room that could not be had is not asked for.
            assert_eq!(decode(&encoded, SizeLimit::AtMost(u64::MAX)).as_ref(), Ok(&raw));
            for cut in 0..encoded.len() {
                assert!(decode(&encoded[..cut], SizeLimit::Exactly(4000)).is_err(), "cut at {cut}");
            }
        }
    }
}
