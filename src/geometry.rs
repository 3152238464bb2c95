//! Where voxels are: affines, grids, and the mapping from target index to source index.

mod affine;
mod assignment;
mod grid;
mod inside;
mod mapping;
mod orientation;
mod pyramid;
mod target;
mod target_axis;
#[cfg(test)]
mod target_tests;
mod turn;
mod unit;
mod warp;

pub use affine::Affine;
pub use grid::Grid;
pub use inside::{FaceCounts, TIE_VOXELS, inside, outside_per_face, planes_outside, settle};
pub use mapping::{AxisMap, Mapping, Snapped};
pub use orientation::Orientation;
pub use pyramid::{PyramidLevel, pyramid};
pub use target::{GridRequest, Resolved, Sizing};
pub use target_axis::Align;
pub use turn::rotation_of;
pub use unit::{Unit, time_name};
pub use warp::{VectorRanges, Warp};
