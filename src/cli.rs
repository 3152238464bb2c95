//! The command line: arguments as typed, the job they resolve to, and what is printed.
//!
//! stdout carries the answer of a command, stderr everything else. The only place in the crate that prints.

use std::{ffi::OsString, process::ExitCode};

use clap::{
    ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};

use reslice::error::{Error, Result};

mod answer;
mod args;
mod batch;
#[cfg(feature = "python")]
pub(crate) mod called;
mod compare;
mod completions;
mod demo;
mod escape;
mod forecast;
mod habits;
mod info;
mod man;
mod messages;
mod parse;
mod pictures;
mod points;
mod progress;
mod pyramid;
mod rank;
mod remarks;
mod report;
mod resample;
mod status;
mod summary_place;
mod tell;
mod verify;
mod version;
mod view;
mod words;

pub(crate) use args::ResampleArgs;
use progress::ProgressArg;

/// Streaming, out-of-core resampling of huge 3-D volumes in a fixed amount of memory.
#[derive(Debug, Parser)]
#[command(name = "reslice", version, max_term_width = 120, after_help = FIRST_EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

const FIRST_EXAMPLES: &str = "\
Examples:
  reslice demo
  reslice info scan.nii.gz
  reslice resample scan.nii.gz fine.nii.gz --spacing 0.4
reslice COMMAND --help has the options of a command.";

const RESAMPLE_EXAMPLES: &str = "\
Examples:
  reslice resample scan.nii.gz fine.nii.gz --spacing 0.4
  reslice resample scan.nii.gz small.ome.zarr --scale 0.5 --antialias
  reslice resample labels.nii.gz onto.nii.gz --like scan.nii.gz --interp label
  reslice resample moving.nii.gz moved.nii.gz --like fixed.nii.gz --transform 0GenericAffine.mat
  reslice resample huge.ome.zarr iso.ome.zarr --isotropic --memory 2GiB --dry-run
  reslice resample scan.nii.gz fine.nii.gz --spacing 0.4 --report fine.html
  reslice resample s3://bucket/huge.ome.zarr/1 part.nii.gz --region 0:200,0:200,0:100";

const RESAMPLE_SHORT: &str = "\
Examples:
  reslice resample scan.nii.gz fine.nii.gz --spacing 0.4
  reslice resample labels.nii.gz onto.nii.gz --like scan.nii.gz --interp label
  reslice resample moving.nii.gz moved.nii.gz --like fixed.nii.gz --transform 0GenericAffine.mat
  reslice resample huge.ome.zarr iso.ome.zarr --isotropic --memory 2GiB --dry-run
--help has all options.";

const BATCH_EXAMPLES: &str = "\
Examples:
  printf 'input\\toutput\\tinterp\\n' > jobs.tsv
  printf 'a.nii.gz\\ta_1mm.nii.gz\\t\\n' >> jobs.tsv
  printf 'labels.nii.gz\\tlabels_1mm.nii.gz\\tlabel\\n' >> jobs.tsv
  reslice batch jobs.tsv --spacing 1 --memory 4GiB
  reslice batch jobs.tsv --spacing 1 --keep-going --summary done.json";

const PYRAMID_EXAMPLES: &str = "\
Examples:
  reslice pyramid image.ome.zarr
  reslice pyramid labels.ome.zarr --method mode --levels 3 --memory 2GiB";

const INFO_EXAMPLES: &str = "\
Examples:
  reslice info scan.nii.gz
  reslice info s3://bucket/image.ome.zarr --json";

const COMPARE_EXAMPLES: &str = "\
Examples:
  reslice compare before.nii.gz after.ome.zarr
  reslice compare a.nii.gz b.nii.gz --tolerance 1 --json";

const POINTS_EXAMPLES: &str = "\
Examples:
  reslice points points.csv --transform 1Warp.nii.gz --transform 0GenericAffine.mat --lps
  reslice points points.csv --transform flirt.mat --source moving.nii.gz --target fixed.nii.gz";

const REPORT_EXAMPLES: &str = "\
Examples:
  reslice report scan.nii.gz fine.nii.gz --report both.html
  reslice report labels.nii.gz --report labels.html --report-json labels.json";

const VIEW_EXAMPLES: &str = "\
Examples:
  reslice view image.ome.zarr
  reslice view scan.nii.gz";

const VERIFY_EXAMPLES: &str = "\
Examples:
  reslice verify image.ome.zarr
  reslice verify image.ome.zarr --all --json";

const STATUS_EXAMPLES: &str = "\
Examples:
  reslice status fine.ome.zarr
  until reslice status fine.ome.zarr; do sleep 60; done";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  reslice completions bash > ~/.local/share/bash-completion/completions/reslice
  reslice completions zsh > ~/.zfunc/_reslice
  reslice completions fish > ~/.config/fish/completions/reslice.fish";

#[derive(Debug, Subcommand)]
enum Command {
    /// Resample a volume to another spacing, size or grid.
    ///
    /// Without a grid option the grid stays: a conversion of format, chunking or sample type. Triples follow the file's own
    /// axes i,j,k (x,y,z of an OME-Zarr), after --orient the new ones; one number stands for all three. Sizes in bytes take
    /// K, M, G, KiB, MiB, GiB.
    #[command(after_help = RESAMPLE_SHORT, after_long_help = RESAMPLE_EXAMPLES)]
    Resample(Box<ResampleArgs>),
    /// Add coarser levels to an OME-Zarr image, in place.
    ///
    /// Each level is made from the stored level above it; axes with a step of at most 1.5 times the smallest are halved. The
    /// image names its new levels when they are complete, and not before.
    #[command(after_help = PYRAMID_EXAMPLES)]
    Pyramid(pyramid::PyramidArgs),
    /// Say what a file is: geometry, samples, chunks, sizes, and what reading it would cost.
    #[command(after_help = INFO_EXAMPLES)]
    Info(info::InfoArgs),
    /// Compare two volumes: geometry and voxels; exit code 1 if voxels differ, 2 on trouble.
    ///
    /// Real values are compared (slopes applied), voxel by voxel, in bounded memory. Exit code 0: no voxel differs by more
    /// than the tolerance; 1: some do, or the numbers of voxels differ; 2: trouble. Other geometry is told, and does not
    /// change the exit code.
    #[command(after_help = COMPARE_EXAMPLES)]
    Compare(compare::CompareArgs),
    /// Say where transforms send points.
    ///
    /// Copies a table to stdout with its points sent from target world to source world, as resampling looks things up and as
    /// antsApplyTransformsToPoints does. Points are RAS mm; with --lps they are ITK's.
    #[command(after_help = POINTS_EXAMPLES)]
    Points(points::PointsArgs),
    /// Make a page for a browser of one or two volumes: pictures in three planes, grids in words, values.
    ///
    /// With two, B is shown over A at the same places. Reads what the pictures need: of chunked images some chunks, of images with levels a level that
    /// suits, of gzip streams all. `resample --report` makes such a page of a run, with memory and time.
    #[command(after_help = REPORT_EXAMPLES)]
    Report(report::ReportArgs),
    /// Say whether a file is complete: every chunk there, decodable, of the right size; exit code 1 if not.
    ///
    /// Reads all of an OME-Zarr image with its levels and labels, one level, an array, a plate, or a NIfTI file, in bounded
    /// memory, and goes on after what is broken. Exit code 0: complete; 1: something is wrong; 2: it cannot be opened.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(verify::VerifyArgs),
    /// Say how far a target is, and which runs work on it; exit code 1 if it is not complete.
    ///
    /// Reads the notes of runs in NAME.reslice, or of an object store. Exit code 0: complete; 1: unfinished or absent; 2: trouble.
    #[command(after_help = STATUS_EXAMPLES)]
    Status(status::StatusArgs),
    /// Resample many volumes, listed in a table, in one process and one budget.
    ///
    /// Small jobs run side by side, large ones in turn with all threads; all within --memory. Options on the command line are for
    /// every row, and a row's cell wins. Every row is read, and every source opened, before the first job begins. Exit code 1: a
    /// job failed; 75: stopped, and some jobs were left.
    #[command(after_long_help = BATCH_EXAMPLES)]
    Batch(Box<batch::BatchArgs>),
    /// Serve a volume to viewers in a browser on this machine, and print their links.
    ///
    /// Neuroglancer and napari for OME-Zarr, niivue for NIfTI. The server listens on 127.0.0.1, has nothing but this volume, and ends with Ctrl-C.
    #[command(after_help = VIEW_EXAMPLES)]
    View(view::ViewArgs),
    /// Write a small synthetic scan, resample it under 64 MiB, and say what to try next.
    Demo(demo::DemoArgs),
    /// Write a completion script for a shell.
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions(completions::CompletionsArgs),
    /// Write the manual page, in roff.
    Man(man::ManArgs),
}

/// Tells a panic about a thread that the system did not grant as an error, and ends with exit code 1.
fn tell_of_threads() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>().map_or("", String::as_str);
        // Within a limit of address space a thread that was started may still get no stack for signals.
        if text.contains("spawn") && text.contains("thread") || text.contains("an alternative stack") {
            let source = std::io::Error::other(text.to_string());
            messages::error(&Error::Threads { what: "a library", source });
            std::process::exit(1);
        }
        before(panic);
    }));
}

/// Parses, runs, prints errors; the exit code of the process.
// Where the library has the command in itself, the program takes it from there.
#[allow(unreachable_pub)]
pub fn main() -> ExitCode {
    tell_of_threads();
    if version::is_asked_for(words().into_iter()) {
        return answer::line(&version::at_length()).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let words = std::iter::once(OsString::from("reslice")).chain(words());
    let parsed =
        Cli::command().try_get_matches_from(words).and_then(|typed| Ok((Cli::from_arg_matches(&typed)?, typed)));
    let (cli, typed) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return refused(error),
    };
    match run(cli, &typed) {
        Ok(code) => code,
        Err(error) => {
            messages::error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// What was typed behind the name of the program.
fn words() -> Vec<OsString> {
    #[cfg(feature = "python")]
    if let Some(words) = called::words() {
        return words;
    }
    std::env::args_os().skip(1).collect()
}

fn words_as_text() -> Vec<String> {
    words().iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Prints help and version, or refuses arguments with what was probably meant; the exit code.
fn refused(mut error: clap::Error) -> ExitCode {
    let typed = words_as_text();
    let surplus = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(word))) => Some(word.clone()),
        _ => None,
    };
    let answer = || {
        let command = typed.first()?;
        let answer = habits::answer(&typed, &options_of(command));
        let answer =
            answer.or_else(|| (error.kind() == ErrorKind::InvalidSubcommand).then(|| habits::no_command(command)));
        answer.or_else(|| habits::too_many(command, surplus.as_deref()?))
    };
    if error.use_stderr()
        && let Some(habits::Answer { what, hint }) = answer()
    {
        messages::error(&Error::usage_hint(what, hint));
        return ExitCode::from(2);
    }
    // The advice to put `--` before an unknown option makes a file of it.
    error.remove(ContextKind::Suggested);
    if let (Some(ContextValue::String(typed)), Some(ContextValue::String(ours))) =
        (error.get(ContextKind::InvalidArg), error.get(ContextKind::SuggestedArg))
        && !habits::is_near(typed, ours)
    {
        error.remove(ContextKind::SuggestedArg);
    }
    // clap knows where each belongs. A closed pipe is nobody's concern.
    match error.use_stderr() && typed.iter().any(|word| word.contains(escape::is_control)) {
        true => messages::note(error.to_string().trim_end()),
        false => drop(error.print()),
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

/// The options of a command, without the dashes.
fn options_of(command: &str) -> Vec<String> {
    let cli = Cli::command();
    let options = cli.find_subcommand(command).map(|command| command.get_arguments());
    options.into_iter().flatten().filter_map(|option| option.get_long().map(String::from)).collect()
}

fn run(cli: Cli, typed: &ArgMatches) -> Result<ExitCode, Error> {
    if shows_json(typed) {
        messages::for_programs();
    }
    match cli.command {
        Command::Resample(args) => resample::run(&args, named(typed)),
        Command::Pyramid(args) => pyramid::run(&args, &named(typed)),
        Command::Info(args) => info::run(&args, &named(typed)),
        Command::Compare(args) => compare::run(&args),
        Command::Points(args) => points::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Batch(args) => batch::run(&args, typed),
        Command::View(args) => view::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

/// Whether progress is to be shown as JSON.
fn shows_json(typed: &ArgMatches) -> bool {
    let shown = typed.subcommand().and_then(|(_, typed)| typed.try_get_one::<ProgressArg>("progress").ok().flatten());
    shown == Some(&ProgressArg::Json)
}

/// The options of the command that stand on the command line.
fn named(typed: &ArgMatches) -> Vec<String> {
    let Some((_, typed)) = typed.subcommand() else { return Vec::new() };
    let is_typed =
        |id: &str| typed.try_contains_id(id).is_ok() && typed.value_source(id) == Some(ValueSource::CommandLine);
    let ids = typed.ids().map(clap::Id::as_str).filter(|id| is_typed(id));
    ids.map(|id| id.replace('_', "-")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands among the examples of a help text.
    fn examples(help: &str) -> Vec<Vec<&str>> {
        let commands = help.lines().filter_map(|line| line.strip_prefix("  reslice "));
        commands.map(|line| line.split(" > ").next().unwrap_or(line).split(' ').collect()).collect()
    }

    #[test]
    fn every_example_of_the_help_is_a_command() {
        let mut command = Cli::command();
        command.build();
        let with_help = std::iter::once(&command).chain(command.get_subcommands());
        let mut count = 0;
        for described in with_help.filter(|described| !["help", "demo", "man"].contains(&described.get_name())) {
            for help in [described.get_after_help(), described.get_after_long_help()].into_iter().flatten() {
                let help = help.to_string();
                assert!(!examples(&help).is_empty(), "{}: {help}", described.get_name());
                for words in examples(&help) {
                    count += 1;
                    let typed = std::iter::once("reslice").chain(words);
                    assert!(Cli::try_parse_from(typed.clone()).is_ok(), "{:?}", typed.collect::<Vec<_>>());
                }
            }
            assert!(
                described.get_after_help().or(described.get_after_long_help()).is_some(),
                "{}",
                described.get_name()
            );
        }
        assert!(count >= 25, "{count} examples");
    }
}
