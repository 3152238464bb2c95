//! A run's work on its target: where it is built, what is stored, and the journal of what this run adds.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    checkpoint::{
        Identity, Journal,
        ledger::{Ledger, Restored},
        restore,
        staging::{Staging, TARGET_NOTES},
    },
    error::{Error, Result},
    io::Sink,
    pipeline::Keep,
    plan::{DoneLevel, Partition},
    storage::Store,
    voxel::Voxel,
};

/// Bytes of a small file of the state at most.
const STATE_BYTES: u64 = 1 << 20;
/// How the target is cut into shares.
const CUT: &str = "ranks.json";

/// What a run works with until its target is complete.
#[derive(Debug)]
pub struct Work {
    pub staging: Staging,
    pub journal: Arc<Journal>,
    /// What is stored already, by this run's account when it began.
    pub stored: Restored,
    /// One checkpoint at a time.
    keeping: Mutex<()>,
}

impl Work {
    /// Notes the job, or finds that it is the one that was begun here. What was done of it is not read yet.
    ///
    /// # Errors
    /// [`Error::OtherJob`] where another job was begun here; those of the files.
    pub fn begin(staging: Staging, identity: &Identity) -> Result<Work> {
        let state = staging.state().clone();
        agree(state.as_ref(), staging.claim().notes.job, identity.note(), |text| difference(text, identity))?;
        let journal = Arc::new(Journal::new(state, staging.writer()));
        Ok(Work { staging, journal, stored: Restored::default(), keeping: Mutex::default() })
    }

    /// Notes how the target is cut into shares, or finds that others have cut it in the same way. A cut that nobody works by any
    /// more is forgotten: what was made by it stands in the journals.
    pub fn agree_on(&self, cut: &Partition) -> Result<()> {
        let (state, text) = (self.staging.state(), cut.description());
        let ranks = |text: &str| text.split(' ').next().map(str::to_string);
        if let Some(found) = read(state.as_ref(), CUT)?
            && ranks(&found) != ranks(&text)
        {
            state.delete(CUT).map_err(|e| e.at("remove", state.describe(CUT)))?;
        }
        let expected = text.clone();
        agree(state.as_ref(), CUT, text.into_bytes(), |found| {
            (found != expected).then(|| format!("{found}, and here {expected}"))
        })
    }

    /// Whether a step is done that [`Work::set_mark`] notes.
    pub fn has_mark(&self, mark: &str) -> Result<bool> {
        let state = self.staging.state();
        state.exists(mark).map_err(|e| e.at("look at", state.describe(mark)))
    }

    /// Leaves an empty file of this name with the staged target.
    pub fn set_mark(&self, mark: &str) -> Result<()> {
        let state = self.staging.state();
        state.put_new(mark, Vec::new()).map(drop).map_err(|e| e.at("write", state.describe(mark)))
    }

    /// Removes it.
    pub fn drop_mark(&self, mark: &str) -> Result<()> {
        let state = self.staging.state();
        state.delete(mark).map_err(|e| e.at("remove", state.describe(mark)))
    }

    /// Where sinks note what they store.
    pub fn ledger(&self) -> Arc<dyn Ledger> {
        self.journal.clone()
    }

    /// Puts on record what sinks have stored: the data first, then the entries that speak of them.
    fn keep<T: Voxel>(&self, sinks: &[&dyn Sink<T>]) -> Result<()> {
        let _alone = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        sinks.iter().try_for_each(|sink| sink.flush())?;
        let entries = self.journal.take();
        if entries.is_empty() {
            return Ok(());
        }
        sinks.iter().try_for_each(|sink| sink.sync())?;
        self.journal.keep(&entries)?;
        sinks.iter().try_for_each(|sink| sink.settle())
    }
}

/// What the sinks of a pass have stored, to be put on record.
pub(super) struct Kept<'a, T: Voxel> {
    pub work: &'a Work,
    pub sinks: &'a [&'a dyn Sink<T>],
}

impl<T: Voxel> Keep for Kept<'_, T> {
    fn keep(&self) -> Result<()> {
        self.work.keep(self.sinks)
    }

    fn is_due(&self) -> bool {
        self.work.journal.is_full()
    }
}

/// Makes a place ready for a run: leaves what is there to a run that goes on, and empties it for one that begins anew.
///
/// `voxels` are those of the target's levels, of `voxel_bytes` each.
///
/// # Errors
/// [`Error::Unfinished`] where an unfinished run has stored work and the claim says neither.
pub(super) fn settle(staging: &mut Staging, identity: &Identity, voxels: &[u64], voxel_bytes: u64) -> Result<()> {
    let claim = staging.claim();
    if claim.resume && (!claim.overwrite || claim.notes != TARGET_NOTES || staging.is_begun()?) {
        return Ok(());
    }
    if !claim.restart {
        let state = staging.state().clone();
        let (path, share) = (staging.cleared_path(), held_share(state.as_ref(), voxels, voxel_bytes)?);
        if let Some(share) = share {
            let difference = match read(state.as_ref(), claim.notes.job)? {
                Some(text) => difference(&text, identity),
                None => Some("another kind of job".into()),
            };
            return Err(Error::Unfinished { path, share, difference });
        }
    }
    staging.clear()
}

/// How much of a target is stored by runs that did not end; `None` where nothing is.
fn held_share(state: &dyn Store, voxels: &[u64], voxel_bytes: u64) -> Result<Option<f64>> {
    let stored = restore(state)?;
    Ok((!stored.is_empty()).then(|| stored_share(&stored, voxels, voxel_bytes)))
}

/// The part of a target that is stored; `voxels` of each level, of `voxel_bytes` each.
pub(super) fn stored_share(stored: &Restored, voxels: &[u64], voxel_bytes: u64) -> f64 {
    let held = |(level, &whole): (usize, &u64)| stored.held_voxels(level as u32, voxel_bytes).min(whole);
    let held = voxels.iter().enumerate().map(held).fold(0, u64::saturating_add);
    let whole = voxels.iter().copied().fold(0, u64::saturating_add).max(1);
    held as f64 / whole as f64
}

/// The job of a note, where there is one that can be read.
pub(super) fn noted(state: &dyn Store, note: &str) -> Result<Option<Identity>> {
    Ok(read(state, note)?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// How many shares the target is cut into, if runs have said so.
pub(super) fn ranks(state: &dyn Store) -> Result<Option<u64>> {
    Ok(read(state, CUT)?.and_then(|text| text.split(' ').next()?.parse().ok()))
}

/// What is stored of a level, one voxel of which spans `factors` of the level that is made.
pub(super) fn done(stored: &Restored, level: usize, factors: [u64; 3]) -> DoneLevel {
    let volumes = stored.levels.get(&(level as u32)).map(|level| level.volumes.clone()).unwrap_or_default();
    DoneLevel { factors, volumes }
}

/// Whether a run has finished this very job and left a note of it.
///
/// # Errors
/// [`Error::OtherJob`] where the note is of another job.
pub(super) fn is_finished(state: &dyn Store, target: &Path, identity: &Identity) -> Result<bool> {
    is_noted(state, TARGET_NOTES.finished, target, identity)
}

/// Whether the small file `note` is there, and is of this very job.
///
/// # Errors
/// [`Error::OtherJob`] where it is of another job.
pub(super) fn is_noted(state: &dyn Store, note: &str, target: &Path, identity: &Identity) -> Result<bool> {
    let Some(text) = read(state, note)? else { return Ok(false) };
    match difference(&text, identity) {
        Some(difference) => Err(Error::OtherJob { path: target.to_path_buf(), difference }),
        None => Ok(true),
    }
}

fn difference(text: &str, identity: &Identity) -> Option<String> {
    match serde_json::from_str::<Identity>(text) {
        Ok(found) => found.difference(identity),
        Err(error) => Some(format!("its note cannot be read ({error})")),
    }
}

/// Sets a small file, or holds the one that is there against this one.
fn agree(
    state: &dyn Store,
    key: &'static str,
    text: Vec<u8>,
    difference: impl FnOnce(&str) -> Option<String>,
) -> Result<()> {
    if state.put_new(key, text).map_err(|e| e.at("write", state.describe(key)))? {
        return Ok(());
    }
    let found = read(state, key)?.unwrap_or_default();
    difference(&found).map_or(Ok(()), |difference| Err(Error::OtherJob { path: state.describe(""), difference }))
}

fn read(state: &dyn Store, key: &str) -> Result<Option<String>> {
    let bytes = state.get(key, STATE_BYTES).map_err(|e| e.at("read", state.describe(key)))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}
