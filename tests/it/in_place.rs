//! Targets in the place of what a run reads: refused under any name, and `--in-place`, which asks for it.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use crate::kit::folder::Folder;

const SHAPE: [u64; 3] = [7, 11, 13];

impl Folder {
    fn store(&self, name: &str, options: &[&str]) {
        self.phantom("for-store.nii", SHAPE);
        self.run(&[&["resample", "for-store.nii", name, "-q", "--chunk", "8"], options].concat()).expect(0);
    }

    /// Every file below, with its bytes.
    fn content(&self, name: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let path = self.path(name);
        if path.is_file() {
            return vec![(PathBuf::from(name), fs::read(path).unwrap())];
        }
        let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names.iter().flat_map(|below| self.content(&format!("{name}/{}", below.to_str().unwrap()))).collect()
    }

    fn shape(&self, name: &str) -> serde_json::Value {
        self.run(&["info", name, "--json"]).expect(0).json()["grid"]["shape"].clone()
    }
}

#[test]
fn a_target_that_is_the_source_is_refused_under_any_name() {
    let folder = Folder::new();
    folder.phantom("a.nii", SHAPE);
    folder.phantom("pair.nii", SHAPE);
    folder.run(&["resample", "pair.nii", "p.hdr", "-q"]).expect(0);
    folder.store("s.zarr", &["--pyramid=1"]);
    fs::create_dir(folder.path("sub")).unwrap();
    symlink("a.nii", folder.path("soft.nii")).unwrap();
    symlink("s.zarr", folder.path("soft.zarr")).unwrap();
    fs::hard_link(folder.path("a.nii"), folder.path("hard.nii")).unwrap();
    let absolute = folder.path("a.nii").display().to_string();
    let url = format!("file://{}", folder.path("s.zarr").display());
    let before = ["a.nii", "p.hdr", "p.img", "s.zarr"].map(|name| folder.content(name));
    for (input, output) in [
        ("a.nii", "a.nii"),
        ("a.nii", "./a.nii"),
        ("a.nii", "sub/../a.nii"),
        ("a.nii", absolute.as_str()),
        ("a.nii", "soft.nii"),
        ("soft.nii", "a.nii"),
        ("a.nii", "hard.nii"),
        ("p.hdr", "p.img"),
        ("p.img", "p.hdr"),
        ("s.zarr", "s.zarr/"),
        ("s.zarr/", "s.zarr"),
        ("s.zarr", "soft.zarr"),
        ("s.zarr/1", "s.zarr"),
        ("soft.zarr/0", "s.zarr/"),
        (url.as_str(), "s.zarr"),
    ] {
        for more in [&["--overwrite"][..], &["--resume"], &["--dry-run"], &[]] {
            let refused = folder.run(&[&["resample", input, output, "--scale", "2"], more].concat()).expect(2);
            assert!(refused.stderr.contains("would take the place of the source"), "{output}: {}", refused.stderr);
            assert!(refused.stderr.contains("hint: --in-place"), "{output}: {}", refused.stderr);
        }
    }
    assert_eq!(["a.nii", "p.hdr", "p.img", "s.zarr"].map(|name| folder.content(name)), before);
    assert!(!folder.path("a.nii.reslice").exists() && !folder.path("s.zarr.reslice").exists());
}

#[test]
fn other_files_that_a_run_reads_are_never_replaced() {
    let folder = Folder::new();
    ["a.nii", "ref.nii", "src.nii"].iter().for_each(|name| drop(folder.phantom(name, SHAPE)));
    folder.store("ref.zarr", &[]);
    let identity = "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n";
    fs::write(folder.path("m.mat"), identity).unwrap();
    fs::write(folder.path("ref.zarr/m.mat"), identity).unwrap();
    let roles = "m.mat,fsl,src=src.nii,ref=ref.nii";
    for (output, options, says) in [
        ("ref.nii", &["--like", "ref.nii"][..], "the reference (--like)"),
        ("ref.zarr", &["--like", "ref.zarr/0"], "the reference (--like)"),
        ("ref.zarr", &["--transform", "ref.zarr/m.mat,ras"], "a transform"),
        ("ref.nii", &["--transform", roles], "an image of a transform"),
        ("src.nii", &["--transform", roles], "an image of a transform"),
    ] {
        let refused = folder.run(&[&["resample", "a.nii", output, "--overwrite"], options].concat()).expect(2);
        assert!(
            refused.stderr.contains(says) && refused.stderr.contains("hint: choose another name"),
            "{}",
            refused.stderr
        );
    }
    // The image that was moved is the source itself.
    folder.run(&["resample", "src.nii", "src.nii", "--transform", roles, "--in-place", "-q"]).expect(0);
}

#[test]
fn what_lies_where_the_target_is_built_is_not_emptied() {
    let folder = Folder::new();
    fs::create_dir(folder.path("out.nii.reslice")).unwrap();
    folder.phantom("out.nii.reslice/kept.nii", SHAPE);
    let refused = folder.run(&["resample", "out.nii.reslice/kept.nii", "out.nii", "--overwrite"]).expect(2);
    assert!(refused.stderr.contains("in which out.nii is built"), "{}", refused.stderr);
    assert!(folder.path("out.nii.reslice/kept.nii").exists());
}

#[test]
fn in_place_the_new_one_is_what_another_name_would_have_got() {
    let folder = Folder::new();
    for name in ["a.nii", "b.nii.gz", "c.hdr", "d.zarr"] {
        folder.phantom("scan.nii", SHAPE);
        folder.run(&["resample", "scan.nii", name, "-q"]).expect(0);
        folder.run(&["resample", name, &format!("new-{name}"), "--scale", "0.5,2,1", "-q"]).expect(0);
        folder.run(&["resample", name, name, "--scale", "0.5,2,1", "--in-place", "-q"]).expect(0);
        folder.run(&["compare", name, &format!("new-{name}")]).expect(0);
        assert!(!folder.path(&format!("{name}.reslice")).exists());
    }
    let [own, other] = ["b.nii.gz", "new-b.nii.gz"].map(|name| fs::read(folder.path(name)).unwrap());
    assert_eq!(own, other);
}

#[test]
fn a_link_is_replaced_and_what_it_leads_to_stays() {
    let folder = Folder::new();
    let before = fs::read(folder.phantom("real.nii", SHAPE)).unwrap();
    symlink("real.nii", folder.path("link.nii")).unwrap();
    folder.run(&["resample", "link.nii", "link.nii", "--scale", "2", "--in-place", "-q"]).expect(0);
    assert_eq!(fs::read(folder.path("real.nii")).unwrap(), before);
    assert!(!folder.path("link.nii").is_symlink());
    assert_eq!(folder.shape("link.nii"), serde_json::json!([26, 22, 14]));
}

#[test]
fn a_store_that_holds_more_than_the_source_is_not_replaced() {
    let folder = Folder::new();
    folder.store("s.zarr", &["--pyramid=1"]);
    folder.store("s.zarr/labels/cells.zarr", &["--parents"]);
    let refused = folder.run(&["resample", "s.zarr/labels/cells.zarr", "s.zarr", "--in-place"]).expect(2);
    assert!(refused.stderr.contains("more than the source"), "{}", refused.stderr);
    fs::remove_dir_all(folder.path("s.zarr/labels")).unwrap();
    let levels = folder.run(&["resample", "s.zarr", "s.zarr", "--scale", "2", "--in-place"]).expect(0);
    assert!(levels.stderr.contains("s.zarr has 2 levels") && levels.stderr.contains("--pyramid"), "{}", levels.stderr);

    folder.store("l.zarr", &[]);
    fs::create_dir_all(folder.path("l.zarr/labels")).unwrap();
    let group = r#"{"zarr_format":3,"node_type":"group","attributes":{"ome":{"version":"0.5","labels":["cells"]}}}"#;
    fs::write(folder.path("l.zarr/labels/zarr.json"), group).unwrap();
    let labels = folder.run(&["resample", "l.zarr", "l.zarr", "--scale", "2", "--in-place"]).expect(2);
    assert!(labels.stderr.contains("l.zarr has labels (cells)"), "{}", labels.stderr);
}

/// Else a batch that goes on would shrink a finished image once more.
#[test]
fn a_finished_job_is_not_done_again_to_its_own_result() {
    let folder = Folder::new();
    for name in ["a.nii", "b.zarr"] {
        folder.phantom("scan.nii", SHAPE);
        folder.run(&["resample", "scan.nii", name, "-q"]).expect(0);
        let job = ["resample", name, name, "--scale", "2", "--in-place", "--resume"];
        folder.run(&job).expect(0);
        let again = folder.run(&job).expect(0);
        assert!(again.stderr.contains("finished already"), "{}", again.stderr);
        assert_eq!(folder.shape(name), serde_json::json!([26, 22, 14]));
        // Another job goes by what is there now.
        folder.run(&["resample", name, name, "--scale", "0.5", "--in-place", "--resume"]).expect(0);
        assert_eq!(folder.shape(name), serde_json::json!([13, 11, 7]));
    }
}

#[test]
fn rows_of_a_batch_are_done_in_place_once() {
    let folder = Folder::new();
    folder.phantom("a.nii", SHAPE);
    folder.phantom("b.nii", SHAPE);
    fs::write(folder.path("broken.nii"), "x").unwrap();
    let rows = "input\toutput\tin-place\na.nii\ta.nii\tyes\nbroken.nii\tx.nii\t\nb.nii\tb.nii\tyes\n";
    fs::write(folder.path("jobs.tsv"), rows).unwrap();
    let batch = ["batch", "jobs.tsv", "--scale", "2", "--keep-going"];
    folder.run(&batch).expect(1);
    let again = folder.run(&[&batch[..], &["--resume"]].concat()).expect(1);
    assert!(again.stderr.matches("already done").count() == 2, "{}", again.stderr);
    for name in ["a.nii", "b.nii"] {
        assert_eq!(folder.shape(name), serde_json::json!([26, 22, 14]));
    }
    fs::write(folder.path("jobs.tsv"), "input\toutput\na.nii\ta.nii\n").unwrap();
    let refused = folder.run(&["batch", "jobs.tsv", "--scale", "2"]).expect(2);
    assert!(refused.stderr.contains("line 2") && refused.stderr.contains("--in-place"), "{}", refused.stderr);
}

#[test]
fn a_run_that_was_ended_while_it_replaced_a_store_says_where_the_old_one_is() {
    let folder = Folder::new();
    folder.store("s.zarr", &[]);
    fs::create_dir(folder.path("s.zarr.reslice")).unwrap();
    fs::rename(folder.path("s.zarr"), folder.path("s.zarr.reslice/replaced-0")).unwrap();
    let told = folder.run(&["resample", "s.zarr", "s.zarr", "--scale", "2", "--in-place"]).expect(2);
    assert!(told.stderr.contains("hint: mv s.zarr.reslice/replaced-0 s.zarr,"), "{}", told.stderr);
    fs::rename(folder.path("s.zarr.reslice/replaced-0"), folder.path("s.zarr")).unwrap();
    folder.run(&["resample", "s.zarr", "s.zarr", "--scale", "2", "--in-place", "--restart", "-q"]).expect(0);
    assert_eq!(folder.shape("s.zarr"), serde_json::json!([26, 22, 14]));
}

/// `.nhdr` and `.mhd` have their voxels in `.raw`, and a header may name any file: what belongs to another image stays.
#[test]
fn voxels_of_another_header_are_not_replaced() {
    let folder = Folder::new();
    folder.phantom("a.nii", SHAPE);
    for name in ["q.nhdr", "u.nhdr", "p.hdr"] {
        folder.run(&["resample", "a.nii", name, "-q"]).expect(0);
    }
    let names_image = fs::read_to_string(folder.path("u.nhdr")).unwrap().replace("u.raw", "u.img");
    fs::write(folder.path("u.nhdr"), names_image).unwrap();
    fs::rename(folder.path("u.raw"), folder.path("u.img")).unwrap();
    fs::write(folder.path("lone.img"), "letter").unwrap();
    fs::copy(folder.path("q.nhdr"), folder.path("v.nhdr")).unwrap();
    fs::write(folder.path("v.raw"), "letter").unwrap();
    let names = ["q.nhdr", "q.raw", "u.nhdr", "u.img", "lone.img", "v.nhdr", "v.raw"];
    let before = names.map(|name| folder.content(name));
    for (target, told) in [
        ("q.mhd", "q.raw has the voxels of q.nhdr: it is not replaced"),
        ("u.hdr", "u.img has the voxels of u.nhdr: it is not replaced"),
        ("lone.hdr", "lone.img is there and lone.hdr is not"),
        ("v.nhdr", "v.raw is there and v.nhdr does not name it"),
    ] {
        for option in [["-q"].as_slice(), &["--overwrite"], &["--overwrite", "--dry-run"], &["--dry-run"]] {
            let refused = folder.run(&[&["resample", "a.nii", target], option].concat()).expect(2);
            assert!(
                refused.stderr.contains(told) && refused.stderr.contains("choose another name"),
                "{}",
                refused.stderr
            );
        }
        let like = folder.run(&["resample", "a.nii", target, "--like", "u.nhdr", "--overwrite"]).expect(2);
        assert!(like.stderr.contains("another name"), "{}", like.stderr);
        assert!(!folder.path(&format!("{target}.reslice")).exists());
    }
    assert_eq!(before, names.map(|name| folder.content(name)));
    // Voxels of the reference, whatever the name of its header is.
    let taken = folder.run(&["resample", "a.nii", "u.hdr", "--like", "u.nhdr", "--overwrite"]).expect(2);
    assert!(taken.stderr.contains("the place of the reference (--like), u.img"), "{}", taken.stderr);
    // What is there in both halves is replaced, under the name of either.
    for name in ["q.nhdr", "p.hdr", "p.img"] {
        folder.run(&["resample", "a.nii", name, "-q"]).expect(2);
        folder.run(&["resample", "a.nii", name, "-q", "--overwrite", "--scale", "2"]).expect(0);
    }
    assert_eq!(folder.shape("p.hdr"), folder.shape("q.nhdr"));
}
