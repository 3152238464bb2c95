//! Medians of small boxes of whole numbers, several at once, by a sorting network.

use multiversion::multiversion;

use super::{lanes::Lanes, median::middle};
use crate::voxel::{Rounding, Voxel};

/// Boxes that are sorted at once.
pub(super) const LANES: usize = 32;
/// Samples of a box at most: beyond, selecting is faster.
pub(super) const MOST_SAMPLES: usize = 512;

/// The median of each box of whole numbers; `rows` is memory.
pub(super) fn medians<T: Voxel>(
    lanes: &Lanes<'_, T, LANES>,
    rows: &mut Vec<[T; LANES]>,
    rounding: Rounding,
) -> [T; LANES] {
    rows.clear();
    rows.extend_from_slice(lanes.samples);
    sort(rows);
    let half = rows.len() / 2;
    let below = rows.len().is_multiple_of(2).then(|| half.saturating_sub(1));
    std::array::from_fn(|n| middle(below.map(|below| rows[below][n]), rows[half][n], rounding))
}

/// Sorts each lane by merge exchange (Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M): the same comparisons, whatever
/// the samples are.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq", "x86_64+avx2"))]
fn sort<T: Voxel>(rows: &mut [[T; LANES]]) {
    let top = rows.len().next_power_of_two() / 2;
    let mut p = top;
    while p > 0 {
        let (mut q, mut r, mut d) = (top, 0, p);
        loop {
            for i in (0..rows.len().saturating_sub(d)).filter(|i| i & p == r) {
                let (low, high) = rows.split_at_mut(i + d);
                exchange(&mut low[i], &mut high[0]);
            }
            if q == p {
                break;
            }
            (d, q, r) = (q - p, q / 2, p);
        }
        p /= 2;
    }
}

/// The lower of each lane first.
#[inline(always)]
fn exchange<T: Voxel>(low: &mut [T; LANES], high: &mut [T; LANES]) {
    for n in 0..LANES {
        let (a, b) = (low[n], high[n]);
        low[n] = if b < a { b } else { a };
        high[n] = if b < a { a } else { b };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What sorts all sequences of zeros and ones sorts everything.
    #[test]
    fn every_length_is_sorted() {
        for len in 0..=14usize {
            let all: Vec<u32> = (0..1 << len).collect();
            for patterns in all.chunks(LANES) {
                let bit = |n: usize, k: usize| patterns.get(n).map_or(0, |pattern| (pattern >> k & 1) as u8);
                let mut rows: Vec<[u8; LANES]> = (0..len).map(|k| std::array::from_fn(|n| bit(n, k))).collect();
                sort(&mut rows);
                assert!(rows.windows(2).all(|pair| (0..LANES).all(|n| pair[0][n] <= pair[1][n])), "{len}");
            }
        }
    }

    #[test]
    fn longer_ones_are_sorted_too() {
        for len in [15usize, 16, 17, 27, 64, 65, 125, 343, MOST_SAMPLES] {
            let value = |k: usize, n: usize| ((k * 7919 + n * 104_729) * 48_271 % 65_521) as i16;
            let mut rows: Vec<[i16; LANES]> = (0..len).map(|k| std::array::from_fn(|n| value(k, n))).collect();
            sort(&mut rows);
            for n in 0..LANES {
                let mut expected: Vec<i16> = (0..len).map(|k| value(k, n)).collect();
                expected.sort_unstable();
                assert!(rows.iter().map(|row| row[n]).eq(expected), "{len}");
            }
        }
    }
}
