//! Between stored samples and voxels: byte order, slope, rounding. The one place where sample types change.

use serde::Serialize;

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

/// Samples that an integer type could not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// NaNs, which became 0.
    pub nans: u64,
    /// Samples below the smallest number, which became that.
    pub below: u64,
    /// Samples above the largest number, which became that.
    pub above: u64,
}

impl Lost {
    /// Both together.
    pub fn and(self, other: Lost) -> Lost {
        Lost {
            nans: self.nans.saturating_add(other.nans),
            below: self.below.saturating_add(other.below),
            above: self.above.saturating_add(other.above),
        }
    }
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

    /// Voxels to stored bytes, appended to `bytes`; how many of them the stored type could not hold.
    pub fn encode<T: Voxel>(&self, voxels: &[T], bytes: &mut Vec<u8>) -> Lost {
        if self.copies_bits::<T>() {
            let start = bytes.len();
            bytes.extend_from_slice(bytemuck::cast_slice(voxels));
            if self.swaps() {
                bytes[start..].chunks_exact_mut(self.stored.bytes()).for_each(<[u8]>::reverse);
            }
            return Lost::default();
        }
        dispatch!(self.stored, S => self.encode_as::<S, T>(voxels, bytes))
    }

    fn encode_as<S: Voxel, T: Voxel>(&self, voxels: &[T], bytes: &mut Vec<u8>) -> Lost {
        let swaps = self.swaps();
        let (slope, inter) = self.slope.unwrap_or((1.0, 0.0));
        let counts_nans = T::DTYPE.is_float() && !S::DTYPE.is_float();
        // What rounds to the smallest or the largest number is held.
        let (least, most) = match S::DTYPE.is_float() {
            true => (f64::NEG_INFINITY, f64::INFINITY),
            false => (S::range().0 - 0.5, S::range().1 + 0.5),
        };
        let (mut nans, mut below, mut above) = (0, 0, 0);
        for voxel in voxels {
            let real = voxel.to_f64();
            let value = if self.slope.is_some() { (real - inter) / slope } else { real };
            nans += u64::from(counts_nans && value.is_nan());
            below += u64::from(value < least);
            above += u64::from(value > most);
            let stored = S::from_f64(value, self.rounding);
            bytes.extend_from_slice(bytemuck::bytes_of(&if swaps { stored.swap_bytes() } else { stored }));
        }
        Lost { nans, below, above }
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
        let lost = conversion.encode(&[-10.0f32, f32::NAN, 0.0, 1e9], &mut bytes);
        assert_eq!(lost, Lost { nans: 1, below: 0, above: 1 });
        let stored: Vec<i16> = bytes.chunks_exact(2).map(bytemuck::pod_read_unaligned).collect();
        assert_eq!(stored, [0, 0, 20, i16::MAX]);
    }

    #[test]
    fn what_an_integer_cannot_hold_is_counted() {
        let lost = |stored: Dtype, voxels: &[f32]| Conversion::plain(stored).encode(voxels, &mut Vec::new());
        let voxels = [-0.5, -0.6, 255.5, 255.6, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 7.0];
        assert_eq!(lost(Dtype::U8, &voxels), Lost { nans: 1, below: 2, above: 2 });
        assert_eq!(lost(Dtype::F32, &voxels), Lost::default());
        assert_eq!(lost(Dtype::F64, &voxels), Lost::default());
        assert_eq!(lost(Dtype::I64, &[1e30, -1e30, 3.0]), Lost { nans: 0, below: 1, above: 1 });
    }
}
