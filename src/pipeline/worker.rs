//! The work of one worker: read, compute and write its blocks.

use std::sync::atomic::Ordering;

use crossbeam_channel::Sender;

use super::{
    Coarser, Shared,
    pieces::{self, Lane},
    tally::Stage,
    turnstile::Parcel,
};
use crate::{
    block::{BlockMut, BlockRef},
    error::{Error, Result},
    io::{Encoded, Sink},
    layout::{Access, Layout},
    plan::{Step, planes_at_once},
    region::Region,
    voxel::Voxel,
};

/// The reusable memory of one worker.
struct Slot<T: Voxel> {
    /// Target voxels of one block.
    target: Vec<T>,
    /// Voxels of the coarser level that one block makes.
    coarser: Vec<T>,
    lane: Lane<T>,
}

/// Claims blocks and does them until there are none left or the run has ended.
pub(super) fn work<'a, T: Voxel>(shared: &Shared<'a, T>, finished: &Sender<()>) -> Result<()> {
    if let Some(passing) = &shared.passing {
        return passing.work(shared, finished);
    }
    let components = shared.pass.source.layout().components;
    let mut slot = Slot { target: Vec::new(), coarser: Vec::new(), lane: Lane::new() };
    while let Some(step) = shared.claims.claim(&shared.halt, |step| shared.window.admit(step))? {
        let chunks = shared.tally.time(Stage::Read, || shared.window.acquire(shared, &step))?;
        let Some(chunks) = chunks else { break };
        slot.target.resize(step.region.voxels() as usize * components, T::default());
        let target = BlockMut::new(step.region, components, &mut slot.target);
        if !pieces::fill(shared, &step, &chunks, target, &mut slot.lane)? {
            break;
        }
        drop(chunks);
        descend(shared, &step, &mut slot)?;
        let block = BlockRef::new(step.region, shared.pass.sink.layout().components, &slot.target);
        if !deliver(shared, &step, block, finished)? {
            break;
        }
    }
    Ok(())
}

/// Makes and stores what the coarser level has of the block, where there is one.
fn descend<T: Voxel>(shared: &Shared<'_, T>, step: &Step, slot: &mut Slot<T>) -> Result<()> {
    let Some(Coarser { op, factors, sink }) = shared.pass.coarser else { return Ok(()) };
    let region = step.region.divided(factors);
    slot.coarser.resize(region.voxels() as usize, T::default());
    let mut block = BlockMut::new(region, 1, &mut slot.coarser);
    let fine = BlockRef::new(step.region, 1, &slot.target);
    shared.tally.time(Stage::Apply, || op.apply(fine, &mut block, region, &mut slot.lane.scratch));
    let is_open = |unit: &Region| !shared.pass.touch.todo.is_unit_done(true, step.volume, *unit);
    for unit in units_of(region, sink.layout()).filter(is_open) {
        let encoded = encode(shared, sink, step.volume, unit, block.as_ref())?;
        put(shared, sink, step.volume, unit, encoded)?;
        shared.keep_if_due()?;
    }
    Ok(())
}

/// Encodes the block's write units and stores them, or leaves them at the turnstile; `false` when the run has ended. `block` holds
/// at least the step's region.
pub(super) fn deliver<T: Voxel>(
    shared: &Shared<'_, T>,
    step: &Step,
    block: BlockRef<'_, T>,
    finished: &Sender<()>,
) -> Result<bool> {
    let sink = shared.pass.sink;
    let layout = sink.layout();
    let is_open = |unit: &Region| !shared.pass.touch.todo.is_unit_done(false, step.volume, *unit);
    if layout.access == Access::Ascending {
        let mut units = Vec::new();
        for unit in units_of(step.region, layout).filter(is_open) {
            units.push((unit, encode(shared, sink, step.volume, unit, block)?));
        }
        let parcel = Parcel { volume: step.volume, voxels: step.region.voxels(), units };
        let mut open = true;
        shared.turnstile.deposit(step.number, parcel, |number, parcel| {
            for (unit, encoded) in parcel.units {
                put(shared, sink, parcel.volume, unit, encoded)?;
            }
            open &= finish(shared, number, parcel.voxels, finished);
            Ok(())
        })?;
        return Ok(open);
    }
    for unit in units_of(step.region, layout).filter(is_open) {
        let encoded = encode(shared, sink, step.volume, unit, block)?;
        put(shared, sink, step.volume, unit, encoded)?;
        shared.keep_if_due()?;
    }
    Ok(finish(shared, step.number, step.region.voxels(), finished))
}

/// The units in which a block goes to the sink: its write units; for positioned files planes of the block, as many as
/// [`planes_at_once`] says, since their rows are then mostly one run.
fn units_of(block: Region, layout: &Layout) -> impl Iterator<Item = Region> + use<> {
    let shape = block.shape();
    let step = match layout.access {
        Access::Random => {
            let plane_bytes = ((shape[1] * shape[2]) as u64).saturating_mul(layout.voxel_bytes());
            [planes_at_once(plane_bytes) as usize, usize::MAX, usize::MAX]
        }
        Access::Chunked | Access::Ascending => layout.chunk.map(|n| n as usize),
    };
    block.tiles(std::array::from_fn(|a| step[a].min(shape[a])))
}

fn encode<T: Voxel>(
    shared: &Shared<'_, T>,
    sink: &dyn Sink<T>,
    volume: u64,
    unit: Region,
    block: BlockRef<'_, T>,
) -> Result<Encoded> {
    let encoded = shared.tally.time(Stage::Encode, || sink.encode(volume, unit, block));
    encoded.map_err(|source| Error::Write { outer: volume, region: unit, source: Box::new(source) })
}

fn put<T: Voxel>(
    shared: &Shared<'_, T>,
    sink: &dyn Sink<T>,
    volume: u64,
    unit: Region,
    encoded: Encoded,
) -> Result<()> {
    shared.tally.lose(encoded.lost);
    let stored = shared
        .tally
        .time(Stage::Write, || sink.put(volume, unit, encoded))
        .map_err(|source| Error::Write { outer: volume, region: unit, source: Box::new(source) })?;
    shared.tally.bytes_written.fetch_add(stored, Ordering::Relaxed);
    Ok(())
}

/// Counts a written block and opens the gate for the next; `false` when nobody listens any more.
fn finish<T: Voxel>(shared: &Shared<'_, T>, number: u64, voxels: u64, finished: &Sender<()>) -> bool {
    shared.claims.finish(number);
    shared.tally.blocks_done.fetch_add(1, Ordering::Relaxed);
    shared.tally.voxels_done.fetch_add(voxels, Ordering::Relaxed);
    finished.send(()).is_ok()
}
