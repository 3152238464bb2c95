//! Which targets of a table are finished: one file beside the table, `TABLE.done`, with a line for each, so that a batch that was
//! stopped can be gone on with and no target keeps a folder of its own for that.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, Result},
    io::{staging, steady},
    job::Request,
};

/// Bytes of the file that are read at most.
const MOST_BYTES: u64 = 64 << 20;

/// The file and what it says.
pub struct Finished {
    path: PathBuf,
    /// Fingerprints of the jobs, by their targets.
    known: HashMap<String, String>,
    file: Option<File>,
}

impl Finished {
    /// What earlier runs of the table have finished. A file that cannot be read says nothing.
    pub fn of_table(table: &Path) -> Finished {
        let mut name = table.as_os_str().to_os_string();
        name.push(".done");
        let path = PathBuf::from(name);
        let is_small = fs::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() <= MOST_BYTES);
        let text =
            if is_small { steady::open(&path).and_then(io::read_to_string).unwrap_or_default() } else { String::new() };
        // A line that was torn has no tab, or a target that no row has.
        let lines = text.lines().filter_map(|line| line.split_once('\t'));
        let known = lines.map(|(fingerprint, target)| (target.to_string(), fingerprint.to_string())).collect();
        Finished { path, known, file: None }
    }

    /// The fingerprint of the job that made a target.
    pub fn made_by(&self, request: &Request) -> Option<String> {
        self.known.get(&key(&request.output)).cloned()
    }

    /// Puts a finished target on record, and takes away the note beside it that said so until now. Where nothing can be written
    /// beside the table, the note stays.
    pub fn note(&mut self, target: &Path, fingerprint: &str) {
        if self.append(target, fingerprint).is_ok() {
            staging::remove_note(target);
        }
    }

    fn append(&mut self, target: &Path, fingerprint: &str) -> Result<()> {
        let failed = |error| Error::io("write", &self.path)(error);
        if self.file.is_none() {
            self.file = Some(steady::unlinked().append(true).create(true).open(&self.path).map_err(failed)?);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(format!("{fingerprint}\t{}\n", key(target)).as_bytes()).map_err(failed)
    }

    /// Removes the file: all targets are there, and nobody asked to be told so again.
    pub fn forget(self) {
        // Only for tidiness.
        let _ = fs::remove_file(&self.path);
    }
}

/// A target as the file names it.
fn key(target: &Path) -> String {
    std::path::absolute(target).unwrap_or_else(|_| target.to_path_buf()).to_string_lossy().into_owned()
}
