//! From a planned job to its target: the place and the lease, what is done already, the passes, and the name.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{
    Event, Job, PassKind, Summary, disk,
    execute::{Prepared, Runnable, planned_passes},
    output::Whose,
    route::{Route, RouteStep},
    run::Run,
    series::groups_of_shares,
    summary::TargetState,
    work::{Work, done, is_finished, settle},
};
use crate::{
    checkpoint::{Identity, lease::RENEW_EVERY, ledger::Restored, staging::Staging},
    error::{Error, Result},
    layout::Access,
    pipeline,
    plan::Chunk,
    region::Region,
    sys,
    voxel::Voxel,
};

impl<T: Voxel> Runnable for Prepared<T> {
    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn run(mut self: Box<Self>, stop: &AtomicBool, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Summary> {
        self.job.make_folder()?;
        let identity = self.job.identity()?;
        if self.job.is_finished(&identity)? {
            self.job.sweep();
            return self.finished_before(&identity);
        }
        self.check_disk()?;
        on_event(Event::Begin(&self.summary));
        let made = self.make_target(&identity, stop, on_event);
        // Other ranks may have completed the target meanwhile, and cleared what this one was about to read.
        match made {
            Err(error) if self.is_completed_by_others(&error, &identity) => {
                Ok(Summary { target_state: TargetState::Complete, ..self.summary })
            }
            other => other,
        }
    }
}

impl<T: Voxel> Prepared<T> {
    /// Finds what the disks have free, and refuses what cannot fit.
    fn check_disk(&mut self) -> Result<()> {
        let Job { request, output, .. } = &self.job;
        let disks = self.job.disks(&self.summary.passes, self.summary.scratch_bytes);
        if request.checks_disk {
            disk::check(&disks, &output.path)?;
        }
        let warnings: Vec<String> = disks.iter().filter_map(|disk| disk.warning(&output.path)).collect();
        self.job.warnings.extend_from_slice(&warnings);
        self.summary.warnings.extend(warnings);
        self.summary.disks = disks;
        Ok(())
    }

    /// Comes to the place of the target and goes on with what is there.
    fn make_target(
        &mut self,
        identity: &Identity,
        stop: &AtomicBool,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Summary> {
        let job = &self.job;
        let mut staging = job.output.stage(job.claim(), job.request.scratch.as_deref())?;
        // Others may have completed it since it was looked for.
        if job.is_finished(identity)? {
            return self.finished_before(identity);
        }
        let (levels, voxel_bytes) = (job.level_voxels(), job.output.layout.voxel_bytes());
        settle(&mut staging, identity, &levels, voxel_bytes)?;
        match job.output.lacks_name(&staging)?.filter(|_| job.request.resume) {
            Some(true) if self.is_built_by(identity, &staging)? => {
                return self.named(staging, identity);
            }
            // Its target was removed after that.
            Some(_) => staging.clear()?,
            None => {}
        }
        if staging.cleared {
            on_event(Event::Cleared(&staging.cleared_path()));
        }
        let work = Work::begin(staging, identity)?;
        let lease = work.staging.lease();
        pipeline::heartbeat(RENEW_EVERY, &|| lease.renew(), || self.go_on(work, identity, stop, on_event))
    }

    /// Plans what is not stored yet, makes it, and completes the target if nothing of it is left to others.
    fn go_on(
        &mut self,
        mut work: Work,
        identity: &Identity,
        stop: &AtomicBool,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Summary> {
        self.cut.as_ref().map_or(Ok(()), |cut| work.agree_on(cut))?;
        self.plan_rest(&mut work)?;
        if self.cut.is_some() || self.summary.stored_before > 0 {
            self.summary.inflated_again_bytes = inflated_again(&self.route, self.source.layout().access);
            on_event(Event::Resumed(&self.summary));
        }
        // Nothing is written where nothing is left to do: others may be completing the target at this moment.
        let is_idle = self.cut.is_some() && self.summary.passes.iter().all(|pass| pass.plan.blocks == 0);
        if !is_idle && !self.job.output.is_built(&work.staging) {
            self.make(&work, stop, on_event)?;
        }
        if self.cut.is_none() {
            self.pack(&work, stop)?;
        }
        let (missing, hidden) = (self.source.missing_chunks(), self.source.hidden_keys());
        self.summary.complete(missing, hidden, sys::resident().peak_bytes);
        self.summary.fingerprint = identity.fingerprint();
        if self.job.is_in_place {
            let finished = self.job.finished_identity(identity, &self.job.output.built(&work.staging))?;
            self.summary.fingerprint = finished.fingerprint();
        }
        self.summary.target_state = match self.cut {
            Some(_) => self.complete_shares(work, identity, stop)?,
            None => self.commit(work.staging, identity)?,
        };
        Ok(self.summary.clone())
    }

    /// Takes over what is stored, and plans again where some of what this run is to make is among it.
    fn plan_rest(&mut self, work: &mut Work) -> Result<()> {
        let (todo, source) = (self.job.todo(self.cut.as_ref()), self.source.layout());
        let is_stream = self.job.output.layout.access == Access::Ascending;
        let groups = groups_of_shares(self.job.series.as_ref(), source);
        let is_ours = |volume: u64, region: Region| {
            let key = if is_stream { volume } else { groups.locate(volume).0 };
            todo.regions(key).iter().any(|own| !own.intersect(&region).is_empty())
        };
        work.stored = self.stored(work, &Whose::Own(&is_ours))?;
        self.job.output.adopt(work, &is_ours)?;
        let mut done = done(&work.stored, 0, [1; 3]);
        done.keep(is_ours);
        let todo = Arc::new(todo.clone().without(vec![done]));
        if !todo.is_fresh() {
            let passes = planned_passes::<T>(&self.job, &self.job.op, source, self.budget, &todo, &work.stored)?;
            let disks = std::mem::take(&mut self.summary.disks);
            self.summary = Summary { disks, ..Summary::planned(&self.job, source, &passes.0, &passes.1) };
            (self.route, self.levels) = passes;
        }
        self.summary.stored_before = work.stored.voxels(0);
        Ok(())
    }

    /// What earlier runs have stored, as far as it is there still.
    fn stored(&self, work: &mut Work, whose: &Whose<'_>) -> Result<Restored> {
        let output = &self.job.output;
        if !work.staging.claim().resume {
            return Ok(Restored::default());
        }
        work.stored = output.restore(&work.staging, whose)?;
        match output.drop_wrong_join(work)? {
            true => output.restore(&work.staging, whose),
            false => Ok(std::mem::take(&mut work.stored)),
        }
    }

    fn make(&mut self, work: &Work, stop: &AtomicBool, on_event: &mut dyn FnMut(Event<'_>)) -> Result<()> {
        let Prepared { summary, job, source, vectors, route, levels, budget, .. } = self;
        let (source, vectors) = (source.as_ref(), vectors.as_slice());
        let run = Run { job, source, vectors, levels, budget: *budget, work, stop };
        // Its tables go before those of the coarser levels are made.
        run.finest(std::mem::take(route), summary, on_event)?;
        run.coarser(summary, on_event)
    }

    /// Completes the target, if all shares of it are stored and nobody else is about to.
    fn complete_shares(&self, mut work: Work, identity: &Identity, stop: &AtomicBool) -> Result<TargetState> {
        let output = &self.job.output;
        let voxels = output.layout.grid.voxels().saturating_mul(output.layout.outer.volumes());
        // The records alone first: all but the last rank find that there are not enough of them.
        for whose in [Whose::Own(&|_, _| false), Whose::All] {
            work.stored = self.stored(&mut work, &whose)?;
            output.adopt(&mut work, &|_, _| false)?;
            let stored = work.stored.voxels(0);
            if self.job.is_finished(identity)? {
                return Ok(TargetState::Complete);
            }
            if stored < voxels {
                return Ok(TargetState::LeftToOthers { voxels_left: voxels - stored });
            }
        }
        let Some(lease) = work.staging.completing()? else {
            return Ok(TargetState::LeftToOthers { voxels_left: 0 });
        };
        if self.job.is_finished(identity)? {
            return Ok(TargetState::Complete);
        }
        pipeline::heartbeat(RENEW_EVERY, &|| lease.renew(), || {
            if !output.is_built(&work.staging) {
                output.create::<T>(&work)?.finish()?;
            }
            self.pack(&work, stop)?;
            self.commit(work.staging, identity)
        })
    }

    fn pack(&self, work: &Work, stop: &AtomicBool) -> Result<()> {
        self.job.output.pack(&work.staging, &|| match stop.load(Ordering::Relaxed) {
            true => Err(Error::Stopped { blocks_done: 0, blocks: 0 }),
            false => Ok(()),
        })
    }

    fn commit(&self, staging: Staging, identity: &Identity) -> Result<TargetState> {
        if self.job.request.resume {
            self.job.output.tidy(&staging)?;
        }
        let keeps_note = self.job.request.resume || self.job.request.keeps_note;
        let finished = self.job.finished_identity(identity, &self.job.output.built(&staging))?;
        self.job.output.commit(staging, &finished.note(), keeps_note)?;
        Ok(TargetState::Complete)
    }

    /// Gives a target its name that an earlier run has built.
    fn named(&self, staging: Staging, identity: &Identity) -> Result<Summary> {
        if let Some(_lease) = staging.completing()? {
            self.commit(staging, identity)?;
        }
        self.finished_before(identity)
    }

    /// Whether what an earlier run has built, and perhaps named, is of this very job.
    fn is_built_by(&self, identity: &Identity, staging: &Staging) -> Result<bool> {
        let output = &self.job.output;
        let finished = self.job.finished_identity(identity, &output.built(staging))?;
        is_finished(staging.state().as_ref(), &output.path, &finished)
    }

    fn is_completed_by_others(&self, error: &Error, identity: &Identity) -> bool {
        let is_share = self.job.request.rank.is_some() && !matches!(error, Error::Stopped { .. });
        is_share && self.job.is_finished(identity).unwrap_or(false)
    }

    fn finished_before(&self, identity: &Identity) -> Result<Summary> {
        let output = &self.job.output;
        let finished = self.job.finished_identity(identity, &output.format.files(&output.path))?;
        let (target_state, fingerprint) = (TargetState::FinishedBefore, finished.fingerprint());
        Ok(Summary { target_state, fingerprint, passes: Vec::new(), ..self.summary.clone() })
    }
}

/// Raw bytes of a stream that go by again before the first one that is needed.
fn inflated_again<T: Voxel>(route: &Route<T>, access: Access) -> u64 {
    let Some(RouteStep::Whole(pass)) = route.steps.first().filter(|_| access == Access::Ascending) else { return 0 };
    if pass.kind != PassKind::Resample {
        return 0;
    }
    let first = pass.plan.walk(&pass.touch).step().ok().flatten().and_then(|step| step.loads.first().copied());
    let counts = pass.touch.chunk_counts.unwrap_or([1; 3]);
    first.map_or(0, |Chunk { group, at: [z, y, x] }| {
        (((group * counts[0] + z) * counts[1] + y) * counts[2] + x).saturating_mul(pass.touch.decoded_bytes)
    })
}
