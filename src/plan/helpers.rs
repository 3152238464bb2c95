//! Threads beside the workers. Where the memory holds fewer blocks than there are threads, the other threads compute pieces of the
//! workers' blocks: a piece takes less memory than a block with its chunks.

use super::{
    Memory, Pieces, Plan, Request, candidate::voxel_bytes, limits::PIECE_BYTES, memory::WORKER_BYTES,
    pieces::PieceSizer,
};

/// Helpers are taken where they cut the time to this share or less: their smaller pieces fetch more voxels twice.
const WORTH_HELPING: f64 = 0.9;

impl Plan {
    /// The same with as many helpers as threads, pieces and the memory that is left allow, where these make it faster.
    pub(super) fn with_helpers(self, request: &Request<'_>) -> Plan {
        let idle = (request.budget.threads as u64).saturating_sub(self.busy());
        if self.passing || idle == 0 {
            return self;
        }
        let mut sizer = PieceSizer::new(request);
        let sizes = PIECE_BYTES.map(|limit| sizer.pieces(self.block, voxel_bytes(request), limit));
        let needed = sizer.needed as f64;
        let alone = self.time(request, self.fetch_ratio * needed, 0);
        let helped = sizes.iter().filter_map(|pieces| {
            let (helpers, memory) = self.helped(request, pieces, idle)?;
            Some((self.time(request, pieces.fetched_voxels, helpers), pieces, helpers, memory))
        });
        match helped.min_by(|a, b| a.0.total_cmp(&b.0)) {
            Some((time, pieces, helpers, memory)) if time <= WORTH_HELPING * alone => Plan {
                helpers: helpers as usize,
                piece: pieces.shape,
                fetch_ratio: if needed > 0.0 { pieces.fetched_voxels / needed } else { 1.0 },
                memory,
                ..self
            },
            _ => self,
        }
    }

    /// Workers that have a block.
    fn busy(&self) -> u64 {
        self.blocks.min(self.workers.count as u64)
    }

    /// How many threads, of `idle`, may help with such pieces, and the memory with them; `None` where no thread may.
    fn helped(&self, request: &Request<'_>, pieces: &Pieces, idle: u64) -> Option<(u64, Memory)> {
        let along = |a: usize| self.block[a].div_ceil(pieces.shape[a].max(1) as u64);
        let per_block = (0..3).map(along).fold(1, u64::saturating_mul);
        // Pieces are computed apart from the block, by workers too once others fill it with them.
        let sample = (request.target.components * request.sample_bytes) as u64;
        let own_bytes = pieces.shape.iter().fold(sample, |n, &extent| n.saturating_mul(extent as u64));
        let each = pieces.bytes.saturating_add(own_bytes);
        let workers = (self.workers.count as u64).saturating_mul(each);
        let without = Memory { pieces: workers, ..self.memory };
        let left = request.budget.memory_bytes.checked_sub(without.total())?;
        let helpers = idle.min(self.busy().saturating_mul(per_block - 1)).min(left / (each + WORKER_BYTES));
        let memory =
            Memory { pieces: workers + helpers * each, reserved: without.reserved + helpers * WORKER_BYTES, ..without };
        (helpers > 0).then_some((helpers, memory))
    }

    /// Relative time of fetching so many voxels and computing the target, by workers and helpers.
    fn time(&self, request: &Request<'_>, fetched_voxels: f64, helpers: u64) -> f64 {
        let made = request.target.grid.voxels() as f64;
        (fetched_voxels * request.footprint.fetch_cost() + made) / (self.busy() + helpers) as f64
    }
}
