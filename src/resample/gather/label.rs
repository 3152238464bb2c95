//! The label whose weights around a point sum highest. Time and memory do not depend on how many labels there are.

use multiversion::multiversion;

use super::{
    linear::{Cell, Neighbours},
    look::Strip,
    stencil::{Stencil, Taps},
};
use crate::{
    block::BlockRef,
    region::Region,
    resample::{cover::heaviest, order::Order},
    voxel::{Key, Voxel},
};

/// Where the Gaussian of labels is cut, in sigmas, as ITK's label interpolator has it in SimpleITK.
pub(crate) const LABEL_CUT: f64 = 1.0;
/// Points that are voted on together; divides [`STRIP`].
const GROUP: usize = 16;
/// Sums that close are a tie, which goes to the lower label.
const TIE: f64 = 1e-6;

/// Weighs the eight labels around each point as linear interpolation does.
pub(super) fn linear<S: Voxel>(samples: BlockRef<'_, S>, bounds: Region, order: Order, strip: &Strip, out: &mut [S]) {
    let mut corners = Neighbours::<S, f64>::new();
    corners.look(samples, bounds, strip, out.len());
    match order {
        Order::Rising => vote::<S, false>(&corners, out),
        Order::Falling => vote::<S, true>(&corners, out),
    }
}

/// The label of each point, ties to the lower, or to the higher where samples fall as values rise.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq", "x86_64+avx2"))]
fn vote<S: Voxel, const FALLING: bool>(corners: &Neighbours<S, f64>, labels: &mut [S]) {
    let mut group = [S::default(); GROUP];
    for (k, labels) in labels.chunks_mut(GROUP).enumerate() {
        let (parts, [near, far]) = corners.group::<GROUP>(k);
        if is_uniform(near, far) {
            labels.iter_mut().zip(near).for_each(|(label, cell)| *label = cell[0][0]);
            continue;
        }
        vote_group::<S, FALLING>(parts, near, far, &mut group);
        labels.copy_from_slice(&group[..labels.len()]);
    }
}

/// Whether there is one label alone around each point: most points of any atlas.
#[inline(always)]
fn is_uniform<S: Voxel>(near: &[Cell<S>; GROUP], far: &[Cell<S>; GROUP]) -> bool {
    let mut differ = false;
    for n in 0..GROUP {
        let label = near[n][0][0];
        differ |= (near[n][0][1] != label) | (near[n][1][0] != label) | (near[n][1][1] != label);
        differ |= (far[n][0][0] != label) | (far[n][0][1] != label);
        differ |= (far[n][1][0] != label) | (far[n][1][1] != label);
    }
    !differ
}

/// The votes of a group, one point in each lane.
#[inline(always)]
fn vote_group<S: Voxel, const FALLING: bool>(
    [z, y, x]: [&[f64; GROUP]; 3],
    near: &[Cell<S>; GROUP],
    far: &[Cell<S>; GROUP],
    labels: &mut [S; GROUP],
) {
    let mut decided = true;
    for n in 0..GROUP {
        let around = existing([z[n], y[n], x[n]], [near[n], far[n]]);
        let (best, most) = heaviest_key::<S, FALLING>(&around.map(S::to_key), &weights([z[n], y[n], x[n]]));
        labels[n] = S::of_key(best);
        decided &= most > TIE;
    }
    if S::DTYPE.is_float() && !decided {
        for n in 0..GROUP {
            let around = existing([z[n], y[n], x[n]], [near[n], far[n]]);
            let order = if FALLING { Order::Falling } else { Order::Rising };
            labels[n] = heaviest_of_eight(&around, &weights([z[n], y[n], x[n]]), order);
        }
    }
}

/// The weights of the eight labels around a point: z slowest, x fastest.
#[inline(always)]
fn weights(parts: [f64; 3]) -> [f64; 8] {
    let [zs, ys, xs] = parts.map(|part| [1.0 - part, part]);
    std::array::from_fn(|k| zs[k >> 2] * ys[k >> 1 & 1] * xs[k & 1])
}

/// The eight labels, in the same order. Where a part is 0, those at its far end weigh nothing, and need not exist: the ones at its near end,
/// which weigh something, stand in for them.
#[inline(always)]
fn existing<S: Voxel>([z, y, x]: [f64; 3], [near, far]: [Cell<S>; 2]) -> [S; 8] {
    let row = |[first, second]: [S; 2]| [first, if x == 0.0 { first } else { second }];
    let plane = |[first, second]: Cell<S>| {
        let ([a, b], [c, d]) = (row(first), row(second));
        [a, b, if y == 0.0 { a } else { c }, if y == 0.0 { b } else { d }]
    };
    let (near, far) = (plane(near), plane(far));
    std::array::from_fn(|k| if k < 4 || z == 0.0 { near[k & 3] } else { far[k & 3] })
}

/// The key with the largest sum of weights, ties to the lowest, and that sum.
///
/// A label's sum is that of its first corner, which has the weights of all others with that label added, in their order.
#[inline(always)]
fn heaviest_key<S: Voxel, const FALLING: bool>(labels: &[S::Key; 8], weights: &[f64; 8]) -> (S::Key, f64) {
    let mut sums = *weights;
    for k in 0..8 {
        #[allow(clippy::eq_op)]
        if S::DTYPE.is_float() && labels[k] != labels[k] {
            sums[k] = 0.0;
        }
        for j in k + 1..8 {
            sums[k] = if labels[j] == labels[k] { sums[k] + weights[j] } else { sums[k] };
        }
    }
    let most = sums.iter().fold(0.0, |most, &sum| if sum > most { sum } else { most });
    let mut best = S::Key::ENDS[usize::from(!FALLING)];
    for k in 0..8 {
        let is_lower = if FALLING { labels[k] > best } else { labels[k] < best };
        best = if (sums[k] >= most - TIE) & is_lower { labels[k] } else { best };
    }
    (best, most)
}

/// What [`heaviest_key`] finds, one corner after the other, also where all that weighs is NaN, which has no vote: the first corner, then.
fn heaviest_of_eight<S: Voxel>(labels: &[S; 8], weights: &[f64; 8], order: Order) -> S {
    let sum = |label: S| -> f64 {
        let same = labels.iter().zip(weights).filter(|&(&other, _)| other == label);
        same.fold(0.0, |sum, (_, weight)| sum + weight)
    };
    let most = labels.iter().fold(0.0, |most: f64, &label| most.max(sum(label)));
    let mut best: Option<S> = None;
    for (&label, &weight) in labels.iter().zip(weights) {
        let is_lower = best.is_none_or(|best| order.is_lower(label, best));
        if weight > 0.0 && sum(label) >= most - TIE && is_lower {
            best = Some(label);
        }
    }
    best.unwrap_or(labels[0])
}

/// Weighs the labels around each point by a Gaussian.
pub(super) fn gaussian<S: Voxel>(
    samples: BlockRef<'_, S>,
    bounds: Region,
    (stencil, order): (&Stencil<f64>, Order),
    strip: &Strip,
    out: &mut [S],
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
        *voxel = heaviest(&mut votes, order, |highest| highest - TIE);
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

    /// The labels around `at` and their weights by the definition, those that weigh nothing left out.
    fn around<S: Voxel>(samples: BlockRef<'_, S>, bounds: Region, at: [f64; 3]) -> ([S; 8], [f64; 8]) {
        let c: [f64; 3] = std::array::from_fn(|a| at[a].clamp(bounds.lo[a] as f64, (bounds.hi[a] - 1) as f64));
        let weights = weights(c.map(|c| c - c.floor()));
        let index = |k: usize| {
            let beyond = [k >> 2, k >> 1 & 1, k & 1];
            std::array::from_fn::<i64, 3, _>(|a| c[a].floor() as i64 + beyond[a] as i64)
        };
        let mut labels = [S::default(); 8];
        for k in (0..8).filter(|&k| weights[k] > 0.0) {
            let [z, y, x] = index(k);
            labels[k] = samples.row(0, z, y, x..x + 1)[0];
        }
        (labels, weights)
    }

    fn votes_equal_the_definition<S: Voxel>(label: impl Fn(u64) -> S) {
        let mut state = 88_172_645_463_325_252u64;
        let mut below = |end: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % end
        };
        let shape = [3, 4, 40];
        let region = Region::of_shape(shape);
        for round in 0..60 {
            let voxels: Vec<S> = (0..480).map(|n| label(if n % 40 < 12 { 3 } else { below(1 + round % 9) })).collect();
            let samples = BlockRef::new(region, 1, &voxels);
            let mut strip = Strip::new();
            strip.len = 100;
            for (a, at) in strip.at.iter_mut().enumerate() {
                let along = |n: usize| [0.0, 0.5, 0.25, 1e-9, 1.0 - 1e-9, 0.3 + n as f64 * 1e-3];
                for (n, at) in at[..100].iter_mut().enumerate() {
                    *at = below(shape[a]) as f64 + along(n)[below(6) as usize] - 0.3;
                }
            }
            for order in [Order::Rising, Order::Falling] {
                let mut got = vec![S::default(); 100];
                linear(samples, region, order, &strip, &mut got);
                for (n, got) in got.iter().enumerate() {
                    let (labels, weights) = around(samples, region, strip.index(n));
                    let expected = heaviest_of_eight(&labels, &weights, order);
                    let (got, expected) = (bytemuck::bytes_of(got), bytemuck::bytes_of(&expected));
                    assert_eq!(got, expected, "{labels:?} {weights:?} {order:?}");
                }
            }
        }
    }

    #[test]
    fn votes_in_lanes_equal_the_definition() {
        votes_equal_the_definition(|n| n as u8);
        votes_equal_the_definition(|n| 60_000 + n as u16);
        votes_equal_the_definition(|n| -(n as i32) * 200_000_000);
        votes_equal_the_definition(|n| u64::MAX - n);
        votes_equal_the_definition(|n| i64::MIN + n as i64);
        votes_equal_the_definition(|n| [0.0f32, -0.0, f32::NAN, 1.5, -3.0, f32::INFINITY][n as usize % 6]);
        votes_equal_the_definition(|n| n as f64 / 3.0);
    }
}
