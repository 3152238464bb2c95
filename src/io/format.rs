//! The format of a target, by its name.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::gzip::Framing;
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
    /// `.nrrd`
    Nrrd,
    /// `.nhdr` with `.raw` beside it
    Nhdr,
    /// `.mha`
    Mha,
    /// `.mhd` with `.raw` beside it
    Mhd,
    /// `.mgh`
    Mgh,
    /// `.mgz`
    Mgz,
    /// `.tif`, `.tiff`, `.ome.tif`
    Tiff,
    /// `.zarr`
    Zarr,
    /// `.ozx`, `.zarr.zip`: the same in a zip archive
    Ozx,
}

/// Endings of names, longer ones first.
const ENDINGS: [(&str, Format); 19] = [
    (".nii.gz", Format::NiftiGz),
    (".ome.zarr.zip", Format::Ozx),
    (".zarr.zip", Format::Ozx),
    (".mgh.gz", Format::Mgz),
    (".ome.tif", Format::Tiff),
    (".ome.tiff", Format::Tiff),
    (".tif", Format::Tiff),
    (".tiff", Format::Tiff),
    (".nii", Format::Nifti),
    (".hdr", Format::Pair),
    (".img", Format::Pair),
    (".nrrd", Format::Nrrd),
    (".nhdr", Format::Nhdr),
    (".mha", Format::Mha),
    (".mhd", Format::Mhd),
    (".mgh", Format::Mgh),
    (".mgz", Format::Mgz),
    (".zarr", Format::Zarr),
    (".ozx", Format::Ozx),
];

impl Format {
    /// The format that a name asks for.
    pub fn of_name(path: &Path) -> Result<Format> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let found = ENDINGS.into_iter().find(|(ending, _)| name.ends_with(ending) && name.len() > ending.len());
        found.map(|(_, format)| format).ok_or_else(|| {
            Error::usage_hint(
                format!("the name '{}' does not say which format to write", path.display()),
                "end it in .nii, .nii.gz, .hdr, .nrrd, .nhdr, .mha, .mhd, .mgh, .mgz, .ome.tif, .zarr or .ozx",
            )
        })
    }

    /// Whether this is one of the three forms of NIfTI.
    pub fn is_nifti(self) -> bool {
        matches!(self, Format::Nifti | Format::NiftiGz | Format::Pair)
    }

    /// Whether the target is one file, or a header and one file, and not a store.
    pub fn is_file(self) -> bool {
        !self.is_store()
    }

    /// Whether the target is built as a folder of chunks: `.zarr`, or what becomes an archive of one.
    pub fn is_store(self) -> bool {
        matches!(self, Format::Zarr | Format::Ozx)
    }

    /// Whether samples stand with their highest byte first.
    pub fn is_big_endian(self) -> bool {
        matches!(self, Format::Mgh | Format::Mgz)
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Format::Nifti | Format::NiftiGz | Format::Pair => "NIfTI",
            Format::Nrrd | Format::Nhdr => "NRRD",
            Format::Mha | Format::Mhd => "MetaImage",
            Format::Mgh | Format::Mgz => "MGH",
            Format::Tiff => "TIFF",
            Format::Zarr | Format::Ozx => "Zarr",
        }
    }

    /// How voxels are compressed, where `--gzip` says `asked` (`None`: not at all); `None` where they are not.
    pub fn framing(self, asked: Option<Framing>) -> Option<Framing> {
        match self {
            Format::NiftiGz | Format::Mgz | Format::Nrrd => asked,
            Format::Mha => asked.map(|asked| Framing::Zlib { level: asked.level() }),
            _ => None,
        }
    }

    /// Whether its voxels can be compressed, in a way that `--gzip` decides.
    pub fn has_stream(self) -> bool {
        matches!(self, Format::NiftiGz | Format::Mgz | Format::Nrrd | Format::Mha)
    }

    /// What of `--gzip` cannot be done here, in words, with what to do instead; `None` where there is one.
    pub fn refuses(self, asked: Option<Framing>) -> Option<(&'static str, &'static str)> {
        let is_blocks = matches!(asked, Some(Framing::Bgzf { .. }));
        match self {
            Format::NiftiGz if asked.is_none() => Some((".nii.gz is gzip by its name", "end the name in .nii")),
            Format::Mgz if asked.is_none() => Some((".mgz is gzip by its name", "end the name in .mgh")),
            Format::Nrrd if is_blocks => Some((
                "not every reader of .nrrd goes on behind the first block of BGZF",
                "give --gzip single or none, or end the name in .nii.gz or .mgz",
            )),
            Format::Mha if is_blocks => Some((
                ".mha has one zlib stream and no blocks",
                "give --gzip single or none, or end the name in .nii.gz or .mgz",
            )),
            _ => None,
        }
    }

    /// The files of a target of this name, the one with the voxels first.
    pub fn files(self, path: &Path) -> Vec<PathBuf> {
        let both = |voxels: &str, header: &str| [voxels, header].map(|ending| path.with_extension(ending)).into();
        match self {
            Format::Pair => both("img", "hdr"),
            Format::Nhdr => both("raw", "nhdr"),
            Format::Mhd => both("raw", "mhd"),
            _ => vec![path.to_path_buf()],
        }
    }

    /// Whether the header is a file of its own.
    pub fn has_two_files(self) -> bool {
        matches!(self, Format::Pair | Format::Nhdr | Format::Mhd)
    }
}

/// A name without the ending that says its format.
pub fn stem(name: &str) -> &str {
    let endings = [".ome.zarr"].into_iter().chain(ENDINGS.iter().map(|(ending, _)| *ending));
    let ending = endings.into_iter().find(|ending| name.ends_with(ending)).unwrap_or("");
    &name[..name.len() - ending.len()]
}
