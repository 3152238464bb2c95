//! A forward reader of gzip and zlib streams; gzip members in a row are one stream, as RFC 1952 section 2.2 has it.

use std::{
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::{GzDecoder, ZlibDecoder};

use crate::{
    error::{Error, Result},
    storage::{Forward, is_of_storage},
};

/// Compressed bytes that are read at once.
const BUFFER_BYTES: usize = 256 << 10;

/// What an [`Inflate`] holds: the buffer above and the decoder's window and tables.
pub(super) const STATE_BYTES: u64 = BUFFER_BYTES as u64 + (128 << 10);

/// Counts the compressed bytes that went through.
#[derive(Debug)]
pub(super) struct Counted {
    inner: BufReader<Forward>,
    pub consumed: u64,
}

impl Counted {
    /// Of a file that is read from byte `at` on.
    pub(super) fn new(file: Forward, at: u64) -> Counted {
        Counted { inner: BufReader::with_capacity(BUFFER_BYTES, file), consumed: at }
    }
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        self.consumed += n as u64;
        Ok(n)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.consumed += n as u64;
        self.inner.consume(n);
    }
}

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952
    Gzip,
    /// RFC 1950
    Zlib,
}

impl Coding {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Zlib => "zlib",
        }
    }
}

/// Where a stream begins in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    pub at: u64,
    pub coding: Coding,
}

impl Start {
    /// A gzip file.
    pub const FILE: Start = Start { at: 0, coding: Coding::Gzip };
}

/// One gzip member, or a zlib stream.
#[derive(Debug)]
pub(super) enum Member<R> {
    Gzip(GzDecoder<R>),
    Zlib(ZlibDecoder<R>),
}

impl<R: BufRead> Member<R> {
    /// What begins where `input` stands.
    pub(super) fn new(coding: Coding, input: R) -> Member<R> {
        match coding {
            Coding::Gzip => Member::Gzip(GzDecoder::new(input)),
            Coding::Zlib => Member::Zlib(ZlibDecoder::new(input)),
        }
    }

    /// The next raw bytes; none at the end, once the checksum was right.
    pub(super) fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Member::Gzip(decoder) => decoder.read(out),
            Member::Zlib(decoder) => decoder.read(out),
        }
    }

    pub(super) fn input(&self) -> &R {
        match self {
            Member::Gzip(decoder) => decoder.get_ref(),
            Member::Zlib(decoder) => decoder.get_ref(),
        }
    }

    /// The input, behind the member once it was read to its end.
    pub(super) fn into_input(self) -> R {
        match self {
            Member::Gzip(decoder) => decoder.into_inner(),
            Member::Zlib(decoder) => decoder.into_inner(),
        }
    }
}

/// A stream read from its start; knows the position in the raw bytes.
#[derive(Debug)]
pub(super) struct Inflate {
    path: PathBuf,
    coding: Coding,
    /// `None` only while a member is being exchanged for the next.
    member: Option<Member<Counted>>,
    position: u64,
}

impl Inflate {
    /// A stream that begins somewhere in a file, which is read from there on; `path` is for messages.
    pub(super) fn new(path: &Path, file: Forward, start: Start) -> Inflate {
        let (input, coding) = (Counted::new(file, start.at), start.coding);
        Inflate { path: path.to_path_buf(), coding, member: Some(Member::new(coding, input)), position: 0 }
    }

    /// Raw bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Fills `out` with the next raw bytes.
    ///
    /// # Errors
    /// A damaged or truncated stream, with the byte offset in the compressed file.
    pub(super) fn read_exact(&mut self, mut out: &mut [u8]) -> Result<()> {
        while !out.is_empty() {
            let n = self.read_member(out)?;
            if n == 0 {
                self.next_member()?;
            }
            out = &mut out[n..];
        }
        Ok(())
    }

    /// Passes over raw bytes up to `position`, which must not lie behind.
    pub(super) fn skip_to(&mut self, position: u64) -> Result<()> {
        let mut waste = [0; 64 << 10];
        while self.position < position {
            let n = (position - self.position).min(waste.len() as u64) as usize;
            self.read_exact(&mut waste[..n])?;
        }
        Ok(())
    }

    /// Reads the member at hand to its end, which checks its CRC and length. What follows it is not looked at.
    pub(super) fn check_end(&mut self) -> Result<()> {
        let mut waste = [0; 64 << 10];
        while self.read_member(&mut waste)? > 0 {}
        Ok(())
    }

    fn read_member(&mut self, out: &mut [u8]) -> Result<usize> {
        let Some(member) = &mut self.member else { return Ok(0) };
        match member.read(out) {
            Ok(n) => {
                self.position += n as u64;
                Ok(n)
            }
            Err(source) if is_of_storage(&source) => Err(Error::Io { action: "read", path: self.path.clone(), source }),
            Err(error) => Err(self.damaged(&error)),
        }
    }

    /// Goes on to the next member, which must be there: more raw bytes are wanted.
    fn next_member(&mut self) -> Result<()> {
        let Some(member) = self.member.take() else { return Err(self.ended(0)) };
        let mut input = member.into_input();
        let offset = input.consumed;
        match input.fill_buf() {
            Ok([_, ..]) if self.coding == Coding::Gzip => {
                self.member = Some(Member::new(Coding::Gzip, input));
                Ok(())
            }
            Ok(_) => Err(self.ended(offset)),
            Err(source) => Err(Error::Io { action: "read", path: self.path.clone(), source }),
        }
    }

    fn ended(&self, offset: u64) -> Error {
        let what = format!("{} stream ends after {} raw bytes, more are needed,", self.coding.name(), self.position);
        Error::Stream { path: self.path.clone(), what, offset }
    }

    fn damaged(&self, error: &io::Error) -> Error {
        let offset = self.member.as_ref().map_or(0, |m| m.input().consumed);
        let what = match error.kind() {
            io::ErrorKind::UnexpectedEof => format!("{} stream is cut off", self.coding.name()),
            _ => format!("{} stream is damaged ({error})", self.coding.name()),
        };
        Error::Stream { path: self.path.clone(), what, offset }
    }
}
