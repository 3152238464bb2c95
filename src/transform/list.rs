//! A transform for each volume of a series, such as motion correction writes.
//!
//! A text with one transform a line, or a folder of FSL matrices. FSL's names have no ending: mcflirt writes `MAT_0000`,
//! `MAT_0001`, ... (FSL user guide, MCFLIRT `-mats`), and applyxfm4D reads them.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use super::{
    Ends, Transform, TransformRequest,
    file::{self, Contents, Text},
};
use crate::{
    error::{Error, Result},
    geometry::Affine,
};

/// What the names of mcflirt's matrices begin with.
const MAT: &str = "MAT_";

/// The transforms of a list, by name.
#[derive(Clone, Debug, PartialEq)]
pub struct TransformList {
    pub path: PathBuf,
    /// One for each volume, in the order of the volumes.
    pub entries: Vec<TransformRequest>,
}

impl TransformList {
    /// Finds the transforms that a text or folder names; reads none of them. Names in a text are relative to its folder.
    ///
    /// # Errors
    /// No entries; a text that is none; in a folder, a name without a number, or two of the same.
    pub fn read(path: &Path) -> Result<TransformList> {
        let entries = if path.is_dir() { matrices_in(path)? } else { lines_of(path)? };
        if entries.is_empty() {
            let (found, expected) = match path.is_dir() {
                true => ("no files MAT_0000, MAT_0001, ...", "mcflirt's matrices, or a text with a transform a line"),
                false => ("no entries", "a transform a line"),
            };
            return Err(Error::malformed(path, "the transform list", found, expected));
        }
        Ok(TransformList { path: path.to_path_buf(), entries })
    }

    /// The affine of each entry, target world to source world, RAS mm.
    ///
    /// # Errors
    /// Another number of entries than `volumes`; those of [`Transform::read`]; a displacement field.
    pub fn affines(&self, volumes: u64, ends: Ends<'_>) -> Result<Vec<Affine>> {
        if self.entries.len() as u64 != volumes {
            let (entries, path) = (self.entries.len(), self.path.display());
            return Err(Error::usage_hint(
                format!("{path} has {entries} transforms, and the source has {volumes} volumes"),
                "give one for each volume; one for all of them is --transform",
            ));
        }
        let affine = |entry: &TransformRequest| match Transform::read(entry, Some(ends))? {
            Transform::Affine(affine) => Ok(affine),
            Transform::Field(field) => Err(Error::usage_hint(
                format!(
                    "{}: {} is a displacement field, and a list takes affines",
                    self.path.display(),
                    field.display()
                ),
                "resample each volume by itself with --transform",
            )),
        };
        self.entries.iter().map(affine).collect()
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

fn matrices_in(folder: &Path) -> Result<Vec<TransformRequest>> {
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
    Ok(numbered.into_iter().map(|(_, path)| TransformRequest { path, inverse: false }).collect())
}

fn lines_of(path: &Path) -> Result<Vec<TransformRequest>> {
    let Contents::Text(text) = file::read(path)? else {
        return Err(Error::malformed(path, "the transform list", "no text", "a transform a line"));
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let lines = Text::new(path, &text).lines().filter(|line| !line.text.starts_with('#'));
    let request = |named: TransformRequest| TransformRequest { path: folder.join(&named.path), ..named };
    Ok(lines.map(|line| request(TransformRequest::parse(OsStr::new(line.text)))).collect())
}
