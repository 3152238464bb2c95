//! How a compressed stream is framed.

/// Level of a single member: libdeflate's fastest. Other levels are zlib-rs's.
pub const DEFAULT_LEVEL: u32 = 1;
/// Level of BGZF blocks.
pub const DEFAULT_BGZF_LEVEL: u32 = 1;

/// The frame of a stream, how it is cut into members, and the compression level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One member: any reader of gzip reads it. Level 0 to 9.
    Single { level: u32 },
    /// Blocks of 64 KiB, each a member: faster to write, and to read in parallel. Level 0 to 12.
    Bgzf { level: u32 },
    /// One zlib stream, for formats that have that. Level 0 to 9.
    Zlib { level: u32 },
}

impl Framing {
    /// The compression level.
    pub fn level(self) -> u32 {
        let (Framing::Single { level } | Framing::Bgzf { level } | Framing::Zlib { level }) = self;
        level
    }
}
