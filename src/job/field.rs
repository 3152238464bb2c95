//! The displacement field of a job: what is known of it before the run, and where its vectors are read.
//!
//! A displacement field is read once in full before planning: the source regions depend on its vectors. One that cannot
//! be read by position is written to a scratch file meanwhile.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
};

use super::{
    PassKind, disk,
    pass::{Planned, copying, everything, planned, scratch_layout},
    scratch::ScratchFile,
};
use crate::{
    block::BlockRef,
    error::{Error, PlanError, Result},
    geometry::{Affine, Grid, Snapped, VectorRanges, Warp},
    io::{
        Encoded, Sink, Source,
        convert::Conversion,
        input::{Input, IoMode},
        raw::RawSink,
        zarr::OpenOptions,
    },
    layout::{Access, Layout},
    pipeline::{self, Pass, Progress},
    plan::Budget,
    region::Region,
    resample::block_op,
    sys,
    transform::{Chain, FieldGrid},
};

/// A displacement field between two grids, not read yet.
#[derive(Debug)]
pub struct Field {
    input: Input,
    grid: FieldGrid,
    /// Target index to source index where the field is 0.
    pub base: Affine,
    target_to_field: Affine,
    vector_to_source: [[f64; 3]; 3],
    /// Refuse a scratch file that cannot fit the disk.
    pub checks_disk: bool,
}

/// A field whose ranges are known.
pub struct ReadField {
    pub warp: Warp,
    /// Its vectors, by position; nothing in a dry run.
    pub vectors: Option<Vectors>,
}

/// Where vectors are read by position.
pub struct Vectors {
    pub source: Box<dyn Source<f32>>,
    /// The file behind it, where it is one of ours.
    _scratch: Option<ScratchFile>,
}

impl Field {
    /// Opens the field of a chain, if it has one: its metadata, no voxels. The chain learns what its vectors are.
    ///
    /// # Errors
    /// A file that is no displacement field, a source without an inverse.
    pub fn open(chain: &mut Chain, target: &Grid, source: &Grid) -> Result<Option<Field>> {
        let Some(path) = chain.field.clone() else { return Ok(None) };
        let input = Input::open(&path, &OpenOptions::default())?;
        let header = input.nifti().map(|file| &file.header);
        let grid = FieldGrid::new(&path, input.layout(), header)?;
        chain.learn(grid.kind);
        let [target_mm, source_mm] = [target, source].map(Grid::index_to_millimetres);
        let singular = || Error::usage(format!("the affine of the source is singular: {:?}", source.index_to_world.m));
        let to_source = source_mm.inverse().ok_or_else(singular)?.after(&chain.after);
        let target_to_world = chain.before.after(&target_mm);
        let columns = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]].map(|unit| grid.displacement(unit));
        let vector_to_source =
            std::array::from_fn(|s| columns.map(|moved| (0..3).map(|r| to_source.m[s][r] * moved[r]).sum()));
        Ok(Some(Field {
            input,
            base: to_source.after(&target_to_world),
            target_to_field: snapped(grid.world_to_index.after(&target_to_world), target),
            vector_to_source,
            grid,
            checks_disk: true,
        }))
    }

    /// The voxels of the field in the world.
    pub fn grid(&self) -> &Grid {
        &self.input.layout().grid
    }

    /// Reads the whole field once. With a `folder`, its vectors can be read by position afterwards: where the field's own file
    /// does not allow that, through a scratch file there.
    ///
    /// # Errors
    /// Those of reading and of the scratch file; a budget that is too small.
    pub fn read(
        &self,
        folder: Option<&Path>,
        budget: Budget,
        stop: &AtomicBool,
        on_progress: &mut dyn FnMut(&Progress),
    ) -> Result<ReadField> {
        let source = self.source()?;
        let target = scratch_layout::<f32>(source.layout());
        let scratch = match folder {
            Some(folder) if source.layout().access != Access::Random => Some(self.scratch(folder, &target)?),
            _ => None,
        };
        let sink = RangeSink {
            boxes: VectorRanges::new(target.grid.shape),
            ranges: Mutex::new(VectorRanges::new(target.grid.shape)),
            file: scratch.as_ref().map(|scratch| scratch.sink::<f32>(&target)).transpose()?,
            layout: target,
        };
        let pass = pass(source.layout(), &sink.layout, budget)?;
        let (plan, touch, op) = (&pass.plan, &pass.touch, pass.op.as_ref());
        let source = source.as_ref();
        pipeline::run(&Pass { plan, touch, source, op, sink: &sink, field: None, coarser: None }, stop, on_progress)?;
        sys::trim_allocator();
        let vectors = match (folder, scratch) {
            (None, _) => None,
            (Some(_), Some(scratch)) => {
                Some(Vectors { source: Box::new(scratch.source::<f32>(&sink.layout)?), _scratch: Some(scratch) })
            }
            (Some(_), None) => Some(Vectors { source: self.source()?, _scratch: None }),
        };
        let warp = self.warp(sink.ranges.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(ReadField { warp, vectors })
    }

    /// Whether the budget is enough to read the field.
    ///
    /// # Errors
    /// It is too small.
    pub fn plan(&self, budget: Budget) -> Result<()> {
        let source = self.source()?;
        Ok(pass(source.layout(), &scratch_layout::<f32>(source.layout()), budget).map(drop)?)
    }

    /// A field of the same grid that moves nothing.
    pub fn still(&self) -> Warp {
        self.warp(VectorRanges::new(self.grid().shape))
    }

    fn warp(&self, ranges: VectorRanges) -> Warp {
        Warp {
            base: self.base,
            target_to_field: self.target_to_field,
            vector_to_source: self.vector_to_source,
            ends_at_faces: self.grid.ends_at_faces(),
            ranges: Arc::new(ranges),
        }
    }

    /// # Errors
    /// There is no room for it in `folder`.
    fn scratch(&self, folder: &Path, layout: &Layout) -> Result<ScratchFile> {
        let bytes = super::pass::scratch_bytes::<f32>(layout);
        if self.checks_disk {
            let found = disk::disks(&[disk::Part::exact(folder.to_path_buf(), bytes)]);
            disk::check(&found, Path::new("the scratch file of the displacement field"))?;
        }
        Ok(ScratchFile::within(folder, "field", bytes))
    }

    fn source(&self) -> Result<Box<dyn Source<f32>>> {
        let conversion = Conversion { slope: self.input.slope(), ..self.input.conversion() };
        Ok(self.grid.displacements(self.input.source(conversion, IoMode::Auto)?))
    }
}

/// What the snap rule makes of the way into a field: one on the target's own voxels is met on them, whatever the rounding of the headers.
fn snapped(target_to_field: Affine, target: &Grid) -> Affine {
    if target_to_field.is_finite() {
        Snapped::new(&target_to_field, target.shape).mapping.affine()
    } else {
        target_to_field
    }
}

/// The pass that reads a field.
fn pass(source: &Layout, target: &Layout, budget: Budget) -> Result<Planned<f32>, PlanError> {
    planned(PassKind::Field, block_op::<f32>(&copying(source)).into(), source, target, budget, &everything(target))
}

/// Takes in a field: notes the ranges of its vectors, and writes them on where there is a file.
struct RangeSink {
    layout: Layout,
    /// Of nothing: where boxes are.
    boxes: VectorRanges,
    ranges: Mutex<VectorRanges>,
    file: Option<RawSink<f32>>,
}

impl Sink<f32> for RangeSink {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn encode(&self, outer: u64, unit: Region, block: BlockRef<'_, f32>) -> Result<Encoded> {
        let found = self.boxes.of(unit, block);
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner).add(outer as usize, &found);
        self.file.as_ref().map_or(Ok(Encoded::default()), |file| file.encode(outer, unit, block))
    }

    fn put(&self, outer: u64, unit: Region, encoded: Encoded) -> Result<u64> {
        self.file.as_ref().map_or(Ok(0), |file| file.put(outer, unit, encoded))
    }

    fn finish(&self) -> Result<()> {
        self.file.as_ref().map_or(Ok(()), Sink::<f32>::finish)
    }
}
