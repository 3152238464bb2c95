//! The coarser levels of an image: each is made from the stored level above it, by a pass of its own.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use crate::{
    checkpoint::{
        ledger::{Entry, Restored},
        restore_if,
    },
    dispatch,
    error::{Error, Result},
    geometry::pyramid,
    io::{
        Source,
        zarr::{self, Levels, OpenOptions, StoredLevel, ZarrFile, ZarrSink, ZarrSource, ZarrTarget},
    },
    job::{
        PassKind, PassSummary,
        work::{Kept, Work, done},
    },
    layout::Layout,
    pipeline::{self, Pass, Progress},
    plan::{self, Budget, Plan, Todo},
    region::Region,
    resample::{Reduction, reduction_op},
    storage::{BuildSite, Store, StoreMemory},
    voxel::Voxel,
};

/// An image with the levels below its finest.
#[derive(Clone, Debug)]
pub struct Pyramid {
    pub method: Reduction,
    /// The image in its stored form, all levels among it.
    pub target: ZarrTarget,
    /// Voxels that one voxel of each level spans of the level above; entry 0 belongs to level 1.
    pub factors: Vec<[u64; 3]>,
    /// What the store takes in which the levels are written and read back.
    pub memory: StoreMemory,
}

/// Where levels are written, and what is stored of them.
pub struct LevelsTo<'a> {
    pub site: &'a BuildSite,
    pub work: &'a Work,
    pub stored: &'a Restored,
}

/// The planned pass to one level.
#[derive(Clone, Debug)]
pub struct LevelPass {
    /// From 1.
    pub level: usize,
    pub source: Layout,
    pub target: Layout,
    pub plan: Plan,
    pub todo: Arc<Todo>,
}

impl Pyramid {
    /// Decides the levels of `target`; see [`pyramid`] for how many.
    pub fn new(path: &Path, target: &ZarrTarget, method: Reduction, count: Option<usize>) -> Result<Pyramid> {
        let mut target = target.stored_form(path)?;
        let levels = pyramid(&target.grid, target.chunk, count, method.is_centred());
        let factors = levels.iter().map(|level| level.factors).collect();
        target.levels = Levels {
            coarser: levels.into_iter().map(|level| level.grid).collect(),
            method: Some(method.name()),
            centred: method.is_centred(),
            ..target.levels
        };
        Ok(Pyramid { method, target, factors, memory: StoreMemory::default() })
    }

    /// What earlier runs have stored of the levels in `site`, as far as it is there still.
    pub fn restore(&self, site: &BuildSite, state: &dyn Store) -> Result<Restored> {
        let level = |n| StoredLevel::of(site.clone(), &self.target.at_level(n));
        let levels = (0..=self.factors.len()).map(level).collect::<Result<Vec<_>>>()?;
        restore_if(state, &mut |said| match said.entry {
            Entry::Region { level, .. } => {
                let level = levels.get(*level as usize).and_then(Option::as_ref);
                level.is_some_and(|level| level.holds(said.entry, None))
            }
            _ => true,
        })
    }

    /// Plans every level, for what is not stored of it. `finest` is the layout of level 0 as a source.
    pub fn plan(&self, path: &Path, finest: &Layout, budget: Budget, stored: &Restored) -> Result<Vec<LevelPass>> {
        let mut source = finest.clone();
        let mut passes = Vec::new();
        for level in 1..=self.factors.len() {
            let at_level = self.target.at_level(level);
            let mut target = at_level.layout(path)?;
            at_level.add_memory(self.memory, &mut target);
            let todo = Arc::new(
                Todo::everything(Region::of_shape(target.grid.shape)).without(vec![done(stored, level, [1; 3])]),
            );
            let plan = dispatch!(target.stored, T => self.plan_level::<T>(level, &source, &target, budget, &todo))?;
            passes.push(LevelPass { level, source, target, plan, todo });
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

    fn plan_level<T: Voxel>(
        &self,
        level: usize,
        source: &Layout,
        target: &Layout,
        budget: Budget,
        todo: &Arc<Todo>,
    ) -> Result<Plan> {
        let op = reduction_op::<T>(self.method, source.grid.shape, self.factors[level - 1]);
        let sample_bytes = size_of::<T>();
        let todo = Some(todo);
        let request = plan::Request { footprint: op.as_ref(), source, target, sample_bytes, budget, todo };
        Ok(Plan::new(&request)?)
    }

    /// What writes level `level` into `site`.
    pub fn sink<T: Voxel>(&self, level: usize, to: &LevelsTo<'_>) -> Result<ZarrSink<T>> {
        let stored = to.stored.levels.get(&(level as u32)).cloned().unwrap_or_default();
        ZarrSink::create_in(to.site.clone(), &self.target.at_level(level), to.work.ledger(), &stored)
    }

    /// Makes one level in `site`. `finest` is level 0, for level 1; the others are read from there.
    pub fn run(
        &self,
        pass: &LevelPass,
        finest: &ZarrFile,
        to: &LevelsTo<'_>,
        budget: Budget,
        stop: &AtomicBool,
        on_progress: &mut dyn FnMut(&Progress),
    ) -> Result<Progress> {
        let file = match pass.level {
            1 => finest.clone(),
            level => open_level(to.site, &self.target.at_level(level - 1))?,
        };
        dispatch!(pass.target.stored, T => self.run_level::<T>(pass, file, to, budget, stop, on_progress))
    }

    fn run_level<T: Voxel>(
        &self,
        pass: &LevelPass,
        file: ZarrFile,
        to: &LevelsTo<'_>,
        budget: Budget,
        stop: &AtomicBool,
        on_progress: &mut dyn FnMut(&Progress),
    ) -> Result<Progress> {
        let op = reduction_op::<T>(self.method, pass.source.grid.shape, self.factors[pass.level - 1]);
        let source = ZarrSource::<T>::new(file);
        let sink = self.sink::<T>(pass.level, to)?;
        let (source, sink): (&dyn Source<T>, _) = (&source, &sink);
        if source.layout().chunk != pass.source.chunk {
            let message = format!("level {} is not stored as it was planned", pass.level - 1);
            return Err(Error::Panic { message });
        }
        let (layout, target) = (&pass.source, &pass.target);
        let sample_bytes = size_of::<T>();
        let request = plan::Request {
            footprint: op.as_ref(),
            source: layout,
            target,
            sample_bytes,
            budget,
            todo: Some(&pass.todo),
        };
        let touch = pass.plan.touch(&request);
        let pass = Pass { plan: &pass.plan, touch: &touch, source, op: op.as_ref(), sink, fields: &[], coarser: None };
        let keep = Kept { work: to.work, sinks: &[pass.sink] };
        pipeline::run_kept(&pass, Some(&keep), stop, on_progress)
    }
}

/// A level that was written in `site`.
pub(crate) fn open_level(site: &BuildSite, target: &ZarrTarget) -> Result<ZarrFile> {
    zarr::open_in(site.store.below(&target.level_path()), &OpenOptions::default()).map(ZarrFile::in_stored_order)
}

impl LevelPass {
    /// What summaries tell of it.
    pub fn summary(&self) -> PassSummary {
        let voxel_bytes = (self.source.components * self.target.stored.bytes()) as u64;
        let chunk_bytes = self.source.chunk.iter().product::<u64>() * self.source.outer.largest_group() * voxel_bytes;
        PassSummary::planned(PassKind::Pyramid, &self.plan, chunk_bytes)
    }
}
