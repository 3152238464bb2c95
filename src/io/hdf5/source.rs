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
        Source,
        convert::Conversion,
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

    /// The decoded bytes of the chunk that begins with voxel `first`; `None` where it was never stored.
    fn chunk(&self, volume: u64, first: [u64; 3]) -> Result<Option<Vec<u8>>> {
        let Table { bytes, volumes, storage, .. } = &*self.table;
        let name = || format!("volume {volume}, {:?}", first.map(|n| n as i64));
        let error = |stored_bytes: u64, what: String| Error::Chunk {
            action: "read",
            path: self.path.clone(),
            chunk: name(),
            stored_bytes,
            what,
        };
        let tree = volumes.trees.get(volume as usize).copied().flatten();
        let Some(tree) = tree else { return Ok(None) };
        let found = tree::find(bytes, tree, first).map_err(|fault| match fault {
            crate::io::tiff::fault::Fault::Wrong { field, found, expected } => {
                error(0, format!("{field} is {found}, expected {expected}"))
            }
            other => other.of(&self.path),
        })?;
        let Some(stored) = found else { return Ok(None) };
        let raw_bytes = storage.chunk_bytes();
        let most = most_stored(raw_bytes);
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
        let decoded = decode(&storage.filters, stored.left_out, packed, raw_bytes);
        decoded.map(Some).map_err(|what| error(stored.len, what))
    }
}

impl<T: Voxel> Source<T> for Hdf5Source {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, mut into: BlockMut<'_, T>) -> Result<()> {
        let (region, chunk) = (into.region, self.layout.chunk);
        let is_inside = Region::of_shape(self.layout.grid.shape).contains(&region);
        let at = region.lo.map(|lo| lo.max(0) as u64);
        let at: [u64; 3] = std::array::from_fn(|a| at[a] / chunk[a]);
        if !is_inside || into.volumes != 1 || region != self.layout.chunk_region(at) {
            let path = self.path.display();
            return Err(Error::usage(format!("region {region} x {} is not one chunk of {path}", into.volumes)));
        }
        let storage = &self.table.storage;
        let first = std::array::from_fn(|a| at[a] * storage.chunk[a]);
        let sample = Sample::Plain(self.conversion.stored);
        match self.chunk(group, first)? {
            Some(bytes) => {
                let [_, ny, nx] = storage.chunk.map(|extent| extent as usize);
                let view = ChunkView { bytes: &bytes, strides: [ny * nx, nx, 1], sample, conversion: self.conversion };
                view.copy_volume(0, 0, &mut into);
            }
            None => {
                self.absent.fetch_add(1, Ordering::Relaxed);
                let mut fill = [T::default()];
                self.conversion.decode(&storage.fill, &mut fill);
                into.voxels.fill(fill[0]);
            }
        }
        Ok(())
    }

    fn missing_chunks(&self) -> u64 {
        self.absent.load(Ordering::Relaxed)
    }
}
