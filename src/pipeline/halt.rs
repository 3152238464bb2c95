//! The first error of a run, and the flag that ends it.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use crate::error::{Error, Result};

/// Set once, by the first error; looked at by everybody who waits or begins something.
#[derive(Debug, Default)]
pub struct Halt {
    halted: AtomicBool,
    first: Mutex<Option<Error>>,
}

impl Halt {
    /// Keeps `error` if it is the first.
    pub fn fail(&self, error: Error) {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.halted.store(true, Ordering::SeqCst);
    }

    pub fn is_halted(&self) -> bool {
        self.halted.load(Ordering::SeqCst)
    }

    /// The first error, if there was one.
    pub fn result(&self) -> Result<()> {
        match self.first.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
