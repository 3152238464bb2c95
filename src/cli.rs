//! The command line: arguments as typed, the job they resolve to, and what is printed.
//!
//! stdout carries the answer of a command, stderr everything else. The only place in the crate that prints.

use std::process::ExitCode;

use clap::{
    ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand,
    error::{ContextKind, ContextValue},
    parser::ValueSource,
};

use reslice::error::{Error, Result};

mod answer;
mod args;
mod batch;
mod compare;
mod completions;
mod demo;
mod escape;
mod forecast;
mod habits;
mod info;
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
mod view;
mod words;

pub use args::ResampleArgs;

/// Streaming, out-of-core resampling of huge 3-D volumes in a fixed amount of memory.
#[derive(Debug, Parser)]
#[command(name = "reslice", version, max_term_width = 120)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const RESAMPLE_EXAMPLES: &str = "\
Examples:
  reslice resample scan.nii.gz fine.nii.gz --spacing 0.4
  reslice resample scan.nii.gz small.ome.zarr --scale 0.5 --antialias
  reslice resample labels.nii.gz onto.nii.gz --like scan.nii.gz --interp nearest
  reslice resample moving.nii.gz moved.nii.gz --like fixed.nii.gz --transform 0GenericAffine.mat
  reslice resample huge.ome.zarr iso.ome.zarr --isotropic --memory 2GiB --dry-run
  reslice resample scan.nii.gz fine.nii.gz --spacing 0.4 --report fine.html
  reslice resample s3://bucket/huge.ome.zarr/1 part.nii.gz --region 0:200,0:200,0:100";

const BATCH_EXAMPLES: &str = "\
Examples:
  printf 'input\\toutput\\tinterp\\na.nii.gz\\ta_1mm.nii.gz\\t\\nlabels.nii.gz\\tlabels_1mm.nii.gz\\tnearest\\n' > jobs.tsv
  reslice batch jobs.tsv --spacing 1 --memory 4GiB
  reslice batch jobs.tsv --spacing 1 --keep-going --summary done.json";

#[derive(Debug, Subcommand)]
enum Command {
    /// Resample a volume to another spacing, size or grid.
    ///
    /// Without a grid option the grid stays: a conversion of format, chunking or sample type. Triples follow the file's own
    /// axes i,j,k (x,y,z of an OME-Zarr), after --orient the new ones; one number stands for all three. Sizes in bytes take
    /// K, M, G, KiB, MiB, GiB.
    #[command(after_long_help = RESAMPLE_EXAMPLES)]
    Resample(Box<ResampleArgs>),
    /// Add coarser levels to an OME-Zarr image, in place.
    ///
    /// Each level is made from the stored level above it; axes with a step of at most 1.5 times the smallest are halved. The
    /// image names its new levels when they are complete, and not before.
    Pyramid(pyramid::PyramidArgs),
    /// Say what a file is: geometry, samples, chunks, sizes, and what reading it would cost.
    Info(info::InfoArgs),
    /// Compare two volumes: geometry and voxels; exit code 1 if voxels differ, 2 on trouble.
    ///
    /// Real values are compared (slopes applied), voxel by voxel, in bounded memory. Exit code 0: no voxel differs by more
    /// than the tolerance; 1: some do, or the numbers of voxels differ; 2: trouble. Other geometry is told, and does not
    /// change the exit code.
    Compare(compare::CompareArgs),
    /// Say where transforms send points.
    ///
    /// Copies a table to stdout with its points sent from target world to source world, as resampling looks things up and as
    /// antsApplyTransformsToPoints does. Points are RAS mm; with --lps they are ITK's.
    Points(points::PointsArgs),
    /// Make a page for a browser of one or two volumes: pictures in three planes, grids in words, values.
    ///
    /// With two, B is shown over A at the same places. Reads what the pictures need: of chunked images some chunks, of images with levels a level that
    /// suits, of gzip streams all. `resample --report` makes such a page of a run, with memory and time.
    Report(report::ReportArgs),
    /// Say whether a file is complete: every chunk there, decodable, of the right size; exit code 1 if not.
    ///
    /// Reads all of an OME-Zarr image with its levels and labels, one level, an array, a plate, or a NIfTI file, in bounded
    /// memory, and goes on after what is broken. Exit code 0: complete; 1: something is wrong; 2: it cannot be opened.
    Verify(verify::VerifyArgs),
    /// Say how far a target is, and which runs work on it; exit code 1 if it is not complete.
    ///
    /// Reads the notes of runs in NAME.reslice, or of an object store. Exit code 0: complete; 1: unfinished or absent; 2: trouble.
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
    View(view::ViewArgs),
    /// Write a small synthetic scan, resample it under 64 MiB, and say what to try next.
    Demo(demo::DemoArgs),
    /// Write a completion script for a shell.
    Completions(completions::CompletionsArgs),
    /// Write the manual page, in roff.
    Man(completions::ManArgs),
}

/// Tells a library's panic about a thread that the system did not grant as an error, and ends with exit code 1.
fn tell_of_threads() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>().map_or("", String::as_str);
        if text.contains("spawn") && text.contains("thread") {
            let source = std::io::Error::other(text.to_string());
            messages::error(&Error::Threads { what: "a library", source });
            std::process::exit(1);
        }
        before(panic);
    }));
}

/// Parses, runs, prints errors; the exit code of the process.
pub fn main() -> ExitCode {
    tell_of_threads();
    let parsed = Cli::command().try_get_matches().and_then(|typed| Ok((Cli::from_arg_matches(&typed)?, typed)));
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

/// Prints help and version, or refuses arguments with what was probably meant; the exit code.
fn refused(mut error: clap::Error) -> ExitCode {
    let typed: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let answer = || habits::answer(&typed, &options_of(typed.first()?));
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
    match cli.command {
        Command::Resample(args) => resample::run(&args, named(typed)),
        Command::Pyramid(args) => pyramid::run(&args, &named(typed)),
        Command::Info(args) => info::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Points(args) => points::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Batch(args) => batch::run(&args, typed),
        Command::View(args) => view::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => completions::man(&args),
    }
}

/// The options of the command that stand on the command line.
fn named(typed: &ArgMatches) -> Vec<String> {
    let Some((_, typed)) = typed.subcommand() else { return Vec::new() };
    let is_typed =
        |id: &str| typed.try_contains_id(id).is_ok() && typed.value_source(id) == Some(ValueSource::CommandLine);
    let ids = typed.ids().map(clap::Id::as_str).filter(|id| is_typed(id));
    ids.map(|id| id.replace('_', "-")).collect()
}
