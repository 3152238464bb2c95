//! A zip archive as a store that is read: an OME-Zarr in one file (`.ozx`, RFC-9 of OME-NGFF), or any Zarr in a zip.
//!
//! The directory at the end of the archive is read once; entries are read by their place. What is stored is read part by part, what is
//! deflated as a whole only. Checksums are held against what is read as a whole.

use std::{
    fmt,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{Part, Piece, RangedFile, Store, StoreError, StoreMemory, check_key};
use crate::error::Result;

mod directory;
mod end;
mod entry;
mod inflate;
mod pack;
mod place;

use directory::Directory;
use end::End;
use entry::{Entry, LOCAL_BYTES, Method, damaged};
pub use pack::pack;
pub use place::InArchive;

/// Documents that an array or a group has.
const DOCUMENTS: [&str; 5] = ["zarr.json", ".zgroup", ".zarray", ".zattrs", ".zmetadata"];
/// Folders at the top of an archive that are looked at for the one that is the Zarr.
const MOST_TOP_FOLDERS: usize = 1000;
/// Read along with an entry: its extra fields, of which the directory does not tell how long they are.
const EXTRA_BYTES: u64 = 64;

/// The keys below a folder of an archive.
#[derive(Clone)]
pub struct ZipStore {
    archive: Arc<Archive>,
    /// Below the root of the Zarr; empty at the top.
    prefix: String,
}

struct Archive {
    file: RangedFile,
    directory: Directory,
    /// Where the directory begins: entries stand before it.
    end: End,
    /// The folder that the Zarr is in, where it is not at the top.
    root: String,
}

impl fmt::Debug for ZipStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZipStore({})", self.describe("").display())
    }
}

impl ZipStore {
    /// Opens an archive, and `inner` in it.
    ///
    /// # Errors
    /// [`Malformed`](crate::error::Error::Malformed) for what is no archive, [`Unsupported`](crate::error::Error::Unsupported) for
    /// one in parts or with a directory beyond its share of the budget.
    pub fn open(file: RangedFile, inner: &str) -> Result<ZipStore> {
        let end = End::find(&file)?;
        let directory = Directory::read(&file, end)?;
        let root = root(&directory);
        // Named with the folder that the Zarr is in.
        let below =
            inner.strip_prefix(&root).filter(|rest| !root.is_empty() && (rest.is_empty() || rest.starts_with('/')));
        let prefix = below.unwrap_or(inner).trim_start_matches('/').to_string();
        Ok(ZipStore { archive: Arc::new(Archive { file, directory, end, root }), prefix })
    }

    fn full(&self, key: &str) -> String {
        joined([&self.archive.root, &self.prefix, key])
    }

    fn find(&self, key: &str) -> Result<Option<(usize, Entry<'_>)>, StoreError> {
        check_key(key)?;
        let directory = &self.archive.directory;
        let Some(n) = directory.find(&self.full(key)) else { return Ok(None) };
        Ok(Some((n, directory.entry(n).map_err(damaged)?)))
    }
}

impl Archive {
    /// The stored bytes of an entry from `from` on, `len` of them.
    fn stored(&self, n: usize, entry: &Entry<'_>, from: u64, len: u64) -> Result<Vec<u8>, StoreError> {
        if let Some(start) = self.directory.start(n) {
            return self.file.read(self.within(entry, start)? + from, len);
        }
        // What stands before it is read along with its beginning: behind a URL each read is a request.
        let room = self.end.at.checked_sub(entry.at).ok_or_else(|| self.outside(entry))?;
        let name = LOCAL_BYTES + entry.name.len() as u64;
        let ahead = if from == 0 { len.saturating_add(EXTRA_BYTES) } else { 0 };
        let mut bytes = self.file.read(entry.at, name.saturating_add(ahead).min(room))?;
        let start = entry.local_len(&bytes)?;
        self.directory.note_start(n, start);
        let at = self.within(entry, start)?;
        if from > 0 {
            return self.file.read(at + from, len);
        }
        bytes.drain(..(start as usize).min(bytes.len()));
        let got = bytes.len() as u64;
        if got < len {
            bytes.extend(self.file.read(at + got, len - got)?);
        }
        bytes.truncate(len as usize);
        Ok(bytes)
    }

    /// Where the bytes of an entry begin; they end before the directory.
    fn within(&self, entry: &Entry<'_>, start: u64) -> Result<u64, StoreError> {
        let at =
            entry.at.checked_add(start).filter(|at| at.checked_add(entry.stored).is_some_and(|end| end <= self.end.at));
        at.ok_or_else(|| self.outside(entry))
    }

    fn outside(&self, entry: &Entry<'_>) -> StoreError {
        let Entry { stored, at, .. } = entry;
        damaged(format!("the entry of {stored} bytes at {at} reaches into the directory at {}", self.end.at))
    }

    fn whole(&self, n: usize, entry: &Entry<'_>) -> Result<Vec<u8>, StoreError> {
        let bytes = match entry.method()? {
            Method::Stored => self.stored(n, entry, 0, entry.size)?,
            Method::Deflated => {
                self.stored(n, entry, 0, 0)?;
                let start = self.directory.start(n).unwrap_or_default();
                inflate::inflate(&self.file, self.within(entry, start)?, entry)?
            }
        };
        let crc32 = crc32fast::hash(&bytes);
        if crc32 != entry.crc32 {
            return Err(damaged(format!("crc-32 is {crc32:08x}, the archive says {:08x}", entry.crc32)));
        }
        Ok(bytes)
    }
}

impl Store for ZipStore {
    fn get(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let Some((n, entry)) = self.find(key)? else { return Ok(None) };
        if entry.size > limit {
            return Err(StoreError::TooLarge { bytes: entry.size, limit });
        }
        self.archive.whole(n, &entry).map(Some)
    }

    /// Of what is deflated no part can be had.
    fn get_part(&self, key: &str, part: Part) -> Result<Option<Piece>, StoreError> {
        let Some((n, entry)) = self.find(key)? else { return Ok(None) };
        let total = entry.size;
        let (offset, len) = part.within(total).ok_or(StoreError::Outside { part, total })?;
        match entry.method()? {
            Method::Stored => Ok(Some(Piece { bytes: self.archive.stored(n, &entry, offset, len)?, total })),
            Method::Deflated => Err(StoreError::Unsupported(
                "the shard is deflated within the archive, so that no part of it can be read: store it there \
                 (zip -0 -r NEW.zarr.zip .), or unpack the archive"
                    .into(),
            )),
        }
    }

    fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.find(key)?.map(|(_, entry)| entry.size))
    }

    fn put(&self, _: &str, _: Vec<u8>) -> Result<(), StoreError> {
        Err(read_only())
    }

    fn put_new(&self, _: &str, _: Vec<u8>) -> Result<bool, StoreError> {
        Err(read_only())
    }

    fn modified(&self, _: &str) -> Result<Option<SystemTime>, StoreError> {
        Ok(None)
    }

    fn put_file(&self, _: &str, _: &Path) -> Result<(), StoreError> {
        Err(read_only())
    }

    fn delete(&self, _: &str) -> Result<(), StoreError> {
        Err(read_only())
    }

    fn list(&self, prefix: &str, visit: &mut dyn FnMut(&str, u64) -> ControlFlow<()>) -> Result<(), StoreError> {
        if !prefix.is_empty() {
            check_key(prefix)?;
        }
        let slash = |path: String| if path.is_empty() { path } else { path + "/" };
        let (directory, base) = (&self.archive.directory, slash(self.full("")));
        for n in directory.below(&slash(self.full(prefix))) {
            let name = directory.name(n);
            // Folders may have entries of their own.
            if name.ends_with(b"/") {
                continue;
            }
            let size = directory.entry(n).map_err(damaged)?.size;
            if visit(&String::from_utf8_lossy(&name[base.len()..]), size).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn clear(&self, _: &str) -> Result<(), StoreError> {
        Err(read_only())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn describe(&self, key: &str) -> PathBuf {
        let below = joined([&self.prefix, key, ""]);
        let path = self.archive.file.path();
        if below.is_empty() { path.to_path_buf() } else { path.join(below) }
    }

    fn below(&self, path: &str) -> Arc<dyn Store> {
        Arc::new(ZipStore { archive: self.archive.clone(), prefix: joined([&self.prefix, path, ""]) })
    }

    fn above(&self) -> Option<(Arc<dyn Store>, String)> {
        let (prefix, name) = match self.prefix.rsplit_once('/') {
            Some(parts) => parts,
            None if self.prefix.is_empty() => return None,
            None => ("", self.prefix.as_str()),
        };
        Some((Arc::new(ZipStore { archive: self.archive.clone(), prefix: prefix.to_string() }), name.to_string()))
    }

    fn requests(&self) -> u64 {
        self.archive.file.requests()
    }

    fn memory(&self) -> StoreMemory {
        let Archive { file, directory, .. } = self.archive.as_ref();
        let memory = file.memory();
        let inflating = if directory.has_deflated { inflate::memory(file) } else { 0 };
        StoreMemory { request_bytes: memory.request_bytes + inflating + (u64::from(u16::MAX) << 1), ..memory }
    }
}

fn read_only() -> StoreError {
    StoreError::Unsupported("zip archives are read only".into())
}

fn joined(parts: [&str; 3]) -> String {
    parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/")
}

/// The folder that the Zarr of an archive is in: the top, or the one folder there that has a document.
fn root(directory: &Directory) -> String {
    let has_document =
        |folder: &str| DOCUMENTS.iter().any(|name| directory.find(&joined([folder, name, ""])).is_some());
    if has_document("") {
        return String::new();
    }
    let (mut found, mut n) = (Vec::new(), 0);
    for _ in 0..MOST_TOP_FOLDERS {
        if n >= directory.len() {
            break;
        }
        let name = directory.name(n);
        let Some(slash) = name.iter().position(|&byte| byte == b'/') else {
            n += 1;
            continue;
        };
        match std::str::from_utf8(&name[..=slash]) {
            Ok(folder) => {
                let top = &folder[..slash];
                found.extend((!top.is_empty() && has_document(top)).then(|| top.to_string()));
                n = directory.below(folder).end;
            }
            Err(_) => n += 1,
        }
    }
    if found.len() == 1 { found.remove(0) } else { String::new() }
}

#[cfg(test)]
mod tests;
