//! What was found.

use serde::Serialize;

use super::Request;
use crate::error::Error;

/// Part of the memory budget that kept problems and strays may take.
const KEPT_SHARE: u64 = 16;

/// The answer.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub file: String,
    pub format: String,
    pub arrays: Vec<ArrayReport>,
    /// Trouble outside of chunks: metadata, folders. The first ones, as far as they are kept.
    pub problems: Vec<Problem>,
    /// All problems, those of arrays included.
    pub problem_count: u64,
    /// Files, or folders (with a `/`), that belong to no array or group that the metadata name; the first ones.
    pub strays: Vec<String>,
    pub stray_files: u64,
    /// What is odd and no damage, one line each.
    pub notes: Vec<String>,
    /// Complete, and every chunk whole.
    pub ok: bool,
    /// No chunk of any array is there, and no array says that its chunks were left out.
    pub empty: bool,
    pub seconds: f64,
    pub memory_bytes: u64,
    /// Highest resident memory of the process so far, as the kernel counts it.
    pub peak_bytes: u64,
    #[serde(skip)]
    room: Kept,
}

/// One array; `present + missing + bad` is `chunks`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ArrayReport {
    /// Below the file; empty for the file itself.
    pub path: String,
    /// How it is stored: version, codecs, shards.
    pub storage: String,
    /// (Inner) chunks by shape and chunking. A NIfTI file is one chunk.
    pub chunks: u64,
    /// There, and whole.
    pub present: u64,
    /// Absent: they are read as the fill value.
    pub missing: u64,
    /// Left out on purpose, where the array says so.
    pub expected_missing: Option<u64>,
    /// There, and not readable.
    pub bad: u64,
    /// Of whole chunks and of shard indexes.
    pub stored_bytes: u64,
    /// Of whole chunks.
    pub decoded_bytes: u64,
    pub problem_count: u64,
    /// The first ones, as far as they are kept.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    /// Key of the chunk, with its place within the shard.
    pub chunk: Option<String>,
    /// Coordinates in the grid of (inner) chunks, in the array's own order of dimensions.
    pub index: Option<Vec<u64>>,
    pub stored_bytes: Option<u64>,
    pub what: String,
}

impl Problem {
    /// A problem in words.
    pub fn text(what: impl Into<String>) -> Problem {
        Problem { chunk: None, index: None, stored_bytes: None, what: what.into() }
    }

    /// An error, with its causes in one line.
    pub fn of(error: &Error, index: Option<&[u64]>) -> Problem {
        if let Error::Chunk { chunk, stored_bytes, what, .. } = error {
            return Problem {
                chunk: Some(chunk.clone()),
                index: index.map(<[u64]>::to_vec),
                stored_bytes: Some(*stored_bytes),
                what: what.clone(),
            };
        }
        let mut what = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(source) = cause {
            what += &format!(": {source}");
            cause = source.source();
        }
        Problem { index: index.map(<[u64]>::to_vec), ..Problem::text(what) }
    }

    fn bytes(&self) -> u64 {
        let index = self.index.as_ref().map_or(0, |index| index.len() * 8);
        (size_of::<Problem>() + self.what.len() + self.chunk.as_ref().map_or(0, String::len) + index) as u64
    }
}

/// What may still be kept.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    problems: usize,
    strays: usize,
    bytes: u64,
}

impl Kept {
    fn take(count: &mut usize, bytes_left: &mut u64, bytes: u64) -> bool {
        let fits = *count > 0 && *bytes_left >= bytes;
        if fits {
            *count -= 1;
            *bytes_left -= bytes;
        }
        fits
    }
}

impl Report {
    /// A report of nothing so far.
    pub fn new(file: String, request: &Request) -> Report {
        let room = Kept {
            problems: request.most_problems,
            strays: request.most_problems,
            bytes: request.memory_bytes / KEPT_SHARE,
        };
        Report { file, memory_bytes: request.memory_bytes, room, ..Report::default() }
    }

    /// Counts a problem outside of arrays, and keeps it if there is room.
    pub fn add(&mut self, problem: Problem) {
        self.problem_count += 1;
        if Kept::take(&mut self.room.problems, &mut self.room.bytes, problem.bytes()) {
            self.problems.push(problem);
        }
    }

    /// Counts a problem of an array, and keeps it if there is room.
    pub fn add_to(&mut self, array: &mut ArrayReport, problem: Problem) {
        self.problem_count += 1;
        array.problem_count += 1;
        if Kept::take(&mut self.room.problems, &mut self.room.bytes, problem.bytes()) {
            array.problems.push(problem);
        }
    }

    /// Counts a stray file; a folder is kept once.
    pub fn stray(&mut self, name: String) {
        self.stray_files += 1;
        let again = name.ends_with('/') && self.strays.contains(&name);
        if !again && Kept::take(&mut self.room.strays, &mut self.room.bytes, name.len() as u64 + 24) {
            self.strays.push(name);
        }
    }

    /// With the verdict.
    pub fn concluded(mut self) -> Report {
        self.strays.sort_unstable();
        let is_empty = |array: &ArrayReport| {
            array.missing > 0 && array.missing == array.chunks && array.expected_missing.is_none()
        };
        self.empty = !self.arrays.is_empty() && self.arrays.iter().all(is_empty);
        self.ok = self.problem_count == 0 && self.arrays.iter().all(|array| array.bad == 0);
        self
    }
}
