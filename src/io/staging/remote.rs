//! A target that is built where it stays.

use std::{
    fs,
    ops::ControlFlow,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    error::{Error, Result},
    io::zarr::store::{Store, StoreError},
    sys,
};

/// Beside the keys of a target that is not complete.
const MARK: &str = ".reslice-unfinished";
/// A target exists when one of these does.
const ROOT_METADATA: [&str; 5] = ["zarr.json", ".zgroup", ".zattrs", ".zarray", ".zmetadata"];

/// A store in which a target is being built.
#[derive(Debug)]
pub struct Building {
    store: Arc<dyn Store>,
    local: LocalFolder,
}

impl Building {
    /// Marks the target as unfinished, takes the root metadata of an old one away and then all of it. Whether a killed run had
    /// left something.
    pub fn begin(store: Arc<dyn Store>, overwrite: bool, scratch: Option<&Path>) -> Result<(Building, bool)> {
        let failed = |action| {
            let store = store.clone();
            move |e: StoreError| e.at(action, store.describe(""))
        };
        let mut old = Vec::new();
        for name in ROOT_METADATA {
            if store.exists(name).map_err(failed("look into"))? {
                old.push(name);
            }
        }
        let left = old.is_empty() && store.exists(MARK).map_err(failed("look into"))?;
        if !overwrite && !left && (!old.is_empty() || holds_anything(store.as_ref()).map_err(failed("list"))?) {
            return Err(Error::TargetExists { path: store.describe("") });
        }
        let local = LocalFolder::create(scratch.unwrap_or(&std::env::temp_dir()))?;
        store.put(MARK, b"a run that has not ended\n".to_vec()).map_err(failed("write into"))?;
        for name in old {
            store.delete(name).map_err(failed("clear"))?;
        }
        if left || overwrite {
            store.clear("").map_err(failed("clear"))?;
            store.put(MARK, b"a run that has not ended\n".to_vec()).map_err(failed("write into"))?;
        }
        Ok((Building { store, local }, left))
    }

    pub fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// An empty local folder, which goes with the value.
    pub fn folder(&self) -> &Path {
        &self.local.path
    }

    /// The root metadata are written: the target is complete.
    pub fn end(self) -> Result<()> {
        self.store.delete(MARK).map_err(|e| e.at("write into", self.store.describe("")))
    }
}

fn holds_anything(store: &dyn Store) -> Result<bool, StoreError> {
    let mut found = false;
    store.list("", &mut |_, _| {
        found = true;
        ControlFlow::Break(())
    })?;
    Ok(found)
}

/// A folder that only this process sees into, removed at the end.
#[derive(Debug)]
struct LocalFolder {
    path: PathBuf,
}

impl LocalFolder {
    /// Under a name that tells the next run to remove it, should this one be killed.
    fn create(parent: &Path) -> Result<LocalFolder> {
        sys::clear_scratch(parent);
        let path = sys::scratch_path(parent, "shards");
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(Error::io("create", &path))?;
        Ok(LocalFolder { path })
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
    use crate::io::zarr::store::DirStore;

    fn exists(error: Result<(Building, bool)>) -> bool {
        matches!(error, Err(Error::TargetExists { .. }))
    }

    #[test]
    fn a_target_exists_when_its_root_metadata_do() {
        let (dir, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store: Arc<dyn Store> = Arc::new(DirStore::new(dir.path().join("a.zarr")));
        let begin = |overwrite| Building::begin(store.clone(), overwrite, Some(scratch.path()));

        let (building, cleared) = begin(false).unwrap();
        assert!(!cleared && store.exists(MARK).unwrap() && building.folder().is_dir());
        store.put("0/c/0", vec![1]).unwrap();
        // Killed here: the next run clears and says so.
        drop(building);
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
        let (building, cleared) = begin(false).unwrap();
        assert!(cleared && !store.exists("0/c/0").unwrap() && store.exists(MARK).unwrap());
        store.put("zarr.json", vec![1]).unwrap();
        building.end().unwrap();
        assert!(!store.exists(MARK).unwrap());

        assert!(exists(begin(false)) && store.exists("zarr.json").unwrap());
        let (_, cleared) = begin(true).unwrap();
        assert!(!cleared && !store.exists("zarr.json").unwrap());
    }

    #[test]
    fn keys_of_others_are_not_cleared() {
        let (dir, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store: Arc<dyn Store> = Arc::new(DirStore::new(dir.path()));
        store.put("letters/1", vec![1]).unwrap();
        assert!(exists(Building::begin(store.clone(), false, Some(scratch.path()))));
        assert!(store.exists("letters/1").unwrap());
    }
}
