//! What the operating system knows and takes: memory and CPU limits, resident memory, signals, allocator settings, advice on
//! files, and who made which.

use std::{fs, io, path::Path};

pub mod behind;
mod limits;
mod maps;
mod network;
mod process;
mod signals;

pub use limits::{MemoryLimit, memory_limit, threads};
pub use maps::WatchedMap;
pub use network::network_file_system;
pub use process::{Process, clear_scratch, scratch_path, slurm_folder, writer_name};
pub use signals::{outlive_terminal, stop_flag, watch_signals};

/// The part of a budget that the C allocator may keep in its heaps rather than give back at once.
const HEAP_SHARE: u64 = 16;
/// Bounds of what the allocator maps by itself, as soon as it is that large.
const LARGE_BYTES: std::ops::RangeInclusive<u64> = 256 << 10..=16 << 20;

/// Makes the C allocator give large blocks back at once and keep one heap, so that resident memory is what is in use.
///
/// Compressors make and drop tables of some MiB for every block that they compress. Mapped anew each time, they took a third of
/// the time of a run (docs/performance.md); where the budget is large, they come from the heap. To be called before there are
/// other threads.
pub fn tune_allocator(memory_bytes: u64) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let large = (memory_bytes / HEAP_SHARE).clamp(*LARGE_BYTES.start(), *LARGE_BYTES.end()) as libc::c_int;
        // SAFETY: plain settings of the allocator.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, large);
            libc::mallopt(libc::M_TRIM_THRESHOLD, large);
            // One heap: with more, chunks that one worker decodes and another frees leave each heap in turn empty.
            libc::mallopt(libc::M_ARENA_MAX, 1);
        }
    }
}

/// Makes the C allocator give back what it keeps for later: heaps that ended jobs have left full of holes.
pub fn trim_allocator() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes no pointer, and may be called by any thread at any time.
    unsafe {
        libc::malloc_trim(0);
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

/// Waits until all that was written to the file system of `folder` is on the disk; `false` where the kernel has no such call.
pub fn sync_file_system(folder: &Path) -> io::Result<bool> {
    use std::os::fd::AsRawFd;
    let opened = fs::File::open(folder)?;
    #[cfg(target_os = "linux")]
    // SAFETY: takes no pointer; the descriptor is open.
    return match unsafe { libc::syncfs(opened.as_raw_fd()) } {
        0 => Ok(true),
        _ => Err(io::Error::last_os_error()),
    };
    #[cfg(not(target_os = "linux"))]
    return opened.sync_all().map(|()| false);
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
