//! Planning and running a resolved job.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use super::{
    Job, PassKind, Summary, cascade,
    colours::Colours,
    field::Vectors,
    levels::LevelPass,
    passes::{self, Leg, Route, Task},
    run::Run,
    summary::TargetState,
    turn::Turned,
    work::{Work, done, is_finished},
};
use crate::{
    checkpoint::{self, Identity},
    dispatch,
    error::{Error, Result},
    geometry::Mapping,
    io::{
        Access, Layout, Source,
        ledger::Restored,
        raw::READ_TRANSFER_BYTES,
        staging::{Claim, RENEW_EVERY, ShareOf},
    },
    pipeline::{self, Progress},
    plan::{self, Budget, Chunk, Cut, Rank, Todo},
    region::Region,
    resample::block_op,
    sys,
    voxel::Voxel,
};

/// What a run tells while it goes on.
#[derive(Debug)]
pub enum Event<'a> {
    /// The schedule is fixed and the run begins.
    Planned(&'a Summary),
    /// A stale staging folder of a run that did not end was cleared.
    Cleared(&'a Path),
    /// What is stored is gone on with, or only a share is made: the plan for the rest.
    Resumed(&'a Summary),
    /// Pass `pass` of `passes` has come this far.
    Progress { pass: usize, passes: usize, kind: PassKind, progress: &'a Progress },
}

/// A job with its voxels open and its passes planned.
struct Prepared<T: Voxel> {
    summary: Summary,
    job: Job,
    source: Box<dyn Source<T>>,
    vectors: Option<Vectors>,
    route: Route<T>,
    levels: Vec<LevelPass>,
    budget: Budget,
}

impl<T: Voxel> Prepared<T> {
    /// The summary, with what other budgets would buy.
    fn with_offers(self) -> Summary {
        let mut summary = self.summary;
        let mut passes = summary.passes.iter_mut();
        for leg in &self.route.legs {
            match (leg, passes.next()) {
                (Leg::Whole(planned), Some(pass)) => pass.what_memory_buys = planned.offers(),
                // What goes for one volume does not go for all.
                _ => break,
            }
        }
        summary
    }
}

/// A job with its voxels open.
struct Opened<T: Voxel> {
    job: Job,
    source: Box<dyn Source<T>>,
    /// What the job looks through, once it is read.
    vectors: Option<Vectors>,
}

impl<T: Voxel> Opened<T> {
    /// The passes within `budget`, to all of the target.
    fn passes(&self, budget: Budget) -> Result<(Route<T>, Vec<LevelPass>)> {
        let everything = passes::everything(&self.job.output.layout);
        planned_passes::<T>(&self.job, self.source.layout(), budget, &everything, &Restored::default())
    }

    fn with(self, (route, levels): (Route<T>, Vec<LevelPass>), budget: Budget) -> Prepared<T> {
        let Opened { job, source, vectors } = self;
        let summary = Summary::planned(&job, source.layout(), &route, &levels);
        tracing::debug!(passes = summary.passes.len(), projected_bytes = summary.projected_bytes(), "planned");
        Prepared { summary, job, source, vectors, route, levels, budget }
    }

    fn prepare(self) -> Result<Prepared<T>> {
        let budget = self.job.budget();
        let passes = self.passes(budget)?;
        Ok(self.with(passes, budget))
    }

    /// Reads the displacement field, where there is one; with a `folder`, so that the job can be run.
    fn look_through(
        mut self,
        folder: Option<&Path>,
        stop: &AtomicBool,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Opened<T>> {
        if let Some(field) = &self.job.field {
            let kind = PassKind::Field;
            let read = field.read(folder, self.job.budget(), stop, |progress| {
                on_event(Event::Progress { pass: 0, passes: 1, kind, progress });
            })?;
            self.job.op.mapping = Mapping::Warped(read.warp);
            self.vectors = read.vectors;
        }
        Ok(self)
    }

    /// With the first budget whose plan decodes next to nothing twice and needs no scratch file.
    fn within_one_of(self, budgets: &[Budget]) -> Result<Beside> {
        for &budget in budgets {
            match self.passes(budget) {
                Ok(passes) if passes.0.is_single_and_decodes_once() => {
                    return Ok(Beside::Planned(Box::new(self.with(passes, budget))));
                }
                Ok(_) | Err(Error::Plan(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Beside::TooLarge(Box::new(self.job)))
    }
}

/// The passes to what `todo` names of the finest level, and to what is not stored of those that are not made along with it.
fn planned_passes<T: Voxel>(
    job: &Job,
    source: &Layout,
    budget: Budget,
    todo: &Arc<Todo>,
    stored: &Restored,
) -> Result<(Route<T>, Vec<LevelPass>)> {
    let Job { op, output, .. } = job;
    let (mut source, target) = (source.clone(), &output.layout);
    if job.field.is_some() {
        source.transfer_bytes += READ_TRANSFER_BYTES;
    }
    let source = &source;
    let turn = job.turn.as_ref().filter(|_| source.access == Access::Ascending);
    let task = Task { op, series: job.series.as_ref(), turn, todo };
    let mut route = passes::route::<T>(task, source, target, budget)?;
    let mut levels = Vec::new();
    if let Some(descent) = &output.descent {
        levels = descent.plan(&output.path, &descent.finest_layout(&output.path)?, budget, stored)?;
        let both = |factors: &[u64; 3]| vec![done(stored, 0, [1; 3]), done(stored, 1, *factors)];
        let todo = Todo::everything(Region::of_shape(target.grid.shape));
        let todo = Arc::new(todo.without(descent.factors.first().map_or(Vec::new(), both)));
        let setting = cascade::Setting { op, source, target, descent, levels: &levels, budget, todo: &todo };
        let joined = if job.series.is_none() { cascade::route(&setting, &route) } else { None };
        if let Some(joined) = joined {
            route = joined;
            levels.remove(0);
        }
    }
    Ok((route, levels))
}

/// A planned job, whatever type its voxels have.
pub(super) trait Runnable: Send {
    fn summary(&self) -> &Summary;

    /// Runs every pass, and gives the finished target its name.
    fn run(self: Box<Self>, stop: &AtomicBool, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Summary>;
}

/// A job that may run beside others, or not.
pub(super) enum Beside {
    Planned(Box<dyn Runnable>),
    TooLarge(Box<Job>),
}

impl Job {
    /// What would be done, without doing it. Nothing is written.
    pub fn dry_run(self) -> Result<Summary> {
        self.output.check_folder()?;
        let (stop, on_event) = (sys::stop_flag(), &mut |_: Event<'_>| {});
        dispatch!(self.values.pipeline, T => {
            self.open::<T>()?.look_through(None, stop, on_event)?.prepare().map(Prepared::with_offers)
        })
    }

    /// Does it: plans, runs every pass, and gives the finished target its name.
    pub fn run(self, stop: &AtomicBool, mut on_event: impl FnMut(Event<'_>)) -> Result<Summary> {
        self.check_target()?;
        let folder = self.output.scratch_folder(self.request.scratch.as_deref());
        dispatch!(self.values.pipeline, T => {
            let opened = self.open::<T>()?.look_through(Some(&folder), stop, &mut on_event)?;
            Box::new(opened.prepare()?).run(stop, &mut on_event)
        })
    }

    /// Plans it with the first of `budgets` that is enough for it.
    ///
    /// # Errors
    /// Whatever is wrong but the budget.
    pub(super) fn beside(self, budgets: &[Budget]) -> Result<Beside> {
        self.check_target()?;
        if self.field.is_some() || self.series.is_some() {
            return Ok(Beside::TooLarge(Box::new(self)));
        }
        dispatch!(self.values.pipeline, T => self.open::<T>()?.within_one_of(budgets))
    }

    /// An error where the target is there and is neither to be replaced nor a finished one of this job.
    pub(super) fn check_target(&self) -> Result<()> {
        if self.request.resume && !self.output.overwrites() {
            return self.identity().and_then(|identity| self.is_finished(&identity)).map(drop);
        }
        if !self.output.overwrites() && self.output.path.symlink_metadata().is_ok() {
            return Err(Error::TargetExists { path: self.output.path.clone() });
        }
        Ok(())
    }

    /// Whether an earlier run that was to be gone on with has finished this very job.
    ///
    /// # Errors
    /// The target exists, and nothing says that this job made it.
    fn is_finished(&self, identity: &Identity) -> Result<bool> {
        if !self.request.resume || !self.output.exists()? {
            return Ok(false);
        }
        if is_finished(self.output.state().as_ref(), &self.output.path, identity)? {
            return Ok(true);
        }
        Err(Error::TargetExists { path: self.output.path.clone() })
    }

    fn claim(&self) -> Claim {
        let Rank { index, of } = self.request.rank.unwrap_or(Rank::WHOLE);
        let (resume, overwrite) = (self.request.resume, self.output.overwrites());
        Claim { share: ShareOf { index, of }, resume, overwrite }
    }

    fn budget(&self) -> Budget {
        Budget {
            memory_bytes: self.request.memory_bytes,
            threads: self.request.threads,
            reserved_bytes: sys::resident().now_bytes,
        }
    }

    fn open<T: Voxel>(self) -> Result<Opened<T>> {
        let source = self.input.source::<T>(self.values.reading, self.request.io)?;
        let source: Box<dyn Source<T>> = match self.output.layout.components {
            1 if source.layout().components > 1 => Box::new(Colours::new(source)),
            _ => source,
        };
        let source: Box<dyn Source<T>> = match self.turn {
            Some(turn) if source.layout().access != Access::Ascending => Box::new(Turned::new(source, turn)),
            _ => source,
        };
        Ok(Opened { job: self, source, vectors: None })
    }
}

impl<T: Voxel> Runnable for Prepared<T> {
    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn run(self: Box<Self>, stop: &AtomicBool, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Summary> {
        let job = &self.job;
        job.output.check_folder()?;
        let identity = job.identity()?;
        if job.is_finished(&identity)? {
            return Ok(Summary { target_state: TargetState::FinishedBefore, passes: Vec::new(), ..self.summary });
        }
        let cut = self.cut();
        let staging = job.output.stage(job.claim(), job.request.scratch.as_deref())?;
        if staging.cleared {
            on_event(Event::Cleared(&staging.cleared_path()));
        }
        let work = Work::begin(staging, &identity)?;
        let renewing = work.staging.lease();
        pipeline::heartbeat(RENEW_EVERY, &|| renewing.renew(), || self.go_on(work, &identity, cut, stop, on_event))
    }
}

impl<T: Voxel> Prepared<T> {
    /// How the target is cut, where this run has a share of it.
    fn cut(&self) -> Option<Cut> {
        let rank = self.job.request.rank?;
        let op = block_op::<T>(&self.job.op);
        let (footprint, source, target) = (op.as_ref(), self.source.layout(), &self.job.output.layout);
        let (sample_bytes, budget) = (size_of::<T>(), self.budget);
        Some(Cut::new(&plan::Request { footprint, source, target, sample_bytes, budget, todo: None }, rank.of))
    }

    /// Plans what is not stored yet, makes it, and completes the target if nothing of it is left to others.
    fn go_on(
        mut self: Box<Self>,
        mut work: Work,
        identity: &Identity,
        cut: Option<Cut>,
        stop: &AtomicBool,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Summary> {
        let whole = Todo::everything(Region::of_shape(self.job.output.layout.grid.shape));
        let todo = match (&cut, self.job.request.rank) {
            (Some(cut), Some(rank)) => {
                work.agree_on(cut)?;
                whole.within(cut.share(rank.index))
            }
            _ => whole,
        };
        let outer = self.source.layout().outer.clone();
        let is_stream = self.job.output.layout.access == Access::Ascending;
        let is_ours = |volume: u64, region: Region| {
            let key = if is_stream { volume } else { outer.locate(volume).0 };
            todo.regions(key).iter().any(|own| !own.intersect(&region).is_empty())
        };
        self.job.output.adopt(&mut work, &is_ours)?;
        let todo = todo.without(vec![done(&work.stored, 0, [1; 3])]);
        if !todo.is_everything() {
            self.plan_again(&work, Arc::new(todo))?;
            on_event(Event::Resumed(&self.summary));
        }
        if !self.job.output.is_built(&work.staging) {
            self.make(&work, stop, on_event)?;
        }
        self.complete(work, identity, cut.is_some())
    }

    fn plan_again(&mut self, work: &Work, todo: Arc<Todo>) -> Result<()> {
        let source = self.source.layout();
        let passes = planned_passes::<T>(&self.job, source, self.budget, &todo, &work.stored)?;
        let mut summary = Summary::planned(&self.job, source, &passes.0, &passes.1);
        summary.stored_before = work.stored.voxels(0);
        summary.inflated_again_bytes = inflated_again(&passes.0, source.access);
        (self.route, self.levels) = passes;
        self.summary = summary;
        Ok(())
    }

    fn make(&mut self, work: &Work, stop: &AtomicBool, on_event: &mut dyn FnMut(Event<'_>)) -> Result<()> {
        let Prepared { summary, job, source, vectors, route, levels, budget } = self;
        let (source, vectors) = (source.as_ref(), vectors.as_ref());
        let run = Run { job, source, vectors, route, levels, budget: *budget, work, stop };
        run.finest(summary, on_event)?;
        run.coarser(summary, on_event)
    }

    /// Gives the target its name, if all of it is stored.
    fn complete(self, mut work: Work, identity: &Identity, is_share: bool) -> Result<Summary> {
        let Prepared { mut summary, job, source, .. } = self;
        summary.complete(source.missing_chunks(), sys::resident().peak_bytes);
        summary.fingerprint = identity.fingerprint();
        if is_share {
            work.stored = checkpoint::restore(work.staging.state().as_ref())?;
            job.output.adopt(&mut work, &|_, _| false)?;
            let layout = &job.output.layout;
            let voxels = layout.grid.voxels().saturating_mul(layout.outer.volumes());
            let stored = work.stored.voxels(0);
            if stored < voxels {
                summary.target_state = TargetState::LeftToOthers { voxels_left: voxels - stored };
                return Ok(summary);
            }
            // Whoever comes first completes it; who comes second does the same again.
            if !job.output.exists()? {
                job.output.create::<T>(&work)?.finish()?;
            }
        }
        let note = job.request.resume || is_share;
        let note = note.then(|| serde_json::to_vec_pretty(identity).unwrap_or_default());
        if note.is_some() || is_share {
            job.output.tidy(&work.staging)?;
        }
        job.output.commit(work.staging, note)?;
        summary.target_state = TargetState::Complete;
        Ok(summary)
    }
}

/// Raw bytes of a stream that go by again before the first one that is needed.
fn inflated_again<T: Voxel>(route: &Route<T>, access: Access) -> u64 {
    let Some(Leg::Whole(pass)) = route.legs.first().filter(|_| access == Access::Ascending) else { return 0 };
    if pass.kind != PassKind::Resample {
        return 0;
    }
    let first = pass.plan.walk(&pass.touch).step().ok().flatten().and_then(|step| step.loads.first().copied());
    let counts = pass.touch.chunk_counts.unwrap_or([1; 3]);
    first.map_or(0, |Chunk { group, at: [z, y, x] }| {
        (((group * counts[0] + z) * counts[1] + y) * counts[2] + x).saturating_mul(pass.touch.chunk_bytes)
    })
}
