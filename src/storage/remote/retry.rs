//! Asking again: what is worth it, how often, how long.

use std::{
    future::Future,
    hash::{BuildHasher, Hasher, RandomState},
    io,
    pin::pin,
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, Instant},
};

use futures_util::future::{Either, select};
use object_store::ObjectStore;
use tokio::{runtime, sync::Semaphore, time};

use super::{Bucket, PARTS_IN_FLIGHT, REQUESTS_IN_FLIGHT, failure::Failure, secret::Secrets};
use crate::storage::StoreError;

/// How often a wait looks whether the process is to stop, and how long it may go on then.
const STOP_LOOK: Duration = Duration::from_millis(250);
const STOP_GRACE: Duration = Duration::from_secs(3);

/// How long the network is put up with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patience {
    /// Tries of one request, the first included.
    pub tries: u32,
    /// No try begins later than this after the first.
    pub give_up_after: Duration,
    /// Pause after the first try; it doubles with each, and a random half of it is left out.
    pub first_pause: Duration,
    pub longest_pause: Duration,
    /// A request that brings nothing for so long is dropped.
    pub silence: Duration,
    /// Slowest upload that is waited for.
    pub bytes_per_second: u64,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            tries: 9,
            give_up_after: Duration::from_secs(120),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(8),
            silence: Duration::from_secs(30),
            bytes_per_second: 64 << 10,
        }
    }
}

impl Patience {
    /// Waits for a step of a download.
    pub async fn progress<R>(&self, step: impl Future<Output = R>) -> Result<R, Failure> {
        self.within(self.silence, step).await
    }

    /// Waits for an upload of `bytes`.
    pub async fn upload<R>(&self, bytes: u64, step: impl Future<Output = R>) -> Result<R, Failure> {
        let limit = self.silence + Duration::from_secs(bytes / self.bytes_per_second.max(1));
        self.within(limit, step).await
    }

    async fn within<R>(&self, limit: Duration, step: impl Future<Output = R>) -> Result<R, Failure> {
        let late = |_| Failure::Again(format!("no answer within {:.1} s", limit.as_secs_f64()));
        time::timeout(limit, step).await.map_err(late)
    }

    /// The pause after try `tried` (1 for the first).
    fn pause(&self, tried: u32) -> Duration {
        let full = self.first_pause.saturating_mul(1 << tried.saturating_sub(1).min(16)).min(self.longest_pause);
        let random = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
        full.mul_f64(0.5 + random / 2.0)
    }
}

/// Ends a while after the process was asked to stop: what is about to succeed may, what waits does not keep a run alive.
async fn stopped() {
    while !crate::sys::stop_flag().load(Ordering::Relaxed) {
        time::sleep(STOP_LOOK).await;
    }
    time::sleep(STOP_GRACE).await;
}

impl Bucket {
    /// A client with a runtime of its own.
    pub(super) fn new(objects: Arc<dyn ObjectStore>, patience: Patience) -> Result<Bucket, StoreError> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(2)
            .thread_name("reslice-net")
            .enable_all()
            .build()?;
        Ok(Bucket {
            objects,
            parts: None,
            pages: None,
            runtime: Some(runtime),
            requests: Semaphore::new(REQUESTS_IN_FLIGHT),
            part_buffers: Semaphore::new(PARTS_IN_FLIGHT),
            patience,
            endpoint: None,
            secrets: Secrets::default(),
            seen: Mutex::default(),
        })
    }

    /// Runs `work` on this thread to its end.
    pub(super) fn block_on<R>(&self, work: impl Future<Output = Result<R, StoreError>>) -> Result<R, StoreError> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => Err(StoreError::Unsupported("the client is shut down".into())),
        }
    }

    /// One request that sends `bytes`, tried until it succeeds, cannot succeed, or patience ends.
    pub(super) fn ask<R, F>(&self, bytes: u64, request: impl Fn() -> F) -> Result<R, StoreError>
    where
        F: Future<Output = Result<R, Failure>>,
    {
        self.block_on(self.tried(bytes, request))
    }

    /// Does a request of about `bytes` until it succeeds, or patience ends.
    pub(super) async fn tried<R, F>(&self, bytes: u64, request: impl Fn() -> F) -> Result<R, StoreError>
    where
        F: Future<Output = Result<R, Failure>>,
    {
        let (work, stop) = (pin!(self.tried_on(bytes, request)), pin!(stopped()));
        match select(work, stop).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(StoreError::Unsupported("asked to stop while waiting for the server".into())),
        }
    }

    async fn tried_on<R, F>(&self, bytes: u64, request: impl Fn() -> F) -> Result<R, StoreError>
    where
        F: Future<Output = Result<R, Failure>>,
    {
        let start = Instant::now();
        let mut attempts = 0;
        loop {
            let Ok(permit) = self.requests.acquire().await else {
                return Err(StoreError::Unsupported("the client is shut down".into()));
            };
            // A download sets its own limits, by what arrives.
            let answer = match bytes {
                0 => request().await,
                _ => self.patience.upload(bytes, request()).await.and_then(|answer| answer),
            };
            drop(permit);
            attempts += 1;
            let what = match answer {
                Ok(answer) => return Ok(answer),
                Err(Failure::Final(error)) => return Err(self.without_secrets(error)),
                Err(Failure::Again(what)) => self.secrets.hide(&what),
            };
            let pause = self.patience.pause(attempts);
            if attempts >= self.patience.tries || start.elapsed() + pause > self.patience.give_up_after {
                let seconds = start.elapsed().as_secs_f64();
                let what = self.endpoint.as_ref().map_or(what.clone(), |at| format!("{what} (endpoint {at})"));
                return Err(StoreError::Remote { what, attempts, seconds });
            }
            tracing::debug!(attempts, what, "asking again");
            time::sleep(pause).await;
        }
    }

    fn without_secrets(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Remote { what, attempts, seconds } => {
                StoreError::Remote { what: self.secrets.hide(&what), attempts, seconds }
            }
            StoreError::Unsupported(what) => StoreError::Unsupported(self.secrets.hide(&what)),
            StoreError::Io(error) => {
                StoreError::Io(io::Error::new(error.kind(), self.secrets.hide(&error.to_string())))
            }
            other => other,
        }
    }
}
