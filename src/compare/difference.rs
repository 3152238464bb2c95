//! Sums of differences, with the same result for any number of threads.

use rayon::prelude::*;
use serde::Serialize;

use crate::{
    geometry::Grid,
    region::Region,
    voxel::{Dtype, Voxel},
};

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
    /// Mean of |A - B|.
    pub mean_difference: f64,
    /// Mean of B - A: which of the two is brighter.
    pub mean_signed_difference: f64,
    pub root_mean_square: f64,
    /// Least and greatest finite value of A.
    pub range_a: Option<(f64, f64)>,
    /// Of the range of A over the root mean square, in decibel; nothing where they are equal, or A is constant.
    pub psnr_db: Option<f64>,
    /// Where they are farthest apart; nothing where no numbers differ.
    pub largest: Option<Largest>,
}

/// The sample whose values are farthest apart; of equal ones the first, by volume, component, and storage order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Largest {
    /// Number of the volume among all volumes, from 0.
    pub volume: u64,
    pub component: u64,
    /// The voxel's index in A: i, j, k.
    pub index: [u64; 3],
    /// The same place in the world of A: x, y, z.
    pub position: [f64; 3],
    pub a: f64,
    pub b: f64,
}

/// A sample by volume, component, z, y and x: in the order in which samples are stored.
type Place = [u64; 5];

/// Running sums.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tally {
    compared: u64,
    different: u64,
    beyond: u64,
    nan_in_one: u64,
    nan_in_both: u64,
    sum: f64,
    signed_sum: f64,
    squares: f64,
    /// |a - b| of the sample that is farthest apart, its place, and both values.
    largest: Option<(f64, Place, [f64; 2])>,
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
            sum: 0.0,
            signed_sum: 0.0,
            squares: 0.0,
            largest: None,
            least: f64::INFINITY,
            greatest: f64::NEG_INFINITY,
        }
    }
}

impl Tally {
    /// The sums over a region of a volume, `[component][z][y][x]`, on the current pool.
    pub fn of<T: Voxel>(a: &[T], b: &[T], (volume, region): (u64, Region), tolerance: f64) -> Tally {
        let parts = a.par_chunks(PART).zip(b.par_chunks(PART)).enumerate();
        let parts: Vec<Tally> = parts.map(|(n, (a, b))| Tally::part(a, b, (n * PART) as u64, tolerance)).collect();
        let mut tally = parts.into_iter().fold(Tally::default(), Tally::and);
        if let Some((_, place, _)) = &mut tally.largest {
            *place = placed(volume, region, place[4]);
        }
        tally
    }

    /// The largest difference has its offset for a place.
    fn part<T: Voxel>(a: &[T], b: &[T], begin: u64, tolerance: f64) -> Tally {
        let mut tally = Tally { compared: a.len() as u64, ..Tally::default() };
        for (offset, (&a, &b)) in (begin..).zip(a.iter().zip(b)) {
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
                    tally.sum += apart;
                    tally.signed_sum += if b.to_f64() < real { -apart } else { apart };
                    tally.squares += apart * apart;
                    if tally.largest.is_none_or(|(largest, ..)| apart > largest) {
                        tally.largest = Some((apart, [0, 0, 0, 0, offset], [real, b.to_f64()]));
                    }
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
            sum: self.sum + other.sum,
            signed_sum: self.signed_sum + other.signed_sum,
            largest: farther(self.largest, other.largest),
            squares: self.squares + other.squares,
            least: self.least.min(other.least),
            greatest: self.greatest.max(other.greatest),
        }
    }

    /// What the sums say, of volumes that stand in the world as A's grid says.
    pub fn differences(&self, grid: &Grid) -> Differences {
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
            max_difference: self.largest.map_or(0.0, |(apart, ..)| apart),
            mean_difference: self.sum / numbers,
            mean_signed_difference: self.signed_sum / numbers,
            root_mean_square,
            range_a,
            psnr_db: psnr_db.is_finite().then_some(psnr_db),
            largest: self.largest.map(|(_, [volume, component, k, j, i], [a, b])| {
                let position = grid.index_to_world.apply([k, j, i].map(|n| n as f64));
                Largest { volume, component, index: [i, j, k], position, a, b }
            }),
        }
    }
}

/// The place of a sample of a region, by its offset among the region's samples.
fn placed(volume: u64, region: Region, offset: u64) -> Place {
    let [nz, ny, nx] = region.shape().map(|extent| extent as u64);
    let local = [offset / nx / ny % nz, offset / nx % ny, offset % nx];
    let [z, y, x] = std::array::from_fn(|axis| region.lo[axis] as u64 + local[axis]);
    [volume, offset / nx / ny / nz, z, y, x]
}

/// The larger difference; of equal ones the first.
fn farther<V: Copy>(one: Option<(f64, Place, V)>, other: Option<(f64, Place, V)>) -> Option<(f64, Place, V)> {
    let (Some(a), Some(b)) = (one, other) else { return one.or(other) };
    Some(if b.0 > a.0 || b.0 == a.0 && b.1 < a.1 { b } else { a })
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
    use crate::geometry::{Affine, Unit};

    fn row(lo: i64, len: usize) -> Region {
        Region::new([0, 0, lo], [1, 1, lo + len as i64])
    }

    fn grid() -> Grid {
        Grid::new(
            [4, 4, 4],
            Affine::from_columns([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [2.0, 0.0, 0.0]], [0.0; 3]),
            Unit::Millimetre,
        )
    }

    fn compared<T: Voxel>(a: &[T], b: &[T], tolerance: f64) -> Differences {
        Tally::of(a, b, (0, row(0, a.len())), tolerance).differences(&grid())
    }

    #[test]
    fn nan_equals_nan_and_nothing_else() {
        let found = compared(&[f64::NAN, f64::NAN, 1.0, 2.0], &[f64::NAN, 0.0, f64::NAN, 2.5], 1.0);
        assert_eq!((found.compared, found.different, found.beyond), (4, 3, 2));
        assert_eq!((found.nan_in_one, found.nan_in_both), (2, 1));
        assert_eq!((found.max_difference, found.mean_difference, found.range_a), (0.5, 0.5, Some((1.0, 2.0))));
    }

    #[test]
    fn large_labels_are_told_apart() {
        let found = compared(&[u64::MAX, 1 << 60], &[u64::MAX - 1, 1 << 60], 0.0);
        assert_eq!((found.different, found.beyond, found.max_difference), (1, 1, 1.0));
        assert_eq!(compared(&[i64::MIN], &[i64::MAX], 0.0).max_difference, 2f64.powi(64));
    }

    #[test]
    fn sums_do_not_depend_on_threads() {
        let a: Vec<f32> = (0..3 * PART + 17).map(|n| (n as f32 * 0.37).sin()).collect();
        let b: Vec<f32> = a.iter().map(|x| x * 1.001 + 0.01).collect();
        let with = |threads| {
            let pool = crate::sys::pool(threads).unwrap();
            pool.install(|| compared(&a, &b, 0.0))
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn psnr_is_of_the_range_of_a() {
        let found = compared(&[0u8, 100], &[1, 101], 0.0);
        assert_eq!((found.root_mean_square, found.psnr_db), (1.0, Some(40.0)));
        assert_eq!(compared(&[0u8, 100], &[0, 100], 0.0).psnr_db, None);
        assert_eq!(compared::<u8>(&[], &[], 0.0).range_a, None);
    }

    #[test]
    fn the_largest_difference_is_named_with_its_place_whatever_the_boxes() {
        let a = [0u8, 5, 0, 0, 7, 0, 0, 0];
        let b = [0u8, 0, 0, 0, 12, 0, 0, 4];
        let found = |boxes: &[std::ops::Range<usize>]| {
            let part = |at: &std::ops::Range<usize>| {
                Tally::of(&a[at.clone()], &b[at.clone()], (3, row(at.start as i64, at.len())), 0.0)
            };
            boxes.iter().map(part).fold(Tally::default(), Tally::and).differences(&grid())
        };
        let whole = found(&[0..4, 4..8]);
        assert_eq!(found(&[3..8, 0..3]).largest, whole.largest, "the first of equal ones");
        let largest = whole.largest.unwrap();
        assert_eq!((largest.volume, largest.index, largest.position), (3, [1, 0, 0], [2.0, 0.0, 0.0]));
        assert_eq!((largest.a, largest.b), (5.0, 0.0));
        assert_eq!((whole.mean_difference, whole.mean_signed_difference), (14.0 / 8.0, 4.0 / 8.0));
    }

    #[test]
    fn an_offset_is_a_place_of_its_region() {
        let region = Region::new([5, 6, 7], [7, 9, 11]);
        assert_eq!(placed(2, region, 0), [2, 0, 5, 6, 7]);
        assert_eq!(placed(2, region, 24 + 12 + 4 + 1), [2, 1, 6, 7, 8]);
    }
}
