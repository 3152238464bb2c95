//! Resampling without files: from a source to a sink, or from voxels to voxels.

#[cfg(feature = "ndarray")]
mod array;

use std::sync::atomic::AtomicBool;

#[cfg(feature = "ndarray")]
pub use array::resample_array;

use crate::{
    error::{Error, Result},
    geometry::{Affine, Grid, Mapping},
    io::{
        Sink, Source,
        memory::{MemorySink, SliceSource},
    },
    layout::Layout,
    pipeline::{self, Pass, Progress},
    plan::{Budget, Plan, Request},
    region::Region,
    resample::{KernelShape, Method, OpRequest, Order, Outside, block_op},
    sys,
    voxel::{Rounding, Voxel},
};

impl Budget {
    /// Everything that the process may hold at any time, what it holds already included.
    pub fn of_process(memory_bytes: u64, threads: usize) -> Budget {
        Budget::new(memory_bytes, threads, sys::reserved_bytes())
    }

    /// What may come on top of all that the process holds now.
    pub fn beside_now(bytes: u64, threads: usize) -> Budget {
        let reserved_bytes = sys::reserved_bytes();
        Budget::new(reserved_bytes.saturating_add(bytes), threads, reserved_bytes)
    }
}

/// How the values of a target are made from those of a source.
///
/// The default is linear interpolation without anti-aliasing, 0 outside the source, and integers rounded to the nearest.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Resampling {
    /// The interpolation, or what is made of all source voxels under a target voxel.
    pub method: Method,
    /// Whether kernels are stretched along axes that are down-sampled.
    pub antialias: bool,
    /// The value of target voxels that lie outside the source.
    pub outside: Outside,
    /// How sums become integers.
    pub rounding: Rounding,
    /// From target world to source world: both in mm, columns x, y, z to the right, anterior, superior. `None` is the identity.
    pub transform: Option<Affine>,
}

impl Default for Resampling {
    fn default() -> Resampling {
        Resampling {
            method: Method::Kernel(KernelShape::Linear),
            antialias: false,
            outside: Outside::Value(0.0),
            rounding: Rounding::Nearest,
            transform: None,
        }
    }
}

impl Resampling {
    /// The default with another method.
    pub fn by(method: Method) -> Resampling {
        Resampling { method, ..Resampling::default() }
    }

    /// With or without anti-aliasing.
    pub fn antialias(self, antialias: bool) -> Resampling {
        Resampling { antialias, ..self }
    }

    /// With this value outside.
    pub fn outside(self, outside: Outside) -> Resampling {
        Resampling { outside, ..self }
    }

    /// Through a transform from target world to source world.
    pub fn transform(self, transform: Affine) -> Resampling {
        Resampling { transform: Some(transform), ..self }
    }

    /// The op between two grids.
    fn op(&self, source: &Grid, target: &Grid) -> Result<OpRequest> {
        let snapped = match &self.transform {
            Some(world) => Mapping::through(target, source, world)?,
            None => Mapping::between(target, source)?,
        };
        Ok(OpRequest {
            method: self.method,
            antialias: self.antialias,
            mapping: snapped.mapping,
            target_shape: target.shape,
            bounds: Region::of_shape(source.shape),
            outside: self.outside,
            rounding: self.rounding,
            order: Order::Rising,
        })
    }
}

/// Resamples all volumes of a source into a sink, in the memory that `budget` leaves.
///
/// The plan is made first, and nothing is read where there is none. `stop` is looked at ten times a second; `on_progress` is called on
/// this thread. What comes back counts what was really done. The target does not depend on budget or threads.
///
/// # Errors
/// [`Error::Plan`] with the smallest budget that works; those of source and sink; [`Error::Usage`] where the two have other numbers of volumes or
/// components; [`Error::Stopped`].
///
/// # Examples
///
/// ```
/// use std::sync::atomic::AtomicBool;
///
/// use reslice::{Affine, Budget, Grid, Layout, MemorySink, MemorySource, Resampling, Sink, Unit, resample};
///
/// # fn main() -> reslice::Result<()> {
/// // 40 slices of 64 x 64 voxels; axes are in storage order (slices, rows, columns), steps in mm.
/// let from = Grid::with_spacing([40, 64, 64], [3.0, 1.0, 1.0], Unit::Millimetre);
/// let to = Grid::with_spacing([120, 64, 64], [1.0; 3], Unit::Millimetre);
/// let source = MemorySource::new(Layout::of(from, reslice::Dtype::U16), vec![7u16; 40 * 64 * 64]);
/// let sink = MemorySink::<u16>::new(Layout::of(to, reslice::Dtype::U16));
/// let done = resample(&source, &sink, &Resampling::default(), Budget::beside_now(64 << 20, 2), &AtomicBool::new(false), |_| {})?;
/// assert_eq!(done.blocks_done, done.blocks);
/// assert_eq!(sink.into_voxels()[0], 7);
/// # Ok(())
/// # }
/// ```
pub fn resample<T: Voxel>(
    source: &dyn Source<T>,
    sink: &dyn Sink<T>,
    how: &Resampling,
    budget: Budget,
    stop: &AtomicBool,
    on_progress: impl FnMut(&Progress),
) -> Result<Progress> {
    sys::tune_unless_tuned(budget.memory_bytes);
    let (from, to) = (source.layout(), sink.layout());
    if (from.outer.volumes(), from.components) != (to.outer.volumes(), to.components) {
        let parts = |layout: &Layout| format!("{} volumes of {} components", layout.outer.volumes(), layout.components);
        return Err(Error::usage(format!("the source has {}, and the target {}", parts(from), parts(to))));
    }
    let op = block_op::<T>(&how.op(&from.grid, &to.grid)?);
    let (footprint, sample_bytes) = (op.as_ref(), size_of::<T>());
    let request = Request { footprint, source: from, target: to, sample_bytes, budget, todo: None };
    let plan = Plan::new(&request)?;
    let touch = plan.touch(&request);
    let pass = Pass { plan: &plan, touch: &touch, source, op: op.as_ref(), sink, fields: &[], coarser: None };
    pipeline::run(&pass, stop, on_progress)
}

/// Resamples a volume in memory: voxels in C order (slices, rows, columns), the same way back.
///
/// Takes 64 MiB for each thread beside both volumes, and no copy of the source.
///
/// # Errors
/// [`Error::Usage`] where the number of voxels is not the grid's; grids that cannot be mapped to each other.
///
/// # Examples
///
/// ```
/// use reslice::{Grid, Resampling, Unit, resample_voxels};
///
/// # fn main() -> reslice::Result<()> {
/// let from = Grid::with_spacing([4, 4, 4], [2.0; 3], Unit::Millimetre);
/// let to = Grid::with_spacing([8, 8, 8], [1.0; 3], Unit::Millimetre);
/// let ramp: Vec<f32> = (0..64).map(|n| (n % 4) as f32).collect();
/// let fine = resample_voxels(&ramp, &from, &to, &Resampling::default(), 2)?;
/// assert_eq!(fine[..4], [0.0, 0.5, 1.0, 1.5]);
/// # Ok(())
/// # }
/// ```
pub fn resample_voxels<T: Voxel>(
    voxels: &[T],
    from: &Grid,
    to: &Grid,
    how: &Resampling,
    threads: usize,
) -> Result<Vec<T>> {
    let layout = Layout::of(from.clone(), T::DTYPE);
    if voxels.len() as u64 != from.voxels() {
        return Err(Error::usage(format!("{} voxels, and a grid of {}", voxels.len(), from.voxels())));
    }
    let (source, sink) = (SliceSource::new(layout, voxels), MemorySink::<T>::new(Layout::of(to.clone(), T::DTYPE)));
    let budget = Budget::beside_now(THREAD_BYTES * threads.max(1) as u64, threads);
    resample(&source, &sink, how, budget, &AtomicBool::new(false), |_| {})?;
    Ok(sink.into_voxels())
}

/// What [`resample_voxels`] takes for each thread.
const THREAD_BYTES: u64 = 64 << 20;
