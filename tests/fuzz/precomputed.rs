//! Neuroglancer precomputed: the document, a chunk, a packed chunk and a shard with its indexes.

use std::{fs, path::Path};

use super::{
    choosing, chosen,
    kit::precomputeds::{PLAIN, Volume},
    reading::{in_folder, put, read_all},
};

/// What one file of it is changed of.
fn volumes() -> [(Volume, &'static str); 6] {
    let sharded = Volume { shards: Some(([1, 2, 1], true)), ..PLAIN };
    [
        (PLAIN, "info"),
        (PLAIN, "4_4_40/-5-3_100-104_3-7"),
        (Volume { gzip: Some(".gz"), ..PLAIN }, "4_4_40/-5-3_100-104_3-7.gz"),
        (Volume { png: true, ..PLAIN }, "4_4_40/-5-3_100-104_3-7"),
        (sharded.clone(), "info"),
        (sharded, "4_4_40/0.shard"),
    ]
}

pub(super) fn body(bytes: &[u8]) {
    let all = volumes();
    let (kind, bytes) = chosen(bytes, all.len());
    let (volume, name) = &all[kind];
    in_folder(|folder| {
        let path = folder.join("precomputed");
        volume.put(&path);
        put(&path.join(name), bytes);
        read_all(&path);
    });
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let one = |(kind, (volume, name)): (usize, (Volume, &str))| {
        volume.put(folder.path());
        choosing(kind, fs::read(Path::new(folder.path()).join(name)).unwrap())
    };
    volumes().into_iter().enumerate().map(one).collect()
}
