//! How a block is cut for fetching and computing.
//!
//! A piece is small enough for the caches and the budget; the block it belongs to is as large as the target's storage
//! asks for. Source voxels shared by two pieces are copied twice, never decoded twice.

use crate::{region::Region, resample::Footprint};

/// The size of pieces for blocks of one shape, and what they cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pieces {
    pub shape: [usize; 3],
    /// Fetched voxels and scratch of the largest piece, in bytes.
    pub bytes: u64,
    /// Source voxels fetched by all pieces of the grid, estimated from extents per axis.
    pub fetched_voxels: f64,
}

impl Pieces {
    /// Cuts blocks of `block` voxels until a piece takes at most `limit_bytes`, or is a single voxel.
    pub fn new(footprint: &dyn Footprint, block: [u64; 3], voxel_bytes: u64, limit_bytes: u64) -> Pieces {
        let shape = footprint.target_shape();
        let mut pieces =
            measure(footprint, block, std::array::from_fn(|a| block[a].min(shape[a]) as usize), voxel_bytes);
        while pieces.bytes > limit_bytes {
            let halved = |a: usize| {
                let mut smaller = pieces.shape;
                smaller[a] = smaller[a].div_ceil(2);
                measure(footprint, block, smaller, voxel_bytes)
            };
            // Rows stay whole as long as there is another axis to cut.
            let across = (0..2).filter(|&a| pieces.shape[a] > 1).map(halved);
            let best = across.min_by(|a, b| a.fetched_voxels.total_cmp(&b.fetched_voxels));
            match best {
                Some(smaller) => pieces = smaller,
                None if pieces.shape[2] > 1 => pieces = halved(2),
                None => break,
            }
        }
        pieces
    }
}

fn measure(footprint: &dyn Footprint, block: [u64; 3], piece: [usize; 3], voxel_bytes: u64) -> Pieces {
    let target = footprint.target_shape();
    let mut largest = [0u64; 3];
    let mut summed = [0f64; 3];
    for t in 0..3 {
        for lo in starts(target[t], block[t], piece[t] as u64) {
            let extent =
                extent_at(footprint, target, t, lo, (lo + piece[t] as u64).min(block_end(lo, block[t], target[t])));
            largest[t] = largest[t].max(extent);
            summed[t] += extent as f64;
        }
    }
    let scratch = samples(target, block, piece).map(|region| footprint.scratch_bytes(region)).max().unwrap_or(0);
    let source_bytes = largest.iter().fold(voxel_bytes, |n, &extent| n.saturating_mul(extent));
    // Extents along source axes may differ by a voxel or two between the sampled pieces: a margin of a 16th.
    let bytes = source_bytes.saturating_add(scratch + scratch / 16);
    Pieces { shape: piece, bytes, fetched_voxels: summed.iter().product() }
}

/// Where pieces start along an axis of `len` voxels cut into blocks, and those into pieces.
fn starts(len: u64, block: u64, piece: u64) -> impl Iterator<Item = u64> {
    (0..len).step_by(block as usize).flat_map(move |lo| (lo..(lo + block).min(len)).step_by(piece as usize))
}

fn block_end(at: u64, block: u64, len: u64) -> u64 {
    ((at / block + 1) * block).min(len)
}

/// Source voxels along the source axis that belongs to target axis `t`, for target indices `lo..hi`.
fn extent_at(footprint: &dyn Footprint, target: [u64; 3], t: usize, lo: u64, hi: u64) -> u64 {
    let mut slab = Region::of_shape(target);
    (slab.lo[t], slab.hi[t]) = (lo as i64, hi as i64);
    let source = footprint.source_region(slab);
    match footprint.source_axis(t) {
        _ if source.is_empty() => 0,
        Some(s) => source.shape()[s] as u64,
        None => source.shape().into_iter().max().unwrap_or(0) as u64,
    }
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
