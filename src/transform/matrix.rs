//! Bare numbers: a 4x4 matrix, or the three rows of it that say something.
//!
//! In plain text they map target world to source world in RAS+ mm, acting on columns x, y, z. Lines that begin with `#` are
//! comments.

use super::{
    file::{Line, Text},
    has_ending,
};
use crate::{
    error::{Error, Result},
    geometry::Affine,
};

/// How far a last row may be from 0 0 0 1: what printing leaves.
const ROUNDING: f64 = 1e-6;

/// What an AFNI matrix is written as, to be read.
const AS_ITK: &str = "write an ITK text, which has the same direction and frame: #Insight Transform File V1.0, Transform: AffineTransform_double_3_3, Parameters: the 9 of the matrix by row and then the 3 shifts, FixedParameters: 0 0 0";

/// Reads the rows; `is_said` where the request says what they are.
///
/// # Errors
/// Another number of rows or columns, and a last row other than 0 0 0 1 (a projection), with the line; a matrix of AFNI.
pub(super) fn read(text: &Text<'_>, is_said: bool) -> Result<Affine> {
    let mut lines = text.lines().filter(|line| !line.text.starts_with('#')).peekable();
    refuse_line_of_afni(text, lines.peek())?;
    if !is_said && has_ending(text.path, ".1d") {
        let file = text.path.display();
        return Err(Error::Unsupported {
            path: text.path.to_path_buf(),
            what: "a matrix in a .1D file is AFNI's, in DICOM order (LPS), which is not read".into(),
            hint: Some(format!("{AS_ITK}; or, where its numbers are in RAS mm, say so: --transform {file},ras")),
        });
    }
    let mut m = [[0.0; 4]; 3];
    for row in &mut m {
        *row = self::row(lines.next().ok_or_else(|| text.ended("a 4x4 matrix"))?)?;
    }
    if let Some(last) = lines.next() {
        check_last(last)?;
    }
    match lines.next() {
        Some(more) => Err(more.is_not("the end of the file after a 4x4 matrix")),
        None => Ok(Affine { m }),
    }
}

/// AFNI writes a matrix as twelve numbers in a line, in DICOM order, which is LPS.
pub(super) fn refuse_line_of_afni(text: &Text<'_>, first: Option<&Line<'_>>) -> Result<()> {
    if first.is_none_or(|line| line.exactly::<12>("a matrix").is_err()) {
        return Ok(());
    }
    Err(Error::Unsupported {
        path: text.path.to_path_buf(),
        what: "a line of 12 numbers is an AFNI matrix (aff12.1D), which is not read".into(),
        hint: Some(AS_ITK.into()),
    })
}

/// One row of a matrix.
pub(super) fn row(line: Line<'_>) -> Result<[f64; 4]> {
    line.exactly("a row of a 4x4 matrix")
}

/// The last row of a 4x4 matrix of an affine map.
pub(super) fn check_last(line: Line<'_>) -> Result<()> {
    let off = row(line)?.into_iter().zip([0.0, 0.0, 0.0, 1.0]).map(|(found, expected)| f64::abs(found - expected));
    if off.into_iter().all(|off| off <= ROUNDING) {
        Ok(())
    } else {
        Err(line.is_not("0 0 0 1, the last row of a matrix"))
    }
}
