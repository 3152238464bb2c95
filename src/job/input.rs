//! The source of a job: which format it is, and how its voxels are reached.

use std::path::Path;

use crate::{
    error::{Error, Result},
    io::{
        Access, Layout, Source,
        convert::Conversion,
        gzip::{BgzfSource, GzipSource, is_bgzf},
        nifti::{self, NiftiFile},
        packed::Packed,
        raw::{RawSource, Reach},
        zarr::{self, OpenOptions, ZarrFile, ZarrSource, store::Location},
    },
    voxel::Voxel,
};

/// How uncompressed files are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IoMode {
    /// By position: measured faster than maps, with less memory, and safe where files shrink (docs/architecture.md).
    #[default]
    Auto,
    Map,
    Position,
}

/// An opened source: metadata only, no voxel was read.
#[derive(Debug)]
pub enum Input {
    Nifti(Box<NiftiFile>),
    Zarr(Box<ZarrFile>),
}

impl Input {
    /// Opens whatever the file is, by its content.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Input> {
        let location = Location::of(path)?;
        let Some(path) = location.local() else {
            refuse_single_file(path)?;
            return Ok(Input::Zarr(Box::new(zarr::open(path, options)?)));
        };
        if path.metadata().map_err(Error::io("open", path))?.is_dir() {
            return Ok(Input::Zarr(Box::new(zarr::open(path, options)?)));
        }
        if options.level.is_some() {
            return Err(Error::usage("--level is for multiscale images, and this is a single file"));
        }
        let mut file = nifti::open(path)?;
        if let Some(spacing) = options.spacing_in {
            respace(&mut file.layout, spacing);
        }
        Ok(Input::Nifti(Box::new(file)))
    }

    pub fn layout(&self) -> &Layout {
        match self {
            Input::Nifti(file) => &file.layout,
            Input::Zarr(file) => &file.layout,
        }
    }

    pub fn conversion(&self) -> Conversion {
        match self {
            Input::Nifti(file) => file.conversion,
            Input::Zarr(file) => file.conversion,
        }
    }

    /// `(slope, intercept)` from stored samples to real values.
    pub fn slope(&self) -> Option<(f64, f64)> {
        match self {
            Input::Nifti(file) => file.header.slope(),
            Input::Zarr(_) => None,
        }
    }

    pub fn warnings(&self) -> &[String] {
        match self {
            Input::Nifti(file) => &file.warnings,
            Input::Zarr(file) => &file.warnings,
        }
    }

    /// Whether voxels are names and not quantities, as far as the file says.
    pub fn is_label(&self) -> bool {
        match self {
            Input::Nifti(file) => file.header.is_label(),
            Input::Zarr(file) => file.is_label,
        }
    }

    /// Axes that the file does not have, storage order.
    pub fn lacking(&self) -> [bool; 3] {
        match self {
            Input::Nifti(file) => std::array::from_fn(|a| (3 - a) as i64 > file.header.dim[0]),
            Input::Zarr(file) => file.lacking(),
        }
    }

    /// The voxels as type `T`; `conversion` is this input's own, perhaps with a slope.
    pub fn source<T: Voxel>(&self, conversion: Conversion, io: IoMode) -> Result<Box<dyn Source<T>>> {
        match self {
            Input::Zarr(file) => {
                let mut file = ZarrFile::clone(file);
                file.conversion = conversion;
                Ok(Box::new(ZarrSource::<T>::new(file)))
            }
            Input::Nifti(file) => {
                let packed = Packed::new(&file.layout, file.data_offset, conversion);
                let (path, layout) = (&file.data_path, file.layout.clone());
                if !file.compressed {
                    return Ok(Box::new(RawSource::open(path, layout, packed, reach(io))?));
                }
                if is_bgzf(path)? {
                    return Ok(Box::new(BgzfSource::open(path, layout, packed)?));
                }
                Ok(Box::new(GzipSource::open(path, layout, packed)?))
            }
        }
    }

    /// How the format is called in summaries.
    pub fn format_name(&self) -> String {
        match self {
            Input::Nifti(file) => {
                let version = match file.header.version {
                    nifti::Version::One => "NIfTI-1",
                    nifti::Version::Two => "NIfTI-2",
                };
                let stream = if file.layout.access == Access::Ascending { ", gzip" } else { "" };
                format!("{version}{stream}")
            }
            Input::Zarr(file) => format!("Zarr v{}, {}", file.zarr_format, file.codecs),
        }
    }
}

/// NIfTI files are read where they can be read by position.
fn refuse_single_file(url: &Path) -> Result<()> {
    let name = url.to_string_lossy().to_lowercase();
    if [".nii", ".nii.gz", ".hdr", ".img"].iter().any(|ending| name.ends_with(ending)) {
        return Err(Error::Unsupported {
            path: url.to_path_buf(),
            what: "only Zarr is read from a URL".into(),
            hint: Some("copy the file to a local disk first".into()),
        });
    }
    Ok(())
}

fn reach(io: IoMode) -> Reach {
    match io {
        IoMode::Map => Reach::Map,
        IoMode::Position | IoMode::Auto => Reach::Position,
    }
}

/// Gives the grid these steps; direction and origin stay.
fn respace(layout: &mut Layout, spacing: [f64; 3]) {
    let grid = &mut layout.grid;
    for (c, &step) in spacing.iter().enumerate() {
        let factor = step / grid.index_to_world.column_norm(c);
        grid.index_to_world.m.iter_mut().for_each(|row| row[c] *= factor);
    }
    grid.stated_spacing = Some(spacing);
}
