//! The smallest and the largest of samples, NaN if any of them is.

use multiversion::multiversion;

use crate::{resample::order::is_nan, voxel::Voxel};

/// Which end of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extreme {
    Min,
    Max,
}

impl Extreme {
    /// `out[x]`, or `row[x]` where that is farther out.
    pub(crate) fn fold<T: Voxel>(self, row: &[T], out: &mut [T]) {
        match self {
            Extreme::Min => fold_min(row, out),
            Extreme::Max => fold_max(row, out),
        }
    }

    /// Of all samples, which are not none.
    pub(crate) fn of<T: Voxel>(self, samples: &[T]) -> T {
        let pick = match self {
            Extreme::Min => min,
            Extreme::Max => max,
        };
        samples.iter().copied().reduce(pick).unwrap_or_default()
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn fold_min<T: Voxel>(row: &[T], out: &mut [T]) {
    for (o, &v) in out.iter_mut().zip(row) {
        *o = min(*o, v);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn fold_max<T: Voxel>(row: &[T], out: &mut [T]) {
    for (o, &v) in out.iter_mut().zip(row) {
        *o = max(*o, v);
    }
}

#[inline(always)]
fn min<T: Voxel>(a: T, b: T) -> T {
    if b < a || is_nan(b) { b } else { a }
}

#[inline(always)]
fn max<T: Voxel>(a: T, b: T) -> T {
    if b > a || is_nan(b) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_is_both_the_smallest_and_the_largest() {
        for extreme in [Extreme::Min, Extreme::Max] {
            for samples in [[f32::NAN, 1.0, 2.0], [1.0, f32::NAN, 2.0], [2.0, 1.0, f32::NAN]] {
                assert!(extreme.of(&samples).is_nan());
            }
            let mut folded = [f64::NAN, 1.0];
            extreme.fold(&[1.0, f64::NAN], &mut folded);
            assert!(folded.iter().all(|v| v.is_nan()));
        }
    }

    #[test]
    fn whole_numbers_of_64_bits_are_exact() {
        let samples = [u64::MAX - 1, u64::MAX, u64::MAX - 2];
        assert_eq!((Extreme::Min.of(&samples), Extreme::Max.of(&samples)), (u64::MAX - 2, u64::MAX));
        let mut folded = [i64::MIN + 1, i64::MAX];
        Extreme::Min.fold(&[i64::MIN, i64::MAX - 1], &mut folded);
        assert_eq!(folded, [i64::MIN, i64::MAX - 1]);
    }
}
