//! Answers, on stdout.

use std::io::{BufWriter, ErrorKind, IsTerminal, Write};

use serde::Serialize;

use super::escape::{self, Escaping};
use reslice::error::{Error, Result};

/// Prints `text` and a line feed; what is not ours in it escaped. A reader that has gone away is no error.
pub(super) fn line(text: &str) -> Result<()> {
    bytes(format!("{}\n", escape::text(text.trim_end_matches('\n'))).as_bytes())
}

/// Number of the schema that documents of JSON keep to: docs/json.md. Members are added under the same number; one that goes, or comes to
/// mean something else, makes a new one.
pub(super) const SCHEMA: u32 = 1;

/// A document: a value with the number of its schema in front.
#[derive(Serialize)]
struct Document<'a, V> {
    schema: u32,
    #[serde(flatten)]
    value: &'a V,
}

/// Prints a value as a document of indented JSON.
pub(super) fn json<V: Serialize>(value: &V) -> Result<()> {
    json_part(&to_json(value)?)
}

/// Prints JSON, or a part of some, and a line feed.
pub(super) fn json_part(json: &str) -> Result<()> {
    bytes(format!("{}\n", escape::json(json)).as_bytes())
}

/// Where a copy of somebody's data goes: as it is, but for a terminal.
pub(super) fn copy() -> BufWriter<Box<dyn Write>> {
    let out = std::io::stdout().lock();
    BufWriter::new(if out.is_terminal() { Box::new(Escaping::new(out)) } else { Box::new(out) })
}

/// A document of JSON, over several lines.
pub(super) fn to_json<V: Serialize>(value: &V) -> Result<String> {
    serde_json::to_string_pretty(&Document { schema: SCHEMA, value })
        .map_err(|error| Error::usage(format!("no JSON for the answer: {error}")))
}

/// Writes bytes as they are.
pub(super) fn bytes(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(Error::io("write to", "standard output")),
    }
}
