//! Stamps: the length and the CRC-32C of stored bytes, to tell whether they are still the ones that were written.
//!
//! A run that resumes reads all that it builds on. The run that completes the work of many ranks reads only the files
//! that changed after the journal that describes them.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
    time::{Duration, SystemTime},
};

use crate::storage::nfs;

/// Where a piece of a file lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extent {
    pub offset: u64,
    pub len: u64,
}

/// Bytes that are read at a time.
const PIECE_BYTES: u64 = 256 << 10;
/// Kernels count time in steps: what was changed so shortly before may have been changed after.
const STEP: Duration = Duration::from_millis(20);

/// The number of stored bytes, and their CRC-32C.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    pub bytes: u64,
    pub crc32c: u32,
}

impl Stamp {
    /// The stamp of bytes in memory.
    pub fn of(bytes: &[u8]) -> Stamp {
        Stamp { bytes: bytes.len() as u64, crc32c: crc32c::crc32c(bytes) }
    }

    /// The stamp of these bytes with those of `next` behind them.
    pub fn then(self, next: Stamp) -> Stamp {
        let crc32c = crc32c::crc32c_combine(self.crc32c, next.crc32c, next.bytes as usize);
        Stamp { bytes: self.bytes.saturating_add(next.bytes), crc32c }
    }

    /// Whether the file at `path`, no link, is these bytes; they are read where it has changed since `written`.
    pub fn is_of_file(self, path: &Path, written: Option<SystemTime>) -> bool {
        let whole = Extent { offset: 0, len: self.bytes };
        let is_same = |file: File| Ok(file.metadata()?.len() == self.bytes && self.is_of(&file, [whole], written)?);
        open(path).and_then(is_same).unwrap_or(false)
    }

    /// Whether parts of a file, one behind the other, are these bytes; they are read where the file has changed since `written`.
    ///
    /// # Errors
    /// Those of reading; the file ends before a part does.
    pub fn is_of(
        self,
        file: &File,
        parts: impl IntoIterator<Item = Extent> + Clone,
        written: Option<SystemTime>,
    ) -> io::Result<bool> {
        let meta = file.metadata()?;
        let changed = i64::try_from(written.map_or(0, since_epoch)).unwrap_or(i64::MAX);
        if meta.ctime().saturating_mul(1_000_000_000).saturating_add(meta.ctime_nsec()) < changed {
            let ends = parts.into_iter().map(|Extent { offset, len }| (offset.saturating_add(len), len));
            let (end, bytes) = ends.fold((0, 0u64), |(end, sum), (e, len)| (e.max(end), sum.saturating_add(len)));
            return Ok(end <= meta.len() && bytes == self.bytes);
        }
        Ok(stamp_of(file, parts)? == self)
    }
}

/// Nanoseconds, less a step of the kernel's clock.
fn since_epoch(time: SystemTime) -> u128 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().saturating_sub(STEP).as_nanos()
}

/// Opens what a record speaks of: a file, and no link, pipe or device.
pub fn open(path: &Path) -> io::Result<File> {
    let file = nfs::unlinked().read(true).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// Bytes of the file at `path`; `None` where there is none.
pub fn file_bytes(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().filter(|meta| meta.is_file()).map(|meta| meta.len())
}

/// The stamp of parts of a file, one behind the other.
///
/// # Errors
/// Those of reading; the file ends before a part does.
pub fn stamp_of(file: &File, parts: impl IntoIterator<Item = Extent>) -> io::Result<Stamp> {
    let (mut piece, mut stamp) = (Vec::new(), Stamp::default());
    for Extent { offset, len } in parts {
        let mut done = 0;
        while done < len {
            let bytes = (len - done).min(PIECE_BYTES);
            piece.resize((bytes as usize).max(piece.len()), 0);
            let piece = &mut piece[..bytes as usize];
            file.read_exact_at(piece, offset.saturating_add(done))?;
            stamp.crc32c = crc32c::crc32c_append(stamp.crc32c, piece);
            done += bytes;
        }
        stamp.bytes = stamp.bytes.saturating_add(len);
    }
    Ok(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_or_changed_is_not_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let bytes: Vec<u8> = (0..600_000u32).map(|n| (n.wrapping_mul(n) >> 3) as u8).collect();
        let stamp = Stamp::of(&bytes);
        assert_eq!(Stamp::of(&bytes[..1000]).then(Stamp::of(&bytes[1000..])), stamp);
        fs::write(&path, &bytes).unwrap();
        assert!(stamp.is_of_file(&path, None));
        let later = Some(SystemTime::now() + Duration::from_secs(1));
        for other in [&bytes[..bytes.len() - 1], &[&bytes[..], &[0]].concat(), &[&[!bytes[0]], &bytes[1..]].concat()] {
            fs::write(&path, other).unwrap();
            assert!(!stamp.is_of_file(&path, None));
            // What has not changed since is not read.
            assert_eq!(stamp.is_of_file(&path, later), other.len() == bytes.len());
        }
        fs::write(dir.path().join("b"), &bytes).unwrap();
        std::os::unix::fs::symlink(dir.path().join("b"), dir.path().join("link")).unwrap();
        assert!(["link", "none", ""].iter().all(|name| !stamp.is_of_file(&dir.path().join(name), None)));
    }
}
