//! Formats: they read and write regions, and know nothing of resampling, planning or threads.
//!
//! A [`Source`] describes itself by a [`Layout`]: plain data for the plan. Each format converts its conventions (axis
//! order, byte order, orientation, index base) in its own folder.

use crate::{
    block::{BlockMut, BlockRef},
    checkpoint::check::Check,
    error::Result,
    layout::Layout,
    region::Region,
    voxel::Voxel,
};

pub mod around;
pub mod convert;
pub mod dicom;
pub mod foreign;
pub mod format;
pub mod gzip;
pub mod hdf5;
pub mod input;
pub mod itk;
mod jpeg;
pub mod memory;
pub mod nifti;
pub mod ome;
pub mod own;
pub mod packed;
pub mod plain;
pub mod precomputed;
pub mod ranged;
pub mod raw;
pub mod reader;
pub mod tiff;
pub mod view;
pub mod zarr;
mod zstandard;

use convert::Lost;

/// A volume that can be read piece by piece.
///
/// Reading takes no position and no state from one call to the next, except for [`Access::Ascending`](crate::Access::Ascending): there the
/// calls come one at a time, with chunks in ascending order, each chunk at most once (skipping is allowed).
pub trait Source<T: Voxel>: Send + Sync {
    fn layout(&self) -> &Layout;

    /// Fills `into` with `into.region` of the volumes of outer group `group`.
    ///
    /// `into.volumes` is the number of the group's members times the layout's components; the voxels of member `m`,
    /// component `c` stand in volume `m * components + c`. The region lies within the grid. For chunked and ascending
    /// sources it is exactly one storage chunk, clipped to the grid.
    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()>;

    /// The first step of [`Source::read`] by itself: brings the stored bytes of a chunk, `region` of group `group`, from
    /// storage without decoding them. Waits for storage and computes next to nothing.
    ///
    /// `None` from sources that have no such step: they are read by [`Source::read`] alone.
    fn fetch(&self, _group: u64, _region: Region) -> Result<Option<Fetched>> {
        Ok(None)
    }

    /// The second step: decodes what [`Source::fetch`] brought into the block that [`Source::read`] would be given. Does not
    /// go to storage. May be called from another thread than the first step.
    fn read_fetched(&self, fetched: Fetched, into: BlockMut<'_, T>) -> Result<()> {
        self.read(fetched.group, into)
    }

    /// Instead of [`Source::read_fetched`] for a chunk that was fetched and is absent: the one value that all its samples have, of
    /// all its volumes. `None` from sources that have no such value.
    fn read_absent(&self, _fetched: &Fetched) -> Result<Option<T>> {
        Ok(None)
    }

    /// Storage chunks met so far that were absent and stand for the fill value.
    fn missing_chunks(&self) -> u64 {
        0
    }

    /// Keys that a server refused as it refuses all that is absent, and that were taken for absent.
    fn hidden_keys(&self) -> u64 {
        0
    }
}

/// A storage chunk that was brought from storage and not decoded yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub group: u64,
    /// The chunk, clipped to the grid.
    pub region: Region,
    /// `None` where the chunk is absent and stands for the fill value.
    pub stored: Option<Vec<u8>>,
    /// Filters that were not applied to this chunk when it was stored, a bit for each; HDF5 alone has such.
    pub filters_left_out: u32,
}

impl Fetched {
    /// A chunk to which every filter was applied.
    pub fn new(group: u64, region: Region, stored: Option<Vec<u8>>) -> Fetched {
        Fetched { group, region, stored, filters_left_out: 0 }
    }

    /// Memory that it holds.
    pub fn bytes(&self) -> u64 {
        self.stored.as_ref().map_or(0, |stored| stored.capacity() as u64)
    }
}

/// One write unit, ready to be stored.
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    /// What goes to storage; empty for a chunk that is left out because it is all fill value.
    pub bytes: Vec<u8>,
    /// Checksum of the raw bytes, where the format asks for one.
    pub check: Check,
    /// Length before compression.
    pub raw_bytes: u64,
    /// Samples that the stored type could not hold.
    pub lost: Lost,
}

/// A volume that is written unit by unit, each unit once.
///
/// `encode` is pure and may run on any number of threads. `put` of a `Random` or `Chunked` sink may be called in any
/// order and from several threads; `put` of an `Ascending` sink is called in unit order, one call at a time.
pub trait Sink<T: Voxel>: Send + Sync {
    fn layout(&self) -> &Layout;

    /// Encodes write unit `unit` (clipped to the grid) of volume `outer`; `block` holds at least that region, and
    /// as many volumes as the layout has components.
    fn encode(&self, outer: u64, unit: Region, block: BlockRef<'_, T>) -> Result<Encoded>;

    /// Stores an encoded unit; the number of bytes that went to storage.
    fn put(&self, outer: u64, unit: Region, encoded: Encoded) -> Result<u64>;

    /// Brings to storage what waits in memory, so that the next [`Sink::sync`] covers it.
    fn flush(&self) -> Result<()> {
        Ok(())
    }

    /// Waits until all that went to storage will outlive the machine.
    fn sync(&self) -> Result<()> {
        Ok(())
    }

    /// Called when what was noted up to the last [`Sink::flush`] is on record: what only that needed may go.
    fn settle(&self) -> Result<()> {
        Ok(())
    }

    /// Called once, after every unit was put: completes headers, trailers and metadata. Does not rename anything.
    fn finish(&self) -> Result<()>;
}
