//! B-splines: the basis, and the finite filter that makes them interpolate.
//!
//! Unser 1999, "Splines: a perfect fit for signal and image processing". Interpolation is a sum of basis functions over
//! coefficients, and the coefficients are the samples through the inverse of the sampled basis. That inverse is infinite and
//! decays fast; it is cut where it falls under 1e-7 of its centre and brought to gain 1, which stays within 1.2e-6 of the
//! recursion. So a spline has a support like any other kernel, and blocks of any shape give the same bytes.

use std::{ops::RangeInclusive, sync::OnceLock};

/// Lengths on either side of the centre that the inverse filter keeps, for orders 2 to 5.
const HALF_LENGTHS: [usize; 4] = [9, 12, 15, 19];
/// Length to which the parts of the filter are worked out before it is cut.
const LONG: usize = 64;

/// The orders that interpolate by a prefilter and are offered.
pub(super) const ORDERS: RangeInclusive<u8> = 2..=5;

/// The centred basis of `order`, at distance `x` in samples; zero from `(order + 1) / 2` on.
///
/// From its right end, where the fewest powers cancel (Unser 1999, eq. 1).
pub(super) fn basis(order: u8, x: f64) -> f64 {
    let from_end = f64::from(order + 1) / 2.0 - x.abs();
    let (mut sum, mut binomial, mut factorial) = (0.0, 1.0, 1.0);
    for k in 0..=order {
        let u = from_end - f64::from(k);
        if u <= 0.0 {
            break;
        }
        sum += binomial * u.powi(i32::from(order));
        binomial *= -f64::from(order + 1 - k) / f64::from(k + 1);
    }
    (2..=order).for_each(|n| factorial *= f64::from(n));
    sum / factorial
}

/// Samples on either side of the centre that the inverse filter looks at.
pub(super) fn half_length(order: u8) -> usize {
    HALF_LENGTHS[usize::from(order.clamp(*ORDERS.start(), *ORDERS.end()) - ORDERS.start())]
}

/// One side of the symmetric inverse filter, from its centre on. Its gain is 1.
pub(super) fn inverse_filter(order: u8) -> &'static [f64] {
    static FILTERS: [OnceLock<Vec<f64>>; 4] = [const { OnceLock::new() }; 4];
    let order = order.clamp(*ORDERS.start(), *ORDERS.end());
    FILTERS[usize::from(order - ORDERS.start())].get_or_init(|| worked_out(order))
}

fn worked_out(order: u8) -> Vec<f64> {
    let responses: Vec<Vec<f64>> = poles(order).into_iter().map(response).collect();
    let side: Vec<f64> = (0..=half_length(order)).map(|k| joined(&responses, k)).collect();
    let gain = side[0] + 2.0 * side[1..].iter().sum::<f64>();
    side.iter().map(|tap| tap / gain).collect()
}

/// One side of the response of a pole's causal and anticausal recursion, without its gain.
fn response(pole: f64) -> Vec<f64> {
    std::iter::successors(Some(1.0), |power| Some(power * pole)).take(LONG).collect()
}

/// The weights of the samples `taps` at continuous index `c`: the basis through its inverse filter.
///
/// At a whole index it is that sample alone: what the cut filter leaves of the others, 1e-7 at most, would keep it from being copied.
pub(super) fn weights(order: u8, c: f64, taps: RangeInclusive<i64>) -> Vec<f64> {
    if c == c.trunc() {
        return taps.map(|i| if i as f64 == c { 1.0 } else { 0.0 }).collect();
    }
    let filter = inverse_filter(order);
    let reach = f64::from(order + 1) / 2.0;
    let first = (c - reach).ceil() as i64;
    let around: Vec<f64> = (first..=(c + reach).floor() as i64).map(|k| basis(order, k as f64 - c)).collect();
    let tap = |k: i64| filter.get(k.unsigned_abs() as usize).copied().unwrap_or(0.0);
    taps.map(|i| (first..).zip(&around).map(|(k, value)| tap(i - k) * value).sum()).collect()
}

/// The response of one pole at `k`, or of two, one after the other.
fn joined(responses: &[Vec<f64>], k: usize) -> f64 {
    match responses {
        [one] => one[k],
        [one, other] => {
            let at = |m: i64| one.get((k as i64 - m).unsigned_abs() as usize).copied().unwrap_or(0.0);
            let long = LONG as i64;
            (1 - long..long).map(|m| at(m) * other[m.unsigned_abs() as usize]).sum()
        }
        _ => 0.0,
    }
}

/// The poles of the inverse filter within the unit circle (Unser, Aldroubi, Eden 1993, table I).
fn poles(order: u8) -> Vec<f64> {
    match order {
        2 => vec![8f64.sqrt() - 3.0],
        3 => vec![3f64.sqrt() - 2.0],
        4 => {
            let (inner, root) = (438_976f64.sqrt(), 304f64.sqrt());
            vec![(664.0 - inner).sqrt() + root - 19.0, (664.0 + inner).sqrt() - root - 19.0]
        }
        _ => {
            let (inner, root) = (4436.25f64.sqrt(), 26.25f64.sqrt());
            vec![(67.5 - inner).sqrt() + root - 6.5, (67.5 + inner).sqrt() - root - 6.5]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        geometry::AxisMap,
        resample::{Kernel, KernelShape, TapTable},
    };

    #[test]
    fn the_basis_partitions_unity_and_ends_with_its_support() {
        for order in 0..=5 {
            for n in 0..100 {
                let x = f64::from(n) * 0.0137;
                let sum: f64 = (-4..=5).map(|k| basis(order, x - f64::from(k))).sum();
                assert!((sum - 1.0).abs() < 1e-14, "order {order} at {x}: {sum}");
            }
            assert_eq!(basis(order, f64::from(order + 1) / 2.0), 0.0);
        }
        assert!((basis(3, 0.0) - 2.0 / 3.0).abs() < 1e-15 && (basis(3, 1.0) - 1.0 / 6.0).abs() < 1e-15);
        assert!((basis(2, 0.0) - 0.75).abs() < 1e-15 && (basis(5, 2.0) - 1.0 / 120.0).abs() < 1e-15);
    }

    #[test]
    fn the_filter_undoes_the_sampled_basis() {
        for order in ORDERS {
            let side = inverse_filter(order);
            let filter = |k: i64| side.get(k.unsigned_abs() as usize).copied().unwrap_or(0.0);
            for k in 0..8 {
                let sum: f64 = (-3..=3).map(|m| filter(k - m) * basis(order, m as f64)).sum();
                let expected = if k == 0 { 1.0 } else { 0.0 };
                assert!((sum - expected).abs() < 1e-6, "order {order}, {k}: {sum}");
            }
            let last = side[side.len() - 1] / side[0];
            assert!(last.abs() >= 1e-7 && last.abs() < 1e-6, "order {order} is cut at {last:e}");
        }
    }

    /// The spline of `order` through `samples` at `x`, by the taps that are used for it.
    fn value(order: u8, samples: &[f64], x: f64) -> f64 {
        let kernel = Kernel { shape: KernelShape::BSpline { order }, stretch: 1.0 };
        let map = AxisMap { source_axis: 0, scale: 1.0, offset: x };
        let table = TapTable::<f64>::new(&map, 1, 0..samples.len() as i64, &kernel, false);
        let (first, weights) = table.at(0);
        weights.iter().zip(&samples[first as usize..]).map(|(w, s)| w * s).sum()
    }

    /// `scipy.ndimage.map_coordinates(samples, [at], order, mode='mirror')`, SciPy 1.17, borders included.
    #[test]
    fn splines_have_the_values_of_scipy() {
        let samples = [3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0, -6.0, 5.0, 3.0, -5.0];
        let at = [0.3, 4.5, 9.75, -0.4, 10.45];
        let expected = [
            [
                2.268_887_024_906_424,
                1.998_960_262_911_56,
                -4.243_964_741_971_391,
                1.700_243_599_833_642,
                -2.550_445_763_987_317,
            ],
            [
                2.150_139_152_502_046,
                1.934_276_613_180_364,
                -4.197_870_681_223_399,
                1.613_545_375_241_216,
                -2.662_140_738_586_805,
            ],
            [
                2.241_217_802_938_79,
                1.866_088_952_527_61,
                -4.298_817_096_826_576,
                1.713_663_562_360_553,
                -2.834_465_074_042_314,
            ],
            [
                2.260_055_695_783_584,
                1.834_154_499_617_278,
                -4.314_837_754_931_81,
                1.753_814_189_009_414,
                -2.884_910_682_791_139,
            ],
        ];
        for (order, expected) in ORDERS.zip(expected) {
            for (x, expected) in at.into_iter().zip(expected) {
                let value = value(order, &samples, x);
                assert!((value - expected).abs() < 1.2e-6 * 9.0, "order {order} at {x}: {value}, not {expected}");
            }
        }
    }

    /// Shorter than the filter: the mirror images of two voxels, and of one.
    #[test]
    fn short_axes_mirror_many_times() {
        let expected = [[2.625, 5.4], [2.781_25, 5.24], [2.718_75, 5.284_8], [2.737_304_687_5, 5.268_8]];
        for (order, expected) in ORDERS.zip(expected) {
            for (x, expected) in [0.25, 1.4].into_iter().zip(expected) {
                let value = value(order, &[2.0, 7.0], x);
                assert!((value - expected).abs() < 1e-5, "order {order} at {x}: {value}, not {expected}");
            }
            assert!((value(order, &[5.0], 0.3) - 5.0).abs() < 1e-12);
        }
    }
}
