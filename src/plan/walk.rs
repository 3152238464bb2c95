//! The schedule, block by block: which chunks to load before each, and which to let go.
//!
//! The order is known, so the best replacement is too: when the window is full, the chunk whose next use is farthest goes
//! (Belady 1966, algorithm MIN). Chunks of the last `gate` blocks are pinned, because those blocks may still be under way.
//! The dry run and the real run walk this same iterator; whatever it names is loaded and freed.

use std::collections::{BTreeSet, VecDeque};

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::{
    Chunk, ChunkBox, ChunkMap, Order,
    schedule::{NEVER, Schedule, Visit},
};
use crate::{layout::Access, region::Region};

/// One block of the schedule.
#[derive(Clone, Debug)]
pub struct Step {
    /// Number in the schedule, from 0.
    pub number: u64,
    /// The volume this block belongs to.
    pub volume: u64,
    /// Outer group of the volume, and its place among the group's members.
    pub group: u64,
    pub member: u64,
    pub region: Region,
    /// The chunks this block reads.
    pub chunks: ChunkBox,
    /// To be freed before this block begins: no block that is still under way reads them.
    pub frees: Vec<Chunk>,
    /// To be decoded for this block; in ascending order.
    pub loads: Vec<Chunk>,
}

/// Sums over a walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct WalkTotals {
    pub blocks: u64,
    /// Chunk decodes.
    pub decodes: u64,
    /// Chunks that are decoded at least once.
    pub distinct: u64,
    /// Most chunks held at once.
    pub most_held: u64,
}

impl WalkTotals {
    /// Decodes over chunks touched; 1 where nothing is decoded.
    pub fn amplification(&self) -> f64 {
        if self.distinct == 0 { 1.0 } else { self.decodes as f64 / self.distinct as f64 }
    }
}

/// What the window knows of a chunk it holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Place of the next use in the order; [`NEVER`] when there is none.
    next_use: u128,
    /// The last block that used it.
    last_block: u64,
}

/// The walk itself. Memory is a few words for each chunk held.
#[derive(Debug)]
pub struct Walk<'a> {
    touch: &'a ChunkMap,
    places: Schedule<'a>,
    /// Chunks that may be held at once.
    capacity: u64,
    gate: u64,
    /// Where it begins; nothing for the first block.
    start: Option<[u64; 3]>,
    place: Option<Visit>,
    number: u64,
    held: FxHashMap<Chunk, Held>,
    /// Chunks that may go: no block that may be under way reads them.
    by_next_use: BTreeSet<(u128, Chunk)>,
    /// Uses by the last `gate` blocks, with the block's number.
    recent: VecDeque<(u64, Chunk)>,
    /// Chunks without further use, with the last block that used them.
    spent: VecDeque<(u64, Chunk)>,
    /// Ascending sources: chunks before this one have gone by.
    front: Chunk,
    totals: WalkTotals,
}

/// The window cannot hold what one stretch of the schedule needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowTooSmall;

impl<'a> Walk<'a> {
    /// A walk that holds `window_bytes` of decoded chunks at most and keeps those of the last `gate` blocks.
    pub fn new(touch: &'a ChunkMap, order: &'a Order, window_bytes: u64, gate: u64) -> Walk<'a> {
        Walk {
            touch,
            places: Schedule::new(touch, order),
            capacity: window_bytes / touch.chunk_bytes.max(1),
            gate,
            start: None,
            place: None,
            number: 0,
            held: FxHashMap::default(),
            by_next_use: BTreeSet::new(),
            recent: VecDeque::new(),
            spent: VecDeque::new(),
            front: Chunk { group: 0, at: [0; 3] },
            totals: WalkTotals::default(),
        }
    }

    /// The same walk from block `at` of the first volume on, with an empty window: for samples of long schedules.
    pub fn beginning_at(self, at: [u64; 3]) -> Walk<'a> {
        Walk { start: Some(at), ..self }
    }

    /// Regions of the source that were asked for so far, where there are no tables.
    pub fn looks(&self) -> u64 {
        self.places.looks()
    }

    /// Sums over the steps so far.
    pub fn totals(&self) -> WalkTotals {
        self.totals
    }

    /// The next block, or `None` after the last.
    ///
    /// # Errors
    /// The window is too small for this block and those that may be under way beside it.
    pub fn step(&mut self) -> Result<Option<Step>, WindowTooSmall> {
        let Some(place) = self.places.next(self.place, self.start) else { return Ok(None) };
        self.place = Some(place);
        let chunks = self.touch.chunks(place.at);
        let mut step = Step {
            number: self.number,
            volume: place.volume,
            group: place.group,
            member: place.member,
            region: self.places.region(&place),
            chunks,
            frees: Vec::new(),
            loads: Vec::new(),
        };
        if !chunks.is_empty() {
            self.free_spent(&mut step);
            self.unpin();
            self.load(place, &mut step)?;
        }
        self.number += 1;
        self.totals.blocks += 1;
        self.totals.decodes += step.loads.len() as u64;
        self.totals.most_held = self.totals.most_held.max(self.held.len() as u64);
        Ok(Some(step))
    }

    /// Frees chunks without further use, once no block that reads them can be under way.
    fn free_spent(&mut self, step: &mut Step) {
        while let Some(&(last_block, chunk)) = self.spent.front() {
            if last_block + self.gate > self.number {
                break;
            }
            self.spent.pop_front();
            // A chunk of a stream that is loaded for its only block stands here twice.
            if let Some(held) = self.held.remove(&chunk) {
                self.by_next_use.remove(&(held.next_use, chunk));
                step.frees.push(chunk);
            }
        }
    }

    /// Chunks that the last `gate` blocks did not use may go from now on.
    fn unpin(&mut self) {
        while let Some(&(last_block, chunk)) = self.recent.front() {
            if last_block + self.gate > self.number {
                break;
            }
            self.recent.pop_front();
            if let Some(held) = self.held.get(&chunk)
                && held.last_block == last_block
            {
                self.by_next_use.insert((held.next_use, chunk));
            }
        }
    }

    fn load(&mut self, place: Visit, step: &mut Step) -> Result<(), WindowTooSmall> {
        for at in step.chunks.iter() {
            let chunk = Chunk { group: place.group, at };
            if self.touch.access == Access::Ascending {
                self.load_up_to(chunk, place, step)?;
            }
            if self.hold(chunk, self.places.next_use(chunk, place), self.number) {
                continue;
            }
            if self.touch.access == Access::Ascending {
                // It went by before: a stream cannot be read again.
                return Err(WindowTooSmall);
            }
            self.totals.distinct += u64::from(self.places.is_first_use(chunk, place));
            step.loads.push(chunk);
        }
        step.loads.sort_unstable();
        self.shrink(step)
    }

    /// Ascending sources: takes in every chunk up to `chunk` that this block or a later one needs.
    fn load_up_to(&mut self, chunk: Chunk, place: Visit, step: &mut Step) -> Result<(), WindowTooSmall> {
        if self.front.group < chunk.group {
            self.front = Chunk { group: chunk.group, at: [0; 3] };
        }
        while self.front <= chunk {
            let front = self.front;
            let needed_now = (0..3).all(|a| step.chunks.lo[a] <= front.at[a] && front.at[a] < step.chunks.hi[a]);
            let next_use = self.places.next_use(front, place);
            if needed_now || next_use != NEVER {
                self.totals.distinct += 1;
                step.loads.push(front);
                self.hold(front, next_use, self.number);
            }
            self.front = self.chunk_after(front);
        }
        Ok(())
    }

    fn chunk_after(&self, chunk: Chunk) -> Chunk {
        let counts = self.touch.chunk_counts.unwrap_or([1; 3]);
        let [z, y, x] = chunk.at;
        let at = if x + 1 < counts[2] {
            [z, y, x + 1]
        } else if y + 1 < counts[1] {
            [z, y + 1, 0]
        } else if z + 1 < counts[0] {
            [z + 1, 0, 0]
        } else {
            return Chunk { group: chunk.group + 1, at: [0; 3] };
        };
        Chunk { group: chunk.group, at }
    }

    /// Notes that `chunk` is in the window until its next use at least; whether it was there.
    fn hold(&mut self, chunk: Chunk, next_use: u128, last_block: u64) -> bool {
        let old = self.held.insert(chunk, Held { next_use, last_block });
        if let Some(old) = old {
            self.by_next_use.remove(&(old.next_use, chunk));
        }
        self.recent.push_back((last_block, chunk));
        if next_use == NEVER {
            self.spent.push_back((last_block, chunk));
        }
        old.is_some()
    }

    /// Lets chunks go until the window is as small as it must be: farthest next use first, none that may be in use.
    fn shrink(&mut self, step: &mut Step) -> Result<(), WindowTooSmall> {
        while self.held.len() as u64 > self.capacity {
            if self.touch.access == Access::Ascending {
                return Err(WindowTooSmall);
            }
            let Some((_, chunk)) = self.by_next_use.pop_last() else { return Err(WindowTooSmall) };
            self.held.remove(&chunk);
            step.frees.push(chunk);
        }
        Ok(())
    }
}
