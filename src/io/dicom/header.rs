//! What one file says of itself, up to its voxels.

use std::path::Path;

use super::{
    bytes::{Bytes, Inflated, Plain},
    fields::{Fields, is_field, number, text, whole},
    format::Format,
    syntax::{EXPLICIT, IMPLICIT, Syntax},
    walk::{Coding, Fault, META, Pixels, Tag, Value, Visit, Walk},
};
use crate::storage::nfs;

/// Before `DICM`.
const PREAMBLE_BYTES: u64 = 128;
const SHARED: Tag = 0x5200_9229;
const PER_FRAME: Tag = 0x5200_9230;
/// Sequences in these two that say where frames stand and what their samples mean.
const GROUPS: [Tag; 8] =
    [0x0020_9113, 0x0020_9116, 0x0028_9110, 0x0028_9145, 0x0020_9111, 0x0018_9114, 0x0018_9117, 0x0018_9076];

/// The group of private elements that says how many slices a mosaic has, whom they are of, and the last byte of that one.
const SIEMENS_GROUP: u32 = 0x0019;
const SIEMENS: &str = "SIEMENS MR HEADER";
const MOSAIC_SLICES: u32 = 0x0A;

/// A file that is walked up to its voxels.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub syntax_uid: String,
    pub series: String,
    pub series_number: i64,
    pub instance: i64,
    pub description: String,
    pub modality: String,
    pub image_type: String,
    /// Slices that stand side by side in one image, where Siemens says so.
    pub mosaic: u32,
    pub photometric: String,
    /// Whether it says that its voxels were once made smaller at a loss.
    pub lossy: bool,
    pub rows: u32,
    pub columns: u32,
    pub frames: Option<f64>,
    pub format: Format,
    pub all: Fields,
    pub shared: Fields,
    pub per_frame: Vec<Fields>,
    /// Nothing where the file has no image.
    pub pixels: Option<Pixels>,
    /// Sequences that the walk is in, and whether those are of one frame.
    within: Vec<Tag>,
    /// Of group 19: the elements that Siemens has reserved, as the upper half of their numbers.
    siemens: Option<u32>,
}

impl Header {
    /// Walks a file; `None` where it is no DICOM file. `said` keeps what was read before a fault.
    ///
    /// # Errors
    /// Lengths that nothing has room for, and what the system says.
    pub(super) fn read(path: &Path, said: &mut Header) -> Result<bool, Fault> {
        let file = nfs::open(path)?;
        let end = file.metadata()?.len();
        let mut bytes = Plain::new(file, end);
        let mut mark = [0; 4];
        if end >= PREAMBLE_BYTES + 4 {
            bytes.skip(PREAMBLE_BYTES)?;
            bytes.fill(&mut mark)?;
        }
        if mark == *b"DICM" {
            said.part_10(bytes)?;
            return Ok(true);
        }
        let Some(coding) = bare(path, end)? else { return Ok(false) };
        let mut walk = Walk::new(Plain::new(nfs::open(path)?, end), coding, said);
        // Nothing says that it is one: what cannot be walked is none.
        let Ok(pixels) = walk.data_set(None) else { return Ok(false) };
        said.pixels = pixels;
        said.syntax_uid = match coding {
            IMPLICIT => "1.2.840.10008.1.2".into(),
            EXPLICIT => "1.2.840.10008.1.2.1".into(),
            _ => "1.2.840.10008.1.2.2".into(),
        };
        Ok(!said.series.is_empty())
    }

    fn part_10(&mut self, bytes: Plain) -> Result<(), Fault> {
        let mut walk = Walk::new(bytes, META, self);
        let first = walk.meta()?;
        let bytes = walk.bytes;
        let Some(first) = first else { return Ok(()) };
        self.pixels = match self.syntax() {
            Syntax::Deflated => Walk::new(bytes.inflated(4)?, EXPLICIT, self).data_set(None)?,
            syntax => {
                let coding = if self.syntax_uid.is_empty() { guess(first) } else { syntax.coding() };
                Walk::new(bytes, coding, self).data_set(Some(first))?
            }
        };
        Ok(())
    }

    /// What it has of a mosaic: slices side by side in one image.
    pub(super) fn mosaic(&self) -> Option<String> {
        match self.mosaic {
            0 | 1 => self.image_type.split('\\').any(|word| word.trim() == "MOSAIC").then(|| "slices".into()),
            slices => Some(format!("{slices} slices")),
        }
    }

    /// Takes a value of the group in which Siemens keeps the number of slices of a mosaic.
    fn take_siemens(&mut self, element: u32, value: Value<'_>) {
        if element <= 0xFF && text(value) == SIEMENS {
            self.siemens = Some(element);
        } else if self.siemens == Some(element >> 8) && element & 0xFF == MOSAIC_SLICES {
            self.mosaic = whole(value).unwrap_or(0);
        }
    }

    /// How it is written.
    pub(super) fn syntax(&self) -> Syntax {
        match self.syntax_uid.as_str() {
            "" => Syntax::Native(IMPLICIT),
            uid => Syntax::of(uid),
        }
    }

    /// What is true of frame `n`.
    pub(super) fn of_frame(&self, n: usize) -> Fields {
        let own = self.per_frame.get(n).copied().unwrap_or_default();
        own.or(&self.shared).or(&self.all)
    }

    fn place(&mut self) -> &mut Fields {
        match self.within.first() {
            Some(&SHARED) => &mut self.shared,
            Some(_) if !self.per_frame.is_empty() => {
                let last = self.per_frame.len() - 1;
                &mut self.per_frame[last]
            }
            _ => &mut self.all,
        }
    }
}

/// The stream of a deflated file, from its first byte on.
///
/// # Errors
/// What is wrong with the elements before it.
pub(super) fn inflated(path: &Path) -> Result<Inflated, Fault> {
    let file = nfs::open(path)?;
    let end = file.metadata()?.len();
    let mut bytes = Plain::new(file, end);
    bytes.skip(PREAMBLE_BYTES + 4)?;
    let mut none = Header::default();
    let mut walk = Walk::new(bytes, META, &mut none);
    walk.meta()?;
    Ok(walk.bytes.inflated(4)?)
}

/// The coding of a file that may be a data set without anything before it.
fn bare(path: &Path, end: u64) -> Result<Option<Coding>, Fault> {
    if end < 16 {
        return Ok(None);
    }
    let mut start = [0; 8];
    Plain::new(nfs::open(path)?, end).fill(&mut start)?;
    let is_explicit = start[4..6].iter().all(u8::is_ascii_uppercase);
    Ok(match start {
        [8, 0, _, 0, ..] => Some(Coding { explicit: is_explicit, big_endian: false }),
        [0, 8, 0, _, ..] if is_explicit => Some(Coding { explicit: true, big_endian: true }),
        _ => None,
    })
}

/// Of a data set whose syntax is not stated; `first` is its first tag. Implicit is the default of the standard.
fn guess(first: [u8; 4]) -> Coding {
    if first[0] == 0 { Coding { explicit: true, big_endian: true } } else { IMPLICIT }
}

impl Visit for Header {
    fn wants(&self, tag: Tag) -> bool {
        let plain = [
            0x0002_0010,
            0x0008_0008,
            0x0008_0060,
            0x0008_103E,
            0x0020_000E,
            0x0020_0011,
            0x0020_0013,
            0x0028_0002,
            0x0028_0004,
            0x0028_0006,
            0x0028_0008,
            0x0028_0010,
            0x0028_0011,
            0x0028_0100,
            0x0028_0101,
            0x0028_0102,
            0x0028_0103,
            0x0028_2110,
        ];
        let is_reservation = (0x10..=0xFF).contains(&(tag & 0xFFFF));
        let is_mosaic = tag & 0xFF == MOSAIC_SLICES;
        is_field(tag) || plain.contains(&tag) || (tag >> 16 == SIEMENS_GROUP && (is_reservation || is_mosaic))
    }

    fn value(&mut self, tag: Tag, value: Value<'_>) {
        if is_field(tag) {
            return self.place().take(tag, value);
        }
        if !self.within.is_empty() {
            return;
        }
        let integer = || number(value).map_or(0, |n| n as i64);
        if tag >> 16 == SIEMENS_GROUP {
            return self.take_siemens(tag & 0xFFFF, value);
        }
        match tag {
            0x0002_0010 => self.syntax_uid = text(value),
            0x0008_0008 => self.image_type = text(value),
            0x0008_0060 => self.modality = text(value),
            0x0008_103E => self.description = text(value),
            0x0020_000E => self.series = text(value),
            0x0020_0011 => self.series_number = integer(),
            0x0020_0013 => self.instance = integer(),
            0x0028_0004 => {
                self.photometric = text(value);
                self.format.ybr = self.photometric.starts_with("YBR_FULL");
            }
            0x0028_2110 => self.lossy = text(value) == "01",
            0x0028_0008 => self.frames = number(value),
            0x0028_0010 => self.rows = whole(value).unwrap_or(0),
            0x0028_0011 => self.columns = whole(value).unwrap_or(0),
            _ => self.format.take(tag, whole(value).unwrap_or(0)),
        }
    }

    fn enters(&mut self, tag: Tag) -> bool {
        let enters = match self.within.last() {
            None => tag == SHARED || tag == PER_FRAME,
            Some(_) => GROUPS.contains(&tag),
        };
        if enters {
            self.within.push(tag);
        }
        enters
    }

    fn item(&mut self, tag: Tag) {
        if tag == PER_FRAME && self.within.len() == 1 {
            self.per_frame.push(Fields::default());
        }
    }

    fn leave(&mut self, _tag: Tag) {
        self.within.pop();
    }
}
