//! Calls a function regularly while another one runs.

use std::{thread, time::Duration};

use super::halt::{EndsRun, Halt};
use crate::error::{Error, Result};

/// Calls `body` on this thread, and meanwhile `beat` every `period` on another. A beat that cannot be done is left out, and traced:
/// whoever misses it for long finds out by other means.
///
/// # Errors
/// Those of `body`; the system grants no thread.
pub fn heartbeat<R>(
    period: Duration,
    beat: &(dyn Fn() -> Result<()> + Sync),
    body: impl FnOnce() -> Result<R>,
) -> Result<R> {
    let halt = Halt::default();
    thread::scope(|scope| {
        let _ends = EndsRun(&halt);
        let begun = thread::Builder::new().spawn_scoped(scope, || {
            halt.every(period..=period, &|| {
                if let Err(error) = beat() {
                    tracing::warn!(%error, "no sign of life");
                }
                Ok(())
            })
        });
        begun.map_err(|source| Error::Threads { what: "the sign of life of this run", source })?;
        body()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn it_beats_until_the_body_ends_or_panics() {
        let beats = AtomicUsize::new(0);
        let beat = || {
            beats.fetch_add(1, Ordering::SeqCst);
            Err(crate::error::Error::usage("not this time"))
        };
        let seen = heartbeat(Duration::from_millis(1), &beat, || {
            while beats.load(Ordering::SeqCst) < 3 {
                thread::yield_now();
            }
            Ok(beats.load(Ordering::SeqCst))
        });
        assert!(seen.unwrap() >= 3);
        let panics = || heartbeat::<()>(Duration::from_secs(1000), &beat, || panic!("not today"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    }
}
