//! A target of which nothing is stored: each region is made when it is asked for, in fixed memory, with the bytes that it would have in
//! the whole target.
//!
//! A target voxel is a function of its own index, so a region needs no more of the source than its op says. What is held from one region to
//! the next are decoded chunks. Streams, which cannot be read at any place, are unpacked into a file without a name first.

use std::{
    path::Path,
    sync::{
        Mutex, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use rayon::prelude::*;

use super::{
    Job, disk,
    execute::Opened,
    field::Vectors,
    limits::check_tables,
    pass::{PassKind, copying, everything, planned, scratch_bytes, scratch_layout},
    scratch::ScratchFile,
    turn::Turned,
};
use crate::{
    block::{BlockMut, BlockRef},
    dispatch,
    error::{Error, PlanError, Result},
    io::{
        Source,
        convert::Conversion,
        reader::{chunks_of, reads_directly},
    },
    layout::{Access, Layout},
    pipeline::{self, Pass},
    region::Region,
    resample::{BlockOp, Workspace, block_op},
    storage::Location,
    sys,
    voxel::Voxel,
};

mod chunks;
mod room;

use chunks::Chunks;
use room::{Room, cut, halves};

/// Target voxels at hand when they are asked for.
pub trait OnDemand: Send + Sync {
    /// Grid, outer axes, components and sample type of the target.
    fn layout(&self) -> &Layout;

    /// Fills `into` with the samples of `region` of one volume: the target's type, the machine's byte order, `[component][z][y][x]`.
    ///
    /// May be called from several threads; each call takes its share of the memory for pieces once more.
    ///
    /// # Errors
    /// Those of the source, a budget that is too small, [`Error::Stopped`], and a process that was forked in a moment that it does not
    /// outlive.
    fn read(&self, volume: u64, region: Region, stop: &AtomicBool, into: &mut [u8]) -> Result<()>;
}

impl Job {
    /// Opens the voxels, unpacks a stream, and reads a displacement field. The request's output names no file: its ending says by which rules
    /// values are made (`.zarr`: with the slope applied).
    ///
    /// # Errors
    /// Whatever is wrong with the source or the budget; a transform for each volume.
    pub fn on_demand(self, stop: &AtomicBool) -> Result<Box<dyn OnDemand>> {
        if self.series.is_some() {
            let what = "a transform for each volume makes no target on demand";
            return Err(Error::usage_hint(what, "resample to a file, and open that"));
        }
        dispatch!(self.values.pipeline, T => Ok(Box::new(Target::<T>::open(self, stop)?)))
    }
}

/// A target that is made of voxels of type `T`.
struct Target<T: Voxel> {
    layout: Layout,
    source: Box<dyn Source<T>>,
    vectors: Vec<Vectors>,
    op: Box<dyn BlockOp<T>>,
    writing: Conversion,
    room: Room,
    chunks: Chunks<T>,
    slots: Mutex<Vec<Slot<T>>>,
    /// The process that read last.
    process: AtomicU32,
    /// Where the source is, if that is behind a connection.
    remote: Option<String>,
}

/// The reusable memory of one worker.
struct Slot<T: Voxel> {
    source: Vec<T>,
    target: Vec<T>,
    encoded: Vec<u8>,
    scratch: Workspace<T::Acc>,
}

/// A volume: its group, its place there, its number.
#[derive(Clone, Copy)]
struct Place {
    group: u64,
    member: usize,
    volume: u64,
}

impl<T: Voxel> Target<T> {
    fn open(job: Job, stop: &AtomicBool) -> Result<Target<T>> {
        check_tables::<T>(&job.op, job.request.memory_bytes)?;
        let folder = job.request.scratch.clone().unwrap_or_else(std::env::temp_dir);
        let remote = Location::of(&job.request.input)?;
        let remote = remote.local().is_none().then(|| job.request.input.display().to_string());
        let Opened { job, source, vectors } = job.open::<T>()?.look_through(Some(&folder), stop, &mut |_| {})?;
        let source = match source.layout().access {
            Access::Ascending => unpacked(&job, source.as_ref(), &folder, stop)?,
            _ => source,
        };
        let op = block_op::<T>(&job.op);
        let layout = job.output.layout.clone();
        let middle = layout.grid.shape.map(|extent| (extent / 2) as i64);
        let one = Region::new(middle, middle.map(|at| at + 1));
        let fixed_bytes = sys::reserved_bytes().saturating_add(op.table_bytes());
        let room = Room::new::<T>(&job.request, source.layout(), fixed_bytes, cost(op.as_ref(), &layout, one));
        Ok(Target {
            chunks: Chunks::new(room.chunk_bytes),
            slots: Mutex::new(Vec::new()),
            process: AtomicU32::new(std::process::id()),
            writing: job.values.writing,
            layout,
            source,
            vectors,
            op,
            room,
            remote,
        })
    }

    /// Refuses to go on in a child of the process that opened it, where that cannot work.
    fn check_process(&self) -> Result<()> {
        let (own, opener) = (std::process::id(), self.process.load(Ordering::Relaxed));
        if own == opener {
            return Ok(());
        }
        let hint = "open it again in this process";
        if let Some(remote) = &self.remote {
            let what = format!("{remote} was opened by process {opener}, and its connections do not outlive a fork");
            return Err(Error::usage_hint(what, hint));
        }
        if self.chunks.is_taken() || matches!(self.slots.try_lock(), Err(TryLockError::WouldBlock)) {
            let what = format!("process {opener} was forked while another thread read this volume");
            return Err(Error::usage_hint(what, hint));
        }
        self.process.store(own, Ordering::Relaxed);
        Ok(())
    }

    /// The voxels of a chunk of the source, all its volumes.
    fn chunk(&self, group: u64, at: [u64; 3]) -> Result<std::sync::Arc<Vec<T>>> {
        let layout = self.source.layout();
        let region = layout.chunk_region(at);
        let volumes = layout.outer.members_of(group) as usize * layout.components;
        let samples = region.voxels() as usize * volumes;
        self.chunks.get((group, at), (samples * size_of::<T>()) as u64, || {
            let mut voxels = vec![T::default(); samples];
            let read = self.source.read(group, BlockMut::new(region, volumes, &mut voxels));
            read.map_err(|source| Error::Read { outer: group, region, source: Box::new(source) })?;
            Ok(voxels)
        })
    }

    /// Decodes the chunks of a region side by side, where they all can be kept; else pieces decode them as they come to them.
    fn decode_ahead(&self, group: u64, needed: Region) -> Result<()> {
        let layout = self.source.layout();
        if reads_directly(layout) || self.op.reach().is_some() || needed.is_empty() {
            return Ok(());
        }
        let counts = needed.divided(layout.chunk).voxels();
        if self.room.workers == 1 || counts.saturating_mul(self.room.one_chunk_bytes) > self.room.chunk_bytes {
            return Ok(());
        }
        let all: Vec<[u64; 3]> = chunks_of(layout, needed).collect();
        all.into_par_iter().try_for_each(|at| self.chunk(group, at).map(drop))
    }

    /// Source voxels of a piece.
    fn fetch(&self, place: Place, into: &mut BlockMut<'_, T>) -> Result<()> {
        let (layout, region) = (self.source.layout(), into.region);
        if region.is_empty() {
            return Ok(());
        }
        if reads_directly(layout) {
            let read = self.source.read(place.group, BlockMut::new(region, into.volumes, into.voxels));
            return read.map_err(|source| Error::Read { outer: place.volume, region, source: Box::new(source) });
        }
        for at in chunks_of(layout, region) {
            let chunk = self.chunk(place.group, at)?;
            let volumes = layout.outer.members_of(place.group) as usize * layout.components;
            let block = BlockRef::new(layout.chunk_region(at), volumes, &chunk);
            into.copy_from(block, place.member * layout.components);
        }
        Ok(())
    }

    /// Vectors of the displacement fields for a piece.
    fn look_through(&self, piece: Region, scratch: &mut Workspace<T::Acc>) -> Result<()> {
        if self.vectors.is_empty() {
            return Ok(());
        }
        scratch.fields.resize_with(self.vectors.len(), Default::default);
        let regions = self.op.field_regions(piece);
        for ((field, vectors), region) in self.vectors.iter().zip(&mut scratch.fields).zip(regions) {
            vectors.fill(region, |component, into| {
                let read = field.source.read(component, into);
                read.map_err(|source| Error::Read { outer: component, region, source: Box::new(source) })
            })?;
        }
        Ok(())
    }

    /// Makes a piece, in parts where it takes more than its share.
    fn make(&self, place: Place, piece: Region, slot: &mut Slot<T>, into: &Mutex<Into<'_>>) -> Result<()> {
        let cost = cost(self.op.as_ref(), &self.layout, piece);
        if cost > self.room.piece_bytes {
            let Some(parts) = halves(piece) else { return Err(self.room.refusal(cost).into()) };
            return parts.into_iter().try_for_each(|part| self.make(place, part, slot, into));
        }
        let components = self.layout.components;
        let region = self.op.source_region(piece);
        let len = region.voxels() as usize * components;
        slot.source.resize(len.max(slot.source.len()), T::default());
        slot.target.resize(piece.voxels() as usize * components, T::default());
        let mut source = BlockMut::new(region, components, &mut slot.source[..len]);
        self.fetch(place, &mut source)?;
        self.look_through(piece, &mut slot.scratch)?;
        let mut target = BlockMut::new(piece, components, &mut slot.target);
        self.op.apply(source.as_ref(), &mut target, piece, &mut slot.scratch);
        slot.encoded.clear();
        self.writing.encode(&slot.target, &mut slot.encoded);
        into.lock().unwrap_or_else(PoisonError::into_inner).take(piece, components, &slot.encoded);
        Ok(())
    }

    fn slot(&self) -> Slot<T> {
        let kept = self.slots.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let new =
            || Slot { source: Vec::new(), target: Vec::new(), encoded: Vec::new(), scratch: Workspace::default() };
        kept.unwrap_or_else(new)
    }

    fn keep(&self, slot: Slot<T>) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() < self.room.workers {
            slots.push(slot);
        }
    }
}

impl<T: Voxel> OnDemand for Target<T> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn read(&self, volume: u64, region: Region, stop: &AtomicBool, into: &mut [u8]) -> Result<()> {
        self.check_process()?;
        if region.is_empty() {
            return Ok(());
        }
        let (group, member) = self.source.layout().outer.locate(volume);
        let place = Place { group, member, volume };
        let pieces = cut(region, self.room.workers);
        let into = Mutex::new(Into { region, sample_bytes: self.layout.stored.bytes(), bytes: into });
        let one = |piece: Region| {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped { blocks_done: 0, blocks: pieces.len() as u64 });
            }
            let mut slot = self.slot();
            let made = self.make(place, piece, &mut slot, &into);
            self.keep(slot);
            made
        };
        if self.room.workers == 1 {
            return pieces.iter().try_for_each(|&piece| one(piece));
        }
        sys::pool(self.room.workers)?.install(|| {
            self.decode_ahead(group, self.op.source_region(region))?;
            pieces.par_iter().try_for_each(|&piece| one(piece))
        })
    }
}

/// Memory that a piece takes.
fn cost<T: Voxel>(op: &dyn BlockOp<T>, target: &Layout, piece: Region) -> u64 {
    let bytes = |region: Region, each: usize| region.voxels().saturating_mul((target.components * each) as u64);
    bytes(piece, size_of::<T>() + target.stored.bytes())
        .saturating_add(bytes(op.source_region(piece), size_of::<T>()))
        .saturating_add(op.scratch_bytes(piece))
}

/// Where pieces of a region come together.
struct Into<'a> {
    region: Region,
    sample_bytes: usize,
    bytes: &'a mut [u8],
}

impl Into<'_> {
    /// Takes the samples of a piece, row by row.
    fn take(&mut self, piece: Region, components: usize, encoded: &[u8]) {
        let ([nz, ny, nx], [pz, py, px]) = (self.region.shape(), piece.shape());
        let [dz, dy, dx]: [usize; 3] = std::array::from_fn(|a| (piece.lo[a] - self.region.lo[a]) as usize);
        let row_bytes = px * self.sample_bytes;
        for (n, row) in encoded.chunks_exact(row_bytes).enumerate().take(components * pz * py) {
            let (c, z, y) = (n / (pz * py), n / py % pz, n % py);
            let at = (((c * nz + z + dz) * ny + y + dy) * nx + dx) * self.sample_bytes;
            self.bytes[at..at + row_bytes].copy_from_slice(row);
        }
    }
}

/// A stream as a raw file that has no name any more: gone with the last who has it open, however that ends.
fn unpacked<T: Voxel>(
    job: &Job,
    source: &dyn Source<T>,
    folder: &Path,
    stop: &AtomicBool,
) -> Result<Box<dyn Source<T>>> {
    let layout = scratch_layout::<T>(source.layout());
    let bytes = scratch_bytes::<T>(&layout);
    if job.request.checks_disk {
        let found = disk::disks(&[disk::Part::exact(folder.to_path_buf(), bytes)]);
        disk::check(&found, Path::new("the scratch file of the unpacked stream"))?;
    }
    let scratch = ScratchFile::within(folder, "scratch", bytes);
    let sink = scratch.sink::<T>(&layout)?;
    let op = block_op::<T>(&copying(source.layout())).into();
    let pass = planned(PassKind::Unpack, op, source.layout(), &layout, job.budget(), &everything(&layout));
    let pass = pass.map_err(|error: PlanError| Error::from(error))?;
    let (plan, touch, op) = (&pass.plan, &pass.touch, pass.op.as_ref());
    pipeline::run(&Pass { plan, touch, source, op, sink: &sink, fields: &[], coarser: None }, stop, |_| {})?;
    drop(sink);
    let unpacked = scratch.source::<T>(&layout)?;
    scratch.remove()?;
    Ok(match job.turn {
        Some(turn) => Box::new(Turned::new(Box::new(unpacked), turn)),
        None => Box::new(unpacked),
    })
}
