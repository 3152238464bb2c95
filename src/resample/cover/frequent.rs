//! The value whose weights sum highest.

use crate::{
    resample::order::{Order, same},
    voxel::Voxel,
};

/// Sums that are this close, relative to the highest, are equal.
const TIE: f64 = 1e-9;

/// The value whose weights, which are not negative, sum highest; ties to the lower by `order`, NaNs being one value above all. Puts
/// `samples` in order.
///
/// Sums are taken in order of value and weight, so the result does not depend on the order of `samples`. The default of
/// no samples is 0.
pub(crate) fn most_frequent<T: Voxel>(samples: &mut [(T, f64)], order: Order) -> T {
    heaviest(samples, order, least)
}

/// The sum from which on sums are equal to the highest.
#[inline(always)]
pub(super) fn least(highest: f64) -> f64 {
    highest * (1.0 - TIE)
}

/// The same where sums from `least(highest)` on are ties.
pub(crate) fn heaviest<T: Voxel>(samples: &mut [(T, f64)], order: Order, least: impl Fn(f64) -> f64) -> T {
    let Some((&(first, _), rest)) = samples.split_first() else { return T::default() };
    if rest.iter().all(|&(value, _)| same(value, first)) {
        return first;
    }
    samples.sort_unstable_by(|(a, v), (b, w)| order.compare(a, b).then(v.total_cmp(w)));
    let sums = || {
        let runs = samples.chunk_by(|(a, _), (b, _)| same(*a, *b));
        runs.map(|run| (run[0].0, run.iter().map(|(_, weight)| weight).sum::<f64>()))
    };
    let highest = sums().map(|(_, sum)| sum).fold(0.0, f64::max);
    let least = least(highest);
    sums().find(|(_, sum)| *sum >= least).map_or(first, |(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<T: Voxel>(samples: &[(T, f64)]) -> T {
        most_frequent(&mut samples.to_vec(), Order::Rising)
    }

    #[test]
    fn weights_decide_and_ties_go_to_the_lower() {
        assert_eq!(of(&[(3u8, 0.2), (5, 0.3), (3, 0.2), (9, 0.3)]), 3);
        assert_eq!(of(&[(9i16, 0.5), (-4, 0.25), (-4, 0.25)]), -4);
        assert_eq!(of(&[(9i16, 0.5 + 2e-9), (-4, 0.5)]), 9);
        assert_eq!(of(&[(9i16, 0.5 + 1e-10), (-4, 0.5)]), -4);
        assert_eq!(of::<u8>(&[]), 0);
    }

    #[test]
    fn ties_go_to_the_lower_value_where_larger_samples_stand_for_it() {
        let falling = |samples: &[(f32, f64)]| most_frequent(&mut samples.to_vec(), Order::Falling);
        assert_eq!(falling(&[(10.0, 0.5), (20.0, 0.5)]), 20.0);
        assert_eq!(falling(&[(10.0, 0.6), (20.0, 0.5)]), 10.0);
        assert_eq!(falling(&[(f32::NAN, 0.5), (20.0, 0.5)]), 20.0);
    }

    /// Each within 1e-9 of the next, but the first not of the last.
    #[test]
    fn ties_are_with_the_highest_sum() {
        let (a, b, c) = ((1u8, 1.0), (2u8, 1.0 + 0.8e-9), (3u8, 1.0 + 1.6e-9));
        assert_eq!((of(&[a, b, c]), of(&[c, b, a]), of(&[a, b])), (2, 2, 1));
    }

    #[test]
    fn labels_of_64_bits_are_told_apart() {
        assert_eq!(of(&[(u64::MAX, 0.4), (u64::MAX - 1, 0.3), (u64::MAX - 2, 0.3)]), u64::MAX);
        assert_eq!(of(&[((1i64 << 53) + 1, 0.6), (1 << 53, 0.4)]), (1 << 53) + 1);
    }

    #[test]
    fn nans_are_one_value_above_all() {
        assert!(of(&[(f32::NAN, 0.3), (1.0, 0.4), (-f32::NAN, 0.3)]).is_nan());
        assert_eq!(of(&[(f32::NAN, 0.5), (f32::INFINITY, 0.5)]), f32::INFINITY);
    }
}
