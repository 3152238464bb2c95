//! Methods over the voxels that a target voxel covers: means, modes, extremes and medians.

use reslice::{
    region::Region,
    resample::{Area, Method, OpRequest},
    voxel::{Rounding, Voxel},
};

use super::compare_voxels;
use crate::kit::{
    apply::whole,
    cases::{self, Case},
    rng::Rng,
    volumes::{count, random_voxels},
};

fn down(cover: Area, shape: [u64; 3], ratio: [f64; 3], shift: f64) -> Case {
    cases::resized(Method::Area(cover), shape, [0, 1, 2], ratio, shift)
}

/// A NaN reaches every target voxel that covers it and no other; only the mode may outvote it.
#[test]
fn nan_is_covered_or_it_is_not() {
    let mut rng = Rng::new("covered nan");
    for cover in Area::ALL {
        for _ in 0..8 {
            let case = cases::random(Method::Area(cover), &mut rng);
            let values = random_voxels::<f32>(3, &mut rng);
            let voxel = |rng: &mut Rng| if rng.below(9) == 0 { f32::NAN } else { *rng.one_of(&values) };
            let source: Vec<f32> = (0..count(case.source_shape)).map(|_| voxel(&mut rng)).collect();
            compare_voxels(&case, &source);
        }
    }
}

/// Target voxels that cover whole source voxels: what can be counted by hand.
#[test]
fn boxes_of_two_by_two_by_two() {
    let shape = [2, 2, 4];
    let source: Vec<u8> = vec![1, 9, 4, 4, 1, 7, 4, 4, 2, 3, 4, 5, 2, 8, 6, 5];
    let made = |cover, rounding| {
        let case = down(cover, shape, [2.0; 3], 0.5);
        whole(&OpRequest { rounding, ..case.request }, &source, shape)
    };
    // 33 / 8 and 36 / 8.
    assert_eq!(made(Area::Mean, Rounding::Nearest), [4, 5]);
    assert_eq!(made(Area::Mean, Rounding::Truncate), [4, 4]);
    assert_eq!(made(Area::Mode, Rounding::Nearest), [1, 4]);
    assert_eq!(made(Area::Min, Rounding::Nearest), [1, 4]);
    assert_eq!(made(Area::Max, Rounding::Nearest), [9, 6]);
    // The middle ones are 2 and 3, and 4 and 4.
    assert_eq!(made(Area::Median, Rounding::Nearest), [3, 4]);
    assert_eq!(made(Area::Median, Rounding::Truncate), [2, 4]);
}

/// The part of a box that is beyond the border does not count.
#[test]
fn boxes_over_the_border_count_what_exists() {
    let case = down(Area::Mean, [1, 1, 3], [1.0, 1.0, 3.0], 0.0);
    // Centres at 0, 0 and 0; the box reaches from -1.5 to 1.5.
    assert_eq!(whole(&case.request, &[2.0f64, 8.0, 100.0], [1, 1, 3]), [5.0]);
    let case = down(Area::Mode, [1, 1, 3], [1.0, 1.0, 3.0], 0.0);
    assert_eq!(whole(&case.request, &[8u64, 2, 2], [1, 1, 3]), [2]);
}

/// A mean of what is covered keeps the sum of the volume where target voxels tile the source.
#[test]
fn means_keep_the_sum() {
    let mut rng = Rng::new("sums");
    let shape = [12, 10, 18];
    let source = random_voxels::<f64>(count(shape), &mut rng);
    for target in [[5u64, 7, 4], [12, 3, 25], [1, 1, 1]] {
        let ratio: [f64; 3] = std::array::from_fn(|a| shape[a] as f64 / target[a] as f64);
        let mut case = down(Area::Mean, shape, ratio, 0.0);
        let mut maps = crate::kit::reference::maps(&case.request);
        (0..3).for_each(|a| maps[a].offset = (ratio[a] - 1.0) / 2.0);
        case.request.mapping = reslice::geometry::Mapping::AxisAligned(maps);
        case.request.target_shape = target;
        let sum = whole(&case.request, &source, shape).iter().sum::<f64>() * ratio.iter().product::<f64>();
        let expected = source.iter().sum::<f64>();
        assert!((sum - expected).abs() < 1e-9 * 1000.0 * source.len() as f64, "{sum} instead of {expected}");
    }
}

/// What is chosen, and not computed, is one of the covered voxels, also where f64 cannot tell them apart.
#[test]
fn labels_and_extremes_of_64_bits_are_exact() {
    let mut rng = Rng::new("wide labels");
    for cover in [Area::Mode, Area::Min, Area::Max] {
        let case = down(cover, [7, 11, 13], [2.2, 1.7, 3.1], 0.3);
        let labels = [u64::MAX, u64::MAX - 1, u64::MAX - 2, (1 << 60) + 1];
        let source: Vec<u64> = (0..count(case.source_shape)).map(|_| *rng.one_of(&labels)).collect();
        let got = whole(&case.request, &source, case.source_shape);
        // The same labels by small names, in the same order.
        let small: Vec<u8> = source.iter().map(|label| name(&labels, *label)).collect();
        let expected = whole(&case.request, &small, case.source_shape);
        let outside =
            Region::of_shape(case.request.target_shape).voxels() as usize - got.iter().filter(|v| **v != 0).count();
        assert!(outside < got.len());
        assert_eq!(got.iter().map(|label| name(&labels, *label)).collect::<Vec<u8>>(), expected, "{case:?}");
    }
}

/// Small numbers in the same order; 0 stays.
fn name<T: Voxel>(labels: &[T; 4], label: T) -> u8 {
    labels.iter().position(|other| *other == label).map_or(0, |n| 4 - n as u8)
}
