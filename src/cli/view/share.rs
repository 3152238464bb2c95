//! What is served: one file, or the files of one folder, and nothing else.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use reslice::{
    error::{Error, Result},
    io::input::Input,
};

/// Bytes of the part of the path that cannot be guessed.
const SECRET_BYTES: usize = 16;

/// A file or folder, and the path below which it is served.
#[derive(Debug)]
pub(super) struct Share {
    /// Without links.
    root: PathBuf,
    /// Files beside the root that belong to it: the voxels of a header.
    beside: Vec<PathBuf>,
    pub secret: String,
    /// The name of the file or folder.
    pub name: String,
}

impl Share {
    /// The whole image of a Zarr; the file of anything else.
    pub(super) fn of(path: &Path, input: &Input) -> Result<Share> {
        let root = input.zarr().map_or_else(|| path.to_path_buf(), |file| file.root());
        let root = fs::canonicalize(&root).map_err(Error::io("open", &root))?;
        if root.is_dir() && input.zarr().is_none() {
            let hint = "make an OME-Zarr of it by `reslice resample`, and view that";
            return Err(Error::usage_hint(format!("{} is a folder that viewers do not open", path.display()), hint));
        }
        let voxels = input.nifti().and_then(|file| fs::canonicalize(&file.data_path).ok());
        Ok(Share {
            beside: voxels.into_iter().filter(|voxels| *voxels != root).collect(),
            secret: secret()?,
            name: root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            root,
        })
    }

    /// The file behind the path of a request, percent-encoding undone; nothing where there is none, or it is none of ours.
    pub(super) fn file(&self, path: &str) -> Option<PathBuf> {
        let mut parts = path.strip_prefix('/')?.split('/');
        if parts.next()? != self.secret {
            return None;
        }
        let first = parts.next()?;
        let rest: Vec<&str> = parts.collect();
        let is_odd = |part: &&str| part.is_empty() || *part == "." || *part == ".." || part.contains(['\\', '\0']);
        if rest.iter().any(is_odd) {
            return None;
        }
        if first != self.name {
            let named = |file: &&PathBuf| file.file_name().is_some_and(|name| name.to_string_lossy() == first);
            return self.beside.iter().find(named).filter(|_| rest.is_empty()).cloned();
        }
        let file = rest.iter().fold(self.root.clone(), |path, part| path.join(part));
        // A link may lead elsewhere.
        let real = fs::canonicalize(file).ok()?;
        (real.starts_with(&self.root) && real.is_file()).then_some(real)
    }
}

fn secret() -> Result<String> {
    const RANDOM: &str = "/dev/urandom";
    let mut bytes = [0; SECRET_BYTES];
    File::open(RANDOM).and_then(|mut file| file.read_exact(&mut bytes)).map_err(Error::io("read", RANDOM))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(root: &Path) -> Share {
        let root = fs::canonicalize(root).unwrap();
        Share {
            name: root.file_name().unwrap().to_string_lossy().into_owned(),
            root,
            beside: Vec::new(),
            secret: "s".into(),
        }
    }

    #[test]
    fn nothing_outside_is_reached() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a.zarr");
        fs::create_dir_all(root.join("0/c")).unwrap();
        fs::write(root.join("0/c/1"), "inside").unwrap();
        fs::write(dir.path().join("secret.txt"), "outside").unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret.txt"), root.join("link")).unwrap();
        let share = share(&root);
        assert_eq!(share.file("/s/a.zarr/0/c/1").map(|file| fs::read(file).unwrap()), Some(b"inside".to_vec()));
        for path in [
            "/s/a.zarr/../secret.txt",
            "/s/a.zarr/link",
            "/s/secret.txt",
            "/s/a.zarr/0/c",
            "/s/a.zarr/0//c/1",
            "/s/a.zarr/./0/c/1",
            "/s/a.zarr",
            "/other/a.zarr/0/c/1",
            "/a.zarr/0/c/1",
            "s/a.zarr/0/c/1",
            "",
            "/",
            "/s",
        ] {
            assert_eq!(share.file(path), None, "{path}");
        }
    }

    #[test]
    fn a_file_is_served_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.nii");
        fs::write(&file, "x").unwrap();
        let share = share(&file);
        assert!(
            share.file("/s/a.nii").is_some() && share.file("/s/a.nii/").is_none() && share.file("/s/b.nii").is_none()
        );
    }
}
