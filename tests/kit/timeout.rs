//! A hang fails the test instead of hanging it.

use std::{
    panic::resume_unwind,
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

/// Runs `work` on a thread of its own; panics when it takes longer than `seconds`, or with its own panic.
pub(crate) fn within<R: Send + 'static>(seconds: u64, work: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, outcome) = channel();
    let worker = thread::spawn(move || {
        let _ = done.send(work());
    });
    match outcome.recv_timeout(Duration::from_secs(seconds)) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("still running after {seconds} s"),
        Err(RecvTimeoutError::Disconnected) => match worker.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => panic!("ended without a result"),
        },
    }
}
