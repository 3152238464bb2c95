//! From target index to source index.
use super::{Affine, Grid};
use crate::error::Result;

/// One target axis of an axis-aligned mapping: `source_index[source_axis] = scale * target_index + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AxisMap {
    pub source_axis: usize,
    pub scale: f64,
    pub offset: f64,
}

/// The source index that a target index looks at, composed once in f64.
#[derive(Clone, Debug, PartialEq)]
pub enum Mapping {
    /// Entry `a` belongs to target axis `a` (storage order); the source axes are a permutation.
    AxisAligned([AxisMap; 3]),
    /// Target index to source index, both in storage order.
    Affine(Affine),
}

/// A mapping after the snap rule, and what the rule did.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapped {
    pub mapping: Mapping,
    /// Largest displacement, in source voxels over the target grid, that snapping took away; 0 when nothing changed.
    pub removed_voxels: f64,
}

impl Mapping {
    pub fn between(_target: &Grid, _source: &Grid) -> Result<Snapped> {
        unimplemented!()
    }
}
