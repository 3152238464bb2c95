//! The coarser levels of an image: each is made from the stored level above it, by a pass of its own.

use std::{path::Path, sync::atomic::AtomicBool};

use super::{PassKind, PassSummary};
use crate::{
    dispatch,
    error::{Error, Result},
    geometry::pyramid,
    io::{
        Layout, Source,
        zarr::{self, Levels, OpenOptions, Yard, ZarrFile, ZarrSink, ZarrSource, ZarrTarget, store::StoreMemory},
    },
    pipeline::{self, Pass, Progress},
    plan::{self, Budget, Plan},
    resample::{Reduction, reduction_op},
    voxel::Voxel,
};

/// An image with the levels below its finest.
#[derive(Clone, Debug)]
pub struct Descent {
    pub method: Reduction,
    /// The image in its stored form, all levels among it.
    pub target: ZarrTarget,
    /// Voxels that one voxel of each level spans of the level above; entry 0 belongs to level 1.
    pub factors: Vec<[u64; 3]>,
    /// What the store takes in which the levels are written and read back.
    pub memory: StoreMemory,
}

/// The planned pass to one level.
#[derive(Clone, Debug)]
pub struct LevelPass {
    /// From 1.
    pub level: usize,
    pub source: Layout,
    pub target: Layout,
    pub plan: Plan,
}

impl Descent {
    /// Decides the levels of `target`; see [`pyramid`] for how many.
    pub fn new(path: &Path, target: &ZarrTarget, method: Reduction, count: Option<usize>) -> Result<Descent> {
        let mut target = target.stored_form(path)?;
        let levels = pyramid(&target.grid, target.chunk, count, method.is_centred());
        let factors = levels.iter().map(|level| level.factors).collect();
        target.levels = Levels {
            coarser: levels.into_iter().map(|level| level.grid).collect(),
            method: Some(method.name()),
            centred: method.is_centred(),
            ..target.levels
        };
        Ok(Descent { method, target, factors, memory: StoreMemory::default() })
    }

    /// Plans every level. `finest` is the layout of level 0 as a source.
    pub fn plan(&self, path: &Path, finest: &Layout, budget: Budget) -> Result<Vec<LevelPass>> {
        let mut source = finest.clone();
        let mut passes = Vec::new();
        for level in 1..=self.factors.len() {
            let at_level = self.target.at_level(level);
            let mut target = at_level.layout(path)?;
            at_level.add_memory(self.memory, &mut target);
            let plan = dispatch!(target.stored, T => self.plan_level::<T>(level, &source, &target, budget))?;
            passes.push(LevelPass { level, source, target, plan });
            source = self.reading_layout(&at_level, path)?;
        }
        Ok(passes)
    }

    /// The layout of level 0 when it is read back.
    pub fn finest_layout(&self, path: &Path) -> Result<Layout> {
        self.reading_layout(&self.target, path)
    }

    /// The client is the one that writes, and is counted there.
    fn reading_layout(&self, level: &ZarrTarget, path: &Path) -> Result<Layout> {
        let mut layout = level.reading_layout(path)?;
        layout.transfer_bytes = layout.transfer_bytes.saturating_add(self.memory.request_bytes);
        Ok(layout)
    }

    fn plan_level<T: Voxel>(&self, level: usize, source: &Layout, target: &Layout, budget: Budget) -> Result<Plan> {
        let op = reduction_op::<T>(self.method, source.grid.shape, self.factors[level - 1]);
        let sample_bytes = size_of::<T>();
        let request = plan::Request { footprint: op.as_ref(), source, target, sample_bytes, budget };
        Ok(Plan::new(&request)?)
    }

    /// What writes level `level` into `yard`.
    pub fn sink<T: Voxel>(&self, level: usize, yard: &Yard) -> Result<ZarrSink<T>> {
        ZarrSink::create_in(yard.clone(), &self.target.at_level(level))
    }

    /// Makes one level in `yard`. `finest` is level 0, for level 1; the others are read from there.
    pub fn run(
        &self,
        pass: &LevelPass,
        finest: &ZarrFile,
        yard: &Yard,
        budget: Budget,
        stop: &AtomicBool,
        on_progress: impl FnMut(&Progress),
    ) -> Result<Progress> {
        let file = match pass.level {
            1 => finest.clone(),
            level => open_level(yard, &self.target.at_level(level - 1))?,
        };
        dispatch!(pass.target.stored, T => self.run_level::<T>(pass, file, yard, budget, stop, on_progress))
    }

    fn run_level<T: Voxel>(
        &self,
        pass: &LevelPass,
        file: ZarrFile,
        yard: &Yard,
        budget: Budget,
        stop: &AtomicBool,
        on_progress: impl FnMut(&Progress),
    ) -> Result<Progress> {
        let op = reduction_op::<T>(self.method, pass.source.grid.shape, self.factors[pass.level - 1]);
        let source = ZarrSource::<T>::new(file);
        let sink = self.sink::<T>(pass.level, yard)?;
        let (source, sink): (&dyn Source<T>, _) = (&source, &sink);
        if source.layout().chunk != pass.source.chunk {
            let message = format!("level {} is not stored as it was planned", pass.level - 1);
            return Err(Error::Panic { message });
        }
        let (layout, target) = (&pass.source, &pass.target);
        let sample_bytes = size_of::<T>();
        let request = plan::Request { footprint: op.as_ref(), source: layout, target, sample_bytes, budget };
        let touch = pass.plan.touch(&request);
        pipeline::run(
            &Pass { plan: &pass.plan, touch: &touch, source, op: op.as_ref(), sink, field: None, coarser: None },
            stop,
            on_progress,
        )
    }
}

/// A level that was written in `yard`.
pub fn open_level(yard: &Yard, target: &ZarrTarget) -> Result<ZarrFile> {
    zarr::open_in(yard.store.below(&target.level_path()), &OpenOptions::default())
}

impl LevelPass {
    pub fn summary(&self) -> PassSummary {
        let voxel_bytes = (self.source.components * self.target.stored.bytes()) as u64;
        let chunk_bytes = self.source.chunk.iter().product::<u64>() * self.source.outer.largest_group() * voxel_bytes;
        PassSummary::planned(PassKind::Pyramid, &self.plan, chunk_bytes)
    }
}
