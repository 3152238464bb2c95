//! Components, complex numbers and series through oblique mappings: every part as if it were a volume of its own.

use std::{fs, path::PathBuf, sync::atomic::AtomicBool};

use crate::kit::{
    counted::Counted,
    nifti::{Said, samples},
    oblique,
    rng::Rng,
    runs::{AMPLE, StrictSink, budget, expected, run_with, smallest_budget},
    timeout::within,
    volumes::{self, count, outer, random_voxels},
};
use reslice::{
    error::Result,
    geometry::{GridRequest, Sizing},
    io::memory::MemorySource,
    job::{GridChoice, Job, Request, Summary},
    layout::{Access, Layout, Outer},
    plan::Request as PlanRequest,
    resample::{Area, KernelShape, LabelWeights, Method, OpRequest, block_op},
    transform::TransformRequest,
    voxel::Voxel,
};
use tempfile::TempDir;

const SHAPE: [u64; 3] = [13, 11, 17];

/// Chunked, shared by volumes, a stream, and rows.
fn sources<T: Voxel>(all: &Outer, components: usize) -> Vec<Layout> {
    let layout = |outer: &Outer, access, chunk| Layout {
        outer: outer.clone(),
        components,
        ..volumes::layout(T::DTYPE, SHAPE, access, chunk)
    };
    let separate = Outer::separate(all.axes.clone());
    vec![
        layout(&separate, Access::Random, [1, 1, 17]),
        layout(&separate, Access::Ascending, [2, 11, 17]),
        layout(&separate, Access::Chunked, [5, 4, 8]),
        layout(all, Access::Chunked, [4, 6, 5]),
    ]
}

fn sweep<T: Voxel>(request: &OpRequest, all: &Outer, components: usize, rng: &mut Rng) {
    let op = block_op::<T>(request);
    let voxels = random_voxels::<T>(count(SHAPE) * all.volumes() as usize * components, rng);
    let wanted = expected(request, &voxels, SHAPE);
    let [_, ty, tx] = request.target_shape;
    let targets = [(Access::Random, [1, 1, tx]), (Access::Ascending, [2, ty, tx]), (Access::Chunked, [6, 5, 7])];
    for source in sources::<T>(all, components) {
        for (access, chunk) in targets {
            let target = Layout {
                outer: Outer::separate(all.axes.clone()),
                components,
                ..volumes::layout(T::DTYPE, request.target_shape, access, chunk)
            };
            for threads in [1, 3] {
                let plan = PlanRequest {
                    footprint: op.as_ref(),
                    source: &source,
                    target: &target,
                    sample_bytes: size_of::<T>(),
                    budget: budget(0, threads),
                    todo: None,
                };
                for memory in [smallest_budget(&plan), AMPLE] {
                    let from = Counted::new(MemorySource::new(source.clone(), voxels.clone()));
                    let sink = StrictSink::new(target.clone());
                    let stop = AtomicBool::new(false);
                    let (plan, done) = run_with(&from, op.as_ref(), &sink, budget(memory, threads), &stop).unwrap();
                    let found = sink.into_voxels();
                    let same = bytemuck::cast_slice::<T, u8>(&found) == bytemuck::cast_slice::<T, u8>(&wanted);
                    assert!(same, "{memory} bytes, {threads} threads, {request:?}, {source:?} to {target:?}");
                    assert_eq!(done.decodes, plan.totals.decodes);
                    if source.access != Access::Random {
                        let counts = from.counts();
                        assert_eq!(counts.iter().sum::<u64>(), plan.totals.decodes);
                        assert!(memory != AMPLE || counts.iter().all(|&n| n == 1), "{counts:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn parts_of_voxels_and_volumes_that_share_chunks_through_oblique_mappings() {
    for (n, method) in oblique::methods().into_iter().enumerate() {
        within(120, move || {
            let mut rng = Rng::new(&format!("compound {method}"));
            let request = oblique::request(method, SHAPE, &mut rng);
            let shared = outer(&[3, 2], &[2, 2]);
            match n % 3 {
                0 => sweep::<u8>(&request, &Outer::default(), 3, &mut rng),
                1 => sweep::<f32>(&request, &outer(&[3], &[1]), 2, &mut rng),
                _ => sweep::<f64>(&request, &shared, 2, &mut rng),
            }
            sweep::<i16>(&request, &shared, 1, &mut rng);
        });
    }
}

struct Set {
    folder: TempDir,
}

impl Set {
    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn request(&self, input: &str, method: Method, is_oblique: bool) -> Request {
        let mut request = Request::new(self.at(input), self.at(&format!("out-{input}")), 1 << 30, 2);
        request.method = Some(method);
        request.target.overwrite = true;
        if is_oblique {
            let turn = Said::new(SHAPE).about_centre([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]);
            fs::write(self.at("turn.txt"), turn).unwrap();
            request.transforms = vec![TransformRequest::new(self.at("turn.txt"))];
        } else {
            let sizing = Sizing::Spacing([1.7, 2.3, 1.1]);
            request.grid = GridChoice::Rules(GridRequest { sizing, ..GridRequest::default() });
        }
        request
    }
}

fn done(request: Request) -> Result<Summary> {
    Job::resolve(request)?.run(&AtomicBool::new(false), |_| {})
}

/// Methods that give a voxel's parts the same weights.
fn weighing() -> Vec<Method> {
    let picks = |method: &Method| match method {
        Method::Label(_) => true,
        Method::Area(cover) => *cover != Area::Mean,
        _ => false,
    };
    oblique::methods().into_iter().filter(|method| !picks(method)).collect()
}

/// A file of compound voxels against one file for each part.
fn parts<T: Voxel>(components: usize) {
    let set = Set { folder: tempfile::tempdir().unwrap() };
    let said = Said { components, ..Said::new(SHAPE).with_outer(&[("t", 2)]) };
    let single = Said { components: 1, ..said.clone() };
    let voxels = random_voxels::<T>(said.samples(), &mut Rng::new("parts"));
    for name in ["whole.nii", "whole.nii.gz"] {
        said.write(&set.at(name), &voxels);
    }
    for method in weighing() {
        for is_oblique in [false, true] {
            done(set.request("whole.nii", method, is_oblique)).unwrap();
            let whole = samples(&set.at("out-whole.nii"));
            done(set.request("whole.nii.gz", method, is_oblique)).unwrap();
            let mut copy = Request::new(set.at("out-whole.nii.gz"), set.at("copy.nii"), 1 << 30, 1);
            copy.target.overwrite = true;
            done(copy).unwrap();
            assert!(samples(&set.at("copy.nii")) == whole, "{method}");
            for part in 0..components {
                let own: Vec<T> = voxels.iter().skip(part).step_by(components).copied().collect();
                single.write(&set.at("part.nii"), &own);
                done(set.request("part.nii", method, is_oblique)).unwrap();
                let alone = samples(&set.at("out-part.nii"));
                let size = size_of::<T>();
                let among = whole.chunks_exact(size).skip(part).step_by(components);
                assert!(among.eq(alone.chunks_exact(size)), "part {part}, {method}, oblique {is_oblique}");
            }
        }
    }
}

#[test]
fn colours_and_complex_numbers_part_by_part() {
    within(300, || {
        parts::<u8>(3);
        parts::<u8>(4);
        parts::<f32>(2);
        parts::<f64>(2);
    });
}

#[test]
fn methods_that_pick_a_voxel_are_refused_for_colours_and_complex_numbers() {
    let set = Set { folder: tempfile::tempdir().unwrap() };
    let rgb = Said { components: 3, ..Said::new(SHAPE) };
    rgb.write(&set.at("rgb.nii"), &vec![7u8; rgb.samples()]);
    let complex = Said { components: 2, ..Said::new(SHAPE) };
    complex.write(&set.at("complex.nii"), &vec![7f32; complex.samples()]);
    let labels = [LabelWeights::Linear, LabelWeights::Gaussian { sigma: 1.0 }].map(Method::Label);
    let covers = [Area::Mode, Area::Min, Area::Max, Area::Median].map(Method::Area);
    for method in labels.into_iter().chain(covers) {
        for (input, components) in [("rgb.nii", 3), ("complex.nii", 2)] {
            let error = done(set.request(input, method, false)).unwrap_err().to_string();
            let words = format!("{method} would make each of the {components} parts of a voxel from other voxels");
            assert!(error.contains(&words), "{error}");
        }
    }
    let auto = Request { method: None, ..set.request("rgb.nii", Method::Nearest, true) };
    assert_eq!(Job::resolve(auto).unwrap().op.method, Method::Kernel(KernelShape::Linear));
}
