//! The chunks of one array: walked in order, looked at in parallel, a batch at a time.

use std::sync::atomic::Ordering;

use rayon::{ThreadPool, prelude::*};

use super::{ArrayReport, Problem, Run};
use crate::{
    error::Result,
    io::zarr::chunks::ChunkAt,
    sys,
    verify::zarr::array::{ArrayCheck, Checked, ChunkState},
};

/// Decoded bytes of a batch and thread, about: some tenths of a second, so that a stop is heard.
const BATCH_BYTES: u64 = 64 << 20;
/// Chunks of a batch and thread.
const BATCH_CHUNKS: std::ops::RangeInclusive<u64> = 1..=256;
/// A grid with more keys than so many per file that is there is not walked, its files are: metadata can claim any extent.
const SPARSE: u64 = 8;
/// Grids that are always walked, since only then what is missing has a name.
const SMALL: u64 = 1 << 16;

/// Looks at every chunk of an array; `files` is how many chunk or shard files there are, where that is known.
pub(super) fn verify(
    run: &mut Run<'_>,
    check: &ArrayCheck,
    array: &mut ArrayReport,
    threads: usize,
    files: Option<u64>,
) -> Result<()> {
    let per_thread = (BATCH_BYTES / check.chunk_bytes().max(1)).clamp(*BATCH_CHUNKS.start(), *BATCH_CHUNKS.end());
    let capacity = per_thread as usize * threads;
    let sparse = files.is_some_and(|files| check.objects() > files.saturating_mul(SPARSE).max(SMALL));
    let pool = sys::pool(threads)?;
    let mut batches =
        Batches { run, check, array, pool, batch: Vec::with_capacity(capacity), capacity, first_missing: None };
    if sparse {
        check.walk_files(&mut |chunks| chunks.into_iter().try_for_each(|chunk| batches.take(chunk)))?;
    } else {
        check.walk().try_for_each(|chunk| batches.take(chunk))?;
    }
    batches.look()?;
    batches.count_missing();
    Ok(())
}

/// Chunks on their way to the pool, and what came of them.
struct Batches<'a, 'r> {
    run: &'a mut Run<'r>,
    check: &'a ArrayCheck,
    array: &'a mut ArrayReport,
    pool: ThreadPool,
    batch: Vec<ChunkAt>,
    capacity: usize,
    first_missing: Option<Vec<u64>>,
}

impl Batches<'_, '_> {
    fn take(&mut self, chunk: ChunkAt) -> Result<()> {
        self.batch.push(chunk);
        if self.batch.len() >= self.capacity { self.look() } else { Ok(()) }
    }

    /// Looks at the chunks of the batch, and empties it.
    fn look(&mut self) -> Result<()> {
        self.run.look_up()?;
        let batch = std::mem::take(&mut self.batch);
        let (stop, check) = (self.run.stop, self.check);
        let look = |chunk: &ChunkAt| (!stop.load(Ordering::Relaxed)).then(|| check.check(chunk));
        let outcomes: Vec<Option<Checked>> = self.pool.install(|| batch.par_iter().with_max_len(1).map(look).collect());
        for (chunk, outcome) in batch.iter().zip(outcomes) {
            if let Some(checked) = outcome {
                self.note(chunk, checked);
            }
        }
        self.batch = batch;
        self.batch.clear();
        self.run.look_up()
    }

    fn note(&mut self, chunk: &ChunkAt, checked: Checked) {
        let (array, progress) = (&mut *self.array, &mut self.run.progress);
        progress.chunks_done += 1;
        array.stored_bytes += checked.index_bytes;
        match checked.state {
            ChunkState::Whole { stored_bytes } => {
                array.present += 1;
                array.stored_bytes += stored_bytes;
                array.decoded_bytes += self.check.chunk_bytes();
                progress.stored_bytes += stored_bytes;
                progress.decoded_bytes += self.check.chunk_bytes();
            }
            ChunkState::Missing => {
                array.missing += 1;
                self.first_missing.get_or_insert_with(|| chunk.at.clone());
            }
            ChunkState::Bad => {
                array.bad += 1;
                progress.bad += 1;
            }
        }
        for error in &checked.problems {
            self.run.report.add_to(self.array, Problem::of(error, Some(&chunk.at)));
        }
    }

    /// Missing chunks are the fill value by the specification; where the array says how many were left out, more are a loss.
    fn count_missing(self) {
        let Batches { run, array, first_missing, .. } = self;
        // Of a grid whose files were walked, what has no file was not seen.
        let unseen = array.chunks.saturating_sub(array.present + array.missing + array.bad);
        run.progress.chunks_done += unseen;
        array.missing += unseen;
        let name = if array.path.is_empty() { String::new() } else { format!("{}: ", array.path) };
        let missing = array.missing;
        match array.expected_missing {
            Some(expected) if missing > expected => {
                let first = first_missing.filter(|_| expected == 0);
                let which = first.map(|at| format!(", the first is {at:?}")).unwrap_or_default();
                run.report
                    .add_to(array, Problem::text(format!("{missing} chunks missing, {expected} expected{which}")));
            }
            Some(expected) if missing + array.bad < expected => {
                let note = format!("{name}{missing} chunks are missing, {expected} were left out when it was written");
                run.report.notes.push(note);
            }
            None if missing > 0 => {
                let are = if missing == 1 { "chunk is" } else { "chunks are" };
                run.report.notes.push(format!("{name}{missing} {are} missing, read as the fill value"));
            }
            _ => {}
        }
    }
}
