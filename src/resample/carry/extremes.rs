//! The smallest or the largest so far.

use super::folding::Fold;
use crate::{resample::cover::Extreme, voxel::Voxel};

/// Carries the least or the greatest value.
pub(crate) struct Extremes(pub Extreme);

impl<T: Voxel> Fold<T> for Extremes {
    type Weight = f64;
    type Sum = T;

    fn lanes(&self) -> usize {
        1
    }

    fn begin_samples(&self, _: f64, from: &[T], to: &mut [T]) {
        to.copy_from_slice(from);
    }

    fn add_samples(&self, _: f64, from: &[T], to: &mut [T]) {
        self.0.fold(from, to);
    }

    fn begin(&self, _: f64, from: &[T], to: &mut [T]) {
        to.copy_from_slice(from);
    }

    fn add(&self, _: f64, from: &[T], to: &mut [T]) {
        self.0.fold(from, to);
    }

    fn along_row(&self, _: &[f64], first: usize, samples: &[T], lanes: &mut [T]) {
        let of_these = self.0.of(samples);
        if first == 0 { lanes[0] = of_these } else { self.0.fold(&[of_these], lanes) }
    }

    fn voxel(&self, _: &[f64], lanes: &[T]) -> T {
        lanes[0]
    }
}
