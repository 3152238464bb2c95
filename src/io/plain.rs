//! Volumes that are a short header and their voxels in C order: NRRD, MetaImage and MGH.
//!
//! Each format reads its header into a `Description`; what must hold of any of them is checked here, once. Voxels are read by the readers of raw files and
//! of streams. World is RAS: LPS becomes RAS in the file of each format.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;

use super::{
    convert::Conversion,
    foreign,
    gzip::{Coding, Start},
    view::{View, components::apart},
};
use crate::{
    error::{Error, Result},
    geometry::{Affine, Grid, Unit},
    layout::{Access, Axis, Layout, Outer},
    storage::nfs,
    voxel::Dtype,
};

pub mod header;
mod metaimage;
mod mgh;
mod morph;
mod nrrd;
mod target;
mod warp;

pub use morph::{NUMBERS as NODE_NUMBERS, Nodes, open as open_morph};
pub use target::{TargetSpec, metaimage_header, mgh_header, nrrd_header};
pub use warp::{Numbers, Warp};

/// The most bytes of a header.
const MOST_HEADER_BYTES: u64 = 1 << 20;
/// Bytes that tell the format.
const MAGIC_BYTES: u64 = 4 << 10;

/// A volume of one of these formats: where its voxels stand, and how to read them.
#[derive(Clone, Debug)]
pub struct PlainFile {
    /// `NRRD`, `MetaImage` or `MGH`
    pub format: &'static str,
    /// The file that holds the voxels; the header's own, or one that it names.
    pub data_path: PathBuf,
    /// Where the voxels start, in the decompressed stream if there is one.
    pub data_offset: u64,
    /// Whether the volumes along the last outer axis stand together voxel by voxel, as components do.
    pub is_interleaved: bool,
    /// The stream, where voxels are compressed.
    pub stream: Option<Start>,
    /// `Random` for raw voxels, `Ascending` for streams. The memory figures are 0: whoever reads knows them.
    pub layout: Layout,
    /// Stored samples as they stand.
    pub conversion: Conversion,
    /// Axes that the file does not have, storage order.
    pub lacking: [bool; 3],
    /// Whether the file says that voxels are names and not quantities.
    pub is_label: bool,
    /// What a file of FreeSurfer says of its vectors, where it says that they are a warp.
    pub warp: Option<Warp>,
    /// What a segmentation of 3D Slicer says of its segments: lines `key:=value`.
    pub segments: Vec<String>,
    /// The volumes that `layout` has of those in the file, where it does not have them all.
    pub view: Option<View>,
    /// What a user should know of this file, one line each.
    pub warnings: Vec<String>,
}

/// What a header says. Axes are in file order, fastest first.
#[derive(Debug)]
struct Description {
    format: &'static str,
    /// Of two or three axes of space.
    shape: Vec<u64>,
    /// Where one step along each of three axes leads, in RAS.
    columns: [[f64; 3]; 3],
    /// Where the first voxel stands, in RAS.
    origin: [f64; 3],
    unit: Unit,
    /// Whether the file says where right, anterior and superior are.
    anatomical: bool,
    /// Slowest first.
    outer: Vec<Axis>,
    /// The axis in front of space, whose volumes stand together voxel by voxel.
    interleaved: Option<Axis>,
    components: usize,
    stored: Dtype,
    big_endian: bool,
    data: Data,
    is_label: bool,
    segments: Vec<String>,
    warnings: Vec<String>,
}

/// Where voxels stand.
#[derive(Debug)]
struct Data {
    path: PathBuf,
    place: Place,
    /// `None` for raw voxels.
    coding: Option<Coding>,
}

/// From where on the voxels, or the stream of them, stand in their file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    At(u64),
    /// So many bytes into the decompressed stream that begins with the file.
    InStream(u64),
    /// The last bytes of the file.
    AtEnd,
}

/// Opens a file of one of these formats, told by its content; `None` where it is none of them. No voxel is read.
///
/// # Errors
/// What is wrong with a header of these formats, with the field and its value: sizes that overflow or that the file cannot hold, geometry that is none, and what is
/// not read here.
pub fn open(path: &Path) -> Result<Option<PlainFile>> {
    let mut file = nfs::open(path).map_err(Error::io("open", path))?;
    let mut start = Vec::new();
    file.by_ref().take(MAGIC_BYTES).read_to_end(&mut start).map_err(Error::io("read", path))?;
    let described = match () {
        () if start.starts_with(b"NRRD000") => nrrd::parse(path, &header_of(path, file, start)?)?,
        () if metaimage::is_one(&start) => metaimage::parse(path, &header_of(path, file, start)?)?,
        () => {
            let gzip = start.starts_with(&[0x1f, 0x8b]);
            let mut head = Vec::new();
            if gzip {
                // Whatever is wrong with the stream is told by the reader that takes it.
                let _ = GzDecoder::new(&start[..]).take(mgh::HEADER_BYTES).read_to_end(&mut head);
            }
            let head = if gzip { &head } else { &start };
            if !mgh::is_one(head) {
                return Ok(None);
            }
            let mut file = finish(path, mgh::parse(path, head, gzip)?)?;
            if mgh::is_warp(head) {
                file.warp = Some(warp::behind_voxels(path, gzip, &file.layout)?);
            }
            return Ok(Some(file));
        }
    };
    finish(path, described).map(Some)
}

/// The file that a header of text names for its voxels, itself where they follow it; `None` where it is no such header, or does not say.
pub fn voxels_named_by(path: &Path) -> Option<PathBuf> {
    foreign::kind_of(path).ok().filter(|kind| kind.is_file())?;
    let mut file = nfs::open(path).ok()?;
    let mut start = Vec::new();
    file.by_ref().take(MAGIC_BYTES).read_to_end(&mut start).ok()?;
    let named = match () {
        () if start.starts_with(b"NRRD000") => nrrd::voxels_path(path, &header_of(path, file, start).ok()?),
        () if metaimage::is_one(&start) => metaimage::voxels_path(path, &header_of(path, file, start).ok()?),
        () => return None,
    };
    named.ok()
}

/// The first bytes of a text header: all of it, and perhaps voxels.
fn header_of(path: &Path, file: File, mut start: Vec<u8>) -> Result<Vec<u8>> {
    file.take(MOST_HEADER_BYTES - start.len() as u64).read_to_end(&mut start).map_err(Error::io("read", path))?;
    Ok(start)
}

fn finish(path: &Path, described: Description) -> Result<PlainFile> {
    let Description { format, mut shape, columns, origin, unit, anatomical, outer, components, stored, .. } = described;
    let lacking = [shape.len() < 3, false, false];
    shape.resize(3, 1);
    let shape = [shape[2], shape[1], shape[0]];
    let outer = Outer::separate(outer);
    let components = described.interleaved.as_ref().map_or(components, |axis| axis.len as usize);
    let sizes = shape.iter().chain(outer.axes.iter().map(|axis| &axis.len));
    let voxel_bytes = (stored.bytes() * components) as u64;
    let bytes = sizes.clone().try_fold(voxel_bytes, |bytes, &n| bytes.checked_mul(n)).filter(|&n| n < 1 << 62);
    let bytes = match bytes {
        Some(bytes) if bytes > 0 => bytes,
        _ => {
            let sizes = sizes.map(u64::to_string).collect::<Vec<_>>().join(" x ");
            return Err(Error::malformed(
                path,
                "the size",
                format!("{sizes} voxels of {voxel_bytes} bytes"),
                "1 to 2^62 bytes",
            ));
        }
    };
    let index_to_world = Affine::from_columns([columns[2], columns[1], columns[0]], origin);
    if !index_to_world.is_finite() || index_to_world.inverse().is_none() {
        let found = format!("{columns:?} from {origin:?}");
        return Err(Error::malformed(path, "the directions of the axes", found, "three that span space"));
    }
    let grid = Grid { anatomical, ..Grid::new(shape, index_to_world, unit) };
    let (data_offset, stream, data_bytes) = place(path, &described.data, bytes)?;
    let layout = Layout {
        access: if stream.is_some() { Access::Ascending } else { Access::Random },
        outer,
        components,
        stored_bytes: Some(data_bytes),
        ..Layout::of(grid, stored)
    };
    let is_interleaved = described.interleaved.is_some();
    let layout = match described.interleaved {
        Some(axis) => apart(layout, axis),
        None => layout,
    };
    let conversion = Conversion { big_endian: described.big_endian, ..Conversion::plain(stored) };
    Ok(PlainFile {
        format,
        data_path: described.data.path,
        data_offset,
        is_interleaved,
        stream,
        layout,
        conversion,
        lacking,
        is_label: described.is_label,
        warp: None,
        segments: described.segments,
        view: None,
        warnings: described.warnings,
    })
}

/// Offset of the voxels, their stream, and how many bytes the file has for them.
fn place(path: &Path, data: &Data, bytes: u64) -> Result<(u64, Option<Start>, u64)> {
    foreign::kind_of(&data.path)?;
    let file = nfs::open(&data.path).map_err(Error::io("open", &data.path))?;
    let len = file.metadata().map_err(Error::io("examine", &data.path))?.len();
    let too_short = |there: u64, what: &str| {
        let found = format!("{there} bytes");
        Err(Error::malformed(
            &data.path,
            "file size",
            found,
            format!("{bytes} bytes of voxels{what}, as {} says", path.display()),
        ))
    };
    match (data.coding, data.place) {
        (None, Place::At(offset) | Place::InStream(offset)) => {
            let there = len.saturating_sub(offset);
            if there < bytes { too_short(there, "") } else { Ok((offset, None, there)) }
        }
        (None, Place::AtEnd) => match len.checked_sub(bytes) {
            Some(offset) => Ok((offset, None, bytes)),
            None => too_short(len, ""),
        },
        (Some(coding), place) => {
            let (at, offset) = match place {
                Place::At(at) => (at, 0),
                Place::InStream(offset) => (0, offset),
                Place::AtEnd => {
                    return Err(Error::malformed(
                        path,
                        "the place of the voxels",
                        "the end of the file",
                        "an offset, for compressed voxels",
                    ));
                }
            };
            // Deflate makes at most 1032 bytes of one.
            let there = len.saturating_sub(at);
            if there.saturating_mul(1032) < bytes.saturating_add(offset) {
                return too_short(there, ", compressed");
            }
            Ok((offset, Some(Start { at, coding }), there))
        }
    }
}

impl PlainFile {
    /// `layout` as its voxels stand, and the axis whose volumes stand together there as components.
    pub fn as_stored(&self, layout: &Layout) -> (Layout, Option<Axis>) {
        let mut stored = layout.clone();
        if !self.is_interleaved {
            return (stored, None);
        }
        stored.outer.chunk.pop();
        let axis = stored.outer.axes.pop();
        stored.components = axis.as_ref().map_or(1, |axis| axis.len as usize);
        if self.stream.is_none() {
            stored.access = Access::Random;
        }
        (stored, axis)
    }

    /// The format, for summaries.
    pub fn format_name(&self) -> String {
        match self.stream {
            Some(_) => format!("{}, compressed", self.format),
            None => self.format.into(),
        }
    }
}
