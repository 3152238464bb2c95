//! Runs plans in which chunks pass by: chunks are decoded in parallel, added one after the other, and freed.
//!
//! Workers claim chunks in schedule order and decode them, at most a fixed number ahead of the next chunk to add. The worker that
//! brings that chunk adds it and all decoded ones that follow without a gap; no worker waits for another to do so.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use crossbeam_channel::Sender;

use super::{
    Pass, Shared,
    tally::Stage,
    window::{DecodedChunk, volumes_of},
    worker::deliver,
};
use crate::{
    block::{BlockMut, BlockRef},
    error::{Error, Result},
    io::convert::Lost,
    plan::{Chunk, ChunkBox, Column, Passes, PassingChunk, Slab, Step, slabs},
    region::Region,
    resample::{BlockOp, Carry},
    voxel::Voxel,
};

/// A chunk on its way, and the one value that it is, where it is absent: its voxels are then not set.
struct Brought<T> {
    decoded: DecodedChunk<T>,
    even: Option<T>,
}

/// The chunks on their way, and what they have made so far.
pub(super) struct Passing<'a, T: Voxel> {
    state: Mutex<State<'a, T>>,
    changed: Condvar,
    /// DecodedChunk chunks that there may be at once.
    limit: u64,
    /// Samples of one chunk, all volumes of its group.
    chunk_len: usize,
}

struct State<'a, T: Voxel> {
    passes: Passes<'a>,
    /// Chunks, or steps without one, that were claimed and that were taken in.
    claimed: u64,
    taken: u64,
    decodes: u64,
    /// DecodedChunk before their turn.
    ready: BTreeMap<u64, (PassingChunk, Option<Brought<T>>)>,
    /// Memory of chunks that were taken in.
    pool: Vec<Vec<T>>,
    /// `None` while somebody works on it, and for ever after an error.
    board: Option<Board<'a, T>>,
}

impl<'a, T: Voxel> Passing<'a, T> {
    /// `None` where chunks do not pass by in this plan.
    pub(super) fn new(pass: &Pass<'a, T>) -> Option<Passing<'a, T>> {
        let passes = pass.plan.passes(pass.touch, pass.op, pass.source.layout())?;
        let board = Some(Board::new(pass));
        let (ready, pool) = (BTreeMap::new(), Vec::new());
        let state = State { passes, claimed: 0, taken: 0, decodes: 0, ready, pool, board };
        Some(Passing {
            state: Mutex::new(state),
            changed: Condvar::new(),
            limit: pass.plan.workers.gate.max(pass.plan.workers.count as u64),
            chunk_len: (pass.touch.chunk_bytes / size_of::<T>() as u64) as usize,
        })
    }

    /// Claims chunks and decodes them until there are none left or the run has ended.
    pub(super) fn work(&self, shared: &Shared<'a, T>, finished: &Sender<()>) -> Result<()> {
        while let Some((pass, number, memory)) = self.claim(shared) {
            let decoded = match pass.chunk {
                None => None,
                Some(chunk) => {
                    let brought = shared.tally.time(Stage::Read, || brought(shared, chunk, number, memory))?;
                    if brought.is_none() {
                        return Ok(());
                    }
                    brought
                }
            };
            if !self.bring(shared, pass, decoded, finished)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The next chunk with its number among all chunks and memory for it, once there is room; `None` at the end.
    fn claim(&self, shared: &Shared<'a, T>) -> Option<(PassingChunk, u64, Vec<T>)> {
        let mut state = self.lock();
        while state.claimed - state.taken >= self.limit && !shared.halt.is_halted() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if shared.halt.is_halted() {
            return None;
        }
        let pass = state.passes.next()?;
        state.claimed += 1;
        let number = state.decodes;
        let memory = match pass.chunk {
            None => Vec::new(),
            Some(_) => {
                state.decodes += 1;
                state.pool.pop().unwrap_or_else(|| vec![T::default(); self.chunk_len])
            }
        };
        Some((pass, number, memory))
    }

    /// Leaves a decoded chunk, and takes in whatever has its turn, if nobody is about to; `false` when nobody listens any more.
    fn bring(
        &self,
        shared: &Shared<'a, T>,
        pass: PassingChunk,
        brought: Option<Brought<T>>,
        finished: &Sender<()>,
    ) -> Result<bool> {
        let mut state = self.lock();
        state.ready.insert(pass.number, (pass, brought));
        loop {
            let turn = state.taken;
            let Some(mut board) = state.board.take() else { return Ok(true) };
            let Some((pass, mut brought)) = state.ready.remove(&turn) else {
                state.board = Some(board);
                return Ok(true);
            };
            drop(state);
            // After an error there is no board any more: nothing is made behind a gap.
            let open = board.take(shared, &pass, brought.as_mut(), finished)?;
            state = self.lock();
            state.board = Some(board);
            state.taken += 1;
            state.pool.extend(brought.map(|brought| brought.decoded.into_memory()));
            self.changed.notify_all();
            if !open {
                return Ok(false);
            }
        }
    }

    /// Chunks decoded so far.
    pub(super) fn decodes(&self) -> u64 {
        self.lock().decodes
    }

    /// Wakes all who wait, since the run ends.
    pub(super) fn wake(&self) {
        drop(self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<'a, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The target blocks of a column that are begun, and what is carried on for those to come.
struct Board<'a, T: Voxel> {
    op: &'a dyn BlockOp<T>,
    /// Voxels of a target block and of a source chunk.
    block: [u64; 3],
    chunk: [u64; 3],
    components: usize,
    column: Option<Arc<Column>>,
    /// The target axis that columns run along, and whether they are walked from its far end.
    axis: usize,
    falls: bool,
    /// One for each volume and component.
    carried: Vec<Box<dyn Carry<T> + 'a>>,
    /// Blocks that are not handed on, in the order in which they are finished.
    slabs: VecDeque<Slab>,
    /// Where `voxels` lie: a part of the column along its axis.
    region: Region,
    voxels: Vec<T>,
    /// Number of the next block in the schedule.
    number: u64,
}

impl<'a, T: Voxel> Board<'a, T> {
    fn new(pass: &Pass<'a, T>) -> Board<'a, T> {
        let layout = pass.source.layout();
        Board {
            op: pass.op,
            block: pass.plan.block,
            chunk: layout.chunk,
            components: layout.components,
            column: None,
            axis: pass.op.carrying().map_or(0, |op| op.target_axis(2)),
            falls: false,
            carried: Vec::new(),
            slabs: VecDeque::new(),
            region: Region::EMPTY,
            voxels: Vec::new(),
            number: 0,
        }
    }

    /// Takes in one chunk and hands on the blocks that it finishes; `false` when nobody listens any more.
    fn take(
        &mut self,
        shared: &Shared<'a, T>,
        pass: &PassingChunk,
        brought: Option<&mut Brought<T>>,
        finished: &Sender<()>,
    ) -> Result<bool> {
        if self.column.as_ref().is_none_or(|column| !Arc::ptr_eq(column, &pass.column)) {
            self.begin(&pass.column)?;
            // What looks outside alone is finished before it is begun.
            if !self.hand_on_finished(shared, None, finished)? {
                return Ok(false);
            }
        }
        if let Some(brought) = brought {
            shared.tally.time(Stage::Apply, || self.take_in(shared, brought));
        }
        let place = if pass.ends_column { Some(i64::MAX) } else { pass.chunk.map(|chunk| chunk.at[2] as i64) };
        if pass.ends_layer { self.hand_on_finished(shared, place, finished) } else { Ok(true) }
    }

    fn take_in(&mut self, shared: &Shared<'a, T>, Brought { decoded, even }: &mut Brought<T>) {
        let mut target = BlockMut::new(self.region, self.carried.len(), &mut self.voxels);
        let mut is_set = even.is_none();
        for (volume, carried) in self.carried.iter_mut().enumerate() {
            let is_taken =
                even.is_some_and(|value| !is_set && carried.take_even(value, decoded.region, &mut target, volume));
            if !is_taken {
                if let Some(value) = even.filter(|_| !is_set) {
                    decoded.fill(value);
                    is_set = true;
                }
                carried.take(decoded.block().volume(volume), &mut target, volume);
            }
            let [below, above] = carried.take_beyond();
            shared.tally.lose(Lost { nans: 0, below, above });
        }
        if is_set {
            let bytes = size_of_val(decoded.block().voxels) as u64;
            shared.tally.bytes_fetched.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Hands on the blocks that chunks up to `place` along source axis 2 finish; `false` when nobody listens any more.
    fn hand_on_finished(&mut self, shared: &Shared<'a, T>, place: Option<i64>, finished: &Sender<()>) -> Result<bool> {
        while self.slabs.front().is_some_and(|slab| slab.after <= place) {
            let Some(slab) = self.slabs.pop_front() else { break };
            if !self.hand_on(shared, &slab, finished)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Begins another column.
    fn begin(&mut self, column: &Arc<Column>) -> Result<()> {
        let (op, chunk, axis) = (self.op, self.chunk, self.axis);
        let looks = op.carrying().ok_or_else(not_carried)?;
        // What the last column took goes before more is asked for.
        self.carried = Vec::new();
        for _ in 0..column.volumes.len() * self.components {
            self.carried.push(op.carry(column.region, chunk).ok_or_else(not_carried)?);
        }
        let (slabs, depth) = slabs(looks, column.region, self.block, chunk);
        self.falls = slabs.windows(2).any(|pair| pair[1].region.lo[axis] < pair[0].region.lo[axis]);
        self.region = column.region;
        let (lo, hi) = (column.region.lo[axis], column.region.hi[axis]);
        if self.falls {
            self.region.lo[axis] = lo.max(hi - depth as i64);
        } else {
            self.region.hi[axis] = hi.min(lo + depth as i64);
        }
        self.slabs = slabs.into();
        let outside = self.carried.first().map_or(T::default(), |carried| carried.outside());
        let len = self.region.voxels() as usize * self.carried.len();
        self.voxels.clear();
        if self.voxels.capacity() < len {
            // The old memory goes before the new is asked for, which is no more than is needed.
            self.voxels = Vec::new();
            self.voxels.reserve_exact(len);
        }
        self.voxels.resize(len, outside);
        self.column = Some(Arc::clone(column));
        Ok(())
    }

    /// Stores a finished block and makes room for those that follow; `false` when nobody listens any more.
    fn hand_on(&mut self, shared: &Shared<'a, T>, slab: &Slab, finished: &Sender<()>) -> Result<bool> {
        let Some(column) = self.column.clone() else { return Ok(true) };
        let components = self.components;
        let len = self.region.voxels() as usize * components;
        for (n, &volume) in column.volumes.iter().enumerate() {
            let step = Step {
                number: self.number,
                volume,
                group: column.group,
                member: column.member + n as u64,
                region: slab.region,
                chunks: ChunkBox::default(),
                frees: Vec::new(),
                loads: Vec::new(),
            };
            self.number += 1;
            let block = BlockRef::new(self.region, components, &self.voxels[n * len..(n + 1) * len]);
            if !deliver(shared, &step, block, finished)? {
                return Ok(false);
            }
        }
        self.advance(slab.region, column.region);
        Ok(true)
    }

    /// Moves on along the column, past a finished block at the end of what is at hand.
    fn advance(&mut self, done: Region, column: Region) {
        let (axis, falls) = (self.axis, self.falls);
        let outside = self.carried.first().map_or(T::default(), |carried| carried.outside());
        let left = if falls { self.region.lo[axis] - column.lo[axis] } else { column.hi[axis] - self.region.hi[axis] };
        let by = (done.hi[axis] - done.lo[axis]).min(left.max(0));
        if by == 0 {
            return;
        }
        let shape = self.region.shape();
        let inner: usize = shape[axis + 1..].iter().product();
        let (run, moved) = (shape[axis] * inner, by as usize * inner);
        for part in self.voxels.chunks_exact_mut(run.max(1)) {
            if falls {
                part.copy_within(..run - moved, moved);
                part[..moved].fill(outside);
            } else {
                part.copy_within(moved.., 0);
                part[run - moved..].fill(outside);
            }
        }
        let by = if falls { -by } else { by };
        (self.region.lo[axis], self.region.hi[axis]) = (self.region.lo[axis] + by, self.region.hi[axis] + by);
    }
}

/// Brings a chunk, and decodes it if there is one; `None` when the run has ended.
fn brought<T: Voxel>(shared: &Shared<'_, T>, chunk: Chunk, number: u64, memory: Vec<T>) -> Result<Option<Brought<T>>> {
    let source = shared.pass.source;
    let region = source.layout().chunk_region(chunk.at);
    let volumes = volumes_of(source.layout(), chunk.group);
    let fetch = || match &shared.ahead {
        None => source.fetch(chunk.group, region),
        Some(ahead) => ahead.take(number, &shared.halt),
    };
    let read = || {
        let fetched = fetch()?;
        if fetched.is_none() && shared.ahead.is_some() {
            return Ok(None);
        }
        let even = match fetched.as_ref().filter(|fetched| fetched.stored.is_none()) {
            Some(fetched) => source.read_absent(fetched)?,
            None => None,
        };
        let mut memory = memory;
        if even.is_none() {
            let into = BlockMut::new(region, volumes, &mut memory[..region.voxels() as usize * volumes]);
            match fetched {
                Some(fetched) => source.read_fetched(fetched, into),
                None => source.read(chunk.group, into),
            }?;
        }
        Ok(Some(Brought { decoded: DecodedChunk::new(region, volumes, memory), even }))
    };
    read().map_err(|source| Error::Read { outer: chunk.group, region, source: Box::new(source) })
}

fn not_carried() -> Error {
    Error::Panic { message: "an op does not carry what its plan has pass by".into() }
}
