//! What a run that went on with stored parts did not see: brought from the stored volumes, where that takes few reads.

use std::{path::Path, sync::atomic::AtomicBool};

use super::volumes::{fits, raw_values};
use crate::{
    dispatch,
    error::Result,
    io::{
        input::{Input, IoMode},
        zarr::OpenOptions,
    },
    job::{GridSummary, Summary, TargetState},
    layout::Access,
    pictures::{Bound, Raster, fill},
};

/// Reads the samples that the pictures of a run lack, of the source and of a complete target, but of gzip streams, which would be inflated
/// once more.
///
/// # Errors
/// A volume that cannot be read, or a request to stop.
pub fn bring_rest(summary: &Summary, stop: &AtomicBool) -> Result<()> {
    let Some(pictures) = summary.pictures.as_deref() else { return Ok(()) };
    let befores: Vec<&Raster> = pictures.pairs.iter().filter_map(|pair| pair.before.as_ref()).collect();
    let afters: Vec<&Raster> = pictures.pairs.iter().map(|pair| &pair.after).collect();
    let was_resumed =
        summary.stored_before > 0 || summary.rank.is_some() || summary.target_state == TargetState::FinishedBefore;
    let is_complete = matches!(summary.target_state, TargetState::Complete | TargetState::FinishedBefore);
    if !was_resumed || !is_complete {
        return Ok(());
    }
    bring(&afters, &summary.output, &summary.target, summary.memory_bytes, stop)?;
    // The target may stand where its source was.
    if summary.input != summary.output {
        bring(&befores, &summary.input, &summary.source, summary.memory_bytes, stop)?;
    }
    Ok(())
}

fn bring(rasters: &[&Raster], path: &str, grid: &GridSummary, memory_bytes: u64, stop: &AtomicBool) -> Result<()> {
    if rasters.iter().all(|raster| raster.lacking() == 0) {
        return Ok(());
    }
    let input = Input::open(Path::new(path), &OpenOptions::default())?;
    // Another level, channel or time was the source.
    let is_same = GridSummary::new(&input.layout().grid).shape == grid.shape && input.layout().outer.volumes() == 1;
    if !is_same || input.layout().access == Access::Ascending {
        return Ok(());
    }
    dispatch!(input.layout().stored, T => {
        let source = input.source::<T>(input.conversion(), IoMode::Auto)?;
        if fits::<T>(source.layout(), memory_bytes).is_ok() {
            fill(rasters, source.as_ref(), &raw_values(&input), Bound::default(), stop)?;
        }
        Ok(())
    })
}
