//! A file read from some byte on to its end: behind a URL by ranges, some of which are under way while another is looked at.
//!
//! A range that fails is asked for again, and each answer is held against the first one's length and tag (`remote::retry`, `remote::seen`):
//! so a stream goes on where it was cut, and never with the bytes of another file.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};

use super::{PendingRead, RangedFile};
use crate::{
    error::{Error, Result},
    storage::{StoreError, nfs},
};

/// Bytes of the first request, which is alone: often no more than a header is wanted. Each that follows has twice as many, up to the most.
const FIRST_BYTES: u64 = 64 << 10;
const REQUEST_BYTES: u64 = 1 << 20;
/// Requests under way beside the bytes at hand.
const REQUESTS: usize = 4;

/// The rest of a file, in order.
#[derive(Debug)]
pub struct Forward(From);

#[derive(Debug)]
enum From {
    Local(File),
    Ranges(Ranges),
}

struct Ranges {
    file: Arc<RangedFile>,
    /// The first byte that was not asked for.
    next: u64,
    /// How many bytes the next request has.
    step: u64,
    under_way: VecDeque<PendingRead>,
    piece: Vec<u8>,
    used: usize,
}

impl std::fmt::Debug for Ranges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ranges({:?}, up to {})", self.file, self.next)
    }
}

impl Forward {
    /// A file that is read by ranges where it is `remote`, one of this machine otherwise.
    pub fn of(path: &Path, remote: Option<&Arc<RangedFile>>, at: u64) -> Result<Forward> {
        match remote {
            Some(file) => Ok(Forward::ranges(file.clone(), at)),
            None => Forward::local(path, at),
        }
    }

    /// A file of this machine.
    pub fn local(path: &Path, at: u64) -> Result<Forward> {
        let mut file = nfs::open(path).map_err(Error::io("open", path))?;
        file.seek(SeekFrom::Start(at)).map_err(Error::io("read", path))?;
        Ok(Forward(From::Local(file)))
    }

    /// One that is read by ranges.
    pub fn ranges(file: Arc<RangedFile>, at: u64) -> Forward {
        Forward(From::Ranges(Ranges {
            file,
            next: at,
            step: FIRST_BYTES,
            under_way: VecDeque::new(),
            piece: Vec::new(),
            used: 0,
        }))
    }

    /// What it holds.
    pub fn memory_bytes(&self) -> u64 {
        match &self.0 {
            From::Local(_) => 0,
            From::Ranges(ranges) => {
                let memory = ranges.file.memory();
                let requests = REQUESTS as u64 * (REQUEST_BYTES + memory.request_bytes);
                memory.resident_bytes + REQUEST_BYTES + requests
            }
        }
    }
}

impl Read for Forward {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            From::Local(file) => file.read(out),
            From::Ranges(ranges) => ranges.read(out),
        }
    }
}

impl Read for Ranges {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.used == self.piece.len() {
            // Let go before another one comes.
            (self.piece, self.used) = (Vec::new(), 0);
            let most = if self.step == FIRST_BYTES { 1 } else { REQUESTS };
            self.ask(most);
            let Some(first) = self.under_way.pop_front() else { return Ok(0) };
            self.piece = first().map_err(io::Error::other)?;
            if most > 1 {
                self.ask(most);
            }
        }
        let n = out.len().min(self.piece.len() - self.used);
        out[..n].copy_from_slice(&self.piece[self.used..][..n]);
        self.used += n;
        Ok(n)
    }
}

impl Ranges {
    /// Asks for what comes next, as long as fewer than `most` requests are under way.
    fn ask(&mut self, most: usize) {
        while self.under_way.len() < most && self.next < self.file.bytes() {
            let len = self.step.min(self.file.bytes() - self.next);
            self.under_way.push_back(self.file.begin(self.next, len));
            self.next += len;
            self.step = (self.step * 2).min(REQUEST_BYTES);
        }
    }
}

/// Whether a stream could not be read because its bytes could not be had, and not because of what they are.
pub fn is_of_storage(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<StoreError>())
}
