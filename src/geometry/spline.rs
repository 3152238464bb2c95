//! A cubic B-spline of vectors: a small grid of coefficients, and its value at any index of it.
//!
//! Source: ITK 5.4, `itkBSplineTransform` and `itkBSplineInterpolationWeightFunction`.

use super::{TIE_VOXELS, VectorRanges};
use crate::{block::BlockRef, region::Region};

/// Coefficients of the largest grid, all components: what is held of one.
pub const MOST_COEFFICIENTS: u64 = 1 << 20;
/// Coefficients around a point along an axis.
const TAPS: usize = 4;
/// Extent of the boxes whose ranges are known, in steps of the grid.
const BOX: u64 = 2;

/// The coefficients of a spline, at most [`MOST_COEFFICIENTS`].
#[derive(Clone, Debug, PartialEq)]
pub struct Spline {
    /// Steps of the grid, storage order.
    shape: [u64; 3],
    /// One component after the other, each in storage order.
    coefficients: Vec<f64>,
    /// Of the coefficients: a spline stays within the hull of those around a point.
    ranges: VectorRanges,
}

impl Spline {
    /// `None` where there are other than three coefficients for each step of the grid, too many, or a grid that a cubic spline has
    /// no place in.
    pub fn new(shape: [u64; 3], coefficients: Vec<f64>) -> Option<Spline> {
        let len = shape.iter().fold(3u64, |n, &len| n.saturating_mul(len));
        let is_fit = len == coefficients.len() as u64 && len <= MOST_COEFFICIENTS;
        if !is_fit || shape.iter().any(|&len| len < TAPS as u64) {
            return None;
        }
        let (all, mut ranges) = (Region::of_shape(shape), VectorRanges::by_boxes(shape, BOX));
        for (component, values) in coefficients.chunks_exact(coefficients.len() / 3).enumerate() {
            for outward in [f32::next_down, f32::next_up] {
                let values: Vec<f32> = values.iter().map(|&value| outward(value as f32)).collect();
                let found = ranges.of(all, BlockRef::new(all, 1, &values));
                ranges.add(component, &found);
            }
        }
        Some(Spline { shape, coefficients, ranges })
    }

    /// The ranges of the coefficients.
    pub fn ranges(&self) -> &VectorRanges {
        &self.ranges
    }

    /// Memory that it takes.
    pub fn bytes(&self) -> u64 {
        (self.coefficients.len() * size_of::<f64>()) as u64 + self.ranges.bytes()
    }

    /// The vector at an index of the grid; `None` beyond its domain, where not all coefficients around a point exist. The faces are
    /// inside, as far as rounding can tell.
    pub fn at(&self, index: [f64; 3]) -> Option<[f64; 3]> {
        let (mut first, mut weights) = ([0; 3], [[0.0; TAPS]; 3]);
        for a in 0..3 {
            let last = self.shape[a] as f64 - 2.0;
            if !(index[a] >= 1.0 - TIE_VOXELS && index[a] <= last + TIE_VOXELS) {
                return None;
            }
            let c = index[a].clamp(1.0, last);
            let whole = c.floor().min(last - 1.0);
            first[a] = whole as usize - 1;
            weights[a] = cubic(c - whole);
        }
        Some(self.sums(first, &weights))
    }

    fn sums(&self, first: [usize; 3], [wz, wy, wx]: &[[f64; TAPS]; 3]) -> [f64; 3] {
        let [nz, ny, nx] = self.shape.map(|n| n as usize);
        let mut sums = [0.0; 3];
        for (component, sum) in sums.iter_mut().enumerate() {
            for (z, wz) in wz.iter().enumerate() {
                let mut plane = 0.0;
                for (y, wy) in wy.iter().enumerate() {
                    let start = ((component * nz + first[0] + z) * ny + first[1] + y) * nx + first[2];
                    let row = &self.coefficients[start..start + TAPS];
                    plane += wy * (wx[0] * row[0] + wx[1] * row[1] + wx[2] * row[2] + wx[3] * row[3]);
                }
                *sum += wz * plane;
            }
        }
        sums
    }
}

/// The weights of the four coefficients around a point that is `t` behind the second.
fn cubic(t: f64) -> [f64; TAPS] {
    let (rest, square, cube) = (1.0 - t, t * t, t * t * t);
    [
        rest * rest * rest / 6.0,
        (4.0 - 6.0 * square + 3.0 * cube) / 6.0,
        (1.0 + 3.0 * t + 3.0 * square - 3.0 * cube) / 6.0,
        cube / 6.0,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Coefficients that are linear in the index, which a spline reproduces.
    fn linear() -> Spline {
        let shape = [5, 6, 7];
        let value = |c: usize, [z, y, x]: [f64; 3]| [x + 2.0 * y, z - y, 1.0 + x * 0.5][c];
        let coefficients = (0..3)
            .flat_map(|c| Region::of_shape(shape).tiles([1; 3]).map(move |voxel| value(c, voxel.lo.map(|i| i as f64))));
        Spline::new(shape, coefficients.collect()).unwrap()
    }

    #[test]
    fn linear_coefficients_make_a_linear_field() {
        let spline = linear();
        for [z, y, x] in [[1.0, 1.0, 1.0], [1.5, 2.25, 3.9], [2.999, 3.999, 4.999], [3.0, 4.0, 5.0]] {
            let found = spline.at([z, y, x]).unwrap();
            let expected = [x + 2.0 * y, z - y, 1.0 + x * 0.5];
            assert!((0..3).all(|c| (found[c] - expected[c]).abs() < 1e-12), "{found:?} is not {expected:?}");
        }
        for outside in [[0.999, 2.0, 2.0], [3.001, 2.0, 2.0], [2.0, 2.0, 5.001], [f64::NAN, 2.0, 2.0]] {
            assert_eq!(spline.at(outside), None);
        }
    }

    #[test]
    fn what_is_no_grid_of_coefficients_is_none() {
        assert!(Spline::new([4; 3], vec![0.0; 191]).is_none());
        assert!(Spline::new([3, 4, 4], vec![0.0; 144]).is_none());
        assert!(Spline::new([u64::MAX; 3], Vec::new()).is_none());
    }

    #[test]
    fn ranges_hold_every_value() {
        let spline = linear();
        for z in 0..40 {
            let at = [1.0 + f64::from(z) / 20.0, 1.3 + f64::from(z) / 30.0, 1.0 + f64::from(z) / 11.0];
            let (value, known) = (spline.at(at).unwrap(), spline.ranges().within(at.map(|c| [c - 1.0, c + 1.0])));
            assert!((0..3).all(|c| known[c][0] <= value[c] && value[c] <= known[c][1]));
        }
    }
}
