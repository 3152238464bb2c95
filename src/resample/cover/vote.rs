//! The most frequent of small boxes, several at once: every sample is held against every later one, whatever the values are.

use multiversion::multiversion;

use super::{
    frequent::least,
    lanes::Lanes,
    tally::{is_single, margin},
};
use crate::{
    resample::order::Order,
    voxel::{Key, Voxel},
};

/// Boxes that are voted on at once.
pub(super) const LANES: usize = 16;
/// Samples of a box at most: beyond, sums value by value are faster.
pub(super) const MOST_SAMPLES: usize = 96;

/// Memory of votes.
pub(super) struct Votes<T: Voxel> {
    keys: Vec<[T::Key; LANES]>,
    weights: Vec<[f64; LANES]>,
    sums: Vec<[f64; LANES]>,
}

/// Bytes of [`Votes`] on boxes of up to so many samples; lists grow by doubling.
pub(super) fn vote_bytes<T: Voxel>(samples: usize) -> usize {
    2 * samples * LANES * (size_of::<T::Key>() + 2 * size_of::<f64>())
}

impl<T: Voxel> Votes<T> {
    /// No vote was cast.
    pub(super) fn new() -> Votes<T> {
        Votes { keys: Vec::new(), weights: Vec::new(), sums: Vec::new() }
    }

    /// [`super::most_frequent`] of each box, and whether it is: not where another order of sums might matter, and of floats not where
    /// some have more representations than one.
    pub(super) fn most_frequent(&mut self, lanes: &Lanes<'_, T, LANES>, order: Order) -> ([T; LANES], [bool; LANES]) {
        if T::DTYPE.is_float() && !lanes.samples.iter().flatten().all(|&value| is_single(value)) {
            return ([T::default(); LANES], [false; LANES]);
        }
        self.keys.resize(lanes.samples.len(), [T::Key::default(); LANES]);
        self.weights.resize(lanes.samples.len(), [0.0; LANES]);
        self.sums.resize(lanes.samples.len(), [0.0; LANES]);
        weigh(lanes, &mut self.keys, &mut self.weights);
        let (keys, known) = match order {
            Order::Rising => heaviest::<T::Key, false>(&self.keys, &self.weights, &mut self.sums),
            Order::Falling => heaviest::<T::Key, true>(&self.keys, &self.weights, &mut self.sums),
        };
        (keys.map(T::of_key), known)
    }
}

/// The key and the weight of every sample.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq", "x86_64+avx2"))]
fn weigh<T: Voxel>(lanes: &Lanes<'_, T, LANES>, keys: &mut [[T::Key; LANES]], weights: &mut [[f64; LANES]]) {
    for (keys, samples) in keys.iter_mut().zip(lanes.samples) {
        for n in 0..LANES {
            keys[n] = samples[n].to_key();
        }
    }
    for (weights, &row) in weights.chunks_exact_mut(lanes.along.len().max(1)).zip(lanes.rows) {
        for (weights, along) in weights.iter_mut().zip(lanes.along) {
            for n in 0..LANES {
                weights[n] = row * along[n];
            }
        }
    }
}

/// The key of each lane with the largest sum of weights, ties to the lowest, and whether that is sure.
///
/// A key's sum is that of its first sample; those of its others, which leave out what came before, are no larger.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq", "x86_64+avx2"))]
fn heaviest<K: Key, const FALLING: bool>(
    keys: &[[K; LANES]],
    weights: &[[f64; LANES]],
    sums: &mut [[f64; LANES]],
) -> ([K; LANES], [bool; LANES]) {
    let mut highest = [0.0; LANES];
    for (k, (key, weight)) in keys.iter().zip(weights).enumerate() {
        let mut sum = *weight;
        for (other, weight) in keys[k + 1..].iter().zip(&weights[k + 1..]) {
            for n in 0..LANES {
                // A mask, since branches are not made into vectors here.
                let mask = 0u64.wrapping_sub(u64::from(other[n] == key[n]));
                sum[n] += f64::from_bits(weight[n].to_bits() & mask);
            }
        }
        for n in 0..LANES {
            highest[n] = if sum[n] > highest[n] { sum[n] } else { highest[n] };
        }
        sums[k] = sum;
    }
    let margin = margin(keys.len());
    let limit = highest.map(least);
    let mut best = [K::ENDS[usize::from(!FALLING)]; LANES];
    let mut nearest = [f64::INFINITY; LANES];
    for (key, sum) in keys.iter().zip(&*sums) {
        for n in 0..LANES {
            let is_lower = if FALLING { key[n] > best[n] } else { key[n] < best[n] };
            best[n] = if (sum[n] >= limit[n]) & is_lower { key[n] } else { best[n] };
            let away = (sum[n] - limit[n]).abs();
            nearest[n] = if away < nearest[n] { away } else { nearest[n] };
        }
    }
    (best, std::array::from_fn(|n| nearest[n] > margin * highest[n]))
}
