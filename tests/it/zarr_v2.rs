//! OME-Zarr 0.4 on Zarr v2: the documents, whole chunks, what a copy keeps.

use std::{fs, path::Path};

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
    layout::Axis,
    region::Region,
    voxel::Dtype,
};
use serde_json::{Value, json};

use crate::zarr_write::header;

const SHAPE: [u64; 3] = [5, 7, 6];

fn target(codec: Codec) -> ZarrTarget {
    let affine = Affine::from_columns([[0.1, 0.3, 2.0], [-1.2, 0.2, 0.1], [0.4, 1.5, -0.3]], [-90.0, 12.5, 33.0]);
    let mut carried = Carried::default();
    carried.ome.insert("omero".into(), json!({"channels": [{"color": "00FF00", "window": {"min": 0.5, "max": 9.0}}]}));
    carried.attributes.insert("scanner".into(), json!({"field": 3.0}));
    ZarrTarget {
        version: OmeVersion::V04,
        grid: Grid::new(SHAPE, affine, Unit::Millimetre),
        outer: vec![Axis { name: "t".into(), len: 2, step: 1.5, start: 0.0, unit: Some("second".into()) }],
        lacking: [false; 3],
        components: 1,
        conversion: Conversion::plain(Dtype::U16),
        chunk: [3, 4, 4],
        shard: None,
        codec,
        name: "old".into(),
        carried,
        nifti: None,
        levels: Levels::default(),
    }
}

/// Every voxel is its number in the chunk plus one; the second volume is empty.
fn write(dir: &Path, target: &ZarrTarget) {
    let sink = ZarrSink::<u16>::create(dir, target).unwrap();
    for volume in 0..2 {
        for unit in Region::of_shape(SHAPE).tiles([3, 4, 4]) {
            let data: Vec<u16> = (1..=unit.voxels() as u16).map(|n| n * (1 - volume as u16)).collect();
            sink.put(volume, unit, sink.encode(volume, unit, BlockRef::new(unit, 1, &data)).unwrap()).unwrap();
        }
    }
    sink.finish().unwrap();
}

fn document(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn documents_are_those_of_version_2() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &target(Codec::BloscZstd(4)));
    assert_eq!(document(&dir.path().join(".zgroup")), json!({"zarr_format": 2}));
    let expected = json!({"zarr_format": 2, "shape": [2, 5, 7, 6], "chunks": [1, 3, 4, 4], "dtype": "<u2",
        "compressor": {"id": "blosc", "cname": "zstd", "clevel": 4, "shuffle": 1, "blocksize": 0},
        "fill_value": 0, "order": "C", "filters": null, "dimension_separator": "/"});
    assert_eq!(document(&dir.path().join("0/.zarray")), expected);
    let expected = json!({"_ARRAY_DIMENSIONS": ["t", "z", "y", "x"], "reslice": {"empty_chunks": 8}});
    assert_eq!(document(&dir.path().join("0/.zattrs")), expected);
    let attributes = document(&dir.path().join(".zattrs"));
    assert_eq!(attributes["multiscales"][0]["version"], "0.4");
    assert_eq!(attributes["multiscales"][0]["axes"][0], json!({"name": "t", "type": "time", "unit": "second"}));
    assert_eq!(attributes["omero"]["channels"][0]["window"], json!({"min": 0.5, "max": 9.0}));
    assert!(attributes.get("ome").is_none() && attributes.get("version").is_none());
    assert!(!dir.path().join("zarr.json").exists() && !dir.path().join("0/1").exists());
}

#[test]
fn affine_and_attributes_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = target(Codec::Gzip(1));
    spec.nifti = Some(header(dir.path(), &spec.grid, Dtype::U16));
    write(dir.path(), &spec);
    let file = open(dir.path(), &OpenOptions::default()).unwrap();
    assert_eq!((file.zarr_format, file.empty_chunks, file.layout.stored), (2, Some(8), Dtype::U16));
    assert_eq!(file.layout.grid.index_to_world, spec.grid.index_to_world);
    assert!(file.header().is_some() && dir.path().join("nifti/0").exists());
    assert_eq!((&file.carried, &file.layout.outer.axes), (&spec.carried, &spec.outer));
}

#[test]
fn chunks_at_the_border_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &target(Codec::None));
    let stored = fs::read(dir.path().join("0/0/1/1/1")).unwrap();
    let samples: Vec<u16> = stored.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    // 2 x 3 x 2 voxels of 3 x 4 x 4.
    assert_eq!(samples.len(), 48);
    let expected = |n: usize| {
        let (z, y, x) = (n / 16, n / 4 % 4, n % 4);
        if z < 2 && y < 3 && x < 2 { (z * 3 + y) * 2 + x + 1 } else { 0 }
    };
    assert_eq!(samples, (0..48).map(|n| expected(n) as u16).collect::<Vec<_>>());
}

#[test]
fn only_compressors_that_every_reader_knows() {
    for (codec, expected) in [
        (Codec::Zstd(7), json!({"id": "zstd", "level": 7})),
        (Codec::Gzip(2), json!({"id": "gzip", "level": 2})),
        (Codec::BloscLz4(5), json!({"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0})),
        (Codec::None, Value::Null),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &target(codec));
        assert_eq!(document(&dir.path().join("0/.zarray"))["compressor"], expected);
        let stored = fs::read(dir.path().join("0/0/0/0/0")).unwrap();
        if let Codec::Zstd(_) = codec {
            // Frame header descriptor, bit 2: a checksum of the content follows (RFC 8878, 3.1.1.1.1).
            assert_eq!((&stored[..4], stored[4] & 4), (&[0x28, 0xb5, 0x2f, 0xfd][..], 4));
        }
    }
}

/// Chunks of the first volume that are not as they were written; an error of the first that cannot be read.
fn wrong_chunks(dir: &Path) -> Result<Vec<Region>> {
    let source = ZarrSource::<u16>::new(open(dir, &OpenOptions::default())?);
    let mut wrong = Vec::new();
    for region in Region::of_shape(SHAPE).tiles([3, 4, 4]) {
        let mut found = vec![0; region.voxels() as usize];
        source.read(0, BlockMut::new(region, 1, &mut found))?;
        if found.iter().enumerate().any(|(n, voxel)| *voxel != n as u16 + 1) {
            wrong.push(region);
        }
    }
    Ok(wrong)
}

#[test]
fn flipped_bits_are_noticed_where_there_is_a_checksum_and_stay_in_their_chunk() {
    for codec in [Codec::Zstd(3), Codec::Gzip(6), Codec::BloscZstd(5), Codec::BloscLz4(5), Codec::None] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &target(codec));
        let path = dir.path().join("0/0/0/1/0");
        let whole = fs::read(&path).unwrap();
        let own = Region::new([0, 4, 0], [3, 7, 4]);
        for bit in (0..whole.len()).map(|n| n * 8 + n % 8) {
            let mut bad = whole.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::remove_file(&path).unwrap();
            fs::write(&path, &bad).unwrap();
            match wrong_chunks(dir.path()) {
                Ok(wrong) if matches!(codec, Codec::Zstd(_) | Codec::Gzip(_)) => assert!(wrong.is_empty(), "bit {bit}"),
                Ok(wrong) => assert!(wrong.iter().all(|region| *region == own), "{codec:?} bit {bit}"),
                Err(error) => {
                    let text = error.to_string();
                    assert!(matches!(error, Error::Chunk { .. }) && text.contains("0/0/0/1/0"), "{text}");
                }
            }
        }
        for cut in 0..whole.len() {
            fs::remove_file(&path).unwrap();
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(wrong_chunks(dir.path()).is_err(), "{codec:?} cut at {cut}");
        }
    }
}

#[test]
fn damaged_metadata_with_filters_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let array = json!({"zarr_format": 2, "shape": [4, 5], "chunks": [4, 3], "dtype": "<i4", "fill_value": 0, "order": "F",
        "filters": [{"id": "fixedscaleoffset", "scale": 3, "offset": 1.5, "dtype": "<i4", "astype": "<i4"},
            {"id": "delta", "dtype": "<i4", "astype": "<i2"}, {"id": "shuffle", "elementsize": 2}],
        "dimension_separator": ".", "compressor": {"id": "lz4"}});
    let text = array.to_string();
    fs::write(dir.path().join(".zarray"), &text).unwrap();
    fs::write(dir.path().join("0.0"), [24, 0, 0, 0, 0x80, 1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    let read = || -> Result<()> {
        let file = open(dir.path(), &OpenOptions::default())?;
        // What damage makes huge is left to the planner.
        if file.layout.transfer_bytes > 1 << 22 || file.layout.outer.largest_group() > 1 {
            return Ok(());
        }
        let source = ZarrSource::<i32>::new(file);
        let region = source.layout().chunk_region([0; 3]);
        let mut voxels = vec![0; region.voxels() as usize];
        source.read(0, BlockMut::new(region, 1, &mut voxels))
    };
    assert!(matches!(read(), Err(Error::Chunk { .. })));
    for at in 0..text.len() {
        for flip in [1u8, 2, 4, 16] {
            let mut bad = text.clone().into_bytes();
            bad[at] ^= flip;
            fs::write(dir.path().join(".zarray"), &bad).unwrap();
            let _ = read();
        }
    }
}
