//! Checks absent chunks against the number of chunks that were left out.
//!
//! By the specification an absent chunk is the fill value. Arrays written by this program say how many chunks were left
//! out because they are all fill. If more are absent, the others are lost.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::ZarrSource;
use crate::{
    error::{Error, Result},
    io::zarr::chunks::Chunks,
    voxel::Voxel,
};

/// Local arrays of so many chunks or shards are looked through at the first absent chunk; others once more chunks were found
/// absent than were left out.
const SMALL: u64 = 10_000;

/// Chunks that were found absent.
#[derive(Debug, Default)]
pub(super) struct Absent {
    /// Those that were read, a chunk that was read twice counted twice.
    read: AtomicU64,
    /// Those of the whole array, once it was looked through.
    all: Mutex<Option<u64>>,
}

impl Absent {
    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

impl<T: Voxel> ZarrSource<T> {
    /// Takes note of an absent chunk that was read.
    ///
    /// # Errors
    /// [`Error::Lost`] where more chunks are absent than the array says were left out.
    pub(super) fn note_absent(&self) -> Result<()> {
        let read = self.absent.read.fetch_add(1, Ordering::Relaxed) + 1;
        let Some(left_out) = self.file.empty_chunks else { return Ok(()) };
        let is_small = self.file.store.is_near() && self.objects() <= SMALL;
        if read <= left_out && !is_small {
            return Ok(());
        }
        // Whoever comes meanwhile waits here, rather than look through all of it too.
        let mut all = self.absent.all.lock().unwrap_or_else(PoisonError::into_inner);
        let absent = match *all {
            Some(absent) => absent,
            None => *all.insert(self.count_absent(if is_small { u64::MAX } else { left_out })?),
        };
        if absent <= left_out {
            return Ok(());
        }
        let chunks = Chunks::total(&self.file.meta);
        Err(Error::Lost { path: self.file.path.clone(), absent, chunks, left_out })
    }

    /// Chunks or shards, each with a key of its own.
    fn objects(&self) -> u64 {
        let chunks = self.file.meta.shape.iter().zip(&self.file.meta.object);
        chunks.map(|(extent, object)| extent.div_ceil(*object)).fold(1, u64::saturating_mul)
    }

    /// Absent chunks of the whole array, counted until there are more than `most`; nothing is decoded.
    fn count_absent(&self, most: u64) -> Result<u64> {
        let mut absent = 0u64;
        for chunk in Chunks::new(&self.file.meta) {
            let place = self.place(chunk.at);
            let is_there = match &place.inner {
                Some((slot, _)) => {
                    let index = self.index(&place)?;
                    index.entry(*slot).map_err(|what| place.error(index.file_bytes(), what))?.is_some()
                }
                None => self.file.store.size(&place.key).map_err(|e| place.error(0, e))?.is_some(),
            };
            absent += u64::from(!is_there);
            if absent > most {
                break;
            }
        }
        Ok(absent)
    }
}
