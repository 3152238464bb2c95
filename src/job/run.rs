//! Running the planned passes of a job.

use std::sync::atomic::AtomicBool;

use super::{
    Event, Job, Summary,
    field::Vectors,
    fields,
    pass::{PassKind, Planned},
    pyramid::levels::{LevelPass, LevelsTo, open_level},
    route::{Route, RouteStep},
    scratch::ScratchFile,
    turn::Turned,
    work::{Kept, Work},
};
use crate::{
    error::Result,
    io::{Sink, Source},
    layout::{Access, Layout},
    pictures::{WatchedSink, WatchedSource},
    pipeline::{self, Coarser, Pass, Progress},
    plan::Budget,
    resample::reduction_op,
    voxel::Voxel,
};

/// What the passes of a run have in common.
pub(super) struct Run<'a, T: Voxel> {
    pub job: &'a Job,
    pub source: &'a dyn Source<T>,
    pub vectors: &'a [Vectors],
    pub levels: &'a [LevelPass],
    pub budget: Budget,
    pub work: &'a Work,
    pub stop: &'a AtomicBool,
}

impl<T: Voxel> Run<'_, T> {
    /// The passes to the finest level, or to the only one. The tables of a step go before the next one begins.
    pub(super) fn finest(
        &self,
        route: Route<T>,
        summary: &mut Summary,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<()> {
        let staging = &self.work.staging;
        let scratch = match &self.job.request.scratch {
            Some(folder) => ScratchFile::within(folder, "scratch", route.scratch_bytes),
            None => ScratchFile::at(staging.path(&format!("scratch-{}", staging.writer()))),
        };
        on_event(Event::Planned(summary));
        let sink = self.job.output.create::<T>(self.work)?;
        let pictures = self.job.pictures.as_deref();
        let seen_source = pictures.map(|pictures| WatchedSource::new(self.source, pictures));
        let source: &dyn Source<T> = seen_source.as_ref().map_or(self.source, |seen| seen);
        let seen_sink = pictures.map(|pictures| WatchedSink::new(sink.as_ref(), pictures));
        let target: &dyn Sink<T> = seen_sink.as_ref().map_or(sink.as_ref(), |seen| seen);
        let (mut number, steps) = (0, route.steps.len());
        let mut before: Option<Layout> = None;
        for (n, step) in route.steps.into_iter().enumerate() {
            let last = n + 1 == steps;
            let unpacked = before.take().map(|layout| scratch.source::<T>(&layout)).transpose()?;
            let scratch_source: Option<Box<dyn Source<T>>> = unpacked.map(|source| -> Box<dyn Source<T>> {
                match (self.job.turn, self.source.layout().access) {
                    (Some(turn), Access::Ascending) => Box::new(Turned::new(Box::new(source), turn)),
                    _ => Box::new(source),
                }
            });
            let scratch_sink = if last { None } else { Some(scratch.sink::<T>(step.target())?) };
            let from: &dyn Source<T> = scratch_source.as_deref().unwrap_or(source);
            let to: &dyn Sink<T> = scratch_sink.as_ref().map_or(target, |s| s);
            number += self.step(&step, from, to, number, summary, on_event)?;
            before = Some(step.target().clone());
        }
        drop(sink);
        scratch.remove()
    }

    /// The passes to the levels that were not made along with the finest.
    pub(super) fn coarser(&self, summary: &mut Summary, on_event: &mut dyn FnMut(Event<'_>)) -> Result<()> {
        let Some(pyramid) = self.job.output.pyramid.as_ref().filter(|_| !self.levels.is_empty()) else { return Ok(()) };
        let site = self.job.output.site(&self.work.staging);
        let finest = open_level(&site, &pyramid.target)?;
        let passes = summary.passes.len();
        let to_target = passes - self.levels.len();
        for (n, level) in self.levels.iter().enumerate() {
            let (pass, kind) = (to_target + n, PassKind::Pyramid);
            let mut on_progress = |progress: &Progress| on_event(Event::Progress { pass, passes, kind, progress });
            let to = LevelsTo { site: &site, work: self.work, stored: &self.work.stored };
            let done = pyramid.run(level, &finest, &to, self.budget, self.stop, &mut on_progress)?;
            summary.pass_done(pass, done);
        }
        Ok(())
    }

    /// Runs one leg, whose first pass is number `first`; how many passes it had.
    fn step(
        &self,
        step: &RouteStep<T>,
        from: &dyn Source<T>,
        to: &dyn Sink<T>,
        first: usize,
        summary: &mut Summary,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<usize> {
        let (passes, kind) = (summary.passes.len(), step.kind());
        let mut on_progress = |progress: &Progress| on_event(Event::Progress { pass: first, passes, kind, progress });
        match step {
            RouteStep::Whole(planned) => {
                let done = self.whole(planned, from, to, &mut on_progress)?;
                summary.pass_done(first, done);
                Ok(1)
            }
            RouteStep::PerVolume(volumes) => {
                let keep = Kept { work: self.work, sinks: &[to] };
                let mut on_done = |n, done| summary.pass_done(first + n, done);
                let from = (from, &fields::sources(self.vectors)[..]);
                volumes.run(from, to, &keep, self.stop, &mut on_progress, &mut on_done)
            }
        }
    }

    fn whole(
        &self,
        planned: &Planned<T>,
        source: &dyn Source<T>,
        sink: &dyn Sink<T>,
        on_progress: &mut dyn FnMut(&Progress),
    ) -> Result<Progress> {
        let fields = fields::sources(if planned.kind == PassKind::Resample { self.vectors } else { &[] });
        let (plan, touch, op) = (&planned.plan, &planned.touch, planned.op.as_ref());
        let pass = Pass { plan, touch, source, op, sink, fields: &fields, coarser: None };
        let (Some(factors), Some(pyramid)) = (planned.factors, &self.job.output.pyramid) else {
            let keep = Kept { work: self.work, sinks: &[sink] };
            return pipeline::run_kept(&pass, Some(&keep), self.stop, on_progress);
        };
        let site = self.job.output.site(&self.work.staging);
        let to = LevelsTo { site: &site, work: self.work, stored: &self.work.stored };
        let coarse = pyramid.sink::<T>(1, &to)?;
        let op = reduction_op::<T>(pyramid.method, planned.target.grid.shape, factors);
        let coarser = Some(Coarser { op: op.as_ref(), factors, sink: &coarse });
        let keep = Kept { work: self.work, sinks: &[sink, &coarse] };
        pipeline::run_kept(&Pass { coarser, ..pass }, Some(&keep), self.stop, on_progress)
    }
}
