//! The end of an archive: where its central directory stands (APPNOTE 6.3.10, sections 4.3.14 to 4.3.16).

use crate::{
    error::{Error, Result},
    storage::RangedFile,
};

/// The end record without its comment, the locator of its large form, and that form.
const END_BYTES: u64 = 22;
const LOCATOR_BYTES: u64 = 20;
const LARGE_END_BYTES: u64 = 56;
/// Comments are no longer.
const MOST_COMMENT_BYTES: u64 = u16::MAX as u64;

const END: [u8; 4] = *b"PK\x05\x06";
const LOCATOR: [u8; 4] = *b"PK\x06\x07";
const LARGE_END: [u8; 4] = *b"PK\x06\x06";

/// Where the central directory stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub at: u64,
    pub bytes: u64,
    /// How many entries it states; 65536 and more are not told where `is_large` is not set.
    pub entries: u64,
    /// Whether sizes and counts are of 64 bits (ZIP64).
    pub is_large: bool,
}

impl End {
    /// Reads the last 64 KiB of an archive at most.
    ///
    /// # Errors
    /// [`Error::Malformed`] where there is no end record, or where what it states does not lie in the file; archives of several files.
    pub(super) fn find(file: &RangedFile) -> Result<End> {
        let malformed = |found: String| Error::malformed(file.path(), "end of the zip archive", found, "an end record");
        let len = file.bytes().min(LARGE_END_BYTES + LOCATOR_BYTES + END_BYTES + MOST_COMMENT_BYTES);
        let start = file.bytes() - len;
        let tail = file.read(start, len).map_err(|e| e.at("read", file.path()))?;
        let at = end_record(&tail).ok_or_else(|| malformed("cut off, or no zip archive".into()))?;
        let record = &tail[at..];
        let (disk, first_disk) = (u16_at(record, 4), u16_at(record, 6));
        let small = End {
            at: u32_at(record, 16).into(),
            bytes: u32_at(record, 12).into(),
            entries: u16_at(record, 10).into(),
            is_large: false,
        };
        let locator = at.checked_sub(LOCATOR_BYTES as usize).map(|at| &tail[at..]).filter(|l| l.starts_with(&LOCATOR));
        let (end, record_at) = match locator {
            Some(locator) => large(file, locator)?,
            None => (small, start + at as u64),
        };
        let is_split = disk != first_disk || disk != 0 && disk != u16::MAX;
        if is_split || locator.is_some_and(|locator| u32_at(locator, 16) > 1) {
            return Err(Error::Unsupported {
                path: file.path().to_path_buf(),
                what: "is one part of a zip archive that was split".into(),
                hint: Some("join the parts: zip -s 0 PARTS.zip --out WHOLE.zip".into()),
            });
        }
        if end.at.checked_add(end.bytes).is_none_or(|behind| behind > record_at) {
            let found = format!("a directory of {} bytes at {}, and the end record at {record_at}", end.bytes, end.at);
            return Err(malformed(found));
        }
        Ok(end)
    }
}

/// The large form of the end record (ZIP64), and where it stands.
fn large(file: &RangedFile, locator: &[u8]) -> Result<(End, u64)> {
    let at = u64_at(locator, 8);
    let malformed =
        || Error::malformed(file.path(), "end of the zip archive", format!("none at {at}"), "a ZIP64 end record");
    if at.checked_add(LARGE_END_BYTES).is_none_or(|end| end > file.bytes()) {
        return Err(malformed());
    }
    let record = file.read(at, LARGE_END_BYTES).map_err(|e| e.at("read", file.path()))?;
    if !record.starts_with(&LARGE_END) {
        return Err(malformed());
    }
    let (at_of_directory, bytes, entries) = (u64_at(&record, 48), u64_at(&record, 40), u64_at(&record, 32));
    Ok((End { at: at_of_directory, bytes, entries, is_large: true }, at))
}

/// Where the last end record stands whose comment ends where the file does.
fn end_record(tail: &[u8]) -> Option<usize> {
    let last = tail.len().checked_sub(END_BYTES as usize)?;
    let is_end = |&at: &usize| {
        let comment = usize::from(u16_at(&tail[at..], 20));
        tail[at..].starts_with(&END) && at + END_BYTES as usize + comment == tail.len()
    };
    (0..=last).rev().find(is_end)
}

/// Numbers of a record, the lowest byte first; the record reaches so far.
pub(super) fn u16_at(record: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([record[at], record[at + 1]])
}

/// The same of 32 bits.
pub(super) fn u32_at(record: &[u8], at: usize) -> u32 {
    u32::from(u16_at(record, at)) | u32::from(u16_at(record, at + 2)) << 16
}

/// The same of 64 bits.
pub(super) fn u64_at(record: &[u8], at: usize) -> u64 {
    u64::from(u32_at(record, at)) | u64::from(u32_at(record, at + 4)) << 32
}
