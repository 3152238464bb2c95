//! Disk space: what a target and a scratch file take, as far as that is known before they are written, and what is free.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use bytesize::ByteSize;
use serde::Serialize;

use crate::{
    error::{Error, Result},
    sys,
};

mod prospect;

pub(super) use prospect::{Packing, Prospect, RawBytes};

/// How large a target becomes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TargetSize {
    /// Of the finest level, or the only one, before compression.
    pub raw_bytes: u64,
    /// Of each coarser level, before compression.
    pub level_raw_bytes: Vec<u64>,
    /// Of all levels before compression, as they are stored: chunks at the faces of the grid whole, with the indexes of shards.
    pub whole_bytes: u64,
    /// Files with voxels, of all levels.
    pub files: u64,
    pub is_compressed: bool,
    /// Of all levels, at the source's ratio, or exact without compression; nothing where the source is not compressed.
    pub estimated_bytes: Option<u64>,
    /// No target of this grid takes less.
    pub least_bytes: u64,
    /// Stored bytes of the source over its bytes before compression, where it is compressed.
    pub source_ratio: Option<f64>,
}

/// What goes to one folder.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub folder: PathBuf,
    pub least_bytes: u64,
    /// `None` where nothing is known but the most.
    pub estimated_bytes: Option<u64>,
    pub most_bytes: u64,
}

impl Part {
    /// Files that may take that many bytes for a while, compressed as the target is.
    pub(super) fn aside(folder: PathBuf, bytes: u64, size: &TargetSize) -> Part {
        let share = bytes as f64 / size.whole_bytes.max(1) as f64;
        let estimated_bytes = size.estimated_bytes.map(|estimated| (estimated as f64 * share) as u64);
        Part { folder, least_bytes: 0, estimated_bytes, most_bytes: bytes }
    }

    /// A file of that many bytes.
    pub(super) fn exact(folder: PathBuf, bytes: u64) -> Part {
        Part { folder, least_bytes: bytes, estimated_bytes: Some(bytes), most_bytes: bytes }
    }

    /// What so many copies of it take.
    pub(super) fn times(self, copies: u64) -> Part {
        let times = |bytes: u64| bytes.saturating_mul(copies);
        Part {
            least_bytes: times(self.least_bytes),
            estimated_bytes: self.estimated_bytes.map(times),
            most_bytes: times(self.most_bytes),
            ..self
        }
    }

    /// The bytes that still need room when `held_bytes` are on the disk; the lower bound is that of one of `ranks` shares.
    pub(super) fn rest(self, held_bytes: u64, ranks: u64) -> Part {
        let rest = |bytes: u64| bytes.saturating_sub(held_bytes);
        Part {
            least_bytes: rest(self.least_bytes) / ranks.max(1),
            estimated_bytes: self.estimated_bytes.map(rest),
            most_bytes: rest(self.most_bytes),
            ..self
        }
    }
}

/// Files of an unfinished target that are counted at most.
const MOST_FILES: usize = 100_000;

/// Bytes that the files in `folder` and below take on the disk, without scratch files, which no run goes on with. What cannot be
/// looked at counts for nothing.
pub(super) fn held_bytes(folder: &Path) -> u64 {
    let (mut folders, mut bytes, mut files) = (vec![folder.to_path_buf()], 0u64, 0);
    while let Some(entries) = folders.pop().and_then(|folder| fs::read_dir(folder).ok()) {
        for entry in entries.flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                folders.push(entry.path());
            } else if !entry.file_name().to_string_lossy().starts_with("scratch-") {
                // A file may be longer than what is written of it.
                bytes = bytes.saturating_add(meta.blocks().saturating_mul(512));
            }
            files += 1;
            if files == MOST_FILES {
                return bytes;
            }
        }
    }
    bytes
}

/// What one file system is to take, and what it has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Disk {
    pub folder: String,
    /// For this user.
    pub free_bytes: u64,
    /// What is needed at the least.
    pub least_bytes: u64,
    /// What is needed about; nothing where only the most is known.
    pub estimated_bytes: Option<u64>,
    /// What is needed at most, without what compression may add.
    pub most_bytes: u64,
}

/// How what is needed stands to what is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    Fits,
    MayNotFit,
    DoesNotFit,
}

impl Disk {
    /// Whether what is to be written fits.
    pub fn fit(&self) -> Fit {
        match self {
            Disk { least_bytes, free_bytes, .. } if least_bytes > free_bytes => Fit::DoesNotFit,
            Disk { free_bytes, .. } if self.estimated_bytes.unwrap_or(self.most_bytes) > *free_bytes => Fit::MayNotFit,
            _ => Fit::Fits,
        }
    }

    /// `12.0 MiB`, `about 12.0 MiB at the source's ratio`, `at most 12.0 MiB, before compression`.
    pub fn needed(&self) -> String {
        let bytes = |n: u64| ByteSize(n).display().iec().to_string();
        match self.estimated_bytes {
            Some(exact) if exact == self.most_bytes => bytes(exact),
            Some(about) => format!("about {}, compressed as the source is", bytes(about)),
            None => format!("at most {}, before compression", bytes(self.most_bytes)),
        }
    }

    /// The error where it does not fit.
    pub fn refusal(&self, output: &Path) -> Option<Error> {
        let bytes = |n: u64| ByteSize(n).display().iec().to_string();
        let at_least = if self.estimated_bytes == Some(self.least_bytes) { "" } else { "at least " };
        (self.fit() == Fit::DoesNotFit).then(|| {
            let (output, least, free) = (output.display(), bytes(self.least_bytes), bytes(self.free_bytes));
            let (exact, folder) = (self.least_bytes, &self.folder);
            let what = format!(
                "{output} needs {at_least}{least} ({exact} bytes), and {folder} has {free} free ({})",
                self.free_bytes
            );
            Error::usage_hint(what, "free some space, write to another disk, or go on with --no-disk-check")
        })
    }

    /// What to say where it may not fit.
    pub fn warning(&self, output: &Path) -> Option<String> {
        (self.fit() == Fit::MayNotFit).then(|| {
            let (output, free) = (output.display(), ByteSize(self.free_bytes).display().iec());
            format!("{output} may not fit: {free} are free in {}, it needs {}", self.folder, self.needed())
        })
    }
}

/// The file systems that the parts go to, each once; those that do not say what is free are left out.
pub(super) fn disks(parts: &[Part]) -> Vec<Disk> {
    let parts = parts.iter().filter(|part| part.most_bytes > 0);
    let found = parts.filter_map(|part| {
        let folder = existing(&part.folder);
        let device = fs::metadata(&folder).ok()?.dev();
        Some((device, sys::free_bytes(&folder)?, Part { folder, ..part.clone() }))
    });
    by_device(found)
}

/// One disk for each device; what several parts need of it is added up.
fn by_device(parts: impl Iterator<Item = (u64, u64, Part)>) -> Vec<Disk> {
    let mut disks: Vec<(u64, Disk)> = Vec::new();
    for (device, free_bytes, Part { folder, least_bytes, estimated_bytes, most_bytes }) in parts {
        match disks.iter_mut().find(|(known, _)| *known == device) {
            Some((_, disk)) => {
                disk.least_bytes = disk.least_bytes.saturating_add(least_bytes);
                disk.most_bytes = disk.most_bytes.saturating_add(most_bytes);
                disk.estimated_bytes = disk.estimated_bytes.zip(estimated_bytes).map(|(a, b)| a.saturating_add(b));
                disk.free_bytes = disk.free_bytes.min(free_bytes);
            }
            None => {
                let folder = folder.display().to_string();
                disks.push((device, Disk { folder, free_bytes, least_bytes, estimated_bytes, most_bytes }));
            }
        }
    }
    disks.into_iter().map(|(_, disk)| disk).collect()
}

/// The folder, or the first above it that is there, by its whole name.
fn existing(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    let found = absolute.ancestors().find(|folder| folder.exists()).map(Path::to_path_buf);
    found.unwrap_or(absolute)
}

/// Refuses what cannot fit.
pub(super) fn check(disks: &[Disk], output: &Path) -> Result<()> {
    disks.iter().find_map(|disk| disk.refusal(output)).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(folder: &str, least_bytes: u64, estimated_bytes: Option<u64>, most_bytes: u64) -> Part {
        Part { folder: folder.into(), least_bytes, estimated_bytes, most_bytes }
    }

    #[test]
    fn what_waits_for_its_shard_is_compressed_as_the_target_is() {
        let size = TargetSize { whole_bytes: 1000, estimated_bytes: Some(500), ..TargetSize::default() };
        let aside = Part::aside("a".into(), 400, &size);
        assert_eq!((aside.least_bytes, aside.estimated_bytes, aside.most_bytes), (0, Some(200), 400));
        let unknown = TargetSize { estimated_bytes: None, ..size };
        assert_eq!(Part::aside("a".into(), 400, &unknown).estimated_bytes, None);
    }

    #[test]
    fn what_is_there_is_counted_and_a_share_is_held_against_the_disk() {
        let rest = part("a", 1000, Some(2000), 4000).rest(600, 2);
        assert_eq!((rest.least_bytes, rest.estimated_bytes, rest.most_bytes), (200, Some(1400), 3400));
        assert_eq!(Part::exact("a".into(), 1000).rest(1000, 1).most_bytes, 0);
        // A folder, and an archive that is half packed.
        assert_eq!(Part::exact("a".into(), 1000).times(2).rest(1500, 1).most_bytes, 500);
    }

    #[test]
    fn what_is_written_of_files_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("target")).unwrap();
        fs::write(dir.path().join("target/chunk"), vec![1; 100_000]).unwrap();
        fs::write(dir.path().join("scratch-1"), vec![1; 1 << 20]).unwrap();
        // Only a length.
        fs::File::create(dir.path().join("sparse")).unwrap().set_len(1 << 30).unwrap();
        let held = held_bytes(dir.path());
        assert!((100_000..300_000).contains(&held), "{held}");
        assert_eq!(held_bytes(&dir.path().join("none")), 0);
    }

    #[test]
    fn one_file_system_is_counted_once() {
        let parts = [
            (7, 100, part("a", 60, Some(60), 60)),
            (9, 50, part("b", 10, None, 90)),
            (7, 90, part("c", 40, Some(40), 40)),
        ];
        let disks = by_device(parts.into_iter());
        assert_eq!(disks.len(), 2);
        assert_eq!((disks[0].folder.as_str(), disks[0].least_bytes, disks[0].free_bytes), ("a", 100, 90));
        assert_eq!([disks[0].fit(), disks[1].fit()], [Fit::DoesNotFit, Fit::MayNotFit]);
    }

    #[test]
    fn refusals_say_what_is_needed_and_what_is_free() {
        let disk = |least_bytes, estimated_bytes| Disk {
            folder: "/d".into(),
            free_bytes: 1 << 20,
            least_bytes,
            estimated_bytes,
            most_bytes: 3 << 20,
        };
        let exact = disk(3 << 20, Some(3 << 20));
        assert_eq!(exact.needed(), "3.0 MiB");
        let told = exact.refusal(Path::new("o.nii")).unwrap();
        assert_eq!(told.to_string(), "o.nii needs 3.0 MiB (3145728 bytes), and /d has 1.0 MiB free (1048576)");
        assert!(told.exit_code() == 2 && told.hint().unwrap().contains("--no-disk-check"));
        assert!(
            disk(2 << 20, Some(5 << 20))
                .refusal(Path::new("o"))
                .unwrap()
                .to_string()
                .contains("needs at least 2.0 MiB")
        );
        assert_eq!(disk(1 << 20, Some(1 << 20)).fit(), Fit::Fits);
        let perhaps = disk(0, None).warning(Path::new("o.nii.gz")).unwrap();
        assert_eq!(
            perhaps,
            "o.nii.gz may not fit: 1.0 MiB are free in /d, it needs at most 3.0 MiB, before compression"
        );
        assert!(disk(0, Some(0)).warning(Path::new("o")).is_none());
    }
}
