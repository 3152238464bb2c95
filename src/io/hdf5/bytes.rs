//! A file of HDF5 by position: its superblock, and how much of it opening may read.
//!
//! Source: HDF5 File Format Specification 3.0, "II.A. Disk Format: Level 0A - Format Signature and Superblock".

use std::{
    io::{self, ErrorKind},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    io::{itk::MAGIC, tiff::fault::Fault},
    storage::nfs::SteadyFile,
};

/// An address that leads nowhere.
pub(super) const NOWHERE: u64 = u64::MAX;
/// Bytes of one structure of metadata, at most.
const MOST_PIECE_BYTES: u64 = 8 << 20;
/// Opening reads each byte of the metadata once or twice; structures that lie in each other, or lead in circles, come to an end.
const MOST_TIMES: u64 = 4;
const LEAST_READ_BYTES: u64 = 4 << 20;
/// What a structure counts at least, so that many small ones come to an end too.
const LEAST_PIECE_BYTES: u64 = 256;
const MOST_READ_BYTES: u64 = 1 << 30;

/// An open file.
#[derive(Debug)]
pub(super) struct Bytes {
    file: SteadyFile,
    /// Where the root group is.
    pub root: u64,
    /// Bytes that opening may still read.
    left: AtomicU64,
}

impl Bytes {
    /// Opens a file; `None` where it is no HDF5.
    ///
    /// # Errors
    /// Those of reading; a superblock that is damaged, or of a kind that is not read.
    pub(super) fn open(path: &Path) -> Result<Option<Bytes>, Fault> {
        let file = SteadyFile::open(path)?;
        let mut start = [0; 8];
        if file.bytes() < MAGIC.len() as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut start, 0)?;
        if start != MAGIC {
            return Ok(None);
        }
        let left = file.bytes().saturating_mul(MOST_TIMES).clamp(LEAST_READ_BYTES, MOST_READ_BYTES);
        let mut bytes = Bytes { file, root: 0, left: AtomicU64::new(left) };
        bytes.root = bytes.superblock()?;
        Ok(Some(bytes))
    }

    /// Of the file.
    pub(super) fn len(&self) -> u64 {
        self.file.bytes()
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

    /// A structure of metadata.
    ///
    /// # Errors
    /// Those of [`Bytes::fill`]; more than metadata can have.
    pub(super) fn piece(&self, at: u64, len: u64, what: &str) -> Result<Vec<u8>, Fault> {
        if at.checked_add(len).is_none_or(|end| end > self.len()) {
            let found = format!("{len} bytes at {at}");
            return Err(Fault::wrong(what, found, format!("within the {} bytes of the file", self.len())));
        }
        if len > MOST_PIECE_BYTES {
            return Err(Fault::wrong(what, format!("{len} bytes"), format!("at most {MOST_PIECE_BYTES}")));
        }
        let pay = |left: u64| left.checked_sub(len.max(LEAST_PIECE_BYTES));
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay).is_err() {
            let found = "structures that lie in each other, or more than are read";
            return Err(Fault::wrong("the metadata", found, "each of them once"));
        }
        let mut piece = vec![0; len as usize];
        self.fill(&mut piece, at)?;
        Ok(piece)
    }

    /// Where the root group is.
    fn superblock(&self) -> Result<u64, Fault> {
        let start = self.piece(0, self.len().min(96), "the superblock")?;
        let mut fields = Fields::new(&start, "the superblock");
        fields.skip(8)?;
        let version = fields.u8()?;
        let sizes = match version {
            0 | 1 => {
                fields.skip(4)?;
                let sizes = [fields.u8()?, fields.u8()?];
                // Reserved, the k of both trees of groups, flags; of version 1 the k of chunks.
                fields.skip(if version == 0 { 9 } else { 13 })?;
                sizes
            }
            2 | 3 => {
                let sizes = [fields.u8()?, fields.u8()?];
                fields.skip(1)?;
                sizes
            }
            other => return Err(Fault::wrong("the superblock", format!("of version {other}"), "0 to 3")),
        };
        if sizes != [8, 8] {
            let found = format!("with addresses of {} and lengths of {} bytes", sizes[0], sizes[1]);
            return Err(Fault::wrong("the superblock", found, "8 of both"));
        }
        let base = fields.u64()?;
        if base != 0 {
            return Err(Fault::wrong("the superblock", format!("with the base address {base}"), "0"));
        }
        // Of version 0 and 1: free space, end, driver, then the entry of the root group: its name, its header.
        fields.skip(if version < 2 { 32 } else { 16 })?;
        fields.u64()
    }
}

/// Numbers of a structure, one after the other, little endian.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    what: &'a str,
}

impl<'a> Fields<'a> {
    /// From the first byte on; `what` is what messages call it.
    pub(super) fn new(bytes: &'a [u8], what: &'a str) -> Fields<'a> {
        Fields { rest: bytes, what }
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| Fault::wrong(self.what, "cut off", format!("{len} bytes more")))?;
        self.rest = rest;
        Ok(taken)
    }

    /// Passes over bytes.
    pub(super) fn skip(&mut self, len: usize) -> Result<(), Fault> {
        self.take(len).map(|_| ())
    }

    /// An unsigned number of up to 8 bytes.
    pub(super) fn number(&mut self, bytes: usize) -> Result<u64, Fault> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    }

    pub(super) fn u8(&mut self) -> Result<u8, Fault> {
        self.number(1).map(|n| n as u8)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Fault> {
        self.number(2).map(|n| n as u16)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Fault> {
        self.number(4).map(|n| n as u32)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Fault> {
        self.number(8)
    }
}
