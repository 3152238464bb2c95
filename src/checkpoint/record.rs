//! One entry as one line of text: a checksum, a letter, numbers.
//!
//! `crc32c R level volume lo*3 hi*3 empty_chunks`, `crc32c C level volume lo*3 hi*3 turn place offset len shard`,
//! `crc32c U number segment offset len crc32 raw_bytes`. Numbers are decimal, the checksum (of what stands behind
//! it and its blank) is eight hexadecimal digits. A line that was torn, by a kill or a full disk, has no right checksum.

use std::fmt::Write;

use crate::{
    io::ledger::{Entry, Extent, Place, StreamUnit},
    region::Region,
};

/// The line of an entry, with its end.
pub fn line(entry: &Entry) -> String {
    let text = body(entry);
    format!("{:08x} {text}\n", crc32c::crc32c(text.as_bytes()))
}

fn body(entry: &Entry) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = match entry {
        Entry::Region { level, volume, region, empty_chunks } => {
            write!(text, "R {level} {volume} {} {empty_chunks}", corners(region))
        }
        Entry::Chunk { level, volume, region, shard, turn, place } => {
            let (place, Extent { offset, len }) = match *place {
                Place::Empty => ("empty", Extent::default()),
                Place::Part(extent) => ("part", extent),
                Place::Side(extent) => ("side", extent),
            };
            write!(text, "C {level} {volume} {} {turn} {place} {offset} {len} {shard}", corners(region))
        }
        Entry::Unit(StreamUnit { number, segment, extent: Extent { offset, len }, crc32, raw_bytes }) => {
            write!(text, "U {number} {segment} {offset} {len} {crc32} {raw_bytes}")
        }
    };
    text
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
    let mut words = Words(text.split(' '));
    let entry = match words.0.next()? {
        "R" => Entry::Region {
            level: words.number()?,
            volume: words.number()?,
            region: words.region()?,
            empty_chunks: words.number()?,
        },
        "C" => {
            let (level, volume, region, turn) = (words.number()?, words.number()?, words.region()?, words.number()?);
            let (place, extent) = (words.0.next()?, words.extent()?);
            let place = match place {
                "empty" => Place::Empty,
                "part" => Place::Part(extent),
                "side" => Place::Side(extent),
                _ => return None,
            };
            Entry::Chunk { level, volume, region, shard: words.0.next()?.to_string(), turn, place }
        }
        "U" => Entry::Unit(StreamUnit {
            number: words.number()?,
            segment: words.number()?,
            extent: words.extent()?,
            crc32: words.number()?,
            raw_bytes: words.number()?,
        }),
        _ => return None,
    };
    words.0.next().is_none().then_some(entry)
}

struct Words<'a>(std::str::Split<'a, char>);

impl Words<'_> {
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

    fn entries() -> [Entry; 3] {
        let region = Region::new([0, 64, 128], [64, 128, 131]);
        let extent = Extent { offset: 7, len: 123 };
        let unit = StreamUnit { number: 9, segment: 3, extent, crc32: u32::MAX, raw_bytes: 1 << 20 };
        [
            Entry::Region { level: 1, volume: 2, region, empty_chunks: 5 },
            Entry::Chunk {
                level: 0,
                volume: 0,
                region,
                shard: "0/c/1/2/3".into(),
                turn: 4,
                place: Place::Side(extent),
            },
            Entry::Unit(unit),
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
        fn any_text_is_an_entry_or_none(text in "[RCU0-9a-z /-]{0,80}") {
            let sum = crc32c::crc32c(text.as_bytes());
            if let Some(entry) = parse(&format!("{sum:08x} {text}")) {
                prop_assert_eq!(parse(line(&entry).trim_end()), Some(entry));
            }
        }
    }
}
