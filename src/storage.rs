//! Stores: keys to bytes, in a folder or behind a URL.
//!
//! A [`Store`] is all that reading and writing Zarr needs of storage. The traits of zarrs are not used: its file-system
//! store keeps a lock for each key ever touched, writes in place, and waits for the disk after each chunk. What is put here
//! is there as a whole or not at all, and nothing is kept per key.
//!
//! Keys are parts joined by `/`; those that are absolute, empty or climb (`..`) are refused.

use std::{
    fmt, io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use crate::{
    error::{Error, Result},
    sys,
};

mod build_site;
mod folder;
mod location;
pub mod nfs;
mod ranged;
#[cfg(feature = "remote")]
pub mod remote;
mod zip;

pub use build_site::BuildSite;
pub use folder::{DirStore, unfinished};
pub use location::{Location, Url, split_image};
pub use ranged::{Forward, RangedFile, Version, is_of_storage};
pub use zip::{InArchive, ZipStore, pack};

/// Keys to bytes. A store is rooted somewhere; [`Store::below`] and [`Store::above`] root it elsewhere.
pub trait Store: fmt::Debug + Send + Sync {
    /// The bytes of `key`; `None` where it is absent, an error where it has more than `limit` bytes.
    ///
    /// Nothing is allocated by a size that was not held against the limit.
    fn get(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// A part of `key`; `None` where it is absent, an error where the part does not lie within it.
    fn get_part(&self, key: &str, part: Part) -> Result<Option<Piece>, StoreError>;

    /// Asks for the same and does not wait: who calls what it returns waits. `None` where nothing is won by that.
    fn begin(&self, _key: &str, _part: Part) -> Option<Pending> {
        None
    }

    /// The number of bytes of `key`; `None` where it is absent.
    fn size(&self, key: &str) -> Result<Option<u64>, StoreError>;

    fn exists(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.size(key)?.is_some())
    }

    /// What tells `key` from another one that is put there later; `None` where it is absent.
    fn version(&self, key: &str) -> Result<Option<Version>, StoreError> {
        Ok(self.size(key)?.map(|bytes| Version { bytes, tag: None }))
    }

    /// Sets `key`: whoever reads it finds the old bytes or the new ones.
    fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError>;

    /// The same for what must not be cut short when power fails after it has its name: documents, which are read again by a run that
    /// goes on. Chunks need not be: nothing counts on them before [`Store::sync`].
    fn put_durable(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.put(key, bytes)
    }

    /// Sets `key` if it is not there; whether it was not. Of several that try at once, one is told so.
    fn put_new(&self, key: &str, bytes: Vec<u8>) -> Result<bool, StoreError>;

    /// When `key` was set last, by the clock of the store; `None` where it is absent.
    fn modified(&self, key: &str) -> Result<Option<SystemTime>, StoreError>;

    /// Sets `key` to what the local file `file` holds, and takes the file away. In bounded memory.
    fn put_file(&self, key: &str, file: &Path) -> Result<(), StoreError>;

    /// Removes `key`, if it is there.
    fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// Visits every key below `prefix` (all of them for an empty one) with its size, in any order, until `visit` breaks off.
    /// Keys are not collected.
    fn list(&self, prefix: &str, visit: &mut dyn FnMut(&str, u64) -> ControlFlow<()>) -> Result<(), StoreError>;

    /// The same for keys of one part alone: the files of a folder, not those of the folders in it.
    fn list_top(&self, visit: &mut dyn FnMut(&str, u64) -> ControlFlow<()>) -> Result<(), StoreError> {
        self.list("", &mut |key, size| if key.contains('/') { ControlFlow::Continue(()) } else { visit(key, size) })
    }

    /// Removes every key below `prefix` (all of them for an empty one).
    fn clear(&self, prefix: &str) -> Result<(), StoreError>;

    /// Waits until all that was put will outlive the machine.
    fn sync(&self) -> Result<(), StoreError>;

    /// What to call `key` in a message (the store itself for an empty one): a path or a URL, never with a secret.
    fn describe(&self, key: &str) -> PathBuf;

    /// The store of the keys below `path`.
    fn below(&self, path: &str) -> Arc<dyn Store>;

    /// The store that this one is a part of, and what it is called there; `None` at the top.
    fn above(&self) -> Option<(Arc<dyn Store>, String)>;

    /// The folder, where the store is one.
    fn folder(&self) -> Option<&Path> {
        None
    }

    /// How many requests are worth having under way at once; 0 where waiting for one costs nothing.
    fn requests(&self) -> u64 {
        0
    }

    /// Whether looking at a key costs no request.
    fn is_near(&self) -> bool {
        self.requests() == 0
    }

    /// Memory beyond the bytes handed over.
    fn memory(&self) -> StoreMemory {
        StoreMemory::default()
    }
}

/// Memory that a store takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreMemory {
    /// Held for the whole run.
    pub resident_bytes: u64,
    /// For each request that runs, beyond the bytes that are got or put.
    pub request_bytes: u64,
    /// For uploads of files, all together.
    pub upload_bytes: u64,
}

/// Which bytes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Range {
        offset: u64,
        len: u64,
    },
    /// The last bytes.
    Suffix(u64),
}

impl Part {
    /// First byte and number of bytes in a key of `total` bytes; `None` where the part does not lie within it.
    pub fn within(self, total: u64) -> Option<(u64, u64)> {
        let (offset, len) = match self {
            Part::Range { offset, len } => (offset, len),
            Part::Suffix(len) => (total.checked_sub(len)?, len),
        };
        (offset.checked_add(len)? <= total).then_some((offset, len))
    }
}

/// A part of what a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub bytes: Vec<u8>,
    /// Size of the whole.
    pub total: u64,
}

/// A part that is on its way; dropping it gives it up.
pub type Pending = Box<dyn FnOnce() -> Result<Option<Piece>, StoreError> + Send>;

/// What a store could not do. Names neither key nor place: who asked knows them, see [`StoreError::at`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("{bytes} bytes, more than the {limit} that were expected at most")]
    TooLarge { bytes: u64, limit: u64 },

    #[error("{} are not within the {total} bytes that there are", part_name(*.part))]
    Outside { part: Part, total: u64 },

    #[error("key '{key}' leaves the store")]
    Key { key: String },

    #[error("{0}")]
    Unsupported(String),

    /// A server could not be brought to answer well.
    #[error("{what}{}", attempts_name(*.attempts, *.seconds))]
    Remote { what: String, attempts: u32, seconds: f64 },

    #[error(transparent)]
    Io(#[from] io::Error),

    /// A walk came to grief at `path`.
    #[error("cannot {action} {}: {source}", path.display())]
    Walk { action: &'static str, path: PathBuf, source: io::Error },
}

fn part_name(part: Part) -> String {
    match part {
        Part::Range { offset, len } => format!("{len} bytes at {offset}"),
        Part::Suffix(len) => format!("the last {len} bytes"),
    }
}

fn attempts_name(attempts: u32, seconds: f64) -> String {
    if attempts < 2 { String::new() } else { format!(", {attempts} attempts in {seconds:.1} s") }
}

impl StoreError {
    /// With what was being done, and where.
    pub fn at(self, action: &'static str, path: impl Into<PathBuf>) -> Error {
        match self {
            StoreError::Walk { action, path, source } => Error::Io { action, path, source },
            StoreError::Io(source) => Error::Io { action, path: path.into(), source },
            other => Error::Io { action, path: path.into(), source: io::Error::other(other) },
        }
    }

    /// Whether the store refused access.
    pub fn is_denied(&self) -> bool {
        matches!(self, StoreError::Io(e) if e.kind() == io::ErrorKind::PermissionDenied)
    }
}

/// The store at `location`. Nothing is asked of it yet.
///
/// # Errors
///
/// [`Error::Unsupported`] for a URL where the feature `remote` is not built in, [`Error::Io`] where the environment has no
/// account for it.
pub fn connect(location: &Location) -> Result<Arc<dyn Store>> {
    match location {
        Location::Folder(path) => Ok(Arc::new(DirStore::new(path))),
        #[cfg(feature = "remote")]
        Location::Url(url) => Ok(Arc::new(remote::connect(url).map_err(|e| e.at("connect to", url.to_string()))?)),
        #[cfg(not(feature = "remote"))]
        Location::Url(url) => Err(Error::Unsupported {
            path: url.to_string().into(),
            what: "this build reads and writes local files only".into(),
            hint: Some("build with the feature remote: cargo build --release --features remote".into()),
        }),
    }
}

/// The store at `location`, which may be a zip archive, or lie in one.
///
/// # Errors
///
/// Those of [`connect`], and of opening an archive.
pub fn open(location: &Location) -> Result<Arc<dyn Store>> {
    if let Some(place) = InArchive::of(location)?
        && let Some(file) = place.open()?
    {
        return Ok(Arc::new(ZipStore::open(file, &place.inner)?));
    }
    connect(location)
}

/// Removes the unfinished files of runs that were killed; when nobody is at work there any more.
pub fn tidy(store: &dyn Store) -> Result<(), StoreError> {
    let mut left = Vec::new();
    store.list("", &mut |key, _| {
        if key.ends_with(".part") || key.ends_with(".side") {
            left.push(key.to_string());
        }
        ControlFlow::Continue(())
    })?;
    left.iter().try_for_each(|key| store.delete(key))
}

/// Sum of the sizes of all keys below `prefix`.
pub fn stored_size(store: &dyn Store, prefix: &str) -> Result<u64, StoreError> {
    let mut total = 0u64;
    store.list(prefix, &mut |_, bytes| {
        total = total.saturating_add(bytes);
        ControlFlow::Continue(())
    })?;
    Ok(total)
}

/// Whether `key` stays below the root: parts that are not empty, `.` or `..`.
fn check_key(key: &str) -> Result<(), StoreError> {
    let climbs = |part: &str| part.is_empty() || part == "." || part == ".." || part.contains(['\\', '\0']);
    if key.split('/').any(climbs) {
        return Err(StoreError::Key { key: key.into() });
    }
    Ok(())
}

/// A buffer for `bytes`, or an error instead of an abort where there is no such memory.
fn reserve(bytes: u64) -> Result<Vec<u8>, StoreError> {
    sys::reserve(bytes).map_err(|what| StoreError::Io(io::Error::new(io::ErrorKind::OutOfMemory, what)))
}

#[cfg(test)]
pub mod tests;
