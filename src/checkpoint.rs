//! What is stored of an unfinished target, so that another run can resume it: journals, leases, staging, and what
//! identifies the job.
//!
//! Knows neither formats nor pipelines. Sinks note what they store in a [`ledger`]; a [`Journal`] keeps the notes;
//! [`restore`] reads all journals of a target.

pub mod check;
mod identity;
mod journal;
pub mod lease;
pub mod ledger;
mod record;
mod spent;
pub mod staging;
pub mod stamp;

pub use identity::{Identity, digest};
pub use journal::{Journal, Said, restore, restore_if};
pub use record::parse as parse_record;
