//! What was stored and is gone, cut or replaced must be noticed: nothing of it may become voxels.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::kit::{folder::Folder, nifti::Said, stores};

/// Shards of 2 x 2 x 2 chunks of 4 x 4 x 4 voxels.
const CHUNKS: [&str; 4] = ["--chunk", "4", "--shard", "8"];

impl Folder {
    /// A scan of 16 x 16 x 16 voxels whose last quarter is 0, and what is made of it.
    fn gappy_store(&self, name: &str, args: &[&str]) -> Vec<PathBuf> {
        let said = Said::new([16; 3]);
        let voxels: Vec<u16> = (0..4096u16).map(|n| if n < 3072 { n + 1 } else { 0 }).collect();
        said.write::<u16>(&self.path("scan.nii"), &voxels);
        self.run(&[&["resample", "scan.nii", name], args].concat()).expect(0);
        let mut files = stores::files(&self.path(name), false);
        let has = |path: &Path, name: &str| path.components().any(|part| part.as_os_str() == name);
        files.retain(|path| path.strip_prefix(self.0.path()).is_ok_and(|path| has(path, "c") && !has(path, "nifti")));
        files.sort();
        files
    }
}

#[test]
fn a_shard_of_ours_that_is_gone_is_an_error() {
    let folder = Folder::new();
    let files = folder.gappy_store("a.zarr", &CHUNKS);
    assert_eq!(files.len(), 8);
    folder.run(&["compare", "a.zarr", "scan.nii"]).expect(0);
    fs::remove_file(&files[1]).unwrap();
    let lost = "24 of 64 chunks are absent, and 16 were left out when it was written";
    for args in [
        &["resample", "a.zarr", "back.nii"][..],
        &["resample", "a.zarr", "back.nii.gz", "--scale", "0.5"],
        // A part that is whole does not read the shard, and one with chunks that were left out finds what is lost elsewhere.
        &["resample", "a.zarr", "back.nii", "--region", "0:4,0:4,12:16"],
    ] {
        let answer = folder.run(args).expect(1);
        assert!(answer.stderr.contains(lost) && answer.stderr.contains("hint:"), "{}", answer.stderr);
        assert!(!folder.path(args[2]).exists());
    }
    assert!(folder.run(&["compare", "a.zarr", "scan.nii"]).expect(2).stderr.contains(lost));
    let verified = folder.run(&["verify", "a.zarr"]).expect(1);
    assert!(verified.stdout.contains("24 chunks missing, 16 expected"), "{}", verified.stdout);
    folder.run(&["resample", "a.zarr", "part.nii", "--region", "0:4,0:4,0:4"]).expect(0);

    // The hint works.
    let document = folder.path("a.zarr/0/zarr.json");
    stores::edit(&document, |array| {
        array["attributes"]["reslice"].as_object_mut().unwrap().remove("empty_chunks");
    });
    assert!(
        folder.run(&["resample", "a.zarr", "back.nii"]).expect(0).stderr.contains("24 chunks of the source are absent")
    );
}

#[test]
fn a_chunk_of_ours_that_is_gone_is_an_error() {
    for version in [&["--ome", "0.4"][..], &["--shard", "none"]] {
        let folder = Folder::new();
        folder.gappy_store("a.zarr", &[&["--chunk", "4"], version].concat());
        let gone = ["0/c/1/2/3", "0/1/2/3"].map(|key| folder.path("a.zarr").join(key));
        fs::remove_file(gone.iter().find(|path| path.exists()).unwrap()).unwrap();
        let answer = folder.run(&["resample", "a.zarr", "back.nii", "--spacing", "3"]).expect(1);
        assert!(answer.stderr.contains("17 of 64 chunks are absent, and 16 were left out"), "{}", answer.stderr);
    }
}

#[test]
fn chunks_that_were_left_out_are_no_loss_however_often_they_are_read() {
    let folder = Folder::new();
    folder.gappy_store("a.zarr", &CHUNKS);
    let args = ["--memory", "64MiB", "--interp", "cubic"];
    folder.run(&[&["resample", "a.zarr", "one.nii", "--scale", "1.7"][..], &args].concat()).expect(0);
    folder.run(&["resample", "a.zarr", "again.zarr", "--chunk", "3", "--shard", "6"]).expect(0);
    folder.run(&["compare", "again.zarr", "scan.nii"]).expect(0);
}

/// The files in which a target of `out` is built, the largest last.
fn built(folder: &Folder, out: &str) -> Vec<PathBuf> {
    let state = folder.path(&format!("{out}.reslice"));
    let mut files = stores::files(&state, false);
    files.retain(|path| path.strip_prefix(&state).unwrap().to_string_lossy().starts_with("target"));
    files.sort_by_key(|path| path.metadata().unwrap().len());
    files
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    Partition,
    Removed,
    Replaced,
}

fn damage(path: &PathBuf, how: Damage) {
    // Later than a step of the kernel's clock.
    std::thread::sleep(std::time::Duration::from_millis(40));
    let mut bytes = fs::read(path).unwrap();
    fs::remove_file(path).unwrap();
    match how {
        Damage::Partition => bytes.truncate(bytes.len() / 2),
        Damage::Removed => return,
        Damage::Replaced => bytes.iter_mut().for_each(|byte| *byte ^= 0x55),
    }
    fs::write(path, bytes).unwrap();
}

const DAMAGES: [Damage; 3] = [Damage::Partition, Damage::Removed, Damage::Replaced];

/// Targets, how they are written, and whether others' work on them is in files of its own.
const TARGETS: [(&str, &[&str], bool); 4] = [
    ("out.nii", &[], false),
    ("out.nii.gz", &[], true),
    ("out.zarr", &["--chunk", "16", "--shard", "32"], true),
    ("plain.zarr", &["--chunk", "16", "--shard", "none"], true),
];

/// A scan of several MiB that does not compress, so that every kind of target has several units.
fn large(folder: &Folder) {
    let said = Said::new([48, 160, 160]);
    let mut n = 1u32;
    let mut voxel = || {
        n = n.wrapping_mul(1664525).wrapping_add(1013904223);
        (n >> 16) as u16
    };
    said.write::<u16>(&folder.path("scan.nii"), &(0..48 * 160 * 160).map(|_| voxel()).collect::<Vec<_>>());
}

fn is_as_expected(folder: &Folder, out: &str) {
    folder.run(&["compare", "scan.nii", out]).expect(0);
    folder.run(&["verify", out]).expect(0);
}

#[test]
fn what_a_record_speaks_of_is_looked_at() {
    for (out, args, _) in TARGETS {
        for how in DAMAGES {
            let folder = Folder::new();
            large(&folder);
            let run = [&["resample", "scan.nii", out][..], args].concat();
            folder.run(&[&run[..], &["--rank", "0/2"]].concat()).expect(0);
            let files = built(&folder, out);
            damage(files.last().unwrap(), how);
            let answer = folder.run(&[&run[..], &["--resume"]].concat()).expect(0);
            assert!(folder.path(out).exists(), "{out} {how:?}: {}", answer.stderr);
            is_as_expected(&folder, out);
        }
    }
}

#[test]
fn what_is_whole_is_not_made_again() {
    for (out, args, _) in TARGETS {
        let folder = Folder::new();
        large(&folder);
        let run = [&["resample", "scan.nii", out][..], args].concat();
        folder.run(&[&run[..], &["--rank", "0/2"]].concat()).expect(0);
        let answer = folder.run(&[&run[..], &["--resume"]].concat()).expect(0);
        assert!(answer.stderr.contains("% of "), "{out}: {}", answer.stderr);
        is_as_expected(&folder, out);
    }
}

#[test]
fn the_last_rank_completes_nothing_that_has_gone() {
    for (out, args, is_apart) in TARGETS {
        for how in DAMAGES {
            // In a file that all of them write, each looks after its own regions.
            if !is_apart && how == Damage::Replaced {
                continue;
            }
            let folder = Folder::new();
            large(&folder);
            let run = |rank: &str| folder.run(&[&["resample", "scan.nii", out, "--rank", rank][..], args].concat());
            run("0/2").expect(0);
            damage(built(&folder, out).last().unwrap(), how);
            if !is_apart {
                let answer = run("1/2").expect(1);
                assert!(answer.stderr.contains("gone or shorter"), "{how:?}: {}", answer.stderr);
                assert!(!folder.path(out).exists());
                continue;
            }
            let answer = run("1/2").expect(0);
            assert!(answer.stderr.contains("other ranks have") && !folder.path(out).exists(), "{}", answer.stderr);
            run("0/2").expect(0);
            is_as_expected(&folder, out);
        }
    }
}

#[test]
fn a_joined_stream_that_was_changed_is_joined_or_made_again() {
    for how in DAMAGES {
        let folder = Folder::new();
        large(&folder);
        let run = ["resample", "scan.nii", "out.nii.gz", "--resume"];
        folder.run(&["resample", "scan.nii", "out.nii.gz", "--rank", "0/2"]).expect(0);
        // As a run leaves it that was killed when it had joined the units, and before it gave the target its name.
        fs::write(folder.path("out.nii.gz.reslice/target"), b"half a stream").unwrap();
        damage(&folder.path("out.nii.gz.reslice/target"), how);
        folder.run(&run).expect(0);
        is_as_expected(&folder, "out.nii.gz");
    }
}
