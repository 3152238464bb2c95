//! `reslice status`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{answer, messages};
use reslice::{
    error::Result,
    job::{Found, Status, status},
};

/// Exit code where nothing can be told: 1 is the answer that the target is not complete.
const TROUBLE: u8 = 2;
/// Characters of a property of a job that are shown.
const SHOWN: usize = 120;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The target of a job, as it was given to resample: .nii.gz, .nrrd, .zarr or another
    pub target: PathBuf,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Tell all that decides the bytes of the target
    #[arg(short, long)]
    pub verbose: bool,
}

/// Prints how far a target is; exit code 1 where it is not complete.
pub(super) fn run(args: &StatusArgs) -> Result<ExitCode> {
    let found = match status(&args.target) {
        Ok(found) => found,
        Err(error) => {
            messages::error(&error);
            return Ok(ExitCode::from(TROUBLE));
        }
    };
    if args.json {
        answer::json(&found)?;
    } else {
        answer::line(&text(&found, args.verbose))?;
    }
    Ok(ExitCode::from(u8::from(found.state != Found::Finished)))
}

fn text(found: &Status, verbose: bool) -> String {
    let Status { target, state, stored, ranks, runs, job } = found;
    let mut lines = vec![match (state, stored) {
        (Found::Finished, _) => format!("{target}: finished"),
        (Found::Absent, _) => format!("{target}: nothing is there, and no work on it"),
        (Found::Unfinished, Some(part)) => format!("{target}: unfinished, {:.1} % stored", 100.0 * part),
        (Found::Unfinished, None) => format!("{target}: unfinished"),
    }];
    let properties = ["target grid", "interpolation"];
    for (name, value) in job.iter().filter(|(name, _)| verbose || properties.contains(&name.as_str())) {
        let value = if verbose { value } else { value.split(", index to world ").next().unwrap_or(value) };
        let shown: String = value.chars().take(if verbose { usize::MAX } else { SHOWN }).collect();
        lines.push(format!("  {name}: {shown}"));
    }
    lines.extend(ranks.map(|ranks| format!("  cut into {ranks} shares")));
    for run in runs {
        let state = if run.is_alive { "at work" } else { "ended" };
        lines.push(format!("  share {}, {state}: {run}", run.share));
    }
    if *state == Found::Unfinished && !runs.iter().any(|run| run.is_alive) {
        lines.push("  no run is at work: the same command with --resume continues it".into());
    }
    lines.join("\n")
}
