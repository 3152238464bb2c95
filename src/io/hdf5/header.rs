//! Headers of objects: the messages of a group or a dataset.
//!
//! Source: HDF5 File Format Specification 3.0, "IV.A. Disk Format: Level 2A - Data Object Headers".

use super::bytes::{Bytes, Fields};
use crate::io::tiff::fault::Fault;

/// Kinds of messages that are looked at.
pub(super) mod kind {
    pub(crate) const DATASPACE: u16 = 0x01;
    pub(crate) const LINK_INFO: u16 = 0x02;
    pub(crate) const DATATYPE: u16 = 0x03;
    pub(crate) const OLD_FILL: u16 = 0x04;
    pub(crate) const FILL: u16 = 0x05;
    pub(crate) const LINK: u16 = 0x06;
    pub(crate) const LAYOUT: u16 = 0x08;
    pub(crate) const FILTERS: u16 = 0x0b;
    pub(crate) const ATTRIBUTE: u16 = 0x0c;
    pub(crate) const CONTINUATION: u16 = 0x10;
    pub(crate) const SYMBOLS: u16 = 0x11;
    pub(crate) const ATTRIBUTE_INFO: u16 = 0x15;
}

/// Bytes and blocks of one header, at most: attributes are a part of it.
const MOST_BYTES: u64 = 4 << 20;
const MOST_BLOCKS: usize = 1024;
/// The message is kept elsewhere, and shared.
const SHARED: u8 = 0x02;

/// One message.
#[derive(Debug)]
pub(super) struct Message {
    pub kind: u16,
    pub is_shared: bool,
    pub body: Vec<u8>,
}

/// The messages of one object.
#[derive(Debug)]
pub(super) struct Header {
    pub messages: Vec<Message>,
}

impl Header {
    /// Reads all messages of the object at `at`.
    ///
    /// # Errors
    /// No header there; blocks that lie beyond the file, or are too many.
    pub(super) fn read(bytes: &Bytes, at: u64) -> Result<Header, Fault> {
        let start = bytes.piece(at, 16.min(bytes.len().saturating_sub(at)).max(4), "the header of an object")?;
        if start.starts_with(b"OHDR") { Header::of_version_2(bytes, at) } else { Header::of_version_1(bytes, at) }
    }

    /// The first message of a kind.
    pub(super) fn find(&self, kind: u16) -> Option<&Message> {
        self.messages.iter().find(|message| message.kind == kind)
    }

    fn of_version_1(bytes: &Bytes, at: u64) -> Result<Header, Fault> {
        let what = "the header of an object";
        let start = bytes.piece(at, 16, what)?;
        let mut fields = Fields::new(&start, what);
        let version = fields.u8()?;
        if version != 1 {
            return Err(Fault::wrong(format!("{what} at {at}"), format!("of version {version}"), "1 or 2"));
        }
        fields.skip(7)?;
        let len = u64::from(fields.u32()?);
        let first = (at.saturating_add(16), len);
        Header::blocks(bytes, first, |block, found| {
            let mut fields = Fields::new(block, "a message of a header");
            while fields.left() >= 8 {
                let (kind, len) = (fields.u16()?, fields.u16()?);
                let flags = fields.u8()?;
                fields.skip(3)?;
                found.push(message(kind, flags, fields.take(len.into())?));
            }
            Ok(())
        })
    }

    fn of_version_2(bytes: &Bytes, at: u64) -> Result<Header, Fault> {
        let what = "the header of an object";
        let start = bytes.piece(at, 40.min(bytes.len() - at), what)?;
        let mut fields = Fields::new(&start, what);
        fields.skip(4)?;
        let (version, flags) = (fields.u8()?, fields.u8()?);
        if version != 2 {
            return Err(Fault::wrong(format!("{what} at {at}"), format!("of version {version}"), "1 or 2"));
        }
        let times = if flags & 0x20 != 0 { 16 } else { 0 };
        let phases = if flags & 0x10 != 0 { 4 } else { 0 };
        fields.skip(times + phases)?;
        let width = 1usize << (flags & 3);
        let len = fields.number(width)?;
        let first = (at.saturating_add((6 + times + phases + width) as u64), len);
        let order = if flags & 4 != 0 { 2 } else { 0 };
        Header::blocks(bytes, first, |block, found| {
            // Blocks behind the first one have a mark and a checksum of their own.
            let block = match block.strip_prefix(b"OCHK") {
                Some(rest) if !found.is_empty() => &rest[..rest.len().saturating_sub(4)],
                _ => block,
            };
            let mut fields = Fields::new(block, "a message of a header");
            while fields.left() >= 4 + order {
                let (kind, len) = (fields.u8()?, fields.u16()?);
                let flags = fields.u8()?;
                fields.skip(order)?;
                found.push(message(kind.into(), flags, fields.take(len.into())?));
            }
            Ok(())
        })
    }

    /// Reads the first block, and those that its messages lead to.
    fn blocks(
        bytes: &Bytes,
        first: (u64, u64),
        parse: impl Fn(&[u8], &mut Vec<Message>) -> Result<(), Fault>,
    ) -> Result<Header, Fault> {
        let (mut messages, mut blocks, mut total, mut seen) = (Vec::new(), vec![first], 0u64, 0);
        while let Some(&(at, len)) = blocks.get(seen) {
            seen += 1;
            total = total.saturating_add(len);
            if total > MOST_BYTES || seen > MOST_BLOCKS {
                let found = format!("{total} bytes in {seen} blocks");
                return Err(Fault::wrong("the header of an object", found, format!("at most {MOST_BYTES} bytes")));
            }
            let before = messages.len();
            parse(&bytes.piece(at, len, "the header of an object")?, &mut messages)?;
            for message in messages[before..].iter().filter(|message: &&Message| message.kind == kind::CONTINUATION) {
                let mut fields = Fields::new(&message.body, "a continued header");
                blocks.push((fields.u64()?, fields.u64()?));
            }
        }
        Ok(Header { messages })
    }
}

fn message(kind: u16, flags: u8, body: &[u8]) -> Message {
    Message { kind, is_shared: flags & SHARED != 0, body: body.to_vec() }
}
