//! Which source chunks each target block touches, and back, as small tables per axis.

use std::{ops::Range, sync::Arc};

use super::{
    ChunkBox, Request, Todo,
    lines::{Line, Lines},
    widths::Judged,
};
use crate::{
    layout::{Access, Outer},
    region::Region,
    resample::ObliqueFootprint,
};

/// The raster of target blocks over the raster of source chunks.
///
/// For every target axis there is the interval of chunks that a slab of blocks reaches along its source axis, and its
/// inverse: tables as long as the axes are, never as the volume is.
#[derive(Clone, Debug)]
pub struct ChunkMap {
    pub target: Region,
    pub block: [u64; 3],
    /// Blocks along each target axis.
    pub counts: [u64; 3],
    /// Chunks along each source axis; `None` for sources without chunks.
    pub chunk_counts: Option<[u64; 3]>,
    pub access: Access,
    /// Bytes of one decoded chunk, all volumes of its group.
    pub decoded_bytes: u64,
    /// Memory that it takes in the window, with what the schedule knows of it.
    pub chunk_bytes: u64,
    pub outer: Outer,
    /// Whether one volume is finished before the next begins, as streams ask for; else a block is done for all volumes
    /// that share its chunks.
    pub volumes_outermost: bool,
    /// What is to be made; regions cut the blocks that they do not hold whole.
    pub todo: Arc<Todo>,
    /// For ops whose regions are no products: what is asked instead of the tables, which are then empty.
    free: Option<Arc<dyn ObliqueFootprint>>,
    /// Voxels of a chunk.
    chunk: [u64; 3],
    /// The source axis of each target axis.
    own_axes: [usize; 3],
    /// By target axis.
    lines: [Arc<Line>; 3],
}

impl ChunkMap {
    /// The table for blocks of this extent.
    pub fn new(request: &Request<'_>, block: [u64; 3]) -> ChunkMap {
        ChunkMap::with(&mut Lines::new(request), block)
    }

    /// The same, with tables that others may have made.
    pub fn with(lines: &mut Lines<'_>, block: [u64; 3]) -> ChunkMap {
        let request = lines.request;
        let shape = request.footprint.target_shape();
        let counts: [u64; 3] = std::array::from_fn(|a| shape[a].div_ceil(block[a]));
        let source = request.source;
        let chunked = source.access != Access::Random;
        ChunkMap {
            target: Region::of_shape(shape),
            block,
            counts,
            chunk_counts: chunked.then(|| source.chunk_counts()),
            access: source.access,
            decoded_bytes: lines.decoded_bytes(),
            chunk_bytes: lines.chunk_bytes(),
            outer: source.outer.clone(),
            volumes_outermost: request.target.access == Access::Ascending,
            todo: request.todo.cloned().unwrap_or_else(|| Arc::new(Todo::everything(Region::of_shape(shape)))),
            free: request.footprint.reach(),
            chunk: source.chunk,
            own_axes: std::array::from_fn(|t| request.footprint.source_axis(t).unwrap_or(t)),
            lines: lines.of(block),
        }
    }

    /// The target voxels of a block.
    pub fn region(&self, at: [u64; 3]) -> Region {
        let lo: [i64; 3] = std::array::from_fn(|a| (at[a] * self.block[a]) as i64);
        let hi = std::array::from_fn(|a| (lo[a] + self.block[a] as i64).min(self.target.hi[a]));
        Region { lo, hi }
    }

    /// The blocks that have voxels in `region`: lower and upper corner, half-open.
    pub fn blocks_of(&self, region: Region) -> ([u64; 3], [u64; 3]) {
        let blocks = ChunkBox::of(region, self.block);
        (blocks.lo, blocks.hi)
    }

    /// Blocks and parts of blocks that are to be made, all volumes. Where some are made already, each is looked at.
    pub fn steps(&self) -> u64 {
        let scopes = if self.volumes_outermost { self.outer.volumes() } else { self.outer.groups() };
        let (mut steps, mut from) = (0u64, 0);
        if self.todo.is_everything() {
            return self.counts.iter().fold(self.outer.volumes(), |n, &count| n.saturating_mul(count));
        }
        while let Some(scope) = self.todo.next_key(from, scopes) {
            let volumes = if self.volumes_outermost { vec![scope] } else { self.outer.members(scope) };
            for &region in self.todo.regions(scope) {
                steps = volumes.iter().fold(steps, |n, &volume| n.saturating_add(self.steps_in(volume, region)));
            }
            from = scope + 1;
        }
        steps
    }

    fn steps_in(&self, volume: u64, region: Region) -> u64 {
        let (lo, hi) = self.blocks_of(region);
        if !self.todo.knows(volume) {
            return (0..3).map(|a| hi[a] - lo[a]).fold(1, u64::saturating_mul);
        }
        let blocks = ChunkBox { lo, hi };
        let is_open = |at: &[u64; 3]| !self.todo.is_done(volume, self.region(*at).intersect(&region));
        blocks.iter().filter(is_open).count() as u64
    }

    /// The chunks that a block needs.
    pub fn chunks(&self, at: [u64; 3]) -> ChunkBox {
        if self.chunk_counts.is_none() {
            return ChunkBox::default();
        }
        if let Some(reach) = &self.free {
            return ChunkBox::of(reach.source_region(self.region(at)), self.chunk);
        }
        let mut found = ChunkBox::default();
        for (t, &b) in at.iter().enumerate() {
            let (s, reach) = (self.own_axes[t], &self.lines[t].reach[b as usize]);
            (found.lo[s], found.hi[s]) = (reach.start, reach.end);
        }
        if found.is_empty() { ChunkBox::default() } else { found }
    }

    /// Chunks along the source axis of target axis `t` that each slab of blocks reaches.
    pub fn own_reach(&self, t: usize) -> &[Range<u64>] {
        &self.lines[t].reach
    }

    /// How target axis `t` may be cut into columns within boxes of so many blocks.
    pub fn judged(&self, t: usize, boxed: u64) -> Arc<Judged> {
        self.lines[t].judged(boxed)
    }

    /// Bytes of the tables.
    pub fn table_bytes(&self) -> u64 {
        self.lines.iter().map(|line| line.bytes()).sum()
    }

    /// Chunks that a block needs on average, from the mean reach along each axis.
    pub fn mean_chunks_per_block(&self) -> f64 {
        if self.free.is_some() {
            return self.most_chunks_per_block() as f64;
        }
        self.lines.iter().map(|line| line.mean).product()
    }

    /// The most chunks that one block needs, from the longest reach along each axis.
    pub fn most_chunks_per_block(&self) -> u64 {
        if let (Some(reach), Some(counts)) = (&self.free, self.chunk_counts) {
            // An interval of n voxels meets one chunk more than it would if it began where a chunk does.
            let met = |n: u64, a: usize| ((n + self.chunk[a] - 1).div_ceil(self.chunk[a])).min(counts[a]);
            let extents = reach.largest_extents(self.block);
            return (0..3).map(|a| met(extents[a], a)).product();
        }
        self.lines.iter().map(|line| line.longest).fold(1, u64::saturating_mul)
    }

    /// Chunks that any block needs, all groups; an upper bound for ops whose regions are no products of intervals.
    pub fn needed_chunks(&self) -> u64 {
        if self.chunk_counts.is_none() {
            return 0;
        }
        if let Some(reach) = &self.free {
            let all = ChunkBox::of(reach.source_region(self.target), self.chunk);
            return all.len().saturating_mul(self.outer.groups());
        }
        self.lines.iter().map(|line| line.used).fold(self.outer.groups(), u64::saturating_mul)
    }

    /// Whether block `at`, one of [`ChunkMap::users`], needs this chunk.
    pub fn needs(&self, at: [u64; 3], chunk: [u64; 3]) -> bool {
        if !self.has_tables() {
            return self.chunks(at).contains(chunk);
        }
        (0..3).all(|t| self.lines[t].reach[at[t] as usize].contains(&chunk[self.own_axes[t]]))
    }

    /// Whether needs are looked up in tables; else each is worked out.
    pub fn has_tables(&self) -> bool {
        self.free.is_none()
    }

    /// Whether any block of the box `lo..hi` may need this chunk; exactly whether one does where the box is a single block, and
    /// false of no box that holds another of which it is true. For ops without tables.
    pub fn any_needs(&self, lo: [u64; 3], hi: [u64; 3], chunk: [u64; 3]) -> bool {
        let (first, last) = (self.region(lo), self.region(hi.map(|n| n.saturating_sub(1))));
        let region = first.hull(&last);
        self.free.as_ref().is_none_or(|reach| ChunkBox::of(reach.source_region(region), self.chunk).contains(chunk))
    }

    /// A box of blocks that holds all blocks that need this chunk: lower and upper corner, half-open. Not all of them do: a voxel
    /// that stands on a source voxel may look at that one alone, and its neighbours farther to both sides.
    pub fn users(&self, chunk: [u64; 3]) -> ([u64; 3], [u64; 3]) {
        if let Some(reach) = &self.free {
            let lo: [i64; 3] = std::array::from_fn(|a| (chunk[a] * self.chunk[a]) as i64);
            let voxels = Region { lo, hi: std::array::from_fn(|a| lo[a] + self.chunk[a] as i64) };
            let users = ChunkBox::of(reach.target_region(voxels, self.block), self.block);
            return (users.lo, users.hi);
        }
        let used = |t: usize| &self.lines[t].used_by[chunk[self.own_axes[t]] as usize];
        (std::array::from_fn(|t| used(t).start), std::array::from_fn(|t| used(t).end))
    }
}
