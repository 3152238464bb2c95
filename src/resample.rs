//! How values are computed: a [`BlockOp`] says which source region a target region needs, and fills a target region.
//!
//! Pure: no files, no threads, no plan. A target voxel is a function of its own global index alone, so that blocks of any
//! shape give the same bytes.

use std::sync::Arc;

use crate::{
    block::{BlockMut, BlockRef},
    region::Region,
    voxel::{Real, Voxel},
};

mod axes;
mod bound;
mod bspline;
mod build;
mod carry;
mod cover;
mod fill;
mod gather;
mod halved;
mod kernel;
mod looks;
mod mean;
mod method;
mod mode;
mod nearest;
mod order;
mod reduce;
mod request;
mod rows;
mod separable;
mod taps;

pub use bound::most_table_bytes;
pub use build::{block_op, passes_through};
pub use carry::{Carry, Carrying, Extents};
pub use kernel::{Border, Kernel, KernelShape, Window};
pub use looks::Looks;
pub use method::{Area, LabelWeights, Method};
pub use nearest::Nearest;
pub use order::Order;
pub use reduce::{Reduction, reduction_op};
pub use request::{OpRequest, Outside};
pub use separable::Separable;
pub use taps::TapTable;

/// Source regions that are no products of intervals, on their own: what a plan keeps of such an op.
pub trait ObliqueFootprint: Send + Sync + std::fmt::Debug {
    /// As [`Footprint::source_region`], but for what `bounds` cut off: never less than the hull of the taps.
    fn source_region(&self, target: Region) -> Region;

    /// A box of target voxels that meets every box of `shape` voxels whose source region meets `source`.
    fn target_region(&self, source: Region, shape: [u64; 3]) -> Region;

    /// Extents that no source region of a target box of `shape` voxels exceeds.
    fn largest_extents(&self, shape: [u64; 3]) -> [u64; 3];
}

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
    /// regions of this op are no products of intervals, and [`Footprint::reach`] has them.
    fn source_axis(&self, target_axis: usize) -> Option<usize>;

    /// The regions of this op where they are no products of intervals.
    fn reach(&self) -> Option<Arc<dyn ObliqueFootprint>> {
        None
    }

    /// What is carried on from chunk to chunk where this op takes them one after the other; `None` where it needs all chunks
    /// of a piece at once.
    fn carrying(&self) -> Option<&dyn Carrying> {
        None
    }

    /// Voxels of each displacement field needed to compute `target`, in the order in which points meet them.
    fn field_regions(&self, _target: Region) -> Vec<Region> {
        Vec::new()
    }

    /// Bytes of scratch that computing `target` takes, vectors of displacement fields included.
    fn scratch_bytes(&self, target: Region) -> u64;

    /// The time that each source voxel of a piece takes, in units of the time to copy it. It is more than 1 where every voxel of a piece goes
    /// through a filter or a pass.
    fn fetch_cost(&self) -> f64 {
        1.0
    }

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
        scratch: &mut Workspace<T::Acc>,
    );

    /// The partial results of one volume of the column of target voxels `target`, over source chunks of `chunk` voxels; `None` from ops
    /// that do not carry.
    fn carry<'a>(&'a self, _target: Region, _chunk: [u64; 3]) -> Option<Box<dyn Carry<T> + 'a>> {
        None
    }
}

/// Reusable working memory of one worker; grows to what the largest piece needs and stays there.
#[derive(Debug, Default)]
pub struct Workspace<A> {
    buffer: Vec<A>,
    /// Target voxels that ops found to look outside, where only they can tell; summed up until it is taken.
    pub outside: u64,
    /// Samples that a kernel brought below and above what their integer type holds; summed up until they are taken.
    pub beyond: [u64; 2],
    /// Target voxels that an inverse displacement did not settle; summed up until it is taken.
    pub unsettled: u64,
    /// What the piece needs of each displacement field: [`Footprint::field_regions`].
    pub fields: Vec<Vectors>,
}

/// Vectors of a part of a displacement field, component by component.
#[derive(Debug, Default)]
pub struct Vectors {
    pub region: Region,
    pub voxels: Vec<f32>,
}

impl Vectors {
    /// Makes room for the vectors of `region`, and has `read` fill each component.
    ///
    /// # Errors
    /// That of `read`.
    pub fn fill<E>(
        &mut self,
        region: Region,
        mut read: impl FnMut(u64, BlockMut<'_, f32>) -> Result<(), E>,
    ) -> Result<(), E> {
        let len = region.voxels() as usize;
        self.region = region;
        self.voxels.resize(3 * len, 0.0);
        if region.is_empty() {
            return Ok(());
        }
        let mut components = self.voxels.chunks_exact_mut(len).enumerate();
        components.try_for_each(|(component, values)| read(component as u64, BlockMut::new(region, 1, values)))
    }

    /// Its vectors.
    pub fn block(&self) -> BlockRef<'_, f32> {
        let len = 3 * self.region.voxels() as usize;
        BlockRef::new(self.region, 3, &self.voxels[..len])
    }
}

impl<A: Real> Workspace<A> {
    /// `len` samples with arbitrary content.
    pub fn take(&mut self, len: usize) -> &mut [A] {
        if self.buffer.len() < len {
            self.buffer.resize(len, A::default());
        }
        &mut self.buffer[..len]
    }

    fn add_beyond(&mut self, [below, above]: [u64; 2]) {
        self.beyond = [self.beyond[0] + below, self.beyond[1] + above];
    }

    /// Fills the memory with `value`, for tests that look for reads of what was never written.
    pub fn poison(&mut self, len: usize, value: A) {
        self.buffer.clear();
        self.buffer.resize(len, value);
    }
}
