//! What is done of a target, kept so that another run can go on with it: journals, and what identifies the job.
//!
//! Knows neither formats nor pipelines: sinks tell a [`Journal`] what they have stored ([`crate::io::ledger`]), and
//! [`restore`] tells what journals say.

mod identity;
mod journal;
mod record;
mod spent;

pub use identity::{Identity, digest};
pub use journal::{Journal, Said, restore, restore_if};
pub use record::parse as parse_record;
