//! Answers as servers send them: without their length, or compressed on the way.
//!
//! The client refuses answers without a length and hands over compressed ones as they are. Here the first are given the greatest
//! length that is accepted, and both are marked, so that whoever asked knows what came.

use std::{
    future::Future,
    io::Read,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use flate2::read::MultiGzDecoder;
use object_store::{
    ClientOptions,
    client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector},
};

use crate::io::zarr::store::StoreError;

/// What a gzip stream adds to bytes that cannot be compressed, beside a sixteenth of them: header, name, checksum.
const GZIP_BYTES: u64 = 4 << 10;

/// Goes along with a request for bytes, and comes back with what the answer was like.
#[derive(Clone, Debug)]
pub struct Asked {
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
    pub fn new(limit: u64) -> Asked {
        Asked { limit, marks: Arc::default() }
    }

    /// Bytes that may come: compressed, what cannot be compressed is a little longer.
    pub fn room(&self) -> u64 {
        let more = if self.is_compressed() { self.limit / 16 + GZIP_BYTES } else { 0 };
        self.limit.saturating_add(more)
    }

    /// Whether the answer has no length of its own.
    pub fn is_unsized(&self) -> bool {
        self.marks.without_length.load(Ordering::Relaxed)
    }

    /// The bytes that were meant.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`] for more than the limit, and what is wrong with the stream.
    pub fn plain(&self, bytes: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let within = |bytes: Vec<u8>| match bytes.len() as u64 {
            bytes if bytes > self.limit => Err(StoreError::TooLarge { bytes, limit: self.limit }),
            _ => Ok(bytes),
        };
        if !self.is_compressed() || !bytes.starts_with(&[0x1f, 0x8b]) {
            return within(bytes);
        }
        let mut plain = Vec::new();
        MultiGzDecoder::new(&bytes[..]).take(self.limit.saturating_add(1)).read_to_end(&mut plain)?;
        within(plain)
    }

    /// Whether the answer is compressed.
    pub fn is_compressed(&self) -> bool {
        self.marks.gzip.load(Ordering::Relaxed)
    }

    fn mark(&self, answer: &mut HttpResponse) {
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

/// Makes clients that mark answers.
#[derive(Debug, Default)]
pub struct Marking(ReqwestConnector);

#[derive(Debug)]
struct MarkingClient(HttpClient);

impl HttpConnector for Marking {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(MarkingClient(self.0.connect(options)?)))
    }
}

impl HttpService for MarkingClient {
    fn call<'me, 'call>(
        &'me self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'call>>
    where
        'me: 'call,
        Self: 'call,
    {
        Box::pin(async move {
            let asked = request.extensions().get::<Asked>().cloned();
            let mut answer = self.0.execute(request).await?;
            if let Some(asked) = asked.filter(|_| answer.status().is_success()) {
                asked.mark(&mut answer);
            }
            Ok(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

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

    #[test]
    fn compressed_answers_are_decoded_within_the_limit() {
        let bomb = gzip(&vec![0; 10 << 20]);
        assert_eq!(compressed(4).plain(gzip(b"abcd")).unwrap(), b"abcd");
        assert!(matches!(compressed(3).plain(gzip(b"abcd")), Err(StoreError::TooLarge { limit: 3, .. })));
        assert!(matches!(compressed(1000).plain(bomb), Err(StoreError::TooLarge { bytes: 1001, .. })));
        assert!(compressed(100).plain(gzip(b"abcd")[..15].to_vec()).is_err());
        assert!(compressed(4).room() >= gzip(b"abcd").len() as u64 && Asked::new(4).room() == 4);
        // What is not compressed, whatever the server says, and what it does not say of.
        assert_eq!(compressed(4).plain(b"abcd".to_vec()).unwrap(), b"abcd");
        assert_eq!(Asked::new(100).plain(gzip(b"abcd")).unwrap(), gzip(b"abcd"));
        assert!(compressed(3).plain(b"abcd".to_vec()).is_err());
    }
}
