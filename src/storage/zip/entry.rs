//! One entry of a central directory (APPNOTE 6.3.10, sections 4.3.12 and 4.5.3).

use super::end::{u16_at, u32_at};
use crate::storage::StoreError;

/// A record without its name, its extra fields and its comment.
pub(super) const RECORD_BYTES: usize = 46;
const RECORD: [u8; 4] = *b"PK\x01\x02";
/// What stands before the bytes of an entry, without its name and its extra fields.
pub(super) const LOCAL_BYTES: u64 = 30;
const LOCAL: [u8; 4] = *b"PK\x03\x04";

/// The extra field with sizes of 64 bits.
const LARGE: u16 = 1;
/// Flags: the bytes are encrypted; so is the directory.
const ENCRYPTED: u16 = 1 | 1 << 13;

/// How the bytes of an entry are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Stored,
    Deflated,
}

/// A file of an archive, as its directory has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub name: &'a [u8],
    pub crc32: u32,
    /// Bytes in the archive.
    pub stored: u64,
    /// Bytes of the file.
    pub size: u64,
    /// Where what stands before its bytes begins.
    pub at: u64,
    flags: u16,
    method: u16,
}

/// Length of the record at the start of `rest`; `None` where there is no whole one.
pub(super) fn record_len(rest: &[u8]) -> Option<usize> {
    let fixed = rest.get(..RECORD_BYTES).filter(|record| record.starts_with(&RECORD))?;
    let len = [28, 30, 32].iter().fold(RECORD_BYTES, |len, &at| len + usize::from(u16_at(fixed, at)));
    (len <= rest.len()).then_some(len)
}

/// The name in a whole record.
pub(super) fn name(record: &[u8]) -> &[u8] {
    &record[RECORD_BYTES..][..usize::from(u16_at(record, 28))]
}

impl<'a> Entry<'a> {
    /// Parses a whole record.
    ///
    /// # Errors
    /// A message where sizes are said to be elsewhere and are not.
    pub(super) fn parse(record: &'a [u8]) -> Result<Entry<'a>, String> {
        let name = name(record);
        let extra = &record[RECORD_BYTES + name.len()..][..usize::from(u16_at(record, 30))];
        let mut large = field(extra, LARGE).unwrap_or_default();
        let mut number = |at: usize| match u32_at(record, at) {
            u32::MAX => {
                let (eight, rest) = large.split_first_chunk::<8>().ok_or("a size of 64 bits that is not there")?;
                large = rest;
                Ok(u64::from_le_bytes(*eight))
            }
            small => Ok::<_, String>(small.into()),
        };
        // In this order, whichever of them are there.
        let (size, stored, at) = (number(24)?, number(20)?, number(42)?);
        let (flags, method) = (u16_at(record, 8), u16_at(record, 10));
        Ok(Entry { name, crc32: u32_at(record, 16), stored, size, at, flags, method })
    }

    /// How it is stored.
    ///
    /// # Errors
    /// It is encrypted, or compressed in another way; a stored entry states two sizes.
    pub(super) fn method(&self) -> Result<Method, StoreError> {
        let unsupported = |what: String| {
            let hint = "unpack the archive, or pack it anew: zip -0 -r NEW.zarr.zip .";
            StoreError::Unsupported(format!("the entry is {what}, which is not read: {hint}"))
        };
        match self.method {
            _ if self.flags & ENCRYPTED != 0 => Err(unsupported("encrypted".into())),
            0 if self.stored != self.size => {
                Err(damaged(format!("the entry is stored, and states {} and {} bytes", self.stored, self.size)))
            }
            0 => Ok(Method::Stored),
            8 => Ok(Method::Deflated),
            other => {
                let known = [(9, "deflate64"), (12, "bzip2"), (14, "LZMA"), (93, "zstd"), (95, "xz")];
                let name = known.iter().find(|(number, _)| *number == other).map_or("", |(_, name)| name);
                Err(unsupported(format!("compressed by method {other} {name}").trim_end().to_string()))
            }
        }
    }

    /// Bytes between the start of what stands before it and its own bytes, by the first [`LOCAL_BYTES`] and the name that follow.
    ///
    /// # Errors
    /// Nothing of this entry stands there.
    pub(super) fn local_len(&self, local: &[u8]) -> Result<u64, StoreError> {
        let fixed = local.get(..LOCAL_BYTES as usize).filter(|fixed| fixed.starts_with(&LOCAL));
        let fixed = fixed.ok_or_else(|| damaged(format!("no entry at byte {} of the archive", self.at)))?;
        let names = usize::from(u16_at(fixed, 26));
        if local.get(LOCAL_BYTES as usize..).and_then(|rest| rest.get(..names)) != Some(self.name) {
            return Err(damaged(format!("the entry at byte {} of the archive has another name", self.at)));
        }
        Ok(LOCAL_BYTES + names as u64 + u64::from(u16_at(fixed, 28)))
    }
}

/// The data of an extra field.
fn field(mut extra: &[u8], id: u16) -> Option<&[u8]> {
    while extra.len() >= 4 {
        let (found, len) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let data = extra.get(4..4 + len)?;
        if found == id {
            return Some(data);
        }
        extra = &extra[4 + len..];
    }
    None
}

/// Bytes that are not what the archive says.
pub(super) fn damaged(what: String) -> StoreError {
    StoreError::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, what))
}
