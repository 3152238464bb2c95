//! `reslice pyramid`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{
    answer,
    args::RunArgs,
    forecast, messages,
    parse::{DryRun, LevelsArg},
    progress::Display,
    resample::budget,
    summary_place::SummaryPlace,
    tell, words,
};
use reslice::{
    checkpoint::staging::state_folder,
    error::{Error, Result},
    job::{Event, InPlace, InPlaceRequest, InPlaceSummary},
    resample::Reduction,
    storage::Location,
    sys,
};

#[derive(Debug, Args)]
pub(super) struct PyramidArgs {
    /// OME-Zarr image
    pub store: PathBuf,
    /// How many levels to add; default: until the longest side fits one chunk
    #[arg(long, value_name = "N")]
    pub levels: Option<LevelsArg>,
    /// How they are made: mean, mode (labels), gaussian or stride; default: mode for label images, else mean
    #[arg(long, value_name = "METHOD")]
    pub method: Option<Reduction>,
    /// Replace the levels that the image has below its finest
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub run: RunArgs,
}

/// `named` are the options that stand on the command line.
pub(super) fn run(args: &PyramidArgs, named: &[String]) -> Result<ExitCode> {
    if let Some(option) = named.iter().find(|named| ["scratch", "io"].contains(&named.as_str())) {
        let what =
            format!("--{option} is for uncompressed files and streams, and levels are made from the levels above them");
        return Err(Error::usage_hint(what, "leave it out"));
    }
    let (memory_bytes, threads) = budget(&args.run);
    let store = Location::of(&args.store)?.into_path();
    let kept = [("the store", store.clone()), ("the folder in which the levels are built", state_folder(&store))];
    let summary_place = SummaryPlace::check(args.run.summary.as_deref(), kept)?;
    let image = InPlace::resolve(InPlaceRequest {
        store: args.store.clone(),
        levels: args.levels.and_then(|levels| levels.0),
        method: args.method,
        overwrite: args.overwrite,
        resume: args.run.resume,
        restart: args.run.restart,
        checks_disk: !args.run.no_disk_check,
        memory_bytes,
        threads,
    })?;
    if !args.run.quiet {
        image.summary.warnings.iter().for_each(|warning| messages::warning(warning));
        let disks = image.summary.disks.iter().filter_map(|disk| disk.warning(&args.store));
        disks.for_each(|warning| messages::warning(&warning));
    }
    match args.run.dry_run {
        Some(DryRun::Text) => answer::line(&plan(&image.summary))?,
        Some(DryRun::Json) => answer::json(&told_in_json(&image.summary))?,
        None => execute(image, args, summary_place)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn execute(image: InPlace, args: &PyramidArgs, summary_place: Option<SummaryPlace>) -> Result<()> {
    sys::outlive_terminal();
    let mut display = Display::new(args.run.progress, args.run.quiet);
    let outcome = image.run(sys::stop_flag(), |event| {
        if let Event::Progress { kind, progress, pass, passes } = event {
            display.update((pass, passes), kind, progress);
        }
    });
    display.finish();
    let summary = outcome?;
    summary_place.map_or(Ok(()), |place| place.write(&answer::to_json(&told_in_json(&summary))?))?;
    if !args.run.quiet {
        messages::note(&told(&summary));
    }
    Ok(())
}

/// With all the warnings that were given.
fn told_in_json(summary: &InPlaceSummary) -> InPlaceSummary {
    InPlaceSummary { warnings: messages::with_given(&summary.warnings), ..summary.clone() }
}

fn levels(summary: &InPlaceSummary) -> Vec<String> {
    let times = |numbers: [String; 3]| numbers.join("x");
    let line = |level: &reslice::job::LevelSummary| {
        let spacing = times(level.spacing.map(words::number));
        format!("level {:<4} {} voxels of {spacing}", level.path, times(level.shape.map(|n| n.to_string())))
    };
    summary.levels.iter().map(line).collect()
}

fn plan(summary: &InPlaceSummary) -> String {
    let mut lines =
        vec![format!("store   {}, {} levels by {}", summary.store, summary.levels.len(), summary.method.name())];
    lines.extend(levels(summary));
    lines.extend(forecast::disks(&summary.disks));
    lines.extend(summary.passes.iter().map(|pass| tell::pass(pass, summary.threads)));
    let projected = summary.passes.iter().map(|pass| pass.projected_bytes).max().unwrap_or(0);
    lines.push(format!("memory  {} projected of {}", words::bytes(projected), words::bytes(summary.memory_bytes)));
    lines.join("\n")
}

fn told(summary: &InPlaceSummary) -> String {
    if summary.finished_before {
        return format!("{}: an earlier run has added its levels, nothing was done", summary.store);
    }
    if summary.levels.is_empty() {
        return format!("{}: its longest side fits one chunk, no levels were added", summary.store);
    }
    let done = || summary.passes.iter().filter_map(|pass| pass.done);
    let mut lines = levels(summary);
    lines.push(format!(
        "{}: {} levels in {:.2} s, {} written, peak memory {} of {}",
        summary.store,
        summary.levels.len(),
        done().map(|done| done.seconds).sum::<f64>(),
        words::bytes(done().map(|done| done.bytes_written).sum()),
        words::bytes(summary.peak_bytes),
        words::bytes(summary.memory_bytes)
    ));
    lines.join("\n")
}
