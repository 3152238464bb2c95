//! The one error type of the crate.
//!
//! Messages are lower case, say what could not be done with the numbers in it, and leave the way out to [`Error::hint`].
//! Planning refusals live beside it in [`crate::error::PlanError`].

mod memory;

use std::path::{Path, PathBuf};

pub use memory::{Instead, PlanError, mebibytes};

/// Shorthand used throughout the crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, with the place where it did.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operating-system call on `path` did not succeed.
    #[error("cannot {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },

    /// A file is not what its format asks for; `field` is the part that lies.
    #[error("{}: {field} is {found}, expected {expected}", path.display())]
    Malformed { path: PathBuf, field: String, found: String, expected: String },

    /// A compressed stream is damaged or ends early.
    #[error("{}: {what} at byte {offset} of the compressed file", path.display())]
    Stream { path: PathBuf, what: String, offset: u64 },

    /// One storage chunk could not be read or written.
    #[error("cannot {action} chunk {chunk} ({stored_bytes} stored bytes) of {}: {what}", path.display())]
    Chunk { action: &'static str, path: PathBuf, chunk: String, stored_bytes: u64, what: String },

    /// More chunks of an array of ours are absent than were left out when it was written.
    #[error(
        "{}: {absent} of {chunks} chunks are absent, and {left_out} were left out when it was written: the others are lost",
        path.display()
    )]
    Lost { path: PathBuf, absent: u64, chunks: u64, left_out: u64 },

    /// The data is valid, but this program does not handle it.
    #[error("{}: {what}", path.display())]
    Unsupported { path: PathBuf, what: String, hint: Option<String> },

    /// The request itself makes no sense; exit code 2.
    #[error("{what}")]
    Usage { what: String, hint: Option<String> },

    /// The target is already there.
    #[error("{} already exists", path.display())]
    TargetExists { path: PathBuf },

    /// Another process is building the same target.
    #[error("another run is building {}: {by}", path.display())]
    TargetBusy { path: PathBuf, by: String },

    /// What an unfinished or finished run has left is of another job.
    #[error("{} is of another job: {difference}", path.display())]
    OtherJob { path: PathBuf, difference: String },

    /// An unfinished run has stored work, and the request does not say what is to become of it.
    #[error("{} holds {}", path.display(), held(*share, difference.as_deref()))]
    Unfinished {
        path: PathBuf,
        /// Of the target, 0 to 1.
        share: f64,
        /// From this job, where it is of another.
        difference: Option<String>,
    },

    /// No plan fits the budget.
    #[error(transparent)]
    Plan(#[from] PlanError),

    /// Reading the source voxels of one block did not succeed.
    #[error("cannot read volume {outer}, region {region} of the source")]
    Read {
        outer: u64,
        region: crate::region::Region,
        #[source]
        source: Box<Error>,
    },

    /// Writing one region of the target did not succeed.
    #[error("cannot write volume {outer}, region {region} of the target")]
    Write {
        outer: u64,
        region: crate::region::Region,
        #[source]
        source: Box<Error>,
    },

    /// One job of a batch cannot be run; none was begun.
    #[error("cannot run the job in line {line} of {}", table.display())]
    Row {
        table: PathBuf,
        /// From 1.
        line: usize,
        #[source]
        source: Box<Error>,
    },

    /// A worker panicked; the message is the panic's own.
    #[error("a worker panicked: {message}")]
    Panic { message: String },

    /// A limit of address space does not leave what the plan takes.
    #[error("the plan takes {} MiB in {threads} threads, and {set_by} of {} MiB leaves {} MiB for that", mib(*projected_bytes), mib(*limit_bytes), mib(*left_bytes))]
    AddressSpace { projected_bytes: u64, left_bytes: u64, limit_bytes: u64, threads: usize, set_by: &'static str },

    /// The system grants no more threads.
    #[error("no thread to be had for {what}")]
    Threads {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },

    /// The run was asked to stop before it was complete.
    #[error("stopped after {blocks_done} of {blocks} blocks")]
    Stopped { blocks_done: u64, blocks: u64 },
}

impl Error {
    /// Wraps an [`std::io::Error`] with what was being done to which file.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Error {
        move |source| Error::Io { action, path: path.as_ref().to_path_buf(), source }
    }

    /// A field of a file that is not what the format asks for.
    pub fn malformed(
        path: impl AsRef<Path>,
        field: impl Into<String>,
        found: impl ToString,
        expected: impl Into<String>,
    ) -> Error {
        Error::Malformed {
            path: path.as_ref().to_path_buf(),
            field: field.into(),
            found: found.to_string(),
            expected: expected.into(),
        }
    }

    /// A request that makes no sense, without a hint.
    pub fn usage(what: impl Into<String>) -> Error {
        Error::Usage { what: what.into(), hint: None }
    }

    /// A request that makes no sense, and the way out.
    pub fn usage_hint(what: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Usage { what: what.into(), hint: Some(hint.into()) }
    }

    /// The way out, where there is one. It names the options of the command: `--overwrite` is `request.target.overwrite`, `--memory` is
    /// `request.memory_bytes`, and so on.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Usage { hint, .. } | Error::Unsupported { hint, .. } => hint.clone(),
            Error::Lost { .. } => Some(
                "bring the files back; or, where another program has removed chunks that are all fill, take `empty_chunks` out of \
                 the array's attribute `reslice`"
                    .into(),
            ),
            Error::TargetExists { .. } => Some("use --overwrite to replace it, or another name".into()),
            Error::OtherJob { path, .. } if is_unfinished(path) => {
                Some("the same arguments go on with it, --restart in place of --resume or --rank begins anew".into())
            }
            Error::OtherJob { .. } => Some("--overwrite in place of --resume or --rank replaces it".into()),
            Error::Unfinished { difference: None, .. } => Some("--resume goes on, --restart begins anew".into()),
            Error::Unfinished { .. } => Some("--restart begins anew, or choose another name".into()),
            Error::Io { action: "write into", source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Some("--parents makes the folder".into())
            }
            Error::AddressSpace { left_bytes, .. } => Some(format!(
                "use --memory {}MiB or fewer --threads, or raise the limit (ulimit -v, ulimit -d)",
                left_bytes >> 20
            )),
            Error::Threads { .. } => Some(
                "use fewer with --threads, or raise the limit of processes (ulimit -u) or of address space (ulimit -v)".into(),
            ),
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::FileTooLarge => {
                Some("raise the limit of a file's size (ulimit -f), or write to another file system".into())
            }
            Error::Stopped { .. } => Some("the same command with --resume goes on from here".into()),
            Error::TargetBusy { .. } => Some("wait for it to end, or choose another name".into()),
            Error::Plan(plan) => plan.hint(),
            Error::Read { source, .. } | Error::Write { source, .. } | Error::Row { source, .. } => source.hint(),
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some space, or write to another disk".into())
            }
            Error::Io { source, path, .. } if is_denied_url(source, path) => Some(
                "credentials come from the environment and the usual files; AWS_SKIP_SIGNATURE=true reads public buckets".into(),
            ),
            _ => None,
        }
    }

    /// Exit code of the command: 2 for usage and budgets that are too small, 75 for a requested stop, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage { .. } | Error::TargetExists { .. } | Error::OtherJob { .. } | Error::Unfinished { .. } => 2,
            Error::Plan(_) => 2,
            Error::Stopped { .. } => 75,
            Error::Row { source, .. } => source.exit_code(),
            _ => 1,
        }
    }
}

/// Whether what is said of `path` is said of the folder in which a target is built.
fn is_unfinished(path: &Path) -> bool {
    path.to_string_lossy().trim_end_matches('/').ends_with(".reslice")
}

/// In whole MiB, rounded up.
fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// `61 % of this job`
fn held(share: f64, difference: Option<&str>) -> String {
    let percent = if share < 0.01 { "less than 1 %".into() } else { format!("{:.0} %", (share * 100.0).floor()) };
    match difference {
        None => format!("{percent} of this job"),
        Some(difference) => format!("unfinished work of another job: {difference}"),
    }
}

fn is_denied_url(source: &std::io::Error, path: &Path) -> bool {
    source.kind() == std::io::ErrorKind::PermissionDenied && path.to_string_lossy().contains("://")
}
