//! A header without voxels behind it, as NIfTI-Zarr has it beside the levels of an image (specification 1.0.rc1, section 2.4).

use std::path::Path;

use super::{
    affine,
    extension::{self, most_bytes},
    header::{Header, Version},
    target::{TargetSpec, header_from},
};
use crate::{error::Result, geometry::Grid};

/// A header and what follows it.
#[derive(Clone, Debug, PartialEq)]
pub struct LoneHeader {
    pub header: Header,
    /// As in [`super::NiftiFile::extensions`]; empty where there are none.
    pub extensions: Vec<u8>,
}

impl LoneHeader {
    /// The most bytes that a header with its extensions may have.
    pub fn most_bytes() -> u64 {
        Version::Two.header_bytes() as u64 + most_bytes()
    }

    /// A header at the start of `bytes` and the extensions behind it; `path` is for messages.
    ///
    /// # Errors
    /// Bytes that are no header.
    pub fn parse(path: &Path, bytes: &[u8], warnings: &mut Vec<String>) -> Result<LoneHeader> {
        let header = Header::parse(path, bytes)?;
        let extensions = bytes.get(header.version.header_bytes()..).unwrap_or_default().to_vec();
        warnings.extend(extension::chain(&extensions, header.big_endian).broken);
        Ok(LoneHeader { header, extensions })
    }

    /// The extents along z, y, x that the header states; 1 beyond its dimensions.
    pub fn shape(&self) -> [u64; 3] {
        let extent =
            |n: usize| if n as i64 > self.header.dim[0] { 1 } else { self.header.dim[n].max(1).unsigned_abs() };
        [extent(3), extent(2), extent(1)]
    }

    /// Whether one of the two forms counts.
    pub fn has_forms(&self) -> bool {
        self.header.sform_code > 0 || self.header.qform_code > 0
    }

    /// The grid of the header.
    ///
    /// # Errors
    /// A geometry that is none.
    pub fn grid(&self, path: &Path, warnings: &mut Vec<String>) -> Result<Grid> {
        affine::grid(path, &self.header, self.shape(), warnings)
    }
}

/// The bytes of a target's header by itself: its extensions behind it, where it has some.
///
/// NIfTI-1 where its 32-bit numbers read back as the very grid, else NIfTI-2.
///
/// # Errors
/// Those of [`super::target_header`].
pub fn lone_header(spec: &TargetSpec<'_>) -> Result<Vec<u8>> {
    let (mut header, mut bytes) = header_from(spec, Version::One)?;
    if header.version == Version::One && !reads_back(spec, &bytes) {
        (header, bytes) = header_from(spec, Version::Two)?;
    }
    let end = header.version.header_bytes();
    // The flag alone says that there is nothing behind it.
    if bytes.len() == end + 4 {
        bytes.truncate(end);
    }
    Ok(bytes)
}

/// Whether the header says where the voxels are to the last bit. Without codes nothing but the steps is said.
fn reads_back(spec: &TargetSpec<'_>, bytes: &[u8]) -> bool {
    let read = LoneHeader::parse(spec.path, bytes, &mut Vec::new()).and_then(|lone| {
        let grid = lone.grid(spec.path, &mut Vec::new())?;
        Ok((lone.has_forms(), grid))
    });
    let Ok((has_forms, grid)) = read else { return false };
    let Some(factor) = spec.grid.unit.factor_to(&grid.unit) else { return false };
    let wanted = spec.grid.index_to_world.m.map(|row| row.map(|x| x * factor));
    let columns = if has_forms { 4 } else { 3 };
    (0..3).all(|r| grid.index_to_world.m[r][..columns] == wanted[r][..columns])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        geometry::{Affine, Unit},
        io::nifti::FormsOf,
        layout::Outer,
        voxel::Dtype,
    };

    fn spec<'a>(grid: &'a Grid, outer: &'a Outer, extensions: &'a [u8]) -> TargetSpec<'a> {
        TargetSpec {
            path: Path::new("x.zarr"),
            like: None,
            place: Some(FormsOf::Codes { qform: 1, sform: 1 }),
            extensions,
            grid,
            outer,
            stored: Dtype::I16,
            components: 1,
            slope: None,
            slice_axis_resampled: false,
            single_file: true,
        }
    }

    #[test]
    fn thirty_two_bits_where_they_are_enough() {
        let outer = Outer::default();
        for (step, version) in [(0.5, Version::One), (0.1, Version::Two)] {
            let columns = [[0.0, 0.0, 2.0], [0.0, -step, 0.0], [-0.25, 0.0, 0.0]];
            let grid = Grid::new([2, 3, 5], Affine::from_columns(columns, [-7.0, 8.0, 9.5]), Unit::Millimetre);
            let bytes = lone_header(&spec(&grid, &outer, &[])).unwrap();
            assert_eq!(bytes.len(), version.header_bytes());
            let lone = LoneHeader::parse(Path::new("x"), &bytes, &mut Vec::new()).unwrap();
            assert_eq!((lone.shape(), lone.has_forms(), lone.header.version), ([2, 3, 5], true, version));
            assert_eq!(lone.grid(Path::new("x"), &mut Vec::new()).unwrap().index_to_world, grid.index_to_world);
        }
    }

    #[test]
    fn extensions_follow_and_come_back() {
        let extensions = extension::encode(&[(6, b"a comment")]);
        let grid = Grid::with_spacing([2, 3, 5], [1.0; 3], Unit::Millimetre);
        let bytes = lone_header(&spec(&grid, &Outer::default(), &extensions)).unwrap();
        let lone = LoneHeader::parse(Path::new("x"), &bytes, &mut Vec::new()).unwrap();
        assert_eq!((lone.extensions, lone.header.vox_offset), (extensions, bytes.len() as i64));
    }

    #[test]
    fn what_is_no_header_is_refused_within_bounds() {
        let grid = Grid::with_spacing([2, 3, 5], [1.0; 3], Unit::Millimetre);
        let bytes = lone_header(&spec(&grid, &Outer::default(), &[])).unwrap();
        for cut in [0, 3, 4, 347] {
            assert!(LoneHeader::parse(Path::new("x"), &bytes[..cut], &mut Vec::new()).is_err(), "{cut}");
        }
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                if let Ok(lone) = LoneHeader::parse(Path::new("x"), &damaged, &mut Vec::new()) {
                    let _ = (lone.shape(), lone.grid(Path::new("x"), &mut Vec::new()));
                }
            }
        }
    }
}
