//! FSL FLIRT matrices.
//!
//! They map scaled voxels of the moving image (`-in`) to scaled voxels of the reference (`-ref`): millimetres from the centre of the
//! first voxel, the first axis counted from the other end where the image's affine has a positive determinant ("neurological"
//! storage). So both grids are needed, and the map is turned round: target world to source world is
//! `W_source S_source^-1 F^-1 S_target W_target^-1`.
//!
//! Source: FSL, FLIRT user guide ("what is the format of the matrix"), newimage `sampling_mat`.

use std::path::Path;

use super::{Ends, singular};
use crate::{
    error::{Error, Result},
    geometry::{Affine, Grid, Unit},
};

/// Target world to source world of a matrix as it stands in the file.
///
/// # Errors
/// No `ends`; a grid or a matrix without an inverse.
pub(super) fn to_world(path: &Path, flirt: &Affine, ends: Option<Ends<'_>>) -> Result<Affine> {
    let Some(ends) = ends else {
        return Err(Error::usage_hint(
            format!("{} is an FSL matrix, which speaks of voxels of two images", path.display()),
            "name both: --source MOVING --target REFERENCE; a matrix of world coordinates needs another ending than .mat",
        ));
    };
    let inverse = flirt.inverse().ok_or_else(|| singular(path, flirt))?;
    let from_target = world_to_scaled(ends.target, "target")?;
    let from_source = world_to_scaled(ends.source, "source")?;
    from_source.solve(&inverse.after(&from_target)).ok_or_else(|| no_inverse(ends.source, "source"))
}

/// World (mm) to FSL's scaled voxels (mm).
fn world_to_scaled(grid: &Grid, name: &str) -> Result<Affine> {
    let factor = grid.unit.factor_to(&Unit::Millimetre).unwrap_or(1.0);
    let mm = grid.index_to_millimetres();
    // Columns from storage order to i, j, k.
    let index_to_world = Affine { m: mm.m.map(|[k, j, i, t]| [i, j, k, t]) };
    let [dk, dj, di] = grid.spacing().map(|step| step * factor);
    let mut scale = Affine::from_columns([[di, 0.0, 0.0], [0.0, dj, 0.0], [0.0, 0.0, dk]], [0.0; 3]);
    if index_to_world.determinant() > 0.0 {
        scale.m[0] = [-di, 0.0, 0.0, (grid.shape[2].saturating_sub(1)) as f64 * di];
    }
    let world_to_index = index_to_world.inverse().ok_or_else(|| no_inverse(grid, name))?;
    Ok(scale.after(&world_to_index))
}

fn no_inverse(grid: &Grid, name: &str) -> Error {
    Error::usage(format!("the affine of the {name} is singular: {:?}", grid.index_to_world.m))
}
