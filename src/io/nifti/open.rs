//! Opens a NIfTI file: everything that is known before its first voxel is read.

use std::{
    ffi::OsStr,
    io::{BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
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
    storage::{Forward, Location, RangedFile, is_of_storage, nfs},
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
    /// The same, where it is behind a URL.
    pub remote: Option<Arc<RangedFile>>,
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
    /// The content of the first extension, in whatever form its writer gave it.
    pub fn first_extension(&self) -> Option<&[u8]> {
        let chain = extension::chain(&self.extensions, self.header.big_endian);
        chain.extensions.first().map(|(_, content)| *content)
    }

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
    open_with(path, None)
}

/// The same with the steps between voxels (storage order) where the header has none.
pub fn open_with(path: &Path, steps: Option<[f64; 3]>) -> Result<NiftiFile> {
    let location = Location::of(path)?;
    let remote = match location.local() {
        Some(_) => None,
        None => Some(Arc::new(RangedFile::at(&location)?)),
    };
    let header_path = if remote.is_some() { path.to_path_buf() } else { header_path(path) };
    let mut stream = Stream::open(&header_path, remote.as_ref())?;
    let mut bytes = Vec::new();
    stream.read(540, &mut bytes)?;
    let mut header = Header::parse(&header_path, &bytes)?;
    let mut warnings = Vec::new();
    let extent = check::check(&header_path, &mut header, &mut warnings)?;
    if let Some(steps) = steps {
        affine::state_steps(&mut header, steps);
    }
    let grid = affine::grid(&header_path, &header, extent.shape, &mut warnings)?;
    let data_path = match (header.single_file, &remote) {
        (true, _) => header_path.clone(),
        (false, None) => image_path(path, &header_path)?,
        (false, Some(_)) => return Err(pair_behind_url(path)),
    };
    let (data_len, compressed) = inspect(&data_path, remote.as_ref(), &header, &extent)?;
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
    Ok(NiftiFile {
        header,
        extensions,
        data_path,
        remote,
        data_offset,
        compressed,
        layout,
        conversion,
        view: None,
        warnings,
    })
}

/// Whether a URL is by its name of a NIfTI file in one part.
pub fn is_file_name(url: &Path) -> bool {
    let name = url.to_string_lossy().to_lowercase();
    [".nii", ".nii.gz"].iter().any(|ending| name.ends_with(ending))
}

/// The error of a header without its voxels.
pub fn pair_behind_url(path: &Path) -> Error {
    Error::Unsupported {
        path: path.to_path_buf(),
        what: "a header with its voxels in another file is not read from a URL".into(),
        hint: Some("copy both to a local disk, or store them as one .nii.gz".into()),
    }
}

impl NiftiFile {
    /// The voxels' file from byte `at` on.
    ///
    /// # Errors
    /// Those of opening it.
    pub fn data(&self, at: u64) -> Result<Forward> {
        Forward::of(&self.data_path, self.remote.as_ref(), at)
    }
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
fn inspect(path: &Path, remote: Option<&Arc<RangedFile>>, header: &Header, extent: &Extent) -> Result<(u64, bool)> {
    let (len, gzip) = look_at(path, remote)?;
    let raw_by_chance = !header.single_file && !has_extension(path, "gz") && len >= extent.data_end;
    Ok((len, gzip && !raw_by_chance))
}

/// The length of a file, and whether it starts as a gzip stream does (RFC 1952, 2.3.1: magic, deflate, no reserved flag).
fn look_at(path: &Path, remote: Option<&Arc<RangedFile>>) -> Result<(u64, bool)> {
    let (start, len) = match remote {
        Some(file) => {
            let start = file.read(0, file.bytes().min(4)).map_err(|e| e.at("read", path))?;
            (start, file.bytes())
        }
        None => {
            let file = nfs::open(path).map_err(Error::io("open", path))?;
            let metadata = file.metadata().map_err(Error::io("examine", path))?;
            if !metadata.is_file() {
                let what = "not a regular file".into();
                return Err(Error::Unsupported { path: path.to_path_buf(), what, hint: None });
            }
            let mut start = Vec::new();
            file.take(4).read_to_end(&mut start).map_err(Error::io("read", path))?;
            (start, metadata.len())
        }
    };
    Ok((len, matches!(start[..], [0x1f, 0x8b, 8, flags] if flags & 0xe0 == 0)))
}

/// The bytes of a header file, decompressed where needed.
struct Stream {
    path: PathBuf,
    bytes: Bytes,
}

enum Bytes {
    Plain(Forward),
    Gzip(Box<MultiGzDecoder<BufReader<Counted>>>),
}

impl Stream {
    fn open(path: &Path, remote: Option<&Arc<RangedFile>>) -> Result<Stream> {
        let (_, gzip) = look_at(path, remote)?;
        let file = Forward::of(path, remote, 0)?;
        let bytes = match gzip {
            true => Bytes::Gzip(Box::new(MultiGzDecoder::new(BufReader::new(Counted { file, bytes: 0 })))),
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
                    if is_of_storage(&error) {
                        return Err(Error::io("read", &self.path)(error));
                    }
                    let input = decoder.get_ref();
                    let offset = input.get_ref().bytes - input.buffer().len() as u64;
                    let what = format!("the gzip stream is damaged or ends early ({error})");
                    return Err(Error::Stream { path: self.path.clone(), what, offset });
                }
            }
        }
        Ok(())
    }
}

/// Counts the bytes that were read.
struct Counted {
    file: Forward,
    bytes: u64,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(out)?;
        self.bytes += n as u64;
        Ok(n)
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
