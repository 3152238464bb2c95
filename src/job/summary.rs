//! What was planned and what was done, for people and machines.

use std::sync::Arc;

use serde::Serialize;

use super::{Disk, Job, OutsideView, PassKind, PassSummary, TargetSize, pyramid::levels::LevelPass, route::Route};
use crate::{
    geometry::{FaceCounts, Grid, Mapping, Orientation},
    layout::Layout,
    pictures::Pictures,
    pipeline::Progress,
    rank::Rank,
    transform::{Convention, Step},
    voxel::{Dtype, Voxel},
};

/// A grid as people read it: file axes i, j, k (x, y, z).
#[derive(Clone, Debug, Serialize)]
pub struct GridSummary {
    pub shape: [u64; 3],
    pub spacing: [f64; 3],
    pub origin: [f64; 3],
    pub unit: crate::geometry::Unit,
    pub orientation: String,
    /// Index (i, j, k) to world, rows x, y, z.
    pub index_to_world: [[f64; 4]; 3],
}

impl GridSummary {
    /// A grid as files have it.
    pub fn new(grid: &Grid) -> GridSummary {
        let [z, y, x] = grid.spacing();
        let [nz, ny, nx] = grid.shape;
        GridSummary {
            shape: [nx, ny, nz],
            spacing: [x, y, z],
            origin: grid.origin(),
            unit: grid.unit.clone(),
            orientation: Orientation::of(grid).to_string(),
            index_to_world: grid.index_to_world.m.map(|[k, j, i, t]| [i, j, k, t]),
        }
    }
}

/// The whole of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub version: &'static str,
    pub input: String,
    pub output: String,
    pub source_format: String,
    pub source: GridSummary,
    pub target: GridSummary,
    pub volumes: u64,
    pub components: usize,
    pub source_dtype: Dtype,
    pub target_dtype: Dtype,
    /// As given, from target to source: the first one meets the target point first.
    pub transforms: Vec<String>,
    /// How each of them was read.
    pub chain: Vec<Step>,
    /// Where each volume has a transform of its own: the list of them, applied after the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transform_list: Option<String>,
    /// How the transforms of the list were read, each way once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub list_conventions: Vec<Convention>,
    /// Whether vectors were turned by the rotation in the transforms.
    pub vectors_turned: bool,
    pub interpolation: String,
    pub antialias: bool,
    /// `identity`, `axis_aligned`, `affine`, `warped` or `per_volume`.
    pub mapping: &'static str,
    pub memory_bytes: u64,
    pub threads: usize,
    pub passes: Vec<PassSummary>,
    /// Size of the scratch file; 0 without one.
    pub scratch_bytes: u64,
    /// Bytes of the source before compression.
    pub source_bytes: u64,
    pub target_size: TargetSize,
    /// What the disks are to take that target and scratch file go to, by what was not stored yet when the run began.
    pub disks: Vec<Disk>,
    /// Target voxels of one volume that look outside the source; of all volumes where each has its own mapping.
    pub outside: FaceCounts,
    /// Target voxels among which those outside were counted.
    pub outside_of: u64,
    /// Those for which the inverse of a displacement did not settle.
    pub unsettled: u64,
    #[serde(skip)]
    pub outside_view: OutsideView,
    pub warnings: Vec<String>,
    /// Absent storage chunks that stood for the fill value.
    pub missing_chunks: u64,
    /// Keys that the server refused, as it refuses all that is absent, and that were taken for absent.
    pub hidden_keys: u64,
    /// Highest resident memory of the process, as the kernel counts it; 0 in a dry run.
    pub peak_bytes: u64,
    /// The share of the target that this run makes, where it does not make all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<Rank>,
    /// Voxels of the target, all volumes.
    pub voxels: u64,
    /// Those of them that earlier runs had stored.
    pub stored_before: u64,
    /// Bytes of an inflated stream that go by once more, up to the first that is needed.
    pub inflated_again_bytes: u64,
    /// Of everything that decides the bytes of the target; empty in a dry run.
    pub fingerprint: String,
    pub target_state: TargetState,
    /// What was sampled for pictures, where they were asked for.
    #[serde(skip)]
    pub pictures: Option<Arc<Pictures>>,
}

/// How far the target is when a run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum TargetState {
    /// Nothing was written.
    Planned,
    Complete,
    /// Shares of other ranks are not stored yet.
    LeftToOthers {
        voxels_left: u64,
    },
    /// An earlier run had finished it; this one did nothing.
    FinishedBefore,
}

impl Summary {
    pub(super) fn planned<T: Voxel>(job: &Job, source: &Layout, route: &Route<T>, levels: &[LevelPass]) -> Summary {
        let levels = levels.iter().map(LevelPass::summary);
        let (grid, volumes) = (&job.output.layout.grid, job.output.layout.outer.volumes());
        Summary {
            version: env!("CARGO_PKG_VERSION"),
            input: job.request.input.display().to_string(),
            output: job.request.output.display().to_string(),
            source_format: job.input.format_name(),
            source: GridSummary::new(&source.grid),
            target: GridSummary::new(&job.output.layout.grid),
            volumes: source.outer.volumes(),
            components: source.components,
            source_dtype: source.stored,
            target_dtype: job.values.target,
            transforms: job.request.transforms.iter().map(ToString::to_string).collect(),
            chain: job.chain.steps.clone(),
            list_conventions: job.series.as_ref().map_or(Vec::new(), |series| series.conventions.clone()),
            vectors_turned: job.turn.is_some(),
            interpolation: job.op.method.to_string(),
            antialias: job.request.antialias,
            transform_list: job.series.as_ref().map(|series| series.list.display().to_string()),
            mapping: match &job.op.mapping {
                _ if job.series.is_some() => "per_volume",
                mapping if mapping.is_identity() => "identity",
                Mapping::AxisAligned(_) => "axis_aligned",
                Mapping::Affine(_) => "affine",
                Mapping::Warped(_) => "warped",
            },
            memory_bytes: job.request.memory_bytes,
            threads: job.request.threads,
            passes: route.summaries().into_iter().chain(levels).collect(),
            scratch_bytes: route.scratch_bytes,
            source_bytes: source.raw_bytes(),
            target_size: job.size.clone(),
            disks: Vec::new(),
            outside: job.outside,
            outside_of: grid.voxels().saturating_mul(if job.series.is_some() { volumes } else { 1 }),
            unsettled: 0,
            outside_view: job.outside_view,
            warnings: job.warnings.clone(),
            missing_chunks: 0,
            hidden_keys: 0,
            peak_bytes: 0,
            rank: job.request.rank,
            voxels: grid.voxels().saturating_mul(volumes),
            stored_before: 0,
            inflated_again_bytes: 0,
            fingerprint: String::new(),
            target_state: TargetState::Planned,
            pictures: job.pictures.clone(),
        }
    }

    /// Notes what pass `n` has done.
    pub(super) fn pass_done(&mut self, n: usize, done: Progress) {
        if self.passes[n].volume.is_some() {
            self.outside.outside = self.outside.outside.saturating_add(done.outside);
            self.unsettled = self.unsettled.saturating_add(done.unsettled);
        } else if self.passes[n].kind == PassKind::Resample && ["affine", "warped"].contains(&self.mapping) {
            // Of what this run made: an earlier run, or another rank, has counted the rest.
            self.outside.outside = done.outside / self.volumes.max(1);
            self.unsettled = done.unsettled / self.volumes.max(1);
            self.outside_of = done.voxels_done / self.volumes.max(1);
        }
        self.passes[n].complete(done);
    }

    pub(super) fn complete(&mut self, missing_chunks: u64, hidden_keys: u64, peak_bytes: u64) {
        (self.missing_chunks, self.hidden_keys) = (missing_chunks, hidden_keys);
        self.peak_bytes = peak_bytes;
    }

    /// Seconds of all passes.
    pub fn seconds(&self) -> f64 {
        self.passes.iter().filter_map(|pass| pass.done).map(|done| done.seconds).sum()
    }

    /// Highest projected memory of all passes.
    pub fn projected_bytes(&self) -> u64 {
        self.passes.iter().map(|pass| pass.projected_bytes).max().unwrap_or(0)
    }
}
