//! The size of a job's target, and the free space of its disks.

use std::path::PathBuf;

use super::{
    Job, OutsideRequest, PassSummary,
    disk::{Disk, Packing, Part, Prospect, RawBytes, TargetSize, disks, held_bytes},
    output::Output,
};
use crate::{
    checkpoint::staging::state_folder,
    geometry::Mapping,
    io::{format::Format, zarr::Codec},
    layout::{Access, Layout},
};

/// An entry of a shard's index, and its checksum (sharding codec 1.0).
const INDEX_ENTRY_BYTES: u64 = 16;
const INDEX_CHECKSUM_BYTES: u64 = 4;

impl Job {
    /// How large the target becomes, by its grid and by how well the source is compressed.
    pub(super) fn target_size(&self) -> TargetSize {
        let Output { layout, format, .. } = &self.output;
        let (finest, levels) = self.output.raw_bytes();
        let packing = match format {
            Format::Zarr | Format::Ozx if self.request.target.codec == Codec::None => Packing::PlainChunks,
            Format::Zarr | Format::Ozx => Packing::Chunks,
            _ if self.output.is_stream() => Packing::Deflate,
            _ => Packing::Plain,
        };
        let source = self.input.layout();
        let bounds = self.op.bounds.shape().iter().map(|&extent| extent as f64).product::<f64>();
        let source_ratio = self.input.stored_ratio();
        let prospect = Prospect {
            packing,
            source_ratio,
            sample_bytes: (source.stored.bytes(), layout.stored.bytes()),
            growth: layout.grid.voxels() as f64 / bounds.max(1.0),
            inside: self.inside(),
        };
        let all = levels.iter().fold(finest, |sum, &level| sum + level);
        let (least_bytes, estimated_bytes) = prospect.stored(all);
        TargetSize {
            raw_bytes: finest.voxels,
            level_raw_bytes: levels.iter().map(|level| level.voxels).collect(),
            whole_bytes: all.all(),
            files: self.output.files(),
            is_compressed: matches!(packing, Packing::Deflate | Packing::Chunks),
            estimated_bytes,
            least_bytes,
            source_ratio,
        }
    }

    /// The part of the target that looks inside the source, where that is known before the run.
    fn inside(&self) -> Option<f64> {
        if self.request.outside == OutsideRequest::Edge {
            return Some(1.0);
        }
        let is_known = self.series.is_none() && matches!(self.op.mapping, Mapping::AxisAligned(_));
        let voxels = self.output.layout.grid.voxels().max(1) as f64;
        is_known.then(|| 1.0 - (self.outside.outside as f64 / voxels).min(1.0))
    }

    /// What the disks are to take that target and scratch file go to, by `passes`; stores behind URLs do not say what is free.
    pub(super) fn disks(&self, passes: &[PassSummary], scratch_bytes: u64) -> Vec<Disk> {
        let mut parts = Vec::new();
        if self.output.is_local() {
            let (size, held) = (&self.size, held_bytes(&state_folder(&self.output.path)));
            let ranks = self.request.rank.map_or(1, |rank| rank.of);
            let whole = Part {
                folder: self.output.folder().to_path_buf(),
                least_bytes: size.least_bytes,
                estimated_bytes: size.estimated_bytes,
                most_bytes: size.whole_bytes,
            };
            // The segments of a stream are joined at the end: one that holds all of it becomes the file.
            if self.output.is_stream() && (held > 0 || ranks > 1) {
                parts.push(Part { least_bytes: 0, ..whole.clone() });
            }
            // One pass after the other has such files.
            let aside_bytes = passes.iter().map(|pass| pass.plan.aside_bytes).max().unwrap_or(0);
            parts.push(Part::aside(whole.folder.clone(), aside_bytes, size));
            // A folder is packed when it is complete, and goes when the archive is; what was packed before is written over.
            let copies = if self.output.format == Format::Ozx { 2 } else { 1 };
            parts.push(whole.times(copies).rest(held, ranks));
        }
        let scratch: PathBuf = self.output.scratch_folder(self.request.scratch.as_deref());
        parts.push(Part::exact(scratch, scratch_bytes));
        disks(&parts)
    }
}

/// Bytes before compression, as they are stored: of an array of chunks with what those at its faces have beyond the grid, and with
/// the indexes of its shards.
pub(super) fn stored_raw_bytes(layout: &Layout) -> RawBytes {
    let voxels = layout.raw_bytes();
    if layout.access != Access::Chunked {
        return RawBytes { voxels, ..RawBytes::default() };
    }
    let (shape, volumes) = (layout.grid.shape, layout.outer.volumes());
    let product = |of: [u64; 3]| of.iter().fold(volumes, |n, &extent| n.saturating_mul(extent));
    let chunk: [u64; 3] = std::array::from_fn(|a| layout.chunk[a].clamp(1, shape[a].max(1)));
    let counts: [u64; 3] = std::array::from_fn(|a| shape[a].div_ceil(chunk[a]));
    let whole =
        product(std::array::from_fn(|a| counts[a].saturating_mul(chunk[a]))).saturating_mul(layout.voxel_bytes());
    let indexes = layout.shard.map_or(0, |shard| {
        let per_shard: [u64; 3] =
            std::array::from_fn(|a| (shard[a] / layout.chunk[a].max(1)).clamp(1, counts[a].max(1)));
        let slots = per_shard.iter().fold(1u64, |n, &count| n.saturating_mul(count));
        let shards = product(std::array::from_fn(|a| counts[a].div_ceil(per_shard[a])));
        shards.saturating_mul(slots.saturating_mul(INDEX_ENTRY_BYTES).saturating_add(INDEX_CHECKSUM_BYTES))
    });
    RawBytes { voxels, beyond: whole.saturating_sub(voxels), indexes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        geometry::{Affine, Grid, Unit},
        layout::Outer,
        voxel::Dtype,
    };

    fn layout(shape: [u64; 3], chunk: [u64; 3], shard: Option<[u64; 3]>) -> Layout {
        Layout {
            grid: Grid::new(shape, Affine::identity(), Unit::Millimetre),
            outer: Outer::default(),
            components: 1,
            stored: Dtype::U8,
            access: Access::Chunked,
            chunk,
            shard,
            transfer_bytes: 0,
            resident_bytes: 0,
            stored_bytes: None,
            ahead: Default::default(),
        }
    }

    #[test]
    fn chunks_at_the_faces_count_whole_and_so_do_the_indexes_of_shards() {
        let raw = stored_raw_bytes(&layout([200, 200, 210], [32; 3], None));
        assert_eq!(raw, RawBytes { voxels: 8_400_000, beyond: 7 * 7 * 7 * 32_768 - 8_400_000, indexes: 0 });
        let sharded = stored_raw_bytes(&layout([200, 200, 210], [32; 3], Some([64, 128, 512])));
        assert_eq!(sharded.beyond, raw.beyond, "shards have no chunks beyond the grid");
        // 4 x 2 x 1 shards of 2 x 4 x 7 chunks.
        assert_eq!(sharded.indexes, 8 * (2 * 4 * 7 * 16 + 4));
        let raw = stored_raw_bytes(&Layout { access: Access::Random, ..layout([200, 200, 210], [1, 1, 210], None) });
        assert_eq!(raw.all(), 8_400_000);
    }
}
