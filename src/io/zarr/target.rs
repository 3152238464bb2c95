//! What is to be written, and the metadata documents that say so.

use std::{path::Path, sync::Arc};

use serde_json::{Map, Value, json};

use super::{
    encode::Codec,
    header::HeaderBytes,
    meta::ArrayMeta,
    open,
    place::Dims,
    sample::v3_name,
    shard::{Assembler, ShardGrid},
};
use crate::{
    checkpoint::ledger::Ledger,
    error::{Error, Result},
    geometry::Grid,
    io::{
        convert::Conversion,
        ome::{Carried, OWN_ATTRIBUTE, OmeMetadata, OmeVersion},
    },
    layout::{Access, Axis, Layout, Outer},
    region::Region,
    storage::StoreMemory,
};

mod axes;
mod multiscale;
mod v2;

use axes::{SPACE, is_time, outer_axes};

/// Early chunks of shards wait in memory up to four chunks, and up to this.
const EARLY_BYTES: u64 = 16 << 20;

/// The levels of an image, and which of them a sink writes.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    /// Grids of the levels below the finest, finest first.
    pub coarser: Vec<Grid>,
    /// How they are made from the level above, for the metadata.
    pub method: Option<&'static str>,
    /// Whether their voxels stand at the centre of those that they span, and not on the first.
    pub centred: bool,
    /// The level that a sink of this target writes; 0 is the finest. The last one also writes the group's metadata.
    pub current: usize,
    /// The levels are to be added to a group that is there: its metadata are not written here.
    pub detached: bool,
}

/// One image to be written as OME-Zarr, or one level of it.
///
/// Scale and translation of the metadata are the lengths of the affine's columns and its last column, along the axes of the
/// body where these are known and the grid lies close to them, and are stated; else the signed diagonal where the affine
/// has no direction of its own and no NIfTI header is given.
#[derive(Clone, Debug)]
pub struct ZarrTarget {
    pub version: OmeVersion,
    /// Of the finest level.
    pub grid: Grid,
    /// Slowest first. At most one is time (`t`), and one another.
    pub outer: Vec<Axis>,
    /// Axes along z, y, x that the array does not have; of one voxel in all levels.
    pub lacking: [bool; 3],
    /// Samples per voxel: 1, or 3 or 4 for colours, which become an axis `c` inside the other outer axes.
    pub components: usize,
    /// The stored type and the rounding; the byte order is always little.
    pub conversion: Conversion,
    /// Chunk, or inner chunk of a shard, in voxels (z, y, x); clipped to the grid.
    pub chunk: [u64; 3],
    /// A multiple of `chunk`; clipped to what the grid needs. Version 0.4 has none.
    pub shard: Option<[u64; 3]>,
    pub codec: Codec,
    pub name: String,
    pub carried: Carried,
    /// The NIfTI header that stands beside the levels.
    pub nifti: Option<HeaderBytes>,
    pub levels: Levels,
}

impl ZarrTarget {
    /// The same image, for a sink that writes level `level`.
    pub fn at_level(&self, level: usize) -> ZarrTarget {
        ZarrTarget { levels: Levels { current: level, ..self.levels.clone() }, ..self.clone() }
    }

    /// The grid of the level that is written.
    pub fn level_grid(&self) -> &Grid {
        match self.levels.current {
            0 => &self.grid,
            n => &self.levels.coarser[n - 1],
        }
    }

    /// Whether the image has the level that is named.
    pub(super) fn has_level(&self) -> bool {
        self.levels.current <= self.levels.coarser.len()
    }

    /// The path of the array that is written.
    pub fn level_path(&self) -> String {
        self.levels.current.to_string()
    }

    /// Whether the group's metadata are written at the end.
    pub(super) fn ends_image(&self) -> bool {
        !self.levels.detached && self.levels.current == self.levels.coarser.len()
    }

    /// What the sink's layout will be: colour components are a last outer axis `c`. Nothing is created.
    ///
    /// # Errors
    ///
    /// Those of [`super::ZarrSink::create`] that are not the file system's.
    pub fn layout(&self, path: &Path) -> Result<Layout> {
        let target = self.normalised(path)?;
        let volumes = target.outer.iter().fold(1u64, |n, axis| n.saturating_mul(axis.len));
        Ok(Layout {
            grid: target.level_grid().clone(),
            outer: Outer::separate(target.outer.clone()),
            components: 1,
            stored: target.conversion.stored,
            access: Access::Chunked,
            chunk: target.chunk,
            shard: target.shard,
            transfer_bytes: target.codec.encode_memory(target.chunk_bytes()),
            resident_bytes: target
                .shard_grid()
                .map_or(0, |grid| Assembler::resident_bytes(&grid, volumes, target.early_limit())),
            stored_bytes: None,
            ahead: Default::default(),
        })
    }

    /// The image as it stands in storage: colour components are an axis, and outer axes stand in their stored order.
    ///
    /// # Errors
    ///
    /// Those of [`ZarrTarget::layout`].
    pub fn stored_form(&self, path: &Path) -> Result<ZarrTarget> {
        let mut target = self.normalised(path)?;
        target.outer = target.outer_order().into_iter().map(|n| target.outer[n].clone()).collect();
        Ok(target)
    }

    /// The layout that the level will have when it is read back. Nothing is read.
    pub fn reading_layout(&self, path: &Path) -> Result<Layout> {
        let target = self.stored_form(path)?;
        let document = target.array_documents(None).pop().and_then(|(_, document)| document.as_object().cloned());
        let document = document.unwrap_or_default();
        let meta = match self.version {
            OmeVersion::V04 => ArrayMeta::from_v2(path, &document)?,
            OmeVersion::V05 | OmeVersion::V06 => ArrayMeta::from_v3(path, &document)?,
        };
        let mut dims = Dims { space: [None; 3], outer: (0..target.outer.len()).collect() };
        for (n, a) in target.space().enumerate() {
            dims.space[a] = Some(target.outer.len() + n);
        }
        Ok(open::layout(&meta, target.level_grid().clone(), Outer::separate(target.outer.clone()), &dims))
    }

    /// Adds to `layout` what the store that the target goes to takes.
    pub fn add_memory(&self, memory: StoreMemory, layout: &mut Layout) {
        layout.transfer_bytes = layout.transfer_bytes.saturating_add(memory.request_bytes);
        let uploads = if self.shard.is_some() { memory.upload_bytes } else { 0 };
        layout.resident_bytes = layout.resident_bytes.saturating_add(memory.resident_bytes).saturating_add(uploads);
    }

    /// What gathers inner chunks into shards, where there are shards.
    pub(super) fn assembler(&self, ledger: &Arc<dyn Ledger>) -> Option<Assembler> {
        self.shard_grid().map(|grid| Assembler::new(grid, self.early_limit(), ledger.clone()))
    }

    fn shard_grid(&self) -> Option<ShardGrid> {
        let (level, shape, chunk) = (self.levels.current as u32, self.level_grid().shape, self.chunk);
        self.shard.map(|shard| ShardGrid {
            level,
            shape,
            chunk,
            per_shard: std::array::from_fn(|a| shard[a] / chunk[a]),
        })
    }

    fn early_limit(&self) -> u64 {
        self.chunk_bytes().saturating_mul(4).min(EARLY_BYTES)
    }

    /// The target with components as an axis and chunks clipped, or why it cannot be.
    pub(super) fn normalised(&self, path: &Path) -> Result<ZarrTarget> {
        let mut target = self.clone();
        target.outer = outer_axes(path, &self.outer, self.components)?;
        target.components = 1;
        target.conversion.big_endian = false;
        self.codec.check().map_err(Error::usage)?;
        let shape = self.level_grid().shape;
        if shape.contains(&0) || !self.grid.index_to_world.is_finite() {
            return Err(Error::usage(format!("a grid of shape {shape:?} cannot be written")));
        }
        self.check_steps(path)?;
        if self.chunk.contains(&0) {
            return Err(Error::usage(format!("chunk {:?} has no voxels", self.chunk)));
        }
        target.chunk = std::array::from_fn(|a| self.chunk[a].min(shape[a]));
        if target.chunk_bytes() >= 1 << 31 {
            return Err(Error::usage(format!("chunk {:?} has 2 GiB or more", self.chunk)));
        }
        if let (Some(shard), OmeVersion::V04) = (self.shard, self.version) {
            return Err(Error::usage_hint(
                format!("shards of {shard:?} (z, y, x) are asked for, and OME-Zarr 0.4 has none"),
                "leave out --shard or use --shard none; or write --ome 0.5",
            ));
        }
        if let Some(shard) = self.shard {
            // Where one chunk holds the whole axis, so does any shard that does.
            let covered = |a: usize| self.chunk[a] >= shape[a] && shard[a] >= shape[a];
            if (0..3).any(|a| shard[a] == 0 || !(covered(a) || shard[a].is_multiple_of(self.chunk[a]))) {
                return Err(Error::usage(format!("shard {shard:?} is not a multiple of chunk {:?}", self.chunk)));
            }
            let needed: [u64; 3] = std::array::from_fn(|a| shape[a].div_ceil(target.chunk[a]));
            let chunks = |a: usize| if covered(a) { 1 } else { (shard[a] / self.chunk[a]).min(needed[a]) };
            target.shard = Some(std::array::from_fn(|a| target.chunk[a] * chunks(a)));
        }
        Ok(target)
    }

    /// Bytes of one chunk before compression, saturating.
    pub(super) fn chunk_bytes(&self) -> u64 {
        self.chunk.iter().fold(self.conversion.stored.bytes() as u64, |n, &extent| n.saturating_mul(extent))
    }

    /// Outer axes in the order that NGFF wants: time first.
    pub(super) fn outer_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.outer.len()).collect();
        order.sort_by_key(|&n| (!is_time(&self.outer[n]), n));
        order
    }

    /// Those of z, y, x that the array has.
    fn space(&self) -> impl Iterator<Item = usize> {
        let lacking = self.lacking;
        (0..3).filter(move |&a| !lacking[a])
    }

    /// A value per dimension of the array: of the outer axes, then along z, y, x.
    fn along<V: Copy>(&self, outer: &dyn Fn(&Axis) -> V, space: [V; 3]) -> Vec<V> {
        let outer = self.outer_order().into_iter().map(|n| outer(&self.outer[n]));
        outer.chain(self.space().map(|a| space[a])).collect()
    }

    /// What stands before a chunk's coordinates in its key.
    pub(super) fn chunk_prefix(&self) -> String {
        match self.version {
            OmeVersion::V04 => self.level_path(),
            OmeVersion::V05 | OmeVersion::V06 => format!("{}/c", self.level_path()),
        }
    }

    /// The chunk's coordinates, and the key of the chunk or of the shard that holds it.
    pub(super) fn place_of(&self, outer: u64, unit: Region) -> ([u64; 3], String) {
        let at: [u64; 3] = std::array::from_fn(|a| unit.lo[a].max(0) as u64 / self.chunk[a]);
        let per_object = self.shard.map_or([1; 3], |s| std::array::from_fn(|a| s[a] / self.chunk[a]));
        let mut indices = vec![0; self.outer.len()];
        let mut rest = outer;
        for (n, axis) in self.outer.iter().enumerate().rev() {
            indices[n] = rest % axis.len;
            rest /= axis.len;
        }
        let mut key = self.chunk_prefix();
        let outer_parts = self.outer_order().into_iter().map(|n| indices[n]);
        for part in outer_parts.chain(self.space().map(|a| at[a] / per_object[a])) {
            key = format!("{key}/{part}");
        }
        (at, key)
    }

    /// One chunk's samples, compressed; the same bytes for the same input, always.
    pub(super) fn encode(&self, raw: Vec<u8>) -> Result<Vec<u8>, String> {
        match self.version {
            OmeVersion::V04 => self.codec.encode_v2(raw, self.conversion.stored.bytes()),
            OmeVersion::V05 | OmeVersion::V06 => self.codec.encode(raw, self.conversion.stored.bytes()),
        }
    }

    /// The documents of the array by their keys, the one that makes it an array last. `empty_chunks` is known at the end.
    pub(super) fn array_documents(&self, empty_chunks: Option<u64>) -> Vec<(String, Value)> {
        match self.version {
            OmeVersion::V04 => self.array_documents_v2(empty_chunks),
            OmeVersion::V05 | OmeVersion::V06 => {
                vec![(format!("{}/zarr.json", self.level_path()), self.array_document(empty_chunks))]
            }
        }
    }

    /// The documents of the group by their keys, the one that makes it a group last.
    pub(super) fn group_documents(&self) -> Result<Vec<(String, Value)>, serde_json::Error> {
        match self.version {
            OmeVersion::V04 => self.group_documents_v2(),
            OmeVersion::V05 | OmeVersion::V06 => Ok(vec![("zarr.json".into(), self.group_document()?)]),
        }
    }

    /// `zarr.json` of the array.
    fn array_document(&self, empty_chunks: Option<u64>) -> Value {
        let stored = self.conversion.stored;
        let order = self.outer_order();
        let object = self.shard.unwrap_or(self.chunk);
        let mut codecs = vec![json!({"name": "bytes", "configuration": {"endian": "little"}})];
        codecs.extend(self.codec.metadata(stored.bytes()));
        if self.shard.is_some() {
            codecs = vec![json!({"name": "sharding_indexed", "configuration": {
                "chunk_shape": self.along(&|_| 1, self.chunk),
                "codecs": codecs,
                "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
                "index_location": "end"}})];
        }
        let fill = if stored.is_float() { json!(0.0) } else { json!(0) };
        let attributes = empty_chunks.map_or(json!({}), |n| json!({OWN_ATTRIBUTE: {"empty_chunks": n}}));
        let names: Vec<&str> = self.axis_names(&order);
        json!({
            "zarr_format": 3,
            "node_type": "array",
            "shape": self.along(&|axis| axis.len, self.level_grid().shape),
            "data_type": v3_name(stored),
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": self.along(&|_| 1, object)}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": fill,
            "codecs": codecs,
            "attributes": attributes,
            "dimension_names": names,
        })
    }

    fn axis_names(&self, order: &[usize]) -> Vec<&str> {
        order.iter().map(|&n| self.outer[n].name.as_str()).chain(self.space().map(|a| SPACE[a])).collect()
    }

    /// `zarr.json` of the group: the image in NGFF 0.5 or 0.6, and what is carried.
    fn group_document(&self) -> Result<Value, serde_json::Error> {
        let order = self.outer_order();
        let ome = OmeMetadata {
            version: Some(self.version.name().into()),
            multiscales: vec![self.multiscale(&order)],
            other: self.carried.ome.clone(),
        };
        let mut attributes = Map::new();
        attributes.insert("ome".into(), serde_json::to_value(ome)?);
        self.add_attributes(&mut attributes);
        Ok(json!({"zarr_format": 3, "node_type": "group", "attributes": attributes}))
    }

    /// The attributes of others that are carried.
    fn add_attributes(&self, attributes: &mut Map<String, Value>) {
        for (key, value) in &self.carried.attributes {
            attributes.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
}
