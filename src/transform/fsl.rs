//! FSL FLIRT matrices.
//!
//! They map scaled voxels of the moving image (`-in`) to scaled voxels of the reference (`-ref`): voxels times `pixdim`, whatever the
//! affine's steps, from the centre of the first voxel. The first axis is counted from the other end where the image's form has a
//! positive determinant ("neurological" storage); an image without a form is taken as radiological. So both headers are
//! needed, and the map is turned round: target world to source world is `W_source S_source^-1 F^-1 S_target W_target^-1`.
//!
//! Source: FSL, FLIRT user guide ("what is the format of the matrix"), newimage `sampling_mat`, `left_right_order`.

use std::path::Path;

use super::{
    role::{RoleImage, Roles},
    singular,
};
use crate::{
    error::{Error, Result},
    geometry::{Affine, Unit},
};

/// Target world to source world of a matrix as it stands in the file.
///
/// # Errors
/// A grid or a matrix without an inverse.
pub(super) fn to_world(path: &Path, flirt: &Affine, roles: &Roles<'_>) -> Result<Affine> {
    let inverse = flirt.inverse().ok_or_else(|| singular(path, flirt))?;
    let from_target = world_to_scaled(&roles.reference)?;
    let from_source = world_to_scaled(&roles.source)?;
    from_source.solve(&inverse.after(&from_target)).ok_or_else(|| no_inverse(&roles.source))
}

/// World (mm) to FSL's scaled voxels.
pub(super) fn world_to_scaled(image: &RoleImage) -> Result<Affine> {
    let mm = image.grid.index_to_millimetres();
    // Columns from storage order to i, j, k.
    let index_to_world = Affine { m: mm.m.map(|[k, j, i, t]| [i, j, k, t]) };
    let [di, dj, dk] = steps(image);
    let mut scale = Affine::from_columns([[di, 0.0, 0.0], [0.0, dj, 0.0], [0.0, 0.0, dk]], [0.0; 3]);
    if is_neurological(image) {
        scale.m[0] = [-di, 0.0, 0.0, (image.grid.shape[2].saturating_sub(1)) as f64 * di];
    }
    let world_to_index = index_to_world.inverse().ok_or_else(|| no_inverse(image))?;
    Ok(scale.after(&world_to_index))
}

/// Whether the first axis is counted from the other end.
pub(super) fn is_neurological(image: &RoleImage) -> bool {
    // Columns in the other order: the sign of the determinant is the other one.
    image.is_coded && image.grid.index_to_millimetres().determinant() < 0.0
}

/// Steps along i, j, k as FSL takes them: the numbers of `pixdim`, whatever their unit.
pub(super) fn steps(image: &RoleImage) -> [f64; 3] {
    let factor = image.grid.unit.factor_to(&Unit::Millimetre).unwrap_or(1.0);
    let [dk, dj, di] = image.grid.spacing().map(|step| step * factor);
    let stated = image.steps.unwrap_or([0.0; 3]);
    let of_affine = [di, dj, dk];
    std::array::from_fn(|a| if stated[a].is_finite() && stated[a] > 0.0 { stated[a] } else { of_affine[a] })
}

fn no_inverse(image: &RoleImage) -> Error {
    let (path, m) = (image.path.display(), image.grid.index_to_world.m);
    Error::usage(format!("the affine of {path} is singular: {m:?}"))
}
