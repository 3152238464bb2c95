//! What a store, a folder or an address that somebody else has made must not do: reach what lies outside, or tell a secret.

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use crate::kit::{
    folder::Folder,
    nifti::Said,
    stores::{self, Form, edit},
};
use reslice::io::zarr::{OpenOptions, open};
use serde_json::json;

const PRECIOUS: &[u8] = b"not yours";
const FORM: Form = Form { version: 3, codec: "none", sharded: false };

impl Folder {
    fn small_scan(&self) -> PathBuf {
        let said = Said::new([4, 8, 8]);
        said.write::<u16>(&self.path("scan.nii"), &(0..256).collect::<Vec<_>>());
        self.path("scan.nii")
    }

    /// A folder beside the target with one file in it.
    fn precious(&self) -> PathBuf {
        let folder = self.path("precious");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("file"), PRECIOUS).unwrap();
        folder
    }

    /// The folder of [`Folder::precious`] is as it was.
    fn is_whole(&self) -> bool {
        let folder = self.path("precious");
        fs::read_dir(&folder).unwrap().count() == 1 && fs::read(folder.join("file")).unwrap() == PRECIOUS
    }

    /// What the command may not have kept or said: every file below this folder, but `scan.nii`, with what it said.
    fn told(&self, answer: &crate::kit::folder::Answer) -> String {
        let (mut told, mut open) = (format!("{}{}", answer.stdout, answer.stderr), vec![self.0.path().to_path_buf()]);
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else if !path.ends_with("scan.nii") {
                told.push_str(&path.to_string_lossy());
                told.push_str(&String::from_utf8_lossy(&fs::read(path).unwrap()));
            }
        }
        told
    }
}

#[test]
fn levels_lie_within_their_store() {
    let folder = Folder::new();
    stores::write(&folder.path("other.zarr"), FORM);
    let store = folder.path("image.zarr");
    for path in ["../other.zarr/0", "/etc", "0/../../other.zarr/0", "..", "a\\..\\0"] {
        stores::write(&store, FORM);
        edit(&store.join("zarr.json"), |group| {
            group["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = json!(path);
        });
        assert!(open(&store, &OpenOptions::default()).is_err(), "{path}");
        folder.run(&["verify", "image.zarr"]).expect(1);
    }
}

#[test]
fn levels_that_are_replaced_lie_beside_the_finest() {
    let folder = Folder::new();
    folder.precious();
    for path in ["", "/", "0", "0/c", "link/1", "../precious", "gone/../../precious"] {
        let store = folder.path("image.zarr");
        let _ = fs::remove_dir_all(&store);
        stores::write(&store, FORM);
        symlink(folder.path("precious"), store.join("link")).unwrap();
        edit(&store.join("zarr.json"), |group| {
            let datasets = group["attributes"]["ome"]["multiscales"][0]["datasets"].as_array_mut().unwrap();
            let mut second = datasets[0].clone();
            second["path"] = json!(path);
            datasets.push(second);
        });
        let before = fs::read(store.join("zarr.json")).unwrap();
        folder.run(&["pyramid", "image.zarr", "--levels", "1", "--overwrite"]).expect(1);
        assert!(folder.is_whole() && store.join("0/c/0/0/0").is_file(), "{path}");
        assert_eq!(fs::read(store.join("zarr.json")).unwrap(), before, "{path}");
    }
}

/// Links in the folder in which a target is built, under the names that a run will write to.
const LINKS: [(&str, &str); 6] = [
    ("out.nii", "target"),
    ("out.nii", "journal-a"),
    ("out.nii.gz", "target"),
    ("out.zarr", "target"),
    ("out.zarr", "target/0/c"),
    ("out.zarr", "target/0/zarr.json"),
];

fn link(folder: &Folder, target: &str, name: &str, to: &Path) {
    let link = folder.path(&format!("{target}.reslice")).join(name);
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(to, link).unwrap();
}

#[test]
fn a_run_that_goes_on_follows_no_link() {
    for (target, name) in LINKS {
        for to in ["precious", "precious/file"] {
            let folder = Folder::new();
            folder.small_scan();
            folder.precious();
            link(&folder, target, name, &folder.path(to));
            let answer = folder.run(&["resample", "scan.nii", target, "--resume"]).expect(1);
            assert!(answer.stderr.contains("a link"), "{target} {name}: {}", answer.stderr);
            assert!(folder.is_whole() && !folder.path(target).exists(), "{target} {name}");
        }
    }
}

#[test]
fn a_run_that_begins_removes_links_and_not_what_they_lead_to() {
    for (target, name) in LINKS {
        let folder = Folder::new();
        folder.small_scan();
        folder.precious();
        link(&folder, target, name, &folder.path("precious"));
        folder.run(&["resample", "scan.nii", target]).expect(0);
        assert!(folder.is_whole() && folder.path(target).exists(), "{target} {name}");
        assert!(!folder.path(&format!("{target}.reslice")).exists());
    }
}

#[test]
fn overwriting_replaces_links_and_not_what_they_lead_to() {
    for target in ["out.zarr", "out.nii"] {
        let folder = Folder::new();
        folder.small_scan();
        folder.precious();
        // The target itself is a link: to a folder, to a file, to nothing.
        for to in ["precious", "precious/file", "nothing"] {
            let _ = fs::remove_file(folder.path(target)).or_else(|_| fs::remove_dir_all(folder.path(target)));
            symlink(folder.path(to), folder.path(target)).unwrap();
            folder.run(&["resample", "scan.nii", target]).expect(2);
            folder.run(&["resample", "scan.nii", target, "--overwrite"]).expect(0);
            assert!(folder.is_whole() && !folder.path(target).is_symlink(), "{target} to {to}");
            assert!(!folder.path("nothing").exists());
        }
    }
    // A store with links in it.
    let folder = Folder::new();
    folder.small_scan();
    folder.precious();
    folder.run(&["resample", "scan.nii", "out.zarr"]).expect(0);
    symlink(folder.path("precious"), folder.path("out.zarr/0/d")).unwrap();
    symlink(folder.path("precious/file"), folder.path("out.zarr/.zattrs")).unwrap();
    folder.run(&["resample", "scan.nii", "out.zarr", "--overwrite"]).expect(0);
    assert!(folder.is_whole() && !folder.path("out.zarr/0/d").is_symlink());
}

#[test]
fn the_umask_is_kept() {
    let folder = Folder::new();
    folder.small_scan();
    for target in ["out.zarr", "out.nii", "out.nii.gz"] {
        let program = env!("CARGO_BIN_EXE_reslice");
        let text = format!("umask 027; exec '{program}' resample scan.nii {target} --resume --summary {target}.json");
        assert!(Command::new("sh").args(["-c", &text]).current_dir(folder.0.path()).status().unwrap().success());
    }
    let (mut open, mut files) = (vec![folder.0.path().to_path_buf()], 0);
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(&path).unwrap() {
            let entry = entry.unwrap().path();
            let mode = entry.symlink_metadata().unwrap().mode() & 0o777;
            assert!(entry.ends_with("scan.nii") || mode & 0o027 == 0, "{} has {mode:o}", entry.display());
            files += 1;
            if entry.is_dir() {
                open.push(entry);
            }
        }
    }
    assert!(files > 10);
}

#[test]
fn credentials_are_neither_kept_nor_told() {
    const SECRETS: [(&str, &str); 6] = [
        ("AWS_ACCESS_KEY_ID", "AKIAHUNTERTWO"),
        ("AWS_SECRET_ACCESS_KEY", "huntertwosecret"),
        ("AWS_SESSION_TOKEN", "huntertwosession"),
        ("AZURE_STORAGE_ACCOUNT_KEY", "huntertwoazure"),
        ("GOOGLE_SERVICE_ACCOUNT_KEY", "huntertwogoogle"),
        ("AZURE_STORAGE_SAS_KEY", "huntertwosas"),
    ];
    for (n, target) in ["out.zarr", "out.nii.gz"].into_iter().enumerate() {
        let folder = Folder::new();
        folder.small_scan();
        // A share alone: its journal, its lease's folder and its notes stay.
        let rank = format!("{n}/2");
        let args = ["resample", "scan.nii", target, "--rank", &rank, "--summary", "summary.json", "-v"];
        let output = folder.command(&args).envs(SECRETS).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        let told = folder.told(&crate::kit::folder::Answer { code: 0, stdout, stderr });
        assert!(told.contains("summary.json") && told.contains("version of results"), "{told}");
        assert!(!told.to_lowercase().contains("huntertwo"), "{told}");
    }
}

#[test]
fn addresses_with_secrets_are_refused_and_not_repeated() {
    let folder = Folder::new();
    folder.small_scan();
    for secret in [
        "https://user:huntertwo@127.0.0.1:9/a.zarr",
        "https://huntertwo@127.0.0.1:9/a.zarr",
        "https://127.0.0.1:9/a.zarr?X-Amz-Signature=huntertwo",
        "https://127.0.0.1:9/a.zarr#huntertwo",
        "s3://bucket/a.zarr?sig=huntertwo",
        "az://container/a.zarr?sv=1&sig=huntertwo",
        "s3://AKIA:huntertwo@bucket/a.zarr",
        "file://user:huntertwo@node/a.zarr",
        "ftp://user:huntertwo@node/a.zarr",
    ] {
        fs::write(folder.path("jobs.tsv"), format!("input\toutput\nscan.nii\t{secret}\n")).unwrap();
        for args in [
            &["info", secret][..],
            &["verify", secret],
            &["pyramid", secret],
            &["compare", secret, "scan.nii"],
            &["resample", secret, "out.nii", "--summary", "summary.json"],
            &["resample", "scan.nii", secret, "--summary", "summary.json", "-v"],
            &["resample", "scan.nii", "out.nii", "--like", secret],
            &["resample", "scan.nii", "out.nii", "--transform", secret],
            &["batch", "jobs.tsv"],
        ] {
            let answer = folder.run(args);
            fs::remove_file(folder.path("jobs.tsv")).ok();
            assert_ne!(answer.code, 0, "{args:?}");
            assert!(!folder.told(&answer).contains("huntertwo"), "{args:?}: {}", answer.stderr);
            fs::write(folder.path("jobs.tsv"), format!("input\toutput\nscan.nii\t{secret}\n")).unwrap();
        }
    }
}
