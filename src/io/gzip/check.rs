//! Reads a gzip file to its end, to check lengths and checksums.

use std::{
    io::{self, BufRead, Read},
    path::Path,
};

use flate2::bufread::GzDecoder;

use super::inflate::Counted;
use crate::{
    error::{Error, Result},
    storage::{Forward, is_of_storage},
};

/// Raw bytes between two reports.
const STEP_BYTES: usize = 256 << 10;

/// How much of a gzip file was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inflated {
    pub members: u64,
    pub raw_bytes: u64,
    /// Compressed bytes read so far, about; all of the members at the end.
    pub stored_bytes: u64,
    /// Bytes after the last member that are no member.
    pub trailing_bytes: u64,
}

/// Inflates all members of a file, which checks the CRC-32 and the length of each (RFC 1952, 2.3.1). What follows the last one
/// and does not begin as a member is trailing garbage, which gzip ignores.
///
/// `file` is read from its beginning to its end, `path` is for messages. `on_step` is called every 256 KiB of raw bytes and may end it.
/// Memory: two buffers, the decoder's window, and that of `file`.
///
/// # Errors
/// A damaged or truncated member with the byte offset in the compressed file.
pub fn inflate_all(
    path: &Path,
    file: Forward,
    file_bytes: u64,
    on_step: &mut dyn FnMut(&Inflated) -> Result<()>,
) -> Result<Inflated> {
    let mut done = Inflated::default();
    let mut step = vec![0; STEP_BYTES];
    let mut input = Counted::new(file, 0);
    loop {
        let mut member = GzDecoder::new(&mut input);
        loop {
            let n = match member.read(&mut step) {
                Ok(0) => break,
                Ok(n) => n as u64,
                Err(source) if is_of_storage(&source) => return Err(Error::io("read", path)(source)),
                Err(error) => return Err(damaged(path, &error, member.get_ref().consumed)),
            };
            done.raw_bytes += n;
            done.stored_bytes = member.get_ref().consumed;
            on_step(&done)?;
        }
        done.members += 1;
        done.stored_bytes = input.consumed;
        if !begins_member(&mut input).map_err(Error::io("read", path))? {
            done.trailing_bytes = file_bytes.saturating_sub(done.stored_bytes);
            return Ok(done);
        }
    }
}

fn begins_member(input: &mut Counted) -> io::Result<bool> {
    Ok(matches!(input.fill_buf()?, [0x1f] | [0x1f, 0x8b, ..]))
}

fn damaged(path: &Path, error: &io::Error, offset: u64) -> Error {
    let what = match error.kind() {
        io::ErrorKind::UnexpectedEof => "gzip stream is cut off".to_string(),
        _ => format!("gzip stream is damaged ({error})"),
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
        inflate_all(&path, Forward::local(&path, 0)?, bytes.len() as u64, &mut |_| Ok(()))
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
