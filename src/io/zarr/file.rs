//! An open array with the metadata of its image.

use std::{path::PathBuf, sync::Arc};

use serde_json::{Map, Value};

use super::{
    Codec,
    as_nifti::AsNifti,
    meta::ArrayMeta,
    node::{self, Node},
    place::Dims,
    sample::Sample,
};
use crate::{
    error::Result,
    io::{
        convert::Conversion,
        nifti::LoneHeader,
        ome::{Carried, OmeMetadata, ome_member},
        view::View,
    },
    layout::Layout,
    storage::{self, Store},
    voxel::Dtype,
};

/// Files that are looked at to learn how well an array is compressed.
const SAMPLED: u64 = 64;

/// An open array: what a plan, a copy and a report need of it.
#[derive(Clone, Debug)]
pub struct ZarrFile {
    pub layout: Layout,
    /// The volumes that `layout` has of those in the array, where it does not have them all.
    pub view: Option<View>,
    /// The type handed over unless another is asked for: the stored one, u8 for bool, f32 for half precision.
    pub stored: Dtype,
    /// From storage to voxels; the caller may add a slope before it makes a source.
    pub conversion: Conversion,
    /// The image that the array is a level of.
    pub ome: Option<OmeMetadata>,
    /// What the image says as NIfTI, where that is of it: the grid then has its place.
    pub nifti: Option<AsNifti>,
    /// Attributes that a copy of the image keeps.
    pub carried: Carried,
    /// Whether the image says that its voxels are labels.
    pub is_label: bool,
    pub warnings: Vec<String>,
    /// The array's folder or URL, for messages.
    pub path: PathBuf,
    /// The array's path within the store; empty for a bare array.
    pub array_path: String,
    /// Which level of the image the array is, and how many there are.
    pub level: Option<(usize, usize)>,
    /// 2 or 3.
    pub zarr_format: u8,
    /// Compression for people: `blosc-lz4`, `zstd in shards of [512, 512, 512]`.
    pub codecs: String,
    /// How chunks like these are written; `None` where we do not write with their compressor.
    pub codec: Option<Codec>,
    /// The attributes of the image's group.
    pub image_attributes: Option<Map<String, Value>>,
    /// Chunks that were left out on writing because they are all fill, where our own attribute says so.
    pub empty_chunks: Option<u64>,
    /// The store of the image, or of a bare array.
    pub(crate) store: Arc<dyn Store>,
    pub(crate) meta: ArrayMeta,
    pub(crate) dims: Dims,
}

impl ZarrFile {
    /// Bytes of all files of the array, metadata included; walks the folder or the archive. `None` behind a URL, where a walk takes
    /// requests without end, or cannot be had.
    pub fn stored_size(&self) -> Result<Option<u64>> {
        if !self.store.is_near() {
            return Ok(None);
        }
        storage::stored_size(self.store.as_ref(), &self.array_path).map(Some).map_err(|e| e.at("list", &self.path))
    }

    /// Stored bytes over bytes before compression, by up to `SAMPLED` files of the array; `None` where chunks are not
    /// compressed, behind a URL, and where none of those files is there.
    pub fn stored_ratio(&self) -> Option<f64> {
        if !self.store.is_near() || self.codec == Some(Codec::None) {
            return None;
        }
        let (meta, store) = (&self.meta, self.store.below(&self.array_path));
        let counts: Vec<u64> = meta.shape.iter().zip(&meta.object).map(|(len, object)| len.div_ceil(*object)).collect();
        let objects = counts.iter().fold(1u64, |n, &count| n.saturating_mul(count));
        let (mut stored, mut raw) = (0u64, 0u64);
        for sample in 0..objects.min(SAMPLED) {
            // Spread over all of them.
            let mut rest = (u128::from(sample) * u128::from(objects) / u128::from(objects.min(SAMPLED))) as u64;
            let (mut at, mut voxels) = (vec![0; counts.len()], 1u64);
            for d in (0..counts.len()).rev() {
                (at[d], rest) = (rest % counts[d], rest / counts[d]);
                voxels = voxels.saturating_mul(meta.object[d].min(meta.shape[d] - at[d] * meta.object[d]));
            }
            stored += store.size(&meta.keys.key(&at)).ok()?.unwrap_or(0);
            raw = raw.saturating_add(voxels.saturating_mul(meta.sample.bytes() as u64));
        }
        (stored > 0 && raw > 0).then(|| stored as f64 / raw as f64)
    }

    /// The NIfTI header beside the levels.
    pub fn header(&self) -> Option<&LoneHeader> {
        match &self.nifti {
            Some(AsNifti::Header(lone)) => Some(lone),
            _ => None,
        }
    }

    /// The folder or URL of the image, or of a bare array.
    pub fn root(&self) -> PathBuf {
        self.store.describe("")
    }

    /// Extent of one chunk, or inner chunk, in voxels (z, y, x) as it is stored: also beyond an axis that is shorter.
    pub fn stored_chunk(&self) -> [u64; 3] {
        self.dims.spatial(&self.meta.chunk, 1)
    }

    /// Extent of one shard in voxels (z, y, x), where chunks are gathered in shards.
    pub fn shard(&self) -> Option<[u64; 3]> {
        self.meta.shard.map(|_| self.dims.spatial(&self.meta.object, 1))
    }

    /// Paths of the image's levels below its finest, within its store.
    ///
    /// # Errors
    ///
    /// [`Malformed`](crate::error::Error::Malformed) where one climbs out of the store.
    pub fn coarser_paths(&self) -> Result<Vec<String>> {
        let datasets = self.ome.as_ref().map_or(&[][..], |ome| &ome.multiscales[0].datasets);
        datasets.iter().skip(1).map(|dataset| node::descend(self.store.as_ref(), &dataset.path)).collect()
    }

    /// Whether the array's dimensions are (t), (c), z, y, x, as we write them.
    pub fn is_in_written_order(&self) -> bool {
        let outer = self.dims.outer.len();
        let outer_names: Vec<&str> = self.stored_outer().map(|n| self.layout.outer.axes[n].name.as_str()).collect();
        let time_first = outer_names.iter().skip(1).all(|name| *name != "t");
        let space: Vec<usize> = self.dims.space.iter().flatten().copied().collect();
        space == (outer..outer + space.len()).collect::<Vec<_>>() && outer <= 2 && time_first
    }

    /// The outer axes in the order in which the array has them.
    fn stored_outer(&self) -> impl Iterator<Item = usize> {
        let mut order: Vec<usize> = (0..self.dims.outer.len()).collect();
        order.sort_by_key(|&n| self.dims.outer[n]);
        order.into_iter()
    }

    /// What of the frame in which the axes lie is taken for granted, as the end of a sentence about the file.
    pub fn assumed_frame(&self) -> Option<String> {
        let grid = &self.layout.grid;
        if self.nifti.as_ref().is_some_and(|nifti| nifti.header().is_none() || nifti.has_forms()) {
            return None;
        }
        if self.ome.as_ref().is_some_and(|ome| ome.multiscales[0].body().is_some()) {
            return None;
        }
        if !grid.anatomical {
            return Some("does not say how x, y, z lie in the body: taken as right, anterior, superior".into());
        }
        let is_back = |a: usize| grid.index_to_world.column(a).iter().any(|x| *x < 0.0);
        let is_away = grid.origin().iter().any(|x| *x != 0.0);
        (is_away && (0..3).any(is_back)).then(|| {
            "says how its axes lie in the body, not where their zero is: each translation is taken along its own axis".into()
        })
    }

    /// The labels of the image: names and paths. What cannot be read counts as none.
    pub fn labels(&self) -> Vec<(String, PathBuf)> {
        let group =
            (self.image_attributes.is_some() && !self.is_label).then(|| node::read(&self.store.below("labels")));
        let Some(Ok(Some(Node::Group { attributes }))) = group else { return Vec::new() };
        let names = ome_member(&attributes, "labels").and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        let below = names.filter_map(|name| node::descend(self.store.as_ref(), name).ok());
        below.map(|name| (name.clone(), self.store.describe(&format!("labels/{name}")))).collect()
    }

    /// The same with the outer axes in the order in which the array has them.
    pub fn in_stored_order(mut self) -> ZarrFile {
        let order: Vec<usize> = self.stored_outer().collect();
        let outer = &mut self.layout.outer;
        outer.axes = order.iter().map(|&n| outer.axes[n].clone()).collect();
        outer.chunk = order.iter().map(|&n| outer.chunk[n]).collect();
        self.dims.outer.sort_unstable();
        self
    }

    /// Axes that the array does not have, storage order.
    pub fn lacking(&self) -> [bool; 3] {
        self.dims.lacking()
    }

    /// Whether samples are stored as they are handed over: not as bool or half precision.
    pub fn is_stored_plain(&self) -> bool {
        matches!(self.meta.sample, Sample::Plain(_))
    }

    pub(crate) fn sample(&self) -> Sample {
        self.meta.sample
    }
}
