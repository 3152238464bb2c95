//! Headers of text: lines, numbers and lists.

use std::path::Path;

use crate::{
    error::{Error, Result},
    geometry::{Affine, Unit},
};

/// One line of a header, for messages.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    pub path: &'a Path,
    pub name: &'a str,
    pub value: &'a str,
}

impl<'a> Field<'a> {
    /// This field is wrong.
    pub fn wrong(&self, expected: impl Into<String>) -> Error {
        let shown: String = self.value.chars().take(80).collect();
        Error::malformed(self.path, format!("'{}'", self.name), format!("'{shown}'"), expected)
    }

    /// Numbers between blanks.
    pub fn numbers<T: std::str::FromStr>(&self, expected: &str) -> Result<Vec<T>> {
        self.value.split_whitespace().map(|word| word.parse().map_err(|_| self.wrong(expected))).collect()
    }

    /// So many numbers between blanks.
    pub fn exactly<T: std::str::FromStr>(&self, count: usize) -> Result<Vec<T>> {
        let expected = format!("{count} numbers");
        let numbers = self.numbers(&expected)?;
        if numbers.len() == count { Ok(numbers) } else { Err(self.wrong(expected)) }
    }

    /// One number.
    pub fn number<T: std::str::FromStr>(&self) -> Result<T> {
        self.value.trim().parse().map_err(|_| self.wrong("a number"))
    }
}

/// The lines of a header, each with the offset of what follows it; without their ends.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = (&[u8], usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        at += end + 1;
        let line = &rest[..end];
        Some((line.strip_suffix(b"\r").unwrap_or(line), at))
    })
}

/// From LPS to RAS.
pub fn turned([l, p, s]: [f64; 3]) -> [f64; 3] {
    [-l, -p, s]
}

/// Millimetres, or the unit of this name.
pub fn unit(name: Option<&str>) -> Unit {
    name.map_or(Unit::Millimetre, |name| Unit::from_name(name.trim()))
}

/// Three columns of at most three vectors: a plane gets a normal of length 1.
pub fn columns(vectors: &[[f64; 3]]) -> [[f64; 3]; 3] {
    match *vectors {
        [a, b, c, ..] => [a, b, c],
        [a, b] => {
            let cross = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
            let norm = cross.iter().map(|x| x * x).sum::<f64>().sqrt();
            [a, b, if norm > 0.0 { cross.map(|x| x / norm) } else { [0.0; 3] }]
        }
        _ => {
            let unit = Affine::identity();
            [unit.column(0), unit.column(1), unit.column(2)]
        }
    }
}
