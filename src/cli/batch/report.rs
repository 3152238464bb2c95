//! The report of a batch: one line for each job, a file of summaries, and a last line.

use std::{
    io::{BufWriter, Write},
    time::Instant,
};

use serde_json::{Map, Value, json};

use super::rows::Jobs;
use crate::cli::{
    answer::SCHEMA,
    args::RunArgs,
    messages,
    remarks::{Remark, remarks, warnings_and_notes},
    summary_place::SummaryPlace,
    words,
};
use reslice::{
    error::{Error, Result},
    job::{Jobs as _, Outcome, Summary, TargetState},
    sys,
};

/// Tells how jobs end, and counts them.
pub(super) struct BatchReport<'a> {
    jobs: &'a Jobs<'a>,
    args: &'a RunArgs,
    memory_bytes: u64,
    begun: Instant,
    file: Option<SummaryFile>,
    done: usize,
    pub failed: usize,
    stopped: usize,
    not_begun: usize,
}

impl<'a> BatchReport<'a> {
    /// A report that has nothing to say yet.
    pub(super) fn new(
        jobs: &'a Jobs<'a>,
        args: &'a RunArgs,
        memory_bytes: u64,
        summary: Option<SummaryPlace>,
    ) -> Result<BatchReport<'a>> {
        let file = summary.map(SummaryFile::create).transpose()?;
        let begun = Instant::now();
        Ok(BatchReport { jobs, args, memory_bytes, begun, file, done: 0, failed: 0, stopped: 0, not_begun: 0 })
    }

    /// Whether some jobs have no target because the batch was stopped.
    pub(super) fn is_incomplete(&self) -> bool {
        self.stopped + self.not_begun > 0
    }

    /// Prints how job `n` ended, and keeps its summary.
    pub(super) fn ended(&mut self, n: usize, outcome: &Outcome) {
        let (what, status) = match outcome {
            Outcome::Done(summary) => {
                self.tell_done(n, summary);
                (&mut self.done, "done")
            }
            Outcome::Failed(error) => {
                messages::error_of(&format!("{}: ", name(self.jobs, n)), error);
                (&mut self.failed, "failed")
            }
            Outcome::Stopped => (&mut self.stopped, "stopped"),
            Outcome::NotBegun => (&mut self.not_begun, "not_begun"),
        };
        *what += 1;
        if let Some(file) = &mut self.file {
            file.push(entry(self.jobs, n, status, outcome));
        }
    }

    fn tell_done(&self, n: usize, summary: &Summary) {
        if self.args.quiet {
            return;
        }
        let warnings = summary.warnings.iter().cloned().map(Remark::Warning);
        let remarks: Vec<Remark> = warnings.chain(remarks(summary)).collect();
        let warnings = remarks.iter().filter(|remark| matches!(remark, Remark::Warning(_))).count();
        let place = name(self.jobs, n);
        if summary.target_state == TargetState::FinishedBefore {
            return messages::note(&format!("{place}: already done"));
        }
        let mut line = format!("{place}: {}, {:.2} s", grids(summary), summary.seconds());
        if self.args.verbose {
            remarks.iter().for_each(|remark| remark.tell(&format!("{place}: ")));
        } else if warnings > 0 {
            line += &format!(", {} (--verbose tells)", counted(warnings, "warning"));
        }
        messages::note(&line);
    }

    /// The last line, and the end of the file.
    pub(super) fn finish(&mut self) -> Result<()> {
        if !self.args.quiet {
            let parts = [(self.failed, "failed"), (self.stopped, "stopped"), (self.not_begun, "not begun")];
            let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}"));
            let again = if self.is_incomplete() { "; the same command with --resume continues" } else { "" };
            messages::note(&format!(
                "{}: {} done{} in {:.2} s, peak memory {} of {}{again}",
                counted(self.jobs.len(), "job"),
                self.done,
                parts.collect::<String>(),
                self.begun.elapsed().as_secs_f64(),
                words::bytes(sys::resident().peak_bytes),
                words::bytes(self.memory_bytes)
            ));
        }
        self.file.take().map_or(Ok(()), SummaryFile::finish)
    }
}

/// `3 of 40, out.nii`
pub(super) fn name(jobs: &Jobs<'_>, n: usize) -> String {
    format!("{} of {}, {}", n + 1, jobs.len(), jobs.output(n))
}

/// Both grids, on one line.
pub(super) fn grids(summary: &Summary) -> String {
    format!("{} to {}", words::grid(&summary.source), words::grid(&summary.target))
}

/// `1 job`, `2 jobs`
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// An error with its causes, in one line.
fn chain(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    std::iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
}

/// A job in the file of summaries: which it is, how it ended, and its summary.
fn entry(jobs: &Jobs<'_>, n: usize, status: &str, outcome: &Outcome) -> Value {
    let mut entry = Map::new();
    entry.insert("schema".into(), json!(SCHEMA));
    entry.insert("job".into(), json!(n + 1));
    entry.insert("line".into(), json!(jobs.table.line(n)));
    entry.insert("status".into(), json!(status));
    entry.insert("input".into(), json!(jobs.input(n)));
    entry.insert("output".into(), json!(jobs.output(n)));
    match outcome {
        Outcome::Done(summary) => {
            if let Ok(Value::Object(summary)) = serde_json::to_value(summary) {
                entry.extend(summary);
            }
            let (warnings, notes) = warnings_and_notes(summary);
            entry.insert("warnings".into(), json!(warnings));
            entry.insert("notes".into(), json!(notes));
        }
        Outcome::Failed(error) => {
            entry.insert("error".into(), json!(chain(error)));
        }
        Outcome::Stopped | Outcome::NotBegun => {}
    }
    Value::Object(entry)
}

/// A JSON array, written as jobs end: summaries are not kept.
struct SummaryFile {
    place: SummaryPlace,
    file: BufWriter<Box<dyn Write + Send>>,
    written: std::io::Result<()>,
    entries: usize,
}

impl SummaryFile {
    fn create(place: SummaryPlace) -> Result<SummaryFile> {
        let file = BufWriter::new(place.open()?);
        Ok(SummaryFile { place, file, written: Ok(()), entries: 0 })
    }

    fn push(&mut self, entry: Value) {
        if self.written.is_ok() {
            let before = if self.entries == 0 { "[\n" } else { ",\n" };
            self.written = write!(self.file, "{before}{entry}").and_then(|()| self.file.flush());
            self.entries += 1;
        }
    }

    fn finish(mut self) -> Result<()> {
        let open = if self.entries == 0 { "[" } else { "" };
        let written = self.written.and_then(|()| writeln!(self.file, "{open}\n]")).and_then(|()| self.file.flush());
        self.place.outcome(written)
    }
}
