//! A target cut into shares of equal cost that are made apart from each other, on different machines if need be.
//!
//! Pure, and a function of the grids, the layouts and the number of ranks alone: every rank finds the same cut by itself,
//! whatever its budget. Shares are runs of *cells* in an order: whole shards where there are shards, chunks, units of a
//! stream, or whole rows of a raw file. A run is a handful of boxes.

use std::ops::Range;

use super::{ChunkBox, Level, Order, Request, Share};
use crate::{
    layout::{Access, Layout},
    region::Region,
};

/// Bytes of a cell of a raw file, about, where whole planes would be too few.
const RAW_CELL_BYTES: u64 = 1 << 20;
/// Planes per rank from which on planes are not cut: each part of one needs all the planes around it.
const PLANES: u64 = 16;
/// Ranks that an order is judged by at most.
const JUDGED_RANKS: u64 = 128;
/// Parts that an axis is cut into by the orders that are tried.
const CUTS: [u64; 7] = [1, 2, 3, 4, 6, 8, 16];

/// The cut, before anybody has a share of it.
#[derive(Clone, Debug)]
pub struct Partition {
    shape: [u64; 3],
    /// Voxels of a cell.
    pub cell: [u64; 3],
    /// Cells along each axis.
    counts: [u64; 3],
    /// Groups of volumes, or volumes of a stream: the slowest axis.
    keys: u64,
    pub order: Order,
    of: u64,
}

impl Partition {
    /// The cut for `of` ranks: the order of cells whose runs need the fewest source chunks, all ranks together.
    pub fn new(request: &Request<'_>, of: u64) -> Partition {
        let target = request.target;
        let shape = request.footprint.target_shape();
        let cell = cell(target, shape, of);
        let outer = &request.source.outer;
        let keys = if target.access == Access::Ascending { outer.volumes() } else { outer.groups() };
        let counts = std::array::from_fn(|a| shape[a].div_ceil(cell[a]));
        let mut cut = Partition { shape, cell, counts, keys, order: Order::raster(), of: of.max(1) };
        if target.access == Access::Chunked && request.source.access == Access::Chunked && cut.of > 1 {
            let chunk = request.source.chunk;
            let needed = |region: Region| ChunkBox::of(request.footprint.source_region(region), chunk).len();
            let orders = orders(counts, cut.of);
            let costs = orders.into_iter().map(|order| (cut.cost(&order, needed), order));
            // The first of equals: the raster.
            cut.order = costs.min_by_key(|(cost, _)| *cost).map_or_else(Order::raster, |(_, order)| order);
        }
        cut
    }

    /// The cut in words, the same for every rank; the number of ranks comes first.
    pub fn description(&self) -> String {
        let ([z, y, x], [nz, ny, nx]) = (self.cell, self.counts);
        let level = |level: &Level| format!("{}x{}", ["z", "y", "x"][level.axis], level.width);
        let order = self.order.levels.iter().map(level).collect::<Vec<_>>().join(" ");
        format!(
            "{} ranks, {} times {nz} x {ny} x {nx} cells of {z} x {y} x {x} voxels (z, y, x), by {order}",
            self.of, self.keys
        )
    }

    /// The share of one rank; empty where there are more ranks than cells.
    pub fn share(&self, index: u64) -> Share {
        self.share_by(&self.order, index)
    }

    fn share_by(&self, order: &Order, index: u64) -> Share {
        let per_key = self.counts.iter().map(|&n| u128::from(n)).product::<u128>();
        let total = per_key * u128::from(self.keys);
        let bound = |n: u64| total * u128::from(n) / u128::from(self.of);
        let run = bound(index)..bound(index + 1);
        let mut runs: Vec<(Range<u64>, Vec<Region>)> = Vec::new();
        let mut at = run.start;
        while at < run.end {
            let key = (at / per_key) as u64;
            let start = at % per_key;
            // All whole groups at once.
            let whole = if start == 0 { ((run.end - at) / per_key) as u64 } else { 0 };
            let (keys, end) =
                if whole > 0 { (key..key + whole, per_key) } else { (key..key + 1, per_key.min(start + run.end - at)) };
            let mut boxes = Vec::new();
            boxes_of(&order.levels, ([0; 3], self.counts), start..end, &mut boxes);
            at += (end - start) * u128::from(keys.end - keys.start);
            runs.push((keys, boxes.into_iter().map(|cells| self.region(cells)).collect()));
        }
        Share { runs }
    }

    fn region(&self, (lo, hi): Cells) -> Region {
        Region {
            lo: std::array::from_fn(|a| (lo[a] * self.cell[a]) as i64),
            hi: std::array::from_fn(|a| (hi[a] * self.cell[a]).min(self.shape[a]) as i64),
        }
    }

    /// Source chunks that shares by this order need, some of the ranks together.
    fn cost(&self, order: &Order, needed: impl Fn(Region) -> u64) -> u64 {
        let judged = self.of.min(JUDGED_RANKS);
        let ranks = (0..judged).map(|n| (u128::from(n) * u128::from(self.of) / u128::from(judged)) as u64);
        let of_rank = |index| {
            let share = self.share_by(order, index);
            let regions = share.runs.iter().flat_map(|(keys, regions)| {
                regions.iter().map(|&region| needed(region).saturating_mul(keys.end - keys.start))
            });
            regions.fold(0, u64::saturating_add)
        };
        ranks.map(of_rank).fold(0, u64::saturating_add)
    }
}

/// A box of cells: lower and upper corner, half-open.
type Cells = ([u64; 3], [u64; 3]);

/// What ranks get whole.
fn cell(target: &Layout, shape: [u64; 3], of: u64) -> [u64; 3] {
    let has_many_planes = shape[0] / PLANES >= of;
    match target.access {
        Access::Chunked => target.shard.unwrap_or(target.chunk),
        _ if has_many_planes && target.chunk[0] == 1 => [1, shape[1], shape[2]],
        Access::Ascending => target.chunk,
        Access::Random => {
            let voxel = (target.components * target.stored.bytes()) as u64;
            let row = shape[2].saturating_mul(voxel).max(1);
            let rows = (RAW_CELL_BYTES / row).clamp(1, shape[1].max(1));
            let planes = (RAW_CELL_BYTES / row.saturating_mul(shape[1]).max(1)).clamp(1, shape[0].max(1));
            [planes, rows, shape[2]]
        }
    }
}

/// Rasters with each axis slowest, and columns of several widths down each axis.
fn orders(counts: [u64; 3], of: u64) -> Vec<Order> {
    let mut orders = vec![Order::raster()];
    for axes in [[1, 0, 2], [2, 0, 1]] {
        orders.push(Order { levels: axes.map(|axis| Level { axis, width: 1 }).to_vec() });
    }
    for axis in 0..3 {
        let [a, b] = [(axis + 1) % 3, (axis + 2) % 3];
        for parts_a in CUTS {
            for parts_b in CUTS {
                let most = parts_a.saturating_mul(parts_b) <= of && parts_a <= counts[a] && parts_b <= counts[b];
                if most && parts_a * parts_b > 1 {
                    let widths = [counts[a].div_ceil(parts_a), counts[b].div_ceil(parts_b)];
                    orders.push(Order::columns(axis, [(a, &[widths[0]]), (b, &[widths[1]])]));
                }
            }
        }
    }
    orders
}

/// Cuts a run of the cells of a box, in an order, into boxes.
fn boxes_of(levels: &[Level], (lo, hi): Cells, run: Range<u128>, boxes: &mut Vec<Cells>) {
    let count = |lo: [u64; 3], hi: [u64; 3]| (0..3).map(|a| u128::from(hi[a] - lo[a])).product::<u128>();
    let total = count(lo, hi);
    if run.start >= run.end || total == 0 {
        return;
    }
    let Some((level, finer)) = levels.split_first().filter(|_| run != (0..total)) else {
        return boxes.push((lo, hi));
    };
    let (axis, per_part) = (level.axis, total / u128::from(hi[level.axis] - lo[level.axis]) * u128::from(level.width));
    let part = |n: u128| {
        let from = (u128::from(lo[axis]) + n * u128::from(level.width)).min(u128::from(hi[axis])) as u64;
        let to = from.saturating_add(level.width).min(hi[axis]);
        (from, to)
    };
    let with = |from: u64, to: u64| {
        let (mut lo, mut hi) = (lo, hi);
        (lo[axis], hi[axis]) = (from, to);
        (lo, hi)
    };
    let mut at = run.start;
    while at < run.end {
        let n = at / per_part;
        let (from, to) = part(n);
        let (begin, size) = (n * per_part, {
            let (lo, hi) = with(from, to);
            count(lo, hi)
        });
        if at > begin || run.end < begin + size {
            boxes_of(finer, with(from, to), at - begin..(run.end - begin).min(size), boxes);
            at = begin + size;
            continue;
        }
        // All whole parts from here on are one box.
        let last = if run.end == total {
            u128::from(hi[axis] - lo[axis]).div_ceil(u128::from(level.width))
        } else {
            run.end / per_part
        };
        let to = part(last - 1).1;
        boxes.push(with(from, to));
        at = if run.end == total { total } else { last * per_part };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_order(order: &Order, counts: [u64; 3]) -> Vec<[u64; 3]> {
        let mut at = None;
        std::iter::from_fn(|| {
            at = order.next(at, [0; 3], counts);
            at
        })
        .collect()
    }

    proptest! {
        #[test]
        fn boxes_are_the_run(counts in prop::array::uniform3(1u64..7), of in 1u64..9, pick in any::<prop::sample::Index>(), ends in any::<[prop::sample::Index; 2]>()) {
            let all = orders(counts, of);
            let order = &all[pick.index(all.len())];
            let cells = in_order(order, counts);
            let [a, b] = ends.map(|end| end.index(cells.len() + 1));
            let run = a.min(b)..a.max(b);
            let mut boxes = Vec::new();
            boxes_of(&order.levels, ([0; 3], counts), run.start as u128..run.end as u128, &mut boxes);
            let mut found: Vec<[u64; 3]> = Vec::new();
            for (lo, hi) in &boxes {
                let region = Region::new(lo.map(|n| n as i64), hi.map(|n| n as i64));
                found.extend(region.tiles([1; 3]).map(|cell| cell.lo.map(|n| n as u64)));
            }
            found.sort_unstable();
            let mut expected = cells[run].to_vec();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
            prop_assert!(boxes.len() <= 2 * order.levels.len() + 1);
        }
    }

    fn cut(keys: u64, of: u64) -> Partition {
        let (shape, cell) = ([37, 23, 29], [8, 8, 8]);
        let counts = std::array::from_fn(|a| u64::div_ceil(shape[a], cell[a]));
        Partition { shape, cell, counts, keys, order: Order::columns(0, [(1, &[2]), (2, &[2])]), of }
    }

    #[test]
    fn shares_are_a_partition_and_differ_by_one_cell() {
        for (keys, of) in [(1, 1), (1, 2), (1, 5), (1, 16), (3, 4), (3, 200), (7, 3)] {
            let cut = cut(keys, of);
            let mut voxels = 0;
            for index in 0..of {
                let share = cut.share(index);
                for (keys, regions) in &share.runs {
                    voxels += regions.iter().map(Region::voxels).sum::<u64>() * (keys.end - keys.start);
                    for (n, a) in regions.iter().enumerate() {
                        assert!(regions[n + 1..].iter().all(|b| a.intersect(b).is_empty()));
                    }
                }
            }
            assert_eq!(voxels, 37 * 23 * 29 * keys, "{keys} {of}");
        }
        assert!(cut(1, 1000).share(1).is_empty());
    }
}
