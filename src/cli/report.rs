//! `reslice report`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{args::IoArg, parse::Size, pictures::PictureArgs, words_as_text};
use reslice::{
    error::Result,
    report::{self, Volumes},
    sys,
};

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// Any file that resample reads: the one before, or the only one
    pub a: PathBuf,
    /// The one after, shown over the other at the same places
    pub b: Option<PathBuf>,
    #[command(flatten)]
    pub files: FileArgs,
    /// Ceiling of the resident memory of the whole process, such as 512MiB; default: half of what the job may use
    #[arg(long, value_name = "SIZE", env = "RESLICE_MEMORY")]
    pub memory: Option<Size>,
    /// How uncompressed files are read
    #[arg(long, value_enum, default_value_t = IoArg::Auto)]
    pub io: IoArg,
    /// Say nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// The page; default: report.html in this folder
    #[arg(long, value_name = "FILE.html", default_value = "report.html")]
    pub report: PathBuf,
    /// Write the figures of the page to this file, as JSON
    #[arg(long, value_name = "FILE.json")]
    pub report_json: Option<PathBuf>,
}

/// Makes a page of one or two volumes.
pub(super) fn run(args: &ReportArgs) -> Result<ExitCode> {
    let FileArgs { report, report_json } = &args.files;
    let files = PictureArgs { report: Some(report.clone()), report_json: report_json.clone(), preview: None };
    let volumes = [Some(&args.a), args.b.as_ref()].into_iter().flatten();
    files.check(volumes.map(|path| ("a volume that is read", path.clone())).collect())?;
    let request = Volumes {
        a: args.a.clone(),
        b: args.b.clone(),
        memory_bytes: args.memory.map_or_else(|| sys::memory_limit().bytes / 2, |size| size.0),
        io: args.io.into(),
        arguments: words_as_text(),
    };
    sys::tune_allocator(request.memory_bytes);
    files.save(&report::of_volumes(&request, sys::stop_flag())?, args.quiet)?;
    Ok(ExitCode::SUCCESS)
}
