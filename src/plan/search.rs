//! The search: block shapes, orders, workers and piece sizes, the most promising first, each dry-run; the cheapest that fits.

use super::{
    Effort, Memory, Pieces, Plan, Request, Workers,
    candidate::{BlockShape, Candidate, Ended, Walked, voxel_bytes},
    candidates,
    limits::{
        DRY_RUN_LOOKS, GOOD_FETCH, PIECE_BYTES, PLAIN_PIECE_BYTES, PRODUCT_PIECE_BYTES, SAMPLE_LOOKS,
        SAMPLED_SEARCH_LOOKS, SEARCH_LOOKS, STREAM_LOOKS, STREAM_SEARCH_LOOKS, TRIAL_LOOKS,
    },
    lines::Lines,
    pieces::PieceSizer,
    refusal,
    sweeps::Sweep,
};
use crate::{error::PlanError, layout::Access};

pub(super) fn cheapest(request: &Request<'_>) -> Result<Plan, PlanError> {
    let plan = cheapest_within(request, candidates::BLOCK_BYTES).ok_or_else(|| match request.budget.effort {
        Effort::Full => refusal::refusal(request),
        Effort::Fits | Effort::Estimate => refusal::unknown(request),
    })?;
    // Boxes around oblique blocks hold much that is not needed whatever their size: larger ones cost memory, and buy something where each
    // voxel of the box is filtered.
    let buys_nothing = request.footprint.reach().is_some() && is_plain(request);
    if plan.fetch_ratio <= GOOD_FETCH || buys_nothing {
        return Ok(plan);
    }
    let larger = cheapest_within(request, candidates::WIDE_BLOCK_BYTES);
    Ok(larger.filter(|larger| larger.cost < plan.cost).unwrap_or(plan))
}

/// The cheapest with blocks of so many bytes at most.
fn cheapest_within(request: &Request<'_>, block_bytes: u64) -> Option<Plan> {
    let (ruler, lines) = (PieceSizer::new(request), Lines::new(request));
    let is_stream = request.source.access == Access::Ascending;
    let looks_left = if is_stream { STREAM_SEARCH_LOOKS } else { SEARCH_LOOKS } / request.budget.effort.parts();
    let mut search = Search { request, ruler, lines, looks_left, found: Vec::new() };
    for (_, block) in search.ranked(block_bytes) {
        search.try_block(block);
    }
    search.confirmed()
}

/// Whether voxels are fetched, and nothing else is done with all of them.
fn is_plain(request: &Request<'_>) -> bool {
    request.footprint.fetch_cost() <= 1.0
}

/// A plan that was found, with what a longer dry run of it needs.
struct Found {
    plan: Plan,
    pieces: Pieces,
    sweep: Sweep,
}

struct Search<'a> {
    request: &'a Request<'a>,
    ruler: PieceSizer<'a>,
    lines: Lines<'a>,
    looks_left: u64,
    /// Each better than the one before.
    found: Vec<Found>,
}

/// An order with workers, and every size of pieces they may have.
struct Group<'a> {
    estimate: f64,
    /// Smallest pieces, and so the largest window, first.
    trials: Vec<Candidate<'a>>,
}

impl<'a> Search<'a> {
    /// Block shapes that fit at all, by the cost that is to be expected of the best of their orders.
    fn ranked(&mut self, block_bytes: u64) -> Vec<(f64, [u64; 3])> {
        let mut ranked = Vec::new();
        for block in candidates::blocks(self.request, block_bytes) {
            if self.lines.bytes(block) > self.request.budget.memory_bytes {
                continue;
            }
            let ground = BlockShape::new(&mut self.lines, block);
            let sweeps = candidates::orders(self.request, &ground.touch);
            let best = self.groups(&ground, &sweeps).iter().map(|group| group.estimate).fold(f64::INFINITY, f64::min);
            if best < f64::INFINITY {
                ranked.push((best, block));
            }
        }
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        ranked
    }

    /// Everything that fits with blocks of this shape.
    fn groups<'g>(&mut self, ground: &'g BlockShape<'g>, sweeps: &'g [Sweep]) -> Vec<Group<'g>> {
        let mut groups = Vec::new();
        for workers in workers(self.request) {
            let pieces = self.pieces(ground.touch.block);
            for sweep in sweeps {
                let mut group = Group { estimate: f64::INFINITY, trials: Vec::new() };
                for &pieces in &pieces {
                    let memory = Memory::without_window(ground.request, &ground.touch, pieces.bytes, workers);
                    let trial = Candidate { ground, sweep, workers, pieces, memory };
                    if let Some(window_bytes) = trial.window_bytes() {
                        group.estimate = group.estimate.min(trial.estimate(window_bytes));
                        group.trials.push(trial);
                    }
                }
                if !group.trials.is_empty() {
                    groups.push(group);
                }
            }
        }
        groups
    }

    /// Sizes of pieces that differ.
    fn pieces(&mut self, block: [u64; 3]) -> Vec<Pieces> {
        let voxel_bytes = voxel_bytes(self.request);
        let is_product = self.request.footprint.reach().is_none();
        let mut pieces: Vec<Pieces> = Vec::new();
        for limit in PIECE_BYTES {
            if limit > PLAIN_PIECE_BYTES && is_plain(self.request) {
                break;
            }
            let is_good =
                pieces.last().is_some_and(|last| last.fetched_voxels <= GOOD_FETCH * self.ruler.needed as f64);
            if is_product && limit > PRODUCT_PIECE_BYTES && is_good {
                break;
            }
            pieces.push(self.ruler.pieces(block, voxel_bytes, limit));
        }
        pieces.dedup_by_key(|pieces| pieces.shape);
        let endless = pieces.iter().take_while(|pieces| !self.ruler.would_end(pieces)).count();
        pieces.drain(..endless.min(pieces.len() - 1));
        pieces
    }

    fn try_block(&mut self, block: [u64; 3]) {
        let ground = BlockShape::new(&mut self.lines, block);
        let sweeps = candidates::orders(self.request, &ground.touch);
        let mut groups = self.groups(&ground, &sweeps);
        groups.sort_by(|a, b| a.estimate.total_cmp(&b.estimate));
        if ground.is_long(TRIAL_LOOKS) {
            self.looks_left = self.looks_left.min(SAMPLED_SEARCH_LOOKS / self.request.budget.effort.parts());
        }
        // Half of what is left: other block shapes are to have their turn.
        let enough = self.looks_left / 2;
        for group in &groups {
            if self.found.is_empty() || self.looks_left > enough {
                self.try_group(group);
            }
        }
    }

    /// Walks an order for one size of pieces after the other. A larger window never decodes more, so what one walk showed
    /// bounds those after it.
    fn try_group(&mut self, group: &Group<'_>) {
        let mut last: Option<Walked> = None;
        for trial in &group.trials {
            let Some(window_bytes) = trial.window_bytes() else { continue };
            if self.looks_left == 0 && !trial.fits_for_certain(window_bytes) {
                continue;
            }
            let best = self.found.last().map_or(f64::INFINITY, |found| found.plan.cost);
            let least = last.map_or(0.0, |walked| trial.cost(walked.totals.decodes as f64));
            if trial.least_cost().max(least) >= best {
                continue;
            }
            let chunk_bytes = trial.ground.touch.chunk_bytes;
            let fits = |w: &Walked| w.window_chunks.is_some_and(|n| n.saturating_mul(chunk_bytes) <= window_bytes);
            let walked = match last.filter(fits) {
                Some(walked) => walked,
                None => {
                    let rest = group.trials.iter().map(|trial| trial.decodes_for(best));
                    let most_decodes = rest.fold(f64::NEG_INFINITY, f64::max);
                    match trial.walk(window_bytes, TRIAL_LOOKS, most_decodes, &mut self.looks_left) {
                        Ok(walked) => walked,
                        Err(Ended::TooSmall | Ended::Beaten) => return,
                    }
                }
            };
            last = Some(walked);
            let plan = trial.plan(walked, window_bytes);
            if plan.cost < best {
                self.found.push(Found { plan, pieces: trial.pieces, sweep: trial.sweep.clone() });
            }
        }
    }

    /// The best plan after a dry run of its whole schedule, or of long stretches of it; or the next best, where it does not
    /// fit after all.
    fn confirmed(&self) -> Option<Plan> {
        self.found.iter().rev().find_map(|found| match found.plan.exact {
            true => Some(found.plan.clone()),
            false => self.longer_walk(found),
        })
    }

    fn longer_walk(&self, Found { plan, pieces, sweep }: &Found) -> Option<Plan> {
        let ground = BlockShape::new(&mut Lines::new(self.request), plan.block);
        let memory = Memory { window: 0, ..plan.memory };
        let trial = Candidate { ground: &ground, sweep, workers: plan.workers, pieces: *pieces, memory };
        let looks = match ground.touch.access {
            Access::Ascending => STREAM_LOOKS,
            _ if ground.is_long(DRY_RUN_LOOKS) => SAMPLE_LOOKS,
            _ => DRY_RUN_LOOKS,
        };
        let window_bytes = trial.window_bytes()?;
        let mut unlimited = u64::MAX;
        let walked = trial.walk(window_bytes, looks, f64::INFINITY, &mut unlimited).ok()?;
        Some(trial.plan(walked, window_bytes))
    }
}

/// How many blocks may be under way, most comfortable first.
fn workers(request: &Request<'_>) -> Vec<Workers> {
    let mut count = request.budget.threads.max(1);
    let mut workers = Vec::new();
    loop {
        workers.extend([2, 1].map(|times| Workers { count, gate: count as u64 * times }));
        if count == 1 {
            return workers;
        }
        count /= 2;
    }
}
