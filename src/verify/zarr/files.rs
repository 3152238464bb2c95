//! The files of a store, one after the other.

use std::{fs, ops::ControlFlow, path::Path};

use crate::{
    error::{Error, Result},
    storage::{Store, StoreError},
};

/// One entry of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    /// The key of a file, below the root.
    File(&'a str),
    /// A folder by way of a link, which is not followed: what is below it is not listed.
    LinkedFolder(&'a str),
}

/// Visits every file of a store, in no particular order; nothing is collected. False where the store cannot be listed.
///
/// # Errors
/// [`Error::Io`] for what cannot be listed, and what `visit` returns.
pub(crate) fn list(store: &dyn Store, visit: &mut dyn FnMut(Entry<'_>) -> Result<()>) -> Result<bool> {
    if let Some(folder) = store.folder() {
        return list_folder(folder, visit).map(|()| true);
    }
    let mut outcome = Ok(());
    let listing = store.list("", &mut |key, _| {
        outcome = visit(Entry::File(key));
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    outcome?;
    match listing {
        Err(StoreError::Unsupported(_)) => Ok(false),
        other => other.map(|()| true).map_err(|error| error.at("list", store.describe(""))),
    }
}

/// A folder, with what links name, which a store's own listing leaves out: links are followed when chunks are read. Holds one
/// open folder per level.
fn list_folder(root: &Path, visit: &mut dyn FnMut(Entry<'_>) -> Result<()>) -> Result<()> {
    let mut open = vec![(root.to_path_buf(), fs::read_dir(root).map_err(Error::io("list", root))?)];
    while let Some((folder, entries)) = open.last_mut() {
        let Some(entry) = entries.next() else {
            open.pop();
            continue;
        };
        let entry = entry.map_err(Error::io("list", &*folder))?;
        let path = entry.path();
        let mut kind = entry.file_type().map_err(Error::io("inspect", &path))?;
        let linked = kind.is_symlink();
        if linked {
            // A link to nowhere is a file that is of no use.
            kind = fs::metadata(&path).map_or(kind, |meta| meta.file_type());
        }
        match kind.is_dir() {
            true if linked => visit(Entry::LinkedFolder(&key(root, &path)))?,
            true => {
                let entries = fs::read_dir(&path).map_err(Error::io("list", &path))?;
                open.push((path, entries));
            }
            false => visit(Entry::File(&key(root, &path)))?,
        }
    }
    Ok(())
}

fn key(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}
