//! What signals do: stop a run, or end it at once.
//!
//! Handlers call nothing but what signal-safety(7) allows, and use atomics only.

use std::{
    mem, ptr,
    sync::atomic::{AtomicBool, Ordering},
};

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
/// twice, as a launcher and the batch system both send them. A process that goes on for 9 s ends with exit code 75.
pub fn watch_signals() {
    extern "C" fn on_signal(_: libc::c_int) {
        if !STOP.swap(true, Ordering::SeqCst) {
            // SAFETY: alarm is async-signal-safe and takes a number.
            unsafe { libc::alarm(GRACE_SECONDS) };
        }
    }
    extern "C" fn on_alarm(_: libc::c_int) {
        end(TOO_SLOW, STOPPED);
    }
    // SA_RESTART keeps system calls from being interrupted, SA_RESETHAND restores the default action.
    let once = libc::SA_RESTART | libc::SA_RESETHAND;
    for (signal, flags) in [(libc::SIGTERM, libc::SA_RESTART), (libc::SIGUSR1, libc::SA_RESTART), (libc::SIGINT, once)]
    {
        handle(signal, on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t, flags);
    }
    handle(libc::SIGALRM, on_alarm as extern "C" fn(libc::c_int) as libc::sighandler_t, libc::SA_RESTART);
}

/// Lets the process go on when its terminal goes away; whoever already handles SIGHUP keeps doing so.
pub fn outlive_terminal() {
    // SAFETY: `action` is written by the first call before it is read, and ignoring runs no code.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        if libc::sigaction(libc::SIGHUP, ptr::null(), &mut action) == 0 && action.sa_sigaction == libc::SIG_DFL {
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
        }
    }
}

/// Sets a handler that is async-signal-safe; the action before it.
pub(super) fn handle(signal: libc::c_int, handler: libc::sighandler_t, flags: libc::c_int) -> libc::sigaction {
    // SAFETY: both actions are initialised, and every handler given here is async-signal-safe.
    unsafe {
        let (mut action, mut before): (libc::sigaction, libc::sigaction) = (mem::zeroed(), mem::zeroed());
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        libc::sigaction(signal, &action, &mut before);
        before
    }
}

/// Says `message` and ends the process, from a signal handler.
pub(super) fn end(message: &[u8], code: libc::c_int) -> ! {
    // SAFETY: write and _exit are async-signal-safe, and the message is as long as it says.
    unsafe {
        let _ = libc::write(libc::STDERR_FILENO, message.as_ptr().cast(), message.len());
        libc::_exit(code)
    }
}
