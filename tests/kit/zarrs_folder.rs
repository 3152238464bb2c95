//! A folder as zarrs sees storage, for arrays that zarrs itself writes or reads.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use zarrs::storage::{
    Bytes, MaybeBytesIterator, OffsetBytesIterator, ReadableStorageTraits, StorageError, StoreKey, StorePrefix,
    WritableStorageTraits, byte_range::ByteRangeIterator,
};

pub(crate) struct ZarrsFolder {
    root: PathBuf,
}

impl ZarrsFolder {
    pub(crate) fn new(root: &Path) -> ZarrsFolder {
        ZarrsFolder { root: root.to_path_buf() }
    }

    fn whole(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, StorageError> {
        match fs::read(self.root.join(key.as_str())) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

impl ReadableStorageTraits for ZarrsFolder {
    fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        ranges: ByteRangeIterator<'a>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        let Some(bytes) = self.whole(key)? else { return Ok(None) };
        let part = move |range: zarrs::storage::byte_range::ByteRange| {
            let range = range.to_range_usize(bytes.len() as u64);
            let part = bytes.get(range).ok_or_else(|| StorageError::Other("a range beyond the end".into()))?;
            Ok(Bytes::copy_from_slice(part))
        };
        Ok(Some(Box::new(ranges.map(part))))
    }

    fn size_key(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        Ok(self.whole(key)?.map(|bytes| bytes.len() as u64))
    }

    fn supports_get_partial(&self) -> bool {
        true
    }
}

impl WritableStorageTraits for ZarrsFolder {
    fn set(&self, key: &StoreKey, value: Bytes) -> Result<(), StorageError> {
        let path = self.root.join(key.as_str());
        fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
        Ok(fs::write(path, value)?)
    }

    fn set_partial_many(&self, _: &StoreKey, _: OffsetBytesIterator) -> Result<(), StorageError> {
        Err(StorageError::Unsupported("keys are written as a whole".into()))
    }

    fn erase(&self, key: &StoreKey) -> Result<(), StorageError> {
        Ok(fs::remove_file(self.root.join(key.as_str()))?)
    }

    fn erase_prefix(&self, prefix: &StorePrefix) -> Result<(), StorageError> {
        Ok(fs::remove_dir_all(self.root.join(prefix.as_str()))?)
    }

    fn supports_set_partial(&self) -> bool {
        false
    }
}
