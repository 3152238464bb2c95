//! What one sample is: the [`Voxel`] trait, the [`Dtype`] names, rounding and saturation, and the one dispatch on dtype.

use std::fmt;

use serde::Serialize;

mod dtype;
mod key;

pub use dtype::Dtype;
pub use key::Key;

/// How a real value becomes an integer sample, after clamping to the type's range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rounding {
    /// `floor(x + 0.5)`.
    #[default]
    Nearest,
    /// Toward zero, as ITK does.
    Truncate,
}

/// The float in which samples are weighed and summed.
pub trait Real: Voxel<Acc = Self> + num::Arithmetic {}
impl Real for f32 {}
impl Real for f64 {}

/// The arithmetic the resampling loops use, and no more.
pub mod num {
    use std::ops::{Add, AddAssign, Mul, Sub};

    /// What ops compute in: f32 or f64.
    pub trait Arithmetic:
        Copy + Add<Output = Self> + AddAssign + Mul<Output = Self> + Sub<Output = Self> + PartialOrd
    {
        const ZERO: Self;
        const ONE: Self;
        fn of_i32(x: i32) -> Self;
        fn of_f64(x: f64) -> Self;
        fn is_nan(self) -> bool;
    }

    impl Arithmetic for f32 {
        const ZERO: f32 = 0.0;
        const ONE: f32 = 1.0;
        #[inline(always)]
        fn of_i32(x: i32) -> f32 {
            x as f32
        }
        #[inline(always)]
        fn of_f64(x: f64) -> f32 {
            x as f32
        }
        fn is_nan(self) -> bool {
            self.is_nan()
        }
    }

    impl Arithmetic for f64 {
        const ZERO: f64 = 0.0;
        const ONE: f64 = 1.0;
        #[inline(always)]
        fn of_i32(x: i32) -> f64 {
            x as f64
        }
        #[inline(always)]
        fn of_f64(x: f64) -> f64 {
            x
        }
        fn is_nan(self) -> bool {
            self.is_nan()
        }
    }
}

/// One sample of a volume, u8 to f64.
pub trait Voxel: bytemuck::Pod + Default + PartialOrd + fmt::Debug + Send + Sync + 'static {
    /// f32 for samples of up to 16 bits and f32, f64 for the rest.
    type Acc: Real;
    /// As wide as a weight in f64, exact, and in the order of samples: i64 for integers of 64 bits, f64 for the rest.
    type Key: Key;
    const DTYPE: Dtype;

    fn to_key(self) -> Self::Key;
    /// The sample that `key` stands for; of no use where that may be NaN, whose bits are not kept.
    fn of_key(key: Self::Key) -> Self;
    fn to_acc(self) -> Self::Acc;
    /// Clamps, then rounds; NaN becomes 0 in an integer type.
    fn from_acc(value: Self::Acc, rounding: Rounding) -> Self;
    fn to_f64(self) -> f64;
    /// Clamps, then rounds; NaN becomes 0 in an integer type.
    fn from_f64(value: f64, rounding: Rounding) -> Self;
    fn swap_bytes(self) -> Self;
    /// Smallest and largest value, as f64.
    fn range() -> (f64, f64);
}

/// `x + WHOLE` has the whole number `x`, of up to 22 or 51 bits and a sign, in its lowest bits: unlike a saturating cast to a
/// small type, whole vectors at once.
const WHOLE_F32: f32 = 1.5 * (1u32 << 23) as f32;
const WHOLE_F64: f64 = 1.5 * (1u64 << 52) as f64;

macro_rules! integer_voxel {
    ($t:ty, $acc:ty, $key:ty, $dtype:ident, $cast:expr, $to_key:expr, $of_key:expr) => {
        impl Voxel for $t {
            type Acc = $acc;
            type Key = $key;
            const DTYPE: Dtype = Dtype::$dtype;

            #[inline(always)]
            fn to_key(self) -> $key {
                $to_key(self)
            }

            #[inline(always)]
            fn of_key(key: $key) -> $t {
                $of_key(key)
            }

            #[inline(always)]
            fn to_acc(self) -> $acc {
                self as $acc
            }

            #[inline(always)]
            fn from_acc(value: $acc, rounding: Rounding) -> $t {
                // The explicit clamp keeps `+ 0.5` inside the range first.
                let clamped = value.clamp(<$t>::MIN as $acc, <$t>::MAX as $acc);
                let whole = match rounding {
                    Rounding::Nearest => (clamped + 0.5).floor(),
                    Rounding::Truncate => clamped.trunc(),
                };
                $cast(if whole.is_nan() { 0.0 } else { whole })
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }

            #[inline(always)]
            fn from_f64(value: f64, rounding: Rounding) -> $t {
                let clamped = value.clamp(<$t>::MIN as f64, <$t>::MAX as f64);
                match rounding {
                    Rounding::Nearest => (clamped + 0.5).floor() as $t,
                    Rounding::Truncate => clamped as $t,
                }
            }

            #[inline(always)]
            fn swap_bytes(self) -> $t {
                <$t>::swap_bytes(self)
            }

            fn range() -> (f64, f64) {
                (<$t>::MIN as f64, <$t>::MAX as f64)
            }
        }
    };
}

/// Integers whose keys are floats: `$whole` makes a sample of a whole number.
macro_rules! narrow_voxel {
    ($t:ty, $acc:ty, $dtype:ident, $whole:expr) => {
        integer_voxel!($t, $acc, f64, $dtype, $whole, |value: $t| f64::from(value), |key: f64| $whole(key as $acc));
    };
}

narrow_voxel!(u8, f32, U8, |whole: f32| (whole + WHOLE_F32).to_bits() as u8);
narrow_voxel!(i8, f32, I8, |whole: f32| (whole + WHOLE_F32).to_bits() as i8);
narrow_voxel!(u16, f32, U16, |whole: f32| (whole + WHOLE_F32).to_bits() as u16);
narrow_voxel!(i16, f32, I16, |whole: f32| (whole + WHOLE_F32).to_bits() as i16);
narrow_voxel!(u32, f64, U32, |whole: f64| (whole + WHOLE_F64).to_bits() as u32);
narrow_voxel!(i32, f64, I32, |whole: f64| (whole + WHOLE_F64).to_bits() as i32);
/// The bit that turns the order of `u64` into that of `i64`.
const SIGN: u64 = 1 << 63;
integer_voxel!(u64, f64, i64, U64, |whole: f64| whole as u64, |value: u64| (value ^ SIGN) as i64, |key: i64| key
    as u64
    ^ SIGN);
integer_voxel!(i64, f64, i64, I64, |whole: f64| whole as i64, |value: i64| value, |key: i64| key);

macro_rules! float_voxel {
    ($t:ty, $dtype:ident) => {
        impl Voxel for $t {
            type Acc = $t;
            type Key = f64;
            const DTYPE: Dtype = Dtype::$dtype;

            #[inline(always)]
            fn to_key(self) -> f64 {
                f64::from(self)
            }

            #[inline(always)]
            fn of_key(key: f64) -> $t {
                key as $t
            }

            #[inline(always)]
            fn to_acc(self) -> $t {
                self
            }

            #[inline(always)]
            fn from_acc(value: $t, _: Rounding) -> $t {
                value
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }

            #[inline(always)]
            fn from_f64(value: f64, _: Rounding) -> $t {
                value as $t
            }

            #[inline(always)]
            fn swap_bytes(self) -> $t {
                <$t>::from_bits(self.to_bits().swap_bytes())
            }

            fn range() -> (f64, f64) {
                (<$t>::MIN as f64, <$t>::MAX as f64)
            }
        }
    };
}

float_voxel!(f32, F32);
float_voxel!(f64, F64);

/// Runs `$body` with the type alias `$T` bound to the Rust type of a [`Dtype`]: the crate's only dispatch on dtype.
#[macro_export]
macro_rules! dispatch {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::voxel::Dtype::U8 => $crate::dispatch!(@ u8, $T, $body),
            $crate::voxel::Dtype::I8 => $crate::dispatch!(@ i8, $T, $body),
            $crate::voxel::Dtype::U16 => $crate::dispatch!(@ u16, $T, $body),
            $crate::voxel::Dtype::I16 => $crate::dispatch!(@ i16, $T, $body),
            $crate::voxel::Dtype::U32 => $crate::dispatch!(@ u32, $T, $body),
            $crate::voxel::Dtype::I32 => $crate::dispatch!(@ i32, $T, $body),
            $crate::voxel::Dtype::U64 => $crate::dispatch!(@ u64, $T, $body),
            $crate::voxel::Dtype::I64 => $crate::dispatch!(@ i64, $T, $body),
            $crate::voxel::Dtype::F32 => $crate::dispatch!(@ f32, $T, $body),
            $crate::voxel::Dtype::F64 => $crate::dispatch!(@ f64, $T, $body),
        }
    };
    (@ $concrete:ty, $T:ident, $body:expr) => {{
        #[allow(dead_code)]
        type $T = $concrete;
        $body
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rounds_halves_up_and_saturates() {
        assert_eq!(u8::from_acc(2.5, Rounding::Nearest), 3);
        assert_eq!(i16::from_acc(-2.5, Rounding::Nearest), -2);
        assert_eq!(u8::from_acc(-7.0, Rounding::Nearest), 0);
        assert_eq!(u8::from_acc(1e9, Rounding::Nearest), 255);
        assert_eq!(u16::from_acc(65534.6, Rounding::Nearest), 65535);
        assert_eq!(i64::from_f64(1e30, Rounding::Nearest), i64::MAX);
    }

    #[test]
    fn truncate_goes_toward_zero() {
        assert_eq!(i16::from_acc(-2.9, Rounding::Truncate), -2);
        assert_eq!(u8::from_acc(2.9, Rounding::Truncate), 2);
    }

    #[test]
    fn nan_is_zero_in_integers_and_itself_in_floats() {
        for rounding in [Rounding::Nearest, Rounding::Truncate] {
            assert_eq!(i16::from_acc(f32::NAN, rounding), 0);
            assert_eq!(u64::from_f64(f64::NAN, rounding), 0);
            assert!(f32::from_acc(f32::NAN, rounding).is_nan());
        }
    }

    #[test]
    fn names_parse_back() {
        for dtype in Dtype::ALL {
            assert_eq!(dtype.name().parse::<Dtype>(), Ok(dtype));
            assert_eq!(dispatch!(dtype, T => std::mem::size_of::<T>()), dtype.bytes());
        }
    }
}
