//! FreeSurfer linear transform arrays (`.lta`).
//!
//! They map the volume `src` to the volume `dst`: that is the way of images, the other way of points. Of the types only the
//! two that say all of it are read: voxel to voxel (0) and RAS to RAS (1, scanner coordinates).
//!
//! Source: FreeSurfer, `transform.h` (types), `transform.cpp` (`ltaFReadFromFile`), `readVolGeom`.

use super::file::{Line, Text};
use super::matrix;
use crate::{
    error::{Error, Result},
    geometry::Affine,
};

const VOX_TO_VOX: f64 = 0.0;
const RAS_TO_RAS: f64 = 1.0;

pub(super) fn is_lta(text: &Text<'_>) -> bool {
    text.lines()
        .map(uncommented)
        .find(|line| !line.text.is_empty())
        .is_some_and(|line| line.value("type", '=').is_some())
}

/// Where lines stand.
#[derive(Clone, Copy, PartialEq)]
enum Section {
    Head,
    Source,
    Destination,
}

/// What the file says of one volume, as far as it is there.
#[derive(Clone, Copy, Debug, Default)]
struct Volume {
    valid: Option<bool>,
    size: Option<[f64; 3]>,
    step: Option<[f64; 3]>,
    /// Directions of the axes x, y, z, then the world position of the centre.
    axes: [Option<[f64; 3]>; 4],
}

/// Reads a file into target (`dst`) world to source (`src`) world.
///
/// # Errors
/// Other types, several transforms, a broken matrix; voxel to voxel without valid volumes; a singular map.
pub(super) fn read(text: &Text<'_>) -> Result<Affine> {
    let mut kind = None;
    let mut rows = None;
    let mut volumes = [Volume::default(); 2];
    let mut section = Section::Head;
    let mut lines = text.lines().map(uncommented).filter(|line| !line.text.is_empty());
    while let Some(line) = lines.next() {
        match (line.text, section) {
            ("src volume info", _) => section = Section::Source,
            ("dst volume info", _) => section = Section::Destination,
            (_, Section::Head) if line.text.starts_with(|c: char| c.is_ascii_digit()) => {
                line.exactly::<3>("1 4 4, before the rows").and_then(|size| {
                    if size == [1.0, 4.0, 4.0] { Ok(()) } else { Err(line.is_not("1 4 4, before the rows")) }
                })?;
                rows = Some(matrix_rows(text, &mut lines)?);
            }
            (_, Section::Head) => {
                if let Some(value) = line.value("type", '=') {
                    kind = Some(known_type(value)?);
                } else if let Some(value) = line.value("nxforms", '=')
                    && value.exactly("how many transforms")? != [1.0]
                {
                    return Err(several(line));
                }
            }
            (_, Section::Source) => volumes[0].take(line)?,
            (_, Section::Destination) => volumes[1].take(line)?,
        }
    }
    let (Some(kind), Some(rows)) = (kind, rows) else { return Err(text.ended("a type and a 4x4 matrix")) };
    let source_to_destination = if kind == VOX_TO_VOX { in_world(text, &rows, &volumes)? } else { rows };
    let singular = || Error::malformed(text.path, "the matrix", "singular", "one that can be inverted");
    source_to_destination.inverse().ok_or_else(singular)
}

fn uncommented(line: Line<'_>) -> Line<'_> {
    line.before('#')
}

fn several(line: Line<'_>) -> Error {
    Error::Unsupported {
        path: line.path.to_path_buf(),
        what: format!("line {}: '{}', and one transform is read", line.number, line.text),
        hint: Some(
            "write each to a file of its own, and name them in a text, a line each, for --transform-list".into(),
        ),
    }
}

fn known_type(line: Line<'_>) -> Result<f64> {
    let [kind] = line.exactly("the type")?;
    if kind == VOX_TO_VOX || kind == RAS_TO_RAS {
        return Ok(kind);
    }
    Err(Error::Unsupported {
        path: line.path.to_path_buf(),
        what: format!("type {kind} is not read, only 0 (voxel to voxel) and 1 (RAS to RAS)"),
        hint: Some("convert it: lta_convert --inlta FILE --outlta NEW.lta --ltavox2vox".into()),
    })
}

fn matrix_rows<'a>(text: &Text<'_>, lines: &mut impl Iterator<Item = Line<'a>>) -> Result<Affine> {
    let mut m = [[0.0; 4]; 3];
    for row in &mut m {
        *row = matrix::row(lines.next().ok_or_else(|| text.ended("a row of the matrix"))?)?;
    }
    matrix::check_last(lines.next().ok_or_else(|| text.ended("0 0 0 1"))?)?;
    Ok(Affine { m })
}

/// A map of voxels as a map of the world.
fn in_world(text: &Text<'_>, voxels: &Affine, volumes: &[Volume; 2]) -> Result<Affine> {
    let [source, destination] = [(volumes[0], "src"), (volumes[1], "dst")].map(|(volume, name)| {
        volume.index_to_world().ok_or_else(|| {
            let found = "missing, incomplete or not valid";
            Error::malformed(text.path, format!("the {name} volume info"), found, "the geometry of the volume")
        })
    });
    let source = source?;
    let inverse = source.inverse();
    let inverse =
        inverse.ok_or_else(|| Error::malformed(text.path, "the src volume", "singular", "axes that span space"))?;
    Ok(destination?.after(voxels).after(&inverse))
}

impl Volume {
    /// Takes what a line says; other keys (file names, scales) say nothing of geometry.
    fn take(&mut self, line: Line<'_>) -> Result<()> {
        if let Some(value) = line.value("valid", '=') {
            self.valid = Some(value.exactly("0 or 1")? == [1.0]);
        } else if let Some(value) = line.value("volume", '=') {
            self.size = Some(value.exactly("voxels along x, y, z")?);
        } else if let Some(value) = line.value("voxelsize", '=') {
            self.step = Some(value.exactly("steps along x, y, z")?);
        } else {
            for (axis, key) in ["xras", "yras", "zras", "cras"].into_iter().enumerate() {
                if let Some(value) = line.value(key, '=') {
                    self.axes[axis] = Some(value.exactly("right, anterior, superior")?);
                }
            }
        }
        Ok(())
    }

    /// Index (i, j, k) to scanner RAS: `cras` is the place of index `size / 2`.
    fn index_to_world(&self) -> Option<Affine> {
        let (true, size, step) = (self.valid?, self.size?, self.step?) else { return None };
        let [x, y, z, centre] = self.axes;
        let directions = [x?, y?, z?];
        let columns = std::array::from_fn(|c| directions[c].map(|d| d * step[c]));
        let centre = centre?;
        let half = |r: usize| (0..3).map(|c: usize| columns[c][r] * (size[c] / 2.0)).sum::<f64>();
        Some(Affine::from_columns(columns, std::array::from_fn(|r| centre[r] - half(r))))
    }
}
