//! In which order blocks are done: nested widths per axis.
//!
//! An order is a list of levels, slowest first. Each level cuts what the level before it on the same axis has left
//! into parts `width` blocks wide. A raster is one level of width 1 per axis; a sweep down columns has the columns' widths
//! first, then the axis that is walked, then single blocks across the column.

use std::ops::Range;

use serde::{Serialize, Serializer};

/// One digit of a block's place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Level {
    /// Storage axis; told in file order, where 0 is x.
    #[serde(serialize_with = "as_file_axis")]
    pub axis: usize,
    /// Blocks per part.
    pub width: u64,
}

impl Level {
    /// The number of the part that has block `n` in it, from 0. Most levels are single blocks: these need no division.
    fn part(&self, n: u64) -> u64 {
        if self.width == 1 { n } else { n / self.width }
    }

    /// The first block of that part.
    fn start(&self, n: u64) -> u64 {
        self.part(n) * self.width
    }
}

fn as_file_axis<S: Serializer>(axis: &usize, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(2u64.saturating_sub(*axis as u64))
}

/// An order over a raster of blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    pub levels: Vec<Level>,
}

impl Order {
    /// Slowest axis outermost.
    pub fn raster() -> Order {
        Order { levels: (0..3).map(|axis| Level { axis, width: 1 }).collect() }
    }

    /// Columns along `axis`, one after the other. Each axis across comes with the widths it is cut by, coarse to fine;
    /// within a column the first of the two is the slower one.
    pub fn columns(axis: usize, across: [(usize, &[u64]); 2]) -> Order {
        let mut levels = Vec::new();
        for (axis, widths) in across {
            levels.extend(widths.iter().map(|&width| Level { axis, width }));
        }
        levels.extend([axis, across[0].0, across[1].0].map(|axis| Level { axis, width: 1 }));
        Order { levels }
    }

    /// The same order within boxes of `widths` blocks, box after box.
    pub fn within(mut self, widths: [u64; 3]) -> Order {
        let boxes = (0..3).map(|axis| Level { axis, width: widths[axis] });
        self.levels.splice(0..0, boxes);
        self
    }

    /// A number that grows along the order; `counts` are the blocks per axis.
    pub fn code(&self, at: [u64; 3], counts: [u64; 3]) -> u128 {
        let mut left = counts;
        let mut within = at;
        self.levels.iter().fold(0u128, |code, level| {
            let parts = if level.width == 1 { left[level.axis] } else { left[level.axis].div_ceil(level.width) };
            let digit = level.part(within[level.axis]);
            within[level.axis] -= digit * level.width;
            left[level.axis] = left[level.axis].min(level.width);
            code * u128::from(parts) + u128::from(digit)
        })
    }

    /// The first block of the box `lo..hi` that comes after block `after` in the order, or the first of all.
    pub fn next(&self, after: Option<[u64; 3]>, lo: [u64; 3], hi: [u64; 3]) -> Option<[u64; 3]> {
        if (0..3).any(|a| lo[a] >= hi[a]) {
            return None;
        }
        match after {
            None => Some(Order::first(&self.levels, [0; 3], lo)),
            Some(after) => Order::successor(&self.levels, [0; 3], [u64::MAX; 3], after, lo, hi),
        }
    }

    /// The first block of the box `lo..hi` after `after`, or of all, for which `holds` is true.
    ///
    /// `holds` is asked of boxes, and is true of each that holds a block of which it is true: whole boxes are passed over at once.
    pub fn next_where(
        &self,
        after: Option<[u64; 3]>,
        lo: [u64; 3],
        hi: [u64; 3],
        holds: &impl Fn([u64; 3], [u64; 3]) -> bool,
    ) -> Option<[u64; 3]> {
        let is_some = (0..3).all(|a| lo[a] < hi[a]) && holds(lo, hi);
        if is_some { first_where(&self.levels, [0; 3], after, (lo, hi), holds) } else { None }
    }

    /// The first block of the box within the part that starts at `start`; the box reaches into that part.
    fn first(levels: &[Level], mut start: [u64; 3], lo: [u64; 3]) -> [u64; 3] {
        for level in levels {
            let a = level.axis;
            let offset = lo[a].saturating_sub(start[a]);
            start[a] += level.start(offset);
        }
        start
    }

    /// The first block of the box after `after`, which lies in the part `start..ends`.
    fn successor(
        levels: &[Level],
        start: [u64; 3],
        ends: [u64; 3],
        after: [u64; 3],
        lo: [u64; 3],
        hi: [u64; 3],
    ) -> Option<[u64; 3]> {
        let (level, rest) = levels.split_first()?;
        let (a, width) = (level.axis, level.width);
        let end_of = |from: u64| from.saturating_add(width).min(ends[a]);
        let meets = |from: u64| from.max(lo[a]) < end_of(from).min(hi[a]);
        let (mut part, mut part_ends) = (start, ends);
        part[a] = start[a] + level.start(after[a] - start[a]);
        part_ends[a] = end_of(part[a]);
        if meets(part[a])
            && let Some(found) = Order::successor(rest, part, part_ends, after, lo, hi)
        {
            return Some(found);
        }
        // The next part on this axis that meets the box.
        let mut from = part[a] + width;
        if from < lo[a] {
            from += level.start(lo[a] - from);
        }
        if !meets(from) {
            return None;
        }
        // Every other axis must still meet the box within its part.
        let mut next = start;
        next[a] = from;
        Some(Order::first(rest, next, lo))
    }
}

/// The first block that holds after `after`, of the part of the order that starts at `start` and has `after` in it. The box lies
/// within the part, and holds.
fn first_where(
    levels: &[Level],
    start: [u64; 3],
    after: Option<[u64; 3]>,
    (lo, hi): ([u64; 3], [u64; 3]),
    holds: &impl Fn([u64; 3], [u64; 3]) -> bool,
) -> Option<[u64; 3]> {
    let Some((level, _)) = levels.split_first() else { return after.is_none().then_some(lo) };
    let number = |at: u64| (at - start[level.axis]) / level.width;
    let (first, last) = (number(lo[level.axis]), number(hi[level.axis] - 1));
    let Some(at) = after else { return of_parts(levels, start, first..last + 1, None, (lo, hi), holds) };
    let begun = number(at[level.axis]);
    let within = (first..=last).contains(&begun);
    let here = if within { of_parts(levels, start, begun..begun + 1, after, (lo, hi), holds) } else { None };
    here.or_else(|| of_parts(levels, start, first.max(begun + 1)..last + 1, None, (lo, hi), holds))
}

/// The same of a run of the parts that the first level cuts, by halves.
fn of_parts(
    levels: &[Level],
    start: [u64; 3],
    parts: Range<u64>,
    after: Option<[u64; 3]>,
    (lo, hi): ([u64; 3], [u64; 3]),
    holds: &impl Fn([u64; 3], [u64; 3]) -> bool,
) -> Option<[u64; 3]> {
    let (level, finer) = levels.split_first()?;
    let (a, begin) = (level.axis, |part: u64| start[level.axis].saturating_add(part.saturating_mul(level.width)));
    let (mut from, mut to) = (lo, hi);
    (from[a], to[a]) = (lo[a].max(begin(parts.start)), hi[a].min(begin(parts.end)));
    if parts.is_empty() || (from, to) != (lo, hi) && !holds(from, to) {
        return None;
    }
    if parts.end - parts.start == 1 {
        let mut start = start;
        start[a] = begin(parts.start);
        return first_where(finer, start, after, (from, to), holds);
    }
    let middle = parts.start + (parts.end - parts.start) / 2;
    let halves = [parts.start..middle, middle..parts.end];
    halves.into_iter().find_map(|half| of_parts(levels, start, half, after, (from, to), holds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders() -> Vec<Order> {
        let mut orders = vec![Order::raster(), Order::raster().within([2, 3, 2])];
        for axis in 0..3 {
            for widths in [[1, 1], [2, 3], [4, 1], [9, 9]] {
                let across = [((axis + 2) % 3, &widths[..1]), ((axis + 1) % 3, &widths[1..])];
                let nested = [((axis + 1) % 3, [4, 3].as_slice()), ((axis + 2) % 3, &widths[..1])];
                for columns in [Order::columns(axis, across), Order::columns(axis, nested)] {
                    orders.push(columns.clone().within([3, 2, 4]));
                    orders.push(columns);
                }
            }
        }
        orders
    }

    #[test]
    fn walks_every_block_once_with_growing_codes() {
        let counts = [5, 4, 7];
        for order in orders() {
            let mut seen = std::collections::HashSet::new();
            let mut last = None;
            let mut at = order.next(None, [0; 3], counts);
            while let Some(block) = at {
                assert!(seen.insert(block), "{order:?} repeats {block:?}");
                let code = order.code(block, counts);
                assert!(last.is_none_or(|last| last < code), "{order:?} at {block:?}");
                last = Some(code);
                at = order.next(at, [0; 3], counts);
            }
            assert_eq!(seen.len(), 5 * 4 * 7, "{order:?}");
        }
    }

    #[test]
    fn next_where_is_the_first_of_those_that_hold() {
        let counts = [5u64, 4, 7];
        let all: Vec<[u64; 3]> = (0..140).map(|n| [n / 28, n / 7 % 4, n % 7]).collect();
        let wanted: Vec<[u64; 3]> = all.iter().copied().filter(|[z, y, x]| (3 * z + 5 * y + x) % 7 < 2).collect();
        let within = |at: &[u64; 3], lo: [u64; 3], hi: [u64; 3]| (0..3).all(|a| lo[a] <= at[a] && at[a] < hi[a]);
        let holds = |lo, hi| wanted.iter().any(|at| within(at, lo, hi));
        for order in orders() {
            for (lo, hi) in
                [([0, 0, 0], counts), ([1, 1, 2], [4, 3, 6]), ([2, 0, 3], [3, 4, 4]), ([2, 2, 2], [2, 4, 7])]
            {
                for after in all.iter().copied().map(Some).chain([None]) {
                    let later = |at: &[u64; 3]| after.is_none_or(|a| order.code(*at, counts) > order.code(a, counts));
                    let left = wanted.iter().filter(|at| within(at, lo, hi) && later(at));
                    let expected = left.min_by_key(|at| order.code(**at, counts)).copied();
                    assert_eq!(order.next_where(after, lo, hi, &holds), expected, "{order:?} {after:?} {lo:?}..{hi:?}");
                }
            }
        }
    }

    #[test]
    fn next_in_a_box_is_the_first_of_its_blocks_by_code() {
        let counts = [5u64, 4, 7];
        let all: Vec<[u64; 3]> = (0..140).map(|n| [n / 28, n / 7 % 4, n % 7]).collect();
        let boxes = [([1, 1, 2], [4, 3, 6]), ([0, 0, 0], [1, 4, 7]), ([4, 3, 6], [5, 4, 7]), ([2, 0, 3], [3, 4, 4])];
        for order in orders() {
            for (lo, hi) in boxes {
                for after in &all {
                    let expected = all
                        .iter()
                        .filter(|b| (0..3).all(|a| lo[a] <= b[a] && b[a] < hi[a]))
                        .filter(|b| order.code(**b, counts) > order.code(*after, counts))
                        .min_by_key(|b| order.code(**b, counts));
                    assert_eq!(
                        order.next(Some(*after), lo, hi).as_ref(),
                        expected,
                        "{order:?} {after:?} {lo:?}..{hi:?}"
                    );
                }
            }
        }
    }
}
