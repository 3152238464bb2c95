//! `reslice status`: a target that is absent, made by ranks, finished, or that a run works on.

use std::{process::Stdio, thread, time::Duration};

use crate::kit::folder::Folder;

const SHAPE: [u64; 3] = [40, 60, 50];

#[test]
fn a_target_is_absent_then_unfinished_then_finished() {
    let folder = Folder::new();
    folder.phantom("scan.nii", SHAPE);
    let status = |code: i32| folder.run(&["status", "out.zarr", "--json"]).expect(code).json();
    assert_eq!(status(1)["state"], "absent");
    let make = |rank: &str| {
        let run = [
            "resample", "scan.nii", "out.zarr", "--scale", "1.3", "--chunk", "16", "--shard", "none", "-q", "--rank",
            rank,
        ];
        folder.run(&run).expect(0);
    };
    make("0/2");
    let found = status(1);
    assert_eq!((&found["state"], &found["ranks"]), (&"unfinished".into(), &2.into()), "{found}");
    let stored = found["stored"].as_f64().unwrap();
    assert!((0.2..0.8).contains(&stored), "{found}");
    assert!(found["runs"].as_array().unwrap().is_empty(), "{found}");
    let told = folder.run(&["status", "out.zarr"]).expect(1);
    assert!(told.stdout.contains(&format!("unfinished, {:.1} % stored", 100.0 * stored)), "{}", told.stdout);
    assert!(told.stdout.contains("--resume continues it"), "{}", told.stdout);
    // What is not there yet points at it.
    let info = folder.run(&["info", "out.zarr"]).expect(1);
    assert!(info.stderr.contains("reslice status out.zarr"), "{}", info.stderr);
    make("1/2");
    let found = status(0);
    assert_eq!((&found["state"], &found["stored"]), (&"finished".into(), &1.0.into()), "{found}");
    folder.run(&["resample", "scan.nii", "plain.nii", "-q"]).expect(0);
    assert!(folder.run(&["status", "plain.nii"]).expect(0).stdout.contains("plain.nii: finished"));
}

#[test]
fn a_run_at_work_is_seen_and_one_that_was_killed_has_ended() {
    let folder = Folder::new();
    folder.phantom("scan.nii", [200, 256, 256]);
    let args = ["resample", "scan.nii", "out.nii", "--scale", "2", "--interp", "sinc-lanczos", "--threads", "1", "-q"];
    let mut run = folder.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut seen = Vec::new();
    for _ in 0..200 {
        let found = folder.run(&["status", "out.nii", "--json"]).json();
        seen = found["runs"].as_array().unwrap().clone();
        if !seen.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let is_running = run.try_wait().unwrap().is_none();
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(is_running, "the run is long enough");
    assert_eq!((seen[0]["process"].as_u64(), &seen[0]["is_alive"]), (Some(run.id().into()), &true.into()), "{seen:?}");
    let found = folder.run(&["status", "out.nii", "--json"]).expect(1).json();
    assert_eq!((&found["state"], &found["runs"][0]["is_alive"]), (&"unfinished".into(), &false.into()), "{found}");
}
