//! How a block is cut for fetching and computing.
//!
//! A piece is small enough for the caches and the budget; the block it belongs to is as large as the target's storage
//! asks for. Source voxels shared by two pieces are copied twice, never decoded twice.

use std::{collections::HashMap, ops::Range, sync::Arc};

use super::{
    Request,
    limits::{MOST_FETCHES, PIECE_BYTES},
    slabs::Slabs,
};
use crate::{
    region::Region,
    resample::{Footprint, ObliqueFootprint},
};

/// The size of pieces for blocks of one shape, and what they cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pieces {
    pub shape: [usize; 3],
    /// Fetched voxels and scratch of the largest piece, in bytes.
    pub bytes: u64,
    /// Source voxels fetched by all pieces of the grid, estimated from extents per axis.
    pub fetched_voxels: f64,
    /// Runs of voxels along rows of the source that these are made of.
    pub fetched_rows: f64,
}

/// Measures pieces of an op. Extents along each axis are kept, since the search asks for the same ones again and again.
pub(super) struct PieceSizer<'a> {
    footprint: &'a dyn Footprint,
    slabs: Slabs<'a>,
    reach: Option<Arc<dyn ObliqueFootprint>>,
    /// What is made, about: blocks are cut where it ends.
    made: Region,
    /// Source voxels that all of the target needs.
    pub needed: u64,
    /// By axis, block and piece.
    extents: HashMap<(usize, u64, u64), Extents>,
}

/// Source extents of the pieces along a target axis.
#[derive(Clone, Copy, Debug, Default)]
struct Extents {
    largest: u64,
    summed: f64,
    pieces: f64,
}

impl<'a> PieceSizer<'a> {
    /// For what is to be made by `request`.
    pub(super) fn new(request: &Request<'a>) -> PieceSizer<'a> {
        let footprint = request.footprint;
        let all = Region::of_shape(footprint.target_shape());
        let made = request.todo.map_or(all, |todo| todo.hull()).intersect(&all);
        let made = if made.is_empty() { all } else { made };
        let needed = footprint.source_region(all).voxels();
        let (slabs, reach) = (Slabs::new(footprint), footprint.reach());
        PieceSizer { footprint, slabs, reach, made, needed, extents: HashMap::new() }
    }

    /// Cuts blocks of `block` voxels until a piece takes at most `limit_bytes`, or is a single voxel.
    pub(super) fn pieces(&mut self, block: [u64; 3], voxel_bytes: u64, limit_bytes: u64) -> Pieces {
        let shape = self.footprint.target_shape();
        let is_product = self.reach.is_none();
        let mut pieces = self.measure(block, std::array::from_fn(|a| block[a].min(shape[a]) as usize), voxel_bytes);
        while pieces.bytes > limit_bytes {
            let mut halved = |a: usize| {
                let mut smaller = pieces.shape;
                smaller[a] = smaller[a].div_ceil(2);
                self.measure(block, smaller, voxel_bytes)
            };
            // Rows stay whole as long as there is another axis to cut; but the box around an oblique row is mostly waste.
            let cut = if is_product { 0..2 } else { 0..3 };
            let across = cut.filter(|&a| pieces.shape[a] > 1).map(&mut halved);
            let best = across.min_by(|a, b| a.fetched_voxels.total_cmp(&b.fetched_voxels));
            match best {
                Some(smaller) => pieces = smaller,
                None if pieces.shape[2] > 1 => pieces = halved(2),
                None => break,
            }
        }
        pieces
    }

    /// Whether a run with these pieces would end in some time.
    pub(super) fn would_end(&self, pieces: &Pieces) -> bool {
        let made = Region::of_shape(self.footprint.target_shape()).voxels();
        pieces.fetched_voxels <= MOST_FETCHES * self.needed.saturating_add(made) as f64
    }

    /// The smallest pieces, of the sizes that are tried, with which a run would end in some time; the largest ones where no size would do.
    pub(super) fn smallest(&mut self, block: [u64; 3], voxel_bytes: u64) -> Pieces {
        let mut pieces = self.pieces(block, voxel_bytes, PIECE_BYTES[0]);
        for limit in &PIECE_BYTES[1..] {
            if self.would_end(&pieces) {
                break;
            }
            pieces = self.pieces(block, voxel_bytes, *limit);
        }
        pieces
    }

    fn measure(&mut self, block: [u64; 3], piece: [usize; 3], voxel_bytes: u64) -> Pieces {
        let target = self.footprint.target_shape();
        if let Some(reach) = &self.reach {
            return self.measure_free(reach.as_ref(), block, piece, voxel_bytes);
        }
        let extents: [Extents; 3] = std::array::from_fn(|t| self.extents_along(t, block[t], piece[t] as u64));
        let scratch =
            samples(target, block, piece).map(|region| self.footprint.scratch_bytes(region)).max().unwrap_or(0);
        let source_bytes = extents.iter().fold(voxel_bytes, |n, along| n.saturating_mul(along.largest));
        // Extents along source axes may differ by a voxel or two between the sampled pieces: a margin of a 16th.
        let bytes = source_bytes.saturating_add(scratch + scratch / 16);
        let is_row = |t: usize| self.footprint.source_axis(t) == Some(2);
        let rows: f64 = (0..3).map(|t| if is_row(t) { extents[t].pieces } else { extents[t].summed }).product();
        let voxels: f64 = extents.iter().map(|along| along.summed).product();
        let whole = Region::of_shape(target).voxels() as f64 / self.made.voxels() as f64;
        Pieces { shape: piece, bytes, fetched_voxels: voxels * whole, fetched_rows: rows * whole }
    }

    /// The same for regions that are no products: by what none of them exceeds, wherever it lies.
    fn measure_free(
        &self,
        reach: &dyn ObliqueFootprint,
        block: [u64; 3],
        piece: [usize; 3],
        voxel_bytes: u64,
    ) -> Pieces {
        let target = self.footprint.target_shape();
        let extents = reach.largest_extents(piece.map(|n| n as u64));
        let source_voxels = extents.iter().fold(1u64, |n, &extent| n.saturating_mul(extent));
        let largest = Region::of_shape(piece.map(|n| n as u64));
        let bytes = source_voxels.saturating_mul(voxel_bytes).saturating_add(self.footprint.scratch_bytes(largest));
        let count: f64 = (0..3).map(|a| pieces_along(target[a], block[a], piece[a] as u64) as f64).product();
        let fetched_rows = count * (extents[0] * extents[1]) as f64;
        Pieces { shape: piece, bytes, fetched_voxels: count * source_voxels as f64, fetched_rows }
    }

    /// The source extents of the pieces along target axis `t`.
    fn extents_along(&mut self, t: usize, block: u64, piece: u64) -> Extents {
        if let Some(&known) = self.extents.get(&(t, block, piece)) {
            return known;
        }
        let (len, made) = (self.footprint.target_shape()[t], self.made.lo[t] as u64..self.made.hi[t] as u64);
        let stretches = stretches(&made, block, piece);
        let extent = |lo: u64, end: u64| {
            let hi = (lo + piece).min(block_end(lo, block, end));
            let source = self.slabs.source(t, lo, hi);
            match self.footprint.source_axis(t) {
                _ if source.is_empty() => 0,
                Some(s) => source.shape()[s] as u64,
                None => source.shape().into_iter().max().unwrap_or(0) as u64,
            }
        };
        let all = stretches.iter().flat_map(|part| starts(part.clone(), block, piece).map(|lo| extent(lo, part.end)));
        let mut measured = all.fold(Extents::default(), |sum, extent| Extents {
            largest: extent.max(sum.largest),
            summed: sum.summed + extent as f64,
            pieces: sum.pieces + 1.0,
        });
        if stretches != [made.clone()] {
            let looked_at: u64 = stretches.iter().map(|part| part.end - part.start).sum();
            let scale = (made.end - made.start) as f64 / looked_at as f64;
            measured.summed *= scale;
            measured.pieces *= scale;
            // Regions of pieces between them may be a voxel longer at either end.
            measured.largest += 2;
        }
        if made != (0..len) {
            // Parts of blocks may begin elsewhere, and meet a voxel more.
            measured.largest += 1;
        }
        self.extents.insert((t, block, piece), measured);
        measured
    }
}

/// Pieces along an axis that are measured one by one; of longer axes as many at both ends and in the middle.
const MEASURED_PIECES: u64 = 3072;

/// The parts of `made` that stand for all of it.
fn stretches(made: &Range<u64>, block: u64, piece: u64) -> Vec<Range<u64>> {
    let len = made.end - made.start;
    if pieces_along(len, block, piece) <= MEASURED_PIECES {
        return vec![made.clone()];
    }
    let most = MEASURED_PIECES / 3;
    // Whole blocks, or a part of one.
    let blocks = most / block.div_ceil(piece);
    let part = if blocks > 0 { blocks * block } else { most * piece };
    let aligned = |at: u64| if blocks > 0 { (at / block * block).max(made.start) } else { at };
    let (middle, last) = (aligned(made.start + len / 2), aligned(made.end - part));
    vec![made.start..made.start + part, middle..middle + part, last..made.end]
}

/// Pieces along an axis of so many voxels.
fn pieces_along(len: u64, block: u64, piece: u64) -> u64 {
    len / block * block.div_ceil(piece) + (len % block).div_ceil(piece)
}

/// Where pieces start within `made` voxels of an axis that is cut into blocks, and those into pieces.
fn starts(made: Range<u64>, block: u64, piece: u64) -> impl Iterator<Item = u64> {
    let blocks = (made.start / block * block..made.end).step_by(block as usize);
    blocks.flat_map(move |lo| (lo.max(made.start)..(lo + block).min(made.end)).step_by(piece as usize))
}

fn block_end(at: u64, block: u64, len: u64) -> u64 {
    ((at / block + 1) * block).min(len)
}

/// The pieces at the corners, edges and centre of the grid.
fn samples(target: [u64; 3], block: [u64; 3], piece: [usize; 3]) -> impl Iterator<Item = Region> {
    let picks: [Vec<u64>; 3] = std::array::from_fn(|t| {
        let last = (target[t] - 1) / block[t] * block[t];
        let middle = target[t] / 2 / block[t] * block[t];
        let mut picks = vec![0, middle, last];
        picks.dedup();
        picks
    });
    let [zs, ys, xs] = picks;
    zs.into_iter().flat_map(move |z| {
        let xs = xs.clone();
        ys.clone().into_iter().flat_map(move |y| {
            xs.clone().into_iter().map(move |x| {
                let lo = [z, y, x].map(|n| n as i64);
                let hi = std::array::from_fn(|a| (lo[a] + piece[a] as i64).min(target[a] as i64));
                Region { lo, hi }
            })
        })
    })
}
