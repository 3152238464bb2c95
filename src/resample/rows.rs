//! The loops over rows of samples, left to the vectoriser, with copies per instruction set.
//!
//! No fused multiply-add and no reassociation by the compiler: sums are written in the order in which they are taken, so
//! every instruction set gives the same bits.

mod wide;

use multiversion::multiversion;
pub(super) use wide::symmetric;

use crate::voxel::{Real, Rounding, Voxel, num::Arithmetic};

/// Lanes of the partial sums of a long dot product. Part of the result's definition, not of the machine.
pub(super) const LANES: usize = 8;

/// Samples to their type of accumulation.
#[multiversion(targets("x86_64+avx2"))]
pub fn load<T: Voxel>(from: &[T], to: &mut [T::Acc]) {
    for (a, v) in to.iter_mut().zip(from) {
        *a = v.to_acc();
    }
}

/// `to[x] += from[x]`.
#[multiversion(targets("x86_64+avx2"))]
pub fn accumulate<T: Voxel>(from: &[T], to: &mut [T::Acc]) {
    for (a, v) in to.iter_mut().zip(from) {
        *a += v.to_acc();
    }
}

/// `to[x] = from[x] * w`, rounded to the nearest.
#[multiversion(targets("x86_64+avx2"))]
pub fn store_scaled<T: Voxel>(from: &[T::Acc], w: T::Acc, to: &mut [T]) {
    for (v, a) in to.iter_mut().zip(from) {
        *v = T::from_acc(*a * w, Rounding::Nearest);
    }
}

/// `to[x] = (from[2 x] + from[2 x + 1]) * w`, rounded to the nearest.
#[multiversion(targets("x86_64+avx2"))]
pub fn store_pairs<T: Voxel>(from: &[T::Acc], w: T::Acc, to: &mut [T]) {
    for (v, pair) in to.iter_mut().zip(from.chunks_exact(2)) {
        *v = T::from_acc((pair[0] + pair[1]) * w, Rounding::Nearest);
    }
}

/// Sums to samples, rounded.
#[multiversion(targets("x86_64+avx2"))]
pub fn store<T: Voxel>(from: &[T::Acc], to: &mut [T], rounding: Rounding) {
    match rounding {
        Rounding::Nearest => {
            for (v, a) in to.iter_mut().zip(from) {
                *v = T::from_acc(*a, Rounding::Nearest);
            }
        }
        Rounding::Truncate => {
            for (v, a) in to.iter_mut().zip(from) {
                *v = T::from_acc(*a, Rounding::Truncate);
            }
        }
    }
}

/// How many sums are below, and how many above, what rounds to a sample of the type; none of a float type.
#[multiversion(targets("x86_64+avx2"))]
pub fn count_beyond<T: Voxel>(sums: &[T::Acc]) -> [u64; 2] {
    let mut beyond = [0; 2];
    let Some([least, most]) = held::<T>() else { return beyond };
    // Counters of 32 bits, which cannot run over within a part: as wide as the sums, for whole vectors at once.
    for part in sums.chunks(1 << 16) {
        let (mut below, mut above) = (0u32, 0u32);
        for &sum in part {
            below += u32::from(sum < least);
            above += u32::from(sum > most);
        }
        beyond = [beyond[0] + u64::from(below), beyond[1] + u64::from(above)];
    }
    beyond
}

/// The sums that round to a sample of an integer type: from the first to the second.
pub(super) fn held<T: Voxel>() -> Option<[T::Acc; 2]> {
    let (least, most) = T::range();
    (!T::DTYPE.is_float()).then(|| [T::Acc::of_f64(least - 0.5), T::Acc::of_f64(most + 0.5)])
}

/// `to[x] = from[x] * w`.
#[multiversion(targets("x86_64+avx2"))]
pub fn scale_samples<T: Voxel>(w: T::Acc, from: &[T], to: &mut [T::Acc]) {
    for (o, v) in to.iter_mut().zip(from) {
        *o = v.to_acc() * w;
    }
}

/// `to[x] += from[x] * w`.
#[multiversion(targets("x86_64+avx2"))]
pub fn add_scaled_samples<T: Voxel>(w: T::Acc, from: &[T], to: &mut [T::Acc]) {
    for (o, v) in to.iter_mut().zip(from) {
        *o += v.to_acc() * w;
    }
}

/// `out[x] = a[x] * w`.
#[multiversion(targets("x86_64+avx2"))]
pub fn scale<A: Real>(w: A, a: &[A], out: &mut [A]) {
    for (o, &a) in out.iter_mut().zip(a) {
        *o = a * w;
    }
}

/// `out[x] = a[x] * w[0] + b[x] * w[1]`.
#[multiversion(targets("x86_64+avx2"))]
pub fn blend<A: Real>(w: [A; 2], a: &[A], b: &[A], out: &mut [A]) {
    for ((o, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *o = a * w[0] + b * w[1];
    }
}

/// `out[x] += a[x] * w`.
#[multiversion(targets("x86_64+avx2"))]
pub fn add_scaled<A: Real>(w: A, a: &[A], out: &mut [A]) {
    for (o, &a) in out.iter_mut().zip(a) {
        *o += a * w;
    }
}

/// Weighs and sums whole rows: `out = sum_k weights[k] * row(k)`, in ascending k. Rows after the first that weigh 0 are passed over.
pub(super) fn combine<'a, A: Real>(weights: &[A], row: impl Fn(usize) -> &'a [A], out: &mut [A]) {
    match weights {
        [] => out.fill(A::ZERO),
        [w] => scale(*w, row(0), out),
        [w0, w1] => blend([*w0, *w1], row(0), row(1), out),
        weights => wide::weighted(weights, row, out),
    }
}

/// `sum_k weights[k] * samples[k]`: up to [`LANES`] taps in ascending order, more in that many partial sums.
#[inline(always)]
pub(super) fn dot<A: Real>(weights: &[A], samples: &[A]) -> A {
    if weights.len() <= LANES {
        let mut sum = A::ZERO;
        for (n, (&w, &s)) in weights.iter().zip(samples).enumerate() {
            sum = if n == 0 { s * w } else { sum + s * w };
        }
        return sum;
    }
    let mut partial = [A::ZERO; LANES];
    let mut weights = weights.chunks_exact(LANES);
    let mut samples = samples.chunks_exact(LANES);
    for (w, s) in weights.by_ref().zip(samples.by_ref()) {
        for lane in 0..LANES {
            partial[lane] += s[lane] * w[lane];
        }
    }
    let mut sum = joined(partial);
    for (&w, &s) in weights.remainder().iter().zip(samples.remainder()) {
        sum += s * w;
    }
    sum
}

/// The sum of all lanes.
#[inline(always)]
fn joined<A: Real>([a, b, c, d, e, f, g, h]: [A; LANES]) -> A {
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

/// A part of the dot product of more than [`LANES`] taps, by the same sums: those of `samples`, the first of which meets weight `first`.
/// `lanes` are carried on from part to part; after the last one the product is the first of them.
pub(super) fn dot_on<A: Real>(weights: &[A], first: usize, samples: &[A], lanes: &mut [A]) {
    let Some(lanes) = lanes.first_chunk_mut::<LANES>() else { return };
    if first == 0 {
        *lanes = [A::ZERO; LANES];
    }
    let in_lanes = weights.len() / LANES * LANES;
    for (n, (&w, &s)) in (first..).zip(weights[first..].iter().zip(samples)) {
        if n < in_lanes {
            lanes[n % LANES] += s * w;
        }
        if n + 1 == in_lanes {
            lanes[0] = joined(*lanes);
        }
        if n >= in_lanes {
            lanes[0] += s * w;
        }
    }
}

/// The same in ascending order, where some weights are 0: their samples do not count, even NaN.
pub(super) fn dot_of_some<A: Real>(weights: &[A], samples: &[A]) -> A {
    let mut sum = A::ZERO;
    for (&w, &s) in weights.iter().zip(samples).filter(|(w, _)| **w != A::ZERO) {
        sum += s * w;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_beyond_the_type_are_counted_where_they_would_not_round_back_into_it() {
        let sums = [-0.5f32, -0.51, 255.5, 255.51, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 7.0];
        assert_eq!(count_beyond::<u8>(&sums), [2, 2]);
        assert_eq!(count_beyond::<i16>(&sums), [1, 1]);
        assert_eq!(count_beyond::<f32>(&sums), [0, 0]);
        assert_eq!(count_beyond::<i64>(&[1e19, -1e19, 9e18]), [1, 1]);
        assert_eq!(count_beyond::<u16>(&vec![-1.0f32; 200_001]), [200_001, 0]);
    }
}
