//! Checks a header before anything is read or allocated by its numbers.

use std::path::Path;

use super::{
    datatype,
    header::{Header, Version},
};
use crate::{
    error::{Error, Result},
    voxel::Dtype,
};

/// The validated size of the voxels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Storage order.
    pub shape: [u64; 3],
    pub stored: Dtype,
    pub components: usize,
    /// Of one voxel, all components.
    pub voxel_bytes: u64,
    pub data_offset: u64,
    /// Where the last voxel ends in its file.
    pub data_end: u64,
}

/// Checks `datatype`, `bitpix`, `dim` and `vox_offset`. A wrong `bitpix` is only warned of: it says nothing new. A dimension behind
/// the second that is 0 becomes 1, as ITK has it, with a warning.
pub(super) fn check(path: &Path, header: &mut Header, warnings: &mut Vec<String>) -> Result<Extent> {
    let (stored, components) = check_datatype(path, header)?;
    let voxel_bytes = (stored.bytes() * components) as u64;
    if i64::from(header.bitpix) != 8 * voxel_bytes as i64 {
        let (found, expected) = (header.bitpix, 8 * voxel_bytes);
        warnings.push(format!("bitpix is {found}, taken as {expected} by datatype {}", header.datatype));
    }
    let dims = check_dims(path, header, warnings)?;
    let data_offset = check_offset(path, header)?;
    let data_end = dims
        .iter()
        .try_fold(voxel_bytes, |bytes, &n| bytes.checked_mul(n))
        .and_then(|bytes| bytes.checked_add(data_offset))
        .filter(|&end| end <= i64::MAX as u64)
        .ok_or_else(|| {
            let dims = dims.map(|n| n.to_string()).join(" x ");
            Error::malformed(path, "dim", format!("{dims} voxels of {voxel_bytes} bytes"), "less than 2^63 bytes")
        })?;
    Ok(Extent { shape: [dims[2], dims[1], dims[0]], stored, components, voxel_bytes, data_offset, data_end })
}

fn check_datatype(path: &Path, header: &Header) -> Result<(Dtype, usize)> {
    if let Some(sample) = datatype::sample(header.datatype) {
        return Ok(sample);
    }
    match datatype::unsupported_name(header.datatype) {
        Some(name) => Err(Error::Unsupported {
            path: path.to_path_buf(),
            what: format!("datatype {} ({name}) is not handled", header.datatype),
            hint: Some("convert it to f64 first".into()),
        }),
        None => Err(Error::malformed(path, "datatype", header.datatype, "a NIFTI_TYPE code such as 4 (i16)")),
    }
}

/// The seven extents in file order; those beyond `dim[0]` are 1, whatever the file has there.
fn check_dims(path: &Path, header: &mut Header, warnings: &mut Vec<String>) -> Result<[u64; 7]> {
    let rank = header.dim[0];
    if !(1..=7).contains(&rank) {
        return Err(Error::malformed(path, "dim[0]", rank, "1 to 7"));
    }
    let mut dims = [1; 7];
    for n in 1..=rank as usize {
        if header.dim[n] == 0 && n > 2 {
            warnings.push(format!("dim[{n}] is 0, taken as 1"));
            header.dim[n] = 1;
        }
        if header.dim[n] <= 0 {
            return Err(Error::malformed(path, format!("dim[{n}]"), header.dim[n], "at least 1"));
        }
        dims[n - 1] = header.dim[n].unsigned_abs();
    }
    Ok(dims)
}

/// In a single file the voxels come after the header and the four bytes that announce extensions.
fn check_offset(path: &Path, header: &Header) -> Result<u64> {
    let least = match (header.single_file, header.version) {
        (false, _) => 0,
        (true, Version::One) => 352,
        (true, Version::Two) => 544,
    };
    if header.vox_offset < least {
        return Err(Error::malformed(path, "vox_offset", header.vox_offset, format!("at least {least}")));
    }
    Ok(header.vox_offset.unsigned_abs())
}

/// Whether a file of `len` bytes can hold everything up to `extent.data_end`.
///
/// Deflate makes at most 1032 bytes of one, so that a compressed file has a bound too.
pub(super) fn check_len(path: &Path, extent: &Extent, len: u64, compressed: bool) -> Result<()> {
    let most = if compressed { len.saturating_mul(1032) } else { len };
    if most >= extent.data_end {
        return Ok(());
    }
    let expected = match compressed {
        false => format!("at least {} bytes for the voxels that the header states", extent.data_end),
        true => format!("a gzip stream of at least {} bytes once decompressed", extent.data_end),
    };
    Err(Error::malformed(path, "file size", format!("{len} bytes"), expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let mut header = Header::new(Version::One);
        header.dim = [4, 29, 23, 20, 3, 9, 9, 9];
        (header.datatype, header.bitpix, header.vox_offset) = (128, 24, 352);
        header
    }

    fn message(change: impl FnOnce(&mut Header)) -> String {
        let mut header = header();
        change(&mut header);
        check(Path::new("x.nii"), &mut header, &mut Vec::new()).unwrap_err().to_string()
    }

    #[test]
    fn extents_are_in_storage_order_and_end_at_dim_0() {
        let extent = check(Path::new("x.nii"), &mut header(), &mut Vec::new()).unwrap();
        assert_eq!((extent.shape, extent.components, extent.voxel_bytes), ([20, 23, 29], 3, 3));
        assert_eq!(extent.data_end, 352 + 29 * 23 * 20 * 3 * 3);
    }

    #[test]
    fn each_refusal_names_its_field() {
        assert_eq!(message(|h| h.dim[0] = 8), "x.nii: dim[0] is 8, expected 1 to 7");
        assert_eq!(message(|h| h.dim[0] = -1), "x.nii: dim[0] is -1, expected 1 to 7");
        assert_eq!(message(|h| h.dim[2] = 0), "x.nii: dim[2] is 0, expected at least 1");
        assert_eq!(message(|h| h.dim[4] = -3), "x.nii: dim[4] is -3, expected at least 1");
        assert_eq!(message(|h| h.vox_offset = 348), "x.nii: vox_offset is 348, expected at least 352");
        assert_eq!(message(|h| h.datatype = 3), "x.nii: datatype is 3, expected a NIFTI_TYPE code such as 4 (i16)");
        assert_eq!(message(|h| h.datatype = 1536), "x.nii: datatype 1536 (128-bit floats) is not handled");
        assert!(message(|h| h.dim = [7, i64::MAX, i64::MAX, 5, 5, 5, 5, 5]).contains("less than 2^63 bytes"));
        assert!(message(|h| h.vox_offset = i64::MAX).contains("less than 2^63 bytes"));
    }

    #[test]
    fn what_only_repeats_or_counts_nothing_is_warned_of() {
        let (mut header, mut warnings) = (header(), Vec::new());
        (header.bitpix, header.dim[3], header.dim[4]) = (8, 0, 0);
        let extent = check(Path::new("x.nii"), &mut header, &mut warnings).unwrap();
        assert_eq!((extent.voxel_bytes, extent.shape, header.dim[3], header.dim[4]), (3, [1, 23, 29], 1, 1));
        assert_eq!(
            warnings,
            ["bitpix is 8, taken as 24 by datatype 128", "dim[3] is 0, taken as 1", "dim[4] is 0, taken as 1"]
        );
    }

    #[test]
    fn a_file_must_hold_its_voxels() {
        let extent = check(Path::new("x.nii"), &mut header(), &mut Vec::new()).unwrap();
        let end = extent.data_end;
        assert!(check_len(Path::new("x.nii"), &extent, end, false).is_ok());
        assert!(check_len(Path::new("x.nii"), &extent, end - 1, false).is_err());
        assert!(check_len(Path::new("x.nii"), &extent, end.div_ceil(1032), true).is_ok());
        assert!(check_len(Path::new("x.nii"), &extent, end / 1032, true).is_err());
    }
}
