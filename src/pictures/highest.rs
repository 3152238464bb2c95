//! Projections of a target: the highest value along each axis.

use std::sync::atomic::{AtomicU32, Ordering};

use super::{Plane, raster::nearest};
use crate::region::Region;

/// The highest value along each storage axis, in an image of the other two (the slower one down) of at most so many pixels along either side. A pixel
/// takes all voxels that fall into it. NaN is below every number.
#[derive(Debug)]
pub struct Highest {
    shape: [u64; 3],
    /// Pixels along each storage axis.
    pixels: [usize; 3],
    images: [Vec<AtomicU32>; 3],
}

/// The two axes of the projection along `axis`, the slower one first.
fn others(axis: usize) -> [usize; 2] {
    match axis {
        0 => [1, 2],
        1 => [0, 2],
        _ => [0, 1],
    }
}

impl Highest {
    /// Projections of a volume of this shape, without a value.
    pub fn new(shape: [u64; 3], most: usize) -> Highest {
        let pixels = shape.map(|n| (n as usize).clamp(1, most));
        let image = |axis: usize| {
            let [rows, columns] = others(axis).map(|a| pixels[a]);
            (0..rows * columns).map(|_| AtomicU32::new(0)).collect()
        };
        Highest { shape, pixels, images: [image(0), image(1), image(2)] }
    }

    /// Memory of the images.
    pub fn bytes(&self) -> u64 {
        self.images.iter().map(|image| size_of_val(image.as_slice()) as u64).sum()
    }

    /// The projection along `axis`: columns, rows, and the values row by row; nothing where no voxel was brought.
    fn image(&self, axis: usize) -> ([usize; 2], Vec<Option<f32>>) {
        let [rows, columns] = others(axis).map(|a| self.pixels[a]);
        let values = self.images[axis].iter().map(|key| value(key.load(Ordering::Relaxed))).collect();
        ([columns, rows], values)
    }

    /// The pixels of the projection across `plane`, in the pixels of the plane.
    pub fn of_plane(&self, plane: &Plane) -> Vec<Option<f32>> {
        let ([columns, rows], (cut, _)) = (plane.size, plane.cut);
        let ([across, _], values) = self.image(cut);
        let pixel = |at: [i64; 3], a: usize| {
            let last = self.shape[a].saturating_sub(1);
            (at[a].max(0) as u64).min(last) as usize * self.pixels[a] / self.shape[a].max(1) as usize
        };
        let value = |row: usize, column: usize| {
            let at = nearest(&plane.to_index, [column, row]);
            let [y, x] = others(cut).map(|a| pixel(at, a));
            values[y * across + x]
        };
        (0..rows)
            .flat_map(|row| (0..columns).map(move |column| (row, column)))
            .map(|(row, column)| value(row, column))
            .collect()
    }

    /// Takes all voxels of `region`: `sample` says the value of one.
    ///
    /// `row` gives the values of a row (z, y) of the region, one after the other.
    pub fn take<V: Iterator<Item = f32>>(&self, region: Region, row: impl Fn(i64, i64) -> V) {
        let at = |axis: usize, i: i64| (i as u64 * self.pixels[axis] as u64 / self.shape[axis].max(1)) as usize;
        let columns: Vec<usize> = (region.lo[2]..region.hi[2]).map(|x| at(2, x)).collect();
        for z in region.lo[0]..region.hi[0] {
            let row_z = at(0, z);
            for y in region.lo[1]..region.hi[1] {
                let row_y = at(1, y);
                let along_z = &self.images[0][row_y * self.pixels[2]..][..self.pixels[2]];
                let along_y = &self.images[1][row_z * self.pixels[2]..][..self.pixels[2]];
                let mut along_x = 0;
                for (&column, value) in columns.iter().zip(row(z, y)) {
                    let key = key(value);
                    raise(&along_z[column], key);
                    raise(&along_y[column], key);
                    along_x = along_x.max(key);
                }
                raise(&self.images[2][row_z * self.pixels[1] + row_y], along_x);
            }
        }
    }
}

/// Most voxels raise nothing: a plain look is cheaper than an exchange.
fn raise(pixel: &AtomicU32, key: u32) {
    if pixel.load(Ordering::Relaxed) < key {
        pixel.fetch_max(key, Ordering::Relaxed);
    }
}

/// A whole number that is ordered as the values are; 0 stands for none.
fn key(value: f32) -> u32 {
    match value.to_bits() {
        _ if value.is_nan() => 1,
        bits if bits >> 31 == 0 => bits | 1 << 31,
        bits => !bits,
    }
}

fn value(key: u32) -> Option<f32> {
    match key {
        0 => None,
        1 => Some(f32::NAN),
        key if key >> 31 == 1 => Some(f32::from_bits(key & !(1 << 31))),
        key => Some(f32::from_bits(!key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered_as_values() {
        let values = [f32::NAN, f32::NEG_INFINITY, -3.5, -1e-30, -0.0, 0.0, 1e-30, 7.0, f32::INFINITY];
        assert!(values.windows(2).all(|pair| key(pair[0]) < key(pair[1])));
        assert!(values[1..].iter().all(|&v| value(key(v)).map(f32::to_bits) == Some(v.to_bits())));
        assert_eq!(value(0), None);
    }

    #[test]
    fn the_highest_of_each_line_whatever_the_blocks() {
        let (shape, whole) = ([3u64, 5, 7], Region::of_shape([3, 5, 7]));
        let voxels: Vec<i16> = (0..105).map(|n| (n * 37 % 101) as i16 - 60).collect();
        let at = |[z, y, x]: [i64; 3]| f64::from(voxels[((z * 5 + y) * 7 + x) as usize]);
        let highest = Highest::new(shape, 4);
        for region in whole.tiles([2, 2, 3]) {
            highest.take(region, |z, y| (region.lo[2]..region.hi[2]).map(move |x| at([z, y, x]) as f32));
        }
        for axis in 0..3 {
            let ([columns, rows], image) = highest.image(axis);
            assert_eq!([rows, columns], others(axis).map(|a| [3, 4, 4][a]));
            let mut expected = vec![f64::NEG_INFINITY; rows * columns];
            for region in whole.tiles([1, 1, 1]) {
                let [row, column] = others(axis).map(|a| region.lo[a] as usize * [3, 4, 4][a] / shape[a] as usize);
                let pixel = &mut expected[row * columns + column];
                *pixel = pixel.max(at(region.lo));
            }
            assert!(image.iter().zip(&expected).all(|(v, e)| v.map(f64::from) == Some(*e)), "along {axis}");
        }
    }
}
