//! The command line: arguments as typed, the job they resolve to, and what is printed.
//!
//! stdout carries the answer of a command, stderr everything else. The only place in the crate that prints.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{Error, Result};

mod answer;
mod args;
mod compare;
mod completions;
mod demo;
mod info;
mod messages;
mod parse;
mod progress;
mod resample;
mod tell;

pub use args::{ResampleArgs, RunArgs};

/// Streaming, out-of-core resampling of huge 3-D volumes in a fixed amount of memory.
#[derive(Debug, Parser)]
#[command(name = "reslice", version, max_term_width = 120)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Resample a volume to another spacing, size or grid.
    Resample(Box<ResampleArgs>),
    /// Say what a file is: geometry, samples, chunks, sizes, and what reading it would cost.
    Info(info::InfoArgs),
    /// Compare two volumes: geometry and voxels; exit code 1 if they differ, 2 on trouble.
    Compare(compare::CompareArgs),
    /// Write a small synthetic scan, resample it under 64 MiB, and say what to try next.
    Demo(demo::DemoArgs),
    /// Write a completion script for a shell.
    Completions(completions::CompletionsArgs),
    /// Write the manual page, in roff.
    Man(completions::ManArgs),
}

/// Parses, runs, prints errors; the exit code of the process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap knows where each belongs. A closed pipe is nobody's concern.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            messages::error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Error> {
    match cli.command {
        Command::Resample(args) => resample::run(&args),
        Command::Info(args) => info::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => completions::man(&args),
    }
}
