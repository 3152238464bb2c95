//! The first coarser level made in the same pass as the finest: of each block while it is at hand, so that the finest level
//! need not be read back.

use std::sync::Arc;

use super::levels::{LevelPass, Pyramid};
use crate::{
    block::{BlockMut, BlockRef},
    job::{
        pass::{self, Planned},
        route::{Route, RouteStep},
    },
    layout::Layout,
    plan::{Budget, Todo},
    region::Region,
    resample::{BlockOp, Footprint, ObliqueFootprint, Workspace, reduction_op},
    voxel::Voxel,
};

/// Shards of the coarser level that are filled at once; where there would be more, it is made by a pass of its own.
const MOST_OPEN_SHARDS: u64 = 64;

/// Where tables take more than this part of the budget, no more are made beside them while a plan is looked for.
const LARGEST_TABLES: u64 = 4;

/// The op of the finest level, which also counts what making the next one of its blocks takes.
struct Cascade<T: Voxel> {
    fine: Arc<dyn BlockOp<T>>,
    coarse: Box<dyn BlockOp<T>>,
    factors: [u64; 3],
}

impl<T: Voxel> Footprint for Cascade<T> {
    fn target_shape(&self) -> [u64; 3] {
        self.fine.target_shape()
    }

    fn source_region(&self, target: Region) -> Region {
        self.fine.source_region(target)
    }

    fn source_axis(&self, target_axis: usize) -> Option<usize> {
        self.fine.source_axis(target_axis)
    }

    fn reach(&self) -> Option<Arc<dyn ObliqueFootprint>> {
        self.fine.reach()
    }

    fn field_regions(&self, target: Region) -> Vec<Region> {
        self.fine.field_regions(target)
    }

    fn scratch_bytes(&self, target: Region) -> u64 {
        self.fine.scratch_bytes(target)
    }

    fn fetch_cost(&self) -> f64 {
        self.fine.fetch_cost()
    }

    fn table_bytes(&self) -> u64 {
        self.fine.table_bytes() + self.coarse.table_bytes()
    }

    fn beside_bytes(&self, block: Region) -> u64 {
        let coarse = block.divided(self.factors);
        coarse.voxels() * size_of::<T>() as u64 + self.coarse.scratch_bytes(coarse)
    }
}

impl<T: Voxel> BlockOp<T> for Cascade<T> {
    fn apply(
        &self,
        source: BlockRef<'_, T>,
        target: &mut BlockMut<'_, T>,
        piece: Region,
        scratch: &mut Workspace<T::Acc>,
    ) {
        self.fine.apply(source, target, piece, scratch);
    }
}

/// What both ways of making a target with levels start from.
pub(crate) struct Setting<'a> {
    pub source: &'a Layout,
    pub target: &'a Layout,
    pub pyramid: &'a Pyramid,
    pub levels: &'a [LevelPass],
    pub budget: Budget,
    /// What is to be made of both levels.
    pub todo: &'a Arc<Todo>,
}

/// The way that makes level 1 along with level 0; `None` where that cannot be, does not fit the budget, or is not cheaper than
/// `apart` and a pass for level 1.
pub(crate) fn route<T: Voxel>(setting: &Setting<'_>, apart: &Route<T>) -> Option<Route<T>> {
    let level = setting.levels.first()?;
    let factors = *setting.pyramid.factors.first()?;
    let target = joined(setting.target, &level.target, factors)?;
    let in_stored_order = setting.target.outer.axes == setting.pyramid.target.outer;
    if !setting.pyramid.method.is_local() || T::DTYPE != setting.target.stored || !in_stored_order {
        return None;
    }
    let [RouteStep::Whole(alone)] = apart.steps.as_slice() else { return None };
    let fine = Arc::clone(&alone.op);
    let table_bytes = fine.table_bytes().saturating_add(alone.touch.table_bytes());
    if table_bytes > setting.budget.memory_bytes / LARGEST_TABLES {
        return None;
    }
    let coarse = reduction_op::<T>(setting.pyramid.method, setting.target.grid.shape, factors);
    let op = Arc::new(Cascade { fine, coarse, factors });
    let mut pass: Planned<T> =
        pass::planned(pass::PassKind::Resample, op, setting.source, &target, setting.budget, setting.todo).ok()?;
    pass.factors = Some(factors);
    let route = Route::direct(RouteStep::whole(pass));
    (route.cost < apart.cost + level.plan.cost).then_some(route)
}

/// The target with write units of which each makes whole chunks of the coarser level; `None` where units and shards do not go
/// together.
fn joined(fine: &Layout, coarse: &Layout, factors: [u64; 3]) -> Option<Layout> {
    let chunk: [u64; 3] = std::array::from_fn(|a| fine.chunk[a] * factors[a]);
    if fine.shard.is_some_and(|shard| (0..3).any(|a| !shard[a].is_multiple_of(chunk[a]))) {
        return None;
    }
    let open = |shard: [u64; 3]| (0..3).map(|a| coarse.grid.shape[a].div_ceil(shard[a])).product::<u64>();
    if coarse.shard.is_some_and(|shard| open(shard) > MOST_OPEN_SHARDS) {
        return None;
    }
    Some(Layout {
        chunk,
        transfer_bytes: fine.transfer_bytes.max(coarse.transfer_bytes),
        resident_bytes: fine.resident_bytes + coarse.resident_bytes,
        ..fine.clone()
    })
}
