//! Coarser levels: each method against its definition, and the same bytes however they are made.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::kit::{
    folder::Folder,
    nifti::Said,
    rng::Rng,
    timeout::within,
    volumes::{count, random_voxels},
};
use reslice::{
    block::{BlockMut, BlockRef},
    error::Error,
    io::zarr::{self, OpenOptions},
    job::{Event, InPlace, InPlaceRequest, Job, PyramidRequest, Request, TargetOptions},
    phantom::Phantom,
    region::Region,
    resample::{BlockOp, Reduction, Workspace, reduction_op},
    voxel::{Dtype, Rounding, Voxel},
};

const SHAPES: [[u64; 3]; 5] = [[13, 10, 17], [1, 7, 12], [5, 1, 1], [1, 1, 1], [4, 6, 8]];
const FACTORS: [[u64; 3]; 4] = [[2, 2, 2], [1, 2, 2], [2, 1, 1], [1, 1, 2]];

/// The source voxels that target voxel `at` spans, as far as they exist.
fn spanned<T: Voxel>(source: &[T], shape: [u64; 3], factors: [u64; 3], at: [u64; 3]) -> Vec<T> {
    let range = |a: usize| at[a] * factors[a]..((at[a] + 1) * factors[a]).min(shape[a]);
    let mut voxels = Vec::new();
    for z in range(0) {
        for y in range(1) {
            voxels.extend(range(2).map(|x| source[((z * shape[1] + y) * shape[2] + x) as usize]));
        }
    }
    voxels
}

/// Most frequent, the lowest of those that are.
fn mode<T: Voxel>(voxels: &[T]) -> f64 {
    let times = |value: f64| voxels.iter().filter(|v| v.to_f64() == value).count();
    let most = voxels.iter().map(|v| times(v.to_f64())).max().unwrap();
    voxels.iter().map(|v| v.to_f64()).filter(|&v| times(v) == most).fold(f64::INFINITY, f64::min)
}

/// Weight of the voxel `distance` away from the centre of a Gaussian of 0.7355 voxel: the integral over it, by a fine sum.
fn gaussian(distance: f64) -> f64 {
    let sigma = (3.0 / (8.0 * 2.0f64.ln())).sqrt();
    let steps = 400;
    let at = |n: i32| distance - 0.5 + (f64::from(n) + 0.5) / f64::from(steps);
    (0..steps).map(|n| (-at(n).powi(2) / (2.0 * sigma * sigma)).exp()).sum()
}

/// By the definition, with the taps within 4 sigma; normalised over those that exist.
fn smoothed<T: Voxel>(source: &[T], shape: [u64; 3], factors: [u64; 3], at: [u64; 3]) -> f64 {
    let taps = |a: usize| -> Vec<(u64, f64)> {
        if factors[a] == 1 {
            return vec![(at[a], 1.0)];
        }
        let centre = (at[a] * 2) as f64 + 0.5;
        let near = (0..shape[a]).map(|i| (i, i as f64 - centre)).filter(|(_, d)| d.abs() < 4.0 * 0.7355 + 0.5);
        let weighted: Vec<(u64, f64)> = near.map(|(i, d)| (i, gaussian(d))).collect();
        let sum: f64 = weighted.iter().map(|(_, w)| w).sum();
        weighted.into_iter().map(|(i, w)| (i, w / sum)).collect()
    };
    let mut sum = 0.0;
    for (z, wz) in taps(0) {
        for (y, wy) in taps(1) {
            for (x, wx) in taps(2) {
                sum += wz * wy * wx * source[((z * shape[1] + y) * shape[2] + x) as usize].to_f64();
            }
        }
    }
    sum
}

fn expected<T: Voxel>(method: Reduction, source: &[T], shape: [u64; 3], factors: [u64; 3], at: [u64; 3]) -> f64 {
    let spanned = spanned(source, shape, factors, at);
    match method {
        Reduction::Mean => spanned.iter().map(|v| v.to_f64()).sum::<f64>() / spanned.len() as f64,
        Reduction::Mode => mode(&spanned),
        Reduction::Stride => spanned[0].to_f64(),
        Reduction::Gaussian => smoothed(source, shape, factors, at),
    }
}

/// The whole level, computed piece by piece from no more than the pieces ask for.
fn reduced<T: Voxel>(op: &dyn BlockOp<T>, source: &[T], shape: [u64; 3], piece: [usize; 3]) -> Vec<T> {
    let whole = Region::of_shape(op.target_shape());
    let mut voxels = vec![T::default(); whole.voxels() as usize];
    let mut target = BlockMut::new(whole, 1, &mut voxels);
    for piece in whole.tiles(piece) {
        let region = op.source_region(piece);
        assert!(Region::of_shape(shape).contains(&region));
        let mut cut = vec![T::default(); region.voxels() as usize];
        BlockMut::new(region, 1, &mut cut).copy_from(BlockRef::new(Region::of_shape(shape), 1, source), 0);
        op.apply(BlockRef::new(region, 1, &cut), &mut target, piece, &mut Workspace::default());
    }
    voxels
}

fn check<T: Voxel>(method: Reduction, rng: &mut Rng) {
    for shape in SHAPES {
        let factors = *rng.one_of(&FACTORS);
        let source: Vec<T> = match method {
            // Few values, so that some are frequent.
            Reduction::Mode => (0..count(shape)).map(|_| T::from_f64(rng.below(3) as f64, Rounding::Nearest)).collect(),
            _ => random_voxels(count(shape), rng),
        };
        let op = reduction_op::<T>(method, shape, factors);
        let got = reduced(op.as_ref(), &source, shape, [3, 4, 5]);
        assert_eq!(got, reduced(op.as_ref(), &source, shape, [100; 3]), "{method:?} {shape:?} by {factors:?}");
        let [_, ny, nx] = op.target_shape();
        let scale = source.iter().map(|v| v.to_f64().abs()).fold(1.0, f64::max);
        for (n, got) in got.iter().enumerate() {
            let at = [n as u64 / (ny * nx), n as u64 / nx % ny, n as u64 % nx];
            let exact = expected(method, &source, shape, factors, at);
            let slack = if T::DTYPE.is_float() { 1e-6 * scale } else { 0.5 + 1e-6 * scale };
            assert!(
                (got.to_f64() - exact).abs() <= slack,
                "{method:?} {shape:?} {factors:?} {at:?}: {got:?}, not {exact}"
            );
            if method == Reduction::Mean && T::DTYPE.bytes() <= 2 {
                assert_eq!(got.to_f64(), (exact + 0.5).floor(), "means of integers are exact: {at:?}");
            }
        }
    }
}

#[test]
fn every_method_is_what_it_says_in_every_dtype() {
    within(60, || {
        let mut rng = Rng::new("reductions");
        for dtype in Dtype::ALL {
            for method in Reduction::ALL {
                reslice::dispatch!(dtype, T => check::<T>(method, &mut rng));
            }
        }
    });
}

/// Far more than the tests beside these hold in this process.
const AMPLE: u64 = 8 << 30;

fn request(scan: &Path, target: &Path, pyramid: Option<PyramidRequest>, memory_bytes: u64, threads: usize) -> Request {
    let target_options =
        TargetOptions { chunk: Some([8, 16, 8]), shard: Some(Some([16, 32, 32])), ..TargetOptions::default() };
    Request { target: target_options, pyramid, ..Request::new(scan, target, memory_bytes, threads) }
}

fn run(request: Request) {
    Job::resolve(request).unwrap().run(&AtomicBool::new(false), |_| {}).unwrap();
}

fn in_place(store: &Path, method: Reduction) -> InPlaceRequest {
    let (memory_bytes, threads) = (AMPLE, 2);
    InPlaceRequest {
        checks_disk: true,
        store: store.into(),
        levels: None,
        method: Some(method),
        overwrite: false,
        resume: false,
        restart: false,
        memory_bytes,
        threads,
    }
}

fn add(request: InPlaceRequest) -> Result<usize, Error> {
    let summary = InPlace::resolve(request)?.run(&AtomicBool::new(false), |_| {})?;
    Ok(summary.levels.len())
}

/// Every file of a store with its bytes.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_path_buf(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

struct Setting {
    dir: tempfile::TempDir,
    scan: PathBuf,
}

fn setting() -> Setting {
    let dir = tempfile::tempdir().unwrap();
    let scan = dir.path().join("scan.nii");
    Phantom::new([23, 61, 67], [2.0, 1.0, 1.0]).write(&scan).unwrap();
    Setting { dir, scan }
}

#[test]
fn the_same_bytes_in_the_run_and_in_place_for_any_budget_and_threads() {
    within(120, || {
        let Setting { dir, scan } = setting();
        for method in Reduction::ALL {
            let name = |text: &str| dir.path().join(format!("{}-{text}.zarr", method.name()));
            let asked = Some(PyramidRequest { levels: None, method: Some(method) });
            run(request(&scan, &name("run"), asked, AMPLE, 2));
            let expected = files(&name("run"));
            let planned = Job::resolve(request(&scan, &name("plan"), asked, AMPLE, 2)).unwrap().dry_run().unwrap();
            // A Gaussian looks beyond the voxels that it spans.
            assert_eq!(planned.passes[0].makes_next_level, method != Reduction::Gaussian);
            assert!(expected.contains_key(Path::new("4/zarr.json")), "{:?}", expected.keys());
            run(request(&scan, &name("tight"), asked, AMPLE / 2, 3));
            run(request(&scan, &name("later"), None, AMPLE, 1));
            assert_eq!(add(in_place(&name("later"), method)).unwrap(), 4);
            for other in ["tight", "later"] {
                let found = files(&name(other));
                assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
                let differ: Vec<_> = found.iter().filter(|(path, bytes)| expected[*path] != **bytes).collect();
                assert!(differ.is_empty(), "{method:?} {other}: {:?}", differ[0].0);
            }
            assert!(!dir.path().join(format!("{}-later.zarr.reslice", method.name())).exists());
        }
    });
}

#[test]
fn levels_are_where_their_voxels_are() {
    within(60, || {
        let Setting { dir, scan } = setting();
        let store = dir.path().join("a.zarr");
        run(request(&scan, &store, Some(PyramidRequest::default()), AMPLE, 2));
        let open = |level| zarr::open(&store, &OpenOptions { level: Some(level), ..OpenOptions::default() }).unwrap();
        let finest = open(0).layout.grid;
        let spacings = [[2.0; 3], [4.0; 3], [8.0; 3], [16.0; 3]];
        for (level, spacing) in (1..).zip(spacings) {
            let grid = open(level).layout.grid;
            assert_eq!(grid.spacing(), spacing);
            for (a, spacing) in spacing.into_iter().enumerate() {
                let moved = grid.origin()[2 - a] - finest.origin()[2 - a];
                assert!(
                    (moved - (spacing - finest.spacing()[a]) / 2.0).abs() < 1e-9,
                    "level {level} axis {a}: {moved}"
                );
            }
        }
        assert_eq!(open(3).level, Some((3, 5)));
    });
}

#[test]
fn what_is_there_is_not_lost() {
    within(60, || {
        let Setting { dir, scan } = setting();
        let store = dir.path().join("a.zarr");
        run(request(&scan, &store, None, AMPLE, 2));
        let single = files(&store);
        fs::create_dir(store.join("2")).unwrap();
        assert!(matches!(add(in_place(&store, Reduction::Mean)), Err(Error::TargetExists { .. })));
        fs::remove_dir(store.join("2")).unwrap();
        // Once something is stored, however busy the machine is.
        let stop = AtomicBool::new(false);
        let stopped = InPlace::resolve(in_place(&store, Reduction::Mean)).unwrap().run(&stop, |event| {
            if let Event::Progress { progress, .. } = event {
                stop.fetch_or(progress.blocks_done > 0, Ordering::Relaxed);
            }
        });
        assert!(matches!(stopped, Err(Error::Stopped { .. })), "{stopped:?}");
        assert_eq!(files(&store), single);
        assert!(matches!(add(in_place(&store, Reduction::Mean)), Err(Error::Unfinished { .. })));
        assert_eq!(add(InPlaceRequest { restart: true, ..in_place(&store, Reduction::Mean) }).unwrap(), 4);
        let full = files(&store);
        assert!(matches!(add(in_place(&store, Reduction::Mean)), Err(Error::Usage { .. })));
        let fewer = InPlaceRequest { levels: Some(1), overwrite: true, ..in_place(&store, Reduction::Mean) };
        assert_eq!(add(fewer.clone()).unwrap(), 1);
        assert!(!store.join("2").exists() && store.join("1").exists());
        assert_eq!(add(InPlaceRequest { levels: None, ..fewer }).unwrap(), 4);
        assert_eq!(files(&store), full);
        assert!(matches!(add(in_place(&store.join("0"), Reduction::Mean)), Err(Error::Usage { .. })));
    });
}

#[test]
fn shards_and_chunks_may_be_larger_than_an_axis() {
    let dir = tempfile::tempdir().unwrap();
    for (n, (shape, chunk, shard)) in [
        ([30u64, 200, 200], [64u64, 64, 64], [128u64, 128, 128]),
        ([1, 300, 300], [16, 64, 64], [16, 256, 256]),
        ([40, 30, 200], [32, 32, 32], [64, 64, 64]),
    ]
    .into_iter()
    .enumerate()
    {
        let store = dir.path().join(format!("{n}.zarr"));
        fs::create_dir_all(store.join("0")).unwrap();
        let bytes = serde_json::json!({"name": "bytes", "configuration": {"endian": "little"}});
        let sharding = serde_json::json!({"name": "sharding_indexed", "configuration": {"chunk_shape": chunk,
            "codecs": [bytes], "index_codecs": [bytes, {"name": "crc32c"}]}});
        let array = serde_json::json!({"zarr_format": 3, "node_type": "array", "shape": shape, "data_type": "uint16",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard}}, "fill_value": 7,
            "chunk_key_encoding": {"name": "default"}, "codecs": [sharding]});
        let scale = serde_json::json!([{"type": "scale", "scale": [1, 1, 1]}]);
        let axes = ["z", "y", "x"].map(|name| serde_json::json!({"name": name, "type": "space"}));
        let group = serde_json::json!({"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5",
            "multiscales": [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]}}});
        fs::write(store.join("0/zarr.json"), array.to_string()).unwrap();
        fs::write(store.join("zarr.json"), group.to_string()).unwrap();
        let added = add(InPlaceRequest { levels: Some(1), ..in_place(&store, Reduction::Mean) }).unwrap();
        assert_eq!(added, 1);
        let level = zarr::open(&store.join("1"), &OpenOptions::default()).unwrap();
        let halved = shape.map(|extent| extent.div_ceil(2));
        assert_eq!(level.layout.grid.shape, [if n == 1 { 1 } else { halved[0] }, halved[1], halved[2]], "{n}");
    }
}

#[test]
fn a_target_may_have_shards_and_chunks_beyond_a_short_axis() {
    let setting = setting();
    let target = setting.dir.path().join("t.zarr");
    // 23 planes: both hold all of them, and one is no multiple of the other.
    let options =
        TargetOptions { chunk: Some([64, 16, 16]), shard: Some(Some([100, 64, 32])), ..TargetOptions::default() };
    run(Request { target: options, ..request(&setting.scan, &target, None, AMPLE, 2) });
    let file = zarr::open(&target, &OpenOptions::default()).unwrap();
    assert_eq!((file.layout.chunk, file.shard()), ([23, 16, 16], Some([23, 64, 32])));
    let uneven =
        TargetOptions { chunk: Some([64, 16, 16]), shard: Some(Some([100, 60, 32])), ..TargetOptions::default() };
    let target = setting.dir.path().join("u.zarr");
    assert!(Job::resolve(Request { target: uneven, ..request(&setting.scan, &target, None, AMPLE, 2) }).is_err());
}

/// The op that makes level 1 along with level 0 once named no regions of displacement fields: nothing was moved.
#[test]
fn levels_made_along_go_through_displacement_fields() {
    let folder = Folder::new();
    let said = Said::new([40, 44, 48]);
    said.write(&folder.path("scan.nii"), &random_voxels::<u8>(said.samples(), &mut Rng::new("moved")));
    let field = Said { intent: 1007, ..said }.with_outer(&[("c", 3), ("t", 1)]);
    let vectors: Vec<f32> = (0..field.samples()).map(|n| (n % 50) as f32 / 10.0 - 2.5).collect();
    field.write(&folder.path("field.nii"), &vectors);
    let chunks = ["--chunk=16", "--shard=none", "--transform=field.nii", "--overwrite"];
    for interp in ["--interp=linear", "--interp=bspline3", "--interp=label"] {
        folder.run(&[&["resample", "scan.nii", "alone.zarr", interp], &chunks[..]].concat()).expect(0);
        let levels = ["resample", "scan.nii", "levels.zarr", interp, "--pyramid", "--summary=run.json"];
        folder.run(&[&levels[..], &chunks].concat()).expect(0);
        let run: serde_json::Value = serde_json::from_slice(&fs::read(folder.path("run.json")).unwrap()).unwrap();
        let passes = run["passes"].as_array().unwrap();
        assert!(passes.iter().any(|pass| pass["makes_next_level"] == true), "{run}");
        folder.run(&["compare", "alone.zarr", "levels.zarr"]).expect(0);
    }
}
