//! The label whose weights around a point sum highest. Time and memory do not depend on how many labels there are.

use multiversion::multiversion;

use super::{
    linear::Corners,
    look::Strip,
    stencil::{Stencil, Taps},
};
use crate::{
    block::BlockRef,
    region::Region,
    resample::{cover::heaviest, order::Order},
    voxel::Voxel,
};

/// Where the Gaussian of labels is cut, in sigmas, as ITK's label interpolator has it in SimpleITK.
pub const LABEL_CUT: f64 = 1.0;
/// Sums that close are a tie, which goes to the lower label.
const TIE: f64 = 1e-6;

/// Weighs the eight labels around each point as linear interpolation does.
#[multiversion(targets("x86_64+avx2"))]
pub fn linear<S: Voxel, T: Voxel, F: Fn(S) -> T>(
    samples: BlockRef<'_, S>,
    bounds: Region,
    order: Order,
    strip: &Strip,
    convert: F,
    out: &mut [T],
) {
    let mut corners = Corners::<S, f64>::new();
    corners.look(samples, bounds, strip, strip.len);
    for (n, voxel) in out.iter_mut().enumerate() {
        let labels = corners.around(n);
        let [zs, ys, xs] = corners.part.each_ref().map(|part| [1.0 - part[n], part[n]]);
        let weights: [f64; 8] = std::array::from_fn(|k| zs[k >> 2] * ys[k >> 1 & 1] * xs[k & 1]);
        *voxel = convert(heaviest_of_eight(&labels, &weights, order));
    }
}

/// The label with the largest sum of weights, ties to the lower; every label is held against every other, so that the time is
/// the same for one label and for eight.
#[inline(always)]
fn heaviest_of_eight<S: Voxel>(labels: &[S; 8], weights: &[f64; 8], order: Order) -> S {
    let mut sums = [0.0; 8];
    for (&label, &weight) in labels.iter().zip(weights) {
        for (sum, &other) in sums.iter_mut().zip(labels) {
            *sum += if other == label { weight } else { 0.0 };
        }
    }
    let most = sums.iter().fold(0.0, |most: f64, &sum| most.max(sum));
    let mut best: Option<S> = None;
    for (&sum, &label) in sums.iter().zip(labels) {
        let is_lower = best.is_none_or(|best| order.is_lower(label, best));
        if sum >= most - TIE && is_lower {
            best = Some(label);
        }
    }
    best.unwrap_or(labels[0])
}

/// Weighs the labels around each point by a Gaussian.
pub fn gaussian<S: Voxel, T: Voxel>(
    samples: BlockRef<'_, S>,
    bounds: Region,
    (stencil, order): (&Stencil<f64>, Order),
    strip: &Strip,
    convert: impl Fn(S) -> T,
    out: &mut [T],
) {
    let mut taps = [Taps::new(), Taps::new(), Taps::new()];
    let mut votes: Vec<(S, f64)> = Vec::new();
    for (n, voxel) in out.iter_mut().enumerate() {
        stencil.taps_around(strip.index(n), bounds, samples.region, &mut taps);
        votes.clear();
        let [zs, ys, xs] = &taps;
        for (z, wz) in &zs.list {
            for (y, wy) in &ys.list {
                votes.extend(xs.list.iter().map(|(x, wx)| (samples.voxels[z + y + x], wz * wy * wx)));
            }
        }
        *voxel = convert(heaviest(&mut votes, order, |highest| highest - TIE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rising<S: Voxel>(labels: &[S; 8], weights: &[f64; 8]) -> S {
        heaviest_of_eight(labels, weights, Order::Rising)
    }

    #[test]
    fn the_heaviest_label_wins_and_ties_go_to_the_lower() {
        let most = u64::MAX;
        let labels = [most, most - 1, most, 7, 7, 7, 9, 9];
        let mut weights = [0.125; 8];
        assert_eq!(rising(&labels, &weights), 7);
        weights[0] = 0.26;
        assert_eq!(rising(&labels, &weights), most);
        weights[0] = 0.25 + 1e-7;
        assert_eq!(rising(&labels, &weights), 7);
        assert_eq!(heaviest_of_eight(&labels, &weights, Order::Falling), most);
        let mut votes: Vec<(u64, f64)> = labels.into_iter().zip(weights).collect();
        assert_eq!(heaviest(&mut votes, Order::Rising, |highest| highest - TIE), 7);
    }

    #[test]
    fn labels_of_64_bits_are_kept_apart() {
        let (a, b) = ((1u64 << 60) + 1, 1u64 << 60);
        let weights = [0.2, 0.2, 0.2, 0.2, 0.05, 0.05, 0.05, 0.05];
        assert_eq!(rising(&[a, a, a, a, b, b, b, b], &weights), a);
        assert!(rising(&[f32::NAN; 8], &weights).is_nan());
    }
}
