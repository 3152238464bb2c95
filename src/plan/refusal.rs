//! The smallest budget that works, where the one that was given does not.

use super::{
    Memory, Request, Workers,
    candidate::{BlockShape, Candidate, voxel_bytes},
    candidates,
    limits::{STREAM_LOOKS, STREAM_SEARCH_LOOKS},
    lines::Lines,
    pieces::PieceSizer,
};
use crate::{error::PlanError, layout::Access};

/// A refusal of which the smallest budget is not looked for.
pub(super) fn unknown(request: &Request<'_>) -> PlanError {
    PlanError::TooSmall {
        memory_bytes: request.budget.memory_bytes,
        smallest_bytes: u64::MAX,
        block: [0; 3],
        window_bytes: 0,
        has_chunks: request.target.access == Access::Chunked,
        instead: None,
    }
}

/// Tables of this size are not made to find out what would go with them.
const LARGE_TABLE_BYTES: u64 = 64 << 20;
/// One worker, and a gate of one block.
const ALONE: Workers = Workers { count: 1, gate: 1 };

/// What is needed at least, so far.
struct Least {
    bytes: u64,
    block: [u64; 3],
    window_bytes: u64,
}

impl Least {
    fn offer(&mut self, memory: Memory, block: [u64; 3], window_bytes: u64) {
        let bytes = memory.total().saturating_add(window_bytes);
        if bytes < self.bytes {
            *self = Least { bytes, block, window_bytes };
        }
    }
}

/// The smallest budget that works: one worker, a gate of one block, and the chunks that such a walk holds at least.
pub(super) fn refusal(request: &Request<'_>) -> PlanError {
    let mut least = Least { bytes: u64::MAX, block: [0; 3], window_bytes: 0 };
    let mut looks_left = STREAM_SEARCH_LOOKS;
    let (mut ruler, mut lines) = (PieceSizer::new(request), Lines::new(request));
    for block in candidates::blocks(request, candidates::BLOCK_BYTES) {
        let table_bytes = lines.bytes(block);
        if table_bytes >= least.bytes {
            continue;
        }
        if table_bytes > LARGE_TABLE_BYTES {
            let pieces = ruler.smallest(block, voxel_bytes(request));
            let memory = Memory::of_block(request, (block, table_bytes), pieces.bytes, ALONE);
            let chunk_bytes = lines.chunk_bytes();
            least.offer(memory, block, lines.sampled_chunks(block).saturating_mul(chunk_bytes));
            continue;
        }
        let ground = BlockShape::new(&mut lines, block);
        let sweeps = candidates::orders(request, &ground.touch);
        // The smallest pieces take the least.
        let pieces = ruler.smallest(block, voxel_bytes(request));
        let memory = Memory::without_window(request, &ground.touch, pieces.bytes, ALONE);
        for sweep in &sweeps {
            let trial = Candidate { ground: &ground, sweep, workers: ALONE, pieces, memory };
            if memory.total().saturating_add(ground.pinned_bytes(1)) >= least.bytes {
                break;
            }
            if let Some(window_bytes) = smallest_window(&trial, &mut looks_left) {
                least.offer(memory, block, window_bytes);
            }
        }
    }
    let Least { bytes: smallest_bytes, block, window_bytes } = least;
    let (memory_bytes, has_chunks) = (request.budget.memory_bytes, request.target.access == Access::Chunked);
    PlanError::TooSmall { memory_bytes, smallest_bytes, block, window_bytes, has_chunks, instead: None }
}

/// The window that this trial works with, where its gate is a single block.
///
/// Streams cannot be read again: for them it is all that is alive at once, which only a walk can tell.
fn smallest_window(trial: &Candidate<'_>, looks_left: &mut u64) -> Option<u64> {
    let touch = &trial.ground.touch;
    if touch.access != Access::Ascending {
        return Some(trial.ground.pinned_bytes(1));
    }
    if *looks_left == 0 {
        return None;
    }
    let walked = trial.walk(u64::MAX, STREAM_LOOKS, f64::INFINITY, looks_left).ok()?;
    Some((walked.totals.most_held * touch.chunk_bytes).max(trial.ground.pinned_bytes(1)))
}
