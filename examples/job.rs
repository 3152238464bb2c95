//! From file to file, with progress: `cargo run --release --example job [SCAN TARGET]`.
//!
//! Without arguments a synthetic scan is made first.

use std::{path::PathBuf, sync::atomic::AtomicBool};

use reslice::{Event, GridChoice, GridRequest, Job, Phantom, Request, Sizing};

fn main() -> reslice::Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (scan, target) = match (args.next(), args.next()) {
        (Some(scan), Some(target)) => (scan, target),
        _ => {
            let folder = std::env::temp_dir();
            let scan = folder.join("reslice-example.nii.gz");
            Phantom::new([60, 256, 256], [3.0, 0.9, 0.9]).write(&scan)?;
            (scan, folder.join("reslice-example-1mm.nii.gz"))
        }
    };

    let mut request = Request::new(&scan, &target, 128 << 20, 2);
    request.grid = GridChoice::Rules(GridRequest { sizing: Sizing::Spacing([1.0; 3]), ..GridRequest::default() });
    request.target.overwrite = true;
    let job = Job::resolve(request)?;
    job.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));

    // Set by a signal handler or another thread, it ends the run: with `resume`, the next one goes on from there.
    let stop = AtomicBool::new(false);
    let summary = job.run(&stop, |event| {
        if let Event::Progress { progress, .. } = event {
            eprint!("\r{} of {} blocks", progress.blocks_done, progress.blocks);
        }
    })?;
    eprintln!();
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("{}: {:?} voxels, peak {:.1} of 128 MiB", target.display(), summary.target.shape, mib(summary.peak_bytes));
    Ok(())
}
