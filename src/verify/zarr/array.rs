//! Checks the chunks of one array.
//!
//! [`ZarrSource`] itself reads and decodes them, so that what passes here is what a run reads. Nothing here is parallel,
//! and no table grows with the number of chunks.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    files::{Entry, list},
    keys::{self, Known},
    tree::Image,
};
use crate::{
    error::{Error, Result},
    io::{
        ome::{finer_level, level_placement},
        zarr::{
            chunks::{ChunkAt, Chunks},
            file::ZarrFile,
            index,
            meta::ArrayMeta,
            open::{OpenOptions, open_in, open_level},
            source::ZarrSource,
        },
    },
    storage::Store,
    voxel::Dtype,
};

/// Shards with an index that cannot be read, kept so as not to read it again for each of their chunks.
const UNREADABLE: usize = 64;

/// What one chunk turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkState {
    /// Decoded to exactly its size.
    Whole {
        stored_bytes: u64,
    },
    Missing,
    Bad,
}

/// The outcome of looking at one chunk.
#[derive(Debug)]
pub(crate) struct Checked {
    pub state: ChunkState,
    /// Of the shard's index, with the first chunk of a shard that is there.
    pub index_bytes: u64,
    /// What is wrong, with the chunk's name. Trouble with an index is told once, with the first chunk of its shard.
    pub problems: Vec<Error>,
}

/// One array, chunk by chunk, from any number of threads.
pub(crate) struct ArrayCheck {
    source: ZarrSource<u8>,
    unreadable: Mutex<VecDeque<Vec<u64>>>,
}

impl ArrayCheck {
    /// Opens the array at `path` below `root` and reads its metadata, and those of the image it belongs to. The root itself is
    /// opened as an array alone where the image around it makes no sense.
    pub(crate) fn open(root: &Arc<dyn Store>, path: &str) -> Result<ArrayCheck> {
        let file = match path {
            "" => open_in(root.clone(), &OpenOptions::default())?,
            _ => open_level(root, path)?,
        };
        Ok(ArrayCheck { source: ZarrSource::new(file), unreadable: Mutex::default() })
    }

    /// The array.
    pub(crate) fn file(&self) -> &ZarrFile {
        self.source.file()
    }

    fn meta(&self) -> &ArrayMeta {
        &self.file().meta
    }

    /// Chunks, or inner chunks of shards, within the bounds of the array.
    pub(crate) fn chunks(&self) -> u64 {
        Chunks::total(self.meta())
    }

    /// All chunks, in order.
    pub(crate) fn walk(&self) -> Chunks {
        Chunks::new(self.meta())
    }

    /// Chunks or shards, each with a key of its own, within the bounds of the array.
    pub(crate) fn objects(&self) -> u64 {
        keys::objects(self.meta())
    }

    /// The chunks of the files that there are, in no particular order. False where the store cannot be listed.
    ///
    /// # Errors
    /// Those of [`list`].
    pub(crate) fn walk_files(&self, visit: &mut dyn FnMut(Chunks) -> Result<()>) -> Result<bool> {
        let file = self.file();
        let store = if file.array_path.is_empty() { file.store.clone() } else { file.store.below(&file.array_path) };
        list(store.as_ref(), &mut |entry| match entry {
            Entry::File(key) => match keys::coordinates(self.meta(), key) {
                Some(at) => visit(Chunks::of_object(self.meta(), at)),
                None => Ok(()),
            },
            Entry::LinkedFolder(_) => Ok(()),
        })
    }

    /// Decoded bytes of one chunk, padding included.
    pub(crate) fn chunk_bytes(&self) -> u64 {
        self.meta().chunk_bytes()
    }

    /// Memory for the whole check.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.file().layout.resident_bytes
    }

    /// Memory that each thread takes beyond that: stored and decoded bytes, codecs, an index and what sorts it.
    pub(crate) fn thread_bytes(&self) -> u64 {
        self.file().layout.transfer_bytes.saturating_add(self.index_bytes().saturating_mul(2))
    }

    fn index_bytes(&self) -> u64 {
        self.meta().shard.map_or(0, |shard| index::stored_bytes(self.meta(), shard))
    }

    /// Registers the array's keys.
    pub(crate) fn known(&self, known: &mut Known, path: &str, n: usize) {
        known.array(path, n, Some(self.meta()));
    }

    /// What levels of an image have in common.
    pub(crate) fn facts(&self) -> Facts {
        Facts { shape: self.meta().shape.clone(), dtype: self.file().stored }
    }

    /// Reads and decodes one chunk; with the first one of a shard its index is checked too.
    pub(crate) fn check(&self, chunk: &ChunkAt) -> Checked {
        let mut checked = Checked { state: ChunkState::Bad, index_bytes: 0, problems: Vec::new() };
        if self.meta().shard.is_some() && !self.check_index(chunk, &mut checked) {
            return checked;
        }
        checked.state = match self.source.probe(chunk.at.clone()) {
            Ok(Some(stored_bytes)) => ChunkState::Whole { stored_bytes },
            Ok(None) => ChunkState::Missing,
            Err(error) => {
                checked.problems.push(error);
                ChunkState::Bad
            }
        };
        checked
    }

    /// Whether the index of the chunk's shard can be read.
    fn check_index(&self, chunk: &ChunkAt, checked: &mut Checked) -> bool {
        let Some(shard) = self.meta().shard else { return true };
        let per_object = self.meta().chunks_per_object();
        let object: Vec<u64> = chunk.at.iter().zip(&per_object).map(|(at, n)| at / n).collect();
        if !chunk.first && self.unreadable().contains(&object) {
            return false;
        }
        match self.source.probe_index(chunk.at.clone()) {
            Ok((index, place)) if chunk.first && index.file_bytes() > 0 => {
                checked.index_bytes = self.index_bytes();
                let apart = index.check_apart(shard, checked.index_bytes);
                checked.problems.extend(apart.err().map(|what| place.error(index.file_bytes(), what)));
                true
            }
            Ok(_) => true,
            Err(error) => {
                let mut unreadable = self.unreadable();
                unreadable.push_front(object);
                unreadable.truncate(UNREADABLE);
                checked.problems.extend(chunk.first.then_some(error));
                false
            }
        }
    }

    fn unreadable(&self) -> MutexGuard<'_, VecDeque<Vec<u64>>> {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is compared between the levels of an image.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Facts {
    /// Of the array, in its own order of dimensions.
    pub shape: Vec<u64>,
    pub dtype: Dtype,
}

/// What does not fit together among the levels of an image, one line each; `facts` are those of its arrays, `None` for
/// the ones that cannot be read.
///
/// A level's extent times its scale must be that of the finest level, to a voxel or two of the coarser one: sizes may have been
/// rounded either way at each step.
pub(crate) fn level_warnings(image: &Image, facts: &[Option<Facts>]) -> Vec<String> {
    let name = if image.path.is_empty() { String::new() } else { format!("{}: ", image.path) };
    let Some(Some(finest)) = facts.first() else { return Vec::new() };
    let mut warnings = Vec::new();
    let is_placed = |n: usize| image.multiscale.datasets.get(n).is_some_and(|level| !level.transformations.is_empty());
    if let Some(finer) = finer_level(&image.multiscale, finest.shape.len()) {
        warnings.push(format!("{name}level {finer} is finer than level 0: levels stand from fine to coarse"));
    }
    let place = |level, dims| level_placement(&image.multiscale, level, dims);
    for (n, level) in facts.iter().enumerate().skip(1) {
        let Some(level) = level else { continue };
        if level.dtype != finest.dtype {
            warnings.push(format!("{name}level {n} has samples of {}, level 0 of {}", level.dtype, finest.dtype));
        }
        let dims = finest.shape.len();
        if level.shape.len() != dims {
            warnings.push(format!("{name}level {n} has {} dimensions, level 0 has {dims}", level.shape.len()));
            continue;
        }
        let (Ok(fine), Ok(coarse)) = (place(0, dims), place(n, dims)) else { continue };
        if !is_placed(0) || !is_placed(n) {
            continue;
        }
        for d in 0..dims {
            let expected = finest.shape[d] as f64 * (fine[d].scale / coarse[d].scale).abs();
            let extent = level.shape[d];
            if (extent as f64 - expected).abs() > 1.5 + expected * 1e-6 {
                let axis = image.multiscale.axes.get(d).map_or("?", |axis| axis.name.as_str());
                warnings.push(format!(
                    "{name}level {n} has {extent} voxels along {axis}, its scale says about {expected:.1}"
                ));
            }
        }
    }
    warnings
}
