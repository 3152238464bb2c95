//! The order of samples of any type: NaN is above everything, and all NaNs are one value.

use std::cmp::Ordering;

use crate::voxel::Voxel;

#[inline(always)]
pub fn is_nan<T: Voxel>(value: T) -> bool {
    value.partial_cmp(&value).is_none()
}

/// Equal, where NaNs are equal among themselves.
pub fn same<T: Voxel>(a: T, b: T) -> bool {
    a == b || (is_nan(a) && is_nan(b))
}

/// Lower, where NaN is above everything.
pub fn lower<T: Voxel>(a: T, b: T) -> bool {
    a < b || (is_nan(b) && !is_nan(a))
}

pub fn order<T: Voxel>(a: &T, b: &T) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| is_nan(*a).cmp(&is_nan(*b)))
}
