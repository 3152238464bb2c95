//! Object stores and plain web servers as stores.
//!
//! Every call runs on the caller's thread until it is answered; a runtime with one thread of its own moves the bytes. Requests in
//! flight are bounded over all callers, so that their memory can be planned. Requests are repeated by `retry`, and nowhere
//! else.

use std::{
    cell::Cell,
    fmt,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::SystemTime,
};

use object_store::{
    GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, list::PaginatedListStore,
    multipart::MultipartStore,
};
use tokio::{runtime::Runtime, sync::Semaphore};

use super::{Part, Pending, Piece, Store, StoreError, StoreMemory, Url, Version, check_key};
use failure::Failure;
use fetch::Begun;
use retry::Patience;
use secret::Secrets;
use seen::{Like, Seen};

mod answer;
mod aws;
mod client;
mod connect;
mod failure;
mod fetch;
mod list;
mod retry;
mod secret;
mod seen;
mod upload;

pub use connect::connect;
pub use retry::Patience as RetryPolicy;

/// Requests in flight at once; more wait for their turn.
pub const REQUESTS_IN_FLIGHT: usize = 32;
/// Requests of one source that hide the time of an answer: 16 chunks of 1 MiB at 50 ms each are 300 MB/s.
const REQUESTS_AHEAD: u64 = 16;
/// Parts of uploads held at once, over all uploads.
const PARTS_IN_FLIGHT: usize = 2;
/// Client, certificates, and the read buffers of its connections.
const CLIENT_BYTES: u64 = 12 << 20;
/// Bytes on their way between socket and buffer, for one request.
const REQUEST_BYTES: u64 = 512 << 10;

/// The keys below one URL.
#[derive(Clone)]
pub struct RemoteStore {
    bucket: Arc<Bucket>,
    url: Url,
    /// The path of `url` as the object store spells it.
    prefix: String,
}

/// What all stores of one bucket share.
struct Bucket {
    objects: Arc<dyn ObjectStore>,
    /// Uploads in parts, where there are such.
    parts: Option<Arc<dyn MultipartStore>>,
    /// Lists of keys, where there are such.
    pages: Option<Arc<dyn PaginatedListStore>>,
    /// Taken only when it is shut down.
    runtime: Option<Runtime>,
    requests: Semaphore,
    part_buffers: Semaphore,
    patience: Patience,
    /// Where requests go, if that is not what the URL says.
    endpoint: Option<String>,
    secrets: Secrets,
    /// What objects that are read in parts were like.
    seen: Mutex<Seen>,
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // A look-up of a name may hang for long, and nobody waits for it any more.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for RemoteStore {
    /// The URL alone: what lies below knows credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteStore({})", self.url)
    }
}

impl RemoteStore {
    /// A store over any client; `url` is for messages, its path the prefix of all keys.
    pub fn new<O: ObjectStore + MultipartStore + PaginatedListStore>(
        objects: Arc<O>,
        url: Url,
        patience: Patience,
    ) -> Result<RemoteStore, StoreError> {
        let mut bucket = Bucket::new(objects.clone(), patience)?;
        bucket.parts = Some(objects.clone());
        bucket.pages = Some(objects);
        Ok(RemoteStore { prefix: url.path.clone(), bucket: Arc::new(bucket), url })
    }

    fn path_of(&self, key: &str) -> Result<object_store::path::Path, StoreError> {
        check_key(key)?;
        self.full_path(key)
    }

    fn full_path(&self, key: &str) -> Result<object_store::path::Path, StoreError> {
        let parts = [self.prefix.as_str(), key].into_iter().filter(|part| !part.is_empty());
        let path = parts.collect::<Vec<_>>().join("/");
        object_store::path::Path::parse(path).map_err(|_| StoreError::Key { key: key.into() })
    }

    /// An error where the part does not lie within the key, after the store has refused it.
    fn refused(&self, key: &str, part: Part, error: StoreError) -> StoreError {
        match self.size(key) {
            Ok(Some(total)) if part.within(total).is_none() => StoreError::Outside { part, total },
            _ => error,
        }
    }
}

impl Store for RemoteStore {
    fn get(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let whole = self.fetch(key, None, limit, &|_, _| Ok(()));
        Ok(self.bucket.block_on(whole)?.map(|piece| piece.bytes))
    }

    fn get_part(&self, key: &str, part: Part) -> Result<Option<Piece>, StoreError> {
        let (range, len) = match part {
            Part::Suffix(len) => (GetRange::Suffix(len), len),
            Part::Range { offset, len } => (GetRange::Bounded(offset..offset.saturating_add(len)), len),
        };
        if len == 0 {
            let Some(total) = self.size(key)? else { return Ok(None) };
            part.within(total).ok_or(StoreError::Outside { part, total })?;
            return Ok(Some(Piece { bytes: Vec::new(), total }));
        }
        let accept = |offered, total| fetch::accepted(part, len, offered, total);
        match self.bucket.block_on(self.fetch(key, Some(range), len, &accept)) {
            // Azure has no ranges from the end.
            Err(StoreError::Unsupported(_)) if matches!(part, Part::Suffix(_)) => {
                let Some(total) = self.size(key)? else { return Ok(None) };
                let (offset, len) = part.within(total).ok_or(StoreError::Outside { part, total })?;
                self.get_part(key, Part::Range { offset, len })
            }
            Err(error @ StoreError::Remote { .. }) => Err(self.refused(key, part, error)),
            other => other,
        }
    }

    fn begin(&self, key: &str, part: Part) -> Option<Pending> {
        let Part::Range { offset, len: len @ 1.. } = part else { return None };
        let range = GetRange::Bounded(offset..offset.saturating_add(len));
        let (store, key) = (self.clone(), key.to_string());
        let task = async move {
            let accept = |offered, total| fetch::accepted(part, len, offered, total);
            store.fetch(&key, Some(range), len, &accept).await
        };
        let (task, bucket) = (Begun::new(self.bucket.runtime.as_ref()?.spawn(task)), self.bucket.clone());
        Some(Box::new(move || bucket.block_on(task.ended())))
    }

    fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let path = self.path_of(key)?;
        let bucket = &self.bucket;
        let answer = bucket.ask(0, || async { Ok(bucket.head(&path).await?.size) });
        found(answer)
    }

    /// Held against what was answered for the key before.
    fn version(&self, key: &str) -> Result<Option<Version>, StoreError> {
        let path = self.path_of(key)?;
        let bucket = &self.bucket;
        let answer = bucket.ask(0, || async {
            let meta = bucket.head(&path).await?;
            seen::hold(&bucket.seen, &path, Like { tag: meta.e_tag.clone(), bytes: Some(meta.size) })?;
            let changed = SystemTime::from(meta.last_modified);
            let since = changed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
            let tag = meta.e_tag.or_else(|| (since > 0).then(|| format!("of {since} s")));
            Ok(Version { bytes: meta.size, tag })
        });
        found(answer)
    }

    fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let path = self.path_of(key)?;
        let (bucket, len, payload) = (&self.bucket, bytes.len() as u64, PutPayload::from(bytes));
        seen::forget(&bucket.seen, &path);
        bucket.ask(len, || async { Ok(bucket.objects.put(&path, payload.clone()).await.map(drop)?) })
    }

    /// A conditional request, where the service has them; else it is looked for first.
    fn put_new(&self, key: &str, bytes: Vec<u8>) -> Result<bool, StoreError> {
        let path = self.path_of(key)?;
        let (bucket, len, payload) = (&self.bucket, bytes.len() as u64, PutPayload::from(bytes.clone()));
        let is_again = &Cell::new(false);
        let put = bucket.ask(len, || async {
            let options = PutOptions::from(PutMode::Create);
            match bucket.objects.put_opts(&path, payload.clone(), options).await {
                Ok(_) => Ok(Some(true)),
                Err(
                    error @ object_store::Error::AlreadyExists { .. }
                    | error @ object_store::Error::Precondition { .. },
                ) => {
                    match failure::judge(error) {
                        // Two at once: who was first is known in a moment.
                        Failure::Again(what) => Err(Failure::Again(what)),
                        Failure::Final(_) => Ok(Some(false)),
                    }
                }
                Err(object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. }) => Ok(None),
                Err(error) => {
                    is_again.set(true);
                    Err(error.into())
                }
            }
        })?;
        // It may be there by an earlier try whose answer was lost.
        let is_ours = || Ok::<_, StoreError>(self.get(key, len)?.is_some_and(|found| found == bytes));
        match put {
            Some(false) if is_again.get() => match is_ours() {
                Err(StoreError::TooLarge { .. }) => Ok(false),
                other => other,
            },
            Some(new) => Ok(new),
            None if self.exists(key)? => Ok(false),
            None => self.put(key, bytes).map(|()| true),
        }
    }

    fn modified(&self, key: &str) -> Result<Option<SystemTime>, StoreError> {
        let path = self.path_of(key)?;
        let bucket = &self.bucket;
        let answer = bucket.ask(0, || async { Ok(bucket.head(&path).await?.last_modified) });
        Ok(found(answer)?.map(SystemTime::from))
    }

    fn put_file(&self, key: &str, file: &Path) -> Result<(), StoreError> {
        let path = self.path_of(key)?;
        seen::forget(&self.bucket.seen, &path);
        self.bucket.upload(&path, file)?;
        Ok(std::fs::remove_file(file)?)
    }

    fn delete(&self, key: &str) -> Result<(), StoreError> {
        let path = self.path_of(key)?;
        let bucket = &self.bucket;
        seen::forget(&bucket.seen, &path);
        let answer = bucket.ask(0, || async {
            let Err(error) = bucket.patience.progress(bucket.objects.delete(&path)).await? else { return Ok(()) };
            match failure::judge(error) {
                // Some services do not answer well for what is gone, as it is after a try whose answer was lost.
                Failure::Again(what) => match bucket.patience.progress(bucket.objects.head(&path)).await? {
                    Err(object_store::Error::NotFound { .. }) => Ok(()),
                    _ => Err(Failure::Again(what)),
                },
                last => Err(last),
            }
        });
        found(answer).map(drop)
    }

    fn list(&self, prefix: &str, visit: &mut dyn FnMut(&str, u64) -> ControlFlow<()>) -> Result<(), StoreError> {
        if self.bucket.pages.is_none() {
            return Err(StoreError::Unsupported("a web server has no list of its keys".into()));
        }
        let top = if prefix.is_empty() { self.full_path("")? } else { self.path_of(prefix)? };
        let skip = if self.prefix.is_empty() { 0 } else { self.prefix.len() + 1 };
        self.bucket.list(&top, &mut |path, size| {
            path.as_ref().get(skip..).map_or(ControlFlow::Continue(()), |key| visit(key, size))
        })
    }

    fn clear(&self, prefix: &str) -> Result<(), StoreError> {
        let top = if prefix.is_empty() { self.full_path("")? } else { self.path_of(prefix)? };
        self.bucket.clear(&top)
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn describe(&self, key: &str) -> PathBuf {
        self.url.join(key).to_string().into()
    }

    fn below(&self, path: &str) -> Arc<dyn Store> {
        let url = self.url.join(path);
        let prefix = [self.prefix.as_str(), path].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
        Arc::new(RemoteStore { bucket: self.bucket.clone(), url, prefix: prefix.join("/") })
    }

    fn above(&self) -> Option<(Arc<dyn Store>, String)> {
        let (url, _) = self.url.parent()?;
        let (prefix, name) = self.prefix.rsplit_once('/').unwrap_or(("", &self.prefix));
        Some((Arc::new(RemoteStore { bucket: self.bucket.clone(), url, prefix: prefix.into() }), name.into()))
    }

    fn requests(&self) -> u64 {
        REQUESTS_AHEAD
    }

    fn memory(&self) -> StoreMemory {
        StoreMemory {
            resident_bytes: CLIENT_BYTES,
            request_bytes: REQUEST_BYTES,
            upload_bytes: PARTS_IN_FLIGHT as u64 * upload::PART_BYTES,
        }
    }
}

/// `None` for what is not there.
fn found<R>(answer: Result<R, StoreError>) -> Result<Option<R>, StoreError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::Io(e)) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
