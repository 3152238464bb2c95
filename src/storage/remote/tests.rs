//! Remote stores over a store in memory, and over one that fails, cuts and stalls at chosen calls.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartId, MultipartUpload, ObjectMeta,
    PutMultipartOptions, PutOptions, PutResult,
    client::{HttpError, HttpErrorKind},
    list::{PaginatedListOptions, PaginatedListResult},
    memory::InMemory,
    multipart::PartId,
    path::Path as Key,
};

use rayon::prelude::*;

use super::*;
use crate::storage::{Location, tests::conforms};

type Outcome<R> = object_store::Result<R>;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// It is answered by an error, and not done.
    Fail,
    /// It is done, and the answer is lost.
    Lose,
    /// The body ends after half of it; calls without a body fail.
    Cut,
    /// It takes until the end of days.
    Stall,
}

/// A store in memory with a fault for each call, by its number.
#[derive(Debug)]
struct Faulty {
    inner: Arc<InMemory>,
    /// Parts of uploads; the store in memory takes them in order only.
    parts: Mutex<BTreeMap<(MultipartId, usize), Vec<u8>>>,
    calls: AtomicU64,
    fault: fn(u64) -> Option<Fault>,
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty")
    }
}

/// As the client says it of a `DeleteResult` with nothing in it.
fn unreadable() -> object_store::Error {
    let source = io::Error::other("Got invalid DeleteObjects response: missing field `$value`");
    object_store::Error::Generic { store: "test", source: source.into() }
}

trait Halved {
    fn step_by_two(self) -> BoxStream<'static, Outcome<Key>>;
}

impl Halved for BoxStream<'static, Outcome<Key>> {
    fn step_by_two(self) -> BoxStream<'static, Outcome<Key>> {
        self.enumerate().filter_map(|(n, key)| std::future::ready((n % 2 == 0).then_some(key))).boxed()
    }
}

fn broken() -> object_store::Error {
    let source = HttpError::new(HttpErrorKind::Interrupted, io::Error::other("reset by the test"));
    object_store::Error::Generic { store: "test", source: source.into() }
}

impl Faulty {
    fn new(fault: fn(u64) -> Option<Fault>) -> Faulty {
        Faulty::over(Arc::new(InMemory::new()), fault)
    }

    fn over(inner: Arc<InMemory>, fault: fn(u64) -> Option<Fault>) -> Faulty {
        Faulty { inner, parts: Mutex::default(), calls: AtomicU64::new(0), fault }
    }

    fn next(&self) -> Option<Fault> {
        (self.fault)(self.calls.fetch_add(1, Ordering::Relaxed))
    }

    async fn call<R>(&self, call: impl Future<Output = Outcome<R>>) -> Outcome<R> {
        match self.next() {
            None => call.await,
            Some(Fault::Fail | Fault::Cut) => Err(broken()),
            Some(Fault::Lose) => call.await.and(Err(broken())),
            Some(Fault::Stall) => std::future::pending().await,
        }
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, key: &Key, payload: PutPayload, options: PutOptions) -> Outcome<PutResult> {
        self.call(self.inner.put_opts(key, payload, options)).await
    }

    async fn put_multipart_opts(&self, key: &Key, options: PutMultipartOptions) -> Outcome<Box<dyn MultipartUpload>> {
        self.call(self.inner.put_multipart_opts(key, options)).await
    }

    async fn get_opts(&self, key: &Key, options: GetOptions) -> Outcome<GetResult> {
        let fault = self.next();
        let found = match fault {
            Some(Fault::Fail | Fault::Lose) => return Err(broken()),
            Some(Fault::Stall) => std::future::pending().await,
            _ => self.inner.get_opts(key, options).await?,
        };
        if fault.is_none() {
            return Ok(found);
        }
        let (meta, range, attributes) = (found.meta.clone(), found.range.clone(), found.attributes.clone());
        let bytes = found.bytes().await?;
        let pieces = vec![Ok(bytes.slice(..bytes.len() / 2)), Err(broken())];
        Ok(GetResult { payload: GetResultPayload::Stream(stream::iter(pieces).boxed()), meta, range, attributes })
    }

    fn delete_stream(&self, keys: BoxStream<'static, Outcome<Key>>) -> BoxStream<'static, Outcome<Key>> {
        let inner = self.inner.clone();
        match self.next() {
            None => inner.delete_stream(keys),
            Some(Fault::Stall) => stream::pending().boxed(),
            // Half of the keys, and the others not; or all of them, which nobody hears of.
            Some(Fault::Cut) => {
                inner.delete_stream(keys.step_by_two()).skip(1).chain(stream::iter([Err(broken())])).boxed()
            }
            Some(Fault::Lose) => {
                let all = inner.delete_stream(keys).filter(|_| std::future::ready(false));
                all.chain(stream::iter([Err(unreadable())])).boxed()
            }
            Some(Fault::Fail) => stream::iter([Err(broken())]).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, Outcome<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Outcome<ListResult> {
        self.call(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Outcome<()> {
        self.call(self.inner.copy_opts(from, to, options)).await
    }
}

/// Pages of three keys; the token is the last key of the page before.
#[async_trait]
impl PaginatedListStore for Faulty {
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        options: PaginatedListOptions,
    ) -> Outcome<PaginatedListResult> {
        let keys = self.inner.list(prefix.map(Key::from).as_ref());
        let page = async {
            let mut objects: Vec<ObjectMeta> = keys.try_collect().await?;
            objects.sort_by(|a, b| a.location.cmp(&b.location));
            objects.retain(|object| {
                options.page_token.as_ref().is_none_or(|token| object.location.as_ref() > token.as_str())
            });
            let is_cut = objects.len() > 3;
            objects.truncate(3);
            let page_token = objects.last().filter(|_| is_cut).map(|object| object.location.to_string());
            Ok::<_, object_store::Error>(PaginatedListResult {
                result: ListResult { objects, common_prefixes: Vec::new() },
                page_token,
            })
        };
        self.call(page).await
    }
}

#[async_trait]
impl MultipartStore for Faulty {
    async fn create_multipart(&self, _: &Key) -> Outcome<MultipartId> {
        let id = self.calls.load(Ordering::Relaxed).to_string();
        self.call(async { Ok(id) }).await
    }

    async fn put_part(&self, _: &Key, id: &MultipartId, n: usize, payload: PutPayload) -> Outcome<PartId> {
        let bytes = payload.iter().flat_map(|bytes| bytes.to_vec()).collect();
        let content_id = format!("{id}/{n}");
        self.call(async {
            self.parts.lock().unwrap().insert((id.clone(), n), bytes);
            Ok(PartId { content_id })
        })
        .await
    }

    async fn complete_multipart(&self, key: &Key, id: &MultipartId, parts: Vec<PartId>) -> Outcome<PutResult> {
        self.call(async {
            let mut bytes = Vec::new();
            for (n, part) in parts.iter().enumerate() {
                assert_eq!(part.content_id, format!("{id}/{n}"));
                let gone =
                    || object_store::Error::NotFound { path: key.to_string(), source: "the upload is gone".into() };
                bytes.extend(self.parts.lock().unwrap().remove(&(id.clone(), n)).ok_or_else(gone)?);
            }
            self.inner.put(key, bytes.into()).await
        })
        .await
    }

    async fn abort_multipart(&self, _: &Key, id: &MultipartId) -> Outcome<()> {
        self.call(async {
            self.parts.lock().unwrap().retain(|(upload, _), _| upload != id);
            Ok(())
        })
        .await
    }
}

fn url(text: &str) -> Url {
    let Location::Url(url) = Location::of(Path::new(text)).unwrap() else { panic!("{text} is a path") };
    url
}

fn hasty() -> Patience {
    Patience {
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(5),
        silence: Duration::from_millis(80),
        ..Patience::default()
    }
}

fn faulty(fault: fn(u64) -> Option<Fault>) -> RemoteStore {
    RemoteStore::new(Arc::new(Faulty::new(fault)), url("s3://bucket/deep/a.zarr"), hasty()).unwrap()
}

#[test]
fn a_store_in_memory_conforms() {
    let dir = tempfile::tempdir().unwrap();
    for prefix in ["s3://bucket", "s3://bucket/deep/a.zarr"] {
        let objects = Arc::new(Faulty::new(|_| None));
        let beside = RemoteStore::new(objects.clone(), url("s3://bucket"), hasty()).unwrap();
        if prefix != "s3://bucket" {
            // Names that only begin like the prefix are not below it.
            beside.put("deep/a.zarrs/0", b"other".to_vec()).unwrap();
        }
        conforms(&RemoteStore::new(objects, url(prefix), hasty()).unwrap(), dir.path());
        assert_eq!(beside.exists("deep/a.zarrs/0").unwrap(), prefix != "s3://bucket");
    }
}

/// A number of `n` for each call, without a pattern that a sequence of calls could fall into.
fn dice(call: u64, n: u64) -> u64 {
    ((call + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) % n
}

#[test]
fn faults_change_nothing_but_the_time() {
    let dir = tempfile::tempdir().unwrap();
    let mixed: fn(u64) -> Option<Fault> = |call| match dice(call, 12) {
        0 => Some(Fault::Fail),
        1 => Some(Fault::Cut),
        2 => Some(Fault::Lose),
        3 if call % 2 == 0 => Some(Fault::Stall),
        _ => None,
    };
    for fault in
        [|call| (dice(call, 3) == 0).then_some(Fault::Fail), |call| (dice(call, 2) == 0).then_some(Fault::Cut), mixed]
    {
        conforms(&faulty(fault), dir.path());
    }
}

#[test]
fn large_files_are_uploaded_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..3 * upload::PART_BYTES + 17).map(|n| (n ^ (n >> 13)) as u8).collect();
    let every_answer_lost_once: fn(u64) -> Option<Fault> = |call| (call % 2 == 0).then_some(Fault::Lose);
    for fault in [|_| None, every_answer_lost_once, |call| (dice(call, 3) == 1).then_some(Fault::Fail)] {
        let (store, file) = (faulty(fault), dir.path().join("shard"));
        std::fs::write(&file, &bytes).unwrap();
        store.put_file("0/c/0", &file).unwrap();
        assert!(!file.exists());
        assert_eq!(store.get("0/c/0", bytes.len() as u64).unwrap().unwrap(), bytes);
    }
}

#[test]
fn a_dead_store_ends_in_an_error_with_the_number_of_attempts() {
    for fault in [|_| Some(Fault::Fail), |_| Some(Fault::Stall)] as [fn(u64) -> Option<Fault>; 2] {
        let (store, start) = (faulty(fault), Instant::now());
        let error = store.get("zarr.json", 10).unwrap_err().at("read", store.describe("zarr.json"));
        let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
        assert!(text.contains("cannot read s3://bucket/deep/a.zarr/zarr.json"), "{text}");
        assert!(text.contains("9 attempts in "), "{text}");
        assert!(start.elapsed() < Duration::from_secs(10));
        assert!(store.put("a", vec![1]).is_err() && store.delete("a").is_err() && store.size("a").is_err());
        assert!(store.list("", &mut |_, _| ControlFlow::Continue(())).is_err() && store.clear("").is_err());
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), b"x").unwrap();
        assert!(store.put_file("a", &dir.path().join("file")).is_err());
        assert!(dir.path().join("file").exists());
    }
}

#[test]
fn time_is_a_limit_too() {
    let patience = Patience { give_up_after: Duration::from_millis(20), tries: 1000, ..hasty() };
    let store = RemoteStore::new(Arc::new(Faulty::new(|_| Some(Fault::Fail))), url("s3://b/a"), patience).unwrap();
    let Err(StoreError::Remote { attempts, .. }) = store.get("a", 1) else { panic!("got something") };
    assert!(attempts < 50, "{attempts}");
}

#[test]
fn nothing_is_said_but_the_url() {
    let store = faulty(|_| None);
    assert_eq!(format!("{store:?}"), "RemoteStore(s3://bucket/deep/a.zarr)");
}

/// Each call in turn is done and its answer lost, fails, or is cut: what was to be there is, and nothing else.
#[test]
fn a_fault_at_every_call_of_clearing_and_leasing() {
    static AT: AtomicU64 = AtomicU64::new(0);
    for kind in [
        |call| (call == AT.load(Ordering::Relaxed)).then_some(Fault::Lose),
        |call| (call == AT.load(Ordering::Relaxed)).then_some(Fault::Fail),
        |call| (call == AT.load(Ordering::Relaxed)).then_some(Fault::Cut),
    ] as [fn(u64) -> Option<Fault>; 3]
    {
        for at in 0..40 {
            AT.store(at, Ordering::Relaxed);
            let store = faulty(kind);
            assert!(store.put_new("lease", b"mine".to_vec()).unwrap(), "{at}");
            assert!(!store.put_new("lease", b"other".to_vec()).unwrap(), "{at}");
            (0..8u8).for_each(|n| store.put(&format!("c/{n}"), vec![n]).unwrap());
            store.delete("lease").unwrap();
            assert_eq!(store.get("lease", 10).unwrap(), None, "{at}");
            let mut found = 0;
            store
                .list("c", &mut |_, _| {
                    found += 1;
                    ControlFlow::Continue(())
                })
                .unwrap();
            assert_eq!(found, 8, "{at}");
            store.clear("").unwrap();
            store.list("", &mut |key, _| panic!("{key} is left, {at}")).unwrap();
        }
    }
}

#[test]
fn secrets_of_the_account_are_in_no_message() {
    let mut store = faulty(|_| None);
    let builder = object_store::aws::AmazonS3Builder::new()
        .with_access_key_id("minio-admin")
        .with_secret_access_key("SECRET-SECRET");
    let bucket = Arc::get_mut(&mut store.bucket).unwrap();
    bucket.secrets = Secrets::of_s3(&builder);
    let ask = |failure: fn() -> Failure| bucket.ask(0, || async { Err::<(), _>(failure()) }).unwrap_err().to_string();
    let last = ask(|| Failure::Final(StoreError::Unsupported("minio-admin has no right".into())));
    assert_eq!(last, "... has no right");
    let again = ask(|| Failure::Again("key SECRET-SECRET of AKIAIOSFODNN7EXAMPLE".into()));
    assert!(again.starts_with("key ... of ..., 9 attempts"), "{again}");
    let denied = ask(|| Failure::Final(StoreError::Io(io::Error::other("minio-admin"))));
    assert_eq!(denied, "...");
}

#[test]
fn many_callers_share_the_requests() {
    let store = faulty(|call| (dice(call, 5) == 0).then_some(Fault::Cut));
    (0..64u8).into_par_iter().for_each(|n| {
        let key = format!("0/c/{n}");
        store.put(&key, vec![n; 1000]).unwrap();
        assert_eq!(store.get(&key, 1000).unwrap().unwrap(), vec![n; 1000]);
    });
}
