//! Where voxels are: affines, grids, and the mapping from target index to source index.

mod affine;
mod assignment;
mod axis_map;
mod covering;
mod grid;
mod inside;
mod mapping;
mod orientation;
mod pyramid;
mod ranges;
mod solid;
mod spline;
mod target;
mod target_axis;
#[cfg(test)]
mod target_tests;
mod turn;
mod unit;
mod warp;

pub use affine::Affine;
pub use axis_map::AxisMap;
pub use grid::Grid;
pub use inside::{FaceCounts, TIE_VOXELS, inside, outside_per_face, planes_outside, settle};
pub use mapping::{Mapping, Snapped};
pub use orientation::Orientation;
pub use pyramid::{PyramidLevel, pyramid};
pub use ranges::VectorRanges;
pub use solid::Solid;
pub use spline::{MOST_COEFFICIENTS, Spline};
pub use target::{GridRequest, Resolved, Sizing};
pub use target_axis::Align;
pub use turn::rotation_of;
pub use unit::{Unit, time_name};
pub use warp::{
    Hull, MOST_STAGES, MOST_STEPS, Matrix, SETTLED_VOXELS, Stage, Vectors, Warp, apply, moved, product, sum,
    widths_moved,
};
