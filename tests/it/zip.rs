//! OME-Zarr in one file: written as a folder is, read as a folder is.

use std::{collections::BTreeMap, fs, ops::ControlFlow, path::Path};

use reslice::storage::{DirStore, RangedFile, Store, ZipStore};
use serde_json::Value;

use crate::kit::folder::Folder;

const SMALL: [&str; 6] = ["--chunk", "16", "--shard", "32", "--codec", "zstd"];

/// A phantom as a folder `x.zarr` and as an archive `x.ozx`.
fn both(folder: &Folder, how: &[&str]) {
    folder.phantom("scan.nii", [45, 37, 41]);
    for name in ["x.zarr", "x.ozx"] {
        folder.run(&[&["resample", "scan.nii", name, "--pyramid"], how].concat()).expect(0);
    }
}

fn archive(path: &Path) -> ZipStore {
    ZipStore::open(RangedFile::local(path).unwrap(), "").unwrap()
}

fn contents(store: &dyn Store) -> BTreeMap<String, Vec<u8>> {
    let mut keys = Vec::new();
    let visit = &mut |key: &str, _| {
        keys.push(key.to_string());
        ControlFlow::Continue(())
    };
    store.list("", visit).unwrap();
    keys.into_iter().map(|key| (key.clone(), store.get(&key, 1 << 30).unwrap().unwrap())).collect()
}

#[test]
fn an_archive_holds_what_a_folder_holds() {
    for how in [&SMALL[..], &["--chunk", "16", "--shard", "none"]] {
        let folder = Folder::new();
        both(&folder, how);
        let right = contents(&DirStore::new(folder.path("x.zarr")));
        assert_eq!(contents(&archive(&folder.path("x.ozx"))), right);
        let bytes = fs::read(folder.path("x.ozx")).unwrap();
        // The first entry is the root's document; the comment is what the file ends with.
        assert_eq!(&bytes[30..39], b"zarr.json");
        let comment: Value =
            serde_json::from_slice(&bytes[bytes.iter().rposition(|&b| b == 0).unwrap() + 1..]).unwrap();
        assert_eq!(comment["ome"]["zipFile"]["centralDirectory"]["jsonFirst"], true);
        assert_eq!(comment["ome"]["version"], "0.5");
        folder.run(&["compare", "x.zarr", "x.ozx"]).expect(0);
        folder.run(&["verify", "x.ozx"]).expect(0);
        assert!(!folder.path("x.ozx.reslice").exists());
    }
}

#[test]
fn paths_within_an_archive_are_those_of_a_folder() {
    let folder = Folder::new();
    both(&folder, &SMALL);
    for inner in ["", "/", "/0", "/1"] {
        let info = |name: &str| folder.run(&["info", &format!("{name}{inner}"), "--json"]).expect(0).json();
        assert_eq!(info("x.ozx")["grid"], info("x.zarr")["grid"], "{inner}");
        for (from, to) in [("x.zarr", "a.nii"), ("x.ozx", "b.nii")] {
            let from = format!("{from}{inner}");
            folder.run(&["resample", &from, to, "--scale", "0.7", "--overwrite"]).expect(0);
        }
        assert_eq!(fs::read(folder.path("a.nii")).unwrap(), fs::read(folder.path("b.nii")).unwrap(), "{inner}");
    }
    for (inner, words) in [("x.ozx/none", "no zarr array"), ("x.ozx/zarr.json", "no zarr array"), ("scan.nii/0", "")] {
        let answer = folder.run(&["info", inner]);
        assert!(answer.code != 0 && answer.stderr.contains(words), "{inner}: {}", answer.stderr);
    }
}

#[test]
fn an_archive_is_replaced_when_that_is_asked_for() {
    let folder = Folder::new();
    both(&folder, &SMALL);
    let refused = folder.run(&["resample", "scan.nii", "x.ozx"]);
    assert!(refused.code != 0 && refused.stderr.contains("already exists"), "{}", refused.stderr);
    let refused = folder.run(&["resample", "x.ozx", "x.ozx", "--scale", "0.5"]).expect(2);
    assert!(refused.stderr.contains("would take the place of the source"), "{}", refused.stderr);
    folder.run(&["resample", "x.ozx", "x.ozx", "--scale", "0.5", "--in-place"]).expect(0);
    folder.run(&["resample", "x.zarr", "right.zarr", "--scale", "0.5"]).expect(0);
    folder.run(&["compare", "right.zarr", "x.ozx"]).expect(0);
    // A folder by that name is none.
    fs::create_dir(folder.path("f.ozx")).unwrap();
    folder.run(&["resample", "scan.nii", "f.ozx", "--overwrite"]).expect(2);
}

#[test]
fn damage_is_told() {
    let folder = Folder::new();
    both(&folder, &["--chunk", "16", "--shard", "none"]);
    let good = fs::read(folder.path("x.ozx")).unwrap();
    let at = good.windows(8).position(|name| name == b"0/c/1/1/").unwrap() + 40;
    let mut bad = good.clone();
    bad[at] ^= 4;
    fs::write(folder.path("x.ozx"), &bad).unwrap();
    let report = folder.run(&["verify", "x.ozx"]).expect(1);
    assert!(report.stdout.contains("crc-32"), "{}", report.stdout);
    folder.run(&["resample", "x.ozx", "o.nii"]).expect(1);
    fs::write(folder.path("x.ozx"), &good[..good.len() - 5]).unwrap();
    for command in ["info", "verify"] {
        let answer = folder.run(&[command, "x.ozx"]);
        assert!(answer.code != 0 && format!("{}{}", answer.stdout, answer.stderr).contains("end of the zip archive"));
    }
}

/// What a killed run has packed so far is packed anew, and is no target.
#[test]
fn the_rest_of_a_killed_packing_is_written_over() {
    let folder = Folder::new();
    folder.phantom("scan.nii", [45, 37, 41]);
    let run = ["resample", "scan.nii", "x.ozx", "--resume"];
    folder.run(&[&run[..], &SMALL].concat()).expect(0);
    let right = fs::read(folder.path("x.ozx")).unwrap();
    folder.run(&[&run[..], &SMALL].concat()).expect(0);
    let rank = |n: &str| folder.run(&[&["resample", "scan.nii", "y.ozx", "--rank", n], &SMALL[..]].concat()).expect(0);
    rank("0/2");
    assert!(!folder.path("y.ozx").exists());
    fs::write(folder.path("y.ozx.reslice/target.ozx"), b"half").unwrap();
    fs::write(folder.path("y.ozx.reslice/target.ozx.directory"), b"half").unwrap();
    rank("1/2");
    assert_eq!(fs::read(folder.path("y.ozx")).unwrap(), right);
}
