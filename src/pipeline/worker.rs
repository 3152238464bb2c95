//! The work of one worker: read, compute and write its blocks.

use std::sync::{Arc, atomic::Ordering};

use crossbeam_channel::Sender;

use super::{Coarser, Shared, tally::Stage, turnstile::Parcel, window::DecodedChunk};
use crate::{
    block::{BlockMut, BlockRef},
    error::{Error, Result},
    io::{Encoded, Sink, convert::Lost},
    layout::{Access, Layout},
    plan::{ChunkBox, Step, planes_at_once},
    region::Region,
    resample::Workspace,
    voxel::Voxel,
};

/// The reusable memory of one worker.
struct Slot<T: Voxel> {
    /// Fetched source voxels of one piece.
    source: Vec<T>,
    /// Target voxels of one block.
    target: Vec<T>,
    /// Voxels of the coarser level that one block makes.
    coarser: Vec<T>,
    scratch: Workspace<T::Acc>,
}

/// Claims blocks and does them until there are none left or the run has ended.
pub fn work<'a, T: Voxel>(shared: &Shared<'a, T>, finished: &Sender<()>) -> Result<()> {
    if let Some(passing) = &shared.passing {
        return passing.work(shared, finished);
    }
    let mut slot = Slot { source: Vec::new(), target: Vec::new(), coarser: Vec::new(), scratch: Workspace::default() };
    while let Some(step) = shared.claims.claim(&shared.halt, |step| shared.window.admit(step))? {
        let chunks = shared.tally.time(Stage::Read, || shared.window.acquire(shared, &step))?;
        let Some(chunks) = chunks else { break };
        if !compute(shared, &step, &chunks, &mut slot)? {
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

/// Fills `slot.target` with the block, piece by piece; `false` when the run has ended before it is full.
fn compute<T: Voxel>(
    shared: &Shared<'_, T>,
    step: &Step,
    chunks: &[Arc<DecodedChunk<T>>],
    slot: &mut Slot<T>,
) -> Result<bool> {
    let pass = shared.pass;
    let components = pass.source.layout().components;
    slot.target.resize(step.region.voxels() as usize * components, T::default());
    let mut target = BlockMut::new(step.region, components, &mut slot.target);
    for piece in step.region.tiles(pass.plan.piece) {
        if shared.halt.is_halted() {
            return Ok(false);
        }
        let region = pass.op.source_region(piece);
        let len = region.voxels() as usize * components;
        slot.source.resize(len.max(slot.source.len()), T::default());
        let mut source = BlockMut::new(region, components, &mut slot.source[..len]);
        if !region.is_empty() {
            shared.tally.time(Stage::Read, || fetch(shared, step, chunks, &mut source))?;
        }
        look_through(shared, piece, &mut slot.scratch)?;
        shared.tally.bytes_fetched.fetch_add((len * size_of::<T>()) as u64, Ordering::Relaxed);
        shared.tally.time(Stage::Apply, || pass.op.apply(source.as_ref(), &mut target, piece, &mut slot.scratch));
    }
    shared.tally.outside.fetch_add(std::mem::take(&mut slot.scratch.outside), Ordering::Relaxed);
    shared.tally.unsettled.fetch_add(std::mem::take(&mut slot.scratch.unsettled), Ordering::Relaxed);
    let [below, above] = std::mem::take(&mut slot.scratch.beyond);
    shared.tally.lose(Lost { nans: 0, below, above });
    Ok(true)
}

/// Reads the vectors that a piece needs of each displacement field.
fn look_through<T: Voxel>(shared: &Shared<'_, T>, piece: Region, scratch: &mut Workspace<T::Acc>) -> Result<()> {
    let fields = shared.pass.fields;
    if fields.is_empty() {
        return Ok(());
    }
    scratch.fields.resize_with(fields.len(), Default::default);
    for ((field, vectors), region) in fields.iter().zip(&mut scratch.fields).zip(shared.pass.op.field_regions(piece)) {
        vectors.fill(region, |component, into| {
            let read = shared.tally.time(Stage::Read, || field.read(component, into));
            read.map_err(|source| Error::Read { outer: component, region, source: Box::new(source) })
        })?;
    }
    Ok(())
}

/// The voxels of a piece's source region: from the window, or straight from a source without chunks.
fn fetch<T: Voxel>(
    shared: &Shared<'_, T>,
    step: &Step,
    chunks: &[Arc<DecodedChunk<T>>],
    into: &mut BlockMut<'_, T>,
) -> Result<()> {
    if shared.pass.touch.chunk_counts.is_some() {
        let volume = step.member as usize * into.volumes;
        let needed = ChunkBox::of(into.region, shared.pass.source.layout().chunk).intersect(&step.chunks);
        for at in needed.iter() {
            into.copy_from(chunks[step.chunks.number(at) as usize].block(), volume);
        }
        return Ok(());
    }
    let region = into.region;
    let piece = BlockMut::new(region, into.volumes, into.voxels);
    shared.pass.source.read(step.group, piece).map_err(|source| Error::Read {
        outer: step.volume,
        region,
        source: Box::new(source),
    })
}

/// Makes and stores what the coarser level has of the block, where there is one.
fn descend<T: Voxel>(shared: &Shared<'_, T>, step: &Step, slot: &mut Slot<T>) -> Result<()> {
    let Some(Coarser { op, factors, sink }) = shared.pass.coarser else { return Ok(()) };
    let region = step.region.divided(factors);
    slot.coarser.resize(region.voxels() as usize, T::default());
    let mut block = BlockMut::new(region, 1, &mut slot.coarser);
    let fine = BlockRef::new(step.region, 1, &slot.target);
    shared.tally.time(Stage::Apply, || op.apply(fine, &mut block, region, &mut slot.scratch));
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
pub fn deliver<T: Voxel>(
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
