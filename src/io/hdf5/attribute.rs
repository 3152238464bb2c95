//! Attributes of groups: words and numbers.
//!
//! Imaris keeps numbers as text, and text as an array of single characters.
//!
//! Source: HDF5 File Format Specification 3.0, "IV.A.2.m. The Attribute Message".

use super::{
    bytes::{Bytes, Fields, NOWHERE},
    dataset::{Numbers, extents, numbers},
    header::{Header, kind},
};
use crate::{dispatch, io::tiff::fault::Fault, voxel::Voxel};

const TEXT: u8 = 3;
/// Lengths and places of values that stand in a heap.
const VARIABLE: u8 = 9;
/// Words of an attribute, at most.
const MOST_WORDS: u64 = 1 << 12;

/// Attributes of one object.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    /// Name, and value as text.
    values: Vec<(String, String)>,
}

impl Attributes {
    /// Reads those of the object at `at` whose names are asked for.
    ///
    /// # Errors
    /// Damage; values that are neither text nor numbers.
    pub(super) fn read(bytes: &Bytes, at: u64, wanted: impl Fn(&str) -> bool) -> Result<Attributes, Fault> {
        let header = Header::read(bytes, at)?;
        if let Some(info) = header.find(kind::ATTRIBUTE_INFO)
            && heap_of(&info.body)? != NOWHERE
        {
            let what = "has many attributes in a fractal heap, as HDF5 makes them by the setting libver='latest', which is not read";
            return Err(Fault::Unread(what.into()));
        }
        let mut values = Vec::new();
        for message in header.messages.iter().filter(|message| message.kind == kind::ATTRIBUTE) {
            let (name, value) = attribute(bytes, &message.body, &wanted)?;
            values.extend(value.map(|value| (name, value)));
        }
        Ok(Attributes { values })
    }

    /// The value of this name, as text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(own, _)| own == name).map(|(_, value)| value.trim())
    }

    /// The value of this name, as a finite number.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.text(name)?.parse().ok().filter(|number: &f64| number.is_finite())
    }
}

fn heap_of(info: &[u8]) -> Result<u64, Fault> {
    let mut fields = Fields::new(info, "the attributes of an object");
    fields.skip(1)?;
    let flags = fields.u8()?;
    fields.skip(if flags & 1 != 0 { 2 } else { 0 })?;
    fields.u64()
}

fn attribute(bytes: &Bytes, body: &[u8], wanted: impl Fn(&str) -> bool) -> Result<(String, Option<String>), Fault> {
    let mut fields = Fields::new(body, "an attribute");
    let (version, flags) = (fields.u8()?, fields.u8()?);
    let [name, kind, space] = [fields.u16()?, fields.u16()?, fields.u16()?].map(usize::from);
    let padded = |len: usize| if version == 1 { len.next_multiple_of(8) } else { len };
    if version == 3 {
        fields.skip(1)?;
    }
    let name = fields.take(padded(name))?;
    let name = String::from_utf8_lossy(name.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned();
    let (kind, space) = (fields.take(padded(kind))?, fields.take(padded(space))?);
    if !wanted(&name) {
        return Ok((name, None));
    }
    // A type or an extent that is kept elsewhere.
    let is_shared = version > 1 && flags & 3 != 0;
    let value = if is_shared { None } else { value(bytes, kind, &extents(space)?, fields)? };
    match value {
        Some(value) => Ok((name, Some(value))),
        None => Err(Fault::Unread(format!("has the attribute {name} of a type that is not read"))),
    }
}

/// A value as text; `None` where it is neither text nor one number.
fn value(bytes: &Bytes, kind: &[u8], shape: &[u64], mut fields: Fields<'_>) -> Result<Option<String>, Fault> {
    let count = shape.iter().fold(1u64, |n, &extent| n.saturating_mul(extent));
    let mut head = Fields::new(kind, "the type of an attribute");
    let class = head.u8()? & 15;
    let is_text = head.number(3)? & 15 == 1;
    let size = u64::from(head.u32()?);
    let len = usize::try_from(count.saturating_mul(size)).unwrap_or(usize::MAX);
    if class == TEXT {
        let bytes = fields.take(len)?;
        let text = if size == 1 { bytes } else { &bytes[..bytes.len().min(size as usize)] };
        return Ok(Some(
            String::from_utf8_lossy(text.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned(),
        ));
    }
    if class == VARIABLE && is_text && count <= MOST_WORDS {
        let words: Result<Vec<Vec<u8>>, Fault> = (0..count).map(|_| word(bytes, &mut fields)).collect();
        return Ok(Some(String::from_utf8_lossy(&words?.concat()).into_owned()));
    }
    let (Ok(Numbers { dtype, big_endian }), 1) = (numbers(kind, "an attribute"), count) else { return Ok(None) };
    let mut sample = fields.take(dtype.bytes())?.to_vec();
    if big_endian != cfg!(target_endian = "big") {
        sample.reverse();
    }
    let number = dispatch!(dtype, T => bytemuck::pod_read_unaligned::<T>(&sample).to_f64());
    Ok(Some(number.to_string()))
}

/// A text of any length: its length, and its place in a heap. Imaris has a character in each, other programs the whole.
fn word(bytes: &Bytes, fields: &mut Fields<'_>) -> Result<Vec<u8>, Fault> {
    let (len, heap, number) = (fields.u32()?, fields.u64()?, fields.u32()?);
    if len == 0 {
        return Ok(Vec::new());
    }
    let mut text = heap_object(bytes, heap, u64::from(number))?;
    text.truncate(len as usize);
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    text.truncate(end);
    Ok(text)
}

/// An object of a global heap.
///
/// Source: HDF5 File Format Specification 3.0, "III.E. Disk Format: Level 1E - Global Heap".
fn heap_object(bytes: &Bytes, at: u64, number: u64) -> Result<Vec<u8>, Fault> {
    const WHAT: &str = "a heap of values";
    const HEAD_BYTES: u64 = 16;
    let head = bytes.piece(at, HEAD_BYTES, WHAT)?;
    let mut fields = Fields::new(&head, WHAT);
    if fields.take(4)? != b"GCOL" || fields.u8()? != 1 {
        return Err(Fault::wrong(WHAT, format!("something else at {at}"), "a global heap of version 1"));
    }
    fields.skip(3)?;
    let len = fields.u64()?;
    let heap = bytes.piece(at, len.max(HEAD_BYTES), WHAT)?;
    let mut fields = Fields::new(&heap, WHAT);
    fields.skip(HEAD_BYTES as usize)?;
    // Number, references, size; objects begin at multiples of 8. Number 0 is what is free.
    while fields.left() >= HEAD_BYTES as usize {
        let own = u64::from(fields.u16()?);
        fields.skip(6)?;
        let size = usize::try_from(fields.u64()?).unwrap_or(usize::MAX);
        if own == 0 {
            break;
        }
        let object = fields.take(size)?;
        if own == number {
            return Ok(object.to_vec());
        }
        fields.skip((size.next_multiple_of(8) - size).min(fields.left()))?;
    }
    Err(Fault::wrong(WHAT, format!("without object {number}"), "one that holds it"))
}
