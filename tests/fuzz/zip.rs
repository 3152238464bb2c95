//! Zip archives with a small Zarr in them, stored or deflated, at the top or in a folder.

use std::io::Write;

use flate2::{Compression, write::DeflateEncoder};
use reslice::storage::{Part, RangedFile, Store, ZipStore};

use super::reading::{in_folder, put, read_all};

pub(super) fn body(bytes: &[u8]) {
    in_folder(|folder| {
        let path = folder.join("c.ozx");
        put(&path, bytes);
        read_all(&path);
        let Ok(store) = RangedFile::local(&path).and_then(|file| ZipStore::open(file, "")) else { return };
        let mut keys = Vec::new();
        let _ = store.list("", &mut |key, _| {
            keys.push(key.to_string());
            if keys.len() < 64 { std::ops::ControlFlow::Continue(()) } else { std::ops::ControlFlow::Break(()) }
        });
        for key in keys {
            let _ = (store.get(&key, 1 << 16), store.get_part(&key, Part::Suffix(16)), store.size(&key));
        }
    });
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let array = br#"{"zarr_format": 2, "shape": [2, 3, 4], "chunks": [2, 3, 4], "dtype": "|u1", "compressor": null,
        "fill_value": 0, "order": "C", "filters": null, "dimension_separator": "/"}"#;
    let chunk: Vec<u8> = (0..24).collect();
    let files =
        |folder: &str| [(format!("{folder}.zarray"), array.to_vec()), (format!("{folder}0/0/0"), chunk.clone())];
    let all = [("", false), ("x.zarr/", false), ("", true)];
    all.into_iter().map(|(folder, deflate)| zip(&files(folder), deflate)).collect()
}

/// Records of APPNOTE 4.3: before each entry, in the directory, and at the end.
fn zip(files: &[(String, Vec<u8>)], deflate: bool) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        let data = if deflate { encoder.finish().unwrap() } else { bytes.clone() };
        let mut head = [20, 0, if deflate { 8 } else { 0 }, 0, 33].map(u16::to_le_bytes).concat();
        head.extend([crc32fast::hash(bytes), data.len() as u32, bytes.len() as u32].map(u32::to_le_bytes).concat());
        head.extend([name.len() as u16, 0].map(u16::to_le_bytes).concat());
        directory.extend(
            [&b"PK\x01\x02\x14\0"[..], &head, &[0; 10], &(file.len() as u32).to_le_bytes(), name.as_bytes()].concat(),
        );
        file.extend([&b"PK\x03\x04"[..], &head, name.as_bytes(), &data].concat());
    }
    let (at, len, count) = (file.len() as u32, directory.len() as u32, files.len() as u16);
    let end = [
        &b"PK\x05\x06\0\0\0\0"[..],
        &count.to_le_bytes(),
        &count.to_le_bytes(),
        &len.to_le_bytes(),
        &at.to_le_bytes(),
        &[0; 2],
    ];
    [file, directory, end.concat()].concat()
}
