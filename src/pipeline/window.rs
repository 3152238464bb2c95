//! The chunk window: every chunk is decoded by the first worker that needs it, shared, and freed by the schedule.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{Pass, halt::Halt};
use crate::{
    block::{BlockMut, BlockRef},
    error::{Error, Result},
    io::{Access, Layout, Source},
    plan::{Chunk, Step},
    region::Region,
    voxel::Voxel,
};

/// A decoded chunk: its region and the voxels of all volumes of its group.
#[derive(Debug)]
pub struct Decoded<T> {
    pub region: Region,
    pub volumes: usize,
    voxels: Vec<T>,
}

impl<T: Voxel> Decoded<T> {
    pub fn block(&self) -> BlockRef<'_, T> {
        let len = self.region.voxels() as usize * self.volumes;
        BlockRef::new(self.region, self.volumes, &self.voxels[..len])
    }
}

/// The decoded chunks of a pass.
#[derive(Debug)]
pub struct Window<T> {
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
    /// Ascending sources: whether somebody reads the stream.
    reading: bool,
}

#[derive(Debug)]
enum Slot<T> {
    Admitted,
    Decoding,
    Ready(Arc<Decoded<T>>),
}

/// What a worker that needs chunks is to do next.
enum Turn<T> {
    Take(Vec<Arc<Decoded<T>>>),
    Decode(Chunk, Vec<T>),
    Wait,
}

impl<T: Voxel> Window<T> {
    pub fn new(pass: &Pass<'_, T>) -> Window<T> {
        let layout = pass.source.layout();
        let state = State { slots: HashMap::new(), pool: Vec::new(), queue: VecDeque::new(), reading: false };
        Window {
            state: Mutex::new(state),
            changed: Condvar::new(),
            chunk_len: (pass.touch.chunk_bytes / size_of::<T>() as u64) as usize,
            ascending: layout.access == Access::Ascending,
        }
    }

    /// Frees and admits what the schedule names. Called in schedule order.
    pub fn admit(&self, step: &Step) {
        let mut state = self.lock();
        for chunk in &step.frees {
            if let Some(Slot::Ready(decoded)) = state.slots.remove(chunk)
                && let Some(decoded) = Arc::into_inner(decoded)
            {
                state.pool.push(decoded.voxels);
            }
        }
        for &chunk in &step.loads {
            state.slots.insert(chunk, Slot::Admitted);
            if self.ascending {
                state.queue.push_back(chunk);
            }
        }
    }

    /// The chunks of a block, in C order; decodes those that nobody has begun, waits for the others.
    ///
    /// `None` when the run has ended.
    pub fn acquire(&self, step: &Step, source: &dyn Source<T>, halt: &Halt) -> Result<Option<Vec<Arc<Decoded<T>>>>> {
        let mut state = self.lock();
        loop {
            if halt.is_halted() {
                return Ok(None);
            }
            match self.turn(&mut state, step)? {
                Turn::Take(chunks) => return Ok(Some(chunks)),
                Turn::Wait => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Turn::Decode(chunk, memory) => {
                    drop(state);
                    let decoded = decode(source, chunk, memory)?;
                    state = self.lock();
                    state.reading = false;
                    state.slots.insert(chunk, Slot::Ready(Arc::new(decoded)));
                    self.changed.notify_all();
                }
            }
        }
    }

    fn turn(&self, state: &mut State<T>, step: &Step) -> Result<Turn<T>> {
        let mut ready = Vec::with_capacity(step.chunks.len() as usize);
        for at in step.chunks.iter() {
            let chunk = Chunk { group: step.group, at };
            match state.slots.get(&chunk) {
                Some(Slot::Ready(decoded)) => ready.push(Arc::clone(decoded)),
                Some(Slot::Admitted) if !self.ascending => return Ok(self.begin(state, chunk)),
                Some(_) => {}
                None => return Err(Error::Panic { message: format!("chunk {:?} is not in the window", chunk.at) }),
            }
        }
        if ready.len() as u64 == step.chunks.len() {
            return Ok(Turn::Take(ready));
        }
        // A stream is read by one worker at a time, and in order, also past chunks that only others need.
        if self.ascending
            && !state.reading
            && let Some(chunk) = state.queue.pop_front()
        {
            return Ok(self.begin(state, chunk));
        }
        Ok(Turn::Wait)
    }

    fn begin(&self, state: &mut State<T>, chunk: Chunk) -> Turn<T> {
        state.slots.insert(chunk, Slot::Decoding);
        state.reading = self.ascending;
        let memory = state.pool.pop().unwrap_or_else(|| vec![T::default(); self.chunk_len]);
        Turn::Decode(chunk, memory)
    }

    pub fn wake(&self) {
        drop(self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn decode<T: Voxel>(source: &dyn Source<T>, chunk: Chunk, mut memory: Vec<T>) -> Result<Decoded<T>> {
    let layout = source.layout();
    let region = layout.chunk_region(chunk.at);
    let volumes = volumes_of(layout, chunk.group);
    let len = region.voxels() as usize * volumes;
    source.read(chunk.group, BlockMut::new(region, volumes, &mut memory[..len])).map_err(|source| Error::Read {
        outer: chunk.group,
        region,
        source: Box::new(source),
    })?;
    Ok(Decoded { region, volumes, voxels: memory })
}

/// Stacked volumes that a read of `group` fills: members times components.
fn volumes_of(layout: &Layout, group: u64) -> usize {
    layout.outer.members(group).len() * layout.components
}
