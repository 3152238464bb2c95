//! The size of a job's target, and the free space of its disks.

use std::path::PathBuf;

use super::{
    Job, OutsideRequest,
    disk::{Disk, Packing, Part, Prospect, TargetSize, disks, held_bytes},
    output::Output,
};
use crate::{
    checkpoint::staging::state_folder,
    geometry::Mapping,
    io::{format::Format, input::Input, zarr::Codec},
    layout::{Layout, Outer},
};

impl Job {
    /// How large the target becomes, by its grid and by how well the source is compressed.
    pub(super) fn target_size(&self) -> TargetSize {
        let Output { layout, format, .. } = &self.output;
        let (raw_bytes, level_raw_bytes) = self.output.raw_bytes();
        let packing = match format {
            Format::Nifti | Format::Pair => Packing::Plain,
            Format::NiftiGz => Packing::Deflate,
            Format::Zarr if self.request.target.codec == Codec::None => Packing::PlainChunks,
            Format::Zarr => Packing::Chunks,
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
        let all = level_raw_bytes.iter().fold(raw_bytes, |sum, &bytes| sum.saturating_add(bytes));
        let (least_bytes, estimated_bytes) = prospect.stored(all);
        let is_compressed = matches!(packing, Packing::Deflate | Packing::Chunks);
        let files = self.output.files();
        TargetSize { raw_bytes, level_raw_bytes, files, is_compressed, estimated_bytes, least_bytes, source_ratio }
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

    /// What the disks are to take that target and scratch file go to; stores behind URLs do not say what is free.
    pub(super) fn disks(&self, scratch_bytes: u64) -> Vec<Disk> {
        let mut parts = Vec::new();
        if self.output.is_local() {
            let (size, held) = (&self.size, held_bytes(&state_folder(&self.output.path)));
            let ranks = self.request.rank.map_or(1, |rank| rank.of);
            let whole = Part {
                folder: self.output.folder().to_path_buf(),
                least_bytes: size.least_bytes,
                estimated_bytes: size.estimated_bytes,
                most_bytes: size.all_raw_bytes(),
            };
            // The segments of a stream are joined at the end: one that holds all of it becomes the file.
            if self.output.format == Format::NiftiGz && (held > 0 || ranks > 1) {
                parts.push(Part { least_bytes: 0, ..whole.clone() });
            }
            parts.push(whole.rest(held, ranks));
        }
        let scratch: PathBuf = self.output.scratch_folder(self.request.scratch.as_deref());
        parts.push(Part::exact(scratch, scratch_bytes));
        disks(&parts)
    }
}

impl Input {
    /// Stored bytes over bytes before compression, where the file is compressed and that is known; looks at a few files of a store.
    pub fn stored_ratio(&self) -> Option<f64> {
        match self {
            Input::Zarr(file) => file.stored_ratio(),
            Input::Own(_) => None,
            Input::Dicom(series) if !series.is_compressed() => None,
            Input::Dicom(series) => {
                let outer = series.view.as_ref().map_or(&series.layout.outer, |view| view.behind());
                stored_over_raw(&series.layout, outer)
            }
            Input::Plain(file) if file.stream.is_none() => None,
            Input::Plain(file) => {
                let outer = file.view.as_ref().map_or(&file.layout.outer, |view| view.behind());
                stored_over_raw(&file.layout, outer)
            }
            Input::Nifti(file) if !file.compressed => None,
            Input::Nifti(file) => {
                let outer = file.view.as_ref().map_or(&file.layout.outer, |view| view.behind());
                stored_over_raw(&file.layout, outer)
            }
        }
    }
}

fn stored_over_raw(layout: &Layout, outer: &Outer) -> Option<f64> {
    let raw = raw_bytes(&Layout { outer: outer.clone(), ..layout.clone() });
    let stored = layout.stored_bytes?;
    (raw > 0).then(|| stored as f64 / raw as f64)
}

/// Bytes of all voxels, before compression.
pub fn raw_bytes(layout: &Layout) -> u64 {
    layout.grid.voxels().saturating_mul(layout.outer.volumes()).saturating_mul(layout.voxel_bytes())
}
