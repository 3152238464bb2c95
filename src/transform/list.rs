//! A transform for each volume of a series, such as motion correction writes.
//!
//! A text with the name of a transform a line, a folder of FSL matrices, or an ITK file that holds all of them, as fMRIPrep and
//! PETPrep write it. FSL's names have no ending: mcflirt writes `MAT_0000`,
//! `MAT_0001`, ... (FSL user guide, MCFLIRT `-mats`), and applyxfm4D reads them.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use super::{
    Convention, Ends, Map, Transform, TransformRequest,
    file::{self, Contents, Text},
    itk, itk_hdf5, itk_mat, itk_text, matrix, singular,
};
use crate::{
    error::{Error, Result},
    geometry::Affine,
};

/// What the names of mcflirt's matrices begin with.
const MAT: &str = "MAT_";

/// The transforms of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct TransformList {
    pub path: PathBuf,
    /// One for each volume, in the order of the volumes.
    pub entries: Vec<ListEntry>,
}

/// The transform of one volume.
#[derive(Clone, Debug, PartialEq)]
pub enum ListEntry {
    /// A file of its own.
    File(TransformRequest),
    /// One of several in an ITK file: target world to source world, RAS mm.
    Itk(Affine),
}

impl TransformList {
    /// Finds the transforms that a text or folder names and reads none of them; reads those of an ITK file. Names in a text
    /// are relative to its folder.
    ///
    /// # Errors
    /// No entries; a text that is none; in a folder, a name without a number, or two of the same.
    pub fn read(path: &Path) -> Result<TransformList> {
        let entries = if path.is_dir() { matrices_in(path)? } else { entries_of(path)? };
        if entries.is_empty() {
            let (found, expected) = match path.is_dir() {
                true => ("no files MAT_0000, MAT_0001, ...", "mcflirt's matrices, or a text with a transform a line"),
                false => ("no entries", "a transform a line"),
            };
            return Err(Error::malformed(path, "the transform list", found, expected));
        }
        Ok(TransformList { path: path.to_path_buf(), entries })
    }

    /// The affine of each entry, target world to source world, RAS mm, and how they were read, each way once.
    ///
    /// # Errors
    /// Another number of entries than `volumes`; those of [`Transform::read`]; a displacement field.
    pub fn affines(&self, volumes: u64, ends: &Ends) -> Result<(Vec<Affine>, Vec<Convention>)> {
        if self.entries.len() as u64 != volumes {
            let (entries, path) = (self.entries.len(), self.path.display());
            return Err(Error::usage_hint(
                format!("{path} has {entries} transforms, and the source has {volumes} volumes"),
                "give one for each volume; one for all of them is --transform",
            ));
        }
        let (mut affines, mut conventions) = (Vec::new(), Vec::new());
        for entry in &self.entries {
            let (affine, convention) = self.affine(entry, ends)?;
            affines.push(affine);
            if !conventions.contains(&convention) {
                conventions.push(convention);
            }
        }
        Ok((affines, conventions))
    }

    /// What is said of matrices that are taken for FSL's without their images: mcflirt and FLIRT do not write them down.
    ///
    /// # Errors
    /// Those of [`Transform::read`].
    pub fn taken_for_granted(&self, ends: &Ends) -> Result<Option<String>> {
        for entry in &self.entries {
            let ListEntry::File(request) = entry else { continue };
            let is_said = request.source.is_some() && request.reference.is_some();
            let Convention::Fsl { source, reference } = Transform::read(request, Some(ends))?.convention else {
                continue;
            };
            if !is_said {
                let (path, file) = (self.path.display(), request.path.display());
                let (source, reference) = (source.display(), reference.display());
                return Ok(Some(format!(
                    "matrices of {path} are taken for FSL's, of -in {source} and -ref {reference}; for other images, or matrices in RAS, \
                     give a text with a line for each: {file},src={source},ref={reference} or {file},ras"
                )));
            }
        }
        Ok(None)
    }

    fn affine(&self, entry: &ListEntry, ends: &Ends) -> Result<(Affine, Convention)> {
        let Transform { maps, convention } = match entry {
            ListEntry::Itk(affine) => return Ok((*affine, Convention::Itk)),
            ListEntry::File(request) => Transform::read(request, Some(ends))?,
        };
        let entry = match entry {
            ListEntry::Itk(_) => "a transform".into(),
            ListEntry::File(request) => request.path.display().to_string(),
        };
        let product = maps.iter().try_fold(Affine::identity(), |product, map| match map {
            Map::Affine(affine) => Ok(affine.after(&product)),
            Map::Displacing(_) => Err(Error::usage_hint(
                format!("{} has {entry}, which is no affine, and a list takes affines", self.path.display()),
                "what displaces all volumes alike is --transform; else resample each volume by itself",
            )),
        });
        Ok((product?, convention))
    }
}

/// Whether a name is that of a matrix of mcflirt: `MAT_` and a number.
pub(super) fn is_mcflirt(path: &Path) -> bool {
    path.file_name().and_then(number_of).is_some()
}

fn number_of(name: &OsStr) -> Option<u64> {
    let digits = name.to_str()?.strip_prefix(MAT)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn matrices_in(folder: &Path) -> Result<Vec<ListEntry>> {
    let mut numbered: Vec<(u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let entry = entry.map_err(Error::io("list", folder))?;
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(MAT.as_bytes()) || !entry.path().is_file() {
            continue;
        }
        let wrong = || Error::malformed(folder, "a matrix", name.display(), "MAT_ and a number");
        numbered.push((number_of(&name).ok_or_else(wrong)?, entry.path()));
    }
    numbered.sort();
    if let Some(pair) = numbered.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let both = format!("{} and {}", pair[0].1.display(), pair[1].1.display());
        return Err(Error::malformed(folder, "a number", both, "one matrix for each"));
    }
    Ok(numbered.into_iter().map(|(_, path)| ListEntry::File(TransformRequest::new(path))).collect())
}

fn entries_of(path: &Path) -> Result<Vec<ListEntry>> {
    let text = match file::read(path)? {
        Contents::Text(text) => text,
        Contents::Binary(bytes) => return each(path, itk::one_each(path, &itk_mat::records(path, &bytes)?)?),
        Contents::Hdf5 => {
            let parts = itk_hdf5::parts(path)?;
            return each(path, itk::one_each(path, &itk_hdf5::records(path, &parts)?)?);
        }
        Contents::Image => {
            return Err(Error::malformed(path, "the transform list", "no text", "a transform a line"));
        }
    };
    let text = Text::new(path, &text);
    if itk_text::is_itk(&text) {
        return each(path, itk::one_each(path, &itk_text::records(&text)?)?);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut lines = text.lines().filter(|line| !line.text.starts_with('#')).peekable();
    matrix::refuse_line_of_afni(&text, lines.peek())?;
    Ok(lines.map(|line| ListEntry::File(TransformRequest::parse(OsStr::new(line.text), folder))).collect())
}

fn each(path: &Path, affines: Vec<Affine>) -> Result<Vec<ListEntry>> {
    let entry =
        |affine: Affine| affine.inverse().map(|_| ListEntry::Itk(affine)).ok_or_else(|| singular(path, &affine));
    affines.into_iter().map(entry).collect()
}
