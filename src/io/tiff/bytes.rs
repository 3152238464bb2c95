//! A TIFF file by position: numbers in its byte order, lists of numbers, and how much a walk through it may read.

use std::{
    io::{self, ErrorKind, Read},
    path::Path,
};

use super::fault::Fault;
use crate::storage::nfs::SteadyFile;

/// Bytes of a list that are read at a time.
const PIECE_BYTES: u64 = 64 << 10;
/// A walk reads each byte of a file once; what shares bytes on purpose reads some of them a few times.
const MOST_TIMES: u64 = 4;
/// So much is read of any file.
const LEAST_BYTES: u64 = 1 << 20;

/// An open file.
#[derive(Debug)]
pub(super) struct Bytes {
    file: SteadyFile,
    pub big_endian: bool,
    /// BigTIFF: offsets and counts of 64 bits.
    pub wide: bool,
}

/// Numbers of a field, where they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct List {
    pub at: u64,
    /// The type of the field.
    pub kind: u16,
    pub count: u64,
}

/// Bytes of one number of a type of fields; `None` for types that are not known.
pub(super) fn width(kind: u16) -> Option<u64> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => return None,
    })
}

impl Bytes {
    /// Opens a file, and says where its first directory stands; `None` where it is no TIFF file.
    pub(super) fn open(path: &Path) -> io::Result<Option<(Bytes, u64)>> {
        let file = SteadyFile::open(path)?;
        let mut start = [0; 16];
        let len = file.bytes().min(16) as usize;
        file.read_exact_at(&mut start[..len], 0)?;
        let (big_endian, wide) = match &start[..4] {
            b"II*\0" => (false, false),
            b"MM\0*" => (true, false),
            b"II+\0" => (false, true),
            b"MM\0+" => (true, true),
            _ => return Ok(None),
        };
        let bytes = Bytes { file, big_endian, wide };
        let first = if wide { bytes.number(&start[8..]) } else { bytes.number(&start[4..8]) };
        Ok(Some((bytes, first)))
    }

    /// Of the file.
    pub(super) fn len(&self) -> u64 {
        self.file.bytes()
    }

    /// An unsigned number of 1, 2, 4 or 8 bytes.
    pub(super) fn number(&self, bytes: &[u8]) -> u64 {
        let join = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        if self.big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
    }

    /// Fills `into` from `at` on.
    ///
    /// # Errors
    /// Those of reading; the file ends before.
    pub(super) fn fill(&self, into: &mut [u8], at: u64) -> io::Result<()> {
        if at.checked_add(into.len() as u64).is_none_or(|end| end > self.len()) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.file.read_exact_at(into, at)
    }

    /// Number `n` of a list of integers.
    pub(super) fn nth(&self, list: List, n: u64) -> Result<u64, Fault> {
        let width = width(list.kind).filter(|_| n < list.count).unwrap_or(0);
        let mut number = [0; 8];
        self.fill(&mut number[..width as usize], list.at.saturating_add(n.saturating_mul(width)))?;
        Ok(self.number(&number[..width as usize]))
    }

    /// Bytes from some place on, to read forward.
    pub(super) fn from(&self, at: u64, len: u64) -> impl Read {
        Span { bytes: self, at, end: at.saturating_add(len).min(self.len()) }
    }
}

struct Span<'a> {
    bytes: &'a Bytes,
    at: u64,
    end: u64,
}

impl Read for Span<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = (into.len() as u64).min(self.end.saturating_sub(self.at)) as usize;
        self.bytes.fill(&mut into[..count], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// A walk through the directories of a file, which reads no more than a few times what the file has: in circles, or through directories that
/// lie in each other, it comes to an end.
pub(super) struct Walk<'a> {
    pub bytes: &'a Bytes,
    left: u64,
}

impl Walk<'_> {
    /// A walk that has read nothing yet.
    pub(super) fn new(bytes: &Bytes) -> Walk<'_> {
        Walk { bytes, left: bytes.len().saturating_mul(MOST_TIMES).max(LEAST_BYTES) }
    }

    /// Notes that so many bytes are read.
    pub(super) fn pass(&mut self, bytes: u64) -> Result<(), Fault> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or_else(|| {
            let found = format!("more than {MOST_TIMES} times as long as the file, together");
            Fault::wrong("the directories and their lists", found, "apart from each other")
        })?;
        Ok(())
    }

    /// All numbers of a list of integers, in order.
    pub(super) fn each(&mut self, list: List, mut see: impl FnMut(u64, u64) -> Result<(), Fault>) -> Result<(), Fault> {
        let width = width(list.kind).unwrap_or(1);
        let total = list.count.checked_mul(width).ok_or(ErrorKind::UnexpectedEof).map_err(io::Error::from)?;
        self.pass(total)?;
        let mut piece = Vec::new();
        for first in (0..total).step_by(PIECE_BYTES as usize) {
            piece.resize(PIECE_BYTES.min(total - first) as usize, 0);
            self.bytes.fill(&mut piece, list.at.saturating_add(first))?;
            for (n, number) in piece.chunks_exact(width as usize).enumerate() {
                see(first / width + n as u64, self.bytes.number(number))?;
            }
        }
        Ok(())
    }
}
