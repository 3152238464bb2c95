//! Images in strips, tiles or chunks: each of them decoded. Opening has held metadata against the file.

use std::{path::Path, sync::atomic::Ordering};

use rayon::prelude::*;

use super::{ArrayReport, Problem, Run};
use crate::{
    block::BlockMut,
    dispatch,
    error::{Error, PlanError, Result},
    io::{
        Source,
        input::{Input, IoMode},
        reader::chunks_of,
    },
    layout::Layout,
    region::Region,
    sys,
    voxel::Voxel,
};

/// Decoded bytes of a batch and thread, about.
const BATCH_BYTES: u64 = 16 << 20;
/// Room beside what chunks take.
const BESIDE_BYTES: u64 = 2 << 20;

/// Verifies one image, or one level of it.
///
/// # Errors
/// Those of [`super::verify`].
pub(super) fn verify(run: &mut Run<'_>, path: &Path, input: &Input, is_compressed: bool) -> Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let layout = input.layout();
    let mut array = ArrayReport {
        path: name,
        storage: input.format_name(),
        chunks: layout.chunk_counts().iter().fold(layout.outer.groups(), |n, &count| n.saturating_mul(count)),
        stored_bytes: layout.stored_bytes.unwrap_or(0),
        ..ArrayReport::default()
    };
    for warning in input.warnings() {
        if !run.report.notes.contains(warning) {
            run.report.notes.push(warning.clone());
        }
    }
    run.progress.array.clone_from(&array.path);
    if is_compressed {
        run.progress.chunks += array.chunks;
        dispatch!(layout.stored, T => decode::<T>(run, path, input, &mut array))?;
    } else {
        (array.chunks, array.present, array.decoded_bytes) = (1, 1, layout.raw_bytes());
        (run.progress.chunks, run.progress.chunks_done) = (1, 1);
    }
    run.report.arrays.push(array);
    run.look_up()
}

/// How many threads fit, and what each of them takes.
fn threads(run: &Run<'_>, path: &Path, layout: &Layout, chunk_bytes: u64) -> Result<usize> {
    let memory_bytes = run.request.memory_bytes;
    let used = sys::reserved_bytes() + BESIDE_BYTES;
    let each = chunk_bytes.saturating_add(layout.transfer_bytes).max(1);
    if used.saturating_add(each) > memory_bytes {
        let array = path.display().to_string();
        return Err(
            PlanError::VerificationTooSmall { memory_bytes, smallest_bytes: used.saturating_add(each), array }.into()
        );
    }
    Ok(run.request.threads.clamp(1, ((memory_bytes - used) / each).max(1) as usize))
}

fn decode<T: Voxel>(run: &mut Run<'_>, path: &Path, input: &Input, array: &mut ArrayReport) -> Result<()> {
    let source = input.source::<T>(input.conversion(), IoMode::Auto)?;
    let (source, layout) = (source.as_ref(), source.layout());
    let volumes = layout.outer.largest_group().saturating_mul(layout.components as u64);
    let chunk_bytes =
        layout.chunk.iter().fold(volumes * layout.stored.bytes() as u64, |n, &extent| n.saturating_mul(extent));
    let pool = sys::pool(threads(run, path, layout, chunk_bytes)?)?;
    let mut all = chunks(layout);
    let size = (BATCH_BYTES / chunk_bytes.max(1)).clamp(1, 256) as usize * pool.current_num_threads();
    loop {
        let batch: Vec<(u64, [u64; 3])> = all.by_ref().take(size).collect();
        if batch.is_empty() {
            array.missing = source.missing_chunks();
            array.present = array.present.saturating_sub(array.missing);
            return Ok(());
        }
        let stop = run.stop;
        let read = |&(group, at): &(u64, [u64; 3])| match stop.load(Ordering::Relaxed) {
            true => None,
            false => Some(read(source, group, layout.chunk_region(at))),
        };
        let outcomes: Vec<Option<Result<(u64, u64)>>> =
            pool.install(|| batch.par_iter().with_max_len(1).map(read).collect());
        for ((group, at), outcome) in batch.into_iter().zip(outcomes) {
            match outcome {
                None => {}
                Some(Ok((bytes, stored))) => {
                    array.present += 1;
                    array.decoded_bytes += bytes;
                    array.stored_bytes += stored;
                    run.progress.decoded_bytes += bytes;
                    run.progress.stored_bytes += stored;
                }
                Some(Err(error @ Error::Io { .. })) => return Err(error),
                Some(Err(error)) => {
                    array.bad += 1;
                    run.progress.bad += 1;
                    let [z, y, x] = at;
                    run.report.add_to(array, Problem::of(&error, Some(&[group, z, y, x])));
                }
            }
            run.progress.chunks_done += 1;
        }
        run.look_up()?;
    }
}

/// All chunks of all groups.
fn chunks(layout: &Layout) -> impl Iterator<Item = (u64, [u64; 3])> + use<> {
    let (layout, whole) = (layout.clone(), Region::of_shape(layout.grid.shape));
    (0..layout.outer.groups()).flat_map(move |group| chunks_of(&layout, whole).map(move |at| (group, at)))
}

/// Decodes a chunk and lets it go; how many bytes it has, and in how many it is stored, where that is known.
fn read<T: Voxel>(source: &dyn Source<T>, group: u64, region: Region) -> Result<(u64, u64)> {
    let layout = source.layout();
    let volumes = layout.outer.members_of(group) as usize * layout.components;
    let mut voxels = vec![T::default(); region.voxels() as usize * volumes];
    let block = BlockMut::new(region, volumes, &mut voxels);
    let stored = match source.fetch(group, region)? {
        Some(fetched) => {
            let stored = fetched.stored.as_ref().map_or(0, |stored| stored.len() as u64);
            source.read_fetched(fetched, block)?;
            stored
        }
        None => {
            source.read(group, block)?;
            0
        }
    };
    Ok(((voxels.len() * size_of::<T>()) as u64, stored))
}
