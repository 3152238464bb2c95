//! Counters of a run, shared by the workers.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::io::convert::Lost;

/// Seconds that the workers together spent in each stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Stages {
    /// Reading and decoding, waits for other workers' decodes included.
    pub read: f64,
    pub apply: f64,
    pub encode: f64,
    pub write: f64,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Progress {
    pub blocks: u64,
    pub blocks_done: u64,
    pub voxels_done: u64,
    /// Source bytes decoded or copied, as samples of the pipeline.
    pub bytes_fetched: u64,
    /// Bytes that went to storage.
    pub bytes_written: u64,
    /// Chunk decodes so far.
    pub decodes: u64,
    /// Chunk decodes of the whole run, as planned; about, where the plan is not exact.
    pub planned_decodes: u64,
    /// NaNs that became 0 in an integer target, coarser levels included.
    pub nans: u64,
    /// Samples below what an integer target holds, and above it, which became its smallest and its largest number.
    pub clipped_below: u64,
    pub clipped_above: u64,
    /// Target voxels that look outside the source, of all volumes, where only the run can tell.
    pub outside: u64,
    /// Target voxels that an inverse displacement did not settle, of all volumes.
    pub unsettled: u64,
    pub seconds: f64,
    pub stages: Stages,
}

impl Progress {
    /// Both runs together.
    pub fn and(&self, other: &Progress) -> Progress {
        let (a, b) = (self, other);
        Progress {
            blocks: a.blocks + b.blocks,
            blocks_done: a.blocks_done + b.blocks_done,
            voxels_done: a.voxels_done + b.voxels_done,
            bytes_fetched: a.bytes_fetched + b.bytes_fetched,
            bytes_written: a.bytes_written + b.bytes_written,
            decodes: a.decodes + b.decodes,
            planned_decodes: a.planned_decodes + b.planned_decodes,
            nans: a.nans + b.nans,
            clipped_below: a.clipped_below + b.clipped_below,
            clipped_above: a.clipped_above + b.clipped_above,
            outside: a.outside + b.outside,
            unsettled: a.unsettled + b.unsettled,
            seconds: a.seconds + b.seconds,
            stages: Stages {
                read: a.stages.read + b.stages.read,
                apply: a.stages.apply + b.stages.apply,
                encode: a.stages.encode + b.stages.encode,
                write: a.stages.write + b.stages.write,
            },
        }
    }
}

/// A stage of the work on a block.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    Read,
    Apply,
    Encode,
    Write,
}

/// The counters themselves.
#[derive(Debug)]
pub(super) struct Tally {
    blocks: u64,
    planned_decodes: u64,
    begun: Instant,
    pub blocks_done: AtomicU64,
    pub voxels_done: AtomicU64,
    pub bytes_fetched: AtomicU64,
    pub bytes_written: AtomicU64,
    pub nans: AtomicU64,
    clipped: [AtomicU64; 2],
    pub outside: AtomicU64,
    pub unsettled: AtomicU64,
    nanoseconds: [AtomicU64; 4],
}

impl Tally {
    /// Zeros, of so many blocks and decodes.
    pub(super) fn new(blocks: u64, planned_decodes: u64) -> Tally {
        Tally {
            blocks,
            planned_decodes,
            begun: Instant::now(),
            blocks_done: AtomicU64::new(0),
            voxels_done: AtomicU64::new(0),
            bytes_fetched: AtomicU64::new(0),
            bytes_written: AtomicU64::new(0),
            nans: AtomicU64::new(0),
            clipped: Default::default(),
            outside: AtomicU64::new(0),
            unsettled: AtomicU64::new(0),
            nanoseconds: Default::default(),
        }
    }

    /// Counts what the target could not hold.
    pub(super) fn lose(&self, lost: Lost) {
        let counters = [&self.nans, &self.clipped[0], &self.clipped[1]];
        let counts = [lost.nans, lost.below, lost.above];
        counters.into_iter().zip(counts).for_each(|(counter, count)| {
            counter.fetch_add(count, Ordering::Relaxed);
        });
    }

    /// Runs `work` and counts its time.
    pub(super) fn time<R>(&self, stage: Stage, work: impl FnOnce() -> R) -> R {
        let begun = Instant::now();
        let result = work();
        self.nanoseconds[stage as usize].fetch_add(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
        result
    }

    /// What was counted so far.
    pub(super) fn progress(&self) -> Progress {
        let seconds =
            |stage: Stage| Duration::from_nanos(self.nanoseconds[stage as usize].load(Ordering::Relaxed)).as_secs_f64();
        Progress {
            blocks: self.blocks,
            blocks_done: self.blocks_done.load(Ordering::Relaxed),
            voxels_done: self.voxels_done.load(Ordering::Relaxed),
            bytes_fetched: self.bytes_fetched.load(Ordering::Relaxed),
            bytes_written: self.bytes_written.load(Ordering::Relaxed),
            decodes: 0,
            planned_decodes: self.planned_decodes,
            nans: self.nans.load(Ordering::Relaxed),
            clipped_below: self.clipped[0].load(Ordering::Relaxed),
            clipped_above: self.clipped[1].load(Ordering::Relaxed),
            outside: self.outside.load(Ordering::Relaxed),
            unsettled: self.unsettled.load(Ordering::Relaxed),
            seconds: self.begun.elapsed().as_secs_f64(),
            stages: Stages {
                read: seconds(Stage::Read),
                apply: seconds(Stage::Apply),
                encode: seconds(Stage::Encode),
                write: seconds(Stage::Write),
            },
        }
    }
}
