//! ITK transforms in MATLAB files of level 4 (`.mat`): ANTs' `0GenericAffine.mat`.
//!
//! Each transform is two variables: its parameters, under the name of its class, and `fixed`. Both byte orders.
//!
//! Source: MathWorks, "MAT-File Format", level 4; VXL `vnl_matlab_write`; ITK 5.4 `itkMatlabTransformIO`.

use std::path::Path;

use super::{file::MATRIX_AS_TEXT, itk::Record};
use crate::error::{Error, Result};

const HEADER_BYTES: usize = 20;
/// Names of classes are some thirty letters long, transforms some twelve numbers.
const MOST_LETTERS: i32 = 256;
const MOST_NUMBERS: i64 = 4096;
/// Of a matrix of 4 rows and columns; no transform of ITK has as many.
const MATRIX_NUMBERS: usize = 16;

/// Reads all transforms of a file.
///
/// # Errors
/// A matrix alone, headers that are none of level 4, types other than f64 and f32, sizes beyond the file, with the byte.
pub(super) fn records<'a>(path: &'a Path, bytes: &'a [u8]) -> Result<Vec<Record<'a>>> {
    let mut cursor = Cursor { path, bytes, at: 0 };
    let mut records = Vec::new();
    while cursor.at < bytes.len() {
        let place = format!("byte {}", cursor.at);
        let (name, parameters) = cursor.variable()?;
        let at = cursor.at;
        if at == bytes.len() && parameters.len() == MATRIX_NUMBERS {
            return Err(lone_matrix(path, name));
        }
        let (fixed_name, fixed) = cursor.variable()?;
        if fixed_name != "fixed" {
            return Err(Error::malformed(path, format!("byte {at}"), format!("'{}'", shown(fixed_name)), "'fixed'"));
        }
        records.push(Record { name, place, parameters: parameters.into(), fixed: fixed.into() });
    }
    Ok(records)
}

/// No transform of ITK, and nothing says which space it is in.
fn lone_matrix(path: &Path, name: &str) -> Error {
    let what =
        format!("a MATLAB file with the matrix '{}' alone; of these files ITK's transforms are read", shown(name));
    Error::Unsupported { path: path.to_path_buf(), what, hint: Some(MATRIX_AS_TEXT.into()) }
}

fn shown(name: &str) -> String {
    name.escape_debug().to_string()
}

struct Cursor<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

/// How numbers of one variable are stored.
struct Storage {
    big_endian: bool,
    /// 8 or 4.
    number_bytes: usize,
}

impl<'a> Cursor<'a> {
    fn variable(&mut self) -> Result<(&'a str, Vec<f64>)> {
        let first = self.at;
        let header = self.take(HEADER_BYTES, "a header of 20 bytes")?;
        let storage = self.storage(first, header)?;
        let field = |n: usize| storage.int(&header[4 * n..]);
        let [rows, columns, imaginary, letters] = [field(1), field(2), field(3), field(4)];
        let count = i64::from(rows) * i64::from(columns);
        if rows < 0 || !(0..=MOST_NUMBERS).contains(&count) || imaginary != 0 {
            let found = format!("{rows}x{columns}, imaginary {imaginary}");
            return Err(self.malformed(first + 4, found, "a real vector of at most 4096 numbers"));
        }
        if !(1..=MOST_LETTERS).contains(&letters) {
            return Err(self.malformed(first + 16, letters.to_string(), "a name of 1 to 256 letters"));
        }
        let name = self.take(letters as usize, "a name")?;
        let name = std::str::from_utf8(name).unwrap_or("").trim_end_matches('\0');
        if name.is_empty() {
            return Err(self.malformed(first + HEADER_BYTES, "no text".into(), "a name"));
        }
        let numbers = self.take(count as usize * storage.number_bytes, "numbers")?;
        let numbers: Vec<f64> =
            numbers.chunks_exact(storage.number_bytes).map(|number| storage.number(number)).collect();
        match numbers.iter().find(|number| !number.is_finite()) {
            Some(number) => Err(self.malformed(first, format!("{number} in '{}'", shown(name)), "finite numbers")),
            None => Ok((name, numbers)),
        }
    }

    /// The type is M O P T in decimal: byte order, 0 or 1 (ITK: rows first), number type, full matrix.
    fn storage(&self, at: usize, header: &[u8]) -> Result<Storage> {
        for big_endian in [false, true] {
            let kind = Storage { big_endian, number_bytes: 8 }.int(header);
            let number_bytes = match (big_endian, kind) {
                (false, 0 | 100) | (true, 1000 | 1100) => 8,
                (false, 10 | 110) | (true, 1010 | 1110) => 4,
                _ => continue,
            };
            return Ok(Storage { big_endian, number_bytes });
        }
        let found = format!("type {}", Storage { big_endian: false, number_bytes: 8 }.int(header));
        Err(self.malformed(at, found, "a full matrix of f64 or f32 (MATLAB level 4)"))
    }

    fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        if count > rest.len() {
            let found = format!("{} bytes to the end of the file", rest.len());
            return Err(self.malformed(self.at, found, format!("{what} ({count} bytes)")));
        }
        self.at += count;
        Ok(&rest[..count])
    }

    fn malformed(&self, at: usize, found: String, expected: impl Into<String>) -> Error {
        Error::malformed(self.path, format!("byte {at}"), found, expected)
    }
}

impl Storage {
    /// The integer of 32 bits that `bytes` begins with; the caller has taken as many.
    fn int(&self, bytes: &[u8]) -> i32 {
        let raw = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if self.big_endian { i32::from_be_bytes(raw) } else { i32::from_le_bytes(raw) }
    }

    fn number(&self, bytes: &[u8]) -> f64 {
        let mut raw = [0u8; 8];
        raw[..bytes.len()].copy_from_slice(bytes);
        if self.big_endian {
            raw[..bytes.len()].reverse();
        }
        if bytes.len() == 8 {
            return f64::from_le_bytes(raw);
        }
        f64::from(f32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]))
    }
}
