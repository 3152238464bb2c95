//! The command: parse, run, print the error chain, set the exit code.

use std::process::ExitCode;

#[cfg(not(feature = "python"))]
mod cli;

#[cfg(feature = "python")]
use reslice::cli;
use reslice::sys;

#[global_allocator]
static ALLOCATOR: sys::Allocator = sys::Allocator;

fn main() -> ExitCode {
    sys::tune_allocator(0);
    sys::watch_signals();
    sys::watch_exhaustion();
    cli::main()
}
