//! What will be done, decided by a dry run before one voxel is read.
//!
//! A [`Plan`] fixes block shape, order, number of workers and the size of the chunk window, and projects the peak of
//! resident memory and the chunk decodes, or refuses with numbers. Pure: it sees formats as [`Layout`]s and ops as
//! [`Footprint`]s. The run walks the same [`Walk`] that the dry run walked, so that both decode the same chunks.

use std::sync::Arc;

use serde::Serialize;

use crate::{error::PlanError, layout::Layout, region::in_file_order, resample::Footprint};

mod aside;
mod candidate;
mod candidates;
mod chunk_map;
mod chunks;
mod columns;
mod helpers;
mod limits;
mod lines;
mod memory;
mod offers;
mod order;
mod passing;
mod pieces;
mod refusal;
mod schedule;
mod search;
mod shares;
mod slabs;
mod sweeps;
mod todo;
mod walk;
mod widths;

pub use chunk_map::ChunkMap;
pub use chunks::{Chunk, ChunkBox};
pub use columns::{Column, Columns, Pass as PassingChunk, Passes, Slab, slabs};
pub use memory::{Memory, Workers, planes_at_once};
pub use offers::Offer;
pub use order::{Level, Order};
pub use pieces::Pieces;
pub use shares::Partition;
pub use todo::{DoneLevel, Share, Todo};
pub use walk::{Step, Walk, WalkTotals, WindowTooSmall};

/// Amplification up to which chunks count as decoded once.
const ONCE: f64 = 1.02;
/// Part of the cost of holding chunks from which on they had better pass by, where both fit: one worker at a time takes them in.
const WORTH_PASSING: f64 = 0.8;

/// How much a plan is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Effort {
    /// As much as makes a good plan, or a refusal with the smallest budget that works.
    #[default]
    Full,
    /// The same, but a refusal names no budget.
    Fits,
    /// As much as tells about what a budget would buy; a refusal names none.
    Estimate,
}

impl Effort {
    /// The part of all looks that are taken.
    fn parts(self) -> u64 {
        match self {
            Effort::Full | Effort::Fits => 1,
            Effort::Estimate => 8,
        }
    }
}

/// What a run may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Ceiling of the resident memory of the whole process.
    pub memory_bytes: u64,
    /// Workers at most; a plan takes fewer where the memory asks for it, and says so.
    pub threads: usize,
    /// Resident memory of the process before the run starts.
    pub reserved_bytes: u64,
    pub effort: Effort,
}

impl Budget {
    /// For a plan that is looked for as much as can be.
    pub fn new(memory_bytes: u64, threads: usize, reserved_bytes: u64) -> Budget {
        Budget { memory_bytes, threads, reserved_bytes, effort: Effort::Full }
    }
}

/// Everything a plan is made from.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub footprint: &'a dyn Footprint,
    pub source: &'a Layout,
    pub target: &'a Layout,
    /// Bytes of one sample in the pipeline.
    pub sample_bytes: usize,
    pub budget: Budget,
    /// What of the target is to be made; `None` for all of it.
    pub todo: Option<&'a Arc<Todo>>,
}

/// A schedule that fits the budget.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Voxels of one block, storage order; a union of write units. Told in file order.
    #[serde(serialize_with = "in_file_order")]
    pub block: [u64; 3],
    /// Blocks of the run, all volumes.
    pub blocks: u64,
    pub order: Order,
    pub workers: Workers,
    /// Threads beside the workers that compute pieces of their blocks.
    pub helpers: usize,
    /// Voxels of one piece: a block is fetched and computed piece by piece. Told in file order.
    #[serde(serialize_with = "in_file_order")]
    pub piece: [usize; 3],
    /// Whether chunks pass by one after the other, and partial results are carried on for a column of blocks; else all chunks of a
    /// block are held at once.
    pub passing: bool,
    /// Bytes that decoded chunks may hold; 0 for sources without chunks.
    pub window_bytes: u64,
    /// Stored chunks fetched ahead of their decode at most; 0 where storage answers at once.
    pub ahead: u64,
    pub memory: Memory,
    /// What the dry run counted.
    pub totals: WalkTotals,
    /// Source voxels copied or converted into pieces, halo included, over the voxels that are needed at least once.
    pub fetch_ratio: f64,
    /// Whether the dry run walked everything; otherwise `totals` and what follows from it are extrapolated.
    pub exact: bool,
    /// The part of the projected time that decoding takes.
    pub decode_share: f64,
    /// Relative time that the search compared plans by.
    #[serde(skip)]
    pub cost: f64,
    /// Bytes of voxels that wait in files until their shard can take them, about and at most, before compression.
    #[serde(skip)]
    pub aside_bytes: u64,
}

impl Plan {
    /// The cheapest schedule that fits the budget.
    ///
    /// # Errors
    /// Refuses with the smallest budget that works.
    pub fn new(request: &Request<'_>) -> Result<Plan, PlanError> {
        Plan::of_workers(request).map(|plan| plan.with_helpers(request))
    }

    fn of_workers(request: &Request<'_>) -> Result<Plan, PlanError> {
        let ahead = memory::ahead(request);
        let kept_bytes = memory::ahead_bytes(request, ahead);
        if kept_bytes == 0 {
            return cheapest(request);
        }
        let memory_bytes = request.budget.memory_bytes - kept_bytes;
        let beside = Request { budget: Budget { memory_bytes, ..request.budget }, ..*request };
        match cheapest(&beside) {
            Ok(plan) => Ok(Plan { ahead, memory: Memory { ahead: kept_bytes, ..plan.memory }, ..plan }),
            // Too tight for it: chunks are then fetched by the workers that need them.
            Err(_) => cheapest(request),
        }
    }

    /// The schedule of the blocks whose chunks are held at once, from the start. Dry runs and real runs walk it alike.
    pub fn walk<'a>(&'a self, touch: &'a ChunkMap) -> Walk<'a> {
        Walk::new(touch, &self.order, self.window_bytes, self.workers.gate)
    }

    /// The schedule of the chunks that pass by, from the start. Dry runs and real runs walk it alike. `None` where they do not.
    pub fn passes<'a>(&self, touch: &'a ChunkMap, footprint: &'a dyn Footprint, source: &Layout) -> Option<Passes<'a>> {
        let columns = self.passing.then(|| Columns::new(touch, footprint, source.chunk));
        columns.flatten().map(Passes::new)
    }

    /// Which chunks its blocks touch.
    pub fn touch(&self, request: &Request<'_>) -> ChunkMap {
        ChunkMap::new(request, self.block)
    }

    /// What other budgets would buy, by ascending memory, this plan's among them; nothing where no chunk is ever decoded
    /// twice.
    pub fn offers(&self, request: &Request<'_>) -> Vec<Offer> {
        offers::offers(request, self)
    }

    /// Projected peak of resident memory.
    pub fn projected_bytes(&self) -> u64 {
        self.memory.total()
    }
}

/// The cheapest schedule: with the chunks of a block held at once or, where that does not fit or decodes much twice, passing by.
fn cheapest(request: &Request<'_>) -> Result<Plan, PlanError> {
    let held = search::cheapest(request);
    if held.as_ref().is_ok_and(|plan| plan.totals.amplification() <= ONCE) {
        return held;
    }
    match (held, passing::cheapest(request)) {
        (held, None) => held,
        (Ok(held), Some(passing)) => {
            Ok(passing.ok().filter(|passing| passing.cost < WORTH_PASSING * held.cost).unwrap_or(held))
        }
        (Err(_), Some(Ok(passing))) => Ok(passing),
        (Err(held), Some(Err(passing))) => {
            Err(if passing.smallest_bytes() < held.smallest_bytes() { passing } else { held })
        }
    }
}
