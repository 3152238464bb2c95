//! Hostile stores: bombs, absurd metadata, paths that climb, links that loop. An error or a report in time, and never more memory
//! than the sizes that were checked.

#[path = "../kit/counting.rs"]
mod counting;
#[path = "../kit/stores.rs"]
mod stores;
#[path = "../kit/timeout.rs"]
mod timeout;

use std::{fs, os::unix::fs::symlink, path::Path, process::Command, sync::atomic::AtomicBool};

use counting::{Counting, alone, most_bytes};
use reslice::{
    error::{Error, Result},
    io::zarr::{OpenOptions, open},
    verify::{Report, Request, verify},
};
use serde_json::{Value, json};
use stores::{CODECS, Form, array_document, edit, encode, files, index, put};
use timeout::within;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Decoded bytes of a bomb.
const BOMB: usize = 32 << 20;
/// What looking at a store of a few hundred bytes may take: a share of it for reports, threads and decoders.
const LITTLE: usize = 4 << 20;

const SHARDED: Form = Form { version: 3, codec: "zstd", sharded: true };
const PLAIN: Form = Form { version: 3, codec: "zstd", sharded: false };
const OLD: Form = Form { version: 2, codec: "blosc-lz4", sharded: false };

/// The report, in time and in little memory.
fn looked_at(dir: &Path, what: &str) -> Result<Report> {
    let request = Request { file: dir.to_path_buf(), memory_bytes: 256 << 20, threads: 2, most_problems: 20 };
    let ended = most_bytes(move || within(60, move || verify(&request, &AtomicBool::new(false), |_| {})));
    assert!(ended.1 <= LITTLE, "{what}: {} bytes were held", ended.1);
    ended.0
}

/// It must be noticed: by an error that is the metadata's, by a refusal, or in the report.
fn is_noticed(dir: &Path, what: &str) {
    match looked_at(dir, what) {
        Ok(report) => assert!(!report.ok, "{what}: {report:?}"),
        Err(Error::Unsupported { .. } | Error::Plan(_) | Error::Io { .. }) => {}
        Err(error) => panic!("{what}: {error:?}"),
    }
}

fn array_of(dir: &Path, version: u8) -> std::path::PathBuf {
    dir.join(if version == 2 { "0/.zarray" } else { "0/zarr.json" })
}

#[test]
fn bombs_of_every_codec_are_refused_within_the_room_of_a_chunk() {
    let _alone = alone();
    let zeros = vec![0; BOMB];
    let mut tried = 0;
    for codec in CODECS {
        let bomb = encode(codec, &zeros);
        for (version, sharded) in [(2, false), (3, false), (3, true)] {
            let form = Form { version, codec, sharded };
            let dir = tempfile::tempdir().unwrap();
            stores::write(dir.path(), form);
            let path = files(dir.path(), false).remove(0);
            let stored = if sharded { stores::shard(&[bomb.clone(), vec![], vec![], vec![]]) } else { bomb.clone() };
            put(&path, stored);
            let report = looked_at(dir.path(), &format!("{form:?}")).unwrap();
            let problem = &report.arrays[0].problems[0];
            assert_eq!(problem.stored_bytes, Some(bomb.len() as u64), "{form:?}: {problem:?}");
            tried += usize::from(!problem.what.starts_with("larger than any chunk"));
        }
    }
    // Zstandard, bzip2 and Blosc's zstd make bombs that are smaller than what a chunk may be stored in.
    assert!(tried >= 12, "{tried}");
}

#[test]
fn sizes_that_streams_claim_are_not_believed() {
    let _alone = alone();
    let frame = |claimed: u64| [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &claimed.to_le_bytes(), &[1, 0, 0]].concat();
    let blosc = |nbytes: u32, block: u32| {
        let mut bytes = vec![2, 1, 0x21, 2];
        [nbytes, block, 40].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        bytes.resize(40, 7);
        bytes
    };
    let lz4 = |claimed: u32| [&claimed.to_le_bytes()[..], &[0x1f, 0, 1, 0, 255, 255, 255, 0]].concat();
    // A window of 2 GiB.
    let window = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x03, 0, 0, 7];
    for (codec, stored) in [
        ("zstd", frame(1 << 40)),
        ("zstd", frame(u64::MAX)),
        ("zstd", window),
        ("blosc-lz4", blosc(i32::MAX as u32, i32::MAX as u32)),
        ("blosc-lz4", blosc(u32::MAX, 16)),
        ("blosc-lz4", blosc(96, i32::MAX as u32)),
        ("blosc-lz4", blosc(96, 0)),
        ("lz4", lz4(u32::MAX)),
        ("lz4", lz4(96)),
    ] {
        let dir = tempfile::tempdir().unwrap();
        stores::write(dir.path(), Form { version: 3, codec, sharded: false });
        put(&dir.path().join("0/c/0/0/0"), &stored);
        let report = looked_at(dir.path(), codec).unwrap();
        assert_eq!(report.arrays[0].bad, 1, "{codec} {stored:?}: {report:?}");
    }
}

#[test]
fn the_whole_process_stays_within_its_memory() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    stores::write(dir.path(), Form { version: 3, codec: "zstd", sharded: false });
    let peak = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reslice"));
        let command = command.args(["verify", "--json", "--memory", "64MiB", "--threads", "2"]).arg(dir.path());
        let report: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        (report["peak_bytes"].as_u64().unwrap(), report["ok"].as_bool().unwrap())
    };
    let (whole, ok) = peak();
    assert!(ok && whole <= 64 << 20, "{whole}");
    let zeros = vec![0; BOMB];
    for codec in ["zstd", "bz2", "gzip", "blosc-zstd"] {
        stores::write(dir.path(), Form { version: 3, codec, sharded: false });
        put(&dir.path().join("0/c/0/0/0"), encode(codec, &zeros));
        let (bytes, ok) = peak();
        assert!(!ok && bytes <= 64 << 20 && bytes <= whole + LITTLE as u64, "{codec}: {bytes}, {whole} without a bomb");
    }
}

/// A change of one member, named by a pointer.
fn at(pointer: &'static str, value: Value) -> (&'static str, Value) {
    (pointer, value)
}

#[test]
fn absurd_metadata_of_version_3_are_noticed() {
    let _alone = alone();
    let changes = [
        at("/shape", json!([1u64 << 62, 7, 6])),
        at("/shape", json!([u64::MAX, u64::MAX, u64::MAX])),
        at("/shape", json!([1u64 << 40, 7, 6])),
        at("/shape", json!([5, 7])),
        at("/shape", json!([-5, 7, 6])),
        at("/shape", json!([5.5, 7, 6])),
        at("/shape", json!(vec![1; 40])),
        at("/shape", json!("large")),
        at("/chunk_grid/configuration/chunk_shape", json!([0, 8, 8])),
        at("/chunk_grid/configuration/chunk_shape", json!([3, 8, 7])),
        at("/chunk_grid/configuration/chunk_shape", json!([1u64 << 20, 1u64 << 20, 1u64 << 20])),
        at("/chunk_grid/configuration/chunk_shape", json!([1u64 << 40, 8, 8])),
        at("/chunk_grid/name", json!("rectilinear")),
        at("/codecs/0/configuration/chunk_shape", json!([0, 4, 4])),
        at("/codecs/0/configuration/chunk_shape", json!([3, 3, 4])),
        at("/codecs/0/configuration/chunk_shape", json!([1, 1, 1])),
        at("/codecs/0/configuration/chunk_shape", json!([6, 8, 8])),
        at("/codecs/0/configuration/index_location", json!("middle")),
        at("/codecs/0/configuration/index_codecs", json!([])),
        at("/codecs/0/configuration/codecs", json!(vec![json!({"name": "zstd"}); 40])),
        at("/codecs/0/name", json!("sharding")),
        at("/codecs", json!([])),
        at("/codecs", json!({"deep": [[[[[[]]]]]]})),
        at("/fill_value", json!("nonsense")),
        at("/fill_value", json!(70000)),
        at("/fill_value", json!([0])),
        at("/fill_value", json!({"0x": 1})),
        at("/chunk_key_encoding", json!({"name": "default", "configuration": {"separator": "//"}})),
        at("/chunk_key_encoding", json!({"name": "../../etc"})),
        at("/data_type", json!("string")),
        at("/data_type", json!("uint64")),
    ];
    let dir = tempfile::tempdir().unwrap();
    stores::write(dir.path(), SHARDED);
    let array = array_of(dir.path(), 3);
    let whole = fs::read(&array).unwrap();
    assert!(looked_at(dir.path(), "whole").unwrap().ok);
    for (pointer, value) in &changes {
        put(&array, &whole);
        edit(&array, |document| *document.pointer_mut(pointer).unwrap() = value.clone());
        is_noticed(dir.path(), &format!("{pointer} {value}"));
    }
    // An index of 2^60 entries is refused by the budget before any of it is read.
    put(&array, &whole);
    edit(&array, |document| {
        document["chunk_grid"]["configuration"]["chunk_shape"] = json!([3u64 << 18, 4u64 << 18, 4u64 << 18]);
    });
    assert!(matches!(looked_at(dir.path(), "index"), Err(Error::Plan(_))));
}

#[test]
fn absurd_metadata_of_version_2_are_noticed() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    stores::write(dir.path(), OLD);
    let array = array_of(dir.path(), 2);
    let whole = fs::read(&array).unwrap();
    for (pointer, value) in [
        at("/shape", json!([1u64 << 62, 7, 6])),
        at("/shape", json!([])),
        at("/shape", json!([0, 7, 6])),
        at("/chunks", json!([0, 4, 4])),
        at("/chunks", json!([3, 4])),
        at("/chunks", json!([1u64 << 30, 1u64 << 15, 1u64 << 15])),
        at("/chunks", json!([2, 4, 4])),
        at("/dimension_separator", json!("..")),
        at("/dimension_separator", json!("../")),
        at("/dimension_separator", json!(7)),
        at("/fill_value", json!("NaN")),
        at("/fill_value", json!(-1)),
        at("/fill_value", json!("AAAA")),
        at("/order", json!("K")),
        at("/dtype", json!("|V8")),
        at("/dtype", json!("<u4")),
        at("/dtype", json!([["a", "<u2"]])),
        at("/filters", json!([{"id": "delta"}])),
        at("/compressor", json!({"id": "lzma"})),
        at("/compressor/id", json!("zstd")),
        at("/zarr_format", json!(3)),
    ] {
        put(&array, &whole);
        edit(&array, |document| *document.pointer_mut(pointer).unwrap() = value.clone());
        is_noticed(dir.path(), &format!("{pointer} {value}"));
    }
}

#[test]
fn shard_indexes_that_claim_anything_are_noticed() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    stores::write(dir.path(), SHARDED);
    let path = dir.path().join("0/c/0/0/0");
    let whole = fs::read(&path).unwrap();
    let chunks = whole.len() - 4 * 16 - 4;
    for value in [1u64 << 63, u64::MAX - 1, u64::MAX, 1 << 40, whole.len() as u64, chunks as u64 + 1] {
        for (entry, number) in (0..4).flat_map(|entry| [(entry, 0), (entry, 1)]) {
            let mut entries = [0u64, 1, 2, 3].map(|n| {
                let at = chunks + n as usize * 16;
                [0, 8].map(|b| u64::from_le_bytes(whole[at + b..at + b + 8].try_into().unwrap()))
            });
            entries[entry][number] = value;
            put(&path, [&whole[..chunks], &index(&entries)].concat());
            is_noticed(dir.path(), &format!("entry {entry}.{number} is {value}"));
        }
    }
}

#[test]
fn paths_that_climb_links_that_loop_and_pipes_are_noticed() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    stores::write(&image, PLAIN);
    stores::write(&dir.path().join("etc"), PLAIN);
    let group = image.join("zarr.json");
    let whole = fs::read(&group).unwrap();
    for climbing in ["../etc/0", "0/../../etc/0", "..", "/../etc/0", "./../etc/0", "0\\..\\..", "0\u{0}"] {
        put(&group, &whole);
        edit(&group, |g| g["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = json!(climbing));
        is_noticed(&image, climbing);
        put(&group, &whole);
        edit(&group, |g| g["attributes"] = json!({"ome": {"plate": {"wells": [{"path": climbing}]}}}));
        is_noticed(&image, climbing);
        edit(&group, |g| g["attributes"] = json!({"labels": [climbing]}));
        is_noticed(&image, climbing);
    }
    put(&group, &whole);
    symlink(&image, image.join("0/c/loop")).unwrap();
    symlink(&image, image.join("labels")).unwrap();
    symlink("self", image.join("self")).unwrap();
    assert!(looked_at(&image, "loops").unwrap().ok);
    // A group that holds itself as its label and its own level.
    fs::remove_file(image.join("labels")).unwrap();
    symlink(&image, image.join("0/labels")).unwrap();
    edit(&group, |g| g["attributes"]["ome"]["labels"] = json!(["0"]));
    let _ = looked_at(&image, "labels");
    for broken in ["0/c/1/1/1", "0/c/1/1/0"] {
        fs::remove_file(image.join(broken)).unwrap();
        symlink(image.join(broken), image.join(broken)).unwrap();
    }
    let report = looked_at(&image, "links to themselves").unwrap();
    assert_eq!(report.arrays[0].bad, 2, "{report:?}");
    let pipe = image.join("0/c/0/0/0");
    fs::remove_file(&pipe).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(looked_at(&image, "pipe").unwrap().arrays[0].bad, 3);
    fs::remove_file(&group).unwrap();
    assert!(Command::new("mkfifo").arg(&group).status().unwrap().success());
    is_noticed(&image, "pipe for metadata");
}

#[test]
fn documents_with_any_byte_flipped_or_cut_end_in_time() {
    let _alone = alone();
    for form in [OLD, PLAIN, SHARDED] {
        let dir = tempfile::tempdir().unwrap();
        stores::write(dir.path(), form);
        for path in files(dir.path(), true) {
            let whole = fs::read(&path).unwrap();
            for n in 0..whole.len() {
                let mut bad = whole.clone();
                bad[n] ^= 1 << (n % 7);
                put(&path, &bad);
                let _ = looked_at(dir.path(), &format!("{} byte {n}", path.display()));
                put(&path, &whole[..n]);
                is_noticed(dir.path(), &format!("{} cut at {n}", path.display()));
            }
            put(&path, &whole);
        }
    }
}

#[test]
fn consolidated_metadata_are_read_with_the_same_care() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    stores::write(dir.path(), OLD);
    let mut metadata = json!({});
    for key in [".zattrs", ".zgroup", "0/.zarray", "0/.zattrs"] {
        metadata[key] = serde_json::from_slice(&fs::read(dir.path().join(key)).unwrap()).unwrap();
        fs::remove_file(dir.path().join(key)).unwrap();
    }
    let path = dir.path().join(".zmetadata");
    let whole = json!({"zarr_consolidated_format": 1, "metadata": metadata}).to_string().into_bytes();
    put(&path, &whole);
    assert!(looked_at(dir.path(), "whole").unwrap().ok);
    for n in 0..whole.len() {
        let mut bad = whole.clone();
        bad[n] ^= 1 << (n % 7);
        put(&path, &bad);
        let _ = looked_at(dir.path(), &format!("byte {n}"));
        put(&path, &whole[..n]);
        is_noticed(dir.path(), &format!("cut at {n}"));
    }
    let deep = format!("{{\"metadata\": {}1{}}}", "[".repeat(50_000), "]".repeat(50_000));
    put(&path, deep);
    is_noticed(dir.path(), "deep");
    assert!(open(dir.path(), &OpenOptions::default()).is_err());
    let hostile = array_document(OLD, &[1 << 60, 1, 1], &[1, 1, 1]);
    put(&path, json!({"metadata": {".zarray": hostile}}).to_string());
    let report = looked_at(dir.path(), "an array without chunks").unwrap();
    assert_eq!((report.arrays[0].missing, report.stray_files), (1 << 60, 8));
}
