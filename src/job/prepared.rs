//! From a planned job to its target: the place and the lease, what is done already, the passes, and the name.

use std::sync::{Arc, atomic::AtomicBool};

use super::{
    Event, PassKind, Summary,
    execute::{Prepared, Runnable, planned_passes},
    passes::{Leg, Route},
    run::Run,
    summary::TargetState,
    work::{Work, done, is_finished},
};
use crate::{
    checkpoint::{self, Identity},
    error::Result,
    io::{
        Access,
        staging::{RENEW_EVERY, Staging},
    },
    pipeline,
    plan::{self, Chunk, Cut, Todo},
    region::Region,
    resample::block_op,
    sys,
    voxel::Voxel,
};

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
        let mut staging = staging;
        match job.output.lacks_name(&staging)?.filter(|_| job.request.resume) {
            Some(true) if is_finished(staging.state().as_ref(), &job.output.path, &identity)? => {
                return self.named(staging, &identity);
            }
            // Its target was removed after that.
            Some(_) => staging.clear()?,
            None => {}
        }
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
        if job.request.resume {
            job.output.tidy(&work.staging)?;
        }
        job.output.commit(work.staging, &identity.note(), job.request.resume)?;
        summary.target_state = TargetState::Complete;
        Ok(summary)
    }
}

impl<T: Voxel> Prepared<T> {
    /// Gives a target its name that an earlier run has built.
    fn named(self, staging: Staging, identity: &Identity) -> Result<Summary> {
        self.job.output.commit(staging, &identity.note(), self.job.request.resume)?;
        Ok(Summary { target_state: TargetState::FinishedBefore, passes: Vec::new(), ..self.summary })
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
