//! DICOM: series of files with a slice each, and files with several frames.
//!
//! Files are walked up to their voxels, whatever their names; of each slice a row of a table is kept. Slices are put in the order of their places. World is LPS in
//! the files and RAS here. Voxels are read slice by slice; files are not kept open.
//!
//! Source: DICOM PS3.3, C.7.6.2 and C.7.6.3 (planes and samples), C.7.6.16 (frames); PS3.5.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{convert::Conversion, jpeg::lossy_warning, plain::header::turned, view::View};
use crate::{
    error::{Error, Result},
    geometry::{Affine, Grid, Unit},
    layout::{Axis, Layout, Outer},
    voxel::Dtype,
};

mod arrange;
mod bytes;
mod coded;
mod colours;
mod fields;
mod format;
mod header;
mod jpeg2000;
mod rle;
mod scan;
mod source;
mod syntax;
mod walk;

use arrange::{Arranged, Plane, Refusal, Slice, plural};
use format::Format;
use scan::{Folder, Series};
pub use source::DicomSource;
use syntax::Syntax;

/// Of a slope that is the same in all slices.
type Slope = (f64, f64);

/// A series: its grid, and where its slices stand.
#[derive(Clone, Debug)]
pub struct DicomSeries {
    pub folder: PathBuf,
    /// SeriesInstanceUID.
    pub uid: String,
    pub modality: String,
    pub description: String,
    /// How many files it has.
    pub files: usize,
    /// Of all volumes, or of those of a view.
    pub layout: Layout,
    /// Samples as they are handed on: whole, in the machine's byte order.
    pub conversion: Conversion,
    /// From samples to values, where it is one for all slices and not (1, 0).
    pub slope: Option<Slope>,
    /// The volumes that `layout` has of those of the series, where it does not have them all.
    pub view: Option<View>,
    /// What a user should know of this series, one line each.
    pub warnings: Vec<String>,
    table: Arc<Table>,
}

/// Where slices stand and how they are read.
#[derive(Debug)]
struct Table {
    folder: PathBuf,
    names: Vec<OsString>,
    slices: Vec<Stored>,
    syntax: Syntax,
    format: Format,
    rows: u32,
    columns: u32,
    frame_bytes: u64,
    /// Whether each slice has a slope of its own, and values of 32 bits are handed on.
    own_slopes: bool,
}

/// A slice in its file.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stored {
    file: u32,
    offset: u64,
    len: u64,
    slope: f64,
    intercept: f64,
}

impl Table {
    fn path(&self, file: u32) -> PathBuf {
        self.names.get(file as usize).map_or_else(|| self.folder.clone(), |name| self.folder.join(name))
    }
}

/// Opens the series that a file is of, with its slices in other files of the folder; `None` where it is no DICOM file. No voxel is read.
///
/// # Errors
/// What is wrong with one of the files, and what is not read here.
pub fn open_file(path: &Path) -> Result<Option<DicomSeries>> {
    let Some(folder) = Folder::of_file(path)? else { return Ok(None) };
    let (folder, series) = folder.whole_series()?;
    finish(folder, series).map(Some)
}

/// Opens a series of a folder: the one with the UID `asked`, or the only one; `None` where there is no DICOM file in it.
///
/// # Errors
/// As of [`open_file`]; [`Error::Usage`] with a list where there are several.
pub fn open_folder(path: &Path, asked: Option<&str>) -> Result<Option<DicomSeries>> {
    let Some(folder) = Folder::of_folder(path)? else { return Ok(None) };
    let (folder, series) = folder.choose(asked)?;
    finish(folder, series).map(Some)
}

fn finish(folder: Folder, mut series: Series) -> Result<DicomSeries> {
    let first = series.first.clone();
    let mut warnings = Vec::new();
    series.refuse_unread(&folder.path)?;
    series.note_colours(&mut warnings)?;
    let placed = series.plane.is_some();
    let plane = series.plane(&folder.path, &mut warnings)?;
    let slices = std::mem::take(&mut series.slices);
    let own_slopes =
        slices.iter().any(|slice| (slice.slope, slice.intercept) != (slices[0].slope, slices[0].intercept));
    let slope = (slices[0].slope, slices[0].intercept);
    let frame_bytes = series.format.frame_bytes(series.rows, series.columns).unwrap_or(0);
    let mut table = Table {
        folder: folder.path.clone(),
        names: folder.names,
        slices: Vec::new(),
        syntax: series.syntax,
        format: series.format,
        rows: series.rows,
        columns: series.columns,
        frame_bytes,
        own_slopes,
    };
    let arranged = arrange::arrange(slices, &plane, |a, b| table.are_same(&a.stored(), &b.stored()))?;
    let arranged = arranged.map_err(|Refusal(what)| refused(&first, format!("its series {what}"), &folder.path))?;
    arranged.check(&first)?;
    arranged.note(&mut warnings);
    if own_slopes {
        warnings.push(
            "slices have rescale slopes of their own: values are read as 32-bit floats, with the slopes applied".into(),
        );
    }
    table.slices = arranged.slices.iter().map(Slice::stored).collect();
    if table.is_lossy()? {
        warnings.push(lossy_warning(table.syntax.name()));
    } else if series.lossy {
        warnings.push("voxels were once stored at a loss, as the files say (LossyImageCompression)".into());
    }
    let layout = series.layout(&plane, &arranged, &table, placed);
    let conversion = Conversion::plain(layout.stored);
    Ok(DicomSeries {
        folder: folder.path,
        uid: series.uid,
        modality: series.modality,
        description: series.description,
        files: series.files,
        layout,
        conversion,
        slope: Some(slope).filter(|slope| !own_slopes && *slope != (1.0, 0.0)),
        view: None,
        warnings,
        table: Arc::new(table),
    })
}

impl Slice {
    fn stored(&self) -> Stored {
        let Slice { file, offset, len, slope, intercept, .. } = *self;
        Stored { file, offset, len, slope, intercept }
    }
}

impl Arranged {
    /// Refuses places that are no numbers, and slices without a step between them.
    fn check(&self, first: &Path) -> Result<()> {
        let Arranged { step, origin, .. } = self;
        if step.iter().chain(origin).all(|x| x.is_finite()) && *step != [0.0; 3] {
            return Ok(());
        }
        let found = format!("{origin:?}, with steps of {step:?}");
        Err(Error::malformed(first, "ImagePositionPatient", found, "places in the world"))
    }

    fn note(&self, warnings: &mut Vec<String>) {
        if self.dropped > 0 {
            warnings.push(format!(
                "slices that are there twice, with the same voxels, are taken once ({} left out)",
                self.dropped
            ));
        }
        if self.tilt > 0.1 {
            warnings.push(format!("slices are shifted against each other (a gantry tilt of {:.1} degrees): the grid is sheared as they are", self.tilt));
        }
        if let Some(key) = self.key {
            warnings.push(format!("{} volumes of the same places are told apart by {key}", self.volumes));
        }
    }
}

impl Series {
    /// The plane of its slices; one of 1 mm where a single slice states none.
    fn plane(&self, folder: &Path, warnings: &mut Vec<String>) -> Result<Plane> {
        let Some(plane) = self.plane else {
            if self.slices.len() == 1 {
                warnings.push("no place in the body is stated (ImagePositionPatient, ImageOrientationPatient, PixelSpacing): a plane with voxels of 1 mm is assumed".into());
                return Ok(Plane { orientation: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], spacing: [1.0; 2], step: 1.0 });
            }
            let what = format!(
                "has {} slices without ImagePositionPatient, ImageOrientationPatient or PixelSpacing: nothing says where they are",
                self.slices.len()
            );
            return Err(refused(&self.first, what, folder));
        };
        if plane.is_sound() {
            return Ok(plane);
        }
        let found = format!("{:?}, steps {:?}", plane.orientation, plane.spacing);
        let expected = "two square directions and steps";
        Err(Error::malformed(&self.first, "ImageOrientationPatient and PixelSpacing", found, expected))
    }

    /// Voxels that are coded in a way that is not read, samples that are none, and slices side by side in one image.
    fn refuse_unread(&self, folder: &Path) -> Result<()> {
        let hint = |command: &str| Some(format!("{command}; or dcm2niix -z y FOLDER makes NIfTI of it"));
        let refuse = |what: String| {
            let hint = hint("write it with plain voxels first: gdcmconv --raw IN OUT");
            Err(Error::Unsupported { path: self.first.clone(), what, hint })
        };
        match self.syntax {
            Syntax::Encoded(name) => return refuse(format!("is DICOM with voxels in {name}, which is not read")),
            Syntax::Unknown => return refuse("is DICOM of a transfer syntax that is not known".into()),
            Syntax::Native(_) | Syntax::Deflated | Syntax::Coded(..) => {}
        }
        let mut header = header::Header::default();
        header::Header::read(&self.first, &mut header).map_err(|fault| fault.of(&self.first))?;
        if let Some(slices) = header.mosaic() {
            let what = format!("is a mosaic of Siemens ({slices} side by side in one image), which is not read");
            return Err(refused(&self.first, what, folder));
        }
        let Some(pixels) = &header.pixels else { return Ok(()) };
        let is_native = matches!(pixels.place, walk::Place::Native(_));
        if is_native == self.syntax.codec().is_some() {
            return Err(Error::malformed(
                &self.first,
                "the voxels",
                "not as the transfer syntax says",
                self.syntax.name(),
            ));
        }
        match header.format.checked(pixels, self.syntax.coding().big_endian) {
            Ok(format) => match self.syntax.codec().and_then(|codec| codec.lacks(&format)) {
                None => Ok(()),
                Some(found) => refuse(format!("is DICOM with {found}")),
            },
            Err((found, read)) => refuse(format!("is DICOM with {found}; {read}")),
        }
    }

    fn note_colours(&self, warnings: &mut Vec<String>) -> Result<()> {
        let codec = self.syntax.codec();
        match (self.photometric.as_str(), self.format.samples) {
            // Decoding ends with RGB.
            ("YBR_FULL" | "YBR_FULL_422", 3) if codec == Some(coded::Codec::JpegDct) => {}
            ("YBR_RCT" | "YBR_ICT", 3) if matches!(codec, Some(coded::Codec::Jpeg2000 | coded::Codec::Htj2k)) => {}
            ("MONOCHROME1", _) => warnings
                .push("small values are bright in this series (MONOCHROME1): values are left as they are".into()),
            ("PALETTE COLOR", _) => {
                warnings.push("voxels are numbers of colours in a palette, which is left out".into())
            }
            ("RGB", 3) | (_, 1) => {}
            (colours, _) => {
                return Err(Error::Unsupported {
                    path: self.first.clone(),
                    what: format!("is DICOM with colours as {colours:.40}, of which RGB is read"),
                    hint: None,
                });
            }
        }
        Ok(())
    }

    fn layout(&self, plane: &Plane, arranged: &Arranged, table: &Table, placed: bool) -> Layout {
        let [along_row, along_column] = plane.steps();
        let columns = [arranged.step, along_column, along_row].map(turned);
        let count = (arranged.slices.len() / arranged.volumes) as u64;
        let shape = [count, u64::from(self.rows), u64::from(self.columns)];
        let index_to_world = Affine::from_columns(columns, turned(arranged.origin));
        let grid = Grid { anatomical: placed, ..Grid::new(shape, index_to_world, Unit::Millimetre) };
        let axis = |len| Axis {
            name: "t".into(),
            len,
            step: arranged.seconds.unwrap_or(1.0),
            start: 0.0,
            unit: arranged.seconds.map(|_| "second".into()),
        };
        let outer = (arranged.volumes > 1).then(|| axis(arranged.volumes as u64));
        let stored = if table.own_slopes { Dtype::F32 } else { self.format.dtype() };
        let largest = table.slices.iter().map(|slice| slice.len).max().unwrap_or(0);
        let names: usize = table.names.iter().map(|name| name.len() + size_of::<OsString>()).sum();
        let resident = names + table.slices.len() * size_of::<Stored>();
        let layout = Layout {
            outer: Outer::separate(outer.into_iter().collect()),
            components: self.format.samples as usize,
            stored_bytes: Some(table.slices.iter().map(|slice| slice.len).sum()),
            transfer_bytes: source::transfer_bytes(&self.format, self.syntax, largest, table.frame_bytes),
            resident_bytes: resident as u64,
            ..Layout::of(grid, stored)
        };
        layout.in_chunks([1, u64::from(self.rows), u64::from(self.columns)])
    }
}

fn refused(path: &Path, what: String, folder: &Path) -> Error {
    let hint = format!("dcm2niix -z y {} makes NIfTI of what it can", folder.display());
    Error::Unsupported { path: path.to_path_buf(), what, hint: Some(hint) }
}

impl DicomSeries {
    /// The format, for summaries.
    pub fn format_name(&self) -> String {
        let slices = self.table.slices.len();
        let frames = if slices == self.files { String::new() } else { format!(" with {slices} frames") };
        let files = format!("{} {}{frames}", self.files, plural(self.files, "file"));
        let modality = if self.modality.is_empty() { String::new() } else { format!(", {}", self.modality) };
        format!("DICOM{modality}, {files}, {}", self.table.syntax.name())
    }

    /// Whether voxels are compressed in the files.
    pub fn is_compressed(&self) -> bool {
        matches!(self.table.syntax, Syntax::Deflated | Syntax::Coded(..))
    }

    /// Its files, each once.
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> {
        let mut files: Vec<u32> = self.table.slices.iter().map(|slice| slice.file).collect();
        files.sort_unstable();
        files.dedup();
        files.into_iter().map(|file| self.table.path(file))
    }
}
