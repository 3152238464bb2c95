//! Targets in object stores, built under their final keys.

use std::{
    fs,
    ops::ControlFlow,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Claim, NOTES, REMOTE_STATE};
use crate::{
    checkpoint::lease::{Lease, is_lease},
    error::{Error, Result},
    storage::{Store, StoreError},
    sys,
};

/// A target exists when one of these does.
const ROOT_METADATA: [&str; 5] = ["zarr.json", ".zgroup", ".zattrs", ".zarray", ".zmetadata"];

/// # Errors
/// Something is there that no unfinished run of ours has left, and the claim does not say what to do about it.
pub(super) fn check(store: &dyn Store, state: &dyn Store, claim: Claim) -> Result<()> {
    let is_ours = state.exists(claim.notes.job).map_err(failed(store, "look into"))?;
    if claim.overwrite || claim.resume && is_ours {
        return Ok(());
    }
    let mut exists = false;
    for name in ROOT_METADATA {
        exists |= store.exists(name).map_err(failed(store, "look into"))?;
    }
    let is_strange = exists || !is_ours && holds_anything(store, in_state).map_err(failed(store, "list"))?;
    if !is_strange {
        return Ok(());
    }
    // Another rank may have begun since, or come to the end: its note is there before the job's goes.
    for note in [claim.notes.job, claim.notes.finished] {
        if claim.resume && state.exists(note).map_err(failed(store, "look into"))? {
            return Ok(());
        }
    }
    Err(Error::TargetExists { path: store.describe("") })
}

fn in_state(key: &str) -> bool {
    key.strip_prefix(REMOTE_STATE).is_some_and(|rest| rest.starts_with('/'))
}

/// Takes the root metadata of an old target away and then all of it, except leases.
pub(super) fn clear(store: &dyn Store, lease: &Lease) -> Result<()> {
    for name in ROOT_METADATA {
        store.delete(name).map_err(failed(store, "clear"))?;
    }
    store.clear("").map_err(failed(store, "clear"))?;
    // The list of everything has this run's lease in it.
    lease.renew()
}

/// The root metadata are written: the target is complete.
pub(super) fn end(store: &dyn Store, state: &Arc<dyn Store>, keeps_note: bool) -> Result<()> {
    if !keeps_note {
        return store.clear(REMOTE_STATE).map_err(failed(store, "write into"));
    }
    let mut keys = Vec::new();
    let listed = state.list_top(&mut |key, _| {
        if !NOTES.contains(&key) && !is_lease(key) {
            keys.push(key.to_string());
        }
        ControlFlow::Continue(())
    });
    listed.map_err(failed(store, "list"))?;
    keys.iter().try_for_each(|key| state.delete(key)).map_err(failed(store, "write into"))
}

/// Whether `store` holds any key but those that `skip` names.
fn holds_anything(store: &dyn Store, skip: impl Fn(&str) -> bool) -> Result<bool, StoreError> {
    let mut found = false;
    store.list("", &mut |key, _| {
        if skip(key) {
            return ControlFlow::Continue(());
        }
        found = true;
        ControlFlow::Break(())
    })?;
    Ok(found)
}

fn failed(store: &dyn Store, action: &'static str) -> impl Fn(StoreError) -> Error + use<> {
    let path = store.describe("");
    move |error| error.at(action, path.clone())
}

/// A folder that only this process sees into, removed at the end.
#[derive(Debug)]
pub(super) struct LocalFolder {
    path: PathBuf,
}

impl LocalFolder {
    /// Under a name that tells the next run to remove it, should this one be killed.
    pub(super) fn create(parent: &Path) -> Result<LocalFolder> {
        sys::clear_scratch(parent);
        let path = sys::scratch_path(parent, "shards");
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(Error::io("create", &path))?;
        Ok(LocalFolder { path })
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LocalFolder {
    fn drop(&mut self) {
        // Nobody can be told; what stays is in a folder for temporary files.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{checkpoint::staging::Staging, storage::DirStore};

    fn exists(result: Result<Staging>) -> bool {
        matches!(result, Err(Error::TargetExists { .. }))
    }

    #[test]
    fn a_target_exists_when_its_root_metadata_do() {
        let (dir, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store: Arc<dyn Store> = Arc::new(DirStore::new(dir.path().join("a.zarr")));
        let begin = |overwrite| Staging::remote(store.clone(), Claim::fresh(overwrite), Some(scratch.path()));

        let staging = begin(false).unwrap();
        assert!(!staging.cleared && staging.path("x").parent().unwrap().is_dir());
        staging.state().put(crate::checkpoint::staging::TARGET_NOTES.job, b"{}".to_vec()).unwrap();
        store.put("0/c/0", vec![1]).unwrap();
        // Killed here: the next run may clear, and says so.
        drop(staging);
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
        let mut staging = begin(false).unwrap();
        assert!(staging.is_begun().unwrap() && store.exists("0/c/0").unwrap());
        staging.clear().unwrap();
        assert!(staging.cleared && !store.exists("0/c/0").unwrap());
        store.put("zarr.json", vec![1]).unwrap();
        staging.commit(&[], b"{}", false).unwrap();
        assert!(!store.exists(".reslice/job.json").unwrap());

        assert!(exists(begin(false)) && store.exists("zarr.json").unwrap());
        let mut staging = begin(true).unwrap();
        staging.clear().unwrap();
        assert!(!staging.cleared && !store.exists("zarr.json").unwrap());
    }

    #[test]
    fn keys_of_others_are_not_cleared() {
        let (dir, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store: Arc<dyn Store> = Arc::new(DirStore::new(dir.path()));
        store.put("letters/1", vec![1]).unwrap();
        assert!(exists(Staging::remote(store.clone(), Claim::fresh(false), Some(scratch.path()))));
        assert!(store.exists("letters/1").unwrap());
    }
}
