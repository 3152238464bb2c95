//! One image file directory: the fields that are looked for, each with where its values stand.
//!
//! Source: TIFF 6.0, section 2; BigTIFF (libtiff).

use super::{
    bytes::{List, Walk, width},
    fault::Fault,
};

pub(super) const NEW_SUBFILE_TYPE: u16 = 254;
pub(super) const WIDTH: u16 = 256;
pub(super) const HEIGHT: u16 = 257;
pub(super) const BITS: u16 = 258;
pub(super) const COMPRESSION: u16 = 259;
pub(super) const PHOTOMETRIC: u16 = 262;
pub(super) const FILL_ORDER: u16 = 266;
pub(super) const DESCRIPTION: u16 = 270;
pub(super) const STRIP_OFFSETS: u16 = 273;
pub(super) const SAMPLES: u16 = 277;
pub(super) const ROWS_PER_STRIP: u16 = 278;
pub(super) const STRIP_COUNTS: u16 = 279;
pub(super) const X_RESOLUTION: u16 = 282;
pub(super) const Y_RESOLUTION: u16 = 283;
pub(super) const PLANAR: u16 = 284;
pub(super) const RESOLUTION_UNIT: u16 = 296;
pub(super) const PREDICTOR: u16 = 317;
pub(super) const TILE_WIDTH: u16 = 322;
pub(super) const TILE_HEIGHT: u16 = 323;
pub(super) const TILE_OFFSETS: u16 = 324;
pub(super) const TILE_COUNTS: u16 = 325;
pub(super) const SUB_DIRECTORIES: u16 = 330;
pub(super) const SAMPLE_FORMAT: u16 = 339;
pub(super) const DEPTH: u16 = 32997;
pub(super) const TILE_DEPTH: u16 = 32998;
/// MetaMorph's stacks: one directory for many planes.
pub(super) const STK_PLANES: u16 = 33629;
pub(super) const FLUOVIEW: u16 = 34361;
pub(super) const LSM: u16 = 34412;

const WANTED: [u16; 29] = [
    NEW_SUBFILE_TYPE,
    WIDTH,
    HEIGHT,
    BITS,
    COMPRESSION,
    PHOTOMETRIC,
    FILL_ORDER,
    DESCRIPTION,
    STRIP_OFFSETS,
    SAMPLES,
    ROWS_PER_STRIP,
    STRIP_COUNTS,
    X_RESOLUTION,
    Y_RESOLUTION,
    PLANAR,
    RESOLUTION_UNIT,
    PREDICTOR,
    TILE_WIDTH,
    TILE_HEIGHT,
    TILE_OFFSETS,
    TILE_COUNTS,
    SUB_DIRECTORIES,
    SAMPLE_FORMAT,
    DEPTH,
    TILE_DEPTH,
    STK_PLANES,
    FLUOVIEW,
    LSM,
    0,
];

/// Fields of a directory, at most: others have some dozens.
const MOST_FIELDS: u64 = 4096;
/// Read at once: most directories and their short values.
const FIRST_BYTES: u64 = 1024;
/// Numbers of a field that are read at once, at most: those of the samples of a voxel.
const MOST_NUMBERS: u64 = 1 << 16;

/// A directory, and where the next one stands; 0 behind the last.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    fields: Vec<Field>,
    pub next: u64,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    tag: u16,
    list: List,
    /// The values, where they stand in the field itself.
    own: Option<[u8; 8]>,
}

impl Directory {
    /// Reads the directory at `at`.
    ///
    /// # Errors
    /// It does not lie within the file, or has more fields than any.
    pub(super) fn read(walk: &mut Walk<'_>, at: u64) -> Result<Directory, Fault> {
        let bytes = walk.bytes;
        let (count_bytes, field_bytes, offset_bytes) = if bytes.wide { (8, 20, 8) } else { (2, 12, 4) };
        let there = bytes.len().saturating_sub(at);
        let outside =
            || Fault::wrong("the place of a directory", at, format!("within the {} bytes of the file", bytes.len()));
        if at < 8 || there < count_bytes {
            return Err(outside());
        }
        let mut text = vec![0; FIRST_BYTES.min(there) as usize];
        bytes.fill(&mut text, at)?;
        let fields = bytes.number(&text[..count_bytes as usize]);
        if fields > MOST_FIELDS {
            return Err(Fault::wrong("the number of fields in a directory", fields, format!("at most {MOST_FIELDS}")));
        }
        let total = count_bytes + fields * field_bytes + offset_bytes;
        if total > there {
            return Err(outside());
        }
        walk.pass(total)?;
        if total > text.len() as u64 {
            let first = text.len();
            text.resize(total as usize, 0);
            bytes.fill(&mut text[first..], at + first as u64)?;
        }
        let mut found = Vec::new();
        for n in 0..fields {
            let start = count_bytes + n * field_bytes;
            let field = &text[start as usize..(start + field_bytes) as usize];
            let tag = bytes.number(&field[..2]) as u16;
            if !WANTED.contains(&tag) || found.iter().any(|field: &Field| field.tag == tag) {
                continue;
            }
            let kind = bytes.number(&field[2..4]) as u16;
            let count = bytes.number(&field[4..4 + offset_bytes as usize]);
            let value = &field[4 + offset_bytes as usize..];
            let Some(len) = width(kind).and_then(|width| width.checked_mul(count)) else {
                return Err(Fault::wrong(
                    format!("field {tag}"),
                    format!("{count} values of type {kind}"),
                    "a type that is known",
                ));
            };
            let own = len <= offset_bytes;
            let place = if own { at + start + 4 + offset_bytes } else { bytes.number(value) };
            if place.checked_add(len).is_none_or(|end| end > bytes.len()) {
                let found = format!("{len} bytes at {place}");
                return Err(Fault::wrong(
                    format!("field {tag}"),
                    found,
                    format!("within the {} bytes of the file", bytes.len()),
                ));
            }
            let mut values = [0; 8];
            values[..value.len()].copy_from_slice(value);
            found.push(Field { tag, list: List { at: place, kind, count }, own: own.then_some(values) });
        }
        let next = bytes.number(&text[(total - offset_bytes) as usize..total as usize]);
        Ok(Directory { fields: found, next })
    }

    fn field(&self, tag: u16) -> Option<&Field> {
        self.fields.iter().find(|field| field.tag == tag && field.list.count > 0)
    }

    /// Where the values of a field stand; `None` without them.
    pub(super) fn list(&self, tag: u16) -> Option<List> {
        self.field(tag).map(|field| field.list)
    }

    /// The first value of a field of integers.
    pub(super) fn number(&self, walk: &Walk<'_>, tag: u16) -> Result<Option<u64>, Fault> {
        let Some(field) = self.field(tag) else { return Ok(None) };
        let width = width(field.list.kind).unwrap_or(1) as usize;
        match field.own {
            Some(values) => Ok(Some(walk.bytes.number(&values[..width]))),
            None => walk.bytes.nth(field.list, 0).map(Some),
        }
    }

    /// The one value that all values of a field have.
    pub(super) fn uniform(&self, walk: &mut Walk<'_>, tag: u16, name: &str) -> Result<Option<u64>, Fault> {
        let Some(field) = self.field(tag) else { return Ok(None) };
        let first = self.number(walk, tag)?;
        if field.list.count > MOST_NUMBERS {
            return Err(Fault::wrong(name, format!("{} values", field.list.count), format!("at most {MOST_NUMBERS}")));
        }
        if field.own.is_none() || field.list.count > 1 {
            walk.each(field.list, |_, value| match Some(value) == first {
                true => Ok(()),
                false => Err(Fault::Unread(format!(
                    "has samples of different kinds in a voxel ({name} {} and {value})",
                    first.unwrap_or(0)
                ))),
            })?;
        }
        Ok(first)
    }

    /// A quotient of two numbers.
    pub(super) fn ratio(&self, walk: &Walk<'_>, tag: u16) -> Result<Option<f64>, Fault> {
        let Some(list) = self.list(tag).filter(|list| list.kind == 5) else { return Ok(None) };
        let mut both = [0; 8];
        walk.bytes.fill(&mut both, list.at)?;
        let part = |from: usize| walk.bytes.number(&both[from..from + 4]) as f64;
        Ok(Some(part(0) / part(4)))
    }

    /// Text, up to its first zero; of what is longer than `most` bytes the beginning.
    pub(super) fn text(&self, walk: &mut Walk<'_>, tag: u16, most: u64) -> Result<Vec<u8>, Fault> {
        let Some(list) = self.list(tag) else { return Ok(Vec::new()) };
        let len = list.count.saturating_mul(width(list.kind).unwrap_or(1)).min(most);
        walk.pass(len)?;
        let mut text = vec![0; len as usize];
        walk.bytes.fill(&mut text, list.at)?;
        let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        text.truncate(end);
        Ok(text)
    }
}
