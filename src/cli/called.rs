//! The command for a program that has it in itself, the Python module: its parser and its words without its output, and all of it.

use std::{
    ffi::OsString,
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

use clap::CommandFactory;

use super::{
    Cli, Command, FromArgMatches, habits, named, options_of, parse::Size, pictures::PictureArgs, remarks, resample,
    tell,
};
use reslice::{
    error::{Error, Result},
    job::{Job, Request, Summary, files},
    sys,
};

/// What stands for the words that were typed, where a program called the command.
static WORDS: Mutex<Option<Vec<OsString>>> = Mutex::new(None);

pub(super) fn words() -> Option<Vec<OsString>> {
    WORDS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A job in the words of the command.
pub(crate) struct Asked {
    /// Its memory is 0.
    pub request: Request,
    /// As asked for, by an option or by `RESLICE_MEMORY`.
    pub memory_bytes: Option<u64>,
    pub pictures: Pictures,
}

/// The pages and pictures that are asked for besides a target, and the words that asked for it all.
#[derive(Clone)]
pub(crate) struct Pictures {
    args: PictureArgs,
    words: Vec<String>,
}

impl Pictures {
    /// Refuses what could not be written, before the work begins.
    ///
    /// # Errors
    /// A file of the job itself, a folder that is not there.
    pub(crate) fn check(&self, job: &Job) -> Result<()> {
        self.args.check(files(&job.request, Some(&job.input)))
    }

    /// Makes them of a finished run.
    ///
    /// # Errors
    /// Those of reading what the run has no samples of, and of writing.
    pub(crate) fn write(&self, summary: &Summary) -> Result<()> {
        self.args.write(summary, &self.words, true)
    }
}

/// Reads the words behind `reslice resample`, all but what is about output on a terminal.
///
/// # Errors
/// Those that the command prints.
pub(crate) fn asked(words: Vec<OsString>) -> Result<Asked> {
    let words: Vec<OsString> = ["reslice", "resample"].map(OsString::from).into_iter().chain(words).collect();
    let typed = Cli::command().try_get_matches_from(&words).map_err(|error| refusal(&error, &words[1..]))?;
    let cli = Cli::from_arg_matches(&typed).map_err(|error| refusal(&error, &words[1..]))?;
    let Command::Resample(args) = cli.command else { return Err(Error::usage("the words are of another command")) };
    let threads = args.run.threads.map_or_else(sys::threads, usize::from);
    let request = Request { named: named(&typed), ..resample::request(&args, (0, threads))? };
    let words = words[1..].iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let pictures = Pictures { args: args.pictures, words };
    Ok(Asked { request, memory_bytes: args.run.memory.map(|size| size.0), pictures })
}

fn refusal(error: &clap::Error, words: &[OsString]) -> Error {
    let typed: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(habits::Answer { what, hint }) = habits::answer(&typed, &options_of("resample")) {
        return Error::usage_hint(what, hint);
    }
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    Error::usage(lines.join(" ").trim_start_matches("error: "))
}

/// A number of bytes, as `--memory` takes it.
///
/// # Errors
/// Text that is none.
pub(crate) fn size(text: &str) -> Result<u64> {
    text.parse().map(|size: Size| size.0).map_err(Error::usage)
}

/// What `--dry-run` prints.
pub(crate) fn plan(summary: &Summary) -> String {
    tell::plan(summary)
}

/// What is told of a finished run: whether it is a warning, and the text.
pub(crate) fn remarked(summary: &Summary) -> Vec<(bool, String)> {
    let told = |remark| match remark {
        remarks::Remark::Note(text) => (false, text),
        remarks::Remark::Warning(text) => (true, text),
    };
    let slow = tell::slow(summary).into_iter().map(|text| (true, text));
    slow.chain(remarks::remarks(summary).into_iter().map(told)).collect()
}

/// The last line of a run.
pub(crate) fn outcome(summary: &Summary) -> String {
    tell::outcome(summary)
}

/// The whole command in this process, as `main` does it: signals are its own from then on. The exit code.
pub(crate) fn command(words: Vec<OsString>) -> u8 {
    *WORDS.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
    sys::tune_allocator(0);
    sys::watch_signals();
    sys::watch_exhaustion();
    let code = super::main();
    (0..=u8::MAX).find(|&number| ExitCode::from(number) == code).unwrap_or(1)
}
