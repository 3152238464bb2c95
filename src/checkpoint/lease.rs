//! Leases: a small file says which run works on a target, and is renewed while it does.
//!
//! There is no server. A lease names its process. Where that process can be looked up (same machine, boot and process
//! namespace), the lease counts while the process runs. Elsewhere it counts for [`VOID_AFTER`] since its last renewal, by
//! the clock of the storage. Two runs that find the same void lease at the same moment may both take it over. That costs
//! work, but no bytes are wrong: no two runs share the names of unfinished files.

use std::{
    fmt,
    ops::ControlFlow,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    rank::Rank,
    storage::{Store, StoreError},
    sys::{self, Process},
};

/// How often a lease is renewed.
pub const RENEW_EVERY: Duration = Duration::from_secs(10);
/// After how long without renewal a lease is void.
pub const VOID_AFTER: Duration = Duration::from_secs(60);
/// Bytes of a lease at most.
const LEASE_BYTES: u64 = 4096;
const PREFIX: &str = "lease-";
/// Leases of one target that are looked at.
const MOST_LEASES: usize = 1 << 16;
/// Times that a void lease is taken over before it is given up.
const TRIES: u32 = 3;

/// Whether a small file of the state is a lease, and not one that is being written.
pub fn is_lease(key: &str) -> bool {
    key.starts_with(PREFIX) && !key.contains('.')
}

/// What stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    #[serde(flatten)]
    process: Process,
    writer: String,
    /// Shares that the target is cut into.
    of: u64,
}

/// A lease on a target, as anybody may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeaseSeen {
    /// `0-of-4`, or `completing`
    pub share: String,
    pub process: Option<u32>,
    pub host: Option<String>,
    /// Seconds since it was renewed, by this machine's clock.
    pub heard_seconds: u64,
    /// Whether its run is at work, as far as that can be told.
    pub is_alive: bool,
}

/// All leases on a target. Nothing is written.
///
/// # Errors
/// A state that cannot be read.
pub fn seen(state: &dyn Store) -> Result<Vec<LeaseSeen>> {
    let now = SystemTime::now();
    let found = keys(state)?.into_iter().map(|key| look(state, &key, now));
    found.filter_map(Result::transpose).collect()
}

/// The lease `key` at a time of the clock that renewals go by; `None` where it is gone.
fn look(state: &dyn Store, key: &str, now: SystemTime) -> Result<Option<LeaseSeen>> {
    let holder = read(state, key)?;
    let modified = state.modified(key).map_err(|error| error.at("look at", state.describe(key)))?;
    let Some(renewed) = modified else { return Ok(None) };
    let age = now.duration_since(renewed).unwrap_or_default();
    let is_running = holder.as_ref().and_then(|holder| holder.process.is_running());
    Ok(Some(LeaseSeen {
        share: key.trim_start_matches(PREFIX).trim_start_matches("of-").to_string(),
        process: holder.as_ref().map(|holder| holder.process.pid),
        host: holder.map(|holder| holder.process.host),
        heard_seconds: age.as_secs(),
        is_alive: is_running.unwrap_or(age < VOID_AFTER),
    }))
}

impl fmt::Display for LeaseSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.process, &self.host) {
            (Some(process), Some(host)) => write!(f, "process {process} on {host}")?,
            _ => f.write_str("a run that does not say who it is")?,
        }
        write!(f, ", last heard of {} s ago", self.heard_seconds)
    }
}

/// The names of all leases.
fn keys(state: &dyn Store) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    let listed = state.list_top(&mut |key, _| {
        if is_lease(key) {
            keys.push(key.to_string());
        }
        if keys.len() > MOST_LEASES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    listed.map_err(|error| error.at("list", state.describe("")))?;
    if keys.len() > MOST_LEASES {
        let found = format!("more than {MOST_LEASES}");
        return Err(Error::malformed(state.describe(""), "number of leases", found, "one for each rank"));
    }
    Ok(keys)
}

fn read(state: &dyn Store, key: &str) -> Result<Option<Holder>> {
    let text = state.get(key, LEASE_BYTES).map_err(|error| error.at("read", state.describe(key)))?;
    // What cannot be read is a lease of nobody that could be asked: its age counts.
    Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
}

/// A lease that this process holds; given back when it is dropped.
#[derive(Debug)]
pub struct Lease {
    state: Arc<dyn Store>,
    key: String,
    holder: Holder,
}

impl Lease {
    /// Takes the lease of a share.
    ///
    /// # Errors
    /// [`Error::TargetBusy`] where another run holds it, or a share of another number of shares.
    pub fn acquire(state: Arc<dyn Store>, target: &Path, rank: Rank) -> Result<Lease> {
        Lease::take(state, target, format!("{PREFIX}{}-of-{}", rank.index, rank.of), rank.of)
    }

    /// Takes the lease of completing the target, which is none of its shares.
    pub fn completing(state: Arc<dyn Store>, target: &Path, of: u64) -> Result<Lease> {
        Lease::take(state, target, format!("{PREFIX}of-completing"), of)
    }

    fn take(state: Arc<dyn Store>, target: &Path, key: String, of: u64) -> Result<Lease> {
        let holder = Holder { process: Process::own().clone(), writer: sys::writer_name(), of };
        let lease = Lease { state, key, holder };
        for _ in 0..TRIES {
            if lease.put_new()? {
                // Whoever came with another number of shares at the same time finds this one, or is found.
                return match lease.other_cut()? {
                    Some(by) => Err(Error::TargetBusy { path: target.to_path_buf(), by }),
                    None => Ok(lease),
                };
            }
            if let Some(by) = lease.alive(&lease.key)? {
                // Nothing of this lease is there to be given back.
                std::mem::forget(lease);
                return Err(Error::TargetBusy { path: target.to_path_buf(), by });
            }
            lease.state.delete(&lease.key).map_err(lease.at("remove"))?;
        }
        let by = "a run that takes it over at this moment".into();
        Err(Error::TargetBusy { path: target.to_path_buf(), by })
    }

    /// The name of this run, for its unfinished files.
    pub fn writer(&self) -> &str {
        &self.holder.writer
    }

    /// Says that this run is at work still.
    pub fn renew(&self) -> Result<()> {
        self.state.put(&self.key, self.text()).map_err(self.at("renew"))
    }

    /// Removes the leases that are void.
    pub fn clear_void(&self) -> Result<()> {
        for key in keys(self.state.as_ref())? {
            if key != self.key && self.alive(&key)?.is_none() {
                self.state.delete(&key).map_err(self.at("remove"))?;
            }
        }
        Ok(())
    }

    fn put_new(&self) -> Result<bool> {
        if self.state.put_new(&self.key, self.text()).map_err(self.at("create"))? {
            return Ok(true);
        }
        // The answer to a first attempt may have been lost on its way.
        Ok(read(self.state.as_ref(), &self.key)?.is_some_and(|holder| holder == self.holder))
    }

    /// Who holds a live lease of another number of shares.
    fn other_cut(&self) -> Result<Option<String>> {
        for key in keys(self.state.as_ref())?.iter().filter(|key| **key != self.key) {
            if read(self.state.as_ref(), key)?.is_some_and(|holder| holder.of != self.holder.of)
                && let Some(by) = self.alive(key)?
            {
                return Ok(Some(by));
            }
        }
        Ok(None)
    }

    /// Who holds the lease `key`, if it is not void.
    fn alive(&self, key: &str) -> Result<Option<String>> {
        let seen = look(self.state.as_ref(), key, self.now()?)?;
        Ok(seen.filter(|seen| seen.is_alive).map(|seen| seen.to_string()))
    }

    /// The time by the clock of the store: that of a file set this moment.
    fn now(&self) -> Result<SystemTime> {
        let key = format!("clock-{}", self.holder.writer);
        self.state.put(&key, Vec::new()).map_err(self.at("create"))?;
        let now = self.state.modified(&key).map_err(self.at("look at"))?;
        self.state.delete(&key).map_err(self.at("remove"))?;
        Ok(now.unwrap_or_else(SystemTime::now))
    }

    fn text(&self) -> Vec<u8> {
        serde_json::to_vec(&self.holder).unwrap_or_default()
    }

    fn at(&self, action: &'static str) -> impl Fn(StoreError) -> Error + use<> {
        let path = self.state.describe(&self.key);
        move |error| error.at(action, path.clone())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Nobody can be told; without renewal it is void soon, and at once where this process can be looked for.
        if let Ok(Some(holder)) = read(self.state.as_ref(), &self.key)
            && holder == self.holder
        {
            let _ = self.state.delete(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;
    use crate::storage::DirStore;

    fn acquire(folder: &Path, index: u64, of: u64) -> Result<Lease> {
        Lease::acquire(Arc::new(DirStore::new(folder)), Path::new("out.nii"), Rank { index, of })
    }

    fn is_busy(result: Result<Lease>) -> bool {
        matches!(result, Err(Error::TargetBusy { .. }))
    }

    /// Changes who holds the only lease.
    fn change(folder: &Path, key: &str, change: impl FnOnce(&mut Holder)) {
        let path = folder.join(key);
        let mut holder: Holder = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut holder);
        fs::write(path, serde_json::to_vec(&holder).unwrap()).unwrap();
    }

    #[test]
    fn a_share_is_leased_once() {
        let dir = tempfile::tempdir().unwrap();
        let first = acquire(dir.path(), 0, 2).unwrap();
        assert!(is_busy(acquire(dir.path(), 0, 2)) && first.renew().is_ok());
        let second = acquire(dir.path(), 1, 2).unwrap();
        assert!(is_busy(acquire(dir.path(), 0, 3)), "another cut, while this one is at work");
        drop((first, second));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(acquire(dir.path(), 0, 3).is_ok());
    }

    #[test]
    fn a_lease_of_a_process_that_has_gone_is_void_at_once() {
        let dir = tempfile::tempdir().unwrap();
        std::mem::forget(acquire(dir.path(), 0, 1).unwrap());
        assert!(is_busy(acquire(dir.path(), 0, 1)));
        change(dir.path(), "lease-0-of-1", |holder| holder.process.started += 1);
        assert!(acquire(dir.path(), 0, 1).is_ok());
    }

    #[test]
    fn a_lease_of_another_machine_is_void_when_it_is_old() {
        let dir = tempfile::tempdir().unwrap();
        std::mem::forget(acquire(dir.path(), 0, 1).unwrap());
        change(dir.path(), "lease-0-of-1", |holder| {
            (holder.process.boot, holder.process.host) = ("another".into(), "node7".into());
        });
        let busy = acquire(dir.path(), 0, 1).unwrap_err().to_string();
        assert!(busy.contains("on node7"), "{busy}");
        let old = SystemTime::now() - 2 * VOID_AFTER;
        File::options().write(true).open(dir.path().join("lease-0-of-1")).unwrap().set_modified(old).unwrap();
        assert!(acquire(dir.path(), 0, 1).is_ok());
    }

    #[test]
    fn what_is_no_lease_holds_for_a_minute() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("lease-0-of-1"), b"{").unwrap();
        assert!(is_busy(acquire(dir.path(), 0, 1)));
    }
}
