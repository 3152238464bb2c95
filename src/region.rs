//! Half-open integer boxes in storage order (slowest axis first) and their algebra.

use std::fmt;

use serde::{Serialize, Serializer};

mod boxes;

pub use boxes::Boxes;

/// Serializes a triple of storage order as (x, y, z): what is told to people and machines has one order of axes.
pub fn in_file_order<N: Copy + Serialize, S: Serializer>(triple: &[N; 3], to: S) -> Result<S::Ok, S::Error> {
    let [z, y, x] = *triple;
    [x, y, z].serialize(to)
}

/// The voxels `lo[a] <= index[a] < hi[a]`, axes in storage order, slowest first.
///
/// Empty when `hi[a] <= lo[a]` on any axis. Indices are signed, so that a region may reach outside its grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Region {
    pub lo: [i64; 3],
    pub hi: [i64; 3],
}

impl Region {
    /// A region without voxels.
    pub const EMPTY: Region = Region { lo: [0; 3], hi: [0; 3] };

    /// From corner `lo` up to, but without, corner `hi`.
    pub fn new(lo: [i64; 3], hi: [i64; 3]) -> Region {
        Region { lo, hi }
    }

    /// All voxels of a grid of this shape.
    pub fn of_shape(shape: [u64; 3]) -> Region {
        Region { lo: [0; 3], hi: shape.map(|n| i64::try_from(n).unwrap_or(i64::MAX)) }
    }

    /// Extent along each axis; 0 where empty.
    pub fn shape(&self) -> [usize; 3] {
        std::array::from_fn(|a| usize::try_from(self.hi[a].saturating_sub(self.lo[a])).unwrap_or(0))
    }

    /// Number of voxels, saturating.
    pub fn voxels(&self) -> u64 {
        if self.is_empty() {
            return 0;
        }
        self.shape().iter().fold(1u64, |n, &extent| n.saturating_mul(extent as u64))
    }

    /// Whether it holds no index.
    pub fn is_empty(&self) -> bool {
        (0..3).any(|a| self.hi[a] <= self.lo[a])
    }

    /// What both hold; empty where they do not meet.
    pub fn intersect(&self, other: &Region) -> Region {
        let lo = std::array::from_fn(|a| self.lo[a].max(other.lo[a]));
        let hi = std::array::from_fn(|a| self.hi[a].min(other.hi[a]));
        let both = Region { lo, hi };
        if both.is_empty() { Region::EMPTY } else { both }
    }

    /// The smallest region that holds both; an empty one adds nothing.
    pub fn hull(&self, other: &Region) -> Region {
        if self.is_empty() {
            return *other;
        }
        if other.is_empty() {
            return *self;
        }
        Region {
            lo: std::array::from_fn(|a| self.lo[a].min(other.lo[a])),
            hi: std::array::from_fn(|a| self.hi[a].max(other.hi[a])),
        }
    }

    /// Whether it holds all of `other`.
    pub fn contains(&self, other: &Region) -> bool {
        other.is_empty() || (0..3).all(|a| self.lo[a] <= other.lo[a] && other.hi[a] <= self.hi[a])
    }

    /// The coarser region whose voxels span `factors` of this one's: corners divided, the upper one rounded up.
    pub fn divided(&self, factors: [u64; 3]) -> Region {
        let factor = |a: usize| i64::try_from(factors[a].max(1)).unwrap_or(i64::MAX);
        let up = |n: i64, factor: i64| n.div_euclid(factor) + i64::from(n.rem_euclid(factor) > 0);
        Region {
            lo: std::array::from_fn(|a| self.lo[a].div_euclid(factor(a))),
            hi: std::array::from_fn(|a| up(self.hi[a], factor(a))),
        }
    }

    /// The parts of `self` cut by a raster of `step`-sized boxes that starts at `self.lo`, in C order.
    pub fn tiles(&self, step: [usize; 3]) -> impl Iterator<Item = Region> + use<> {
        let whole = *self;
        let counts: [usize; 3] = if whole.is_empty() {
            [0; 3]
        } else {
            let shape = whole.shape();
            std::array::from_fn(|a| shape[a].div_ceil(step[a].max(1)))
        };
        let total = counts.iter().product::<usize>();
        (0..total).map(move |n| {
            let at = [n / (counts[1] * counts[2]), n / counts[2] % counts[1], n % counts[2]];
            let lo: [i64; 3] = std::array::from_fn(|a| whole.lo[a] + (at[a] * step[a].max(1)) as i64);
            let hi = std::array::from_fn(|a| (lo[a] + step[a].max(1) as i64).min(whole.hi[a]));
            Region { lo, hi }
        })
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [z, y, x] = std::array::from_fn(|a| format!("{}..{}", self.lo[a], self.hi[a]));
        write!(f, "[{z}, {y}, {x}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intersection_and_hull_respect_emptiness() {
        let a = Region::new([0, 0, 0], [4, 5, 6]);
        let b = Region::new([3, 4, 5], [9, 9, 9]);
        let apart = Region::new([4, 0, 0], [5, 5, 6]);
        assert_eq!(a.intersect(&b), Region::new([3, 4, 5], [4, 5, 6]));
        assert!(a.intersect(&apart).is_empty());
        assert_eq!(a.hull(&Region::EMPTY), a);
        assert_eq!(Region::EMPTY.hull(&b), b);
        assert!(a.hull(&b).contains(&a) && a.hull(&b).contains(&b));
    }

    #[test]
    fn tiles_cover_every_voxel_once_in_c_order() {
        let whole = Region::new([-3, 2, 7], [4, 13, 8]);
        let tiles: Vec<Region> = whole.tiles([3, 4, 5]).collect();
        assert_eq!(tiles.iter().map(Region::voxels).sum::<u64>(), whole.voxels());
        for (n, a) in tiles.iter().enumerate() {
            assert!(whole.contains(a) && !a.is_empty());
            for b in &tiles[n + 1..] {
                assert!(a.intersect(b).is_empty());
                assert!(a.lo < b.lo);
            }
        }
        assert_eq!(Region::EMPTY.tiles([1, 1, 1]).count(), 0);
    }

    #[test]
    fn regression_the_largest_corner_is_divided() {
        let region = Region::new([-5, 0, i64::MIN], [-1, 7, i64::MAX]);
        assert_eq!(region.divided([4, 7, 2]), Region::new([-2, 0, i64::MIN / 2], [0, 1, i64::MAX / 2 + 1]));
        assert_eq!(region.divided([1; 3]), region);
    }

    #[test]
    fn voxel_counts_saturate() {
        let huge = Region::new([0; 3], [i64::MAX; 3]);
        assert_eq!(huge.voxels(), u64::MAX);
    }
}
