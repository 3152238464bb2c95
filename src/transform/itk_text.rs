//! ITK transforms as text (`.tfm`, `.txt`): "#Insight Transform File V1.0".
//!
//! Source: ITK 5.4, `itkTxtTransformIO`.

use std::borrow::Cow;

use super::{
    file::{Line, Text},
    itk::Record,
};
use crate::error::Result;

const MAGIC: &str = "#Insight Transform File";

pub(super) fn is_itk(text: &Text<'_>) -> bool {
    text.lines().next().is_some_and(|line| line.text.starts_with(MAGIC))
}

/// Reads all transforms of a file.
///
/// # Errors
/// Lines that are none of the format's; no transform.
pub(super) fn records<'a>(text: &Text<'a>) -> Result<Vec<Record<'a>>> {
    let mut records: Vec<Record<'a>> = Vec::new();
    for line in text.lines().filter(|line| !line.text.starts_with('#')) {
        if let Some(name) = line.value("Transform", ':') {
            let place = format!("line {}", line.number);
            records.push(Record { name: name.text, place, parameters: Cow::default(), fixed: Cow::default() });
        } else if let Some(numbers) = line.value("Parameters", ':') {
            current(&mut records, line)?.parameters = numbers.numbers()?.into();
        } else if let Some(numbers) = line.value("FixedParameters", ':') {
            current(&mut records, line)?.fixed = numbers.numbers()?.into();
        } else {
            return Err(line.is_not("Transform:, Parameters: or FixedParameters:"));
        }
    }
    if records.is_empty() {
        return Err(text.ended("Transform:"));
    }
    Ok(records)
}

fn current<'r, 'a>(records: &'r mut [Record<'a>], line: Line<'_>) -> Result<&'r mut Record<'a>> {
    records.last_mut().ok_or_else(|| line.is_not("Transform: first"))
}
