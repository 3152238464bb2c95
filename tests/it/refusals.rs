//! What is refused before a run begins: options that cannot matter, a summary that could not be written, and tables that fit no budget near.

use std::{
    fs,
    os::unix::fs::symlink,
    time::{Duration, Instant},
};

use crate::kit::{
    folder::{Answer, Folder},
    nifti::Said,
};
use serde_json::Value;

const SHAPE: [u64; 3] = [7, 11, 13];

impl Folder {
    fn resample(&self, input: &str, output: &str, options: &[&str]) -> Answer {
        self.run(&[&["resample", input, output], options].concat())
    }

    fn batch(&self, rows: &str, options: &[&str]) -> Answer {
        fs::write(self.path("jobs.tsv"), rows).unwrap();
        self.run(&[&["batch", "jobs.tsv"], options].concat())
    }
}

#[test]
fn options_that_cannot_matter_are_refused_with_a_way_out() {
    let folder = Folder::new();
    folder.phantom("a.nii", SHAPE);
    folder.phantom("a.nii.gz", SHAPE);
    folder.resample("a.nii", "a.zarr", &["-q"]).expect(0);
    folder.resample("a.nii", "f32.nii", &["--dtype", "f32", "-q"]).expect(0);
    for (input, output, options) in [
        ("a.nii", "b.nii", &["--chunk", "8"][..]),
        ("a.nii", "b.nii.gz", &["--shard", "none"]),
        ("a.nii", "b.hdr", &["--codec", "zstd"]),
        ("a.nii", "b.nii", &["--ome", "0.5"]),
        ("a.nii", "b.nii", &["--pyramid"]),
        ("a.nii", "b.zarr", &["--gzip", "bgzf"]),
        ("a.nii", "b.nii", &["--gzip", "single"]),
        ("a.nii", "b.nii", &["--align", "edges"]),
        ("a.nii", "b.nii", &["--align", "origin", "--like", "a.nii"]),
        ("a.nii", "b.nii", &["--reorient-vectors"]),
        ("a.nii", "b.nii", &["--rounding", "truncate", "--dtype", "f64"]),
        ("f32.nii", "b.nii", &["--rounding", "truncate"]),
        ("a.nii", "b.nii", &["--in-place"]),
        ("a.zarr", "b.nii", &["--raw"]),
        ("a.zarr", "b.nii", &["--io", "mmap"]),
        ("a.nii.gz", "b.nii", &["--io", "pread"]),
    ] {
        let refused = folder.resample(input, output, options).expect(2);
        let option = options[0];
        assert!(refused.stderr.contains(&format!("error: {option} ")), "{options:?}: {}", refused.stderr);
        assert!(refused.stderr.contains("\nhint: leave "), "{options:?}: {}", refused.stderr);
        // The hint that always works.
        let without: Vec<&str> = match option {
            "--align" | "--rounding" => options[2..].to_vec(),
            _ => Vec::new(),
        };
        folder.resample(input, output, &[&without[..], &["-q", "--overwrite"]].concat()).expect(0);
        ["b.nii", "b.nii.gz", "b.hdr", "b.img"].iter().for_each(|name| drop(fs::remove_file(folder.path(name))));
    }
    for option in [["--scratch", "."], ["--io", "mmap"]] {
        let refused = folder.run(&[&["pyramid", "a.zarr"][..], &option].concat()).expect(2);
        assert!(refused.stderr.contains("hint: leave it out"), "{}", refused.stderr);
    }
}

#[test]
fn options_that_may_matter_are_taken() {
    let folder = Folder::new();
    folder.phantom("a.nii.gz", SHAPE);
    folder.resample("a.nii.gz", "a.nii", &["-q"]).expect(0);
    for options in [
        &["--antialias", "--scale", "2"][..],
        &["--outside", "7", "--orient", "LPS"],
        &["--raw", "--scale", "2"],
        &["--rounding", "truncate", "--interp", "nearest"],
        &["--scratch", "."],
        &["--io", "mmap"],
        &["--align", "edges", "--size", "9"],
    ] {
        folder.resample("a.nii", "b.nii", &[options, &["-q", "--overwrite"]].concat()).expect(0);
    }
}

#[test]
fn options_of_a_batch_need_to_matter_to_some_row_and_cells_to_their_own() {
    let folder = Folder::new();
    folder.phantom("a.nii", SHAPE);
    let mixed = "input\toutput\tlike\na.nii\tb.zarr\t\na.nii\tc.nii\ta.nii\n";
    let options = ["--codec", "none", "--pyramid=1", "--chunk", "4", "--align", "edges", "--scale", "2"];
    folder.batch(mixed, &options).expect(0);
    assert!(folder.path("b.zarr/1").exists() && folder.path("c.nii").exists());
    let refused = folder.batch("input\toutput\na.nii\td.nii\na.nii\te.hdr\n", &options).expect(2);
    assert!(refused.stderr.contains("error: of no use to any job: --"), "{}", refused.stderr);
    let cell = folder.batch("input\toutput\tcodec\na.nii\td.zarr\tnone\na.nii\te.nii\tnone\n", &[]).expect(2);
    assert!(cell.stderr.contains("line 3") && cell.stderr.contains("--codec is for Zarr targets"), "{}", cell.stderr);
    assert!(!folder.path("d.zarr").exists());
    // A cell that says no asks for nothing.
    folder.batch("input\toutput\tpyramid\na.nii\td.nii\tno\n", &[]).expect(0);
}

#[test]
fn a_summary_that_could_not_be_written_ends_nothing_that_has_begun() {
    let folder = Folder::new();
    folder.phantom("a.nii", SHAPE);
    folder.phantom("ref.nii", SHAPE);
    folder.resample("a.nii", "old.zarr", &["-q"]).expect(0);
    fs::create_dir(folder.path("dir")).unwrap();
    symlink("a.nii", folder.path("link.json")).unwrap();
    fs::write(folder.path("m.txt"), "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n").unwrap();
    let before = fs::read(folder.path("a.nii")).unwrap();
    for (summary, says) in [
        ("none/s.json", "there is no folder none"),
        ("dir", "it is a folder"),
        ("a.nii", "the source, a.nii"),
        ("link.json", "the source, a.nii"),
        ("./ref.nii", "the reference (--like), ref.nii"),
        ("m.txt", "a transform, m.txt"),
        ("old.zarr/0/s.json", "the target, old.zarr"),
    ] {
        let options = ["--like", "ref.nii", "--transform", "m.txt", "--overwrite", "--summary", summary];
        for more in [&[][..], &["--dry-run"]] {
            let refused = folder.resample("a.nii", "old.zarr", &[&options[..], more].concat()).expect(2);
            assert!(refused.stderr.contains(says) && refused.stderr.contains("\nhint: name "), "{}", refused.stderr);
        }
    }
    let own = folder.resample("a.nii", "new.nii", &["--summary", "new.nii"]).expect(2);
    assert!(own.stderr.contains("the target, new.nii"), "{}", own.stderr);
    let store = folder.run(&["pyramid", "old.zarr", "--summary", "old.zarr/s.json"]).expect(2);
    assert!(store.stderr.contains("the store, old.zarr"), "{}", store.stderr);
    let table = folder.batch("input\toutput\na.nii\tnew.nii\n", &["--summary", "jobs.tsv"]).expect(2);
    assert!(table.stderr.contains("the table, jobs.tsv"), "{}", table.stderr);
    assert!(!folder.path("new.nii").exists());
    assert_eq!(fs::read(folder.path("a.nii")).unwrap(), before);
}

#[test]
fn a_summary_goes_to_stdout_where_it_is_asked_for() {
    let folder = Folder::new();
    folder.phantom("a.nii", SHAPE);
    let one = folder.resample("a.nii", "b.zarr", &["--summary", "-", "--chunk", "4"]).expect(0);
    assert_eq!(one.json()["target_state"]["state"], "complete");
    let levels = folder.run(&["pyramid", "b.zarr", "--summary", "-"]).expect(0);
    assert!(levels.json()["levels"].as_array().is_some_and(|levels| !levels.is_empty()));
    let many = folder.batch("input\toutput\na.nii\tc.nii\na.nii\td.nii\n", &["--summary", "-"]).expect(0).json();
    let states: Vec<&Value> = many.as_array().unwrap().iter().map(|job| &job["status"]).collect();
    assert_eq!(states, ["done", "done"]);
    assert!(!folder.path("-").exists());
}

/// A plan with the field standing still would make tables of 17 GiB to find out what the job needs.
#[test]
fn tables_that_no_budget_near_is_enough_for_are_refused_before_a_field_is_read() {
    let folder = Folder::new();
    let said = Said::new([8, 9, 10]);
    said.write(&folder.path("scan.nii"), &vec![1i16; said.samples()]);
    let field = Said { intent: 1007, ..said }.with_outer(&[("c", 3), ("t", 1)]);
    field.write(&folder.path("field.nii"), &vec![0.5f32; field.samples()]);
    let begun = Instant::now();
    let stretched = ["--spacing=1e9", "--interp=lanczos3", "--antialias", "--transform=field.nii", "--memory=1MiB"];
    let refused = folder.resample("scan.nii", "out.nii", &stretched).expect(2);
    assert!(refused.stderr.contains("the weights along the axes of 1x1x1 target voxels take"), "{}", refused.stderr);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// Pieces of one voxel each, which look far around themselves, were taken where nothing larger fitted: each voxel of the source would have been
/// fetched 200 000 times.
#[test]
fn what_would_not_end_in_any_time_is_refused_with_a_budget_that_is_enough() {
    let folder = Folder::new();
    let said = Said::new([71, 53, 61]);
    said.write::<f32>(&folder.path("a.nii"), &vec![1.0; said.samples()]);
    fs::write(folder.path("turn.txt"), "0.96 -0.28 0 3\n0.28 0.96 0 -5\n0 0 1 2\n0 0 0 1\n").unwrap();
    let options = ["--transform", "turn.txt", "--scale", "0.53,4.29,0.65", "--interp", "bspline5", "--threads", "1"];
    let refused = folder.resample("a.nii", "b.nii", &[&options[..], &["--memory", "1MiB"]].concat()).expect(2);
    let named = refused.named_mib();
    for mib in named.saturating_sub(4)..named + 4 {
        let memory = format!("{mib}MiB");
        let run = folder.resample("a.nii", "b.nii", &[&options[..], &["--memory", &memory, "--dry-run=json"]].concat());
        assert!([0, 2].contains(&run.code), "{}", run.stderr);
        assert!(run.code == 0 || mib < named, "{mib} of {named}: {}", run.stderr);
        if run.code == 0 {
            let ratio = run.json()["passes"][0]["plan"]["fetch_ratio"].as_f64().unwrap();
            assert!(ratio < 20_000.0, "{mib}: {ratio}");
        }
    }
}
