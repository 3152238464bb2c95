//! Archives written here byte by byte: as they should be, and as they should not.

use std::fs;

use flate2::{Compression, write::DeflateEncoder};
use std::io::Write;

use super::*;
use crate::error::Error;

/// How an entry is written, and what is said of it.
struct Packed<'a> {
    name: &'a str,
    bytes: &'a [u8],
    deflate: bool,
    flags: u16,
    /// What the directory says in place of the truth.
    size: Option<u32>,
    stored: Option<u32>,
    large: bool,
}

fn stored<'a>(name: &'a str, bytes: &'a [u8]) -> Packed<'a> {
    Packed { name, bytes, deflate: false, flags: 0, size: None, stored: None, large: false }
}

fn deflated<'a>(name: &'a str, bytes: &'a [u8]) -> Packed<'a> {
    Packed { deflate: true, ..stored(name, bytes) }
}

fn zip(entries: &[Packed<'_>], comment: &[u8]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(entry.bytes).unwrap();
        let data = if entry.deflate { encoder.finish().unwrap() } else { entry.bytes.to_vec() };
        let method: u16 = if entry.deflate { 8 } else { 0 };
        let (size, packed) = (entry.bytes.len() as u32, data.len() as u32);
        let (size, packed) = (entry.size.unwrap_or(size), entry.stored.unwrap_or(packed));
        let at = file.len() as u32;
        let head = |sizes: [u32; 2]| {
            let mut head = [20u16, entry.flags, method, 0, 0].map(u16::to_le_bytes).concat();
            head.extend(crc32fast::hash(entry.bytes).to_le_bytes());
            head.extend(sizes.map(u32::to_le_bytes).concat());
            head.extend((entry.name.len() as u16).to_le_bytes());
            head
        };
        // Extra fields of their own, as most programs write them.
        file.extend(
            [&b"PK\x03\x04"[..], &head([packed, size]), &[9, 0], entry.name.as_bytes(), b"UT\x05\0\x01abcd"].concat(),
        );
        file.extend(data);
        let eights = [u64::from(size), u64::from(packed), u64::from(at)].map(u64::to_le_bytes).concat();
        let extra = if entry.large { [&[1, 0, 24, 0][..], &eights].concat() } else { Vec::new() };
        let sizes = if entry.large { [u32::MAX; 2] } else { [packed, size] };
        directory
            .extend([&b"PK\x01\x02\x14\0"[..], &head(sizes), &(extra.len() as u16).to_le_bytes(), &[0; 10]].concat());
        directory.extend(if entry.large { u32::MAX } else { at }.to_le_bytes());
        directory.extend([entry.name.as_bytes(), &extra].concat());
    }
    let (at, len, count) = (file.len() as u32, directory.len() as u32, entries.len() as u16);
    file.extend(directory);
    file.extend([&b"PK\x05\x06\0\0\0\0"[..], &count.to_le_bytes(), &count.to_le_bytes()].concat());
    file.extend([len.to_le_bytes(), at.to_le_bytes()].concat());
    file.extend([&(comment.len() as u16).to_le_bytes()[..], comment].concat());
    file
}

fn opened(bytes: &[u8], inner: &str) -> Result<ZipStore> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ozx");
    fs::write(&path, bytes).unwrap();
    ZipStore::open(RangedFile::local(&path)?, inner)
}

fn listed(store: &dyn Store, prefix: &str) -> Vec<(String, u64)> {
    let mut keys = Vec::new();
    let visit = &mut |key: &str, bytes| {
        keys.push((key.to_string(), bytes));
        ControlFlow::Continue(())
    };
    store.list(prefix, visit).unwrap();
    keys
}

fn noise(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn entries_are_read_whole_and_in_part() {
    let long = noise(300_000);
    let entries = [
        stored("zarr.json", b"{}"),
        stored("0/", b""),
        stored("0/c/1", b"abcdef"),
        Packed { large: true, ..stored("0/c/2", &long) },
        deflated("0/c/3", &long),
        stored("0/c/4", b""),
        stored("01/c", b"x"),
    ];
    for comment in [&b""[..], b"{\"ome\": {}}", b"PK\x05\x06 is no end"] {
        let store = opened(&zip(&entries, comment), "").unwrap();
        for turn in 0..2 {
            assert_eq!(store.get("0/c/1", 6).unwrap().unwrap(), b"abcdef", "{turn}");
            assert!(store.get("0/c/2", 300_000).unwrap().unwrap() == long);
            assert!(store.get("0/c/3", 300_000).unwrap().unwrap() == long);
            assert_eq!(store.get("0/c/4", 0).unwrap().unwrap(), b"");
            let part = |key: &str, part| store.get_part(key, part).map(|piece| piece.unwrap().bytes);
            assert_eq!(part("0/c/1", Part::Suffix(2)).unwrap(), b"ef");
            assert_eq!(part("0/c/2", Part::Range { offset: 9999, len: 3 }).unwrap(), long[9999..10_002]);
            assert!(matches!(part("0/c/1", Part::Suffix(7)), Err(StoreError::Outside { total: 6, .. })));
            assert!(part("0/c/3", Part::Suffix(2)).unwrap_err().to_string().contains("zip -0"));
            assert!(matches!(store.get("0/c/1", 5), Err(StoreError::TooLarge { bytes: 6, limit: 5 })));
            assert!(matches!(store.get("0/c/3", 5), Err(StoreError::TooLarge { .. })));
        }
        assert_eq!((store.get("none", 9).unwrap(), store.size("0/c/1").unwrap()), (None, Some(6)));
        assert_eq!(store.get("0/", 9).ok(), None);
        let names = |prefix: &str| listed(&store, prefix).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(names("0"), ["0/c/1", "0/c/2", "0/c/3", "0/c/4"]);
        assert_eq!((names("").len(), names("none").len()), (6, 0));
        let below = store.below("0/c");
        assert_eq!((below.get("1", 6).unwrap().unwrap(), listed(below.as_ref(), "").len()), (b"abcdef".to_vec(), 4));
        let (above, name) = below.above().unwrap();
        assert_eq!((above.get("c/1", 6).unwrap().unwrap(), name.as_str()), (b"abcdef".to_vec(), "c"));
        assert!(store.above().is_none() && store.put("a", Vec::new()).is_err());
        for climbing in ["../secret", "a/../b", "", "/a", "a//b", "a\\b"] {
            assert!(matches!(store.get(climbing, 10), Err(StoreError::Key { .. })), "{climbing}");
        }
    }
}

#[test]
fn the_root_is_at_the_top_or_in_the_one_folder_with_a_document() {
    let store = opened(
        &zip(&[stored("__MACOSX/x", b""), stored("a.zarr/zarr.json", b"{}"), stored("a.zarr/0/c", b"1")], b""),
        "",
    );
    let store = store.unwrap();
    assert_eq!(store.get("zarr.json", 2).unwrap().unwrap(), b"{}");
    assert_eq!(listed(&store, ""), [("0/c".into(), 1), ("zarr.json".into(), 2)]);
    assert!(store.describe("0/c").ends_with("x.ozx/0/c"));
    let two = zip(&[stored("a.zarr/zarr.json", b"{}"), stored("b.zarr/zarr.json", b"{ }")], b"");
    assert_eq!(opened(&two, "").unwrap().get("zarr.json", 3).unwrap(), None);
    assert_eq!(opened(&two, "b.zarr").unwrap().get("zarr.json", 3).unwrap().unwrap(), b"{ }");
    let one = zip(&[stored("a.zarr/zarr.json", b"{}"), stored("a.zarr/0/zarr.json", b"{ }")], b"");
    for inner in ["0", "a.zarr/0"] {
        assert_eq!(opened(&one, inner).unwrap().get("zarr.json", 3).unwrap().unwrap(), b"{ }", "{inner}");
    }
}

/// As Python's zipfile has it, which appends a second entry where a document is written again.
#[test]
fn of_several_entries_with_one_name_the_last_counts() {
    let bytes = zip(&[stored("zarr.json", b"old"), stored("zarr.json", b"newer"), stored("z", b"")], b"");
    let store = opened(&bytes, "").unwrap();
    assert_eq!(store.get("zarr.json", 9).unwrap().unwrap(), b"newer");
    assert_eq!(listed(&store, ""), [("z".into(), 0), ("zarr.json".into(), 5)]);
}

#[test]
fn sizes_that_lie_are_told() {
    let long = vec![7; 100_000];
    let told = |entry: Packed<'_>| {
        let bytes = zip(&[stored("zarr.json", b"{}"), entry], b"");
        let store = opened(&bytes, "").unwrap();
        let error = store.get("x", 1 << 20).unwrap_err().to_string();
        assert!(store.get("zarr.json", 2).unwrap().is_some());
        error
    };
    for (entry, words) in [
        (Packed { size: Some(9), ..deflated("x", &long) }, "more than the 9 bytes"),
        (Packed { size: Some(100_001), ..deflated("x", &long) }, "100000 bytes, and 100001 are stated"),
        (Packed { stored: Some(9), ..deflated("x", &long) }, "cut after"),
        (Packed { stored: Some(1 << 30), ..deflated("x", &long) }, "reaches into the directory"),
        (Packed { size: Some(5), ..stored("x", b"abcdef") }, "states 6 and 5 bytes"),
        (Packed { size: Some(5), stored: Some(5), ..stored("x", b"abcdef") }, "crc-32"),
        (Packed { size: Some(999), stored: Some(999), ..stored("x", b"abcdef") }, "reaches into the directory"),
        (Packed { flags: 1, ..stored("x", b"abcdef") }, "encrypted"),
        (Packed { large: true, size: Some(4), stored: Some(4), ..stored("x", b"abcdef") }, "crc-32"),
    ] {
        let error = told(entry);
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn what_is_no_archive_is_told() {
    let good = zip(&[stored("zarr.json", b"{}"), stored("0/c", b"1")], b"comment");
    let told = |bytes: &[u8]| opened(bytes, "").unwrap_err().to_string();
    for cut in [0, 10, good.len() - 1, good.len() - 30] {
        assert!(told(&good[..cut]).contains("cut off, or no zip archive"), "{cut}");
    }
    assert!(told(&[&good[..], b"more"].concat()).contains("cut off"));
    let end = good.len() - 22 - 7;
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[end + at..][..bytes.len()].copy_from_slice(bytes);
        bad
    };
    assert!(told(&with(10, &[3])).contains("of 2 entries"));
    assert!(told(&with(12, &[255, 255, 255, 0])).contains("a directory of 16777215 bytes"));
    assert!(told(&with(16, &[255, 255, 255, 0])).contains("a directory of"));
    assert!(told(&with(16, &[1])).contains("damaged at entry 0"));
    assert!(told(&with(4, &[1])).contains("split"));
    // No 64-bit record where one is announced.
    let mut large = good[..end].to_vec();
    large.extend([&b"PK\x06\x07\0\0\0\0"[..], &u64::MAX.to_le_bytes(), &[1, 0, 0, 0], &good[end..]].concat());
    assert!(told(&large).contains("a ZIP64 end record"));
}

/// Every byte changed, and every cut: an error or the right bytes, never a panic.
#[test]
fn damaged_archives_never_give_other_bytes_of_a_whole_entry() {
    let good = zip(&[stored("zarr.json", b"{\"a\": 1}"), deflated("0/c", &[5; 400])], b"c");
    let read = |bytes: &[u8]| {
        let store = opened(bytes, "")?;
        let got = store.get("0/c", 1000).map_err(|e| e.at("read", "x"))?;
        Ok::<_, Error>((store.get("zarr.json", 100).map_err(|e| e.at("read", "x"))?, got))
    };
    for at in 0..good.len() {
        for mask in [1, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= mask;
            if let Ok((document, chunk)) = read(&bad) {
                assert!(document.is_none_or(|bytes| bytes == b"{\"a\": 1}"), "{at} {mask}");
                assert!(chunk.is_none_or(|bytes| bytes == [5; 400]), "{at} {mask}");
            }
        }
        let _ = read(&good[..at]);
    }
}
