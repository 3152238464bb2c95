//! Undoes numcodecs filters, which stand between compressor and samples. Reading only.
//!
//! The size of a filter's output follows from its samples, never from the stream.

use crate::{
    dispatch,
    voxel::{Dtype, Rounding, Voxel},
};

/// A sample type in one byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    pub dtype: Dtype,
    pub big_endian: bool,
}

/// numcodecs 0.16: `delta`, `fixedscaleoffset` and `shuffle`; samples in the order in which they stand in the chunk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Filter {
    /// Differences of neighbours; the sums wrap in the decoded type. Both types are integers, or the same float.
    Delta { encoded: Format, decoded: Format },
    /// `encoded / scale + offset`, in f64, or in f32 where f32 is encoded; to integers toward zero.
    FixedScaleOffset { scale: f64, offset: f64, encoded: Format, decoded: Format },
    /// The first bytes of all elements, then the second ones, and so on.
    Shuffle { element_bytes: u64 },
}

impl Filter {
    /// As array metadata have it.
    pub fn name(&self) -> &'static str {
        match self {
            Filter::Delta { .. } => "delta",
            Filter::FixedScaleOffset { .. } => "fixedscaleoffset",
            Filter::Shuffle { .. } => "shuffle",
        }
    }

    /// Encoded bytes of `decoded` decoded ones.
    pub fn encoded_bytes(&self, decoded_bytes: u64) -> u64 {
        match self {
            Filter::Shuffle { .. } => decoded_bytes,
            Filter::Delta { encoded, decoded } | Filter::FixedScaleOffset { encoded, decoded, .. } => {
                (decoded_bytes / decoded.dtype.bytes() as u64).saturating_mul(encoded.dtype.bytes() as u64)
            }
        }
    }

    /// Appends the decoded bytes to `decoded`.
    ///
    /// # Errors
    ///
    /// A message where the bytes are not whole samples.
    pub fn decode(&self, bytes: &[u8], decoded: &mut Vec<u8>) -> Result<(), String> {
        let whole = |element: usize| match bytes.len().is_multiple_of(element) {
            true => Ok(()),
            false => Err(format!("{} bytes are not whole elements of {element}", bytes.len())),
        };
        match *self {
            Filter::Delta { encoded, decoded: to } => {
                whole(encoded.dtype.bytes())?;
                dispatch!(encoded.dtype, E => sum::<E>(bytes, encoded, to, decoded));
            }
            Filter::FixedScaleOffset { scale, offset, encoded, decoded: to } => {
                whole(encoded.dtype.bytes())?;
                let real = |value: f64| match encoded.dtype {
                    Dtype::F32 => f64::from(value as f32 / scale as f32 + offset as f32),
                    _ => value / scale + offset,
                };
                dispatch!(encoded.dtype, E => dispatch!(to.dtype, D => {
                    for sample in bytes.chunks_exact(size_of::<E>()) {
                        let value = real(load::<E>(sample, encoded.big_endian).to_f64());
                        store(D::from_f64(value, Rounding::Truncate), to.big_endian, decoded);
                    }
                }));
            }
            Filter::Shuffle { element_bytes } => {
                let element = usize::try_from(element_bytes).unwrap_or(usize::MAX).max(1);
                whole(element)?;
                let count = bytes.len() / element;
                decoded.extend((0..count).flat_map(|i| (0..element).map(move |k| bytes[k * count + i])));
            }
        }
        Ok(())
    }
}

fn load<V: Voxel>(sample: &[u8], big_endian: bool) -> V {
    let value: V = bytemuck::pod_read_unaligned(sample);
    if big_endian == cfg!(target_endian = "big") { value } else { value.swap_bytes() }
}

fn store<V: Voxel>(value: V, big_endian: bool, bytes: &mut Vec<u8>) {
    let value = if big_endian == cfg!(target_endian = "big") { value } else { value.swap_bytes() };
    bytes.extend_from_slice(bytemuck::bytes_of(&value));
}

/// Running sums: of floats in their own type, of integers modulo 2^64, of which the decoded type keeps the low bytes.
fn sum<E: Voxel>(bytes: &[u8], encoded: Format, decoded: Format, to: &mut Vec<u8>) {
    let samples = bytes.chunks_exact(size_of::<E>()).map(|sample| load::<E>(sample, encoded.big_endian));
    match encoded.dtype {
        Dtype::F32 => {
            // -0 is the zero that changes no first sample.
            let mut total = -0.0f32;
            samples.for_each(|difference| {
                total += difference.to_f64() as f32;
                store(total, decoded.big_endian, to);
            });
        }
        Dtype::F64 => {
            let mut total = -0.0f64;
            samples.for_each(|difference| {
                total += difference.to_f64();
                store(total, decoded.big_endian, to);
            });
        }
        _ => {
            let mut total = 0u64;
            let kept = decoded.dtype.bytes();
            samples.for_each(|difference| {
                total = total.wrapping_add(extended(difference));
                let low = total.to_le_bytes();
                let start = to.len();
                to.extend_from_slice(&low[..kept]);
                if decoded.big_endian {
                    to[start..].reverse();
                }
            });
        }
    }
}

/// An integer with its sign, as 64 bits.
fn extended<E: Voxel>(value: E) -> u64 {
    let mut low = [0; 8];
    let native = bytemuck::bytes_of(&value);
    low[..native.len()].copy_from_slice(native);
    if cfg!(target_endian = "big") {
        low[..native.len()].reverse();
    }
    let spare = 64 - 8 * native.len() as u32;
    let bits = u64::from_le_bytes(low) << spare;
    match E::DTYPE {
        Dtype::I8 | Dtype::I16 | Dtype::I32 | Dtype::I64 => ((bits as i64) >> spare) as u64,
        _ => bits >> spare,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn little(dtype: Dtype) -> Format {
        Format { dtype, big_endian: false }
    }

    fn decode(filter: Filter, bytes: &[u8]) -> Vec<u8> {
        let mut decoded = Vec::new();
        filter.decode(bytes, &mut decoded).unwrap();
        assert_eq!(filter.encoded_bytes(decoded.len() as u64), bytes.len() as u64);
        decoded
    }

    fn delta(encoded: Format, decoded: Format) -> Filter {
        Filter::Delta { encoded, decoded }
    }

    // All bytes below were made by numcodecs 0.16.6.

    #[test]
    fn deltas_wrap_in_the_decoded_type() {
        let u2 = [5, 0, 254, 255, 252, 255, 1, 0, 7, 0, 37, 1];
        let expected: Vec<u8> = [5u16, 3, 65535, 0, 7, 300].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(decode(delta(little(Dtype::U16), little(Dtype::U16)), &u2), expected);
        let i2 = [5, 0, 254, 255, 61, 156, 192, 99, 7, 0, 248, 255];
        let expected: Vec<u8> = [5u16, 3, 40000, 0, 7, 65535].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(decode(delta(little(Dtype::I16), little(Dtype::U16)), &i2), expected);
        let i1 = [5, 254, 247, 6, 7, 248];
        assert_eq!(decode(delta(little(Dtype::I8), little(Dtype::U8)), &i1), [5, 3, 250, 0, 7, 255]);
        let big = Format { dtype: Dtype::I16, big_endian: true };
        let bytes = [0, 5, 255, 254, 255, 3, 0, 250, 0, 7, 0, 248];
        assert_eq!(decode(delta(big, big), &bytes), [0, 5, 0, 3, 255, 6, 0, 0, 0, 7, 0, 255]);
        // A small difference type of a wide one.
        let wide = decode(delta(little(Dtype::I8), little(Dtype::I32)), &[100, 100, 100, 128]);
        assert_eq!(wide, [100, 200, 300, 172].iter().flat_map(|v: &i32| v.to_le_bytes()).collect::<Vec<_>>());
    }

    #[test]
    fn deltas_of_floats_are_summed_in_order() {
        let f4 =
            [0, 0, 160, 64, 0, 0, 224, 191, 0, 64, 125, 195, 66, 0, 122, 67, 195, 157, 208, 79, 195, 157, 208, 207];
        let expected = [0, 0, 160, 64, 0, 0, 80, 64, 0, 0, 122, 195, 0, 0, 132, 58, 195, 157, 208, 79, 0, 0, 0, 0];
        assert_eq!(decode(delta(little(Dtype::F32), little(Dtype::F32)), &f4), expected);
        let minus_zero = (-0.0f64).to_le_bytes();
        assert_eq!(decode(delta(little(Dtype::F64), little(Dtype::F64)), &minus_zero), minus_zero);
    }

    #[test]
    fn fixed_scale_offset() {
        let of = |scale, offset, encoded, decoded| Filter::FixedScaleOffset { scale, offset, encoded, decoded };
        let filter = of(10.0, 1000.0, little(Dtype::U8), little(Dtype::F64));
        let expected: Vec<u8> =
            [1000.0, 1000.2, 1000.4, 1000.6, 1000.8, 1001.0].iter().flat_map(|v: &f64| v.to_le_bytes()).collect();
        assert_eq!(decode(filter, &[0, 2, 4, 6, 8, 10]), expected);
        let filter = of(7.0, -3.5, little(Dtype::I16), little(Dtype::F32));
        let expected =
            [110, 219, 14, 193, 73, 18, 65, 67, 37, 137, 197, 67, 183, 77, 21, 68, 183, 205, 71, 68, 219, 86, 122, 68];
        assert_eq!(decode(filter, &[218, 255, 96, 5, 230, 10, 109, 16, 243, 21, 122, 27]), expected);
        let filter = of(7.3, -3.1, little(Dtype::F32), little(Dtype::F32));
        let stored = [0, 0, 44, 194, 0, 0, 179, 68, 0, 176, 53, 69, 0, 240, 136, 69, 0, 8, 183, 69, 0, 32, 229, 69];
        let expected =
            [185, 216, 15, 193, 123, 16, 65, 67, 65, 143, 197, 67, 35, 75, 21, 68, 164, 206, 71, 68, 38, 82, 122, 68];
        assert_eq!(decode(filter, &stored), expected);
        let big = Format { dtype: Dtype::I16, big_endian: true };
        let filter = of(0.3, 100.0, big, little(Dtype::I32));
        let expected: Vec<u8> = [-6i32, 100, 103, 10000, 12346, 3].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(decode(filter, &[255, 224, 0, 0, 0, 1, 11, 154, 14, 90, 255, 227]), expected);
    }

    #[test]
    fn shuffled_bytes() {
        let stored = [0, 4, 8, 12, 16, 20, 0, 3, 6, 9, 12, 15, 0, 2, 4, 6, 8, 10, 0, 1, 2, 3, 4, 5];
        let expected: Vec<u8> = (0..6u32).flat_map(|n| (n * 0x0102_0304).to_le_bytes()).collect();
        assert_eq!(decode(Filter::Shuffle { element_bytes: 4 }, &stored), expected);
        assert_eq!(decode(Filter::Shuffle { element_bytes: 1 }, &stored), stored);
        assert!(Filter::Shuffle { element_bytes: 7 }.decode(&stored, &mut Vec::new()).is_err());
        assert!(Filter::Shuffle { element_bytes: u64::MAX }.decode(&stored, &mut Vec::new()).is_err());
        assert!(delta(little(Dtype::F64), little(Dtype::F64)).decode(&stored[1..], &mut Vec::new()).is_err());
    }
}
