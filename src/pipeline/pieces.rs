//! A block, filled piece by piece: by its worker alone, or side by side with threads that have no block of their own.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use super::{Shared, tally::Stage, window::DecodedChunk};
use crate::{
    block::{BlockMut, BlockRef},
    error::{Error, Result},
    io::convert::Lost,
    plan::{ChunkBox, Step},
    region::Region,
    resample::Workspace,
    sys,
    voxel::Voxel,
};

/// The reusable memory in which one thread computes pieces.
pub(super) struct Lane<T: Voxel> {
    /// Fetched source voxels.
    source: Vec<T>,
    /// Target voxels, where others fill the same block.
    target: Vec<T>,
    pub scratch: Workspace<T::Acc>,
}

/// Threads that compute pieces of the workers' blocks, each in a lane of its own.
pub(super) struct Helpers<T: Voxel> {
    pool: rayon::ThreadPool,
    /// By the number of the thread.
    lanes: Vec<Mutex<Lane<T>>>,
}

/// A block that is being filled.
struct Block<'a, 'p, T: Voxel> {
    shared: &'a Shared<'p, T>,
    step: &'a Step,
    chunks: &'a [Arc<DecodedChunk<T>>],
}

impl<T: Voxel> Lane<T> {
    pub(super) fn new() -> Lane<T> {
        Lane { source: Vec::new(), target: Vec::new(), scratch: Workspace::default() }
    }
}

impl<T: Voxel> Helpers<T> {
    /// So many threads; `None` where there are to be none.
    ///
    /// # Errors
    /// The system grants no threads.
    pub(super) fn new(count: usize) -> Result<Option<Helpers<T>>> {
        if count == 0 {
            return Ok(None);
        }
        let lanes = (0..count).map(|_| Mutex::new(Lane::new())).collect();
        Ok(Some(Helpers { pool: sys::pool(count)?, lanes }))
    }
}

/// Fills `target`, the block of `step`; `false` when the run has ended before it is full.
pub(super) fn fill<T: Voxel>(
    shared: &Shared<'_, T>,
    step: &Step,
    chunks: &[Arc<DecodedChunk<T>>],
    mut target: BlockMut<'_, T>,
    lane: &mut Lane<T>,
) -> Result<bool> {
    let block = Block { shared, step, chunks };
    if let Some(helpers) = &shared.helpers {
        return block.fill_side_by_side(helpers, target, lane);
    }
    for piece in step.region.tiles(shared.pass.plan.piece) {
        if shared.halt.is_halted() {
            return Ok(false);
        }
        block.compute(piece, &mut lane.source, &mut lane.scratch, &mut target)?;
    }
    block.count(&mut lane.scratch);
    Ok(true)
}

impl<T: Voxel> Block<'_, '_, T> {
    /// One piece after the other is taken by whichever thread is free; the worker takes its part. Values do not depend on it: every
    /// voxel is computed from its global index.
    fn fill_side_by_side(&self, helpers: &Helpers<T>, target: BlockMut<'_, T>, own: &mut Lane<T>) -> Result<bool> {
        let pieces = || self.step.region.tiles(self.shared.pass.plan.piece);
        let (queue, target) = (Mutex::new(pieces()), Mutex::new(target));
        let (has_failed, failure) = (AtomicBool::new(false), Mutex::new(None));
        let take_one = |lane: &mut Lane<T>| -> bool {
            if self.shared.halt.is_halted() || has_failed.load(Ordering::Relaxed) {
                return false;
            }
            let Some(piece) = locked(&queue).next() else { return false };
            let done = self.compute_apart(piece, lane, &target);
            done.map_err(|error| {
                has_failed.store(true, Ordering::Relaxed);
                locked(&failure).get_or_insert(error);
            })
            .is_ok()
        };
        helpers.pool.in_place_scope(|scope| {
            // A task is one piece, so that threads go from block to block; the last tasks find none left.
            for _ in pieces().skip(1) {
                scope.spawn(|_| {
                    let lane = rayon::current_thread_index().and_then(|thread| helpers.lanes.get(thread));
                    take_one(&mut locked(lane.expect("a lane for each thread of the pool")));
                });
            }
            while take_one(own) {}
        });
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(!self.shared.halt.is_halted()),
        }
    }

    /// Computes a piece in the lane, and copies it into the block.
    fn compute_apart(&self, piece: Region, lane: &mut Lane<T>, target: &Mutex<BlockMut<'_, T>>) -> Result<()> {
        let components = self.shared.pass.source.layout().components;
        let len = piece.voxels() as usize * components;
        lane.target.resize(len.max(lane.target.len()), T::default());
        let mut apart = BlockMut::new(piece, components, &mut lane.target[..len]);
        self.compute(piece, &mut lane.source, &mut lane.scratch, &mut apart)?;
        self.count(&mut lane.scratch);
        locked(target).copy_from(apart.as_ref(), 0);
        Ok(())
    }

    /// Fetches what a piece looks at, and computes it.
    fn compute(
        &self,
        piece: Region,
        source: &mut Vec<T>,
        scratch: &mut Workspace<T::Acc>,
        target: &mut BlockMut<'_, T>,
    ) -> Result<()> {
        let (shared, pass) = (self.shared, self.shared.pass);
        let components = pass.source.layout().components;
        let region = pass.op.source_region(piece);
        let len = region.voxels() as usize * components;
        source.resize(len.max(source.len()), T::default());
        let fetched = BlockMut::new(region, components, &mut source[..len]);
        if !region.is_empty() {
            shared.tally.time(Stage::Read, || self.fetch(fetched))?;
        }
        self.look_through(piece, scratch)?;
        shared.tally.bytes_fetched.fetch_add((len * size_of::<T>()) as u64, Ordering::Relaxed);
        let fetched = BlockRef::new(region, components, &source[..len]);
        shared.tally.time(Stage::Apply, || pass.op.apply(fetched, target, piece, scratch));
        Ok(())
    }

    /// Takes over what the op has counted.
    fn count(&self, scratch: &mut Workspace<T::Acc>) {
        let tally = &self.shared.tally;
        tally.outside.fetch_add(std::mem::take(&mut scratch.outside), Ordering::Relaxed);
        tally.unsettled.fetch_add(std::mem::take(&mut scratch.unsettled), Ordering::Relaxed);
        let [below, above] = std::mem::take(&mut scratch.beyond);
        tally.lose(Lost { nans: 0, below, above });
    }

    /// Reads the vectors that a piece needs of each displacement field.
    fn look_through(&self, piece: Region, scratch: &mut Workspace<T::Acc>) -> Result<()> {
        let shared = self.shared;
        let fields = shared.pass.fields;
        if fields.is_empty() {
            return Ok(());
        }
        scratch.fields.resize_with(fields.len(), Default::default);
        let regions = shared.pass.op.field_regions(piece);
        // An op that looks through fields and names no regions of them would move nothing.
        assert_eq!(regions.len(), fields.len(), "regions of displacement fields");
        for ((field, vectors), region) in fields.iter().zip(&mut scratch.fields).zip(regions) {
            vectors.fill(region, |component, into| {
                let read = shared.tally.time(Stage::Read, || field.read(component, into));
                read.map_err(|source| Error::Read { outer: component, region, source: Box::new(source) })
            })?;
        }
        Ok(())
    }

    /// The voxels of a piece's source region: from the window, or straight from a source without chunks.
    fn fetch(&self, mut into: BlockMut<'_, T>) -> Result<()> {
        let (pass, step) = (self.shared.pass, self.step);
        if pass.touch.chunk_counts.is_some() {
            let volume = step.member as usize * into.volumes;
            let needed = ChunkBox::of(into.region, pass.source.layout().chunk).intersect(&step.chunks);
            for at in needed.iter() {
                into.copy_from(self.chunks[step.chunks.number(at) as usize].block(), volume);
            }
            return Ok(());
        }
        let region = into.region;
        let read = pass.source.read(step.group, into);
        read.map_err(|source| Error::Read { outer: step.volume, region, source: Box::new(source) })
    }
}

/// A lock that a panic left behind is taken all the same: the panic ends the run.
fn locked<V>(lock: &Mutex<V>) -> MutexGuard<'_, V> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
