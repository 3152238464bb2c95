//! How large a decoded stage of a chunk may be.

/// How many bytes a decoded stage may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum SizeLimit {
    Exactly(u64),
    AtMost(u64),
}

impl SizeLimit {
    /// The most bytes that it allows.
    pub(crate) fn bytes(self) -> u64 {
        match self {
            SizeLimit::Exactly(n) | SizeLimit::AtMost(n) => n,
        }
    }

    /// Whether `found` bytes are within it; the message has both numbers.
    pub(crate) fn check(self, found: u64) -> Result<(), String> {
        match self {
            SizeLimit::Exactly(n) if found != n => Err(format!("{found} decoded bytes, expected {n}")),
            SizeLimit::AtMost(n) if found > n => Err(format!("{found} decoded bytes, expected at most {n}")),
            _ => Ok(()),
        }
    }
}
