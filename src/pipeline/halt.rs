//! The first error of a run, and the flag that ends it.

use std::{
    ops::RangeInclusive,
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::error::{Error, Result};

/// Set once, by the first error; looked at by everybody who waits or begins something.
#[derive(Debug, Default)]
pub(super) struct Halt {
    halted: AtomicBool,
    first: Mutex<Option<Error>>,
    ended: Mutex<bool>,
    changed: Condvar,
}

/// Ends the run when it goes out of scope, also by a panic.
#[derive(Debug)]
pub(super) struct EndsRun<'a>(pub &'a Halt);

impl Drop for EndsRun<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Halt {
    /// Keeps `error` if it is the first.
    pub(super) fn fail(&self, error: Error) {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.halted.store(true, Ordering::SeqCst);
        self.end();
    }

    /// Nothing is left to be done: wakes [`Halt::every`].
    pub(super) fn end(&self) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Calls `each` again and again until the run has ended, or `each` has an error: after the shorter of the periods, and then so
    /// seldom that it takes a twentieth of the time, but after the longer one at the latest.
    pub(super) fn every(&self, periods: RangeInclusive<Duration>, each: &(dyn Fn() -> Result<()> + '_)) -> Result<()> {
        let mut period = *periods.start();
        loop {
            let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.changed.wait_timeout_while(ended, period, |ended| !*ended);
            if *waited.unwrap_or_else(PoisonError::into_inner).0 {
                return Ok(());
            }
            let begun = Instant::now();
            each()?;
            period = (begun.elapsed() * 20).clamp(*periods.start(), *periods.end());
        }
    }

    /// Whether the run is to end.
    pub(super) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::SeqCst)
    }

    /// The first error, if there was one.
    pub(super) fn result(&self) -> Result<()> {
        match self.first.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
