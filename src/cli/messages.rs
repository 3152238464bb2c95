//! Errors, warnings and notes, on stderr.

use std::{error::Error as _, io::Write};

use crate::error::Error;

/// `error:` with the numbers, `caused by:` lines, `hint:` the way out.
pub fn error(error: &Error) {
    error_of("", error);
}

/// The same, with what it is about in front: `3 of 40, out.nii: `.
pub fn error_of(about: &str, error: &Error) {
    say(format_args!("error: {about}{error}"));
    let mut cause = error.source();
    while let Some(source) = cause {
        say(format_args!("caused by: {source}"));
        cause = source.source();
    }
    if let Some(hint) = error.hint() {
        say(format_args!("hint: {hint}"));
    }
}

pub fn warning(text: &str) {
    say(format_args!("warning: {text}"));
}

pub fn note(text: &str) {
    say(format_args!("{text}"));
}

/// There is nobody to tell when stderr is closed.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
