//! The operating system: limits of memory and CPUs, resident memory, signals, allocator settings, advice on files,
//! identities of processes.
//!
//! Every `unsafe` system call is in this file, as a small safe function for the modules below.
#![allow(unsafe_code, reason = "system calls that no library wraps")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    ffi::CString,
    fs, io, mem,
    os::unix::ffi::OsStrExt,
    path::Path,
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::error::{Error, Result};

mod exhausted;
mod limits;
mod maps;
mod network;
mod process;
mod program;
mod signals;
pub mod writeback;

pub use exhausted::watch_exhaustion;
pub use limits::{AddressRoom, MemoryLimit, address_room, memory_limit, most_memory, threads};
pub use maps::WatchedMap;
pub use network::network_file_system;
pub use process::{Process, clear_scratch, scratch_path, slurm_folder, writer_name};
pub use signals::{outlive_terminal, stop_flag, watch_signals};

/// The part of a budget that the C allocator may keep in its heaps rather than give back at once.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const HEAP_SHARE: u64 = 16;
/// Bounds of what the allocator maps by itself, as soon as it is that large.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BYTES: std::ops::RangeInclusive<u64> = 256 << 10..=16 << 20;

/// The budget of this process; 0 where it has none.
static BUDGET: AtomicU64 = AtomicU64::new(0);

/// What the resident memory of this process is to stay within, where it was told so.
pub fn budget() -> Option<u64> {
    Some(BUDGET.load(Ordering::Relaxed)).filter(|&bytes| bytes > 0)
}

/// Notes the budget, for what is read before there is a plan.
pub fn set_budget(memory_bytes: u64) {
    BUDGET.store(memory_bytes, Ordering::Relaxed);
}

/// Notes the budget, and makes the C allocator give large blocks back at once and keep one heap, so that resident memory is what is in use.
///
/// Compressors make and drop tables of some MiB for every block that they compress. Mapped anew each time, they took a third of
/// the time of a run (docs/performance.md); where the budget is large, they come from the heap. To be called before there are
/// other threads: those keep heaps that they have, and the other settings are taken over by the next block.
pub fn tune_allocator(memory_bytes: u64) {
    set_budget(memory_bytes);
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

/// The same where nothing was noted yet: what a library call does for programs that do not tune the allocator themselves.
pub fn tune_unless_tuned(memory_bytes: u64) {
    if BUDGET.load(Ordering::Relaxed) == 0 {
        tune_allocator(memory_bytes);
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

/// The system's allocator for the command. Where it has nothing left, the process ends with a message: far from a plan nothing can be
/// done about it.
#[derive(Debug)]
pub struct Allocator;

thread_local! {
    /// Whether the one who allocates on this thread can do without.
    static CAN_DO_WITHOUT: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: the system's allocator, whose answers are handed on as they are.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the system's.
        granted(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        granted(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: as above.
        granted(unsafe { System.realloc(memory, layout, bytes) }, bytes)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn granted(memory: *mut u8, bytes: usize) -> *mut u8 {
    if memory.is_null() && !CAN_DO_WITHOUT.get() {
        exhausted::no_memory(bytes as u64);
    }
    memory
}

/// Calls what tries to allocate, and can do without.
pub fn can_do_without<R>(attempt: impl FnOnce() -> R) -> R {
    let before = CAN_DO_WITHOUT.replace(true);
    let done = attempt();
    CAN_DO_WITHOUT.set(before);
    done
}

/// A buffer for `bytes`, or an error instead of an abort where there is no such memory.
pub fn reserve(bytes: u64) -> Result<Vec<u8>, String> {
    let mut buffer = Vec::new();
    let too_many = || format!("{bytes} bytes are too many to hold");
    let len = usize::try_from(bytes).map_err(|_| too_many())?;
    can_do_without(|| buffer.try_reserve_exact(len)).map_err(|_| too_many())?;
    Ok(buffer)
}

/// Whether the system has no memory left for this process; async-signal-safe.
fn is_exhausted() -> bool {
    const PROBE_BYTES: usize = 1 << 20;
    let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new map at an address of the kernel's choice, which nobody else knows of before it is gone.
    unsafe {
        let probe = libc::mmap(ptr::null_mut(), PROBE_BYTES, access, flags, -1, 0);
        if probe == libc::MAP_FAILED {
            return true;
        }
        libc::munmap(probe, PROBE_BYTES);
    }
    false
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

/// What a plan has to count as taken: what is resident, and what the program's own code may take beyond the margins of plans.
pub fn reserved_bytes() -> u64 {
    resident().now_bytes.saturating_add(program::growth_bytes())
}

/// Maps the file of this program.
fn map_program(file: &fs::File) -> io::Result<memmap2::Mmap> {
    // SAFETY: a program's file is not written to while it runs, and bytes are only looked at, whatever they are.
    unsafe { memmap2::Mmap::map(file) }
}

/// Bytes that may still be written to the file system of `folder`.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let path = CString::new(folder.as_os_str().as_bytes()).ok()?;
    // SAFETY: `path` ends with a zero byte and `stat` is written by the call before it is read.
    let stat = unsafe {
        let mut stat: libc::statvfs = mem::zeroed();
        if libc::statvfs(path.as_ptr(), &mut stat) != 0 {
            return None;
        }
        stat
    };
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Whether this process may write what is at `path`: into it, where it is a folder. Nothing is touched.
///
/// # Errors
/// Why it may not. What the system cannot say counts as a yes.
pub fn may_write(path: &Path) -> io::Result<()> {
    let Ok(name) = CString::new(path.as_os_str().as_bytes()) else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mode = if path.is_dir() { libc::W_OK | libc::X_OK } else { libc::W_OK };
    // SAFETY: `name` ends with a zero byte.
    if unsafe { libc::faccessat(libc::AT_FDCWD, name.as_ptr(), mode, libc::AT_EACCESS) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM | libc::EROFS) => Err(error),
        _ => Ok(()),
    }
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

/// The number of a resource limit, as the C library names its type.
#[cfg(target_env = "gnu")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Resource = libc::c_int;

/// A soft resource limit, where there is one.
fn resource_limit(resource: Resource) -> Option<u64> {
    // SAFETY: `limit` is written by the call before it is read.
    let limit = unsafe {
        let mut limit: libc::rlimit = mem::zeroed();
        if libc::getrlimit(resource, &mut limit) != 0 {
            return None;
        }
        limit.rlim_cur
    };
    (limit != libc::RLIM_INFINITY).then_some(limit)
}

/// The number of the type of the file system that holds `path` (statfs(2)).
fn file_system_type(path: &Path) -> Option<u64> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: `path` ends with a zero byte and `stat` is written by the call before it is read.
    let stat = unsafe {
        let mut stat: libc::statfs = mem::zeroed();
        if libc::statfs(path.as_ptr(), &mut stat) != 0 {
            return None;
        }
        stat
    };
    // Some systems have these numbers with a sign.
    Some(stat.f_type as u64 & 0xffff_ffff)
}

/// Begins to write back what of `file` is dirty.
#[cfg(target_os = "linux")]
fn write_back(file: &fs::File) {
    use std::os::fd::AsRawFd;
    // SAFETY: a plain call on a descriptor that is open for as long as `file` is borrowed; 0, 0 is all of it.
    unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}

/// Waits for what [`write_back`] began, and drops `file` from the page cache but for what is dirty.
#[cfg(target_os = "linux")]
fn wait_and_drop(file: &fs::File) {
    use std::os::fd::AsRawFd;
    // SAFETY: as in `write_back`.
    unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WAIT_BEFORE) };
    drop_range(file, 0, 0);
}

/// Drops a range of `file` from the page cache; no bytes are all from `offset` on.
#[cfg(target_os = "linux")]
fn drop_range(file: &fs::File, offset: u64, bytes: u64) {
    use std::os::fd::AsRawFd;
    // SAFETY: as in `write_back`.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), offset as i64, bytes as i64, libc::POSIX_FADV_DONTNEED) };
}

#[cfg(not(target_os = "linux"))]
fn write_back(_: &fs::File) {}

#[cfg(not(target_os = "linux"))]
fn wait_and_drop(_: &fs::File) {}

#[cfg(not(target_os = "linux"))]
fn drop_range(_: &fs::File, _: u64, _: u64) {}

/// What a process does at a signal: the address of a handler, and flags of sigaction(2).
type Action = libc::sigaction;

/// Makes `handler` run at `signal`; the action before it. The handler calls nothing but what signal-safety(7) allows.
fn on_signal(signal: libc::c_int, handler: extern "C" fn(libc::c_int), flags: libc::c_int) -> Action {
    set_action(signal, handler as libc::sighandler_t, flags)
}

/// Hands the address at which SIGBUS struck to [`maps::struck`]; the action before it.
fn on_bus_error() -> Action {
    extern "C" fn handler(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: the kernel hands over a siginfo_t, which has an address for SIGBUS.
        maps::struck(unsafe { (*info).si_addr() } as usize);
    }
    let handler = handler as extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
    set_action(libc::SIGBUS, handler as libc::sighandler_t, libc::SA_SIGINFO | libc::SA_ONSTACK)
}

/// Called by [`on_signal`] and [`on_bus_error`] only, with a handler of the shape that the flags name.
fn set_action(signal: libc::c_int, handler: libc::sighandler_t, flags: libc::c_int) -> Action {
    // SAFETY: both actions are initialised, and the handlers in `signals` and `maps` are async-signal-safe.
    unsafe {
        let (mut action, mut before): (Action, Action) = (mem::zeroed(), mem::zeroed());
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        libc::sigaction(signal, &action, &mut before);
        before
    }
}

/// Back to an action that [`on_signal`] or [`on_bus_error`] gave; async-signal-safe.
fn restore_action(signal: libc::c_int, before: &Action) {
    // SAFETY: the kernel itself gave this action out.
    unsafe { libc::sigaction(signal, before, ptr::null_mut()) };
}

/// Lets `signal` do nothing from now on, unless somebody handles or ignores it already.
fn ignore_by_default(signal: libc::c_int) {
    // SAFETY: `action` is written by the first call before it is read, and ignoring runs no code.
    unsafe {
        let mut action: Action = mem::zeroed();
        if libc::sigaction(signal, ptr::null(), &mut action) == 0 && action.sa_sigaction == libc::SIG_DFL {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
}

/// Asks for SIGALRM after so many seconds; async-signal-safe.
fn alarm(seconds: libc::c_uint) {
    // SAFETY: takes a number.
    unsafe { libc::alarm(seconds) };
}

/// Waits for any signal; async-signal-safe.
fn pause() {
    // SAFETY: takes nothing.
    unsafe { libc::pause() };
}

/// Bytes of the file open as `fd`; async-signal-safe.
fn file_bytes(fd: libc::c_int) -> Option<u64> {
    // SAFETY: `stat` is written by the call before it is read.
    unsafe {
        let mut stat: libc::stat = mem::zeroed();
        (libc::fstat(fd, &mut stat) == 0).then_some(stat.st_size as u64)
    }
}

/// Says `message` and ends the process; async-signal-safe.
fn end(message: &[u8], code: libc::c_int) -> ! {
    // SAFETY: the message is as long as it says.
    unsafe {
        let _ = libc::write(libc::STDERR_FILENO, message.as_ptr().cast(), message.len());
        libc::_exit(code)
    }
}

/// A pool for finite loops that never wait, owned by whoever asks for it; the global one is not used.
///
/// # Errors
/// The system grants no threads.
pub fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build();
    pool.map_err(|error| Error::Threads { what: "a pool of workers", source: std::io::Error::other(error.to_string()) })
}
