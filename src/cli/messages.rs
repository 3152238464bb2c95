//! Errors, warnings and notes, on stderr. Text from files and servers is escaped.

use std::{error::Error as _, io::Write};

use serde_json::Value;

use super::escape;
use reslice::error::Error;

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

/// Prints a warning.
pub fn warning(text: &str) {
    say(format_args!("warning: {text}"));
}

/// One line or several.
pub fn note(text: &str) {
    write(&escape::text(text));
}

/// An object of JSON, on one line.
pub fn json(object: &Value) {
    write(&escape::json(&object.to_string()));
}

/// One line: what has several, as a name may, becomes one.
fn say(line: std::fmt::Arguments<'_>) {
    write(&escape::line(&line.to_string()));
}

/// There is nobody to tell when stderr is closed.
fn write(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
