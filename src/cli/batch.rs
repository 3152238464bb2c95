//! `reslice batch`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Mutex, PoisonError, atomic::Ordering},
};

use clap::{ArgMatches, Args};
use serde_json::json;

use super::{
    answer,
    args::{GridArgs, RunArgs, TargetArgs, ValueArgs},
    messages,
    parse::DryRun,
    progress::{self, Display, ProgressArg, Step},
    resample::budget,
    summary_place::{Kept, SummaryPlace},
    tell, words,
};
use reslice::{
    error::{Error, Result},
    job::{Batch, Event, Forecast, Jobs as _, Outcome, files},
    sys,
};

mod finished;
mod report;
mod rows;
mod table;
mod targets;

use finished::{Finished, Record};
use report::BatchReport;
use rows::{Jobs, Options};
use table::Table;

/// Exit code where a stop signal left jobs undone.
const STOPPED: u8 = 75;

#[derive(Debug, Args)]
pub(super) struct BatchArgs {
    /// Tab-separated table with a header: columns input, output and any option of resample but those under Run, by its name
    /// without the dashes. An empty cell leaves the option as it stands on the command line, or out; flags take true or false
    pub jobs: PathBuf,
    /// Go on after a job that fails
    #[arg(long)]
    pub keep_going: bool,
    #[command(flatten)]
    pub grid: GridArgs,
    #[command(flatten)]
    pub values: ValueArgs,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub run: RunArgs,
}

/// `typed` is the whole command line.
pub(super) fn run(args: &BatchArgs, typed: &ArgMatches) -> Result<ExitCode> {
    let (memory_bytes, threads) = budget(&args.run);
    let table = Table::read(&args.jobs, memory_bytes)?;
    let (_, typed) = typed.subcommand().ok_or_else(|| Error::usage("there is no command"))?;
    let (options, finished) = (Options::new(typed), Finished::of_table(&args.jobs, memory_bytes)?);
    let jobs = Jobs::new(&table, &options, &finished, (memory_bytes, threads))?;
    if !args.run.quiet && !args.run.resume && finished.count() > 0 {
        let (path, count) = (finished.path().display(), report::counted(finished.count(), "target"));
        let text = format!("{path} names {count} that an earlier run has finished; --resume passes over them");
        messages::remark_of("", &text);
    }
    targets::check(&table, &jobs)?;
    jobs.refuse_idle()?;
    let summary = SummaryPlace::check(args.run.summary.as_deref(), kept(&args.jobs, &finished, &jobs))?;
    let batch = Batch { jobs: &jobs, memory_bytes, threads, keep_going: args.keep_going };
    if !args.keep_going {
        let row = |(n, error): (usize, Error)| Error::Row {
            table: table.path.clone(),
            line: table.line(n),
            source: Box::new(error),
        };
        batch.check().map_err(row)?;
    }
    match args.run.dry_run {
        Some(how) => forecast(&batch, &jobs, how),
        None => {
            let teller = BatchReport::new(&jobs, &args.run, memory_bytes, summary)?;
            execute(&batch, &jobs, (&args.run, Record::of_table(&args.jobs)), teller)
        }
    }
}

/// What a summary must not be written to.
fn kept<'a>(table: &Path, finished: &Finished, jobs: &'a Jobs<'_>) -> impl Iterator<Item = Kept> + use<'a> {
    let own = [("the table", table.to_path_buf()), ("the list of finished targets", finished.path().to_path_buf())];
    own.into_iter()
        .chain((0..jobs.len()).filter_map(|n| jobs.request(n).ok()).flat_map(|request| files(&request, None)))
}

fn execute(
    batch: &Batch<'_>,
    jobs: &Jobs<'_>,
    (args, mut record): (&RunArgs, Record),
    mut teller: BatchReport<'_>,
) -> Result<ExitCode> {
    sys::outlive_terminal();
    let kind = match args.progress {
        // A bar and the lines of jobs that end would overwrite each other.
        ProgressArg::Auto | ProgressArg::Bar => ProgressArg::Lines,
        other => other,
    };
    let display = Mutex::new(Display::new(kind, args.quiet));
    let on_event = |n: usize, event: Event<'_>| match event {
        Event::Progress { kind, progress, pass, passes } => {
            let mut display = display.lock().unwrap_or_else(PoisonError::into_inner);
            if display.is_due(progress.blocks_done == progress.blocks) {
                let name = format!("{}, {}", report::name(jobs, n), progress::name(kind));
                let step = Step { name: &name, unit: "blocks", done: progress.blocks_done, of: progress.blocks };
                let json = json!({
                    "job": n + 1,
                    "pass": progress::name(kind),
                    "pass_number": pass + 1,
                    "passes": passes,
                    "progress": progress
                });
                display.show(&step, &progress::figures(progress), &json);
            }
        }
        Event::Cleared(folder) if !args.quiet => {
            messages::note(&format!("cleared {}, left by a run that did not end", folder.display()));
        }
        Event::Planned(summary) if args.verbose => messages::note(&tell::plan(summary)),
        Event::Resumed(summary) if !args.quiet => tell::resumed(summary).iter().for_each(|line| messages::note(line)),
        Event::Begin(_) | Event::Cleared(_) | Event::Planned(_) | Event::Resumed(_) => {}
    };
    batch.run(sys::stop_flag(), &on_event, &mut |n, outcome| {
        if let Outcome::Done(summary) = &outcome {
            record.note(Path::new(&jobs.output(n)), &summary.fingerprint);
        }
        teller.ended(n, &outcome);
    });
    if teller.failed == 0 && !teller.is_incomplete() && !args.resume {
        record.forget();
    }
    teller.finish()?;
    let stopped = sys::stop_flag().load(Ordering::Relaxed) && teller.is_incomplete();
    Ok(match teller.failed {
        _ if stopped => ExitCode::from(STOPPED),
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Plans, a line each or as JSON.
fn forecast(batch: &Batch<'_>, jobs: &Jobs<'_>, how: DryRun) -> Result<ExitCode> {
    let mut failed = 0;
    let mut before = "[";
    let mut dry_runs = batch.dry_runs();
    for n in 0..jobs.len() {
        if sys::stop_flag().load(Ordering::Relaxed) {
            return Ok(ExitCode::from(STOPPED));
        }
        match dry_runs.forecast(n) {
            Ok(Forecast { summary, beside }) if how == DryRun::Json => {
                let summary = answer::to_json(&json!({"job": n + 1, "beside_others": beside, "summary": summary}))?;
                answer::json_part(&format!("{before}{summary}"))?;
                before = ",";
            }
            Ok(forecast) => answer::line(&format!("{}: {}", report::name(jobs, n), planned(&forecast)))?,
            Err(error) if batch.keep_going => {
                messages::error_of(&format!("{}: ", report::name(jobs, n)), &error);
                failed += 1;
            }
            Err(error) => {
                let (n, error) = dry_runs.most_demanding(n, error);
                messages::error_of(&format!("{}: ", report::name(jobs, n)), &error);
                return Ok(ExitCode::from(error.exit_code()));
            }
        }
    }
    if how == DryRun::Json {
        answer::line(if before == "[" { "[]" } else { "]" })?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn planned(Forecast { summary, beside }: &Forecast) -> String {
    let blocks: u64 = summary.passes.iter().map(|pass| pass.plan.blocks).sum();
    let workers = summary.passes.iter().map(|pass| pass.plan.workers.count).max().unwrap_or(0);
    format!(
        "{}, {}, {} {}, {} projected",
        report::grids(summary),
        report::counted(blocks as usize, "block"),
        report::counted(workers, "worker"),
        if *beside { "beside other jobs" } else { "alone" },
        words::bytes(summary.projected_bytes())
    )
}
