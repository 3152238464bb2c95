//! Samples as they stand in DICOM files, and as they are handed on.

use super::walk::{FLOAT_PIXELS, Pixels, Tag};
use crate::voxel::Dtype;

/// How samples are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Format {
    /// Samples of a voxel.
    pub samples: u32,
    /// Whether each of them has a plane of its own.
    pub planes: bool,
    /// Bits of a sample in the file.
    pub allocated: u32,
    /// Bits that count, and the place of the highest one.
    pub stored: u32,
    pub high: u32,
    pub signed: bool,
    pub float: bool,
    pub big_endian: bool,
    /// Bytes that stand in words of 16 bits, with the first one behind the second.
    pub bytes_in_words: bool,
    /// Whether samples are luminance and two differences of colour, with the whole range of numbers.
    pub ybr: bool,
}

impl Format {
    /// Takes a value of group 28.
    pub(super) fn take(&mut self, tag: Tag, value: u32) {
        match tag {
            0x0028_0002 => self.samples = value,
            0x0028_0006 => self.planes = value == 1,
            0x0028_0100 => self.allocated = value,
            0x0028_0101 => self.stored = value,
            0x0028_0102 => self.high = value,
            0x0028_0103 => self.signed = value == 1,
            _ => {}
        }
    }

    /// The same with what else decides how samples stand, or what cannot be read of it.
    ///
    /// # Errors
    /// What there is, and what is read.
    pub(super) fn checked(mut self, pixels: &Pixels, big_endian: bool) -> Result<Format, (String, &'static str)> {
        self.float = FLOAT_PIXELS.contains(&pixels.tag);
        self.samples = self.samples.max(1);
        if self.stored == 0 || self.float {
            (self.stored, self.high) = (self.allocated, self.allocated.saturating_sub(1));
        }
        self.planes &= self.samples > 1;
        self.big_endian = big_endian;
        self.bytes_in_words = big_endian && pixels.words && self.allocated == 8;
        let expected = if self.float { [32, 64, 64] } else { [8, 16, 32] };
        if !expected.contains(&self.allocated) {
            return Err((format!("samples of {} bits", self.allocated), "8, 16 and 32 bits are read"));
        }
        if !matches!(self.samples, 1 | 3) {
            return Err((format!("{} samples in a voxel", self.samples), "1 and 3 are read"));
        }
        let fits = self.stored <= self.allocated && self.high < self.allocated && self.high + 1 >= self.stored;
        if !fits {
            let found = format!("{} bits up to bit {} of {}", self.stored, self.high, self.allocated);
            return Err((found, "bits within the sample are read"));
        }
        Ok(self)
    }

    /// The type that holds samples as they are.
    pub(super) fn dtype(&self) -> Dtype {
        match (self.float, self.allocated, self.signed) {
            (true, 32, _) => Dtype::F32,
            (true, ..) => Dtype::F64,
            (_, 8, false) => Dtype::U8,
            (_, 8, true) => Dtype::I8,
            (_, 16, false) => Dtype::U16,
            (_, 16, true) => Dtype::I16,
            (_, _, false) => Dtype::U32,
            (_, _, true) => Dtype::I32,
        }
    }

    /// Bytes of a sample.
    pub(super) fn sample_bytes(&self) -> usize {
        self.dtype().bytes()
    }

    /// Bytes of a frame of so many voxels; `None` where no file has them.
    pub(super) fn frame_bytes(&self, rows: u32, columns: u32) -> Option<u64> {
        let voxels = u64::from(rows).checked_mul(u64::from(columns))?;
        voxels.checked_mul(u64::from(self.samples))?.checked_mul(self.sample_bytes() as u64).filter(|&n| n < 1 << 62)
    }

    /// Samples of the file, in place, to whole samples in the machine's byte order: the bits that count, with their sign.
    pub(super) fn whole(&self, bytes: &mut [u8]) {
        let size = self.sample_bytes();
        if self.big_endian != cfg!(target_endian = "big") && size > 1 {
            bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        if self.float || self.stored == self.allocated {
            return;
        }
        let (up, down) = (31 - self.high, 32 - self.stored);
        let kept = |sample: u32| {
            let shifted = sample << up;
            if self.signed { ((shifted as i32) >> down) as u32 } else { shifted >> down }
        };
        match size {
            1 => bytes.iter_mut().for_each(|byte| *byte = kept(u32::from(*byte)) as u8),
            2 => bytes.chunks_exact_mut(2).for_each(|sample| {
                let found = u16::from_ne_bytes([sample[0], sample[1]]);
                sample.copy_from_slice(&(kept(u32::from(found)) as u16).to_ne_bytes());
            }),
            _ => bytes.chunks_exact_mut(4).for_each(|sample| {
                let found = u32::from_ne_bytes([sample[0], sample[1], sample[2], sample[3]]);
                sample.copy_from_slice(&kept(found).to_ne_bytes());
            }),
        }
    }

    /// A sample of a stream of so many bits, brought to the bits that are stored: lossy streams come out a little beyond them, and the bits
    /// above would be cut off.
    pub(super) fn within(&self, sample: u16, precision: u32) -> u32 {
        let Format { stored, high, signed, .. } = *self;
        let is_plain = stored < precision && high + 1 == stored;
        match (is_plain, signed) {
            (false, _) => u32::from(sample),
            (true, false) => u32::from(sample).min((1 << stored) - 1),
            (true, true) => {
                let (unused, half) = (32 - precision, 1 << (stored - 1));
                let whole = (i32::from(sample) << unused) >> unused;
                whole.clamp(-half, half - 1) as u32
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(allocated: u32, stored: u32, high: u32, signed: bool) -> Format {
        Format { samples: 1, allocated, stored, high, signed, ..Format::default() }
    }

    #[test]
    fn only_the_bits_that_count_are_kept() {
        let whole = |format: Format, sample: u16| {
            let mut bytes = sample.to_ne_bytes();
            format.whole(&mut bytes);
            i16::from_ne_bytes(bytes)
        };
        assert_eq!(whole(of(16, 12, 11, true), 0x7fff), -1);
        assert_eq!(whole(of(16, 12, 11, true), 0xf7ff), 0x7ff);
        assert_eq!(whole(of(16, 12, 11, false), 0xffff), 0xfff);
        assert_eq!(whole(of(16, 12, 15, false), 0xabcd), 0xabc);
        assert_eq!(whole(of(16, 16, 15, true), 0x8000), i16::MIN);
        let mut bytes = [0x1f, 0x10];
        of(8, 5, 4, true).whole(&mut bytes);
        assert_eq!(bytes, [0xff, 0xf0]);
        let mut long = 0x00ff_ffffu32.to_ne_bytes();
        of(32, 24, 23, true).whole(&mut long);
        assert_eq!(i32::from_ne_bytes(long), -1);
    }

    #[test]
    fn samples_beyond_the_stored_bits_become_the_nearest() {
        let of_sample = |sample, signed| of(16, 12, 11, signed).within(sample, 16) as i32;
        assert_eq!([4094, 4095, 4096, 4100].map(|n| of_sample(n, false)), [4094, 4095, 4095, 4095]);
        assert_eq!(
            [2047, 2048, 2050, 0xffff, 0xf800, 0xf7fe].map(|n| of_sample(n, true)),
            [2047, 2047, 2047, -1, -2048, -2048]
        );
        assert_eq!(of(16, 12, 11, true).within(0xf800, 12), 0xf800);
    }
}
