//! Read-ahead: fetches stored bytes from distant storage before a worker needs them.
//!
//! A second walk of the schedule runs ahead of the workers. Its loads have the numbers of the first walk's, so that a
//! worker finds what was fetched for it. At most `limit` chunks are in flight or waiting. They begin in schedule order,
//! so the next one needed is always among them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{Pass, halt::Halt};
use crate::{
    error::{Error, Result},
    io::{Fetched, Source},
    plan::{Chunk, Passes, Walk},
    voxel::Voxel,
};

/// The chunks of the schedule, in the order in which they are decoded.
#[derive(Debug)]
enum Loads<'a> {
    Held(Box<Walk<'a>>),
    Passing(Passes<'a>),
}

impl Loads<'_> {
    /// Those of the next step; `None` after the last.
    fn next(&mut self) -> Result<Option<Vec<Chunk>>> {
        match self {
            Loads::Held(walk) => match walk.step() {
                Ok(step) => Ok(step.map(|step| step.loads)),
                Err(_) => Err(Error::Panic { message: "the schedule left its plan".into() }),
            },
            Loads::Passing(passes) => Ok(passes.next().map(|pass| pass.chunk.into_iter().collect())),
        }
    }
}

/// The chunks between storage and the workers.
#[derive(Debug)]
pub(super) struct Ahead<'a> {
    state: Mutex<State<'a>>,
    changed: Condvar,
    limit: usize,
}

#[derive(Debug)]
struct State<'a> {
    loads: Loads<'a>,
    /// Loads that the walk has named and nobody has begun.
    named: VecDeque<Chunk>,
    /// Number of the next load to be begun.
    next: u64,
    /// Begun and not taken; `None` while under way.
    held: HashMap<u64, Option<Result<Fetched>>>,
}

impl<'a> Ahead<'a> {
    /// `None` where the plan has no read-ahead.
    pub(super) fn new<T: Voxel>(pass: &Pass<'a, T>) -> Option<Ahead<'a>> {
        let limit = pass.plan.ahead as usize;
        let passing = pass.plan.passes(pass.touch, pass.op, pass.source.layout()).map(Loads::Passing);
        let loads = passing.unwrap_or_else(|| Loads::Held(Box::new(pass.plan.walk(pass.touch))));
        let state = State { loads, named: VecDeque::new(), next: 0, held: HashMap::new() };
        (limit > 0).then(|| Ahead { state: Mutex::new(state), changed: Condvar::new(), limit })
    }

    /// Fetches until the schedule or the run has ended.
    pub(super) fn fetch<T: Voxel>(&self, source: &dyn Source<T>, halt: &Halt) -> Result<()> {
        while let Some((number, chunk)) = self.begin(halt)? {
            let region = source.layout().chunk_region(chunk.at);
            let fetched = source.fetch(chunk.group, region).and_then(|fetched| {
                let missing = || Error::Panic { message: "a source that fetches ahead has nothing to fetch".into() };
                fetched.ok_or_else(missing)
            });
            self.lock().held.insert(number, Some(fetched));
            self.changed.notify_all();
        }
        Ok(())
    }

    /// The next load, once there is room for it; `None` at the end.
    fn begin(&self, halt: &Halt) -> Result<Option<(u64, Chunk)>> {
        let mut state = self.lock();
        loop {
            if halt.is_halted() {
                return Ok(None);
            }
            if state.held.len() < self.limit {
                break;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        while state.named.is_empty() {
            let Some(loads) = state.loads.next()? else { return Ok(None) };
            state.named.extend(loads);
        }
        let Some(chunk) = state.named.pop_front() else { return Ok(None) };
        let number = state.next;
        state.next += 1;
        state.held.insert(number, None);
        Ok(Some((number, chunk)))
    }

    /// What was fetched for load `number`; waits for it. `None` when the run has ended.
    pub(super) fn take(&self, number: u64, halt: &Halt) -> Result<Option<Fetched>> {
        let mut state = self.lock();
        loop {
            if let Some(Some(_)) = state.held.get(&number) {
                let fetched = state.held.remove(&number).flatten();
                drop(state);
                self.changed.notify_all();
                return fetched.transpose();
            }
            if halt.is_halted() {
                return Ok(None);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wakes all who wait, since the run ends.
    pub(super) fn wake(&self) {
        drop(self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
