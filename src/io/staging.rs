//! All or visibly nothing: a target is built in `NAME.reslice/` beside it and renamed at the end.
//!
//! Behind a URL nothing can be renamed: there a target is built where it stays, in keys that count for nothing before the root
//! metadata are written, which is the last thing that is done. The key `.reslice-unfinished` stands beside them for as long as
//! that takes, so that the next run knows what a killed one left. There is no lock.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::zarr::{
    Yard,
    store::{DirStore, Store},
};
use crate::error::{Error, Result};

mod remote;

/// The folder in which one target is built. Locked for as long as it lives; left behind when the run does not complete.
#[derive(Debug)]
pub struct Staging {
    target: PathBuf,
    folder: PathBuf,
    overwrite: bool,
    /// Whether the folder of a run that did not end was found and cleared.
    pub cleared: bool,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Beside the target; the lock keeps other runs away.
    Beside { _lock: File },
    /// In the store itself; the folder is only for what is put together locally.
    Remote(remote::Building),
}

impl Staging {
    /// Makes the folder for `target`.
    ///
    /// # Errors
    /// The target exists and `overwrite` is not set, another run holds the folder, or the folder cannot be made.
    pub fn create(target: &Path, overwrite: bool) -> Result<Staging> {
        if !overwrite && target.symlink_metadata().is_ok() {
            return Err(Error::TargetExists { path: target.to_path_buf() });
        }
        let folder = suffixed(target, ".reslice");
        match fs::create_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::Io { action: "create", path: folder, source: error });
            }
            _ => {}
        }
        let lock_path = folder.join("lock");
        let lock = File::create(&lock_path).map_err(Error::io("create", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::TargetBusy { path: target.to_path_buf() }),
            Err(TryLockError::Error(source)) => return Err(Error::Io { action: "lock", path: lock_path, source }),
        }
        let cleared = clear(&folder)?;
        Ok(Staging { target: target.to_path_buf(), folder, overwrite, cleared, place: Place::Beside { _lock: lock } })
    }

    /// Makes ready what lies at `store` for a target; `scratch` is for shards on their way (the system's folder for temporary
    /// files, where it is `None`).
    ///
    /// # Errors
    /// Root metadata are there, or keys that no run of ours left, and `overwrite` is not set; the store does not answer.
    pub fn remote(store: Arc<dyn Store>, overwrite: bool, scratch: Option<&Path>) -> Result<Staging> {
        let target = store.describe("");
        let (building, cleared) = remote::Building::begin(store, overwrite, scratch)?;
        let folder = building.folder().to_path_buf();
        Ok(Staging { target, folder, overwrite, cleared, place: Place::Remote(building) })
    }

    /// What was cleared, for a message.
    pub fn cleared_path(&self) -> PathBuf {
        match &self.place {
            Place::Beside { .. } => self.folder.clone(),
            Place::Remote(_) => self.target.clone(),
        }
    }

    /// Where a Zarr target that will be `NAME` is built.
    pub fn yard(&self, name: &str) -> Yard {
        let folder = self.path(name);
        let store: Arc<dyn Store> = match &self.place {
            Place::Beside { .. } => Arc::new(DirStore::new(&folder)),
            Place::Remote(building) => building.store(),
        };
        Yard { store, folder }
    }

    /// Where the file that will be `NAME` is built.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Renames each built file or folder to its final place, in this order, and removes the folder.
    ///
    /// What stands under a final name is replaced only if overwriting was asked for. Behind a URL, where everything has its place,
    /// only the mark of an unfinished target goes.
    pub fn commit(self, built: &[(PathBuf, PathBuf)]) -> Result<()> {
        if let Place::Remote(building) = self.place {
            return building.end();
        }
        for (n, (from, to)) in built.iter().enumerate() {
            if to.symlink_metadata().is_ok() {
                if !self.overwrite {
                    return Err(Error::TargetExists { path: to.clone() });
                }
                if to.is_dir() || from.is_dir() {
                    // A folder cannot be renamed over another: the old one goes into the staging folder first.
                    fs::rename(to, self.folder.join(format!("replaced-{n}"))).map_err(Error::io("replace", to))?;
                }
            }
            fs::rename(from, to).map_err(Error::io("rename to", to))?;
        }
        sync_folder(self.target.parent())?;
        fs::remove_dir_all(&self.folder).map_err(Error::io("remove", &self.folder))
    }
}

/// `path` with `suffix` behind its last component.
pub fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes what an earlier run left, except the lock; whether there was anything.
fn clear(folder: &Path) -> Result<bool> {
    let mut found = false;
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let entry = entry.map_err(Error::io("list", folder))?;
        if entry.file_name() == "lock" {
            continue;
        }
        found = true;
        let path = entry.path();
        let kind = entry.file_type().map_err(Error::io("look at", &path))?;
        let removed = if kind.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(Error::io("remove", &path))?;
    }
    Ok(found)
}

/// Makes the renames durable.
fn sync_folder(folder: Option<&Path>) -> Result<()> {
    let folder = match folder {
        Some(path) if !path.as_os_str().is_empty() => path,
        _ => Path::new("."),
    };
    let opened = File::open(folder).map_err(Error::io("open", folder))?;
    opened.sync_all().map_err(Error::io("write back", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_under_the_final_name_before_commit() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.nii");
        let staging = Staging::create(&target, false).unwrap();
        fs::write(staging.path("out.nii"), b"voxels").unwrap();
        assert!(!target.exists());
        let built = staging.path("out.nii");
        staging.commit(&[(built, target.clone())]).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"voxels");
        assert!(!suffixed(&target, ".reslice").exists());
    }

    #[test]
    fn a_second_run_on_the_same_target_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.zarr");
        let first = Staging::create(&target, false).unwrap();
        assert!(matches!(Staging::create(&target, false), Err(Error::TargetBusy { .. })));
        fs::write(first.path("half"), b"x").unwrap();
        drop(first);
        assert!(Staging::create(&target, false).unwrap().cleared);
    }

    #[test]
    fn an_existing_target_stays_until_it_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.zarr");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("old"), b"old").unwrap();
        assert!(matches!(Staging::create(&target, false), Err(Error::TargetExists { .. })));
        let staging = Staging::create(&target, true).unwrap();
        let built = staging.path("out.zarr");
        fs::create_dir(&built).unwrap();
        assert!(target.join("old").exists());
        staging.commit(&[(built, target.clone())]).unwrap();
        assert!(!target.join("old").exists());
    }
}
