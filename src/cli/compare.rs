//! `reslice compare`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{answer, args::IoArg, messages, parse::Size, words};
use reslice::{
    compare::{Comparison, Differences, Geometry, Request, compare},
    error::Result,
    sys,
};

/// Exit code where something went wrong: 1 is the answer that they differ.
const TROUBLE: u8 = 2;

#[derive(Debug, Args)]
pub struct CompareArgs {
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
}

/// Compares, and prints the answer; exit code 1 where voxels differ.
pub fn run(args: &CompareArgs) -> Result<ExitCode> {
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
        Some(found) => lines.extend(differences(found, comparison.tolerance)),
        None => lines.push("voxels    not compared: their numbers differ".into()),
    }
    lines.join("\n")
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

fn differences(found: &Differences, tolerance: f64) -> Vec<String> {
    let nans = match (found.nan_in_one, found.nan_in_both) {
        (0, 0) => String::new(),
        (one, both) => format!(", NaN in one of them {one}, in both {both}"),
    };
    let verdict = match (found.beyond, tolerance) {
        (0, 0.0) => format!("all {} are equal", found.compared),
        (0, _) => format!("none of {} differs by more than {tolerance}, {} differ", found.compared, found.different),
        (beyond, 0.0) => {
            let percent = 100.0 * beyond as f64 / found.compared.max(1) as f64;
            format!("{beyond} of {} differ ({} %)", found.compared, words::measured(percent))
        }
        (beyond, _) => {
            format!("{beyond} of {} differ by more than {tolerance}, {} differ", found.compared, found.different)
        }
    };
    let mut lines = vec![format!("voxels    {verdict}{nans}")];
    if found.different > found.nan_in_one {
        let psnr = found.psnr_db.map(|psnr| format!(", PSNR {psnr:.2} dB")).unwrap_or_default();
        lines.push(format!(
            "values    at most {} apart, {} on average{psnr}",
            words::measured(found.max_difference),
            words::measured(found.mean_difference)
        ));
    }
    lines
}
