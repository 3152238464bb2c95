//! The fields of a header, whatever its version and byte order.

use std::path::Path;

use super::{
    datatype,
    wire::{Wire, fields_one, fields_two},
};
use crate::error::{Error, Result};

/// Which of the two header layouts a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    One,
    Two,
}

impl Version {
    /// `sizeof_hdr`: 348 or 540.
    pub fn header_bytes(self) -> usize {
        match self {
            Version::One => 348,
            Version::Two => 540,
        }
    }

    /// The largest extent of one axis: i16 in NIfTI-1, i64 in NIfTI-2.
    pub fn max_dim(self) -> u64 {
        match self {
            Version::One => i16::MAX as u64,
            Version::Two => i64::MAX as u64,
        }
    }

    fn magic(self, single_file: bool) -> &'static [u8] {
        match (self, single_file) {
            (Version::One, true) => b"n+1\0",
            (Version::One, false) => b"ni1\0",
            (Version::Two, true) => b"n+2\0\r\n\x1a\n",
            (Version::Two, false) => b"ni2\0\r\n\x1a\n",
        }
    }

    fn magic_offset(self) -> usize {
        match self {
            Version::One => 344,
            Version::Two => 4,
        }
    }
}

/// All fields of a NIfTI-1 or NIfTI-2 header, named after `nifti1.h`, in types wide enough for both.
///
/// Indices and arrays are in file order (i, j, k, t, ...). Values are as stored, not validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    pub version: Version,
    pub big_endian: bool,
    /// Voxels stand in the same file (magic `n+1`, `n+2`), not in an `.img` beside it.
    pub single_file: bool,
    /// NIfTI-1 only, as are `db_name`, `extents`, `session_error`, `regular`, `glmax` and `glmin`.
    pub data_type: [u8; 10],
    pub db_name: [u8; 18],
    pub extents: i32,
    pub session_error: i16,
    pub regular: u8,
    pub dim_info: u8,
    pub dim: [i64; 8],
    pub intent_p: [f64; 3],
    pub intent_code: i32,
    pub datatype: i16,
    pub bitpix: i16,
    pub slice_start: i64,
    pub slice_end: i64,
    pub slice_code: i32,
    pub slice_duration: f64,
    pub pixdim: [f64; 8],
    /// Byte offset of the voxels in their file.
    pub vox_offset: i64,
    pub scl_slope: f64,
    pub scl_inter: f64,
    pub xyzt_units: i32,
    pub cal_max: f64,
    pub cal_min: f64,
    pub toffset: f64,
    pub glmax: i32,
    pub glmin: i32,
    pub descrip: [u8; 80],
    pub aux_file: [u8; 24],
    pub qform_code: i32,
    pub sform_code: i32,
    /// `quatern_b`, `quatern_c`, `quatern_d`.
    pub quatern: [f64; 3],
    pub qoffset: [f64; 3],
    /// `srow_x`, `srow_y`, `srow_z`.
    pub srow: [[f64; 4]; 3],
    pub intent_name: [u8; 16],
    /// NIfTI-2 only.
    pub unused: [u8; 15],
}

impl Header {
    /// Little-endian, single file, spacings 1, everything else 0.
    pub fn new(version: Version) -> Header {
        Header {
            version,
            big_endian: false,
            single_file: true,
            data_type: [0; 10],
            db_name: [0; 18],
            extents: 0,
            session_error: 0,
            regular: b'r',
            dim_info: 0,
            dim: [0, 1, 1, 1, 1, 1, 1, 1],
            intent_p: [0.0; 3],
            intent_code: 0,
            datatype: 0,
            bitpix: 0,
            slice_start: 0,
            slice_end: 0,
            slice_code: 0,
            slice_duration: 0.0,
            pixdim: [1.0; 8],
            vox_offset: 0,
            scl_slope: 1.0,
            scl_inter: 0.0,
            xyzt_units: 0,
            cal_max: 0.0,
            cal_min: 0.0,
            toffset: 0.0,
            glmax: 0,
            glmin: 0,
            descrip: [0; 80],
            aux_file: [0; 24],
            qform_code: 0,
            sform_code: 0,
            quatern: [0.0; 3],
            qoffset: [0.0; 3],
            srow: [[0.0; 4]; 3],
            intent_name: [0; 16],
            unused: [0; 15],
        }
    }

    /// The header at the start of `bytes`, of which 540 are enough for either version.
    ///
    /// Version and byte order are read off `sizeof_hdr`. Checks only what is needed to tell the fields apart: size,
    /// magic, and that `vox_offset` is a whole number. `path` is for messages.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Header> {
        let (version, big_endian) = detect(path, bytes)?;
        let Some(fields) = bytes.get(..version.header_bytes()) else {
            let expected = format!("{} bytes", version.header_bytes());
            return Err(Error::malformed(path, "header", format!("{} bytes", bytes.len()), expected));
        };
        let mut header = Header { big_endian, ..Header::new(version) };
        header.single_file = parse_magic(path, version, fields)?;
        let mut wire = Wire::reading(fields.to_vec(), big_endian);
        match version {
            Version::One => {
                check_offset(path, fields, big_endian)?;
                fields_one(&mut header, &mut wire);
            }
            Version::Two => fields_two(&mut header, &mut wire),
        }
        Ok(header)
    }

    /// The 348 or 540 bytes of this header: the inverse of [`Header::parse`], but for signalling NaNs in NIfTI-1.
    ///
    /// Integers beyond the version's field width are clamped to it.
    pub fn encode(&self) -> Vec<u8> {
        let size = self.version.header_bytes();
        let mut wire = Wire::writing(size, self.big_endian);
        let mut header = self.clone();
        match self.version {
            Version::One => fields_one(&mut header, &mut wire),
            Version::Two => fields_two(&mut header, &mut wire),
        }
        let mut bytes = wire.bytes;
        let sizeof_hdr = size as i32;
        bytes[..4].copy_from_slice(&if self.big_endian { sizeof_hdr.to_be_bytes() } else { sizeof_hdr.to_le_bytes() });
        let magic = self.version.magic(self.single_file);
        let at = self.version.magic_offset();
        bytes[at..at + magic.len()].copy_from_slice(magic);
        bytes
    }

    /// `(scl_slope, scl_inter)`; `None` when they say nothing: slope 0, either not finite, (1, 0), or a colour type
    /// (to which `nifti1.h` does not apply them).
    pub fn slope(&self) -> Option<(f64, f64)> {
        let (slope, inter) = (self.scl_slope, self.scl_inter);
        let says_nothing = slope == 0.0 || !slope.is_finite() || !inter.is_finite() || (slope, inter) == (1.0, 0.0);
        (!says_nothing && !datatype::is_colour(self.datatype)).then_some((slope, inter))
    }

    /// Whether the intent is NIFTI_INTENT_LABEL (1002): voxels are names, not quantities.
    pub fn is_label(&self) -> bool {
        self.intent_code == 1002
    }
}

fn detect(path: &Path, bytes: &[u8]) -> Result<(Version, bool)> {
    let Some(&first) = bytes.first_chunk::<4>() else {
        return Err(Error::malformed(path, "header", format!("{} bytes", bytes.len()), "at least 348 bytes"));
    };
    match (i32::from_le_bytes(first), i32::from_be_bytes(first)) {
        (348, _) => Ok((Version::One, false)),
        (_, 348) => Ok((Version::One, true)),
        (540, _) => Ok((Version::Two, false)),
        (_, 540) => Ok((Version::Two, true)),
        (other, _) => Err(Error::malformed(path, "sizeof_hdr", other, "348 (NIfTI-1) or 540 (NIfTI-2)")),
    }
}

/// Whether the voxels stand in the same file. `fields` is as long as the header.
fn parse_magic(path: &Path, version: Version, fields: &[u8]) -> Result<bool> {
    let rest = &fields[version.magic_offset()..];
    for single_file in [true, false] {
        if rest.starts_with(version.magic(single_file)) {
            return Ok(single_file);
        }
    }
    let len = version.magic(true).len();
    let show = |bytes: &[u8]| format!("\"{}\"", bytes.escape_ascii());
    let expected = format!("{} or {}", show(version.magic(true)), show(version.magic(false)));
    Err(Error::malformed(path, "magic", show(&rest[..len]), expected))
}

/// NIfTI-1 keeps `vox_offset` as a float, at byte 108.
fn check_offset(path: &Path, fields: &[u8], big_endian: bool) -> Result<()> {
    let bytes = [fields[108], fields[109], fields[110], fields[111]];
    let offset = if big_endian { f32::from_be_bytes(bytes) } else { f32::from_le_bytes(bytes) };
    // Also false for NaN; 2^63 is the first float that i64 does not hold.
    if offset.fract() == 0.0 && offset.abs() < 9.223_372e18 {
        return Ok(());
    }
    Err(Error::malformed(path, "vox_offset", offset, "a whole number of bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Header> {
        Header::parse(Path::new("x.nii"), bytes)
    }

    #[test]
    fn every_version_order_and_kind_is_recognised() {
        for version in [Version::One, Version::Two] {
            for (big_endian, single_file) in [(false, false), (false, true), (true, false), (true, true)] {
                let mut header = Header { big_endian, single_file, ..Header::new(version) };
                header.dim = [7, 300, 2, 3, 4, 5, 6, 7];
                header.vox_offset = 4096;
                header.sform_code = 300;
                header.srow[1][3] = -0.15625;
                header.slice_code = 200;
                let bytes = header.encode();
                assert_eq!(bytes.len(), version.header_bytes());
                assert_eq!(parse(&bytes).unwrap(), header);
            }
        }
    }

    #[test]
    fn refusals_name_field_value_and_expectation() {
        let mut bytes = Header::new(Version::One).encode();
        assert_eq!(parse(&bytes[..347]).unwrap_err().to_string(), "x.nii: header is 347 bytes, expected 348 bytes");
        assert_eq!(parse(&[1, 2]).unwrap_err().to_string(), "x.nii: header is 2 bytes, expected at least 348 bytes");
        bytes[344..].fill(0);
        let message = parse(&bytes).unwrap_err().to_string();
        assert_eq!(message, r#"x.nii: magic is "\x00\x00\x00\x00", expected "n+1\x00" or "ni1\x00""#);
        bytes[0] = 99;
        let message = parse(&bytes).unwrap_err().to_string();
        assert_eq!(message, "x.nii: sizeof_hdr is 355, expected 348 (NIfTI-1) or 540 (NIfTI-2)");
    }

    #[test]
    fn offsets_that_are_no_whole_number_are_refused() {
        for offset in [f32::NAN, f32::INFINITY, 352.5, 1e19] {
            let mut bytes = Header::new(Version::One).encode();
            bytes[108..112].copy_from_slice(&offset.to_le_bytes());
            assert!(parse(&bytes).unwrap_err().to_string().contains("vox_offset"), "{offset}");
        }
    }

    #[test]
    fn slopes_that_say_nothing_are_none() {
        let slope = |scl_slope, scl_inter| Header { scl_slope, scl_inter, ..Header::new(Version::One) }.slope();
        for (s, i) in [(0.0, 5.0), (f64::NAN, 0.0), (2.0, f64::INFINITY), (1.0, 0.0)] {
            assert_eq!(slope(s, i), None);
        }
        assert_eq!(slope(1.0, -1024.0), Some((1.0, -1024.0)));
        assert_eq!(Header { datatype: 128, scl_slope: 2.0, ..Header::new(Version::One) }.slope(), None);
    }

    #[test]
    fn what_does_not_fit_is_clamped() {
        let mut header = Header::new(Version::One);
        header.dim[1] = 40_000;
        header.qform_code = i32::MIN;
        let back = parse(&header.encode()).unwrap();
        assert_eq!((back.dim[1], back.qform_code), (32767, -32768));
    }
}
