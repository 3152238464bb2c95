//! TIFF, BigTIFF, OME-TIFF and ImageJ's stacks: pages are planes of volumes.
//!
//! The chain of directories is walked once; of each page a row of a table is kept, which says where the lists of its strips or tiles stand. Strips and tiles are
//! decoded one by one, by position. Pages that stand in one piece, as they are, are read in parts; where all of them follow each other, as a raw file.
//!
//! World is (x, y, z) in the unit of the file, from 0 on: nothing says how it lies in a body.
//!
//! Source: TIFF 6.0; BigTIFF; OME-TIFF; ImageJ 1.54.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{convert::Conversion, view::View};
use crate::{
    error::{Error, Result},
    geometry::{Affine, Grid},
    layout::{Axis, Layout, Outer},
    voxel::Dtype,
};

mod bytes;
mod codec;
mod directory;
pub(in crate::io) mod fault;
mod format;
mod ome;
mod pages;
mod predictor;
mod series;
mod source;
mod target;
mod text;
pub(in crate::io) mod xml;

use bytes::{Bytes, Walk};
use directory::{self as tags, Directory};
use fault::Fault;
use format::Format;
use pages::{Page, Pages, Wanted};
use series::Described;
use source::Table;
pub use source::TiffSource;
pub use target::{TargetSpec, target_header, target_remarks};

/// Letters of a description that are looked at, where it is none of OME's.
const MOST_TEXT_BYTES: u64 = 64 << 10;
/// The least that a directory takes of a file.
const LEAST_DIRECTORY_BYTES: u64 = 14;

/// An image of a file: its grid, and where its planes stand.
#[derive(Clone, Debug)]
pub struct TiffFile {
    pub path: PathBuf,
    /// `OME-TIFF`, `ImageJ TIFF`, `TIFF`
    kind: &'static str,
    /// Of all volumes, or of those of a view.
    pub layout: Layout,
    /// Stored samples as they stand.
    pub conversion: Conversion,
    /// Axes that the file does not have, storage order.
    pub lacking: [bool; 3],
    /// The volumes that `layout` has of those in the file, where it does not have them all.
    pub view: Option<View>,
    /// Which level was chosen, and how many there are.
    pub level: (usize, usize),
    /// What a user should know of this file, one line each.
    pub warnings: Vec<String>,
    /// Where all voxels stand as in a raw file.
    pub data_offset: Option<u64>,
    table: Arc<Table>,
}

/// Opens a TIFF file, told by its content; `None` where it is none. No voxel is read. `image` is the number or name of one of several images, `level` one of
/// its levels, 0 being the finest.
///
/// # Errors
/// What is wrong with the file, with the field and its value, and what is not read here.
pub fn open(path: &Path, image: Option<&str>, level: Option<usize>) -> Result<Option<TiffFile>> {
    let Some((bytes, first)) = Bytes::open(path).map_err(Error::io("open", path))? else { return Ok(None) };
    read(path, bytes, first, image, level.unwrap_or(0)).map(Some).map_err(|fault| fault.of(path))
}

fn read(path: &Path, bytes: Bytes, first: u64, image: Option<&str>, level: usize) -> Result<TiffFile, Fault> {
    let mut walk = Walk::new(&bytes);
    let main = Directory::read(&mut walk, first)?;
    refuse_others(&main)?;
    let text = main.text(&mut walk, tags::DESCRIPTION, MOST_TEXT_BYTES)?;
    let ome = if is_ome(&text) { Some(Ome::read(path, &walk, &main, image)?) } else { None };
    if let (None, Some(image)) = (&ome, image) {
        let what =
            format!("?image={image} is for files of several images, and OME-XML says of none here that there are");
        return Err(Fault::Asked(what, "leave it out".into()));
    }
    let wanted = ome.as_ref().map_or(Wanted::All, |ome| Wanted::Some(&ome.wanted));
    let pages = pages::walk(&mut walk, first, &wanted, level)?;
    let mut described = match &ome {
        Some(ome) => ome.described.clone(),
        None => described(&text, &pages),
    };
    if described.kind != "OME-TIFF" {
        let ratio = |tag| main.ratio(&walk, tag);
        let per = [ratio(tags::X_RESOLUTION)?, ratio(tags::Y_RESOLUTION)?];
        let unit = main.number(&walk, tags::RESOLUTION_UNIT)?;
        text::resolution(&mut described, per, unit);
    }
    if level > 0 {
        coarser(&mut described, &pages.first, &walk, &pages.format)?;
    }
    let levels = 1 + pages::levels(&pages.first) as usize;
    let smaller = pages.smaller;
    let list = match &ome {
        Some(ome) => ome.places.iter().map(|&n| pages.table.get(n as usize).copied().unwrap_or_default()).collect(),
        None => listed(&mut described, &pages, &bytes)?,
    };
    let is_nowhere = |n: usize| ome.as_ref().is_some_and(|ome| ome.places[n] == ome::NOWHERE);
    let (absent, blank): (Vec<usize>, Vec<usize>) =
        (0..list.len()).filter(|&n| list[n] == Page::ABSENT).partition(|&n| is_nowhere(n));
    if let Some(blank) = blank.first() {
        let found = format!("of plane {}", blank + 1);
        return Err(Fault::wrong("a directory that the OME-XML names", found, "one that the file has"));
    }
    if !absent.is_empty() {
        let (missing, all) = (absent.len(), list.len());
        described.warnings.push(format!("{missing} of {all} planes are not in the file: 0 is taken for their voxels"));
    }
    let order = described.order();
    let in_order: Vec<Page> = order.map(|n| list.get(n as usize).copied().unwrap_or_default()).collect();
    if ome.is_none() && smaller > 0 {
        described.warnings.push(format!("{smaller} smaller versions among the pages are left out"));
    }
    let is_raw = in_order.iter().all(|page| page.raw > 0);
    let Pages { format, largest, stored_bytes, .. } = pages;
    let stored_bytes = if is_raw { format.page_bytes().saturating_mul(in_order.len() as u64) } else { stored_bytes };
    let table = Table { bytes, format, pages: in_order, is_raw, largest };
    finish(path, described, table, (level, levels), stored_bytes)
}

/// Formats of microscopes that stand in TIFF files, and whose pages mean something else.
fn refuse_others(main: &Directory) -> Result<(), Fault> {
    let others = [
        (tags::STK_PLANES, "is a MetaMorph stack (STK)"),
        (tags::LSM, "is a Zeiss LSM file"),
        (tags::FLUOVIEW, "is an Olympus Fluoview file"),
    ];
    match others.iter().find(|(tag, _)| main.list(*tag).is_some()) {
        Some((_, what)) => Err(Fault::Unread(format!("{what}, which is not read"))),
        None => Ok(()),
    }
}

fn is_ome(text: &[u8]) -> bool {
    let start = &text[..text.len().min(4096)];
    text.first().is_some_and(|&byte| byte == b'<' || byte == 0xef)
        && [&b"<OME"[..], b":OME"].iter().any(|mark| start.windows(mark.len()).any(|part| part == *mark))
}

/// The image that the OME-XML describes.
struct Ome {
    described: Described,
    /// The directory of each page of the image, in its order, and which directories these are.
    places: Vec<u32>,
    wanted: Vec<bool>,
}

impl Ome {
    fn read(path: &Path, walk: &Walk<'_>, main: &Directory, asked: Option<&str>) -> Result<Ome, Fault> {
        let bytes = walk.bytes;
        let text = main.list(tags::DESCRIPTION).unwrap_or(bytes::List { at: 0, kind: 2, count: 0 });
        let samples = main.number(walk, tags::SAMPLES)?.unwrap_or(1);
        let images = ome::images(bytes.from(text.at, text.count), samples)?;
        let n = chosen(path, &images, asked)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let most = bytes.len() / LEAST_DIRECTORY_BYTES;
        let places =
            ome::places(bytes.from(text.at, text.count), &images, n, most.min(pages::most_pages() as u64), &name)?;
        let there = || places.iter().filter(|place| **place != ome::NOWHERE);
        let mut wanted = vec![false; there().max().map_or(0, |&last| last as usize + 1)];
        there().for_each(|&place| wanted[place as usize] = true);
        Ok(Ome { described: images[n].described(), places, wanted })
    }
}

/// The image that is asked for by its number or name, or the only one.
fn chosen(path: &Path, images: &[ome::Image], asked: Option<&str>) -> Result<usize, Fault> {
    let by = |asked: &str| {
        let number = asked.parse().ok().filter(|&n: &usize| n < images.len());
        number.or_else(|| images.iter().position(|image| image.name == asked))
    };
    match (asked.map(by), images.len()) {
        (_, 0) => Err(Fault::wrong("the OME-XML", "without an image", "one with Pixels")),
        (Some(Some(n)), _) => Ok(n),
        (None, 1) => Ok(0),
        (_, count) => {
            let shown = images.iter().enumerate().take(30).map(|(n, image)| format!("{n} {}", image.name));
            let shown = shown.collect::<Vec<_>>().join("\n  ");
            let file = path.display();
            let begin = asked
                .map_or_else(|| format!("{file} has {count} images"), |asked| format!("{file} has no image {asked}"));
            Err(Fault::Asked(format!("{begin}:\n  {shown}"), format!("name one of them: '{file}?image=0'")))
        }
    }
}

/// What a description that is none of OME's says of the pages; slices without one.
fn described(text: &[u8], pages: &Pages) -> Described {
    if text::is_imagej(text) {
        return text::imagej(text);
    }
    let Format { rows, columns, samples, .. } = pages.format;
    text::shaped(text, rows, columns, samples).unwrap_or_else(|| text::plain(pages.numbers.len() as u64))
}

/// The pages in their order. Where there is one directory for many planes, these stand behind each other, as they are.
fn listed(described: &mut Described, pages: &Pages, bytes: &Bytes) -> Result<Vec<Page>, Fault> {
    let found = pages.numbers.len() as u64;
    let claimed = described.pages();
    let first = pages.table[pages.numbers[0] as usize];
    if claimed == Some(found) {
        let list = pages.numbers.iter().map(|&n| pages.table[n as usize]).collect();
        return Ok(list);
    }
    if found == 1 && first.raw > 0 {
        let page = pages.format.page_bytes();
        let room = bytes.len() - first.raw;
        return match claimed.filter(|claimed| claimed.checked_mul(page).is_some_and(|all| all <= room)) {
            Some(claimed) => Ok((0..claimed).map(|n| Page::raw(first.raw + n * page)).collect()),
            None => {
                let all = described.leads.iter().map(|lead| lead.len.to_string()).collect::<Vec<_>>().join(" x ");
                let found = format!("{room} bytes from the first plane on");
                Err(Fault::wrong("the length of the file", found, format!("{all} planes of {page} bytes")))
            }
        };
    }
    let leads = described.leads.iter().map(|lead| lead.len.to_string()).collect::<Vec<_>>().join(" x ");
    described
        .warnings
        .push(format!("the description speaks of {leads} planes, and the file has {found}: they are taken for slices"));
    described.leads = vec![series::Lead::new("z", found)];
    Ok(pages.numbers.iter().map(|&n| pages.table[n as usize]).collect())
}

/// Steps of a coarser level: the finest one over fewer voxels, from edge to edge.
fn coarser(described: &mut Described, main: &Directory, walk: &Walk<'_>, format: &Format) -> Result<(), Fault> {
    if described.steps[1..].iter().any(Option::is_none) {
        described.warnings.push(
            "no step is stated in a plane: 1 is taken for the finest level; --spacing-in states that of this one"
                .into(),
        );
    }
    for (axis, tag, len) in [(1, tags::HEIGHT, format.rows), (2, tags::WIDTH, format.columns)] {
        let finest = main.number(walk, tag)?.unwrap_or(len) as f64;
        let (fine, times) = (described.steps[axis].unwrap_or(1.0), finest / len as f64);
        described.origin[axis] = fine * (times - 1.0) / 2.0;
        described.steps[axis] = Some(fine * times);
    }
    Ok(())
}

fn finish(
    path: &Path,
    described: Described,
    table: Table,
    level: (usize, usize),
    stored_bytes: u64,
) -> Result<TiffFile, Fault> {
    let format = &table.format;
    let mut warnings = described.warnings.clone();
    warnings.extend(text::photometric_note(format.photometric, format.dtype));
    let (mut outer, depth) = (Outer::separate(described.outer()), described.depth());
    let is_colour = format.photometric == format::RGB && format.dtype == Dtype::U8 && matches!(format.samples, 3 | 4);
    let components = if is_colour { format.samples as usize } else { 1 };
    if !is_colour && format.samples > 1 {
        let name = if outer.axes.iter().any(|axis| axis.name == "c") { "s" } else { "c" };
        outer.axes.push(Axis { name: name.into(), len: format.samples, step: 1.0, start: 0.0, unit: None });
        outer.chunk.push(format.together());
    }
    let lacking = [depth == 1 && described.steps[0].is_none(), false, false];
    let grid = grid(&described, [depth, format.rows, format.columns], lacking, &mut warnings);
    let conversion = Conversion { big_endian: table.bytes.big_endian, ..Conversion::plain(format.dtype) };
    let data_offset = raw_offset(&table, is_colour);
    let layout = Layout { outer, components, stored_bytes: Some(stored_bytes), ..Layout::of(grid, format.dtype) };
    let layout = Layout { resident_bytes: table.resident_bytes(), ..layout };
    let layout = match data_offset {
        Some(_) => layout,
        None => {
            let [rows, columns] = table.chunk();
            Layout { transfer_bytes: table.transfer_bytes(), ..layout }.in_chunks([1, rows, columns])
        }
    };
    Ok(TiffFile {
        path: path.to_path_buf(),
        kind: described.kind,
        layout,
        conversion,
        lacking,
        view: None,
        level,
        warnings,
        data_offset,
        table: Arc::new(table),
    })
}

/// Where the first voxel stands, if all of them stand as in a raw file.
fn raw_offset(table: &Table, is_colour: bool) -> Option<u64> {
    let format = &table.format;
    let first = table.pages.first()?.raw;
    let page = format.page_bytes();
    let follows = |(n, own): (usize, &Page)| (n as u64).checked_mul(page).is_some_and(|at| own.raw == first + at);
    let is_one = table.is_raw && !format.planes && (format.samples == 1 || is_colour);
    (is_one && table.pages.iter().enumerate().all(follows)).then_some(first)
}

fn grid(described: &Described, shape: [u64; 3], lacking: [bool; 3], warnings: &mut Vec<String>) -> Grid {
    let steps = described.steps;
    let unstated: Vec<&str> = ["z", "y", "x"]
        .into_iter()
        .enumerate()
        .filter(|&(a, _)| steps[a].is_none() && !lacking[a])
        .map(|(_, name)| name)
        .collect();
    let symbol = described.unit.symbol();
    if !unstated.is_empty() {
        let axes = unstated.join(", ");
        warnings.push(format!(
            "no step is stated along {axes}: 1 {} is taken; --spacing-in states it",
            symbol.trim_end_matches('s')
        ));
    }
    let step = steps.map(|step| step.unwrap_or(1.0));
    let columns = [[0.0, 0.0, step[0]], [0.0, step[1], 0.0], [step[2], 0.0, 0.0]];
    let [z, y, x] = described.origin;
    let unit = described.unit.clone();
    Grid {
        stated_spacing: Some(step),
        anatomical: false,
        ..Grid::new(shape, Affine::from_columns(columns, [x, y, z]), unit)
    }
}

impl TiffFile {
    /// The format, for summaries.
    pub fn format_name(&self) -> String {
        let format = &self.table.format;
        let big = if self.table.bytes.wide { "Big" } else { "" };
        let kind = self.kind.replace("TIFF", &format!("{big}TIFF"));
        let pieces = match (self.table.is_raw, format.tiled) {
            (true, _) => "",
            (_, true) => ", tiles",
            (_, false) => ", strips",
        };
        let levels =
            if self.level.1 > 1 { format!(", level {} of {}", self.level.0, self.level.1) } else { String::new() };
        format!("{kind}, {}{pieces}{levels}", format.compression.name())
    }

    /// Whether voxels are compressed.
    pub fn is_compressed(&self) -> bool {
        self.table.format.compression != codec::Compression::None
    }
}
