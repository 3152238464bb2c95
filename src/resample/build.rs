//! From what was asked to the op that does it.

use serde::Serialize;

use super::{BlockOp, Kernel, KernelShape, Method, Nearest, Separable, TapTable, gather};
use crate::{
    error::{Error, Result},
    geometry::{AxisMap, Mapping},
    region::Region,
    voxel::{Rounding, Voxel},
};

/// The value of target voxels that look outside the source.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Outside {
    /// A fixed value, in stored units.
    Value(f64),
    /// The nearest voxel, without limit.
    Edge,
}

impl Outside {
    /// The fixed value as a voxel; 0 where the edge is extended and the value is never used.
    pub fn voxel<T: Voxel>(self) -> T {
        match self {
            Outside::Value(value) => T::from_f64(value, Rounding::Nearest),
            Outside::Edge => T::default(),
        }
    }
}

/// Everything that decides the values of the target, apart from the source's voxels.
#[derive(Clone, Debug)]
pub struct OpRequest {
    pub method: Method,
    /// Stretches the kernel along every axis that is down-sampled.
    pub antialias: bool,
    pub mapping: Mapping,
    pub target_shape: [u64; 3],
    /// Source voxels that exist.
    pub bounds: Region,
    pub outside: Outside,
    pub rounding: Rounding,
}

/// The op for voxels of type `T`.
///
/// # Errors
/// Covering methods are not supported yet.
pub fn block_op<T: Voxel>(request: &OpRequest) -> Result<Box<dyn BlockOp<T>>> {
    Ok(match (&request.mapping, request.method) {
        (Mapping::AxisAligned(maps), Method::Nearest) => Box::new(nearest(request, maps)),
        (Mapping::AxisAligned(maps), Method::Kernel(shape)) => separable(request, maps, shape),
        (Mapping::Affine(_) | Mapping::Warped(_), Method::Nearest) => Box::new(gather::nearest(request)),
        (Mapping::Affine(_) | Mapping::Warped(_), Method::Kernel(shape)) => Box::new(gather::kernel(request, shape)),
        (_, Method::Label(weights)) => Box::new(gather::labels(request, weights)),
        (_, method @ Method::Cover(_)) => return Err(Error::usage(format!("{method} is not supported yet"))),
    })
}

/// Whether every target voxel inside the source is one source voxel, unchanged, whatever the method.
pub fn passes_through(request: &OpRequest) -> bool {
    match (&request.mapping, request.method) {
        (_, Method::Nearest) => true,
        (Mapping::AxisAligned(maps), Method::Kernel(shape)) => {
            tap_tables::<f64>(request, maps, shape).iter().all(TapTable::selects)
        }
        _ => false,
    }
}

fn nearest<T: Voxel>(request: &OpRequest, maps: &[AxisMap; 3]) -> Nearest<T> {
    Nearest::new(request.target_shape, *maps, request.bounds, request.outside)
}

fn separable<T: Voxel>(request: &OpRequest, maps: &[AxisMap; 3], shape: KernelShape) -> Box<dyn BlockOp<T>> {
    let tables = tap_tables::<T>(request, maps, shape);
    if tables.iter().all(TapTable::selects) {
        // Interpolating would only copy: this way 64-bit integers stay exact.
        return Box::new(nearest(request, maps));
    }
    Box::new(Separable::new(request.target_shape, maps, tables, request.outside, request.rounding))
}

fn tap_tables<T: Voxel>(request: &OpRequest, maps: &[AxisMap; 3], shape: KernelShape) -> [TapTable<T::Acc>; 3] {
    std::array::from_fn(|t| {
        let map = &maps[t];
        let stretch = if request.antialias { map.scale.abs().max(1.0) } else { 1.0 };
        let bounds = request.bounds.lo[map.source_axis]..request.bounds.hi[map.source_axis];
        let extend = request.outside == Outside::Edge;
        TapTable::new(map, request.target_shape[t], bounds, &Kernel { shape, stretch }, extend)
    })
}
