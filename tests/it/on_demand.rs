//! Regions that are made when they are asked for are those of the whole target, from any source, within any budget.

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use crate::kit::{folder::Folder, rng::Rng};
use reslice::{
    GridChoice, GridRequest, Job, Method, Phantom, Region, Request, Sizing, TransformRequest,
    block::BlockMut,
    error::Error,
    io::{
        input::{Input, IoMode},
        reader::RegionReader,
        zarr::OpenOptions,
    },
    job::OnDemand,
    sys,
};

const SHAPE: [u64; 3] = [20, 23, 29];
const AMPLE: u64 = 4 << 30;

fn request(source: &Path, target: &str, step: f64, method: &str) -> Request {
    let mut request = Request::new(source, target, AMPLE, 2);
    let sizing = Sizing::Spacing([1.4 * step, step, 0.8 * step]);
    request.grid = GridChoice::Rules(GridRequest { sizing, ..GridRequest::default() });
    request.method = Some(method.parse::<Method>().unwrap());
    request
}

fn on_demand(request: &Request) -> Result<Box<dyn OnDemand>, Error> {
    Job::resolve(request.clone())?.on_demand(&AtomicBool::new(false))
}

fn read(target: &dyn OnDemand, region: Region) -> Result<Vec<u16>, Error> {
    let mut bytes = vec![0; 2 * region.voxels() as usize];
    target.read(0, region, &AtomicBool::new(false), &mut bytes)?;
    Ok(bytes.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])).collect())
}

/// All voxels of a file.
fn whole(path: &Path) -> ([u64; 3], Vec<u16>) {
    let input = Input::open(path, &OpenOptions::default()).unwrap();
    let source = input.source::<u16>(input.conversion(), IoMode::Auto).unwrap();
    let shape = source.layout().grid.shape;
    let region = Region::of_shape(shape);
    let mut voxels = vec![0; region.voxels() as usize];
    RegionReader::new(source.as_ref()).read(0, BlockMut::new(region, 1, &mut voxels)).unwrap();
    (shape, voxels)
}

fn part(shape: [u64; 3], voxels: &[u16], region: Region) -> Vec<u16> {
    let mut found = Vec::new();
    for z in region.lo[0]..region.hi[0] {
        for y in region.lo[1]..region.hi[1] {
            let row = (z as u64 * shape[1] + y as u64) * shape[2];
            found.extend(&voxels[(row as i64 + region.lo[2]) as usize..(row as i64 + region.hi[2]) as usize]);
        }
    }
    found
}

fn sources(dir: &Folder) -> [PathBuf; 3] {
    ["a.nii", "a.nii.gz", "a.zarr"].map(|name| {
        let (first, path) = (dir.path("first.nii"), dir.path(name));
        if !first.exists() {
            Phantom::new(SHAPE, [2.0, 1.0, 1.0]).write(&first).unwrap();
        }
        let mut request = Request::new(&first, &path, AMPLE, 2);
        if name.ends_with(".zarr") {
            request.target.chunk = Some([6, 7, 8]);
            request.target.shard = Some(None);
        }
        Job::resolve(request).unwrap().run(&AtomicBool::new(false), |_| {}).unwrap();
        path
    })
}

#[test]
fn regions_are_those_of_the_whole_target() {
    let dir = Folder::new();
    std::fs::write(dir.path("turn.txt"), "0.9 -0.1 0 3\n0.1 0.9 0.1 -2\n0 -0.1 1 1\n0 0 0 1\n").unwrap();
    let mut rng = Rng::new("on demand");
    for source in sources(&dir) {
        for (method, is_turned, step) in [
            ("linear", false, 0.7),
            ("bspline3", true, 1.3),
            ("label", true, 0.9),
            ("mean", false, 2.5),
            ("median", true, 2.0),
        ] {
            let mut request = request(&source, "none.zarr", step, method);
            request.scratch = Some(dir.path(""));
            if is_turned {
                request.transforms = vec![TransformRequest::new(dir.path("turn.txt"))];
            }
            let file = dir.path("whole.nii");
            let mut to_file = Request { output: file.clone(), ..request.clone() };
            to_file.target.overwrite = true;
            Job::resolve(to_file).unwrap().run(&AtomicBool::new(false), |_| {}).unwrap();
            let (shape, voxels) = whole(&file);
            // Less would be taken by other tests of this process; tests/python have some.
            for memory_bytes in [sys::resident().now_bytes + (256 << 20), AMPLE] {
                let target = on_demand(&Request { memory_bytes, ..request.clone() }).unwrap();
                assert_eq!(target.layout().grid.shape, shape);
                for _ in 0..12 {
                    let ends: [(i64, i64); 3] = shape.map(|extent| {
                        let (a, b) = (rng.within(0, extent) as i64, rng.within(0, extent) as i64);
                        (a.min(b), a.max(b))
                    });
                    let region = Region::new(ends.map(|end| end.0), ends.map(|end| end.1));
                    let found = read(target.as_ref(), region).unwrap();
                    assert_eq!(found, part(shape, &voxels, region), "{} {method} {region}", source.display());
                }
            }
        }
    }
    let left = std::fs::read_dir(dir.path("")).unwrap().flatten();
    assert!(left.into_iter().all(|entry| !entry.file_name().to_string_lossy().contains("scratch")));
}

#[test]
fn a_budget_that_is_too_small_names_one_that_works() {
    let dir = Folder::new();
    let [_, _, source] = sources(&dir);
    let mut request = request(&source, "none.zarr", 14.0, "median");
    let held = sys::resident().now_bytes;
    request.memory_bytes = held;
    let region = Region::of_shape([1, 1, 1]);
    let refused = read(on_demand(&request).unwrap().as_ref(), region).unwrap_err();
    let Error::Plan(reslice::PlanError::TooSmall { smallest_bytes, .. }) = refused else { panic!("{refused:?}") };
    // This process, of many tests, may have grown meanwhile.
    request.memory_bytes = smallest_bytes + (64 << 20);
    assert_eq!(read(on_demand(&request).unwrap().as_ref(), region).unwrap().len(), 1);
    request.memory_bytes = AMPLE;
    let stopped = on_demand(&request).unwrap().read(0, region, &AtomicBool::new(true), &mut [0; 2]);
    assert!(matches!(stopped, Err(Error::Stopped { .. })));
}
