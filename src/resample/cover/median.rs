//! The middle of samples.

use bytemuck::cast;

use crate::{
    resample::order::{is_nan, order},
    voxel::{Dtype, Rounding, Voxel},
};

/// The middle of the sorted samples, or the mean of the two middle ones, rounded in integers; NaN if any sample is. Reorders `samples`.
///
/// The default of no samples is 0.
pub(crate) fn median<T: Voxel>(samples: &mut [T], rounding: Rounding) -> T {
    if let Some(&nan) = samples.iter().find(|&&value| is_nan(value)) {
        return nan;
    }
    let (half, even) = (samples.len() / 2, samples.len().is_multiple_of(2));
    if samples.is_empty() {
        return T::default();
    }
    let (below, &mut middle, _) = samples.select_nth_unstable_by(half, order);
    self::middle(below.iter().copied().max_by(order).filter(|_| even), middle, rounding)
}

/// The median where `above` is the first sample of the upper half, and `below` the last one of the lower half if both have as many.
pub(super) fn middle<T: Voxel>(below: Option<T>, above: T, rounding: Rounding) -> T {
    match below {
        Some(below) if below != above => midway(below, above, rounding),
        _ => above,
    }
}

/// The mean of two values, exact before it is rounded.
fn midway<T: Voxel>(a: T, b: T, rounding: Rounding) -> T {
    let whole = |sum: i128| match rounding {
        Rounding::Nearest => (sum + 1).div_euclid(2),
        Rounding::Truncate => sum / 2,
    };
    match T::DTYPE {
        Dtype::U64 => cast(whole(i128::from(cast::<T, u64>(a)) + i128::from(cast::<T, u64>(b))) as u64),
        Dtype::I64 => cast(whole(i128::from(cast::<T, i64>(a)) + i128::from(cast::<T, i64>(b))) as i64),
        _ => T::from_f64(a.to_f64().midpoint(b.to_f64()), rounding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_or_the_mean_of_the_two_middle_ones() {
        assert_eq!(median(&mut [5u8, 1, 9], Rounding::Nearest), 5);
        assert_eq!(median(&mut [5.0f32, 1.0, 9.0, 2.0], Rounding::Nearest), 3.5);
        assert_eq!(median(&mut [5u8, 1, 9, 2], Rounding::Nearest), 4);
        assert_eq!(median(&mut [5u8, 1, 9, 2], Rounding::Truncate), 3);
        assert_eq!(median(&mut [-1i16, -2], Rounding::Nearest), -1);
        assert_eq!(median(&mut [-1i16, -2], Rounding::Truncate), -1);
        assert_eq!(median(&mut [7i32], Rounding::Nearest), 7);
        assert!(median(&mut [1.0, f64::NAN, 2.0], Rounding::Nearest).is_nan());
    }

    #[test]
    fn whole_numbers_of_64_bits_are_exact() {
        assert_eq!(median(&mut [u64::MAX, u64::MAX - 2], Rounding::Nearest), u64::MAX - 1);
        assert_eq!(median(&mut [u64::MAX, u64::MAX - 1], Rounding::Nearest), u64::MAX);
        assert_eq!(median(&mut [u64::MAX, u64::MAX - 1], Rounding::Truncate), u64::MAX - 1);
        assert_eq!(median(&mut [i64::MIN, i64::MIN + 1], Rounding::Nearest), i64::MIN + 1);
        assert_eq!(median(&mut [-3i64, -4], Rounding::Nearest), -3);
        assert_eq!(median(&mut [-3i64, -4], Rounding::Truncate), -3);
    }
}
