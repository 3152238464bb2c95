//! Chunks of a volume as a source of voxels: files of their own, or parts of shards.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    PrecomputedFile, images,
    info::Encoding,
    segmentation,
    shard::{Minishard, Sharding, number},
};
use crate::{
    block::BlockMut,
    error::{Error, Result},
    io::{
        Fetched, Source,
        convert::Conversion,
        zarr::{copy::ChunkView, deflated::decode_gzip, limit::SizeLimit, sample::Sample},
    },
    layout::Layout,
    region::Region,
    storage::{Part, StoreError},
    sys,
    voxel::Voxel,
};

/// Indexes of minishards that are kept.
pub(super) const KEPT: usize = 4;
const GZIP: &[u8] = &[0x1f, 0x8b];

type Kept = VecDeque<((u64, u64), Arc<Minishard>)>;

/// A scale as a source of voxels.
pub struct PrecomputedSource {
    file: PrecomputedFile,
    layout: Layout,
    conversion: Conversion,
    indexes: Mutex<Kept>,
    absent: AtomicU64,
}

/// One chunk, by its place along x, y, z.
#[derive(Clone, Copy)]
struct ChunkAt([u64; 3]);

impl PrecomputedSource {
    /// `layout` is that of all channels.
    pub fn new(file: &PrecomputedFile, layout: Layout, conversion: Conversion) -> PrecomputedSource {
        let (indexes, absent) = (Mutex::default(), AtomicU64::new(0));
        PrecomputedSource { file: file.clone(), layout, conversion, indexes, absent }
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.file.key)
    }

    fn error(&self, at: ChunkAt, stored_bytes: u64, what: impl ToString) -> Error {
        let scale = &self.file.info.scale;
        let name = match &scale.sharding {
            None => scale.name(at.0),
            Some(sharding) => {
                let number = number(at.0, scale.counts());
                format!("{} chunk {number}", sharding.name(sharding.place(number).0))
            }
        };
        let path = self.file.path.clone();
        Error::Chunk { action: "read", path, chunk: self.key(&name), stored_bytes, what: what.to_string() }
    }

    fn chunk_at(&self, region: Region) -> Result<ChunkAt> {
        let layout = &self.layout;
        let is_inside = Region::of_shape(layout.grid.shape).contains(&region);
        let at = std::array::from_fn(|a| region.lo[a].max(0) as u64 / layout.chunk[a]);
        if is_inside && region == layout.chunk_region(at) {
            return Ok(ChunkAt([at[2], at[1], at[0]]));
        }
        Err(Error::usage(format!("region {region} is not one chunk of {}", self.file.path.display())))
    }

    /// The stored bytes of a chunk; `None` where it is absent.
    fn stored(&self, at: ChunkAt) -> Result<Option<Vec<u8>>> {
        let scale = &self.file.info.scale;
        match &scale.sharding {
            Some(sharding) => self.in_shard(at, sharding),
            None => {
                let name = self.key(&scale.name(at.0));
                match self.get(at, &name)? {
                    None if self.file.store.is_near() => self.get(at, &format!("{name}.gz")),
                    found => Ok(found),
                }
            }
        }
    }

    fn get(&self, at: ChunkAt, key: &str) -> Result<Option<Vec<u8>>> {
        let limit = self.file.most_stored();
        match self.file.store.get(key, limit) {
            Err(StoreError::TooLarge { bytes, .. }) => {
                Err(self.error(at, bytes, format!("larger than any chunk of this scale can be ({limit} bytes)")))
            }
            other => other.map_err(|error| self.error(at, 0, error)),
        }
    }

    fn in_shard(&self, at: ChunkAt, sharding: &Sharding) -> Result<Option<Vec<u8>>> {
        let number = number(at.0, self.file.info.scale.counts());
        let (shard, minishard) = sharding.place(number);
        let index = self.index(at, sharding, shard, minishard)?;
        let Some((offset, len)) = index.find(number) else { return Ok(None) };
        if len > self.file.most_stored() {
            let what = format!("larger than any chunk of this scale can be ({} bytes)", self.file.most_stored());
            return Err(self.error(at, len, what));
        }
        let offset = sharding.index_bytes().saturating_add(offset);
        self.part(at, sharding, shard, offset, len)?.map(Some).ok_or_else(|| self.error(at, len, "the shard is gone"))
    }

    /// Bytes of a shard; `None` where it is absent.
    fn part(&self, at: ChunkAt, sharding: &Sharding, shard: u64, offset: u64, len: u64) -> Result<Option<Vec<u8>>> {
        if len == 0 {
            return Ok(Some(Vec::new()));
        }
        let key = self.key(&sharding.name(shard));
        let piece = self.file.store.get_part(&key, Part::Range { offset, len });
        piece.map(|piece| piece.map(|piece| piece.bytes)).map_err(|error| self.error(at, len, error))
    }

    /// Where the chunks of a minishard stand; none where the shard is absent.
    fn index(&self, at: ChunkAt, sharding: &Sharding, shard: u64, minishard: u64) -> Result<Arc<Minishard>> {
        if let Some(index) =
            self.kept(|kept| kept.iter().find(|(of, _)| *of == (shard, minishard)).map(|(_, index)| index.clone()))
        {
            return Ok(index);
        }
        let index = Arc::new(self.load(at, sharding, shard, minishard)?);
        self.kept(|kept| {
            kept.push_front(((shard, minishard), index.clone()));
            kept.truncate(KEPT);
        });
        Ok(index)
    }

    fn kept<R>(&self, act: impl FnOnce(&mut Kept) -> R) -> R {
        act(&mut self.indexes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn load(&self, at: ChunkAt, sharding: &Sharding, shard: u64, minishard: u64) -> Result<Minishard> {
        let Some(entry) = self.part(at, sharding, shard, 16 * minishard, 16)? else { return Ok(Minishard::default()) };
        let word = |n: usize| entry[8 * n..8 * n + 8].iter().rev().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
        let (first, end) = (word(0), word(1));
        let most = self.file.most_index();
        let len = end.checked_sub(first).filter(|len| *len <= most).ok_or_else(|| {
            let what =
                format!("the index of minishard {minishard} stands at {first} to {end}, expected up to {most} bytes");
            self.error(at, 0, what)
        })?;
        let offset = sharding.index_bytes().saturating_add(first);
        let stored = self.part(at, sharding, shard, offset, len)?.unwrap_or_default();
        let bytes = match sharding.is_index_packed && !stored.is_empty() {
            true => decode_gzip(&stored, SizeLimit::AtMost(most)).map_err(|what| self.error(at, len, what))?,
            false => stored,
        };
        Minishard::parse(&bytes).map_err(|what| self.error(at, len, what))
    }

    /// The samples of a chunk, x fastest and channels slowest.
    fn decoded(&self, at: ChunkAt, stored: Vec<u8>) -> Result<Vec<u8>> {
        let info = &self.file.info;
        let extent = info.scale.extent(at.0);
        let sample_bytes = info.dtype.bytes();
        let of_voxel = info.channels.saturating_mul(sample_bytes as u64);
        let len = extent.iter().fold(of_voxel, |n, &extent| n.saturating_mul(extent));
        let stored_bytes = stored.len() as u64;
        let error = |what: String| self.error(at, stored_bytes, what);
        let is_said = info.scale.sharding.is_some_and(|sharding| sharding.is_data_packed);
        let is_raw = info.scale.encoding == Encoding::Raw && stored_bytes == len;
        // Files of their own are packed or not as their server tells; raw chunks of the right length are not.
        let is_packed = is_said || (info.scale.sharding.is_none() && !is_raw && stored.starts_with(GZIP));
        let most = if info.scale.encoding == Encoding::Raw {
            SizeLimit::Exactly(len)
        } else {
            SizeLimit::AtMost(self.file.most_stored())
        };
        let stored = if is_packed { decode_gzip(&stored, most).map_err(error)? } else { stored };
        if info.scale.encoding == Encoding::Raw {
            SizeLimit::Exactly(len).check(stored.len() as u64).map_err(error)?;
            return Ok(stored);
        }
        let mut room = sys::reserve(len).map_err(error)?;
        room.resize(len as usize, 0);
        let (channels, voxels) = (info.channels, extent.iter().product());
        let image = images::Chunk { voxels, channels, sample_bytes };
        match info.scale.encoding {
            Encoding::Raw => Ok(()),
            Encoding::Segmentation(block) => {
                let chunk = segmentation::Chunk { extent, channels, block, sample_bytes };
                segmentation::decode(&stored, chunk, &mut room)
            }
            Encoding::Jpeg => images::from_jpeg(&stored, image, &mut room),
            Encoding::Png => images::from_png(&stored, image, &mut room),
        }
        .map_err(error)?;
        Ok(room)
    }
}

impl<T: Voxel> Source<T> for PrecomputedSource {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        let stored = self.stored(self.chunk_at(into.region)?)?;
        self.read_fetched(Fetched::new(group, into.region, stored), into)
    }

    fn fetch(&self, group: u64, region: Region) -> Result<Option<Fetched>> {
        let stored = self.stored(self.chunk_at(region)?)?;
        Ok(Some(Fetched::new(group, region, stored)))
    }

    fn read_fetched(&self, fetched: Fetched, mut into: BlockMut<'_, T>) -> Result<()> {
        let at = self.chunk_at(fetched.region)?;
        if into.volumes as u64 != self.file.info.channels || into.region != fetched.region {
            let found = format!("region {} x {}", into.region, into.volumes);
            return Err(Error::usage(format!("{found} is not region {} that was fetched", fetched.region)));
        }
        let Some(stored) = fetched.stored else {
            self.absent.fetch_add(1, Ordering::Relaxed);
            into.voxels.fill(T::default());
            return Ok(());
        };
        let bytes = self.decoded(at, stored)?;
        let [nx, ny, nz] = self.file.info.scale.extent(at.0).map(|extent| extent as usize);
        let sample = Sample::Plain(self.conversion.stored);
        let view = ChunkView { bytes: &bytes, strides: [ny * nx, nx, 1], sample, conversion: self.conversion };
        for n in 0..into.volumes {
            view.copy_volume(n * nx * ny * nz, n, &mut into);
        }
        Ok(())
    }

    fn missing_chunks(&self) -> u64 {
        self.absent.load(Ordering::Relaxed)
    }
}
