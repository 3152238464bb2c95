//! ITK transforms in HDF5 (`.h5`): affines, and displacement fields, which stay where they are.

use std::path::{Path, PathBuf};

use super::{Convention, Displacing, Map, itk::Record, itk_parts};
use crate::{
    error::{Error, Result},
    io::itk::{FIELD, ItkFile, ItkPart},
};

/// A transform of a file, with its parameters where they are few.
pub(super) struct Part {
    of: ItkPart,
    parameters: Vec<f64>,
}

/// Reads all transforms of a file, but not the vectors of fields.
///
/// # Errors
/// Those of [`ItkFile`].
pub(super) fn parts(path: &Path) -> Result<Vec<Part>> {
    let not_hdf5 = || Error::malformed(path, "the file", "no HDF5", "transforms of ITK");
    let file = ItkFile::open(path)?.ok_or_else(not_hdf5)?;
    let read = |of: ItkPart| {
        let parameters = if of.kind() == FIELD { Vec::new() } else { file.parameters(&of)? };
        Ok(Part { of, parameters })
    };
    file.parts()?.into_iter().map(read).collect()
}

/// The transforms as affines.
///
/// # Errors
/// One of them is a field.
pub(super) fn records<'a>(path: &Path, parts: &'a [Part]) -> Result<Vec<Record<'a>>> {
    if let Some(field) = parts.iter().find(|part| part.of.kind() == FIELD) {
        let what = format!("{}{} is a displacement field, and a list takes affines", path.display(), field.of.place());
        return Err(Error::usage_hint(
            what,
            "what displaces all volumes alike is --transform; else resample each volume by itself",
        ));
    }
    Ok(parts.iter().map(record).collect())
}

fn record(part: &Part) -> Record<'_> {
    let Part { of, parameters } = part;
    Record { name: &of.class, place: of.place(), parameters: parameters.into(), fixed: (&of.fixed).into() }
}

/// The maps of a file in the order in which a point meets them: of a composite's parts the last one comes first.
///
/// # Errors
/// Several transforms that no composite joins; a class that is not read.
pub(super) fn maps(path: &Path) -> Result<(Vec<Map>, Convention)> {
    let parts = parts(path)?;
    let records: Vec<Record<'_>> = parts.iter().map(record).collect();
    itk_parts::maps(path, &records, |n| Some(Displacing::field(place(path, parts[n].of.number))))
}

/// Where the image of a field is: see [`crate::storage::split_image`].
fn place(path: &Path, number: u64) -> PathBuf {
    let mut place = path.as_os_str().to_os_string();
    place.push(format!("?transform={number}"));
    place.into()
}
