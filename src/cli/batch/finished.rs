//! Which targets of a table are finished: one file beside the table, `TABLE.done`, with a line for each. A batch that was
//! stopped resumes from it.
//!
//! The lines stay in the file; only where each begins is kept in memory.

use std::{
    collections::{HashMap, hash_map::RandomState},
    fs::{self, File},
    hash::BuildHasher,
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::table::MOST_ROW_BYTES;
use reslice::{
    checkpoint::staging,
    error::{Error, Result},
    job::Request,
    storage::nfs,
};

/// What is kept of a line: hash and place, in a table with room to spare.
const LINE_BYTES: u64 = 48;
/// The part of the budget that lines may take.
const SHARE: u64 = 8;

/// The file and what it says.
pub(super) struct Finished {
    path: PathBuf,
    /// Where the last line about a target begins, by a hash of the target.
    known: HashMap<u64, u64>,
    hasher: RandomState,
    lines: Option<File>,
}

/// The same file, to be added to.
pub(super) struct Record {
    path: PathBuf,
    file: Option<File>,
}

fn beside(table: &Path) -> PathBuf {
    let mut name = table.as_os_str().to_os_string();
    name.push(".done");
    PathBuf::from(name)
}

impl Finished {
    /// What earlier runs of the table have finished. A file that is not there, or is none, says nothing.
    ///
    /// # Errors
    /// More lines than `memory_bytes` has room for; a file that cannot be read.
    pub(super) fn of_table(table: &Path, memory_bytes: u64) -> Result<Finished> {
        let path = beside(table);
        let is_file = fs::metadata(&path).is_ok_and(|meta| meta.is_file());
        let lines = if is_file { Some(nfs::open(&path).map_err(Error::io("open", &path))?) } else { None };
        let mut finished = Finished { path, known: HashMap::new(), hasher: RandomState::new(), lines };
        finished.scan(memory_bytes / SHARE / LINE_BYTES)?;
        Ok(finished)
    }

    fn scan(&mut self, most: u64) -> Result<()> {
        let Some(file) = &self.lines else { return Ok(()) };
        let (mut input, mut offset, mut bytes) = (BufReader::new(file), 0u64, Vec::new());
        let mut is_begun = false;
        loop {
            bytes.clear();
            let read = input.by_ref().take(MOST_ROW_BYTES).read_until(b'\n', &mut bytes);
            let len = read.map_err(Error::io("read", &self.path))? as u64;
            if len == 0 {
                return Ok(());
            }
            // What is longer than any line of ours goes by in parts.
            if let Some((_, target)) = told(&bytes).filter(|_| !is_begun && bytes.ends_with(b"\n")) {
                self.known.insert(self.hasher.hash_one(target), offset);
                if self.known.len() as u64 > most {
                    let what =
                        format!("{} has more than {most} lines, for which the budget has no room", self.path.display());
                    return Err(Error::usage_hint(what, "use a larger --memory, or remove the file with its targets"));
                }
            }
            is_begun = !bytes.ends_with(b"\n");
            offset += len;
        }
    }

    /// The file `TABLE.done`.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many targets it names.
    pub(super) fn count(&self) -> usize {
        self.known.len()
    }

    /// The fingerprint of the job that made a target.
    pub(super) fn made_by(&self, request: &Request) -> Option<String> {
        let target = key(&request.output);
        let offset = *self.known.get(&self.hasher.hash_one(target.as_str()))?;
        let mut bytes = vec![0; MOST_ROW_BYTES as usize];
        let len = self.lines.as_ref()?.read_at(&mut bytes, offset).ok()?;
        let (fingerprint, found) = told(&bytes[..len])?;
        (found == target).then(|| fingerprint.to_string())
    }
}

impl Record {
    /// Nothing is written before a target is finished.
    pub(super) fn of_table(table: &Path) -> Record {
        Record { path: beside(table), file: None }
    }

    /// Puts a finished target on record, and takes away the note beside it that said so until now. Where nothing can be written
    /// beside the table, the note stays.
    pub(super) fn note(&mut self, target: &Path, fingerprint: &str) {
        if self.append(target, fingerprint).is_ok() {
            staging::remove_note(target);
        }
    }

    fn append(&mut self, target: &Path, fingerprint: &str) -> Result<()> {
        let failed = |error| Error::io("write", &self.path)(error);
        if self.file.is_none() {
            self.file = Some(nfs::unlinked().append(true).create(true).open(&self.path).map_err(failed)?);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(format!("{fingerprint}\t{}\n", key(target)).as_bytes()).map_err(failed)
    }

    /// Removes the file: all targets are there, and nobody asked to be told so again.
    pub(super) fn forget(&self) {
        // Only for tidiness.
        let _ = fs::remove_file(&self.path);
    }
}

/// Fingerprint and target of the first line; a line that was torn has no tab, or a target that no row has.
fn told(bytes: &[u8]) -> Option<(&str, &str)> {
    let line = bytes.split(|&byte| byte == b'\n').next()?;
    std::str::from_utf8(line).ok()?.split_once('\t')
}

/// A target as the file names it.
fn key(target: &Path) -> String {
    std::path::absolute(target).unwrap_or_else(|_| target.to_path_buf()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_line_about_a_target_counts() {
        let dir = tempfile::tempdir().unwrap();
        let table = dir.path().join("jobs.tsv");
        let made_by = |finished: &Finished, target: &str| finished.made_by(&Request::new("a.nii", target, 1 << 30, 1));
        let mut record = Record::of_table(&table);
        for (target, fingerprint) in [("/a.nii", "old"), ("/b.nii", "b"), ("/a.nii", "new")] {
            record.note(Path::new(target), fingerprint);
        }
        let path = dir.path().join("jobs.tsv.done");
        let long = "x".repeat(200_000);
        fs::write(&path, [fs::read(&path).unwrap(), format!("{long}\t/a.nii\nno tab\nz\t/c.n").into_bytes()].concat())
            .unwrap();
        let finished = Finished::of_table(&table, 1 << 30).unwrap();
        assert_eq!(made_by(&finished, "/a.nii").as_deref(), Some("new"));
        assert_eq!(made_by(&finished, "/b.nii").as_deref(), Some("b"));
        assert_eq!((made_by(&finished, "/c.n"), made_by(&finished, "/d.nii")), (None, None));
        assert!(Finished::of_table(&table, 8 * LINE_BYTES).is_err());
        record.forget();
        assert!(!path.exists());
    }
}
