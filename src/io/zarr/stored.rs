//! Checks records of chunks and shards against the files.

use std::{fs, time::SystemTime};

use super::target::ZarrTarget;
use crate::{
    checkpoint::{ledger::Entry, stamp},
    error::Result,
    region::Region,
    storage::BuildSite,
};

/// One level of an image that is being written, as records speak of it.
#[derive(Debug)]
pub struct StoredLevel {
    site: BuildSite,
    target: ZarrTarget,
    whole: Region,
    volumes: u64,
}

impl StoredLevel {
    /// The current level of `target`, which is written in `site`; `None` where there is no such level.
    ///
    /// # Errors
    /// Those of [`ZarrTarget::layout`].
    pub fn of(site: BuildSite, target: &ZarrTarget) -> Result<Option<StoredLevel>> {
        if !target.has_level() {
            return Ok(None);
        }
        let path = site.store.describe("");
        let layout = target.layout(&path)?;
        let (whole, volumes) = (Region::of_shape(layout.grid.shape), layout.outer.volumes());
        Ok(Some(StoredLevel { target: target.normalised(&path)?, site, whole, volumes }))
    }

    /// Whether the level has such a region.
    pub fn has(&self, volume: u64, region: Region) -> bool {
        volume < self.volumes && self.whole.contains(&region)
    }

    /// Whether the chunk or shard of an entry is as it was written; its bytes are read where its file has changed since `written`.
    ///
    /// Of objects in a store that is no folder the record is believed: each look would be a request. Unfinished shards are looked at
    /// by whoever goes on with them. What lies where nothing was written is removed.
    pub fn holds(&self, entry: &Entry, written: Option<SystemTime>) -> bool {
        let Entry::Region { volume, region, empty_chunks, stamp, .. } = entry else { return true };
        if !self.has(*volume, *region) {
            return false;
        }
        if self.site.store.folder().is_none() {
            return true;
        }
        let path = self.site.store.describe(&self.target.place_of(*volume, *region).1);
        match stamp {
            Some(stamp) if stamp.bytes == 0 => {
                // Where there is something that cannot be removed, what is written there says so.
                let _ = fs::remove_file(&path);
                fs::symlink_metadata(&path).is_err()
            }
            Some(stamp) => stamp.is_of_file(&path, written),
            None => *empty_chunks > 0 || stamp::file_bytes(&path).is_some(),
        }
    }
}
