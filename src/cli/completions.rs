//! `reslice completions`.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, answer};
use reslice::error::Result;

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell to write completions for
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the completions of one shell.
pub(super) fn run(args: &CompletionsArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "reslice", &mut script);
    answer::bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}
