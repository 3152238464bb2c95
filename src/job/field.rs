//! One displacement field of a job: what is known of it before the run, and where its vectors are read.
//!
//! A displacement field is read once in full before planning: the source regions depend on its vectors. One that cannot
//! be read by position is written to a scratch file meanwhile.

use std::{
    path::Path,
    sync::{Mutex, PoisonError, atomic::AtomicBool},
};

use super::{
    PassKind, disk,
    pass::{Planned, copying, everything, planned, scratch_layout},
    scratch::ScratchFile,
};
use crate::{
    block::BlockRef,
    error::{PlanError, Result},
    geometry::{Grid, VectorRanges},
    io::{
        Encoded, Sink, Source,
        convert::Conversion,
        input::{Input, IoMode},
        raw::RawSink,
    },
    layout::{Access, Layout},
    pipeline::{self, Pass, Progress},
    plan::Budget,
    region::Region,
    resample::block_op,
    sys,
    transform::{FieldFile, FieldGrid},
};

/// A displacement field, not read yet.
#[derive(Debug)]
pub(super) struct Field {
    input: Input,
    pub grid: FieldGrid,
}

/// Where vectors are read by position.
pub struct Vectors {
    pub source: Box<dyn Source<f32>>,
    /// The file behind it, where it is one of ours.
    _scratch: Option<ScratchFile>,
}

/// How a field is to be read.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// Where a scratch file may be; nothing where vectors are not needed afterwards.
    pub folder: Option<&'a Path>,
    /// Refuse a scratch file that cannot fit the disk.
    pub checks_disk: bool,
    pub budget: Budget,
}

impl Field {
    /// Opens a field: its metadata, no voxels.
    ///
    /// # Errors
    /// A file that is no displacement field.
    pub(super) fn open(file: &FieldFile) -> Result<Field> {
        let input = Input::open_field(&file.path)?;
        let grid = FieldGrid::of(file, &input)?;
        Ok(Field { input, grid })
    }

    /// The voxels of the field in the world.
    pub(super) fn voxels(&self) -> &Grid {
        &self.input.layout().grid
    }

    /// Reads the whole field once: the ranges of its vectors. With a folder, its vectors can be read by position afterwards: where
    /// the field's own file does not allow that, through a scratch file there.
    ///
    /// # Errors
    /// Those of reading and of the scratch file; a budget that is too small.
    pub(super) fn read(
        &self,
        reading: Reading<'_>,
        stop: &AtomicBool,
        on_progress: &mut dyn FnMut(&Progress),
    ) -> Result<(VectorRanges, Option<Vectors>)> {
        let source = self.source()?;
        let target = scratch_layout::<f32>(source.layout());
        let scratch = match reading.folder {
            Some(folder) if source.layout().access != Access::Random => {
                Some(scratch(folder, &target, reading.checks_disk)?)
            }
            _ => None,
        };
        let sink = RangeSink {
            boxes: VectorRanges::new(target.grid.shape),
            ranges: Mutex::new(VectorRanges::new(target.grid.shape)),
            file: scratch.as_ref().map(|scratch| scratch.sink::<f32>(&target)).transpose()?,
            layout: target,
        };
        let pass = pass(source.layout(), &sink.layout, reading.budget)?;
        let (plan, touch, op) = (&pass.plan, &pass.touch, pass.op.as_ref());
        let source = source.as_ref();
        pipeline::run(&Pass { plan, touch, source, op, sink: &sink, fields: &[], coarser: None }, stop, on_progress)?;
        sys::trim_allocator();
        let vectors = match (reading.folder, scratch) {
            (None, _) => None,
            (Some(_), Some(scratch)) => {
                Some(Vectors { source: Box::new(scratch.source::<f32>(&sink.layout)?), _scratch: Some(scratch) })
            }
            (Some(_), None) => Some(Vectors { source: self.source()?, _scratch: None }),
        };
        Ok((sink.ranges.into_inner().unwrap_or_else(PoisonError::into_inner), vectors))
    }

    /// Whether the budget is enough to read the field.
    ///
    /// # Errors
    /// It is too small.
    pub(super) fn plan(&self, budget: Budget) -> Result<()> {
        let source = self.source()?;
        Ok(pass(source.layout(), &scratch_layout::<f32>(source.layout()), budget).map(drop)?)
    }

    fn source(&self) -> Result<Box<dyn Source<f32>>> {
        let conversion = Conversion { slope: self.input.slope(), ..self.input.conversion() };
        Ok(self.grid.displacements(self.input.source(conversion, IoMode::Auto)?))
    }
}

/// # Errors
/// There is no room for it in `folder`.
fn scratch(folder: &Path, layout: &Layout, checks_disk: bool) -> Result<ScratchFile> {
    let bytes = super::pass::scratch_bytes::<f32>(layout);
    if checks_disk {
        let found = disk::disks(&[disk::Part::exact(folder.to_path_buf(), bytes)]);
        disk::check(&found, Path::new("the scratch file of the displacement field"))?;
    }
    Ok(ScratchFile::within(folder, "field", bytes))
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
