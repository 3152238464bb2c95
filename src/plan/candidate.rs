//! One point of the search: its dry run, its cost, and the plan it makes.

use super::{ChunkMap, Memory, Pieces, Plan, Request, Walk, WalkTotals, Workers, aside, lines::Lines, sweeps::Sweep};
use crate::layout::Access;

/// Stretches that a long schedule is sampled by.
const STRETCHES: u64 = 3;
/// Relative time of decoding a byte, against copying and computing it once.
pub(super) const DECODE_COST: f64 = 3.0;
/// The same of bringing a byte of a raw file into memory, counted in whole pages.
pub(super) const STORAGE_COST: f64 = 2.0;
/// The same of a target byte that waits in a file until its shard can take it.
const SIDE_COST: f64 = 0.5;
/// A gate as narrow as the workers makes some of them wait for the slowest.
pub(super) const NARROW_GATE_COST: f64 = 1.03;
/// What storage hands over at least.
const PAGE_BYTES: f64 = 4096.0;

/// A block shape, with the tables and sums that all its trials share.
pub(super) struct BlockShape<'a> {
    pub request: &'a Request<'a>,
    pub touch: ChunkMap,
    pub blocks: u64,
    /// Steps and chunks that a walk of everything looks at, about.
    looks: f64,
    /// No walk decodes less.
    least_decodes: u64,
    target_bytes: f64,
    /// Source voxels that are needed at least once.
    source_voxels: f64,
}

impl<'a> BlockShape<'a> {
    /// What all plans for blocks of this extent share.
    pub(super) fn new(lines: &mut Lines<'a>, block: [u64; 3]) -> BlockShape<'a> {
        let (request, touch) = (lines.request, ChunkMap::with(lines, block));
        let blocks = touch.steps();
        let are_products = request.footprint.reach().is_none();
        BlockShape {
            request,
            blocks,
            looks: blocks as f64 * (1.0 + touch.mean_chunks_per_block()),
            least_decodes: if are_products && touch.todo.is_everything() { touch.needed_chunks() } else { 0 },
            target_bytes: target_bytes(request, &touch),
            source_voxels: request.footprint.source_region(touch.target).voxels() as f64,
            touch,
        }
    }

    /// Chunks that are needed, about, for as much of the target as is to be made.
    fn distinct(&self) -> u64 {
        let touch = &self.touch;
        let all = touch.counts.iter().fold(touch.outer.volumes() as f64, |n, &count| n * count as f64);
        let part = if touch.todo.is_everything() { 1.0 } else { (self.blocks as f64 / all.max(1.0)).min(1.0) };
        (touch.needed_chunks() as f64 * part) as u64
    }

    /// Whether a walk of everything looks at more than this.
    pub(super) fn is_long(&self, most_looks: u64) -> bool {
        self.looks > most_looks as f64
    }

    /// The most that can be pinned while `gate` blocks are under way, in bytes: each reaches no more chunks than the longest
    /// reach along each axis allows.
    pub(super) fn pinned_bytes(&self, gate: u64) -> u64 {
        if self.touch.chunk_counts.is_none() {
            return 0;
        }
        let chunks = self.touch.most_chunks_per_block().saturating_mul(gate).min(self.touch.needed_chunks());
        chunks.saturating_mul(self.touch.chunk_bytes)
    }
}

/// A schedule that is tried.
pub(super) struct Candidate<'a> {
    pub ground: &'a BlockShape<'a>,
    pub sweep: &'a Sweep,
    pub workers: Workers,
    pub pieces: Pieces,
    /// Without window.
    pub memory: Memory,
}

/// What a dry run came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walked {
    pub totals: WalkTotals,
    /// Whether everything was walked; otherwise `totals` are extrapolated.
    pub exact: bool,
    /// Chunks that the window needs for them; `None` for all that it had.
    pub window_chunks: Option<u64>,
}

/// Why a dry run ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    TooSmall,
    /// It decodes too much already.
    Beaten,
}

impl Candidate<'_> {
    /// Bytes that are left for the window; `None` where not even one block's chunks fit.
    pub(super) fn window_bytes(&self) -> Option<u64> {
        let left = self.ground.request.budget.memory_bytes.checked_sub(self.memory.total())?;
        (left >= self.ground.pinned_bytes(1)).then_some(left)
    }

    /// Whether a walk with this window cannot fail: it holds whatever the gate can pin, and what was let go can be read again.
    pub(super) fn fits_for_certain(&self, window_bytes: u64) -> bool {
        let touch = &self.ground.touch;
        touch.access != Access::Ascending && window_bytes >= self.ground.pinned_bytes(self.workers.gate)
    }

    /// Walks the schedule, or stretches of it where it has more than `most_looks` looks, with a window of `window_bytes`.
    ///
    /// # Errors
    /// The window is too small, or there were more than `most_decodes`.
    pub(super) fn walk(
        &self,
        window_bytes: u64,
        most_looks: u64,
        most_decodes: f64,
        looks_left: &mut u64,
    ) -> Result<Walked, Ended> {
        let (touch, blocks) = (&self.ground.touch, self.ground.blocks);
        if touch.chunk_counts.is_none() {
            let totals = WalkTotals { blocks, ..WalkTotals::default() };
            return Ok(Walked { totals, exact: true, window_chunks: Some(0) });
        }
        let is_long = self.ground.is_long(most_looks);
        if is_long && touch.access == Access::Chunked {
            return self.sample(window_bytes, most_looks, looks_left);
        }
        let mut walk = Walk::new(touch, &self.sweep.order, window_bytes, self.workers.gate);
        let (mut steps, mut looks) = (0, 0);
        while !is_long || looks < most_looks {
            let Some(step) = walk.step().map_err(|_| Ended::TooSmall)? else {
                let totals = walk.totals();
                return Ok(Walked { totals, exact: true, window_chunks: Some(totals.most_held) });
            };
            steps += 1 + step.chunks.len();
            let now = steps + walk.looks();
            *looks_left = looks_left.saturating_sub(now - looks);
            looks = now;
            let totals = walk.totals();
            let to_come = self.ground.least_decodes.saturating_sub(totals.distinct);
            if (totals.decodes + to_come) as f64 > most_decodes {
                return Err(Ended::Beaten);
            }
        }
        Ok(Walked { totals: self.extrapolated(walk.totals()), exact: false, window_chunks: None })
    }

    /// Walks stretches in the midst of the schedule; the first half of each fills the window and does not count.
    ///
    /// A window that holds what a stretch held keeps whatever is needed again within the length of a stretch; what was
    /// loaded before it began was counted as decoded again. Where the stretches are too short to fill the window, columns may
    /// decode less than that: by the estimate, if the window holds what columns hold. So the window gets what was held, and a
    /// quarter for what lies between the stretches. The run cannot fail for it, because whatever the gate can pin fits; it
    /// would only decode more.
    fn sample(&self, window_bytes: u64, most_looks: u64, looks_left: &mut u64) -> Result<Walked, Ended> {
        let touch = &self.ground.touch;
        let pinned = self.ground.pinned_bytes(self.workers.gate);
        if window_bytes < pinned {
            return Err(Ended::TooSmall);
        }
        let mut sum = WalkTotals::default();
        for n in 0..STRETCHES {
            let at = touch
                .counts
                .map(|count| (u128::from(count) * u128::from(2 * n + 1) / u128::from(2 * STRETCHES)) as u64);
            let mut walk = Walk::new(touch, &self.sweep.order, window_bytes, self.workers.gate).beginning_at(at);
            let half = most_looks / STRETCHES / 2;
            let before = stretch(&mut walk, half, looks_left)?;
            let after = stretch(&mut walk, half, looks_left)?;
            sum.blocks += after.blocks - before.blocks;
            sum.decodes += after.decodes - before.decodes;
            sum.distinct += after.distinct - before.distinct;
            sum.most_held = sum.most_held.max(after.most_held);
        }
        let mut totals = self.extrapolated(sum);
        let estimated = self.estimated_decodes(window_bytes) as u64;
        let is_estimated = self.ground.request.footprint.reach().is_none();
        if is_estimated && sum.most_held < window_bytes / touch.chunk_bytes.max(1) && estimated < totals.decodes {
            totals.decodes = estimated;
            totals.most_held = self.sweep.enough_chunks();
        }
        totals.decodes = totals.decodes.max(self.ground.least_decodes).max(totals.distinct);
        let with_margin = totals.most_held.saturating_add(totals.most_held.div_ceil(4));
        let window_chunks = Some(with_margin.max(pinned / touch.chunk_bytes.max(1)));
        Ok(Walked { totals, exact: false, window_chunks })
    }

    /// A part's decodes for the whole. Where regions are no products of intervals, how many chunks are needed at all is only known
    /// from what the part was the first to need.
    fn extrapolated(&self, part: WalkTotals) -> WalkTotals {
        let scale = self.ground.blocks as f64 / part.blocks.max(1) as f64;
        let are_products = self.ground.touch.has_tables();
        let most = self.ground.distinct();
        let distinct = if are_products { most } else { most.min((part.distinct as f64 * scale).ceil() as u64) };
        let decodes = ((part.decodes as f64 * scale) as u64).max(distinct);
        WalkTotals { blocks: self.ground.blocks, decodes, distinct, most_held: part.most_held }
    }

    /// The plan after a walk with a window of `window_bytes`.
    pub(super) fn plan(&self, walked: Walked, window_bytes: u64) -> Plan {
        let touch = &self.ground.touch;
        let most = window_bytes / touch.chunk_bytes.max(1);
        let chunks = walked.window_chunks.map_or(most, |chunks| chunks.min(most));
        let window_bytes = chunks * touch.chunk_bytes;
        let needed = self.ground.source_voxels;
        let decodes = walked.totals.decodes as f64;
        let cost = self.cost(decodes);
        Plan {
            block: touch.block,
            blocks: walked.totals.blocks,
            order: self.sweep.order.clone(),
            workers: self.workers,
            helpers: 0,
            piece: self.pieces.shape,
            passing: false,
            window_bytes,
            ahead: 0,
            memory: Memory { window: window_bytes, ..self.memory },
            totals: walked.totals,
            fetch_ratio: if needed > 0.0 { self.pieces.fetched_voxels / needed } else { 1.0 },
            exact: walked.exact,
            decode_share: if cost > 0.0 { self.decode_cost(decodes) / cost } else { 0.0 },
            cost,
            aside_bytes: aside::bytes(self.ground.request.target, touch.block, self.sweep.in_line),
        }
    }

    /// Relative time of a run with so many decodes.
    pub(super) fn cost(&self, decodes: f64) -> f64 {
        let ground = self.ground;
        let volumes = ground.request.target.outer.volumes() as f64;
        let bytes_per_voxel = voxel_bytes(ground.request) as f64 * volumes;
        let fetched = self.pieces.fetched_voxels * bytes_per_voxel * ground.request.footprint.fetch_cost();
        let written = ground.touch.target.voxels() as f64 * bytes_per_voxel;
        let waits = ground.request.target.shard.is_some() && !self.sweep.in_line;
        let side = if waits { SIDE_COST * written } else { 0.0 };
        let stored = STORAGE_COST * (ground.target_bytes + self.source_bytes()) * volumes;
        (fetched + written + side + stored) * self.slowness() + self.decode_cost(decodes)
    }

    /// Bytes that come from a raw source for all pieces of a volume, in whole pages: a part of a row costs all its pages.
    fn source_bytes(&self) -> f64 {
        let (request, pieces) = (self.ground.request, &self.pieces);
        if request.source.access != Access::Random || pieces.fetched_rows == 0.0 {
            return 0.0;
        }
        let voxel = voxel_bytes(request) as f64;
        let run = pieces.fetched_voxels / pieces.fetched_rows * voxel + PAGE_BYTES;
        pieces.fetched_rows * run.min(request.source.grid.shape[2] as f64 * voxel)
    }

    fn decode_cost(&self, decodes: f64) -> f64 {
        DECODE_COST * decodes * self.ground.touch.chunk_bytes as f64 * self.slowness()
    }

    /// Rounds of blocks over blocks: the last round keeps only some of the workers busy.
    fn slowness(&self) -> f64 {
        let (blocks, Workers { count, gate }) = (self.ground.blocks, self.workers);
        let narrow = if count > 1 && gate <= count as u64 { NARROW_GATE_COST } else { 1.0 };
        narrow * blocks.div_ceil(count as u64) as f64 / blocks.max(1) as f64
    }

    /// Decodes with which the cost would be `cost`.
    pub(super) fn decodes_for(&self, cost: f64) -> f64 {
        let one = self.decode_cost(1.0);
        if one > 0.0 { (cost - self.cost(0.0)) / one } else { f64::INFINITY }
    }

    /// A bound on the cost, without a walk.
    pub(super) fn least_cost(&self) -> f64 {
        self.cost(self.ground.least_decodes as f64)
    }

    /// The cost to be expected, without a walk.
    pub(super) fn estimate(&self, window_bytes: u64) -> f64 {
        self.cost(self.estimated_decodes(window_bytes))
    }

    fn estimated_decodes(&self, window_bytes: u64) -> f64 {
        let touch = &self.ground.touch;
        let per_group = self.sweep.estimate(window_bytes / touch.chunk_bytes.max(1));
        (per_group * touch.outer.groups() as f64).max(self.ground.least_decodes as f64)
    }
}

/// Walks on for so many looks, and returns the totals since the walk began.
fn stretch(walk: &mut Walk<'_>, most_looks: u64, looks_left: &mut u64) -> Result<WalkTotals, Ended> {
    let (mut steps, before) = (0, walk.looks());
    while steps + walk.looks() - before < most_looks {
        let Some(step) = walk.step().map_err(|_| Ended::TooSmall)? else { break };
        steps += 1 + step.chunks.len();
    }
    *looks_left = looks_left.saturating_sub(steps + walk.looks() - before);
    Ok(walk.totals())
}

pub(super) fn voxel_bytes(request: &Request<'_>) -> u64 {
    (request.source.components * request.sample_bytes) as u64
}

/// Bytes that go to a raw target for all blocks of a volume, in whole pages: a part of a row costs all its pages.
pub(super) fn target_bytes(request: &Request<'_>, touch: &ChunkMap) -> f64 {
    if request.target.access != Access::Random {
        return 0.0;
    }
    let (shape, voxel) = (request.footprint.target_shape(), voxel_bytes(request) as f64);
    let pages = |n: u64| (n as f64 * voxel + PAGE_BYTES).min(shape[2] as f64 * voxel);
    // All blocks along an axis but the last are of one length.
    let along = |t: usize, of: &dyn Fn(u64) -> f64| {
        let (block, whole) = (touch.block[t].min(shape[t]), touch.counts[t] - 1);
        whole as f64 * of(block) + of(shape[t] - whole * block)
    };
    along(0, &|n| n as f64) * along(1, &|n| n as f64) * along(2, &pages)
}
