//! The state of a target: absent, unfinished with so much of it stored, or finished; and which runs work on it.

use std::path::Path;

use serde::Serialize;

use super::work;
use crate::{
    checkpoint::{
        Identity,
        lease::{self, LeaseSeen},
        restore,
        staging::{REMOTE_STATE, TARGET_NOTES, state_folder},
    },
    error::Result,
    storage::{self, DirStore, Location, Store, nfs},
};

/// Property of a job's identity: voxels of each level of its target, and bytes of one.
pub(super) const LEVELS: &str = "voxels of the levels";

/// What is known of a target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    pub target: String,
    pub state: Found,
    /// The part of its voxels that is stored, coarser levels included; `None` where that is not known.
    pub stored: Option<f64>,
    /// Shares that it is cut into, if it is made by several ranks.
    pub ranks: Option<u64>,
    /// Runs that hold a lease on it.
    pub runs: Vec<LeaseSeen>,
    /// The job that makes it: what decides its bytes, by name.
    pub job: Vec<(String, String)>,
}

/// Where a target stands between nothing and complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// Neither the target nor work on it is there.
    Absent,
    /// Work on it is there.
    Unfinished,
    /// It is complete.
    Finished,
}

/// Looks at a target and at the notes of its runs. Nothing is written, and no voxel is read.
///
/// # Errors
/// A folder or store that cannot be read.
pub fn status(target: &Path) -> Result<Status> {
    let (is_there, state) = places(target)?;
    let ledger = restore(state.as_ref())?;
    let job = work::noted(state.as_ref(), TARGET_NOTES.job)?;
    let is_noted_finished = work::noted(state.as_ref(), TARGET_NOTES.finished)?.is_some();
    let runs = lease::seen(state.as_ref())?;
    let is_begun = job.is_some() || !ledger.is_empty() || !runs.is_empty();
    let target_state = match (is_there, is_begun) {
        (true, false) => Found::Finished,
        (true, true) if is_noted_finished => Found::Finished,
        (_, true) => Found::Unfinished,
        (false, false) => Found::Absent,
    };
    let levels = job.as_ref().and_then(|job| job.value(LEVELS)).and_then(levels);
    let stored = match (target_state, levels) {
        (Found::Finished, _) => Some(1.0),
        (Found::Unfinished, Some((levels, voxel_bytes))) => Some(work::stored_share(&ledger, &levels, voxel_bytes)),
        _ => None,
    };
    Ok(Status {
        target: target.display().to_string(),
        state: target_state,
        stored,
        ranks: work::ranks(state.as_ref())?,
        runs,
        job: job.map(Identity::into_values).unwrap_or_default(),
    })
}

/// Whether there is something under the name, and where runs leave notes of their work on it.
fn places(target: &Path) -> Result<(bool, std::sync::Arc<dyn Store>)> {
    let location = Location::of(target)?;
    if let Some(path) = location.local() {
        return Ok((nfs::look_at(path)?.is_some(), std::sync::Arc::new(DirStore::new(state_folder(path)))));
    }
    let store = storage::connect(&location)?;
    let is_there = |key: &str| store.exists(key).map_err(|error| error.at("look at", store.describe(key)));
    Ok((is_there("zarr.json")? || is_there(".zgroup")?, store.below(REMOTE_STATE)))
}

/// `1000, 125 voxels of 2 bytes`
fn levels(text: &str) -> Option<(Vec<u64>, u64)> {
    let (voxels, bytes) = text.strip_suffix(" bytes")?.split_once(" voxels of ")?;
    let voxels = voxels.split(", ").map(str::parse).collect::<Result<_, _>>().ok()?;
    Some((voxels, bytes.parse().ok()?))
}

/// The inverse of [`levels`].
pub(super) fn levels_text(voxels: &[u64], voxel_bytes: u64) -> String {
    let voxels: Vec<String> = voxels.iter().map(u64::to_string).collect();
    format!("{} voxels of {voxel_bytes} bytes", voxels.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_as_they_are_written() {
        assert_eq!(levels(&levels_text(&[1000, 125], 2)), Some((vec![1000, 125], 2)));
        assert_eq!(levels("a few"), None);
    }
}
