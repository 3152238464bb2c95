//! Sources, ops and sinks that stall, fail or panic at a chosen call.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use reslice::{
    block::{BlockMut, BlockRef},
    error::{Error, Result},
    io::{Encoded, Sink, Source},
    layout::Layout,
    region::Region,
    resample::{BlockOp, Footprint, Workspace},
    voxel::Voxel,
};

use super::rng::Rng;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    /// Every call sleeps up to so many microseconds, by chance.
    Stall(u64),
    /// The nth call, from 0, returns an error, and so does every later one.
    Fail(u64),
    /// The nth call panics.
    Panic(u64),
}

/// The words of every injected error and panic.
pub(crate) const INJECTED: &str = "injected fault";

/// Counts the calls of one stage and breaks it at the right one.
pub(crate) struct Trigger {
    fault: Fault,
    calls: AtomicU64,
}

impl Trigger {
    pub(crate) fn new(fault: Fault) -> Trigger {
        Trigger { fault, calls: AtomicU64::new(0) }
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn pull(&self) -> Result<()> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::Stall(most) => thread::sleep(Duration::from_micros(Rng::of(call).below(most))),
            Fault::Fail(n) if call >= n => return Err(Error::usage(INJECTED)),
            Fault::Panic(n) if call == n => panic!("{INJECTED}"),
            _ => {}
        }
        Ok(())
    }
}

pub(crate) struct FaultySource<'a, T> {
    pub inner: &'a dyn Source<T>,
    pub read: Trigger,
    /// Set at the given call of `read`, to stop the run from within.
    pub stop: Option<(u64, &'a AtomicBool)>,
}

impl<T: Voxel> Source<T> for FaultySource<'_, T> {
    fn layout(&self) -> &Layout {
        self.inner.layout()
    }

    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        if let Some((call, stop)) = self.stop
            && self.read.calls() >= call
        {
            stop.store(true, Ordering::Relaxed);
        }
        self.read.pull()?;
        self.inner.read(group, into)
    }
}

pub(crate) struct FaultyOp<'a, T: Voxel> {
    pub inner: &'a dyn BlockOp<T>,
    pub apply: Trigger,
}

impl<T: Voxel> Footprint for FaultyOp<'_, T> {
    fn target_shape(&self) -> [u64; 3] {
        self.inner.target_shape()
    }

    fn source_region(&self, target: Region) -> Region {
        self.inner.source_region(target)
    }

    fn source_axis(&self, target_axis: usize) -> Option<usize> {
        self.inner.source_axis(target_axis)
    }

    fn scratch_bytes(&self, target: Region) -> u64 {
        self.inner.scratch_bytes(target)
    }

    fn table_bytes(&self) -> u64 {
        self.inner.table_bytes()
    }
}

impl<T: Voxel> BlockOp<T> for FaultyOp<'_, T> {
    fn apply(
        &self,
        source: BlockRef<'_, T>,
        target: &mut BlockMut<'_, T>,
        piece: Region,
        scratch: &mut Workspace<T::Acc>,
    ) {
        // An op cannot fail: what would be an error elsewhere is a panic here.
        self.apply.pull().unwrap_or_else(|error| panic!("{error}"));
        self.inner.apply(source, target, piece, scratch);
    }
}

pub(crate) struct FaultySink<'a, T> {
    pub inner: &'a dyn Sink<T>,
    pub encode: Trigger,
    pub put: Trigger,
    pub finish: Trigger,
}

impl<T: Voxel> Sink<T> for FaultySink<'_, T> {
    fn layout(&self) -> &Layout {
        self.inner.layout()
    }

    fn encode(&self, outer: u64, unit: Region, block: BlockRef<'_, T>) -> Result<Encoded> {
        self.encode.pull()?;
        self.inner.encode(outer, unit, block)
    }

    fn put(&self, outer: u64, unit: Region, encoded: Encoded) -> Result<u64> {
        self.put.pull()?;
        self.inner.put(outer, unit, encoded)
    }

    fn finish(&self) -> Result<()> {
        self.finish.pull()?;
        self.inner.finish()
    }
}
