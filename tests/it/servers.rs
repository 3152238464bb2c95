//! Web servers with the manners of real ones: no length, gzip on the way, pages for what is absent, 403 for what is absent.

#![cfg(feature = "remote")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    thread,
};

use flate2::{Compression, write::GzEncoder};
use reslice::{
    block::BlockMut,
    io::{
        Source,
        zarr::{OpenOptions, ZarrSource, open},
    },
    verify::{Request, verify},
};
use serde_json::json;

use crate::kit::folder::Folder;

/// How a server answers for a file that is there, and for one that is not.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    WithoutLength,
    Gzip,
    PageForAbsent,
    ForbiddenForAbsent,
    /// This one key is refused, and what is absent is told.
    Forbidden(&'static str),
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn answer(mut stream: TcpStream, root: &Path, manner: Manner) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split(' ');
        let (method, path) =
            (words.next().unwrap_or_default().to_string(), words.next().unwrap_or_default().to_string());
        let mut range = None;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if header.trim().is_empty() {
                break;
            }
            let lower = header.to_lowercase();
            range = lower.strip_prefix("range: bytes=").map(|range| range.trim().to_string()).or(range);
        }
        let key = path.trim_start_matches('/');
        let file = fs::read(root.join(key)).ok();
        let (status, mut headers, body) = match (file, manner) {
            (_, Manner::Forbidden(refused)) if key == refused => ("403 Forbidden", String::new(), Vec::new()),
            (None, Manner::ForbiddenForAbsent) => ("403 Forbidden", String::new(), Vec::new()),
            (None, Manner::PageForAbsent) => ("200 OK", String::new(), b"<!doctype html><html></html>".to_vec()),
            (None, _) => ("404 Not Found", String::new(), Vec::new()),
            (Some(bytes), _) if range.is_some() => {
                let range = range.unwrap_or_default();
                let (from, to) = range.split_once('-').unwrap_or(("", ""));
                let total = bytes.len();
                let (from, to) = match (from.parse::<usize>(), to.parse::<usize>()) {
                    (Err(_), Ok(suffix)) => (total - suffix, total - 1),
                    (Ok(from), Ok(to)) => (from, to.min(total - 1)),
                    (from, _) => (from.unwrap_or(0), total - 1),
                };
                (
                    "206 Partial Content",
                    format!("Content-Range: bytes {from}-{to}/{total}\r\n"),
                    bytes[from..=to].to_vec(),
                )
            }
            (Some(bytes), Manner::Gzip) => ("200 OK", "Content-Encoding: gzip\r\n".into(), gzip(&bytes)),
            (Some(bytes), _) => ("200 OK", String::new(), bytes),
        };
        let chunked = manner == Manner::WithoutLength && status.starts_with('2');
        headers += &match chunked {
            true => "Transfer-Encoding: chunked\r\n".to_string(),
            false => format!("Content-Length: {}\r\n", body.len()),
        };
        write!(stream, "HTTP/1.1 {status}\r\n{headers}\r\n")?;
        if method == "HEAD" {
            continue;
        }
        match chunked {
            true => {
                write!(stream, "{:x}\r\n", body.len())?;
                stream.write_all(&body)?;
                stream.write_all(b"\r\n0\r\n\r\n")?;
            }
            false => stream.write_all(&body)?,
        }
    }
}

/// Serves a folder until the test ends; its URL.
fn serve(root: &Path, manner: Manner) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let root = root.to_path_buf();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let root = root.clone();
            thread::spawn(move || answer(stream, &root, manner));
        }
    });
    url
}

/// An image of one level in two chunks along z, of Zarr v2 or of v3 in shards.
fn image(root: &Path, v3: bool) {
    let put = |key: &str, bytes: &[u8]| {
        let path = root.join("i.zarr").join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let multiscales = json!([{"axes": [{"name": "z", "type": "space"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}],
        "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [2, 1, 1]}]}], "version": "0.4"}]);
    let chunk = |n: u8| (0..24).map(|i| n * 24 + i).collect::<Vec<u8>>();
    if !v3 {
        let array = json!({"zarr_format": 2, "shape": [4, 3, 4], "chunks": [2, 3, 4], "dtype": "|u1", "fill_value": 9, "order": "C",
            "filters": null, "compressor": null, "dimension_separator": "/"});
        put(".zgroup", b"{\"zarr_format\": 2}");
        put(".zattrs", json!({"multiscales": multiscales}).to_string().as_bytes());
        put("0/.zarray", array.to_string().as_bytes());
        put("0/0/0/0", &chunk(0));
        put("0/1/0/0", &chunk(1));
        return;
    }
    let sharding = json!({"name": "sharding_indexed", "configuration": {"chunk_shape": [2, 3, 4], "codecs": [{"name": "bytes"}],
        "index_codecs": [{"name": "bytes"}]}});
    let array = json!({"zarr_format": 3, "node_type": "array", "shape": [4, 3, 4], "data_type": "uint8", "fill_value": 9,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 3, 4]}}, "codecs": [sharding],
        "chunk_key_encoding": {"name": "default"}});
    let group = json!({"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5", "multiscales": multiscales}}});
    put("zarr.json", group.to_string().as_bytes());
    put("0/zarr.json", array.to_string().as_bytes());
    for n in 0..2 {
        let index = [0u64, 24].map(u64::to_le_bytes).concat();
        put(&format!("0/c/{n}/0/0"), &[chunk(n), index].concat());
    }
}

/// All voxels, how many chunks were absent, and how many of them refused.
fn read(url: &str) -> reslice::error::Result<(Vec<u8>, u64, u64)> {
    let source = ZarrSource::<u8>::new(open(&PathBuf::from(url), &OpenOptions::default())?);
    let mut voxels = Vec::new();
    for z in 0..2 {
        let region = source.layout().chunk_region([z, 0, 0]);
        let mut chunk = vec![0u8; region.voxels() as usize];
        source.read(0, BlockMut::new(region, 1, &mut chunk))?;
        voxels.extend(chunk);
    }
    Ok((voxels, source.missing_chunks(), source.hidden_keys()))
}

fn all() -> Vec<u8> {
    (0..48).collect()
}

#[test]
fn answers_without_length_and_compressed_on_the_way() {
    for manner in [Manner::WithoutLength, Manner::Gzip, Manner::PageForAbsent, Manner::ForbiddenForAbsent] {
        for v3 in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            image(dir.path(), v3);
            let url = serve(dir.path(), manner);
            for path in ["i.zarr", "i.zarr/0"] {
                let found = read(&format!("{url}/{path}")).unwrap();
                assert_eq!(found, (all(), 0, 0), "{manner:?} {v3} {path}");
            }
        }
    }
}

#[test]
fn what_a_server_hides_is_absent_only_where_it_hides_all_that_is_absent() {
    for (v3, gone) in [(false, "i.zarr/0/1/0/0"), (true, "i.zarr/0/c/1/0/0")] {
        let dir = tempfile::tempdir().unwrap();
        image(dir.path(), v3);
        let refusing = serve(dir.path(), Manner::Forbidden(gone));
        assert!(read(&format!("{refusing}/i.zarr")).is_err(), "a chunk that is there and may not be read");
        fs::remove_file(dir.path().join(gone)).unwrap();
        let hiding = serve(dir.path(), Manner::ForbiddenForAbsent);
        let filled: Vec<u8> = (0..24).chain([9; 24]).collect();
        assert_eq!(read(&format!("{hiding}/i.zarr")).unwrap(), (filled.clone(), 1, 1), "{v3}");
        let request =
            Request { file: format!("{hiding}/i.zarr").into(), memory_bytes: 1 << 30, threads: 2, most_problems: 10 };
        let report = verify(&request, &AtomicBool::new(false), |_| {}).unwrap();
        assert!(report.ok && report.arrays[0].missing == 1, "{report:?}");
        let telling = serve(dir.path(), Manner::Gzip);
        assert_eq!(read(&format!("{telling}/i.zarr")).unwrap(), (filled, 1, 0), "{v3}");
    }
}

#[test]
fn a_right_to_read_that_has_run_out_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    image(dir.path(), false);
    let url = serve(dir.path(), Manner::ForbiddenForAbsent);
    let source = ZarrSource::<u8>::new(open(&PathBuf::from(format!("{url}/i.zarr")), &OpenOptions::default()).unwrap());
    // All that is absent is refused, and so is now the array's own document.
    fs::remove_file(dir.path().join("i.zarr/0/.zarray")).unwrap();
    fs::remove_file(dir.path().join("i.zarr/0/0/0/0")).unwrap();
    let region = source.layout().chunk_region([0; 3]);
    let mut chunk = vec![0u8; region.voxels() as usize];
    assert!(source.read(0, BlockMut::new(region, 1, &mut chunk)).is_err());
}

/// Uncompressed by ranges, gzip as a stream; a server that does not tell the length of a file tells it with a part of it.
#[test]
fn nifti_files_are_read_as_from_the_disk() {
    let folder = Folder::new();
    folder.phantom("scan.nii", [61, 53, 47]);
    folder.run(&["resample", "scan.nii", "scan.nii.gz", "--scale", "1"]).expect(0);
    let url = serve(folder.0.path(), Manner::ForbiddenForAbsent);
    folder.run(&["resample", "scan.nii", "right.nii", "--scale", "0.7"]).expect(0);
    for name in ["scan.nii", "scan.nii.gz"] {
        let url = format!("{url}/{name}");
        folder.run(&["resample", &url, "o.nii", "--scale", "0.7", "--overwrite"]).expect(0);
        assert_eq!(fs::read(folder.path("o.nii")).unwrap(), fs::read(folder.path("right.nii")).unwrap(), "{name}");
        folder.run(&["verify", &url]).expect(0);
    }
    let url = serve(folder.0.path(), Manner::WithoutLength);
    folder.run(&["resample", &format!("{url}/scan.nii"), "o.nii", "--scale", "0.7", "--overwrite"]).expect(0);
    assert_eq!(fs::read(folder.path("o.nii")).unwrap(), fs::read(folder.path("right.nii")).unwrap());
}
