//! Names files of formats that are not read, by their first bytes, and says how to convert them.
//!
//! Used only after a file was refused, so that nothing here can refuse a file that can be read.

use std::{
    fs::FileType,
    io::{ErrorKind, Read},
    path::Path,
};

use flate2::read::MultiGzDecoder;

use crate::{
    error::{Error, Result},
    storage::{InArchive, Location, nfs},
};

mod folder;
mod table;

pub use folder::Folder;
pub use table::{Known, by_bioformats, by_tifffile, of_start};
use table::{is_nifti, quoted};

/// Bytes of a file that are looked at, and of what they decompress to.
const START_BYTES: u64 = 64 << 10;

/// What was opened at `path`; where it could not be, and is something else, an error that says what.
///
/// # Errors
///
/// The error of opening, or [`Error::Unsupported`] with the way out.
pub fn explained<T>(path: &Path, opened: Result<T>) -> Result<T> {
    opened.map_err(|error| {
        let is_absent = matches!(&error, Error::Io { source, .. } if source.kind() == ErrorKind::NotFound);
        let named = match &error {
            // What is wrong within a store has been said.
            _ if path.is_dir() => is_absent.then(|| folder(path)).flatten(),
            // And within an archive.
            _ if is_in_archive(path) => is_absent.then(|| file(path)).flatten(),
            // Of a header and its image the error names the one that is wrong.
            Error::Malformed { path, .. } | Error::Unsupported { path, .. } | Error::Stream { path, .. } => file(path),
            _ if is_absent => file(path),
            _ => None,
        };
        named.unwrap_or(error)
    })
}

fn is_in_archive(path: &Path) -> bool {
    InArchive::of(&Location::Folder(path.to_path_buf())).is_ok_and(|place| place.is_some())
}

/// What was opened behind a URL; where there is no Zarr and something else, an error that says what. `text` gets a document.
///
/// # Errors
///
/// The error of opening, or [`Error::Unsupported`] with the way out.
pub fn explained_remote<T>(url: &Path, opened: Result<T>, text: impl Fn(&str, u64) -> Option<Vec<u8>>) -> Result<T> {
    opened.map_err(|error| {
        // Servers that hide their keys refuse the documents of Zarr that are absent.
        let absent = [ErrorKind::NotFound, ErrorKind::PermissionDenied];
        if !matches!(&error, Error::Io { source, .. } if absent.contains(&source.kind())) {
            return error;
        }
        let folder = Folder::of_documents(|name| text(name, folder::DOCUMENT_BYTES));
        if !folder.n5 && !folder.precomputed {
            return error;
        }
        let (what, hint) = folder.tell(url);
        refusal(url, what, hint)
    })
}

/// Whether there is a file or a folder at `path`, before anything waits for it.
///
/// # Errors
///
/// [`Error::Io`] where there is nothing, [`Error::Unsupported`] for pipes, sockets, devices and links to nowhere.
pub fn kind_of(path: &Path) -> Result<FileType> {
    let kind = match path.metadata() {
        Ok(meta) => meta.file_type(),
        Err(error) => return Err(dangling(path).unwrap_or_else(|| Error::io("open", path)(error))),
    };
    if kind.is_file() || kind.is_dir() {
        return Ok(kind);
    }
    let what = nfs::kind_name(kind);
    let hint = "sources are read by position and more than once: store it in a file first, and name that";
    Err(refusal(path, format!("is {what}, not a file"), hint.into()))
}

/// A link whose target is not there, as git-annex and DataLad keep files that were not fetched.
fn dangling(path: &Path) -> Option<Error> {
    let target = path.read_link().ok()?;
    let annex = target.components().any(|part| part.as_os_str() == "annex");
    let hint =
        if annex { format!("fetch it: git annex get {}", quoted(&path.display().to_string())) } else { String::new() };
    Some(refusal(path, format!("is a link to {}, which is not there", target.display()), hint))
}

fn refusal(path: &Path, what: String, hint: String) -> Error {
    Error::Unsupported { path: path.to_path_buf(), what, hint: (!hint.is_empty()).then_some(hint) }
}

/// What a folder without Zarr holds.
fn folder(path: &Path) -> Option<Error> {
    let (what, hint) = Folder::look(path)?.tell(path);
    Some(refusal(path, what, hint))
}

/// What the file is, where that is known and is not what is read here.
fn file(path: &Path) -> Option<Error> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let start = start(path)?;
    let known = of_start(&name, &start.plain)?;
    let known = if start.is_gzip { known.within_gzip(&name) } else { known };
    Some(refusal(path, known.what.into(), known.hint_for(path)))
}

/// The first bytes of a file.
struct Start {
    /// Decompressed where they are a gzip stream.
    plain: Vec<u8>,
    is_gzip: bool,
}

fn start(path: &Path) -> Option<Start> {
    let mut stored = Vec::new();
    nfs::open(path).ok()?.take(START_BYTES).read_to_end(&mut stored).ok()?;
    if !stored.starts_with(&[0x1f, 0x8b]) {
        return Some(Start { plain: stored, is_gzip: false });
    }
    let mut plain = Vec::new();
    // What there is before the cut or the damage is enough.
    let _ = MultiGzDecoder::new(&stored[..]).take(START_BYTES).read_to_end(&mut plain);
    Some(Start { plain, is_gzip: true })
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write};

    use super::*;

    fn told(path: &Path) -> String {
        let refused: Result<()> = Err(Error::malformed(path, "sizeof_hdr", 1, "348"));
        let error = explained(path, refused).unwrap_err();
        format!("{error} / {}", error.hint().unwrap_or_default())
    }

    #[test]
    fn compressed_files_are_looked_into_and_nifti_keeps_its_own_error() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8], gzip: bool| {
            let path = dir.path().join(name);
            let mut file = File::create(&path).unwrap();
            if gzip {
                let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap();
            } else {
                file.write_all(bytes).unwrap();
            }
            path
        };
        assert!(told(&write("s.vtk.gz", b"# vtk DataFile Version 3.0", true)).contains("VTK"));
        assert!(told(&write("empty.nii", &[], false)).contains("is empty"));
        // It may have an image: nothing is known before it is unpacked.
        let dicom = [&[0; 128][..], b"DICM"].concat();
        let gzipped = told(&write("a.dcm.gz", &dicom, true));
        assert!(gzipped.starts_with(&dir.path().join("a.dcm.gz").display().to_string()), "{gzipped}");
        assert!(gzipped.contains("is a DICOM file in a gzip stream, which is not read"), "{gzipped}");
        assert!(gzipped.contains(&format!("gunzip {}", dir.path().join("a.dcm.gz").display())), "{gzipped}");
        let unnamed = told(&write("a.dcm", &dicom, true));
        assert!(unnamed.ends_with(&format!("> {}", dir.path().join("a.plain.dcm").display())), "{unnamed}");
        // Header bytes of NIfTI: whatever is wrong with them has been said.
        let mut nifti = vec![0; 400];
        nifti[..2].copy_from_slice(&[92, 1]);
        nifti[344..348].copy_from_slice(b"n+1\0");
        assert!(told(&write("x.nii.gz", &nifti, true)).contains("sizeof_hdr"));
        assert!(told(&dir.path().join("absent")).contains("sizeof_hdr"));
        // A document within a store keeps its error too.
        let store = dir.path().join("s.zarr");
        std::fs::create_dir(&store).unwrap();
        std::fs::write(store.join(".zattrs"), "{").unwrap();
        let error = explained(&store, Err::<(), _>(Error::malformed(store.join(".zattrs"), "document", "cut", "JSON")));
        assert!(error.unwrap_err().to_string().contains("document is cut"));
        let link = dir.path().join("sub.nii.gz");
        std::os::unix::fs::symlink("../.git/annex/objects/x", &link).unwrap();
        let error = kind_of(&link).unwrap_err();
        assert!(error.to_string().contains("a link to ../.git/annex/objects/x, which is not there"), "{error}");
        assert!(error.hint().unwrap().starts_with("fetch it: git annex get "));
        assert!(matches!(kind_of(&dir.path().join("absent")), Err(Error::Io { .. })));
        assert!(kind_of(Path::new("/dev/null")).unwrap_err().to_string().contains("is a device"));
        let hint = told(&write("it's.vtk", b"# vtk DataFile Version 3.0", false));
        assert!(hint.contains(r"it'\''s.vtk"), "{hint}");
    }
}
