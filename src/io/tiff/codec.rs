//! Strips and tiles, decoded into room that is known beforehand.
//!
//! What a stream holds beyond its strip is left; what it lacks is an error. No size that a stream states is believed.

use std::io::Read;

use flate2::read::ZlibDecoder;
use libdeflater::{DecompressionError, Decompressor};
use weezl::{BitOrder, LzwStatus, decode::Decoder};

use super::fault::Fault;
use crate::io::zstandard;

/// Compressions that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
    Zstd,
}

/// Compressions that are known and not read.
const UNREAD: [(u64, &str); 21] = [
    (2, "CCITT runs"),
    (3, "CCITT T.4 (fax)"),
    (4, "CCITT T.6 (fax)"),
    (6, "old JPEG"),
    (7, "JPEG"),
    (9, "JBIG"),
    (10, "JBIG"),
    (32771, "CCITT runs"),
    (32809, "ThunderScan"),
    (33003, "JPEG 2000"),
    (33004, "JPEG 2000"),
    (33005, "JPEG 2000"),
    (33007, "JPEG"),
    (34712, "JPEG 2000"),
    (34887, "LERC"),
    (34892, "JPEG of DNG"),
    (34925, "LZMA"),
    (34933, "PNG"),
    (34934, "JPEG XR"),
    (50001, "WebP"),
    (50002, "JPEG XL"),
];

/// Those of them that tifffile reads, and Bio-Formats does not: LERC, LZMA, PNG, WebP, JPEG XL.
const RARE: [u64; 5] = [34887, 34925, 34933, 50001, 50002];

impl Compression {
    /// By the number of the field Compression.
    ///
    /// # Errors
    /// One that is not read, by its name.
    pub(super) fn of(number: u64) -> Result<Compression, Fault> {
        Ok(match number {
            1 => Compression::None,
            5 => Compression::Lzw,
            8 | 32946 => Compression::Deflate,
            32773 => Compression::PackBits,
            34926 | 50000 => Compression::Zstd,
            other => {
                let is_rare = RARE.contains(&other);
                let name = UNREAD.iter().find(|(number, _)| *number == other);
                let name = name.map_or_else(
                    || format!("compression {other}"),
                    |(_, name)| format!("{name} (compression {other})"),
                );
                let what = format!("has voxels in {name}, which is not read");
                return Err(if is_rare { Fault::RareCodec(what) } else { Fault::Unread(what) });
            }
        })
    }

    /// For messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Compression::None => "raw",
            Compression::Lzw => "LZW",
            Compression::Deflate => "deflate",
            Compression::PackBits => "PackBits",
            Compression::Zstd => "zstd",
        }
    }

    /// The most bytes that so many become: LZW makes up to 12 bits of 8.
    pub(super) fn most_stored(decoded: u64) -> u64 {
        decoded.saturating_mul(2).saturating_add(64 << 10)
    }

    /// Memory of a decoder beside what it reads and makes.
    pub(super) fn scratch_bytes(self) -> u64 {
        match self {
            Compression::None | Compression::PackBits => 0,
            Compression::Lzw => 64 << 10,
            Compression::Deflate => 128 << 10,
            Compression::Zstd => 256 << 10,
        }
    }

    /// Fills `into` with what `stored` holds.
    ///
    /// # Errors
    /// What is wrong with the stream; too few bytes.
    pub(super) fn decode(self, stored: &[u8], into: &mut [u8]) -> Result<(), String> {
        let made = match self {
            Compression::None => {
                let count = stored.len().min(into.len());
                into[..count].copy_from_slice(&stored[..count]);
                count
            }
            Compression::Lzw => lzw(stored, into)?,
            Compression::Deflate => deflate(stored, into)?,
            Compression::PackBits => pack_bits(stored, into),
            Compression::Zstd => zstd(stored, into)?,
        };
        if made < into.len() {
            return Err(format!("{made} decoded bytes, expected {}", into.len()));
        }
        Ok(())
    }
}

fn lzw(stored: &[u8], into: &mut [u8]) -> Result<usize, String> {
    if stored.starts_with(&[0, 1]) {
        return Err("LZW of the kind before TIFF 6.0 (1992), which is not read".into());
    }
    let mut decoder = Decoder::with_tiff_size_switch(BitOrder::Msb, 8);
    let (mut read, mut made) = (0, 0);
    while made < into.len() {
        let step = decoder.decode_bytes(&stored[read..], &mut into[made..]);
        read += step.consumed_in;
        made += step.consumed_out;
        match step.status {
            Ok(LzwStatus::Ok) if step.consumed_in + step.consumed_out > 0 => {}
            Ok(_) => break,
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(made)
}

fn deflate(stored: &[u8], into: &mut [u8]) -> Result<usize, String> {
    match Decompressor::new().zlib_decompress(stored, into) {
        Ok(made) => Ok(made),
        Err(DecompressionError::InsufficientSpace) => {
            // More than the strip has: its beginning.
            ZlibDecoder::new(stored).read_exact(into).map_err(|error| error.to_string())?;
            Ok(into.len())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn zstd(stored: &[u8], into: &mut [u8]) -> Result<usize, String> {
    zstandard::decode(stored, into)
}

fn pack_bits(stored: &[u8], into: &mut [u8]) -> usize {
    let (mut at, mut made) = (0, 0);
    while let Some(&control) = stored.get(at).filter(|_| made < into.len()) {
        at += 1;
        let count = match control {
            0..=127 => usize::from(control) + 1,
            128 => continue,
            _ => 257 - usize::from(control),
        };
        let room = count.min(into.len() - made);
        if control < 128 {
            let literal = &stored[at..(at + room).min(stored.len())];
            into[made..made + literal.len()].copy_from_slice(literal);
            made += literal.len();
            at += count;
        } else {
            let Some(&byte) = stored.get(at) else { break };
            into[made..made + room].fill(byte);
            made += room;
            at += 1;
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn ramp(n: usize) -> Vec<u8> {
        (0..n).map(|i| (i * i / 7) as u8).collect()
    }

    fn packed(raw: &[u8]) -> Vec<u8> {
        raw.chunks(128).flat_map(|run| [&[run.len() as u8 - 1], run].concat()).collect()
    }

    fn streams(raw: &[u8]) -> [(Compression, Vec<u8>); 4] {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(raw).unwrap();
        let lzw = weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8).encode(raw).unwrap();
        [
            (Compression::Lzw, lzw),
            (Compression::Deflate, zlib.finish().unwrap()),
            (Compression::PackBits, packed(raw)),
            (Compression::Zstd, zstd::bulk::compress(raw, 3).unwrap()),
        ]
    }

    #[test]
    fn streams_fill_their_room_and_no_more() {
        let raw = ramp(5000);
        for (compression, stored) in streams(&raw) {
            let mut whole = vec![0; 5000];
            compression.decode(&stored, &mut whole).unwrap();
            assert_eq!(whole, raw, "{compression:?}");
            if compression != Compression::Zstd {
                let mut part = vec![0; 4000];
                compression.decode(&stored, &mut part).unwrap();
                assert_eq!(part, raw[..4000], "{compression:?}");
            }
            assert!(compression.decode(&stored, &mut vec![0; 5001]).is_err(), "{compression:?}");
            for cut in (0..stored.len()).step_by(7) {
                assert!(compression.decode(&stored[..cut], &mut whole).is_err(), "{compression:?} cut at {cut}");
            }
            for bit in (0..stored.len() * 8).step_by(3) {
                let mut damaged = stored.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                let _ = compression.decode(&damaged, &mut whole);
            }
        }
    }

    #[test]
    fn runs() {
        let mut made = [0; 7];
        assert_eq!(pack_bits(&[254, 9, 128, 1, 1, 2, 255, 7], &mut made), 7);
        assert_eq!(made, [9, 9, 9, 1, 2, 7, 7]);
        assert_eq!(pack_bits(&[254], &mut made), 0);
    }

    #[test]
    fn what_is_not_read_is_named() {
        let told = |number| match Compression::of(number) {
            Err(Fault::Unread(what)) => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(told(7), "has voxels in JPEG (compression 7), which is not read");
        assert_eq!(told(65000), "has voxels in compression 65000, which is not read");
    }
}
