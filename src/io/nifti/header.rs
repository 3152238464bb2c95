//! The fields of a header, whatever its version and byte order.

use super::datatype;

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

    /// The bytes that say the version, and whether voxels stand in the same file.
    pub(super) fn magic(self, single_file: bool) -> &'static [u8] {
        match (self, single_file) {
            (Version::One, true) => b"n+1\0",
            (Version::One, false) => b"ni1\0",
            (Version::Two, true) => b"n+2\0\r\n\x1a\n",
            (Version::Two, false) => b"ni2\0\r\n\x1a\n",
        }
    }

    /// Where they stand.
    pub(super) fn magic_offset(self) -> usize {
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
