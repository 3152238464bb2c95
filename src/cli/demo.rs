//! `reslice demo`: a synthetic scan, resampled.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use clap::Args;

use super::{answer, pictures::PictureArgs, tell, words, words_as_text};
use reslice::{
    block::BlockMut,
    compare,
    error::{Error, Result},
    geometry::{GridRequest, Sizing},
    io::{
        input::{Input, IoMode},
        reader::RegionReader,
        zarr::OpenOptions,
    },
    job::{GridChoice, GridSummary, Job, PicturesRequest, Request, Summary},
    phantom::Phantom,
    region::Region,
    sys,
};

/// What the demo allows itself.
const MEMORY_BYTES: u64 = 64 << 20;
/// Voxels and steps of the scan, z, y, x.
const SHAPE: [u64; 3] = [60, 256, 256];
const SPACING_MM: [f64; 3] = [3.0, 0.9, 0.9];
/// Step of the resampled volumes.
const STEP_MM: f64 = 1.0;
/// Every so many voxels of the target stand where every so many of the scan stand: 9 x 1 mm are 10 x 0.9 mm.
const TARGET_PERIOD: [i64; 3] = [3, 9, 9];
const SCAN_PERIOD: [i64; 3] = [1, 10, 10];

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Folder for the demo's files
    #[arg(default_value = "reslice-demo")]
    pub dir: PathBuf,
}

/// Makes a scan, resamples it, and looks at the result.
pub(super) fn run(args: &DemoArgs) -> Result<ExitCode> {
    let dir = &args.dir;
    fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    let (scan, nifti, zarr) = (dir.join("scan.nii.gz"), dir.join("scan-1mm.nii.gz"), dir.join("scan-1mm.ome.zarr"));
    let page = dir.join("report.html");
    let phantom = Phantom::new(SHAPE, SPACING_MM);
    let start = Instant::now();
    phantom.write(&scan)?;
    answer::line(&format!(
        "A synthetic scan, written in {:.2} s:\n  {}\n  {}, u16\n\nResampled to {STEP_MM} mm under {}:",
        start.elapsed().as_secs_f64(),
        scan.display(),
        words::grid(&GridSummary::new(&phantom.grid)),
        words::bytes(MEMORY_BYTES)
    ))?;
    for target in [&nifti, &zarr] {
        let summary = resample(&scan, target)?;
        answer::line(&told(&summary))?;
        if target == &zarr {
            let pages = PictureArgs { report: Some(page.clone()), ..PictureArgs::default() };
            pages.write(&summary, &words_as_text(), true)?;
        }
    }
    answer::line(&format!("\nChecked:\n{}", checked(&phantom, &nifti, &zarr)?))?;
    let peak = sys::resident().peak_bytes;
    answer::line(&format!("  peak memory of all this: {} of {}", words::bytes(peak), words::bytes(MEMORY_BYTES)))?;
    answer::line(&format!("\nPictures before and after, for a browser:\n  {}", page.display()))?;
    answer::line(&next(&scan, &nifti, &zarr))?;
    Ok(ExitCode::SUCCESS)
}

fn resample(scan: &Path, target: &Path) -> Result<Summary> {
    let mut request = Request::new(scan, target, MEMORY_BYTES, sys::threads());
    request.grid = GridChoice::Rules(GridRequest { sizing: Sizing::Spacing([STEP_MM; 3]), ..GridRequest::default() });
    request.target.overwrite = true;
    request.pictures = Some(PicturesRequest::default());
    Job::resolve(request)?.run(sys::stop_flag(), |_| {})
}

fn told(summary: &Summary) -> String {
    let indented = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!("  {}\n{}", tell::outcome(summary), indented(&tell::grids(summary)).trim_end())
}

/// What must hold of the results, looked up in the files as they were written.
fn checked(phantom: &Phantom, nifti: &Path, zarr: &Path) -> Result<String> {
    let (found, expected) = found_again(phantom, nifti)?;
    let request = compare::Request {
        a: nifti.to_path_buf(),
        b: zarr.to_path_buf(),
        tolerance: 0.0,
        memory_bytes: MEMORY_BYTES,
        threads: sys::threads(),
        io: IoMode::Auto,
        by: None,
    };
    let comparison = compare::compare(&request, sys::stop_flag())?;
    if found != expected || !comparison.agrees() || !comparison.geometry.same {
        return Err(Error::malformed(nifti, "grid-aligned voxels", found, expected.to_string()));
    }
    let compared = comparison.differences.map_or(0, |found| found.compared);
    Ok(format!(
        "  all {expected} voxels of the scan that have a target voxel in their very place are found again\n  \
         both targets have the same {compared} voxels in the same places"
    ))
}

/// Target voxels in the very place of a scan voxel: how many have its value, and how many there are.
fn found_again(phantom: &Phantom, target: &Path) -> Result<(u64, u64)> {
    let input = Input::open(target, &OpenOptions::default())?;
    let source = input.source::<u16>(input.conversion(), IoMode::Auto)?;
    let mut reader = RegionReader::new(source.as_ref());
    let [nz, ny, nx] = input.layout().grid.shape.map(|n| n as i64);
    let mut plane = vec![0u16; (ny * nx) as usize];
    let (mut found, mut expected) = (0, 0);
    for z in (0..nz).step_by(TARGET_PERIOD[0] as usize) {
        reader.read(0, BlockMut::new(Region::new([z, 0, 0], [z + 1, ny, nx]), 1, &mut plane))?;
        for y in (0..ny).step_by(TARGET_PERIOD[1] as usize) {
            for x in (0..nx).step_by(TARGET_PERIOD[2] as usize) {
                let at: [i64; 3] = std::array::from_fn(|a| [z, y, x][a] / TARGET_PERIOD[a] * SCAN_PERIOD[a]);
                if (0..3).all(|a| at[a] < SHAPE[a] as i64) {
                    expected += 1;
                    found += u64::from(plane[(y * nx + x) as usize] == phantom.voxel(at));
                }
            }
        }
    }
    Ok((found, expected))
}

fn next(scan: &Path, nifti: &Path, zarr: &Path) -> String {
    let (scan, nifti, zarr) = (scan.display(), nifti.display(), zarr.display());
    format!(
        "\nTry next:\n  \
         reslice info {zarr}\n  \
         reslice compare {nifti} {zarr}\n  \
         reslice resample {scan} half.nii.gz --scale 0.5 --antialias\n  \
         reslice resample {scan} cubic.nii --isotropic --interp cubic --outside edge\n  \
         reslice resample {zarr} back.nii.gz --like {scan} --memory 96MiB\n  \
         reslice resample {scan} fine.ome.zarr --spacing 0.5 --dry-run"
    )
}
