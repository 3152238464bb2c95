//! SIGBUS: a mapped file that shrinks or cannot be read ends the process with a message and exit code 1.

use std::{
    os::fd::RawFd,
    path::Path,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering},
    },
};

use super::{Action, end, file_bytes, on_bus_error, pause, restore_action};

/// Maps that can be watched at once.
const MAPS: usize = 64;

/// A map as the handler sees it.
struct Slot {
    taken: AtomicBool,
    /// First address; 0 while there is no map. Set last, and cleared first.
    start: AtomicUsize,
    len: AtomicUsize,
    fd: AtomicI32,
    /// Locked by others only while `start` is 0, so that the handler, which cannot wait, always gets it.
    messages: Mutex<Messages>,
}

/// What is said of one file, made before it is needed: a handler allocates nothing.
#[derive(Default)]
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
        messages: Mutex::new(Messages { shorter: Vec::new(), unreadable: Vec::new() }),
    }
}; MAPS];

/// What SIGBUS did before.
static BEFORE: OnceLock<Action> = OnceLock::new();
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
        BEFORE.get_or_init(on_bus_error);
        let hint = "hint: --io pread reads without a map";
        let name = path.to_string_lossy();
        let name = name.escape_debug();
        let messages = Messages {
            shorter: format!("error: {name} became shorter while it was read\n").into_bytes(),
            unreadable: format!("error: cannot read {name} through its map\n{hint}\n").into_bytes(),
        };
        SLOTS[slot].set(messages);
        SLOTS[slot].len.store(len, Ordering::SeqCst);
        SLOTS[slot].fd.store(fd, Ordering::SeqCst);
        SLOTS[slot].start.store(start, Ordering::SeqCst);
        Some(WatchedMap { slot })
    }
}

impl Drop for WatchedMap {
    fn drop(&mut self) {
        let slot = &SLOTS[self.slot];
        slot.start.store(0, Ordering::SeqCst);
        slot.set(Messages::default());
        slot.taken.store(false, Ordering::SeqCst);
    }
}

/// Says what became of the file mapped at `address`, and ends the process; async-signal-safe. Returns where it is no map of ours.
pub(super) fn struck(address: usize) {
    let Some(slot) = SLOTS.iter().find(|slot| slot.holds(address)) else {
        // Back to what SIGBUS did before, which is next: the read is done again.
        return BEFORE.get().map_or((), |before| restore_action(libc::SIGBUS, before));
    };
    while ENDING.swap(true, Ordering::SeqCst) {
        // Another thread has said so, and ends the process.
        pause();
    }
    let Ok(messages) = slot.messages.try_lock() else { return };
    end(if slot.is_shorter() { &messages.shorter } else { &messages.unreadable }, 1);
}

impl Slot {
    fn set(&self, messages: Messages) {
        *self.messages.lock().unwrap_or_else(PoisonError::into_inner) = messages;
    }

    fn holds(&self, address: usize) -> bool {
        let start = self.start.load(Ordering::SeqCst);
        start != 0 && address.wrapping_sub(start) < self.len.load(Ordering::SeqCst).next_multiple_of(1 << 16)
    }

    /// Whether the file has fewer bytes than are mapped.
    fn is_shorter(&self) -> bool {
        file_bytes(self.fd.load(Ordering::SeqCst)).is_some_and(|bytes| bytes < self.len.load(Ordering::SeqCst) as u64)
    }
}
