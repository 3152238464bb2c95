//! What signals do: stop a run, or end it at once.
//!
//! Handlers call nothing but what signal-safety(7) allows, and use atomics only.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{alarm, end, ignore_by_default, on_signal};

/// Seconds from the first stop signal to the end of a process that has not ended by then: what is left of 10 after a
/// journal was synced.
const GRACE_SECONDS: libc::c_uint = 9;
/// The exit code of a run that was asked to stop.
const STOPPED: libc::c_int = 75;
const TOO_SLOW: &[u8] = b"error: stopped, and the blocks in hand were dropped: they took too long\n";

/// Set by SIGTERM, SIGINT and SIGUSR1 once [`watch_signals`] was called.
static STOP: AtomicBool = AtomicBool::new(false);

/// The flag that the stop signals set.
pub fn stop_flag() -> &'static AtomicBool {
    &STOP
}

/// Makes SIGTERM, SIGINT and SIGUSR1 set [`stop_flag`]. A second SIGINT ends the process at once; the others may come
/// twice, as a launcher and the batch system both send them. A process that goes on for 9 s ends with exit code 75. Files that meet
/// their limit are errors.
pub fn watch_signals() {
    extern "C" fn stop(_: libc::c_int) {
        if !STOP.swap(true, Ordering::SeqCst) {
            alarm(GRACE_SECONDS);
        }
    }
    extern "C" fn give_up(_: libc::c_int) {
        end(TOO_SLOW, STOPPED);
    }
    // SA_RESTART keeps system calls from being interrupted, SA_RESETHAND restores the default action.
    let once = libc::SA_RESTART | libc::SA_RESETHAND;
    for (signal, flags) in [(libc::SIGTERM, libc::SA_RESTART), (libc::SIGUSR1, libc::SA_RESTART), (libc::SIGINT, once)]
    {
        on_signal(signal, stop, flags);
    }
    on_signal(libc::SIGALRM, give_up, libc::SA_RESTART);
    // A file that may not become larger is an error of the write then.
    ignore_by_default(libc::SIGXFSZ);
}

/// Lets the process go on when its terminal goes away; whoever already handles SIGHUP keeps doing so.
pub fn outlive_terminal() {
    ignore_by_default(libc::SIGHUP);
}
