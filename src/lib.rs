//! Streaming, out-of-core resampling of huge 3-D volumes, in a fixed amount of memory.
//!
//! Three ways in, from the whole to the parts:
//!
//! - [`Job`] goes from file to file, as the command does: NIfTI or OME-Zarr, grid rules, transforms, pyramids, ranks, resuming.
//!   [`Job::from_source`] does the same for voxels that the program computes or reads by itself.
//! - [`resample()`] goes from any [`Source`] to any [`Sink`]. Volumes of the `nifti` crate are sources: [`NiftiVolumeSource`], [`NiftiStreamSource`].
//! - [`resample_voxels`] goes from voxels in memory to voxels in memory, [`resample_array`] does so with arrays of `ndarray`.
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//!
//! use reslice::{GridChoice, GridRequest, Job, Phantom, Request, Sizing};
//!
//! # fn main() -> reslice::Result<()> {
//! # let folder = tempfile::tempdir().expect("a folder");
//! let (scan, target) = (folder.path().join("scan.nii.gz"), folder.path().join("resampled.nii.gz"));
//! Phantom::new([20, 64, 64], [3.0, 0.9, 0.9]).write(&scan)?;
//!
//! // 256 MiB of memory, two threads, voxels of 1 mm.
//! let mut request = Request::new(&scan, &target, 256 << 20, 2);
//! request.grid = GridChoice::Rules(GridRequest { sizing: Sizing::Spacing([1.0; 3]), ..GridRequest::default() });
//! let summary = Job::resolve(request)?.run(&AtomicBool::new(false), |_| {})?;
//!
//! assert_eq!(summary.target.shape, [58, 58, 60]);
//! assert!(summary.peak_bytes <= 256 << 20);
//! # Ok(())
//! # }
//! ```
//!
//! # Axes
//!
//! Arrays of three in this library are in **storage order**, slowest axis first: (slices, rows, columns), or (k, j, i) of NIfTI, or (z, y, x) of
//! OME-Zarr. Places in the world are (x, y, z), in NIfTI to the right, anterior, superior. Summaries, which are made for people, have shapes
//! in file order, (x, y, z). An integer index is the centre of a voxel. Regions are half-open.
//!
//! # Memory
//!
//! A job keeps the resident memory of the whole process at or under the budget of its request, or refuses with an [`Error::Plan`] that says the
//! smallest budget that works. The library sets the C allocator so that freed memory goes back to the system, unless the program has
//! given a budget before. Programs that keep large volumes of their own say so with [`Budget::beside_now`].
//!
//! # How it works
//!
//! 1. A [`Grid`] says where voxels are; a mapping between two grids says which source index a target voxel looks at.
//! 2. A method answers two pure questions: *which source region does this target region need?* and *fill this target*.
//! 3. A plan decides everything by a dry run of those questions (block shape, order, workers, bytes, chunk decodes) before one voxel of the
//!    source is read.
//! 4. A bounded set of workers carries blocks through read, apply and write; every storage chunk is decoded once and freed at its last
//!    scheduled use.
//! 5. A target voxel is a function of its own index: the bytes do not depend on memory, threads, ranks or interruptions.
//!
//! The modules that do this are public for the command and for tests, and not part of what is kept stable.

#[doc(hidden)]
pub mod block;
#[doc(hidden)]
pub mod checkpoint;
// The Python module has the command in itself: its parser, its words and the command. `cli` names this crate as its users do.
#[cfg(feature = "python")]
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod compare;
#[doc(hidden)]
pub mod error;
#[doc(hidden)]
pub mod geometry;
#[doc(hidden)]
pub mod info;
#[doc(hidden)]
pub mod io;
#[doc(hidden)]
pub mod job;
#[doc(hidden)]
pub mod layout;
#[doc(hidden)]
pub mod phantom;
#[doc(hidden)]
pub mod pictures;
#[doc(hidden)]
pub mod pipeline;
#[doc(hidden)]
pub mod plan;
#[doc(hidden)]
pub mod points;
#[doc(hidden)]
pub mod rank;
#[doc(hidden)]
pub mod region;
#[doc(hidden)]
pub mod report;
#[doc(hidden)]
pub mod resample;
#[doc(hidden)]
pub mod storage;
#[doc(hidden)]
pub mod sys;
#[doc(hidden)]
pub mod transform;
#[doc(hidden)]
pub mod verify;
#[doc(hidden)]
pub mod voxel;

#[cfg(feature = "python")]
mod python;
mod resampling;

#[cfg(feature = "python")]
extern crate self as reslice;

pub use block::{BlockMut, BlockRef};
pub use error::{Error, PlanError, Result};
pub use geometry::{Affine, Align, Grid, GridRequest, Orientation, Sizing, Unit};
pub use info::Info;
#[cfg(feature = "nifti")]
pub use io::nifti::{NiftiStreamSource, NiftiVolumeSource, nifti_header};
pub use io::{
    Encoded, Fetched, Sink, Source,
    memory::{MemorySink, MemorySource, SliceSource},
    own::OwnSource,
};
pub use job::{
    Event, GridChoice, Job, OnDemand, OutsideRequest, PicturesRequest, PyramidRequest, Request, Summary, TargetOptions,
};
pub use layout::{Access, Axis, Layout, Outer};
pub use phantom::Phantom;
pub use pipeline::Progress;
pub use plan::{Budget, Plan};
pub use rank::Rank;
pub use region::Region;
pub use resample::{Area, KernelShape, LabelWeights, Method, Outside, Reduction};
#[cfg(feature = "ndarray")]
pub use resampling::resample_array;
pub use resampling::{Resampling, resample, resample_voxels};
pub use transform::TransformRequest;
pub use voxel::{Dtype, Rounding, Voxel};

/// The code of docs/library.md, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../docs/library.md")]
pub struct LibraryPage;
