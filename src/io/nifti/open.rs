//! Opens a NIfTI file: everything that is known before its first voxel is read.

use std::{
    ffi::OsStr,
    fs::File,
    io::{BufReader, Read, Seek},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;

use super::{
    affine, axes,
    check::{self, Extent},
    extension::{self, MAX_EXTENSION_BYTES},
    header::{Header, Version},
};
use crate::{
    error::{Error, Result},
    io::{convert::Conversion, view::View},
    layout::{Access, Layout, write_unit},
    storage::nfs,
    voxel::Rounding,
};

/// A NIfTI volume: its header, where its voxels stand, and how to read them.
#[derive(Clone, Debug)]
pub struct NiftiFile {
    pub header: Header,
    /// The bytes between header and voxels (of an `.hdr`: to its end), in the file's byte order, with the four-byte flag
    /// in front. At most [`MAX_EXTENSION_BYTES`]; a chain that may break off.
    pub extensions: Vec<u8>,
    /// The file that holds the voxels: the one opened, or the `.img`.
    pub data_path: PathBuf,
    /// Where the voxels start, in the decompressed stream if there is one.
    pub data_offset: u64,
    /// The voxels' file is a gzip stream.
    pub compressed: bool,
    /// `Random` for raw files, `Ascending` for gzip. The memory figures are 0: whoever reads knows them.
    pub layout: Layout,
    /// Stored samples as they stand, without `scl_slope`: see [`Header::slope`].
    pub conversion: Conversion,
    /// The volumes that `layout` has of those in the file, where it does not have them all.
    pub view: Option<View>,
    /// What a user should know of this file, one line each.
    pub warnings: Vec<String>,
}

impl NiftiFile {
    /// The format, for summaries.
    pub fn format_name(&self) -> String {
        let version = match self.header.version {
            Version::One => "NIfTI-1",
            Version::Two => "NIfTI-2",
        };
        format!("{version}{}", if self.compressed { ", gzip" } else { "" })
    }
}

/// Opens `.nii`, `.nii.gz`, `.hdr` or `.img` (compressed or not) and reads all but the voxels.
///
/// What the file is goes by its content. A header that asks for it has its voxels in the `.img` or `.img.gz` of the same
/// name. Refused, with the field and its value: what is not NIfTI, sizes that overflow or that the file cannot hold,
/// geometry that is no geometry. Memory does not depend on what the header says, but for extensions.
pub fn open(path: &Path) -> Result<NiftiFile> {
    let header_path = header_path(path);
    let mut stream = Stream::open(&header_path)?;
    let mut bytes = Vec::new();
    stream.read(540, &mut bytes)?;
    let mut header = Header::parse(&header_path, &bytes)?;
    let mut warnings = Vec::new();
    let extent = check::check(&header_path, &mut header, &mut warnings)?;
    let grid = affine::grid(&header_path, &header, extent.shape, &mut warnings)?;
    let data_path = if header.single_file { header_path.clone() } else { image_path(path, &header_path)? };
    let (data_len, compressed) = inspect(&data_path, &header, &extent)?;
    check::check_len(&data_path, &extent, data_len, compressed)?;
    let extensions = read_extensions(&header_path, &header, stream, bytes)?;
    warnings.extend(extension::chain(&extensions, header.big_endian).broken);
    if header.scl_slope != 0.0 && !(header.scl_slope.is_finite() && header.scl_inter.is_finite()) {
        warnings.push(format!("scl_slope {} and scl_inter {} are ignored", header.scl_slope, header.scl_inter));
    }
    let layout = Layout {
        chunk: write_unit(grid.shape, extent.voxel_bytes),
        grid,
        outer: axes::outer(&header),
        components: extent.components,
        stored: extent.stored,
        access: if compressed { Access::Ascending } else { Access::Random },
        shard: None,
        transfer_bytes: 0,
        resident_bytes: 0,
        stored_bytes: Some(data_len),
        ahead: Default::default(),
    };
    let conversion =
        Conversion { stored: extent.stored, big_endian: header.big_endian, slope: None, rounding: Rounding::Nearest };
    let data_offset = extent.data_offset;
    Ok(NiftiFile { header, extensions, data_path, data_offset, compressed, layout, conversion, view: None, warnings })
}

/// What stands between header and voxels; `bytes` is what was read so far from the start.
fn read_extensions(path: &Path, header: &Header, mut stream: Stream, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    let start = header.version.header_bytes();
    let most = extension::most_bytes();
    let limit = start as u64 + most;
    let end = if header.single_file { header.vox_offset.unsigned_abs() } else { limit + 1 };
    let too_long = |field, found: String| {
        let memory = if most < MAX_EXTENSION_BYTES { ", or more with a larger --memory" } else { "" };
        Error::malformed(path, field, found, format!("at most {limit}: {most} bytes of extensions{memory}"))
    };
    if header.single_file && end > limit {
        return Err(too_long("vox_offset", end.to_string()));
    }
    stream.read(end.saturating_sub(bytes.len() as u64), &mut bytes)?;
    if header.single_file && (bytes.len() as u64) < end {
        return Err(Error::malformed(path, "vox_offset", end, format!("at most the {} bytes there are", bytes.len())));
    }
    if bytes.len() as u64 > limit {
        return Err(too_long("size of the header's file", format!("{limit} bytes and more")));
    }
    bytes.truncate(end as usize);
    Ok(bytes.split_off(start))
}

/// Length of the voxels' file, and whether it is compressed.
///
/// Raw voxels of an `.img` may begin like a gzip stream; there the size of the file decides.
fn inspect(path: &Path, header: &Header, extent: &Extent) -> Result<(u64, bool)> {
    let (file, len, gzip) = open_file(path)?;
    drop(file);
    let raw_by_chance = !header.single_file && !has_extension(path, "gz") && len >= extent.data_end;
    Ok((len, gzip && !raw_by_chance))
}

/// The file, its length, and whether it starts as a gzip stream does (RFC 1952, 2.3.1: magic, deflate, no reserved flag).
fn open_file(path: &Path) -> Result<(File, u64, bool)> {
    let mut file = nfs::open(path).map_err(Error::io("open", path))?;
    let metadata = file.metadata().map_err(Error::io("examine", path))?;
    if !metadata.is_file() {
        return Err(Error::Unsupported { path: path.to_path_buf(), what: "not a regular file".into(), hint: None });
    }
    let mut start = Vec::new();
    file.by_ref().take(4).read_to_end(&mut start).map_err(Error::io("read", path))?;
    file.rewind().map_err(Error::io("read", path))?;
    let gzip = matches!(start[..], [0x1f, 0x8b, 8, flags] if flags & 0xe0 == 0);
    Ok((file, metadata.len(), gzip))
}

/// The bytes of a header file, decompressed where needed.
struct Stream {
    path: PathBuf,
    bytes: Bytes,
}

enum Bytes {
    Plain(File),
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
}

impl Stream {
    fn open(path: &Path) -> Result<Stream> {
        let (file, _, gzip) = open_file(path)?;
        let bytes = match gzip {
            true => Bytes::Gzip(Box::new(MultiGzDecoder::new(BufReader::new(file)))),
            false => Bytes::Plain(file),
        };
        Ok(Stream { path: path.to_path_buf(), bytes })
    }

    /// Appends up to `limit` bytes; fewer at the end of the file.
    fn read(&mut self, limit: u64, into: &mut Vec<u8>) -> Result<()> {
        match &mut self.bytes {
            Bytes::Plain(file) => {
                file.by_ref().take(limit).read_to_end(into).map_err(Error::io("read", &self.path))?;
            }
            Bytes::Gzip(decoder) => {
                if let Err(error) = decoder.by_ref().take(limit).read_to_end(into) {
                    let offset = decoder.get_mut().stream_position().unwrap_or(0);
                    let what = format!("the gzip stream is damaged or ends early ({error})");
                    return Err(Error::Stream { path: self.path.clone(), what, offset });
                }
            }
        }
        Ok(())
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// `path` without `.gz`, if it has that.
fn without_gz(path: &Path) -> PathBuf {
    if has_extension(path, "gz") { path.with_extension("") } else { path.to_path_buf() }
}

/// The first of `extensions` that names a file beside `path` (whose own last extension is replaced).
fn beside(path: &Path, extensions: [&str; 4]) -> Option<PathBuf> {
    let plain = without_gz(path);
    extensions.into_iter().map(|extension| plain.with_extension(extension)).find(|candidate| candidate.is_file())
}

/// The file to read the header from: `path` itself, or the header that belongs to an image.
fn header_path(path: &Path) -> PathBuf {
    if !has_extension(&without_gz(path), "img") {
        return path.to_path_buf();
    }
    beside(path, ["hdr", "hdr.gz", "HDR", "HDR.gz"]).unwrap_or_else(|| without_gz(path).with_extension("hdr"))
}

/// The image of a header: the one that was asked for, else the one of the same name.
fn image_path(asked: &Path, header_path: &Path) -> Result<PathBuf> {
    if asked != header_path {
        return Ok(asked.to_path_buf());
    }
    let missing = || {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        Error::io("open", without_gz(header_path).with_extension("img"))(source)
    };
    beside(header_path, ["img", "img.gz", "IMG", "IMG.gz"]).ok_or_else(missing)
}
