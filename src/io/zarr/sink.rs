//! Writing chunks and shards, and the documents at the end.

use std::{
    marker::PhantomData,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::Value;

use super::{header::HeaderBytes, shard::Assembler, target::ZarrTarget};
use crate::{
    block::BlockRef,
    checkpoint::{
        ledger::{Entry, Ledger, NoLedger, RestoredLevel},
        stamp::Stamp,
    },
    error::{Error, Result},
    io::{Encoded, Sink, convert::Lost},
    layout::Layout,
    region::Region,
    storage::{BuildSite, DirStore, StoreError},
    voxel::Voxel,
};

/// One image being written: into a folder that the caller renames when it is complete, or to where it stays; there the
/// group's metadata are what makes it a target, and are written last.
pub struct ZarrSink<T> {
    target: ZarrTarget,
    layout: Layout,
    site: BuildSite,
    assembler: Option<Assembler>,
    ledger: Arc<dyn Ledger>,
    empty: AtomicU64,
    voxel: PhantomData<fn(T)>,
}

/// Takes over the unfinished shards of a level of `target` that earlier runs have left in `site`, where `is_ours` holds for one of
/// their chunks (volume, region); as far as they go, those chunks are done.
pub fn adopt(
    site: &BuildSite,
    target: &ZarrTarget,
    ledger: &Arc<dyn Ledger>,
    restored: &mut RestoredLevel,
    is_ours: impl Fn(u64, Region) -> bool,
) -> Result<()> {
    let path = site.store.describe("");
    if !target.has_level() {
        *restored = RestoredLevel::default();
        return Ok(());
    }
    let layout = target.layout(&path)?;
    let target = target.normalised(&path)?;
    let whole = Region::of_shape(layout.grid.shape);
    restored.keep_within(whole, layout.outer.volumes(), |volume, unit| target.place_of(volume, unit).1);
    target.assembler(ledger).map_or(Ok(()), |assembler| assembler.adopt(site, restored, is_ours))
}

impl<T: Voxel> ZarrSink<T> {
    /// Writes the array's metadata into folder `dir`; those of the group follow at the very end.
    ///
    /// The layout's outer axes are the target's, with colour components as a last axis `c`: component `k` of volume `v`
    /// is volume `v * components + k` of the sink.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for what OME-Zarr cannot hold, [`Error::Usage`] for chunks and levels that make no sense.
    pub fn create(dir: &Path, target: &ZarrTarget) -> Result<ZarrSink<T>> {
        let site = BuildSite { store: Arc::new(DirStore::new(dir)), folder: dir.to_path_buf() };
        ZarrSink::create_in(site, target, NoLedger::shared(), &RestoredLevel::default())
    }

    /// The same in any store, going on with what is stored of the level; see [`adopt`].
    pub fn create_in(
        site: BuildSite,
        target: &ZarrTarget,
        ledger: Arc<dyn Ledger>,
        restored: &RestoredLevel,
    ) -> Result<ZarrSink<T>> {
        let path = site.store.describe("");
        let mut layout = target.layout(&path)?;
        target.add_memory(site.store.memory(), &mut layout);
        let target = target.normalised(&path)?;
        let (assembler, empty) = (target.assembler(&ledger), AtomicU64::new(restored.empty_chunks));
        if let Some(assembler) = &assembler {
            assembler.load(&site, restored)?;
        }
        let sink = ZarrSink { target, layout, site, assembler, ledger, empty, voxel: PhantomData };
        sink.write_documents(&sink.target.array_documents(None))?;
        Ok(sink)
    }

    /// Chunks left out so far because they are all fill; of shards that are finished.
    pub fn empty_chunks(&self) -> u64 {
        self.empty.load(Ordering::Relaxed) + self.assembler.as_ref().map_or(0, Assembler::empty_chunks)
    }

    fn write_documents(&self, documents: &[(String, Value)]) -> Result<()> {
        documents.iter().try_for_each(|(key, document)| self.write_document(key, document))
    }

    fn write_document(&self, key: &str, document: &Value) -> Result<()> {
        let path = self.site.store.describe(key);
        let text = serde_json::to_vec_pretty(document).map_err(|e| Error::io("write", &path)(e.into()))?;
        self.site.store.put_durable(key, text).map_err(|e| e.at("write", path))
    }

    fn set(&self, key: &str, bytes: Vec<u8>, stored_bytes: u64) -> Result<()> {
        let store = &self.site.store;
        store.put(key, bytes).map_err(|e| match e {
            StoreError::Io(_) => e.at("write", store.describe(key)),
            other => self.chunk_error(key, stored_bytes, other),
        })
    }

    fn chunk_error(&self, chunk: &str, stored_bytes: u64, what: impl ToString) -> Error {
        let (path, chunk) = (self.site.store.describe(&self.target.level_path()), chunk.to_string());
        Error::Chunk { action: "write", path, chunk, stored_bytes, what: what.to_string() }
    }

    /// The unit's samples in storage order, padded with the fill value to a whole chunk; and the samples that it cannot hold.
    fn padded(&self, unit: Region, block: BlockRef<'_, T>) -> (Vec<u8>, Lost) {
        let size = self.target.conversion.stored.bytes();
        let [_, cy, cx] = self.target.chunk.map(|extent| extent as usize * size);
        let (row_bytes, plane_bytes) = (cx, cy / size * cx);
        let total = self.target.chunk_bytes() as usize;
        // Four more for a checksum.
        let mut bytes = Vec::with_capacity(total + 4);
        let mut lost = Lost::default();
        for (plane, z) in (unit.lo[0]..unit.hi[0]).enumerate() {
            for (line, y) in (unit.lo[1]..unit.hi[1]).enumerate() {
                bytes.resize(plane * plane_bytes + line * row_bytes, 0);
                let row = block.row(0, z, y, unit.lo[2]..unit.hi[2]);
                lost = lost.and(self.target.conversion.encode(row, &mut bytes));
            }
        }
        bytes.resize(total, 0);
        (bytes, lost)
    }
}

impl<T: Voxel> Sink<T> for ZarrSink<T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn encode(&self, outer: u64, unit: Region, block: BlockRef<'_, T>) -> Result<Encoded> {
        let (at, key) = self.target.place_of(outer, unit);
        let expected = self.layout.chunk_region(at);
        if unit != expected || block.volumes != 1 || !block.region.contains(&unit) {
            let what = format!("region {unit} of block {} x {} is not one chunk", block.region, block.volumes);
            return Err(self.chunk_error(&key, 0, what));
        }
        let (raw, lost) = self.padded(unit, block);
        let raw_bytes = raw.len() as u64;
        let is_fill = raw.chunks(4096).all(|part| part.iter().fold(0, |any, byte| any | byte) == 0);
        let bytes = if is_fill {
            Vec::new()
        } else {
            self.target.encode(raw).map_err(|what| self.chunk_error(&key, raw_bytes, what))?
        };
        Ok(Encoded { bytes, check: Default::default(), raw_bytes, lost })
    }

    fn put(&self, outer: u64, unit: Region, encoded: Encoded) -> Result<u64> {
        let (at, key) = self.target.place_of(outer, unit);
        let stored_bytes = encoded.bytes.len() as u64;
        if let Some(assembler) = &self.assembler {
            return assembler.put(&self.site, &key, outer, at, encoded.bytes);
        }
        let stamp = Some(Stamp::of(&encoded.bytes));
        if stored_bytes > 0 {
            self.set(&key, encoded.bytes, stored_bytes)?;
        }
        let empty_chunks = u64::from(stored_bytes == 0);
        self.empty.fetch_add(empty_chunks, Ordering::Relaxed);
        let level = self.target.levels.current as u32;
        self.ledger.note(Entry::Region { level, volume: outer, region: unit, empty_chunks, stamp });
        Ok(stored_bytes)
    }

    fn flush(&self) -> Result<()> {
        self.assembler.as_ref().map_or(Ok(()), |assembler| assembler.flush(&self.site))
    }

    fn sync(&self) -> Result<()> {
        self.site.store.sync().map_err(|e| e.at("sync", self.site.store.describe("")))
    }

    fn settle(&self) -> Result<()> {
        self.assembler.as_ref().map_or(Ok(()), Assembler::settle)
    }

    /// The array's metadata with the number of empty chunks; after the last level the NIfTI header and the group's, then the disk.
    fn finish(&self) -> Result<()> {
        if let Some(assembler) = &self.assembler {
            assembler.finish(&self.site)?;
        }
        self.write_documents(&self.target.array_documents(Some(self.empty_chunks())))?;
        if self.target.ends_image() {
            if let Some(header) = &self.target.nifti {
                self.write_documents(&header.documents(self.target.version))?;
                let key = HeaderBytes::chunk_key(self.target.version);
                let stored = self.site.store.put_durable(&key, header.chunk(self.target.version));
                stored.map_err(|e| e.at("write", self.site.store.describe(&key)))?;
            }
            let group = self.target.group_documents();
            let group = group.map_err(|e| Error::io("write", self.site.store.describe(""))(e.into()))?;
            self.write_documents(&group)?;
        }
        Sink::<T>::sync(self)
    }
}
