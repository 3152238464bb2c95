//! A folder as a store: plain positional reads, writes to a temporary name followed by a rename.
//!
//! What the file-system store of zarrs does otherwise, and why it is not used: it keeps a lock for each key ever
//! touched, writes in place, and waits for the disk after each chunk. Here nothing is kept per key, a chunk under its
//! final name is complete, and the disk is waited for in [`DirStore::sync`] only.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use zarrs::storage::{
    Bytes, MaybeBytesIterator, OffsetBytesIterator, ReadableStorageTraits, StorageError, StoreKey, StorePrefix,
    WritableStorageTraits,
    byte_range::{ByteRange, ByteRangeIterator},
};

use crate::error::{Error, Result};

/// What an unfinished file is called, after its final name.
pub const PART_SUFFIX: &str = ".part";

/// A store in the folder `root`. Keys that are absolute, empty or climb (`..`) are refused.
#[derive(Clone, Debug)]
pub struct DirStore {
    root: PathBuf,
}

impl DirStore {
    pub fn new(root: impl Into<PathBuf>) -> DirStore {
        DirStore { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where `key` lies, or an error where it would not lie below the root.
    pub fn path_of(&self, key: &StoreKey) -> Result<PathBuf, StorageError> {
        let climbs = |part: &str| part.is_empty() || part == "." || part == ".." || part.contains(['\\', '\0']);
        if key.as_str().split('/').any(climbs) {
            return Err(StorageError::Other(format!("key '{key}' leaves the store")));
        }
        Ok(self.root.join(key.as_str()))
    }

    fn open(&self, key: &StoreKey) -> Result<Option<(File, u64)>, StorageError> {
        let path = self.path_of(key)?;
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(StorageError::Other(format!("'{key}' is not a file")));
        }
        Ok(Some((file, meta.len())))
    }

    /// Creates the file of `key`, with its folders, truncating what is there.
    pub fn create(path: &Path) -> std::io::Result<File> {
        match File::create(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
                File::create(path)
            }
            other => other,
        }
    }

    /// Sum of the sizes of all files below `prefix` (the root for an empty one).
    pub fn stored_size(&self, prefix: &str) -> Result<u64> {
        let mut total = 0u64;
        walk(&self.root.join(prefix), &mut |_, meta| {
            total += if meta.is_file() { meta.len() } else { 0 };
            Ok(())
        })?;
        Ok(total)
    }

    /// Waits until every file and folder of the store is on the disk.
    pub fn sync(&self) -> Result<()> {
        walk(&self.root, &mut |path, _| {
            File::open(path).and_then(|file| file.sync_all()).map_err(Error::io("sync", path))
        })
    }
}

/// Visits every file and folder below `root`, the folders after what they hold, without following links.
fn walk(root: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata) -> Result<()>) -> Result<()> {
    let meta = fs::symlink_metadata(root).map_err(Error::io("inspect", root))?;
    let mut open = vec![(root.to_path_buf(), meta, fs::read_dir(root).map_err(Error::io("list", root))?)];
    while let Some((folder, meta, entries)) = open.last_mut() {
        let Some(entry) = entries.next() else {
            visit(folder, meta)?;
            open.pop();
            continue;
        };
        let entry = entry.map_err(Error::io("list", &*folder))?;
        let path = entry.path();
        let meta = entry.metadata().map_err(Error::io("inspect", &path))?;
        if meta.is_dir() {
            let entries = fs::read_dir(&path).map_err(Error::io("list", &path))?;
            open.push((path, meta, entries));
        } else if meta.is_file() {
            visit(&path, &meta)?;
        }
    }
    Ok(())
}

fn read_range(file: &File, file_bytes: u64, range: ByteRange) -> Result<Bytes, StorageError> {
    let (offset, len) = match range {
        ByteRange::FromStart(offset, Some(len)) => (offset, len),
        ByteRange::FromStart(offset, None) => (offset, file_bytes.saturating_sub(offset)),
        ByteRange::Suffix(len) => (file_bytes.saturating_sub(len), len),
    };
    if offset.checked_add(len).is_none_or(|end| end > file_bytes) {
        let what = format!("bytes {offset}..{} of a file of {file_bytes}", offset.saturating_add(len));
        return Err(StorageError::Other(what));
    }
    let too_large = |_| StorageError::Other(format!("{len} bytes are too many to hold"));
    let len = usize::try_from(len).map_err(too_large)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| StorageError::Other(format!("{len} bytes are too many to hold")))?;
    bytes.resize(len, 0);
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes.into())
}

impl ReadableStorageTraits for DirStore {
    fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        byte_ranges: ByteRangeIterator<'a>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        let Some((file, file_bytes)) = self.open(key)? else { return Ok(None) };
        Ok(Some(Box::new(byte_ranges.map(move |range| read_range(&file, file_bytes, range)))))
    }

    fn size_key(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        match fs::metadata(self.path_of(key)?) {
            Ok(meta) if meta.is_file() => Ok(Some(meta.len())),
            Ok(_) => Err(StorageError::Other(format!("'{key}' is not a file"))),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn supports_get_partial(&self) -> bool {
        true
    }
}

impl WritableStorageTraits for DirStore {
    fn set(&self, key: &StoreKey, value: Bytes) -> Result<(), StorageError> {
        let path = self.path_of(key)?;
        let part = part_path(&path);
        DirStore::create(&part)?.write_all(&value)?;
        Ok(fs::rename(&part, &path)?)
    }

    /// Refused: a chunk under its final name is complete.
    fn set_partial_many(&self, key: &StoreKey, _: OffsetBytesIterator) -> Result<(), StorageError> {
        Err(StorageError::Unsupported(format!("'{key}' is written as a whole, or not at all")))
    }

    fn erase(&self, key: &StoreKey) -> Result<(), StorageError> {
        match fs::remove_file(self.path_of(key)?) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e.into()),
            _ => Ok(()),
        }
    }

    fn erase_prefix(&self, prefix: &StorePrefix) -> Result<(), StorageError> {
        let key = StoreKey::new(prefix.as_str().trim_end_matches('/'))?;
        match fs::remove_dir_all(self.path_of(&key)?) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e.into()),
            _ => Ok(()),
        }
    }

    fn supports_set_partial(&self) -> bool {
        false
    }
}

/// The temporary name beside `path`.
pub fn part_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(PART_SUFFIX);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str) -> StoreKey {
        StoreKey::new(key).unwrap()
    }

    #[test]
    fn what_was_set_is_read_back_whole_and_in_ranges() {
        let dir = tempfile::tempdir().unwrap();
        let store = DirStore::new(dir.path());
        assert_eq!(store.get(&key("0/c/1")).unwrap(), None);
        store.set(&key("0/c/1"), Bytes::from_static(b"abcdef")).unwrap();
        assert_eq!(store.get(&key("0/c/1")).unwrap().unwrap(), Bytes::from_static(b"abcdef"));
        let tail = store.get_partial(&key("0/c/1"), ByteRange::Suffix(2)).unwrap().unwrap();
        assert_eq!(tail, Bytes::from_static(b"ef"));
        assert!(store.get_partial(&key("0/c/1"), ByteRange::FromStart(4, Some(3))).is_err());
        assert!(store.get_partial(&key("0/c/1"), ByteRange::FromStart(u64::MAX, Some(u64::MAX))).is_err());
        assert_eq!((store.size_key(&key("0/c/1")).unwrap(), store.stored_size("").unwrap()), (Some(6), 6));
        store.sync().unwrap();
        assert!(!dir.path().join("0/c/1.part").exists());
    }

    #[test]
    fn keys_do_not_leave_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let store = DirStore::new(dir.path().join("inside"));
        fs::write(dir.path().join("secret"), "x").unwrap();
        for climbing in ["../secret", "a/../../secret", "..", "a/./b", "a\\b"] {
            assert!(store.get(&key(climbing)).is_err(), "{climbing}");
            assert!(store.set(&key(climbing), Bytes::new()).is_err(), "{climbing}");
        }
    }
}
