//! Weighted sums around the points of a strip.

use multiversion::multiversion;

use super::{
    look::{STRIP, Strip},
    stencil::{Stencil, Taps},
};
use crate::{
    block::BlockRef,
    region::Region,
    resample::rows,
    voxel::{Rounding, Voxel, num::Arithmetic},
};

/// Sums the taps of `stencil` around each point.
///
/// Returns how many sums are below and above what the type holds.
/// Points whose taps all exist and all count take a plain loop, the others a list of taps; which of them depends on the point
/// and the source's bounds alone.
pub fn strip<S: Voxel, T: Voxel<Acc = S::Acc>>(
    samples: BlockRef<'_, S>,
    bounds: Region,
    stencil: &Stencil<S::Acc>,
    strip: &Strip,
    rounding: Rounding,
    out: &mut [T],
) -> [u64; 2] {
    match stencil.taps {
        3 => fixed::<3, S, T>(samples, bounds, stencil, strip, rounding, out),
        4 => fixed::<4, S, T>(samples, bounds, stencil, strip, rounding, out),
        6 => fixed::<6, S, T>(samples, bounds, stencil, strip, rounding, out),
        10 => fixed::<10, S, T>(samples, bounds, stencil, strip, rounding, out),
        _ => listed(samples, bounds, stencil, strip, rounding, out),
    }
}

fn listed<S: Voxel, T: Voxel<Acc = S::Acc>>(
    samples: BlockRef<'_, S>,
    bounds: Region,
    stencil: &Stencil<S::Acc>,
    strip: &Strip,
    rounding: Rounding,
    out: &mut [T],
) -> [u64; 2] {
    let mut taps = [Taps::new(), Taps::new(), Taps::new()];
    let mut sums = [S::Acc::ZERO; STRIP];
    for (n, sum) in sums[..out.len()].iter_mut().enumerate() {
        stencil.taps_around(strip.index(n), bounds, samples.region, &mut taps);
        *sum = sum_listed(samples.voxels, &taps);
    }
    store(&sums[..out.len()], rounding, out)
}

#[multiversion(targets("x86_64+avx2"))]
fn fixed<const K: usize, S: Voxel, T: Voxel<Acc = S::Acc>>(
    samples: BlockRef<'_, S>,
    bounds: Region,
    stencil: &Stencil<S::Acc>,
    strip: &Strip,
    rounding: Rounding,
    out: &mut [T],
) -> [u64; 2] {
    let region = samples.region;
    let [_, ny, nx] = region.shape();
    let mut taps = [Taps::new(), Taps::new(), Taps::new()];
    let mut weights = [[S::Acc::ZERO; K]; 3];
    let mut sums = [S::Acc::ZERO; STRIP];
    for (n, out) in sums[..out.len()].iter_mut().enumerate() {
        let c = strip.index(n);
        let mut first = [0; 3];
        for ((first, weights), c) in first.iter_mut().zip(&mut weights).zip(c) {
            *first = stencil.at(c, weights);
        }
        let all_exist = (0..3).all(|a| first[a] >= bounds.lo[a] && first[a] + K as i64 <= bounds.hi[a]);
        // A weight of 0 is no tap, which matters where voxels may be NaN or infinite.
        let all_count = !S::DTYPE.is_float() || weights.iter().flatten().all(|&weight| weight != S::Acc::ZERO);
        *out = if all_exist && all_count && stencil.cut.is_none() {
            let [z, y, x]: [usize; 3] = std::array::from_fn(|a| (first[a] - region.lo[a]) as usize);
            sum_fixed::<K, S>(&samples.voxels[(z * ny + y) * nx + x..], [ny * nx, nx], &weights)
        } else {
            stencil.taps_around(c, bounds, region, &mut taps);
            sum_listed(samples.voxels, &taps)
        };
    }
    store(&sums[..out.len()], rounding, out)
}

fn store<T: Voxel>(sums: &[T::Acc], rounding: Rounding, out: &mut [T]) -> [u64; 2] {
    rows::store(sums, out, rounding);
    rows::count_beyond::<T>(sums)
}

/// The sum over `K` taps along each axis from the first voxel on; lane by lane along x, then across.
#[inline(always)]
fn sum_fixed<const K: usize, S: Voxel>(voxels: &[S], strides: [usize; 2], weights: &[[S::Acc; K]; 3]) -> S::Acc {
    let mut lanes = [S::Acc::ZERO; K];
    for (z, &wz) in weights[0].iter().enumerate() {
        for (y, &wy) in weights[1].iter().enumerate() {
            let weight = wz * wy;
            let row = &voxels[z * strides[0] + y * strides[1]..][..K];
            for (lane, voxel) in lanes.iter_mut().zip(row) {
                *lane += voxel.to_acc() * weight;
            }
        }
    }
    let mut sum = S::Acc::ZERO;
    for (&lane, &wx) in lanes.iter().zip(&weights[2]) {
        sum += lane * wx;
    }
    sum
}

fn sum_listed<S: Voxel>(voxels: &[S], [zs, ys, xs]: &[Taps<S::Acc>; 3]) -> S::Acc {
    let mut sum = S::Acc::ZERO;
    for &(x, wx) in &xs.list {
        let mut lane = S::Acc::ZERO;
        for &(z, wz) in &zs.list {
            for &(y, wy) in &ys.list {
                lane += voxels[z + y + x].to_acc() * (wz * wy);
            }
        }
        sum += lane * wx;
    }
    sum
}
