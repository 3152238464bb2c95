//! A resampling job from files to files: everything that the command does, for callers of the library.
//!
//! [`Job::resolve`] opens the source and decides grid, values and formats; [`Job::run`] plans the passes, refuses or runs them,
//! and renames the finished target into place. Nothing here computes voxels or names threads.

mod alternatives;
mod batch;
mod complete;
mod disk;
mod execute;
mod field;
mod fields;
mod identity;
mod idle;
mod least;
mod limits;
mod method;
mod moved;
mod names;
mod on_demand;
mod output;
mod outside;
mod pass;
mod pictures;
mod pyramid;
mod reads;
mod refused;
mod request;
mod resolve;
mod route;
mod run;
mod scratch;
mod series;
mod size;
mod status;
mod summary;
mod turn;
mod values;
mod work;

pub use batch::{Batch, Forecast, Jobs, OnEvent, Outcome};
pub use disk::{Disk, Fit, TargetSize};
pub use execute::Event;
pub use idle::{cannot_matter, leave_out};
pub use on_demand::OnDemand;
pub use outside::{OutsideView, other_space};
pub use pass::{PassKind, PassSummary};
pub use pyramid::in_place::{InPlace, InPlaceSummary, LevelSummary};
pub use reads::{files, halves};
pub use request::{
    GridChoice, InPlaceRequest, OutsideRequest, PicturesRequest, PyramidRequest, Request, TargetOptions,
};
pub use resolve::Job;
pub use status::{Found, Status, status};
pub use summary::{GridSummary, Summary, TargetState};
pub use values::{Values, handed_over};
