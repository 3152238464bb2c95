//! Hands out the blocks of the schedule in order, within the gate.

use std::{
    collections::BTreeSet,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use super::halt::Halt;
use crate::{
    error::{Error, Result},
    plan::{Step, Walk},
};

/// The schedule under way.
#[derive(Debug)]
pub(super) struct Claims<'a> {
    state: Mutex<State<'a>>,
    moved: Condvar,
    gate: u64,
}

#[derive(Debug)]
struct State<'a> {
    walk: Walk<'a>,
    /// Number of the next block to be claimed.
    next: u64,
    /// All blocks below this one are finished.
    lowest_unfinished: u64,
    /// Finished blocks above it.
    finished: BTreeSet<u64>,
}

impl<'a> Claims<'a> {
    /// Claims from the beginning of a schedule, at most `gate` blocks ahead of the lowest unfinished one.
    pub(super) fn new(walk: Walk<'a>, gate: u64) -> Claims<'a> {
        let state = State { walk, next: 0, lowest_unfinished: 0, finished: BTreeSet::new() };
        Claims { state: Mutex::new(state), moved: Condvar::new(), gate: gate.max(1) }
    }

    /// The next block, as soon as the gate lets it through; `None` after the last one or when the run has ended.
    ///
    /// `admit` is called with the block before any later one can be claimed, so that chunks enter and leave the window in
    /// schedule order.
    pub(super) fn claim(&self, halt: &Halt, admit: impl FnOnce(&Step)) -> Result<Option<Step>> {
        let mut state = self.lock();
        while state.next >= state.lowest_unfinished + self.gate && !halt.is_halted() {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if halt.is_halted() {
            return Ok(None);
        }
        // The dry run walked the same steps with the same window.
        let step = state.walk.step().map_err(|_| Error::Panic { message: "the schedule left its plan".into() })?;
        if let Some(step) = &step {
            state.next += 1;
            admit(step);
        }
        Ok(step)
    }

    /// Notes that a block is finished: written, and done with its chunks.
    pub(super) fn finish(&self, number: u64) {
        let mut state = self.lock();
        state.finished.insert(number);
        loop {
            let lowest = state.lowest_unfinished;
            if !state.finished.remove(&lowest) {
                break;
            }
            state.lowest_unfinished += 1;
        }
        drop(state);
        self.moved.notify_all();
    }

    /// Chunk decodes that the schedule has asked for so far.
    pub(super) fn decodes(&self) -> u64 {
        self.lock().walk.totals().decodes
    }

    /// Wakes all who wait, since the run ends.
    pub(super) fn wake(&self) {
        // Taking the lock orders the wake-up after any check of the flag that came too early.
        drop(self.lock());
        self.moved.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
