//! Chunks of HDF5 as a source of voxels: each is looked up, read and decoded by itself.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    Hdf5File, Table,
    filters::{decode, most_stored},
    tree,
};
use crate::{
    block::BlockMut,
    error::{Error, Result},
    io::{
        Fetched, Source,
        convert::Conversion,
        tiff::fault::Fault,
        zarr::{copy::ChunkView, sample::Sample},
    },
    layout::Layout,
    region::Region,
    sys,
    voxel::Voxel,
};

/// A file as a source of voxels.
pub struct Hdf5Source {
    table: Arc<Table>,
    path: PathBuf,
    layout: Layout,
    conversion: Conversion,
    absent: AtomicU64,
}

impl Hdf5Source {
    /// `layout` is that of all volumes.
    pub fn new(file: &Hdf5File, layout: Layout, conversion: Conversion) -> Hdf5Source {
        let (table, path) = (file.table.clone(), file.path.clone());
        Hdf5Source { table, path, layout, conversion, absent: AtomicU64::new(0) }
    }

    /// The first voxel of the chunk that `region` is, z, y, x.
    fn first(&self, region: Region) -> Result<[u64; 3]> {
        let chunk = self.layout.chunk;
        let is_inside = Region::of_shape(self.layout.grid.shape).contains(&region);
        let at: [u64; 3] = std::array::from_fn(|a| region.lo[a].max(0) as u64 / chunk[a]);
        if is_inside && region == self.layout.chunk_region(at) {
            return Ok(std::array::from_fn(|a| at[a] * self.table.storage.chunk[a]));
        }
        Err(Error::usage(format!("region {region} is not one chunk of {}", self.path.display())))
    }

    fn error(&self, volume: u64, first: [u64; 3], stored_bytes: u64, what: impl ToString) -> Error {
        let (path, chunk) = (self.path.clone(), format!("volume {volume}, {first:?}"));
        Error::Chunk { action: "read", path, chunk, stored_bytes, what: what.to_string() }
    }

    /// The chunk of a volume that `region` is, as it is stored; a chunk may never have been.
    fn fetched(&self, volume: u64, region: Region) -> Result<Fetched> {
        let first = self.first(region)?;
        let Table { bytes, volumes, storage } = &*self.table;
        let error = |stored_bytes: u64, what: String| self.error(volume, first, stored_bytes, what);
        let tree = volumes.trees.get(volume as usize).copied().flatten();
        let Some(tree) = tree else { return Ok(Fetched::new(volume, region, None)) };
        let found = tree::find(bytes, tree, first).map_err(|fault| match fault {
            Fault::Wrong { field, found, expected } => error(0, format!("{field} is {found}, expected {expected}")),
            other => other.of(&self.path),
        })?;
        let Some(stored) = found else { return Ok(Fetched::new(volume, region, None)) };
        let most = most_stored(storage.chunk_bytes());
        if stored.len > most {
            return Err(error(stored.len, format!("larger than any chunk of this dataset can be ({most} bytes)")));
        }
        if stored.at.checked_add(stored.len).is_none_or(|end| end > bytes.len()) {
            let what = format!("it stands at byte {}, and the file has {}", stored.at, bytes.len());
            return Err(error(stored.len, what));
        }
        let mut packed = sys::reserve(stored.len).map_err(|what| error(stored.len, what))?;
        packed.resize(stored.len as usize, 0);
        bytes.fill(&mut packed, stored.at).map_err(Error::io("read", &self.path))?;
        Ok(Fetched { filters_left_out: stored.left_out, ..Fetched::new(volume, region, Some(packed)) })
    }
}

impl<T: Voxel> Source<T> for Hdf5Source {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        self.read_fetched(self.fetched(group, into.region)?, into)
    }

    fn fetch(&self, group: u64, region: Region) -> Result<Option<Fetched>> {
        self.fetched(group, region).map(Some)
    }

    fn read_fetched(&self, fetched: Fetched, mut into: BlockMut<'_, T>) -> Result<()> {
        let first = self.first(fetched.region)?;
        if into.volumes != 1 || into.region != fetched.region {
            let found = format!("region {} x {}", into.region, into.volumes);
            return Err(Error::usage(format!("{found} is not region {} that was fetched", fetched.region)));
        }
        let storage = &self.table.storage;
        let Some(stored) = fetched.stored else {
            self.absent.fetch_add(1, Ordering::Relaxed);
            let mut fill = [T::default()];
            self.conversion.decode(&storage.fill, &mut fill);
            into.voxels.fill(fill[0]);
            return Ok(());
        };
        let stored_bytes = stored.len() as u64;
        let bytes = decode(&storage.filters, fetched.filters_left_out, stored, storage.chunk_bytes())
            .map_err(|what| self.error(fetched.group, first, stored_bytes, what))?;
        let [_, ny, nx] = storage.chunk.map(|extent| extent as usize);
        let sample = Sample::Plain(self.conversion.stored);
        let view = ChunkView { bytes: &bytes, strides: [ny * nx, nx, 1], sample, conversion: self.conversion };
        view.copy_volume(0, 0, &mut into);
        Ok(())
    }

    fn missing_chunks(&self) -> u64 {
        self.absent.load(Ordering::Relaxed)
    }
}
