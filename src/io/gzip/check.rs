//! Reads a gzip or zlib stream to its end, to check lengths and checksums.

use std::{
    io::{self, BufRead},
    path::Path,
};

use super::inflate::{Coding, Counted, Member, Start};
use crate::{
    error::{Error, Result},
    storage::{Forward, is_of_storage},
};

/// Raw bytes between two reports.
const STEP_BYTES: usize = 256 << 10;

/// How much of a stream was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inflated {
    /// Of gzip; a zlib stream counts as one.
    pub members: u64,
    pub raw_bytes: u64,
    /// Compressed bytes read so far, about; all of the members at the end.
    pub stored_bytes: u64,
    /// Bytes after the last member that are no member.
    pub trailing_bytes: u64,
}

/// Inflates all members of a stream, which checks the CRC-32 and the length of each (RFC 1952, 2.3.1), or Adler-32 (RFC 1950). What follows the last one
/// and does not begin as a member is trailing garbage, which gzip ignores.
///
/// `file`, of `file_bytes`, is read from `start` to its end, `path` is for messages. `on_step` is called every 256 KiB of raw bytes and may end it.
/// Memory: two buffers, the decoder's window, and that of `file`.
///
/// # Errors
/// A damaged or truncated member with the byte offset in the compressed file.
pub fn inflate_all(
    path: &Path,
    file: Forward,
    (start, file_bytes): (Start, u64),
    on_step: &mut dyn FnMut(&Inflated) -> Result<()>,
) -> Result<Inflated> {
    let mut done = Inflated::default();
    let mut step = vec![0; STEP_BYTES];
    let mut input = Counted::new(file, start.at);
    loop {
        let mut member = Member::new(start.coding, &mut input);
        loop {
            let n = match member.read(&mut step) {
                Ok(0) => break,
                Ok(n) => n as u64,
                Err(source) if is_of_storage(&source) => return Err(Error::io("read", path)(source)),
                Err(error) => return Err(damaged(path, start.coding, &error, member.input().consumed)),
            };
            done.raw_bytes += n;
            done.stored_bytes = member.input().consumed;
            on_step(&done)?;
        }
        done.members += 1;
        done.stored_bytes = input.consumed;
        let ends = start.coding == Coding::Zlib || !begins_member(&mut input).map_err(Error::io("read", path))?;
        if ends {
            done.trailing_bytes = file_bytes.saturating_sub(done.stored_bytes);
            return Ok(done);
        }
    }
}

fn begins_member(input: &mut Counted) -> io::Result<bool> {
    Ok(matches!(input.fill_buf()?, [0x1f] | [0x1f, 0x8b, ..]))
}

fn damaged(path: &Path, coding: Coding, error: &io::Error, offset: u64) -> Error {
    let coding = coding.name();
    let what = match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("{coding} stream is cut off"),
        _ => format!("{coding} stream is damaged ({error})"),
    };
    Error::Stream { path: path.to_path_buf(), what, offset }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn member(raw: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(raw).unwrap();
        encoder.finish().unwrap()
    }

    fn inflated(bytes: &[u8]) -> Result<Inflated> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.gz");
        std::fs::write(&path, bytes).unwrap();
        inflate_all(&path, Forward::local(&path, 0)?, (Start::FILE, bytes.len() as u64), &mut |_| Ok(()))
    }

    #[test]
    fn members_and_garbage_are_counted() {
        let mut bytes = [member(b"abc"), member(b""), member(&[7; 700_000])].concat();
        let stored_bytes = bytes.len() as u64;
        let whole = Inflated { members: 3, raw_bytes: 700_003, stored_bytes, trailing_bytes: 0 };
        assert_eq!(inflated(&bytes).unwrap(), whole);
        bytes.extend([0; 5]);
        assert_eq!(inflated(&bytes).unwrap(), Inflated { trailing_bytes: 5, ..whole });
    }

    #[test]
    fn every_flip_that_changes_raw_bytes_and_every_cut_is_noticed() {
        let bytes = [member(b"abcabcabc"), member(b"defdef")].concat();
        let first = member(b"abcabcabc").len();
        for cut in (1..bytes.len()).filter(|cut| *cut != first) {
            assert!(inflated(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for at in (10..first).chain(first + 10..bytes.len()) {
            let mut bad = bytes.clone();
            bad[at] ^= 4;
            assert!(inflated(&bad).is_err() || inflated(&bad).unwrap().raw_bytes == 15, "flip at {at}");
        }
    }
}
