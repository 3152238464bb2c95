//! Planes of a lossy JPEG as voxels: side by side, and as RGB where they are luminance and differences.
//!
//! Source: DICOM PS3.3, C.7.6.3.1.2 (YBR_FULL); ITU-R BT.601.

use super::{format::Format, jpeg::dct::Plane};

/// The samples of voxels as bytes of the format, from planes of so many bits.
pub fn interleaved(planes: &[Plane], [columns, rows]: [u32; 2], precision: u32, format: &Format) -> Vec<u8> {
    let (size, middle) = (format.sample_bytes(), 1u16 << (precision - 1));
    let mut bytes = Vec::with_capacity(columns as usize * rows as usize * planes.len() * size);
    let mut put = |sample: u16| bytes.extend_from_slice(&format.within(sample, precision).to_le_bytes()[..size]);
    for row in 0..rows as usize {
        for column in 0..columns as usize {
            match planes {
                [y, b, r] if format.ybr => {
                    let ybr = [y, b, r].map(|plane| plane.at(row, column));
                    rgb(ybr, f32::from(middle)).into_iter().for_each(&mut put);
                }
                _ => planes.iter().for_each(|plane| put(plane.at(row, column))),
            }
        }
    }
    bytes
}

/// Red, green and blue of luminance and its differences to blue and red, which are `middle` where there is no colour.
fn rgb([y, b, r]: [u16; 3], middle: f32) -> [u16; 3] {
    let [y, b, r] = [f32::from(y), f32::from(b) - middle, f32::from(r) - middle];
    let most = 2.0 * middle - 1.0;
    [y + 1.402 * r, y - 0.344_136 * b - 0.714_136 * r, y + 1.772 * b].map(|x| x.round().clamp(0.0, most) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_stays_and_colours_are_those_of_the_standard() {
        assert_eq!(rgb([77, 128, 128], 128.0), [77; 3]);
        // Pure red, green and blue of JFIF.
        assert_eq!(rgb([76, 85, 255], 128.0), [254, 0, 0]);
        assert_eq!(rgb([150, 44, 21], 128.0), [0, 255, 1]);
        assert_eq!(rgb([29, 255, 107], 128.0), [0, 0, 254]);
    }
}
