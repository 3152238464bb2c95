//! One request for what a key holds, all of it or a part: tried again, held against what was answered before, and within a limit.

use std::sync::Mutex;

use futures_util::StreamExt;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, path::Path as ObjectPath};
use tokio::task::JoinHandle;

use super::{
    Bucket, RemoteStore,
    answer::{Asked, Body},
    failure::{self, Failure},
    found,
    seen::{self, Like, Seen},
};
use crate::storage::{Part, Piece, StoreError};

const PARTS_OF_GZIP: &str =
    "the server compresses its files (Content-Encoding: gzip), and a part of such a file cannot be read";

impl RemoteStore {
    /// Gets all, or a part; the bytes and the size of the whole. `accept` looks at the part that is offered (number of bytes, size of
    /// the whole) before anything is allocated. At most `limit` bytes are handed over.
    pub(super) async fn fetch(
        &self,
        key: &str,
        range: Option<GetRange>,
        limit: u64,
        accept: &(dyn Fn(u64, u64) -> Result<(), StoreError> + Sync),
    ) -> Result<Option<Piece>, StoreError> {
        let path = self.path_of(key)?;
        let bucket = &self.bucket;
        // Of all tries of this request.
        let first = &Mutex::new(Seen::default());
        let answer = bucket.tried(0, || async {
            let asked = Asked::new(limit);
            let mut options = GetOptions::new().with_range(range.clone());
            options.extensions.insert(asked.clone());
            let offered = bucket.patience.progress(bucket.objects.get_opts(&path, options)).await??;
            if range.is_some() && key.ends_with(".gz") {
                asked.take_as_stored();
            }
            let (total, len) = (offered.meta.size, offered.range.end.saturating_sub(offered.range.start));
            let like = Like { tag: offered.meta.e_tag.clone(), bytes: (!asked.is_unsized()).then_some(total) };
            seen::hold(if range.is_some() { &bucket.seen } else { first }, &path, like)?;
            match range {
                Some(_) if asked.is_compressed() => return Err(StoreError::Unsupported(PARTS_OF_GZIP.into()).into()),
                Some(_) => accept(len, total)?,
                None if len > asked.room() => return Err(StoreError::TooLarge { bytes: len, limit }.into()),
                None => {}
            }
            let mut body = Body::new(&asked, len)?;
            let mut stream = offered.into_stream();
            while let Some(piece) = bucket.patience.progress(stream.next()).await? {
                let piece = piece?;
                if body.received() + piece.len() as u64 > len {
                    if range.is_none() && asked.is_unsized() {
                        return Err(StoreError::TooLarge { bytes: limit.saturating_add(1), limit }.into());
                    }
                    return Err(Failure::Again(format!("more than the {len} bytes announced")));
                }
                body.take(&piece)?;
            }
            if body.received() != len && (range.is_some() || !asked.is_unsized()) {
                return Err(Failure::Again(format!("cut after {} of {len} bytes", body.received())));
            }
            let bytes = body.end()?;
            Ok(Piece { total: if range.is_some() { total } else { bytes.len() as u64 }, bytes })
        });
        found(answer.await)
    }
}

impl Bucket {
    /// What is known of a key without its bytes. Some web servers answer no such request (HEAD): these are asked for its first byte.
    pub(super) async fn head(&self, path: &ObjectPath) -> Result<ObjectMeta, Failure> {
        let failure = match self.patience.progress(self.objects.head(path)).await? {
            Ok(meta) => return Ok(meta),
            Err(error) => failure::judge(error),
        };
        if self.pages.is_some() {
            return Err(failure);
        }
        let mut options = GetOptions::new().with_range(Some(GetRange::Bounded(0..1)));
        options.extensions.insert(Asked::new(1));
        match self.patience.progress(self.objects.get_opts(path, options)).await? {
            Ok(offered) => Ok(offered.meta),
            Err(error) => match failure::judge(error) {
                again @ Failure::Again(_) => Err(again),
                Failure::Final(_) => Err(failure),
            },
        }
    }
}

/// A request that runs by itself, as long as somebody waits for it.
pub(super) struct Begun(JoinHandle<Result<Option<Piece>, StoreError>>);

impl Begun {
    /// The request that `task` is.
    pub(super) fn new(task: JoinHandle<Result<Option<Piece>, StoreError>>) -> Begun {
        Begun(task)
    }

    /// Its answer.
    pub(super) async fn ended(mut self) -> Result<Option<Piece>, StoreError> {
        (&mut self.0).await.unwrap_or_else(|_| Err(StoreError::Unsupported("the client is shut down".into())))
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Whether `offered` bytes of `total` are the `len` of a part.
pub(super) fn accepted(part: Part, len: u64, offered: u64, total: u64) -> Result<(), StoreError> {
    match part.within(total) {
        Some(_) if offered == len => Ok(()),
        _ => Err(StoreError::Outside { part, total }),
    }
}
