//! How the memory of a target on demand is shared out. Pure.

use crate::{error::PlanError, io::reader::reads_directly, job::Request, layout::Layout, region::Region, voxel::Voxel};

/// What a worker should have for a piece, so that halos cost little.
const GOOD_PIECE_BYTES: u64 = 4 << 20;
/// Stack, and what the allocator keeps.
const WORKER_BYTES: u64 = 512 << 10;
/// What opening and reading take beside what is counted, and what the allocator keeps for later.
const MARGIN_BYTES: u64 = 5 << 20;
/// Target voxels of a piece, at least and at most.
const PIECE_VOXELS: std::ops::RangeInclusive<u64> = 1 << 15..=1 << 20;

/// Bytes for each purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub workers: usize,
    /// For one piece of one worker.
    pub piece_bytes: u64,
    /// For decoded chunks.
    pub chunk_bytes: u64,
    /// The largest chunk, with all the volumes that it spans.
    pub one_chunk_bytes: u64,
    /// What a worker takes beside a piece.
    beside_bytes: u64,
    /// Held before, and what is held as long as the target is open.
    fixed_bytes: u64,
    /// Of the whole process, as asked for.
    memory_bytes: u64,
}

impl Room {
    /// Half of what is left is for decoded chunks, the other half for pieces. `fixed_bytes` are taken already, or will be; `least_bytes` is
    /// what a piece of one voxel takes.
    pub(super) fn new<T: Voxel>(request: &Request, source: &Layout, fixed_bytes: u64, least_bytes: u64) -> Room {
        let fixed_bytes = fixed_bytes.saturating_add(source.resident_bytes).saturating_add(MARGIN_BYTES);
        let voxels = source.chunk.iter().fold(1u64, |n, &extent| n.saturating_mul(extent));
        let samples = voxels.saturating_mul(source.outer.largest_group()).saturating_mul(source.components as u64);
        let one_chunk_bytes = if reads_directly(source) { 0 } else { samples.saturating_mul(size_of::<T>() as u64) };
        // A worker decodes a chunk while another takes its place among those that are kept.
        let beside_bytes = one_chunk_bytes.saturating_add(source.transfer_bytes).saturating_add(WORKER_BYTES);
        let half = request.memory_bytes.saturating_sub(fixed_bytes) / 2;
        let good = beside_bytes.saturating_add(GOOD_PIECE_BYTES.max(least_bytes.saturating_mul(2)));
        let workers = (1..=request.threads.max(1)).rev().find(|&workers| half / workers as u64 >= good).unwrap_or(1);
        let piece_bytes = (half / workers as u64).saturating_sub(beside_bytes);
        let memory_bytes = request.memory_bytes;
        Room { workers, piece_bytes, chunk_bytes: half, one_chunk_bytes, beside_bytes, fixed_bytes, memory_bytes }
    }

    /// One voxel takes `cost`, and that is more than there is for a piece.
    pub(super) fn refusal(&self, cost: u64) -> PlanError {
        let halves = cost.saturating_add(self.beside_bytes).saturating_mul(2);
        PlanError::TooSmall {
            memory_bytes: self.memory_bytes,
            smallest_bytes: self.fixed_bytes.saturating_add(halves),
            block: [1; 3],
            window_bytes: self.one_chunk_bytes,
            has_chunks: false,
            instead: None,
        }
    }
}

/// Cuts a region into pieces, two for each worker where it is large enough.
pub(super) fn cut(region: Region, workers: usize) -> Vec<Region> {
    let most = (region.voxels() / (2 * workers as u64)).clamp(*PIECE_VOXELS.start(), *PIECE_VOXELS.end());
    let mut shape = region.shape();
    while shape.iter().fold(1, |n, &extent| n * extent as u64) > most {
        let longest = longest(shape);
        shape[longest] = shape[longest].div_ceil(2);
    }
    region.tiles(shape).collect()
}

/// Both halves of a region; nothing for a single voxel.
pub(super) fn halves(region: Region) -> Option<[Region; 2]> {
    let axis = longest(region.shape());
    let (lo, hi) = (region.lo[axis], region.hi[axis]);
    if hi - lo < 2 {
        return None;
    }
    let (mut first, mut second) = (region, region);
    first.hi[axis] = lo + (hi - lo) / 2;
    second.lo[axis] = first.hi[axis];
    Some([first, second])
}

/// The axis to cut: the longest, but rows only when they are much longer.
fn longest([nz, ny, nx]: [usize; 3]) -> usize {
    if nx > 4 * nz.max(ny) || nz.max(ny) < 2 {
        2
    } else if nz >= ny {
        0
    } else {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        geometry::{Grid, Unit},
        voxel::Dtype,
    };

    #[test]
    fn pieces_tile_the_region() {
        for shape in [[1, 1, 1], [64, 64, 64], [1, 1, 5_000_000], [700, 3, 11], [200, 200, 200]] {
            let region = Region::of_shape(shape);
            let pieces = cut(region, 2);
            assert_eq!(pieces.iter().map(Region::voxels).sum::<u64>(), region.voxels());
            assert!(pieces.iter().all(|piece| piece.voxels() <= *PIECE_VOXELS.end() && region.contains(piece)));
        }
        assert!(cut(Region::of_shape([64, 64, 64]), 2).len() >= 4);
    }

    #[test]
    fn halves_go_down_to_a_voxel() {
        let mut region = Region::of_shape([3, 5, 70]);
        while let Some([first, second]) = halves(region) {
            assert_eq!(first.voxels() + second.voxels(), region.voxels());
            region = second;
        }
        assert_eq!(region.voxels(), 1);
    }

    #[test]
    fn all_shares_together_stay_within_what_is_left() {
        let layout =
            Layout::of(Grid::with_spacing([512; 3], [1.0; 3], Unit::Millimetre), Dtype::U16).in_chunks([64; 3]);
        for memory_bytes in [0, 1 << 20, 8 << 20, 64 << 20, 1 << 30] {
            let request = Request::new("a", "b.zarr", memory_bytes, 8);
            let room = Room::new::<u16>(&request, &layout, 0, 0);
            let each = if room.piece_bytes > 0 { room.piece_bytes + room.one_chunk_bytes } else { 0 };
            assert!(room.chunk_bytes + room.workers as u64 * each <= memory_bytes, "{room:?}");
            assert!(room.workers >= 1 && (memory_bytes < 1 << 30 || room.workers == 8));
        }
    }

    #[test]
    fn the_budget_that_is_named_is_enough() {
        let layout =
            Layout::of(Grid::with_spacing([512; 3], [1.0; 3], Unit::Millimetre), Dtype::U16).in_chunks([64; 3]);
        for cost in [1, 1 << 20, 90 << 20] {
            let room =
                |memory_bytes| Room::new::<u16>(&Request::new("a", "b.zarr", memory_bytes, 8), &layout, 50 << 20, cost);
            let PlanError::TooSmall { smallest_bytes, .. } = room(1 << 20).refusal(cost) else {
                panic!("another refusal")
            };
            assert!(room(smallest_bytes).piece_bytes >= cost && room(smallest_bytes - (1 << 20)).piece_bytes < cost);
        }
    }
}
