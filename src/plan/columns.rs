//! Columns of target blocks past which the source's chunks go, one after the other.
//!
//! A column has all blocks along one target axis: the one of source axis 2, which chunks come slowest along. So each block is
//! finished before chunks much farther on are needed, and what is begun of the next is carried on. A chunk is decoded once for
//! each column that needs it.

use std::{ops::Range, sync::Arc};

use super::{Chunk, ChunkBox, ChunkMap};
use crate::{
    region::Region,
    resample::{Footprint, Looks},
};

/// A column, or the part of one that is to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub group: u64,
    /// Its volumes, and the place of the first among the group's members.
    pub volumes: Vec<u64>,
    pub member: u64,
    /// Target voxels.
    pub region: Region,
    /// A box that holds what is to be decoded for it,
    pub chunks: ChunkBox,
    /// and the places along source axis 2, within the box, that any of its blocks reaches: ascending, apart from each other.
    pub layers: Vec<Range<u64>>,
}

impl Column {
    /// Chunks that are decoded for it.
    pub fn decodes(&self) -> u64 {
        self.layer().saturating_mul(self.layers.iter().map(|layers| layers.end - layers.start).sum())
    }

    /// Chunks at each place along source axis 2.
    fn layer(&self) -> u64 {
        (self.chunks.hi[0] - self.chunks.lo[0]).saturating_mul(self.chunks.hi[1] - self.chunks.lo[1])
    }

    /// Place number `n` along source axis 2 of those that are needed.
    fn place(&self, mut n: u64) -> u64 {
        for layers in &self.layers {
            let len = layers.end - layers.start;
            if n < len {
                return layers.start + n;
            }
            n -= len;
        }
        self.chunks.hi[2]
    }
}

/// One step of a column: a chunk, or nothing where none is needed.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Number in the schedule, from 0.
    pub number: u64,
    pub column: Arc<Column>,
    pub chunk: Option<Chunk>,
    /// Whether no other chunk of the column has the same place along source axis 2 and comes later.
    pub ends_layer: bool,
    /// Whether the column is done with it.
    pub ends_column: bool,
}

/// The columns to be made, in their order.
#[derive(Clone)]
pub struct Columns<'a> {
    touch: &'a ChunkMap,
    footprint: &'a dyn Footprint,
    chunk: [u64; 3],
    /// The target axis that columns run along.
    axis: usize,
    key: u64,
    part: usize,
    /// Number of the next column of a region, in C order across the axis.
    next: u64,
}

impl<'a> Columns<'a> {
    /// Over chunks of `chunk` voxels. `None` for ops that do not carry.
    pub fn new(touch: &'a ChunkMap, footprint: &'a dyn Footprint, chunk: [u64; 3]) -> Option<Columns<'a>> {
        let axis = footprint.carrying()?.target_axis(2);
        Some(Columns { touch, footprint, chunk, axis, key: 0, part: 0, next: 0 })
    }

    fn keys(&self) -> u64 {
        let outer = &self.touch.outer;
        if self.touch.volumes_outermost { outer.volumes() } else { outer.groups() }
    }

    /// The parts of column `number` of a region: of what lies in it along the axis.
    fn region(&self, whole: Region, number: u64) -> Option<Region> {
        let (lo, hi) = self.touch.blocks_of(whole);
        let across: [usize; 2] = match self.axis {
            0 => [1, 2],
            1 => [0, 2],
            _ => [0, 1],
        };
        let [slow, fast] = across;
        let count = hi[fast] - lo[fast];
        let mut at = lo;
        (at[slow], at[fast]) = (lo[slow] + number / count.max(1), lo[fast] + number % count.max(1));
        if count == 0 || at[slow] >= hi[slow] {
            return None;
        }
        let mut region = self.touch.region(at).intersect(&whole);
        (region.lo[self.axis], region.hi[self.axis]) = (whole.lo[self.axis], whole.hi[self.axis]);
        Some(region)
    }

    /// Without the blocks at both ends that are stored already; empty if all are.
    fn left(&self, volumes: &[u64], region: Region) -> Region {
        let todo = &self.touch.todo;
        if todo.is_fresh() {
            return region;
        }
        let slabs = slabs_of(region, self.axis, self.touch.block[self.axis]);
        let is_open = |slab: &Region| volumes.iter().any(|&volume| !todo.is_done(volume, *slab));
        let mut open = slabs.filter(is_open);
        let Some(first) = open.next() else { return Region::EMPTY };
        let last = open.last().unwrap_or(first);
        first.hull(&last)
    }

    fn column(&self, key: u64, region: Region) -> Option<Column> {
        let outer = &self.touch.outer;
        let (group, member) = if self.touch.volumes_outermost { outer.locate(key) } else { (key, 0) };
        let volumes = if self.touch.volumes_outermost { vec![key] } else { outer.members(group) };
        let region = self.left(&volumes, region);
        let chunks_of = |region| ChunkBox::of(self.footprint.source_region(region), self.chunk);
        let slabs = (!region.is_empty()).then(|| slabs_of(region, self.axis, self.touch.block[self.axis]))?;
        let layers = union(slabs.map(&chunks_of).map(|chunks| chunks.lo[2]..chunks.hi[2]).collect());
        Some(Column { group, volumes, member: member as u64, region, chunks: chunks_of(region), layers })
    }
}

impl Iterator for Columns<'_> {
    type Item = Column;

    fn next(&mut self) -> Option<Column> {
        loop {
            let key = self.touch.todo.next_key(self.key, self.keys())?;
            if key != self.key {
                (self.key, self.part, self.next) = (key, 0, 0);
            }
            let Some(&whole) = self.touch.todo.regions(key).get(self.part) else {
                (self.key, self.part, self.next) = (key + 1, 0, 0);
                continue;
            };
            let Some(region) = self.region(whole, self.next) else {
                (self.part, self.next) = (self.part + 1, 0);
                continue;
            };
            self.next += 1;
            if let Some(column) = self.column(key, region) {
                return Some(column);
            }
        }
    }
}

/// Every chunk of every column, in the order in which they pass by.
#[derive(Clone)]
pub struct Passes<'a> {
    columns: Columns<'a>,
    column: Option<Arc<Column>>,
    /// Chunks of the column that have been named.
    named: u64,
    number: u64,
}

impl<'a> Passes<'a> {
    /// All passes, from the first column on.
    pub fn new(columns: Columns<'a>) -> Passes<'a> {
        Passes { columns, column: None, named: 0, number: 0 }
    }
}

impl std::fmt::Debug for Passes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passes").field("column", &self.column).field("named", &self.named).finish_non_exhaustive()
    }
}

impl Iterator for Passes<'_> {
    type Item = Pass;

    fn next(&mut self) -> Option<Pass> {
        let column = match self.column.take() {
            Some(column) => column,
            None => Arc::new(self.columns.next()?),
        };
        let (named, chunks) = (self.named, column.chunks);
        let extent: [u64; 2] = std::array::from_fn(|a| chunks.hi[a] - chunks.lo[a]);
        let (layer, decodes) = (column.layer(), column.decodes());
        let chunk = (decodes > 0).then(|| {
            let at = [chunks.lo[0] + named % extent[0], chunks.lo[1] + named / extent[0] % extent[1]];
            Chunk { group: column.group, at: [at[0], at[1], column.place(named / layer)] }
        });
        let ends_column = named + 1 >= decodes;
        let pass = Pass {
            number: self.number,
            chunk,
            ends_layer: chunk.is_none() || (named + 1).is_multiple_of(layer),
            ends_column,
            column: Arc::clone(&column),
        };
        self.number += 1;
        (self.column, self.named) = if ends_column { (None, 0) } else { (Some(column), named + 1) };
        Some(pass)
    }
}

/// A block of a column, and when it is finished.
#[derive(Clone, Debug, PartialEq)]
pub struct Slab {
    pub region: Region,
    /// The place along source axis 2 of the last chunk that matters to it or to one before it; `None` where none does.
    pub after: Option<i64>,
}

/// The blocks of a column in the order in which they are finished, and the most voxels along their axis that are begun or
/// finished and not yet handed on.
pub fn slabs(op: &dyn Looks, column: Region, block: [u64; 3], chunk: [u64; 3]) -> (Vec<Slab>, usize) {
    let axis = op.target_axis(2);
    let chunk = chunk[2].max(1) as i64;
    let inside = op.inside(2);
    let inside = inside.start.max(column.lo[axis])..inside.end.min(column.hi[axis]);
    let falls = is_reversed(op, &inside);
    let mut slabs: Vec<Slab> = slabs_of(column, axis, block[axis]).map(|region| Slab { region, after: None }).collect();
    if falls {
        slabs.reverse();
    }
    let mut after = None;
    for slab in &mut slabs {
        let own = slab.region.lo[axis].max(inside.start)..slab.region.hi[axis].min(inside.end);
        let last =
            own.map(|i| op.taps(2, i)).filter(|taps| !taps.is_empty()).map(|taps| (taps.end - 1).div_euclid(chunk));
        after = after.max(last.max());
        slab.after = after;
    }
    // What chunks up to each place reach, counted from where the column begins.
    let from_start = |i: i64| if falls { column.hi[axis] - i } else { i + 1 - column.lo[axis] };
    let mut begun: Vec<(i64, i64)> = Vec::new();
    for i in inside {
        let (taps, reached) = (op.taps(2, i), from_start(i));
        let place = taps.start.div_euclid(chunk);
        match begun.last_mut() {
            _ if taps.is_empty() => {}
            // One entry a chunk, not one an index.
            Some((last, farthest)) if *last == place => *farthest = reached.max(*farthest),
            _ => begun.push((place, reached)),
        }
    }
    let reach = Needed::new(begun);
    let (mut done, mut depth) = (0, 0);
    for slab in &slabs {
        let len = slab.region.hi[axis] - slab.region.lo[axis];
        let reached = slab.after.map_or(0, |after| reach.by(after)) - done;
        depth = depth.max(len).max(reached);
        done += len;
    }
    (slabs, depth as usize)
}

/// Whether the source is walked from the far end of the target axis.
fn is_reversed(op: &dyn Looks, inside: &Range<i64>) -> bool {
    !inside.is_empty() && op.taps(2, inside.start).start > op.taps(2, inside.end - 1).start
}

/// The blocks of a region along an axis, ascending.
fn slabs_of(region: Region, axis: usize, block: u64) -> impl Iterator<Item = Region> {
    let block = block.max(1) as i64;
    let numbers = region.lo[axis].div_euclid(block)..(region.hi[axis] - 1).div_euclid(block) + 1;
    numbers.map(move |n| {
        let mut slab = region;
        slab.lo[axis] = slab.lo[axis].max(n * block);
        slab.hi[axis] = slab.hi[axis].min((n + 1) * block);
        slab
    })
}

/// Ranges apart from each other that hold the same numbers, ascending.
pub(super) fn union(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    ranges.dedup_by(|next, last| {
        let joins = next.start <= last.end;
        if joins {
            last.end = last.end.max(next.end);
        }
        joins
    });
    ranges
}

/// The number of blocks of a region along an axis.
pub(super) fn slab_count(region: Region, axis: usize, block: u64) -> u64 {
    let block = block.max(1) as i64;
    ((region.hi[axis] - 1).div_euclid(block) + 1 - region.lo[axis].div_euclid(block)) as u64
}

/// How far target indices reach that are begun by chunks up to a place.
struct Needed {
    /// Places, ascending, with the farthest of all up to each.
    farthest: Vec<(i64, i64)>,
}

impl Needed {
    fn new(mut begun: Vec<(i64, i64)>) -> Needed {
        begun.sort_unstable();
        let mut most = 0;
        for (_, reached) in &mut begun {
            most = most.max(*reached);
            *reached = most;
        }
        Needed { farthest: begun }
    }

    fn by(&self, place: i64) -> i64 {
        let after = self.farthest.partition_point(|&(at, _)| at <= place);
        after.checked_sub(1).map_or(0, |n| self.farthest[n].1)
    }
}
