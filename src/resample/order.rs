//! The order of samples of any type: NaN is above everything, and all NaNs are one value.
//!
//! Samples may stand for real values by a slope. Where the slope is negative, the larger sample is the lower value.

use std::cmp::Ordering;

use crate::voxel::Voxel;

/// How the order of stored samples is that of the real values which they stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The larger sample is the larger value.
    #[default]
    Rising,
    /// The larger sample is the lower value, as with a negative slope.
    Falling,
}

impl Order {
    /// The order of samples that have this slope; `None` where they mean themselves.
    pub fn of_slope(slope: Option<f64>) -> Order {
        if slope.is_some_and(|slope| slope < 0.0) { Order::Falling } else { Order::Rising }
    }

    /// Whether `a` stands for a lower value than `b`; false where either is NaN.
    #[inline(always)]
    pub fn is_lower<T: Voxel>(self, a: T, b: T) -> bool {
        match self {
            Order::Rising => a < b,
            Order::Falling => a > b,
        }
    }

    /// By value, NaN above everything.
    pub fn compare<T: Voxel>(self, a: &T, b: &T) -> Ordering {
        match self {
            Order::Falling if !is_nan(*a) && !is_nan(*b) => order(b, a),
            _ => order(a, b),
        }
    }
}

/// Whether a value is NaN.
#[inline(always)]
pub(super) fn is_nan<T: Voxel>(value: T) -> bool {
    value.partial_cmp(&value).is_none()
}

/// Equal, where NaNs are equal among themselves.
pub(super) fn same<T: Voxel>(a: T, b: T) -> bool {
    a == b || (is_nan(a) && is_nan(b))
}

/// Lower, where NaN is above everything.
pub(super) fn lower<T: Voxel>(a: T, b: T) -> bool {
    a < b || (is_nan(b) && !is_nan(a))
}

/// Ascending, NaN last.
pub(super) fn order<T: Voxel>(a: &T, b: &T) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| is_nan(*a).cmp(&is_nan(*b)))
}
