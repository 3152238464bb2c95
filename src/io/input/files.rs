//! The files of an input, for those who must not replace them and who tell one from another.

use std::path::{Path, PathBuf};

use super::Input;
use crate::{
    error::{Error, Result},
    io::{nifti, plain, zarr::OpenOptions},
    layout::Layout,
    storage::Location,
};

impl Input {
    /// Opens a file whose voxels are vectors: an image, or a morph of FreeSurfer.
    ///
    /// # Errors
    /// Those of [`Input::open`].
    pub fn open_field(path: &Path) -> Result<Input> {
        if let Some(morph) = Location::of(path)?.local().map(plain::open_morph).transpose()?.flatten() {
            return Ok(Input::Plain(Box::new(morph)));
        }
        Input::open(path, &OpenOptions::default())
    }

    /// Where its voxels are: a file, a folder or a URL; `None` where there is no file.
    pub fn voxels_path(&self) -> Option<&Path> {
        match self {
            Input::Nifti(file) => Some(&file.data_path),
            Input::Zarr(file) => Some(&file.path),
            Input::Plain(file) => Some(&file.data_path),
            Input::Dicom(series) => Some(&series.folder),
            Input::Tiff(file) => Some(&file.path),
            Input::Hdf5(file) => Some(&file.path),
            Input::Precomputed(file) => Some(&file.path),
            Input::Field(field) => Some(&field.path),
            Input::Own(_) => None,
        }
    }

    /// All files, where they are many.
    pub fn many_files(&self) -> Vec<PathBuf> {
        match self {
            Input::Dicom(series) => series.paths().collect(),
            _ => Vec::new(),
        }
    }

    /// The file or folder that a target takes the place of when it replaces this input; `None` where none can.
    pub fn replaceable(&self) -> Option<PathBuf> {
        match self {
            Input::Nifti(file) => Some(file.data_path.clone()),
            Input::Plain(file) => Some(file.data_path.clone()),
            Input::Tiff(file) => Some(file.path.clone()),
            Input::Zarr(file) => Some(file.root()),
            Input::Dicom(_) | Input::Hdf5(_) | Input::Precomputed(_) | Input::Field(_) | Input::Own(_) => None,
        }
    }

    /// The name that stands for its voxels, where no file does.
    pub fn own_name(&self) -> Option<&str> {
        if let Input::Own(source) = self { Some(source.name()) } else { None }
    }

    /// The names of the levels, finest first, of an image with several of them that is no Zarr.
    pub fn level_names(&self) -> Vec<String> {
        match self {
            Input::Hdf5(file) => file.level_names(),
            Input::Precomputed(file) => file.level_names(),
            _ => Vec::new(),
        }
    }

    /// Stored bytes over bytes before compression, where the voxels are compressed and that is known; looks at a few files of a store.
    pub fn stored_ratio(&self) -> Option<f64> {
        let (is_compressed, view) = match self {
            Input::Zarr(file) => return file.stored_ratio(),
            Input::Own(_) | Input::Field(_) | Input::Hdf5(_) | Input::Precomputed(_) => return None,
            Input::Nifti(file) => (file.compressed, &file.view),
            Input::Plain(file) => (file.stream.is_some(), &file.view),
            Input::Dicom(series) => (series.is_compressed(), &series.view),
            Input::Tiff(file) => (file.is_compressed(), &file.view),
        };
        let layout = self.layout();
        let outer = view.as_ref().map_or(&layout.outer, |view| view.behind());
        let raw = Layout { outer: outer.clone(), ..layout.clone() }.raw_bytes();
        let stored = layout.stored_bytes.filter(|_| is_compressed && raw > 0)?;
        Some(stored as f64 / raw as f64)
    }
}

/// Of a header and its voxels a URL names one; TIFF and HDF5 files are read where they can be read by position.
pub(super) fn refuse_what_urls_lack(url: &Path) -> Result<()> {
    let name = url.to_string_lossy().to_lowercase();
    let ends_in = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends_in(&[".hdr", ".img", ".hdr.gz", ".img.gz"]) {
        return Err(nifti::pair_behind_url(url));
    }
    let format = match () {
        () if ends_in(&[".tif", ".tiff"]) => "TIFF",
        () if ends_in(&[".ims", ".h5", ".hdf5"]) => "HDF5",
        () => return Ok(()),
    };
    Err(Error::Unsupported {
        path: url.to_path_buf(),
        what: format!("{format} is not read from a URL"),
        hint: Some("copy the file to a local disk first".into()),
    })
}
