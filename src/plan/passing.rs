//! Plans in which chunks pass by: each chunk is decoded, added to the partial results of a column of blocks, and freed.
//!
//! Memory holds some decoded chunks, the unfinished blocks of a column, and partial results. It does not grow with the number of
//! source voxels that a target voxel needs. A chunk that two columns need is decoded for each of them.

use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    ops::Range,
};

use super::{
    ChunkBox, ChunkMap, Memory, Order, Plan, Request, WalkTotals, Workers, aside,
    candidate::{DECODE_COST, NARROW_GATE_COST, STORAGE_COST, target_bytes, voxel_bytes},
    columns::{Column, Columns, slab_count, slabs, union},
    lines::Lines,
};
use crate::{
    error::PlanError,
    layout::Access,
    region::Region,
    resample::{Carrying, Extents},
};

/// Parts that an axis across the columns is cut into, at most.
const PARTS: [u64; 14] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128];
/// Thicknesses of blocks along the columns, in write units; of raw targets, parts that the axis is cut into.
const THICKNESSES: [u64; 4] = [1, 2, 4, 8];
const RAW_PARTS: [u64; 5] = [1, 2, 4, 16, 64];
/// Shards that a column may leave open at once, as the sink counts their indexes.
const MOST_OPEN_SHARDS: u64 = 64;
/// Target voxels along an axis beyond which taps are not looked at one by one.
const LONGEST_AXIS: u64 = 1 << 22;
/// Blocks and source chunks along an axis at most, which are looked at for each block shape.
const MOST_PARTS: u64 = 1 << 13;
/// Columns looked at one by one, at most, where only a part of the target is to be made.
const MOST_COLUMNS: u64 = 1 << 16;

/// The cheapest such plan that fits; `None` where the op cannot carry partial results, or source or target rule it out.
///
/// # Errors
/// Refuses with the smallest budget that works.
pub(super) fn cheapest(request: &Request<'_>) -> Option<Result<Plan, PlanError>> {
    let op = request.footprint.carrying()?;
    let shares_chunks = request.source.outer.largest_group() > 1;
    if request.source.access != Access::Chunked || (request.target.access == Access::Ascending && shares_chunks) {
        return None;
    }
    let (shape, counts) = (request.footprint.target_shape(), request.source.chunk_counts());
    if shape.iter().any(|&n| n > LONGEST_AXIS) || counts.iter().any(|&n| n > MOST_PARTS) {
        return None;
    }
    let ground = PassingShape::new(request, op);
    let mut smallest = (u64::MAX, [0; 3], 0);
    let mut best: Option<(f64, Candidate<'_>, Workers)> = None;
    for block in ground.blocks() {
        let candidate = Candidate::new(&ground, block);
        if !candidate.fits_shards() {
            continue;
        }
        for workers in workers(request) {
            let memory = candidate.memory(workers);
            if memory.total() > request.budget.memory_bytes {
                if memory.total() < smallest.0 {
                    smallest = (memory.total(), block, memory.window);
                }
                continue;
            }
            let cost = candidate.cost(workers, candidate.decodes() as f64);
            if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
                best = Some((cost, candidate.clone(), workers));
            }
        }
    }
    let (smallest_bytes, block, window_bytes) = smallest;
    let memory_bytes = request.budget.memory_bytes;
    match best {
        Some((_, candidate, workers)) => candidate.plan(workers).map(Ok),
        None if smallest_bytes == u64::MAX => None,
        None => {
            let has_chunks = request.target.access == Access::Chunked;
            Some(Err(PlanError::TooSmall {
                memory_bytes,
                smallest_bytes,
                block,
                window_bytes,
                has_chunks,
                instead: None,
            }))
        }
    }
}

/// How many decode side by side, and how many decoded chunks there may be.
fn workers(request: &Request<'_>) -> Vec<Workers> {
    let mut workers = Vec::new();
    let mut count = request.budget.threads.max(1);
    while count > 1 {
        workers.extend([2, 1].map(|times| Workers { count, gate: count as u64 * times }));
        count /= 2;
    }
    workers.push(Workers { count: 1, gate: 1 });
    workers
}

/// What all candidates have in common.
struct PassingShape<'a> {
    request: &'a Request<'a>,
    op: &'a dyn Carrying,
    shape: [u64; 3],
    /// Target axis of each source axis.
    axes: [usize; 3],
    /// For one column that is the whole target.
    extents: Extents,
    /// By the thickness of blocks along the columns: voxels that are begun and not handed on, at most.
    depths: RefCell<HashMap<u64, u64>>,
    /// Tables that blocks share.
    lines: RefCell<Lines<'a>>,
}

impl<'a> PassingShape<'a> {
    fn new(request: &'a Request<'a>, op: &'a dyn Carrying) -> PassingShape<'a> {
        let shape = request.footprint.target_shape();
        let extents = Extents::new(op, Region::of_shape(shape), request.source.chunk);
        let axes = std::array::from_fn(|s| op.target_axis(s));
        let lines = RefCell::new(Lines::new(request));
        PassingShape { request, op, shape, axes, extents, depths: RefCell::default(), lines }
    }

    fn depth(&self, block: [u64; 3]) -> u64 {
        let most = || slabs(self.op, Region::of_shape(self.shape), block, self.request.source.chunk).1 as u64;
        *self.depths.borrow_mut().entry(block[self.axes[2]]).or_insert_with(most)
    }

    /// Blocks worth a trial: the whole target across the columns first, then parts of it.
    fn blocks(&self) -> Vec<[u64; 3]> {
        let (target, shape) = (self.request.target, self.shape);
        if target.access == Access::Ascending {
            // Units come in their own order: there is one block.
            return vec![std::array::from_fn(|a| shape[a].next_multiple_of(target.chunk[a]))];
        }
        let is_coarse = |block: &[u64; 3]| (0..3).all(|a| shape[a].div_ceil(block[a].max(1)) <= MOST_PARTS);
        let unit = if target.access == Access::Random { [1; 3] } else { target.chunk };
        let units: [u64; 3] = std::array::from_fn(|a| shape[a].div_ceil(unit[a]));
        let [slow, fast, axis] = self.axes;
        let cuts = |a: usize, parts: &[u64]| {
            let mut cuts: Vec<u64> = parts.iter().map(|&parts| units[a].div_ceil(parts)).chain([1]).collect();
            cuts.dedup();
            cuts
        };
        let mut along: Vec<u64> = match target.access {
            Access::Random => cuts(axis, &RAW_PARTS),
            _ => THICKNESSES.iter().map(|&n| n.min(units[axis])).collect(),
        };
        along.dedup();
        let mut blocks = Vec::new();
        for a in cuts(slow, &PARTS) {
            for b in cuts(fast, &PARTS) {
                for &c in &along {
                    let mut factors = [0; 3];
                    (factors[slow], factors[fast], factors[axis]) = (a, b, c);
                    let block = std::array::from_fn(|a| unit[a].saturating_mul(factors[a]));
                    blocks.extend(Some(block).filter(is_coarse));
                }
            }
        }
        blocks
    }

    /// The chunks along source axis `s` that blocks of `block` voxels along its target axis need, in order.
    fn reaches(&self, s: usize, block: u64) -> Vec<Range<u64>> {
        let (t, whole) = (self.axes[s], Region::of_shape(self.shape));
        let chunk = self.request.source.chunk;
        let reach = |n: u64| {
            let mut slab = whole;
            slab.lo[t] = (n * block) as i64;
            slab.hi[t] = slab.hi[t].min(((n + 1) * block) as i64);
            let chunks = ChunkBox::of(self.request.footprint.source_region(slab), chunk);
            chunks.lo[s]..chunks.hi[s]
        };
        (0..self.shape[t].div_ceil(block)).map(reach).collect()
    }
}

/// A block shape, with what is held for its columns.
#[derive(Clone)]
struct Candidate<'a> {
    ground: &'a PassingShape<'a>,
    block: [u64; 3],
    /// Voxels of a column that are begun and not handed on, at most.
    board: [u64; 3],
    carried_bytes: u64,
    /// Bytes of the tables that the walk over the columns has.
    table_bytes: u64,
    /// Bytes that go to storage for all volumes, in whole pages where those count.
    stored_bytes: OnceCell<f64>,
    totals: OnceCell<WalkTotals>,
}

impl<'a> Candidate<'a> {
    fn new(ground: &'a PassingShape<'a>, block: [u64; 3]) -> Candidate<'a> {
        let (shape, axis) = (ground.shape, ground.axes[2]);
        let target: [u64; 3] = std::array::from_fn(|a| if a == axis { shape[a] } else { block[a].min(shape[a]) });
        let extents = ground.extents.within(std::array::from_fn(|s| target[ground.axes[s]] as usize));
        let mut board = target;
        board[axis] = ground.depth(block).min(shape[axis]);
        Candidate {
            ground,
            block,
            board,
            carried_bytes: ground.op.carried_bytes(&extents),
            table_bytes: ChunkMap::with(&mut ground.lines.borrow_mut(), block).table_bytes(),
            stored_bytes: OnceCell::new(),
            totals: OnceCell::new(),
        }
    }

    /// Whether no more shards are begun at once than the sink counts.
    fn fits_shards(&self) -> bool {
        let (target, shape) = (self.ground.request.target, self.ground.shape);
        let Some(shard) = target.shard else { return true };
        let [slow, fast, axis] = self.ground.axes;
        let is_whole = |a: usize| self.block[a].is_multiple_of(shard[a]) || self.block[a] >= shape[a];
        let along = if is_whole(slow) && is_whole(fast) { self.board[axis] } else { shape[axis] };
        let open = [slow, fast].map(|a| self.block[a].min(shape[a]).div_ceil(shard[a]));
        let open = (open[0] * open[1]).saturating_mul(along.div_ceil(shard[axis]) + 1);
        open.saturating_mul(self.ground.request.source.outer.largest_group()) <= MOST_OPEN_SHARDS
            || self.block == target.chunk
    }

    fn memory(&self, workers: Workers) -> Memory {
        let request = self.ground.request;
        let group = request.source.outer.largest_group();
        let board = (self.board, self.table_bytes);
        let all = Memory::of_block(request, board, 0, workers);
        // One worker at a time hands finished blocks on.
        let one = Memory::of_block(request, board, 0, Workers { count: 1, gate: 1 });
        Memory {
            window: self.chunk_bytes().saturating_mul(workers.gate),
            targets: one.targets.saturating_mul(group),
            pieces: self.carried_bytes.saturating_mul(group).saturating_mul(request.target.components as u64),
            waiting: one.waiting,
            ..all
        }
    }

    /// Bytes of a decoded chunk, all volumes of its group.
    fn chunk_bytes(&self) -> u64 {
        let request = self.ground.request;
        let of_one = request.source.chunk.iter().fold(voxel_bytes(request), |n, &e| n.saturating_mul(e));
        of_one.saturating_mul(request.source.outer.largest_group())
    }

    /// Sums over all columns of the whole target: products of those along both axes across them.
    fn totals(&self) -> WalkTotals {
        *self.totals.get_or_init(|| {
            let (ground, outer) = (self.ground, &self.ground.request.source.outer);
            let across = [0, 1].map(|s| ground.reaches(s, self.block[ground.axes[s]]));
            let along = ground.reaches(2, self.block[ground.axes[2]]);
            let len = |reach: &Range<u64>| reach.end.saturating_sub(reach.start);
            let sums = across.each_ref().map(|reaches| reaches.iter().map(len).fold(0, u64::saturating_add));
            let [unions @ .., layers] = {
                let [a, b] = across;
                [a, b, along].map(numbers)
            };
            let product = |of: [u64; 4]| of.into_iter().fold(1, u64::saturating_mul);
            let counts: [u64; 3] = std::array::from_fn(|a| ground.shape[a].div_ceil(self.block[a]));
            WalkTotals {
                blocks: product([counts[0], counts[1], counts[2], outer.volumes()]),
                decodes: product([sums[0], sums[1], layers, outer.groups()]),
                distinct: product([unions[0], unions[1], layers, outer.groups()]),
                most_held: 0,
            }
        })
    }

    fn decodes(&self) -> u64 {
        self.totals().decodes
    }

    /// Relative time of a run with so many decodes: they go on side by side, and what is made of them one after the other.
    fn cost(&self, workers: Workers, decodes: f64) -> f64 {
        let request = self.ground.request;
        let (count, volumes) = (workers.count as f64, request.target.outer.volumes() as f64);
        let narrow = if workers.count > 1 && workers.gate <= workers.count as u64 { NARROW_GATE_COST } else { 1.0 };
        let decoded_bytes = decodes * self.chunk_bytes() as f64;
        let written = Region::of_shape(self.ground.shape).voxels() as f64 * voxel_bytes(request) as f64 * volumes;
        let stored = self.stored_bytes.get_or_init(|| match request.target.access {
            Access::Random => target_bytes(request, &ChunkMap::new(request, self.block)) * volumes,
            Access::Chunked | Access::Ascending => 0.0,
        });
        decoded_bytes + written + STORAGE_COST * stored + DECODE_COST * decoded_bytes * narrow / count
    }

    fn plan(&self, workers: Workers) -> Option<Plan> {
        let request = self.ground.request;
        let (mut totals, mut exact) = (self.totals(), true);
        if request.todo.is_some_and(|todo| !todo.is_everything()) {
            (totals, exact) = self.part()?;
        }
        let memory = self.memory(workers);
        let cost = self.cost(workers, totals.decodes as f64);
        let decoding = DECODE_COST * totals.decodes as f64 * self.chunk_bytes() as f64 / workers.count as f64;
        Some(Plan {
            block: self.block,
            blocks: totals.blocks,
            order: Order::raster(),
            workers,
            helpers: 0,
            piece: self.block.map(|n| n as usize),
            passing: true,
            window_bytes: memory.window,
            ahead: 0,
            memory,
            totals: WalkTotals { most_held: workers.gate, ..totals },
            fetch_ratio: totals.amplification(),
            exact,
            decode_share: if cost > 0.0 { decoding / cost } else { 0.0 },
            cost,
            aside_bytes: aside::bytes(request.target, self.block, false),
        })
    }

    /// Sums over the columns that are to be made, and whether chunks that several of them need were told apart.
    fn part(&self) -> Option<(WalkTotals, bool)> {
        let (request, axis) = (self.ground.request, self.ground.axes[2]);
        let touch = ChunkMap::new(request, self.block);
        let (mut totals, mut seen) = (WalkTotals::default(), Seen::default());
        for (n, column) in Columns::new(&touch, request.footprint, request.source.chunk)?.enumerate() {
            let slabs = slab_count(column.region, axis, self.block[axis]);
            totals.blocks += slabs * column.volumes.len() as u64;
            totals.decodes += column.decodes();
            seen.too_many |= n as u64 > MOST_COLUMNS;
            seen.add(&column);
        }
        let distinct = seen.count();
        totals.distinct = distinct.unwrap_or_else(|| self.totals().distinct.min(totals.decodes));
        Some((totals, distinct.is_some()))
    }
}

/// Numbers that any of the ranges has.
fn numbers(ranges: Vec<Range<u64>>) -> u64 {
    union(ranges).iter().map(|range| range.end - range.start).fold(0, u64::saturating_add)
}

/// The chunks that columns need, each counted once.
#[derive(Default)]
struct Seen {
    /// By group and places along source axes 0 and 1: the ranges along axis 2.
    ranges: HashMap<(u64, u64, u64), Vec<Range<u64>>>,
    too_many: bool,
}

impl Seen {
    fn add(&mut self, column: &Column) {
        let chunks = column.chunks;
        let pairs = (chunks.hi[0] - chunks.lo[0]).saturating_mul(chunks.hi[1] - chunks.lo[1]);
        self.too_many |= (self.ranges.len() as u64).saturating_add(pairs) > MOST_COLUMNS;
        if self.too_many {
            return;
        }
        for z in chunks.lo[0]..chunks.hi[0] {
            for y in chunks.lo[1]..chunks.hi[1] {
                let ranges = self.ranges.entry((column.group, z, y)).or_default();
                ranges.extend_from_slice(&column.layers);
                *ranges = union(std::mem::take(ranges));
            }
        }
    }

    /// `None` where there are too many.
    fn count(self) -> Option<u64> {
        (!self.too_many).then(|| self.ranges.into_values().map(numbers).fold(0, u64::saturating_add))
    }
}
