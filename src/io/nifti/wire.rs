//! The two field orders on disk, each stated once for reading and writing.

use super::header::Header;

/// A cursor over header bytes that either fills values from the bytes or bytes from the values.
pub(super) struct Wire {
    pub bytes: Vec<u8>,
    at: usize,
    big_endian: bool,
    writes: bool,
}

impl Wire {
    pub fn reading(bytes: Vec<u8>, big_endian: bool) -> Wire {
        Wire { bytes, at: 0, big_endian, writes: false }
    }

    pub fn writing(len: usize, big_endian: bool) -> Wire {
        Wire { bytes: vec![0; len], at: 0, big_endian, writes: true }
    }

    fn raw(&mut self, value: &mut [u8]) {
        let field = &mut self.bytes[self.at..self.at + value.len()];
        self.at += value.len();
        if self.writes {
            field.copy_from_slice(value);
        } else {
            value.copy_from_slice(field);
        }
    }

    /// `value` holds little-endian bytes on either side of the call.
    fn number<const N: usize>(&mut self, mut value: [u8; N]) -> [u8; N] {
        if self.big_endian {
            value.reverse();
        }
        self.raw(&mut value);
        if self.big_endian {
            value.reverse();
        }
        value
    }

    /// An integer of `N` bytes, signed unless it is a single byte; written clamped to what `N` bytes hold.
    fn int<const N: usize, T: Copy + Into<i64> + TryFrom<i64>>(&mut self, value: &mut T) {
        let (lo, hi) = if N == 1 { (0, 255) } else { (i64::MIN >> (64 - 8 * N), i64::MAX >> (64 - 8 * N)) };
        let clamped = (*value).into().clamp(lo, hi).to_le_bytes();
        let field = self.number::<N>(std::array::from_fn(|n| clamped[n]));
        let sign = if N > 1 && field[N - 1] >= 0x80 { 0xff } else { 0 };
        let wide = std::array::from_fn(|n| if n < N { field[n] } else { sign });
        *value = T::try_from(i64::from_le_bytes(wide)).unwrap_or(*value);
    }

    fn f32(&mut self, value: &mut f64) {
        *value = f64::from(f32::from_le_bytes(self.number((*value as f32).to_le_bytes())));
    }

    fn f64(&mut self, value: &mut f64) {
        *value = f64::from_le_bytes(self.number(value.to_le_bytes()));
    }

    /// An integer that NIfTI-1 keeps as a float.
    fn int_in_f32(&mut self, value: &mut i64) {
        let mut float = *value as f64;
        self.f32(&mut float);
        *value = float as i64;
    }
}

/// `nifti1.h`, struct nifti_1_header, without sizeof_hdr and magic: offsets 4 to 344.
pub(super) fn fields_one(h: &mut Header, w: &mut Wire) {
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
pub(super) fn fields_two(h: &mut Header, w: &mut Wire) {
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
