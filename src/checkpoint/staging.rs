//! A target is complete, or not there: it is built in `NAME.reslice/` beside it and renamed at the end.
//!
//! An object store cannot rename. There a target is built under its final keys, which no reader sees before the root
//! metadata are written, last. Its working files are below the key `.reslice/`.
//!
//! Several runs may build one target together, each its own share, each with a lease. Small files in the folder
//! (`Staging::state`) describe the job and what is stored; a run that resumes reads them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::lease::{Lease, is_lease};
use crate::{
    error::{Error, Result},
    rank::Rank,
    storage::{BuildSite, DirStore, Store, StoreError, nfs},
};

mod folder;
mod ours;
mod remote;
mod symlinks;

pub use folder::remove_note;
use folder::{clear, clear_but, sync};
pub use ours::check_folder;
use remote::LocalFolder;

/// How a run comes to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub rank: Rank,
    /// Go on with what an earlier run has left, and leave a note of the job when it is done.
    pub resume: bool,
    /// Begin anew, whatever an unfinished run has stored.
    pub restart: bool,
    /// Replace what stands under the final name.
    pub overwrite: bool,
    pub notes: Notes,
}

impl Claim {
    /// All of the target, from the beginning.
    pub fn fresh(overwrite: bool) -> Claim {
        Claim { rank: Rank::WHOLE, resume: false, restart: false, overwrite, notes: TARGET_NOTES }
    }
}

/// The folder beside `target` that it is built in.
pub fn state_folder(target: &Path) -> PathBuf {
    // `a.zarr/`, as completion writes it, is the same target, and `.` stands for a folder that has a name.
    let plain = match target.file_name() {
        Some(_) => target.components().as_path().to_path_buf(),
        None => target.canonicalize().unwrap_or_else(|_| target.to_path_buf()),
    };
    let mut name = plain.into_os_string();
    name.push(".reslice");
    PathBuf::from(name)
}

/// The place where one target is built, and this run's lease of its share; left behind when the run does not complete.
#[derive(Debug)]
pub struct Staging {
    target: PathBuf,
    claim: Claim,
    lease: Arc<Lease>,
    state: Arc<dyn Store>,
    /// Whether something that an unfinished run had left was found and cleared.
    pub cleared: bool,
    place: StagingKind,
}

#[derive(Debug)]
enum StagingKind {
    /// The folder beside the target.
    Local(PathBuf),
    /// In the store itself; the local folder is only for what is put together here.
    Remote { store: Arc<dyn Store>, local: LocalFolder },
}

/// Names of the small files that tell of a job, and of one that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notes {
    pub job: &'static str,
    pub finished: &'static str,
}

/// Of a target that is made.
pub const TARGET_NOTES: Notes = Notes { job: "job.json", finished: "finished.json" };
/// Of levels that are added to one.
pub const LEVEL_NOTES: Notes = Notes { job: "levels-job.json", finished: "levels-finished.json" };
/// What outlives the jobs.
const NOTES: [&str; 2] = [TARGET_NOTES.finished, LEVEL_NOTES.finished];
/// Below the store's root, for targets behind URLs.
pub const REMOTE_STATE: &str = ".reslice";

impl Staging {
    /// Makes the folder for `target`, or comes to the one that is there. What is in it stays until [`Staging::clear`].
    ///
    /// # Errors
    /// The target exists and neither `overwrite` nor `resume` is set, another run holds the share, or the folder cannot be made.
    pub fn create(target: &Path, claim: Claim) -> Result<Staging> {
        if !claim.overwrite && !claim.resume && nfs::look_at(target)?.is_some() {
            return Err(Error::TargetExists { path: target.to_path_buf() });
        }
        ours::refuse_others_link(target)?;
        check_folder(target)?;
        let folder = state_folder(target);
        match nfs::uninterrupted(|| fs::create_dir(&folder)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::Io { action: "create", path: folder, source: error });
            }
            _ => {}
        }
        check_folder(target)?;
        if claim.resume {
            symlinks::refuse(&folder, claim.rank.of == 1)?;
        }
        let state: Arc<dyn Store> = Arc::new(DirStore::new(&folder));
        let lease = Lease::acquire(state.clone(), target, claim.rank)?;
        let (target, lease) = (target.to_path_buf(), Arc::new(lease));
        Ok(Staging { target, claim, lease, state, cleared: false, place: StagingKind::Local(folder) })
    }

    /// Makes ready what lies at `store` for a target; `scratch` is for shards on their way (the system's folder for temporary
    /// files, where it is `None`).
    ///
    /// # Errors
    /// Root metadata are there, or keys that no run of ours left, and neither `overwrite` nor `resume` is set; another run holds
    /// the share; the store does not answer.
    pub fn remote(store: Arc<dyn Store>, claim: Claim, scratch: Option<&Path>) -> Result<Staging> {
        let target = store.describe("");
        let state = store.below(REMOTE_STATE);
        remote::check(store.as_ref(), state.as_ref(), claim)?;
        let local = LocalFolder::create(scratch.unwrap_or(&std::env::temp_dir()))?;
        let lease = Lease::acquire(state.clone(), &target, claim.rank)?;
        let lease = Arc::new(lease);
        Ok(Staging { target, claim, lease, state, cleared: false, place: StagingKind::Remote { store, local } })
    }

    /// What was cleared, for a message.
    pub fn cleared_path(&self) -> PathBuf {
        match &self.place {
            StagingKind::Local(folder) => folder.clone(),
            StagingKind::Remote { .. } => self.target.clone(),
        }
    }

    /// Where small files are that all runs on this target share.
    pub fn state(&self) -> &Arc<dyn Store> {
        &self.state
    }

    /// The name of this run, for its unfinished files.
    pub fn writer(&self) -> &str {
        self.lease.writer()
    }

    /// Which share of the target this run makes.
    pub fn claim(&self) -> Claim {
        self.claim
    }

    /// This run's lease, to be renewed every [`RENEW_EVERY`](super::lease::RENEW_EVERY).
    pub fn lease(&self) -> Arc<Lease> {
        self.lease.clone()
    }

    /// The lease of completing the target; `None` where another run has it.
    pub fn completing(&self) -> Result<Option<Lease>> {
        match Lease::completing(self.state.clone(), &self.target, self.claim.rank.of) {
            Ok(lease) => Ok(Some(lease)),
            Err(Error::TargetBusy { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes everything but the notes of finished jobs, and leases of runs that are at work.
    pub fn sweep(&self) -> Result<()> {
        self.lease.clear_void()?;
        match &self.place {
            StagingKind::Local(folder) => clear_but(folder, |name| NOTES.contains(&name) || is_lease(name)).map(drop),
            StagingKind::Remote { store, .. } => remote::end(store.as_ref(), &self.state, true),
        }
    }

    /// Whether unfinished files outlive this run.
    pub fn keeps_files(&self) -> bool {
        matches!(self.place, StagingKind::Local(_))
    }

    /// Where a Zarr target that will be `NAME` is built.
    pub fn site(&self, name: &str) -> BuildSite {
        let folder = self.path(name);
        let store: Arc<dyn Store> = match &self.place {
            StagingKind::Local(_) => Arc::new(DirStore::new(&folder)),
            StagingKind::Remote { store, .. } => store.clone(),
        };
        BuildSite { store, folder }
    }

    /// Where the local file that will be `NAME` is built.
    pub fn path(&self, name: &str) -> PathBuf {
        match &self.place {
            StagingKind::Local(folder) => folder.join(name),
            StagingKind::Remote { local, .. } => local.path().join(name),
        }
    }

    /// Whether a run was about to rename what it had built, all of which is there under one name or the other; `None` where no run
    /// came as far, or none of it has its name: then it is held against the records as any rest is.
    pub fn is_built(&self, built: &[(PathBuf, PathBuf)]) -> Result<Option<bool>> {
        let finished = self.claim.notes.finished;
        if !self.state.exists(finished).map_err(|e| e.at("look at", self.state.describe(finished)))? {
            return Ok(None);
        }
        let mut left = 0;
        for (from, to) in built {
            match (nfs::look_at(from)?, nfs::look_at(to)?) {
                (Some(_), _) => left += 1,
                (None, Some(_)) => {}
                (None, None) => return Ok(Some(false)),
            }
        }
        if left == built.len() && self.keeps_files() {
            return Ok(None);
        }
        Ok(Some(self.keeps_files()))
    }

    /// Whether a job was begun here, and neither finished nor cleared.
    pub fn is_begun(&self) -> Result<bool> {
        let note = self.claim.notes.job;
        self.state.exists(note).map_err(|e| e.at("look at", self.state.describe(note)))
    }

    /// Empties the place, for a run that begins anew.
    pub fn clear(&mut self) -> Result<()> {
        let is_begun = self.is_begun()?;
        self.cleared |= match &self.place {
            StagingKind::Local(folder) => clear(folder, self.claim.notes)?,
            StagingKind::Remote { store, .. } => {
                remote::clear(store.as_ref(), &self.lease)?;
                is_begun
            }
        };
        Ok(())
    }

    /// Renames each built file or folder to its final place, in this order, and removes what was only for building. The note says
    /// what the target is of, while the renames go on; where it stays, a run that comes again finds the target finished.
    ///
    /// What stands under a final name is replaced only if overwriting was asked for. Behind a URL everything has its place. Whoever
    /// comes second finds the renames done, and accepts them.
    pub fn commit(self, built: &[(PathBuf, PathBuf)], note: &[u8], keeps_note: bool) -> Result<()> {
        let finished = self.claim.notes.finished;
        let failed = |error: StoreError| error.at("write", self.state.describe(finished));
        // What is new is on the disk before it has its name. A note that is there is replaced at once: others look for it.
        self.state.put_durable(finished, note.to_vec()).map_err(failed)?;
        if let StagingKind::Remote { store, .. } = &self.place {
            return remote::end(store.as_ref(), &self.state, keeps_note);
        }
        for (n, (from, to)) in built.iter().enumerate() {
            self.rename(n, from, to)?;
        }
        sync(self.target.parent())?;
        let StagingKind::Local(folder) = &self.place else { return Ok(()) };
        if keeps_note {
            return self.sweep();
        }
        // The note of another kind of job on the same target may have to stay.
        let notes = self.claim.notes;
        clear_but(folder, |name| NOTES.contains(&name) && name != notes.finished)?;
        match fs::remove_dir(folder) {
            Err(e) if ![io::ErrorKind::DirectoryNotEmpty, io::ErrorKind::NotFound].contains(&e.kind()) => {
                Err(Error::io("remove", folder)(e))
            }
            _ => Ok(()),
        }
    }

    fn rename(&self, n: usize, from: &Path, to: &Path) -> Result<()> {
        if let Some(old) = nfs::look_at(to)? {
            let new = nfs::look_at(from)?;
            if !self.claim.overwrite {
                // By another run on the same target, or by this one before an answer was lost.
                let is_done = self.claim.resume && new.is_none();
                return if is_done { Ok(()) } else { Err(Error::TargetExists { path: to.to_path_buf() }) };
            }
            if self.claim.resume && new.is_none() {
                return Ok(());
            }
            if old.is_dir() || new.is_some_and(|new| new.is_dir()) {
                // A folder cannot be renamed over another: the old one goes into the staging folder first.
                let aside = self.path(&format!("replaced-{n}"));
                nfs::rename(to, &aside).map_err(Error::io("replace", to))?;
            }
        }
        match nfs::uninterrupted(|| fs::rename(from, to)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && nfs::look_at(to)?.is_some() => Ok(()),
            other => other.map_err(Error::io("rename to", to)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_under_the_final_name_before_commit() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.nii");
        let staging = Staging::create(&target, Claim::fresh(false)).unwrap();
        fs::write(staging.path("target"), b"voxels").unwrap();
        assert!(!target.exists());
        let built = staging.path("target");
        staging.commit(&[(built, target.clone())], b"{}", false).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"voxels");
        assert!(!state_folder(&target).exists());
    }

    #[test]
    fn a_second_run_on_the_same_target_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.zarr");
        let first = Staging::create(&target, Claim::fresh(false)).unwrap();
        assert!(matches!(Staging::create(&target, Claim::fresh(false)), Err(Error::TargetBusy { .. })));
        fs::write(first.path("target.half"), b"x").unwrap();
        drop(first);
        let resume = Claim { resume: true, ..Claim::fresh(false) };
        let mut again = Staging::create(&target, resume).unwrap();
        assert!(!again.cleared && again.path("target.half").exists());
        again.clear().unwrap();
        assert!(again.cleared && !again.path("target.half").exists());
    }

    #[test]
    fn an_existing_target_stays_until_it_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.zarr");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("old"), b"old").unwrap();
        assert!(matches!(Staging::create(&target, Claim::fresh(false)), Err(Error::TargetExists { .. })));
        let staging = Staging::create(&target, Claim::fresh(true)).unwrap();
        let built = staging.path("target");
        fs::create_dir(&built).unwrap();
        assert!(target.join("old").exists());
        staging.commit(&[(built, target.clone())], b"{}", false).unwrap();
        assert!(!target.join("old").exists());
    }

    #[test]
    fn the_folder_is_no_link() {
        let dir = tempfile::tempdir().unwrap();
        let (target, elsewhere) = (dir.path().join("out.nii"), dir.path().join("letters"));
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("one"), b"dear").unwrap();
        std::os::unix::fs::symlink(&elsewhere, state_folder(&target)).unwrap();
        assert!(Staging::create(&target, Claim::fresh(true)).is_err());
        assert!(elsewhere.join("one").exists());
    }

    #[test]
    fn two_runs_that_complete_at_once_agree() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.nii");
        let claim = |index| Claim { rank: Rank { index, of: 2 }, resume: true, ..Claim::fresh(false) };
        let [one, two] = [0, 1].map(|index| Staging::create(&target, claim(index)).unwrap());
        let built = one.path("target");
        fs::write(&built, b"voxels").unwrap();
        one.commit(&[(built.clone(), target.clone())], b"{}", true).unwrap();
        two.commit(&[(built, target.clone())], b"{}", true).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"voxels");
        let left: Vec<_> = fs::read_dir(state_folder(&target)).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, [TARGET_NOTES.finished]);
    }
}
