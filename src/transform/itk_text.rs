//! ITK transforms as text (`.tfm`, `.txt`): "#Insight Transform File V1.0".
//!
//! Source: ITK 5.4, `itkTxtTransformIO`. Several transforms compose as the parts of a composite do, also without a
//! composite before them (where ITK leaves it to the reader).

use super::{
    file::{Line, Text},
    itk::{Record, compose},
};
use crate::{error::Result, geometry::Affine};

const MAGIC: &str = "#Insight Transform File";

pub(super) fn is_itk(text: &Text<'_>) -> bool {
    text.lines().next().is_some_and(|line| line.text.starts_with(MAGIC))
}

/// Reads all transforms of a file into one map, RAS+ mm, target to source.
///
/// # Errors
/// Lines that are none of the format's, parameters that their class does not have, other classes.
pub(super) fn read(text: &Text<'_>) -> Result<Affine> {
    let mut records: Vec<Record<'_>> = Vec::new();
    for line in text.lines().filter(|line| !line.text.starts_with('#')) {
        if let Some(name) = line.value("Transform", ':') {
            let place = format!("line {}", line.number);
            records.push(Record { name: name.text, place, parameters: Vec::new(), fixed: Vec::new() });
        } else if let Some(numbers) = line.value("Parameters", ':') {
            current(&mut records, line)?.parameters = numbers.numbers()?;
        } else if let Some(numbers) = line.value("FixedParameters", ':') {
            current(&mut records, line)?.fixed = numbers.numbers()?;
        } else {
            return Err(line.is_not("Transform:, Parameters: or FixedParameters:"));
        }
    }
    if records.is_empty() {
        return Err(text.ended("Transform:"));
    }
    compose(text.path, &records)
}

fn current<'r, 'a>(records: &'r mut [Record<'a>], line: Line<'_>) -> Result<&'r mut Record<'a>> {
    records.last_mut().ok_or_else(|| line.is_not("Transform: first"))
}
