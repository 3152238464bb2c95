//! Means of whole boxes of samples, row by row.
//!
//! Rows are summed first (planes outside, rows inside), then neighbours along x: the same as linear interpolation halfway
//! between the voxels.

use super::rows;
use crate::voxel::{Rounding, Voxel, num::Arithmetic};

/// Fills `out` with the means of `step` (1 or 2) samples of each of `spanned`; the last one may have fewer. `sums` is as long
/// as those rows.
pub(super) fn fill<'a, T: Voxel>(
    spanned: impl Iterator<Item = &'a [T]>,
    step: usize,
    sums: &mut [T::Acc],
    out: &mut [T],
) {
    let mut count = 0;
    for row in spanned {
        if count == 0 {
            rows::load(row, sums)
        } else {
            rows::accumulate(row, sums)
        }
        count += 1;
    }
    if step == 2 { halve(sums, count, out) } else { rows::store_scaled(sums, reciprocal::<T>(count), out) }
}

/// Pairs of sums to means; the last one may be alone.
fn halve<T: Voxel>(sums: &[T::Acc], rows: usize, out: &mut [T]) {
    let pairs = sums.len() / 2;
    let (whole, last) = out.split_at_mut(pairs.min(out.len()));
    rows::store_pairs(sums, reciprocal::<T>(2 * rows), whole);
    if let ([voxel, ..], Some(sum)) = (last, sums.get(2 * pairs)) {
        *voxel = T::from_acc(*sum * reciprocal::<T>(rows), Rounding::Nearest);
    }
}

/// `1 / count`: a power of two, and so exact.
fn reciprocal<T: Voxel>(count: usize) -> T::Acc {
    T::Acc::of_f64(1.0 / count.max(1) as f64)
}
