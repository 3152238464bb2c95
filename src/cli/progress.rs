//! Progress on stderr: a bar, lines, or JSON.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use bytesize::ByteSize;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{args::ProgressArg, messages};
use crate::{job::PassKind, pipeline::Progress, sys};

/// Between two lines of a log.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// Between two updates of a bar or JSON lines.
const UPDATE_EVERY: Duration = Duration::from_millis(200);

/// Shows how far a run has come.
pub struct Display {
    kind: ProgressArg,
    bar: Option<ProgressBar>,
    last: Instant,
}

impl Display {
    pub fn new(kind: ProgressArg, quiet: bool) -> Display {
        let kind = match kind {
            _ if quiet => ProgressArg::None,
            ProgressArg::Auto if std::io::stderr().is_terminal() => ProgressArg::Bar,
            ProgressArg::Auto => ProgressArg::Lines,
            other => other,
        };
        let bar = (kind == ProgressArg::Bar).then(|| {
            let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} blocks  {msg}  {eta} left");
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Display { kind, bar, last: Instant::now() }
    }

    pub fn update(&mut self, kind: PassKind, progress: &Progress) {
        let every = if self.kind == ProgressArg::Lines { LINE_EVERY } else { UPDATE_EVERY };
        let finished = progress.blocks_done == progress.blocks && self.kind != ProgressArg::Lines;
        if self.kind == ProgressArg::None || (self.last.elapsed() < every && !finished) {
            return;
        }
        self.last = Instant::now();
        match (&self.bar, self.kind) {
            (Some(bar), _) => {
                bar.set_length(progress.blocks);
                bar.set_position(progress.blocks_done);
                bar.set_prefix(name(kind));
                bar.set_message(figures(progress));
            }
            (None, ProgressArg::Json) => messages::note(&json!({"pass": name(kind), "progress": progress}).to_string()),
            (None, _) => messages::note(&format!(
                "{}: {}/{} blocks, {}",
                name(kind),
                progress.blocks_done,
                progress.blocks,
                figures(progress)
            )),
        }
    }

    /// Takes the bar away, so that what follows starts on a clean line.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn figures(progress: &Progress) -> String {
    let rate = progress.voxels_done as f64 / progress.seconds.max(1e-9) / 1e6;
    format!(
        "{rate:.0} Mvoxel/s, {} read, {} written, {} resident",
        ByteSize(progress.bytes_fetched).display().iec_short(),
        ByteSize(progress.bytes_written).display().iec_short(),
        ByteSize(sys::resident().now_bytes).display().iec_short()
    )
}

/// What a pass is called.
pub fn name(kind: PassKind) -> &'static str {
    match kind {
        PassKind::Unpack => "unpack",
        PassKind::Resample => "resample",
        PassKind::Pack => "pack",
        PassKind::Pyramid => "pyramid",
    }
}
