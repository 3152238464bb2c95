//! What one sample is: the [`Voxel`] trait, the [`Dtype`] names, rounding and saturation, and the one dispatch on dtype.

use std::fmt;

use serde::Serialize;

/// The sample types that are resampled; compound voxels (RGB, complex) are several components of one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl Dtype {
    /// Every type.
    pub const ALL: [Dtype; 10] = [
        Dtype::U8,
        Dtype::I8,
        Dtype::U16,
        Dtype::I16,
        Dtype::U32,
        Dtype::I32,
        Dtype::U64,
        Dtype::I64,
        Dtype::F32,
        Dtype::F64,
    ];

    /// Bytes of one sample.
    pub fn bytes(self) -> usize {
        match self {
            Dtype::U8 | Dtype::I8 => 1,
            Dtype::U16 | Dtype::I16 => 2,
            Dtype::U32 | Dtype::I32 | Dtype::F32 => 4,
            Dtype::U64 | Dtype::I64 | Dtype::F64 => 8,
        }
    }

    /// Whether it holds fractions.
    pub fn is_float(self) -> bool {
        matches!(self, Dtype::F32 | Dtype::F64)
    }

    /// The short name of the command line: `u8`, `i16`, `f32`.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::U8 => "u8",
            Dtype::I8 => "i8",
            Dtype::U16 => "u16",
            Dtype::I16 => "i16",
            Dtype::U32 => "u32",
            Dtype::I32 => "i32",
            Dtype::U64 => "u64",
            Dtype::I64 => "i64",
            Dtype::F32 => "f32",
            Dtype::F64 => "f64",
        }
    }

    /// The float type in which samples of this type are accumulated without loss beyond rounding.
    pub fn real(self) -> Dtype {
        match self {
            Dtype::U32 | Dtype::I32 | Dtype::U64 | Dtype::I64 | Dtype::F64 => Dtype::F64,
            _ => Dtype::F32,
        }
    }

    /// Smallest and largest value, as f64 (rounded for 64-bit integers).
    pub fn range(self) -> (f64, f64) {
        crate::dispatch!(self, T => T::range())
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Dtype {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Dtype::ALL
            .into_iter()
            .find(|d| d.name() == s)
            .ok_or_else(|| format!("unknown dtype '{s}', expected one of {}", Dtype::ALL.map(Dtype::name).join(", ")))
    }
}

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
    const DTYPE: Dtype;

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
    ($t:ty, $acc:ty, $dtype:ident, $cast:expr) => {
        impl Voxel for $t {
            type Acc = $acc;
            const DTYPE: Dtype = Dtype::$dtype;

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

integer_voxel!(u8, f32, U8, |whole: f32| (whole + WHOLE_F32).to_bits() as u8);
integer_voxel!(i8, f32, I8, |whole: f32| (whole + WHOLE_F32).to_bits() as i8);
integer_voxel!(u16, f32, U16, |whole: f32| (whole + WHOLE_F32).to_bits() as u16);
integer_voxel!(i16, f32, I16, |whole: f32| (whole + WHOLE_F32).to_bits() as i16);
integer_voxel!(u32, f64, U32, |whole: f64| (whole + WHOLE_F64).to_bits() as u32);
integer_voxel!(i32, f64, I32, |whole: f64| (whole + WHOLE_F64).to_bits() as i32);
integer_voxel!(u64, f64, U64, |whole: f64| whole as u64);
integer_voxel!(i64, f64, I64, |whole: f64| whole as i64);

macro_rules! float_voxel {
    ($t:ty, $dtype:ident) => {
        impl Voxel for $t {
            type Acc = $t;
            const DTYPE: Dtype = Dtype::$dtype;

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
