//! Gzip streams and BGZF files with a volume in them; and headers that a good stream holds.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::{
    choosing, chosen,
    kit::nifti::Said,
    reading::{in_folder, put, read_all},
};

pub(super) fn body(bytes: &[u8]) {
    let (kind, bytes) = chosen(bytes, 3);
    let stream = match kind {
        0 => bytes.to_vec(),
        1 => gzip(bytes),
        _ => bgzf(bytes),
    };
    in_folder(|folder| {
        let path = folder.join("c.nii.gz");
        put(&path, &stream);
        read_all(&path);
    });
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seed.nii");
    let said = Said::new([3, 5, 7]).with_outer(&[("t", 2)]);
    said.write::<u16>(&path, &(0..said.samples() as u16).collect::<Vec<_>>());
    let raw = std::fs::read(&path).unwrap();
    let members = [gzip(&raw[..100]), gzip(&raw[100..])].concat();
    let streams = [gzip(&raw), members, bgzf(&raw)];
    let seeds = streams.into_iter().map(|stream| choosing(0, stream));
    seeds.chain([choosing(1, &raw), choosing(2, &raw)]).collect()
}

fn gzip(raw: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(raw).unwrap();
    encoder.finish().unwrap()
}

/// Blocks of 128 bytes: a gzip member each, with its length in an extra field (SAM specification v1, section 4.1).
fn bgzf(raw: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    for block in raw.chunks(128).chain([&[][..]]) {
        let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), Compression::fast());
        deflated.write_all(block).unwrap();
        let deflated = deflated.finish().unwrap();
        file.extend_from_slice(&[31, 139, 8, 4, 0, 0, 0, 0, 0, 255, 6, 0, b'B', b'C', 2, 0]);
        file.extend_from_slice(&(deflated.len() as u16 + 18 + 8 - 1).to_le_bytes());
        file.extend_from_slice(&deflated);
        file.extend_from_slice(&crc32fast::hash(block).to_le_bytes());
        file.extend_from_slice(&(block.len() as u32).to_le_bytes());
    }
    file
}
