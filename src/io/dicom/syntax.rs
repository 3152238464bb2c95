//! Transfer syntaxes: how elements and voxels are written.
//!
//! Source: DICOM PS3.6, table A-1.

use super::walk::Coding;

/// A transfer syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Voxels as they are.
    Native(Coding),
    /// The data set as one deflated stream.
    Deflated,
    /// Voxels of each frame as runs.
    Rle,
    /// Voxels of each frame in a form that is not read, and its name.
    Encoded(&'static str),
    /// None that is known here.
    Unknown,
}

/// Explicit little endian, which all others but the first one are too.
pub const EXPLICIT: Coding = Coding { explicit: true, big_endian: false };
/// Implicit little endian.
pub const IMPLICIT: Coding = Coding { explicit: false, big_endian: false };

const ENCODED: [(&str, &str); 25] = [
    ("4.50", "JPEG baseline"),
    ("4.51", "JPEG extended"),
    ("4.57", "JPEG lossless"),
    ("4.70", "JPEG lossless"),
    ("4.80", "JPEG-LS"),
    ("4.81", "JPEG-LS near-lossless"),
    ("4.90", "JPEG 2000 lossless"),
    ("4.91", "JPEG 2000"),
    ("4.92", "JPEG 2000 multi-component lossless"),
    ("4.93", "JPEG 2000 multi-component"),
    ("4.94", "JPIP"),
    ("4.95", "JPIP, deflated"),
    ("4.100", "MPEG-2"),
    ("4.101", "MPEG-2"),
    ("4.102", "MPEG-4"),
    ("4.103", "MPEG-4"),
    ("4.104", "MPEG-4"),
    ("4.107", "HEVC"),
    ("4.108", "HEVC"),
    ("4.110", "JPEG XL lossless"),
    ("4.111", "JPEG XL of JPEG"),
    ("4.112", "JPEG XL"),
    ("4.201", "HTJ2K lossless"),
    ("4.202", "HTJ2K lossless"),
    ("4.203", "HTJ2K"),
];

impl Syntax {
    /// The one with this UID.
    pub fn of(uid: &str) -> Syntax {
        match uid.strip_prefix("1.2.840.10008.1.2") {
            Some("") => Syntax::Native(IMPLICIT),
            Some(".1") => Syntax::Native(EXPLICIT),
            Some(".2") => Syntax::Native(Coding { explicit: true, big_endian: true }),
            Some(".1.99") => Syntax::Deflated,
            Some(".5") => Syntax::Rle,
            Some(rest) => {
                let found = ENCODED.iter().find(|(ending, _)| rest.strip_prefix('.') == Some(*ending));
                found.map_or(Syntax::Unknown, |(_, name)| Syntax::Encoded(name))
            }
            None => Syntax::Unknown,
        }
    }

    /// How its elements are written.
    pub fn coding(self) -> Coding {
        match self {
            Syntax::Native(coding) => coding,
            _ => EXPLICIT,
        }
    }

    /// How it is called.
    pub fn name(self) -> &'static str {
        match self {
            Syntax::Native(Coding { explicit: false, .. }) => "implicit little endian",
            Syntax::Native(Coding { big_endian: false, .. }) => "explicit little endian",
            Syntax::Native(_) => "explicit big endian",
            Syntax::Deflated => "deflated",
            Syntax::Rle => "RLE",
            Syntax::Encoded(name) => name,
            Syntax::Unknown => "of an unknown transfer syntax",
        }
    }
}
