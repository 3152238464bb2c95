//! Answers, on stdout.

use std::io::{ErrorKind, Write};

use serde::Serialize;

use crate::error::{Error, Result};

/// Prints `text` and a line feed. A reader that has gone away is no error.
pub fn line(text: &str) -> Result<()> {
    bytes(format!("{}\n", text.trim_end_matches('\n')).as_bytes())
}

/// Prints a value as indented JSON.
pub fn json<V: Serialize>(value: &V) -> Result<()> {
    line(&to_json(value)?)
}

pub fn to_json<V: Serialize>(value: &V) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|error| Error::usage(format!("no JSON for the answer: {error}")))
}

pub fn bytes(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(Error::io("write to", "standard output")),
    }
}
