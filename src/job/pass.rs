//! One planned pass over the volumes: its op, source, target and plan, and what summaries tell of it.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    error::{PlanError, Result},
    geometry::{AxisMap, Mapping},
    io::raw,
    layout::Layout,
    pipeline::Progress,
    plan::{self, Budget, ChunkMap, Offer, Plan, Todo},
    region::Region,
    resample::{BlockOp, Method, OpRequest, Order, Outside},
    voxel::{Rounding, Voxel},
};

/// What a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PassKind {
    /// A displacement field is read before the passes are planned.
    Field,
    /// The source stream is unpacked into a scratch file.
    Unpack,
    Resample,
    /// The scratch file is packed into the target stream.
    Pack,
    /// A coarser level is made from the stored level above it.
    Pyramid,
}

/// One planned pass.
pub(super) struct Planned<T: Voxel> {
    pub kind: PassKind,
    pub op: Arc<dyn BlockOp<T>>,
    pub source: Layout,
    pub target: Layout,
    pub plan: Plan,
    pub touch: ChunkMap,
    /// Where the next level of the target's pyramid is made along with it: voxels that one of its voxels spans.
    pub factors: Option<[u64; 3]>,
    budget: Budget,
}

impl<T: Voxel> Planned<T> {
    /// Bytes of one decoded chunk; 0 for sources without chunks.
    pub(super) fn chunk_bytes(&self) -> u64 {
        if self.touch.chunk_counts.is_some() { self.touch.decoded_bytes } else { 0 }
    }

    /// What other budgets would buy.
    pub(super) fn offers(&self) -> Vec<Offer> {
        let (source, target) = (&self.source, &self.target);
        let (footprint, budget) = (self.op.as_ref(), self.budget);
        self.plan.offers(&plan::Request { footprint, source, target, sample_bytes: size_of::<T>(), budget, todo: None })
    }
}

/// A pass, as summaries tell it.
#[derive(Clone, Debug, Serialize)]
pub struct PassSummary {
    pub kind: PassKind,
    /// The only volume that it makes, counted from 0; nothing where it makes all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<u64>,
    pub plan: Plan,
    pub projected_bytes: u64,
    /// Chunk decodes over chunks touched, as planned.
    pub planned_amplification: f64,
    /// Bytes of one decoded chunk.
    pub chunk_bytes: u64,
    /// The same as counted in the run; nothing in a dry run, or where nothing is decoded.
    pub amplification: Option<f64>,
    /// What was done; nothing in a dry run.
    pub done: Option<Progress>,
    /// Bytes of the scratch file that this pass writes.
    pub scratch_bytes: Option<u64>,
    /// Whether the next level of the pyramid is made along with this one.
    pub makes_next_level: bool,
    /// What more memory and a little less would buy, where chunks may be decoded twice or voxels are fetched many times; in a run
    /// only the latter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub what_memory_buys: Vec<Offer>,
}

impl PassSummary {
    /// A pass before it is done. `chunk_bytes` is 0 for sources without chunks.
    pub fn planned(kind: PassKind, plan: &Plan, chunk_bytes: u64) -> PassSummary {
        PassSummary {
            kind,
            volume: None,
            projected_bytes: plan.projected_bytes(),
            planned_amplification: plan.totals.amplification(),
            chunk_bytes,
            plan: plan.clone(),
            amplification: None,
            done: None,
            scratch_bytes: None,
            makes_next_level: false,
            what_memory_buys: Vec::new(),
        }
    }

    /// Notes what was done.
    pub fn complete(&mut self, done: Progress) {
        let distinct = self.plan.totals.distinct;
        self.amplification = (distinct > 0).then(|| done.decodes as f64 / distinct as f64);
        self.done = Some(done);
    }
}

/// All of a target.
pub(super) fn everything(target: &Layout) -> Arc<Todo> {
    Arc::new(Todo::everything(Region::of_shape(target.grid.shape)))
}

/// Plans one pass.
pub(super) fn planned<T: Voxel>(
    kind: PassKind,
    op: Arc<dyn BlockOp<T>>,
    source: &Layout,
    target: &Layout,
    budget: Budget,
    todo: &Arc<Todo>,
) -> Result<Planned<T>, PlanError> {
    let (footprint, sample_bytes, todo) = (op.as_ref(), size_of::<T>(), Some(todo));
    let request = plan::Request { footprint, source, target, sample_bytes, budget, todo };
    let plan = Plan::new(&request)?;
    let touch = plan.touch(&request);
    Ok(Planned { factors: None, kind, op, source: source.clone(), target: target.clone(), plan, touch, budget })
}

/// The volume as a raw file of pipeline samples.
pub(super) fn scratch_layout<T: Voxel>(of: &Layout) -> Layout {
    let outer = crate::layout::Outer::separate(of.outer.axes.clone());
    raw::target_layout(Layout { outer, stored: T::DTYPE, ..of.clone() })
}

/// Bytes of such a file.
pub(super) fn scratch_bytes<T: Voxel>(of: &Layout) -> u64 {
    let samples = of.grid.voxels().saturating_mul(of.outer.volumes()).saturating_mul(of.components as u64);
    samples.saturating_mul(size_of::<T>() as u64)
}

/// Every voxel as it is.
pub(super) fn copying(layout: &Layout) -> OpRequest {
    let maps = std::array::from_fn(|a| AxisMap { source_axis: a, scale: 1.0, offset: 0.0 });
    OpRequest {
        method: Method::Nearest,
        antialias: false,
        mapping: Mapping::AxisAligned(maps),
        target_shape: layout.grid.shape,
        bounds: Region::of_shape(layout.grid.shape),
        outside: Outside::Value(0.0),
        rounding: Rounding::Nearest,
        order: Order::Rising,
    }
}
