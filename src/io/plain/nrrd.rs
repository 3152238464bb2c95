//! NRRD: `.nrrd`, and `.nhdr` with its voxels in a file beside it; segmentations of 3D Slicer (`.seg.nrrd`).
//!
//! Lines `field: value` and `key:=value` until an empty one. World is what `space` says, RAS, LAS or LPS; without it LPS, as ITK takes it.
//!
//! Source: "Definition of NRRD File Format" (teem.sourceforge.net/nrrd/format.html).

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{
    Data, Description, Place,
    header::{Field, columns, lines, unit},
};
use crate::{
    error::{Error, Result},
    io::gzip::Coding,
    layout::Axis,
    voxel::Dtype,
};

/// The fields of a header by their names, with the offset of what follows.
struct Header<'a> {
    path: &'a Path,
    fields: HashMap<String, &'a str>,
    end: usize,
    /// What a segmentation of 3D Slicer says of its segments, line by line.
    segments: Vec<String>,
}

impl<'a> Header<'a> {
    fn read(path: &'a Path, bytes: &'a [u8]) -> Result<Header<'a>> {
        let mut header = Header { path, fields: HashMap::new(), end: bytes.len(), segments: Vec::new() };
        for (line, end) in lines(bytes).skip(1) {
            let text = std::str::from_utf8(line).unwrap_or_default();
            if line.is_empty() {
                header.end = end;
                break;
            }
            if let Some((key, _)) = text.split_once(":=") {
                header.segments.extend(key.starts_with("Segment").then(|| text.to_string()));
            } else if let Some((field, value)) = text.split_once(": ").filter(|_| !text.starts_with('#')) {
                // `space origin`, `spaceorigin`; `data file`, `datafile`
                header.fields.insert(field.replace(' ', "").to_lowercase(), value.trim());
            }
        }
        Ok(header)
    }

    /// A segmentation of 3D Slicer: it names its segments.
    fn is_segmentation(&self) -> bool {
        self.segments.iter().any(|line| line.split_once(":=").is_some_and(|(key, _)| key.ends_with("_ID")))
    }

    fn get(&self, name: &'a str) -> Option<Field<'a>> {
        let value = self.fields.get(&name.replace(' ', ""))?;
        Some(Field { path: self.path, name, value })
    }

    fn needed(&self, name: &'a str) -> Result<Field<'a>> {
        self.get(name).ok_or_else(|| Error::malformed(self.path, format!("'{name}'"), "missing", "a line of its own"))
    }

    /// Words in quotes, or between blanks.
    fn words(&self, name: &'a str) -> Vec<&'a str> {
        let Some(field) = self.get(name) else { return Vec::new() };
        if !field.value.contains('"') {
            return field.value.split_whitespace().collect();
        }
        field.value.split('"').skip(1).step_by(2).collect()
    }
}

/// The most volumes that stand together voxel by voxel: such a voxel is read at once.
const MOST_TOGETHER: u64 = 1 << 16;

/// Where one step along an axis of space leads.
type Direction = Option<[f64; 3]>;

/// What an axis is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Space,
    /// Samples of a voxel.
    Samples,
    /// Volumes.
    Other,
}

/// The file of the voxels that a header names; `bytes` are the first of the file.
pub(super) fn voxels_path(path: &Path, bytes: &[u8]) -> Result<PathBuf> {
    data(&Header::read(path, bytes)?, path).map(|data| data.path)
}

/// Reads a header; `bytes` are the first of the file.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Description> {
    let header = Header::read(path, bytes)?;
    let dims: usize = header.needed("dimension")?.number()?;
    if !(1..=16).contains(&dims) {
        return Err(header.needed("dimension")?.wrong("1 to 16 dimensions"));
    }
    let sizes: Vec<u64> = header.needed("sizes")?.exactly(dims)?;
    let (directions, times) = directions(&header, dims)?.unzip();
    let time = |a: usize| times.as_ref().map(|times| times[a]);
    let kinds = kinds(&header, dims, directions.as_deref());
    let space: Vec<usize> = (0..dims).filter(|&a| kinds[a] == Kind::Space).collect();
    if !(2..=3).contains(&space.len()) || space.windows(2).any(|pair| pair[1] != pair[0] + 1) {
        let what = format!("{} of its axes are space; 2 or 3 axes side by side are read", space.len());
        return Err(unsupported(path, what));
    }
    let (first, last) = (space[0], space[space.len() - 1]);
    let (components, together) = in_front(path, &kinds[..first], &sizes[..first])?;
    let (to_ras, anatomical, mut warnings) = frame(&header);
    let (vectors, origin) = placed(&header, (&space, &sizes), directions, to_ras)?;
    let is_label = header.is_segmentation();
    if is_label && (components > 1 || together > 1) {
        let read_as = if together > 1 { "volumes" } else { "the samples of a voxel" };
        warnings.push(format!("segments overlap in layers, which are read as {read_as}"));
    }
    let outer = (last + 1..dims).rev().map(|a| outer_axis(&header, (a, sizes[a]), time(a), a == last + 1)).collect();
    let interleaved = (together > 0).then(|| outer_axis(&header, (0, together), time(0), last + 1 == dims));
    let stored = stored(&header)?;
    let big_endian = header.get("endian").is_some_and(|field| field.value.eq_ignore_ascii_case("big"));
    if stored.bytes() > 1 && header.get("endian").is_none() {
        return Err(Error::malformed(path, "'endian'", "missing", "little or big, for samples of several bytes"));
    }
    Ok(Description {
        format: "NRRD",
        shape: sizes[first..=last].to_vec(),
        columns: columns(&vectors),
        origin,
        unit: unit(header.words("space units").first().copied().filter(|name| !name.is_empty())),
        anatomical,
        outer,
        interleaved,
        components,
        stored,
        big_endian,
        data: data(&header, path)?,
        is_label,
        segments: if is_label { header.segments } else { Vec::new() },
        warnings,
    })
}

/// Samples of a voxel, and volumes that stand together (0 where none do), by the axes in front of space: at most one.
fn in_front(path: &Path, kinds: &[Kind], sizes: &[u64]) -> Result<(usize, u64)> {
    match (kinds, sizes) {
        ([], _) => Ok((1, 0)),
        ([Kind::Samples], &[n @ 1..=4]) => Ok((n as usize, 0)),
        ([Kind::Samples], &[n]) => {
            Err(unsupported(path, format!("it has {n} samples a voxel, of which at most 4 are read")))
        }
        ([_], &[n @ 1..=MOST_TOGETHER]) => Ok((1, n)),
        ([_], &[n]) => {
            let what = format!("it has {n} volumes voxel by voxel, of which 1 to {MOST_TOGETHER} are read");
            Err(unsupported(path, what))
        }
        _ => Err(unsupported(path, format!("{} axes stand in front of space, of which one is read", kinds.len()))),
    }
}

fn unsupported(path: &Path, what: String) -> Error {
    let hint = Some("write the part of it that is a volume, by SimpleITK or pynrrd".into());
    Error::Unsupported { path: path.to_path_buf(), what, hint }
}

/// `space directions`: the vector of each axis of space, `None` for others; and the step in time of each axis, 0 where there is none.
fn directions(header: &Header<'_>, dims: usize) -> Result<Option<(Vec<Direction>, Vec<f64>)>> {
    let Some(field) = header.get("space directions") else { return Ok(None) };
    let expected = format!("{dims} vectors or none");
    let (mut found, mut times) = (Vec::new(), Vec::new());
    let mut rest = field.value.trim();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("none") {
            found.push(None);
            times.push(0.0);
            rest = after.trim_start();
        } else {
            let (vector, after) = rest.split_once(')').ok_or_else(|| field.wrong(&expected))?;
            let ([x, y, z], time) = vector_of(&field, vector.trim_start_matches('('), &expected)?;
            times.push(time);
            found.push(match ([x, y, z] == [0.0; 3], time == 0.0) {
                (_, true) => Some([x, y, z]),
                (true, false) => None,
                (false, false) => return Err(field.wrong("vectors of space, or of time, but not of both")),
            });
            rest = after.trim_start();
        }
    }
    if found.len() == dims { Ok(Some((found, times))) } else { Err(field.wrong(expected)) }
}

/// Two or three numbers between commas, and the one of time, which is 0 where there are no four.
fn vector_of(field: &Field<'_>, text: &str, expected: &str) -> Result<([f64; 3], f64)> {
    let numbers: Vec<f64> =
        text.split(',').map(|n| n.trim().parse().map_err(|_| field.wrong(expected))).collect::<Result<_>>()?;
    match numbers[..] {
        [x, y, z, time] => Ok(([x, y, z], time)),
        [x, y, z] => Ok(([x, y, z], 0.0)),
        [x, y] => Ok(([x, y, 0.0], 0.0)),
        _ => Err(field.wrong(expected)),
    }
}

/// By `space directions`, else by `kinds`, else by place: the first three are space.
fn kinds(header: &Header<'_>, dims: usize, directions: Option<&[Direction]>) -> Vec<Kind> {
    let words = header.words("kinds");
    let first_of_space = directions.and_then(|all| all.iter().position(Option::is_some));
    (0..dims)
        .map(|a| match (directions, words.get(a)) {
            (Some(all), _) if all[a].is_some() => Kind::Space,
            // Volumes wherever they stand.
            (_, Some(&("list" | "time"))) => Kind::Other,
            (Some(_), _) if first_of_space.is_some_and(|first| a < first) => Kind::Samples,
            (Some(_), _) => Kind::Other,
            (None, Some(&("domain" | "space"))) => Kind::Space,
            (None, Some(&"point")) if a > 0 => Kind::Other,
            (None, Some(&("none" | "???")) | None) => {
                if a < 3 {
                    Kind::Space
                } else {
                    Kind::Other
                }
            }
            (None, Some(_)) => {
                if a == 0 {
                    Kind::Samples
                } else {
                    Kind::Other
                }
            }
        })
        .collect()
}

/// What turns the file's frame into RAS, and whether the file says what its frame is.
fn frame(header: &Header<'_>) -> ([f64; 3], bool, Vec<String>) {
    let name = header.get("space").map(|field| field.value.to_lowercase()).unwrap_or_default();
    match name.trim_end_matches("-time") {
        "right-anterior-superior" | "ras" | "rast" => ([1.0, 1.0, 1.0], true, Vec::new()),
        "left-anterior-superior" | "las" | "last" => ([-1.0, 1.0, 1.0], true, Vec::new()),
        "left-posterior-superior" | "lps" | "lpst" => ([-1.0, -1.0, 1.0], true, Vec::new()),
        other => {
            let said = if other.is_empty() { "does not say its space".into() } else { format!("has space '{other}'") };
            ([-1.0, -1.0, 1.0], false, vec![format!("the header {said}: its axes are taken for LPS, as ITK does")])
        }
    }
}

/// Steps of the axes of space and the first voxel, in RAS.
fn placed(
    header: &Header<'_>,
    (space, sizes): (&[usize], &[u64]),
    directions: Option<Vec<Direction>>,
    to_ras: [f64; 3],
) -> Result<(Vec<[f64; 3]>, [f64; 3])> {
    let in_ras = |vector: [f64; 3]| std::array::from_fn(|c| vector[c] * to_ras[c]);
    if let Some(directions) = directions {
        let origin = match header.get("space origin") {
            Some(field) => vector_of(&field, field.value.trim_matches(['(', ')']), "a vector such as (0,0,0)")?.0,
            None => [0.0; 3],
        };
        return Ok((space.iter().filter_map(|&a| directions[a]).map(in_ras).collect(), in_ras(origin)));
    }
    let along = |n: usize, x: f64| in_ras(std::array::from_fn(|c| if c == n { x } else { 0.0 }));
    let mut vectors = Vec::new();
    let mut origin = [0.0; 3];
    for (n, &a) in space.iter().enumerate() {
        let (step, first) = along_one(header, a, sizes[a]);
        vectors.push(along(n, step));
        origin[n] = first;
    }
    Ok((vectors, in_ras(origin)))
}

/// Step, and place of the first sample, of an axis that has neither direction nor origin.
///
/// `axis mins` and `axis maxs` are the places of the first and last sample of a `node` axis, and the borders of the cells of others.
/// Source: "Definition of NRRD File Format", section 4, "centerings"; Teem takes cells where nothing is said.
fn along_one(header: &Header<'_>, a: usize, len: u64) -> (f64, f64) {
    let number = |name| header.words(name).get(a)?.parse::<f64>().ok().filter(|x| x.is_finite());
    let centering = header.words("centerings").get(a).or(header.words("centers").get(a)).copied();
    let is_node = centering == Some("node");
    let (min, max) = (number("axis mins"), number("axis maxs"));
    let steps = if is_node { len.saturating_sub(1) } else { len };
    let between = min.zip(max).map(|(min, max)| (max - min) / steps as f64).filter(|x| x.is_finite() && *x != 0.0);
    let step = number("spacings").or(between).unwrap_or(1.0);
    (step, min.map_or(0.0, |min| if is_node { min } else { min + step / 2.0 }))
}

/// An axis beyond space; `time` is its step in the vectors of the axes.
fn outer_axis(header: &Header<'_>, (a, len): (usize, u64), time: Option<f64>, is_first: bool) -> Axis {
    let stated = header.words("spacings").get(a).and_then(|word| word.parse::<f64>().ok());
    let step = [stated, time].into_iter().flatten().find(|x| x.is_finite() && *x > 0.0);
    let name = if is_first { "t".into() } else { format!("dim{a}") };
    Axis { name, len, step: step.unwrap_or(1.0), start: 0.0, unit: None }
}

fn stored(header: &Header<'_>) -> Result<Dtype> {
    let field = header.needed("type")?;
    Ok(match field.value.to_lowercase().as_str() {
        "signed char" | "int8" | "int8_t" => Dtype::I8,
        "uchar" | "unsigned char" | "uint8" | "uint8_t" => Dtype::U8,
        "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => Dtype::I16,
        "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => Dtype::U16,
        "int" | "signed int" | "int32" | "int32_t" => Dtype::I32,
        "uint" | "unsigned int" | "uint32" | "uint32_t" => Dtype::U32,
        "longlong"
        | "long long"
        | "long long int"
        | "signed long long"
        | "signed long long int"
        | "int64"
        | "int64_t" => Dtype::I64,
        "ulonglong" | "unsigned long long" | "unsigned long long int" | "uint64" | "uint64_t" => Dtype::U64,
        "float" => Dtype::F32,
        "double" => Dtype::F64,
        _ => return Err(field.wrong("a type of numbers such as short or float")),
    })
}

fn data(header: &Header<'_>, path: &Path) -> Result<Data> {
    let encoding = header.needed("encoding")?;
    let coding = match encoding.value.to_lowercase().as_str() {
        "raw" => None,
        "gzip" | "gz" => Some(Coding::Gzip),
        _ => {
            let what = format!("its voxels are encoded as '{:.40}', of which raw and gzip are read", encoding.value);
            let hint = Some("write it by SimpleITK's WriteImage".into());
            return Err(Error::Unsupported { path: path.to_path_buf(), what, hint });
        }
    };
    let (file, begin) = match header.get("data file") {
        None => (path.to_path_buf(), header.end as u64),
        Some(field) => {
            let words = field.value.split_whitespace().count();
            if field.value.starts_with("LIST") || (field.value.contains('%') && words >= 4) {
                return Err(unsupported(path, "its voxels are in several files, which are not read".into()));
            }
            (path.with_file_name("").join(field.value), 0)
        }
    };
    if let Some(field) = header.get("line skip").filter(|field| field.value != "0") {
        return Err(field.wrong("0: lines before the voxels are not passed over"));
    }
    let place = match header.get("byte skip").map(|field| field.number::<i64>()).transpose()? {
        None | Some(0) => Place::At(begin),
        Some(-1) if coding.is_none() => Place::AtEnd,
        Some(n) if coding.is_none() && n > 0 => Place::At(begin.saturating_add(n.unsigned_abs())),
        Some(n) => return Err(Error::malformed(path, "'byte skip'", n, "0, or for raw voxels -1 or more")),
    };
    Ok(Data { path: file, place, coding })
}
