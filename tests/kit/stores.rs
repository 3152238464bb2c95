//! Small stores of every version and codec, made by hand, and ways to break them.
#![allow(dead_code)]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use zarrs::array::codec::{BloscCompressionLevel, BloscCompressor, BloscShuffleMode, blosc_compress_bytes};

/// Extents of the only level, z, y, x: prime and unequal.
pub(crate) const SHAPE: [u64; 3] = [5, 7, 6];
pub(crate) const CHUNK: [u64; 3] = [3, 4, 4];
/// Bytes of one decoded chunk: u16.
pub(crate) const CHUNK_BYTES: u64 = 3 * 4 * 4 * 2;

/// Every codec that is read, each inner codec of Blosc among them, and a filter.
pub(crate) const CODECS: [&str; 14] = [
    "none",
    "zstd",
    "zstd-sum",
    "gzip",
    "zlib",
    "bz2",
    "lz4",
    "blosc-blosclz",
    "blosc-lz4",
    "blosc-lz4hc",
    "blosc-snappy",
    "blosc-zlib",
    "blosc-zstd",
    "delta-zlib",
];

/// Whether a stream of this codec carries a checksum.
pub(crate) fn has_checksum(codec: &str) -> bool {
    ["zstd-sum", "gzip", "zlib", "bz2", "delta-zlib"].contains(&codec)
}

/// How a store is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// 2 or 3.
    pub version: u8,
    pub codec: &'static str,
    /// Of version 3, with an index that has a crc32c.
    pub sharded: bool,
}

/// All versions, codecs and both kinds of version 3.
pub(crate) fn forms() -> Vec<Form> {
    let of = |version, sharded| CODECS.into_iter().map(move |codec| Form { version, codec, sharded });
    of(2, false).chain(of(3, false)).chain(of(3, true)).collect()
}

/// One compressed chunk.
pub(crate) fn encode(codec: &str, raw: &[u8]) -> Vec<u8> {
    match codec {
        "none" => raw.to_vec(),
        "zstd" | "zstd-sum" => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
            encoder.include_checksum(codec == "zstd-sum").unwrap();
            encoder.write_all(raw).unwrap();
            encoder.finish().unwrap()
        }
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(raw).unwrap();
            encoder.finish().unwrap()
        }
        "zlib" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(raw).unwrap();
            encoder.finish().unwrap()
        }
        "bz2" => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(raw).unwrap();
            encoder.finish().unwrap()
        }
        "lz4" => lz4(raw),
        "delta-zlib" => encode("zlib", &differences(raw)),
        blosc => {
            let inner = match blosc.strip_prefix("blosc-").unwrap() {
                "blosclz" => BloscCompressor::BloscLZ,
                "lz4" => BloscCompressor::LZ4,
                "lz4hc" => BloscCompressor::LZ4HC,
                "snappy" => BloscCompressor::Snappy,
                "zlib" => BloscCompressor::Zlib,
                _ => BloscCompressor::Zstd,
            };
            let level = BloscCompressionLevel::try_from(5).unwrap();
            blosc_compress_bytes(raw, level, BloscShuffleMode::Shuffle, 2, inner, 0, 1).unwrap()
        }
    }
}

/// numcodecs' delta filter: the first sample, then how much each is above the one before it.
fn differences(raw: &[u8]) -> Vec<u8> {
    let samples = raw.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let mut before = 0u16;
    samples.flat_map(|sample| sample.wrapping_sub(std::mem::replace(&mut before, sample)).to_le_bytes()).collect()
}

/// numcodecs' framing, and one LZ4 block: what repeats with period 2 at the front as one match, the rest as it stands.
fn lz4(raw: &[u8]) -> Vec<u8> {
    let run = (2..raw.len().saturating_sub(12)).take_while(|&n| raw[n] == raw[n - 2]).count();
    let mut block = Vec::new();
    let mut rest = raw;
    if run >= 19 {
        block.push(0x2f);
        block.extend_from_slice(&raw[..2]);
        block.extend_from_slice(&2u16.to_le_bytes());
        extended(&mut block, run - 19);
        rest = &raw[2 + run..];
    }
    block.push((rest.len().min(15) as u8) << 4);
    if rest.len() >= 15 {
        extended(&mut block, rest.len() - 15);
    }
    block.extend_from_slice(rest);
    [&(raw.len() as u32).to_le_bytes()[..], &block].concat()
}

fn extended(block: &mut Vec<u8>, mut length: usize) {
    while length >= 255 {
        block.push(255);
        length -= 255;
    }
    block.push(length as u8);
}

/// Metadata of a codec: of version 2 the compressor, of version 3 the list behind `bytes`.
fn codec_metadata(version: u8, codec: &str) -> Value {
    let inner = codec.strip_prefix("blosc-");
    let name = if inner.is_some() { "blosc" } else { codec.trim_end_matches("-sum").trim_start_matches("delta-") };
    let configuration = match (name, inner) {
        ("blosc", Some(cname)) => {
            json!({"cname": cname, "clevel": 5, "shuffle": if version == 2 { json!(1) } else { json!("shuffle") },
                "typesize": 2, "blocksize": 0})
        }
        ("zstd", _) => json!({"level": 3, "checksum": codec == "zstd-sum"}),
        ("lz4", _) => json!({"acceleration": 1}),
        _ => json!({"level": 1}),
    };
    if name == "none" {
        return if version == 2 { Value::Null } else { json!([]) };
    }
    if version == 2 {
        let mut compressor = configuration;
        compressor["id"] = json!(name);
        return compressor;
    }
    let own = matches!(name, "zlib" | "bz2" | "lz4");
    let name = if own { format!("numcodecs.{name}") } else { name.to_string() };
    json!([{"name": name, "configuration": configuration}])
}

/// The document of the array `0`.
pub(crate) fn array_document(form: Form, shape: &[u64], chunk: &[u64]) -> Value {
    let filtered = form.codec.starts_with("delta-");
    if form.version == 2 {
        let filters = if filtered { json!([{"id": "delta", "dtype": "<u2"}]) } else { Value::Null };
        return json!({"zarr_format": 2, "shape": shape, "chunks": chunk, "dtype": "<u2", "fill_value": 0,
            "order": "C", "filters": filters, "compressor": codec_metadata(2, form.codec), "dimension_separator": "/"});
    }
    let bytes = json!({"name": "bytes", "configuration": {"endian": "little"}});
    let mut codecs = vec![bytes.clone()];
    codecs.extend(codec_metadata(3, form.codec).as_array().unwrap().clone());
    if filtered {
        codecs.insert(0, json!({"name": "numcodecs.delta", "configuration": {"dtype": "<u2"}}));
    }
    let mut object = chunk.to_vec();
    if form.sharded {
        object.iter_mut().skip(1).for_each(|extent| *extent *= 2);
        codecs = vec![json!({"name": "sharding_indexed", "configuration": {"chunk_shape": chunk, "codecs": codecs,
            "index_codecs": [bytes, {"name": "crc32c"}], "index_location": "end"}})];
    }
    json!({"zarr_format": 3, "node_type": "array", "shape": shape, "data_type": "uint16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": object}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0, "codecs": codecs, "attributes": {"reslice": {"empty_chunks": 0}}})
}

/// The document of the image, and its name.
fn image_document(version: u8) -> (&'static str, Value) {
    let multiscales = json!([{"axes": [{"name": "z", "type": "space", "unit": "millimeter"},
        {"name": "y", "type": "space", "unit": "millimeter"}, {"name": "x", "type": "space", "unit": "millimeter"}],
        "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [2.0, 1.5, 0.5]}]}]}]);
    if version == 2 {
        return (".zattrs", json!({"multiscales": multiscales}));
    }
    let attributes = json!({"ome": {"version": "0.5", "multiscales": multiscales}});
    ("zarr.json", json!({"zarr_format": 3, "node_type": "group", "attributes": attributes}))
}

pub(crate) fn put(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // A new file: truncating an old one makes some file systems wait for the disk.
    let _ = fs::remove_file(path);
    fs::write(path, bytes).unwrap();
}

/// Voxel of an index, never 0.
pub(crate) fn voxel(z: u64, y: u64, x: u64) -> u16 {
    (z * 97 + y * 13 + x + 1) as u16
}

/// A decoded chunk, padded with 0.
fn raw_chunk(at: [u64; 3]) -> Vec<u8> {
    let mut raw = Vec::new();
    for z in 0..CHUNK[0] {
        for y in 0..CHUNK[1] {
            for x in 0..CHUNK[2] {
                let global = [at[0] * CHUNK[0] + z, at[1] * CHUNK[1] + y, at[2] * CHUNK[2] + x];
                let inside = (0..3).all(|a| global[a] < SHAPE[a]);
                let value = if inside { voxel(global[0], global[1], global[2]) } else { 0 };
                raw.extend_from_slice(&value.to_le_bytes());
            }
        }
    }
    raw
}

/// An image with one level, 2 x 2 x 2 chunks, or two shards of 1 x 2 x 2.
pub(crate) fn write(dir: &Path, form: Form) {
    let (name, image) = image_document(form.version);
    put(&dir.join(name), image.to_string());
    let array = array_document(form, &SHAPE, &CHUNK).to_string();
    put(&dir.join(if form.version == 2 { "0/.zarray" } else { "0/zarr.json" }), array);
    if form.version == 2 {
        put(&dir.join(".zgroup"), r#"{"zarr_format": 2}"#);
        put(&dir.join("0/.zattrs"), r#"{"reslice": {"empty_chunks": 0}}"#);
    }
    for z in 0..2 {
        let chunks = (0..4u64).map(|n| ([z, n / 2, n % 2], encode(form.codec, &raw_chunk([z, n / 2, n % 2]))));
        if form.sharded {
            let chunks: Vec<Vec<u8>> = chunks.map(|(_, bytes)| bytes).collect();
            put(&dir.join(format!("0/c/{z}/0/0")), shard(&chunks));
            continue;
        }
        let prefix = if form.version == 2 { "0" } else { "0/c" };
        chunks.for_each(|([z, y, x], bytes)| put(&dir.join(format!("{prefix}/{z}/{y}/{x}")), bytes));
    }
}

/// Chunks one after the other, then the index and its crc32c.
pub(crate) fn shard(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = chunks.concat();
    let mut entries = Vec::new();
    let mut offset = 0;
    for chunk in chunks {
        entries.push([offset, chunk.len() as u64]);
        offset += chunk.len() as u64;
    }
    bytes.extend(index(&entries));
    bytes
}

/// A stored index with its checksum.
pub(crate) fn index(entries: &[[u64; 2]]) -> Vec<u8> {
    let mut bytes: Vec<u8> = entries.iter().flatten().flat_map(|n| n.to_le_bytes()).collect();
    let sum = crc32c::crc32c(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// Files of chunks or shards, or of documents.
pub(crate) fn files(dir: &Path, documents: bool) -> Vec<PathBuf> {
    const DOCUMENTS: [&str; 5] = ["zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"];
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_document = DOCUMENTS.iter().any(|name| path.ends_with(name));
            match path.is_dir() {
                true => folders.push(path),
                false if is_document == documents => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

/// Changes a JSON document in place.
pub(crate) fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut document);
    put(path, document.to_string());
}
