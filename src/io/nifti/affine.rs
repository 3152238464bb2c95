//! Where voxels stand: sform, qform and pixdim to a grid, and back (`nifti1.h`, "3D IMAGE (VOLUME) ORIENTATION").
//!
//! File axes i, j, k are storage axes 2, 1, 0.

use std::path::Path;

use super::{
    header::{Header, Version},
    quaternion,
};
use crate::{
    error::{Error, Result},
    geometry::{Affine, Grid, Unit},
};

/// In voxels: how far two forms may be apart before it is worth a word.
const MAX_DISAGREEMENT: f64 = 1e-3;

/// Cosine between axes above which a matrix is no rotation with spacings.
const MAX_SHEAR: f64 = 1e-5;

/// The grid of a header: sform if its code is positive, else qform if its code is positive, else pixdim with index 0
/// at 0. Warns where the two forms disagree, and where a negative spacing was used.
pub(super) fn grid(path: &Path, header: &Header, shape: [u64; 3], warnings: &mut Vec<String>) -> Result<Grid> {
    let has_sform = header.sform_code > 0;
    let (fields, index_to_world) = if has_sform {
        ("srow_x, srow_y, srow_z", sform(header, shape, warnings))
    } else if header.qform_code > 0 {
        ("the qform", qform(path, header, shape)?)
    } else {
        ("pixdim", scaling(spacing(path, header, shape)?))
    };
    if index_to_world.inverse().is_none() {
        let found = format!("{:?}", index_to_world.m);
        return Err(Error::malformed(path, fields, found, "finite columns that span space"));
    }
    if !has_sform {
        warn_of_negative_spacing(header, warnings);
    } else if header.qform_code > 0 {
        warn_of_disagreement(path, header, shape, &index_to_world, warnings);
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

fn scaling([di, dj, dk]: [f64; 3]) -> Affine {
    Affine::from_columns([[0.0, 0.0, dk], [0.0, dj, 0.0], [di, 0.0, 0.0]], [0.0; 3])
}

/// |pixdim\[1..4\]|, file order. On an axis of one voxel, 0 or a non-number counts as 1; on another it is refused.
fn spacing(path: &Path, header: &Header, shape: [u64; 3]) -> Result<[f64; 3]> {
    let mut spacing = [1.0; 3];
    for (n, step) in spacing.iter_mut().enumerate() {
        let stated = header.pixdim[n + 1].abs();
        if stated.is_finite() && stated > 0.0 {
            *step = stated;
        } else if shape[2 - n] > 1 {
            let expected = "the step between voxels";
            return Err(Error::malformed(path, format!("pixdim[{}]", n + 1), header.pixdim[n + 1], expected));
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
fn spatial_unit(xyzt_units: i32) -> Unit {
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

/// Whether an affine says no more than pixdim does: file axes along x, y, z, and voxel 0 at 0.
fn is_scaling(affine: &Affine) -> bool {
    let [k, j, i] = std::array::from_fn(|a| affine.column_norm(a));
    *affine == scaling([i, j, k])
}

/// Writes `affine` and `spacing` (storage order, in the header's unit) into pixdim\[0..4\], sform and qform.
///
/// `spacing` is the columns' length, or the rounder number that stands for it ([`Grid::spacing`]).
///
/// `codes` are those of the header that the target takes after, qform first. Both 0 stay 0 where pixdim says it all,
/// and become 1 (scanner) where it does not. A sheared affine has no qform: its code is 0, the sform's positive.
pub(super) fn set_forms(header: &mut Header, affine: &Affine, spacing: [f64; 3], codes: (i32, i32)) {
    let (mut qform_code, mut sform_code) = (codes.0.max(0), codes.1.max(0));
    if (qform_code, sform_code) == (0, 0) && !is_scaling(affine) {
        (qform_code, sform_code) = (1, 1);
    }
    header.srow = affine.m.map(|[k, j, i, t]| [i, j, k, t]);
    let [k, j, i] = spacing;
    header.pixdim[1..4].copy_from_slice(&[i, j, k]);
    if affine.shear() <= MAX_SHEAR {
        set_qform(header, affine);
    } else {
        sform_code = if sform_code > 0 { sform_code } else { qform_code.max(1) };
        (qform_code, header.pixdim[0]) = (0, 1.0);
        (header.quatern, header.qoffset) = ([0.0; 3], [0.0; 3]);
    }
    (header.qform_code, header.sform_code) = (qform_code, sform_code);
}

fn set_qform(header: &mut Header, affine: &Affine) {
    let qfac = file_determinant_sign(affine);
    let unit = |r: usize, c: usize| affine.m[r][c] / affine.column_norm(c);
    let row = |r: usize| [unit(r, 2), unit(r, 1), qfac * unit(r, 0)];
    let q = quaternion::from_rotation(&[row(0), row(1), row(2)]);
    header.pixdim[0] = qfac;
    header.quatern = match header.version {
        Version::One => quaternion::round_to_f32(q),
        Version::Two => [q[1], q[2], q[3]],
    };
    header.qoffset = affine.translation();
}

/// Storage order is the reverse of file order, which is an odd permutation of three axes.
fn file_determinant_sign(affine: &Affine) -> f64 {
    if affine.determinant() > 0.0 { -1.0 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn forms_written_agree_with_each_other() {
        let columns = [[0.0, 0.6, -2.4], [-1.6, 0.96, 0.24 * 3.0], [0.6, 0.8 * 0.8, 0.48 * 0.0]];
        let r = quaternion::rotation([0.1, 0.5, -0.7, 0.5]);
        for (flip, steps) in [(1.0, [3.0, 2.0, 0.5]), (-1.0, [0.7, 0.7, 5.0])] {
            let column = |c: usize, by: f64| [r[0][c] * by, r[1][c] * by, r[2][c] * by];
            let columns_of_rotation = [column(0, steps[0] * flip), column(1, steps[1]), column(2, steps[2])];
            let affine = Affine::from_columns(columns_of_rotation, [-90.5, 126.25, -72.0]);
            for version in [Version::One, Version::Two] {
                let mut header = Header::new(version);
                set_forms(&mut header, &affine, steps, (1, 2));
                assert_eq!((header.qform_code, header.sform_code), (1, 2));
                let header = Header::parse(Path::new("x"), &header.encode()).unwrap();
                assert_near(&qform(Path::new("x"), &header, SHAPE).unwrap(), &affine, 2e-5);
                assert_near(&sform(&header, SHAPE, &mut Vec::new()), &affine, 1e-5);
            }
        }
        let mut sheared = Header::new(Version::One);
        set_forms(&mut sheared, &Affine::from_columns(columns, [0.0; 3]), [1.0; 3], (3, 0));
        assert_eq!((sheared.qform_code, sheared.sform_code), (0, 3));
    }

    #[test]
    fn codes_of_0_stay_where_pixdim_says_it_all() {
        let mut header = Header::new(Version::One);
        set_forms(&mut header, &scaling([0.5, 2.0, 3.0]), [3.0, 2.0, 0.5], (0, 0));
        assert_eq!((header.qform_code, header.sform_code), (0, 0));
        assert_eq!(header.pixdim[..4], [1.0, 0.5, 2.0, 3.0]);
        let moved = Affine::from_columns([[0.0, 0.0, 3.0], [0.0, 2.0, 0.0], [0.5, 0.0, 0.0]], [0.1, 0.0, 0.0]);
        set_forms(&mut header, &moved, [3.0, 2.0, 0.5], (0, 0));
        assert_eq!((header.qform_code, header.sform_code), (1, 1));
    }

    #[test]
    fn units_that_nifti_lacks_are_converted() {
        assert_eq!(spatial_code(&Unit::Millimetre, 2), (2, 1.0));
        assert_eq!(spatial_code(&Unit::Millimetre, 0), (0, 1.0));
        let (code, factor) = spatial_code(&Unit::Nanometre, 2);
        assert!(code == 3 && (factor - 1e-3).abs() < 1e-18);
        let (code, factor) = spatial_code(&Unit::Other("centimeter".into()), 0);
        assert!(code == 2 && (factor - 10.0).abs() < 1e-12);
        assert_eq!(spatial_code(&Unit::Other("parsec".into()), 2), (0, 1.0));
    }
}
