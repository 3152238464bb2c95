//! `reslice man`: manual pages in roff, with the sections that a manual has beside options.

use std::{io::Write, process::ExitCode};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::{Cli, answer};
use reslice::error::{Error, Result};

const EXIT_STATUS: [(&str, &str); 4] = [
    ("0", "Done."),
    ("1", "The run failed. Of compare: voxels differ; of verify: something is wrong; of status: not complete."),
    ("2", "The request makes no sense, and would fail again. Of compare, verify and status: trouble, no answer."),
    ("75", "Stopped by SIGTERM, SIGINT or SIGUSR1. What is done is kept: the same command with --resume continues."),
];
const ENVIRONMENT: [(&str, &str); 6] = [
    ("RESLICE_MEMORY, RESLICE_THREADS", "Stand for --memory and --threads."),
    (
        "RESLICE_RANK, RESLICE_RANKS",
        "Which share --rank auto makes, and of how many; looked for before those of Slurm, Kubernetes and MPI.",
    ),
    ("SLURM_MEM_PER_NODE, SLURM_MEM_PER_CPU", "Limits that --memory is taken from where it is not given."),
    ("SLURM_TMPDIR", "Stands for --scratch."),
    (
        "AWS_..., GOOGLE_..., AZURE_...",
        "Credentials and endpoints of object stores, by their usual names; AWS_SKIP_SIGNATURE=true reads without.",
    ),
    ("NO_COLOR, TERM", "No colours where they say so."),
];
const FILES: [(&str, &str); 2] = [
    (
        "NAME.reslice/",
        "What is done of the target NAME, until it is complete. With --resume a note stays there that says so.",
    ),
    ("TABLE.done", "Targets that an unfinished batch has finished."),
];

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The command to describe; without, all of reslice
    pub command: Option<String>,
}

/// The manual page, in roff.
pub(super) fn run(args: &ManArgs) -> Result<ExitCode> {
    let mut command = Cli::command();
    command.build();
    let described = match &args.command {
        None => command,
        Some(name) => match command.find_subcommand(name) {
            Some(found) => found.clone(),
            None => {
                let names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
                let hint = format!("the commands are {}", names.join(", "));
                return Err(Error::usage_hint(format!("there is no command '{name}'"), hint));
            }
        },
    };
    let mut page = Vec::new();
    write(described, &mut page).map_err(Error::io("write", "the manual page"))?;
    answer::bytes(&page)?;
    Ok(ExitCode::SUCCESS)
}

fn write(command: Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let examples = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
    let has_commands = command.has_subcommands();
    let man = Man::new(command);
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    if has_commands {
        man.render_subcommands_section(page)?;
    }
    terms(page, "EXIT STATUS", &EXIT_STATUS)?;
    terms(page, "ENVIRONMENT", &ENVIRONMENT)?;
    terms(page, "FILES", &FILES)?;
    if let Some(examples) = examples {
        writeln!(page, ".SH EXAMPLES\n.nf")?;
        for line in examples.lines().filter_map(|line| line.strip_prefix("  ")) {
            writeln!(page, "{}", roff(line))?;
        }
        writeln!(page, ".fi")?;
    }
    let pages = ["reslice", "reslice-resample", "reslice-batch", "reslice-pyramid", "reslice-info", "reslice-verify"];
    let pages: Vec<String> = pages.iter().map(|page| format!("\\fB{}\\fR(1)", roff(page))).collect();
    writeln!(page, ".SH \"SEE ALSO\"\n{}", pages.join(", "))
}

/// A section of terms, each with what it means.
fn terms(page: &mut Vec<u8>, name: &str, terms: &[(&str, &str)]) -> std::io::Result<()> {
    writeln!(page, ".SH \"{name}\"")?;
    terms.iter().try_for_each(|(term, text)| writeln!(page, ".TP\n\\fB{}\\fR\n{}", roff(term), roff(text)))
}

/// Text that roff takes as it is.
fn roff(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
