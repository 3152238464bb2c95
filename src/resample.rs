//! How values are computed: a [`BlockOp`] says which source region a target region needs, and fills a target region.
//!
//! Pure: no files, no threads, no plan. A target voxel is a function of its own global index alone, so that blocks of any
//! shape give the same bytes.

use crate::{
    block::{BlockMut, BlockRef},
    region::Region,
    voxel::{Real, Voxel},
};

mod axes;
mod bspline;
mod build;
mod cover;
mod halved;
mod kernel;
mod mean;
mod method;
mod mode;
mod nearest;
mod order;
mod reduce;
mod rows;
mod separable;
mod taps;

pub use build::{OpRequest, Outside, block_op, passes_through};
pub use kernel::{Border, Kernel, KernelShape, Window};
pub use method::{Cover, LabelWeights, Method};
pub use nearest::Nearest;
pub use reduce::{Reduction, reduction_op};
pub use separable::Separable;
pub use taps::TapTable;

/// Which source voxels a target region needs, and at which cost: what a plan asks of an op.
pub trait Footprint: Send + Sync {
    /// Voxels of the target grid, storage order.
    fn target_shape(&self) -> [u64; 3];

    /// Source voxels needed to compute `target`.
    ///
    /// `target` is in target indices, the result in source indices, within the source's bounds.
    /// Equal to the hull of the taps of every voxel in `target`; empty when all of them lie outside.
    fn source_region(&self, target: Region) -> Region;

    /// The source axis whose interval in `source_region` depends on target axis `target_axis` alone; `None` when the
    /// regions of this op are no products of intervals.
    fn source_axis(&self, target_axis: usize) -> Option<usize>;

    /// Bytes of scratch that computing `target` takes.
    fn scratch_bytes(&self, target: Region) -> u64;

    /// Bytes of tables that live as long as the op.
    fn table_bytes(&self) -> u64;

    /// Bytes that a worker needs for a whole block, beyond its voxels.
    fn beside_bytes(&self, _block: Region) -> u64 {
        0
    }
}

/// Fills target voxels from source voxels of the same type.
pub trait BlockOp<T: Voxel>: Footprint {
    /// Fills `piece` of every volume of `target` from the same volume of `source`.
    ///
    /// `piece` lies within `target.region`; voxels of `target` outside it are not touched. `source.region` is
    /// `source_region(piece)`. Cannot fail: what can fail belongs to planning and to formats.
    fn apply(
        &self,
        source: BlockRef<'_, T>,
        target: &mut BlockMut<'_, T>,
        piece: Region,
        scratch: &mut Scratch<T::Acc>,
    );
}

/// Reusable working memory of one worker; grows to what the largest piece needs and stays there.
#[derive(Debug, Default)]
pub struct Scratch<A> {
    buffer: Vec<A>,
}

impl<A: Real> Scratch<A> {
    /// `len` samples with arbitrary content.
    pub fn take(&mut self, len: usize) -> &mut [A] {
        if self.buffer.len() < len {
            self.buffer.resize(len, A::default());
        }
        &mut self.buffer[..len]
    }

    /// Fills the memory with `value`, for tests that look for reads of what was never written.
    pub fn poison(&mut self, len: usize, value: A) {
        self.buffer.clear();
        self.buffer.resize(len, value);
    }
}
