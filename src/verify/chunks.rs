//! The chunks of one array: walked in order, looked at in parallel, a batch at a time.

use std::sync::atomic::Ordering;

use rayon::prelude::*;

use super::{ArrayReport, Problem, Run};
use crate::{
    error::Result,
    io::zarr::check::{ArrayCheck, Checked, ChunkAt, State},
    pipeline,
};

/// Decoded bytes of a batch and thread, about: some tenths of a second, so that a stop is heard.
const BATCH_BYTES: u64 = 64 << 20;
/// Chunks of a batch and thread.
const BATCH_CHUNKS: std::ops::RangeInclusive<u64> = 1..=256;

/// Looks at every chunk of an array; `objects` is how many of its chunk or shard files there are, where that is known.
pub fn verify(
    run: &mut Run<'_>,
    check: &ArrayCheck,
    array: &mut ArrayReport,
    threads: usize,
    objects: Option<u64>,
) -> Result<()> {
    let pool = pipeline::pool(threads)?;
    let per_thread = (BATCH_BYTES / check.chunk_bytes().max(1)).clamp(*BATCH_CHUNKS.start(), *BATCH_CHUNKS.end());
    let mut walk = check.walk().peekable();
    let mut seen = Seen { objects: 0, first_missing: None };
    loop {
        run.look_up()?;
        if objects.is_some_and(|objects| seen.objects >= objects) && walk.peek().is_some_and(|chunk| chunk.first) {
            // All that is there was looked at: the rest is missing, however much that is.
            seen.first_missing = seen.first_missing.or_else(|| walk.next().map(|chunk| chunk.at));
            let rest = array.chunks - array.present - array.bad - array.missing;
            array.missing += rest;
            run.progress.chunks_done += rest;
            break;
        }
        let batch: Vec<ChunkAt> = walk.by_ref().take(per_thread as usize * threads).collect();
        if batch.is_empty() {
            break;
        }
        let stop = run.stop;
        let look = |chunk: &ChunkAt| (!stop.load(Ordering::Relaxed)).then(|| check.check(chunk));
        let outcomes: Vec<Option<Checked>> = pool.install(|| batch.par_iter().with_max_len(1).map(look).collect());
        for (chunk, outcome) in batch.iter().zip(outcomes) {
            if let Some(checked) = outcome {
                seen.take(run, check, array, chunk, checked);
            }
        }
    }
    seen.judge_missing(run, array);
    Ok(())
}

/// What is kept from chunk to chunk.
struct Seen {
    /// Files met for sure; a lower bound.
    objects: u64,
    first_missing: Option<Vec<u64>>,
}

impl Seen {
    fn take(
        &mut self,
        run: &mut Run<'_>,
        check: &ArrayCheck,
        array: &mut ArrayReport,
        chunk: &ChunkAt,
        checked: Checked,
    ) {
        let in_shards = check.file().shard().is_some();
        match checked.state {
            State::Whole { stored_bytes } => {
                array.present += 1;
                array.stored_bytes += stored_bytes;
                array.decoded_bytes += check.chunk_bytes();
            }
            State::Missing => {
                array.missing += 1;
                self.first_missing.get_or_insert_with(|| chunk.at.clone());
            }
            State::Bad => {
                array.bad += 1;
                run.progress.bad += 1;
            }
        }
        array.stored_bytes += checked.index_bytes;
        let problems = checked.problems.iter().map(|error| Problem::of(error, Some(&chunk.at)));
        let problems: Vec<Problem> = problems.collect();
        let has_file = match checked.state {
            State::Whole { .. } => !in_shards || checked.index_bytes > 0,
            _ => checked.index_bytes > 0 || problems.iter().any(|p| p.stored_bytes > Some(0)),
        };
        self.objects += u64::from(chunk.first && has_file);
        problems.into_iter().for_each(|problem| run.report.add_to(array, problem));
        run.progress.chunks_done += 1;
        run.progress.stored_bytes += match checked.state {
            State::Whole { stored_bytes } => stored_bytes,
            _ => 0,
        };
        run.progress.decoded_bytes += if checked.state == State::Bad { 0 } else { check.chunk_bytes() };
    }

    /// Missing chunks are the fill value by the specification; where the array says how many were left out, more are a loss.
    fn judge_missing(self, run: &mut Run<'_>, array: &mut ArrayReport) {
        let name = if array.path.is_empty() { String::new() } else { format!("{}: ", array.path) };
        let missing = array.missing;
        match (array.expected_missing, self.first_missing) {
            (Some(expected), first) if missing > expected => {
                let first = first.filter(|_| expected == 0);
                let which = first.map(|at| format!(", the first is {at:?}")).unwrap_or_default();
                let what = format!("{missing} chunks missing, {expected} expected{which}");
                run.report.add_to(array, Problem::text(what));
            }
            (Some(expected), _) if missing + array.bad < expected => run
                .report
                .notes
                .push(format!("{name}{missing} chunks are missing, {expected} were left out when it was written")),
            (None, _) if missing > 0 => {
                let are = if missing == 1 { "chunk is" } else { "chunks are" };
                run.report.notes.push(format!("{name}{missing} {are} missing, read as the fill value"));
            }
            _ => {}
        }
    }
}
