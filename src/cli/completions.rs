//! `reslice completions` and `reslice man`.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, answer};
use reslice::error::{Error, Result};

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell to write completions for
    #[arg(value_enum)]
    pub shell: Shell,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// The command to describe; without, all of reslice
    pub command: Option<String>,
}

/// Prints the completions of one shell.
pub fn run(args: &CompletionsArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "reslice", &mut script);
    answer::bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// The manual page, in roff.
pub fn man(args: &ManArgs) -> Result<ExitCode> {
    let mut command = Cli::command();
    command.build();
    let described = match &args.command {
        None => command,
        Some(name) => match command.find_subcommand(name) {
            Some(found) => found.clone(),
            None => {
                let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
                let hint = format!("the commands are {}", names.join(", "));
                return Err(Error::usage_hint(format!("there is no command '{name}'"), hint));
            }
        },
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(described).render(&mut page).map_err(Error::io("write", "the manual page"))?;
    answer::bytes(&page)?;
    Ok(ExitCode::SUCCESS)
}
