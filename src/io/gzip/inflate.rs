//! A forward reader of gzip files: members in a row are one stream, as RFC 1952 section 2.2 has it.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::GzDecoder;

use crate::{
    error::{Error, Result},
    storage::nfs,
};

/// Compressed bytes that are read at once.
const BUFFER_BYTES: usize = 256 << 10;

/// What an [`Inflate`] holds: the buffer above and the decoder's window and tables.
pub const STATE_BYTES: u64 = BUFFER_BYTES as u64 + (128 << 10);

/// Counts the compressed bytes that went through.
#[derive(Debug)]
struct Counted {
    inner: BufReader<File>,
    consumed: u64,
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

/// A gzip file read from its start; knows the position in the raw stream.
#[derive(Debug)]
pub struct Inflate {
    path: PathBuf,
    /// `None` only while a member is being exchanged for the next.
    member: Option<GzDecoder<Counted>>,
    position: u64,
}

impl Inflate {
    /// Opens a gzip file at its beginning.
    pub fn open(path: &Path) -> Result<Inflate> {
        let file = nfs::open(path).map_err(Error::io("open", path))?;
        let input = Counted { inner: BufReader::with_capacity(BUFFER_BYTES, file), consumed: 0 };
        Ok(Inflate { path: path.to_path_buf(), member: Some(GzDecoder::new(input)), position: 0 })
    }

    /// Raw bytes read so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Fills `out` with the next raw bytes.
    ///
    /// # Errors
    /// A damaged or truncated stream, with the byte offset in the compressed file.
    pub fn read_exact(&mut self, mut out: &mut [u8]) -> Result<()> {
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
    pub fn skip_to(&mut self, position: u64) -> Result<()> {
        let mut waste = [0; 64 << 10];
        while self.position < position {
            let n = (position - self.position).min(waste.len() as u64) as usize;
            self.read_exact(&mut waste[..n])?;
        }
        Ok(())
    }

    /// Reads the member at hand to its end, which checks its CRC and length. What follows it is not looked at.
    pub fn check_end(&mut self) -> Result<()> {
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
            Err(error) => Err(self.damaged(&error)),
        }
    }

    /// Goes on to the next member, which must be there: more raw bytes are wanted.
    fn next_member(&mut self) -> Result<()> {
        let Some(member) = self.member.take() else { return Err(self.ended(0)) };
        let mut input = member.into_inner();
        let offset = input.consumed;
        match input.fill_buf() {
            Ok([]) => Err(self.ended(offset)),
            Ok(_) => {
                self.member = Some(GzDecoder::new(input));
                Ok(())
            }
            Err(source) => Err(Error::Io { action: "read", path: self.path.clone(), source }),
        }
    }

    fn ended(&self, offset: u64) -> Error {
        let what = format!("gzip stream ends after {} raw bytes, more are needed,", self.position);
        Error::Stream { path: self.path.clone(), what, offset }
    }

    fn damaged(&self, error: &io::Error) -> Error {
        let offset = self.member.as_ref().map_or(0, |m| m.get_ref().consumed);
        let what = match error.kind() {
            io::ErrorKind::UnexpectedEof => "gzip stream is cut off".to_string(),
            _ => format!("gzip stream is damaged ({error})"),
        };
        Error::Stream { path: self.path.clone(), what, offset }
    }
}
