//! Which source indices count as inside, and how many target voxels do not.

use serde::Serialize;

use super::AxisMap;
use crate::region::{Region, in_file_order};

/// Distance, in voxels, within which a continuous index counts as the half-integer that it is next to.
pub const TIE_VOXELS: f64 = 1e-6;

/// `c`, or the half-integer k + 1/2 that it is within 1e-6 of. Monotone; NaN stays NaN.
#[inline]
pub fn settle(c: f64) -> f64 {
    let half = c.floor() + 0.5;
    if (c - half).abs() <= TIE_VOXELS { half } else { c }
}

/// Whether the continuous source index `c` lies in the voxels `lo..hi` of its axis: lo - 1/2 <= c < hi - 1/2, settled.
#[inline]
pub fn inside(c: f64, lo: i64, hi: i64) -> bool {
    // Without branches, for loops over many.
    !below(c, lo) & !beyond(c, hi) & !c.is_nan()
}

#[inline]
fn below(c: f64, lo: i64) -> bool {
    settle(c) < lo as f64 - 0.5
}

#[inline]
fn beyond(c: f64, hi: i64) -> bool {
    settle(c) >= hi as f64 - 0.5
}

/// Target voxels whose centre falls outside the source, by the face that they are beyond.
///
/// Source axes in storage order. A voxel outside on two axes is counted at both faces, but once in `outside`. Counts
/// saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FaceCounts {
    /// Beyond the first voxel of each source axis; told in file order.
    #[serde(serialize_with = "in_file_order")]
    pub low: [u64; 3],
    /// Beyond the last voxel of each source axis; told in file order.
    #[serde(serialize_with = "in_file_order")]
    pub high: [u64; 3],
    /// Target voxels outside on any axis.
    pub outside: u64,
}

/// Counts the target voxels outside `bounds` (source indices), face by face.
///
/// `mapping` and `target_shape` are by target axis, the faces by source axis. Takes a bisection per axis, whatever
/// the size of the grid: the source index, rounded and settled, is monotone in the target index.
pub fn outside_per_face(mapping: &[AxisMap; 3], target_shape: [u64; 3], bounds: Region) -> FaceCounts {
    let product = |counts: [u64; 3]| counts.into_iter().fold(1u64, u64::saturating_mul);
    let mut faces = FaceCounts::default();
    let mut inside = target_shape;
    for (t, axis) in mapping.iter().enumerate() {
        let s = axis.source_axis;
        let [low, high] = planes_of(axis, target_shape[t], bounds);
        inside[t] = target_shape[t].saturating_sub(low).saturating_sub(high);
        let across = |n: u64| product(std::array::from_fn(|a| if a == t { n } else { target_shape[a] }));
        faces.low[s] = across(low);
        faces.high[s] = across(high);
    }
    faces.outside = product(target_shape) - product(inside);
    faces
}

/// Planes of the target that lie outside `bounds` as a whole: how many at the beginning and at the end of each target axis.
pub fn planes_outside(mapping: &[AxisMap; 3], target_shape: [u64; 3], bounds: Region) -> [[u64; 2]; 3] {
    std::array::from_fn(|t| {
        let [low, high] = planes_of(&mapping[t], target_shape[t], bounds);
        if mapping[t].scale < 0.0 { [high, low] } else { [low, high] }
    })
}

/// Indices of one target axis that look below the first voxel of the source, and beyond its last.
fn planes_of(axis: &AxisMap, extent: u64, bounds: Region) -> [u64; 2] {
    let (lo, hi) = (bounds.lo[axis.source_axis], bounds.hi[axis.source_axis]);
    let low = count_where(axis, extent, axis.scale < 0.0, |c| below(c, lo));
    let high = count_where(axis, extent, axis.scale > 0.0, |c| beyond(c, hi));
    [low, high]
}

/// How many of the indices `0..extent` meet `test`, which holds on a run of them at the start, or at the end.
fn count_where(axis: &AxisMap, extent: u64, at_the_end: bool, test: impl Fn(f64) -> bool) -> u64 {
    let nth = |n: u64| if at_the_end { extent - 1 - n } else { n };
    let (mut met, mut not_met) = (0, extent);
    while met < not_met {
        let middle = met + (not_met - met) / 2;
        if test(axis.at(i64::try_from(nth(middle)).unwrap_or(i64::MAX))) {
            met = middle + 1;
        } else {
            not_met = middle;
        }
    }
    met
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn settling_moves_only_what_is_next_to_a_half() {
        assert_eq!(settle(-0.5 - 9e-7), -0.5);
        assert_eq!(settle(6.5 + 9e-7), 6.5);
        for c in [0.0, 3.0, 3.0 - 1e-7, 6.5 + 2e-6, -0.5 - 2e-6, 1e18, f64::INFINITY] {
            assert_eq!(settle(c), c);
        }
        assert!(settle(f64::NAN).is_nan());
    }

    #[test]
    fn the_low_face_is_inside_and_the_high_face_is_not() {
        assert!(inside(-0.5, 0, 7) && inside(-0.5 - 1e-7, 0, 7) && !inside(-0.5 - 1e-5, 0, 7));
        assert!(!inside(6.5, 0, 7) && !inside(6.5 - 1e-7, 0, 7) && inside(6.5 - 1e-5, 0, 7));
        assert!(inside(2.5, 3, 4) && inside(3.4, 3, 4) && !inside(3.5, 3, 4) && !inside(2.4, 3, 4));
        assert!(!inside(f64::NAN, 0, 7) && !inside(f64::INFINITY, 0, 7) && !inside(f64::NEG_INFINITY, 0, 7));
    }

    #[test]
    fn up_sampling_from_the_first_centre_leaves_the_far_end_outside() {
        // 4 voxels, step halved: source indices 0, .5 .. 3.5, and 3.5 is outside.
        let map = |source_axis| AxisMap { source_axis, scale: 0.5, offset: 0.0 };
        let faces = outside_per_face(&[map(1), map(0), map(2)], [8, 8, 8], Region::of_shape([4, 4, 5]));
        assert_eq!(faces, FaceCounts { low: [0; 3], high: [64, 64, 0], outside: 8 * (64 - 49) });
    }

    #[test]
    fn planes_are_counted_at_the_ends_of_the_target() {
        let map = |source_axis, scale, offset| AxisMap { source_axis, scale, offset };
        let maps = [map(1, 0.5, 0.0), map(0, -0.5, 3.0), map(2, 1.0, -2.0)];
        assert_eq!(planes_outside(&maps, [8, 8, 5], Region::of_shape([4, 4, 5])), [[0, 1], [0, 0], [2, 0]]);
        let flipped = [map(0, -1.0, 5.0), map(1, 1.0, 0.0), map(2, 1.0, 0.0)];
        assert_eq!(planes_outside(&flipped, [9, 4, 5], Region::of_shape([4, 4, 5])), [[2, 3], [0, 0], [0, 0]]);
    }

    #[test]
    fn enormous_axes_are_counted_at_once() {
        let map = |source_axis| AxisMap { source_axis, scale: 1.0, offset: -10.0 };
        let faces = outside_per_face(&[map(0), map(1), map(2)], [1 << 40, 1, 1], Region::new([0, -20, -20], [5, 0, 0]));
        assert_eq!((faces.low[0], faces.high[0], faces.outside), (10, (1 << 40) - 15, (1 << 40) - 5));
    }

    proptest! {
        #[test]
        fn agrees_with_looking_at_every_voxel(
            shape in prop::array::uniform3(0u64..12),
            scale in prop::array::uniform3(prop_oneof![-3.0..-0.1f64, 0.1..3.0f64, Just(0.5), Just(-1.0)]),
            offset in prop::array::uniform3(prop_oneof![-9.0..9.0f64, Just(-0.5), Just(4.5)]),
            turn in 0usize..3,
            lo in prop::array::uniform3(-3i64..3),
            size in prop::array::uniform3(1i64..9),
        ) {
            let maps: [AxisMap; 3] =
                std::array::from_fn(|t| AxisMap { source_axis: (t + turn) % 3, scale: scale[t], offset: offset[t] });
            let bounds = Region::new(lo, std::array::from_fn(|a| lo[a] + size[a]));
            let mut slow = FaceCounts::default();
            for voxel in Region::of_shape(shape).tiles([1, 1, 1]) {
                let mut out = false;
                for (t, map) in maps.iter().enumerate() {
                    let (s, c) = (map.source_axis, map.at(voxel.lo[t]));
                    slow.low[s] += u64::from(settle(c) < lo[s] as f64 - 0.5);
                    slow.high[s] += u64::from(settle(c) >= bounds.hi[s] as f64 - 0.5);
                    out |= !inside(c, lo[s], bounds.hi[s]);
                }
                slow.outside += u64::from(out);
            }
            prop_assert_eq!(outside_per_face(&maps, shape, bounds), slow);
        }
    }
}
