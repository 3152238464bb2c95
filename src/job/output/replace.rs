//! What `--overwrite` may remove: a target of the kind that is written, without foreign files.

use std::{path::Path, sync::Arc};

use super::Output;
use crate::{
    checkpoint::staging,
    error::{Error, Result},
    storage::{DirStore, Store, nfs},
    verify::zarr::{
        array::ArrayCheck,
        files::{Entry, list},
        keys::{Known, Role},
        tree::Tree,
    },
};

impl Output {
    /// An error where what stands under the final name is not to be replaced, or what stands beside it is not ours.
    ///
    /// A target that is a file replaces files, a Zarr target a Zarr store without foreign files, or an empty folder; both replace links, which are not
    /// followed.
    pub fn check_place(&self) -> Result<()> {
        if self.store.is_some() {
            return Ok(());
        }
        staging::check_folder(&self.path)?;
        if !self.overwrites() {
            return Ok(());
        }
        for path in self.final_names() {
            let Some(meta) = nfs::look_at(&path)?.filter(|meta| !meta.is_symlink()) else { continue };
            let kind = meta.file_type();
            match self.format.is_file() {
                true if kind.is_file() => {}
                true => {
                    let what = format!("is {}, not a {} file", nfs::kind_name(kind), self.format.name());
                    return Err(kept(&path, &what));
                }
                false if kind.is_dir() => check_store(&path)?,
                false => return Err(kept(&path, &format!("is {}, not a Zarr store", nfs::kind_name(kind)))),
            }
        }
        Ok(())
    }
}

/// Refuses a folder that is no Zarr store, or holds files that belong to none.
fn check_store(path: &Path) -> Result<()> {
    let root: Arc<dyn Store> = Arc::new(DirStore::new(path));
    let is_empty = std::fs::read_dir(path).map_err(Error::io("list", path))?.next().is_none();
    if is_empty {
        return Ok(());
    }
    let tree = match Tree::of(&root) {
        // Something is there, and what it is of is not known.
        Err(error) => return Err(kept(path, &format!("is not known to be an OME-Zarr image ({error})"))),
        Ok(tree) => tree,
    };
    let mut known = Known::default();
    tree.groups.iter().for_each(|group| known.group(group));
    for (n, array) in tree.arrays.iter().enumerate() {
        match ArrayCheck::open(&root, array) {
            Ok(check) => check.known(&mut known, array, n),
            Err(_) => known.array(array, n, None),
        }
    }
    list(root.as_ref(), &mut |entry| match entry {
        // Links are removed, and not what they lead to.
        Entry::LinkedFolder(_) => Ok(()),
        Entry::File(key) => match known.role(key) {
            Role::Stray(name) if !is_unfinished(&name) => {
                Err(kept(path, &format!("holds {name}, which belongs to no array")))
            }
            _ => Ok(()),
        },
    })
    .map(drop)
}

/// Whether it is the unfinished file of a run that was killed.
fn is_unfinished(name: &str) -> bool {
    [".part", ".side"].iter().any(|ending| name.ends_with(ending))
}

fn kept(path: &Path, what: &str) -> Error {
    Error::Usage {
        what: format!("{} {what}: it is not replaced", path.display()),
        hint: Some("move it away or remove it, or choose another name".into()),
    }
}
