//! NIfTI headers byte for byte: round trips of random ones, and the `nifti` crate as oracle.

use std::path::Path;

use proptest::prelude::*;
use reslice::io::nifti::{Header, Version};

/// Bytes of a header with what `Header::parse` asks for in place.
fn any_header() -> impl Strategy<Value = (Vec<u8>, bool)> {
    (any::<[[u8; 30]; 18]>(), any::<bool>(), any::<bool>(), any::<bool>(), -1000i32..2_000_000).prop_map(
        |(random, two, big_endian, single_file, offset)| {
            let version = if two { Version::Two } else { Version::One };
            let fixed = Header { big_endian, single_file, ..Header::new(version) }.encode();
            let mut bytes = random.concat()[..fixed.len()].to_vec();
            let magic = if two { 4..12 } else { 344..348 };
            bytes[..4].copy_from_slice(&fixed[..4]);
            bytes[magic.clone()].copy_from_slice(&fixed[magic]);
            if !two {
                let offset = offset as f32;
                bytes[108..112].copy_from_slice(&if big_endian { offset.to_be_bytes() } else { offset.to_le_bytes() });
            }
            (bytes, big_endian)
        },
    )
}

fn has_nan(h: &Header) -> bool {
    let floats = [h.scl_slope, h.scl_inter, h.cal_max, h.cal_min, h.slice_duration, h.toffset];
    let arrays = h.pixdim.iter().chain(&h.intent_p).chain(&h.quatern).chain(&h.qoffset).chain(h.srow.iter().flatten());
    floats.iter().chain(arrays).any(|x| x.is_nan())
}

proptest! {
    #[test]
    fn headers_encode_to_the_bytes_they_came_from((bytes, big_endian) in any_header()) {
        let header = Header::parse(Path::new("x"), &bytes).unwrap();
        prop_assert_eq!(header.big_endian, big_endian);
        // f32 signalling NaNs become quiet on their way through f64.
        prop_assume!(!has_nan(&header));
        prop_assert_eq!(header.encode(), bytes);
    }

    #[test]
    fn the_nifti_crate_reads_the_same_fields((bytes, big_endian) in any_header()) {
        prop_assume!(bytes.len() == 348);
        let mut ours = Header::parse(Path::new("x"), &bytes).unwrap();
        prop_assume!(!has_nan(&ours));
        ours.dim = [5, 300, 2, 3, 4, 5, 6, 7];
        let theirs = nifti::NiftiHeader::from_reader(&ours.encode()[..]).unwrap();
        prop_assert_eq!(theirs.endianness == nifti::Endianness::Big, big_endian);
        prop_assert_eq!(theirs.dim.map(i64::from), ours.dim);
        prop_assert_eq!(theirs.pixdim.map(f64::from), ours.pixdim);
        let rows = [theirs.srow_x, theirs.srow_y, theirs.srow_z];
        prop_assert_eq!(rows.map(|row| row.map(f64::from)), ours.srow);
        prop_assert_eq!([theirs.quatern_b, theirs.quatern_c, theirs.quatern_d].map(f64::from), ours.quatern);
        prop_assert_eq!([theirs.quatern_x, theirs.quatern_y, theirs.quatern_z].map(f64::from), ours.qoffset);
        prop_assert_eq!([theirs.qform_code, theirs.sform_code].map(i32::from), [ours.qform_code, ours.sform_code]);
        prop_assert_eq!([theirs.datatype, theirs.bitpix], [ours.datatype, ours.bitpix]);
        prop_assert_eq!([theirs.slice_code, theirs.xyzt_units].map(i32::from), [ours.slice_code, ours.xyzt_units]);
        prop_assert_eq!([theirs.slice_start, theirs.slice_end].map(i64::from), [ours.slice_start, ours.slice_end]);
        let floats = [theirs.scl_slope, theirs.scl_inter, theirs.cal_max, theirs.cal_min, theirs.toffset];
        let our_floats = [ours.scl_slope, ours.scl_inter, ours.cal_max, ours.cal_min, ours.toffset];
        prop_assert_eq!(floats.map(f64::from), our_floats);
        let intent = [theirs.intent_p1, theirs.intent_p2, theirs.intent_p3].map(f64::from);
        prop_assert_eq!((intent, i32::from(theirs.intent_code)), (ours.intent_p, ours.intent_code));
        prop_assert_eq!(theirs.descrip, ours.descrip.to_vec());
        prop_assert_eq!((theirs.aux_file, theirs.intent_name), (ours.aux_file, ours.intent_name));
        prop_assert_eq!((theirs.data_type, theirs.db_name), (ours.data_type, ours.db_name));
        prop_assert_eq!((theirs.glmax, theirs.glmin, theirs.extents), (ours.glmax, ours.glmin, ours.extents));
        prop_assert_eq!(f64::from(theirs.vox_offset), ours.vox_offset as f64);
    }
}
