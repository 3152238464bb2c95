//! The most frequent of whole boxes of samples, row by row.

use super::order::{lower, same};
use crate::voxel::Voxel;

/// Fills `out` with the most frequent of `step` (1 or 2) samples of each of `spanned`, ties to the lower; the last one may have
/// fewer.
pub(super) fn fill<'a, T: Voxel>(spanned: impl Iterator<Item = &'a [T]> + Clone, step: usize, out: &mut [T]) {
    for (x, voxel) in out.iter_mut().enumerate() {
        *voxel = most_frequent(spanned.clone(), x * step, step);
    }
}

/// The most frequent of the samples `x..x + step` of all rows.
fn most_frequent<'a, T: Voxel>(rows: impl Iterator<Item = &'a [T]>, x: usize, step: usize) -> T {
    let mut values = [T::default(); 8];
    let mut len = 0;
    for row in rows {
        for &value in &row[x..(x + step).min(row.len())] {
            values[len] = value;
            len += 1;
        }
    }
    let values = &values[..len];
    let Some((&first, rest)) = values.split_first() else { return T::default() };
    if rest.iter().all(|&value| same(value, first)) {
        return first;
    }
    let count = |value: T| values.iter().filter(|&&other| same(value, other)).count();
    let better = |best: (usize, T), value: T| {
        let times = count(value);
        if times > best.0 || (times == best.0 && lower(value, best.1)) { (times, value) } else { best }
    };
    values.iter().fold((0, first), |best, &value| better(best, value)).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of<T: Voxel>(rows: &[&[T]]) -> T {
        most_frequent(rows.iter().copied(), 0, 2)
    }

    #[test]
    fn the_most_frequent_wins_and_ties_go_to_the_lower() {
        assert_eq!(mode_of::<u64>(&[&[u64::MAX, 3], &[u64::MAX, 5]]), u64::MAX);
        assert_eq!(mode_of::<u64>(&[&[9, 3], &[3, 9]]), 3);
        assert_eq!(mode_of::<u64>(&[&[u64::MAX, u64::MAX - 1]]), u64::MAX - 1);
        assert_eq!(mode_of::<i16>(&[&[1, -1]]), -1);
        assert_eq!(mode_of::<f32>(&[&[f32::NAN, 2.0], &[f32::NAN, 1.0]]).to_bits(), f32::NAN.to_bits());
        assert_eq!(mode_of::<f32>(&[&[f32::NAN, 2.0]]), 2.0);
    }
}
