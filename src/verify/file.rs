//! Single files: the header, the size, and of a compressed stream every member to its end.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{ArrayReport, Problem, Run};
use crate::{
    error::{Error, PlanError, Result},
    io::{
        gzip::{self, Inflated, Start},
        nifti::{self, NiftiFile},
        plain::{self, PlainFile},
    },
    layout::Layout,
    storage::{Forward, Location, RangedFile},
    sys,
};

/// What reading a gzip stream takes, with room to spare.
const STREAM_BYTES: u64 = 2 << 20;

/// Where the voxels of a file are.
struct Voxels {
    format: String,
    data_path: PathBuf,
    /// In the decompressed stream, where there is one.
    data_offset: u64,
    stream: Option<Start>,
    /// Where the file is read by ranges.
    remote: Option<Arc<RangedFile>>,
    layout: Layout,
    warnings: Vec<String>,
}

impl Voxels {
    fn open(path: &Path) -> Result<Voxels> {
        // Of these formats only NIfTI is read behind URLs.
        let plain = if Location::of(path)?.local().is_some() { plain::open(path)? } else { None };
        if let Some(file) = plain {
            let format = file.format_name();
            let PlainFile { data_path, data_offset, stream, layout, warnings, .. } = file;
            return Ok(Voxels { format, data_path, data_offset, stream, remote: None, layout, warnings });
        }
        let file = nifti::open(path)?;
        let format = file.format_name();
        let stream = file.compressed.then_some(Start::FILE);
        let NiftiFile { data_path, data_offset, remote, layout, warnings, .. } = file;
        Ok(Voxels { format, data_path, data_offset, stream, remote, layout, warnings })
    }

    /// The stream, from its beginning on.
    fn data(&self) -> Result<Forward> {
        let at = self.stream.map_or(0, |stream| stream.at);
        Forward::of(&self.data_path, self.remote.as_ref(), at)
    }
}

/// Verifies one file, or a header and its image.
///
/// # Errors
/// Those of [`super::verify`]; a header that is wrong is an error here.
pub(super) fn verify(run: &mut Run<'_>, path: &Path) -> Result<()> {
    let file = Voxels::open(path)?;
    let memory_bytes = run.request.memory_bytes;
    let smallest_bytes = sys::reserved_bytes() + STREAM_BYTES + file.data()?.memory_bytes();
    if smallest_bytes > memory_bytes {
        let array = path.display().to_string();
        return Err(PlanError::VerificationTooSmall { memory_bytes, smallest_bytes, array }.into());
    }
    run.report.format.clone_from(&file.format);
    run.report.notes.extend(file.warnings.iter().cloned());
    let voxel_bytes = (file.layout.components * file.layout.stored.bytes()) as u64;
    let voxels = file.layout.grid.voxels().saturating_mul(file.layout.outer.volumes());
    let data_end = file.data_offset.saturating_add(voxels.saturating_mul(voxel_bytes));
    let mut array = ArrayReport {
        path: file.data_path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        storage: file.stream.map_or("raw", |stream| stream.coding.name()).into(),
        chunks: 1,
        decoded_bytes: data_end - file.data_offset,
        stored_bytes: file.layout.stored_bytes.unwrap_or(0),
        ..ArrayReport::default()
    };
    run.progress.chunks = 1;
    run.progress.array.clone_from(&array.path);
    let outcome = match file.stream {
        Some(stream) => inflate(run, &file, stream, data_end),
        None => trailing(run, &file, data_end),
    };
    match outcome {
        Ok(()) => array.present = 1,
        Err(stopped @ (Error::Stopped { .. } | Error::Io { .. })) => return Err(stopped),
        Err(error) => {
            (array.bad, array.decoded_bytes) = (1, 0);
            run.report.add_to(&mut array, Problem::of(&error, None));
        }
    }
    run.progress.chunks_done = 1;
    run.report.arrays.push(array);
    run.look_up()
}

/// Opening has held the size against the header: what is left is what stands behind the voxels.
fn trailing(run: &mut Run<'_>, file: &Voxels, data_end: u64) -> Result<()> {
    let beyond = file.layout.stored_bytes.unwrap_or(0).saturating_sub(data_end);
    if beyond > 0 {
        run.report.notes.push(format!("{beyond} bytes stand behind the voxels"));
    }
    Ok(())
}

fn inflate(run: &mut Run<'_>, file: &Voxels, stream: Start, data_end: u64) -> Result<()> {
    let (data, stored_bytes) = (file.data()?, file.layout.stored_bytes.unwrap_or(0));
    let Inflated { raw_bytes, trailing_bytes, .. } =
        gzip::inflate_all(&file.data_path, data, (stream, stored_bytes), &mut |so_far| {
            run.progress.stored_bytes = so_far.stored_bytes;
            run.progress.decoded_bytes = so_far.raw_bytes;
            run.look_up()
        })?;
    if raw_bytes < data_end {
        let found = format!("{raw_bytes} bytes");
        let expected = format!("at least {data_end} for the voxels that the header states");
        return Err(Error::malformed(&file.data_path, "decompressed size", found, expected));
    }
    if raw_bytes > data_end {
        run.report.notes.push(format!("{} bytes stand behind the voxels", raw_bytes - data_end));
    }
    if trailing_bytes > 0 {
        run.report
            .notes
            .push(format!("{trailing_bytes} bytes behind the {} stream belong to nothing", stream.coding.name()));
    }
    Ok(())
}
