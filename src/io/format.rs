//! The format of a target, by its name.

use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};

/// The format of a target, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `.nii`
    Nifti,
    /// `.nii.gz`
    NiftiGz,
    /// `.hdr` with `.img` beside it
    Pair,
    /// `.tif`, `.tiff`, `.ome.tif`
    Tiff,
    /// `.zarr`
    Zarr,
}

impl Format {
    /// The format that a name asks for.
    pub fn of_name(path: &Path) -> Result<Format> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let endings = [
            (".nii.gz", Format::NiftiGz),
            (".nii", Format::Nifti),
            (".hdr", Format::Pair),
            (".img", Format::Pair),
            (".tif", Format::Tiff),
            (".tiff", Format::Tiff),
            (".zarr", Format::Zarr),
        ];
        let found = endings.into_iter().find(|(ending, _)| name.ends_with(ending) && name.len() > ending.len());
        found.map(|(_, format)| format).ok_or_else(|| {
            Error::usage_hint(
                format!("the name '{}' does not say which format to write", path.display()),
                "end it in .nii, .nii.gz, .hdr, .ome.tif or .zarr",
            )
        })
    }

    /// Whether this is one of the three forms of NIfTI.
    pub fn is_nifti(self) -> bool {
        matches!(self, Format::Nifti | Format::NiftiGz | Format::Pair)
    }

    /// Whether the target is one file, or a header and one file, and not a store.
    pub fn is_file(self) -> bool {
        self != Format::Zarr
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Format::Nifti | Format::NiftiGz | Format::Pair => "NIfTI",
            Format::Tiff => "TIFF",
            Format::Zarr => "Zarr",
        }
    }
}
