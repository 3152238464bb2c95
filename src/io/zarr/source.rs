//! Reading chunks.

use std::{
    borrow::Cow,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

mod absent;

use absent::Absent;

use super::{
    copy::ChunkView,
    file::ZarrFile,
    index::{self, IndexCache, ShardIndex},
    meta::ShardIndexMeta,
};
use crate::{
    block::BlockMut,
    error::{Error, Result},
    io::{Fetched, Source},
    layout::Layout,
    region::Region,
    storage::{Part, StoreError},
    voxel::Voxel,
};

/// An open array as a source of voxels of type `T`.
pub struct ZarrSource<T> {
    file: ZarrFile,
    indexes: IndexCache,
    absent: Absent,
    /// Keys of absent chunks that the server refused to show.
    hidden: AtomicU64,
    /// Whether the server refuses what is absent; empty until that was asked.
    hides: OnceLock<bool>,
    fill: T,
}

/// A key that no array has: what a server says of it, it says of everything that is absent.
const ABSENT: &str = "reslice-asks-for-what-is-absent";
/// Documents are read again within this.
const DOCUMENT_LIMIT: u64 = 1 << 20;

/// One chunk: where it is, and what to call it in a message.
pub(crate) struct ChunkRef {
    key: String,
    /// Coordinates of the chunk or shard that the key holds.
    object: Vec<u64>,
    /// Position within the shard, C order, and its coordinates.
    inner: Option<(usize, Vec<u64>)>,
    path: PathBuf,
}

impl ChunkRef {
    pub(crate) fn error(&self, stored_bytes: u64, what: impl ToString) -> Error {
        let inner = self.inner.as_ref().map(|(_, at)| format!(" inner {at:?}")).unwrap_or_default();
        Error::Chunk {
            action: "read",
            path: self.path.clone(),
            chunk: format!("{}{inner}", self.key),
            stored_bytes,
            what: what.to_string(),
        }
    }
}

impl<T: Voxel> ZarrSource<T> {
    /// Voxels are converted by `file.conversion`, bits copied where the stored type is `T`.
    pub fn new(file: ZarrFile) -> ZarrSource<T> {
        let mut fill = [T::default()];
        decoded(&file, &[]).decode(&file.meta.fill, &mut fill);
        let indexes = IndexCache::new(&file.meta);
        let (absent, hidden, hides) = (Absent::default(), AtomicU64::new(0), OnceLock::new());
        ZarrSource { indexes, absent, hidden, hides, fill: fill[0], file }
    }

    /// The array.
    pub fn file(&self) -> &ZarrFile {
        &self.file
    }

    /// Coordinates of a chunk of group `group`, per dimension of the array.
    fn chunk_at(&self, group: u64, region: Region) -> Vec<u64> {
        let mut at = vec![0; self.file.meta.shape.len()];
        for (a, d) in self.file.dims.space.iter().enumerate() {
            if let Some(d) = d {
                at[*d] = region.lo[a] as u64 / self.file.layout.chunk[a];
            }
        }
        let outer = &self.file.layout.outer;
        let mut rest = group;
        for (n, &d) in self.file.dims.outer.iter().enumerate().rev() {
            let count = outer.axes[n].len.div_ceil(outer.chunk[n]);
            at[d] = rest % count;
            rest /= count;
        }
        at
    }

    /// The chunk that holds the corner of `region`, clipped to the grid.
    fn chunk_region(&self, region: Region) -> Region {
        let layout = &self.file.layout;
        layout.chunk_region(
            [0, 1, 2].map(|a| region.lo[a].clamp(0, layout.grid.shape[a] as i64) as u64 / layout.chunk[a]),
        )
    }

    fn place(&self, chunk: Vec<u64>) -> ChunkRef {
        let meta = &self.file.meta;
        let per_object = meta.chunks_per_object();
        let object: Vec<u64> = chunk.iter().zip(&per_object).map(|(at, n)| at / n).collect();
        let inner = meta.shard.map(|_| {
            let within: Vec<u64> = chunk.iter().zip(&per_object).map(|(at, n)| at % n).collect();
            let slot = within.iter().zip(&per_object).fold(0u64, |slot, (at, n)| slot * n + at);
            (slot as usize, within)
        });
        let name = meta.keys.key(&object);
        let prefix = &self.file.array_path;
        let key = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        ChunkRef { key, object, inner, path: self.file.path.clone() }
    }

    /// The stored bytes of a chunk; `None` where it is absent.
    fn stored(&self, place: &ChunkRef) -> Result<Option<Vec<u8>>> {
        let limit = self.file.meta.chain.encoded_limit(self.file.meta.chunk_bytes());
        let refuse = |len: u64| place.error(len, format!("larger than any chunk of this array can be ({limit} bytes)"));
        let store = &self.file.store;
        let Some((slot, _)) = place.inner else {
            return match store.get(&place.key, limit) {
                Err(StoreError::TooLarge { bytes, .. }) => Err(refuse(bytes)),
                Err(e) if self.is_hidden(&e) => Ok(None),
                other => other.map_err(|e| place.error(0, e)),
            };
        };
        let index = self.index(place)?;
        let Some((offset, len)) = index.entry(slot).map_err(|what| place.error(index.file_bytes(), what))? else {
            return Ok(None);
        };
        if len > limit {
            return Err(refuse(len));
        }
        let stored = store.get_part(&place.key, Part::Range { offset, len }).map_err(|e| place.error(len, e))?;
        stored.map(|piece| Some(piece.bytes)).ok_or_else(|| place.error(len, "the shard is gone"))
    }

    fn index(&self, place: &ChunkRef) -> Result<Arc<ShardIndex>> {
        if let Some(index) = self.indexes.get(&place.object) {
            return Ok(index);
        }
        let index = match self.file.meta.shard {
            Some(shard) => Arc::new(self.load_index(place, shard)?),
            None => Arc::new(ShardIndex::absent()),
        };
        self.indexes.put(&place.object, index.clone());
        Ok(index)
    }

    fn load_index(&self, place: &ChunkRef, shard: ShardIndexMeta) -> Result<ShardIndex> {
        let len = index::stored_bytes(&self.file.meta, shard);
        let part = if shard.at_end { Part::Suffix(len) } else { Part::Range { offset: 0, len } };
        let stored = match self.file.store.get_part(&place.key, part) {
            Err(StoreError::Outside { total, .. }) => {
                return Err(place.error(total, format!("the shard is shorter than its index of {len} bytes")));
            }
            Err(e) if self.is_hidden(&e) => None,
            other => other.map_err(|e| place.error(0, e))?,
        };
        let Some(stored) = stored else { return Ok(ShardIndex::absent()) };
        ShardIndex::parse(&stored.bytes, shard, stored.total).map_err(|what| place.error(stored.total, what))
    }

    /// Whether a chunk that the server refuses to show is one that is absent, as buckets answer that may be read and not listed.
    ///
    /// The array's own document must still be readable (else the right to read has run out), and a key that cannot be there must be
    /// refused as well.
    fn is_hidden(&self, error: &StoreError) -> bool {
        let store = &self.file.store;
        if !error.is_denied() || store.folder().is_some() {
            return false;
        }
        let key = |name: &str| match self.file.array_path.as_str() {
            "" => name.to_string(),
            path => format!("{path}/{name}"),
        };
        let document = if self.file.meta.zarr_format == 2 { ".zarray" } else { "zarr.json" };
        if !matches!(store.get(&key(document), DOCUMENT_LIMIT), Ok(Some(_))) {
            return false;
        }
        let hides = self.hides.get().copied().unwrap_or_else(|| {
            let hides = store.get(&key(ABSENT), DOCUMENT_LIMIT).is_err_and(|error| error.is_denied());
            *self.hides.get_or_init(|| hides)
        });
        if hides {
            self.hidden.fetch_add(1, Ordering::Relaxed);
        }
        hides
    }

    /// The place of the chunk that `region` of `group` is.
    fn place_of(&self, group: u64, region: Region) -> Result<ChunkRef> {
        if region != self.chunk_region(region) {
            return Err(Error::usage(format!("region {region} is not one chunk of {}", self.file.path.display())));
        }
        Ok(self.place(self.chunk_at(group, region)))
    }

    /// Reads and decodes the chunk at these coordinates as [`Source::read`] does, and lets it go: its stored bytes, `None`
    /// where it is absent.
    pub(crate) fn probe(&self, chunk: Vec<u64>) -> Result<Option<u64>> {
        let place = self.place(chunk);
        let Some(stored) = self.stored(&place)? else { return Ok(None) };
        let stored_bytes = stored.len() as u64;
        self.decode(|| place, &stored)?;
        Ok(Some(stored_bytes))
    }

    /// The index of the shard that holds the chunk at these coordinates, and what to call that in a message.
    pub(crate) fn probe_index(&self, chunk: Vec<u64>) -> Result<(Arc<ShardIndex>, ChunkRef)> {
        let place = ChunkRef { inner: None, ..self.place(chunk) };
        Ok((self.index(&place)?, place))
    }

    fn decode<'a>(&self, place: impl FnOnce() -> ChunkRef, stored: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        let decoded = self.file.meta.chain.decode(stored, self.file.meta.chunk_bytes());
        decoded.map_err(|what| place().error(stored.len() as u64, what))
    }

    /// How many of each outer axis the chunks of `group` hold, and the distance in samples of neighbours along it.
    fn member_extents(&self, group: u64) -> Vec<(u64, u64)> {
        let strides = self.file.meta.strides();
        let outer = &self.file.layout.outer;
        let chunk = self.chunk_at(group, Region::EMPTY);
        let extent = |(n, &d): (usize, &usize)| {
            (outer.chunk[n].min(outer.axes[n].len.saturating_sub(chunk[d] * outer.chunk[n])), strides[d])
        };
        self.file.dims.outer.iter().enumerate().map(extent).collect()
    }
}

/// First sample of each member of a group within a decoded chunk, in the order of the members.
fn member_offsets(extents: &[(u64, u64)]) -> Vec<usize> {
    let mut offsets = vec![0usize];
    for &(extent, step) in extents {
        offsets = offsets.iter().flat_map(|&o| (0..extent as usize).map(move |i| o + i * step as usize)).collect();
    }
    offsets
}

fn decoded<'a>(file: &ZarrFile, bytes: &'a [u8]) -> ChunkView<'a> {
    let strides = file.dims.spatial(&file.meta.strides(), 0).map(|stride| stride as usize);
    ChunkView { bytes, strides, sample: file.sample(), conversion: file.conversion }
}

impl<T: Voxel> Source<T> for ZarrSource<T> {
    fn layout(&self) -> &Layout {
        &self.file.layout
    }

    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        let stored = self.stored(&self.place_of(group, into.region)?)?;
        self.read_fetched(Fetched::new(group, into.region, stored), into)
    }

    /// Always `Some`: fetching takes no part in decoding.
    fn fetch(&self, group: u64, region: Region) -> Result<Option<Fetched>> {
        let stored = self.stored(&self.place_of(group, region)?)?;
        Ok(Some(Fetched::new(group, region, stored)))
    }

    fn read_fetched(&self, fetched: Fetched, mut into: BlockMut<'_, T>) -> Result<()> {
        let extents = self.member_extents(fetched.group);
        let members = extents.iter().fold(1u64, |n, (extent, _)| n.saturating_mul(*extent));
        if into.volumes as u64 != members || into.region != fetched.region {
            let found = format!("region {} x {}", into.region, into.volumes);
            return Err(Error::usage(format!("{found} is not region {} x {members} that was fetched", fetched.region)));
        }
        let Some(stored) = fetched.stored else {
            self.note_absent()?;
            into.voxels.fill(self.fill);
            return Ok(());
        };
        let place = || self.place(self.chunk_at(fetched.group, fetched.region));
        let bytes = self.decode(place, &stored)?;
        let chunk = decoded(&self.file, &bytes);
        for (n, first) in member_offsets(&extents).into_iter().enumerate() {
            chunk.copy_volume(first, n, &mut into);
        }
        Ok(())
    }

    fn read_absent(&self, fetched: &Fetched) -> Result<Option<T>> {
        if fetched.stored.is_some() {
            return Ok(None);
        }
        self.note_absent()?;
        Ok(Some(self.fill))
    }

    fn missing_chunks(&self) -> u64 {
        self.absent.read()
    }

    fn hidden_keys(&self) -> u64 {
        self.hidden.load(Ordering::Relaxed)
    }
}
