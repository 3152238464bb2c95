//! Work that somebody attends to: a caller who must be able to look up while it goes on.

use std::{
    sync::atomic::AtomicBool,
    thread::{self, Builder},
};

use crossbeam_channel::RecvTimeoutError;

use super::{POLL, caught};
use crate::error::{Error, Result};

/// Does `work` on a thread of its own, and calls `look` on this one ten times a second and once at the end. Both have the flag that asks the work to stop.
///
/// # Errors
/// Those of the work; [`Error::Panic`]; [`Error::Threads`].
pub fn attended<R: Send>(
    work: impl FnOnce(&AtomicBool) -> Result<R> + Send,
    mut look: impl FnMut(&AtomicBool),
) -> Result<R> {
    let stop = AtomicBool::new(false);
    let (done, ended) = crossbeam_channel::bounded::<()>(0);
    let mut result = None;
    thread::scope(|scope| {
        let (result, stop) = (&mut result, &stop);
        let mut work = Some(work);
        let run = move || {
            // Dropped at the end, however that comes.
            let _done = done;
            let outcome = caught(&mut || {
                *result = work.take().map(|work| work(stop));
                Ok(())
            });
            if let Err(error) = outcome {
                *result = Some(Err(error));
            }
        };
        let begun = Builder::new().name("reslice".into()).spawn_scoped(scope, run);
        begun.map_err(|source| Error::Threads { what: "the work", source })?;
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(POLL) {
            look(stop);
        }
        look(stop);
        Ok::<(), Error>(())
    })?;
    result.unwrap_or_else(|| Err(Error::Panic { message: "the work has no end".into() }))
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::Ordering,
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn who_attends_can_stop_the_work() {
        let begun = Instant::now();
        let work = |stop: &AtomicBool| {
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
            Ok(7)
        };
        let mut looks = 0;
        let found = attended(work, |stop| {
            looks += 1;
            stop.store(looks > 1, Ordering::Relaxed);
        });
        assert_eq!(found.unwrap(), 7);
        assert!(looks > 1 && begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn errors_and_panics_come_back() {
        assert!(matches!(attended(|_| Err::<(), _>(Error::usage("no")), |_| {}), Err(Error::Usage { .. })));
        let panicked = attended(|_| -> Result<()> { panic!("at work") }, |_| {});
        assert!(matches!(panicked, Err(Error::Panic { message }) if message == "at work"));
    }
}
