//! Many jobs in one process and one budget.
//!
//! Jobs begin in the order in which they are given. Small ones run side by side, with one worker each, as long as the sum of
//! their projected memory fits; any other waits until nothing runs, and then has all threads and all memory. Which is which
//! changes no byte of a target (split invariance).

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use super::{
    Event, Job, Request, Summary,
    execute::{Admission, Runnable},
};
use crate::{
    error::{Error, Result},
    layout::Layout,
    pipeline::{self, Crew},
    sys,
};

mod admission;

use admission::{Admissions, Wants};

/// Voxels of source and target together up to which a job is small: some seconds of one worker. A longer one with one worker
/// would leave the other threads idle at the end of a batch.
const SMALL_VOXELS: u64 = 1 << 28;
/// How long the jobs after a refused one are planned, to find one that needs more.
const PATIENCE: Duration = Duration::from_secs(1);

/// The jobs of a batch. Requests are made when they are needed: a batch may be longer than memory.
pub trait Jobs: Sync {
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What job `n` is to do, from 0.
    ///
    /// # Errors
    /// Whatever is wrong with it.
    fn request(&self, n: usize) -> Result<Request>;
}

impl Jobs for Vec<Request> {
    fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn request(&self, n: usize) -> Result<Request> {
        Ok(self[n].clone())
    }
}

/// Jobs and what they share.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// No target is another's, or another's source.
    pub jobs: &'a dyn Jobs,
    /// Ceiling of the resident memory of the whole process.
    pub memory_bytes: u64,
    pub threads: usize,
    /// Whether a job that fails leaves the others alone.
    pub keep_going: bool,
}

/// How a job ended.
#[derive(Debug)]
pub enum Outcome {
    Done(Box<Summary>),
    Failed(Error),
    /// It was under way when the batch ended early.
    Stopped,
    NotBegun,
}

/// What would be done with a job.
#[derive(Debug)]
pub struct Forecast {
    pub summary: Summary,
    /// Whether it runs with one worker beside others.
    pub beside: bool,
}

/// Dry runs of the jobs of a batch, in one process: what earlier ones have left resident counts once.
pub struct DryRuns<'a> {
    batch: Batch<'a>,
    room: Admissions,
}

/// Called while jobs run, on their own threads: with the number of the job (from 0) and what it tells.
pub type OnEvent<'a> = &'a (dyn Fn(usize, Event<'_>) + Sync);

impl Batch<'_> {
    /// Opens every source and decides every grid, so that what cannot be done is known before the first job begins.
    ///
    /// # Errors
    /// The first job that cannot be run, with its number (from 0).
    pub fn check(&self) -> Result<(), (usize, Error)> {
        let check = |n| Job::resolve(self.jobs.request(n)?)?.check_target();
        (0..self.jobs.len()).try_for_each(|n| check(n).map_err(|error| (n, error)))
    }

    /// Plans jobs one after another, without running them.
    pub fn dry_runs(&self) -> DryRuns<'_> {
        DryRuns { batch: *self, room: Admissions::new(self.memory_bytes, self.threads) }
    }

    /// Runs the jobs. `on_end` is called on the calling thread, once for each job.
    ///
    /// The first failure, unless it is to keep going, and `stop` end what runs and leave the rest; a job that was stopped has no
    /// target.
    pub fn run(&self, stop: &AtomicBool, on_event: OnEvent<'_>, on_end: &mut dyn FnMut(usize, Outcome)) {
        let halt = AtomicBool::new(false);
        pipeline::side_by_side(|crew| {
            let room = Admissions::new(self.memory_bytes, self.threads);
            let lead = Scheduler { batch: self, halt: &halt, on_event, on_end, room, next: 0, waiting: None };
            lead.run(crew, stop);
        });
    }

    /// Opens job `n`; plans it if it may run beside others, of which there are none for the `only` one.
    fn ready(&self, n: usize, room: &Admissions, only: bool) -> Result<Ready> {
        let job = self.resolve(n)?;
        if only || !is_small(&job) {
            return Ok(Ready::Alone(job));
        }
        Ok(match job.beside(&room.shares())? {
            Admission::Planned(job) => Ready::Beside(job),
            Admission::TooLarge(job) => Ready::Alone(job),
        })
    }

    /// Whether job `n` may read displacement fields while it is opened. No share of the memory is set aside for that, so nothing else runs then.
    fn opens_alone(&self, n: usize) -> bool {
        self.jobs.request(n).is_ok_and(|request| request.grid.is_transformed())
    }

    fn resolve(&self, n: usize) -> Result<Box<Job>> {
        let request = Request { memory_bytes: self.memory_bytes, threads: self.threads, ..self.jobs.request(n)? };
        Job::resolve(request).map(Box::new)
    }
}

impl<'a> DryRuns<'a> {
    /// What would be done with job `n`, from 0, without doing it.
    ///
    /// # Errors
    /// A job that cannot be opened or planned.
    pub fn forecast(&mut self, n: usize) -> Result<Forecast> {
        // What the plan of the job before this one has left is not part of this one.
        sys::trim_allocator();
        self.room.measured(sys::reserved_bytes());
        Ok(match self.batch.ready(n, &self.room, self.batch.jobs.len() == 1)? {
            Ready::Beside(job) => Forecast { summary: job.summary().clone(), beside: true },
            Ready::Alone(mut job) => {
                job.settled_bytes = self.room.settled_bytes();
                Forecast { summary: job.dry_run()?, beside: false }
            }
        })
    }

    /// Finds the job that needs most memory, with its refusal: `n`, which was refused with `error`, or one after it.
    ///
    /// Plans the jobs after `n` for a second at most. The budget that the refusal names is enough for all of these, with something to
    /// spare: what a process holds before it plans a later job differs from one to the next.
    pub fn most_demanding(&mut self, n: usize, error: Error) -> (usize, Error) {
        let begun = Instant::now();
        let asked_bytes = self.batch.memory_bytes;
        let mut most = (n, error);
        for other in n + 1..self.batch.jobs.len() {
            let Error::Plan(refused) = &most.1 else { break };
            if begun.elapsed() > PATIENCE {
                break;
            }
            if let Err(Error::Plan(refused)) = self.within(refused.least_bytes()).forecast(other) {
                most = (other, refused.of_budget(asked_bytes).into());
            }
        }
        most
    }

    /// The same jobs in the same process, within another budget.
    fn within(&self, memory_bytes: u64) -> DryRuns<'a> {
        DryRuns { batch: Batch { memory_bytes, ..self.batch }, room: self.room.clone().within(memory_bytes) }
    }
}

fn is_small(job: &Job) -> bool {
    let voxels = |layout: &Layout| layout.grid.voxels().saturating_mul(layout.outer.volumes());
    voxels(job.input.layout()).saturating_add(voxels(&job.output.layout)) <= SMALL_VOXELS
}

/// A job that can begin.
enum Ready {
    Beside(Box<dyn Runnable>),
    Alone(Box<Job>),
}

impl Ready {
    fn wants(&self, room: &Admissions) -> Wants {
        match self {
            Ready::Beside(job) => room.beside(job.summary().projected_bytes()),
            Ready::Alone(_) => Wants::Alone,
        }
    }

    fn run(self, settled_bytes: u64, stop: &AtomicBool, mut on_event: impl FnMut(Event<'_>)) -> Result<Summary> {
        match self {
            Ready::Beside(job) => job.run(stop, &mut on_event),
            Ready::Alone(mut job) => {
                job.settled_bytes = settled_bytes;
                job.run(stop, on_event)
            }
        }
    }
}

/// The batch under way, on the calling thread.
struct Scheduler<'a, 'b> {
    batch: &'a Batch<'a>,
    /// Ends the jobs that run.
    halt: &'a AtomicBool,
    on_event: OnEvent<'a>,
    on_end: &'b mut dyn FnMut(usize, Outcome),
    room: Admissions,
    /// The next job to be opened.
    next: usize,
    /// The job whose turn it is, until there is room for it.
    waiting: Option<(usize, Ready, Wants)>,
}

impl<'a> Scheduler<'a, '_> {
    fn run(mut self, crew: &mut Crew<'_, 'a, Summary>, stop: &AtomicBool) {
        loop {
            if stop.load(Ordering::Relaxed) {
                self.halt.store(true, Ordering::Relaxed);
            }
            if self.is_halted() {
                self.leave_the_rest();
            }
            if self.begin_next(crew) {
                continue;
            }
            if crew.running() == 0 && self.waiting.is_none() {
                return;
            }
            if let Some((n, result)) = crew.wait() {
                self.room.leave(n);
                self.ended(n, result);
                // Otherwise each job is planned beside what the ones before it have left.
                sys::trim_allocator();
            }
        }
    }

    /// Opens or begins the job whose turn it is; whether there was anything to do.
    fn begin_next(&mut self, crew: &mut Crew<'_, 'a, Summary>) -> bool {
        self.room.measured(sys::reserved_bytes());
        match self.waiting.take() {
            Some((n, ready, wants)) if self.room.admits(wants) => {
                self.room.enter(n, wants);
                let (halt, on_event, settled_bytes) = (self.halt, self.on_event, self.room.settled_bytes());
                let run = move || ready.run(settled_bytes, halt, |event| on_event(n, event));
                if let Err(error) = crew.begin(n, run) {
                    self.room.leave(n);
                    self.ended(n, Err(error));
                }
                true
            }
            // The share that it was planned for is no longer there, and nothing will make room for it.
            Some((n, ..)) if self.room.is_empty() => self.take(n, self.batch.resolve(n).map(Ready::Alone)),
            Some(waiting) => {
                self.waiting = Some(waiting);
                false
            }
            None if self.next < self.batch.jobs.len() => {
                if !self.room.is_empty() && self.batch.opens_alone(self.next) {
                    return false;
                }
                self.next += 1;
                let only = self.next == self.batch.jobs.len() && self.room.is_empty();
                self.take(self.next - 1, self.batch.ready(self.next - 1, &self.room, only))
            }
            None => false,
        }
    }

    /// Keeps a job until there is room for it, or tells its end; there was something to do.
    fn take(&mut self, n: usize, ready: Result<Ready>) -> bool {
        match ready {
            Ok(ready) => {
                let wants = ready.wants(&self.room);
                self.waiting = Some((n, ready, wants));
            }
            Err(error) => self.ended(n, Err(error)),
        }
        true
    }

    fn ended(&mut self, n: usize, result: Result<Summary>) {
        let outcome = match result {
            Ok(summary) => Outcome::Done(Box::new(summary)),
            Err(Error::Stopped { .. }) => Outcome::Stopped,
            Err(error) => {
                if !self.batch.keep_going {
                    self.halt.store(true, Ordering::Relaxed);
                }
                Outcome::Failed(error)
            }
        };
        (self.on_end)(n, outcome);
    }

    fn leave_the_rest(&mut self) {
        let waiting = self.waiting.take().map(|(n, ..)| n);
        for n in waiting.into_iter().chain(self.next..self.batch.jobs.len()) {
            (self.on_end)(n, Outcome::NotBegun);
        }
        self.next = self.batch.jobs.len();
    }

    fn is_halted(&self) -> bool {
        self.halt.load(Ordering::Relaxed)
    }
}
