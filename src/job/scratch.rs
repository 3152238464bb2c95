//! A raw file of samples that a run writes and reads again, gone when the run has ended.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, Result},
    io::{
        around::Around,
        convert::Conversion,
        packed::Packed,
        raw::{RawAccess, RawSink, RawSource},
    },
    layout::Layout,
    sys,
    voxel::Voxel,
};

/// The scratch file, while there is one.
pub(super) struct ScratchFile {
    path: PathBuf,
}

/// For nobody else: voxels may be of a person.
const MODE: u32 = 0o600;

impl ScratchFile {
    /// In `folder`, under a name that tells the next run to remove it, should this one be killed; what earlier ones left there
    /// goes.
    pub(super) fn within(folder: &Path, kind: &str, bytes: u64) -> ScratchFile {
        if bytes > 0 {
            sys::clear_scratch(folder);
        }
        ScratchFile::at(sys::scratch_path(folder, kind))
    }

    /// At `path`.
    pub(super) fn at(path: PathBuf) -> ScratchFile {
        ScratchFile { path }
    }

    /// Writes volumes of this layout.
    pub(super) fn sink<T: Voxel>(&self, layout: &Layout) -> Result<RawSink<T>> {
        let packed = Packed::new(layout, 0, Conversion::plain(T::DTYPE));
        RawSink::create_for(&self.path, layout.clone(), packed, &Around::default(), MODE)
    }

    /// Reads what was written.
    pub(super) fn source<T: Voxel>(&self, layout: &Layout) -> Result<RawSource<T>> {
        let packed = Packed::new(layout, 0, Conversion::plain(T::DTYPE));
        RawSource::open(&self.path, layout.clone(), packed, RawAccess::Position)
    }

    /// Removes the file.
    pub(super) fn remove(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::Io { action: "remove", path: self.path.clone(), source: error })
            }
            _ => Ok(()),
        }
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        // After an error: the run's own error is what is told.
        let _ = self.remove();
    }
}
