//! Tables of taps against their definitions.

use super::*;
use crate::resample::KernelShape;

fn map(scale: f64, offset: f64) -> AxisMap {
    AxisMap { source_axis: 0, scale, offset }
}

const LINEAR: Kernel = Kernel { shape: KernelShape::Linear, stretch: 1.0 };
const CUBIC: Kernel = Kernel { shape: KernelShape::CatmullRom, stretch: 1.0 };

#[test]
fn a_gaussian_that_reaches_far_is_made_within_the_source() {
    let far = Kernel { shape: KernelShape::Gaussian { sigma: 2.0 }, stretch: 20_000.0 };
    assert!(is_cut_at_bounds(&far) && most_of_kernel(&far, &(0..300)) == 300.0);
    let table = TapTable::<f64>::new(&map(20_000.0, 149.5), 1, 0..300, &far, false);
    let (first, weights) = far.taps(149.5);
    let (_, expected) = existing_taps(first, &weights, &(0..300));
    let (first, found) = table.at(0);
    assert_eq!((first, found.len()), (0, 300));
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{found:?}");
}

#[test]
fn whole_indices_are_single_taps() {
    let table = TapTable::<f32>::new(&map(2.0, 1.0), 5, 0..11, &CUBIC, false);
    assert_eq!(table.inside(), 0..5);
    for i in 0..5 {
        assert_eq!(table.at(i), (2 * i + 1, &[1.0f32][..]));
    }
    assert!(table.selects());
    assert_eq!(table.source(1..3), 3..6);
}

#[test]
fn taps_beyond_the_border_repeat_the_edge_voxel() {
    let table = TapTable::<f64>::new(&map(0.5, -0.5), 12, 0..5, &LINEAR, false);
    assert_eq!(table.inside(), 0..10);
    assert_eq!(table.at(0), (0, &[1.0][..]));
    assert_eq!(table.at(2), (0, &[0.5, 0.5][..]));
    assert_eq!(table.at(9), (4, &[1.0][..]));
}

#[test]
fn long_ranges_have_the_hull_of_their_indices() {
    let kernel = Kernel { shape: KernelShape::Lanczos { lobes: 3 }, stretch: 1.0 };
    for scale in [0.37, -1.0, 2.5] {
        let offset = if scale < 0.0 { 900.0 } else { -3.0 };
        let table = TapTable::<f32>::new(&map(scale, offset), 700, 0..901, &kernel, false);
        for (lo, hi) in [(0, 700), (5, 69), (64, 128), (63, 193), (100, 101), (690, 700), (-9, 1000)] {
            let one_by_one = (lo..hi).map(|i| table.source(i..i + 1)).fold(0..0, join);
            assert_eq!(table.source(lo..hi), one_by_one, "{scale} {lo}..{hi}");
        }
    }
}

#[test]
fn outside_has_no_taps_unless_extended() {
    let outside = TapTable::<f64>::new(&map(1.0, 100.0), 4, 0..5, &CUBIC, false);
    assert!(outside.inside().is_empty() && outside.source(0..4).is_empty());
    let extended = TapTable::<f64>::new(&map(1e9, -1e12), 4, 0..5, &CUBIC, true);
    assert_eq!(extended.inside(), 0..4);
    assert_eq!(extended.at(3), (0, &[1.0][..]));
}

#[test]
fn a_flip_reads_backwards() {
    let table = TapTable::<f64>::new(&map(-1.0, 4.0), 7, 0..5, &LINEAR, false);
    assert_eq!(table.inside(), 0..5);
    assert_eq!((table.at(0).0, table.at(4).0), (4, 0));
}

#[test]
fn the_half_integer_rule_decides_the_border() {
    let table = TapTable::<f64>::new(&map(1.0, -0.5 - 5e-7), 6, 0..5, &LINEAR, false);
    assert_eq!(table.inside(), 0..5);
    let table = TapTable::<f64>::new(&map(1.0, -0.5 - 5e-6), 6, 0..5, &LINEAR, false);
    assert_eq!(table.inside(), 1..6);
}

#[test]
fn beyond_the_border_an_extended_spline_is_the_edge_voxel() {
    for order in 2..=5 {
        let kernel = Kernel { shape: KernelShape::BSpline { order }, stretch: 1.0 };
        for (offset, edge) in [(-0.7, 2), (-40.3, 2), (6.5, 6), (1e9, 6)] {
            let table = TapTable::<f64>::new(&map(1.0, offset), 1, 2..7, &kernel, true);
            assert_eq!(table.at(0), (edge, &[1.0][..]), "order {order} at {offset}");
        }
    }
}

#[test]
fn overlaps_are_parts_of_what_exists() {
    let covering = |scale, offset, extend| TapTable::<f64>::covering(&map(scale, offset), 3, 0..6, 1e-6, extend);
    let table = covering(2.0, 0.5, false);
    assert_eq!((table.at(0), table.at(1)), ((0, &[0.5, 0.5][..]), (2, &[0.5, 0.5][..])));
    assert_eq!(covering(2.0, 0.0, false).at(0), (0, &[2.0 / 3.0, 1.0 / 3.0][..]));
    assert_eq!(covering(-4.0, 6.0, false).at(1), (0, &[0.125, 0.25, 0.25, 0.25, 0.125][..]));
    // A voxel touched by rounding alone, and boxes within one voxel.
    assert_eq!(covering(1.0, 1.0 + 1e-7, false).at(0), (1, &[1.0][..]));
    assert!(covering(0.25, 0.8, false).selects());
    // Out of reach, an extended edge.
    assert_eq!((covering(3.0, -90.0, true).at(0), covering(1e-9, 1e9, true).at(2)), ((0, &[1.0][..]), (5, &[1.0][..])));
}
