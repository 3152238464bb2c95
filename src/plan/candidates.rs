//! What is tried: block shapes that are unions of write units, and the orders of each.

use std::cmp::Reverse;

use super::{
    ChunkMap, Order, Request,
    sweeps::{Sweep, free_sweeps, sweeps},
};
use crate::layout::Access;

/// Target blocks are not made larger than this by joining write units,
pub(super) const BLOCK_BYTES: u64 = 16 << 20;
/// nor than this where an op looks so far around each voxel that smaller ones fetch much of the source again.
pub(super) const WIDE_BLOCK_BYTES: u64 = 64 << 20;
/// Blocks of raw targets, which could be of any size, are not made smaller than this.
const SMALL_BLOCK_BYTES: u64 = 128 << 10;
/// Shards that an order may leave open at once.
const MOST_OPEN_SHARDS: u64 = 64;
/// The same in voxels' bytes: what an interrupted run may leave half written.
const MOST_OPEN_BYTES: u64 = 8 << 30;

/// Block shapes worth a trial, largest first: they make good plans where they fit, and most of what follows then loses
/// without a walk.
pub(super) fn blocks(request: &Request<'_>, most_bytes: u64) -> Vec<[u64; 3]> {
    let shape = request.footprint.target_shape();
    let unit = request.target.chunk;
    let sample = request.sample_bytes as u64 * request.target.components as u64;
    let whole = shape.iter().fold(sample, |n, &e| n.saturating_mul(e));
    let mut blocks: Vec<[u64; 3]> = Vec::new();
    for factors in joins(request) {
        let block: [u64; 3] =
            std::array::from_fn(|a| unit[a].saturating_mul(factors[a]).min(shape[a].next_multiple_of(unit[a])));
        let bytes = block.iter().fold(sample, |n, &e| n.saturating_mul(e));
        let repeated = blocks.contains(&block);
        // Along rows blocks may be as long as the budget allows: raw sources are read by rows.
        let is_row = factors[..2] == [1, 1] && request.target.access == Access::Chunked;
        let most = if is_row { most_bytes.max(request.budget.memory_bytes) } else { most_bytes };
        let least = if request.target.access == Access::Random { SMALL_BLOCK_BYTES.min(whole) } else { 0 };
        if repeated || (factors != [1; 3] && bytes > most) || bytes < least {
            continue;
        }
        blocks.push(block);
    }
    blocks.sort_by_key(|block| Reverse(block.iter().product::<u64>()));
    blocks
}

/// How many write units are joined to a block along each axis.
fn joins(request: &Request<'_>) -> Vec<[u64; 3]> {
    match request.target.access {
        // A stream takes its units in order: a run of rows within a plane, or of planes.
        Access::Ascending => {
            let axis = if request.target.chunk[0] == 1 && request.target.chunk[1] < request.target.grid.shape[1] {
                1
            } else {
                0
            };
            let join = |n| std::array::from_fn(|a| if a == axis { n } else { 1 });
            [1, 2, 4, 8, 16].map(join).to_vec()
        }
        Access::Random => {
            let [planes, rows, _] = request.target.chunk_counts();
            let is_free = request.footprint.reach().is_some();
            let (zs, ys) = (&joined(planes, is_free), &joined(rows, is_free));
            let planes = |x| zs.iter().flat_map(move |&z| ys.iter().map(move |&y| [z, y, x]));
            row_parts(request).into_iter().flat_map(planes).collect()
        }
        Access::Chunked => {
            let along_rows =
                (1..=row_chunks(request)).filter(|&n| row_chunks(request).is_multiple_of(n)).map(|n| [1, 1, n]);
            let cubes = [[1, 2, 2], [2, 2, 2], [4, 4, 4], [2, 2, row_chunks(request)]];
            along_rows.chain(cubes).filter(|&factors| fills_shards(request, factors)).collect()
        }
    }
}

/// Units that may be joined along an axis of so many: powers of two, or of four where there are many or fewer will do, and all of
/// them. A thin volume has nothing to join along its other axes.
fn joined(units: u64, coarse: bool) -> Vec<u64> {
    let exponents = (0..u64::BITS).filter(|n| n % 2 == 0 || *n < 8 && !coarse);
    exponents.map(|n| 1 << n).take_while(|&n| n < units).chain([units]).collect()
}

/// Units of a raw target along rows: whole rows, and halves of those that are chunked sources or blocks by themselves. The box
/// around an oblique row is mostly waste: there, halves down to a unit.
fn row_parts(request: &Request<'_>) -> Vec<u64> {
    let units = request.target.chunk_counts()[2];
    let unit_bytes = request.target.chunk[2].saturating_mul((request.sample_bytes * request.target.components) as u64);
    let always = match request.source.access {
        Access::Random => 1,
        _ if request.footprint.reach().is_some() => u64::BITS as usize,
        _ => 4,
    };
    let halved = (0..u64::BITS).map(|halvings| units.div_ceil(1 << halvings));
    let is_worth = |&(n, part): &(usize, u64)| n < always || part.saturating_mul(unit_bytes) >= SMALL_BLOCK_BYTES;
    let mut parts: Vec<u64> = halved.enumerate().take_while(is_worth).map(|(_, part)| part).collect();
    parts.dedup();
    parts
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

/// The orders in which blocks may be done.
pub(super) fn orders(request: &Request<'_>, touch: &ChunkMap) -> Vec<Sweep> {
    let target = request.target;
    if target.access == Access::Ascending {
        return vec![Sweep::plain(Order::raster())];
    }
    let chunked = request.source.access == Access::Chunked;
    let sweeps = |boxes: [u64; 3]| match request.footprint.reach() {
        Some(_) => free_sweeps(touch, boxes),
        None => sweeps(touch, boxes),
    };
    let Some(shard) = target.shard else {
        return if chunked { sweeps(touch.counts) } else { vec![Sweep::plain(Order::raster())] };
    };
    let widths: [u64; 3] = std::array::from_fn(|a| (shard[a] / touch.block[a]).max(1));
    if chunked {
        let shard_bytes = shard.iter().fold(request.sample_bytes as u64, |n, &e| n.saturating_mul(e));
        // Volumes that share chunks are written side by side.
        let most = (MOST_OPEN_BYTES / shard_bytes.max(1)).min(MOST_OPEN_SHARDS) / request.source.outer.largest_group();
        return shard_boxes(touch.counts, widths, most).into_iter().flat_map(sweeps).collect();
    }
    let mut orders = vec![Sweep::plain(Order::raster().within(widths))];
    // Shard by shard, a stream would have to be kept for a whole layer of shards; layer by layer, all shards of a
    // layer are open at once, each filled in its own order.
    let open: u64 = (1..3).map(|a| touch.counts[a].div_ceil(widths[a])).product();
    if request.source.access == Access::Ascending && open <= MOST_OPEN_SHARDS {
        orders.push(Sweep::plain(Order::raster()));
    }
    orders
}

/// Boxes of whole shards, in blocks, that are finished one after the other: single shards, and as many as may be open,
/// since columns cut at every shard decode the chunks on its faces twice.
fn shard_boxes(counts: [u64; 3], shard: [u64; 3], most: u64) -> Vec<[u64; 3]> {
    let shards: [u64; 3] = std::array::from_fn(|a| counts[a].div_ceil(shard[a]));
    let boxed =
        |times: [u64; 3]| -> [u64; 3] { std::array::from_fn(|a| shard[a].saturating_mul(times[a]).min(counts[a])) };
    let mut boxes = vec![[1; 3]];
    // Doubled where they are shortest, in blocks.
    let mut times = [1u64; 3];
    loop {
        let wider = |a: usize| {
            let mut wider = times;
            wider[a] = (times[a] * 2).min(shards[a]);
            wider
        };
        let open = |times: [u64; 3]| times.iter().fold(1u64, |n, &t| n.saturating_mul(t));
        let grows = (0..3).filter(|&a| times[a] < shards[a] && open(wider(a)) <= most);
        let Some(axis) = grows.min_by_key(|&a| times[a].saturating_mul(shard[a])) else { break };
        times = wider(axis);
    }
    boxes.push(times);
    boxes.dedup();
    boxes.into_iter().map(boxed).collect()
}
