//! Progress on stderr: a bar, lines, or JSON.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use bytesize::ByteSize;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::messages;
use reslice::{job::PassKind, pipeline::Progress, sys};

/// Values of `--progress`.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum ProgressArg {
    /// A bar on a terminal, lines otherwise
    Auto,
    Bar,
    /// One line every 30 s
    Lines,
    /// One JSON object a line
    Json,
    None,
}

/// Between two lines of a log.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// Between two updates of a bar or JSON lines.
const UPDATE_EVERY: Duration = Duration::from_millis(200);

/// How far a run has come, in what it counts.
pub(super) struct Step<'a> {
    pub name: &'a str,
    pub unit: &'a str,
    pub done: u64,
    pub of: u64,
}

/// From so many chunks of a block on, chunks are counted.
const CHUNKS_OF_BLOCK: u64 = 64;

/// Shows how far a run has come.
pub(super) struct Display {
    kind: ProgressArg,
    bar: Option<ProgressBar>,
    last: Instant,
}

impl Display {
    /// `kind` as typed; nothing is shown where `quiet`.
    pub(super) fn new(kind: ProgressArg, quiet: bool) -> Display {
        let kind = match kind {
            _ if quiet => ProgressArg::None,
            ProgressArg::Auto if std::io::stderr().is_terminal() => ProgressArg::Bar,
            ProgressArg::Auto => ProgressArg::Lines,
            other => other,
        };
        let bar = (kind == ProgressArg::Bar).then(|| {
            let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg}  {eta} left");
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Display { kind, bar, last: Instant::now() }
    }

    /// Shows how far pass `n` of `passes`, from 0, has come.
    pub(super) fn update(&mut self, (n, passes): (usize, usize), kind: PassKind, progress: &Progress) {
        if self.is_due(progress.blocks_done == progress.blocks) {
            let step = step(name(kind), progress);
            let json = json!({"pass": name(kind), "pass_number": n + 1, "passes": passes, "progress": progress});
            self.show(&step, &figures(progress), &json);
        }
    }

    /// Whether it is time to show something again.
    pub(super) fn is_due(&mut self, finished: bool) -> bool {
        let every = if self.kind == ProgressArg::Lines { LINE_EVERY } else { UPDATE_EVERY };
        let finished = finished && self.kind != ProgressArg::Lines;
        let due = self.kind != ProgressArg::None && (self.last.elapsed() >= every || finished);
        if due {
            self.last = Instant::now();
        }
        due
    }

    /// Shows how far a step has come: as a bar, a line, or JSON.
    pub(super) fn show(&mut self, step: &Step<'_>, figures: &str, json: &Value) {
        let Step { name, unit, done, of } = step;
        match (&self.bar, self.kind) {
            (Some(bar), _) => {
                bar.set_length(*of);
                bar.set_position(*done);
                bar.set_prefix(name.to_string());
                bar.set_message(format!("{unit}  {figures}"));
            }
            (None, ProgressArg::Json) => {
                let mut members = json.clone();
                members["resident_bytes"] = json!(sys::resident().now_bytes);
                messages::event("progress", &members);
            }
            (None, _) => messages::note(&format!("{name}: {done}/{of} {unit}, {figures}")),
        }
    }

    /// Takes the bar away, so that what follows starts on a clean line.
    pub(super) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Blocks; or chunks, where they are many for each block: a block that sums up a whole volume is done at the end only.
fn step<'a>(name: &'a str, progress: &Progress) -> Step<'a> {
    let Progress { blocks, blocks_done, decodes, planned_decodes, .. } = *progress;
    if planned_decodes / CHUNKS_OF_BLOCK > blocks && blocks_done < blocks {
        return Step { name, unit: "chunks", done: decodes.min(planned_decodes), of: planned_decodes };
    }
    Step { name, unit: "blocks", done: blocks_done, of: blocks }
}

/// Rates and bytes, in words.
pub(super) fn figures(progress: &Progress) -> String {
    let rate = progress.voxels_done as f64 / progress.seconds.max(1e-9) / 1e6;
    format!(
        "{rate:.0} Mvoxel/s, {} read, {} written, {} resident",
        ByteSize(progress.bytes_fetched).display().iec_short(),
        ByteSize(progress.bytes_written).display().iec_short(),
        ByteSize(sys::resident().now_bytes).display().iec_short()
    )
}

/// What a pass is called.
pub(super) fn name(kind: PassKind) -> &'static str {
    match kind {
        PassKind::Field => "field",
        PassKind::Unpack => "unpack",
        PassKind::Resample => "resample",
        PassKind::Pack => "pack",
        PassKind::Pyramid => "pyramid",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_counted_where_a_block_sums_up_many() {
        let few = Progress { blocks: 100, blocks_done: 40, decodes: 90, planned_decodes: 200, ..Progress::default() };
        let shown = step("resample", &few);
        assert_eq!((shown.unit, shown.done, shown.of), ("blocks", 40, 100));
        let many = Progress { blocks: 1, blocks_done: 0, decodes: 90, planned_decodes: 200, ..few };
        let shown = step("resample", &many);
        assert_eq!((shown.unit, shown.done, shown.of), ("chunks", 90, 200));
        // In the end all blocks are done, whatever an estimated plan said.
        let shown = step("resample", &Progress { blocks_done: 1, ..many });
        assert_eq!((shown.unit, shown.done, shown.of), ("blocks", 1, 1));
    }
}
