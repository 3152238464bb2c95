//! The chunk window: every chunk is decoded by the first worker that needs it, shared, and freed by the schedule.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{Pass, Shared};
use crate::{
    block::{BlockMut, BlockRef},
    error::{Error, Result},
    layout::{Access, Layout},
    plan::{Chunk, Step},
    region::Region,
    voxel::Voxel,
};

/// A decoded chunk: its region and the voxels of all volumes of its group.
#[derive(Debug)]
pub(super) struct DecodedChunk<T> {
    pub region: Region,
    pub volumes: usize,
    voxels: Vec<T>,
}

impl<T: Voxel> DecodedChunk<T> {
    /// A chunk of these voxels.
    pub(super) fn new(region: Region, volumes: usize, voxels: Vec<T>) -> DecodedChunk<T> {
        DecodedChunk { region, volumes, voxels }
    }

    /// Makes all samples the same.
    pub(super) fn fill(&mut self, value: T) {
        let len = self.region.voxels() as usize * self.volumes;
        self.voxels[..len].fill(value);
    }

    /// Its voxels.
    pub(super) fn block(&self) -> BlockRef<'_, T> {
        let len = self.region.voxels() as usize * self.volumes;
        BlockRef::new(self.region, self.volumes, &self.voxels[..len])
    }

    /// The memory, for another chunk.
    pub(super) fn into_memory(self) -> Vec<T> {
        self.voxels
    }
}

/// The decoded chunks of a pass whose blocks hold all of theirs at once.
#[derive(Debug)]
pub(super) struct Window<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// Samples of one chunk, all volumes of its group.
    chunk_len: usize,
    ascending: bool,
}

#[derive(Debug)]
struct State<T> {
    slots: HashMap<Chunk, Slot<T>>,
    /// Memory of freed chunks; together with the slots never more than the plan's window.
    pool: Vec<Vec<T>>,
    /// Ascending sources: admitted chunks that were not decoded yet.
    queue: VecDeque<Chunk>,
    /// Loads admitted so far.
    admitted: u64,
    /// Ascending sources: whether somebody reads the stream.
    reading: bool,
}

#[derive(Debug)]
enum Slot<T> {
    /// With the load's number in the schedule.
    Admitted(u64),
    Decoding,
    Ready(Arc<DecodedChunk<T>>),
}

/// What a worker that needs chunks is to do next.
enum Turn<T> {
    Take,
    /// The chunk, its load's number, and memory for it.
    Decode(Chunk, u64, Vec<T>),
    Wait,
}

/// The chunks of a block, as far as a worker has them. Each is looked up once, and again only while others decode it.
struct Gathered<'a, T> {
    step: &'a Step,
    /// In C order.
    chunks: Vec<Option<Arc<DecodedChunk<T>>>>,
    /// Number of the first chunk that was not looked up.
    next: u64,
    /// Numbers of those that others were decoding.
    awaited: Vec<u64>,
    /// Looks into the window.
    looks: u64,
}

impl<'a, T: Voxel> Gathered<'a, T> {
    fn new(step: &'a Step) -> Gathered<'a, T> {
        let chunks = (0..step.chunks.len()).map(|_| None).collect();
        Gathered { step, chunks, next: 0, awaited: Vec::new(), looks: 0 }
    }

    fn chunk(&self, number: u64) -> Chunk {
        Chunk { group: self.step.group, at: self.step.chunks.nth(number) }
    }

    /// Takes chunk `number`, if it is decoded; else says how it stands.
    fn look<'s>(&mut self, state: &'s State<T>, number: u64) -> Result<Option<&'s Slot<T>>> {
        self.looks += 1;
        let chunk = self.chunk(number);
        match state.slots.get(&chunk) {
            Some(Slot::Ready(decoded)) => {
                self.chunks[number as usize] = Some(Arc::clone(decoded));
                Ok(None)
            }
            Some(other) => Ok(Some(other)),
            None => Err(Error::Panic { message: format!("chunk {:?} is not in the window", chunk.at) }),
        }
    }
}

impl<T: Voxel> Window<T> {
    /// An empty window of the plan's size.
    pub(super) fn new(pass: &Pass<'_, T>) -> Window<T> {
        let layout = pass.source.layout();
        let (slots, queue) = (HashMap::new(), VecDeque::new());
        let state = State { slots, pool: Vec::new(), queue, admitted: 0, reading: false };
        Window {
            state: Mutex::new(state),
            changed: Condvar::new(),
            chunk_len: (pass.touch.decoded_bytes / size_of::<T>() as u64) as usize,
            ascending: layout.access == Access::Ascending,
        }
    }

    /// Frees and admits what the schedule names. Called in schedule order.
    pub(super) fn admit(&self, step: &Step) {
        let mut state = self.lock();
        for chunk in &step.frees {
            if let Some(Slot::Ready(decoded)) = state.slots.remove(chunk)
                && let Some(decoded) = Arc::into_inner(decoded)
            {
                state.pool.push(decoded.voxels);
            }
        }
        for &chunk in &step.loads {
            let number = state.admitted;
            state.admitted += 1;
            state.slots.insert(chunk, Slot::Admitted(number));
            if self.ascending {
                state.queue.push_back(chunk);
            }
        }
    }

    /// The chunks of a block, in C order; decodes those that nobody has begun, waits for the others.
    ///
    /// `None` when the run has ended.
    pub(super) fn acquire(&self, shared: &Shared<'_, T>, step: &Step) -> Result<Option<Vec<Arc<DecodedChunk<T>>>>> {
        let mut gathered = Gathered::new(step);
        let mut state = self.lock();
        loop {
            if shared.halt.is_halted() {
                return Ok(None);
            }
            match self.turn(&mut state, &mut gathered)? {
                Turn::Take => return Ok(Some(gathered.chunks.into_iter().flatten().collect())),
                Turn::Wait => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Turn::Decode(chunk, number, memory) => {
                    drop(state);
                    let Some(decoded) = decode(shared, chunk, number, memory)? else { return Ok(None) };
                    state = self.lock();
                    state.reading = false;
                    state.slots.insert(chunk, Slot::Ready(Arc::new(decoded)));
                    self.changed.notify_all();
                }
            }
        }
    }

    fn turn(&self, state: &mut State<T>, gathered: &mut Gathered<'_, T>) -> Result<Turn<T>> {
        while gathered.next < gathered.step.chunks.len() {
            let number = gathered.next;
            match gathered.look(state, number)? {
                None => {}
                // A stream is read by one worker at a time, and in order, also past chunks that only others need.
                Some(_) if self.ascending => {
                    let front = if state.reading { None } else { state.queue.pop_front() };
                    return Ok(front.map_or(Turn::Wait, |chunk| self.begin(state, chunk, 0)));
                }
                Some(&Slot::Admitted(load)) => return Ok(self.begin(state, gathered.chunk(number), load)),
                Some(_) => gathered.awaited.push(number),
            }
            gathered.next += 1;
        }
        let awaited = std::mem::take(&mut gathered.awaited);
        for number in awaited {
            if gathered.look(state, number)?.is_some() {
                gathered.awaited.push(number);
            }
        }
        Ok(if gathered.awaited.is_empty() { Turn::Take } else { Turn::Wait })
    }

    fn begin(&self, state: &mut State<T>, chunk: Chunk, number: u64) -> Turn<T> {
        state.slots.insert(chunk, Slot::Decoding);
        state.reading = self.ascending;
        let memory = state.pool.pop().unwrap_or_else(|| vec![T::default(); self.chunk_len]);
        Turn::Decode(chunk, number, memory)
    }

    /// Wakes all who wait, since the run ends.
    pub(super) fn wake(&self) {
        drop(self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A chunk decoded, out of what was fetched ahead where there is read-ahead; `None` when the run has ended.
pub(super) fn decode<T: Voxel>(
    shared: &Shared<'_, T>,
    chunk: Chunk,
    number: u64,
    mut memory: Vec<T>,
) -> Result<Option<DecodedChunk<T>>> {
    let source = shared.pass.source;
    let layout = source.layout();
    let region = layout.chunk_region(chunk.at);
    let volumes = volumes_of(layout, chunk.group);
    let into = BlockMut::new(region, volumes, &mut memory[..region.voxels() as usize * volumes]);
    let read = || match &shared.ahead {
        None => source.read(chunk.group, into).map(Some),
        Some(ahead) => match ahead.take(number, &shared.halt)? {
            Some(fetched) => source.read_fetched(fetched, into).map(Some),
            None => Ok(None),
        },
    };
    let done = read().map_err(|source| Error::Read { outer: chunk.group, region, source: Box::new(source) })?;
    Ok(done.map(|()| DecodedChunk { region, volumes, voxels: memory }))
}

/// Stacked volumes that a read of `group` fills: members times components.
pub(super) fn volumes_of(layout: &Layout, group: u64) -> usize {
    layout.outer.members_of(group) as usize * layout.components
}
