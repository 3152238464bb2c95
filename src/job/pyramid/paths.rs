//! Paths of the levels of a store. They come from a document that anybody may have written, so they are checked before
//! anything is moved or removed.

use std::path::Path;

use crate::{
    error::{Error, Result},
    io::zarr::ZarrFile,
    job::InPlaceRequest,
    storage::nfs,
};

/// Refuses to replace levels that are there, unless that is asked for.
pub(crate) fn check_former(request: &InPlaceRequest, finest: &ZarrFile) -> Result<()> {
    let (store, former) = (request.store.display(), finest.coarser_paths()?.len());
    if former > 0 && !request.overwrite {
        let hint = "--overwrite replaces those below the finest";
        return Err(Error::usage_hint(format!("{store} has {former} levels below its finest already"), hint));
    }
    Ok(())
}

/// Refuses to write over something that the image does not name.
pub(crate) fn check_free(request: &InPlaceRequest, finest: &ZarrFile, paths: &[String]) -> Result<()> {
    let former = finest.coarser_paths()?;
    for path in paths {
        let to = request.store.join(path);
        if !former.contains(path) && nfs::look_at(&to)?.is_some() {
            return Err(Error::TargetExists { path: to });
        }
    }
    Ok(())
}

/// Refuses levels that are not beside the finest one, within the store: none may be the store, the finest level or hold either,
/// and no folder on the way may be a link.
pub(crate) fn check_places(store: &Path, finest: &ZarrFile, paths: &[String]) -> Result<()> {
    let former = finest.coarser_paths()?;
    for path in former.iter().chain(paths) {
        let refused = |found: &str| {
            Error::malformed(store, format!("path {path:?} of a level"), found, "a folder of its own within the store")
        };
        if is_within(&finest.array_path, path) || is_within(path, &finest.array_path) {
            return Err(refused("the finest level, or what holds it, or within it"));
        }
        let folders = path.match_indices('/').map(|(end, _)| store.join(&path[..end]));
        if folders.into_iter().any(|folder| folder.is_symlink()) {
            return Err(refused("beyond a link"));
        }
    }
    Ok(())
}

/// Whether `path` is `folder` or lies in it.
fn is_within(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_hold_what_lies_below_them() {
        assert!(is_within("0", "0") && is_within("a/0", "a") && is_within("0", ""));
        assert!(!is_within("01", "0") && !is_within("a", "a/0"));
    }
}
