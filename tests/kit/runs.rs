//! Whole runs through the pipeline, and what they must give.

use std::sync::{Mutex, atomic::AtomicBool};

use reslice::{
    block::{BlockMut, BlockRef},
    error::{PlanError, Result},
    io::{Encoded, Sink, Source, memory::MemorySink},
    layout::{Access, Layout, Outer},
    pipeline::{Pass, Progress, run},
    plan::{Budget, Plan, Request},
    region::Region,
    resample::{BlockOp, OpRequest, Workspace, block_op},
    voxel::Voxel,
};

use super::{cases::Case, volumes};

/// Far more than any test needs.
pub(crate) const AMPLE: u64 = 1 << 32;

pub(crate) fn budget(memory_bytes: u64, threads: usize) -> Budget {
    Budget::new(memory_bytes, threads, 0)
}

/// The layout of a target of `case`, its outer axes as the source has them but stored apart.
pub(crate) fn target_layout<T: Voxel>(case: &Case, source: &Layout, access: Access, chunk: [u64; 3]) -> Layout {
    let outer = Outer::separate(source.outer.axes.clone());
    Layout { outer, ..volumes::layout(T::DTYPE, case.request.target_shape, access, chunk) }
}

/// The smallest budget that `Plan::new` names; panics when it finds a plan without memory.
pub(crate) fn smallest_budget(request: &Request<'_>) -> u64 {
    let starved = Request { budget: Budget { memory_bytes: 0, ..request.budget }, ..*request };
    match Plan::new(&starved) {
        Err(PlanError::TooSmall { smallest_bytes, .. }) => smallest_bytes,
        other => panic!("{other:?}"),
    }
}

/// Every volume computed in one go, `[volume][z][y][x]`.
pub(crate) fn expected<T: Voxel>(request: &OpRequest, source: &[T], source_shape: [u64; 3]) -> Vec<T> {
    let op = block_op::<T>(request);
    let all = Region::of_shape(request.target_shape);
    let region = op.source_region(all);
    let mut target = Vec::new();
    for volume in source.chunks_exact(volumes::count(source_shape)) {
        let mut cut = vec![T::default(); region.voxels() as usize];
        BlockMut::new(region, 1, &mut cut).copy_from(BlockRef::new(Region::of_shape(source_shape), 1, volume), 0);
        let mut voxels = vec![T::default(); all.voxels() as usize];
        let mut block = BlockMut::new(all, 1, &mut voxels);
        op.apply(BlockRef::new(region, 1, &cut), &mut block, all, &mut Workspace::default());
        target.extend(voxels);
    }
    target
}

/// Plans and runs; the plan and what was really done.
pub(crate) fn run_with<T: Voxel>(
    source: &dyn Source<T>,
    op: &dyn BlockOp<T>,
    sink: &dyn Sink<T>,
    budget: Budget,
    stop: &AtomicBool,
) -> Result<(Plan, Progress)> {
    let request = Request {
        footprint: op,
        source: source.layout(),
        target: sink.layout(),
        sample_bytes: size_of::<T>(),
        budget,
        todo: None,
    };
    let plan = Plan::new(&request)?;
    let touch = plan.touch(&request);
    let progress =
        run(&Pass { plan: &plan, touch: &touch, source, op, sink, fields: &[], coarser: None }, stop, |_| {})?;
    Ok((plan, progress))
}

/// A sink in memory that holds the caller to the rules of its access.
pub(crate) struct StrictSink<T> {
    inner: MemorySink<T>,
    layout: Layout,
    seen: Mutex<Vec<(u64, Region)>>,
}

impl<T: Voxel> StrictSink<T> {
    pub(crate) fn new(layout: Layout) -> StrictSink<T> {
        StrictSink { inner: MemorySink::new(layout.clone()), layout, seen: Mutex::default() }
    }

    /// The voxels, after a look whether every unit came once, in order where order counts.
    pub(crate) fn into_voxels(self) -> Vec<T> {
        let mut seen = self.seen.into_inner().unwrap();
        let key = |(volume, unit): &(u64, Region)| (*volume, unit.lo);
        if self.layout.access == Access::Ascending {
            assert!(seen.is_sorted_by_key(key), "units out of order");
        }
        seen.sort_by_key(key);
        seen.dedup();
        let covered: u64 = seen.iter().map(|(_, unit)| unit.voxels()).sum();
        assert_eq!(
            covered,
            self.layout.grid.voxels() * self.layout.outer.volumes(),
            "voxels written to {:?}: {seen:?}",
            self.layout
        );
        self.inner.into_voxels()
    }
}

impl<T: Voxel> Sink<T> for StrictSink<T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn encode(&self, outer: u64, unit: Region, block: BlockRef<'_, T>) -> Result<Encoded> {
        self.inner.encode(outer, unit, block)
    }

    fn put(&self, outer: u64, unit: Region, encoded: Encoded) -> Result<u64> {
        if self.layout.access != Access::Random {
            let at = std::array::from_fn(|a| unit.lo[a] as u64 / self.layout.chunk[a]);
            assert_eq!(unit, self.layout.chunk_region(at), "not one whole write unit");
        }
        let mut seen = self.seen.lock().unwrap();
        assert!(!seen.contains(&(outer, unit)), "{unit} of volume {outer} twice");
        seen.push((outer, unit));
        drop(seen);
        self.inner.put(outer, unit, encoded)
    }

    fn finish(&self) -> Result<()> {
        self.inner.finish()
    }
}
