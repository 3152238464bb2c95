//! Filters of chunks, undone into room that is known beforehand. No size that a stream states is believed.
//!
//! Source: HDF5 File Format Specification 3.0, "IV.A.2.l. The Data Storage - Filter Pipeline Message"; the registry of filters of the HDF Group.

use super::bytes::Fields;
use crate::{
    io::{
        tiff::fault::Fault,
        zarr::{deflated::decode_zlib, limit::SizeLimit},
        zstandard,
    },
    sys,
};

/// Filters of one dataset, at most.
const MOST_FILTERS: u8 = 32;
/// Memory of a decoder beside what it reads and makes.
const SCRATCH_BYTES: u64 = 256 << 10;

/// One filter, as it was applied on writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    Deflate,
    /// The first bytes of all samples, then the second ones, and so on; bytes of a sample.
    Shuffle(u32),
    /// A sum of four bytes behind the others.
    Fletcher32,
    Lz4,
    Zstd,
}

/// Filters that are known and not read.
const UNREAD: [(u16, &str); 14] = [
    (4, "SZIP"),
    (5, "N-bit"),
    (6, "scale-offset"),
    (305, "LZO"),
    (307, "bzip2"),
    (32000, "LZF"),
    (32001, "Blosc"),
    (32008, "Bitshuffle"),
    (32013, "ZFP"),
    (32019, "JPEG"),
    (32022, "JPEG-LS"),
    (32026, "Blosc2"),
    (32012, "JPEG-XR"),
    (32023, "B3D"),
];

impl Filter {
    /// The filters of a message, in the order of writing.
    ///
    /// # Errors
    /// One that is not read, by its name.
    pub(super) fn list(body: &[u8]) -> Result<Vec<Filter>, Fault> {
        let mut fields = Fields::new(body, "the filters of a dataset");
        let (version, count) = (fields.u8()?, fields.u8()?);
        if !matches!(version, 1 | 2) || count > MOST_FILTERS {
            let found = format!("{count} of version {version}");
            return Err(Fault::wrong(
                "the filters of a dataset",
                found,
                format!("up to {MOST_FILTERS} of version 1 or 2"),
            ));
        }
        fields.skip(if version == 1 { 6 } else { 0 })?;
        (0..count).map(|_| Filter::next(&mut fields, version)).collect()
    }

    fn next(fields: &mut Fields<'_>, version: u8) -> Result<Filter, Fault> {
        let number = fields.u16()?;
        let name = if version == 1 || number >= 256 { usize::from(fields.u16()?) } else { 0 };
        fields.skip(2)?;
        let count = usize::from(fields.u16()?);
        let name = fields.take(if version == 1 { name.next_multiple_of(8) } else { name })?;
        let own = String::from_utf8_lossy(name.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned();
        let first = if count > 0 { fields.u32()? } else { 0 };
        fields.skip(4 * count.saturating_sub(1) + if version == 1 && count % 2 == 1 { 4 } else { 0 })?;
        Ok(match number {
            1 => Filter::Deflate,
            2 => Filter::Shuffle(first),
            3 => Filter::Fletcher32,
            32004 => Filter::Lz4,
            32015 => Filter::Zstd,
            _ => {
                let known = UNREAD.iter().find(|(known, _)| *known == number).map(|(_, name)| (*name).to_string());
                let name = known.unwrap_or_else(|| own.chars().filter(|c| !c.is_control()).take(40).collect());
                return Err(Fault::Unread(format!(
                    "has chunks packed by the filter {name} ({number}), which is not read"
                )));
            }
        })
    }

    /// What it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Filter::Deflate => "deflate",
            Filter::Shuffle(_) => "shuffle",
            Filter::Fletcher32 => "fletcher32",
            Filter::Lz4 => "LZ4",
            Filter::Zstd => "zstd",
        }
    }
}

/// The most bytes that a chunk of so many is stored in.
pub(super) fn most_stored(raw_bytes: u64) -> u64 {
    raw_bytes.saturating_add(raw_bytes / 64).saturating_add(64 << 10)
}

/// Memory of decoding one chunk, its stored bytes among it.
pub(super) fn memory_bytes(raw_bytes: u64) -> u64 {
    most_stored(raw_bytes).saturating_add(raw_bytes.saturating_mul(2)).saturating_add(SCRATCH_BYTES)
}

/// Undoes the filters of a chunk of `raw_bytes`, but for those that its mask names.
///
/// # Errors
/// What is wrong with the stored bytes.
pub(super) fn decode(filters: &[Filter], left_out: u32, mut bytes: Vec<u8>, raw_bytes: u64) -> Result<Vec<u8>, String> {
    let is_applied = |n: &usize| left_out >> *n & 1 == 0;
    for n in (0..filters.len()).rev().filter(is_applied) {
        // A sum that was put behind the bytes before this filter is still there.
        let sums = (0..n).filter(is_applied).filter(|&n| filters[n] == Filter::Fletcher32).count() as u64;
        let len = raw_bytes.saturating_add(4 * sums);
        bytes = match filters[n] {
            Filter::Deflate => {
                decode_zlib(&bytes, SizeLimit::Exactly(len)).map_err(|what| format!("deflate: {what}"))?
            }
            Filter::Shuffle(size) => unshuffled(&bytes, size as usize)?,
            Filter::Fletcher32 => summed(bytes)?,
            Filter::Lz4 => lz4(&bytes, len)?,
            Filter::Zstd => zstd(&bytes, len)?,
        };
    }
    if bytes.len() as u64 == raw_bytes {
        return Ok(bytes);
    }
    Err(format!("{} decoded bytes, expected {raw_bytes}", bytes.len()))
}

/// Zeros, so many.
fn room(len: u64) -> Result<Vec<u8>, String> {
    let mut room = sys::reserve(len)?;
    room.resize(len as usize, 0);
    Ok(room)
}

fn zstd(bytes: &[u8], len: u64) -> Result<Vec<u8>, String> {
    let mut room = room(len)?;
    let made = zstandard::decode(bytes, &mut room[..]).map_err(|error| format!("zstd: {error}"))?;
    room.truncate(made);
    Ok(room)
}

/// Blocks of one length, each with its own packed length in front; big endian.
fn lz4(bytes: &[u8], len: u64) -> Result<Vec<u8>, String> {
    let cut = || "LZ4: cut off".to_string();
    let (head, mut rest) = bytes.split_at_checked(12).ok_or_else(cut)?;
    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
    let (claimed, block) = (number(&head[..8]), number(&head[8..]));
    if claimed != len || block == 0 {
        return Err(format!("LZ4: {claimed} bytes in blocks of {block}, expected {len}"));
    }
    let mut room = room(len)?;
    for part in room.chunks_mut(usize::try_from(block).unwrap_or(usize::MAX)) {
        let (size, behind) = rest.split_at_checked(4).ok_or_else(cut)?;
        let (packed, behind) = behind.split_at_checked(number(size) as usize).ok_or_else(cut)?;
        rest = behind;
        if packed.len() == part.len() {
            part.copy_from_slice(packed);
            continue;
        }
        let made = lz4_flex::block::decompress_into(packed, part).map_err(|error| format!("LZ4: {error}"))?;
        if made != part.len() {
            return Err(format!("LZ4: a block of {made} bytes, expected {}", part.len()));
        }
    }
    Ok(room)
}

fn unshuffled(bytes: &[u8], size: usize) -> Result<Vec<u8>, String> {
    if size < 2 {
        return Ok(bytes.to_vec());
    }
    let samples = bytes.len() / size;
    let mut room = room(bytes.len() as u64)?;
    for (n, plane) in bytes.chunks_exact(samples.max(1)).take(size).enumerate() {
        room.iter_mut().skip(n).step_by(size).zip(plane).for_each(|(byte, own)| *byte = *own);
    }
    let whole = samples * size;
    room[whole..].copy_from_slice(&bytes[whole..]);
    Ok(room)
}

fn summed(mut bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let len = bytes.len().checked_sub(4).ok_or("fletcher32: cut off")?;
    let stored = bytes[len..].iter().rev().fold(0u32, |sum, &byte| sum << 8 | u32::from(byte));
    bytes.truncate(len);
    let found = fletcher32(&bytes);
    if found == stored { Ok(bytes) } else { Err(format!("fletcher32 is {found:08x}, stored is {stored:08x}")) }
}

/// Fletcher's sum over big-endian words of 16 bits, an odd byte last.
fn fletcher32(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (0u32, 0u32);
    // 360 words at most go by before a sum could overflow.
    for part in bytes.chunks(720) {
        for word in part.chunks(2) {
            low += u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0));
            high += low;
        }
        (low, high) = ((low & 0xffff) + (low >> 16), (high & 0xffff) + (high >> 16));
    }
    (low, high) = ((low & 0xffff) + (low >> 16), (high & 0xffff) + (high >> 16));
    high << 16 | low
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn message(filters: &[(u16, &[u32])]) -> Vec<u8> {
        let mut body = vec![2, filters.len() as u8];
        for (number, values) in filters {
            body.extend(number.to_le_bytes());
            if *number >= 256 {
                body.extend(5u16.to_le_bytes());
            }
            body.extend([0, 0]);
            body.extend((values.len() as u16).to_le_bytes());
            if *number >= 256 {
                body.extend(b"mine\0");
            }
            values.iter().for_each(|value| body.extend(value.to_le_bytes()));
        }
        body
    }

    #[test]
    fn filters_are_known_by_number() {
        let known = Filter::list(&message(&[(2, &[2]), (1, &[6]), (3, &[])])).unwrap();
        assert_eq!(known, [Filter::Shuffle(2), Filter::Deflate, Filter::Fletcher32]);
        for (number, name) in [(32001, "Blosc (32001)"), (32000, "LZF (32000)"), (777, "mine (777)")] {
            match Filter::list(&message(&[(number, &[])])) {
                Err(Fault::Unread(what)) => assert!(what.contains(name), "{what}"),
                other => panic!("{other:?}"),
            }
        }
        assert!(Filter::list(&[2, 33]).is_err() && Filter::list(&[2, 1, 1]).is_err());
    }

    fn deflated(raw: &[u8]) -> Vec<u8> {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(raw).unwrap();
        zlib.finish().unwrap()
    }

    #[test]
    fn streams_fill_their_room_and_no_more() {
        let raw: Vec<u8> = (0..999u32).map(|n| (n * n / 7) as u8).collect();
        let shuffled: Vec<u8> = (0..3).flat_map(|k| raw.iter().skip(k).step_by(3)).copied().collect();
        let sum = fletcher32(&raw).to_le_bytes();
        let mut blocks = [999u64.to_be_bytes().to_vec(), 500u32.to_be_bytes().to_vec()].concat();
        for part in [&raw[..500], &raw[500..]] {
            let packed = lz4_flex::block::compress(part);
            let packed = if packed.len() < part.len() { packed } else { part.to_vec() };
            blocks.extend((packed.len() as u32).to_be_bytes());
            blocks.extend(packed);
        }
        let cases = [
            (vec![Filter::Shuffle(3), Filter::Deflate], deflated(&shuffled)),
            (vec![Filter::Fletcher32, Filter::Deflate], deflated(&[&raw[..], &sum].concat())),
            (vec![Filter::Deflate, Filter::Fletcher32], {
                let packed = deflated(&raw);
                let sum = fletcher32(&packed).to_le_bytes();
                [packed, sum.to_vec()].concat()
            }),
            (vec![Filter::Lz4], blocks),
            (vec![Filter::Zstd], zstd::bulk::compress(&raw, 3).unwrap()),
            (vec![], raw.clone()),
        ];
        for (filters, stored) in cases {
            assert_eq!(decode(&filters, 0, stored.clone(), 999).unwrap(), raw, "{filters:?}");
            assert!(decode(&filters, 0, stored.clone(), 998).is_err(), "{filters:?}");
            assert!(decode(&filters, 0, stored.clone(), 1000).is_err(), "{filters:?}");
            for cut in 0..stored.len() {
                assert!(decode(&filters, 0, stored[..cut].to_vec(), 999).is_err(), "{filters:?} cut at {cut}");
            }
            for bit in 0..stored.len() * 8 {
                let mut damaged = stored.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                let _ = decode(&filters, 0, damaged, 999);
            }
        }
        // A chunk that was not packed says so in its mask.
        assert_eq!(decode(&[Filter::Shuffle(3), Filter::Deflate], 3, raw.clone(), 999).unwrap(), raw);
    }
}
