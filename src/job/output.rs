//! The target of a job: its format by its name, its layout before anything is created, and its creation.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Input, Values};
use crate::{
    error::{Error, Result},
    geometry::Grid,
    io::{
        Access, Layout, Outer, Sink,
        gzip::{self, Framing, GzipSink},
        nifti::{self, Header, TargetSpec},
        packed::Packed,
        raw::{self, RawSink},
        staging::Staging,
        zarr::Codec,
    },
    voxel::Voxel,
};

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
    /// `.zarr`
    Zarr,
}

impl Format {
    /// The format that a name asks for.
    pub fn of_name(path: &Path) -> Result<Format> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let endings =
            [(".nii.gz", Format::NiftiGz), (".nii", Format::Nifti), (".hdr", Format::Pair), (".img", Format::Pair), (".zarr", Format::Zarr)];
        let found = endings.into_iter().find(|(ending, _)| name.ends_with(ending) && name.len() > ending.len());
        found.map(|(_, format)| format).ok_or_else(|| {
            Error::usage_hint(
                format!("the name '{}' does not say which format to write", path.display()),
                "end it in .nii, .nii.gz, .hdr or .zarr",
            )
        })
    }

    pub fn is_nifti(self) -> bool {
        self != Format::Zarr
    }
}

/// How the target is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetOptions {
    pub overwrite: bool,
    pub framing: Framing,
    /// Chunk of a Zarr target, storage order; `None` chooses.
    pub chunk: Option<[u64; 3]>,
    /// Shard of a Zarr target: `None` chooses, `Some(None)` writes chunks as files.
    pub shard: Option<Option<[u64; 3]>>,
    pub codec: Codec,
}

impl Default for TargetOptions {
    fn default() -> Self {
        TargetOptions {
            overwrite: false,
            framing: Framing::Single { level: gzip::DEFAULT_LEVEL },
            chunk: None,
            shard: None,
            codec: Codec::Zstd(3),
        }
    }
}

/// A target that is described in full, but not created yet.
#[derive(Debug)]
pub struct Output {
    pub path: PathBuf,
    pub format: Format,
    pub layout: Layout,
    options: TargetOptions,
    recipe: Recipe,
}

#[derive(Debug)]
enum Recipe {
    Nifti { prefix: Vec<u8>, packed: Packed },
}

/// What a target takes over from its source and reference.
pub struct Heritage<'a> {
    pub input: &'a Input,
    /// The header whose form codes count: the reference's with `--like`, else the source's.
    pub reference: Option<&'a Header>,
    /// The slowest axis of the source is resampled or reordered.
    pub slices_resampled: bool,
}

impl Output {
    pub fn describe(
        path: &Path,
        format: Format,
        grid: &Grid,
        values: &Values,
        options: &TargetOptions,
        heritage: &Heritage<'_>,
    ) -> Result<Output> {
        let source = heritage.input.layout();
        let layout = Layout {
            grid: grid.clone(),
            outer: Outer::separate(source.outer.axes.clone()),
            components: source.components,
            stored: values.target,
            access: Access::Random,
            chunk: grid.shape,
            shard: None,
            transfer_bytes: 0,
            resident_bytes: 0,
            stored_bytes: None,
        };
        let (layout, recipe) = match format {
            Format::Zarr => return Err(Error::usage("ZARRSOON")),
            _ => {
                let prefix = nifti_prefix(path, format, &layout, values, heritage)?;
                let offset = if format == Format::Pair { 0 } else { prefix.len() as u64 };
                let packed = Packed::new(&layout, offset, values.writing);
                let layout = match format {
                    Format::NiftiGz => gzip::target_layout(layout),
                    _ => raw::target_layout(layout),
                };
                (layout, Recipe::Nifti { prefix, packed })
            }
        };
        Ok(Output { path: path.to_path_buf(), format, layout, options: options.clone(), recipe })
    }

    /// Creates the target in its staging folder.
    pub fn create<T: Voxel>(&self, staging: &Staging) -> Result<Box<dyn Sink<T>>> {
        let built = staging.path(BUILT);
        match &self.recipe {
            Recipe::Nifti { prefix, packed } => match self.format {
                Format::NiftiGz => {
                    Ok(Box::new(GzipSink::create(&built, self.layout.clone(), *packed, prefix, self.options.framing)?))
                }
                Format::Pair => {
                    let header = staging.path(BUILT_HEADER);
                    std::fs::write(&header, prefix).map_err(Error::io("write", &header))?;
                    Ok(Box::new(RawSink::create(&built, self.layout.clone(), *packed, &[])?))
                }
                _ => Ok(Box::new(RawSink::create(&built, self.layout.clone(), *packed, prefix)?)),
            },
        }
    }

    /// Gives the finished target its name.
    pub fn commit(&self, staging: Staging) -> Result<()> {
        let built = staging.path(BUILT);
        let moves = match self.format {
            Format::Pair => vec![
                (built, self.path.with_extension("img")),
                (staging.path(BUILT_HEADER), self.path.with_extension("hdr")),
            ],
            _ => vec![(built, self.path.clone())],
        };
        staging.commit(&moves)
    }

    pub fn overwrites(&self) -> bool {
        self.options.overwrite
    }
}

/// Names within the staging folder.
const BUILT: &str = "target";
const BUILT_HEADER: &str = "target.hdr";

fn nifti_prefix(path: &Path, format: Format, layout: &Layout, values: &Values, heritage: &Heritage<'_>) -> Result<Vec<u8>> {
    let source = match heritage.input {
        Input::Nifti(file) => Some(file),
        Input::Zarr(_) => None,
    };
    // Everything but the form codes comes from the source, also with a reference.
    let like = match (source, heritage.reference) {
        (Some(file), Some(reference)) => {
            Some(Header { sform_code: reference.sform_code, qform_code: reference.qform_code, ..file.header.clone() })
        }
        (Some(file), None) => Some(file.header.clone()),
        (None, reference) => reference.map(|r| Header {
            sform_code: r.sform_code,
            qform_code: r.qform_code,
            ..Header::new(nifti::Version::One)
        }),
    };
    let spec = TargetSpec {
        path,
        like: like.as_ref(),
        extensions: source.map_or(&[][..], |file| &file.extensions),
        grid: &layout.grid,
        outer: &layout.outer,
        stored: layout.stored,
        components: layout.components,
        slope: values.kept_slope,
        slice_axis_resampled: heritage.slices_resampled,
        single_file: format != Format::Pair,
    };
    Ok(nifti::target_header(&spec)?.1)
}
