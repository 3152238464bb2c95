//! Which files of a staging folder a run has made; the folder's name alone does not tell.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use super::{LEVEL_NOTES, TARGET_NOTES, state_folder};
use crate::{
    error::{Error, Result},
    storage::nfs,
};

/// Names that runs leave there, and what follows a `.` after one of them while it is being written.
const NAMES: [&str; 9] = [
    TARGET_NOTES.job,
    TARGET_NOTES.finished,
    LEVEL_NOTES.job,
    LEVEL_NOTES.finished,
    "ranks.json",
    "target",
    "levels",
    "levels-built",
    "group.json",
];
/// How the names begin that differ from run to run.
const BEGINNINGS: [&str; 6] = ["lease-", "journal-", "clock-", "scratch-", "replaced-", "former-"];
/// What file servers put in place of files that were removed while they were open.
const SERVERS: [&str; 2] = [".nfs", ".fuse_hidden"];

/// Whether a run of ours leaves a file or folder of that name.
pub(super) fn is_ours(name: &str) -> bool {
    let is_written =
        |known: &str| name.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    NAMES.iter().any(|known| is_written(known)) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

/// Refuses a folder beside `target` that holds what is not ours, or is none. Whether there is one.
///
/// # Errors
/// Those, and the folder cannot be listed.
pub fn check_folder(target: &Path) -> Result<bool> {
    let folder = state_folder(target);
    // A link would have whatever it leads to emptied.
    let Some(meta) = nfs::look_at(&folder)? else { return Ok(false) };
    if !meta.is_dir() {
        return Err(Error::malformed(&folder, "file type", "not a folder", "a folder, or nothing"));
    }
    let entries = nfs::uninterrupted(|| fs::read_dir(&folder)).map_err(Error::io("list", &folder))?;
    for entry in entries {
        let name = entry.map_err(Error::io("list", &folder))?.file_name();
        let name = name.to_string_lossy();
        if !is_ours(&name) && !SERVERS.iter().any(|server| name.starts_with(server)) {
            return Err(Error::Unsupported {
                path: folder.clone(),
                what: format!("holds '{name}', which no run has left there"),
                hint: Some("move it away, or choose another name for the target".into()),
            });
        }
    }
    Ok(true)
}

/// Refuses a link under the target's name that another user has made: what it leads to is not known to this one.
pub(super) fn refuse_others_link(target: &Path) -> Result<()> {
    let Some(meta) = nfs::look_at(target)?.filter(|meta| meta.is_symlink()) else { return Ok(()) };
    let own = fs::metadata("/proc/self").map(|own| own.uid());
    match own {
        Ok(own) if own != meta.uid() => {
            let found = format!("a link that user {} has made", meta.uid());
            Err(Error::malformed(target, "file type", found, "a file or folder, or a link of your own"))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("look at", "/proc/self")(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_runs_are_ours() {
        for name in [
            "job.json",
            "job.json.host-1-0-2.part",
            "target",
            "target.hdr",
            "target.host-1-0-2.from-7",
            "lease-0-of-1",
            "journal-host-1-0-2",
            "replaced-0",
            "levels-built",
            "scratch-host-1-0-2",
        ] {
            assert!(is_ours(name), "{name}");
        }
        for name in ["", "letter.txt", "targets", "job.jsonl", ".", "journal", "Target", "levels-of-mine"] {
            assert!(!is_ours(name), "{name}");
        }
    }
}
