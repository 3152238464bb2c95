//! Scratch files: where they go, and that what killed runs left is removed by the next.

use std::fs;

use crate::kit::{folder::Folder, nifti::Said, rng::Rng, volumes::random_voxels};
use reslice::sys::Process;

const SHAPE: [u64; 3] = [9, 11, 13];

#[test]
fn a_run_removes_what_killed_ones_left_on_the_disk_of_the_job() {
    let folder = Folder::new();
    let (scan, field) = (Said::new(SHAPE), Said::new(SHAPE).with_outer(&[("c", 3), ("t", 1)]));
    scan.write(&folder.path("scan.nii"), &random_voxels::<i16>(scan.samples(), &mut Rng::new("scan")));
    // A stream, so that it is unpacked into a scratch file.
    Said { intent: 1007, ..field.clone() }.write(&folder.path("field.nii.gz"), &vec![0.5f32; field.samples()]);
    let local = folder.path("local");
    fs::create_dir(&local).unwrap();
    let own = Process::own().clone();
    let left = |process: &Process| local.join(format!("reslice-field-{}.0", process.name()));
    let killed = left(&Process { started: 1, ..own.clone() });
    let others = left(&Process { host: "another-node".into(), ..own.clone() });
    let running = left(&own);
    [&killed, &others, &running].iter().for_each(|path| fs::write(path, "x").unwrap());

    let mut command = folder.command(&["resample", "scan.nii", "out.nii", "--transform", "field.nii.gz"]);
    let output = command.env("SLURM_TMPDIR", &local).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(folder.path("out.nii").exists() && !killed.exists());
    assert!(others.exists() && running.exists());
    assert_eq!(fs::read_dir(&local).unwrap().count(), 2);
}

#[test]
fn a_scratch_folder_that_is_not_there_is_an_error() {
    let folder = Folder::new();
    let (scan, field) = (Said::new(SHAPE), Said::new(SHAPE).with_outer(&[("c", 3), ("t", 1)]));
    scan.write(&folder.path("scan.nii"), &random_voxels::<i16>(scan.samples(), &mut Rng::new("scan")));
    Said { intent: 1007, ..field.clone() }.write(&folder.path("field.nii.gz"), &vec![0.5f32; field.samples()]);
    let args = ["resample", "scan.nii", "out.nii", "--transform", "field.nii.gz"];
    let missing = folder.run(&[&args[..], &["--scratch", "none"]].concat()).expect(1);
    assert!(missing.stderr.contains("cannot create none/reslice-field-"), "{}", missing.stderr);
    assert!(!folder.path("out.nii").exists());
    // A batch system that says nothing, or names what is not there, changes nothing.
    for named in ["", "none"] {
        let mut command = folder.command(&[&args[..], &["--overwrite"]].concat());
        assert!(command.env("SLURM_TMPDIR", named).status().unwrap().success());
    }
}
