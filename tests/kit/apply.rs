//! Ops by themselves, without storage or a pipeline.

use reslice::{
    block::{BlockMut, BlockRef},
    region::Region,
    resample::{BlockOp, OpRequest, Workspace, block_op},
    voxel::{Rounding, Voxel},
};

/// The part of `volume` (all voxels of `shape`) that lies in `region`.
pub(crate) fn cut<T: Voxel>(volume: &[T], shape: [u64; 3], region: Region) -> Vec<T> {
    let mut voxels = vec![T::default(); region.voxels() as usize];
    BlockMut::new(region, 1, &mut voxels).copy_from(BlockRef::new(Region::of_shape(shape), 1, volume), 0);
    voxels
}

/// Computes `piece` into a block `target`, from the source region that the op asks for and nothing else.
pub(crate) fn apply<T: Voxel>(
    op: &dyn BlockOp<T>,
    source: &[T],
    shape: [u64; 3],
    target: &mut BlockMut<'_, T>,
    piece: Region,
) {
    let region = op.source_region(piece);
    let voxels = cut(source, shape, region);
    let mut scratch = Workspace::default();
    scratch.poison(op.scratch_bytes(piece) as usize + 4096, T::Acc::from_f64(f64::NAN, Rounding::Nearest));
    op.apply(BlockRef::new(region, 1, &voxels), target, piece, &mut scratch);
}

pub(crate) fn whole<T: Voxel>(request: &OpRequest, source: &[T], shape: [u64; 3]) -> Vec<T> {
    let op = block_op::<T>(request);
    let region = Region::of_shape(request.target_shape);
    let mut voxels = vec![T::from_f64(f64::NAN, Rounding::Nearest); region.voxels() as usize];
    apply(op.as_ref(), source, shape, &mut BlockMut::new(region, 1, &mut voxels), region);
    voxels
}
