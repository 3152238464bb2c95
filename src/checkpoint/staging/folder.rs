//! Operations on the staging folder and on names in it.

use std::{fs, io, path::Path};

use super::{LEVEL_NOTES, NOTES, Notes, TARGET_NOTES, check_folder, ours::is_ours, state_folder};
use crate::{
    checkpoint::lease::is_lease,
    error::{Error, Result},
    storage::nfs,
};

/// Removes the note of a finished job beside a local target, and the folder that it is in, should it be empty then.
pub fn remove_note(target: &Path) {
    let folder = state_folder(target);
    // Only for tidiness: what cannot be removed stays, and what is not ours.
    if !check_folder(target).unwrap_or(false) {
        return;
    }
    let _ = fs::remove_file(folder.join(TARGET_NOTES.finished));
    let _ = fs::remove_dir(&folder);
}

/// Removes what earlier runs left, except leases, and except what levels are added to; whether there was anything but notes of
/// finished jobs.
pub(super) fn clear(folder: &Path, notes: Notes) -> Result<bool> {
    let is_beneath = |name: &str| notes == LEVEL_NOTES && name == TARGET_NOTES.finished;
    clear_but(folder, |name| is_lease(name) || is_beneath(name))
}

/// Removes everything of ours but the names that are to be kept; whether any of it was more than the note of a finished job. Links are
/// removed, not followed.
pub(super) fn clear_but(folder: &Path, is_kept: impl Fn(&str) -> bool) -> Result<bool> {
    let mut found = false;
    let entries = nfs::uninterrupted(|| fs::read_dir(folder)).map_err(Error::io("list", folder))?;
    for entry in entries {
        let entry = entry.map_err(Error::io("list", folder))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if is_kept(&name) || !is_ours(&name) {
            continue;
        }
        found |= !NOTES.iter().any(|note| entry.file_name() == *note);
        let path = entry.path();
        let kind = entry.file_type().map_err(Error::io("look at", &path))?;
        let remove = || if kind.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        let removed = nfs::uninterrupted(remove);
        match removed {
            // Another run clears too.
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", &path)(e)),
            _ => {}
        }
    }
    Ok(found)
}

/// Makes the renames durable.
pub(super) fn sync(folder: Option<&Path>) -> Result<()> {
    let folder = match folder {
        Some(path) if !path.as_os_str().is_empty() => path,
        _ => Path::new("."),
    };
    let opened = fs::File::open(folder).map_err(Error::io("open", folder))?;
    opened.sync_all().map_err(Error::io("write back", folder))
}
