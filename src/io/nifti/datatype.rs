//! `datatype` codes and the samples they stand for (`nifti1.h`, NIFTI_TYPE_*).

use crate::{
    error::{Error, Result},
    voxel::Dtype,
};

const RGB24: i16 = 128;
const RGBA32: i16 = 2304;

/// Code, sample type, samples per voxel.
const TYPES: [(i16, Dtype, usize); 14] = [
    (2, Dtype::U8, 1),
    (4, Dtype::I16, 1),
    (8, Dtype::I32, 1),
    (16, Dtype::F32, 1),
    (32, Dtype::F32, 2),
    (64, Dtype::F64, 1),
    (RGB24, Dtype::U8, 3),
    (256, Dtype::I8, 1),
    (512, Dtype::U16, 1),
    (768, Dtype::U32, 1),
    (1024, Dtype::I64, 1),
    (1280, Dtype::U64, 1),
    (1792, Dtype::F64, 2),
    (RGBA32, Dtype::U8, 4),
];

/// The code of voxels of `components` interleaved samples: 1, 2 (complex, of f32 or f64), 3 (RGB) or 4 (RGBA, of u8).
pub fn data_type_code(stored: Dtype, components: usize) -> Result<i16> {
    let row = TYPES.iter().find(|(_, dtype, n)| (*dtype, *n) == (stored, components));
    row.map(|(code, ..)| *code).ok_or_else(|| {
        Error::usage_hint(
            format!("NIfTI has no datatype for voxels of {components} x {stored}"),
            "end the name in .nrrd, .mha or .zarr, which have such voxels, or use u8 for RGB and RGBA, f32 or f64 for complex voxels",
        )
    })
}

/// The sample type and the samples per voxel of a code that is handled.
pub(super) fn sample(code: i16) -> Option<(Dtype, usize)> {
    TYPES.iter().find(|(known, ..)| *known == code).map(|(_, dtype, components)| (*dtype, *components))
}

pub(super) fn is_colour(code: i16) -> bool {
    matches!(code, RGB24 | RGBA32)
}

/// The name of a code that the format knows and we do not handle.
pub(super) fn unsupported_name(code: i16) -> Option<&'static str> {
    Some(match code {
        1 => "1-bit voxels",
        1536 => "128-bit floats",
        2048 => "256-bit complex",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_back() {
        for (code, dtype, components) in TYPES {
            assert_eq!(sample(code), Some((dtype, components)));
            assert_eq!(data_type_code(dtype, components).unwrap(), code);
        }
        assert!(data_type_code(Dtype::I16, 3).is_err());
        assert_eq!(sample(0), None);
    }
}
