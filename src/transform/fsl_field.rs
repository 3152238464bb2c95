//! FSL's displacement fields: what FNIRT, convertwarp and applywarp write and read.
//!
//! A 4-D file of three volumes on the voxels of the reference. Its numbers are scaled voxels (see [`super::fsl`]): displacements of the
//! reference's, or places in the source's. The file does not say which ([`rising`]).
//!
//! Source: FSL, FNIRT user guide and `warpfns`.

use std::path::Path;

use super::{
    Convention, FieldGrid, FieldKind, Map, Transform, TransformRequest, directed,
    field::singular,
    fsl, refuse_suffixes, rising,
    role::{RoleImage, Roles},
};
use crate::{error::Result, geometry::Affine, io::input::Input};

/// FSL_FNIRT_DISPLACEMENT_FIELD.
pub(super) const FIELD: i32 = 2006;

/// Its displacements, and behind them the way from the reference's world into the source's where nothing is displaced.
///
/// # Errors
/// No source image, or one without an inverse.
pub(super) fn transform(
    request: &TransformRequest,
    input: &Input,
    field: Map,
    ends: Option<&super::Ends>,
) -> Result<Transform> {
    let own = RoleImage::of(&request.path, input);
    let roles = Roles::of_field(request, ends, &own)?;
    let between = between(&roles)?;
    let convention = Convention::FslField { source: roles.source.path.clone(), vectors: None };
    refuse_suffixes(request, &convention)?;
    Ok(Transform { maps: directed(request, vec![field, Map::Affine(between)])?, convention })
}

/// Where a point of the reference lies in the source if their scaled voxels are the same.
fn between(roles: &Roles<'_>) -> Result<Affine> {
    fsl::to_world(&roles.reference.path, &Affine::identity(), roles)
}

/// Its geometry, and whether its numbers are displacements or places.
///
/// # Errors
/// Those of reading; an affine without an inverse; numbers that are one along an axis and the other along another.
pub(super) fn grid(path: &Path, input: &Input) -> Result<FieldGrid> {
    let layout = input.layout();
    let scaled = fsl::world_to_scaled(&RoleImage::of(path, input))?;
    let singular = || singular(path, &layout.grid);
    let place = scaled.after(&layout.grid.index_to_millimetres());
    let places = rising::are_places(path, input, &place)?;
    let kind = if places { FieldKind::FslPositions } else { FieldKind::FslDisplacements };
    let grid = FieldGrid::of_grid(&layout.grid, kind).ok_or_else(singular)?;
    let to_world = scaled.inverse().ok_or_else(singular)?;
    Ok(grid.in_frame(place, to_world.m.map(|row| [row[0], row[1], row[2]])))
}
