//! Everything that decides the values of a target, apart from voxels.

use serde::Serialize;

use super::{Method, Order};
use crate::{
    geometry::Mapping,
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
    /// How samples stand for values: decides over min, max and ties.
    pub order: Order,
}
