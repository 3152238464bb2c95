//! The files of a folder, told apart by series.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use super::{
    arrange::{Plane, Slice, plural},
    coded::{Codec, Expected},
    fields::Fields,
    format::Format,
    header::Header,
    syntax::Syntax,
    walk::{Fault, Pixels, Place, Span},
};
use crate::error::{Error, Result};

/// Files of a folder that are looked at.
const MOST_FILES: usize = 1 << 20;
/// Series that are listed.
const MOST_LISTED: usize = 30;

/// Files that make one volume, or several of the same places.
#[derive(Debug)]
pub(super) struct Series {
    pub uid: String,
    pub number: i64,
    pub description: String,
    pub modality: String,
    pub photometric: String,
    /// Whether the first file says that its voxels were once stored at a loss.
    pub lossy: bool,
    pub syntax: Syntax,
    pub rows: u32,
    pub columns: u32,
    pub format: Format,
    pub plane: Option<Plane>,
    pub slices: Vec<Slice>,
    pub files: usize,
    /// Of the first file, for what is told of all.
    pub first: PathBuf,
    image_type: String,
}

/// What there is in a folder.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub path: PathBuf,
    /// Names of files, by the numbers that slices have.
    pub names: Vec<OsString>,
    pub series: Vec<Series>,
    by_uid: HashMap<String, Vec<usize>>,
    /// DICOM files that cannot be read, and the series that they are of, as far as that was read.
    damaged: Vec<(String, Error)>,
}

impl Folder {
    /// Looks at one file of a folder; `None` where it is no DICOM file. Its series is the only one then.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn of_file(path: &Path) -> Result<Option<Folder>> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut folder = Folder { path: parent.to_path_buf(), ..Folder::default() };
        let Some(name) = path.file_name() else { return Ok(None) };
        if !folder.add(name.into())? {
            return Ok(None);
        }
        if let Some((_, error)) = folder.damaged.pop() {
            return Err(error);
        }
        if folder.series.is_empty() {
            let what = "is a DICOM file without an image".into();
            return Err(Error::Unsupported { path: path.to_path_buf(), what, hint: None });
        }
        Ok(Some(folder))
    }

    /// Looks at all files of a folder; `None` where none of them is a DICOM file.
    ///
    /// # Errors
    /// It cannot be listed, or has more files than are looked at.
    pub(super) fn of_folder(path: &Path) -> Result<Option<Folder>> {
        let mut folder = Folder { path: path.to_path_buf(), ..Folder::default() };
        let mut found = false;
        for name in names(path)? {
            found |= folder.add(name)?;
        }
        Ok(found.then_some(folder))
    }

    /// Takes a file in; whether it is a DICOM file.
    fn add(&mut self, name: OsString) -> Result<bool> {
        let path = self.path.join(&name);
        let mut header = Header::default();
        match Header::read(&path, &mut header)
            .and_then(|is_one| if is_one { self.sort_in(&path, &header) } else { Ok(is_one) })
        {
            Ok(false) => Ok(!header.series.is_empty()),
            Ok(true) => {
                self.names.push(name);
                Ok(true)
            }
            Err(fault) => {
                self.damaged.push((header.series, fault.of(&path)));
                Ok(true)
            }
        }
    }

    /// Puts the frames of a file where they belong; false where it has none.
    fn sort_in(&mut self, path: &Path, header: &Header) -> Result<bool, Fault> {
        let Some(pixels) = &header.pixels else { return Ok(false) };
        let (rows, columns) = (header.rows, header.columns);
        let syntax = header.syntax();
        let coding = syntax.coding();
        // What cannot be read is refused when it is chosen.
        let format = header.format.checked(pixels, coding.big_endian).unwrap_or(header.format);
        let spans = match syntax {
            Syntax::Encoded(_) | Syntax::Unknown => vec![Span { offset: 0, len: 0 }],
            _ if header.format.checked(pixels, coding.big_endian).is_err() => vec![Span { offset: 0, len: 0 }],
            _ => frames(header, pixels, &format)?,
        };
        let file = self.names.len() as u32;
        for (n, span) in spans.into_iter().enumerate() {
            let fields = header.of_frame(n);
            let plane = plane(&fields);
            let slice = Slice {
                file,
                offset: span.offset,
                len: span.len,
                position: fields.position.unwrap_or_default(),
                slope: fields.slope.unwrap_or(1.0),
                intercept: fields.intercept.unwrap_or(0.0),
                keys: fields.keys,
                days: fields.days,
            };
            let at = self.by_uid.get(&header.series).into_iter().flatten().copied().find(|&at| {
                let series = &self.series[at];
                let same =
                    (series.rows, series.columns, series.format, series.syntax) == (rows, columns, format, syntax);
                same && series.image_type == header.image_type
                    && series.photometric == header.photometric
                    && are_alike(&series.plane, &plane)
            });
            let at = at.unwrap_or_else(|| self.begin(path, header, (format, syntax), plane));
            let series = &mut self.series[at];
            series.files += usize::from(series.slices.last().is_none_or(|last| last.file != file));
            series.slices.push(slice);
        }
        Ok(true)
    }

    fn begin(
        &mut self,
        path: &Path,
        header: &Header,
        (format, syntax): (Format, Syntax),
        plane: Option<Plane>,
    ) -> usize {
        let at = self.series.len();
        self.series.push(Series {
            uid: header.series.clone(),
            number: header.series_number,
            description: header.description.clone(),
            modality: header.modality.clone(),
            photometric: header.photometric.clone(),
            lossy: header.lossy,
            syntax,
            rows: header.rows,
            columns: header.columns,
            format,
            plane,
            slices: Vec::new(),
            files: 0,
            first: path.to_path_buf(),
            image_type: header.image_type.clone(),
        });
        self.by_uid.entry(header.series.clone()).or_default().push(at);
        at
    }

    /// The series that is asked for, by its UID and perhaps `:N` behind it; or the only one.
    ///
    /// # Errors
    /// There are several, or none such: they are listed. Files of it, or of no series that is known, are damaged.
    pub(super) fn choose(mut self, asked: Option<&str>) -> Result<(Folder, Series)> {
        let (uid, part) = match asked.map(|asked| asked.split_once(':').unwrap_or((asked, ""))) {
            Some((uid, part)) => (Some(uid), part.parse::<usize>().ok()),
            None => (None, None),
        };
        let fits = |series: &Series| uid.is_none_or(|uid| series.uid == uid);
        let mut fitting: Vec<usize> = (0..self.series.len()).filter(|&at| fits(&self.series[at])).collect();
        if let Some(part) = part {
            fitting = fitting.get(part.wrapping_sub(1)).copied().into_iter().collect();
        }
        let harmful =
            self.damaged.iter().position(|(series, _)| series.is_empty() || uid.is_none_or(|uid| series == uid));
        if let (Some(n), 0 | 1) = (harmful, fitting.len()) {
            return Err(self.damaged.swap_remove(n).1);
        }
        match fitting[..] {
            [at] => {
                let series = self.series.swap_remove(at);
                Ok((self, series))
            }
            _ => Err(self.several(asked, &fitting)),
        }
    }

    /// The series of one file, with the slices of it that are in the other files of the folder.
    ///
    /// # Errors
    /// As of [`Folder::choose`].
    pub(super) fn whole_series(self) -> Result<(Folder, Series)> {
        let (own, series) = self.choose(None)?;
        if series.uid.is_empty() {
            // Nothing says which other files belong to it.
            return Ok((own, series));
        }
        let Some(mut folder) = Folder::of_folder(&own.path)? else { return Ok((own, series)) };
        let name = own.names.first();
        let file = folder.names.iter().position(|other| Some(other) == name).map(|n| n as u32);
        let holds =
            |other: &Series| other.uid == series.uid && other.slices.iter().any(|slice| Some(slice.file) == file);
        let Some(at) = folder.series.iter().position(holds) else { return Ok((own, series)) };
        if let Some(n) = folder.damaged.iter().position(|(damaged, _)| *damaged == series.uid) {
            return Err(folder.damaged.swap_remove(n).1);
        }
        let whole = folder.series.swap_remove(at);
        Ok((folder, whole))
    }

    fn several(&self, asked: Option<&str>, fitting: &[usize]) -> Error {
        let shown = self.path.display();
        let listed: Vec<usize> = if fitting.is_empty() { (0..self.series.len()).collect() } else { fitting.to_vec() };
        if listed.is_empty() {
            return Error::Unsupported {
                path: self.path.clone(),
                what: "holds DICOM files without images".into(),
                hint: None,
            };
        }
        let mut lines: Vec<String> = listed.iter().take(MOST_LISTED).map(|&at| self.line(at)).collect();
        if listed.len() > MOST_LISTED {
            lines.push(format!("and {} more", listed.len() - MOST_LISTED));
        }
        let begin = match asked {
            Some(asked) if fitting.is_empty() => format!("{shown} has no series {asked:.80}"),
            Some(asked) => format!("series {asked:.80} of {shown} has images of {} kinds", listed.len()),
            None => format!("{shown} holds {} DICOM series", listed.len()),
        };
        let example = self.name(listed[0]);
        Error::usage_hint(
            format!("{begin}:\n  {}", lines.join("\n  ")),
            format!("name one of them: '{shown}?series={example}'"),
        )
    }

    /// What a series is chosen by.
    fn name(&self, at: usize) -> String {
        let uid = &self.series[at].uid;
        let parts = self.by_uid.get(uid).map_or(&[][..], |parts| parts);
        match parts.iter().position(|&part| part == at) {
            Some(n) if parts.len() > 1 => format!("{uid}:{}", n + 1),
            _ => uid.clone(),
        }
    }

    fn line(&self, at: usize) -> String {
        let series = &self.series[at];
        let Series { columns, rows, files, modality, description, number, .. } = series;
        let frames = series.slices.len();
        let frames = if frames == *files { String::new() } else { format!(", {frames} frames") };
        let files = format!("{files} {}{frames}", plural(*files, "file"));
        format!("{} {files}, {columns}x{rows}, {modality}, number {number}: {description}", self.name(at))
    }
}

impl Fault {
    /// As an error of a file.
    pub(super) fn of(self, path: &Path) -> Error {
        match self {
            Fault::Io(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
                Error::malformed(path, "the file", "cut off", "a whole DICOM file")
            }
            Fault::Io(source) => Error::io("read", path)(source),
            Fault::Wrong { field, found, expected } => Error::malformed(path, field, found, expected),
        }
    }
}

/// Names of the files of a folder, sorted.
fn names(path: &Path) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(Error::io("list", path))? {
        let entry = entry.map_err(Error::io("list", path))?;
        let name = entry.file_name();
        if path.join(&name).metadata().is_ok_and(|meta| meta.is_file()) {
            names.push(name);
        }
        if names.len() > MOST_FILES {
            return Err(Error::malformed(path, "the number of files", "larger", format!("{MOST_FILES} at most")));
        }
    }
    names.sort();
    Ok(names)
}

fn plane(fields: &Fields) -> Option<Plane> {
    fields.position?;
    Some(Plane {
        orientation: fields.orientation?,
        spacing: fields.spacing?,
        step: fields.between.or(fields.thickness).map(f64::abs).filter(|step| *step > 0.0).unwrap_or(1.0),
    })
}

/// Whether slices lie in one direction, with voxels of one size.
fn are_alike(a: &Option<Plane>, b: &Option<Plane>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return a.is_none() && b.is_none() };
    let near = |x: f64, y: f64, part: f64| (x - y).abs() <= part;
    a.orientation.iter().zip(b.orientation).all(|(&x, y)| near(x, y, 1e-4))
        && a.spacing.iter().zip(b.spacing).all(|(&x, y)| near(x, y, 1e-4 * x.abs()))
}

/// Where each frame of a file stands.
fn frames(header: &Header, pixels: &Pixels, format: &Format) -> Result<Vec<Span>, Fault> {
    let frames = match header.frames {
        None => 1,
        Some(frames) if (1.0..=4e9).contains(&frames) => frames as u64,
        Some(frames) => return Err(Fault::wrong("the number of frames", frames, "1 or more")),
    };
    let bytes = format.frame_bytes(header.rows, header.columns).filter(|&bytes| bytes > 0);
    let Some(bytes) = bytes else {
        let found = format!("{} x {}", header.columns, header.rows);
        return Err(Fault::wrong("the size of an image", found, "1 or more columns and rows"));
    };
    if header.per_frame.len() as u64 != frames && (frames > 1 || header.per_frame.len() > 1) {
        let found = format!("{} for {frames} frames", header.per_frame.len());
        return Err(Fault::wrong(
            "the number of places (PerFrameFunctionalGroupsSequence)",
            found,
            "one for each frame",
        ));
    }
    match &pixels.place {
        Place::Native(span) => {
            let needed = bytes.checked_mul(frames).filter(|&needed| needed <= span.len);
            if needed.is_none() {
                let expected = format!("{frames} x {bytes} bytes");
                return Err(Fault::wrong("the length of the voxels", format!("{} bytes", span.len), expected));
            }
            Ok((0..frames).map(|n| Span { offset: span.offset + n * bytes, len: bytes }).collect())
        }
        // What is in fragments without being coded is refused by name.
        Place::Fragments(spans) => {
            let expected = Expected { format, rows: header.rows, columns: header.columns, frame_bytes: bytes };
            header.syntax().codec().unwrap_or(Codec::Rle).spans(spans, frames, &expected)
        }
    }
}
