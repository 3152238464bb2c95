//! What the operating system knows and takes: memory and CPU limits, resident memory, signals, allocator settings.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

mod limits;

pub use limits::{MemoryLimit, memory_limit, threads};

/// Set by SIGTERM, SIGINT and SIGUSR1 once [`watch_signals`] was called.
static STOP: AtomicBool = AtomicBool::new(false);

/// The flag that the stop signals set.
pub fn stop_flag() -> &'static AtomicBool {
    &STOP
}

/// Makes SIGTERM, SIGINT and SIGUSR1 set [`stop_flag`]. A second one of the same kind ends the process at once.
pub fn watch_signals() {
    extern "C" fn on_signal(_: libc::c_int) {
        STOP.store(true, Ordering::SeqCst);
    }
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1] {
        // SAFETY: the handler only stores to an atomic. SA_RESETHAND restores the default action, so that a second
        // signal ends the process; SA_RESTART keeps system calls from being interrupted.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART | libc::SA_RESETHAND;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}

/// What the C allocator takes from its heaps, and what it maps and gives back at once.
///
/// Compressors make and drop tables of some MiB for every block that they compress: mapped anew each time, they took a third of
/// the time of a run (docs/performance.md). What is larger than this is not made often.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BYTES: i32 = 16 << 20;

/// Makes the C allocator give large blocks back at once and keep few arenas, so that resident memory is what is in use.
pub fn tune_allocator() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: plain settings of the allocator, made before any other thread exists.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE_BYTES);
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

/// Resident memory of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    pub now_bytes: u64,
    /// The highest it ever was (VmHWM).
    pub peak_bytes: u64,
}

/// What the kernel counts as resident; zeros where `/proc` is missing.
pub fn resident() -> Resident {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) << 10
    };
    Resident { now_bytes: field("VmRSS:"), peak_bytes: field("VmHWM:") }
}

/// Bytes that may still be written to the file system of `folder`.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(folder.as_os_str().as_bytes()).ok()?;
    // SAFETY: `path` ends with a zero byte and `stat` is written by the call before it is read.
    let stat = unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        if libc::statvfs(path.as_ptr(), &mut stat) != 0 {
            return None;
        }
        stat
    };
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// A soft resource limit, where there is one.
fn resource_limit(resource: libc::__rlimit_resource_t) -> Option<u64> {
    // SAFETY: `limit` is written by the call before it is read.
    let limit = unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(resource, &mut limit) != 0 {
            return None;
        }
        limit.rlim_cur
    };
    (limit != libc::RLIM_INFINITY).then_some(limit)
}
