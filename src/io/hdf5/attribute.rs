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

/// Attributes of one object.
#[derive(Debug, Default)]
pub struct Attributes {
    /// Name, and value as text.
    values: Vec<(String, String)>,
}

impl Attributes {
    /// Reads those of the object at `at` whose names are asked for; values that are neither text nor numbers are passed over.
    ///
    /// # Errors
    /// Damage; attributes of a kind that is not read.
    pub fn read(bytes: &Bytes, at: u64, wanted: impl Fn(&str) -> bool) -> Result<Attributes, Fault> {
        let header = Header::read(bytes, at)?;
        if let Some(info) = header.find(kind::ATTRIBUTE_INFO)
            && heap_of(&info.body)? != NOWHERE
        {
            let what = "has many attributes in a fractal heap, as HDF5 makes them by the setting libver='latest', which is not read";
            return Err(Fault::Unread(what.into()));
        }
        let mut values = Vec::new();
        for message in header.messages.iter().filter(|message| message.kind == kind::ATTRIBUTE) {
            let (name, value) = attribute(&message.body, &wanted)?;
            values.extend(value.map(|value| (name, value)));
        }
        Ok(Attributes { values })
    }

    /// The value of this name, as text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(own, _)| own == name).map(|(_, value)| value.trim())
    }

    /// The value of this name, as a finite number.
    pub fn number(&self, name: &str) -> Option<f64> {
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

fn attribute(body: &[u8], wanted: impl Fn(&str) -> bool) -> Result<(String, Option<String>), Fault> {
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
    // A type or an extent that is kept elsewhere.
    let is_shared = version > 1 && flags & 3 != 0;
    if is_shared || !wanted(&name) {
        return Ok((name, None));
    }
    let value = value(kind, &extents(space)?, fields)?;
    Ok((name, value))
}

fn value(kind: &[u8], shape: &[u64], mut fields: Fields<'_>) -> Result<Option<String>, Fault> {
    let count = shape.iter().fold(1u64, |n, &extent| n.saturating_mul(extent));
    let mut head = Fields::new(kind, "the type of an attribute");
    let class = head.u8()? & 15;
    head.skip(3)?;
    let size = u64::from(head.u32()?);
    let len = usize::try_from(count.saturating_mul(size)).unwrap_or(usize::MAX);
    if class == TEXT {
        let bytes = fields.take(len)?;
        let text = if size == 1 { bytes } else { &bytes[..bytes.len().min(size as usize)] };
        return Ok(Some(
            String::from_utf8_lossy(text.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned(),
        ));
    }
    let (Ok(Numbers { dtype, big_endian }), 1) = (numbers(kind, "an attribute"), count) else { return Ok(None) };
    let mut sample = fields.take(dtype.bytes())?.to_vec();
    if big_endian != cfg!(target_endian = "big") {
        sample.reverse();
    }
    let number = dispatch!(dtype, T => bytemuck::pod_read_unaligned::<T>(&sample).to_f64());
    Ok(Some(number.to_string()))
}
