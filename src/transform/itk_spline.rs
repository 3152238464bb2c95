//! Cubic B-splines of displacements, as ITK and elastix have them: coefficients in LPS mm on a grid that is one step larger than the domain
//! on either side.
//!
//! Source: ITK 5.4, `itkBSplineTransform`; elastix 5, `elxBSplineTransform`.

use std::{path::Path, sync::Arc};

use super::{By, Displacing, FieldGrid, FieldKind, SplineGrid, itk::Record};
use crate::{
    error::{Error, Result},
    geometry::{Grid, MOST_COEFFICIENTS, Spline},
    io::itk::{self, SPLINE},
};

/// The B-spline of a record.
///
/// # Errors
/// Another order than 3, other dimensions; a grid that is none, or not that of the coefficients.
pub(super) fn read(path: &Path, record: &Record<'_>) -> Result<Displacing> {
    let Record { name, place, parameters, fixed } = record;
    let types = name.strip_prefix(SPLINE).unwrap_or("");
    match types.strip_prefix("_double_3_3").or(types.strip_prefix("_float_3_3")) {
        Some("" | "_3") => {}
        Some(order) => {
            let hint = "write it as a displacement field, by SimpleITK's TransformToDisplacementField";
            return Err(other_order(path, place, order.trim_start_matches('_'), hint));
        }
        None => return Err(Error::malformed(path, place, name, "a transform of 3 dimensions (_3_3)")),
    }
    let grid = itk::grid(path, place, name, fixed)?;
    on_grid(path, place, (grid, FieldKind::DisplacementsLps), parameters.to_vec())
}

/// The spline of coefficients, which are displacements: all for x, then for y and z, each x fastest. Of positions `kind` says only that there
/// is nothing beyond them, and that the frame is RAS.
///
/// # Errors
/// Coefficients that are not those of the grid, too many, or not finite.
pub(super) fn on_grid(
    path: &Path,
    place: &str,
    (grid, kind): (Grid, FieldKind),
    coefficients: Vec<f64>,
) -> Result<Displacing> {
    let [nz, ny, nx] = grid.shape;
    let len = coefficients.len();
    if len as u64 > MOST_COEFFICIENTS {
        let found = format!("{len} coefficients");
        return Err(Error::malformed(
            path,
            place,
            found,
            format!("at most {MOST_COEFFICIENTS}, which are held in memory"),
        ));
    }
    if let Some(found) = coefficients.iter().find(|value| !value.is_finite()) {
        return Err(Error::malformed(path, place, format!("a coefficient of {found}"), "finite numbers"));
    }
    let expected = || format!("3 for each of {nx}x{ny}x{nz} steps of a grid with at least 4 along each axis");
    let spline = Spline::new(grid.shape, coefficients);
    let spline = spline.ok_or_else(|| Error::malformed(path, place, format!("{len} coefficients"), expected()))?;
    let grid = FieldGrid::of_grid(&grid, kind)
        .ok_or_else(|| Error::malformed(path, place, format!("{:?}", grid.index_to_world.m), "axes that span space"))?;
    Ok(Displacing { by: By::Spline(Arc::new(SplineGrid { grid, spline: Arc::new(spline) })), is_inverse: false })
}

/// # Errors
/// Always.
pub(super) fn other_order(path: &Path, place: &str, order: &str, hint: &str) -> Error {
    let shown: String = order.chars().take(20).flat_map(char::escape_debug).collect();
    Error::Unsupported {
        path: path.to_path_buf(),
        what: format!("{place}: B-splines of order {shown} are not read, those of order 3 are"),
        hint: Some(hint.into()),
    }
}
