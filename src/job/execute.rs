//! Planning and running a resolved job.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use super::{
    Job, PassKind, Request, Summary,
    field::{Reading, Vectors},
    limits::{check_address_room, check_tables},
    output::Output,
    pyramid::{joined, levels::LevelPass},
    route::{self, Route, RouteStep, Task},
    series::groups_of_shares,
    turn::Turned,
    work::{done, is_finished, is_noted},
};
use crate::{
    checkpoint::{
        Identity,
        ledger::Restored,
        staging::{Claim, TARGET_NOTES},
    },
    dispatch,
    error::{Error, Result},
    geometry::Mapping,
    io::{Source, raw::READ_TRANSFER_BYTES, view::components::Components},
    layout::{Access, Layout},
    pipeline::Progress,
    plan::{self, Budget, Partition, Todo},
    rank::Rank,
    region::Region,
    resample::{OpRequest, block_op},
    sys,
    voxel::Voxel,
};

/// What a run tells while it goes on.
#[derive(Debug)]
pub enum Event<'a> {
    /// The schedule is fixed and the run begins.
    Planned(&'a Summary),
    /// All is planned and, as far as that is known, fits the disk; nothing is written yet.
    Begin(&'a Summary),
    /// A stale staging folder of a run that did not end was cleared.
    Cleared(&'a Path),
    /// What is stored is gone on with, or only a share is made: the plan for the rest.
    Resumed(&'a Summary),
    /// Pass `pass` of `passes` has come this far.
    Progress { pass: usize, passes: usize, kind: PassKind, progress: &'a Progress },
}

/// A job with its voxels open and its passes planned.
pub(super) struct Prepared<T: Voxel> {
    pub summary: Summary,
    pub job: Job,
    pub source: Box<dyn Source<T>>,
    pub vectors: Vec<Vectors>,
    /// How the target is cut, where this run has a share of it.
    pub cut: Option<Partition>,
    pub route: Route<T>,
    pub levels: Vec<LevelPass>,
    pub budget: Budget,
}

impl<T: Voxel> Prepared<T> {
    /// Notes in the summary what other budgets would buy: of all passes, or of those that fetch voxels many times.
    fn note_offers(&mut self, only_slow: bool) {
        for (step, pass) in self.route.steps.iter().zip(&mut self.summary.passes) {
            match step {
                RouteStep::Whole(planned) if !only_slow || planned.plan.fetches_often() => {
                    pass.what_memory_buys = planned.offers();
                }
                RouteStep::Whole(_) => {}
                // What goes for one volume does not go for all.
                RouteStep::PerVolume(_) => break,
            }
        }
    }
}

/// A job with its voxels open.
pub(super) struct Opened<T: Voxel> {
    pub job: Job,
    pub source: Box<dyn Source<T>>,
    /// What the job looks through, once it is read.
    pub vectors: Vec<Vectors>,
}

impl<T: Voxel> Opened<T> {
    /// How the target is cut, where this run has a share of it.
    pub(super) fn cut(&self) -> Option<Partition> {
        let rank = self.job.request.rank?;
        let op = block_op::<T>(&self.job.op);
        let source = self.source.layout();
        let source = &Layout { outer: groups_of_shares(self.job.series.as_ref(), source), ..source.clone() };
        let (footprint, target) = (op.as_ref(), &self.job.output.layout);
        let (sample_bytes, budget) = (size_of::<T>(), self.job.budget());
        Some(Partition::new(&plan::Request { footprint, source, target, sample_bytes, budget, todo: None }, rank.of))
    }

    /// An error where the tables of the op would not fit the budget, before they are made.
    pub(super) fn check_tables(&self, memory_bytes: u64) -> Result<()> {
        let (op, series) = (&self.job.op, self.job.series.as_ref());
        let mappings = series.map_or(std::slice::from_ref(&op.mapping), |series| &series.mappings);
        let of = |mapping: &Mapping| OpRequest { mapping: mapping.clone(), ..op.clone() };
        mappings.iter().try_for_each(|mapping| check_tables::<T>(&of(mapping), memory_bytes))
    }

    /// The passes within `budget`, to all of the target or to this run's share of it.
    pub(super) fn passes(&self, cut: Option<&Partition>, budget: Budget) -> Result<(Route<T>, Vec<LevelPass>)> {
        self.passes_by(&self.job.op, cut, budget)
    }

    /// The same by another op.
    pub(super) fn passes_by(
        &self,
        op: &OpRequest,
        cut: Option<&Partition>,
        budget: Budget,
    ) -> Result<(Route<T>, Vec<LevelPass>)> {
        let todo = Arc::new(self.job.todo(cut));
        planned_passes::<T>(&self.job, op, self.source.layout(), budget, &todo, &Restored::default())
    }

    fn with(
        self,
        (route, levels): (Route<T>, Vec<LevelPass>),
        cut: Option<Partition>,
        budget: Budget,
    ) -> Result<Prepared<T>> {
        let Opened { job, source, vectors } = self;
        let summary = Summary::planned(&job, source.layout(), &route, &levels);
        tracing::debug!(passes = summary.passes.len(), projected_bytes = summary.projected_bytes(), "planned");
        check_address_room(&summary)?;
        Ok(Prepared { summary, job, source, vectors, cut, route, levels, budget })
    }

    fn prepare(self) -> Result<Prepared<T>> {
        self.check_tables(self.job.request.memory_bytes).map_err(|error| self.with_tables(error))?;
        let (cut, budget) = (self.cut(), self.job.budget());
        let passes = self.passes(cut.as_ref(), budget);
        let passes = passes.map_err(|error| self.refusal(error, cut.as_ref(), budget))?;
        self.with(passes, cut, budget)
    }

    /// Reads the displacement fields, where there are some; with a `folder`, so that the job can be run.
    pub(super) fn look_through(
        mut self,
        folder: Option<&Path>,
        stop: &AtomicBool,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Opened<T>> {
        if let Some(fields) = &self.job.fields {
            let (kind, budget, checks_disk) = (PassKind::Field, self.job.budget(), self.job.request.checks_disk);
            let read = fields.read(Reading { folder, checks_disk, budget }, stop, &mut |[pass, passes], progress| {
                on_event(Event::Progress { pass, passes, kind, progress });
            });
            let read = read.map_err(|error| self.with_fields(error, fields, budget))?;
            let of_volumes = self.job.series.iter_mut().flat_map(|series| &mut series.mappings);
            of_volumes.chain([&mut self.job.op.mapping]).for_each(|mapping| mapping.know(&read.ranges));
            self.vectors = read.vectors;
        }
        Ok(self)
    }

    /// With the first budget whose plan decodes next to nothing twice and needs no scratch file.
    fn within_one_of(self, budgets: &[Budget]) -> Result<Admission> {
        if self.check_tables(self.job.request.memory_bytes).is_err() {
            // By itself it is refused with what it needs.
            return Ok(Admission::TooLarge(Box::new(self.job)));
        }
        let cut = self.cut();
        for &budget in budgets {
            match self.passes(cut.as_ref(), budget) {
                Ok(passes) if passes.0.is_single_and_decodes_once() => {
                    return Ok(Admission::Planned(Box::new(self.with(passes, cut, budget)?)));
                }
                Ok(_) | Err(Error::Plan(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Admission::TooLarge(Box::new(self.job)))
    }
}

/// The passes to what `todo` names of the finest level, and to what is not stored of those that are not made along with it.
pub(super) fn planned_passes<T: Voxel>(
    job: &Job,
    op: &OpRequest,
    source: &Layout,
    budget: Budget,
    todo: &Arc<Todo>,
    stored: &Restored,
) -> Result<(Route<T>, Vec<LevelPass>)> {
    let output = &job.output;
    let (mut source, target) = (source.clone(), &output.layout);
    if job.fields.is_some() {
        source.transfer_bytes += READ_TRANSFER_BYTES;
    }
    let source = &source;
    let turn = job.turn.as_ref().filter(|_| source.access == Access::Ascending);
    let task = Task { op, series: job.series.as_ref(), turn, todo };
    // Before the finest, whose op stays.
    let mut levels = match &output.pyramid {
        Some(pyramid) => pyramid.plan(&output.path, &pyramid.finest_layout(&output.path)?, budget, stored)?,
        None => Vec::new(),
    };
    let mut route = route::route::<T>(task, source, target, budget)?;
    if let Some(pyramid) = &output.pyramid {
        let both = |factors: &[u64; 3]| vec![done(stored, 0, [1; 3]), done(stored, 1, *factors)];
        let todo = Todo::everything(Region::of_shape(target.grid.shape));
        let todo = Arc::new(todo.without(pyramid.factors.first().map_or(Vec::new(), both)));
        let setting = joined::Setting { source, target, pyramid, levels: &levels, budget, todo: &todo };
        let joined = if job.series.is_none() { joined::route(&setting, &route) } else { None };
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
pub(super) enum Admission {
    Planned(Box<dyn Runnable>),
    TooLarge(Box<Job>),
}

impl Job {
    /// What would be done, without doing it. Nothing is written.
    pub fn dry_run(self) -> Result<Summary> {
        self.check_folder()?;
        self.output.check_halves()?;
        let (stop, on_event) = (sys::stop_flag(), &mut |_: Event<'_>| {});
        dispatch!(self.values.pipeline, T => {
            let mut prepared = self.open::<T>()?.look_through(None, stop, on_event)?.prepare()?;
            prepared.note_offers(false);
            let mut summary = prepared.summary;
            summary.disks = prepared.job.disks(&summary.passes, summary.scratch_bytes);
            Ok(summary)
        })
    }

    /// Does it: plans, runs every pass, and gives the finished target its name.
    pub fn run(self, stop: &AtomicBool, mut on_event: impl FnMut(Event<'_>)) -> Result<Summary> {
        self.run_as(stop, &mut on_event)
    }

    /// The same, not generic: what it dispatches to, most of the library for every type of voxel, is compiled once, and not again by each
    /// crate that calls it.
    fn run_as(self, stop: &AtomicBool, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Summary> {
        self.check_target()?;
        let folder = self.output.scratch_folder(self.request.scratch.as_deref());
        dispatch!(self.values.pipeline, T => {
            let opened = self.open::<T>()?.look_through(Some(&folder), stop, on_event)?;
            let mut prepared = Box::new(opened.prepare()?);
            prepared.note_offers(true);
            let pictures = prepared.job.pictures.clone();
            prepared.run(stop, &mut |event| {
                if let (Event::Progress { .. }, Some(pictures)) = (&event, &pictures) {
                    pictures.track.note();
                }
                on_event(event);
            })
        })
    }

    /// Plans it with the first of `budgets` that is enough for it.
    ///
    /// # Errors
    /// Whatever is wrong but the budget.
    pub(super) fn beside(self, budgets: &[Budget]) -> Result<Admission> {
        self.check_target()?;
        if self.fields.is_some() || self.series.is_some() {
            return Ok(Admission::TooLarge(Box::new(self)));
        }
        dispatch!(self.values.pipeline, T => self.open::<T>()?.within_one_of(budgets))
    }

    /// An error where the target is there and is neither to be replaced nor a finished one of this job.
    pub(super) fn check_target(&self) -> Result<()> {
        self.check_folder()?;
        self.output.check_place()?;
        self.output.check_halves()?;
        if self.request.resume && !self.output.overwrites() {
            return self.identity().and_then(|identity| self.is_finished(&identity)).map(drop);
        }
        if self.output.overwrites() { Ok(()) } else { self.output.check_absent(self.request.restart) }
    }

    /// Whether an earlier run that was to be gone on with has finished this very job.
    ///
    /// # Errors
    /// The target exists, and nothing says that this job made it.
    pub(super) fn is_finished(&self, identity: &Identity) -> Result<bool> {
        if !self.request.resume || !self.output.exists()? {
            return Ok(false);
        }
        let made = self.output.format.files(&self.output.path);
        let finished = self.finished_identity(identity, &made)?;
        let is_known = self.request.made_by.as_ref().is_some_and(|made_by| *made_by == finished.fingerprint());
        if is_known {
            return Ok(true);
        }
        match is_finished(self.output.state().as_ref(), &self.output.path, &finished) {
            Ok(true) => Ok(true),
            // What is there is to be replaced.
            Ok(false) | Err(Error::OtherJob { .. }) if self.output.overwrites() => Ok(false),
            // Where a target is built where it stays, it has its name before its note: another run is about to complete it.
            Ok(false) if self.output.stays_where_built() && self.is_begun(identity)? => Ok(false),
            // It has done so since.
            Ok(false) if is_finished(self.output.state().as_ref(), &self.output.path, identity)? => Ok(true),
            Ok(false) => Err(Error::TargetExists { path: self.output.path.clone() }),
            Err(error) => Err(error),
        }
    }

    /// Whether this very job was begun, and neither finished nor cleared.
    fn is_begun(&self, identity: &Identity) -> Result<bool> {
        is_noted(self.output.state().as_ref(), TARGET_NOTES.job, &self.output.path, identity)
    }

    /// An error where the folder of the target is not there, and is not to be made.
    fn check_folder(&self) -> Result<()> {
        if self.request.parents { Ok(()) } else { self.output.check_folder() }
    }

    /// The same, and the folder is made that is to be made.
    pub(super) fn make_folder(&self) -> Result<()> {
        if self.request.parents {
            self.output.make_folder()?;
        }
        self.output.check_folder()
    }

    /// Voxels of the target's levels, all volumes.
    pub(super) fn level_voxels(&self) -> Vec<u64> {
        let Output { layout, pyramid, .. } = &self.output;
        let volumes = layout.outer.volumes();
        let coarser = pyramid.iter().flat_map(|pyramid| &pyramid.target.levels.coarser);
        let shapes = std::iter::once(layout.grid.shape).chain(coarser.map(|grid| grid.shape));
        shapes.map(|shape| shape.iter().fold(volumes, |voxels, &len| voxels.saturating_mul(len))).collect()
    }

    /// Removes what a run has left that was ended after it gave the target its name, unless somebody is at work there.
    pub(super) fn sweep(&self) {
        // Only small files, and only for tidiness: what cannot be removed stays.
        if let Ok(staging) = self.output.stage(self.claim(), self.request.scratch.as_deref()) {
            let _ = staging.sweep();
        }
    }

    /// All of the target, or this run's share of it.
    pub(super) fn todo(&self, cut: Option<&Partition>) -> Todo {
        let whole = Todo::everything(Region::of_shape(self.output.layout.grid.shape));
        match (cut, self.request.rank) {
            (Some(cut), Some(rank)) => whole.within(cut.share(rank.index)),
            _ => whole,
        }
    }

    pub(super) fn claim(&self) -> Claim {
        let Request { resume, restart, .. } = self.request;
        let rank = self.request.rank.unwrap_or(Rank::WHOLE);
        Claim { rank, resume, restart, ..Claim::fresh(self.output.overwrites()) }
    }

    pub(super) fn budget(&self) -> Budget {
        let held_bytes = sys::reserved_bytes().saturating_sub(self.settled_bytes);
        Budget::new(self.request.memory_bytes, self.request.threads, held_bytes)
    }

    pub(super) fn open<T: Voxel>(self) -> Result<Opened<T>> {
        let source = self.input.source::<T>(self.values.reading, self.request.io)?;
        let source: Box<dyn Source<T>> = match self.output.layout.components {
            1 if source.layout().components > 1 => Box::new(Components::new(source)),
            _ => source,
        };
        let source: Box<dyn Source<T>> = match self.turn {
            Some(turn) if source.layout().access != Access::Ascending => Box::new(Turned::new(source, turn)),
            _ => source,
        };
        Ok(Opened { job: self, source, vectors: Vec::new() })
    }
}
