//! The command: parse, run, print the error chain, set the exit code.

use std::process::ExitCode;

use reslice::{cli, sys};

fn main() -> ExitCode {
    sys::tune_allocator(0);
    sys::watch_signals();
    cli::main()
}
