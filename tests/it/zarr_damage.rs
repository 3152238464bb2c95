//! Damaged and hostile stores: an error or the right voxels, never a panic, a hang or a large allocation.

use std::{
    fs,
    path::{Path, PathBuf},
};

use reslice::{
    block::{BlockMut, BlockRef},
    error::{Error, Result},
    geometry::{Affine, Grid, Unit},
    io::{
        Sink, Source,
        convert::Conversion,
        ome::{Carried, OmeVersion},
        zarr::{Codec, Levels, OpenOptions, ZarrSink, ZarrSource, ZarrTarget, open},
    },
    region::Region,
    voxel::Dtype,
};
use serde_json::{Value, json};

const SHAPE: [u64; 3] = [5, 7, 6];

fn voxels(region: Region) -> Vec<u16> {
    let mut all = Vec::new();
    for z in region.lo[0]..region.hi[0] {
        for y in region.lo[1]..region.hi[1] {
            all.extend((region.lo[2]..region.hi[2]).map(|x| (z * 97 + y * 13 + x + 1) as u16));
        }
    }
    all
}

fn write(dir: &Path, codec: Codec, shard: Option<[u64; 3]>) {
    let target = ZarrTarget {
        version: OmeVersion::V05,
        grid: Grid::new(SHAPE, Affine::identity(), Unit::Millimetre),
        outer: Vec::new(),
        lacking: [false; 3],
        components: 1,
        conversion: Conversion::plain(Dtype::U16),
        chunk: [3, 4, 4],
        shard,
        codec,
        name: "damage".into(),
        carried: Carried::default(),
        nifti: None,
        levels: Levels::default(),
    };
    let sink = ZarrSink::<u16>::create(dir, &target).unwrap();
    for unit in Region::of_shape(SHAPE).tiles([3, 4, 4]) {
        let data = voxels(unit);
        sink.put(0, unit, sink.encode(0, unit, BlockRef::new(unit, 1, &data)).unwrap()).unwrap();
    }
    sink.finish().unwrap();
}

/// Reads everything; whether all voxels are right. Absurd layouts are left to the planner.
fn read(dir: &Path) -> Result<bool> {
    let source = ZarrSource::<u16>::new(open(dir, &OpenOptions::default())?);
    let layout = source.layout().clone();
    if layout.grid.shape != SHAPE || layout.transfer_bytes > 1 << 20 || layout.outer.volumes() != 1 {
        return Ok(false);
    }
    let mut right = true;
    for region in Region::of_shape(SHAPE).tiles(layout.chunk.map(|extent| extent as usize)) {
        let mut found = vec![0; region.voxels() as usize];
        source.read(0, BlockMut::new(region, 1, &mut found))?;
        right &= found == voxels(region);
    }
    Ok(right && source.missing_chunks() == 0)
}

/// A new file in place of the old one: truncating an existing one makes some file systems wait for the disk.
fn replace(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

#[test]
fn flipped_bits_of_a_chunk_or_shard_are_noticed_or_harmless() {
    let codecs = [Codec::Zstd(3), Codec::BloscZstd(5), Codec::BloscLz4(5), Codec::Gzip(6), Codec::None];
    for codec in codecs {
        for shard in [None, Some([3, 8, 8])] {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), codec, shard);
            assert!(read(dir.path()).unwrap());
            for path in files(dir.path()).into_iter().filter(|path| path.extension().is_none()).take(2) {
                let whole = fs::read(&path).unwrap();
                // One bit of every byte, another one in the next byte.
                for bit in (0..whole.len()).map(|n| n * 8 + n % 8) {
                    let mut bad = whole.clone();
                    bad[bit / 8] ^= 1 << (bit % 8);
                    replace(&path, &bad);
                    assert!(!matches!(read(dir.path()), Ok(false)), "{codec:?} {} bit {bit}", path.display());
                }
                for cut in (0..whole.len()).step_by(3) {
                    replace(&path, &whole[..cut]);
                    assert!(read(dir.path()).is_err(), "{codec:?} {} cut at {cut}", path.display());
                }
                replace(&path, &whole);
            }
        }
    }
}

#[test]
fn damaged_metadata_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), Codec::Zstd(3), Some([3, 8, 8]));
    for path in files(dir.path()).into_iter().filter(|path| path.extension().is_some()) {
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for flip in [1u8, 4, 32] {
                let mut bad = whole.clone();
                bad[at] ^= flip;
                replace(&path, &bad);
                let _ = read(dir.path());
            }
            replace(&path, &whole[..at]);
            assert!(read(dir.path()).is_err());
        }
        replace(&path, &whole);
    }
    assert!(read(dir.path()).unwrap());
}

#[test]
fn damaged_metadata_of_version_2_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let array = json!({"zarr_format": 2, "shape": SHAPE, "chunks": SHAPE, "dtype": "<u2", "fill_value": 0, "order": "C",
        "filters": null, "compressor": {"id": "zlib", "level": 1}, "dimension_separator": "."});
    let image = json!({"multiscales": [{"version": "0.4", "axes": [{"name": "z", "type": "space"}, {"name": "y", "type": "space"},
        {"name": "x", "type": "space"}], "datasets": [{"path": "0", "coordinateTransformations": [
        {"type": "scale", "scale": [2, 1.5, 0.5]}, {"type": "translation", "translation": [0, 1, 2]}]}]}]});
    fs::create_dir(dir.path().join("0")).unwrap();
    fs::write(dir.path().join(".zgroup"), r#"{"zarr_format": 2}"#).unwrap();
    fs::write(dir.path().join(".zattrs"), image.to_string()).unwrap();
    fs::write(dir.path().join("0/.zarray"), array.to_string()).unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let samples: Vec<u8> = voxels(Region::of_shape(SHAPE)).into_iter().flat_map(u16::to_le_bytes).collect();
    std::io::Write::write_all(&mut zlib, &samples).unwrap();
    fs::write(dir.path().join("0/0.0.0"), zlib.finish().unwrap()).unwrap();
    assert!(read(dir.path()).unwrap());
    for name in [".zattrs", "0/.zarray"] {
        let path = dir.path().join(name);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for flip in [1u8, 4, 32] {
                let mut bad = whole.clone();
                bad[at] ^= flip;
                replace(&path, &bad);
                let _ = read(dir.path());
            }
        }
        replace(&path, &whole);
    }
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut document);
    fs::write(path, document.to_string()).unwrap();
}

#[test]
fn an_index_without_checksum_that_points_outside_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), Codec::Zstd(3), Some([3, 8, 8]));
    edit(&dir.path().join("0/zarr.json"), |array| {
        array["codecs"][0]["configuration"]["index_codecs"] =
            json!([{"name": "bytes", "configuration": {"endian": "little"}}]);
    });
    let path = dir.path().join("0/c/0/0/0");
    let mut whole = fs::read(&path).unwrap();
    whole.truncate(whole.len() - 4);
    fs::write(&path, &whole).unwrap();
    let second = dir.path().join("0/c/1/0/0");
    let other = fs::read(&second).unwrap();
    fs::write(&second, &other[..other.len() - 4]).unwrap();
    assert!(read(dir.path()).unwrap());
    let index = whole.len() - 4 * 16;
    for (entry, value) in [(0, 1u64 << 40), (1, 1 << 40), (0, u64::MAX), (1, u64::MAX - 1), (2, whole.len() as u64)] {
        let mut bad = whole.clone();
        bad[index + entry * 8..index + entry * 8 + 8].copy_from_slice(&value.to_le_bytes());
        fs::write(&path, &bad).unwrap();
        let error = read(dir.path()).unwrap_err();
        let Error::Chunk { chunk, .. } = &error else { panic!("{error}") };
        assert!(chunk.starts_with("0/c/0/0/0 inner [0, 0, "), "{error}");
    }
}

#[test]
fn an_error_names_array_key_bytes_and_reason() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), Codec::None, None);
    let path = dir.path().join("0/c/1/0/1");
    let mut whole = fs::read(&path).unwrap();
    whole[10] ^= 1;
    fs::write(&path, &whole).unwrap();
    let message = read(dir.path()).unwrap_err().to_string();
    for part in [
        "cannot read chunk 0/c/1/0/1 (100 stored bytes)",
        "crc32c: checksum is",
        &dir.path().join("0").display().to_string(),
    ] {
        assert!(message.contains(part), "{message}");
    }
    // A file that no chunk of this array can fill is not read at all.
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert!(read(dir.path()).unwrap_err().to_string().contains("larger than any chunk"));
}

#[test]
fn bombs_are_refused() {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), Codec::Gzip(6), None);
    let path = dir.path().join("0/c/0/0/0");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..16 {
        gzip.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bomb = gzip.finish().unwrap();
    assert!(bomb.len() < 64 << 10);
    fs::write(&path, &bomb).unwrap();
    assert!(read(dir.path()).unwrap_err().to_string().contains("more than the 96 decoded bytes expected"));
}

#[test]
fn documents_that_are_too_deep_too_large_or_climb_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), Codec::Zstd(1), None);
    let (group, array) = (dir.path().join("zarr.json"), dir.path().join("0/zarr.json"));
    let (group_text, array_text) = (fs::read(&group).unwrap(), fs::read(&array).unwrap());
    for climbing in ["../0", "0/../../etc", "/..", "0\\..", ".."] {
        edit(&group, |g| g["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = json!(climbing));
        assert!(matches!(read(dir.path()), Err(Error::Malformed { .. })), "{climbing}");
        fs::write(&group, &group_text).unwrap();
    }
    fs::write(&array, format!("{{\"attributes\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000))).unwrap();
    assert!(matches!(read(dir.path()), Err(Error::Malformed { .. })));
    fs::File::create(&array).unwrap().set_len(65 << 20).unwrap();
    assert!(read(dir.path()).unwrap_err().to_string().contains("at most 67108864 bytes"));
    fs::write(&array, &array_text).unwrap();
    // A chunk that metadata make huge is stated in the layout, for the planner to refuse.
    edit(&array, |a| a["chunk_grid"]["configuration"]["chunk_shape"] = json!([1u64 << 20, 1u64 << 20, 1u64 << 10]));
    let file = open(dir.path(), &OpenOptions::default()).unwrap();
    assert_eq!(file.layout.chunk, SHAPE);
    assert!(file.layout.transfer_bytes > 1 << 51);
    let mut found = vec![0u16; (5 * 7 * 6) as usize];
    let source = ZarrSource::<u16>::new(file);
    assert!(source.read(0, BlockMut::new(Region::of_shape(SHAPE), 1, &mut found)).is_err());
}

#[test]
fn what_is_not_one_chunk_is_a_usage_error() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), Codec::Zstd(1), None);
    let source = ZarrSource::<u16>::new(open(dir.path(), &OpenOptions::default()).unwrap());
    for region in
        [Region::new([0; 3], [1, 1, 1]), Region::new([-3, 0, 0], [0, 4, 4]), Region::new([6, 0, 0], [9, 4, 4])]
    {
        let mut found = vec![0; region.voxels() as usize];
        assert!(matches!(source.read(0, BlockMut::new(region, 1, &mut found)), Err(Error::Usage { .. })), "{region}");
    }
    assert!(matches!(open(&dir.path().join("none"), &OpenOptions::default()), Err(Error::Io { .. })));
}
