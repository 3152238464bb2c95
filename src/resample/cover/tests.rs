//! Modes and medians, by whatever way is taken, to the bits of what their definitions make of each box by itself.

use super::*;
use crate::{geometry::AxisMap, resample::TapTable};

/// Random numbers, always the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % end
    }
}

const SHAPE: [u64; 3] = [11, 13, 67];
/// Boxes of 8 to 27 samples, of more than fit into lanes, and with runs of voxels that have different numbers of taps.
const RATIOS: [[f64; 3]; 6] =
    [[2.0, 2.0, 2.0], [2.0, 1.9, 1.95], [1.0, 3.0, 0.7], [4.0, 5.0, 6.3], [11.0, 13.0, 9.0], [2.5, -1.3, -2.2]];

fn op<T: Voxel>(ratio: [f64; 3], pick: Pick, least: f64, rounding: Rounding) -> Covered<T> {
    let maps: [AxisMap; 3] = std::array::from_fn(|a| {
        let offset = if ratio[a] < 0.0 { (SHAPE[a] - 1) as f64 } else { 0.0 };
        AxisMap { source_axis: a, scale: ratio[a], offset }
    });
    let target_shape: [u64; 3] = std::array::from_fn(|a| (SHAPE[a] as f64 / ratio[a].abs()).round().max(1.0) as u64);
    let tables = [0, 1, 2].map(|a| TapTable::covering(&maps[a], target_shape[a], 0..SHAPE[a] as i64, least, false));
    Covered::new(Axes::new(target_shape, &maps, tables), pick, Outside::Value(0.0), rounding)
}

/// Compares every voxel of the op with `exact`, which gets the samples of its box with their weights.
fn compare<T: Voxel>(op: &Covered<T>, samples: &[T], exact: impl Fn(&mut Vec<(T, f64)>) -> T) {
    let source = BlockRef::new(Region::of_shape(SHAPE), 1, samples);
    let all = Region::of_shape(op.target_shape());
    let mut got = vec![T::default(); all.voxels() as usize];
    op.apply(source, &mut BlockMut::new(all, 1, &mut got), all, &mut Workspace::default());
    let inside = op.axes.inside(all);
    let boxes = Boxes { axes: &op.axes, inside: &inside };
    let mut expected = vec![T::default(); got.len()];
    let mut samples = Vec::new();
    let single = |spanned: &Spanned<'_, T>| {
        samples.clear();
        spanned.weighed(|value, weight| samples.push((value, weight)));
        exact(&mut samples)
    };
    boxes.in_lanes::<T, 4>(source, &mut BlockMut::new(all, 1, &mut expected), 0, |_| unreachable!(), single);
    let wrong = got.iter().zip(&expected).position(|(a, b)| bytemuck::bytes_of(a) != bytemuck::bytes_of(b));
    assert!(wrong.is_none(), "{:?} {:?}: {:?}", T::DTYPE, op.pick, wrong.map(|n| (got[n], expected[n])));
}

/// `make` gets a random number; volumes of noise and of runs of few values.
fn modes_and_medians<T: Voxel>(make: impl Fn(u64) -> T) {
    let mut numbers = Numbers(88_172_645_463_325_252);
    for ratio in RATIOS {
        for kinds in [2, 7, u64::MAX >> 20] {
            let mut value = T::default();
            let mut sample = |n: usize| {
                if kinds > 7 || n.is_multiple_of(5) {
                    value = make(numbers.below(kinds));
                }
                value
            };
            let samples: Vec<T> = (0..SHAPE.iter().product::<u64>() as usize).map(&mut sample).collect();
            for order in [Order::Rising, Order::Falling] {
                let op = op::<T>(ratio, Pick::Mode(order), 1e-9, Rounding::Nearest);
                compare(&op, &samples, |samples| most_frequent(samples, order));
            }
            for rounding in [Rounding::Nearest, Rounding::Truncate] {
                let op = op::<T>(ratio, Pick::Median, 1e-6, rounding);
                compare(&op, &samples, |samples| {
                    median(&mut samples.iter().map(|(value, _)| *value).collect::<Vec<T>>(), rounding)
                });
            }
        }
    }
}

#[test]
fn small_integers() {
    modes_and_medians(|n| n as u8);
    modes_and_medians(|n| n as i8);
    modes_and_medians(|n| (n % 5000) as u16);
    modes_and_medians(|n| n as i16);
}

#[test]
fn large_integers() {
    modes_and_medians(|n| (n as i32).wrapping_mul(-1_000_003));
    modes_and_medians(|n| u32::MAX - n as u32 % 90);
    modes_and_medians(|n| u64::MAX - n % 90);
    modes_and_medians(|n| (n as i64 - 40) << 40);
}

#[test]
fn floats_with_zeros_of_either_sign_and_nan() {
    modes_and_medians(|n| [1.5f32, 0.0, -0.0, f32::NAN, f32::INFINITY, -2.0, 1.25][(n % 7) as usize]);
    modes_and_medians(|n| n as f64 / 3.0);
    modes_and_medians(|n| [0.0f64, 1.0, -3.0][(n % 3) as usize]);
}

/// Along any axis: a mode of 10 M voxels that covered 5 000 boxes of 2 000 samples took minutes.
#[test]
fn voxels_that_look_at_the_same_are_made_once() {
    let mut numbers = Numbers(7);
    let samples: Vec<u16> = (0..SHAPE.iter().product::<u64>()).map(|_| numbers.below(9) as u16).collect();
    let source = BlockRef::new(Region::of_shape(SHAPE), 1, &samples);
    for ratio in [[0.2, 2.0, 2.0], [2.0, 0.2, 2.0], [2.0, 2.0, 0.2], [0.3, 3.0, 0.2], [-0.2, 0.25, -0.3]] {
        let op = op::<u16>(ratio, Pick::Median, 1e-6, Rounding::Nearest);
        let all = Region::of_shape(op.target_shape());
        let inside = op.axes.inside(all);
        let taps = |at: [i64; 3]| std::array::from_fn(|s| op.axes.tables[s].at(at[s]));
        let median_of = |spanned: &Spanned<'_, u16>| {
            let mut samples = Vec::new();
            spanned.rows(|row, _| samples.extend_from_slice(row));
            median(&mut samples, Rounding::Nearest)
        };
        let (mut made, mut got) = (0, vec![0u16; all.voxels() as usize]);
        let single = |spanned: &Spanned<'_, u16>| {
            made += 1;
            median_of(spanned)
        };
        let boxes = Boxes { axes: &op.axes, inside: &inside };
        boxes.in_lanes::<u16, 4>(source, &mut BlockMut::new(all, 1, &mut got), 0, |_| unreachable!(), single);
        // Axes are the source's, in their order; voxels beyond it are not made.
        let made_of = Region { lo: [0, 1, 2].map(|s| inside[s].start), hi: [0, 1, 2].map(|s| inside[s].end) };
        let got = BlockRef::new(all, 1, &got);
        for voxel in made_of.tiles([1; 3]) {
            let [z, y, x] = voxel.lo;
            let expected = median_of(&Spanned { source: &source, taps: taps(voxel.lo) });
            assert_eq!(got.row(0, z, y, x..x + 1), [expected], "{ratio:?} {voxel}");
        }
        let along = |s: usize| {
            let table = &op.axes.tables[s];
            1 + inside[s].clone().skip(1).filter(|&i| table.at(i) != table.at(i - 1)).count()
        };
        assert_eq!(made, along(0) * along(1) * along(2), "{ratio:?}");
    }
}

/// Sums that are within the rounding of a tie's limit are taken in the order of the definition.
#[test]
fn sums_next_to_the_limit_are_left_to_the_definition() {
    let source = [7u8, 5, 7, 5];
    let samples = BlockRef::new(Region::of_shape([1, 1, 4]), 1, &source);
    for (heavier, unsure) in [(0.25 + 0.5e-9, false), (0.25 * (1.0 + 1e-9), true), (0.25 + 2e-9, false)] {
        let weights = [heavier, 0.25, heavier, 0.25];
        let spanned = Spanned { source: &samples, taps: [(0, &[1.0][..]), (0, &[1.0][..]), (0, &weights[..])] };
        let mut weighed = Vec::new();
        spanned.weighed(|value, weight| weighed.push((value, weight)));
        let mut tally = Tally::new(4);
        assert_eq!(tally.most_frequent(&spanned, Order::Rising), most_frequent(&mut weighed, Order::Rising));
        assert_eq!(tally.was_left(), unsure, "{heavier}");
    }
}
