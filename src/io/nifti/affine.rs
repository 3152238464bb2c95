//! Where voxels stand: sform, qform and pixdim to a grid, and back (`nifti1.h`, "3D IMAGE (VOLUME) ORIENTATION").
//!
//! File axes i, j, k are storage axes 2, 1, 0.

use std::path::Path;

use super::{header::Header, quaternion};
use crate::{
    error::{Error, Result},
    geometry::{Affine, Grid, Unit},
};

/// In voxels: how far two forms may be apart before it is worth a word.
const MAX_DISAGREEMENT: f64 = 1e-3;

/// Relative: how far pixdim may be from the step of the sform.
pub(super) const MAX_STEP_DIFFERENCE: f64 = 1e-3;

/// The field that a file's place is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Sform,
    Qform,
    Pixdim,
}

/// Where the voxels of a header stand: sform if its code is positive, else qform if its code is positive, else pixdim with
/// index 0 at 0. An sform that is no geometry gives way to a qform that is, with a warning.
pub(super) fn place(
    path: &Path,
    header: &Header,
    shape: [u64; 3],
    warnings: &mut Vec<String>,
) -> Result<(Form, Affine)> {
    let (form, fields, affine) = if header.sform_code > 0 {
        (Form::Sform, "srow_x, srow_y, srow_z", sform(header, shape, warnings))
    } else if header.qform_code > 0 {
        (Form::Qform, "the qform", qform(path, header, shape)?)
    } else {
        (Form::Pixdim, "pixdim", scaling(spacing(path, header, shape)?))
    };
    if affine.inverse().is_some() {
        return Ok((form, affine));
    }
    if form == Form::Sform
        && let Some(qform) = good_qform(header, shape)
    {
        warnings.push(format!(
            "the sform (code {}) is {:?}, which is no geometry: the qform (code {}) is used",
            header.sform_code, header.srow, header.qform_code
        ));
        return Ok((Form::Qform, qform));
    }
    Err(Error::malformed(path, fields, format!("{:?}", affine.m), "finite columns that span space"))
}

/// The qform of a header, where its code is positive and it is a geometry.
pub(super) fn good_qform(header: &Header, shape: [u64; 3]) -> Option<Affine> {
    let qform = qform(Path::new(""), header, shape).ok().filter(|_| header.qform_code > 0)?;
    qform.inverse().map(|_| qform)
}

/// The grid of a header; see [`place`]. Warns where the two forms disagree, and where spacings are negative or not the sform's.
pub(super) fn grid(path: &Path, header: &Header, shape: [u64; 3], warnings: &mut Vec<String>) -> Result<Grid> {
    let (form, index_to_world) = place(path, header, shape, warnings)?;
    match form {
        Form::Sform if header.qform_code > 0 => warn_of_disagreement(path, header, shape, &index_to_world, warnings),
        Form::Sform => warn_of_other_spacing(header, &index_to_world, warnings),
        Form::Qform | Form::Pixdim => warn_of_negative_spacing(header, warnings),
    }
    let stated = std::array::from_fn(|a| {
        let stated = header.pixdim[3 - a].abs();
        if stated.is_finite() && stated > 0.0 { stated } else { index_to_world.column_norm(a) }
    });
    let anatomical = header.sform_code > 0 || header.qform_code > 0;
    let unit = spatial_unit(header.xyzt_units);
    Ok(Grid { stated_spacing: Some(stated), anatomical, ..Grid::new(shape, index_to_world, unit) })
}

/// The affine of the `srow` fields. An axis of one voxel without a direction gets the normal of the other two.
fn sform(header: &Header, shape: [u64; 3], warnings: &mut Vec<String>) -> Affine {
    let file = |c: usize| [header.srow[0][c], header.srow[1][c], header.srow[2][c]];
    let mut columns = [file(2), file(1), file(0)];
    let empty: Vec<usize> = (0..3).filter(|&a| columns[a] == [0.0; 3]).collect();
    if let [a] = empty[..]
        && shape[a] == 1
    {
        columns[a] = normal(columns[(a + 1) % 3], columns[(a + 2) % 3]);
        warnings.push(format!("the sform has no direction for axis {}, which has one voxel", ["k", "j", "i"][a]));
    }
    Affine::from_columns(columns, file(3))
}

/// Unit normal of two vectors; not finite where there is none.
fn normal(u: [f64; 3], v: [f64; 3]) -> [f64; 3] {
    let cross = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    let norm = cross.iter().map(|x| x * x).sum::<f64>().sqrt();
    cross.map(|x| x / norm)
}

/// The affine of the quaternion fields; `pixdim[0]` below 0 mirrors the third axis, anything else does not.
fn qform(path: &Path, header: &Header, shape: [u64; 3]) -> Result<Affine> {
    let r = quaternion::rotation(quaternion::complete(header.quatern));
    let [di, dj, dk] = spacing(path, header, shape)?;
    let qfac = if header.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
    let column = |c: usize, step: f64| [r[0][c] * step, r[1][c] * step, r[2][c] * step];
    Ok(Affine::from_columns([column(2, dk * qfac), column(1, dj), column(0, di)], header.qoffset))
}

pub(super) fn scaling([di, dj, dk]: [f64; 3]) -> Affine {
    Affine::from_columns([[0.0, 0.0, dk], [0.0, dj, 0.0], [di, 0.0, 0.0]], [0.0; 3])
}

/// Gives the axes these steps (storage order) whose `pixdim` is none, where the place is read from that.
pub(super) fn state_steps(header: &mut Header, steps: [f64; 3]) {
    for (n, step) in [steps[2], steps[1], steps[0]].into_iter().enumerate() {
        let stated = header.pixdim[n + 1];
        if header.sform_code <= 0 && (stated == 0.0 || !stated.is_finite()) {
            header.pixdim[n + 1] = step;
        }
    }
}

/// |pixdim\[1..4\]|, file order. On an axis of one voxel, 0 or a non-number counts as 1; on another it is refused.
fn spacing(path: &Path, header: &Header, shape: [u64; 3]) -> Result<[f64; 3]> {
    let mut spacing = [1.0; 3];
    for (n, step) in spacing.iter_mut().enumerate() {
        let stated = header.pixdim[n + 1].abs();
        if stated.is_finite() && stated > 0.0 {
            *step = stated;
        } else if shape[2 - n] > 1 {
            let what = format!("pixdim[{}] is {}, expected the step between voxels", n + 1, header.pixdim[n + 1]);
            let hint = Some("state the steps of the source: --spacing-in X,Y,Z".into());
            return Err(Error::Unsupported { path: path.to_path_buf(), what, hint });
        }
    }
    Ok(spacing)
}

fn warn_of_negative_spacing(header: &Header, warnings: &mut Vec<String>) {
    for n in 1..4 {
        if header.pixdim[n] < 0.0 {
            warnings.push(format!("pixdim[{n}] is {}, taken as {}", header.pixdim[n], header.pixdim[n].abs()));
        }
    }
}

/// Without a qform, pixdim says nothing but the steps, and the sform's count.
fn warn_of_other_spacing(header: &Header, sform: &Affine, warnings: &mut Vec<String>) {
    for n in 1..4 {
        let (stated, step) = (header.pixdim[n], sform.column_norm(3 - n));
        let has_step = header.srow.iter().any(|row| row[n - 1] != 0.0);
        if has_step && stated.is_finite() && stated != 0.0 && (stated.abs() - step).abs() > MAX_STEP_DIFFERENCE * step {
            warnings.push(format!("pixdim[{n}] is {stated} and the step of the sform {step:.6}: the sform is used"));
        }
    }
}

fn warn_of_disagreement(path: &Path, header: &Header, shape: [u64; 3], sform: &Affine, warnings: &mut Vec<String>) {
    let apart = qform(path, header, shape).ok().and_then(|qform| disagreement(sform, &qform, shape));
    match apart {
        Some(voxels) if voxels <= MAX_DISAGREEMENT => {}
        Some(voxels) => warnings.push(format!(
            "sform (code {}) and qform (code {}) are up to {voxels:.3} voxels apart: the sform is used, other readers \
             may take the qform",
            header.sform_code, header.qform_code
        )),
        None => warnings.push("the qform is not valid: the sform is used".into()),
    }
}

/// Farthest distance along an axis, in voxels of `a`, between the places that two affines give one voxel.
///
/// An affine difference is largest at a corner. `None` where a number is not finite.
fn disagreement(a: &Affine, b: &Affine, shape: [u64; 3]) -> Option<f64> {
    let there_and_back = a.inverse()?.after(b);
    let mut most = 0.0f64;
    for corner in 0..8 {
        let index = std::array::from_fn(|axis| if corner >> axis & 1 == 1 { (shape[axis] - 1) as f64 } else { 0.0 });
        for (found, expected) in there_and_back.apply(index).into_iter().zip(index) {
            if !found.is_finite() {
                return None;
            }
            most = most.max((found - expected).abs());
        }
    }
    Some(most)
}

/// Bits 0-2 of `xyzt_units`; 0, and what the format does not define, is millimetre.
pub(super) fn spatial_unit(xyzt_units: i32) -> Unit {
    match xyzt_units & 7 {
        1 => Unit::Metre,
        3 => Unit::Micrometre,
        _ => Unit::Millimetre,
    }
}

/// The spatial code for a grid in `unit`, and the factor from its lengths to lengths of that code.
///
/// NIfTI knows metre, millimetre and micrometre: nanometre and below become micrometre, other lengths millimetre; a
/// unit of unknown length is left unsaid. A source that left millimetre unsaid (`like` 0) still does.
pub(super) fn spatial_code(unit: &Unit, like: i32) -> (i32, f64) {
    let to = |unit: &Unit, target: Unit| unit.factor_to(&target).unwrap_or(1.0);
    match unit {
        Unit::Metre => (1, 1.0),
        Unit::Millimetre if like & 7 == 0 => (0, 1.0),
        Unit::Millimetre => (2, 1.0),
        Unit::Micrometre => (3, 1.0),
        Unit::Unknown => (0, 1.0),
        small if small.metres().is_some_and(|m| m < 1e-6) => (3, to(small, Unit::Micrometre)),
        other if other.metres().is_some() => (2, to(other, Unit::Millimetre)),
        _ => (0, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::nifti::Version;

    const SHAPE: [u64; 3] = [20, 23, 29];

    fn header() -> Header {
        Header { pixdim: [1.0, 0.5, 2.0, 3.0, 1.0, 1.0, 1.0, 1.0], ..Header::new(Version::One) }
    }

    fn read(header: &Header) -> (Result<Grid>, Vec<String>) {
        let mut warnings = Vec::new();
        let grid = grid(Path::new("x.nii"), header, SHAPE, &mut warnings);
        (grid, warnings)
    }

    fn assert_near(found: &Affine, expected: &Affine, tolerance: f64) {
        for (found, expected) in found.m.iter().flatten().zip(expected.m.iter().flatten()) {
            assert!((found - expected).abs() <= tolerance, "{found} for {expected}");
        }
    }

    #[test]
    fn pixdim_alone_puts_voxel_0_at_0() {
        let (grid, warnings) = read(&header());
        let grid = grid.unwrap();
        assert_eq!(grid.index_to_world.apply([1.0, 1.0, 1.0]), [0.5, 2.0, 3.0]);
        assert_eq!(grid.index_to_world.column(0), [0.0, 0.0, 3.0]);
        assert_eq!((grid.stated_spacing, grid.unit), (Some([3.0, 2.0, 0.5]), Unit::Millimetre));
        assert_eq!(warnings, Vec::<String>::new());
    }

    #[test]
    fn quaternions_give_the_matrix_of_the_specification() {
        let mut header = Header { qform_code: 1, quatern: [0.5; 3], qoffset: [7.0, 8.0, 9.0], ..header() };
        // (1, 1, 1, 1) / 2 turns x to y, y to z and z to x.
        let turned = |qfac: f64| {
            Affine::from_columns([[3.0 * qfac, 0.0, 0.0], [0.0, 0.0, 2.0], [0.0, 0.5, 0.0]], [7.0, 8.0, 9.0])
        };
        assert_near(&read(&header).0.unwrap().index_to_world, &turned(1.0), 1e-15);
        header.pixdim[0] = 0.0;
        assert_near(&read(&header).0.unwrap().index_to_world, &turned(1.0), 1e-15);
        header.pixdim[0] = -1.0;
        assert_near(&read(&header).0.unwrap().index_to_world, &turned(-1.0), 1e-15);
    }

    #[test]
    fn sform_wins_and_a_different_qform_is_named() {
        let mut header = Header { qform_code: 1, sform_code: 2, ..header() };
        header.srow = [[0.5, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]];
        assert_eq!(read(&header).1, Vec::<String>::new());
        header.srow[0][3] = 0.25;
        let (grid, warnings) = read(&header);
        assert_eq!(grid.unwrap().origin(), [0.25, 0.0, 0.0]);
        assert!(warnings[0].contains("sform (code 2) and qform (code 1) are up to 0.500 voxels apart"), "{warnings:?}");
        header.quatern[1] = f64::NAN;
        assert_eq!(read(&header).1, ["the qform is not valid: the sform is used"]);
    }

    #[test]
    fn steps_that_are_none_can_be_stated() {
        let mut header = Header { pixdim: [1.0, 0.0, f64::NAN, 3.0, 1.0, 1.0, 1.0, 1.0], ..header() };
        assert!(read(&header).0.is_err());
        state_steps(&mut header, [9.0, 2.0, 0.5]);
        assert_eq!(read(&header).0.unwrap().spacing(), [3.0, 2.0, 0.5]);
    }

    #[test]
    fn steps_of_0_or_nan_are_refused_and_negative_ones_warned_of() {
        let mut header = header();
        header.pixdim[2] = -2.0;
        let (grid, warnings) = read(&header);
        assert_eq!(grid.unwrap().spacing(), [3.0, 2.0, 0.5]);
        assert_eq!(warnings, ["pixdim[2] is -2, taken as 2"]);
        for bad in [0.0, f64::NAN, f64::INFINITY] {
            header.pixdim[2] = bad;
            let message = read(&header).0.unwrap_err().to_string();
            assert_eq!(message, format!("x.nii: pixdim[2] is {bad}, expected the step between voxels"));
        }
        let flat = super::grid(Path::new("x.nii"), &header, [20, 1, 29], &mut Vec::new()).unwrap();
        assert_eq!(flat.spacing(), [3.0, 1.0, 0.5]);
    }

    #[test]
    fn matrices_that_do_not_span_space_are_refused() {
        let mut header = Header { sform_code: 1, ..header() };
        header.srow = [[1.0, 0.0, 1.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]];
        assert!(read(&header).0.unwrap_err().to_string().contains("srow_x, srow_y, srow_z is"));
        header.srow[2] = [0.0, f64::NAN, 3.0, 0.0];
        assert!(read(&header).0.is_err());
    }

    #[test]
    fn an_sform_that_is_no_geometry_gives_way_to_a_good_qform() {
        let mut header = Header { sform_code: 1, qform_code: 1, qoffset: [7.0, 8.0, 9.0], ..header() };
        let rows = [[0.0; 4], [f64::NAN; 4], [1.0, 0.0, 0.0, 0.0]];
        for row in rows {
            header.srow = [row, [0.0; 4], [0.0; 4]];
            let (grid, warnings) = read(&header);
            assert_eq!(grid.unwrap().origin(), [7.0, 8.0, 9.0]);
            assert!(warnings[0].contains("the qform (code 1) is used"), "{warnings:?}");
        }
        header.qform_code = 0;
        assert!(read(&header).0.is_err(), "nothing else says where the voxels are");
        (header.qform_code, header.quatern[0]) = (1, f64::NAN);
        assert!(read(&header).0.is_err(), "no form is a geometry");
    }

    #[test]
    fn steps_that_are_not_the_sforms_are_told() {
        let mut header = Header { sform_code: 1, ..header() };
        header.srow = [[0.5, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 4.0, 0.0]];
        assert_eq!(read(&header).1, ["pixdim[3] is 3 and the step of the sform 4.000000: the sform is used"]);
    }

    #[test]
    fn a_single_slice_without_direction_gets_the_normal() {
        let mut header = Header { sform_code: 1, ..header() };
        header.srow = [[0.0, -2.0, 0.0, 4.0], [0.5, 0.0, 0.0, 5.0], [0.0, 0.0, 0.0, 6.0]];
        let mut warnings = Vec::new();
        let grid = grid(Path::new("x.nii"), &header, [1, 23, 29], &mut warnings).unwrap();
        assert_eq!(grid.index_to_world.column(0).map(f64::abs), [0.0, 0.0, 1.0]);
        assert_eq!(warnings.len(), 1);
        assert!(read(&header).0.is_err(), "of 20 slices the direction must be known");
    }

    #[test]
    fn units_that_nifti_lacks_are_converted() {
        assert_eq!(spatial_code(&Unit::Millimetre, 2), (2, 1.0));
        assert_eq!(spatial_code(&Unit::Millimetre, 0), (0, 1.0));
        let (code, factor) = spatial_code(&Unit::Nanometre, 2);
        assert!(code == 3 && (factor - 1e-3).abs() < 1e-18);
        let (code, factor) = spatial_code(&Unit::Other("centimeter".into()), 0);
        assert!(code == 2 && (factor - 10.0).abs() < 1e-12);
        let parsec = spatial_code(&Unit::Other("parsec".into()), 2);
        assert!(parsec.0 == 2 && (parsec.1 / 3.085_677_581_491_367e19 - 1.0).abs() < 1e-12);
        assert_eq!(spatial_code(&Unit::Other("cubit".into()), 2), (0, 1.0));
    }
}
