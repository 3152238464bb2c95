//! How a gzip file is cut into members.

/// Level of a single member: libdeflate's fastest. Other levels are zlib-rs's.
pub const DEFAULT_LEVEL: u32 = 1;
/// Level of BGZF blocks.
pub const DEFAULT_BGZF_LEVEL: u32 = 1;

/// How the stream is cut into gzip members, and the compression level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One member: any reader of gzip reads it. Level 0 to 9.
    Single { level: u32 },
    /// Blocks of 64 KiB, each a member: faster to write, and to read in parallel. Level 0 to 12.
    Bgzf { level: u32 },
}
