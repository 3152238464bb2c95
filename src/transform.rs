//! Transform files, read into maps of the world: from target world to source world, as resampling uses them.
//!
//! One file per format below. Every map leaves here in one frame: RAS+ millimetres, coordinates in the order x, y, z, from
//! where a target voxel stands to where its value is looked up in the source. That is the direction of ITK's and ANTs'
//! files; FSL's and FreeSurfer's are turned round. LPS becomes RAS here and nowhere else.
//!
//! Displacement fields are recognised, not read: their voxels are a source of their own. [`FieldGrid`] says where a
//! point falls in one and what its vectors mean.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, Result},
    geometry::{Affine, Grid},
    io::zarr::store::Location,
};

mod chain;
mod field;
mod file;
mod fsl;
mod itk;
mod itk_mat;
mod itk_text;
mod list;
mod lta;
mod matrix;

pub use chain::Chain;
pub use field::{FieldGrid, Stencil, VectorFrame};
pub use list::TransformList;

use file::{Contents, Text};

const INVERSE: &str = ",inverse";

/// A transform as asked for: `FILE` or `FILE,inverse`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransformRequest {
    pub path: PathBuf,
    pub inverse: bool,
}

impl TransformRequest {
    /// `FILE[,inverse]`; only an ending is taken for the suffix.
    pub fn parse(argument: &OsStr) -> TransformRequest {
        match argument.to_str().and_then(|text| text.strip_suffix(INVERSE)) {
            Some(path) => TransformRequest { path: path.into(), inverse: true },
            None => TransformRequest { path: argument.into(), inverse: false },
        }
    }
}

impl std::fmt::Display for TransformRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.path.display(), if self.inverse { INVERSE } else { "" })
    }
}

/// The two ends of a resampling, for files whose numbers mean nothing without them.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
    pub target: &'a Grid,
    pub source: &'a Grid,
}

/// What one file holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Transform {
    /// Target world to source world, RAS mm, invertible.
    Affine(Affine),
    /// A displacement field: a NIfTI file, or a Zarr folder or URL. Not opened yet.
    Field(PathBuf),
}

impl Transform {
    /// Reads one file, whatever its format, by its content; a text of bare numbers is FSL's if its name ends in `.mat`
    /// or is one of mcflirt's, `MAT_0000`.
    ///
    /// # Errors
    /// A file that is not what its format asks for, with the line; one of a kind that is not read, with the way out; FSL
    /// without `ends`; the inverse of a field.
    pub fn read(request: &TransformRequest, ends: Option<Ends<'_>>) -> Result<Transform> {
        let path = &request.path;
        if is_field_by_name(path)? {
            return field_at(request);
        }
        let affine = match file::read(path)? {
            Contents::Image => return field_at(request),
            Contents::Binary(bytes) => itk_mat::read(path, &bytes)?,
            Contents::Text(text) => affine_of_text(&Text::new(path, &text), ends)?,
        };
        let inverse = affine.inverse().ok_or_else(|| singular(path, &affine))?;
        Ok(Transform::Affine(if request.inverse { inverse } else { affine }))
    }
}

fn affine_of_text(text: &Text<'_>, ends: Option<Ends<'_>>) -> Result<Affine> {
    if itk_text::is_itk(text) {
        return itk_text::read(text);
    }
    if lta::is_lta(text) {
        return lta::read(text);
    }
    let matrix = matrix::read(text)?;
    let is_fsl = has_ending(text.path, ".mat") || list::is_mcflirt(text.path);
    if is_fsl { fsl::to_world(text.path, &matrix, ends) } else { Ok(matrix) }
}

fn field_at(request: &TransformRequest) -> Result<Transform> {
    if request.inverse {
        return Err(Error::usage_hint(
            format!(
                "{}: only affine transforms are inverted, and this is a displacement field",
                request.path.display()
            ),
            "give the inverse field that registration wrote beside it, such as 1InverseWarp.nii.gz",
        ));
    }
    Ok(Transform::Field(request.path.clone()))
}

/// Folders, URLs and the names of images: what is opened as an image, not as a text.
fn is_field_by_name(path: &Path) -> Result<bool> {
    let location = Location::of(path)?;
    let Some(local) = location.local() else { return Ok(true) };
    let endings = [".nii", ".nii.gz", ".hdr", ".img", ".img.gz"];
    Ok(local.is_dir() || endings.iter().any(|ending| has_ending(local, ending)))
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.to_string_lossy().to_lowercase().ends_with(ending)
}

fn singular(path: &Path, affine: &Affine) -> Error {
    let what = if affine.is_finite() { "a singular matrix" } else { "a matrix that is not finite" };
    Error::malformed(path, "the transform", what, "one that can be inverted")
}

/// The same map in RAS+ of one in LPS+: x and y change sign on both sides.
fn ras_of_lps(lps: &Affine) -> Affine {
    let sign = |axis: usize| if axis < 2 { -1.0 } else { 1.0 };
    let entry = |r: usize, c: usize| lps.m[r][c] * sign(r) * sign(c) + 0.0;
    Affine { m: std::array::from_fn(|r| std::array::from_fn(|c| entry(r, c))) }
}

#[cfg(test)]
mod tests;
