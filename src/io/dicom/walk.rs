//! A walk through the elements of a data set.
//!
//! Lengths are held against what is left of the file and of the item around them; nothing is allocated by one. What nobody asks for is passed over. Nesting and
//! the number of elements are bounded.
//!
//! Source: DICOM PS3.5, sections 6 and 7.

use std::io::{self, ErrorKind};

use super::bytes::Bytes;

/// Group and element, as `0xGGGG_EEEE`.
pub(super) type Tag = u32;

const ITEM: Tag = 0xFFFE_E000;
const ITEM_END: Tag = 0xFFFE_E00D;
const SEQUENCE_END: Tag = 0xFFFE_E0DD;
/// A length that is told by a delimiter behind it.
const UNDEFINED: u32 = u32::MAX;
/// `PixelData`.
pub(super) const PIXELS: Tag = 0x7FE0_0010;
/// `FloatPixelData` and `DoubleFloatPixelData`.
pub(super) const FLOAT_PIXELS: [Tag; 2] = [0x7FE0_0008, 0x7FE0_0009];

/// Sequences within sequences.
const MOST_DEPTH: u32 = 16;
/// Elements, items and fragments of one file.
const MOST_ELEMENTS: u32 = 1 << 22;
/// Of a value that is asked for.
const MOST_VALUE_BYTES: usize = 1 << 10;

/// How elements are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coding {
    pub explicit: bool,
    pub big_endian: bool,
}

/// The coding of the first elements of a file.
pub(super) const META: Coding = Coding { explicit: true, big_endian: false };

impl Coding {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    pub(super) fn f64(self, bytes: [u8; 8]) -> f64 {
        if self.big_endian { f64::from_be_bytes(bytes) } else { f64::from_le_bytes(bytes) }
    }
}

/// The value of an element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    /// `None` where elements do not say.
    pub vr: Option<[u8; 2]>,
    pub coding: Coding,
    pub bytes: &'a [u8],
}

/// A run of bytes in the file, or in what was inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub offset: u64,
    pub len: u64,
}

/// Where the voxels stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pixels {
    pub tag: Tag,
    /// Whether they are written as words of 16 bits.
    pub words: bool,
    pub place: Place,
}

/// How they stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Native(Span),
    /// Without the table of offsets.
    Fragments(Vec<Span>),
}

/// What is wrong with a file.
#[derive(Debug)]
pub(super) enum Fault {
    Io(io::Error),
    Wrong { field: String, found: String, expected: String },
}

impl Fault {
    /// A field that is not what it should be.
    pub(super) fn wrong(field: impl Into<String>, found: impl ToString, expected: impl Into<String>) -> Fault {
        Fault::Wrong { field: field.into(), found: found.to_string(), expected: expected.into() }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

/// `(0028,0010)`
pub(super) fn name(tag: Tag) -> String {
    format!("({:04x},{:04x})", tag >> 16, tag & 0xffff)
}

/// What is done with elements.
pub(super) trait Visit {
    /// Whether the value is asked for.
    fn wants(&self, tag: Tag) -> bool;
    /// A value that is asked for; of long ones the beginning.
    fn value(&mut self, tag: Tag, value: Value<'_>);
    /// Whether the items of a sequence are walked.
    fn enters(&mut self, tag: Tag) -> bool;
    /// An item of a sequence that is walked begins.
    fn item(&mut self, tag: Tag);
    /// A sequence that was entered ends.
    fn leave(&mut self, tag: Tag);
}

/// A walk under way.
pub(super) struct Walk<'a, B, V> {
    pub bytes: B,
    pub coding: Coding,
    pub visit: &'a mut V,
    /// The tag that was read ahead.
    tag: Option<Tag>,
    elements: u32,
}

/// An element up to its value.
struct Head {
    tag: Tag,
    vr: Option<[u8; 2]>,
    len: u32,
}

impl<'a, B: Bytes, V: Visit> Walk<'a, B, V> {
    /// From where `bytes` stands.
    pub(super) fn new(bytes: B, coding: Coding, visit: &'a mut V) -> Self {
        Walk { bytes, coding, visit, tag: None, elements: 0 }
    }

    /// The elements of group 2, which stand before the data set. The bytes stand behind them then, but for `first` of the next tag.
    pub(super) fn meta(&mut self) -> Result<Option<[u8; 4]>, Fault> {
        while self.left(self.bytes.end()) >= 8 {
            let mut first = [0; 4];
            self.bytes.fill(&mut first)?;
            if first[..2] != [2, 0] {
                return Ok(Some(first));
            }
            self.tag = Some(self.tag_of(first));
            let head = self.head(self.bytes.end())?;
            let end = self.bytes.end();
            if head.len == UNDEFINED {
                return Err(Fault::wrong(name(head.tag), "of no stated length", "one of a stated length"));
            }
            self.plain(&head, end)?;
        }
        Ok(None)
    }

    /// The data set, up to its voxels; `first` are the bytes of its first tag, where those were read.
    pub(super) fn data_set(&mut self, first: Option<[u8; 4]>) -> Result<Option<Pixels>, Fault> {
        self.tag = first.map(|first| self.tag_of(first));
        self.elements_until(self.bytes.end(), 0, false, true)
    }

    fn tag_of(&self, bytes: [u8; 4]) -> Tag {
        let [a, b, c, d] = bytes;
        u32::from(self.coding.u16([a, b])) << 16 | u32::from(self.coding.u16([c, d]))
    }

    fn left(&self, end: u64) -> u64 {
        end.saturating_sub(self.bytes.at())
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        let mut bytes = [0; 4];
        self.bytes.fill(&mut bytes)?;
        Ok(self.coding.u32(bytes))
    }

    fn count(&mut self) -> Result<(), Fault> {
        self.elements += 1;
        if self.elements > MOST_ELEMENTS {
            return Err(Fault::wrong("the number of elements", "larger", format!("{MOST_ELEMENTS} at most")));
        }
        Ok(())
    }

    fn next_tag(&mut self) -> Result<Tag, Fault> {
        if let Some(tag) = self.tag.take() {
            return Ok(tag);
        }
        let mut bytes = [0; 4];
        self.bytes.fill(&mut bytes)?;
        Ok(self.tag_of(bytes))
    }

    /// An element up to its value. Delimiters have no type.
    fn head(&mut self, end: u64) -> Result<Head, Fault> {
        self.count()?;
        let tag = self.next_tag()?;
        if !self.coding.explicit || tag >> 16 == 0xFFFE {
            return Ok(Head { tag, vr: None, len: self.u32()? });
        }
        let mut bytes = [0; 4];
        self.bytes.fill(&mut bytes)?;
        let vr = [bytes[0], bytes[1]];
        if !vr.iter().all(u8::is_ascii_uppercase) {
            return Err(Fault::wrong(
                format!("the type of {}", name(tag)),
                format!("{vr:02x?}"),
                "two capital letters",
            ));
        }
        let short = self.coding.u16([bytes[2], bytes[3]]);
        let long =
            [*b"OB", *b"OD", *b"OF", *b"OL", *b"OV", *b"OW", *b"SQ", *b"SV", *b"UC", *b"UN", *b"UR", *b"UT", *b"UV"];
        if !long.contains(&vr) {
            return Ok(Head { tag, vr: Some(vr), len: u32::from(short) });
        }
        if self.left(end) < 4 {
            return Err(Fault::wrong(name(tag), "cut off", "a length of four bytes"));
        }
        Ok(Head { tag, vr: Some(vr), len: self.u32()? })
    }

    /// Where what has `len` bytes from here on ends.
    fn end_of(&self, tag: Tag, len: u32, end: u64) -> Result<u64, Fault> {
        if len == UNDEFINED {
            return Ok(end);
        }
        let left = self.left(end);
        if u64::from(len) > left {
            return Err(Fault::wrong(format!("the length of {}", name(tag)), len, format!("{left} at most")));
        }
        Ok(self.bytes.at() + u64::from(len))
    }

    /// Elements up to `end`, or to a delimiter where the item is of no stated length.
    fn elements_until(&mut self, end: u64, depth: u32, open: bool, looks: bool) -> Result<Option<Pixels>, Fault> {
        while self.tag.is_some() || self.left(end) >= 8 {
            let head = match self.head(end) {
                // A deflated stream ends where it ends.
                Err(Fault::Io(error)) if depth == 0 && error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
                other => other?,
            };
            match head.tag {
                ITEM_END if open => return Ok(None),
                ITEM | ITEM_END | SEQUENCE_END => {
                    return Err(Fault::wrong("an element", format!("the delimiter {}", name(head.tag)), "none here"));
                }
                PIXELS | FLOAT_PIXELS_32 | FLOAT_PIXELS_64 if depth == 0 => return self.pixels(&head, end).map(Some),
                _ => self.element(&head, end, depth, looks)?,
            }
        }
        // A few bytes at the end of a file are padding.
        if open || (depth > 0 && self.left(end) > 0) {
            return Err(Fault::wrong("an item", "cut off", "one that ends within its sequence"));
        }
        Ok(None)
    }

    fn element(&mut self, head: &Head, end: u64, depth: u32, looks: bool) -> Result<(), Fault> {
        let is_sequence = head.vr == Some(*b"SQ") || head.len == UNDEFINED;
        let enters = looks && (is_sequence || head.vr.is_none()) && self.visit.enters(head.tag);
        if !enters && head.len != UNDEFINED {
            return self.plain_or_skip(head, end, looks);
        }
        let own = self.end_of(head.tag, head.len, end)?;
        let outer = self.coding;
        if head.vr == Some(*b"UN") {
            // PS3.5, 6.2.2: what was not known to the writer stands there as implicit little endian.
            self.coding = Coding { explicit: false, big_endian: false };
        }
        self.items(head.tag, own, head.len == UNDEFINED, depth + 1, enters)?;
        self.coding = outer;
        if enters {
            self.visit.leave(head.tag);
        }
        Ok(())
    }

    fn plain_or_skip(&mut self, head: &Head, end: u64, looks: bool) -> Result<(), Fault> {
        if looks {
            return self.plain(head, end);
        }
        self.end_of(head.tag, head.len, end)?;
        Ok(self.bytes.skip(u64::from(head.len))?)
    }

    /// A value of a stated length: told where it is asked for.
    fn plain(&mut self, head: &Head, end: u64) -> Result<(), Fault> {
        self.end_of(head.tag, head.len, end)?;
        let len = head.len as usize;
        if !self.visit.wants(head.tag) {
            return Ok(self.bytes.skip(len as u64)?);
        }
        let mut buffer = [0; MOST_VALUE_BYTES];
        let bytes = &mut buffer[..len.min(MOST_VALUE_BYTES)];
        self.bytes.fill(bytes)?;
        self.bytes.skip((len - bytes.len()) as u64)?;
        self.visit.value(head.tag, Value { vr: head.vr, coding: self.coding, bytes });
        Ok(())
    }

    fn items(&mut self, sequence: Tag, end: u64, open: bool, depth: u32, looks: bool) -> Result<(), Fault> {
        if depth > MOST_DEPTH {
            return Err(Fault::wrong("the depth of sequences", "larger", format!("{MOST_DEPTH} at most")));
        }
        while self.left(end) >= 8 {
            let head = self.head(end)?;
            match head.tag {
                SEQUENCE_END if open => return Ok(()),
                ITEM => {
                    let own = self.end_of(ITEM, head.len, end)?;
                    if looks {
                        self.visit.item(sequence);
                    } else if head.len != UNDEFINED {
                        self.bytes.skip(u64::from(head.len))?;
                        continue;
                    }
                    self.elements_until(own, depth, head.len == UNDEFINED, looks)?;
                }
                other => {
                    return Err(Fault::wrong(format!("an item of {}", name(sequence)), name(other), "(fffe,e000)"));
                }
            }
        }
        if open || self.left(end) > 0 {
            return Err(Fault::wrong(format!("the sequence {}", name(sequence)), "cut off", "one that is ended"));
        }
        Ok(())
    }

    fn pixels(&mut self, head: &Head, end: u64) -> Result<Pixels, Fault> {
        let words = head.vr != Some(*b"OB") && head.vr != Some(*b"UN");
        if head.len != UNDEFINED {
            self.end_of(head.tag, head.len, end)?;
            let span = Span { offset: self.bytes.at(), len: u64::from(head.len) };
            return Ok(Pixels { tag: head.tag, words, place: Place::Native(span) });
        }
        let mut spans = Vec::new();
        let mut is_first = true;
        while self.left(end) >= 8 {
            let item = self.head(end)?;
            match item.tag {
                SEQUENCE_END => return Ok(Pixels { tag: head.tag, words, place: Place::Fragments(spans) }),
                ITEM if item.len != UNDEFINED => {
                    self.end_of(ITEM, item.len, end)?;
                    if !std::mem::take(&mut is_first) {
                        spans.push(Span { offset: self.bytes.at(), len: u64::from(item.len) });
                    }
                    self.bytes.skip(u64::from(item.len))?;
                }
                other => return Err(Fault::wrong("a fragment of the voxels", name(other), "(fffe,e000) and a length")),
            }
        }
        Err(Fault::wrong("the voxels", "cut off", "fragments with their end"))
    }
}

const FLOAT_PIXELS_32: Tag = FLOAT_PIXELS[0];
const FLOAT_PIXELS_64: Tag = FLOAT_PIXELS[1];

#[cfg(test)]
mod tests;
