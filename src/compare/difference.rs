//! Sums of differences, with the same result for any number of threads.

use rayon::prelude::*;
use serde::Serialize;

use crate::voxel::{Dtype, Voxel};

/// Samples that are summed by one task: the split is fixed, and parts are added in order.
const PART: usize = 32 << 10;

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Differences {
    /// Samples compared: voxels of all volumes, times components.
    pub compared: u64,
    /// Those that differ at all.
    pub different: u64,
    /// Those that differ by more than the tolerance, NaNs against numbers included.
    pub beyond: u64,
    /// Those of which one is NaN and the other is not; a NaN equals a NaN.
    pub nan_in_one: u64,
    pub nan_in_both: u64,
    /// Over samples without NaN.
    pub max_difference: f64,
    pub mean_difference: f64,
    pub root_mean_square: f64,
    /// Least and greatest finite value of A.
    pub range_a: Option<(f64, f64)>,
    /// Of the range of A over the root mean square, in decibel; nothing where they are equal, or A is constant.
    pub psnr_db: Option<f64>,
}

/// Running sums.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tally {
    compared: u64,
    different: u64,
    beyond: u64,
    nan_in_one: u64,
    nan_in_both: u64,
    max: f64,
    sum: f64,
    squares: f64,
    least: f64,
    greatest: f64,
}

impl Default for Tally {
    fn default() -> Self {
        Tally {
            compared: 0,
            different: 0,
            beyond: 0,
            nan_in_one: 0,
            nan_in_both: 0,
            max: 0.0,
            sum: 0.0,
            squares: 0.0,
            least: f64::INFINITY,
            greatest: f64::NEG_INFINITY,
        }
    }
}

impl Tally {
    /// The sums over two runs of samples of the same length, on the current pool.
    pub fn of<T: Voxel>(a: &[T], b: &[T], tolerance: f64) -> Tally {
        let parts: Vec<Tally> =
            a.par_chunks(PART).zip(b.par_chunks(PART)).map(|(a, b)| Tally::part(a, b, tolerance)).collect();
        parts.into_iter().fold(Tally::default(), Tally::and)
    }

    fn part<T: Voxel>(a: &[T], b: &[T], tolerance: f64) -> Tally {
        let mut tally = Tally { compared: a.len() as u64, ..Tally::default() };
        for (&a, &b) in a.iter().zip(b) {
            let real = a.to_f64();
            if real.is_finite() {
                tally.least = tally.least.min(real);
                tally.greatest = tally.greatest.max(real);
            }
            if a == b {
                continue;
            }
            match (real.is_nan(), b.to_f64().is_nan()) {
                (true, true) => tally.nan_in_both += 1,
                (false, false) => {
                    let apart = apart(a, b);
                    tally.different += 1;
                    tally.beyond += u64::from(apart > tolerance);
                    tally.max = tally.max.max(apart);
                    tally.sum += apart;
                    tally.squares += apart * apart;
                }
                _ => {
                    tally.different += 1;
                    tally.beyond += 1;
                    tally.nan_in_one += 1;
                }
            }
        }
        tally
    }

    /// Both sums; sums of runs are added in the order of the walk.
    pub fn and(self, other: Tally) -> Tally {
        Tally {
            compared: self.compared + other.compared,
            different: self.different + other.different,
            beyond: self.beyond + other.beyond,
            nan_in_one: self.nan_in_one + other.nan_in_one,
            nan_in_both: self.nan_in_both + other.nan_in_both,
            max: self.max.max(other.max),
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
            least: self.least.min(other.least),
            greatest: self.greatest.max(other.greatest),
        }
    }

    /// What the sums say so far.
    pub fn differences(&self) -> Differences {
        let numbers = (self.compared - self.nan_in_one - self.nan_in_both).max(1) as f64;
        let root_mean_square = (self.squares / numbers).sqrt();
        let range_a = (self.least <= self.greatest).then_some((self.least, self.greatest));
        let peak = range_a.map_or(0.0, |(least, greatest)| greatest - least);
        let psnr_db = 20.0 * libm::log10(peak / root_mean_square);
        Differences {
            compared: self.compared,
            different: self.different,
            beyond: self.beyond,
            nan_in_one: self.nan_in_one,
            nan_in_both: self.nan_in_both,
            max_difference: self.max,
            mean_difference: self.sum / numbers,
            root_mean_square,
            range_a,
            psnr_db: psnr_db.is_finite().then_some(psnr_db),
        }
    }
}

/// |a - b|; of 64-bit integers exact before it is rounded.
fn apart<T: Voxel>(a: T, b: T) -> f64 {
    let whole = |voxel: T| match T::DTYPE {
        Dtype::U64 => i128::from(bytemuck::cast::<T, u64>(voxel)),
        _ => i128::from(bytemuck::cast::<T, i64>(voxel)),
    };
    match T::DTYPE {
        Dtype::U64 | Dtype::I64 => (whole(a) - whole(b)).unsigned_abs() as f64,
        _ => (a.to_f64() - b.to_f64()).abs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_equals_nan_and_nothing_else() {
        let found = Tally::of(&[f64::NAN, f64::NAN, 1.0, 2.0], &[f64::NAN, 0.0, f64::NAN, 2.5], 1.0).differences();
        assert_eq!((found.compared, found.different, found.beyond), (4, 3, 2));
        assert_eq!((found.nan_in_one, found.nan_in_both), (2, 1));
        assert_eq!((found.max_difference, found.mean_difference, found.range_a), (0.5, 0.5, Some((1.0, 2.0))));
    }

    #[test]
    fn large_labels_are_told_apart() {
        let found = Tally::of(&[u64::MAX, 1 << 60], &[u64::MAX - 1, 1 << 60], 0.0).differences();
        assert_eq!((found.different, found.beyond, found.max_difference), (1, 1, 1.0));
        assert_eq!(Tally::of(&[i64::MIN], &[i64::MAX], 0.0).differences().max_difference, 2f64.powi(64));
    }

    #[test]
    fn sums_do_not_depend_on_threads() {
        let a: Vec<f32> = (0..3 * PART + 17).map(|n| (n as f32 * 0.37).sin()).collect();
        let b: Vec<f32> = a.iter().map(|x| x * 1.001 + 0.01).collect();
        let with = |threads| {
            let pool = crate::sys::pool(threads).unwrap();
            pool.install(|| Tally::of(&a, &b, 0.0))
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn psnr_is_of_the_range_of_a() {
        let found = Tally::of(&[0u8, 100], &[1, 101], 0.0).differences();
        assert_eq!((found.root_mean_square, found.psnr_db), (1.0, Some(40.0)));
        assert_eq!(Tally::of(&[0u8, 100], &[0, 100], 0.0).differences().psnr_db, None);
        assert_eq!(Tally::of::<u8>(&[], &[], 0.0).differences().range_a, None);
    }
}
