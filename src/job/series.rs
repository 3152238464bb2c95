//! A series with a mapping for each of its volumes, and the passes to it: one for each volume, over views of source and target.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use super::{
    PassKind, PassSummary, Request,
    fields::Fields,
    pass::{Planned, planned},
};
use crate::{
    error::{Error, Result},
    geometry::{FaceCounts, Grid, Mapping, outside_per_face},
    io::{
        Sink, Source,
        input::Input,
        view::{
            ViewSource,
            entry::{EntrySink, entry_layout},
        },
    },
    layout::{Access, Layout, Outer},
    pipeline::{self, Keep, Pass, Progress},
    plan::{self, Budget, Plan, Todo},
    region::Region,
    resample::{OpRequest, block_op},
    sys,
    transform::{Chain, Convention, Ends, RoleImage, TransformList},
    voxel::Voxel,
};

/// What stands between target and source.
#[derive(Clone, Copy)]
pub struct Between<'a> {
    pub target: &'a Grid,
    pub reference: Option<&'a Input>,
    pub chain: &'a Chain,
    pub fields: Option<&'a Fields>,
}

/// One mapping per volume of a source.
#[derive(Clone, Debug)]
pub struct Series {
    pub list: PathBuf,
    /// How the entries were read, each way once.
    pub conventions: Vec<Convention>,
    /// What was taken for granted of them.
    pub taken_for_granted: Option<String>,
    pub mappings: Vec<Mapping>,
}

impl Series {
    /// Reads the transforms of a list and composes each with the others: target world -> `chain` -> the volume's entry ->
    /// source world. The effect of the snap rule comes along, in source voxels.
    ///
    /// FSL matrices of a list lead from the volume to the image that the volumes were registered to, unless they name their
    /// own: `reference` where nothing stands between, as applyxfm4D has it, else one of the series, which has its grid.
    ///
    /// # Errors
    /// Those of the files; entries that are no affines; another number of transforms than volumes.
    pub fn open(
        request: &Request,
        input: &Input,
        between: Between<'_>,
        reference: Option<RoleImage>,
    ) -> Result<Option<(Series, f64)>> {
        let Some(path) = &request.transform_list else { return Ok(None) };
        refuse_mixed_stream(&request.input, input.layout())?;
        let (source, list) = (RoleImage::of(&request.input, input), TransformList::read(path)?);
        let reference = reference.filter(|_| request.transforms.is_empty()).unwrap_or_else(|| source.clone());
        let ends = Ends { target: reference, source };
        let taken_for_granted = list.taken_for_granted(&ends)?;
        let (entries, conventions) = list.affines(input.layout().outer.volumes(), &ends)?;
        let source = &input.layout().grid;
        let Between { target, chain, fields, .. } = between;
        let (mut mappings, mut removed_voxels) = (Vec::new(), 0.0f64);
        for entry in &entries {
            if let Some(fields) = fields {
                mappings.push(Mapping::Warped(fields.still(Some(entry))));
                continue;
            }
            let snapped = Mapping::through(target, source, &entry.after(&chain.after))?;
            removed_voxels = removed_voxels.max(snapped.removed_voxels);
            mappings.push(snapped.mapping);
        }
        Ok(Some((Series { list: list.path, conventions, taken_for_granted, mappings }, removed_voxels)))
    }

    /// Target voxels that look outside, of all volumes whose axes stay aligned; of the others only the run can tell.
    pub fn outside_of_aligned(&self, target_shape: [u64; 3], bounds: Region) -> FaceCounts {
        let outside = |mapping: &Mapping| match mapping {
            Mapping::AxisAligned(maps) => outside_per_face(maps, target_shape, bounds).outside,
            Mapping::Affine(_) | Mapping::Warped(_) => 0,
        };
        let outside = self.mappings.iter().map(outside).fold(0, u64::saturating_add);
        FaceCounts { outside, ..FaceCounts::default() }
    }
}

/// A stream is read once, so volumes that stand together in it cannot be passed over one after the other.
fn refuse_mixed_stream(path: &Path, layout: &Layout) -> Result<()> {
    let together = layout.outer.largest_group();
    if layout.access != Access::Ascending || together == 1 {
        return Ok(());
    }
    let path = path.display();
    let what = format!(
        "{path} is a stream in which {together} volumes stand together voxel by voxel, and each is to be moved by itself"
    );
    Err(Error::usage_hint(what, format!("write it volume by volume first: reslice resample {path} NEW.nii.gz")))
}

/// The groups of volumes that shares of a target are cut by: those that share chunks of the source or, of a series, single volumes, since
/// each has a pass of its own.
pub(super) fn groups_of_shares(series: Option<&Series>, source: &Layout) -> Outer {
    if series.is_some() { Outer::separate(source.outer.axes.clone()) } else { source.outer.clone() }
}

/// The planned passes to the volumes of a series.
pub(super) struct VolumePasses {
    /// All volumes, as they are read and written.
    source: Layout,
    pub target: Layout,
    /// With the mapping of the first volume.
    op: OpRequest,
    volumes: Vec<VolumePass>,
    budget: Budget,
    /// Of all volumes.
    todo: Arc<Todo>,
}

/// The pass to one volume: what is kept of it until its turn. Op and tables are made then.
struct VolumePass {
    mapping: Mapping,
    plan: Plan,
    chunk_bytes: u64,
}

impl VolumePasses {
    /// Plans the pass to each volume.
    ///
    /// # Errors
    /// The refusal of the first volume that does not fit the budget.
    pub(super) fn plan<T: Voxel>(
        op: &OpRequest,
        series: &Series,
        source: &Layout,
        target: &Layout,
        budget: Budget,
        todo: &Arc<Todo>,
    ) -> Result<VolumePasses> {
        let held_bytes = size_of::<VolumePass>() + size_of::<PassSummary>();
        // Lists grow by doubling.
        let reserved_bytes = budget.reserved_bytes.saturating_add(2 * (held_bytes * series.mappings.len()) as u64);
        let budget = Budget { reserved_bytes, ..budget };
        let mut passes = VolumePasses {
            source: source.clone(),
            target: target.clone(),
            op: op.clone(),
            volumes: Vec::new(),
            budget,
            todo: todo.clone(),
        };
        let views = passes.views::<T>(series.mappings.len());
        for (n, mapping) in series.mappings.iter().enumerate() {
            // Volumes that did not move have one mapping.
            let known = passes.volumes.last().filter(|last| last.mapping == *mapping && todo.is_everything());
            let (plan, chunk_bytes) = match known {
                Some(known) => (known.plan.clone(), known.chunk_bytes),
                None => {
                    let pass = passes.planned::<T>(n, mapping, &views)?;
                    let chunk_bytes = pass.chunk_bytes();
                    (pass.plan, chunk_bytes)
                }
            };
            passes.volumes.push(VolumePass { mapping: mapping.clone(), plan, chunk_bytes });
        }
        Ok(passes)
    }

    /// One volume of the source and one of the target.
    fn views<T: Voxel>(&self, entries: usize) -> [Layout; 2] {
        [&self.source, &self.target].map(|layout| entry_layout::<T>(layout, entries as u64))
    }

    fn request(&self, mapping: &Mapping) -> OpRequest {
        OpRequest { mapping: mapping.clone(), ..self.op.clone() }
    }

    fn planned<T: Voxel>(&self, n: usize, mapping: &Mapping, [source, target]: &[Layout; 2]) -> Result<Planned<T>> {
        let op = block_op::<T>(&self.request(mapping));
        Ok(planned(PassKind::Resample, op.into(), source, target, self.budget, &self.todo_of(n as u64, target))?)
    }

    /// What is to be made of one entry.
    fn todo_of(&self, n: u64, entry: &Layout) -> Arc<Todo> {
        let volumes = entry.outer.volumes();
        Arc::new(self.todo.of_volumes(n * volumes..(n + 1) * volumes))
    }

    /// One for each volume.
    pub(super) fn summaries(&self) -> impl Iterator<Item = PassSummary> {
        self.volumes.iter().enumerate().map(|(n, pass)| PassSummary {
            volume: Some(n as u64),
            ..PassSummary::planned(PassKind::Resample, &pass.plan, pass.chunk_bytes)
        })
    }

    /// Relative time.
    pub(super) fn cost(&self) -> f64 {
        self.volumes.iter().map(|pass| pass.plan.cost).sum()
    }

    /// The worst of all volumes.
    pub(super) fn amplification(&self) -> f64 {
        self.volumes.iter().map(|pass| pass.plan.totals.amplification()).fold(1.0, f64::max)
    }

    /// Runs the passes in turn; the sink is finished with the last. Progress is that of all of them; each done is told with its
    /// number. How many there were.
    pub(super) fn run<T: Voxel>(
        &self,
        (from, fields): (&dyn Source<T>, &[&dyn Source<f32>]),
        to: &dyn Sink<T>,
        keep: &dyn Keep,
        stop: &AtomicBool,
        on_progress: &mut dyn FnMut(&Progress),
        on_done: &mut dyn FnMut(usize, Progress),
    ) -> Result<usize> {
        let (entries, mut before) = (self.volumes.len() as u64, Progress::default());
        let views = self.views::<T>(self.volumes.len());
        let blocks = self.volumes.iter().map(|pass| pass.plan.blocks).sum();
        for (n, pass) in self.volumes.iter().enumerate() {
            let (source, sink) = (ViewSource::entry(from, entries, n as u64), EntrySink::new(to, entries, n as u64));
            let op = block_op::<T>(&self.request(&pass.mapping));
            let [layout, target] = &views;
            let (footprint, sample_bytes, budget) = (op.as_ref(), size_of::<T>(), self.budget);
            let todo = self.todo_of(n as u64, target);
            let request = plan::Request { footprint, source: layout, target, sample_bytes, budget, todo: Some(&todo) };
            let (plan, touch) = (&pass.plan, pass.plan.touch(&request));
            let pipeline_pass =
                Pass { plan, touch: &touch, source: &source, op: op.as_ref(), sink: &sink, fields, coarser: None };
            let all = |now: &Progress| Progress { blocks, ..before.and(now) };
            let mut done = pipeline::run_kept(&pipeline_pass, Some(keep), stop, &mut |now| on_progress(&all(now)))?;
            before = before.and(&done);
            if pass.mapping.is_axis_aligned() {
                // Known before the run.
                done.outside = 0;
            }
            on_done(n, done);
            drop((op, touch));
            sys::trim_allocator();
        }
        Ok(self.volumes.len())
    }
}
