//! What others have put in the way: it is told and left alone, and nothing waits for it.

use std::{
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink, net::UnixListener},
    path::Path,
    process::Command,
};

use crate::kit::{
    folder::{Answer, Folder},
    nifti::Said,
};

fn scan(folder: &Folder) {
    let said = Said::new([6, 8, 10]);
    said.write::<u16>(&folder.path("scan.nii"), &(1..=480).collect::<Vec<_>>());
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Runs the command under limits of the shell, and no longer than 20 s.
fn limited(folder: &Folder, limits: &str, args: &[&str]) -> Answer {
    let text = format!("ulimit -c 0; {limits}; exec timeout 20 \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &text, env!("CARGO_BIN_EXE_reslice")])
        .args(args)
        .current_dir(folder.0.path())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // 124 is a timeout.
    let code = output.status.code().unwrap_or(-1);
    Answer { code, stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

fn is_told(answer: &Answer, words: &str) {
    assert!([1, 2].contains(&answer.code) && answer.stderr.contains(words), "{}: {}", answer.code, answer.stderr);
    assert!(!answer.stderr.contains("panicked"), "{}", answer.stderr);
}

#[test]
fn pipes_sockets_and_devices_are_named_and_not_waited_for() {
    let folder = Folder::new();
    scan(&folder);
    for name in ["p.nii", "p.mat", "p.tsv", "p.csv", "p.img", "q.nii"] {
        pipe(&folder.path(name));
    }
    fs::copy(folder.path("scan.nii"), folder.path("p.hdr")).unwrap();
    let _socket = UnixListener::bind(folder.path("s.mat")).unwrap();
    fs::write(folder.path("list.txt"), "p.mat\n").unwrap();
    for (args, word) in [
        (&["resample", "p.nii", "o.nii"][..], "a pipe"),
        (&["info", "p.nii"], "a pipe"),
        (&["verify", "p.nii"], "a pipe"),
        (&["compare", "scan.nii", "p.nii"], "a pipe"),
        (&["resample", "scan.nii", "o.nii", "--like", "p.nii"], "a pipe"),
        (&["resample", "scan.nii", "o.nii", "--transform", "p.mat"], "a pipe"),
        (&["resample", "scan.nii", "o.nii", "--transform", "s.mat"], "a socket"),
        (&["resample", "scan.nii", "o.nii", "--transform", "/dev/zero"], "a device"),
        (&["resample", "scan.nii", "o.nii", "--transform-list", "p.mat"], "a pipe"),
        (&["resample", "scan.nii", "o.nii", "--transform-list", "list.txt"], ""),
        (&["points", "p.csv", "--transform", "p.mat"], "a pipe"),
        (&["batch", "p.tsv"], "a pipe"),
        (&["batch", "/dev/full"], "a device"),
        (&["resample", "/dev/null", "o.nii"], "a device"),
        (&["resample", "scan.nii", "q.nii", "--overwrite"], "a pipe"),
        (&["resample", "scan.nii", "q.nii"], "already exists"),
    ] {
        is_told(&limited(&folder, "true", args), word);
        assert!(!folder.path("o.nii").exists(), "{args:?}");
    }
    // What a shell gives is read.
    let table = "printf 'input\\toutput\\nscan.nii\\tb.nii\\n' | \"$0\" batch /dev/stdin";
    let run =
        Command::new("sh").args(["-c", table, env!("CARGO_BIN_EXE_reslice")]).current_dir(folder.0.path()).status();
    assert!(run.unwrap().success() && folder.path("b.nii").exists());
}

#[test]
fn nothing_that_a_terminal_obeys_is_printed() {
    let folder = Folder::new();
    scan(&folder);
    let odd = "a\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\r.nii";
    fs::copy(folder.path("scan.nii"), folder.path(odd)).unwrap();
    fs::write(folder.path("bad.mat"), "1 \u{1b}[2J 2\n").unwrap();
    fs::write(folder.path("jobs.tsv"), format!("input\toutput\tsp\u{1b}c\n{odd}\tx.nii\t\n")).unwrap();
    let out = "o\u{1b}[31m.nii";
    for args in [
        &["info", odd][..],
        &["info", odd, "--json"],
        &["info", "none\u{1b}c.nii"],
        &["resample", odd, out, "-v"],
        &["resample", odd, out],
        &["resample", odd, "p.nii", "--dry-run"],
        &["resample", odd, "p.nii", "--progress", "json"],
        &["resample", "scan.nii", "q.nii", "--transform", "bad.mat"],
        &["resample", "scan.nii", "q.nii", "--spac\u{1b}c", "1"],
        &["resample", "scan.nii", "q.nii", "--spacing", "\u{1b}c"],
        &["compare", odd, "scan.nii"],
        &["verify", odd],
        &["batch", "jobs.tsv"],
    ] {
        let answer = folder.run(args);
        let odd = |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
        for text in [&answer.stdout, &answer.stderr] {
            assert!(!text.contains(odd), "{args:?}: {text:?}");
        }
    }
    let lease = folder.path("l.nii.reslice/lease-0-of-1");
    fs::create_dir(folder.path("l.nii.reslice")).unwrap();
    fs::write(
        &lease,
        "{\"host\":\"\\u001b[2J\",\"boot\":\"\",\"namespace\":0,\"pid\":1,\"started\":1,\"writer\":\"\",\"of\":1}",
    )
    .unwrap();
    let answer = folder.run(&["resample", "scan.nii", "l.nii"]).expect(1);
    assert!(answer.stderr.contains("on \\u{1b}[2J"), "{:?}", answer.stderr);
}

#[test]
fn limits_of_the_process_are_one_message() {
    let folder = Folder::new();
    let said = Said::new([64, 128, 128]);
    said.write::<u16>(&folder.path("scan.nii"), &(0..64 * 128 * 128).map(|n| (n % 50021) as u16).collect::<Vec<_>>());
    for target in ["o.nii", "o.nii.gz", "o.zarr"] {
        let answer = limited(&folder, "ulimit -f 64", &["resample", "scan.nii", target]);
        is_told(&answer, "ulimit -f");
        assert!(answer.code == 1 && !folder.path(target).exists());
        fs::remove_dir_all(folder.path(&format!("{target}.reslice"))).unwrap();
    }
    let mut done = 0;
    // With less, the system cannot load the program.
    let begins = |kib: &usize| limited(&folder, &format!("ulimit -v {kib}"), &["--version"]).code == 0;
    let least = (10_000..400_000).step_by(2_000).find(begins).unwrap();
    for kib in (least..least + 300_000).step_by(13_000) {
        let limits = format!("ulimit -v {kib}");
        let answer = limited(&folder, &limits, &["resample", "scan.nii", "v.zarr", "--overwrite", "--restart"]);
        assert!([0, 1, 2].contains(&answer.code), "{kib}: {} {}", answer.code, answer.stderr);
        assert!(answer.code == 0 || answer.stderr.contains("error: "), "{kib}: {}", answer.stderr);
        assert!(
            !answer.stderr.contains("panicked") && !answer.stderr.contains("memory allocation"),
            "{}",
            answer.stderr
        );
        done += u32::from(answer.code == 0);
    }
    assert!(done > 0);
}

#[test]
fn a_folder_that_is_not_ours_is_neither_cleared_nor_built_in() {
    let folder = Folder::new();
    scan(&folder);
    let letters = folder.path("x.nii.reslice");
    fs::create_dir(&letters).unwrap();
    fs::write(letters.join("letter.txt"), b"dear").unwrap();
    for more in [&[][..], &["--resume"], &["--restart"], &["--overwrite"], &["--rank", "0/1"]] {
        let answer = folder.run(&[&["resample", "scan.nii", "x.nii"][..], more].concat());
        is_told(&answer, "holds 'letter.txt'");
        assert_eq!(fs::read(letters.join("letter.txt")).unwrap(), b"dear", "{more:?}");
    }
    folder.run(&["resample", "scan.nii", "y.nii"]).expect(0);
}

#[test]
fn overwriting_takes_away_its_own_kind_only() {
    let folder = Folder::new();
    scan(&folder);
    let replace = |name: &str| folder.run(&["resample", "scan.nii", name, "--overwrite"]);
    for name in ["d.nii", "d.nii.gz", "d.zarr"] {
        fs::create_dir(folder.path(name)).unwrap();
        fs::write(folder.path(name).join("letter.txt"), b"dear").unwrap();
        is_told(&replace(name), "it is not replaced");
        assert_eq!(fs::read(folder.path(name).join("letter.txt")).unwrap(), b"dear");
        assert!(!folder.path(&format!("{name}.reslice")).exists());
    }
    fs::write(folder.path("f.zarr"), b"dear").unwrap();
    is_told(&replace("f.zarr"), "is a file, not a Zarr store");
    fs::write(folder.path("f.nii"), b"damaged").unwrap();
    replace("f.nii").expect(0);

    // A store of ours, and one with something of somebody's in it.
    replace("a.zarr").expect(0);
    replace("a.zarr").expect(0);
    fs::create_dir(folder.path("a.zarr/notes")).unwrap();
    fs::write(folder.path("a.zarr/notes/letter.txt"), b"dear").unwrap();
    is_told(&replace("a.zarr"), "holds notes/");
    assert!(folder.path("a.zarr/notes/letter.txt").exists() && folder.path("a.zarr/zarr.json").exists());
    fs::remove_dir_all(folder.path("a.zarr/notes")).unwrap();
    replace("a.zarr").expect(0);
}

#[test]
fn a_slash_at_the_end_changes_nothing() {
    let folder = Folder::new();
    scan(&folder);
    folder.run(&["resample", "scan.nii", "x.zarr/"]).expect(0);
    folder.run(&["resample", "scan.nii", "x.zarr/"]).expect(2);
    folder.run(&["resample", "scan.nii", "x.zarr//", "--overwrite", "--chunk", "4"]).expect(0);
    folder.run(&["compare", "x.zarr/", "scan.nii"]).expect(0);
    folder.run(&["pyramid", "x.zarr/", "--levels", "1"]).expect(0);
    folder.run(&["verify", "x.zarr/"]).expect(0);
    let names = |path: &Path| {
        let mut names: Vec<Vec<u8>> =
            fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().as_bytes().to_vec()).collect();
        names.sort();
        names
    };
    assert_eq!(names(folder.0.path()), [&b"scan.nii"[..], b"x.zarr"]);
    assert_eq!(names(&folder.path("x.zarr")), [&b"0"[..], b"1", b"nifti", b"zarr.json"]);
}

#[test]
fn a_link_in_place_of_the_state_is_not_followed() {
    let folder = Folder::new();
    scan(&folder);
    folder.run(&["resample", "scan.nii", "x.nii", "--resume"]).expect(0);
    let (state, elsewhere) = (folder.path("x.nii.reslice"), folder.path("elsewhere"));
    fs::rename(&state, &elsewhere).unwrap();
    symlink(&elsewhere, &state).unwrap();
    for more in ["--resume", "--overwrite", "--restart"] {
        is_told(&folder.run(&["resample", "scan.nii", "x.nii", more]), "");
        assert!(elsewhere.join("finished.json").exists(), "{more}");
    }
}

#[test]
fn a_finished_job_through_a_field_is_known_again() {
    let folder = Folder::new();
    scan(&folder);
    let field = Said { components: 1, intent: 1007, ..Said::new([6, 8, 10]) }.with_outer(&[("c", 3), ("t", 1)]);
    field.write::<f32>(&folder.path("warp.nii.gz"), &(0..1440).map(|n| (n % 7) as f32 / 10.0).collect::<Vec<_>>());
    for (out, more) in [("a.nii", "--resume"), ("b.zarr", "--rank=0/1")] {
        let args = ["resample", "scan.nii", out, "--transform", "warp.nii.gz", more];
        folder.run(&args).expect(0);
        let again = folder.run(&args).expect(0);
        assert!(again.stderr.contains("finished already"), "{}", again.stderr);
    }
    // Another field is another job.
    field.write::<f32>(&folder.path("warp.nii.gz"), &vec![0.25; 1440]);
    let other = folder.run(&["resample", "scan.nii", "a.nii", "--transform", "warp.nii.gz", "--resume"]).expect(2);
    assert!(other.stderr.contains("transform 1"), "{}", other.stderr);
}
