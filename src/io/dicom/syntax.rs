//! Transfer syntaxes: how elements and voxels are written.
//!
//! Source: DICOM PS3.6, table A-1.

use super::{coded::Codec, walk::Coding};

/// A transfer syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// Voxels as they are.
    Native(Coding),
    /// The data set as one deflated stream.
    Deflated,
    /// Each frame by itself in a form that is read, and its name.
    Coded(Codec, &'static str),
    /// Voxels of each frame in a form that is not read, and its name.
    Encoded(&'static str),
    /// None that is known here.
    Unknown,
}

/// Explicit little endian, which all others but the first one are too.
pub(super) const EXPLICIT: Coding = Coding { explicit: true, big_endian: false };
/// Implicit little endian.
pub(super) const IMPLICIT: Coding = Coding { explicit: false, big_endian: false };

const NEAR_LOSSLESS: &str = "JPEG-LS near-lossless";

const CODED: [(&str, Codec, &str); 12] = [
    ("5", Codec::Rle, "RLE"),
    ("4.50", Codec::JpegDct, "JPEG baseline"),
    ("4.51", Codec::JpegDct, "JPEG extended"),
    ("4.57", Codec::JpegLossless, "JPEG lossless"),
    ("4.70", Codec::JpegLossless, "JPEG lossless"),
    ("4.80", Codec::JpegLs, "JPEG-LS"),
    ("4.81", Codec::JpegLs, NEAR_LOSSLESS),
    ("4.90", Codec::Jpeg2000, "JPEG 2000 lossless"),
    ("4.91", Codec::Jpeg2000, "JPEG 2000"),
    ("4.201", Codec::Htj2k, "HTJ2K lossless"),
    ("4.202", Codec::Htj2k, "HTJ2K lossless"),
    ("4.203", Codec::Htj2k, "HTJ2K"),
];

const ENCODED: [(&str, &str); 14] = [
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
];

impl Syntax {
    /// The one with this UID.
    pub(super) fn of(uid: &str) -> Syntax {
        match uid.strip_prefix("1.2.840.10008.1.2") {
            Some("") => Syntax::Native(IMPLICIT),
            Some(".1") => Syntax::Native(EXPLICIT),
            Some(".2") => Syntax::Native(Coding { explicit: true, big_endian: true }),
            Some(".1.99") => Syntax::Deflated,
            Some(rest) => {
                let is_it = |ending: &str| rest.strip_prefix('.') == Some(ending);
                let coded = CODED.iter().find(|(ending, ..)| is_it(ending));
                let encoded = ENCODED.iter().find(|(ending, _)| is_it(ending));
                let coded = coded.map(|&(_, codec, name)| Syntax::Coded(codec, name));
                coded.or(encoded.map(|(_, name)| Syntax::Encoded(name))).unwrap_or(Syntax::Unknown)
            }
            None => Syntax::Unknown,
        }
    }

    /// How frames are coded, where they are and that is read.
    pub(super) fn codec(self) -> Option<Codec> {
        match self {
            Syntax::Coded(codec, _) => Some(codec),
            _ => None,
        }
    }

    /// Whether it is one in which voxels are only near those that were coded; others may be, and their streams say so.
    pub(super) fn is_lossy(self) -> bool {
        self.name() == NEAR_LOSSLESS
    }

    /// How its elements are written.
    pub(super) fn coding(self) -> Coding {
        match self {
            Syntax::Native(coding) => coding,
            _ => EXPLICIT,
        }
    }

    /// How it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Syntax::Native(Coding { explicit: false, .. }) => "implicit little endian",
            Syntax::Native(Coding { big_endian: false, .. }) => "explicit little endian",
            Syntax::Native(_) => "explicit big endian",
            Syntax::Deflated => "deflated",
            Syntax::Coded(_, name) | Syntax::Encoded(name) => name,
            Syntax::Unknown => "of an unknown transfer syntax",
        }
    }
}
