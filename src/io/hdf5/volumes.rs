//! The volumes of an image: what they have in common, and the tree of each.

use super::{
    bytes::Bytes,
    dataset::{Dataset, Storage},
};
use crate::{geometry::Unit, io::tiff::fault::Fault, layout::Axis};

/// Volumes of one image, at most.
pub(super) const MOST_VOLUMES: usize = 1 << 16;

/// The volumes of an image, in the order of its outer axes.
#[derive(Clone, Debug, Default)]
pub(super) struct Volumes {
    /// Of the first volume, which the others have too.
    storage: Option<(Storage, String)>,
    /// Where the tree of chunks of each is; `None` where no chunk was stored.
    pub trees: Vec<Option<u64>>,
    /// How many of them the file does not have.
    pub absent: usize,
}

impl Volumes {
    /// Adds the dataset at `at`; `place` is its name.
    ///
    /// # Errors
    /// No dataset; one that differs from the first one in extent, type, chunks or filters; too many.
    pub(super) fn add(&mut self, bytes: &Bytes, at: Option<u64>, place: &str) -> Result<(), Fault> {
        let absent = || {
            let what = format!("{place} is not in this file: it is missing, or a link to another file");
            Fault::Unread(what)
        };
        let Dataset { storage, tree } = Dataset::read(bytes, at.ok_or_else(absent)?, place)?;
        match &self.storage {
            None => self.storage = Some((storage, place.to_string())),
            Some((first, of)) if *first != storage => {
                return Err(Fault::Unread(format!("has {}, and {}", told(first, of), told(&storage, place))));
            }
            Some(_) => {}
        }
        self.push(tree)
    }

    /// Adds a volume that the file does not have: all of it is background.
    ///
    /// # Errors
    /// Too many volumes.
    pub(super) fn add_absent(&mut self) -> Result<(), Fault> {
        self.absent += 1;
        self.push(None)
    }

    fn push(&mut self, tree: Option<u64>) -> Result<(), Fault> {
        self.trees.push(tree);
        if self.trees.len() > MOST_VOLUMES {
            return Err(Fault::wrong("the file", format!("more than {MOST_VOLUMES} volumes"), "fewer"));
        }
        Ok(())
    }

    /// What all of them have in common.
    ///
    /// # Errors
    /// There is no volume.
    pub(super) fn storage(&self) -> Result<&Storage, Fault> {
        let storage = self.storage.as_ref().map(|(storage, _)| storage);
        storage.ok_or_else(|| Fault::wrong("the file", "no volume", "one"))
    }
}

fn told(storage: &Storage, place: &str) -> String {
    let times = |[z, y, x]: [u64; 3]| format!("{x}x{y}x{z}");
    let filters: Vec<&str> = storage.filters.iter().map(|filter| filter.name()).collect();
    format!(
        "{place} of {} voxels of {} in chunks of {} ({})",
        times(storage.shape),
        storage.dtype,
        times(storage.chunk),
        if filters.is_empty() { "raw".into() } else { filters.join(", ") }
    )
}

/// An image of a file: its axes, its place, and its volumes.
#[derive(Clone, Debug)]
pub(super) struct Described {
    /// `Imaris`, `BigDataViewer`
    pub kind: &'static str,
    /// Slowest first.
    pub axes: Vec<Axis>,
    pub volumes: Volumes,
    /// Voxels along z, y, x; the datasets have as many, or more.
    pub shape: [u64; 3],
    /// Steps along z, y, x, where the file states them.
    pub steps: [Option<f64>; 3],
    /// The centre of the first voxel, z, y, x.
    pub origin: [f64; 3],
    pub unit: Unit,
    /// Which level was chosen, and how many there are.
    pub level: (usize, usize),
    /// Whether signed samples of 16 bits stand for unsigned ones.
    pub is_unsigned: bool,
    pub warnings: Vec<String>,
}

/// An axis of indices.
pub(super) fn axis(name: &str, len: usize) -> Axis {
    Axis { name: name.into(), len: len as u64, step: 1.0, start: 0.0, unit: None }
}

/// A level that there is.
///
/// # Errors
/// There is none of this number.
pub(super) fn level(asked: Option<usize>, count: usize) -> Result<usize, Fault> {
    let level = asked.unwrap_or(0);
    if level < count {
        return Ok(level);
    }
    let what = format!("--level {level} is not there: the file has {count}");
    Err(Fault::Asked(what, format!("use a level from 0 to {}", count.saturating_sub(1))))
}
