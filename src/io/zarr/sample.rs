//! Sample types and fill values as Zarr metadata names them.

use serde_json::Value;

use crate::voxel::{Dtype, Rounding, Voxel};

/// How one sample stands in storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    Plain(Dtype),
    /// One byte, 0 or 1, handed over as u8.
    Bool,
    /// IEEE half precision, handed over as f32.
    Half,
}

impl Sample {
    /// The type that the layout states.
    pub fn dtype(self) -> Dtype {
        match self {
            Sample::Plain(dtype) => dtype,
            Sample::Bool => Dtype::U8,
            Sample::Half => Dtype::F32,
        }
    }

    /// Bytes of one stored sample.
    pub fn bytes(self) -> usize {
        match self {
            Sample::Plain(dtype) => dtype.bytes(),
            Sample::Bool => 1,
            Sample::Half => 2,
        }
    }

    /// The name in Zarr v3 metadata (core specification, "Data types").
    pub fn from_v3(name: &str) -> Option<Sample> {
        Some(match name {
            "bool" => Sample::Bool,
            "float16" => Sample::Half,
            _ => Sample::Plain(*Dtype::ALL.iter().find(|dtype| v3_name(**dtype) == name)?),
        })
    }

    /// The NumPy type string of Zarr v2 metadata, such as `<f8`; with whether it is big-endian.
    pub fn from_v2(name: &str) -> Option<(Sample, bool)> {
        let (order, kind) = name.split_at_checked(1)?;
        let sample = match kind {
            "b1" => Sample::Bool,
            "f2" => Sample::Half,
            "u1" => Sample::Plain(Dtype::U8),
            "i1" => Sample::Plain(Dtype::I8),
            "u2" => Sample::Plain(Dtype::U16),
            "i2" => Sample::Plain(Dtype::I16),
            "u4" => Sample::Plain(Dtype::U32),
            "i4" => Sample::Plain(Dtype::I32),
            "u8" => Sample::Plain(Dtype::U64),
            "i8" => Sample::Plain(Dtype::I64),
            "f4" => Sample::Plain(Dtype::F32),
            "f8" => Sample::Plain(Dtype::F64),
            _ => return None,
        };
        match order {
            "<" => Some((sample, false)),
            ">" => Some((sample, true)),
            "|" if sample.bytes() == 1 => Some((sample, false)),
            _ => None,
        }
    }

    /// The stored bytes of a fill value, in this byte order; `None` where the value is not one of this type.
    ///
    /// JSON null (v2: undefined) is 0. Floats know NaN, Infinity, -Infinity and, in v3, the bits in hexadecimal. A number may stand in
    /// a string, as jzarr, n5-zarr and early bioformats2raw write it, and integers may have a point or an exponent.
    pub fn fill_bytes(self, fill: &Value, big_endian: bool) -> Option<Vec<u8>> {
        let mut bytes = match self {
            Sample::Bool => vec![match fill.as_str() {
                Some("true" | "True") => 1,
                Some("false" | "False") => 0,
                _ => integer(fill, Dtype::U8).filter(|n| *n <= 1)? as u8,
            }],
            Sample::Half => match hex_bits(fill, 2) {
                Some(bits) => (bits as u16).to_le_bytes().to_vec(),
                None => half::f16::from_f64(float(fill)?).to_le_bytes().to_vec(),
            },
            Sample::Plain(Dtype::F32) => match hex_bits(fill, 4) {
                Some(bits) => (bits as u32).to_le_bytes().to_vec(),
                None => (float(fill)? as f32).to_le_bytes().to_vec(),
            },
            Sample::Plain(Dtype::F64) => match hex_bits(fill, 8) {
                Some(bits) => bits.to_le_bytes().to_vec(),
                None => float(fill)?.to_le_bytes().to_vec(),
            },
            Sample::Plain(dtype) => integer(fill, dtype)?.to_le_bytes()[..dtype.bytes()].to_vec(),
        };
        if big_endian {
            bytes.reverse();
        }
        Some(bytes)
    }
}

/// The NumPy type string of a type in Zarr v2 metadata, little-endian.
pub(crate) fn v2_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::U8 => "|u1",
        Dtype::I8 => "|i1",
        Dtype::U16 => "<u2",
        Dtype::I16 => "<i2",
        Dtype::U32 => "<u4",
        Dtype::I32 => "<i4",
        Dtype::U64 => "<u8",
        Dtype::I64 => "<i8",
        Dtype::F32 => "<f4",
        Dtype::F64 => "<f8",
    }
}

/// The name of a type in Zarr v3 metadata.
pub(crate) fn v3_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::U8 => "uint8",
        Dtype::I8 => "int8",
        Dtype::U16 => "uint16",
        Dtype::I16 => "int16",
        Dtype::U32 => "uint32",
        Dtype::I32 => "int32",
        Dtype::U64 => "uint64",
        Dtype::I64 => "int64",
        Dtype::F32 => "float32",
        Dtype::F64 => "float64",
    }
}

fn float(fill: &Value) -> Option<f64> {
    match fill {
        Value::Null => Some(0.0),
        Value::String(name) => match name.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            other => other.trim().parse().ok(),
        },
        other => other.as_f64(),
    }
}

fn hex_bits(fill: &Value, bytes: usize) -> Option<u64> {
    let digits = fill.as_str()?.strip_prefix("0x")?;
    if digits.len() != bytes * 2 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

fn integer(fill: &Value, dtype: Dtype) -> Option<i128> {
    let value = match fill {
        Value::Null => 0,
        Value::Bool(b) => i128::from(*b),
        Value::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) => i128::from(i),
            (_, Some(u)) => i128::from(u),
            _ => whole(n.as_f64()?, dtype)?,
        },
        Value::String(text) => match text.trim().parse() {
            Ok(value) => value,
            Err(_) => whole(text.trim().parse().ok()?, dtype)?,
        },
        _ => return None,
    };
    let (low, high) = range(dtype);
    (low..high).contains(&value).then_some(value)
}

/// The first value of an integer type, and the one behind its last.
fn range(dtype: Dtype) -> (i128, i128) {
    let bits = dtype.bytes() as u32 * 8;
    let signed = matches!(dtype, Dtype::I8 | Dtype::I16 | Dtype::I32 | Dtype::I64);
    if signed { (-(1i128 << (bits - 1)), 1i128 << (bits - 1)) } else { (0, 1i128 << bits) }
}

/// A float as an integer. The largest number of 64 bits is none of the floats: it comes rounded up to the next one, which the
/// type does not have.
fn whole(value: f64, dtype: Dtype) -> Option<i128> {
    if value.fract() != 0.0 || value.abs() > 2f64.powi(64) {
        return None;
    }
    let (value, (_, beyond)) = (value as i128, range(dtype));
    Some(if dtype.bytes() == 8 && value == beyond { beyond - 1 } else { value })
}

/// Half-precision samples to voxels, with a slope where there is one.
pub(crate) fn decode_half<T: Voxel>(bytes: &[u8], big_endian: bool, slope: Option<(f64, f64)>, voxels: &mut [T]) {
    for (sample, voxel) in bytes.chunks_exact(2).zip(voxels) {
        let pair = [sample[0], sample[1]];
        let half = if big_endian { half::f16::from_be_bytes(pair) } else { half::f16::from_le_bytes(pair) };
        let (slope, inter) = slope.unwrap_or((1.0, 0.0));
        *voxel = T::from_f64(half.to_f64() * slope + inter, Rounding::Nearest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn type_names_of_both_versions() {
        assert_eq!(Sample::from_v2("<f8"), Some((Sample::Plain(Dtype::F64), false)));
        assert_eq!(Sample::from_v2(">i2"), Some((Sample::Plain(Dtype::I16), true)));
        assert_eq!(Sample::from_v2("|b1"), Some((Sample::Bool, false)));
        for bad in ["", "<", "|i2", "<c8", "<U4", "é8", "f8"] {
            assert_eq!(Sample::from_v2(bad), None, "{bad}");
        }
        for dtype in Dtype::ALL {
            assert_eq!(Sample::from_v3(v3_name(dtype)), Some(Sample::Plain(dtype)));
            assert_eq!(Sample::from_v2(v2_name(dtype)), Some((Sample::Plain(dtype), false)));
        }
        assert_eq!(Sample::from_v3("complex64"), None);
    }

    #[test]
    fn fill_values() {
        let f32s = Sample::Plain(Dtype::F32);
        assert_eq!(f32s.fill_bytes(&json!("NaN"), false).unwrap(), f32::NAN.to_le_bytes());
        assert_eq!(f32s.fill_bytes(&json!("0x7fc00001"), true).unwrap(), [0x7f, 0xc0, 0, 1]);
        assert_eq!(f32s.fill_bytes(&json!("-Infinity"), false).unwrap(), f32::NEG_INFINITY.to_le_bytes());
        assert_eq!(f32s.fill_bytes(&json!("0x7fc0"), false), None);
        assert_eq!(Sample::Plain(Dtype::I16).fill_bytes(&json!(-2), true).unwrap(), [0xff, 0xfe]);
        assert_eq!(Sample::Plain(Dtype::U64).fill_bytes(&json!(u64::MAX), false).unwrap(), [0xff; 8]);
        assert_eq!(Sample::Plain(Dtype::U8).fill_bytes(&json!(256), false), None);
        assert_eq!(Sample::Plain(Dtype::U8).fill_bytes(&json!(-1), false), None);
        assert_eq!(Sample::Plain(Dtype::I32).fill_bytes(&json!(3.0), false).unwrap(), 3i32.to_le_bytes());
        assert_eq!(Sample::Plain(Dtype::U16).fill_bytes(&Value::Null, false).unwrap(), [0, 0]);
        assert_eq!(Sample::Bool.fill_bytes(&json!(true), false).unwrap(), [1]);
        assert_eq!(Sample::Bool.fill_bytes(&json!(2), false), None);
        assert_eq!(Sample::Half.fill_bytes(&json!(1.0), true).unwrap(), [0x3c, 0]);
    }

    #[test]
    fn fill_values_in_strings_and_with_exponents() {
        let of = |dtype, fill: Value| Sample::Plain(dtype).fill_bytes(&fill, false);
        for zero in ["0", "0.0", " 0 ", "-0"] {
            for dtype in [Dtype::U8, Dtype::I8, Dtype::U16, Dtype::I64] {
                assert_eq!(of(dtype, json!(zero)).unwrap(), vec![0; dtype.bytes()], "{zero} {dtype}");
            }
        }
        assert_eq!(of(Dtype::F32, json!("1.5e0")).unwrap(), 1.5f32.to_le_bytes());
        assert!(of(Dtype::F64, json!("nan")).unwrap() != [0; 8]);
        assert_eq!(of(Dtype::U16, json!("65535")).unwrap(), [0xff; 2]);
        assert_eq!(of(Dtype::U16, json!(65535.0)).unwrap(), [0xff; 2]);
        assert_eq!(of(Dtype::U64, json!(18446744073709551616.0)).unwrap(), [0xff; 8]);
        assert_eq!(of(Dtype::I64, json!(9223372036854775808.0)).unwrap(), i64::MAX.to_le_bytes());
        assert_eq!(of(Dtype::I64, json!(-9223372036854775808.0)).unwrap(), i64::MIN.to_le_bytes());
        assert_eq!(Sample::Half.fill_bytes(&json!("1"), true).unwrap(), [0x3c, 0]);
        for (text, set) in [("true", 1), ("False", 0), ("1", 1), ("0.0", 0)] {
            assert_eq!(Sample::Bool.fill_bytes(&json!(text), false).unwrap(), [set], "{text}");
        }
        for (dtype, fill) in [
            (Dtype::U8, json!("256")),
            (Dtype::U8, json!("NaN")),
            (Dtype::U8, json!("")),
            (Dtype::U32, json!(4294967296.0)),
            (Dtype::U64, json!(1e20)),
            (Dtype::U64, json!("1e20")),
            (Dtype::I32, json!(0.5)),
            (Dtype::F32, json!("zero")),
            (Dtype::F32, json!([0])),
        ] {
            assert_eq!(of(dtype, fill.clone()), None, "{dtype} {fill}");
        }
    }
}
