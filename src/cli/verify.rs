//! `reslice verify`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use serde_json::json;

use super::{
    answer, messages,
    parse::Size,
    progress::{Display, ProgressArg, Step},
    words,
};
use reslice::{
    error::{Error, Result},
    sys,
    verify::{ArrayReport, Problem, Progress, Report, Request, verify},
};

/// Exit code where nothing could be verified: 1 is the answer that something is wrong.
const TROUBLE: u8 = 2;
/// Problems that are told without `--all`.
const FIRST_PROBLEMS: usize = 20;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// NIfTI file, or Zarr folder: an image with all its levels and labels, one level, an array, a plate
    pub file: PathBuf,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Tell all problems, not only the first 20
    #[arg(long)]
    pub all: bool,
    /// Ceiling of the resident memory of the whole process, such as 512MiB; default: half of what the job may use
    #[arg(long, value_name = "SIZE", env = "RESLICE_MEMORY")]
    pub memory: Option<Size>,
    /// Threads; default: the CPUs this process may use
    #[arg(long, value_name = "N", env = "RESLICE_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// How to show progress on stderr
    #[arg(long, value_enum, default_value_t = ProgressArg::Auto)]
    pub progress: ProgressArg,
    /// Say nothing on stderr but errors
    #[arg(short, long)]
    pub quiet: bool,
}

/// Verifies, and prints what was found; exit code 1 where something is wrong.
pub(super) fn run(args: &VerifyArgs) -> Result<ExitCode> {
    match answered(args) {
        Ok(ok) => Ok(ExitCode::from(u8::from(!ok))),
        Err(stopped @ Error::Stopped { .. }) => Err(stopped),
        Err(error) => {
            messages::error(&error);
            Ok(ExitCode::from(TROUBLE))
        }
    }
}

fn answered(args: &VerifyArgs) -> Result<bool> {
    let request = Request {
        file: args.file.clone(),
        memory_bytes: args.memory.map_or_else(|| sys::memory_limit().bytes / 2, |size| size.0),
        threads: args.threads.map_or_else(sys::threads, usize::from),
        most_problems: if args.all { usize::MAX } else { FIRST_PROBLEMS },
    };
    sys::set_budget(request.memory_bytes);
    let mut display = Display::new(args.progress, args.quiet);
    let report = verify(&request, sys::stop_flag(), |progress| show(&mut display, progress));
    display.finish();
    let report = report?;
    if args.json {
        answer::json(&report)?;
    } else {
        answer::line(&text(&report))?;
    }
    Ok(report.ok)
}

fn show(display: &mut Display, progress: &Progress) {
    if !display.is_due(progress.chunks > 0 && progress.chunks_done == progress.chunks) {
        return;
    }
    let name = if progress.array.is_empty() { "verify" } else { &progress.array };
    let step = Step { name, unit: "chunks", done: progress.chunks_done, of: progress.chunks };
    let rate = progress.decoded_bytes as f64 / progress.seconds.max(1e-9);
    let figures = format!(
        "{} read, {}/s decoded, {} bad, {} resident",
        words::bytes(progress.stored_bytes),
        words::bytes(rate as u64),
        progress.bad,
        words::bytes(sys::resident().now_bytes)
    );
    display.show(&step, &figures, &json!({"pass": "verify", "progress": progress}));
}

fn text(report: &Report) -> String {
    let mut lines = vec![format!("file      {} ({})", report.file, report.format)];
    lines.extend(report.problems.iter().map(problem));
    for array in &report.arrays {
        lines.push(self::array(array));
        lines.extend(array.problems.iter().map(problem));
    }
    let told = report.problems.len() + report.arrays.iter().map(|array| array.problems.len()).sum::<usize>();
    let untold = report.problem_count - told as u64;
    if untold > 0 {
        lines.push(format!("          and {untold} more problems; --all tells them"));
    }
    if report.stray_files > 0 {
        let named = printable(&report.strays.join(", "));
        lines.push(format!("strays    {} files belong to no array and no metadata: {named}", report.stray_files));
    }
    lines.extend(report.notes.iter().map(|note| format!("note      {}", printable(note))));
    let verdict = match (report.ok, report.problem_count) {
        (true, _) if report.empty => "empty     no chunk is there: every voxel is read as the fill value".to_string(),
        (true, _) => "complete".to_string(),
        (false, 1) => "damaged   1 problem".into(),
        (false, count) => format!("damaged   {count} problems"),
    };
    let (peak, memory) = (words::bytes(report.peak_bytes), words::bytes(report.memory_bytes));
    lines.push(format!("{verdict}, in {:.2} s, peak memory {peak} of {memory}", report.seconds));
    lines.join("\n")
}

fn array(array: &ArrayReport) -> String {
    let mut parts = vec![format!("{} whole", array.present)];
    match array.expected_missing {
        Some(expected) if array.missing == expected && expected > 0 => {
            parts.push(format!("{expected} left out on purpose"));
        }
        Some(expected) if array.missing > 0 => parts.push(format!("{} missing ({expected} expected)", array.missing)),
        None if array.missing > 0 => parts.push(format!("{} missing", array.missing)),
        _ => {}
    }
    if array.bad > 0 {
        parts.push(format!("{} bad", array.bad));
    }
    format!(
        "{:<9} {} {}: {}; {} stored, {} decoded; {}",
        if array.path.is_empty() { "array" } else { &array.path },
        array.chunks,
        if array.chunks == 1 { "chunk" } else { "chunks" },
        parts.join(", "),
        words::bytes(array.stored_bytes),
        words::bytes(array.decoded_bytes),
        array.storage
    )
}

fn problem(problem: &Problem) -> String {
    let mut place = problem.chunk.clone().unwrap_or_default();
    if let Some(index) = problem.index.as_ref().filter(|_| !place.contains(" inner ")) {
        place = format!("{place} {index:?}").trim_start().to_string();
    }
    if let Some(stored_bytes) = problem.stored_bytes {
        place += &format!(" ({stored_bytes} stored bytes)");
    }
    let colon = if place.is_empty() { "" } else { ": " };
    printable(&format!("  wrong   {place}{colon}{}", problem.what))
}

/// Names and messages come from files: what would steer a terminal is taken out.
fn printable(text: &str) -> String {
    text.replace(|c: char| c.is_control(), "\u{fffd}")
}
