//! Where an image is built.

use std::{path::PathBuf, sync::Arc};

use super::Store;

/// Where an image is written: its store, and where shards are put together on the way.
#[derive(Clone, Debug)]
pub struct BuildSite {
    pub store: Arc<dyn Store>,
    /// A local folder; the store's own, if it is one.
    pub folder: PathBuf,
}

impl BuildSite {
    /// Where the shard of `key` would lie if the folder were the store; its unfinished files are named after it.
    pub fn path(&self, key: &str) -> PathBuf {
        self.folder.join(key)
    }

    /// Whether unfinished shards outlive the run.
    pub fn is_kept(&self) -> bool {
        self.store.folder() == Some(&self.folder)
    }
}
