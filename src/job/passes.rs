//! Which passes a job takes: one, or one more through a scratch file where a stream does not fit its order.

use std::sync::Arc;

use serde::Serialize;

use super::{
    series::{Series, VolumePasses},
    turn::Turn,
};
use crate::{
    error::{Error, Result},
    geometry::{AxisMap, Mapping},
    io::{Access, Layout, raw},
    pipeline::Progress,
    plan::{self, Budget, Offer, Plan, PlanError, Todo, Touch},
    region::Region,
    resample::{BlockOp, Method, OpRequest, Order, Outside, block_op},
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
    pub op: Arc<dyn BlockOp<T>>,
    pub source: Layout,
    pub target: Layout,
    pub plan: Plan,
    pub touch: Touch,
    /// Where the next level of the target's pyramid is made along with it: voxels that one of its voxels spans.
    pub factors: Option<[u64; 3]>,
    budget: Budget,
}

impl<T: Voxel> Planned<T> {
    /// Bytes of one decoded chunk; 0 for sources without chunks.
    pub fn chunk_bytes(&self) -> u64 {
        if self.touch.chunk_counts.is_some() { self.touch.decoded_bytes } else { 0 }
    }

    /// What other budgets would buy.
    pub fn offers(&self) -> Vec<Offer> {
        let (source, target) = (&self.source, &self.target);
        let (footprint, budget) = (self.op.as_ref(), self.budget);
        self.plan.offers(&plan::Request { footprint, source, target, sample_bytes: size_of::<T>(), budget, todo: None })
    }
}

/// A step of a route.
pub enum Leg<T: Voxel> {
    /// A pass over all volumes.
    Whole(Box<Planned<T>>),
    /// A pass for each volume.
    PerVolume(Box<VolumePasses>),
}

impl<T: Voxel> Leg<T> {
    pub fn whole(pass: Planned<T>) -> Leg<T> {
        Leg::Whole(Box::new(pass))
    }

    pub fn kind(&self) -> PassKind {
        match self {
            Leg::Whole(pass) => pass.kind,
            Leg::PerVolume(_) => PassKind::Resample,
        }
    }

    /// All volumes, as they are written.
    pub fn target(&self) -> &Layout {
        match self {
            Leg::Whole(pass) => &pass.target,
            Leg::PerVolume(passes) => &passes.target,
        }
    }

    fn cost(&self) -> f64 {
        match self {
            Leg::Whole(pass) => pass.plan.cost,
            Leg::PerVolume(passes) => passes.cost(),
        }
    }

    fn amplification(&self) -> f64 {
        match self {
            Leg::Whole(pass) => pass.plan.totals.amplification(),
            Leg::PerVolume(passes) => passes.amplification(),
        }
    }

    fn summaries(&self) -> Vec<PassSummary> {
        match self {
            Leg::Whole(pass) => {
                let makes_next_level = pass.factors.is_some();
                vec![PassSummary {
                    makes_next_level,
                    ..PassSummary::planned(pass.kind, &pass.plan, pass.chunk_bytes())
                }]
            }
            Leg::PerVolume(passes) => passes.summaries().collect(),
        }
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

/// The cheapest way through that fits.
pub struct Route<T: Voxel> {
    pub legs: Vec<Leg<T>>,
    pub scratch_bytes: u64,
    /// Relative time.
    pub cost: f64,
}

impl<T: Voxel> Route<T> {
    /// Without a scratch file.
    pub fn direct(leg: Leg<T>) -> Route<T> {
        let cost = leg.cost();
        Route { legs: vec![leg], scratch_bytes: 0, cost }
    }

    /// Whether there is no scratch file, and next to no chunk is decoded twice.
    pub fn is_single_and_decodes_once(&self) -> bool {
        self.scratch_bytes == 0 && self.amplification() <= ONCE
    }

    fn amplification(&self) -> f64 {
        self.legs.iter().map(Leg::amplification).fold(0.0, f64::max)
    }

    /// Every pass, in turn.
    pub fn summaries(&self) -> Vec<PassSummary> {
        let mut summaries = Vec::new();
        for (n, leg) in self.legs.iter().enumerate() {
            let scratch_bytes = (n + 1 < self.legs.len()).then(|| scratch_bytes::<T>(leg.target()));
            summaries.extend(leg.summaries().into_iter().map(|pass| PassSummary { scratch_bytes, ..pass }));
        }
        summaries
    }
}

/// What is resampled: all volumes by one mapping, or each by its own.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    pub op: &'a OpRequest,
    pub series: Option<&'a Series>,
    /// What of the target is to be made.
    pub todo: &'a Arc<Todo>,
    /// What turns the vectors of a source that is a stream: those are turned when they are read back from a scratch file.
    pub turn: Option<&'a Turn>,
}

impl Task<'_> {
    /// By `op`, the op of all volumes: its tables are made once for all ways.
    fn leg<T: Voxel>(
        &self,
        op: Option<&Arc<dyn BlockOp<T>>>,
        source: &Layout,
        target: &Layout,
        budget: Budget,
    ) -> Result<Leg<T>> {
        if let Some(series) = self.series {
            let passes = VolumePasses::plan::<T>(self.op, series, source, target, budget, self.todo)?;
            return Ok(Leg::PerVolume(Box::new(passes)));
        }
        let op = op.map_or_else(|| block_op::<T>(self.op).into(), Arc::clone);
        Ok(Leg::whole(planned(PassKind::Resample, op, source, target, budget, self.todo)?))
    }
}

/// Plans the job directly and, where a stream makes that impossible or dear, through a scratch file.
///
/// # Errors
/// Where no way fits, the refusal of the one that needs the least.
pub fn route<T: Voxel>(task: Task<'_>, source: &Layout, target: &Layout, budget: Budget) -> Result<Route<T>> {
    let op: Option<Arc<dyn BlockOp<T>>> = task.series.is_none().then(|| block_op::<T>(task.op).into());
    let op = op.as_ref();
    if task.turn.is_some() {
        return unpacking::<T>(task, op, source, target, budget);
    }
    let direct = task.leg::<T>(op, source, target, budget).map(Route::direct);
    if direct.as_ref().is_ok_and(|route| route.amplification() <= GOOD_ENOUGH) {
        return direct;
    }
    let mut routes = vec![direct];
    if source.access == Access::Ascending {
        routes.push(unpacking::<T>(task, op, source, target, budget));
    }
    if target.access == Access::Ascending {
        routes.push(packing::<T>(task, op, source, target, budget));
    }
    routes
        .into_iter()
        .reduce(better)
        .unwrap_or_else(|| Err(Error::usage("there is no way from the source to the target")))
}

/// The cheaper of two ways, or the one that can be gone; else the refusal that names the smaller budget. Other errors go before.
fn better<T: Voxel>(a: Result<Route<T>>, b: Result<Route<T>>) -> Result<Route<T>> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok(if b.cost < a.cost { b } else { a }),
        (Err(Error::Plan(_)), Ok(route)) | (Ok(route), Err(Error::Plan(_))) => Ok(route),
        (Err(Error::Plan(a)), Err(Error::Plan(b))) => {
            let named = |error: &PlanError| match error {
                PlanError::TooSmall { smallest_bytes, .. } => *smallest_bytes,
                _ => u64::MAX,
            };
            Err(Error::Plan(if named(&b) < named(&a) { b } else { a }))
        }
        (Err(Error::Plan(_)), other) | (other, _) => other,
    }
}

/// Source stream to scratch file, scratch file to target.
fn unpacking<T: Voxel>(
    task: Task<'_>,
    op: Option<&Arc<dyn BlockOp<T>>>,
    source: &Layout,
    target: &Layout,
    budget: Budget,
) -> Result<Route<T>> {
    let scratch = scratch_layout::<T>(source);
    let copy = block_op::<T>(&copying(source)).into();
    let unpack = planned(PassKind::Unpack, copy, source, &scratch, budget, &everything(source))?;
    let reading = Layout { transfer_bytes: raw::READ_TRANSFER_BYTES, ..scratch };
    let reading = task.turn.map_or_else(|| reading.clone(), |turn| turn.layout::<T>(&reading));
    let resample = task.leg::<T>(op, &reading, target, budget)?;
    Ok(through_scratch::<T>(vec![Leg::whole(unpack), resample], source))
}

/// Source to scratch file, scratch file to target stream.
fn packing<T: Voxel>(
    task: Task<'_>,
    op: Option<&Arc<dyn BlockOp<T>>>,
    source: &Layout,
    target: &Layout,
    budget: Budget,
) -> Result<Route<T>> {
    let scratch = scratch_layout::<T>(target);
    // Shares of a stream are counted in volumes: those that share chunks would be cut apart.
    let all = everything(target);
    let todo = if source.outer.largest_group() > 1 { &all } else { task.todo };
    let resample = Task { todo, ..task }.leg::<T>(op, source, &scratch, budget)?;
    let reading = Layout { transfer_bytes: raw::READ_TRANSFER_BYTES, ..scratch };
    let pack = planned(PassKind::Pack, block_op::<T>(&copying(target)).into(), &reading, target, budget, task.todo)?;
    Ok(through_scratch::<T>(vec![resample, Leg::whole(pack)], target))
}

fn through_scratch<T: Voxel>(legs: Vec<Leg<T>>, stored: &Layout) -> Route<T> {
    let scratch_bytes = scratch_bytes::<T>(stored);
    let cost = legs.iter().map(Leg::cost).sum::<f64>() + SCRATCH_COST * scratch_bytes as f64;
    Route { legs, scratch_bytes, cost }
}

/// All of a target.
pub fn everything(target: &Layout) -> Arc<Todo> {
    Arc::new(Todo::everything(Region::of_shape(target.grid.shape)))
}

/// Plans one pass.
pub fn planned<T: Voxel>(
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
        order: Order::Rising,
    }
}
