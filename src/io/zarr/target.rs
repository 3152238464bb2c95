//! What is to be written, and the metadata documents that say so.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{encode::Codec, sample::v3_name, shard::Assembler, store::StoreMemory};
use crate::{
    error::{Error, Result},
    geometry::Grid,
    io::{
        Access, Axis, Layout, Outer,
        convert::Conversion,
        ome::{Carried, Dataset, Multiscale, NiftiAttribute, OWN_ATTRIBUTE, OmeAxis, OmeMetadata, Transformation},
    },
};

/// Early chunks of shards wait in memory up to four chunks, and up to this.
const EARLY_BYTES: u64 = 16 << 20;

/// The path of the only level that is written here.
pub const LEVEL_PATH: &str = "0";

/// One image to be written as OME-Zarr 0.5.
///
/// Scale and translation of the metadata are the lengths of the affine's columns and its last column; the signed
/// diagonal where the affine has no direction of its own and no NIfTI attribute is given.
#[derive(Clone, Debug)]
pub struct ZarrTarget {
    pub grid: Grid,
    /// Slowest first. At most one is time (`t`), and one another.
    pub outer: Vec<Axis>,
    /// Samples per voxel: 1, or 3 or 4 for colours, which become an axis `c` inside the other outer axes.
    pub components: usize,
    /// The stored type and the rounding; the byte order is always little.
    pub conversion: Conversion,
    /// Chunk, or inner chunk of a shard, in voxels (z, y, x); clipped to the grid.
    pub chunk: [u64; 3],
    /// A multiple of `chunk`; clipped to what the grid needs.
    pub shard: Option<[u64; 3]>,
    pub codec: Codec,
    pub name: String,
    pub carried: Carried,
    /// The affine and its codes, for a grid in RAS+ millimetres.
    pub nifti: Option<NiftiAttribute>,
}

impl ZarrTarget {
    /// What the sink's layout will be: colour components are a last outer axis `c`. Nothing is created.
    ///
    /// # Errors
    ///
    /// Those of [`super::ZarrSink::create`] that are not the file system's.
    pub fn layout(&self, path: &Path) -> Result<Layout> {
        let target = self.normalised(path)?;
        Ok(Layout {
            grid: target.grid.clone(),
            outer: Outer::separate(target.outer.clone()),
            components: 1,
            stored: target.conversion.stored,
            access: Access::Chunked,
            chunk: target.chunk,
            shard: target.shard,
            transfer_bytes: target.codec.encode_memory(target.chunk_bytes()),
            resident_bytes: target.assembler().as_ref().map_or(0, Assembler::resident_bytes),
            stored_bytes: None,
        })
    }

    /// Adds to `layout` what the store that the target goes to takes.
    pub fn add_memory(&self, memory: StoreMemory, layout: &mut Layout) {
        layout.transfer_bytes = layout.transfer_bytes.saturating_add(memory.request_bytes);
        let uploads = if self.shard.is_some() { memory.upload_bytes } else { 0 };
        layout.resident_bytes = layout.resident_bytes.saturating_add(memory.resident_bytes).saturating_add(uploads);
    }

    /// What gathers inner chunks into shards, where there are shards.
    pub(super) fn assembler(&self) -> Option<Assembler> {
        let counts: [u64; 3] = std::array::from_fn(|a| self.grid.shape[a].div_ceil(self.chunk[a]));
        self.shard.map(|shard| {
            let per_shard = std::array::from_fn(|a| shard[a] / self.chunk[a]);
            Assembler::new(per_shard, counts, self.chunk_bytes().saturating_mul(4).min(EARLY_BYTES))
        })
    }

    /// The target with components as an axis and chunks clipped, or why it cannot be.
    pub(super) fn normalised(&self, path: &Path) -> Result<ZarrTarget> {
        let mut target = self.clone();
        target.outer = outer_axes(path, &self.outer, self.components)?;
        target.components = 1;
        target.conversion.big_endian = false;
        self.codec.check().map_err(Error::usage)?;
        let shape = self.grid.shape;
        if shape.contains(&0) || !self.grid.index_to_world.is_finite() {
            return Err(Error::usage(format!("a grid of shape {shape:?} cannot be written")));
        }
        if self.chunk.contains(&0) {
            return Err(Error::usage(format!("chunk {:?} has no voxels", self.chunk)));
        }
        target.chunk = std::array::from_fn(|a| self.chunk[a].min(shape[a]));
        if target.chunk_bytes() >= 1 << 31 {
            return Err(Error::usage(format!("chunk {:?} has 2 GiB or more", self.chunk)));
        }
        if let Some(shard) = self.shard {
            if (0..3).any(|a| shard[a] == 0 || !shard[a].is_multiple_of(self.chunk[a])) {
                return Err(Error::usage(format!("shard {shard:?} is not a multiple of chunk {:?}", self.chunk)));
            }
            let needed: [u64; 3] = std::array::from_fn(|a| shape[a].div_ceil(target.chunk[a]));
            target.shard = Some(std::array::from_fn(|a| target.chunk[a] * (shard[a] / self.chunk[a]).min(needed[a])));
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

    /// `zarr.json` of the array. `empty_chunks` is known at the end.
    pub(super) fn array_document(&self, empty_chunks: Option<u64>) -> Value {
        let stored = self.conversion.stored;
        let order = self.outer_order();
        let along = |outer: &dyn Fn(&Axis) -> u64, space: [u64; 3]| -> Vec<u64> {
            order.iter().map(|&n| outer(&self.outer[n])).chain(space).collect()
        };
        let object = self.shard.unwrap_or(self.chunk);
        let mut codecs = vec![json!({"name": "bytes", "configuration": {"endian": "little"}})];
        codecs.extend(self.codec.metadata(stored.bytes()));
        if self.shard.is_some() {
            codecs = vec![json!({"name": "sharding_indexed", "configuration": {
                "chunk_shape": along(&|_| 1, self.chunk),
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
            "shape": along(&|axis| axis.len, self.grid.shape),
            "data_type": v3_name(stored),
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": along(&|_| 1, object)}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": fill,
            "codecs": codecs,
            "attributes": attributes,
            "dimension_names": names,
        })
    }

    fn axis_names(&self, order: &[usize]) -> Vec<&str> {
        order.iter().map(|&n| self.outer[n].name.as_str()).chain(["z", "y", "x"]).collect()
    }

    /// `zarr.json` of the group: the image in NGFF 0.5, what is carried, and our own attribute.
    pub(super) fn group_document(&self) -> Result<Value, serde_json::Error> {
        let order = self.outer_order();
        let ome = OmeMetadata {
            version: Some("0.5".into()),
            multiscales: vec![self.multiscale(&order)],
            other: self.carried.ome.clone(),
        };
        let mut attributes = Map::new();
        attributes.insert("ome".into(), serde_json::to_value(ome)?);
        if let Some(nifti) = &self.nifti {
            attributes.insert(OWN_ATTRIBUTE.into(), json!({"nifti": serde_json::to_value(nifti)?}));
        }
        for (key, value) in &self.carried.attributes {
            attributes.entry(key.clone()).or_insert_with(|| value.clone());
        }
        Ok(json!({"zarr_format": 3, "node_type": "group", "attributes": attributes}))
    }

    fn multiscale(&self, order: &[usize]) -> Multiscale {
        let outer = |n: &usize| &self.outer[*n];
        let unit = self.grid.unit.ome_name().map(str::to_string);
        let mut axes: Vec<OmeAxis> = order.iter().map(outer).map(outer_axis).collect();
        axes.extend(["z", "y", "x"].map(|name| OmeAxis {
            name: name.into(),
            kind: Some("space".into()),
            unit: unit.clone(),
            ..OmeAxis::default()
        }));
        let [x, y, z] = self.grid.origin();
        // A step of 0 is what NIfTI headers say where there is none; a scale must not be 0.
        let step = |axis: &Axis| if axis.step == 0.0 { 1.0 } else { axis.step };
        let scale = order.iter().map(outer).map(step).chain(self.spatial_scale());
        let translation = order.iter().map(outer).map(|axis| axis.start).chain([z, y, x]);
        let transformations =
            vec![Transformation::scale(scale.collect()), Transformation::translation(translation.collect())];
        let dataset = Dataset { path: LEVEL_PATH.into(), transformations, ..Dataset::default() };
        Multiscale { name: Some(self.name.clone()), axes, datasets: vec![dataset], ..Multiscale::default() }
    }

    fn spatial_scale(&self) -> [f64; 3] {
        let m = &self.grid.index_to_world.m;
        let diagonal = (0..3).all(|r| (0..3).all(|c| r + c == 2 || m[r][c] == 0.0));
        let spacing = self.grid.spacing();
        if diagonal && self.nifti.is_none() {
            return std::array::from_fn(|a| spacing[a].copysign(m[2 - a][a]));
        }
        spacing
    }
}

fn is_time(axis: &Axis) -> bool {
    axis.name == "t"
}

fn outer_axis(axis: &Axis) -> OmeAxis {
    let kind = match axis.name.as_str() {
        "t" => Some("time".to_string()),
        "c" => Some("channel".to_string()),
        _ => None,
    };
    OmeAxis { name: axis.name.clone(), kind, unit: axis.unit.clone(), ..OmeAxis::default() }
}

/// The outer axes with the components as the innermost; NGFF 0.5 allows one time and one other axis.
fn outer_axes(path: &Path, outer: &[Axis], components: usize) -> Result<Vec<Axis>> {
    let refuse =
        |what: String, hint: &str| Err(Error::Unsupported { path: path.to_path_buf(), what, hint: Some(hint.into()) });
    let mut axes = outer.to_vec();
    match components {
        1 => {}
        3 | 4 => {
            let colour = Axis { name: "c".into(), len: components as u64, step: 1.0, start: 0.0, unit: None };
            axes.push(colour);
        }
        2 => return refuse("OME-Zarr has no complex samples".into(), "write NIfTI, or convert to magnitude and phase"),
        n => return refuse(format!("{n} components per voxel cannot be written"), "write 1, 3 or 4"),
    }
    let times = axes.iter().filter(|axis| is_time(axis)).count();
    if times > 1 || axes.len() - times > 1 {
        let names: Vec<&str> = axes.iter().map(|axis| axis.name.as_str()).collect();
        let what = format!("OME-Zarr holds one time and one other axis beside space, not {}", names.join(", "));
        return refuse(what, "write NIfTI, or one volume at a time");
    }
    if let Some(axis) = axes.iter().find(|axis| axis.len == 0 || !axis.step.is_finite() || !axis.start.is_finite()) {
        return refuse(format!("axis '{}' is empty or has no finite step", axis.name), "give it a length and a step");
    }
    Ok(axes)
}
