//! Answers without a length, or compressed on the way.
//!
//! The client refuses the former and hands over the latter undecoded. Here the former get the largest accepted length,
//! and both are marked, so that the caller knows.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use flate2::write::MultiGzDecoder;
use object_store::client::HttpResponse;

use crate::storage::{StoreError, reserve};

/// What a gzip stream adds to bytes that cannot be compressed, beside a sixteenth of them: header, name, checksum.
const GZIP_BYTES: u64 = 4 << 10;

/// Goes along with a request for bytes, and comes back with what the answer was like.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Bytes that are accepted at most.
    limit: u64,
    marks: Arc<Marks>,
}

#[derive(Debug, Default)]
struct Marks {
    without_length: AtomicBool,
    gzip: AtomicBool,
}

impl Asked {
    /// At most `limit` bytes are accepted.
    pub(super) fn new(limit: u64) -> Asked {
        Asked { limit, marks: Arc::default() }
    }

    /// Bytes that may come: compressed, what cannot be compressed is a little longer.
    pub(super) fn room(&self) -> u64 {
        let more = if self.is_compressed() { self.limit / 16 + GZIP_BYTES } else { 0 };
        self.limit.saturating_add(more)
    }

    /// Whether the answer has no length of its own.
    pub(super) fn is_unsized(&self) -> bool {
        self.marks.without_length.load(Ordering::Relaxed)
    }

    /// Whether the answer is compressed.
    pub(super) fn is_compressed(&self) -> bool {
        self.marks.gzip.load(Ordering::Relaxed)
    }

    /// Takes the bytes on the way for those that were asked for: parts of a file that is a gzip stream itself, which some servers call
    /// compressed.
    pub(super) fn take_as_stored(&self) {
        self.marks.gzip.store(false, Ordering::Relaxed);
    }

    /// Notes on an answer how its server sent it.
    pub(super) fn mark(&self, answer: &mut HttpResponse) {
        let is_gzip = answer.headers().get("content-encoding").is_some_and(|value| {
            value.to_str().is_ok_and(|name| matches!(name.trim().to_ascii_lowercase().as_str(), "gzip" | "x-gzip"))
        });
        self.marks.gzip.store(is_gzip, Ordering::Relaxed);
        let is_unsized = answer.headers().get("content-length").is_none();
        self.marks.without_length.store(is_unsized, Ordering::Relaxed);
        if is_unsized && let Ok(room) = self.room().to_string().parse() {
            answer.headers_mut().insert("content-length", room);
        }
    }
}

/// The bytes of an answer as they come; what is compressed is held decoded only.
pub(super) struct Body {
    limit: u64,
    /// Bytes that have come.
    received: u64,
    form: Form,
}

enum Form {
    /// Compressed by what the server says, and too short to be sure.
    Unknown(Vec<u8>),
    Plain(Vec<u8>),
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
}

/// How a gzip stream begins.
const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// What is handed to the decoder at once: so much more than the limit may be decoded before it is seen.
const STEP: usize = 4 << 10;

impl Body {
    /// For an answer that announces `len` bytes.
    pub(super) fn new(asked: &Asked, len: u64) -> Result<Body, StoreError> {
        let form = if asked.is_compressed() { Form::Unknown(Vec::new()) } else { Form::Plain(reserve(len)?) };
        Ok(Body { limit: asked.limit, received: 0, form })
    }

    /// Bytes so far.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// # Errors
    ///
    /// [`StoreError::TooLarge`] for more than the limit, and what is wrong with the stream.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        self.received += piece.len() as u64;
        if let Form::Unknown(start) = &mut self.form {
            start.extend_from_slice(piece);
            if start.len() < MAGIC.len() {
                return Ok(());
            }
            let start = std::mem::take(start);
            if !start.starts_with(&MAGIC) {
                self.form = Form::Plain(start);
                return self.check();
            }
            self.form = Form::Gzip(Box::new(MultiGzDecoder::new(Vec::new())));
            return self.decode(&start);
        }
        match &mut self.form {
            Form::Plain(bytes) => bytes.extend_from_slice(piece),
            _ => return self.decode(piece),
        }
        self.check()
    }

    fn decode(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        for step in piece.chunks(STEP) {
            if let Form::Gzip(decoder) = &mut self.form {
                decoder.write_all(step)?;
            }
            self.check()?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), StoreError> {
        let bytes = match &self.form {
            Form::Unknown(bytes) | Form::Plain(bytes) => bytes.len() as u64,
            Form::Gzip(decoder) => decoder.get_ref().len() as u64,
        };
        if bytes > self.limit { Err(StoreError::TooLarge { bytes, limit: self.limit }) } else { Ok(()) }
    }

    /// The bytes that were meant.
    ///
    /// # Errors
    ///
    /// Those of [`Body::take`].
    pub(super) fn end(mut self) -> Result<Vec<u8>, StoreError> {
        if let Form::Gzip(decoder) = &mut self.form {
            decoder.try_finish()?;
        }
        self.check()?;
        let mut bytes = match self.form {
            Form::Unknown(bytes) | Form::Plain(bytes) => bytes,
            Form::Gzip(decoder) => decoder.finish()?,
        };
        bytes.shrink_to_fit();
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn compressed(limit: u64) -> Asked {
        let asked = Asked::new(limit);
        asked.marks.gzip.store(true, Ordering::Relaxed);
        asked
    }

    fn taken(asked: &Asked, bytes: &[u8], step: usize) -> Result<Vec<u8>, StoreError> {
        let mut body = Body::new(asked, bytes.len() as u64)?;
        bytes.chunks(step).try_for_each(|piece| body.take(piece))?;
        body.end()
    }

    #[test]
    fn compressed_answers_are_decoded_within_the_limit() {
        let bomb = gzip(&vec![0; 10 << 20]);
        for step in [1, 2, 3, 1 << 20] {
            let plain = |asked: &Asked, bytes: &[u8]| taken(asked, bytes, step);
            assert_eq!(plain(&compressed(4), &gzip(b"abcd")).unwrap(), b"abcd");
            assert_eq!(plain(&compressed(8), &[gzip(b"abcd"), gzip(b"efgh")].concat()).unwrap(), b"abcdefgh");
            assert!(matches!(plain(&compressed(3), &gzip(b"abcd")), Err(StoreError::TooLarge { limit: 3, .. })));
            assert!(matches!(plain(&compressed(1000), &bomb), Err(StoreError::TooLarge { bytes: ..8_000_000, .. })));
            assert!(plain(&compressed(100), &gzip(b"abcd")[..15]).is_err());
            // What is not compressed, whatever the server says, and what it does not say of.
            assert_eq!(plain(&compressed(4), b"abcd").unwrap(), b"abcd");
            assert_eq!(plain(&compressed(4), b"a").unwrap(), b"a");
            assert_eq!(plain(&compressed(4), b"").unwrap(), b"");
            assert_eq!(plain(&Asked::new(100), &gzip(b"abcd")).unwrap(), gzip(b"abcd"));
            assert!(plain(&compressed(3), b"abcd").is_err());
        }
        assert!(compressed(4).room() >= gzip(b"abcd").len() as u64 && Asked::new(4).room() == 4);
    }
}
