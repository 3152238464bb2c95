//! `reslice info`.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use super::{answer, parse::Size, words};
use reslice::{
    checkpoint::staging::state_folder,
    error::{Error, Result},
    info::{AccessKind, Cost, Info, LevelInfo, NiftiInfo, OuterAxis, Values, ValuesRequest, ZarrInfo},
    sys,
};

#[derive(Debug, Args)]
pub(super) struct InfoArgs {
    /// NIfTI (.nii, .nii.gz, .hdr with .img), NRRD, MetaImage, MGH, TIFF or HDF5 file (Imaris, BigDataViewer), or Zarr folder, archive (.ozx) or URL (array, OME-Zarr image, or a level of it)
    pub file: PathBuf,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Read all voxels too, and say what their values are
    #[arg(long)]
    pub stats: bool,
    /// With --stats: ceiling of the resident memory of the whole process, such as 512MiB; default: half of what the job may use
    #[arg(long, value_name = "SIZE", env = "RESLICE_MEMORY")]
    pub memory: Option<Size>,
    /// With --stats: threads; default: the CPUs this process may use
    #[arg(long, value_name = "N", env = "RESLICE_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

/// Prints what a file is.
///
/// `named` are the options on the command line, without dashes.
pub(super) fn run(args: &InfoArgs, named: &[String]) -> Result<ExitCode> {
    if let Some(idle) = named.iter().find(|name| !args.stats && ["memory", "threads"].contains(&name.as_str())) {
        let what = format!("--{idle} does nothing here: only --stats reads voxels");
        return Err(Error::usage_hint(what, format!("leave --{idle} out, or add --stats")));
    }
    let mut info = Info::of(&args.file).map_err(|error| unfinished(&args.file, error))?;
    if args.stats {
        info.values = Some(values(args)?);
    }
    if args.json {
        answer::json(&info)?;
    } else {
        answer::line(&text(&info))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn values(args: &InfoArgs) -> Result<Values> {
    let memory_bytes = args.memory.map_or_else(|| sys::memory_limit().bytes / 2, |size| size.0);
    sys::set_budget(memory_bytes);
    let threads = args.threads.map_or_else(sys::threads, usize::from);
    Values::of(&ValuesRequest { path: args.file.clone(), memory_bytes, threads }, sys::stop_flag())
}

/// A target that is not there yet is named.
fn unfinished(path: &Path, error: Error) -> Error {
    let is_absent = matches!(&error, Error::Io { source, .. } if source.kind() == ErrorKind::NotFound);
    if !is_absent || !state_folder(path).is_dir() {
        return error;
    }
    let what = format!("is not there yet; work on it is in {}", state_folder(path).display());
    Error::Unsupported {
        path: path.to_path_buf(),
        what,
        hint: Some(format!("reslice status {} says how far it is", path.display())),
    }
}

fn text(info: &Info) -> String {
    let grid = &info.grid;
    let mut lines = vec![
        format!("file      {}", info.file),
        format!("format    {}", words::format(&info.format)),
        format!("grid      {}", if info.anatomical { words::grid(grid) } else { words::grid_of_steps(grid) }),
        format!(
            "origin    {}{}",
            grid.origin.map(words::number).join(", "),
            if info.anatomical { " (RAS+)" } else { "" }
        ),
    ];
    for (row, name) in grid.index_to_world.iter().zip(["x", "y", "z"]) {
        let label = if name == "x" { "affine" } else { "" };
        let [i, j, k, t] = row.map(words::number);
        lines.push(format!("{label:<9} {name} = {i} i + {j} j + {k} k + {t}").replace("+ -", "- "));
    }
    lines.extend(info.outer.iter().map(outer));
    lines.push(format!("samples   {}", samples(info)));
    let stored = info.stored_bytes.map(|n| format!(", {} stored", words::bytes(n))).unwrap_or_default();
    lines.push(format!("size      {} raw{stored}", words::bytes(info.raw_bytes)));
    lines.extend(info.values.iter().map(|values| format!("values    {}", told(values))));
    lines.extend(info.nifti.iter().flat_map(nifti));
    lines.extend(info.zarr.iter().flat_map(zarr));
    lines.extend(info.levels.iter().map(level));
    lines.push(format!("reading   {}", cost(&info.cost, info.stored_bytes.unwrap_or(0))));
    lines.extend(info.warnings.iter().map(|warning| format!("warning   {warning}")));
    lines.join("\n")
}

fn outer(axis: &OuterAxis) -> String {
    let unit = axis.unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default();
    format!(
        "axis      {}: {}, every {}{unit} from {}",
        axis.name,
        axis.len,
        words::number(axis.step),
        words::number(axis.start)
    )
}

fn samples(info: &Info) -> String {
    let mut text = match info.components {
        1 => info.dtype.to_string(),
        n => format!("{n} x {}", info.dtype),
    };
    if let Some((slope, inter)) = info.slope {
        text += &format!(", value = {slope} x stored + {inter}");
    }
    if info.is_label {
        text += ", labels";
    }
    text
}

/// The values in one line.
fn told(values: &Values) -> String {
    let percent = |count: u64| words::measured(100.0 * count as f64 / values.counted.max(1) as f64);
    let mut text = match (values.least, values.greatest, values.mean, values.standard_deviation) {
        (Some(least), Some(greatest), Some(mean), Some(deviation)) => format!(
            "{} to {}, mean {}, standard deviation {}",
            words::number(least),
            words::number(greatest),
            words::measured(mean),
            words::measured(deviation)
        ),
        _ => "no finite ones".into(),
    };
    for (count, what) in [(values.zero, "0"), (values.nan, "NaN"), (values.infinite, "infinite")] {
        if count > 0 {
            text += &format!(", {} % are {what}", percent(count));
        }
    }
    match values.labels {
        Some(1) => text + ", 1 label beside 0",
        Some(labels) => text + &format!(", {labels} labels beside 0"),
        None => text,
    }
}

fn nifti(nifti: &NiftiInfo) -> Vec<String> {
    let order = if nifti.big_endian { ", big-endian" } else { "" };
    let mut lines = vec![format!(
        "header    sform code {}, qform code {}, intent {}, voxels from byte {} of {}{order}",
        nifti.sform_code, nifti.qform_code, nifti.intent_code, nifti.data_offset, nifti.data_file
    )];
    if !nifti.description.is_empty() {
        lines.push(format!("says      {}", nifti.description.escape_debug()));
    }
    lines
}

fn zarr(zarr: &ZarrInfo) -> Vec<String> {
    let shard = zarr.shard.map_or("no shards".to_string(), |shard| format!("shards of {}", times(shard)));
    let codec = zarr.codecs.split(" in shards").next().unwrap_or_default();
    let mut lines = vec![format!("chunks    {} voxels, {shard}, {}", times(zarr.chunk), codec)];
    if let Some(empty) = zarr.empty_chunks {
        lines.push(format!("left out  {empty} chunks that are all fill value"));
    }
    if let Some(version) = zarr.nifti_header {
        lines.push(format!("header    NIfTI-{version}, beside the levels (NIfTI-Zarr)"));
    }
    lines.extend(zarr.levels.iter().map(level));
    lines
}

fn times(extent: [u64; 3]) -> String {
    extent.map(|n| n.to_string()).join("x")
}

fn level(level: &LevelInfo) -> String {
    format!(
        "level     {}: {} voxels of {}, {}, chunks of {}",
        level.path,
        times(level.shape),
        level.spacing.map(words::number).join("x"),
        level.dtype,
        times(level.chunk)
    )
}

fn cost(cost: &Cost, stored_bytes: u64) -> String {
    let full = words::bytes(cost.full_read_bytes);
    let times = cost.chunk.map(|n| n.to_string()).join("x");
    match cost.access {
        AccessKind::Random => format!("any region at any time, {full} in all"),
        AccessKind::Chunked => format!(
            "{} chunks in any order ({times} voxels, {} decoded each), {full} for one decode of all",
            cost.chunks,
            words::bytes(cost.chunk_bytes)
        ),
        AccessKind::ForwardOnly => format!(
            "a stream, forward only: one inflate of {} bytes to {} bytes, in {} steps of {}",
            stored_bytes,
            cost.full_read_bytes,
            cost.chunks,
            words::bytes(cost.chunk_bytes)
        ),
    }
}
