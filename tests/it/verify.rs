//! `verify`: what is complete passes, and whatever is not is found, counted and named.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::kit::{
    stores::{self, CHUNK, CHUNK_BYTES, Form, SHAPE, array_document, edit, encode, forms, index, put, shard},
    timeout::within,
};
use reslice::{
    Error,
    error::PlanError,
    phantom::Phantom,
    verify::{Report, Request, verify},
};
use serde_json::{Value, json};

const SHARDED: Form = Form { version: 3, codec: "zstd-sum", sharded: true };
const PLAIN: Form = Form { version: 3, codec: "gzip", sharded: false };
const OLD: Form = Form { version: 2, codec: "zlib", sharded: false };

fn request(path: &Path) -> Request {
    Request { file: path.to_path_buf(), memory_bytes: 1 << 30, threads: 2, most_problems: 20 }
}

fn try_verify(path: &Path) -> Result<Report, Error> {
    let request = request(path);
    within(60, move || verify(&request, &AtomicBool::new(false), |_| {}))
}

fn verified(path: &Path) -> Report {
    try_verify(path).unwrap()
}

fn folder(form: Form) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    stores::write(dir.path(), form);
    dir
}

/// Everything that was said of one array.
fn said(report: &Report, n: usize) -> String {
    report.arrays[n].problems.iter().map(|p| format!("{:?} {}\n", p.chunk, p.what)).collect()
}

#[test]
fn every_version_and_codec_that_is_whole_is_complete() {
    for form in forms() {
        let dir = folder(form);
        for path in [dir.path().to_path_buf(), dir.path().join("0")] {
            let report = verified(&path);
            assert!(report.ok, "{form:?}: {report:?}");
            assert!(report.notes.is_empty() && report.stray_files == 0, "{form:?}: {report:?}");
            let array = &report.arrays[0];
            assert_eq!((array.chunks, array.present, array.missing, array.bad), (8, 8, 0, 0), "{form:?}");
            assert_eq!(array.decoded_bytes, 8 * CHUNK_BYTES);
            let stored: u64 = stores::files(dir.path(), false).iter().map(|f| f.metadata().unwrap().len()).sum();
            assert_eq!(array.stored_bytes, stored, "{form:?}");
        }
    }
}

#[test]
fn missing_chunks_count_where_the_array_says_how_many_were_left_out() {
    for form in [PLAIN, OLD] {
        let dir = folder(form);
        let gone = stores::files(dir.path(), false).remove(2);
        fs::remove_file(gone).unwrap();
        let report = verified(dir.path());
        assert!(!report.ok);
        assert_eq!((report.arrays[0].present, report.arrays[0].missing), (7, 1));
        assert!(said(&report, 0).contains("1 chunks missing, 0 expected, the first is [0, 1, 0]"), "{report:?}");
        let document = dir.path().join(if form.version == 2 { "0/.zattrs" } else { "0/zarr.json" });
        let own = |array: &mut Value, n: u64| match form.version {
            2 => array["reslice"]["empty_chunks"] = json!(n),
            _ => array["attributes"]["reslice"]["empty_chunks"] = json!(n),
        };
        edit(&document, |array| own(array, 1));
        assert!(verified(dir.path()).ok);
        edit(&document, |array| own(array, 3));
        let report = verified(dir.path());
        assert!(report.ok && report.notes[0].contains("1 chunks are missing, 3 were left out"), "{report:?}");
        edit(&document, |array| match form.version {
            2 => *array = json!({}),
            _ => array["attributes"] = json!({}),
        });
        let report = verified(dir.path());
        assert!(report.ok && report.notes[0].contains("0: 1 chunk is missing, read as the fill value"), "{report:?}");
    }
}

#[test]
fn what_is_broken_is_named_and_the_rest_still_read() {
    let dir = folder(PLAIN);
    put(&dir.path().join("0/c/0/1/0"), b"no gzip");
    fs::remove_file(dir.path().join("0/c/1/1/1")).unwrap();
    fs::create_dir(dir.path().join("0/c/1/1/1")).unwrap();
    put(&dir.path().join("0/c/0/0/1"), encode("gzip", &[0; CHUNK_BYTES as usize - 2]));
    let report = verified(dir.path());
    let array = &report.arrays[0];
    assert_eq!((array.present, array.missing, array.bad, report.problem_count), (5, 0, 3, 3));
    assert_eq!(array.problems[0].chunk.as_deref(), Some("0/c/0/0/1"));
    assert!(array.problems[0].what.contains("94 decoded bytes, expected 96"), "{report:?}");
    assert_eq!((array.problems[1].index.as_deref(), array.problems[1].stored_bytes), (Some(&[0, 1, 0][..]), Some(7)));
    assert!(array.problems[2].what.contains("is not a file"), "{report:?}");
}

#[test]
fn only_the_first_problems_are_kept_and_all_are_counted() {
    let dir = folder(PLAIN);
    stores::files(dir.path(), false).iter().for_each(|path| put(path, b""));
    for (most, kept) in [(0, 0), (3, 3), (usize::MAX, 8)] {
        let request = Request { most_problems: most, ..request(dir.path()) };
        let report = verify(&request, &AtomicBool::new(false), |_| {}).unwrap();
        assert_eq!((report.arrays[0].problems.len(), report.problem_count), (kept, 8));
    }
}

#[test]
fn shards_are_checked_as_a_whole() {
    let dir = folder(SHARDED);
    let path = dir.path().join("0/c/0/0/0");
    let whole = fs::read(&path).unwrap();
    let chunks = &whole[..whole.len() - 4 * 16 - 4];
    let entry = |n: usize| {
        let at = chunks.len() + n * 16;
        let number = |at: usize| u64::from_le_bytes(whole[at..at + 8].try_into().unwrap());
        [number(at), number(at + 8)]
    };
    let entries = [0, 1, 2, 3].map(entry);
    let (mut shared, mut outside, mut absent, mut huge) = (entries, entries, entries, entries);
    shared[3] = entries[0];
    outside[1][0] = whole.len() as u64;
    absent[2] = [u64::MAX; 2];
    huge[0][1] = 1 << 63;
    for (entries, bad, missing, words) in [
        (shared, 0, 0, "share bytes of the shard"),
        (outside, 1, 0, "the shard has"),
        (huge, 1, 0, "9223372036854775808 bytes at 0"),
        (absent, 0, 1, "1 chunks missing, 0 expected, the first is [0, 1, 0]"),
    ] {
        put(&path, [chunks, &index(&entries)].concat());
        let report = verified(dir.path());
        let array = &report.arrays[0];
        assert_eq!((array.bad, array.missing, report.problem_count), (bad, missing, 1), "{report:?}");
        assert!(said(&report, 0).contains(words), "{report:?}");
    }
    // A bad index is told once, and its chunks are bad, not missing.
    let mut bad = whole.clone();
    *bad.last_mut().unwrap() ^= 1;
    put(&path, &bad);
    let report = verified(dir.path());
    assert_eq!((report.arrays[0].bad, report.arrays[0].present, report.problem_count), (4, 4, 1));
    assert!(said(&report, 0).contains("Some(\"0/c/0/0/0\") checksum of the shard's index"), "{report:?}");
    // Without its shard, every chunk of it is missing.
    fs::remove_file(&path).unwrap();
    let report = verified(dir.path());
    assert_eq!((report.arrays[0].missing, report.arrays[0].present), (4, 4));
}

#[test]
fn strays_are_told_and_are_no_damage() {
    let dir = folder(PLAIN);
    let strays = ["0/c/2/0/0", "0/c/0/0/0.part", "0/c/0/0/0.side", "0/__tmp", "notes.txt", "0/c/0/0/0/1"];
    for stray in &strays[..5] {
        put(&dir.path().join(stray), b"x");
    }
    put(&dir.path().join("tables/a/zarr.json"), b"{}");
    put(&dir.path().join("tables/a/c/0"), b"x");
    let report = verified(dir.path());
    assert!(report.ok);
    assert_eq!(report.stray_files, 7);
    let mut expected: Vec<&str> = strays[..5].to_vec();
    expected.push("tables/");
    expected.sort_unstable();
    assert_eq!(report.strays, expected);
}

#[test]
fn levels_that_do_not_fit_together_are_told() {
    let dir = folder(PLAIN);
    let mut level = array_document(PLAIN, &[3, 4, 3], &CHUNK);
    level["attributes"] = json!({});
    put(&dir.path().join("1/zarr.json"), level.to_string());
    let scaled = |scale: [f64; 3]| {
        edit(&dir.path().join("zarr.json"), |group| {
            let levels = &mut group["attributes"]["ome"]["multiscales"][0]["datasets"];
            let level = json!({"path": "1", "coordinateTransformations": [{"type": "scale", "scale": scale}]});
            *levels = json!([levels[0], level]);
        });
        verified(dir.path()).notes.join("\n")
    };
    let notes = scaled([4.0, 3.0, 1.0]);
    assert!(notes.contains("1: 1 chunk is missing") && !notes.contains("voxels along"), "{notes}");
    let notes = scaled([4.0, 3.0, 0.5]);
    assert!(notes.contains("level 1 has 3 voxels along x, its scale says about 6.0"), "{notes}");
    level["data_type"] = json!("float32");
    put(&dir.path().join("1/zarr.json"), level.to_string());
    assert!(scaled([4.0, 3.0, 1.0]).contains("level 1 has samples of f32, level 0 of u16"));
    fs::remove_file(dir.path().join("1/zarr.json")).unwrap();
    let report = verified(dir.path());
    assert!(!report.ok && report.arrays.len() == 1 && report.problems.len() == 1, "{report:?}");
}

#[test]
fn labels_wells_and_plates_by_what_their_metadata_name() {
    let dir = tempfile::tempdir().unwrap();
    let group = |path: &str, ome: Value| {
        let document = json!({"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}});
        put(&dir.path().join(path).join("zarr.json"), document.to_string());
    };
    group("", json!({"plate": {"wells": [{"path": "A/1"}, {"path": "B/2"}]}}));
    for (well, image) in [("A/1", "A/1/0"), ("A/1", "A/1/1"), ("B/2", "B/2/0")] {
        let images = if well == "A/1" { json!([{"path": "0"}, {"path": "1"}]) } else { json!([{"path": "0"}]) };
        group(well, json!({"well": {"images": images}}));
        stores::write(&dir.path().join(image), SHARDED);
    }
    stores::write(&dir.path().join("A/1/1/labels/cells"), PLAIN);
    group("A/1/1/labels", json!({"labels": ["cells"]}));
    let paths = |report: &Report| report.arrays.iter().map(|array| array.path.clone()).collect::<Vec<_>>();
    let report = verified(dir.path());
    assert!(report.ok && report.stray_files == 0, "{report:?}");
    assert_eq!(paths(&report), ["A/1/0/0", "A/1/1/0", "A/1/1/labels/cells/0", "B/2/0/0"]);
    assert_eq!(report.format, "OME-Zarr plate");
    for (below, arrays) in [("A/1", 3), ("A/1/1", 2), ("A/1/1/labels", 1), ("A/1/1/labels/cells", 1), ("B/2/0/0", 1)] {
        assert_eq!(verified(&dir.path().join(below)).arrays.len(), arrays, "{below}");
    }
    put(&dir.path().join("A/1/1/labels/cells/0/c/0/0/0"), b"");
    assert_eq!(verified(dir.path()).arrays[2].bad, 1);
    fs::remove_dir_all(dir.path().join("B/2/0")).unwrap();
    let report = verified(dir.path());
    assert!(report.problems[0].what.contains("B/2") && report.problem_count == 2, "{report:?}");
    assert!(matches!(try_verify(&dir.path().join("A")), Err(Error::Unsupported { .. })));
}

#[test]
fn a_grid_far_larger_than_what_is_there_is_not_walked_to_its_end() {
    let dir = folder(PLAIN);
    let array = dir.path().join("0/zarr.json");
    edit(&array, |array| array["shape"] = json!([SHAPE[0], SHAPE[1], 1u64 << 54]));
    let report = verified(dir.path());
    let chunks = 4 * (1u64 << 52);
    assert_eq!((report.arrays[0].chunks, report.arrays[0].present), (chunks, 8));
    assert!(said(&report, 0).contains("missing, 0 expected"), "{report:?}");
    stores::files(dir.path(), false).iter().for_each(|path| fs::remove_file(path).unwrap());
    assert_eq!(verified(dir.path()).arrays[0].missing, chunks);
    let dir = folder(SHARDED);
    edit(&dir.path().join("0/zarr.json"), |array| array["shape"] = json!([1u64 << 40, SHAPE[1], SHAPE[2]]));
    assert_eq!(verified(dir.path()).arrays[0].present, 8);
}

#[test]
fn links_are_followed_to_chunks() {
    let dir = folder(PLAIN);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::rename(dir.path().join("0/c/1"), elsewhere.path().join("1")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("1"), dir.path().join("0/c/1")).unwrap();
    let report = verified(dir.path());
    assert!(report.ok && report.arrays[0].present == 8, "{report:?}");
}

#[test]
fn nifti_files_are_read_to_their_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scan.nii.gz");
    Phantom::new([20, 23, 29], [3.0, 0.75, 0.5]).write(&path).unwrap();
    let report = verified(&path);
    assert!(report.ok && report.notes.is_empty(), "{report:?}");
    assert_eq!((report.arrays[0].present, report.arrays[0].decoded_bytes), (1, 20 * 23 * 29 * 2));
    let whole = fs::read(&path).unwrap();
    put(&path, [&whole[..], b"garbage"].concat());
    let report = verified(&path);
    assert!(report.ok && report.notes[0].contains("7 bytes behind the gzip stream"), "{report:?}");
    for at in [whole.len() / 2, whole.len() - 6] {
        let mut bad = whole.clone();
        bad[at] ^= 0x10;
        put(&path, &bad);
        assert!(!verified(&path).ok, "byte {at}");
        put(&path, &whole[..at]);
        let report = verified(&path);
        assert!(!report.ok && report.arrays[0].bad == 1, "cut at {at}: {report:?}");
    }
    put(&path, &whole[..60]);
    assert!(!verified(&path).ok);
    let raw = dir.path().join("scan.nii");
    let mut inflated = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&whole[..]), &mut inflated).unwrap();
    put(&raw, &inflated);
    assert!(verified(&raw).ok);
    put(&raw, [&inflated[..], b"more"].concat());
    assert!(verified(&raw).notes[0].contains("4 bytes stand behind the voxels"));
    put(&raw, &inflated[..inflated.len() - 1]);
    let report = verified(&raw);
    assert!(!report.ok && report.problems[0].what.contains("file size"), "{report:?}");
    inflated[40] = 9;
    put(&raw, &inflated);
    assert!(!verified(&raw).ok);
}

#[test]
fn a_budget_that_is_too_small_is_refused_and_a_stop_is_heard() {
    let dir = folder(SHARDED);
    let starved = Request { memory_bytes: 1 << 20, ..request(dir.path()) };
    let Err(Error::Plan(PlanError::VerificationTooSmall { smallest_bytes, .. })) =
        verify(&starved, &AtomicBool::new(false), |_| {})
    else {
        panic!("1 MiB is not enough");
    };
    let enough = Request { memory_bytes: smallest_bytes + (1 << 30), ..starved };
    assert!(verify(&enough, &AtomicBool::new(false), |_| {}).unwrap().ok);
    let stop = AtomicBool::new(false);
    let stopped = verify(&request(dir.path()), &stop, |progress| {
        stop.store(progress.chunks_done == 0 && progress.chunks > 0, Ordering::Relaxed);
    });
    assert!(matches!(stopped, Err(Error::Stopped { blocks_done: 0, .. })));
}

#[test]
fn the_command_answers_by_its_exit_code_as_text_and_as_json() {
    let dir = folder(SHARDED);
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reslice"));
        let output = command.arg("verify").args(args).current_dir(dir.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, stdout, stderr) = run(&["."]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    assert!(stdout.contains("8 chunks: 8 whole") && stdout.contains("complete, in"), "{stdout}");
    put(&dir.path().join("0/c/1/0/0"), shard(&[b"a".to_vec(), vec![], vec![], vec![]]));
    let (code, stdout, _) = run(&[".", "--json"]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &report["ok"]), (Some(1), &json!(false)));
    let array = &report["arrays"][0];
    for (key, value) in [("path", json!("0")), ("chunks", json!(8)), ("present", json!(4)), ("bad", json!(4))] {
        assert_eq!(array[key], value, "{report}");
    }
    assert_eq!(array["problems"][0]["index"], json!([1, 0, 0]));
    assert!(report["peak_bytes"].as_u64().unwrap() > 0 && report["strays"] == json!([]));
    let (code, stdout, _) = run(&["."]);
    assert_eq!(code, Some(1));
    assert!(stdout.contains("  wrong   0/c/1/0/0 inner [0, 0, 0] (1 stored bytes): zstd: "), "{stdout}");
    for bad in [&["nothing"][..], &["0/c"], &["--memory", "1MiB", "."], &["--nonsense"], &[]] {
        let (code, stdout, stderr) = run(bad);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{bad:?} {stderr}");
    }
}

#[test]
fn a_store_without_any_chunk_is_empty() {
    let dir = folder(PLAIN);
    stores::files(dir.path(), false).iter().for_each(|path| fs::remove_file(path).unwrap());
    edit(&dir.path().join("0/zarr.json"), |array| array["attributes"] = json!({}));
    let report = verified(dir.path());
    assert!(report.ok && report.empty, "{report:?}");
    assert!(report.notes.iter().any(|note| note.contains("missing")), "{report:?}");
    let one = folder(PLAIN);
    stores::files(one.path(), false).iter().skip(1).for_each(|path| fs::remove_file(path).unwrap());
    assert!(!verified(one.path()).empty);
}
