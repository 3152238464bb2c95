//! What is written is read back: by ourselves, and by zarrs.

use std::{path::Path, sync::Arc};

use reslice::{
    block::{BlockMut, BlockRef},
    error::{Error, Result},
    geometry::{Affine, Grid, Unit},
    io::{
        Sink, Source,
        convert::Conversion,
        nifti::{FormsOf, TargetSpec, lone_header},
        ome::{Carried, OmeVersion},
        zarr::{AsNifti, Codec, HeaderBytes, Levels, OpenOptions, ZarrSink, ZarrSource, ZarrTarget, is_zarr, open},
    },
    layout::{Axis, Outer},
    region::Region,
    voxel::{Dtype, Rounding, Voxel},
};
use serde_json::json;

use crate::kit::zarrs_folder::ZarrsFolder;

const SHAPE: [u64; 3] = [20, 23, 29];

fn oblique() -> Affine {
    Affine::from_columns([[0.1, 0.3, 2.0], [-1.2, 0.2, 0.1], [0.4, 1.5, -0.3]], [-90.0, 12.5, 33.0])
}

fn target(dtype: Dtype, codec: Codec, shard: Option<[u64; 3]>) -> ZarrTarget {
    let diagonal = Affine::from_columns([[0.0, 0.0, 2.0], [0.0, 0.7, 0.0], [0.3, 0.0, 0.0]], [5.0, -6.0, 7.25]);
    ZarrTarget {
        version: OmeVersion::V05,
        grid: Grid::new(SHAPE, diagonal, Unit::Micrometre),
        outer: Vec::new(),
        lacking: [false; 3],
        components: 1,
        conversion: Conversion::plain(dtype),
        chunk: [4, 8, 16],
        shard,
        codec,
        name: "test".into(),
        carried: Carried::default(),
        nifti: None,
        levels: Levels::default(),
    }
}

/// The header of a volume that stands so, with codes 1 and 4.
pub(crate) fn header(path: &Path, grid: &Grid, stored: Dtype) -> HeaderBytes {
    let spec = TargetSpec {
        path,
        like: None,
        place: Some(FormsOf::Codes { qform: 4, sform: 1 }),
        extensions: &[],
        grid,
        outer: &Outer::default(),
        stored,
        components: 1,
        slope: None,
        slice_axis_resampled: false,
        single_file: true,
    };
    HeaderBytes(lone_header(&spec).unwrap().into())
}

/// A voxel value by volume and index; zero in one corner, so that some chunks are all fill.
fn value(volume: u64, z: i64, y: i64, x: i64) -> f64 {
    if z < 8 && y < 16 && x < 16 { 0.0 } else { ((volume as i64 * 41 + z * 23 + y * 7 + x) % 113) as f64 }
}

fn voxels<T: Voxel>(volume: u64, region: Region) -> Vec<T> {
    let mut all = Vec::new();
    for z in region.lo[0]..region.hi[0] {
        for y in region.lo[1]..region.hi[1] {
            for x in region.lo[2]..region.hi[2] {
                all.push(T::from_f64(value(volume, z, y, x), Rounding::Nearest));
            }
        }
    }
    all
}

/// Writes all units, in an order shuffled by `seed` (0 keeps it).
fn write<T: Voxel>(dir: &Path, target: &ZarrTarget, mut seed: u64) -> Result<()> {
    let sink = ZarrSink::<T>::create(dir, target)?;
    let layout = sink.layout().clone();
    let chunk = layout.chunk.map(|extent| extent as usize);
    let mut units: Vec<(u64, Region)> = (0..layout.outer.volumes())
        .flat_map(|v| Region::of_shape(SHAPE).tiles(chunk).map(move |unit| (v, unit)))
        .collect();
    if seed > 0 {
        for n in (1..units.len()).rev() {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            units.swap(n, (seed >> 33) as usize % (n + 1));
        }
    }
    for (volume, unit) in units {
        let data = voxels::<T>(volume, unit);
        let encoded = sink.encode(volume, unit, BlockRef::new(unit, 1, &data))?;
        sink.put(volume, unit, encoded)?;
    }
    sink.finish()
}

fn check<T: Voxel>(path: &Path) -> Result<()> {
    let file = open(path, &OpenOptions::default())?;
    let empty = file.empty_chunks;
    let source = ZarrSource::<T>::new(file);
    let layout = source.layout().clone();
    let chunk = layout.chunk.map(|extent| extent as usize);
    for group in 0..layout.outer.groups() {
        for region in Region::of_shape(layout.grid.shape).tiles(chunk) {
            let mut found = vec![T::from_f64(99.0, Rounding::Nearest); region.voxels() as usize];
            source.read(group, BlockMut::new(region, 1, &mut found))?;
            assert_eq!(found, voxels::<T>(layout.outer.members(group)[0], region), "{group} {region}");
        }
    }
    assert_eq!(empty, Some(source.missing_chunks()));
    Ok(())
}

/// Every file below `dir` with its contents, by path.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_string_lossy().into_owned();
                found.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// A version, and how its chunks are stored.
type Form = (OmeVersion, Codec, Option<[u64; 3]>);

fn forms() -> Vec<Form> {
    let codecs = [Codec::Zstd(3), Codec::BloscZstd(5), Codec::BloscLz4(5), Codec::Gzip(6), Codec::None];
    let each = |codec| {
        [(OmeVersion::V05, codec, None), (OmeVersion::V05, codec, Some([8, 16, 32])), (OmeVersion::V04, codec, None)]
    };
    codecs.into_iter().flat_map(each).collect()
}

fn formed(dtype: Dtype, (version, codec, shard): Form) -> ZarrTarget {
    ZarrTarget { version, ..target(dtype, codec, shard) }
}

#[test]
fn every_type_codec_and_sharding_comes_back() {
    for (n, dtype) in Dtype::ALL.into_iter().enumerate() {
        // Every form with one of the types, every type with three of the forms.
        let (skipped, taken) = if n == 0 { (0, 15) } else { (3 * (n % 5), 3) };
        for form in forms().into_iter().skip(skipped).take(taken) {
            let dir = tempfile::tempdir().unwrap();
            reslice::dispatch!(dtype, T => {
                write::<T>(dir.path(), &formed(dtype, form), 0).unwrap();
                check::<T>(dir.path()).unwrap();
                check::<T>(&dir.path().join("0")).unwrap();
            });
            assert!(is_zarr(dir.path()) && is_zarr(&dir.path().join("0")));
        }
    }
}

#[test]
fn zarrs_reads_what_is_written() {
    for form in forms() {
        // Blosc shuffles bits, not bytes, where a sample is one byte.
        let blosc = matches!(form.1, Codec::BloscZstd(_) | Codec::BloscLz4(_));
        for dtype in [Dtype::I16, Dtype::U8].into_iter().take(if blosc { 2 } else { 1 }) {
            let dir = tempfile::tempdir().unwrap();
            reslice::dispatch!(dtype, T => write::<T>(dir.path(), &formed(dtype, form), 0).unwrap());
            let array = zarrs::array::Array::open(Arc::new(ZarrsFolder::new(dir.path())), "/0").unwrap();
            let whole = zarrs::array::ArraySubset::new_with_shape(SHAPE.to_vec());
            let found: Vec<i16> = match dtype {
                Dtype::U8 => {
                    array.retrieve_array_subset::<Vec<u8>>(&whole).unwrap().into_iter().map(i16::from).collect()
                }
                _ => array.retrieve_array_subset(&whole).unwrap(),
            };
            assert_eq!(found, voxels::<i16>(0, Region::of_shape(SHAPE)), "{form:?}");
        }
    }
}

#[test]
fn the_same_bytes_for_any_order_of_arrival() {
    for form in forms() {
        let dirs: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
        for (seed, dir) in dirs.iter().enumerate() {
            write::<u16>(dir.path(), &formed(Dtype::U16, form), seed as u64).unwrap();
        }
        assert_eq!(contents(dirs[0].path()), contents(dirs[1].path()), "{form:?}");
        assert_eq!(contents(dirs[0].path()), contents(dirs[2].path()), "{form:?}");
    }
}

#[test]
fn geometry_comes_back_with_and_without_a_direction() {
    let dir = tempfile::tempdir().unwrap();
    let plain = target(Dtype::U8, Codec::Zstd(1), None);
    write::<u8>(&dir.path().join("plain"), &plain, 0).unwrap();
    let file = open(&dir.path().join("plain"), &OpenOptions::default()).unwrap();
    assert_eq!((file.layout.grid.index_to_world, file.layout.grid.unit), (plain.grid.index_to_world, Unit::Micrometre));
    let mut tilted = target(Dtype::U8, Codec::Zstd(1), None);
    tilted.grid = Grid::new(SHAPE, oblique(), Unit::Millimetre);
    for version in [OmeVersion::V04, OmeVersion::V05, OmeVersion::V06] {
        let path = dir.path().join(version.name());
        (tilted.version, tilted.nifti) = (version, Some(header(&path, &tilted.grid, Dtype::U8)));
        write::<u8>(&path, &tilted, 0).unwrap();
        let file = open(&path, &OpenOptions::default()).unwrap();
        assert_eq!(file.layout.grid.index_to_world, oblique());
        assert_eq!(file.nifti.as_ref().map(AsNifti::codes), Some((1, 0)), "a sheared grid has no qform");
        assert!(file.warnings.is_empty(), "{:?}", file.warnings);
    }
}

/// An image of earlier versions, which had the affine in an attribute.
#[test]
fn the_attribute_of_earlier_versions_is_read_while_it_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let mut tilted = target(Dtype::U8, Codec::Zstd(1), None);
    tilted.grid = Grid::new(SHAPE, oblique(), Unit::Millimetre);
    let path = dir.path().join("tilted");
    write::<u8>(&path, &tilted, 0).unwrap();
    let change = |change: &dyn Fn(&mut serde_json::Value)| {
        let text = std::fs::read_to_string(path.join("zarr.json")).unwrap();
        let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
        change(&mut document["attributes"]);
        std::fs::write(path.join("zarr.json"), document.to_string()).unwrap();
        open(&path, &OpenOptions::default()).unwrap()
    };
    let affine = oblique().m.map(|[k, j, i, t]| [i, j, k, t]);
    let attribute = json!({"nifti": {"affine": affine, "sform_code": 1, "qform_code": 4, "shape": [29, 23, 20]}});
    let file = change(&|attributes| attributes["reslice"] = attribute.clone());
    assert_eq!(file.layout.grid.index_to_world, oblique());
    assert_eq!(file.nifti.as_ref().map(AsNifti::codes), Some((1, 4)));
    // Somebody moves the image: the standard metadata win.
    let file = change(&|attributes| {
        let dataset = &mut attributes["ome"]["multiscales"][0]["datasets"][0];
        dataset["coordinateTransformations"][1]["translation"][2] = json!(0.0);
    });
    assert_eq!((file.nifti, file.layout.grid.origin()), (None, [0.0, 12.5, 33.0]));
}

/// Headers that are damaged, of another image, or something else: the image is read without them, and says so.
#[test]
fn headers_that_are_not_the_images_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = target(Dtype::U8, Codec::Zstd(1), None);
    spec.grid = Grid::new(SHAPE, oblique(), Unit::Millimetre);
    let good = header(dir.path(), &spec.grid, Dtype::U8);
    spec.nifti = Some(good.clone());
    write::<u8>(dir.path(), &spec, 0).unwrap();
    let chunk = dir.path().join("nifti/c/0");
    let read = |bytes: &[u8]| {
        std::fs::write(&chunk, bytes).unwrap();
        open(dir.path(), &OpenOptions::default())
    };
    let stored = |bytes: &[u8]| HeaderBytes(bytes.into()).chunk(OmeVersion::V05);
    assert!(read(&stored(&good.0)).unwrap().nifti.is_some());
    // NIfTI-2: dim[1] is at 24, srow_x at 400.
    for (at, what) in [(0, "sizeof_hdr"), (4, "magic"), (24, "voxels"), (406, "step"), (407, "srow_x"), (401, "")] {
        let mut damaged = good.0.to_vec();
        damaged[at] ^= 0x41;
        assert!(read(&[&damaged[..], &stored(&good.0)[good.0.len()..]].concat()).is_err(), "{at}: its checksum");
        let file = read(&stored(&damaged)).unwrap();
        let warned = file.warnings.iter().any(|warning| warning.contains("NIfTI header") && warning.contains(what));
        assert!(warned || what.is_empty(), "{at}: {:?}", file.warnings);
        assert!(file.nifti.is_none() || what.is_empty());
    }
    for damage in [&good.0[..200], &[]] {
        assert!(read(damage).is_err(), "a chunk that is too short");
    }
    std::fs::write(&chunk, stored(&good.0)).unwrap();
    let document = dir.path().join("nifti/zarr.json");
    let text = std::fs::read_to_string(&document).unwrap();
    for (from, to) in [("540", "5400000000000"), ("uint8", "float64"), ("540", "0"), ("\"bytes\"", "\"unknown\"")] {
        std::fs::write(&document, text.replace(from, to)).unwrap();
        let file = open(dir.path(), &OpenOptions::default()).unwrap();
        assert!(file.nifti.is_none() && !file.warnings.is_empty(), "{to}: {:?}", file.warnings);
    }
    std::fs::remove_file(&document).unwrap();
    let file = open(dir.path(), &OpenOptions::default()).unwrap();
    assert!(file.nifti.is_none() && file.warnings.is_empty(), "{:?}", file.warnings);
}

/// Without its header, the transformation of 0.6 says where an oblique image is.
#[test]
fn coordinate_systems_place_oblique_images() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = target(Dtype::U8, Codec::Zstd(1), None);
    spec.version = OmeVersion::V06;
    spec.outer = vec![Axis { name: "t".into(), len: 2, step: 1.5, start: 3.0, unit: Some("second".into()) }];
    spec.grid = Grid { anatomical: true, ..Grid::new(SHAPE, oblique(), Unit::Micrometre) };
    write::<u8>(dir.path(), &spec, 0).unwrap();
    let file = open(dir.path(), &OpenOptions::default()).unwrap();
    let (found, expected) = (file.layout.grid.index_to_world, oblique());
    for r in 0..3 {
        for c in 0..4 {
            assert!((found.m[r][c] - expected.m[r][c]).abs() < 1e-12, "{found:?}");
        }
    }
    assert!(file.layout.grid.anatomical && file.warnings.is_empty() && file.assumed_frame().is_none());
    assert_eq!(file.layout.outer.axes, spec.outer);
    let text = std::fs::read_to_string(dir.path().join("zarr.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let image = &document["attributes"]["ome"]["multiscales"][0];
    assert_eq!(document["attributes"]["ome"]["version"], "0.6");
    assert!(image.get("axes").is_none());
    let level = &image["datasets"][0]["coordinateTransformations"];
    assert_eq!((level.as_array().unwrap().len(), &level[0]["type"]), (1, &json!("sequence")));
    assert_eq!((&level[0]["input"], &level[0]["output"]), (&json!({"path": "0"}), &json!({"name": "physical"})));
    let step = &image["coordinateTransformations"][0];
    assert_eq!(
        (&step["type"], &step["input"], &step["output"]),
        (&json!("affine"), &json!({"name": "physical"}), &json!({"name": "world"}))
    );
}

#[test]
fn times_and_colours_become_axes_in_the_order_of_the_specification() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = target(Dtype::U8, Codec::BloscLz4(1), Some([8, 8, 16]));
    spec.outer = vec![Axis { name: "t".into(), len: 2, step: 1.5, start: 3.0, unit: Some("second".into()) }];
    spec.components = 3;
    spec.carried.ome.insert("omero".into(), json!({"channels": [{"color": "FF0000"}]}));
    spec.carried.attributes.insert("scanner".into(), json!({"field": 3.0}));
    write::<u8>(dir.path(), &spec, 5).unwrap();
    check::<u8>(dir.path()).unwrap();
    let file = open(dir.path(), &OpenOptions::default()).unwrap();
    assert_eq!(file.carried, spec.carried);
    let axes = &file.layout.outer.axes;
    assert_eq!((axes[0].clone(), axes[1].name.as_str(), axes[1].len), (spec.outer[0].clone(), "c", 3));
    // Channels outside of times are written with time first, and keep their numbers.
    let swapped = tempfile::tempdir().unwrap();
    spec.outer.insert(0, Axis { name: "c".into(), len: 3, step: 1.0, start: 0.0, unit: None });
    spec.components = 1;
    write::<u8>(swapped.path(), &spec, 0).unwrap();
    let source = ZarrSource::<u8>::new(open(swapped.path(), &OpenOptions::default()).unwrap());
    assert_eq!(source.layout().outer.axes[0].name, "t");
    let region = source.layout().chunk_region([2, 1, 1]);
    let mut found = vec![0u8; region.voxels() as usize];
    // t = 1, c = 2 as stored; c = 2, t = 1 as given.
    source.read(5, BlockMut::new(region, 1, &mut found)).unwrap();
    assert_eq!(found, voxels::<u8>(2 * 2 + 1, region));
}

#[test]
fn what_ome_zarr_cannot_hold_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let plain = target(Dtype::F32, Codec::Zstd(3), None);
    let axis = |name: &str| Axis { name: name.into(), len: 2, step: 1.0, start: 0.0, unit: None };
    let complex = ZarrTarget { components: 2, ..plain.clone() };
    let crowded = ZarrTarget { outer: vec![axis("c"), axis("dim5")], ..plain.clone() };
    for spec in [complex, crowded] {
        let refused = ZarrSink::<f32>::create(dir.path(), &spec).err().unwrap();
        assert!(matches!(refused, Error::Unsupported { .. }) && refused.hint().is_some());
    }
    let empty = ZarrTarget { chunk: [0, 1, 1], ..plain.clone() };
    let level = ZarrTarget { codec: Codec::Gzip(10), ..plain.clone() };
    let uneven = ZarrTarget { shard: Some([6, 8, 16]), ..plain.clone() };
    let sharded = ZarrTarget { version: OmeVersion::V04, shard: Some([8, 16, 32]), ..plain };
    for spec in [empty, level, uneven, sharded] {
        assert!(matches!(ZarrSink::<f32>::create(dir.path(), &spec), Err(Error::Usage { .. })));
    }
}

#[test]
fn integers_from_floats_count_their_nans() {
    let dir = tempfile::tempdir().unwrap();
    let sink = ZarrSink::<f32>::create(dir.path(), &target(Dtype::I16, Codec::None, None)).unwrap();
    let unit = sink.layout().chunk_region([4, 2, 1]);
    let mut data = vec![2.5f32; unit.voxels() as usize];
    data[3] = f32::NAN;
    let encoded = sink.encode(0, unit, BlockRef::new(unit, 1, &data)).unwrap();
    assert_eq!((encoded.lost.nans, encoded.raw_bytes), (1, 4 * 8 * 16 * 2));
    assert_eq!(&encoded.bytes[..8], [3, 0, 3, 0, 3, 0, 0, 0]);
}
