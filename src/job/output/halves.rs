//! The two files of a target whose header is a file of its own. What has the name of its voxels may belong to another image.

use std::path::{Path, PathBuf};

use super::{
    Output,
    build::{BUILT, BUILT_HEADER},
};
use crate::{
    checkpoint::staging::{TARGET_NOTES, state_folder},
    error::{Error, Result},
    io::plain,
    job::reads::is_within,
    storage::nfs,
};

/// Endings of headers that may have their voxels in a file of another ending.
const HEADERS: [&str; 2] = ["nhdr", "mhd"];

impl Output {
    /// An error where what has the name of the target's voxels are not those of the target's header: without its voxels the image that they
    /// belong to is lost, so they are not replaced, whatever was asked for.
    pub fn check_halves(&self) -> Result<()> {
        let Some((voxels, header)) = self.both_names() else { return Ok(()) };
        self.check_owner()?;
        // Another rank may give the names meanwhile, the header's last: looked at in this order, it is found in one place or the other.
        if nfs::look_at(&voxels)?.is_none() || self.is_between_names() {
            return Ok(());
        }
        let (shown, own) = (voxels.display(), header.display());
        if nfs::look_at(&header)?.is_none() {
            let what = format!("{shown} is there and {own} is not, so it may have another image's voxels");
            return Err(kept(what, "move it away, or choose another name"));
        }
        let is_detached = HEADERS.iter().any(|ending| header.extension().is_some_and(|own| own == *ending));
        if is_detached && !names(&header, &voxels) {
            let what = format!("{shown} is there and {own} does not name it, so it may have another image's voxels");
            return Err(kept(what, "move it away, or choose another name"));
        }
        Ok(())
    }

    /// An error where another header names the file that the target's voxels would replace.
    pub(super) fn check_owner(&self) -> Result<()> {
        let Some((voxels, header)) = self.both_names() else { return Ok(()) };
        let others = HEADERS.map(|ending| voxels.with_extension(ending)).into_iter().filter(|other| *other != header);
        match others.into_iter().find(|other| names(other, &voxels)) {
            Some(other) => {
                let what = format!("{} has the voxels of {}", voxels.display(), other.display());
                Err(kept(what, "choose another name for the target"))
            }
            None => Ok(()),
        }
    }

    /// An error where a file has a name of the target's; what a run has named that was ended before all had their names is its own, unless
    /// it is to begin `anew`.
    pub fn check_absent(&self, anew: bool) -> Result<()> {
        let is_own = !anew && self.is_between_names();
        let names = if is_own { vec![self.path.clone()] } else { self.final_names() };
        for path in names {
            if nfs::look_at(&path)?.is_some() {
                return Err(Error::TargetExists { path });
            }
        }
        Ok(())
    }

    /// Voxels and header, where those are two files.
    fn both_names(&self) -> Option<(PathBuf, PathBuf)> {
        let mut names = self.final_names().into_iter();
        Some((names.next()?, names.next()?))
    }

    /// Whether a run was ended after it had given the voxels their name, and before the header had its.
    fn is_between_names(&self) -> bool {
        let folder = state_folder(&self.path);
        let is_there = |name: &str| folder.join(name).exists();
        self.format.has_two_files() && is_there(TARGET_NOTES.finished) && is_there(BUILT_HEADER) && !is_there(BUILT)
    }
}

/// Whether the header at `header` says that its voxels are in the file at `voxels`.
fn names(header: &Path, voxels: &Path) -> bool {
    plain::voxels_named_by(header).is_some_and(|named| is_within(&named, voxels))
}

fn kept(what: String, hint: &str) -> Error {
    Error::usage_hint(format!("{what}: it is not replaced"), hint)
}
