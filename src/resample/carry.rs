//! Ops over source chunks that come one after the other: partial results are carried from chunk to chunk, chunks are not kept.
//!
//! A target voxel that looks at several chunks is begun with the first of them and finished with the last. Chunks come with
//! source axis 0 fastest and source axis 2 slowest, and sums are taken along the axes in this order, each by ascending index: the
//! order that the op has for blocks whose chunks are all at hand. So the bits are the same either way.

use std::ops::Range;

use super::{axes::Axes, looks::Looks};
use crate::{
    block::{BlockMut, BlockRef},
    region::Region,
    voxel::{Real, Voxel},
};

mod extremes;
mod folding;
mod sums;

pub(super) use extremes::Extremes;
pub(super) use folding::{Folded, folded_bytes};
pub(super) use sums::{Sums, lanes};

/// What a plan asks of an op that can take chunks one after the other.
pub trait Carrying: Looks {
    /// Bytes that are carried for one volume at most, working memory included.
    fn carried_bytes(&self, extents: &Extents) -> u64;
}

/// The partial results of one volume of a column of target voxels.
pub trait Carry<T: Voxel>: Send {
    /// Takes in one chunk, or what exists of it, and sets the target voxels that it finishes; others of `target` are not touched.
    ///
    /// The chunks of a column come once each, source axis 0 fastest and source axis 2 slowest. `chunk` is one volume.
    fn take(&mut self, chunk: BlockRef<'_, T>, target: &mut BlockMut<'_, T>, volume: usize);

    /// Takes in a chunk of `region` all of whose samples are `value`, to the same bits; `false`, and nothing is done, where it has to be
    /// taken in sample by sample.
    fn take_even(&mut self, value: T, region: Region, target: &mut BlockMut<'_, T>, volume: usize) -> bool;

    /// What target voxels are that look outside the source.
    fn outside(&self) -> T;

    /// Voxels since the last call that were below and above what the type holds, where that is counted.
    fn take_beyond(&mut self) -> [u64; 2] {
        [0; 2]
    }
}

/// Bounds on what is under way at once, by source axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extents {
    /// Voxels of a chunk.
    pub chunk: [usize; 3],
    /// Target indices of a column.
    pub target: [usize; 3],
    /// Target indices that one chunk matters to.
    pub touched: [usize; 3],
    /// Target indices that are begun and not finished at the end of a chunk.
    pub open: [usize; 3],
}

impl Extents {
    /// Of the column that makes `target`.
    pub fn new(op: &dyn Looks, target: Region, chunk: [u64; 3]) -> Extents {
        let mut extents = Extents { chunk: chunk.map(|n| n as usize), ..Extents::default() };
        for (s, &chunk) in chunk.iter().enumerate() {
            let along = Along::new(op, s, target, chunk);
            extents.target[s] = (along.inside.end - along.inside.start).max(0) as usize;
            (extents.touched[s], extents.open[s]) = (along.most_touched, along.most_open);
        }
        extents
    }

    /// No more than these for columns that are cut smaller.
    #[must_use]
    pub fn within(self, target: [usize; 3]) -> Extents {
        let least = |of: [usize; 3]| std::array::from_fn(|s| of[s].min(target[s]));
        let (target, touched, open) = (least(self.target), least(self.touched), least(self.open));
        Extents { target, touched, open, ..self }
    }
}

/// What the chunks along one source axis matter to.
#[derive(Clone, Debug, Default)]
pub(super) struct Along {
    /// Target indices of the column that look inside.
    pub inside: Range<i64>,
    /// Number of the first chunk that any of them looks at.
    first_chunk: i64,
    chunk: i64,
    /// For each chunk from there on a range that holds the target indices that look at it.
    touched: Vec<Range<i64>>,
    pub most_touched: usize,
    pub most_open: usize,
}

/// A target index and its taps within one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub index: i64,
    /// The first tap within the chunk, and the one after the last, as numbers among all its taps.
    pub taps: [usize; 2],
    /// Where the first one lies, from the start of the chunk's part.
    pub from: usize,
    /// Whether chunks before this one have begun it.
    pub begun: bool,
    /// Whether this chunk finishes it.
    pub ends: bool,
}

impl Part {
    /// Whether the chunk has all its taps.
    pub(super) fn is_whole(&self) -> bool {
        !self.begun && self.ends
    }
}

impl Along {
    /// What is carried along source axis `s` of a target region.
    pub(super) fn new(op: &dyn Looks, s: usize, target: Region, chunk: u64) -> Along {
        let (t, inside) = (op.target_axis(s), op.inside(s));
        let inside = inside.start.max(target.lo[t])..inside.end.min(target.hi[t]);
        let chunk = chunk.max(1) as i64;
        let mut along = Along { inside: inside.clone(), chunk, ..Along::default() };
        let chunks = |taps: &Range<i64>| taps.start.div_euclid(chunk)..(taps.end - 1).div_euclid(chunk) + 1;
        let taps = || inside.clone().map(|i| (i, op.taps(s, i))).filter(|(_, taps)| !taps.is_empty());
        let reached = taps().map(|(_, taps)| chunks(&taps)).reduce(|a, b| a.start.min(b.start)..a.end.max(b.end));
        let Some(reached) = reached else { return along };
        along.first_chunk = reached.start;
        along.touched = vec![0..0; (reached.end - reached.start) as usize];
        let mut open = along.touched.clone();
        for (i, taps) in taps() {
            let chunks = chunks(&taps);
            for c in chunks.clone() {
                let n = (c - reached.start) as usize;
                add(&mut along.touched[n], i);
                if c + 1 < chunks.end {
                    add(&mut open[n], i);
                }
            }
        }
        let longest = |ranges: &[Range<i64>]| ranges.iter().map(|r| (r.end - r.start) as usize).max().unwrap_or(0);
        (along.most_touched, along.most_open) = (longest(&along.touched), longest(&open));
        along
    }

    /// The parts of target indices that `source`, an interval within one chunk, has; those that were begun come first. `taps` gives the
    /// source indices that an index looks at.
    pub(super) fn parts(&self, source: Range<i64>, taps: impl Fn(i64) -> Range<i64>, parts: &mut Vec<Part>) {
        parts.clear();
        let number = source.start.div_euclid(self.chunk) - self.first_chunk;
        let touched = usize::try_from(number).ok().and_then(|n| self.touched.get(n)).cloned().unwrap_or(0..0);
        for begun in [true, false] {
            for index in touched.clone() {
                let all = taps(index);
                let within = all.start.max(source.start)..all.end.min(source.end);
                if within.is_empty() || (all.start < source.start) != begun {
                    continue;
                }
                parts.push(Part {
                    index,
                    taps: [within.start, within.end].map(|at| (at - all.start) as usize),
                    from: (within.start - source.start) as usize,
                    begun,
                    ends: all.end <= source.end,
                });
            }
        }
    }
}

/// The parts of target indices that `part` of one chunk has, for each source axis: see [`Along::parts`].
pub(super) fn parts_of<A: Real>(along: &[Along; 3], axes: &Axes<A>, part: Region, parts: &mut [Vec<Part>; 3]) {
    for (s, parts) in parts.iter_mut().enumerate() {
        along[s].parts(part.lo[s]..part.hi[s], |i| axes.tables[s].hull_at(i), parts);
    }
}

/// Makes a range hold `i`.
fn add(range: &mut Range<i64>, i: i64) {
    *range = if range.is_empty() { i..i + 1 } else { range.start.min(i)..range.end.max(i + 1) };
}

/// A place among `places` for each of as many consecutive indices.
fn place(index: i64, places: usize) -> usize {
    index.rem_euclid(places.max(1) as i64) as usize
}
