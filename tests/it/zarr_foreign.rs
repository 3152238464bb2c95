//! Stores written down by hand as others write them: numcodecs' filters, unusual axes, plates, labels, links.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use reslice::{
    block::BlockMut,
    error::{Error, Result},
    geometry::Unit,
    io::{
        Source,
        input::Input,
        zarr::{OpenOptions, ZarrFile, ZarrSource, open},
    },
    voxel::Voxel,
};
use serde_json::{Value, json};

fn put(root: &Path, key: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn put_json(root: &Path, key: &str, document: &Value) {
    put(root, key, document.to_string());
}

fn opened(path: &Path) -> Result<ZarrFile> {
    open(path, &OpenOptions::default())
}

/// All voxels of the only volume, z, y, x.
fn read<T: Voxel>(path: &Path) -> Result<Vec<T>> {
    let source = ZarrSource::<T>::new(opened(path)?);
    let layout = source.layout().clone();
    let [_, ny, nx] = layout.grid.shape.map(|n| n as usize);
    let mut volume = vec![T::default(); layout.grid.shape.iter().product::<u64>() as usize];
    let [cz, cy, cx] = layout.chunk_counts();
    for n in 0..cz * cy * cx {
        let region = layout.chunk_region([n / (cy * cx), n / cx % cy, n % cx]);
        let mut voxels = vec![T::default(); region.voxels() as usize];
        source.read(0, BlockMut::new(region, 1, &mut voxels))?;
        let mut rows = voxels.chunks_exact(region.shape()[2]);
        for z in region.lo[0] as usize..region.hi[0] as usize {
            for y in region.lo[1] as usize..region.hi[1] as usize {
                let at = (z * ny + y) * nx + region.lo[2] as usize;
                volume[at..at + region.shape()[2]].copy_from_slice(rows.next().unwrap());
            }
        }
    }
    Ok(volume)
}

fn ramp() -> Vec<i32> {
    (0..20).map(|n| n * 3 - 7).collect()
}

// The chunks below were made by zarr-python 3.1.6 with numcodecs 0.16.6.

#[test]
fn filters_of_version_2() {
    let dir = tempfile::tempdir().unwrap();
    let array = json!({"shape": [4, 5], "chunks": [4, 3], "dtype": "<i4", "fill_value": 0, "order": "F",
        "filters": [{"id": "delta", "dtype": "<i4", "astype": "<i2"}, {"id": "shuffle", "elementsize": 2}],
        "dimension_separator": ".", "compressor": {"id": "lz4", "acceleration": 1}, "zarr_format": 2});
    put_json(dir.path(), ".zarray", &array);
    let first = [24, 0, 0, 0, 83, 249, 15, 15, 15, 214, 4, 0, 192, 255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0];
    put(dir.path(), "0.0", first);
    put(
        dir.path(),
        "0.1",
        [24, 0, 0, 0, 162, 2, 15, 15, 15, 214, 15, 15, 15, 206, 0, 1, 0, 128, 255, 0, 0, 0, 255, 0, 0, 0],
    );
    assert_eq!(read::<i32>(dir.path()).unwrap(), ramp());
    assert_eq!(opened(dir.path()).unwrap().codecs, "delta+shuffle+lz4");
    put(dir.path(), "0.1", &first[..20]);
    assert!(matches!(read::<i32>(dir.path()), Err(Error::Chunk { .. })));
}

#[test]
fn filters_of_version_3() {
    let v3 = |dtype: &str, codecs: Value| {
        json!({"shape": [4, 5], "data_type": dtype, "fill_value": 0, "codecs": codecs, "zarr_format": 3, "node_type": "array",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 3]}}, "attributes": {}, "storage_transformers": [],
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}}})
    };
    let bytes = json!({"name": "bytes", "configuration": {"endian": "little"}});
    let dir = tempfile::tempdir().unwrap();
    let delta = json!({"name": "numcodecs.delta", "configuration": {"dtype": "<i4", "astype": "<i2"}});
    let codecs = json!([delta, bytes, {"name": "numcodecs.shuffle", "configuration": {"elementsize": 2}},
        {"name": "numcodecs.zlib", "configuration": {"level": 1}}]);
    put_json(dir.path(), "a/zarr.json", &v3("int32", codecs));
    put(dir.path(), "a/c/0/0", [120, 1, 251, 201, 204, 204, 9, 67, 255, 25, 16, 0, 0, 38, 250, 2, 44]);
    let second =
        [120, 1, 99, 98, 254, 45, 200, 252, 70, 129, 249, 174, 62, 243, 57, 6, 134, 255, 112, 4, 0, 92, 210, 7, 253];
    put(dir.path(), "a/c/0/1", second);
    assert_eq!(read::<i32>(&dir.path().join("a")).unwrap(), ramp());

    let scaled = json!({"name": "numcodecs.fixedscaleoffset",
        "configuration": {"offset": 2, "scale": 10, "dtype": "<f8", "astype": "u1"}});
    let lz4 = json!({"name": "numcodecs.lz4", "configuration": {"acceleration": 1}});
    put_json(dir.path(), "b/zarr.json", &v3("float64", json!([scaled, bytes, lz4])));
    put(dir.path(), "b/c/0/0", [12, 0, 0, 0, 192, 236, 239, 242, 251, 254, 1, 10, 13, 16, 25, 28, 31]);
    put(dir.path(), "b/c/0/1", [12, 0, 0, 0, 192, 245, 248, 236, 4, 7, 236, 19, 22, 236, 34, 37, 236]);
    let expected =
        [25.6, 25.9, 26.2, 26.5, 26.8, 27.1, 27.4, 2.1, 2.4, 2.7, 3.0, 3.3, 3.6, 3.9, 4.2, 4.5, 4.8, 5.1, 5.4, 5.7];
    assert_eq!(read::<f64>(&dir.path().join("b")).unwrap(), expected);

    let transpose = json!({"name": "transpose", "configuration": {"order": [1, 0]}});
    let big = json!({"name": "bytes", "configuration": {"endian": "big"}});
    let float_delta = json!({"name": "numcodecs.delta", "configuration": {"dtype": "<i4", "astype": "<f4"}});
    let wrong_type = json!({"name": "numcodecs.delta", "configuration": {"dtype": "<i2"}});
    for codecs in [json!([transpose, delta, bytes]), json!([delta, big]), json!([float_delta, bytes])] {
        put_json(dir.path(), "c/zarr.json", &v3("int32", codecs.clone()));
        assert!(matches!(opened(&dir.path().join("c")), Err(Error::Unsupported { .. })), "{codecs}");
    }
    put_json(dir.path(), "c/zarr.json", &v3("int32", json!([wrong_type, bytes])));
    assert!(matches!(opened(&dir.path().join("c")), Err(Error::Malformed { .. })));
}

/// A v2 array of u8 without compression, all chunks in one, and the image above it.
fn image(root: &Path, shape: &[u64], axes: Value, transformations: Value) {
    let array = json!({"shape": shape, "chunks": shape, "dtype": "|u1", "fill_value": 0, "order": "C", "filters": null,
        "dimension_separator": "/", "compressor": null, "zarr_format": 2});
    put_json(root, "0/.zarray", &array);
    let voxels: Vec<u8> = (0..shape.iter().product::<u64>()).map(|n| n as u8).collect();
    put(root, &format!("0/{}", vec!["0"; shape.len()].join("/")), voxels);
    put_json(root, ".zgroup", &json!({"zarr_format": 2}));
    let datasets = json!([{"path": "0", "coordinateTransformations": transformations}]);
    put_json(root, ".zattrs", &json!({"multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets}]}));
}

#[test]
fn axes_in_capitals_without_type_or_unit() {
    let dir = tempfile::tempdir().unwrap();
    let axes = json!([{"name": "T"}, {"name": "C"}, {"name": "Z"}, {"name": "Y"}, {"name": "X"}]);
    image(dir.path(), &[2, 3, 4, 5, 6], axes, json!([{"type": "scale", "scale": [0.5, 1, 4, 3, 2]}]));
    let file = opened(dir.path()).unwrap();
    assert_eq!(file.layout.grid.shape, [4, 5, 6]);
    assert_eq!((file.layout.grid.spacing(), &file.layout.grid.unit), ([4.0, 3.0, 2.0], &Unit::Unknown));
    let outer: Vec<_> = file.layout.outer.axes.iter().map(|axis| (axis.name.as_str(), axis.len, axis.step)).collect();
    assert_eq!(outer, [("t", 2, 0.5), ("c", 3, 1.0)]);
    assert!(file.warnings.iter().any(|warning| warning.contains("no unit")));
}

#[test]
fn flat_images_and_channels_between_axes_of_space() {
    let dir = tempfile::tempdir().unwrap();
    let space = |name: &str| json!({"name": name, "type": "space", "unit": "micrometer"});
    let flat = dir.path().join("flat");
    image(&flat, &[5, 6], json!([space("y"), space("x")]), json!([{"type": "scale", "scale": [3.0, 2.0]}]));
    let file = opened(&flat).unwrap();
    assert_eq!((file.layout.grid.shape, file.layout.grid.spacing()), ([1, 5, 6], [1.0, 3.0, 2.0]));
    assert_eq!(read::<u8>(&flat).unwrap(), (0..30).collect::<Vec<u8>>());

    let between = dir.path().join("between");
    let axes = json!([space("z"), {"name": "c", "type": "channel"}, space("x"), space("y")]);
    let steps = json!([{"type": "scale", "scale": [4.0, 1.0, 2.0, 3.0]}, {"type": "translation", "translation": [40.0, 0.0, 20.0, 30.0]}]);
    image(&between, &[2, 3, 4, 5], axes, steps);
    let file = opened(&between).unwrap();
    let grid = &file.layout.grid;
    assert_eq!((grid.shape, grid.spacing(), grid.origin()), ([2, 5, 4], [4.0, 3.0, 2.0], [20.0, 30.0, 40.0]));
    let source = ZarrSource::<u8>::new(file);
    let region = source.layout().chunk_region([0; 3]);
    let mut voxels = vec![0u8; 3 * region.voxels() as usize];
    source.read(0, BlockMut::new(region, 3, &mut voxels)).unwrap();
    let value = |c: usize, z: usize, y: usize, x: usize| (((z * 3 + c) * 4 + x) * 5 + y) as u8;
    let expected = (0..120).map(|n| value(n / 40, n / 20 % 2, n / 4 % 5, n % 4));
    assert_eq!(voxels, expected.collect::<Vec<_>>());
}

#[test]
fn metadata_that_do_not_fit_the_array_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let yx = json!([{"name": "y"}, {"name": "x"}]);
    let space = |name: &str| json!({"name": name, "type": "space"});
    for (n, (axes, steps)) in [
        // A level with another number of dimensions than axes, a scale of another length, a step of 0, a name twice.
        (yx.clone(), json!([])),
        (json!(["z", "y", "x"]), json!([{"type": "scale", "scale": [1.0, 1.0]}])),
        (json!(["z", "y", "x"]), json!([{"type": "scale", "scale": [0.0, 1.0, 1.0]}])),
        (json!([space("x"), space("y"), space("x")]), json!([])),
        (json!(["z", "y", "x"]), json!([{"type": "affine", "affine": [[1, 0, 0, 0]]}])),
        (json!(["z", "y", "x"]), json!([{"type": "scale", "path": "scales"}])),
    ]
    .into_iter()
    .enumerate()
    {
        let root = dir.path().join(n.to_string());
        image(&root, &[2, 3, 4], axes, steps);
        assert!(matches!(opened(&root), Err(Error::Malformed { .. })), "{n}");
    }
}

#[test]
fn inline_consolidated_metadata_are_not_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let array = json!({"zarr_format": 3, "node_type": "array", "shape": [2, 3, 4], "data_type": "uint8", "fill_value": 7,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 3, 4]}}, "codecs": [{"name": "bytes"}],
        "chunk_key_encoding": {"name": "default"}, "attributes": {}});
    put_json(dir.path(), "0/zarr.json", &array);
    let mut lie = array.clone();
    lie["shape"] = json!([1u64 << 62, 1 << 30, 4]);
    let axes = json!([{"name": "z", "type": "space"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]);
    let group = json!({"zarr_format": 3, "node_type": "group",
        "attributes": {"ome": {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}]}},
        "consolidated_metadata": {"kind": "inline", "must_understand": false, "metadata": {"0": lie, "../x": 3}}});
    put_json(dir.path(), "zarr.json", &group);
    assert_eq!(opened(dir.path()).unwrap().layout.grid.shape, [2, 3, 4]);
    assert_eq!(read::<u8>(dir.path()).unwrap(), [7; 24]);
}

#[test]
fn plates_and_labels_are_opened_by_path() {
    let dir = tempfile::tempdir().unwrap();
    let plate = dir.path().join("plate.zarr");
    let wells = json!([{"path": "A/1", "rowIndex": 0, "columnIndex": 0}]);
    put_json(&plate, ".zgroup", &json!({"zarr_format": 2}));
    put_json(&plate, ".zattrs", &json!({"plate": {"version": "0.4", "wells": wells}}));
    put_json(&plate, "A/1/.zgroup", &json!({"zarr_format": 2}));
    put_json(&plate, "A/1/.zattrs", &json!({"well": {"images": [{"path": "0"}]}}));
    let yx = json!([{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]);
    image(&plate.join("A/1/0"), &[5, 6], yx.clone(), json!([{"type": "scale", "scale": [3.0, 2.0]}]));
    let label = plate.join("A/1/0/labels/cells");
    image(&label, &[5, 6], yx, json!([{"type": "scale", "scale": [3.0, 2.0]}]));
    let text = fs::read_to_string(label.join(".zattrs")).unwrap();
    let mut attributes: Value = serde_json::from_str(&text).unwrap();
    attributes["image-label"] = json!({"version": "0.4", "source": {"image": "../../"}});
    put_json(&label, ".zattrs", &attributes);
    put_json(&plate, "A/1/0/labels/.zgroup", &json!({"zarr_format": 2}));
    put_json(&plate, "A/1/0/labels/.zattrs", &json!({"labels": ["cells"]}));

    let is_label = |path: PathBuf| Input::open(&path, &OpenOptions::default()).unwrap().is_label();
    assert!(!is_label(plate.join("A/1/0")) && !is_label(plate.join("A/1/0/0")));
    assert!(is_label(label.clone()) && is_label(label.join("0")));
    let names = |path: PathBuf, wanted: PathBuf| {
        let error = opened(&path).unwrap_err();
        assert!(error.hint().unwrap().ends_with(&wanted.display().to_string()), "{error}: {:?}", error.hint());
        assert!(opened(&wanted).is_ok());
    };
    names(plate.clone(), plate.join("A/1/0"));
    names(plate.join("A/1"), plate.join("A/1/0"));
    names(plate.join("A/1/0/labels"), label);
}

#[test]
fn links_are_followed_and_loops_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store.zarr");
    let zyx = json!(["z", "y", "x"]);
    image(&store, &[2, 3, 4], zyx, json!([]));
    // A chunk, an array and a whole store that live elsewhere.
    fs::rename(store.join("0/0/0/0"), dir.path().join("chunk")).unwrap();
    symlink("../../../../chunk", store.join("0/0/0/0")).unwrap();
    fs::rename(store.join("0"), dir.path().join("array")).unwrap();
    symlink("../array", store.join("0")).unwrap();
    symlink("store.zarr", dir.path().join("link.zarr")).unwrap();
    fs::remove_file(dir.path().join("array/0/0/0")).unwrap();
    symlink(dir.path().join("chunk"), dir.path().join("array/0/0/0")).unwrap();
    for path in ["store.zarr", "link.zarr", "link.zarr/0"] {
        assert_eq!(read::<u8>(&dir.path().join(path)).unwrap(), (0..24).collect::<Vec<u8>>(), "{path}");
    }
    // A chunk that is a link to itself.
    let chunk = dir.path().join("array/0/0/0");
    fs::remove_file(&chunk).unwrap();
    symlink("0", &chunk).unwrap();
    assert!(matches!(read::<u8>(&store), Err(Error::Chunk { .. })));
    // Metadata in a loop, a level that is its own group, a store that is its own link.
    fs::remove_file(dir.path().join("array/.zarray")).unwrap();
    symlink(".zarray", dir.path().join("array/.zarray")).unwrap();
    assert!(matches!(opened(&store), Err(Error::Io { .. })));
    fs::remove_file(store.join("0")).unwrap();
    symlink(".", store.join("0")).unwrap();
    assert!(matches!(opened(&store), Err(Error::Malformed { .. })));
    symlink("self.zarr", dir.path().join("self.zarr")).unwrap();
    assert!(matches!(opened(&dir.path().join("self.zarr")), Err(Error::Io { .. })));
    assert!(Input::open(&dir.path().join("self.zarr"), &OpenOptions::default()).is_err());
}

#[test]
fn paths_that_climb_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store.zarr");
    image(&store, &[2, 3, 4], json!(["z", "y", "x"]), json!([]));
    image(&dir.path().join("other.zarr"), &[2, 3, 4], json!(["z", "y", "x"]), json!([]));
    for climbing in ["../other.zarr/0", "0/../../other.zarr/0", ".."] {
        let attributes = json!({"multiscales": [{"axes": ["z", "y", "x"], "datasets": [{"path": climbing}]}]});
        put_json(&store, ".zattrs", &attributes);
        assert!(matches!(opened(&store), Err(Error::Malformed { .. })), "{climbing}");
    }
    for plain in ["./0", "0/.", "/0/"] {
        let attributes = json!({"multiscales": [{"axes": ["z", "y", "x"], "datasets": [{"path": plain}]}]});
        put_json(&store, ".zattrs", &attributes);
        assert_eq!(opened(&store).unwrap().array_path, "0", "{plain}");
        assert!(opened(&store.join("0")).unwrap().ome.is_some(), "{plain}");
    }
}

#[test]
fn an_array_is_opened_by_itself_where_the_image_makes_no_sense() {
    let dir = tempfile::tempdir().unwrap();
    let step = |scale: [f64; 3]| json!([{"type": "scale", "scale": scale}]);
    for (n, (axes, steps)) in [
        (json!([{"name": "y"}, {"name": "x"}]), json!([])),
        (json!(["z", "y", "x"]), json!([{"type": "affine", "affine": [[1, 0, 0, 0]]}])),
        (json!(["z", "y", "x"]), step([0.0, 1.0, 1.0])),
        (json!(3), json!([])),
    ]
    .into_iter()
    .enumerate()
    {
        let root = dir.path().join(n.to_string());
        image(&root, &[2, 3, 4], axes, steps);
        assert!(opened(&root).is_err(), "{n}");
        let array = root.join("0");
        let options = OpenOptions { spacing_in: Some([4.0, 3.0, 2.0]), ..OpenOptions::default() };
        let file = open(&array, &options).unwrap();
        assert_eq!((file.layout.grid.spacing(), file.layout.grid.shape), ([4.0, 3.0, 2.0], [2, 3, 4]), "{n}");
        if n == 2 {
            // With a step of the caller's, the image is understood.
            assert!(file.ome.is_some() && open(&root, &options).is_ok());
        } else {
            assert!(file.ome.is_none() && file.warnings[0].contains("without an image"), "{n}: {:?}", file.warnings);
        }
        assert_eq!(read::<u8>(&array).unwrap(), (0..24).collect::<Vec<u8>>(), "{n}");
    }
    // A document above that is none at all.
    let root = dir.path().join("broken");
    image(&root, &[2, 3, 4], json!(["z", "y", "x"]), json!([]));
    put(&root, ".zattrs", "{");
    assert!(opened(&root).is_err() && opened(&root.join("0")).unwrap().warnings[0].contains(".zattrs"));
}

#[test]
fn documents_of_python_and_of_models_dumped_unset() {
    let dir = tempfile::tempdir().unwrap();
    let zyx = json!([{"name": "z", "type": "space", "unit": null}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]);
    image(dir.path(), &[2, 3, 4], zyx, json!([{"type": "scale", "scale": [4, 3, 2]}]));
    let text = fs::read_to_string(dir.path().join(".zattrs")).unwrap();
    let mut attributes: Value = serde_json::from_str(&text).unwrap();
    let image = &mut attributes["multiscales"][0];
    image["version"] = json!(0.4);
    for (key, value) in [("name", json!(0)), ("coordinateTransformations", Value::Null), ("metadata", Value::Null)] {
        image[key] = value;
    }
    for key in ["plate", "labels", "image-label", "well", "ome"] {
        attributes[key] = Value::Null;
    }
    let text = attributes.to_string();
    let omero = r#", "omero": {"channels": [{"window": {"min": NaN, "max": Infinity}}]}}"#;
    put(dir.path(), ".zattrs", format!("{}{omero}", &text[..text.len() - 1]));
    let file = opened(dir.path()).unwrap();
    assert_eq!(file.layout.grid.spacing(), [4.0, 3.0, 2.0]);
    assert!(!file.is_label, "a label that is null is none");
    assert_eq!(file.carried.ome["omero"]["channels"][0]["window"]["max"], "Infinity");
}
