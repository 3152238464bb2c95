//! A folder as a store: plain positional reads, writes to a temporary name followed by a rename.
//!
//! The disk is waited for in [`DirStore::sync`] only.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    ops::ControlFlow,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{Part, Piece, Store, StoreError, check_key, reserve};
use crate::{
    storage::nfs,
    sys::{self, writeback},
};

/// What an unfinished file is called, after its final name.
pub(super) const PART_SUFFIX: &str = ".part";

/// A store in the folder `root`.
#[derive(Clone, Debug)]
pub struct DirStore {
    root: PathBuf,
}

impl DirStore {
    /// A folder, which need not be there.
    pub fn new(root: impl Into<PathBuf>) -> DirStore {
        DirStore { root: root.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where `key` lies, or an error where it would not lie below the root.
    pub fn path_of(&self, key: &str) -> Result<PathBuf, StoreError> {
        check_key(key)?;
        Ok(self.root.join(key))
    }

    /// Creates the file at `path`, with its folders, in place of whatever bears that name.
    pub fn create(path: &Path) -> io::Result<File> {
        match nfs::create_anew(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                nfs::uninterrupted(|| fs::create_dir_all(path.parent().unwrap_or(Path::new("."))))?;
                nfs::create_anew(path)
            }
            other => other,
        }
    }

    /// Writes under a name that nobody else uses, does what is to be done before the file has its own, and renames it.
    fn replace(&self, key: &str, bytes: &[u8], before: impl FnOnce(&File) -> io::Result<()>) -> Result<(), StoreError> {
        let path = self.path_of(key)?;
        let part = temporary(&path);
        let put = || {
            let mut file = DirStore::create(&part)?;
            file.write_all(bytes)?;
            before(&file)?;
            nfs::rename_open(&file, &part, &path)?;
            writeback::closed(file, bytes.len() as u64);
            Ok(())
        };
        Ok(put().map_err(|error| without(&part, error))?)
    }

    /// Opens an unfinished file to go on with it; a link is refused.
    pub fn reopen(path: &Path) -> io::Result<File> {
        nfs::unlinked().read(true).write(true).open(path)
    }

    fn open(&self, key: &str) -> Result<Option<(File, u64)>, StoreError> {
        // Without waiting, since a pipe under the name of a chunk would let nobody go on.
        let open = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(self.path_of(key)?);
        let file = match open {
            Ok(file) => file,
            Err(e) if is_absent(&e) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(not_a_file(key));
        }
        Ok(Some((file, meta.len())))
    }
}

impl Store for DirStore {
    fn get(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        steadily(|| {
            let Some((file, bytes)) = self.open(key)? else { return Ok(None) };
            if bytes > limit {
                return Err(StoreError::TooLarge { bytes, limit });
            }
            read(&file, 0, bytes).map(Some)
        })
    }

    fn get_part(&self, key: &str, part: Part) -> Result<Option<Piece>, StoreError> {
        steadily(|| {
            let Some((file, total)) = self.open(key)? else { return Ok(None) };
            let (offset, len) = part.within(total).ok_or(StoreError::Outside { part, total })?;
            Ok(Some(Piece { bytes: read(&file, offset, len)?, total }))
        })
    }

    fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        match fs::metadata(self.path_of(key)?) {
            Ok(meta) if meta.is_file() => Ok(Some(meta.len())),
            Ok(_) => Err(not_a_file(key)),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.replace(key, &bytes, |_| Ok(()))
    }

    fn put_durable(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.replace(key, &bytes, File::sync_all)
    }

    /// Waits for the disk. By a link, which fails where the name is taken; where there are no links by creating the file under its name.
    fn put_new(&self, key: &str, bytes: Vec<u8>) -> Result<bool, StoreError> {
        let path = self.path_of(key)?;
        let part = temporary(&path);
        let write = |mut file: File| file.write_all(&bytes).and_then(|()| file.sync_all());
        DirStore::create(&part).and_then(write).map_err(|error| without(&part, error))?;
        let linked = match nfs::uninterrupted(|| fs::hard_link(&part, &path)) {
            Err(e) if [ErrorKind::PermissionDenied, ErrorKind::Unsupported].contains(&e.kind()) => {
                File::create_new(&path).and_then(write)
            }
            other => other,
        };
        match nfs::uninterrupted(|| fs::remove_file(&part)) {
            // Done already, and the answer was lost; or another run has tidied.
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e.into()),
            _ => {}
        }
        match linked {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
            other => Ok(other.map(|()| true)?),
        }
    }

    fn modified(&self, key: &str) -> Result<Option<SystemTime>, StoreError> {
        match fs::metadata(self.path_of(key)?).and_then(|meta| meta.modified()) {
            Ok(time) => Ok(Some(time)),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// A rename: the file must be on the same file system.
    fn put_file(&self, key: &str, file: &Path) -> Result<(), StoreError> {
        Ok(nfs::rename(file, &self.path_of(key)?)?)
    }

    fn delete(&self, key: &str) -> Result<(), StoreError> {
        let path = self.path_of(key)?;
        match nfs::uninterrupted(|| fs::remove_file(&path)) {
            Err(e) if !is_absent(&e) => Err(e.into()),
            _ => Ok(()),
        }
    }

    fn list(&self, prefix: &str, visit: &mut dyn FnMut(&str, u64) -> ControlFlow<()>) -> Result<(), StoreError> {
        let top = if prefix.is_empty() { self.root.clone() } else { self.path_of(prefix)? };
        walk(&top, &mut |path, meta| {
            let key = path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy();
            if meta.is_file() && visit(&key, meta.len()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn list_top(&self, visit: &mut dyn FnMut(&str, u64) -> ControlFlow<()>) -> Result<(), StoreError> {
        let Some(entries) = still_there(read_dir(&self.root), "list", &self.root)? else { return Ok(()) };
        for entry in entries {
            let entry = entry.map_err(at("list", &self.root))?;
            let Some(meta) = still_there(entry.metadata(), "inspect", &entry.path())? else { continue };
            if meta.is_file() && visit(&entry.file_name().to_string_lossy(), meta.len()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn clear(&self, prefix: &str) -> Result<(), StoreError> {
        let top = if prefix.is_empty() { self.root.clone() } else { self.path_of(prefix)? };
        match fs::remove_dir_all(top) {
            Err(e) if !is_absent(&e) => Err(e.into()),
            _ => Ok(()),
        }
    }

    /// The whole file system at once, where the kernel can: a store may be a million files.
    fn sync(&self) -> Result<(), StoreError> {
        writeback::settle();
        if sys::sync_file_system(&self.root).map_err(at("sync", &self.root))? {
            return Ok(());
        }
        walk(&self.root, &mut |path, _| {
            let synced = File::open(path).and_then(|file| file.sync_all());
            synced.map(|()| ControlFlow::Continue(())).map_err(at("sync", path))
        })
    }

    fn describe(&self, key: &str) -> PathBuf {
        if key.is_empty() { self.root.clone() } else { self.root.join(key) }
    }

    fn below(&self, path: &str) -> Arc<dyn Store> {
        Arc::new(DirStore::new(self.describe(path)))
    }

    /// By the path as it is written, made absolute; links are not followed.
    fn above(&self) -> Option<(Arc<dyn Store>, String)> {
        let absolute = std::path::absolute(&self.root).ok()?;
        let (parent, name) = (absolute.parent()?, absolute.file_name()?.to_str()?);
        Some((Arc::new(DirStore::new(parent)), name.to_string()))
    }

    fn folder(&self) -> Option<&Path> {
        Some(&self.root)
    }
}

fn is_absent(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn not_a_file(key: &str) -> StoreError {
    StoreError::Unsupported(format!("'{key}' is not a file"))
}

/// Once more, with a file opened anew, where a server has forgotten its handle.
fn steadily<R>(attempt: impl FnMut() -> Result<R, StoreError>) -> Result<R, StoreError> {
    nfs::again(attempt, |error| matches!(error, StoreError::Io(error) if nfs::is_stale(error)))
}

fn read(file: &File, offset: u64, len: u64) -> Result<Vec<u8>, StoreError> {
    let mut bytes = reserve(len)?;
    bytes.resize(len as usize, 0);
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Walk { action, path: path.to_path_buf(), source }
}

fn still_there<R>(result: io::Result<R>, action: &'static str, path: &Path) -> Result<Option<R>, StoreError> {
    match result {
        Err(e) if is_absent(&e) => Ok(None),
        other => other.map(Some).map_err(at(action, path)),
    }
}

fn read_dir(path: &Path) -> io::Result<fs::ReadDir> {
    nfs::uninterrupted(|| fs::read_dir(path))
}

type Visit<'a> = dyn FnMut(&Path, &fs::Metadata) -> Result<ControlFlow<()>, StoreError> + 'a;

/// Visits every file and folder below `root`, the folders after what they hold, without following links.
fn walk(root: &Path, visit: &mut Visit<'_>) -> Result<(), StoreError> {
    let meta = match fs::symlink_metadata(root) {
        Err(e) if is_absent(&e) => return Ok(()),
        other => other.map_err(at("inspect", root))?,
    };
    let mut open = vec![(root.to_path_buf(), meta, read_dir(root).map_err(at("list", root))?)];
    while let Some((folder, meta, entries)) = open.last_mut() {
        let Some(entry) = entries.next() else {
            if visit(folder, meta)?.is_break() {
                return Ok(());
            }
            open.pop();
            continue;
        };
        let entry = entry.map_err(at("list", folder))?;
        let path = entry.path();
        // What has gone meanwhile was not to be seen: another run has renamed or removed it.
        let Some(meta) = still_there(entry.metadata(), "inspect", &path)? else { continue };
        if meta.is_dir() {
            if let Some(entries) = still_there(read_dir(&path), "list", &path)? {
                open.push((path, meta, entries));
            }
        } else if meta.is_file() && visit(&path, &meta)?.is_break() {
            return Ok(());
        }
    }
    Ok(())
}

/// A name beside `path` that nobody else uses.
fn temporary(path: &Path) -> PathBuf {
    unfinished(path, &sys::writer_name())
}

/// The unfinished file of `writer` beside `path`.
pub fn unfinished(path: &Path, writer: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{writer}{PART_SUFFIX}"));
    path.with_file_name(name)
}

/// The error, after the unfinished file was taken away.
fn without(part: &Path, error: io::Error) -> io::Error {
    // The first error is the one to be told.
    let _ = fs::remove_file(part);
    error
}
