//! Planning and running a resolved job.

use std::{path::Path, sync::atomic::AtomicBool};

use super::{
    Job, PassKind, Summary, cascade,
    colours::Colours,
    field::Vectors,
    levels::{LevelPass, open_level},
    passes::{self, Leg, Planned, Route, Task},
    scratch::Scratch,
    turn::Turned,
};
use crate::{
    dispatch,
    error::{Error, Result},
    geometry::Mapping,
    io::{Access, Sink, Source, raw::READ_TRANSFER_BYTES, staging::Staging},
    pipeline::{self, Coarser, Pass, Progress},
    plan::Budget,
    resample::reduction_op,
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
    /// The passes within `budget`: to the finest level, and to those that are not made along with it.
    fn passes(&self, budget: Budget) -> Result<(Route<T>, Vec<LevelPass>)> {
        let Job { op, output, .. } = &self.job;
        let (mut source, target) = (self.source.layout().clone(), &output.layout);
        if self.job.field.is_some() {
            source.transfer_bytes += READ_TRANSFER_BYTES;
        }
        let source = &source;
        let turn = self.job.turn.as_ref().filter(|_| source.access == Access::Ascending);
        let task = Task { op, series: self.job.series.as_ref(), turn };
        let mut route = passes::route::<T>(task, source, target, budget)?;
        let mut levels = Vec::new();
        if let Some(descent) = &output.descent {
            levels = descent.plan(&output.path, &descent.finest_layout(&output.path)?, budget)?;
            let setting = cascade::Setting { op, source, target, descent, levels: &levels, budget };
            let joined = if self.job.series.is_none() { cascade::route(&setting, &route) } else { None };
            if let Some(joined) = joined {
                route = joined;
                levels.remove(0);
            }
        }
        Ok((route, levels))
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

    /// An error where the target is there and is not to be replaced.
    pub(super) fn check_target(&self) -> Result<()> {
        if !self.output.overwrites() && self.output.path.symlink_metadata().is_ok() {
            return Err(Error::TargetExists { path: self.output.path.clone() });
        }
        Ok(())
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

    fn run(mut self: Box<Self>, stop: &AtomicBool, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Summary> {
        self.job.output.check_folder()?;
        let staging = self.job.output.stage(self.job.request.scratch.as_deref())?;
        if staging.cleared {
            on_event(Event::Cleared(&staging.cleared_path()));
        }
        self.finest(&staging, stop, on_event)?;
        self.coarser(&staging, stop, on_event)?;
        let Prepared { mut summary, job, source, .. } = *self;
        job.output.commit(staging)?;
        summary.complete(source.missing_chunks(), sys::resident().peak_bytes);
        Ok(summary)
    }
}

impl<T: Voxel> Prepared<T> {
    /// The passes to the finest level, or to the only one.
    fn finest(&mut self, staging: &Staging, stop: &AtomicBool, on_event: &mut dyn FnMut(Event<'_>)) -> Result<()> {
        let scratch = match &self.job.request.scratch {
            Some(folder) => Scratch::within(folder, "scratch", self.route.scratch_bytes)?,
            None => Scratch::at(staging.path("scratch"), self.route.scratch_bytes)?,
        };
        on_event(Event::Planned(&self.summary));
        let sink = self.job.output.create::<T>(staging)?;
        let run = Run { job: &self.job, vectors: self.vectors.as_ref(), staging, stop };
        let mut number = 0;
        for (n, leg) in self.route.legs.iter().enumerate() {
            let (first, last) = (n == 0, n + 1 == self.route.legs.len());
            let unpacked = if first { None } else { Some(scratch.source::<T>(self.route.legs[n - 1].target())?) };
            let scratch_source: Option<Box<dyn Source<T>>> = unpacked.map(|source| -> Box<dyn Source<T>> {
                match (self.job.turn, self.source.layout().access) {
                    (Some(turn), Access::Ascending) => Box::new(Turned::new(Box::new(source), turn)),
                    _ => Box::new(source),
                }
            });
            let scratch_sink = if last { None } else { Some(scratch.sink::<T>(leg.target())?) };
            let from: &dyn Source<T> = scratch_source.as_deref().unwrap_or(self.source.as_ref());
            let to: &dyn Sink<T> = scratch_sink.as_ref().map_or(sink.as_ref(), |s| s);
            number += run.leg(leg, from, to, number, &mut self.summary, on_event)?;
        }
        drop(sink);
        scratch.remove()
    }

    /// The passes to the levels that were not made along with the finest.
    fn coarser(&mut self, staging: &Staging, stop: &AtomicBool, on_event: &mut dyn FnMut(Event<'_>)) -> Result<()> {
        let Some(descent) = self.job.output.descent.as_ref().filter(|_| !self.levels.is_empty()) else { return Ok(()) };
        let yard = self.job.output.yard(staging);
        let finest = open_level(&yard, &descent.target)?;
        let passes = self.summary.passes.len();
        let to_target = passes - self.levels.len();
        for (n, level) in self.levels.iter().enumerate() {
            let (pass, kind) = (to_target + n, PassKind::Pyramid);
            let on_progress = |progress: &Progress| on_event(Event::Progress { pass, passes, kind, progress });
            let done = descent.run(level, &finest, &yard, self.budget, stop, on_progress)?;
            self.summary.pass_done(pass, done);
        }
        Ok(())
    }
}

/// What the passes of a run have in common.
struct Run<'a> {
    job: &'a Job,
    vectors: Option<&'a Vectors>,
    staging: &'a Staging,
    stop: &'a AtomicBool,
}

impl Run<'_> {
    /// Runs one leg, whose first pass is number `first`; how many passes it had.
    fn leg<T: Voxel>(
        &self,
        leg: &Leg<T>,
        from: &dyn Source<T>,
        to: &dyn Sink<T>,
        first: usize,
        summary: &mut Summary,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<usize> {
        let (passes, kind) = (summary.passes.len(), leg.kind());
        let on_progress = |progress: &Progress| on_event(Event::Progress { pass: first, passes, kind, progress });
        match leg {
            Leg::Whole(planned) => {
                let done = self.whole(planned, from, to, on_progress)?;
                summary.pass_done(first, done);
                Ok(1)
            }
            Leg::PerVolume(volumes) => {
                volumes.run(from, to, self.stop, on_progress, |n, done| summary.pass_done(first + n, done))
            }
        }
    }

    fn whole<T: Voxel>(
        &self,
        planned: &Planned<T>,
        source: &dyn Source<T>,
        sink: &dyn Sink<T>,
        on_progress: impl FnMut(&Progress),
    ) -> Result<Progress> {
        let vectors = self.vectors.filter(|_| planned.kind == PassKind::Resample);
        let field = vectors.map(|vectors| vectors.source.as_ref());
        let (plan, touch, op) = (&planned.plan, &planned.touch, planned.op.as_ref());
        let pass = Pass { plan, touch, source, op, sink, field, coarser: None };
        let (Some(factors), Some(descent)) = (planned.factors, &self.job.output.descent) else {
            return pipeline::run(&pass, self.stop, on_progress);
        };
        let sink = descent.sink::<T>(1, &self.job.output.yard(self.staging))?;
        let op = reduction_op::<T>(descent.method, planned.target.grid.shape, factors);
        let coarser = Some(Coarser { op: op.as_ref(), factors, sink: &sink });
        pipeline::run(&Pass { coarser, ..pass }, self.stop, on_progress)
    }
}
