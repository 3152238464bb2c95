//! What is wrong with a file of a microscope, before its path is put in front.

use std::{
    io::{self, ErrorKind},
    path::Path,
};

use crate::{
    error::Error,
    io::foreign::{by_bioformats, by_tifffile},
};

/// Why a file, or a part of it, is not read.
#[derive(Debug)]
pub(crate) enum Fault {
    Io(io::Error),
    /// A field that lies.
    Wrong {
        field: String,
        found: String,
        expected: String,
    },
    /// Sound, but not read here.
    Unread(String),
    /// Sound, in a codec that few programs read.
    RareCodec(String),
    /// What was asked for makes no sense: what, and the way out.
    Asked(String, String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

impl Fault {
    /// A field that is not what the format asks for.
    pub(crate) fn wrong(field: impl Into<String>, found: impl ToString, expected: impl Into<String>) -> Fault {
        Fault::Wrong { field: field.into(), found: found.to_string(), expected: expected.into() }
    }

    /// As an error of a file.
    pub(crate) fn of(self, path: &Path) -> Error {
        match self {
            Fault::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Error::malformed(path, "the file", "cut off", "a whole file")
            }
            Fault::Io(error) => Error::io("read", path)(error),
            Fault::Wrong { field, found, expected } => Error::malformed(path, field, found, expected),
            Fault::Unread(what) => {
                Error::Unsupported { path: path.to_path_buf(), what, hint: Some(by_bioformats(path)) }
            }
            Fault::RareCodec(what) => {
                Error::Unsupported { path: path.to_path_buf(), what, hint: Some(by_tifffile(path)) }
            }
            Fault::Asked(what, hint) => Error::usage_hint(what, hint),
        }
    }
}
