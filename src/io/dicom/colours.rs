//! Planes of a lossy JPEG as voxels: side by side, and as RGB where they are luminance and differences.

use super::format::Format;
use crate::io::jpeg::{dct::Plane, rgb};

/// The samples of voxels as bytes of the format, from planes of so many bits.
pub(super) fn interleaved(planes: &[Plane], [columns, rows]: [u32; 2], precision: u32, format: &Format) -> Vec<u8> {
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
