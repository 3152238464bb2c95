//! What stands before the voxels of a TIFF file that is written: OME-XML, and a directory for each plane.
//!
//! Planes follow each other as they are, each in one strip: the file is a raw volume behind a header. Files of 4 GB and more are BigTIFF, others classic TIFF, which
//! every reader takes.
//!
//! Source: TIFF 6.0; BigTIFF; OME-TIFF, OME 2016-06 schema.

use std::path::Path;

use bytesize::ByteSize;

use super::directory as tags;
use crate::{
    error::{Error, Result},
    geometry::{Grid, Unit},
    layout::{Axis, Layout},
    sys,
    voxel::Dtype,
};

/// What a file is to hold.
#[derive(Debug)]
pub struct TargetSpec<'a> {
    pub path: &'a Path,
    /// What the image is called.
    pub name: &'a str,
    pub layout: &'a Layout,
    pub big_endian: bool,
}

const EXTRA_SAMPLES: u16 = 338;
const SOFTWARE: u16 = 305;
const PROGRAM: &str = "reslice";
/// The place of the first voxel is a multiple of this.
const ALIGNED_BYTES: usize = 64;
/// Where 32 bits end.
const CLASSIC_BYTES: u64 = 1 << 32;
/// The part of a budget that the directories may take.
const HEADER_SHARE: u64 = 8;
/// Without a budget.
const MOST_HEADER_BYTES: u64 = 256 << 20;

/// Types of fields.
const ASCII: u16 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIONAL: u16 = 5;
const LONG8: u16 = 16;

/// Everything before the first voxel.
///
/// # Errors
/// Samples and axes that OME-TIFF does not have; so many planes that their directories have no room in the budget.
pub fn target_header(spec: &TargetSpec<'_>) -> Result<Vec<u8>> {
    let [_, rows, columns] = spec.layout.grid.shape;
    if rows.max(columns) >= CLASSIC_BYTES {
        let what = format!("{}: TIFF has no pages of {columns} x {rows} voxels", spec.path.display());
        return Err(Error::usage_hint(what, "write .zarr or .nii"));
    }
    room(spec, header_bytes(spec, 0, true))?;
    let text = document(spec)?;
    let is_wide = spec.layout.raw_bytes().saturating_add(header_bytes(spec, text.len(), false)) >= CLASSIC_BYTES;
    let bytes = header_bytes(spec, text.len(), is_wide);
    room(spec, bytes)?;
    Ok(Writer { spec, is_wide, bytes: Vec::with_capacity(bytes as usize) }.header(&text))
}

/// Refuses directories that take more than their part of the budget.
fn room(spec: &TargetSpec<'_>, bytes: u64) -> Result<()> {
    let most = sys::budget().map_or(MOST_HEADER_BYTES, |budget| budget / HEADER_SHARE);
    if bytes <= most {
        return Ok(());
    }
    let (planes, size) = (planes(spec.layout), ByteSize(bytes));
    let what = format!("the directories of {planes} planes take {size}, and may take an eighth of the memory");
    let hint =
        format!("use --memory {}MiB or more, or a .zarr target", bytes.saturating_mul(HEADER_SHARE).div_ceil(1 << 20));
    Err(Error::usage_hint(what, hint))
}

/// What the file cannot state, one line each.
pub fn target_remarks(grid: &Grid) -> Vec<String> {
    let m = &grid.index_to_world.m;
    // Rows are x, y, z; columns are slices, rows, columns, and then the origin.
    let is_plain = (0..3)
        .all(|row| (0..4).all(|column| if row + column == 2 { m[row][column] > 0.0 } else { m[row][column] == 0.0 }));
    let remark = "TIFF states the steps between voxels, and neither the directions of the axes nor the place of the first voxel: these are left out";
    if is_plain { Vec::new() } else { vec![remark.into()] }
}

fn planes(layout: &Layout) -> u64 {
    layout.grid.shape[0].saturating_mul(layout.outer.volumes())
}

/// An upper bound, a multiple of the alignment.
fn header_bytes(spec: &TargetSpec<'_>, text: usize, is_wide: bool) -> u64 {
    let (count, field, link) = if is_wide { (8, 20, 8) } else { (2, 12, 4) };
    let directory = count + 17 * field + link + 1;
    // A channel has a line of its own in the document.
    let text = (text as u64).max(64 * planes(spec.layout));
    let shared = text + 32 * spec.layout.components as u64 + 256;
    planes(spec.layout).saturating_mul(directory).saturating_add(shared).saturating_add(ALIGNED_BYTES as u64)
}

struct Writer<'a> {
    spec: &'a TargetSpec<'a>,
    is_wide: bool,
    bytes: Vec<u8>,
}

/// A field: tag, type, how many values, and these or their place.
type Field = (u16, u16, u64, Vec<u8>);

impl Writer<'_> {
    fn number(&self, value: u64, bytes: usize) -> Vec<u8> {
        let mut number = value.to_le_bytes()[..bytes].to_vec();
        if self.spec.big_endian {
            number.reverse();
        }
        number
    }

    /// Bytes of an offset.
    fn wide(&self) -> usize {
        if self.is_wide { 8 } else { 4 }
    }

    /// A field of several numbers: these where they fit, else their place behind what is written.
    fn field(&mut self, tag: u16, kind: u16, values: &[u64]) -> Field {
        let size = match kind {
            ASCII => 1,
            SHORT => 2,
            LONG8 => 8,
            _ => 4,
        };
        let text: Vec<u8> = values.iter().flat_map(|&value| self.number(value, size)).collect();
        let count = if kind == RATIONAL { values.len() / 2 } else { values.len() };
        self.placed(tag, kind, count as u64, text)
    }

    fn placed(&mut self, tag: u16, kind: u16, count: u64, mut text: Vec<u8>) -> Field {
        if text.len() > self.wide() {
            self.pad(8);
            let at = self.bytes.len() as u64;
            self.bytes.append(&mut text);
            text = self.number(at, self.wide());
        }
        (tag, kind, count, text)
    }

    fn pad(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    fn header(mut self, text: &str) -> Vec<u8> {
        let link = self.start();
        let text: Vec<u8> = text.bytes().chain([0]).collect();
        let description = self.placed(tags::DESCRIPTION, ASCII, text.len() as u64, text);
        let shared = self.shared_fields();
        self.pad(16);
        let (first, wide) = (self.bytes.len() as u64, self.wide());
        let at = self.number(first, wide);
        self.bytes[link..link + wide].copy_from_slice(&at);
        self.directories(&shared, description);
        self.pad(ALIGNED_BYTES);
        self.bytes
    }

    /// Byte order, version, and room for the place of the first directory: where that is.
    fn start(&mut self) -> usize {
        self.bytes.extend(if self.spec.big_endian { b"MM" } else { b"II" });
        let start: &[(u64, usize)] =
            if self.is_wide { &[(43, 2), (8, 2), (0, 2), (16, 8)] } else { &[(42, 2), (8, 4)] };
        for &(value, bytes) in start {
            let number = self.number(value, bytes);
            self.bytes.extend(number);
        }
        self.bytes.len() - self.wide()
    }

    /// Bytes of the voxels of a page.
    fn page_bytes(&self) -> u64 {
        let [_, rows, columns] = self.spec.layout.grid.shape;
        self.spec.layout.voxel_bytes() * rows * columns
    }

    /// The type of numbers that may be places or lengths in the file.
    fn long(&self) -> u16 {
        if self.is_wide { LONG8 } else { LONG }
    }

    /// The fields that all directories have alike.
    fn shared_fields(&mut self) -> Vec<Field> {
        let layout = self.spec.layout;
        let [_, rows, columns] = layout.grid.shape;
        let (samples, dtype) = (layout.components, layout.stored);
        let kind = match dtype {
            _ if dtype.is_float() => 3,
            Dtype::I8 | Dtype::I16 | Dtype::I32 | Dtype::I64 => 2,
            _ => 1,
        };
        let (page, long) = (self.page_bytes(), self.long());
        let mut shared = vec![
            self.field(tags::WIDTH, LONG, &[columns]),
            self.field(tags::HEIGHT, LONG, &[rows]),
            self.field(tags::BITS, SHORT, &vec![8 * dtype.bytes() as u64; samples]),
            self.field(tags::COMPRESSION, SHORT, &[1]),
            self.field(tags::PHOTOMETRIC, SHORT, &[if samples > 1 { super::format::RGB } else { 1 }]),
            self.field(tags::SAMPLES, SHORT, &[samples as u64]),
            self.field(tags::ROWS_PER_STRIP, LONG, &[rows]),
            self.field(tags::STRIP_COUNTS, long, &[page]),
            self.field(tags::PLANAR, SHORT, &[1]),
            self.field(SOFTWARE, ASCII, &PROGRAM.bytes().chain([0]).map(u64::from).collect::<Vec<_>>()),
            self.field(tags::SAMPLE_FORMAT, SHORT, &vec![kind; samples]),
        ];
        if samples == 4 {
            shared.push(self.field(EXTRA_SAMPLES, SHORT, &[2]));
        }
        if let Some([x, y]) = super::text::per_centimetre(&layout.grid) {
            shared.push(self.field(tags::X_RESOLUTION, RATIONAL, &x));
            shared.push(self.field(tags::Y_RESOLUTION, RATIONAL, &y));
            shared.push(self.field(tags::RESOLUTION_UNIT, SHORT, &[3]));
        }
        shared
    }

    /// One directory for each page, from here on; the first has the description.
    fn directories(&mut self, shared: &[Field], description: Field) {
        let layout = self.spec.layout;
        let (count, page, long) = (layout.grid.shape[0] * layout.outer.volumes(), self.page_bytes(), self.long());
        let first = self.bytes.len() as u64;
        // Directories have one size, but for the first one, which has a field more.
        let size = |fields: usize| if self.is_wide { 16 + 20 * fields as u64 } else { 6 + 12 * fields as u64 };
        let (main, other) = (size(shared.len() + 2).next_multiple_of(2), size(shared.len() + 1).next_multiple_of(2));
        let voxels = (first + main + (count - 1) * other).next_multiple_of(ALIGNED_BYTES as u64);
        for n in 0..count {
            let mut fields = shared.to_vec();
            fields.extend((n == 0).then(|| description.clone()));
            fields.push((tags::STRIP_OFFSETS, long, 1, self.number(voxels + n * page, self.wide())));
            fields.sort_by_key(|field| field.0);
            let next = if n + 1 == count { 0 } else { first + main + n * other };
            self.directory(&fields, next);
        }
    }

    fn directory(&mut self, fields: &[Field], next: u64) {
        let wide = self.wide();
        let count = self.number(fields.len() as u64, if self.is_wide { 8 } else { 2 });
        self.bytes.extend(count);
        for (tag, kind, count, text) in fields {
            let numbers = [self.number((*tag).into(), 2), self.number((*kind).into(), 2), self.number(*count, wide)];
            self.bytes.extend(numbers.concat());
            self.bytes.extend(text);
            self.bytes.resize(self.bytes.len() + wide - text.len(), 0);
        }
        let next = self.number(next, wide);
        self.bytes.extend(next);
        self.pad(2);
    }
}

/// The type of samples in the vocabulary of OME.
fn type_name(spec: &TargetSpec<'_>) -> Result<&'static str> {
    Ok(match spec.layout.stored {
        Dtype::U8 => "uint8",
        Dtype::I8 => "int8",
        Dtype::U16 => "uint16",
        Dtype::I16 => "int16",
        Dtype::U32 => "uint32",
        Dtype::I32 => "int32",
        Dtype::F32 => "float",
        Dtype::F64 => "double",
        Dtype::U64 | Dtype::I64 => {
            let what = format!("{}: OME-TIFF has no samples of {}", spec.path.display(), spec.layout.stored);
            return Err(Error::usage_hint(what, "give --dtype f64, i32 or u32, or a .zarr or .nii target"));
        }
    })
}

/// The axes of OME that our outer axes are, slowest first, without those of length 1.
fn letters<'a>(spec: &TargetSpec<'a>) -> Result<Vec<(char, &'a Axis)>> {
    let axes: Vec<&Axis> = spec.layout.outer.axes.iter().filter(|axis| axis.len > 1).collect();
    let own = |axis: &Axis| match axis.name.as_str() {
        "t" => Some('T'),
        "c" => Some('C'),
        _ => None,
    };
    let mut free: Vec<char> =
        ['T', 'C'].into_iter().filter(|letter| !axes.iter().any(|axis| own(axis) == Some(*letter))).collect();
    let mut found = Vec::new();
    for &axis in &axes {
        let Some(letter) = own(axis).or_else(|| free.pop()) else {
            let names = axes.iter().map(|axis| axis.name.as_str()).collect::<Vec<_>>().join(", ");
            let what = format!(
                "{}: OME-TIFF has time and channels, and the volumes have the axes {names}",
                spec.path.display()
            );
            return Err(Error::usage_hint(
                what,
                "pick one index of an axis with --time or --channel, or write .zarr or .nii",
            ));
        };
        found.push((letter, axis));
    }
    Ok(found)
}

/// The symbol of a unit of length in the schema.
fn length_symbol(unit: &Unit) -> Option<&'static str> {
    Some(match unit.ome_name()? {
        "meter" => "m",
        "millimeter" => "mm",
        "micrometer" => "\u{b5}m",
        "nanometer" => "nm",
        "angstrom" => "\u{c5}",
        "centimeter" => "cm",
        "picometer" => "pm",
        "inch" => "in",
        _ => return None,
    })
}

fn time_symbol(name: &str) -> Option<&'static str> {
    Some(match name {
        "second" => "s",
        "millisecond" => "ms",
        "microsecond" => "\u{b5}s",
        "nanosecond" => "ns",
        "minute" => "min",
        "hour" => "h",
        "day" => "d",
        _ => return None,
    })
}

fn escaped(text: &str) -> String {
    let shown: String = text.chars().filter(|letter| !letter.is_control()).collect();
    shown.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The OME-XML.
fn document(spec: &TargetSpec<'_>) -> Result<String> {
    let layout = spec.layout;
    let kind = type_name(spec)?;
    let samples = layout.components as u64;
    if !matches!(samples, 1 | 3 | 4) {
        let what = format!("{}: OME-TIFF has no voxels of {samples} samples", spec.path.display());
        return Err(Error::usage_hint(what, "write .zarr or .nii"));
    }
    let [depth, rows, columns] = layout.grid.shape;
    let letters = letters(spec)?;
    let len = |letter: char| letters.iter().find(|(own, _)| *own == letter).map_or(1, |(_, axis)| axis.len);
    let (channels, times) = (len('C'), len('T'));
    // Fastest first; channels before times where nothing else is said.
    let is_turned = letters.first().is_some_and(|(letter, _)| *letter == 'C') && letters.len() > 1;
    let order = if is_turned { "XYZTC" } else { "XYZCT" };
    let mut steps = String::new();
    let symbol = length_symbol(&layout.grid.unit);
    let factor = if symbol.is_some() { Some(1.0) } else { layout.grid.unit.factor_to(&Unit::Micrometre) };
    let [z, y, x] = layout.grid.spacing();
    if layout.grid.unit != Unit::Unknown || [x, y, z] != [1.0; 3] {
        for (axis, step) in [("X", x), ("Y", y), ("Z", z)] {
            let symbol = symbol.unwrap_or(if factor.is_some() { "\u{b5}m" } else { "reference frame" });
            steps += &format!(
                " PhysicalSize{axis}=\"{}\" PhysicalSize{axis}Unit=\"{symbol}\"",
                step * factor.unwrap_or(1.0)
            );
        }
    }
    let time = letters.iter().find(|(letter, axis)| *letter == 'T' && axis.step > 0.0);
    if let Some(&(_, Axis { step, unit: Some(unit), .. })) = time
        && let Some(symbol) = time_symbol(unit)
    {
        steps += &format!(" TimeIncrement=\"{step}\" TimeIncrementUnit=\"{symbol}\"");
    }
    let channel = |n: u64| format!("<Channel ID=\"Channel:0:{n}\" SamplesPerPixel=\"{samples}\"/>");
    let all: String = (0..channels).map(channel).collect();
    let name = escaped(spec.name);
    let schema = "http://www.openmicroscopy.org/Schemas/OME/2016-06";
    Ok(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><OME xmlns=\"{schema}\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:schemaLocation=\"{schema} {schema}/ome.xsd\" Creator=\"{PROGRAM}\"><Image ID=\"Image:0\" Name=\"{name}\">\
         <Pixels ID=\"Pixels:0\" DimensionOrder=\"{order}\" Type=\"{kind}\" BigEndian=\"{}\" SizeX=\"{columns}\" SizeY=\"{rows}\" \
         SizeZ=\"{depth}\" SizeC=\"{}\" SizeT=\"{times}\"{steps}>{all}<TiffData IFD=\"0\" PlaneCount=\"{}\"/></Pixels></Image></OME>",
        spec.big_endian,
        channels * samples,
        planes(layout),
    ))
}
