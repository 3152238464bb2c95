//! MetaImage: `.mha`, and `.mhd` with its voxels in a file beside it.
//!
//! Lines `Key = Value` or `Key: Value`, of which `ElementDataFile` is the last. World is LPS. `TransformMatrix` has the direction of one axis after the other. Compressed voxels
//! are one zlib stream.
//!
//! Source: ITK, MetaIO `metaImage.cxx`, `metaObject.cxx`; the MetaIO page of the ITK wiki.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{
    Data, Description, Place,
    header::{Field, columns, lines, turned, unit},
};
use crate::{
    error::{Error, Result},
    io::gzip::Coding,
    layout::Axis,
    voxel::Dtype,
};

/// Whether a file that begins like this is one.
pub(super) fn is_one(start: &[u8]) -> bool {
    let mut keys = lines(start).map_while(|(line, _)| {
        let text = std::str::from_utf8(line).ok()?;
        field(text).map(|(key, _)| key.to_string())
    });
    let first = keys.next().unwrap_or_default();
    let begins = ["ObjectType", "NDims", "Comment"].contains(&first.as_str());
    begins && (first == "NDims" || keys.any(|key| key == "NDims"))
}

/// The key and the value of a line: MetaIO takes `:` in place of `=`.
fn field(line: &str) -> Option<(&str, &str)> {
    line.split_once(['=', ':']).map(|(key, value)| (key.trim(), value.trim()))
}

/// The fields of a header by their names, with the offset of what follows.
struct Header<'a> {
    path: &'a Path,
    fields: HashMap<&'a str, &'a str>,
    end: usize,
}

impl<'a> Header<'a> {
    fn read(path: &'a Path, bytes: &'a [u8]) -> Result<Header<'a>> {
        let mut header = Header { path, fields: HashMap::new(), end: 0 };
        for (line, end) in lines(bytes) {
            let text = std::str::from_utf8(line).unwrap_or_default();
            let Some((key, value)) = field(text) else {
                if text.trim().is_empty() {
                    continue;
                }
                return Err(Error::malformed(path, "a line of the header", "one without '=' or ':'", "Key = Value"));
            };
            header.fields.insert(key, value);
            if key == "ElementDataFile" {
                header.end = end;
                return Ok(header);
            }
        }
        Err(Error::malformed(path, "'ElementDataFile'", "nowhere in the first MiB", "the last line of the header"))
    }

    /// The first of several names of a field.
    fn get(&self, names: &[&'a str]) -> Option<Field<'a>> {
        let found = names.iter().find_map(|name| self.fields.get_key_value(name))?;
        Some(Field { path: self.path, name: found.0, value: found.1 })
    }

    fn needed(&self, name: &'a str) -> Result<Field<'a>> {
        self.get(&[name])
            .ok_or_else(|| Error::malformed(self.path, format!("'{name}'"), "missing", "a line of its own"))
    }

    fn is_true(&self, names: &[&'a str]) -> bool {
        self.get(names).is_some_and(|field| field.value.starts_with(['T', 't', 'Y', 'y', '1']))
    }
}

/// The file of the voxels that a header names; `bytes` are the first of the file.
pub(super) fn voxels_path(path: &Path, bytes: &[u8]) -> Result<PathBuf> {
    data(&Header::read(path, bytes)?, path).map(|data| data.path)
}

/// Reads a header; `bytes` are the first of the file.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Description> {
    let header = Header::read(path, bytes)?;
    let dims: usize = header.needed("NDims")?.number()?;
    if !(2..=4).contains(&dims) {
        return Err(header.needed("NDims")?.wrong("2 to 4 dimensions"));
    }
    let sizes: Vec<u64> = header.needed("DimSize")?.exactly(dims)?;
    let spacing = match header.get(&["ElementSpacing", "ElementSize"]) {
        Some(field) => field.exactly(dims)?,
        None => vec![1.0; dims],
    };
    let offset: Vec<f64> = match header.get(&["Offset", "Position", "Origin"]) {
        Some(field) => field.exactly(dims)?,
        None => vec![0.0; dims],
    };
    let identity = |n: usize| f64::from(u8::from(n / dims == n % dims));
    let matrix: Vec<f64> = match header.get(&["TransformMatrix", "Rotation", "Orientation"]) {
        Some(field) => field.exactly(dims * dims)?,
        None => (0..dims * dims).map(identity).collect(),
    };
    let space = dims.min(3);
    let lps = |numbers: &[f64]| turned(std::array::from_fn(|c| if c < space { numbers[c] } else { 0.0 }));
    let vectors: Vec<[f64; 3]> =
        (0..space).map(|a| lps(&matrix[a * dims..(a + 1) * dims]).map(|x| x * spacing[a])).collect();
    let time =
        (dims == 4).then(|| Axis { name: "t".into(), len: sizes[3], step: spacing[3], start: offset[3], unit: None });
    let (stored, components) = samples(&header)?;
    Ok(Description {
        format: "MetaImage",
        shape: sizes[..space].to_vec(),
        columns: columns(&vectors),
        origin: lps(&offset),
        unit: unit(header.get(&["DistanceUnits"]).map(|field| field.value).filter(|name| *name != "?")),
        anatomical: true,
        outer: time.into_iter().collect(),
        interleaved: None,
        components,
        stored,
        big_endian: header.is_true(&["BinaryDataByteOrderMSB", "ElementByteOrderMSB"]),
        data: data(&header, path)?,
        is_label: false,
        segments: Vec::new(),
        warnings: Vec::new(),
    })
}

/// Sample type and samples of a voxel.
fn samples(header: &Header<'_>) -> Result<(Dtype, usize)> {
    let name = header.needed("ElementType")?;
    // MetaIO's long has 4 bytes, whatever the machine.
    let stored = match name.value.trim_end_matches("_ARRAY") {
        "MET_CHAR" | "MET_ASCII_CHAR" => Dtype::I8,
        "MET_UCHAR" => Dtype::U8,
        "MET_SHORT" => Dtype::I16,
        "MET_USHORT" => Dtype::U16,
        "MET_INT" | "MET_LONG" => Dtype::I32,
        "MET_UINT" | "MET_ULONG" => Dtype::U32,
        "MET_LONG_LONG" => Dtype::I64,
        "MET_ULONG_LONG" => Dtype::U64,
        "MET_FLOAT" => Dtype::F32,
        "MET_DOUBLE" => Dtype::F64,
        _ => return Err(name.wrong("a type such as MET_SHORT")),
    };
    let Some(channels) = header.get(&["ElementNumberOfChannels"]) else { return Ok((stored, 1)) };
    match channels.number()? {
        n @ 1..=4 => Ok((stored, n)),
        _ => Err(channels.wrong("1 to 4 channels")),
    }
}

fn data(header: &Header<'_>, path: &Path) -> Result<Data> {
    let file = header.needed("ElementDataFile")?;
    if header.get(&["BinaryData"]).is_some() && !header.is_true(&["BinaryData"]) {
        let what = "its voxels are text, which is not read".into();
        let hint = Some("write it by SimpleITK's WriteImage".into());
        return Err(Error::Unsupported { path: path.to_path_buf(), what, hint });
    }
    let coding = header.is_true(&["CompressedData"]).then_some(Coding::Zlib);
    if file.value.eq_ignore_ascii_case("local") {
        return Ok(Data { path: path.to_path_buf(), place: Place::At(header.end as u64), coding });
    }
    let words: Vec<&str> = file.value.split_whitespace().collect();
    if words.first() == Some(&"LIST") || (file.value.contains('%') && words.len() >= 4) {
        let what = "its voxels are in a file for each slice, which are not read".into();
        let hint = Some("write it as one file by SimpleITK's ReadImage and WriteImage".into());
        return Err(Error::Unsupported { path: path.to_path_buf(), what, hint });
    }
    let place = match header.get(&["HeaderSize"]).map(|field| field.number::<i64>()).transpose()? {
        None | Some(0) => Place::At(0),
        Some(-1) => Place::AtEnd,
        Some(n) => Place::At(u64::try_from(n).map_err(|_| file.wrong("a HeaderSize of -1 or more"))?),
    };
    Ok(Data { path: path.with_file_name("").join(file.value), place, coding })
}
