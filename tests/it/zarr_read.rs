//! Arrays made by zarrs itself, in every form that is read.

use std::{path::Path, sync::Arc};

use reslice::{
    block::BlockMut,
    error::Error,
    io::{
        Source,
        zarr::{OpenOptions, ZarrFile, ZarrSource, open},
    },
    voxel::{Dtype, Rounding, Voxel},
};
use serde_json::{Value, json};
use zarrs::array::{Array, ArrayBytes, ArrayMetadata, ArraySubset};

use crate::kit::zarrs_folder::ZarrsFolder;

/// Prime and unequal extents.
const SHAPE: [u64; 3] = [20, 23, 29];

fn opened(path: &Path) -> ZarrFile {
    open(path, &OpenOptions::default()).unwrap()
}

/// Every volume of a source, chunk by chunk: [volume][z][y][x].
fn read_all<T: Voxel>(source: &ZarrSource<T>) -> Result<Vec<Vec<T>>, Error> {
    let layout = source.layout();
    let shape = layout.grid.shape.map(|n| n as usize);
    let mut volumes = vec![vec![T::default(); shape.iter().product()]; layout.outer.volumes() as usize];
    let [nz, ny, nx] = layout.chunk_counts();
    for group in 0..layout.outer.groups() {
        let members = layout.outer.members(group);
        for n in 0..nz * ny * nx {
            let region = layout.chunk_region([n / (ny * nx), n / nx % ny, n % nx]);
            let mut voxels = vec![T::from_f64(77.0, Rounding::Nearest); members.len() * region.voxels() as usize];
            source.read(group, BlockMut::new(region, members.len(), &mut voxels))?;
            let mut rows = voxels.chunks_exact(region.shape()[2]);
            for &member in &members {
                for z in region.lo[0]..region.hi[0] {
                    for y in region.lo[1]..region.hi[1] {
                        let at = (z as usize * shape[1] + y as usize) * shape[2] + region.lo[2] as usize;
                        volumes[member as usize][at..at + region.shape()[2]].copy_from_slice(rows.next().unwrap());
                    }
                }
            }
        }
    }
    Ok(volumes)
}

/// The value of a voxel by its array indices, small enough for every type.
fn value(at: &[u64]) -> u64 {
    at.iter().fold(3, |n, i| (n * 31 + i) % 101)
}

/// Bytes of the whole array in C order, native byte order.
fn native_bytes(shape: &[u64], sample: &dyn Fn(u64) -> Vec<u8>) -> Vec<u8> {
    let total: u64 = shape.iter().product();
    let mut bytes = Vec::new();
    for n in 0..total {
        let mut rest = n;
        let mut at = vec![0; shape.len()];
        for (d, extent) in shape.iter().enumerate().rev() {
            at[d] = rest % extent;
            rest /= extent;
        }
        bytes.extend(sample(value(&at)));
    }
    bytes
}

/// Writes `metadata` and all voxels by zarrs.
fn write(dir: &Path, metadata: Value, sample: &dyn Fn(u64) -> Vec<u8>) {
    let metadata: ArrayMetadata = serde_json::from_value(metadata).unwrap();
    let store = Arc::new(ZarrsFolder::new(dir));
    let array = Array::new_with_metadata(store, "/", metadata).unwrap();
    array.store_metadata().unwrap();
    // Chunk by chunk: the store takes whole keys only, which is what chunk-aligned writes need.
    let shape = array.shape().to_vec();
    let bytes = native_bytes(&shape, sample);
    let whole = ArraySubset::new_with_shape(shape);
    array.store_array_subset(&whole, ArrayBytes::from(bytes)).unwrap();
}

fn v2(shape: &[u64], chunks: &[u64], dtype: &str, order: &str, compressor: Value) -> Value {
    json!({"zarr_format": 2, "shape": shape, "chunks": chunks, "dtype": dtype, "fill_value": 0, "order": order,
        "filters": null, "compressor": compressor, "dimension_separator": "/"})
}

fn v3(shape: &[u64], chunks: &[u64], dtype: &str, codecs: Value) -> Value {
    json!({"zarr_format": 3, "node_type": "array", "shape": shape, "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
        "chunk_key_encoding": {"name": "default"}, "fill_value": if dtype == "bool" { json!(false) } else { json!(0) }, "codecs": codecs})
}

fn little() -> Value {
    json!({"name": "bytes", "configuration": {"endian": "little"}})
}

fn samples_of(dtype: Dtype) -> impl Fn(u64) -> Vec<u8> {
    move |v| reslice::dispatch!(dtype, T => bytemuck::bytes_of(&T::from_f64(v as f64, Rounding::Nearest)).to_vec())
}

/// Expected values of a three-dimensional array whose dimension `d` is our axis `axis_of[d]`.
fn expected(axis_of: [usize; 3]) -> Vec<f64> {
    let mut all = Vec::new();
    for z in 0..SHAPE[0] {
        for y in 0..SHAPE[1] {
            for x in 0..SHAPE[2] {
                all.push(value(&axis_of.map(|a| [z, y, x][a])) as f64);
            }
        }
    }
    all
}

fn near(found: [f64; 3], expected: [f64; 3]) -> bool {
    found.iter().zip(expected).all(|(f, e)| (f - e).abs() <= 1e-12 * e.abs())
}

fn floats<T: Voxel>(volume: &[T]) -> Vec<f64> {
    volume.iter().map(|v| v.to_f64()).collect()
}

#[test]
fn every_type_in_both_versions_and_byte_orders() {
    let v2_names = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"];
    let v3_names = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"];
    for (n, dtype) in Dtype::ALL.into_iter().enumerate() {
        for big in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let prefix = if dtype.bytes() == 1 {
                "|"
            } else if big {
                ">"
            } else {
                "<"
            };
            let old =
                v2(&SHAPE, &[8, 7, 16], &format!("{prefix}{}", v2_names[n]), "C", json!({"id": "zlib", "level": 1}));
            let endian = json!({"name": "bytes", "configuration": {"endian": if big { "big" } else { "little" }}});
            let new = v3(&SHAPE, &[8, 7, 16], v3_names[n], json!([endian, {"name": "crc32c"}]));
            for (name, metadata) in [("old", old), ("new", new)] {
                write(&dir.path().join(name), metadata, &samples_of(dtype));
                let file = opened(&dir.path().join(name));
                assert_eq!((file.stored, file.layout.chunk), (dtype, [8, 7, 16]));
                reslice::dispatch!(dtype, T => {
                    let volumes = read_all(&ZarrSource::<T>::new(file.clone())).unwrap();
                    assert_eq!(floats(&volumes[0]), expected([0, 1, 2]), "{name} {dtype} {big}");
                });
                let volumes = read_all(&ZarrSource::<f32>::new(file)).unwrap();
                assert_eq!(floats(&volumes[0]), expected([0, 1, 2]));
            }
        }
    }
}

#[test]
fn half_precision_and_bool() {
    let dir = tempfile::tempdir().unwrap();
    let half = |v: u64| half::f16::from_f64(v as f64).to_ne_bytes().to_vec();
    write(
        &dir.path().join("h"),
        v3(&SHAPE, &[8, 8, 8], "float16", json!([little(), {"name": "gzip", "configuration": {"level": 1}}])),
        &half,
    );
    write(&dir.path().join("b"), v3(&SHAPE, &[8, 8, 8], "bool", json!([{"name": "bytes"}])), &|v| vec![(v % 2) as u8]);
    let file = opened(&dir.path().join("h"));
    assert_eq!(file.stored, Dtype::F32);
    assert_eq!(floats(&read_all(&ZarrSource::<f32>::new(file)).unwrap()[0]), expected([0, 1, 2]));
    let file = opened(&dir.path().join("b"));
    assert_eq!(file.stored, Dtype::U8);
    let odd: Vec<f64> = expected([0, 1, 2]).into_iter().map(|v| v % 2.0).collect();
    assert_eq!(floats(&read_all(&ZarrSource::<u8>::new(file)).unwrap()[0]), odd);
}

#[test]
fn every_codec() {
    let blosc3 = |cname: &str, shuffle: &str| json!({"name": "blosc", "configuration": {"cname": cname, "clevel": 5, "shuffle": shuffle, "typesize": 2, "blocksize": 0}});
    let mut chains = vec![
        json!([little()]),
        json!([little(), {"name": "zstd", "configuration": {"level": 3, "checksum": true}}]),
        json!([little(), {"name": "zstd", "configuration": {"level": 1, "checksum": false}}, {"name": "crc32c"}]),
        json!([little(), {"name": "gzip", "configuration": {"level": 6}}]),
        json!([little(), {"name": "numcodecs.zlib", "configuration": {"level": 6}}]),
        json!([little(), {"name": "numcodecs.bz2", "configuration": {"level": 9}}]),
        json!([little(), {"name": "crc32c"}, {"name": "gzip", "configuration": {"level": 1}}, {"name": "zstd", "configuration": {"level": 1, "checksum": false}}]),
    ];
    for cname in ["blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"] {
        for shuffle in ["noshuffle", "shuffle", "bitshuffle"] {
            chains.push(json!([little(), blosc3(cname, shuffle)]));
        }
    }
    for chain in chains {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), v3(&SHAPE, &[8, 7, 16], "uint16", chain.clone()), &samples_of(Dtype::U16));
        let volumes = read_all(&ZarrSource::<u16>::new(opened(dir.path()))).unwrap();
        assert_eq!(floats(&volumes[0]), expected([0, 1, 2]), "{chain}");
    }
}

#[test]
fn fortran_order_and_transposes() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("f"), v2(&SHAPE, &[8, 7, 16], "<i2", "F", Value::Null), &samples_of(Dtype::I16));
    assert_eq!(
        floats(&read_all(&ZarrSource::<i16>::new(opened(&dir.path().join("f")))).unwrap()[0]),
        expected([0, 1, 2])
    );
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let transpose = json!({"name": "transpose", "configuration": {"order": order}});
        let path = dir.path().join(format!("{order:?}"));
        write(&path, v3(&SHAPE, &[8, 7, 16], "int16", json!([transpose, little()])), &samples_of(Dtype::I16));
        let volumes = read_all(&ZarrSource::<i16>::new(opened(&path))).unwrap();
        assert_eq!(floats(&volumes[0]), expected([0, 1, 2]), "{order:?}");
    }
}

#[test]
fn shards_with_the_index_at_either_end() {
    for location in ["start", "end"] {
        for index_codecs in [json!([little(), {"name": "crc32c"}]), json!([little()])] {
            let dir = tempfile::tempdir().unwrap();
            let inner = json!([{"name": "transpose", "configuration": {"order": [2, 0, 1]}}, little(), {"name": "zstd", "configuration": {"level": 1, "checksum": true}}]);
            let sharding = json!({"name": "sharding_indexed", "configuration": {"chunk_shape": [4, 7, 8],
                "codecs": inner, "index_codecs": index_codecs, "index_location": location}});
            write(dir.path(), v3(&SHAPE, &[8, 21, 16], "uint16", json!([sharding])), &samples_of(Dtype::U16));
            let source = ZarrSource::<u16>::new(opened(dir.path()));
            assert_eq!(source.layout().chunk, [4, 7, 8]);
            assert_eq!(floats(&read_all(&source).unwrap()[0]), expected([0, 1, 2]), "{location}");
        }
    }
}

#[test]
fn fetching_and_then_decoding_is_reading() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), v3(&SHAPE, &[8, 7, 16], "uint16", json!([little()])), &samples_of(Dtype::U16));
    std::fs::remove_file(dir.path().join("c/0/0/0")).unwrap();
    let source = ZarrSource::<u16>::new(opened(dir.path()));
    for at in [[0, 0, 0], [2, 3, 1]] {
        let region = source.layout().chunk_region(at);
        let (mut read, mut decoded) = (vec![1u16; region.voxels() as usize], vec![2u16; region.voxels() as usize]);
        source.read(0, BlockMut::new(region, 1, &mut read)).unwrap();
        let fetched = source.fetch(0, region).unwrap().unwrap();
        assert_eq!((fetched.stored.is_none(), fetched.bytes() == 0), (at == [0, 0, 0], at == [0, 0, 0]));
        // The second step does not go to storage.
        let path = dir.path().join("c/2/3/1");
        std::fs::rename(&path, dir.path().join("away")).unwrap();
        source.read_fetched(fetched.clone(), BlockMut::new(region, 1, &mut decoded)).unwrap();
        std::fs::rename(dir.path().join("away"), &path).unwrap();
        assert_eq!(read, decoded);
        let other = source.layout().chunk_region([1, 1, 1]);
        let mut voxels = vec![0u16; other.voxels() as usize];
        assert!(source.read_fetched(fetched, BlockMut::new(other, 1, &mut voxels)).is_err());
    }
    assert_eq!(source.missing_chunks(), 2);
}

#[test]
fn axes_in_any_order_with_time_and_channel_between() {
    let dir = tempfile::tempdir().unwrap();
    // Stored as x, t, z, c, y; chunks span two times and three channels.
    let shape = [29, 5, 20, 3, 23];
    write(
        &dir.path().join("0"),
        v2(&shape, &[16, 2, 8, 3, 7], ">u2", "C", json!({"id": "bz2", "level": 1})),
        &samples_of(Dtype::U16),
    );
    let axes = json!([{"name": "x", "type": "space", "unit": "micrometer"}, {"name": "t", "type": "time", "unit": "second"},
        {"name": "z", "type": "space", "unit": "millimeter"}, {"name": "c", "type": "channel"}, {"name": "y", "type": "space", "unit": "micrometer"}]);
    let attributes = json!({"multiscales": [{"version": "0.4", "axes": axes,
        "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [0.5, 2.0, 0.002, 1.0, 0.25]},
            {"type": "translation", "translation": [1.0, 0.0, 0.5, 0.0, -3.0]}]}],
        "coordinateTransformations": [{"type": "scale", "scale": [2.0, 1.5, 1.0, 1.0, 1.0]}]}]});
    std::fs::write(dir.path().join(".zgroup"), r#"{"zarr_format": 2}"#).unwrap();
    std::fs::write(dir.path().join(".zattrs"), attributes.to_string()).unwrap();
    for path in [dir.path().to_path_buf(), dir.path().join("0")] {
        let file = opened(&path);
        let grid = &file.layout.grid;
        assert_eq!((grid.shape, file.layout.chunk), (SHAPE, [8, 7, 16]));
        assert!(near(grid.spacing(), [2.0, 0.25, 1.0]));
        assert!(near(grid.origin(), [2.0, -3.0, 500.0]));
        assert!(near(grid.index_to_world.apply([1.0, 0.0, 0.0]), [2.0, -3.0, 502.0]));
        let outer = &file.layout.outer;
        assert_eq!((outer.axes[0].name.as_str(), outer.axes[0].len, outer.axes[0].step), ("t", 5, 3.0));
        assert_eq!((outer.axes[1].name.as_str(), outer.chunk.clone()), ("c", vec![2, 3]));
        let volumes = read_all(&ZarrSource::<u16>::new(file)).unwrap();
        for t in 0..5 {
            for c in 0..3 {
                let mut n = 0;
                for z in 0..20 {
                    for y in 0..23 {
                        for x in 0..29 {
                            assert_eq!(u64::from(volumes[t * 3 + c][n]), value(&[x, t as u64, z, c as u64, y]));
                            n += 1;
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn consolidated_metadata_stand_in_for_files() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("s/0"), v2(&SHAPE, &[8, 7, 16], "<u2", "C", Value::Null), &samples_of(Dtype::U16));
    let zarray: Value = serde_json::from_slice(&std::fs::read(dir.path().join("s/0/.zarray")).unwrap()).unwrap();
    std::fs::remove_file(dir.path().join("s/0/.zarray")).unwrap();
    let multiscales = json!([{"axes": ["z", "y", "x"], "datasets": [{"path": "s/0"}]}]);
    let all = json!({"zarr_consolidated_format": 1, "metadata": {".zgroup": {"zarr_format": 2},
        ".zattrs": {"multiscales": multiscales}, "s/0/.zarray": zarray}});
    std::fs::write(dir.path().join(".zmetadata"), all.to_string()).unwrap();
    for path in [dir.path().to_path_buf(), dir.path().join("s/0")] {
        let file = opened(&path);
        assert_eq!((file.level, file.array_path.as_str()), (Some((0, 1)), "s/0"));
        assert_eq!(floats(&read_all(&ZarrSource::<u16>::new(file)).unwrap()[0]), expected([0, 1, 2]));
    }
}

#[test]
fn missing_chunks_are_the_fill_value_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut metadata = v3(&[20, 23], &[8, 8], "float32", json!([little()]));
    metadata["fill_value"] = json!("NaN");
    write(dir.path(), metadata, &samples_of(Dtype::F32));
    std::fs::remove_file(dir.path().join("c/0/1")).unwrap();
    let source = ZarrSource::<f32>::new(opened(dir.path()));
    assert_eq!(source.layout().grid.shape, [1, 20, 23]);
    let volumes = read_all(&source).unwrap();
    assert_eq!(source.missing_chunks(), 1);
    assert!(volumes[0][8].is_nan() && volumes[0][15].is_nan() && !volumes[0][16].is_nan());
    assert_eq!(f64::from(volumes[0][16]), value(&[0, 16]) as f64);
}

#[test]
fn spacing_of_a_bare_array_is_what_the_caller_says() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), v3(&SHAPE, &[8, 8, 8], "uint8", json!([{"name": "bytes"}])), &samples_of(Dtype::U8));
    let options = OpenOptions { spacing_in: Some([3.0, 2.0, 1.5]), ..OpenOptions::default() };
    assert_eq!(open(dir.path(), &options).unwrap().layout.grid.spacing(), [3.0, 2.0, 1.5]);
    assert_eq!(opened(dir.path()).layout.grid.spacing(), [1.0; 3]);
    let options = OpenOptions { spacing_in: Some([0.0, 2.0, 1.5]), ..OpenOptions::default() };
    assert!(matches!(open(dir.path(), &options), Err(Error::Usage { .. })));
    let options = OpenOptions { level: Some(1), ..OpenOptions::default() };
    assert!(matches!(open(dir.path(), &options), Err(Error::Usage { .. })));
}
