//! Carries blocks through read, apply and write with a bounded set of workers.
//!
//! Workers claim blocks in schedule order. A gate keeps them within `gate` blocks of the lowest unfinished one, so what is
//! alive stays what the plan counted. Where the memory admits fewer workers than threads, the other threads compute pieces of the
//! workers' blocks. Chunks are decoded once into the window and freed when the schedule says so.
//! Stream targets take encoded blocks in order, through a turnstile. The first error, panic or request to stop ends the
//! run: every waiter is woken, and the sink is not finished.
//!
//! Besides it only `storage::remote` has threads, which wait for servers, and `sys::pool` has some for finite loops.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, Scope},
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::{
    error::{Error, Result},
    io::{Sink, Source},
    plan::{ChunkMap, Plan},
    resample::BlockOp,
    voxel::Voxel,
};

mod ahead;
mod attended;
mod claims;
mod crew;
mod halt;
mod heartbeat;
mod passing;
mod pieces;
mod tally;
mod turnstile;
mod window;
mod worker;

use ahead::Ahead;
pub use attended::attended;
use claims::Claims;
pub use crew::{Crew, side_by_side};
use halt::{EndsRun, Halt};
pub use heartbeat::heartbeat;
use passing::Passing;
use pieces::Helpers;
use tally::Tally;
pub use tally::{Progress, Stages};
use turnstile::Turnstile;
use window::Window;

/// How often the calling thread looks whether it is to stop.
const POLL: Duration = Duration::from_millis(100);
/// What was stored is put on record after so long, and then as often as that takes a twentieth of the time, within these bounds.
const KEEP_EVERY: std::ops::RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(10);

/// One pass from a source through an op into a sink.
pub struct Pass<'a, T: Voxel> {
    pub plan: &'a Plan,
    pub touch: &'a ChunkMap,
    pub source: &'a dyn Source<T>,
    pub op: &'a dyn BlockOp<T>,
    pub sink: &'a dyn Sink<T>,
    /// The displacement fields that the op looks through, in the order in which points meet them: of each three volumes, one per
    /// component, read by position.
    pub fields: &'a [&'a dyn Source<f32>],
    /// A coarser level of the target, made of each block while it is at hand.
    pub coarser: Option<Coarser<'a, T>>,
}

/// The next level of a pyramid; its voxels span whole voxels of one block of the target.
pub struct Coarser<'a, T: Voxel> {
    pub op: &'a dyn BlockOp<T>,
    /// Voxels of the target that one voxel spans.
    pub factors: [u64; 3],
    pub sink: &'a dyn Sink<T>,
}

/// What the workers of a pass share.
struct Shared<'a, T: Voxel> {
    pass: &'a Pass<'a, T>,
    keep: Option<&'a dyn Keep>,
    halt: Halt,
    claims: Claims<'a>,
    window: Window<T>,
    ahead: Option<Ahead<'a>>,
    /// Instead of claims and window, where chunks pass by.
    passing: Option<Passing<'a, T>>,
    helpers: Option<Helpers<T>>,
    turnstile: Turnstile,
    tally: Tally,
}

/// Puts on record what has been stored.
pub trait Keep: Sync {
    fn keep(&self) -> Result<()>;

    /// Whether so much waits to be put on record that nothing more is to be stored before that.
    fn is_due(&self) -> bool;
}

/// Runs a pass to its end and finishes the sink, if the pass makes all of the target and not a share of it.
///
/// `stop` is looked at ten times a second, `on_progress` is called on the calling thread after blocks were finished and at
/// least that often. What was really done comes back; the decodes equal the plan's.
///
/// # Errors
/// The first error of a format, [`Error::Panic`] with the message of a panic, or [`Error::Stopped`].
pub fn run<T: Voxel>(
    pass: &Pass<'_, T>,
    stop: &AtomicBool,
    mut on_progress: impl FnMut(&Progress),
) -> Result<Progress> {
    run_kept(pass, None, stop, &mut on_progress)
}

/// The same with `keep`, which puts on record what the sinks have stored: called every two to ten seconds on a thread of its own, by
/// workers where it is due, and at the end, however the pass ends.
pub fn run_kept<T: Voxel>(
    pass: &Pass<'_, T>,
    keep: Option<&dyn Keep>,
    stop: &AtomicBool,
    on_progress: &mut dyn FnMut(&Progress),
) -> Result<Progress> {
    let shared = Shared::new(pass, keep)?;
    shared.work(stop, on_progress);
    let result = shared.outcome();
    // Also after an error: what was stored before it is good. The first error is the one to be told.
    let kept = keep.map_or(Ok(()), Keep::keep);
    result?;
    kept?;
    if pass.touch.todo.is_whole() {
        pass.sink.finish()?;
        pass.coarser.iter().try_for_each(|coarser| coarser.sink.finish())?;
    }
    let progress = shared.progress();
    on_progress(&progress);
    Ok(progress)
}

impl<'a, T: Voxel> Shared<'a, T> {
    fn new(pass: &'a Pass<'a, T>, keep: Option<&'a dyn Keep>) -> Result<Shared<'a, T>> {
        Ok(Shared {
            pass,
            keep,
            halt: Halt::default(),
            claims: Claims::new(pass.plan.walk(pass.touch), pass.plan.workers.gate),
            window: Window::new(pass),
            ahead: Ahead::new(pass),
            passing: Passing::new(pass),
            helpers: Helpers::new(pass.plan.helpers)?,
            turnstile: Turnstile::default(),
            tally: Tally::new(pass.plan.blocks, pass.plan.totals.decodes),
        })
    }

    /// Begins a thread; where none is to be had, that ends the run.
    fn begin<'s>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        what: &'static str,
        mut work: impl FnMut() -> Result<()> + Send + 's,
    ) {
        if let Err(source) = spawn(scope, Box::new(move || self.guard(&mut work))) {
            self.fail(Error::Threads { what, source });
        }
    }

    /// Spawns the threads, follows them until all have ended.
    fn work(&self, stop: &AtomicBool, on_progress: &mut dyn FnMut(&Progress)) {
        let plan = self.pass.plan;
        let (finished, outcomes) = crossbeam_channel::bounded::<()>(2 * plan.workers.count);
        thread::scope(|scope| {
            tracing::debug!(blocks = plan.blocks, workers = plan.workers.count, "pass begins");
            for _ in 0..plan.workers.count {
                let finished = finished.clone();
                self.begin(scope, "a worker", move || worker::work(self, &finished));
            }
            for _ in 0..self.ahead.as_ref().map_or(0, |_| plan.ahead) {
                self.begin(scope, "what is fetched ahead", || {
                    self.ahead.iter().try_for_each(|ahead| ahead.fetch(self.pass.source, &self.halt))
                });
            }
            let _ends = EndsRun(&self.halt);
            if let Some(keep) = self.keep {
                self.begin(scope, "the journal", move || self.halt.every(KEEP_EVERY, &|| keep.keep()));
            }
            drop(finished);
            // Moved in here: should `on_progress` panic, dropping it ends the workers before the scope waits for them.
            self.follow(outcomes, stop, on_progress);
        });
    }

    /// Tells of progress until the last worker has hung up, and halts them once `stop` is set.
    fn follow(&self, outcomes: Receiver<()>, stop: &AtomicBool, on_progress: &mut dyn FnMut(&Progress)) {
        while let Ok(()) | Err(RecvTimeoutError::Timeout) = outcomes.recv_timeout(POLL) {
            on_progress(&self.progress());
            if stop.load(Ordering::Relaxed) && !self.halt.is_halted() {
                let progress = self.tally.progress();
                self.fail(Error::Stopped { blocks_done: progress.blocks_done, blocks: progress.blocks });
                // At once: workers that wait for storage may take longer than whoever stops the run is willing to.
                self.guard(&mut || self.keep.map_or(Ok(()), Keep::keep));
            }
        }
    }

    /// What was done so far.
    fn progress(&self) -> Progress {
        let decodes = self.passing.as_ref().map_or_else(|| self.claims.decodes(), Passing::decodes);
        Progress { decodes, ..self.tally.progress() }
    }

    /// Puts on record what was stored, where so much of it waits that it has to be done; called between units, without a lock.
    fn keep_if_due(&self) -> Result<()> {
        self.keep.filter(|keep| keep.is_due()).map_or(Ok(()), Keep::keep)
    }

    /// The first error, if there was one, once all threads have ended.
    fn outcome(&self) -> Result<()> {
        let Progress { blocks_done, .. } = self.tally.progress();
        self.halt.result().map_err(|error| match error {
            // Blocks that were in hand when the stop came are done as well.
            Error::Stopped { blocks, .. } => Error::Stopped { blocks_done, blocks },
            other => other,
        })?;
        let blocks = self.pass.plan.blocks;
        if blocks_done != blocks {
            // Never to be seen: but a target with holes must not get its final name.
            return Err(Error::Panic { message: format!("the schedule ended after {blocks_done} of {blocks} blocks") });
        }
        Ok(())
    }

    /// Does `work`; an error or a panic ends the run.
    fn guard(&self, work: &mut dyn FnMut() -> Result<()>) {
        if let Err(error) = caught(work) {
            self.fail(error);
        }
    }

    /// Keeps the first error and wakes everybody who waits.
    fn fail(&self, error: Error) {
        tracing::debug!(%error, "pass ends early");
        self.halt.fail(error);
        self.claims.wake();
        self.window.wake();
        self.ahead.iter().for_each(Ahead::wake);
        self.passing.iter().for_each(Passing::wake);
    }
}

/// Begins a thread of a scope; built once, and not for each kind of work and type of voxel.
fn spawn<'s>(scope: &'s Scope<'s, '_>, work: Box<dyn FnOnce() + Send + 's>) -> std::io::Result<()> {
    thread::Builder::new().spawn_scoped(scope, work).map(drop)
}

/// Does `work`, with a panic as an error.
fn caught(work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

fn panicked(payload: &(dyn std::any::Any + Send)) -> Error {
    let message = payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_string());
    Error::Panic { message }
}
