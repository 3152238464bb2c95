//! The sum of everything that is resident at once.

use serde::Serialize;

use super::{ChunkMap, Request};
use crate::{layout::Access, region::Region};

/// How many blocks are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Workers {
    pub count: usize,
    /// No block is begun that is this far ahead of the lowest unfinished one.
    pub gate: u64,
}

/// Projected memory by purpose, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// The process before the run, and a margin for allocators and stacks.
    pub reserved: u64,
    /// Tables of the op and of the schedule, indexes and decoder states of the formats.
    pub tables: u64,
    /// Decoded chunks.
    pub window: u64,
    /// Target blocks of all workers.
    pub targets: u64,
    /// Fetched pieces and scratch of all workers.
    pub pieces: u64,
    /// Encoded bytes, mapped pages and codecs of all workers.
    pub transfers: u64,
    /// Encoded blocks that wait for their turn.
    pub waiting: u64,
    /// Stored chunks fetched ahead of their decode.
    pub ahead: u64,
}

/// Stack and allocator memory that a worker takes.
pub(super) const WORKER_BYTES: u64 = 512 << 10;
/// The same of a thread that only fetches.
const FETCHER_BYTES: u64 = 128 << 10;
/// Bytes of a raw target that are written at once where planes are small.
const WRITE_BYTES: u64 = 64 << 10;
/// The part of the budget that chunks fetched ahead may take.
const AHEAD_SHARE: u64 = 8;
/// Allocator slack, what the calling thread and those that keep the lease and the journal hold, and code that is first run after the plan.
const MARGIN_BYTES: u64 = 5 << 20;

impl Memory {
    /// Everything but the window, for blocks and chunks that `touch` has tables of.
    pub fn without_window(request: &Request<'_>, touch: &ChunkMap, piece_bytes: u64, workers: Workers) -> Memory {
        Memory::of_block(request, (touch.block, touch.table_bytes()), piece_bytes, workers)
    }

    /// The same for blocks of a shape that have tables of so many bytes.
    pub fn of_block(
        request: &Request<'_>,
        (block, touch_bytes): ([u64; 3], u64),
        piece_bytes: u64,
        workers: Workers,
    ) -> Memory {
        let count = workers.count as u64;
        let voxels = block.iter().fold(1u64, |n, &e| n.saturating_mul(e));
        let samples = voxels.saturating_mul(request.target.components as u64);
        let block_bytes = samples.saturating_mul(request.sample_bytes as u64);
        let shape = request.footprint.target_shape();
        let largest = Region::of_shape(std::array::from_fn(|a| block[a].min(shape[a])));
        let beside_bytes = request.footprint.beside_bytes(largest);
        let stored_bytes = samples.saturating_mul(request.target.stored.bytes() as u64);
        // What is encoded at once: for streams whole blocks, which may wait for their turn; for positioned files some
        // planes of a block at most; chunks are counted by the sink.
        let plane_bytes = stored_bytes / block[0].max(1);
        let (waiting, encoding) = match request.target.access {
            Access::Ascending => (stored_bytes.saturating_mul(workers.gate), 0),
            Access::Random => (0, plane_bytes.saturating_mul(planes_at_once(plane_bytes)).min(stored_bytes)),
            Access::Chunked => (0, 0),
        };
        let transfer = request.source.transfer_bytes.saturating_add(request.target.transfer_bytes);
        let op_bytes = request.footprint.table_bytes();
        let resident_bytes = request.source.resident_bytes.saturating_add(request.target.resident_bytes);
        Memory {
            reserved: request.budget.reserved_bytes + MARGIN_BYTES + count * WORKER_BYTES,
            tables: op_bytes.saturating_add(resident_bytes).saturating_add(touch_bytes),
            window: 0,
            targets: count.saturating_mul(block_bytes.saturating_add(beside_bytes)),
            pieces: count.saturating_mul(piece_bytes),
            transfers: count.saturating_mul(transfer.saturating_add(encoding)),
            waiting,
            ahead: 0,
        }
    }

    /// All parts together.
    pub fn total(&self) -> u64 {
        let parts = [self.reserved, self.tables, self.window, self.targets, self.pieces, self.transfers];
        parts.into_iter().chain([self.waiting, self.ahead]).fold(0, u64::saturating_add)
    }
}

/// How many planes of a block, of so many bytes each, go to a positioned file at once: one, or as many small ones as are worth a
/// call to the kernel.
pub fn planes_at_once(plane_bytes: u64) -> u64 {
    (WRITE_BYTES / plane_bytes.max(1)).max(1)
}

/// How many chunks are fetched ahead: as many as are worth it, within an eighth of the budget.
pub(super) fn ahead(request: &Request<'_>) -> u64 {
    let worth = request.source.ahead;
    (request.budget.memory_bytes / AHEAD_SHARE / (worth.chunk_bytes + FETCHER_BYTES)).min(worth.chunks)
}

/// Memory that so many chunks and those who fetch them take.
pub(super) fn ahead_bytes(request: &Request<'_>, chunks: u64) -> u64 {
    chunks.saturating_mul(request.source.ahead.chunk_bytes + FETCHER_BYTES)
}
