//! Errors, warnings and notes, on stderr.

use std::error::Error as _;

use crate::error::Error;

/// `error:` with the numbers, `caused by:` lines, `hint:` the way out.
pub fn error(error: &Error) {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(source) = cause {
        eprintln!("caused by: {source}");
        cause = source.source();
    }
    if let Some(hint) = error.hint() {
        eprintln!("hint: {hint}");
    }
}

pub fn warning(text: &str) {
    eprintln!("warning: {text}");
}

pub fn note(text: &str) {
    eprintln!("{text}");
}
