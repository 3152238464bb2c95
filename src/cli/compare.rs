//! `reslice compare`.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, ValueEnum};

use super::{answer, args::IoArg, messages, parse::Size, words};
use reslice::{
    compare::{By, Comparison, Differences, Geometry, Largest, Request, compare},
    error::Result,
    sys,
};

/// Exit code where something went wrong: 1 is the answer that they differ.
const TROUBLE: u8 = 2;

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// NIfTI file, or Zarr folder, archive (.ozx) or URL
    pub a: PathBuf,
    /// NIfTI file, or Zarr folder, archive (.ozx) or URL
    pub b: PathBuf,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Differences up to this are no difference, in real units
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    pub tolerance: f64,
    /// Ceiling of the resident memory of the whole process, such as 512MiB; default: half of what the job may use
    #[arg(long, value_name = "SIZE", env = "RESLICE_MEMORY")]
    pub memory: Option<Size>,
    /// Threads; default: the CPUs this process may use
    #[arg(long, value_name = "N", env = "RESLICE_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// How uncompressed files are read
    #[arg(long, value_enum, default_value_t = IoArg::Auto)]
    pub io: IoArg,
    /// Which voxels of B those of A are held against; default: index where the numbers of voxels are the same, else place
    #[arg(long, value_enum)]
    pub by: Option<ByArg>,
}

/// By what voxels of A and B belong together.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ByArg {
    /// the voxels of the same index
    Index,
    /// values of B at the places of A's voxels: labels of the nearest voxel, anything else by linear interpolation
    Place,
}

impl From<ByArg> for By {
    fn from(by: ByArg) -> By {
        match by {
            ByArg::Index => By::Index,
            ByArg::Place => By::Place,
        }
    }
}

/// Compares, and prints the answer; exit code 1 where voxels differ.
pub(super) fn run(args: &CompareArgs) -> Result<ExitCode> {
    match answered(args) {
        Ok(agrees) => Ok(ExitCode::from(u8::from(!agrees))),
        Err(error) => {
            messages::error(&error);
            Ok(ExitCode::from(TROUBLE))
        }
    }
}

fn answered(args: &CompareArgs) -> Result<bool> {
    let request = Request {
        a: args.a.clone(),
        b: args.b.clone(),
        tolerance: args.tolerance,
        memory_bytes: args.memory.map_or_else(|| sys::memory_limit().bytes / 2, |size| size.0),
        threads: args.threads.map_or_else(sys::threads, usize::from),
        io: args.io.into(),
        by: args.by.map(By::from),
    };
    sys::set_budget(request.memory_bytes);
    let comparison = compare(&request, sys::stop_flag())?;
    comparison.warnings.iter().for_each(|warning| messages::warning(warning));
    if args.json {
        answer::json(&comparison)?;
    } else {
        answer::line(&text(&comparison))?;
    }
    Ok(comparison.agrees())
}

fn text(comparison: &Comparison) -> String {
    let mut lines = Vec::new();
    for (name, side) in [("A", &comparison.a), ("B", &comparison.b)] {
        let outer: String = side.outer.iter().map(|len| format!(" x {len}")).collect();
        let slope = side.slope.map(|(slope, inter)| format!(", x {slope} + {inter}")).unwrap_or_default();
        lines.push(format!(
            "{name}         {} ({}): {}{outer}, {}{slope}",
            side.file,
            words::format(&side.format),
            words::grid(&side.grid),
            side.dtype
        ));
    }
    lines.push(format!("geometry  {}", geometry(&comparison.geometry)));
    match &comparison.differences {
        Some(found) => lines.extend(differences(comparison, found)),
        None => lines.push(format!("voxels    not compared: {}", why_not(&comparison.geometry))),
    }
    lines.join("\n")
}

fn why_not(geometry: &Geometry) -> &'static str {
    if !geometry.comparable_units { "their units cannot be compared" } else { "their numbers differ" }
}

fn geometry(geometry: &Geometry) -> String {
    let mut text = match geometry.apart_voxels {
        _ if !geometry.same_shape => "different shapes".to_string(),
        Some(_) if geometry.same => "the same".into(),
        Some(voxels) => format!("different, voxels are up to {} voxels apart", words::number(voxels)),
        None => "different".into(),
    };
    if geometry.same_shape && !geometry.same_spacing {
        text += ", different spacing";
    }
    match (geometry.same_unit, geometry.comparable_units) {
        (true, _) => {}
        (false, true) => text += " (in different units, converted)",
        (false, false) => text += " (units cannot be compared, numbers taken as they stand)",
    }
    text
}

fn differences(comparison: &Comparison, found: &Differences) -> Vec<String> {
    let mut lines = Vec::new();
    let is_placed = comparison.by == Some(By::Place);
    if is_placed {
        lines.push("compared  A's voxels with values of B at the same places".into());
    }
    let nans = match (found.nan_in_one, found.nan_in_both) {
        (0, 0) => String::new(),
        (one, both) if is_placed => format!(", outside of B or NaN in one of them {one}, in both {both}"),
        (one, both) => format!(", NaN in one of them {one}, in both {both}"),
    };
    // What lies outside of B is told, but is no difference of values.
    let outside = if is_placed { found.nan_in_one } else { 0 };
    let compared = found.compared - outside;
    let (different, beyond) = (found.different - outside, found.beyond - outside);
    let percent = |count: u64| words::measured(100.0 * count as f64 / compared.max(1) as f64);
    let tolerance = comparison.tolerance;
    let verdict = match (beyond, tolerance) {
        (0, 0.0) => format!("all {compared} are equal"),
        (0, _) => format!("none of {compared} differs by more than {tolerance}, {different} differ"),
        (_, 0.0) => format!("{beyond} of {compared} differ ({} %)", percent(beyond)),
        _ => format!(
            "{beyond} of {compared} differ by more than {tolerance} ({} %), {different} differ",
            percent(beyond)
        ),
    };
    lines.push(format!("voxels    {verdict}{nans}"));
    if let Some(largest) = &found.largest {
        let psnr = found.psnr_db.map(|psnr| format!(", PSNR {psnr:.2} dB")).unwrap_or_default();
        lines.push(format!(
            "values    at most {} apart, {} on average, B - A {} on average{psnr}",
            words::measured(found.max_difference),
            words::measured(found.mean_difference),
            words::measured(found.mean_signed_difference)
        ));
        lines.push(format!("largest   {}", place(comparison, largest)));
    }
    lines
}

/// Where two values are farthest apart.
fn place(comparison: &Comparison, largest: &Largest) -> String {
    let list = |numbers: [String; 3]| numbers.join(", ");
    let grid = &comparison.a.grid;
    let volume = if comparison.a.outer.is_empty() {
        String::new()
    } else {
        format!(" of volume {}, component {}", largest.volume, largest.component)
    };
    format!(
        "at voxel {}{volume} of A, {} {}: {} in A, {} in B",
        list(largest.index.map(|n| n.to_string())),
        list(largest.position.map(words::number)),
        grid.unit.symbol(),
        words::number(largest.a),
        words::number(largest.b)
    )
}
