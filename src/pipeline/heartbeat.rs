//! A sign of life while something long goes on.

use std::{thread, time::Duration};

use super::halt::{EndsRun, Halt};
use crate::error::Result;

/// Calls `body` on this thread, and meanwhile `beat` every `period` on another. A beat that cannot be done is left out, and traced:
/// whoever misses it for long finds out by other means.
pub fn heartbeat<R>(period: Duration, beat: &(dyn Fn() -> Result<()> + Sync), body: impl FnOnce() -> R) -> R {
    let halt = Halt::default();
    thread::scope(|scope| {
        let _ends = EndsRun(&halt);
        scope.spawn(|| {
            halt.every(period..=period, &|| {
                if let Err(error) = beat() {
                    tracing::warn!(%error, "no sign of life");
                }
                Ok(())
            })
        });
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
            beats.load(Ordering::SeqCst)
        });
        assert!(seen >= 3);
        let panics = || heartbeat(Duration::from_secs(1000), &beat, || panic!("not today"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    }
}
