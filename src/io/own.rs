//! Sources that a program brings to a job.

use std::{any::Any, fmt, sync::Arc};

use super::{Fetched, Source};
use crate::{
    block::BlockMut,
    error::{Error, Result},
    layout::Layout,
    region::Region,
    voxel::Voxel,
};

/// A source of the program's own, under a name.
#[derive(Clone)]
pub struct OwnSource {
    name: String,
    layout: Layout,
    /// An `Arc<dyn Source<T>>` of the layout's sample type.
    source: Arc<dyn Any + Send + Sync>,
}

impl OwnSource {
    /// The name stands for the voxels: runs that resume, and ranks, take sources of one name and one grid for the same source. It also
    /// names the source in messages and summaries.
    pub fn new<T: Voxel>(name: impl Into<String>, source: Arc<dyn Source<T>>) -> OwnSource {
        let layout = Layout { stored: T::DTYPE, ..source.layout().clone() };
        OwnSource { name: name.into(), layout, source: Arc::new(source) }
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its grid, sample type and chunks.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The source, for readers of `T`.
    ///
    /// # Errors
    /// [`Error::Usage`] where it has other samples: nothing converts those of a source of a program's own.
    pub fn source<T: Voxel>(&self) -> Result<Box<dyn Source<T>>> {
        let found = self.source.downcast_ref::<Arc<dyn Source<T>>>();
        let source = found.ok_or_else(|| {
            let what =
                format!("{} has samples of {}, and the job computes in {}", self.name, self.layout.stored, T::DTYPE);
            Error::usage_hint(what, "give a target the sample type of its source")
        })?;
        Ok(Box::new(Shared(source.clone())))
    }
}

impl fmt::Debug for OwnSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnSource").field("name", &self.name).field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// One of the readers of a source.
struct Shared<T: Voxel>(Arc<dyn Source<T>>);

impl<T: Voxel> Source<T> for Shared<T> {
    fn layout(&self) -> &Layout {
        self.0.layout()
    }

    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        self.0.read(group, into)
    }

    fn fetch(&self, group: u64, region: Region) -> Result<Option<Fetched>> {
        self.0.fetch(group, region)
    }

    fn read_fetched(&self, fetched: Fetched, into: BlockMut<'_, T>) -> Result<()> {
        self.0.read_fetched(fetched, into)
    }

    fn missing_chunks(&self) -> u64 {
        self.0.missing_chunks()
    }

    fn hidden_keys(&self) -> u64 {
        self.0.hidden_keys()
    }
}
