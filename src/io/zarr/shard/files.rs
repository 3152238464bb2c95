//! The files that a shard is put together in, and places in them.

use std::{
    fs::{self, File},
    io::ErrorKind,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, Result},
    storage::DirStore,
    sys::writeback,
};

/// The stored index of a shard.
pub(super) fn index(entries: &[(u64, u64)]) -> Vec<u8> {
    let mut index: Vec<u8> = Vec::with_capacity(entries.len() * 16 + 4);
    for (offset, len) in entries {
        index.extend_from_slice(&offset.to_le_bytes());
        index.extend_from_slice(&len.to_le_bytes());
    }
    let sum = crc32c::crc32c(&index);
    index.extend_from_slice(&sum.to_le_bytes());
    index
}

/// Removes a file that may be there.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(Error::io("remove", path)(e))
        }
        _ => Ok(()),
    }
}

/// Writes at `offset`; the file is made anew at offset 0.
pub(super) fn write_at(path: &Path, offset: u64, bytes: &[u8]) -> Result<File> {
    let file = match offset {
        0 => DirStore::create(path),
        _ => DirStore::reopen(path),
    };
    let file = file.map_err(Error::io("write", path))?;
    file.write_all_at(bytes, offset).map_err(Error::io("write", path))?;
    writeback::appended(&file, offset, bytes.len() as u64);
    Ok(file)
}

/// The file of chunks that came early.
pub(super) fn side_path(path: &Path, writer: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{writer}.side"));
    path.with_file_name(name)
}

/// Place in line of chunk `at` among those that lie in the grid, C order.
pub(super) fn rank(at: [u64; 3], extent: [u64; 3]) -> u64 {
    (at[0] * extent[1] + at[1]) * extent[2] + at[2]
}

/// Entry in the index, which counts the chunks beyond the grid too.
pub(super) fn slot(turn: u64, extent: [u64; 3], per_shard: [u64; 3]) -> usize {
    let at = [turn / (extent[1] * extent[2]), turn / extent[2] % extent[1], turn % extent[2]];
    rank(at, per_shard) as usize
}
