//! Which passes a job takes: one, or one more through a scratch file where a stream does not fit its order.

use std::sync::Arc;

use super::{
    pass::{PassKind, PassSummary, Planned, copying, everything, planned, scratch_bytes, scratch_layout},
    series::{Series, VolumePasses},
    turn::Turn,
};
use crate::{
    error::{Error, PlanError, Result},
    io::raw,
    layout::{Access, Layout},
    plan::{Budget, Todo},
    resample::{BlockOp, OpRequest, block_op},
    voxel::Voxel,
};

/// Relative time of writing a byte to a scratch file and reading it again, against computing it.
const SCRATCH_COST: f64 = 2.0;
/// Amplification up to which no scratch file is considered.
const GOOD_ENOUGH: f64 = 1.5;
/// Amplification up to which chunks count as decoded once.
const ONCE: f64 = 1.1;

/// A step of a route.
pub(super) enum RouteStep<T: Voxel> {
    /// A pass over all volumes.
    Whole(Box<Planned<T>>),
    /// A pass for each volume.
    PerVolume(Box<VolumePasses>),
}

impl<T: Voxel> RouteStep<T> {
    /// A pass over all volumes.
    pub(super) fn whole(pass: Planned<T>) -> RouteStep<T> {
        RouteStep::Whole(Box::new(pass))
    }

    /// What it is for.
    pub(super) fn kind(&self) -> PassKind {
        match self {
            RouteStep::Whole(pass) => pass.kind,
            RouteStep::PerVolume(_) => PassKind::Resample,
        }
    }

    /// All volumes, as they are written.
    pub(super) fn target(&self) -> &Layout {
        match self {
            RouteStep::Whole(pass) => &pass.target,
            RouteStep::PerVolume(passes) => &passes.target,
        }
    }

    fn cost(&self) -> f64 {
        match self {
            RouteStep::Whole(pass) => pass.plan.cost,
            RouteStep::PerVolume(passes) => passes.cost(),
        }
    }

    fn amplification(&self) -> f64 {
        match self {
            RouteStep::Whole(pass) => pass.plan.totals.amplification(),
            RouteStep::PerVolume(passes) => passes.amplification(),
        }
    }

    fn summaries(&self) -> Vec<PassSummary> {
        match self {
            RouteStep::Whole(pass) => {
                let makes_next_level = pass.factors.is_some();
                vec![PassSummary {
                    makes_next_level,
                    ..PassSummary::planned(pass.kind, &pass.plan, pass.chunk_bytes())
                }]
            }
            RouteStep::PerVolume(passes) => passes.summaries().collect(),
        }
    }
}

/// The cheapest way through that fits.
#[derive(Default)]
pub(super) struct Route<T: Voxel> {
    pub steps: Vec<RouteStep<T>>,
    pub scratch_bytes: u64,
    /// Relative time.
    pub cost: f64,
}

impl<T: Voxel> Route<T> {
    /// Without a scratch file.
    pub(super) fn direct(step: RouteStep<T>) -> Route<T> {
        let cost = step.cost();
        Route { steps: vec![step], scratch_bytes: 0, cost }
    }

    /// Whether there is no scratch file, and next to no chunk is decoded twice.
    pub(super) fn is_single_and_decodes_once(&self) -> bool {
        self.scratch_bytes == 0 && self.amplification() <= ONCE
    }

    fn amplification(&self) -> f64 {
        self.steps.iter().map(RouteStep::amplification).fold(0.0, f64::max)
    }

    /// Every pass, in turn.
    pub(super) fn summaries(&self) -> Vec<PassSummary> {
        let mut summaries = Vec::new();
        for (n, step) in self.steps.iter().enumerate() {
            let scratch_bytes = (n + 1 < self.steps.len()).then(|| scratch_bytes::<T>(step.target()));
            summaries.extend(step.summaries().into_iter().map(|pass| PassSummary { scratch_bytes, ..pass }));
        }
        summaries
    }
}

/// What is resampled: all volumes by one mapping, or each by its own.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub op: &'a OpRequest,
    pub series: Option<&'a Series>,
    /// What of the target is to be made.
    pub todo: &'a Arc<Todo>,
    /// What turns the vectors of a source that is a stream: those are turned when they are read back from a scratch file.
    pub turn: Option<&'a Turn>,
}

/// Plans the job directly and, where a stream makes that impossible or dear, through a scratch file.
///
/// # Errors
/// Where no way fits, the refusal of the one that needs the least.
pub(super) fn route<T: Voxel>(task: Task<'_>, source: &Layout, target: &Layout, budget: Budget) -> Result<Route<T>> {
    let op = task.series.is_none().then(|| block_op::<T>(task.op).into());
    let ways = Ways { task, op, source, target, budget };
    if task.turn.is_some() {
        return ways.unpacking();
    }
    let direct = ways.resampling(task.todo, source, target).map(Route::direct);
    if direct.as_ref().is_ok_and(|route| route.amplification() <= GOOD_ENOUGH) {
        return direct;
    }
    let mut routes = vec![direct];
    if source.access == Access::Ascending {
        routes.push(ways.unpacking());
    }
    if target.access == Access::Ascending {
        routes.push(ways.packing());
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

/// What all ways of a job have in common.
struct Ways<'a, T: Voxel> {
    task: Task<'a>,
    /// The op of all volumes, whose tables are made once; `None` where each volume has its own.
    op: Option<Arc<dyn BlockOp<T>>>,
    source: &'a Layout,
    target: &'a Layout,
    budget: Budget,
}

impl<T: Voxel> Ways<'_, T> {
    /// The step that computes the target's voxels.
    fn resampling(&self, todo: &Arc<Todo>, source: &Layout, target: &Layout) -> Result<RouteStep<T>> {
        let Ways { task, op, budget, .. } = self;
        if let Some(series) = task.series {
            let passes = VolumePasses::plan::<T>(task.op, series, source, target, *budget, todo)?;
            return Ok(RouteStep::PerVolume(Box::new(passes)));
        }
        let op = op.as_ref().map_or_else(|| block_op::<T>(task.op).into(), Arc::clone);
        Ok(RouteStep::whole(planned(PassKind::Resample, op, source, target, *budget, todo)?))
    }

    /// The step that copies all voxels from one layout to the other, beside `held_bytes` of tables of a later step.
    fn copying(
        &self,
        kind: PassKind,
        [source, target]: [&Layout; 2],
        todo: &Arc<Todo>,
        held_bytes: u64,
    ) -> Result<RouteStep<T>> {
        let copy = block_op::<T>(&copying(source)).into();
        let reserved_bytes = self.budget.reserved_bytes.saturating_add(held_bytes);
        let budget = Budget { reserved_bytes, ..self.budget };
        Ok(RouteStep::whole(planned(kind, copy, source, target, budget, todo)?))
    }

    /// Source stream to scratch file, scratch file to target.
    fn unpacking(&self) -> Result<Route<T>> {
        let Ways { task, source, target, .. } = self;
        let scratch = scratch_layout::<T>(source);
        let tables = self.op.as_ref().map_or(0, |op| op.table_bytes());
        let unpack = self.copying(PassKind::Unpack, [source, &scratch], &everything(source), tables)?;
        let reading = read_back(scratch);
        let reading = task.turn.map_or_else(|| reading.clone(), |turn| turn.layout::<T>(&reading));
        let resample = self.resampling(task.todo, &reading, target)?;
        Ok(through_scratch::<T>(vec![unpack, resample], source))
    }

    /// Source to scratch file, scratch file to target stream.
    fn packing(&self) -> Result<Route<T>> {
        let Ways { task, source, target, .. } = self;
        let scratch = scratch_layout::<T>(target);
        // Shares of a stream are counted in volumes: those that share chunks would be cut apart.
        let all = everything(target);
        let todo = if source.outer.largest_group() > 1 { &all } else { task.todo };
        let resample = self.resampling(todo, source, &scratch)?;
        // The tables have gone before it begins.
        let pack = self.copying(PassKind::Pack, [&read_back(scratch), target], task.todo, 0)?;
        Ok(through_scratch::<T>(vec![resample, pack], target))
    }
}

/// A scratch file as it is read.
fn read_back(scratch: Layout) -> Layout {
    Layout { transfer_bytes: raw::READ_TRANSFER_BYTES, ..scratch }
}

fn through_scratch<T: Voxel>(steps: Vec<RouteStep<T>>, stored: &Layout) -> Route<T> {
    let scratch_bytes = scratch_bytes::<T>(stored);
    let cost = steps.iter().map(RouteStep::cost).sum::<f64>() + SCRATCH_COST * scratch_bytes as f64;
    Route { steps, scratch_bytes, cost }
}
