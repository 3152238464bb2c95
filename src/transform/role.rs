//! The two images of an FSL matrix: `-in` and `-ref`.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use super::TransformRequest;
use crate::{
    error::{Error, Result},
    geometry::Grid,
    io::{
        input::Input,
        nifti::NiftiFile,
        zarr::{AsNifti, OpenOptions, ZarrFile},
    },
};

/// An image as far as FSL looks at it: its grid, and two things of its header.
#[derive(Clone, Debug)]
pub struct RoleImage {
    pub path: PathBuf,
    pub grid: Grid,
    /// Steps along i, j, k as `pixdim` has them; nothing where they are the affine's.
    pub steps: Option<[f64; 3]>,
    /// Whether a form has a code. FSL takes a file without one as radiological.
    pub is_coded: bool,
}

impl RoleImage {
    /// What an open file says; `path` is for messages.
    pub fn of(path: &Path, input: &Input) -> RoleImage {
        let nifti = input.nifti().map(|file| RoleImage::of_nifti(path, file));
        let zarr = || input.zarr().map(|file| RoleImage::of_zarr(path, file));
        nifti.or_else(zarr).unwrap_or_else(|| RoleImage::of_grid(path, &input.layout().grid))
    }

    /// Reads the metadata of an image.
    pub fn open(path: &Path) -> Result<RoleImage> {
        Ok(RoleImage::of(path, &Input::open(path, &OpenOptions::default())?))
    }

    /// A NIfTI file; `path` is for messages.
    pub fn of_nifti(path: &Path, file: &NiftiFile) -> RoleImage {
        let header = &file.header;
        let [_, di, dj, dk, ..] = header.pixdim.map(f64::abs);
        let is_coded = header.sform_code > 0 || header.qform_code > 0;
        RoleImage { steps: Some([di, dj, dk]), is_coded, ..RoleImage::of_grid(path, &file.layout.grid) }
    }

    /// A Zarr array or image; `path` is for messages.
    pub fn of_zarr(path: &Path, file: &ZarrFile) -> RoleImage {
        let is_coded = file.nifti.as_ref().is_none_or(AsNifti::has_forms);
        RoleImage { is_coded, ..RoleImage::of_grid(path, &file.layout.grid) }
    }

    /// An image whose header agrees with its affine.
    pub fn of_grid(path: &Path, grid: &Grid) -> RoleImage {
        RoleImage { path: path.to_path_buf(), grid: grid.clone(), steps: None, is_coded: true }
    }
}

/// The two ends of a run. A matrix that stands alone between them has them for its roles, unless it names its own.
#[derive(Clone, Debug)]
pub struct Ends {
    pub source: RoleImage,
    pub target: RoleImage,
}

/// The images that FLIRT had.
pub(super) struct Roles<'a> {
    /// `-in`
    pub source: Cow<'a, RoleImage>,
    /// `-ref`
    pub reference: Cow<'a, RoleImage>,
}

impl<'a> Roles<'a> {
    /// Those of a field: the source that the request names, else that of the run, and the field's own voxels as reference.
    ///
    /// # Errors
    /// A source that neither says, or that cannot be opened.
    pub(super) fn of_field(
        request: &TransformRequest,
        ends: Option<&'a Ends>,
        field: &'a RoleImage,
    ) -> Result<Roles<'a>> {
        let of_run = ends.map(|Ends { source, target }| if request.inverse { target } else { source });
        let source = match (&request.source, of_run) {
            (Some(path), _) => Cow::Owned(RoleImage::open(path)?),
            (None, Some(image)) => Cow::Borrowed(image),
            (None, None) => return Err(unknown_source(request)),
        };
        Ok(Roles { source, reference: Cow::Borrowed(field) })
    }

    /// Those that a request names, else the ends of the run; inverted, the run looks from FLIRT's source into its reference.
    ///
    /// # Errors
    /// A role that neither says; an image that cannot be opened.
    pub(super) fn of(request: &TransformRequest, ends: Option<&'a Ends>) -> Result<Roles<'a>> {
        let of_run =
            ends.map(|Ends { source, target }| if request.inverse { (target, source) } else { (source, target) });
        let role = |named: &Option<PathBuf>, of_run: Option<&'a RoleImage>| match (named, of_run) {
            (Some(path), _) => Ok(Cow::Owned(RoleImage::open(path)?)),
            (None, Some(image)) => Ok(Cow::Borrowed(image)),
            (None, None) => Err(unknown(request)),
        };
        let source = role(&request.source, of_run.map(|(source, _)| source))?;
        let reference = role(&request.reference, of_run.map(|(_, reference)| reference))?;
        Ok(Roles { source, reference })
    }
}

fn unknown_source(request: &TransformRequest) -> Error {
    let path = request.path.display();
    let inverse = if request.inverse { ",inverse" } else { "" };
    Error::usage_hint(
        format!(
            "{path} is an FSL field, which speaks of the voxels of two images, and it is not said which its source is"
        ),
        format!("name applywarp's -i: --transform {path}{inverse},src=IN.nii"),
    )
}

fn unknown(request: &TransformRequest) -> Error {
    let path = request.path.display();
    let inverse = if request.inverse { ",inverse" } else { "" };
    Error::usage_hint(
        format!("{path} is FSL's, which speaks of the voxels of two images, and it is not said which"),
        format!(
            "name FLIRT's -in and -ref: --transform {path}{inverse},src=IN.nii,ref=REF.nii; a matrix of world coordinates, such as greedy and c3d write: --transform {path}{inverse},ras"
        ),
    )
}
