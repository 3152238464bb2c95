//! The parts of an ITK file, one by one: affines, and what displaces.

use std::path::Path;

use super::{
    Convention, Displacing, Map,
    itk::{self, Record},
    itk_spline,
};
use crate::{
    error::{Error, Result},
    io::itk::{FIELD, SPLINE},
};

/// The maps of a file in the order in which a point meets them: of a composite's parts the last one comes first. `field` says where the
/// field of a record is.
///
/// # Errors
/// Several transforms that no composite joins; a class that is not read.
pub(super) fn maps(
    path: &Path,
    records: &[Record<'_>],
    field: impl Fn(usize) -> Option<Displacing>,
) -> Result<(Vec<Map>, Convention)> {
    itk::refuse_unjoined(path, records)?;
    let (mut maps, mut parts) = (Vec::new(), Vec::new());
    for (n, record) in records.iter().enumerate().rev() {
        match (record.class(), field(n)) {
            (itk::COMPOSITE, _) if n == 0 && record.parameters.is_empty() => continue,
            (FIELD, Some(field)) => maps.push(Map::Displacing(field)),
            (SPLINE, _) => maps.push(Map::Displacing(itk_spline::read(path, record)?)),
            _ => maps.push(Map::Affine(record.map(path)?)),
        }
        parts.push(record.class().to_string());
    }
    if maps.is_empty() {
        return Err(Error::malformed(path, "the transforms", "a composite without parts", "transforms"));
    }
    let displaces = maps.iter().any(|map| matches!(map, Map::Displacing(_)));
    let is_composite = displaces || itk::is_composite(records);
    Ok((maps, if is_composite { Convention::ItkComposite { parts } } else { Convention::Itk }))
}

/// The maps of a file that holds no fields: one affine, wherever that is all there is.
///
/// # Errors
/// As above.
pub(super) fn without_fields(path: &Path, records: &[Record<'_>]) -> Result<(Vec<Map>, Convention)> {
    if records.iter().any(|record| record.class() == SPLINE) {
        return maps(path, records, |_| None);
    }
    Ok((vec![Map::Affine(itk::compose(path, records)?)], Convention::Itk))
}
