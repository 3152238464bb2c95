//! Whether a path or a URL leads into an archive: to the archive, and within it.

use std::{
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    error::{Error, Result},
    storage::{Location, RangedFile, Url, connect, nfs},
};

/// How archives of Zarr are named; behind URLs only names tell.
const ENDINGS: [&str; 2] = [".ozx", ".zip"];
/// What an archive begins with: its first entry, or its end where it has none.
const STARTS: [&[u8; 4]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// An archive, and what is named in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InArchive {
    pub archive: Location,
    /// Parts joined by `/`; empty for all of it.
    pub inner: String,
}

impl InArchive {
    /// The archive that a location is, or lies in. Local files are told by how they begin.
    ///
    /// # Errors
    /// Those of looking at a file.
    pub fn of(location: &Location) -> Result<Option<InArchive>> {
        match location {
            Location::Folder(path) => local(path),
            Location::Url(url) => Ok(behind_url(url)),
        }
    }

    /// Opens the archive; `None` where there is no such file, as for a folder with the name of one behind a URL.
    ///
    /// # Errors
    /// Those of opening it.
    pub fn open(&self) -> Result<Option<RangedFile>> {
        match &self.archive {
            Location::Folder(path) => RangedFile::local(path).map(Some),
            Location::Url(_) => match connect(&self.archive)?.above() {
                Some((store, name)) => RangedFile::of_key(Arc::clone(&store), &name),
                None => Ok(None),
            },
        }
    }
}

fn local(path: &Path) -> Result<Option<InArchive>> {
    let mut archive = path;
    let meta = loop {
        match archive.metadata() {
            // Something on the way is a file.
            Err(e) if e.kind() == ErrorKind::NotADirectory => match archive.parent() {
                Some(parent) => archive = parent,
                None => return Ok(None),
            },
            Err(_) => return Ok(None),
            Ok(meta) => break meta,
        }
    };
    if !meta.is_file() || !is_archive(archive)? {
        return Ok(None);
    }
    let inner = path.strip_prefix(archive).unwrap_or(Path::new(""));
    let inner: PathBuf = inner.components().collect();
    Ok(Some(InArchive {
        archive: Location::Folder(archive.to_path_buf()),
        inner: inner.to_string_lossy().into_owned(),
    }))
}

fn is_archive(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let file = nfs::open(path).map_err(Error::io("open", path))?;
    file.take(4).read_to_end(&mut start).map_err(Error::io("read", path))?;
    Ok(STARTS.iter().any(|known| start == known[..]))
}

fn behind_url(url: &Url) -> Option<InArchive> {
    let mut end = 0;
    for part in url.path.split('/') {
        end += part.len();
        let name = part.to_lowercase();
        if ENDINGS.iter().any(|ending| name.ends_with(ending) && name.len() > ending.len()) {
            let archive = Url { path: url.path[..end].to_string(), ..url.clone() };
            let inner = url.path[end..].trim_start_matches('/').to_string();
            return Some(InArchive { archive: Location::Url(archive), inner });
        }
        end += 1;
    }
    None
}
