//! Transform files, read into maps of the world: from target world to source world, as resampling uses them.
//!
//! One file per format below. Every map leaves here in one frame: RAS+ millimetres, coordinates in the order x, y, z, from
//! where a target voxel stands to where its value is looked up in the source. That is the direction of ITK's and ANTs'
//! files; FSL's and FreeSurfer's are turned round. LPS becomes RAS here and nowhere else.
//!
//! Displacement fields are recognised, not read: their voxels are a source of their own. [`FieldGrid`] says where a
//! point falls in one and what its vectors mean.

use std::path::Path;

use crate::{
    error::{Error, Result},
    geometry::Affine,
    io::input::Input,
    storage::{InArchive, Location},
};

mod chain;
mod convention;
mod displacing;
mod elastix;
mod field;
mod field_of_file;
mod file;
mod fnirt;
mod freesurfer;
mod fsl;
mod fsl_field;
mod itk;
mod itk_hdf5;
mod itk_mat;
mod itk_parts;
mod itk_spline;
mod itk_text;
mod list;
mod lta;
mod matrix;
mod niftyreg;
mod positions;
mod request;
mod rising;
mod role;

pub use chain::{Chain, Move, Step};
pub use convention::{Convention, FieldKind};
pub use displacing::{By, Displacing, SplineGrid};
pub use field::{Beyond, FieldGrid, Stencil, kind_of};
pub use list::{ListEntry, TransformList};
pub use request::{FieldFile, MatrixKind, TransformRequest};
pub use role::{Ends, RoleImage};

use file::{Contents, Text};
use role::Roles;

/// What one file holds, and how it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Transform {
    /// In the order in which a point meets them, from target to source; one but for composites of ITK.
    pub maps: Vec<Map>,
    pub convention: Convention,
}

/// A map of the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Map {
    /// Target world to source world, RAS mm, invertible.
    Affine(Affine),
    Displacing(Displacing),
}

impl Map {
    /// The inverse; the affine that has none.
    fn inverse(&self) -> std::result::Result<Map, Affine> {
        match self {
            Map::Affine(affine) => affine.inverse().map(Map::Affine).ok_or(*affine),
            Map::Displacing(what) => Ok(Map::Displacing(what.clone().inverted())),
        }
    }
}

impl Transform {
    /// Reads one file, whatever its format, by its content; a text of bare numbers is FSL's if its name ends in `.mat`
    /// or is one of mcflirt's, `MAT_0000`, unless the request says what it is.
    ///
    /// # Errors
    /// A file that is not what its format asks for, with the line; one of a kind that is not read, with the way out; FSL
    /// without the images that it speaks of; suffixes that the format has no use for.
    pub fn read(request: &TransformRequest, ends: Option<&Ends>) -> Result<Transform> {
        let path = &request.path;
        if is_field_by_name(path)? {
            return field_at(request, ends);
        }
        let (maps, convention) = match file::read(path).map_err(|error| with_suffixes(error, path))? {
            Contents::Image => return field_at(request, ends),
            Contents::Hdf5 => itk_hdf5::maps(path)?,
            Contents::Binary(bytes) => itk_parts::without_fields(path, &itk_mat::records(path, &bytes)?)?,
            Contents::Text(text) => of_text(request, &Text::new(path, &text), ends)?,
        };
        refuse_suffixes(request, &convention)?;
        Ok(Transform { maps: directed(request, maps)?, convention })
    }
}

fn of_text(request: &TransformRequest, text: &Text<'_>, ends: Option<&Ends>) -> Result<(Vec<Map>, Convention)> {
    if itk_text::is_itk(text) {
        return itk_parts::without_fields(text.path, &itk_text::records(text)?);
    }
    if elastix::is_elastix(text) {
        return elastix::maps(text);
    }
    let (affine, convention) = affine_of_text(request, text, ends)?;
    Ok((vec![Map::Affine(affine)], convention))
}

fn affine_of_text(request: &TransformRequest, text: &Text<'_>, ends: Option<&Ends>) -> Result<(Affine, Convention)> {
    if lta::is_lta(text) {
        return Ok((lta::read(text)?, Convention::FreeSurfer));
    }
    let matrix = matrix::read(text, request.matrix.is_some())?;
    let is_fsl_by_name = has_ending(text.path, ".mat") || list::is_mcflirt(text.path);
    let by_name = if is_fsl_by_name { MatrixKind::Fsl } else { MatrixKind::Ras };
    match request.matrix.unwrap_or(by_name) {
        MatrixKind::Ras => Ok((matrix, Convention::Ras)),
        MatrixKind::Fsl => {
            let roles = Roles::of(request, ends)?;
            let affine = fsl::to_world(text.path, &matrix, &roles)?;
            let (source, reference) = (roles.source.path.clone(), roles.reference.path.clone());
            Ok((affine, Convention::Fsl { source, reference }))
        }
    }
}

/// Only a bare matrix asks what it is, and only FSL's for images.
fn refuse_suffixes(request: &TransformRequest, convention: &Convention) -> Result<()> {
    let is_bare = matches!(convention, Convention::Ras | Convention::Fsl { .. });
    let has_roles = matches!(convention, Convention::Fsl { .. } | Convention::FslSpline { .. });
    let is_field = matches!(convention, Convention::FslField { .. });
    let is_said = is_field && request.matrix == Some(MatrixKind::Fsl);
    let what = if request.matrix.is_some() && !is_bare && !is_said {
        "is not a matrix of bare numbers, and ras and fsl are for those"
    } else if is_field && request.reference.is_some() {
        "is a field, which lies on the voxels of its reference: ref= is for FSL matrices"
    } else if (request.source.is_some() || request.reference.is_some()) && !has_roles && !is_field {
        "is not an FSL matrix, and src= and ref= are for those"
    } else {
        return Ok(());
    };
    let inverse = if request.inverse { ",inverse" } else { "" };
    let source = request.source.iter().filter(|_| is_field).map(|source| format!(",src={}", source.display()));
    let (path, source) = (request.path.display(), source.collect::<String>());
    Err(Error::usage_hint(format!("{path} {what}"), format!("leave them out: --transform {path}{inverse}{source}")))
}

/// A name that ends in what is no suffix is looked for as it stands.
fn with_suffixes(error: Error, path: &Path) -> Error {
    match &error {
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound && has_comma(path) => {
            Error::usage_hint(
                format!("there is no file {}", path.display()),
                "the suffixes of a transform are ,inverse ,ras ,fsl ,src=FILE and ,ref=FILE, each at most once",
            )
        }
        _ => error,
    }
}

fn has_comma(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().contains(&b','))
}

fn field_at(request: &TransformRequest, ends: Option<&Ends>) -> Result<Transform> {
    let by = |said| By::Field(FieldFile { path: request.path.clone(), said });
    let field = |said| Map::Displacing(Displacing { by: by(said), is_inverse: false });
    // Without an intent the request says what the vectors are.
    let mut said = None;
    let image = image_at(&request.path)?;
    if let Some(file) = image.as_ref().and_then(freesurfer::file_of) {
        return freesurfer::transform(request, file, field(None));
    }
    if let Some((input, file)) = image.as_ref().and_then(|input| Some((input, input.nifti()?))) {
        if let Some(between) = niftyreg::Between::of(&file.header) {
            return niftyreg::transform(request, input, file, (between, field(None)));
        }
        match file.header.intent_code {
            _ if !field::is_four(&file.header) => {}
            fnirt::CUBIC => return fnirt::transform(request, input, ends),
            fsl_field::FIELD => return fsl_field::transform(request, input, field(None), ends),
            0 if request.matrix == Some(MatrixKind::Fsl) => {
                return fsl_field::transform(request, input, field(request.matrix), ends);
            }
            0 => said = request.matrix,
            _ => {}
        }
    }
    let convention = Convention::Field { vectors: None };
    let rest = &TransformRequest { matrix: request.matrix.filter(|_| said.is_none()), ..request.clone() };
    refuse_suffixes(rest, &convention)?;
    Ok(Transform { maps: directed(rest, vec![field(said)])?, convention })
}

/// The image at a path, where that is a file on this machine and an image.
fn image_at(path: &Path) -> Result<Option<Input>> {
    if !Location::of(path)?.local().is_some_and(Path::is_file) {
        return Ok(None);
    }
    Ok(Input::open_field(path).ok())
}

/// Maps as they are asked for: as they stand, or the other way round. Each affine has an inverse, also where it is not asked for.
fn directed(request: &TransformRequest, maps: Vec<Map>) -> Result<Vec<Map>> {
    let inverse = |map: &Map| map.inverse().map_err(|affine| singular(&request.path, &affine));
    let inverses = maps.iter().rev().map(inverse).collect::<Result<Vec<Map>>>()?;
    Ok(if request.inverse { inverses } else { maps })
}

/// Folders, URLs and the names of images: what is opened as an image, not as a text.
fn is_field_by_name(path: &Path) -> Result<bool> {
    let location = Location::of(path)?;
    let Some(local) = location.local() else { return Ok(true) };
    let endings = [
        ".nii", ".nii.gz", ".hdr", ".img", ".img.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgh", ".mgz", ".m3z", ".m3d",
    ];
    Ok(local.is_dir() || InArchive::of(&location)?.is_some() || endings.iter().any(|ending| has_ending(local, ending)))
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
