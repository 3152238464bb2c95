//! Which passes a job takes: one, or one more through a scratch file where a stream does not fit its order.

use std::path::Path;

use serde::Serialize;

use crate::{
    error::{Error, Result},
    geometry::{AxisMap, Mapping},
    io::{Access, Layout, raw},
    pipeline::Progress,
    plan::{self, Budget, Offer, Plan, PlanError, Touch},
    region::Region,
    resample::{BlockOp, Method, OpRequest, Outside, block_op},
    sys,
    voxel::{Rounding, Voxel},
};

/// Relative time of writing a byte to a scratch file and reading it again, against computing it.
const SCRATCH_COST: f64 = 2.0;
/// Amplification up to which no scratch file is considered.
const GOOD_ENOUGH: f64 = 1.5;
/// Amplification up to which chunks count as decoded once.
const ONCE: f64 = 1.1;

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
pub struct Planned<T: Voxel> {
    pub kind: PassKind,
    pub op: Box<dyn BlockOp<T>>,
    pub source: Layout,
    pub target: Layout,
    pub plan: Plan,
    pub touch: Touch,
    /// Where the next level of the target's pyramid is made along with it: voxels that one of its voxels spans.
    pub factors: Option<[u64; 3]>,
    budget: Budget,
}

impl<T: Voxel> Planned<T> {
    /// What other budgets would buy.
    pub fn offers(&self) -> Vec<Offer> {
        let (source, target) = (&self.source, &self.target);
        let (footprint, budget) = (self.op.as_ref(), self.budget);
        self.plan.offers(&plan::Request { footprint, source, target, sample_bytes: size_of::<T>(), budget })
    }
}

/// A pass, as summaries tell it.
#[derive(Clone, Debug, Serialize)]
pub struct PassSummary {
    pub kind: PassKind,
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
    /// What more memory and a little less would buy; only in a dry run, and where chunks may be decoded twice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub what_memory_buys: Vec<Offer>,
}

impl PassSummary {
    /// A pass before it is done. `chunk_bytes` is 0 for sources without chunks.
    pub fn planned(kind: PassKind, plan: &Plan, chunk_bytes: u64) -> PassSummary {
        PassSummary {
            kind,
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

/// The cheapest way through that fits.
pub struct Route<T: Voxel> {
    pub passes: Vec<Planned<T>>,
    pub scratch_bytes: u64,
    /// Relative time.
    pub cost: f64,
}

impl<T: Voxel> Route<T> {
    /// One pass.
    pub fn direct(pass: Planned<T>) -> Route<T> {
        let cost = pass.plan.cost;
        Route { passes: vec![pass], scratch_bytes: 0, cost }
    }

    /// Whether there is no scratch file, and next to no chunk is decoded twice.
    pub fn is_single_and_decodes_once(&self) -> bool {
        self.scratch_bytes == 0 && self.passes.iter().all(|pass| pass.plan.totals.amplification() <= ONCE)
    }
}

/// Plans the job directly and, where a stream makes that impossible or dear, through a scratch file.
///
/// # Errors
/// The refusal of the direct way when no other way fits either.
pub fn route<T: Voxel>(op: &OpRequest, source: &Layout, target: &Layout, budget: Budget) -> Result<Route<T>> {
    let direct = planned::<T>(PassKind::Resample, block_op::<T>(op)?, source, target, budget);
    let direct = match direct {
        Ok(pass) if pass.plan.totals.amplification() <= GOOD_ENOUGH => return Ok(Route::direct(pass)),
        other => other,
    };
    let mut routes = Vec::new();
    if source.access == Access::Ascending {
        routes.extend(unpacking::<T>(op, source, target, budget)?);
    }
    if target.access == Access::Ascending {
        routes.extend(packing::<T>(op, source, target, budget)?);
    }
    let refusal = match direct {
        Ok(pass) => {
            routes.push(Route::direct(pass));
            None
        }
        Err(refusal) => Some(refusal),
    };
    let best = routes.into_iter().min_by(|a, b| a.cost.total_cmp(&b.cost));
    match (best, refusal) {
        (Some(route), _) => Ok(route),
        (None, Some(refusal)) => Err(refusal.into()),
        (None, None) => Err(Error::usage("there is no way from the source to the target")),
    }
}

/// Source stream to scratch file, scratch file to target.
fn unpacking<T: Voxel>(op: &OpRequest, source: &Layout, target: &Layout, budget: Budget) -> Result<Option<Route<T>>> {
    let scratch = scratch_layout::<T>(source);
    let copy = block_op::<T>(&copying(source))?;
    let Ok(unpack) = planned(PassKind::Unpack, copy, source, &scratch, budget) else { return Ok(None) };
    let reading = Layout { transfer_bytes: raw::READ_TRANSFER_BYTES, ..scratch };
    let resample = planned(PassKind::Resample, block_op::<T>(op)?, &reading, target, budget);
    Ok(resample.ok().map(|resample| through_scratch::<T>(vec![unpack, resample], source)))
}

/// Source to scratch file, scratch file to target stream.
fn packing<T: Voxel>(op: &OpRequest, source: &Layout, target: &Layout, budget: Budget) -> Result<Option<Route<T>>> {
    let scratch = scratch_layout::<T>(target);
    let resample = planned(PassKind::Resample, block_op::<T>(op)?, source, &scratch, budget);
    let Ok(resample) = resample else { return Ok(None) };
    let reading = Layout { transfer_bytes: raw::READ_TRANSFER_BYTES, ..scratch };
    let pack = planned(PassKind::Pack, block_op::<T>(&copying(target))?, &reading, target, budget);
    Ok(pack.ok().map(|pack| through_scratch::<T>(vec![resample, pack], target)))
}

fn through_scratch<T: Voxel>(passes: Vec<Planned<T>>, stored: &Layout) -> Route<T> {
    let scratch_bytes = scratch_bytes::<T>(stored);
    let cost = passes.iter().map(|pass| pass.plan.cost).sum::<f64>() + SCRATCH_COST * scratch_bytes as f64;
    Route { passes, scratch_bytes, cost }
}

/// Plans one pass.
pub fn planned<T: Voxel>(
    kind: PassKind,
    op: Box<dyn BlockOp<T>>,
    source: &Layout,
    target: &Layout,
    budget: Budget,
) -> Result<Planned<T>, PlanError> {
    let request = plan::Request { footprint: op.as_ref(), source, target, sample_bytes: size_of::<T>(), budget };
    let plan = Plan::new(&request)?;
    let touch = plan.touch(&request);
    Ok(Planned { factors: None, kind, op, source: source.clone(), target: target.clone(), plan, touch, budget })
}

/// The volume as a raw file of pipeline samples.
pub fn scratch_layout<T: Voxel>(of: &Layout) -> Layout {
    let outer = crate::io::Outer::separate(of.outer.axes.clone());
    raw::target_layout(Layout { outer, stored: T::DTYPE, ..of.clone() })
}

pub fn scratch_bytes<T: Voxel>(of: &Layout) -> u64 {
    let samples = of.grid.voxels().saturating_mul(of.outer.volumes()).saturating_mul(of.components as u64);
    samples.saturating_mul(size_of::<T>() as u64)
}

/// Every voxel as it is.
pub fn copying(layout: &Layout) -> OpRequest {
    let maps = std::array::from_fn(|a| AxisMap { source_axis: a, scale: 1.0, offset: 0.0 });
    OpRequest {
        method: Method::Nearest,
        antialias: false,
        mapping: Mapping::AxisAligned(maps),
        target_shape: layout.grid.shape,
        bounds: Region::of_shape(layout.grid.shape),
        outside: Outside::Value(0.0),
        rounding: Rounding::Nearest,
    }
}

/// Refuses a scratch file that is larger than what is free in its folder.
pub fn check_scratch(folder: &Path, needed_bytes: u64) -> Result<()> {
    let free_bytes = sys::free_bytes(folder).unwrap_or(u64::MAX);
    if needed_bytes > free_bytes {
        let folder = folder.display().to_string();
        return Err(PlanError::ScratchTooSmall { needed_bytes, free_bytes, folder }.into());
    }
    Ok(())
}
