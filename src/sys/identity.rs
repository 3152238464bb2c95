//! Who this process is: host, boot, process, so that others can tell whether it is still there.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};

/// A process, as other processes may find it in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    pub host: String,
    /// Random, made anew at each boot.
    pub boot: String,
    /// The space in which `pid` is a number: containers have their own.
    pub pid_space: String,
    pub pid: u32,
    /// Start of the process in ticks since the boot: numbers are used again.
    pub started: u64,
}

impl ProcessId {
    pub fn own() -> ProcessId {
        let pid = std::process::id();
        let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_string()).unwrap_or_default();
        let space = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        ProcessId {
            host: read("/proc/sys/kernel/hostname"),
            boot: read("/proc/sys/kernel/random/boot_id"),
            pid_space: space.to_string_lossy().into_owned(),
            pid,
            started: started(pid).unwrap_or(0),
        }
    }

    /// Whether the process runs; `None` where that cannot be seen from here.
    pub fn is_running(&self) -> Option<bool> {
        let own = ProcessId::own();
        if own.boot.is_empty() || self.boot != own.boot || self.pid_space != own.pid_space || self.pid_space.is_empty()
        {
            return None;
        }
        Some(started(self.pid) == Some(self.started))
    }
}

/// Field 22 of `/proc/PID/stat` (proc(5)); the name in brackets before it may hold anything. A process that has ended and is not
/// waited for yet (state Z or X) does not run.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace();
    let state = fields.next()?;
    if ["Z", "X"].contains(&state) {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// A name for unfinished files that no other run has: host, process, start and a number, of letters, digits, `-` and `_`.
pub fn writer_name() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let own = ProcessId::own();
    let host: String = own.host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(40).collect();
    // Two containers may share a host's name and a process's number.
    let place = crc32fast::hash(format!("{} {} {}", own.boot, own.pid_space, own.started).as_bytes());
    format!("{host}-{}-{place:08x}-{}", own.pid, NUMBER.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_ended_is_known_to() {
        let own = ProcessId::own();
        assert_eq!(own.is_running(), Some(true));
        assert_eq!(ProcessId { started: own.started + 1, ..own.clone() }.is_running(), Some(false));
        assert_eq!(ProcessId { boot: "another".into(), ..own.clone() }.is_running(), None);
        assert_eq!(ProcessId { pid_space: "pid:[1]".into(), ..own }.is_running(), None);
    }

    #[test]
    fn writers_have_names_of_their_own() {
        let (a, b) = (writer_name(), writer_name());
        assert_ne!(a, b);
        assert!(a.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)), "{a}");
    }
}
