//! Where voxels are: affines, grids, and the mapping from target index to source index.

mod affine;
mod grid;
mod mapping;
mod orientation;
mod target;

pub use affine::Affine;
pub use grid::{Grid, Unit};
pub use mapping::{AxisMap, Mapping, Snapped};
pub use orientation::Orientation;
pub use target::{Align, GridRequest, Resolved, Sizing};
