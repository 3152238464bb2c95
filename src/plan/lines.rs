//! Which source chunks the blocks along one target axis reach, and back: tables that all block shapes of the same extent along
//! that axis share.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use super::{ChunkBox, Request, slabs::Slabs, widths::Judged};
use crate::layout::Access;

/// What schedule and window note of a chunk that is held: its place and next use in several tables, and who reads it.
const HELD_BYTES: u64 = 512;
/// Bytes of tables that are kept for other block shapes, and the part of the budget that they may take where that is more.
const KEPT_BYTES: u64 = 1 << 20;
const KEPT_SHARE: u64 = 64;
/// Boxes of blocks that a table knows of.
const MOST_JUDGED: usize = 8;
/// Blocks along an axis that are looked at where only an estimate is asked for.
const SAMPLED_BLOCKS: u64 = 240;

/// The chunks along the source axis of one target axis, for ops whose regions are products of intervals.
#[derive(Debug, Default)]
pub struct Line {
    /// Chunks that each slab of blocks reaches.
    pub reach: Vec<Range<u64>>,
    /// For each chunk, the hull of the slabs that reach it.
    pub used_by: Vec<Range<u64>>,
    /// Of `reach`.
    pub longest: u64,
    pub mean: f64,
    /// Chunks that any slab reaches.
    pub used: u64,
    /// By the boxes of blocks that orders keep to.
    judged: Mutex<Vec<(u64, Arc<Judged>)>>,
}

impl Line {
    fn new(reach: Vec<Range<u64>>, chunks: u64) -> Line {
        let used_by = inverse(&reach, chunks);
        let len = |range: &Range<u64>| range.end.saturating_sub(range.start);
        Line {
            longest: reach.iter().map(len).max().unwrap_or(0),
            mean: reach.iter().map(len).sum::<u64>() as f64 / reach.len().max(1) as f64,
            used: used_by.iter().filter(|used| !used.is_empty()).count() as u64,
            reach,
            used_by,
            judged: Mutex::default(),
        }
    }

    /// How the axis may be cut within boxes of so many blocks.
    pub fn judged(&self, boxed: u64) -> Arc<Judged> {
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = judged.iter().find(|(known, _)| *known == boxed) {
            return Arc::clone(known);
        }
        let new = Arc::new(Judged::new(&self.reach, boxed));
        judged.truncate(MOST_JUDGED - 1);
        judged.insert(0, (boxed, Arc::clone(&new)));
        new
    }

    /// Memory of the tables.
    pub fn bytes(&self) -> u64 {
        table_bytes(self.reach.len() as u64, self.used_by.len() as u64)
    }
}

fn table_bytes(blocks: u64, chunks: u64) -> u64 {
    blocks.saturating_add(chunks).saturating_mul(size_of::<Range<u64>>() as u64)
}

/// The tables of a request, by axis and extent of blocks.
pub struct Lines<'a> {
    pub request: &'a Request<'a>,
    slabs: Option<Slabs<'a>>,
    chunk_counts: [u64; 3],
    known: HashMap<(usize, u64), Arc<Line>>,
    known_bytes: u64,
}

impl<'a> Lines<'a> {
    /// No table is made yet.
    pub fn new(request: &'a Request<'a>) -> Lines<'a> {
        let has_tables = request.source.access != Access::Random && request.footprint.reach().is_none();
        let slabs = has_tables.then(|| Slabs::new(request.footprint));
        let chunk_counts = request.source.chunk_counts();
        Lines { request, slabs, chunk_counts, known: HashMap::new(), known_bytes: 0 }
    }

    /// The tables of blocks of this shape; empty ones where no table is asked for.
    pub fn of(&mut self, block: [u64; 3]) -> [Arc<Line>; 3] {
        std::array::from_fn(|t| self.along(t, block[t]))
    }

    /// Bytes of the tables of blocks of this shape.
    pub fn bytes(&self, block: [u64; 3]) -> u64 {
        let along = |t: usize| table_bytes(self.blocks(t, block[t]), self.chunk_counts[self.source_axis(t)]);
        if self.slabs.is_none() { 0 } else { (0..3).map(along).fold(0, u64::saturating_add) }
    }

    /// The most chunks that a block of this shape needs, about, without any table.
    pub fn sampled_chunks(&self, block: [u64; 3]) -> u64 {
        let Some(slabs) = &self.slabs else { return 0 };
        let longest = |t: usize| {
            let blocks = self.blocks(t, block[t]);
            let picks = (0..SAMPLED_BLOCKS.min(blocks)).map(|n| n * blocks / SAMPLED_BLOCKS.min(blocks));
            picks.map(|b| self.reached(slabs, t, b, block[t])).map(|r| r.end - r.start).max().unwrap_or(0)
        };
        (0..3).map(longest).fold(1, u64::saturating_mul)
    }

    /// Bytes of one decoded chunk, all volumes of its group.
    pub fn decoded_bytes(&self) -> u64 {
        let (source, sample_bytes) = (self.request.source, self.request.sample_bytes);
        let volumes = source.outer.largest_group().saturating_mul((source.components * sample_bytes) as u64);
        source.chunk.iter().fold(volumes, |n, &e| n.saturating_mul(e))
    }

    /// Memory that such a chunk takes in the window, with what the schedule knows of it.
    pub fn chunk_bytes(&self) -> u64 {
        self.decoded_bytes().saturating_add(HELD_BYTES)
    }

    fn along(&mut self, t: usize, extent: u64) -> Arc<Line> {
        let Some(slabs) = &self.slabs else { return Arc::default() };
        if let Some(known) = self.known.get(&(t, extent)) {
            return known.clone();
        }
        let reach = (0..self.blocks(t, extent)).map(|b| self.reached(slabs, t, b, extent)).collect();
        let line = Arc::new(Line::new(reach, self.chunk_counts[self.source_axis(t)]));
        if self.known_bytes + line.bytes() > KEPT_BYTES.max(self.request.budget.memory_bytes / KEPT_SHARE) {
            (self.known, self.known_bytes) = (HashMap::new(), 0);
        }
        self.known_bytes += line.bytes();
        self.known.insert((t, extent), line.clone());
        line
    }

    fn reached(&self, slabs: &Slabs<'_>, t: usize, b: u64, extent: u64) -> Range<u64> {
        let source = slabs.source(t, b * extent, (b + 1).saturating_mul(extent));
        let (chunks, s) = (ChunkBox::of(source, self.request.source.chunk), self.source_axis(t));
        chunks.lo[s]..chunks.hi[s]
    }

    fn blocks(&self, t: usize, extent: u64) -> u64 {
        self.request.footprint.target_shape()[t].div_ceil(extent)
    }

    fn source_axis(&self, t: usize) -> usize {
        self.request.footprint.source_axis(t).unwrap_or(t)
    }
}

/// For each chunk number, the hull of the slabs that reach it.
fn inverse(reach: &[Range<u64>], chunks: u64) -> Vec<Range<u64>> {
    let mut used = vec![0..0; chunks as usize];
    for (b, reached) in reach.iter().enumerate() {
        for slot in &mut used[reached.start as usize..reached.end as usize] {
            let b = b as u64;
            *slot = if slot.start == slot.end { b..b + 1 } else { slot.start.min(b)..slot.end.max(b + 1) };
        }
    }
    used
}
