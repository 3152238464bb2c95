//! Streaming, out-of-core resampling of huge 3-D volumes, in a fixed amount of memory.
//!
//! 1. A [`Grid`](geometry::Grid) says where voxels are; a [`Mapping`](geometry::Mapping) says which source index a target
//!    voxel looks at.
//! 2. A [`BlockOp`](resample::BlockOp) answers two pure questions: *which source region does this target region need?* and
//!    *fill this target*.
//! 3. A [`Plan`](plan::Plan) decides everything by a dry run of those questions (block shape, order, workers, bytes, chunk
//!    decodes) before one voxel of the source is read, or refuses with numbers.
//! 4. The [`pipeline`] is a bounded set of workers that carry blocks through read, apply and write; every storage chunk is
//!    decoded once and freed at its last scheduled use.
//! 5. Formats ([`io`]) know nothing of resampling, planning or threads: they read and write regions.
//!
//! A [`Job`] puts them together, from files to files:
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//!
//! use reslice::{Job, Request, geometry::{GridRequest, Sizing}, job::GridChoice, phantom::Phantom};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let (scan, target) = (folder.path().join("scan.nii.gz"), folder.path().join("resampled.nii.gz"));
//! Phantom::new([20, 64, 64], [3.0, 0.9, 0.9]).write(&scan)?;
//!
//! let mut request = Request::new(&scan, &target, 256 << 20, 2);
//! request.grid = GridChoice::Rules(GridRequest { sizing: Sizing::Spacing([1.0; 3]), ..GridRequest::default() });
//! let summary = Job::resolve(request)?.run(&AtomicBool::new(false), |_| {})?;
//!
//! assert_eq!(summary.target.shape, [58, 58, 60]);
//! assert!(summary.peak_bytes <= 256 << 20);
//! # Ok(())
//! # }
//! ```

pub mod block;
pub mod checkpoint;
pub mod compare;
pub mod error;
pub mod geometry;
pub mod info;
pub mod io;
pub mod job;
pub mod layout;
pub mod phantom;
pub mod pipeline;
pub mod plan;
pub mod points;
pub mod rank;
pub mod region;
pub mod resample;
pub mod storage;
pub mod sys;
pub mod transform;
pub mod verify;
pub mod voxel;

pub use error::{Error, Result};
pub use job::{Job, Request, Summary};
