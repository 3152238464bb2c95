//! The grid rules: from what was asked to the target grid.
use super::{Grid, Orientation};
use crate::{error::Result, region::Region};

/// Which point of the field of view keeps its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    #[default]
    Origin,
    Edges,
    Center,
}

/// How the number of voxels and the step of the target are found. Triples in storage order.
#[derive(Clone, Debug, PartialEq)]
pub enum Sizing {
    /// Same grid.
    Keep,
    Spacing([f64; 3]),
    Size([u64; 3]),
    Scale([f64; 3]),
    /// The given step, or the smallest of the source.
    Isotropic(Option<f64>),
    Like(Grid),
}

/// What was asked of the target grid. Triples in storage order, after `orient`.
#[derive(Clone, Debug, PartialEq)]
pub struct GridRequest {
    pub sizing: Sizing,
    pub align: Align,
    pub orient: Option<Orientation>,
    /// Source voxels to crop to first, in the source's own storage order.
    pub region: Option<Region>,
}

/// The answer: the target grid, and the source voxels that exist for it (the crop, or the whole grid).
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    pub target: Grid,
    pub bounds: Region,
}

impl GridRequest {
    pub fn resolve(&self, _source: &Grid) -> Result<Resolved> {
        unimplemented!()
    }
}
