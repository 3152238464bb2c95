//! The search: block shapes, orders, workers and piece sizes, each dry-run, the cheapest that fits.

use std::cmp::Reverse;

use super::{Memory, Order, Pieces, Plan, PlanError, Request, Touch, Walk, WalkTotals, Workers, pieces::Ruler};
use crate::io::Access;

/// Chunks looked at in the dry run of the plan that is taken; longer schedules are extrapolated from their first stretch.
const DRY_RUN_LOOKS: u64 = 1_000_000;
/// The same for streams, whose plans must hold to the end: a stream cannot be read again.
const STREAM_LOOKS: u64 = 50_000_000;
/// The same for each dry run while plans are compared.
const TRIAL_LOOKS: u64 = 40_000;
/// The same for all of them together, once there is a plan that fits.
const SEARCH_LOOKS: u64 = 4_000_000;
/// Piece sizes tried, largest first. The largest suits the caches; the others are for tight budgets.
const PIECE_BYTES: [u64; 4] = [4 << 20, 1 << 20, 256 << 10, 64 << 10];
/// Target blocks are not made larger than this by joining write units.
const BLOCK_BYTES: u64 = 16 << 20;
/// Blocks of raw targets, which could be of any size, are not made smaller than this.
const SMALL_BLOCK_BYTES: u64 = 128 << 10;
/// Shards that an order may leave open at once, where it does not go shard by shard.
const MOST_OPEN_SHARDS: u64 = 64;
/// Relative time of decoding a byte, against copying and computing it once.
const DECODE_COST: f64 = 3.0;
/// The same of bringing a byte of a raw file into memory, counted in whole pages.
const STORAGE_COST: f64 = 2.0;
/// What storage hands over at least.
const PAGE_BYTES: f64 = 4096.0;

/// A block shape with an order, and what its dry run needs.
struct Candidate {
    block: [u64; 3],
    orders: Vec<Order>,
}

pub(super) fn cheapest(request: &Request<'_>) -> Result<Plan, PlanError> {
    // Each better than the one before.
    let mut found: Vec<(Plan, Pieces)> = Vec::new();
    let mut looks_left = SEARCH_LOOKS;
    let mut ruler = Ruler::new(request.footprint);
    for candidate in candidates(request) {
        let touch = Touch::new(request, candidate.block);
        for (workers, piece_bytes) in settings(request) {
            let pieces = ruler.pieces(candidate.block, voxel_bytes(request), piece_bytes);
            let memory = Memory::without_window(request, candidate.block, pieces.bytes, workers);
            for order in &candidate.orders {
                let trial = Trial { request, touch: &touch, order, workers, pieces, memory };
                let best = found.last().map_or(f64::INFINITY, |(plan, _)| plan.cost);
                // No walk decodes less than every chunk once: most orders need not be walked to know that they lose.
                let cannot_win = trial.least_cost() >= best || (looks_left == 0 && !found.is_empty());
                let least = memory.total().saturating_add(trial.least_window());
                if cannot_win || least > request.budget.memory_bytes {
                    continue;
                }
                if let Some(plan) = trial.dry_run(TRIAL_LOOKS, &mut looks_left)
                    && plan.cost < best
                {
                    found.push((plan, pieces));
                }
            }
        }
    }
    found.into_iter().rev().find_map(|(plan, pieces)| confirmed(request, plan, pieces)).ok_or_else(|| refusal(request))
}

/// The plan after a dry run of its whole schedule, or of a long stretch of it; `None` where it does not fit after all.
fn confirmed(request: &Request<'_>, plan: Plan, pieces: Pieces) -> Option<Plan> {
    if plan.exact {
        return Some(plan);
    }
    let touch = Touch::new(request, plan.block);
    let memory = Memory { window: 0, ..plan.memory };
    let trial = Trial { request, touch: &touch, order: &plan.order, workers: plan.workers, pieces, memory };
    let mut unlimited = u64::MAX;
    let looks = if touch.access == Access::Ascending { STREAM_LOOKS } else { DRY_RUN_LOOKS };
    trial.dry_run(looks, &mut unlimited)
}

/// The smallest budget that works: one worker, a gate of one block, and the chunks that such a walk holds at least.
fn refusal(request: &Request<'_>) -> PlanError {
    let mut smallest = (u64::MAX, [0; 3], 0);
    let mut looks_left = SEARCH_LOOKS;
    let mut ruler = Ruler::new(request.footprint);
    for candidate in candidates(request) {
        let touch = Touch::new(request, candidate.block);
        for piece_bytes in PIECE_BYTES {
            let workers = Workers { count: 1, gate: 1 };
            let pieces = ruler.pieces(candidate.block, voxel_bytes(request), piece_bytes);
            let memory = Memory::without_window(request, candidate.block, pieces.bytes, workers);
            for order in &candidate.orders {
                let trial = Trial { request, touch: &touch, order, workers, pieces, memory };
                let needed = |window: u64| memory.total().saturating_add(window);
                if needed(trial.least_window()) >= smallest.0 {
                    continue;
                }
                let Some(window) = trial.smallest_window(&mut looks_left) else { continue };
                if needed(window) < smallest.0 {
                    smallest = (needed(window), candidate.block, window);
                }
            }
        }
    }
    let (smallest_bytes, block, window_bytes) = smallest;
    PlanError::TooSmall { memory_bytes: request.budget.memory_bytes, smallest_bytes, block, window_bytes }
}

fn voxel_bytes(request: &Request<'_>) -> u64 {
    (request.source.components * request.sample_bytes) as u64
}

/// Workers and piece sizes, most comfortable first.
fn settings(request: &Request<'_>) -> Vec<(Workers, u64)> {
    let most = request.budget.threads.max(1);
    let mut counts = vec![most];
    while let Some(&last) = counts.last()
        && last > 1
    {
        counts.push(last / 2);
    }
    let mut settings = Vec::new();
    for count in counts {
        for (n, &piece_bytes) in PIECE_BYTES.iter().enumerate() {
            let ahead = if n == 0 { count } else { 0 };
            settings.push((Workers { count, gate: (count + ahead) as u64 }, piece_bytes));
        }
    }
    settings
}

/// Block shapes and the orders in which each may be walked.
fn candidates(request: &Request<'_>) -> Vec<Candidate> {
    let shape = request.footprint.target_shape();
    let unit = request.target.chunk;
    let sample = request.sample_bytes as u64 * request.target.components as u64;
    let whole = shape.iter().fold(sample, |n, &e| n.saturating_mul(e));
    let mut candidates = Vec::new();
    for factors in joins(request) {
        let block: [u64; 3] =
            std::array::from_fn(|a| unit[a].saturating_mul(factors[a]).min(shape[a].next_multiple_of(unit[a])));
        let bytes = block.iter().fold(sample, |n, &e| n.saturating_mul(e));
        let repeated = candidates.iter().any(|c: &Candidate| c.block == block);
        // Along rows blocks may be as long as the budget allows: raw sources are read by rows.
        let is_row = factors[..2] == [1, 1] && request.target.access == Access::Chunked;
        let most = if is_row { request.budget.memory_bytes } else { BLOCK_BYTES };
        let least = if request.target.access == Access::Random { SMALL_BLOCK_BYTES.min(whole) } else { 0 };
        if repeated || (factors != [1; 3] && bytes > most) || bytes < least {
            continue;
        }
        candidates.push(Candidate { block, orders: orders(request, block) });
    }
    // Large blocks first: they make good plans where they fit, and most of what follows is then not walked.
    candidates.sort_by_key(|candidate| Reverse(candidate.block.iter().product::<u64>()));
    candidates
}

/// How many write units are joined to a block along each axis.
fn joins(request: &Request<'_>) -> Vec<[u64; 3]> {
    let powers = [1u64, 2, 4, 8, 16, 32, 64, 128, 256];
    match request.target.access {
        // A stream takes its units in order: a run of rows within a plane, or of planes.
        Access::Ascending => {
            let axis = if request.target.chunk[0] == 1 && request.target.chunk[1] < request.target.grid.shape[1] {
                1
            } else {
                0
            };
            let join = |n| std::array::from_fn(|a| if a == axis { n } else { 1 });
            powers.iter().take(5).map(|&n| join(n)).collect()
        }
        Access::Random => {
            let rows = request.target.chunk_counts()[2];
            let parts = if request.source.access == Access::Random { 1 } else { 4 };
            let along_rows = (0..parts).map(|halvings| rows.div_ceil(1 << halvings)).filter(|&n| n > 0);
            along_rows.flat_map(|x| powers.into_iter().flat_map(move |z| powers.map(|y| [z, y, x]))).collect()
        }
        Access::Chunked => {
            let along_rows =
                (1..=row_chunks(request)).filter(|&n| row_chunks(request).is_multiple_of(n)).map(|n| [1, 1, n]);
            let cubes = [[1, 2, 2], [2, 2, 2], [4, 4, 4], [2, 2, row_chunks(request)]];
            along_rows.chain(cubes).filter(|&factors| fills_shards(request, factors)).collect()
        }
    }
}

/// Whether shards are made of whole blocks.
fn fills_shards(request: &Request<'_>, factors: [u64; 3]) -> bool {
    let target = request.target;
    let whole = |a: usize, shard: [u64; 3]| (shard[a] / target.chunk[a]).is_multiple_of(factors[a]);
    target.shard.is_none_or(|shard| (0..3).all(|a| whole(a, shard)))
}

/// Chunks along a row of the grid or, where there are shards, of a shard: what a block may join.
fn row_chunks(request: &Request<'_>) -> u64 {
    let target = request.target;
    let row = target.shard.map_or(target.grid.shape[2], |shard| shard[2]);
    row.div_ceil(target.chunk[2]).min(64)
}

fn orders(request: &Request<'_>, block: [u64; 3]) -> Vec<Order> {
    let mut orders = vec![Order::raster()];
    if request.target.access == Access::Ascending {
        return orders;
    }
    if request.source.access == Access::Chunked {
        for axis in 0..3 {
            for a in [1, 2, 3, 5, 8] {
                for b in [1, 2, 3, 5, 8] {
                    orders.push(Order::sweep(axis, [a, b]));
                }
            }
        }
    }
    if let Some(shard) = request.target.shard {
        let widths = std::array::from_fn(|a| shard[a] / block[a]);
        orders = orders.into_iter().map(|order| order.within(widths)).collect();
        // Shard by shard, a stream would have to be kept for a whole layer of shards; layer by layer, all shards of a
        // layer are open at once, each filled in its own order.
        let open: u64 = (1..3).map(|a| request.target.grid.shape[a].div_ceil(shard[a])).product();
        if request.source.access == Access::Ascending && open <= MOST_OPEN_SHARDS {
            orders.push(Order::raster());
        }
    }
    orders
}

/// One point of the search.
struct Trial<'a> {
    request: &'a Request<'a>,
    touch: &'a Touch,
    order: &'a Order,
    workers: Workers,
    pieces: Pieces,
    memory: Memory,
}

impl Trial<'_> {
    /// The window that any dry run of this trial needs at least: the chunks of one block.
    fn least_window(&self) -> u64 {
        if self.touch.chunk_counts.is_none() {
            return 0;
        }
        self.touch.most_chunks_per_block().saturating_mul(self.touch.chunk_bytes)
    }

    /// Walks the schedule with all the memory that is left for the window.
    fn dry_run(&self, most_looks: u64, looks_left: &mut u64) -> Option<Plan> {
        let left = self.request.budget.memory_bytes - self.memory.total();
        let (totals, exact) = self.walk(left, most_looks, looks_left)?;
        // Where the walk was cut short, blocks that it did not see may need more: all that is left, then.
        let chunks = if exact { totals.most_held } else { left / self.touch.chunk_bytes.max(1) };
        let window_bytes = chunks * self.touch.chunk_bytes;
        let memory = Memory { window: window_bytes, ..self.memory };
        Some(self.plan(totals, exact, window_bytes, memory))
    }

    /// The window that this trial works with, where its gate is a single block.
    ///
    /// Streams cannot be read again: for them it is all that is alive at once, which only a walk can tell.
    fn smallest_window(&self, looks_left: &mut u64) -> Option<u64> {
        if self.touch.access != Access::Ascending {
            return Some(self.least_window());
        }
        if *looks_left == 0 {
            return None;
        }
        let (totals, _) = self.walk(u64::MAX, DRY_RUN_LOOKS, looks_left)?;
        Some(totals.most_held * self.touch.chunk_bytes)
    }

    /// Totals of the walk, extrapolated where it is long; `None` when the window is too small.
    fn walk(&self, window_bytes: u64, most_looks: u64, looks_left: &mut u64) -> Option<(WalkTotals, bool)> {
        let blocks = self.blocks();
        if self.touch.chunk_counts.is_none() {
            return Some((WalkTotals { blocks, ..WalkTotals::default() }, true));
        }
        let mut walk = Walk::new(self.touch, self.order, window_bytes, self.workers.gate);
        let mut looks = 0;
        while looks < most_looks {
            let Some(step) = walk.step().ok()? else { return Some((walk.totals(), true)) };
            looks += 1 + step.chunks.len();
            *looks_left = looks_left.saturating_sub(1 + step.chunks.len());
        }
        let mut totals = walk.totals();
        let scale = blocks as f64 / totals.blocks as f64;
        totals.decodes = (totals.decodes as f64 * scale) as u64;
        totals.distinct = self.touch.needed_chunks();
        totals.blocks = blocks;
        Some((totals, false))
    }

    fn blocks(&self) -> u64 {
        self.touch.counts.iter().product::<u64>() * self.request.target.outer.volumes()
    }

    fn plan(&self, totals: WalkTotals, exact: bool, window_bytes: u64, memory: Memory) -> Plan {
        let needed = self.request.footprint.source_region(self.touch.target).voxels() as f64;
        Plan {
            block: self.touch.block,
            blocks: totals.blocks,
            order: self.order.clone(),
            workers: self.workers,
            piece: self.pieces.shape,
            window_bytes,
            memory,
            totals,
            fetch_ratio: if needed > 0.0 { self.pieces.fetched_voxels / needed } else { 1.0 },
            exact,
            cost: self.cost(totals.decodes),
        }
    }

    /// Bytes that come from and go to raw files for all blocks of a volume, in whole pages: a part of a row costs all its
    /// pages.
    fn storage_bytes(&self) -> f64 {
        let (touch, voxel) = (self.touch, voxel_bytes(self.request) as f64);
        let mut bytes = 0.0;
        if touch.access == Access::Random {
            let row = self.request.source.grid.shape[2] as f64 * voxel;
            bytes += paged(
                |t| (touch.source_extents[t].clone(), self.request.footprint.source_axis(t) == Some(2)),
                row,
                voxel,
            );
        }
        if self.request.target.access == Access::Random {
            let shape = self.request.footprint.target_shape();
            let blocks =
                |t: usize| (0..touch.counts[t]).map(move |b| touch.block[t].min(shape[t] - b * touch.block[t]));
            bytes += paged(|t| (blocks(t).collect(), t == 2), shape[2] as f64 * voxel, voxel);
        }
        bytes
    }

    /// Relative time of a run with so many decodes.
    fn cost(&self, decodes: u64) -> f64 {
        let bytes_per_voxel = voxel_bytes(self.request) as f64 * self.request.target.outer.volumes() as f64;
        let fetched = self.pieces.fetched_voxels * bytes_per_voxel;
        let written = self.touch.target.voxels() as f64 * bytes_per_voxel;
        let decoded = decodes as f64 * self.touch.chunk_bytes as f64;
        // The last round of blocks keeps only some of the workers busy.
        let rounds = self.blocks().div_ceil(self.workers.count as u64) as f64;
        let stored = self.storage_bytes() * self.request.target.outer.volumes() as f64;
        (fetched + written + DECODE_COST * decoded + STORAGE_COST * stored) / self.blocks().max(1) as f64 * rounds
    }

    /// A bound on the cost, without a walk.
    fn least_cost(&self) -> f64 {
        let are_products = (0..3).all(|t| self.request.footprint.source_axis(t).is_some());
        self.cost(if are_products { self.touch.needed_chunks() } else { 0 })
    }
}

/// Bytes of all pages that regions with these extents along each axis touch; `extents` also says which axis rows lie along.
fn paged(extents: impl Fn(usize) -> (Vec<u64>, bool), row_bytes: f64, voxel_bytes: f64) -> f64 {
    let along = |t: usize| -> f64 {
        let (extents, is_row) = extents(t);
        let pages = |n: u64| (n as f64 * voxel_bytes + PAGE_BYTES).min(row_bytes);
        extents.into_iter().map(|n| if is_row { pages(n) } else { n as f64 }).sum()
    };
    (0..3).map(along).product()
}
