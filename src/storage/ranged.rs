//! One file of which any part can be read: on this machine, or under a key of a store.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Location, Part, Piece, Store, StoreError, StoreMemory, connect, nfs::SteadyFile, reserve};
use crate::error::{Error, Result};

mod forward;

pub use forward::{Forward, is_of_storage};

/// Bytes that are on their way.
pub(super) type PendingRead = Box<dyn FnOnce() -> Result<Vec<u8>, StoreError> + Send>;

/// A file that is read part by part. It stays the one that was opened: another under its name is an error.
pub struct RangedFile {
    path: PathBuf,
    version: Version,
    place: Place,
}

/// What tells a file from another one under the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub bytes: u64,
    /// The ETag of a server, or else the time of the last change, where either is told.
    pub tag: Option<String>,
}

enum Place {
    Local(SteadyFile),
    Key { store: Arc<dyn Store>, key: String },
}

impl fmt::Debug for RangedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RangedFile({}, {:?})", self.path.display(), self.version)
    }
}

impl RangedFile {
    /// A file of this machine.
    pub fn local(path: &Path) -> Result<RangedFile> {
        let file = SteadyFile::open(path).map_err(Error::io("open", path))?;
        let version = Version { bytes: file.bytes(), tag: None };
        Ok(RangedFile { path: path.to_path_buf(), version, place: Place::Local(file) })
    }

    /// What `key` holds; `None` where it is absent.
    pub fn of_key(store: Arc<dyn Store>, key: &str) -> Result<Option<RangedFile>> {
        let path = store.describe(key);
        let version = store.version(key).map_err(|e| e.at("open", &path))?;
        Ok(version.map(|version| RangedFile { path, version, place: Place::Key { store, key: key.to_string() } }))
    }

    /// The file at a path or a URL.
    ///
    /// # Errors
    /// [`Error::Io`] where there is none.
    pub fn at(location: &Location) -> Result<RangedFile> {
        let absent = |path: &Path| Error::io("open", path)(std::io::ErrorKind::NotFound.into());
        match location {
            Location::Folder(path) => RangedFile::local(path),
            Location::Url(url) => {
                let path = PathBuf::from(url.to_string());
                let (store, key) = connect(location)?.above().ok_or_else(|| absent(&path))?;
                let file = RangedFile::of_key(store, &key)?.ok_or_else(|| absent(&path))?;
                Ok(RangedFile { path, ..file })
            }
        }
    }

    /// For messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which file it is.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Bytes of all of it.
    pub fn bytes(&self) -> u64 {
        self.version.bytes
    }

    /// `len` bytes from `offset` on, which lie within the file.
    ///
    /// # Errors
    /// Those of reading; another file has come under the name.
    pub fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>, StoreError> {
        let part = Part::Range { offset, len };
        part.within(self.bytes()).ok_or(StoreError::Outside { part, total: self.bytes() })?;
        if len == 0 {
            return Ok(Vec::new());
        }
        match &self.place {
            Place::Local(file) => {
                let mut bytes = reserve(len)?;
                bytes.resize(len as usize, 0);
                file.read_exact_at(&mut bytes, offset)?;
                Ok(bytes)
            }
            Place::Key { store, key } => bytes_of(store.get_part(key, part)?, self.bytes()),
        }
    }

    /// Asks for the same, and does not wait.
    pub fn begin(self: &Arc<Self>, offset: u64, len: u64) -> PendingRead {
        let total = self.bytes();
        if let Place::Key { store, key } = &self.place
            && let Some(pending) = store.begin(key, Part::Range { offset, len })
        {
            return Box::new(move || bytes_of(pending()?, total));
        }
        let file = self.clone();
        Box::new(move || file.read(offset, len))
    }

    /// Whether each read is a request to a server.
    pub fn is_remote(&self) -> bool {
        matches!(self.place, Place::Key { .. })
    }

    /// How many reads are worth having under way at once; 0 where waiting for one costs nothing.
    pub fn requests(&self) -> u64 {
        match &self.place {
            Place::Local(_) => 0,
            Place::Key { store, .. } => store.requests(),
        }
    }

    /// Memory beyond the bytes handed over.
    pub fn memory(&self) -> StoreMemory {
        match &self.place {
            Place::Local(_) => StoreMemory::default(),
            Place::Key { store, .. } => store.memory(),
        }
    }
}

fn bytes_of(piece: Option<Piece>, total: u64) -> Result<Vec<u8>, StoreError> {
    match piece {
        Some(piece) if piece.total == total => Ok(piece.bytes),
        Some(piece) => {
            let what = format!("it had {total} bytes at first, and now has {}", piece.total);
            Err(StoreError::Unsupported(what))
        }
        None => Err(StoreError::Unsupported("the file is gone".into())),
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes)?;
        self.tag.as_ref().map_or(Ok(()), |tag| write!(f, " with the tag {tag}"))
    }
}
