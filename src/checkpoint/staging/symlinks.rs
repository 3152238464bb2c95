//! Refuses symbolic links in a staging folder: no run makes one, and writing through one would end elsewhere.

use std::{fs, io, path::Path};

use crate::{
    error::{Error, Result},
    storage::nfs,
};

/// Refuses links in a folder, and in those below it where `deep`: many ranks need not each look through all that is built.
pub(super) fn refuse(folder: &Path, deep: bool) -> Result<()> {
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        let entries = match nfs::uninterrupted(|| fs::read_dir(&folder)) {
            // Another run moves things too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(Error::io("list", &folder))?,
        };
        for entry in entries {
            let entry = entry.map_err(Error::io("list", &folder))?;
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_symlink() => {
                    return Err(Error::malformed(path, "file type", "a link", "a file or folder that reslice made"));
                }
                Ok(kind) if kind.is_dir() && deep => open.push(path),
                _ => {}
            }
        }
    }
    Ok(())
}
