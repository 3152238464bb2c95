//! Bytes of a data set in the order in which they stand, as they are or deflated.

use std::{
    fs::File,
    io::{self, BufReader, ErrorKind, Read},
};

use flate2::bufread::DeflateDecoder;

/// Held while a header is walked: most of what is looked at stands together.
const BUFFER_BYTES: usize = 16 << 10;
/// What stands before the voxels of a deflated data set takes at most this.
const MOST_INFLATED_HEADER: u64 = 64 << 20;
/// Deflate makes at most this many bytes of one.
const MOST_RATIO: u64 = 1032;

/// What a walk reads: forward, with a bound that nothing may reach beyond.
pub(super) trait Bytes {
    /// Fills `bytes` from where the walk stands.
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()>;
    /// Passes over `count` bytes.
    fn skip(&mut self, count: u64) -> io::Result<()>;
    /// Where the walk stands, from the start of the file or of what was inflated.
    fn at(&self) -> u64;
    /// No byte stands at or behind this.
    fn end(&self) -> u64;
}

/// A file as it is.
pub(super) struct Plain {
    file: BufReader<File>,
    at: u64,
    end: u64,
}

impl Plain {
    /// From the start of the file, which has `end` bytes.
    pub(super) fn new(file: File, end: u64) -> Plain {
        Plain { file: BufReader::with_capacity(BUFFER_BYTES, file), at: 0, end }
    }

    /// What follows, inflated, with places counted from here. `again` bytes that were read belong to it.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn inflated(mut self, again: u64) -> io::Result<Inflated> {
        self.file.seek_relative(-(again as i64))?;
        let end = (self.end + again).saturating_sub(self.at).saturating_mul(MOST_RATIO);
        Ok(Inflated { stream: DeflateDecoder::new(self.file), at: 0, end })
    }
}

impl Bytes for Plain {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        if count > self.end.saturating_sub(self.at) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.file.seek_relative(count as i64)?;
        self.at += count;
        Ok(())
    }

    fn at(&self) -> u64 {
        self.at
    }

    fn end(&self) -> u64 {
        self.end
    }
}

/// What a deflated stream holds.
pub(super) struct Inflated {
    stream: DeflateDecoder<BufReader<File>>,
    at: u64,
    end: u64,
}

impl Bytes for Inflated {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.stream.read_exact(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        if self.at.saturating_add(count) > MOST_INFLATED_HEADER {
            return Err(io::Error::new(ErrorKind::InvalidData, "more than 64 MiB stand before the voxels"));
        }
        let passed = io::copy(&mut (&mut self.stream).take(count), &mut io::sink())?;
        self.at += passed;
        if passed == count { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    fn at(&self) -> u64 {
        self.at
    }

    fn end(&self) -> u64 {
        self.end
    }
}

impl Read for Inflated {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.read(bytes)
    }
}

#[cfg(test)]
impl Bytes for io::Cursor<&[u8]> {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.read_exact(bytes)
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        self.set_position(self.position() + count);
        Ok(())
    }

    fn at(&self) -> u64 {
        self.position()
    }

    fn end(&self) -> u64 {
        self.get_ref().len() as u64
    }
}
