//! Weighed sums, carried on.

use super::folding::Fold;
use crate::{
    resample::{TapTable, rows},
    voxel::{Real, Rounding, Voxel, num::Arithmetic},
};

/// Sums by the tables of a separable op, in the order in which the op takes them.
pub(crate) struct Sums {
    rounding: Rounding,
    /// Whether long rows are summed in lanes: see [`rows::dot`].
    in_lanes: bool,
    has_gaps: bool,
    /// Whether sums that the type does not hold are counted.
    overshoots: bool,
}

impl Sums {
    /// For rows by `table`, the one of axis 2; sums that the type does not hold are counted where it `overshoots`.
    pub(crate) fn new<A: Real>(table: &TapTable<A>, rounding: Rounding, overshoots: bool) -> Sums {
        Sums { rounding, in_lanes: lanes(table) > 1, has_gaps: table.has_gaps(), overshoots }
    }
}

/// Partial sums of a voxel along a row.
pub(crate) fn lanes<A: Real>(table: &TapTable<A>) -> usize {
    if !table.has_gaps() && table.widest() > rows::LANES { rows::LANES } else { 1 }
}

impl<T: Voxel> Fold<T> for Sums {
    type Weight = T::Acc;
    type Sum = T::Acc;

    fn lanes(&self) -> usize {
        if self.in_lanes { rows::LANES } else { 1 }
    }

    fn begin_samples(&self, weight: T::Acc, from: &[T], to: &mut [T::Acc]) {
        rows::scale_samples(weight, from, to);
    }

    fn add_samples(&self, weight: T::Acc, from: &[T], to: &mut [T::Acc]) {
        if weight != T::Acc::ZERO {
            rows::add_scaled_samples(weight, from, to);
        }
    }

    fn begin(&self, weight: T::Acc, from: &[T::Acc], to: &mut [T::Acc]) {
        rows::scale(weight, from, to);
    }

    fn add(&self, weight: T::Acc, from: &[T::Acc], to: &mut [T::Acc]) {
        if weight != T::Acc::ZERO {
            rows::add_scaled(weight, from, to);
        }
    }

    fn along_row(&self, weights: &[T::Acc], first: usize, samples: &[T::Acc], lanes: &mut [T::Acc]) {
        let taps = weights.len();
        if self.has_gaps && taps > 2 {
            if first == 0 {
                lanes[0] = T::Acc::ZERO;
            }
            for (&w, &s) in weights[first..].iter().zip(samples).filter(|(w, _)| **w != T::Acc::ZERO) {
                lanes[0] += s * w;
            }
        } else if taps <= rows::LANES {
            for (n, (&w, &s)) in (first..).zip(weights[first..].iter().zip(samples)) {
                lanes[0] = if n == 0 { s * w } else { lanes[0] + s * w };
            }
        } else if samples.len() == taps {
            lanes[0] = rows::dot(weights, samples);
        } else {
            rows::dot_on(weights, first, samples, lanes);
        }
    }

    fn voxel(&self, _: &[T::Acc], lanes: &[T::Acc]) -> T {
        T::from_acc(lanes[0], self.rounding)
    }

    fn is_beyond(&self, lanes: &[T::Acc]) -> [bool; 2] {
        match rows::held::<T>().filter(|_| self.overshoots) {
            Some([least, most]) => [lanes[0] < least, lanes[0] > most],
            None => [false; 2],
        }
    }
}
