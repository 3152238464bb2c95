//! What FreeSurfer writes behind the voxels of a warp: what its numbers are, and the images between which it leads.
//!
//! A tag is its number, its length (not of all kinds) and its content, big-endian.
//!
//! Source: FreeSurfer, `tags.h`, `fstagsio.cpp`, `warpfield.cpp`; `VOL_GEOM` in `mri.h`.

use std::{
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;

use super::mgh::{self, Fields};
use crate::{
    error::{Error, Result},
    geometry::Affine,
    layout::Layout,
    storage::nfs,
};

const GEOMETRIES: i32 = 10;
const KIND: i32 = 11;
const META: i32 = 13;
const GEOMETRIES_WITH_SHEAR: i32 = 15;
/// The affine that a registration began with: without a length in a morph.
const XFORM: i32 = 31;
/// Tags without a length, of which nothing else can be known.
const ENDLESS: [i32; 4] = [1, 2, 12, 20];
/// GCAM_VOX.
pub(super) const OF_VOXELS: i32 = 1;

/// What stands before the tags of an MGH file: numbers of the scan.
const SCAN_BYTES: u64 = 20;
/// Whether it is valid, extents, steps, directions and centre, and the name of a file.
const GEOMETRY_BYTES: usize = SHEAR_AT + 512;
const SHEAR_AT: usize = 76;
const SHEAR_BYTES: usize = 12;
/// More than any tag of a warp is long, and more than there are.
const MOST_TAG_BYTES: i64 = 1 << 20;
const MOST_TAGS: usize = 64;
/// What is unpacked of a stream for what stands behind it.
const MOST_BYTES: u64 = 2 << 30;

/// A warp: the vectors at the voxels of its own grid, which is that of the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warp {
    pub numbers: Numbers,
    /// Voxel (column, row, slice) of the source to RAS mm; `None` where the file does not know it.
    pub source: Option<Affine>,
}

/// What the numbers of a warp are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Voxels of the source.
    Voxels,
    /// Voxels of the source, less those of the target.
    VoxelSteps,
    /// RAS mm in the source.
    Places,
    /// RAS mm in the source, less those of the target.
    Moves,
}

/// Where tags begin, and whose they are.
pub(super) struct Behind {
    /// The bytes before them, in the stream where there is one.
    pub skipped: u64,
    pub is_morph: bool,
}

/// What tags say.
#[derive(Debug, Default)]
pub(super) struct Tags {
    format: Option<i32>,
    /// GCAM_VOX or GCAM_RAS.
    pub kind: Option<i32>,
    /// Voxel (column, row, slice) to RAS mm of the image that is moved, and of the one that it is moved onto.
    pub source: Option<Affine>,
    pub target: Option<Affine>,
    has_geometries: bool,
    shear: Vec<f64>,
}

/// What stands behind the voxels of an MGH file with this layout.
///
/// # Errors
/// Those of reading; no tags of a warp, or too large ones; axes with a shear.
pub(super) fn behind_voxels(path: &Path, gzip: bool, layout: &Layout) -> Result<Warp> {
    let voxels = layout.grid.voxels().saturating_mul(layout.outer.volumes());
    let voxel_bytes = voxels.saturating_mul(layout.voxel_bytes());
    let skipped = mgh::HEADER_BYTES.saturating_add(voxel_bytes).saturating_add(SCAN_BYTES);
    let found = behind(path, gzip, &Behind { skipped, is_morph: false })?;
    let (Some(format), true) = (found.format, found.has_geometries) else {
        let expected = "TAG_GCAMORPH_GEOM and TAG_GCAMORPH_META";
        return Err(Error::malformed(path, "the tags behind the voxels", "none of a warp", expected));
    };
    let numbers = match format {
        0 => Numbers::Voxels,
        1 => Numbers::VoxelSteps,
        2 => Numbers::Places,
        3 => Numbers::Moves,
        other => return Err(Error::malformed(path, "the format of the warp", other, "0 to 3")),
    };
    Ok(Warp { numbers, source: found.source })
}

/// Reads the tags of a file.
///
/// # Errors
/// Those of reading; tags that end early or are too large; a stream that is too long to look for its end; axes with a shear.
pub(super) fn behind(path: &Path, gzip: bool, behind: &Behind) -> Result<Tags> {
    let mut file = nfs::open(path).map_err(Error::io("open", path))?;
    let unsupported =
        |what: String, hint: &str| Error::Unsupported { path: path.to_path_buf(), what, hint: Some(hint.into()) };
    let found = if gzip {
        if behind.skipped > MOST_BYTES {
            let what = format!(
                "is a warp of {} bytes in a gzip stream, whose end is looked for up to {MOST_BYTES}",
                behind.skipped
            );
            return Err(unsupported(what, "write it without gzip: mri_convert WARP.mgz WARP.mgh"));
        }
        let mut stream = MultiGzDecoder::new(BufReader::new(file));
        io::copy(&mut stream.by_ref().take(behind.skipped), &mut io::sink()).and_then(|_| tags(&mut stream, behind))
    } else {
        file.seek(SeekFrom::Start(behind.skipped)).and_then(|_| tags(&mut BufReader::new(file), behind))
    };
    let found = found.map_err(Error::io("read", path))?;
    if found.shear.iter().any(|x| *x != 0.0) {
        let what = format!("is a warp of images whose axes are sheared ({:?}), which is not read", found.shear);
        return Err(unsupported(what, "write it in RAS mm: mri_warp_convert --inwarp FILE --outras NEW.nii.gz"));
    }
    Ok(found)
}

fn voxel_to_world(fields: &Fields<'_>) -> Option<Affine> {
    let is_valid = fields.int(0) != 0;
    let shape = [4, 8, 12].map(|at| f64::from(fields.int(at)));
    let directions = [28, 40, 52].map(|at| fields.vector(at));
    let (columns, origin) = mgh::place(shape, fields.vector(16), directions, fields.vector(64));
    let affine = Affine::from_columns(columns, origin);
    (is_valid && affine.is_finite() && affine.inverse().is_some()).then_some(affine)
}

fn tags(from: &mut dyn Read, behind: &Behind) -> io::Result<Tags> {
    let mut found = Tags::default();
    for _ in 0..MOST_TAGS {
        let Some(tag) = number(from)?.map(i32::from_be_bytes) else { break };
        match tag {
            GEOMETRIES => {
                let both = content(from, 2 * GEOMETRY_BYTES)?;
                let (source, target) = both.split_at(GEOMETRY_BYTES);
                (found.source, found.target) = (voxel_to_world(&Fields(source)), voxel_to_world(&Fields(target)));
                found.has_geometries = true;
            }
            KIND => found.kind = number(from)?.map(i32::from_be_bytes),
            _ if ENDLESS.contains(&tag) || (behind.is_morph && tag == XFORM) => break,
            _ => {
                let len = number(from)?.map_or(0, i64::from_be_bytes);
                if !(0..=MOST_TAG_BYTES).contains(&len) {
                    let what = format!("tag {tag} has a length of {len} bytes, expected 0 to {MOST_TAG_BYTES}");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
                let content = content(from, len as usize)?;
                match tag {
                    META => found.format = Some(Fields(&content).int(0)),
                    GEOMETRIES_WITH_SHEAR => {
                        let second = GEOMETRY_BYTES + SHEAR_BYTES;
                        let at = [SHEAR_AT, second + SHEAR_AT];
                        found.shear = at.iter().flat_map(|&at| Fields(&content).vector(at)).collect();
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(found)
}

/// The next bytes; `None` at the end of the file.
fn number<const N: usize>(from: &mut dyn Read) -> io::Result<Option<[u8; N]>> {
    let mut bytes = Vec::new();
    from.take(N as u64).read_to_end(&mut bytes)?;
    Ok(bytes.try_into().ok())
}

fn content(from: &mut dyn Read, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(len as u64).read_to_end(&mut bytes)?;
    if bytes.len() < len {
        let what = format!("a tag ends after {} of {len} bytes", bytes.len());
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
    }
    Ok(bytes)
}
