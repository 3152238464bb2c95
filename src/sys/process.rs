//! Names of files that tell which process made them; removes those of ended processes.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};

/// A process among those of all machines that see one file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub host: String,
    /// Of the kernel that runs it, for as long as that runs.
    pub boot: String,
    /// In which `pid` counts: containers have their own.
    pub namespace: u64,
    pub pid: u32,
    /// When it began, in ticks after the boot: numbers of processes are used again.
    pub started: u64,
}

impl Process {
    /// This one; parts that the system does not tell are empty or 0. A child that was forked is another one.
    pub fn own() -> &'static Process {
        static OWN: Mutex<Option<&'static Process>> = Mutex::new(None);
        let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
        match *own {
            Some(known) if known.pid == std::process::id() => known,
            // One for each fork that is survived: what others hold stays.
            _ => own.insert(Box::leak(Box::new(Process::of_now()))),
        }
    }

    fn of_now() -> Process {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let letters = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let pid = std::process::id();
        Process {
            host: text("/proc/sys/kernel/hostname").chars().filter(letters).take(64).collect(),
            boot: text("/proc/sys/kernel/random/boot_id").chars().take_while(char::is_ascii_hexdigit).collect(),
            namespace: fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino()),
            pid,
            started: started(pid).unwrap_or(0),
        }
    }

    /// Whether it is there still; `None` for one of another machine, boot or namespace, of which nothing can be seen from here.
    pub fn is_running(&self) -> Option<bool> {
        let own = Process::own();
        let is_near = (&self.host, &self.boot, self.namespace) == (&own.host, &own.boot, own.namespace);
        (is_near && own.started != 0).then(|| started(self.pid) == Some(self.started))
    }

    /// Whether it has certainly ended.
    pub fn has_ended(&self) -> bool {
        self.is_running() == Some(false)
    }

    /// As a part of a file name: `HOST-BOOT-NAMESPACE-PID-STARTED`.
    pub fn name(&self) -> String {
        let Process { host, boot, namespace, pid, started } = self;
        format!("{host}-{boot}-{namespace}-{pid}-{started}")
    }

    /// Of what [`Process::name`] gives.
    pub fn parse(name: &str) -> Option<Process> {
        let mut parts = name.rsplitn(5, '-');
        let (started, pid) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let (namespace, boot) = (parts.next()?.parse().ok()?, parts.next()?.to_string());
        Some(Process { host: parts.next()?.to_string(), boot, namespace, pid, started })
    }
}

/// When a process of this namespace began: field 22 of its `stat` (proc(5)); the name before it may hold anything. One that has
/// ended and is not waited for yet (state Z or X) is none.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if ["Z", "X"].contains(&state) { None } else { fields.nth(18)?.parse().ok() }
}

/// A name for unfinished files that no other run has: host, process, what tells it from others of that number, and a number, of
/// letters, digits, `-` and `_`.
pub fn writer_name() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let Process { host, boot, namespace, pid, started } = Process::own();
    let host: String = host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(40).collect();
    let place = crc32fast::hash(format!("{boot} {namespace} {started}").as_bytes());
    format!("{host}-{pid}-{place:08x}-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// The folder that a batch system has made for this job on a local disk, where there is one.
pub fn slurm_folder() -> Option<PathBuf> {
    std::env::var_os("SLURM_TMPDIR").map(PathBuf::from).filter(|folder| folder.is_dir())
}

const PREFIX: &str = "reslice-";
/// What is left behind, by what is in it.
const KINDS: [&str; 3] = ["scratch", "field", "shards"];

/// A path in `folder` for something of this process that goes with it; another one each time.
pub fn scratch_path(folder: &Path, kind: &str) -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    debug_assert!(KINDS.contains(&kind), "{kind} would not be found again");
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    folder.join(format!("{PREFIX}{kind}-{}.{number}", Process::own().name()))
}

/// Removes what ended processes of this user left in `folder` under such names; how much there was. Links are not followed,
/// and what cannot be removed stays.
pub fn clear_scratch(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let Ok(user) = fs::metadata("/proc/self").map(|own| own.uid()) else { return 0 };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().and_then(maker).is_some_and(|maker| maker.has_ended()))
        .filter(|entry| entry.metadata().is_ok_and(|found| found.uid() == user))
        .filter(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => fs::remove_dir_all(entry.path()).is_ok(),
            Ok(kind) if kind.is_file() => fs::remove_file(entry.path()).is_ok(),
            _ => false,
        })
        .count()
}

/// Who made a file of this name.
fn maker(name: &str) -> Option<Process> {
    let (kind, rest) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let (process, number) = rest.rsplit_once('.')?;
    number.parse::<u64>().ok()?;
    KINDS.contains(&kind).then(|| Process::parse(process))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_have_names_of_their_own() {
        let (a, b) = (writer_name(), writer_name());
        assert_ne!(a, b);
        assert!(a.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)), "{a}");
    }

    fn gone() -> Process {
        Process { started: 1, ..Process::own().clone() }
    }

    #[test]
    fn names_come_back() {
        let own = Process::own();
        assert_eq!(Process::parse(&own.name()).as_ref(), Some(own));
        let dashed = Process { host: "a-b.c".into(), ..own.clone() };
        assert_eq!(Process::parse(&dashed.name()), Some(dashed));
        assert!(own.pid != 0 && own.started != 0 && own.namespace != 0 && !own.boot.is_empty());
        for name in ["", "a-b", "host-boot-1-2-x", "host-boot-1--3"] {
            assert_eq!(Process::parse(name), None, "{name}");
        }
    }

    #[test]
    fn only_near_processes_are_known_to_have_ended() {
        assert!(!Process::own().has_ended() && gone().has_ended());
        assert!(Process { pid: u32::MAX, ..Process::own().clone() }.has_ended());
        assert!(!Process { host: "elsewhere".into(), ..gone() }.has_ended());
        assert!(!Process { boot: "0".into(), ..gone() }.has_ended());
        assert!(!Process { namespace: 1, ..gone() }.has_ended());
    }

    #[test]
    fn what_ended_processes_left_goes_and_all_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let own = scratch_path(dir.path(), "scratch");
        assert_ne!(own, scratch_path(dir.path(), "scratch"));
        let left = |kind: &str, process: &Process| dir.path().join(format!("reslice-{kind}-{}.0", process.name()));
        let elsewhere = Process { host: "elsewhere".into(), ..gone() };
        let precious = dir.path().join("precious");
        fs::create_dir(&precious).unwrap();
        let stay = [own, left("scratch", &elsewhere), left("letters", &gone()), precious.join("file")];
        let go = [left("scratch", &gone()), left("field", &Process { pid: u32::MAX, ..gone() })];
        stay.iter().chain(&go).for_each(|path| fs::write(path, "x").unwrap());
        let folder = left("shards", &gone());
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("part"), "x").unwrap();
        std::os::unix::fs::symlink(&precious, folder.join("link")).unwrap();
        let link = left("scratch", &Process { started: 2, ..gone() });
        std::os::unix::fs::symlink(&precious, &link).unwrap();

        assert_eq!(clear_scratch(dir.path()), 3);
        assert!(stay.iter().all(|path| path.exists()) && link.symlink_metadata().is_ok());
        assert!(!go.iter().any(|path| path.exists()) && !folder.exists());
        assert_eq!(clear_scratch(&dir.path().join("none")), 0);
    }
}
