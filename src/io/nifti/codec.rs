//! Headers as bytes: the two orders of fields on disk, each stated once for reading and writing.

use std::path::Path;

use super::{
    header::{Header, Version},
    wire::Wire,
};
use crate::error::{Error, Result};

impl Header {
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
}

/// `nifti1.h`, struct nifti_1_header, without sizeof_hdr and magic: offsets 4 to 344.
fn fields_one(h: &mut Header, w: &mut Wire) {
    w.at = 4;
    w.raw(&mut h.data_type);
    w.raw(&mut h.db_name);
    w.int::<4, _>(&mut h.extents);
    w.int::<2, _>(&mut h.session_error);
    w.int::<1, _>(&mut h.regular);
    w.int::<1, _>(&mut h.dim_info);
    h.dim.iter_mut().for_each(|v| w.int::<2, _>(v));
    h.intent_p.iter_mut().for_each(|v| w.f32(v));
    w.int::<2, _>(&mut h.intent_code);
    w.int::<2, _>(&mut h.datatype);
    w.int::<2, _>(&mut h.bitpix);
    w.int::<2, _>(&mut h.slice_start);
    h.pixdim.iter_mut().for_each(|v| w.f32(v));
    w.int_in_f32(&mut h.vox_offset);
    w.f32(&mut h.scl_slope);
    w.f32(&mut h.scl_inter);
    w.int::<2, _>(&mut h.slice_end);
    w.int::<1, _>(&mut h.slice_code);
    w.int::<1, _>(&mut h.xyzt_units);
    w.f32(&mut h.cal_max);
    w.f32(&mut h.cal_min);
    w.f32(&mut h.slice_duration);
    w.f32(&mut h.toffset);
    w.int::<4, _>(&mut h.glmax);
    w.int::<4, _>(&mut h.glmin);
    w.raw(&mut h.descrip);
    w.raw(&mut h.aux_file);
    w.int::<2, _>(&mut h.qform_code);
    w.int::<2, _>(&mut h.sform_code);
    h.quatern.iter_mut().for_each(|v| w.f32(v));
    h.qoffset.iter_mut().for_each(|v| w.f32(v));
    h.srow.iter_mut().flatten().for_each(|v| w.f32(v));
    w.raw(&mut h.intent_name);
}

/// `nifti2.h`, struct nifti_2_header, without sizeof_hdr and magic: offsets 12 to 540.
fn fields_two(h: &mut Header, w: &mut Wire) {
    w.at = 12;
    w.int::<2, _>(&mut h.datatype);
    w.int::<2, _>(&mut h.bitpix);
    h.dim.iter_mut().for_each(|v| w.int::<8, _>(v));
    h.intent_p.iter_mut().for_each(|v| w.f64(v));
    h.pixdim.iter_mut().for_each(|v| w.f64(v));
    w.int::<8, _>(&mut h.vox_offset);
    w.f64(&mut h.scl_slope);
    w.f64(&mut h.scl_inter);
    w.f64(&mut h.cal_max);
    w.f64(&mut h.cal_min);
    w.f64(&mut h.slice_duration);
    w.f64(&mut h.toffset);
    w.int::<8, _>(&mut h.slice_start);
    w.int::<8, _>(&mut h.slice_end);
    w.raw(&mut h.descrip);
    w.raw(&mut h.aux_file);
    w.int::<4, _>(&mut h.qform_code);
    w.int::<4, _>(&mut h.sform_code);
    h.quatern.iter_mut().for_each(|v| w.f64(v));
    h.qoffset.iter_mut().for_each(|v| w.f64(v));
    h.srow.iter_mut().flatten().for_each(|v| w.f64(v));
    w.int::<4, _>(&mut h.slice_code);
    w.int::<4, _>(&mut h.xyzt_units);
    w.int::<4, _>(&mut h.intent_code);
    w.raw(&mut h.intent_name);
    w.int::<1, _>(&mut h.dim_info);
    w.raw(&mut h.unused);
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
