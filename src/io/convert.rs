//! Between stored samples and voxels: byte order, slope, rounding. The one place where sample types change.

use crate::{
    dispatch,
    voxel::{Dtype, Rounding, Voxel},
};

/// How stored samples and voxels of the pipeline correspond: `voxel = slope * stored + inter`.
///
/// Where the stored type is the voxel type and there is no slope, bits are copied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conversion {
    pub stored: Dtype,
    pub big_endian: bool,
    /// `(slope, inter)`, applied on reading and undone on writing.
    pub slope: Option<(f64, f64)>,
    /// How real values become stored integers.
    pub rounding: Rounding,
}

impl Conversion {
    /// Native byte order, no slope.
    pub fn plain(stored: Dtype) -> Conversion {
        Conversion { stored, big_endian: cfg!(target_endian = "big"), slope: None, rounding: Rounding::Nearest }
    }

    fn swaps(&self) -> bool {
        self.big_endian != cfg!(target_endian = "big")
    }

    fn copies_bits<T: Voxel>(&self) -> bool {
        self.stored == T::DTYPE && self.slope.is_none()
    }

    /// Stored bytes to voxels. `bytes` holds exactly one stored sample per element of `voxels`, at any alignment.
    pub fn decode<T: Voxel>(&self, bytes: &[u8], voxels: &mut [T]) {
        assert_eq!(bytes.len(), voxels.len() * self.stored.bytes());
        if self.copies_bits::<T>() {
            bytemuck::cast_slice_mut::<T, u8>(voxels).copy_from_slice(bytes);
            if self.swaps() {
                voxels.iter_mut().for_each(|v| *v = v.swap_bytes());
            }
            return;
        }
        dispatch!(self.stored, S => self.decode_as::<S, T>(bytes, voxels));
    }

    fn decode_as<S: Voxel, T: Voxel>(&self, bytes: &[u8], voxels: &mut [T]) {
        let swaps = self.swaps();
        let (slope, inter) = self.slope.unwrap_or((1.0, 0.0));
        let scaled = self.slope.is_some();
        for (sample, voxel) in bytes.chunks_exact(size_of::<S>()).zip(voxels) {
            let stored: S = bytemuck::pod_read_unaligned(sample);
            let value = if swaps { stored.swap_bytes() } else { stored }.to_f64();
            *voxel = T::from_f64(if scaled { value * slope + inter } else { value }, Rounding::Nearest);
        }
    }

    /// Voxels to stored bytes, appended to `bytes`; the number of NaNs that became 0.
    pub fn encode<T: Voxel>(&self, voxels: &[T], bytes: &mut Vec<u8>) -> u64 {
        if self.copies_bits::<T>() {
            let start = bytes.len();
            bytes.extend_from_slice(bytemuck::cast_slice(voxels));
            if self.swaps() {
                bytes[start..].chunks_exact_mut(self.stored.bytes()).for_each(<[u8]>::reverse);
            }
            return 0;
        }
        dispatch!(self.stored, S => self.encode_as::<S, T>(voxels, bytes))
    }

    fn encode_as<S: Voxel, T: Voxel>(&self, voxels: &[T], bytes: &mut Vec<u8>) -> u64 {
        let swaps = self.swaps();
        let (slope, inter) = self.slope.unwrap_or((1.0, 0.0));
        let counts_nans = T::DTYPE.is_float() && !S::DTYPE.is_float();
        let mut nans = 0;
        for voxel in voxels {
            let value = voxel.to_f64();
            nans += u64::from(counts_nans && value.is_nan());
            let stored = S::from_f64(if self.slope.is_some() { (value - inter) / slope } else { value }, self.rounding);
            bytes.extend_from_slice(bytemuck::bytes_of(&if swaps { stored.swap_bytes() } else { stored }));
        }
        nans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stored_type_comes_back_in_both_byte_orders() {
        for stored in Dtype::ALL {
            for big_endian in [false, true] {
                let conversion = Conversion { big_endian, ..Conversion::plain(stored) };
                dispatch!(stored, T => {
                    let voxels: Vec<T> = (0..7).map(|i| T::from_f64(f64::from(i) * 17.0, Rounding::Nearest)).collect();
                    let mut bytes = Vec::new();
                    conversion.encode(&voxels, &mut bytes);
                    if big_endian && stored.bytes() > 1 && stored == Dtype::U16 {
                        assert_eq!(&bytes[2..4], &[0, 17]);
                    }
                    let mut back = vec![T::default(); voxels.len()];
                    conversion.decode(&bytes, &mut back);
                    assert_eq!(voxels, back);
                });
            }
        }
    }

    #[test]
    fn slopes_are_applied_and_undone() {
        let conversion = Conversion { slope: Some((0.5, -10.0)), ..Conversion::plain(Dtype::I16) };
        let mut real = [0f32; 3];
        conversion.decode(bytemuck::cast_slice(&[0i16, 20, -7]), &mut real);
        assert_eq!(real, [-10.0, 0.0, -13.5]);
        let mut bytes = Vec::new();
        assert_eq!(conversion.encode(&[-10.0f32, f32::NAN, 0.0, 1e9], &mut bytes), 1);
        let stored: Vec<i16> = bytes.chunks_exact(2).map(bytemuck::pod_read_unaligned).collect();
        assert_eq!(stored, [0, 0, 20, i16::MAX]);
    }
}
