//! Zstandard. Where memory is limited a context may not be granted: the crate's functions for whole buffers panic then, these return an error.

use zstd::zstd_safe::{CCtx, CParameter, DCtx, WriteBuf, get_error_name};

/// Packs one buffer after another.
pub(super) struct Encoder(CCtx<'static>);

impl Encoder {
    /// One of this level, which writes a checksum or not.
    ///
    /// # Errors
    /// No memory, or a level that there is not.
    pub(super) fn new(level: i32, checksum: bool) -> Result<Encoder, String> {
        let mut context = CCtx::try_create().ok_or_else(no_memory)?;
        for parameter in [CParameter::CompressionLevel(level), CParameter::ChecksumFlag(checksum)] {
            context.set_parameter(parameter).map_err(name)?;
        }
        Ok(Encoder(context))
    }

    /// Packs `raw` into the room of `into`; how many bytes that took.
    ///
    /// # Errors
    /// Too little room, or memory.
    pub(super) fn encode<B: WriteBuf + ?Sized>(&mut self, raw: &[u8], into: &mut B) -> Result<usize, String> {
        self.0.compress2(into, raw).map_err(name)
    }
}

/// Unpacks into the room of `into`; how many bytes there were.
///
/// # Errors
/// Damaged bytes, more of them than there is room for, or no memory.
pub(super) fn decode<B: WriteBuf + ?Sized>(packed: &[u8], into: &mut B) -> Result<usize, String> {
    DCtx::try_create().ok_or_else(no_memory)?.decompress(into, packed).map_err(name)
}

fn no_memory() -> String {
    "no memory for a context of zstd".into()
}

fn name(code: usize) -> String {
    get_error_name(code).into()
}
