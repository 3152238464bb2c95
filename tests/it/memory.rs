//! Budgets that leave nothing over: the peak of a child process, as the kernel counts it, at or under `--memory`.

use std::fs;

use crate::kit::{folder::Folder, nifti::Said, rng::Rng, volumes::random_voxels};
use serde_json::Value;

/// Peak of a run, held against its budget.
fn check(folder: &Folder, budget_mib: u64, args: &[&str]) {
    let memory = format!("{budget_mib}MiB");
    let run = ["--memory", &memory, "--summary", "run.json", "--overwrite", "-q"];
    folder.run(&[&["resample"], args, &run].concat()).expect(0);
    let summary: Value = serde_json::from_slice(&fs::read(folder.path("run.json")).unwrap()).unwrap();
    let peak = summary["peak_bytes"].as_u64().unwrap();
    assert!(peak <= budget_mib << 20, "{args:?}: {:.1} MiB of {budget_mib}", peak as f64 / (1 << 20) as f64);
}

/// Compressors and buffers made anew for each unit once left the heap full of holes: 28.9 MiB of 24.
#[test]
fn gzip_of_what_does_not_compress_keeps_to_its_budget() {
    let folder = Folder::new();
    let said = Said::new([120, 190, 200]).with_outer(&[("t", 2)]);
    said.write(&folder.path("noise.nii"), &random_voxels::<i16>(said.samples(), &mut Rng::new("noise")));
    for budget_mib in [29, 31, 40] {
        for threads in ["1", "2"] {
            check(&folder, budget_mib, &["noise.nii", "out.nii.gz", "--threads", threads]);
        }
        check(&folder, budget_mib, &["noise.nii", "blocks.nii.gz", "--threads", "1", "--gzip", "bgzf"]);
    }
    check(&folder, 40, &["noise.nii", "out.nii.gz", "--threads", "2", "--gzip", "single:9"]);
    check(&folder, 40, &["noise.nii", "blocks.nii.gz", "--threads", "2", "--gzip", "bgzf:12"]);
    folder.run(&["compare", "noise.nii", "out.nii.gz"]).expect(0);
    folder.run(&["compare", "noise.nii", "blocks.nii.gz"]).expect(0);
}

/// Planes of one row were once written and noted each by itself, and all notes waited in memory for the first record.
#[test]
fn volumes_of_many_small_units_keep_to_their_budget() {
    let folder = Folder::new();
    Said::new([150_000, 1, 520]).write_hole::<u8>(&folder.path("thin.nii"));
    check(&folder, 30, &["thin.nii", "thin-out.nii", "--threads", "2"]);
    let said = Said::new([53, 59, 61]);
    said.write(&folder.path("cube.nii"), &random_voxels::<i16>(said.samples(), &mut Rng::new("cube")));
    let small = ["--chunk", "3", "--shard", "60", "--threads", "2"];
    check(&folder, 36, &[&["cube.nii", "cube.zarr"][..], &small].concat());
    // Read back, every chunk held costs more than its voxels.
    check(&folder, 36, &["cube.zarr", "cube-out.nii", "--threads", "2", "--interp", "mode", "--scale", "0.1"]);
}

/// The smallest budget that the refusal of a job names.
fn named_mib(folder: &Folder, args: &[&str]) -> u64 {
    folder.run(&[&["resample"], args, &["--memory", "1MiB", "--overwrite"]].concat()).expect(2).named_mib()
}

/// Tables of weights once stayed until the last pass had ended, or were there before the pass that needs them, and no plan counted that:
/// 34.4 MiB of 34, 130.6 of 108.
#[test]
fn tables_of_another_pass_are_within_the_budget() {
    let folder = Folder::new();
    let said = Said::new([2, 1, 400_000]);
    said.write(&folder.path("long.nii"), &random_voxels::<i16>(said.samples(), &mut Rng::new("long")));
    folder.run(&["resample", "long.nii", "long.nii.gz", "-q"]).expect(0);
    for (input, output) in [("long.nii", "out.nii.gz"), ("long.nii.gz", "out.nii"), ("long.nii.gz", "out.nii.gz")] {
        let args = [input, output, "--scale", "1.1731,1,1", "--interp", "sinc-lanczos:3", "--threads", "2"];
        let named = named_mib(&folder, &args);
        for budget_mib in [named, named + 3] {
            check(&folder, budget_mib, &args);
        }
    }
}

/// Tables that only showed that voxels are copied were counted as nothing: 24.7 MiB of 23.
#[test]
fn tables_that_show_that_voxels_are_copied_are_within_the_budget() {
    let folder = Folder::new();
    Said::new([600_000, 1, 1]).write_hole::<i32>(&folder.path("thin.nii"));
    for scale in ["1.0965,1,1", "1,1.3,1.1", "1,1,3"] {
        let args =
            ["thin.nii", "thin-out.nii", "--scale", scale, "--interp", "mean", "--threads", "2", "--outside", "edge"];
        check(&folder, named_mib(&folder, &args), &args);
    }
}
