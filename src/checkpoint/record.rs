//! One entry as one line of text: a checksum, a letter, numbers.
//!
//! `crc32c R level volume lo*3 hi*3 empty_chunks bytes stored`, `crc32c C level volume lo*3 hi*3 turn place offset len shard stored`,
//! `crc32c U number segment offset len crc32 raw_bytes stored`, of zlib streams `Z` with Adler-32 for `crc32`. Numbers are decimal, the checksum (of what stands behind
//! it and its blank) is eight hexadecimal digits. A line that was torn, by a kill or a full disk, has no right checksum. `stored` is the
//! CRC-32C of the stored bytes; earlier versions wrote neither it nor `bytes`, and their lines are read too.

use std::fmt::Write;

use crate::{
    checkpoint::{
        check::Check,
        ledger::{ChunkLocation, Entry, StoredChunk, StreamUnit},
        stamp::{Extent, Stamp},
    },
    region::Region,
};

/// The line of an entry, with its end.
pub(super) fn line(entry: &Entry) -> String {
    let text = body(entry);
    format!("{:08x} {text}\n", crc32c::crc32c(text.as_bytes()))
}

fn body(entry: &Entry) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = match entry {
        Entry::Region { level, volume, region, empty_chunks, stamp } => {
            let stamp = stamp.map_or(String::new(), |Stamp { bytes, crc32c }| format!(" {bytes} {crc32c}"));
            write!(text, "R {level} {volume} {} {empty_chunks}{stamp}", corners(region))
        }
        Entry::Chunk { level, volume, shard, turn, chunk: StoredChunk { region, place, crc32c } } => {
            let (place, Extent { offset, len }) = match *place {
                ChunkLocation::Empty => ("empty", Extent::default()),
                ChunkLocation::Part(extent) => ("part", extent),
                ChunkLocation::Side(extent) => ("side", extent),
            };
            let stored = stored(*crc32c);
            write!(text, "C {level} {volume} {} {turn} {place} {offset} {len} {shard}{stored}", corners(region))
        }
        Entry::Unit(unit) => {
            let StreamUnit { number, segment, extent: Extent { offset, len }, check, raw_bytes, stored_crc32c } = unit;
            let (letter, check) = match check {
                Check::Crc32(check) => ("U", check),
                Check::Adler32(check) => ("Z", check),
            };
            write!(text, "{letter} {number} {segment} {offset} {len} {check} {raw_bytes}{}", stored(*stored_crc32c))
        }
    };
    text
}

fn stored(crc32c: Option<u32>) -> String {
    crc32c.map_or(String::new(), |crc32c| format!(" {crc32c}"))
}

fn corners(region: &Region) -> String {
    let numbers = region.lo.iter().chain(&region.hi).map(ToString::to_string);
    numbers.collect::<Vec<_>>().join(" ")
}

/// The entry of a line without its end; `None` for whatever is not one.
pub fn parse(line: &str) -> Option<Entry> {
    let (sum, text) = line.split_once(' ')?;
    if sum.len() != 8 || u32::from_str_radix(sum, 16).ok()? != crc32c::crc32c(text.as_bytes()) {
        return None;
    }
    let mut words = Words(text.split(' ').peekable());
    let entry = match words.0.next()? {
        "R" => Entry::Region {
            level: words.number()?,
            volume: words.number()?,
            region: words.region()?,
            empty_chunks: words.number()?,
            stamp: match words.is_at_end() {
                true => None,
                false => Some(Stamp { bytes: words.number()?, crc32c: words.number()? }),
            },
        },
        "C" => {
            let (level, volume, region, turn) = (words.number()?, words.number()?, words.region()?, words.number()?);
            let (place, extent) = (words.0.next()?, words.extent()?);
            let place = match place {
                "empty" => ChunkLocation::Empty,
                "part" => ChunkLocation::Part(extent),
                "side" => ChunkLocation::Side(extent),
                _ => return None,
            };
            let shard = words.0.next()?.to_string();
            Entry::Chunk { level, volume, shard, turn, chunk: StoredChunk { region, place, crc32c: words.crc32c()? } }
        }
        letter @ ("U" | "Z") => Entry::Unit(StreamUnit {
            number: words.number()?,
            segment: words.number()?,
            extent: words.extent()?,
            check: if letter == "U" { Check::Crc32(words.number()?) } else { Check::Adler32(words.number()?) },
            raw_bytes: words.number()?,
            stored_crc32c: words.crc32c()?,
        }),
        _ => return None,
    };
    words.0.next().is_none().then_some(entry)
}

struct Words<'a>(std::iter::Peekable<std::str::Split<'a, char>>);

impl Words<'_> {
    fn is_at_end(&mut self) -> bool {
        self.0.peek().is_none()
    }

    /// The last word; there may be none, and one that is no number makes the line none.
    fn crc32c(&mut self) -> Option<Option<u32>> {
        if self.is_at_end() { Some(None) } else { self.number().map(Some) }
    }

    fn number<N: std::str::FromStr>(&mut self) -> Option<N> {
        self.0.next()?.parse().ok()
    }

    fn extent(&mut self) -> Option<Extent> {
        let (offset, len): (u64, u64) = (self.number()?, self.number()?);
        offset.checked_add(len)?;
        Some(Extent { offset, len })
    }

    /// Not empty, and not below zero: what a target has.
    fn region(&mut self) -> Option<Region> {
        let mut numbers = [0i64; 6];
        for number in &mut numbers {
            *number = self.number()?;
        }
        let [a, b, c, d, e, f] = numbers;
        let region = Region::new([a, b, c], [d, e, f]);
        (region.lo.iter().all(|&n| n >= 0) && !region.is_empty()).then_some(region)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries() -> [Entry; 7] {
        let region = Region::new([0, 64, 128], [64, 128, 131]);
        let extent = Extent { offset: 7, len: 123 };
        let check = Check::Crc32(u32::MAX);
        let unit = StreamUnit { number: 9, segment: 3, extent, check, raw_bytes: 1 << 20, stored_crc32c: None };
        let chunk = |crc32c| Entry::Chunk {
            level: 0,
            volume: 0,
            shard: "0/c/1/2/3".into(),
            turn: 4,
            chunk: StoredChunk { region, place: ChunkLocation::Side(extent), crc32c },
        };
        let stamp = Stamp { bytes: 77, crc32c: u32::MAX };
        [
            Entry::Region { level: 1, volume: 2, region, empty_chunks: 5, stamp: None },
            Entry::Region { level: 1, volume: 2, region, empty_chunks: 5, stamp: Some(stamp) },
            chunk(None),
            chunk(Some(7)),
            Entry::Unit(unit),
            Entry::Unit(StreamUnit { stored_crc32c: Some(0), ..unit }),
            Entry::Unit(StreamUnit { check: Check::Adler32(7), ..unit }),
        ]
    }

    #[test]
    fn entries_come_back() {
        for entry in entries() {
            let line = line(&entry);
            assert_eq!(parse(line.trim_end()), Some(entry));
        }
    }

    #[test]
    fn a_line_that_is_cut_or_changed_is_no_entry() {
        for entry in entries() {
            let line = line(&entry).trim_end().to_string();
            for n in 0..line.len() {
                assert_eq!(parse(&line[..n]), None);
                let mut bytes = line.clone().into_bytes();
                bytes[n] ^= 1;
                assert_eq!(parse(&String::from_utf8_lossy(&bytes)), None, "{line} at {n}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_entry_or_none(text in "[RCUZ0-9a-z /-]{0,80}") {
            let sum = crc32c::crc32c(text.as_bytes());
            if let Some(entry) = parse(&format!("{sum:08x} {text}")) {
                prop_assert_eq!(parse(line(&entry).trim_end()), Some(entry));
            }
        }
    }
}
