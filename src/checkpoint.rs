//! What is done of a target, kept so that another run can go on with it: journals, and what identifies the job.
//!
//! Knows neither formats nor pipelines: sinks tell a [`Journal`] what they have stored ([`crate::checkpoint::ledger`]), and
//! [`restore`] tells what journals say.

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
