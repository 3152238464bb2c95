//! A raw file of samples that a run writes and reads again, gone when the run has ended.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::passes;
use crate::{
    error::{Error, Result},
    io::{
        Layout,
        convert::Conversion,
        packed::Packed,
        raw::{RawSink, RawSource, Reach},
    },
    voxel::Voxel,
};

/// The scratch file, while there is one.
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// At `path`; refused where its folder has no room for `bytes`.
    pub fn at(path: PathBuf, bytes: u64) -> Result<Scratch> {
        if bytes > 0 {
            passes::check_scratch(path.parent().unwrap_or(Path::new(".")), bytes)?;
        }
        Ok(Scratch { path })
    }

    pub fn sink<T: Voxel>(&self, layout: &Layout) -> Result<RawSink<T>> {
        RawSink::create(&self.path, layout.clone(), Packed::new(layout, 0, Conversion::plain(T::DTYPE)), &[])
    }

    pub fn source<T: Voxel>(&self, layout: &Layout) -> Result<RawSource<T>> {
        let packed = Packed::new(layout, 0, Conversion::plain(T::DTYPE));
        RawSource::open(&self.path, layout.clone(), packed, Reach::Position)
    }

    pub fn remove(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::Io { action: "remove", path: self.path.clone(), source: error })
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // After an error: the run's own error is what is told.
        let _ = self.remove();
    }
}
