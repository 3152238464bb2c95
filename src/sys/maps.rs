//! Mapped files that shrink, or cannot be read any more, while they are read: a message and exit code 1 for SIGBUS.

use std::{
    mem,
    os::fd::RawFd,
    path::Path,
    ptr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicUsize, Ordering},
    },
};

use super::signals;

/// Maps that can be watched at once.
const MAPS: usize = 64;

/// A map as the handler sees it.
struct Slot {
    taken: AtomicBool,
    /// First address; 0 while there is no map. Set last, and cleared first.
    start: AtomicUsize,
    len: AtomicUsize,
    fd: AtomicI32,
    messages: AtomicPtr<Messages>,
}

/// What is said of one file, made before it is needed: a handler allocates nothing.
struct Messages {
    shorter: Vec<u8>,
    unreadable: Vec<u8>,
}

static SLOTS: [Slot; MAPS] = [const {
    Slot {
        taken: AtomicBool::new(false),
        start: AtomicUsize::new(0),
        len: AtomicUsize::new(0),
        fd: AtomicI32::new(-1),
        messages: AtomicPtr::new(ptr::null_mut()),
    }
}; MAPS];

/// What SIGBUS did before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();
static ENDING: AtomicBool = AtomicBool::new(false);

/// Watches a map for as long as it lives; to be dropped before the map and its file.
#[derive(Debug)]
pub struct WatchedMap {
    slot: usize,
}

impl WatchedMap {
    /// Watches the `len` bytes at address `start`, which the file `fd` at `path` is mapped to. `None` where too many maps are
    /// watched already.
    pub fn new(path: &Path, fd: RawFd, start: usize, len: usize) -> Option<WatchedMap> {
        let slot = SLOTS.iter().position(|slot| !slot.taken.swap(true, Ordering::SeqCst))?;
        BEFORE.get_or_init(|| {
            let handler = on_bus_error as extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            signals::handle(libc::SIGBUS, handler as libc::sighandler_t, libc::SA_SIGINFO | libc::SA_ONSTACK)
        });
        let hint = "hint: --io pread reads without a map";
        let messages = Box::new(Messages {
            shorter: format!("error: {} became shorter while it was read\n", path.display()).into_bytes(),
            unreadable: format!("error: cannot read {} through its map\n{hint}\n", path.display()).into_bytes(),
        });
        SLOTS[slot].len.store(len, Ordering::SeqCst);
        SLOTS[slot].fd.store(fd, Ordering::SeqCst);
        SLOTS[slot].messages.store(Box::into_raw(messages), Ordering::SeqCst);
        SLOTS[slot].start.store(start, Ordering::SeqCst);
        Some(WatchedMap { slot })
    }
}

impl Drop for WatchedMap {
    fn drop(&mut self) {
        let slot = &SLOTS[self.slot];
        slot.start.store(0, Ordering::SeqCst);
        let messages = slot.messages.swap(ptr::null_mut(), Ordering::SeqCst);
        if !messages.is_null() {
            // SAFETY: from Box::into_raw, taken out once. The handler looks at the messages of a map that is being read only,
            // and nobody reads one that is dropped.
            drop(unsafe { Box::from_raw(messages) });
        }
        slot.taken.store(false, Ordering::SeqCst);
    }
}

extern "C" fn on_bus_error(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands over a siginfo_t, which has an address for SIGBUS.
    let address = unsafe { (*info).si_addr() } as usize;
    let Some(slot) = SLOTS.iter().find(|slot| slot.holds(address)) else {
        // Not of ours: back to what it did before, and once more.
        if let Some(before) = BEFORE.get() {
            // SAFETY: an action that sigaction gave out.
            unsafe { libc::sigaction(libc::SIGBUS, before, ptr::null_mut()) };
        }
        return;
    };
    while ENDING.swap(true, Ordering::SeqCst) {
        // Another thread has said so, and ends the process.
        // SAFETY: takes nothing.
        unsafe { libc::pause() };
    }
    // SAFETY: set before the map was watched, and not freed while it is read.
    let Some(messages) = (unsafe { slot.messages.load(Ordering::SeqCst).as_ref() }) else { return };
    signals::end(if slot.is_shorter() { &messages.shorter } else { &messages.unreadable }, 1);
}

impl Slot {
    fn holds(&self, address: usize) -> bool {
        let start = self.start.load(Ordering::SeqCst);
        start != 0 && address.wrapping_sub(start) < self.len.load(Ordering::SeqCst).next_multiple_of(1 << 16)
    }

    /// Whether the file has fewer bytes than are mapped.
    fn is_shorter(&self) -> bool {
        // SAFETY: fstat is async-signal-safe; `stat` is written by the call before it is read.
        let stat = unsafe {
            let mut stat: libc::stat = mem::zeroed();
            if libc::fstat(self.fd.load(Ordering::SeqCst), &mut stat) != 0 {
                return false;
            }
            stat
        };
        (stat.st_size as usize) < self.len.load(Ordering::SeqCst)
    }
}
