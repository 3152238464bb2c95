//! The same voxels for any storage, budget and number of threads; every chunk decoded as often as the plan says.

use std::sync::atomic::AtomicBool;

use crate::kit::{
    cases::{self, Case},
    counted::Counted,
    rng::Rng,
    runs::{AMPLE, StrictSink, budget, expected, run_with, smallest_budget, target_layout},
    timeout::within,
    volumes::{self, count, outer, random_voxels},
};
use reslice::{
    geometry::{Affine, Mapping},
    io::memory::{MemorySink, MemorySource},
    layout::{Access, Layout, Outer},
    plan::{Plan, Request},
    resample::{Area, BlockOp, KernelShape, Method, Outside, block_op},
    voxel::Voxel,
};

const SHAPE: [u64; 3] = [20, 23, 29];
const LINEAR: Method = Method::Kernel(KernelShape::Linear);

fn sources<T: Voxel>(shape: [u64; 3], volumes_outside: &Outer) -> Vec<Layout> {
    let layout = |access, chunk| volumes::layout(T::DTYPE, shape, access, chunk);
    let separate = Outer::separate(volumes_outside.axes.clone());
    let [_, ny, nx] = shape;
    let mut sources = vec![
        layout(Access::Random, [1, 1, nx]),
        layout(Access::Chunked, [7, 5, 8]),
        layout(Access::Chunked, [16, 16, 16]),
        layout(Access::Chunked, [1, ny, 6]),
        layout(Access::Chunked, shape),
        layout(Access::Ascending, [1, 4, nx]),
        layout(Access::Ascending, [3, ny, nx]),
    ];
    sources.iter_mut().for_each(|source| source.outer = separate.clone());
    let together = Layout { outer: volumes_outside.clone(), ..sources[1].clone() };
    sources.push(together);
    sources
}

fn targets<T: Voxel>(case: &Case, source: &Layout) -> Vec<Layout> {
    let [_, ny, nx] = case.request.target_shape;
    let layout = |access, chunk| target_layout::<T>(case, source, access, chunk);
    let fits = |unit: [u64; 3], shard| (0..3).all(|a| unit[a] <= case.request.target_shape[a]).then_some(shard);
    let sharded = layout(Access::Chunked, [5, 4, 7]);
    vec![
        layout(Access::Random, [1, 1, nx]),
        layout(Access::Chunked, [6, 11, 8]),
        layout(Access::Chunked, [64, 64, 64]),
        Layout { shard: fits([5, 4, 7], [10, 8, 14]), ..sharded },
        layout(Access::Ascending, [1, 5, nx]),
        layout(Access::Ascending, [2, ny, nx]),
    ]
}

fn interesting() -> Vec<Case> {
    let cubic = Method::Kernel(KernelShape::CatmullRom);
    let lanczos = Method::Kernel(KernelShape::Lanczos { lobes: 3 });
    let mut down = cases::resized(lanczos, SHAPE, [0, 1, 2], [2.3, 1.9, 3.1], 0.4);
    down.request.antialias = true;
    let mut edge = cases::resized(cubic, [1, 17, 13], [1, 2, 0], [0.6, -0.8, 0.3], -3.0);
    edge.request.outside = Outside::Edge;
    vec![
        cases::resized(LINEAR, SHAPE, [0, 1, 2], [0.7, 0.8, 0.9], 0.1),
        cases::resized(Method::Nearest, SHAPE, [2, 0, 1], [-1.0, 1.7, -0.6], 1.2),
        down,
        edge,
        cases::resized(Method::Kernel(KernelShape::BSpline { order: 5 }), SHAPE, [1, 2, 0], [0.8, -1.4, 0.6], 0.3),
        cases::resized(Method::Area(Area::Mode), SHAPE, [2, 1, 0], [1.9, -2.6, 0.8], 0.2),
        cases::resized(Method::Area(Area::Max), SHAPE, [0, 2, 1], [2.0, 3.3, -1.2], 0.4),
        cases::identity(LINEAR, [1, 1, 1]),
        turned(LINEAR),
        turned(cubic),
    ]
}

/// An oblique mapping, part of whose target looks outside.
fn turned(method: Method) -> Case {
    let mut case = cases::identity(method, SHAPE);
    let m = [[0.8, -0.3, 0.1, 4.1], [0.3, 0.9, -0.2, 1.7], [-0.1, 0.2, 1.0, -2.3]];
    case.request.mapping = Mapping::Affine(Affine { m });
    case
}

/// One run under one budget: the voxels, the decodes and the window are what they must be. Returns the amplification.
fn check<T: Voxel>(
    source: &Counted<MemorySource<T>>,
    op: &dyn BlockOp<T>,
    target: &Layout,
    memory: u64,
    threads: usize,
    expected: &[T],
    case: &Case,
) -> f64 {
    use reslice::io::Source;
    let sink = StrictSink::new(target.clone());
    let what =
        || format!("{memory} bytes, {threads} threads, {:?} to {target:?}, {case:?}", Source::<T>::layout(source));
    let (plan, progress) = run_with(source, op, &sink, budget(memory, threads), &AtomicBool::new(false))
        .unwrap_or_else(|error| panic!("{error:?}: {}", what()));
    assert!(sink.into_voxels() == expected, "other voxels: {}", what());
    assert!(plan.exact && plan.projected_bytes() <= memory, "{plan:?}");
    assert_eq!((progress.blocks_done, progress.blocks), (plan.blocks, plan.blocks));
    assert_eq!((progress.voxels_done, progress.nans), (expected.len() as u64, 0));
    if Source::<T>::layout(source).access == Access::Random {
        return 1.0;
    }
    let counts = source.counts();
    assert_eq!(progress.decodes, plan.totals.decodes, "{}", what());
    assert_eq!(counts.iter().sum::<u64>(), plan.totals.decodes, "{}", what());
    assert_eq!(counts.len() as u64, plan.totals.distinct, "{}", what());
    let layout = Source::<T>::layout(source);
    let chunk_bytes = count(layout.chunk) as u64 * layout.outer.largest_group() * size_of::<T>() as u64;
    assert!(source.buffers() * chunk_bytes <= plan.window_bytes, "{} buffers: {}", source.buffers(), what());
    if memory == AMPLE || layout.access == Access::Ascending {
        assert!(counts.iter().all(|&n| n == 1), "{counts:?}: {}", what());
    }
    plan.totals.amplification()
}

fn sweep<T: Voxel>(case: &Case, volumes_outside: &Outer, rng: &mut Rng) {
    let op = block_op::<T>(&case.request);
    let voxels = random_voxels::<T>(count(case.source_shape) * volumes_outside.volumes() as usize, rng);
    let expected = expected(&case.request, &voxels, case.source_shape);
    let mut amplification = 1.0f64;
    for layout in sources::<T>(case.source_shape, volumes_outside) {
        for target in targets::<T>(case, &layout) {
            for threads in [1, 2, 5] {
                let request = Request {
                    footprint: op.as_ref(),
                    source: &layout,
                    target: &target,
                    sample_bytes: size_of::<T>(),
                    budget: budget(0, threads),
                    todo: None,
                };
                let smallest = smallest_budget(&request);
                for memory in [smallest, smallest + rng.below(40 << 10), AMPLE] {
                    let source = Counted::new(MemorySource::new(layout.clone(), voxels.clone()));
                    let measured = check(&source, op.as_ref(), &target, memory, threads, &expected, case);
                    amplification = amplification.max(measured);
                }
            }
        }
    }
    // The tight budgets are tight enough to decode again; but a spline of order 5 looks at all of so small a volume from anywhere.
    let sees_all = matches!(case.request.method, Method::Kernel(shape) if shape.support() > 20.0);
    let passes_by = op.carrying().is_some();
    assert!(amplification > 1.0 || sees_all || passes_by || count(case.source_shape) < 500, "{case:?}");
}

#[test]
fn voxels_do_not_depend_on_storage_budget_or_threads() {
    for (n, case) in interesting().into_iter().enumerate() {
        within(120, move || sweep::<u16>(&case, &Outer::default(), &mut Rng::new(&format!("split {n}"))));
    }
}

#[test]
fn outer_axes_that_share_chunks_are_decoded_once_for_all() {
    let case = cases::resized(LINEAR, [11, 7, 13], [1, 0, 2], [0.7, -1.3, 0.9], 0.1);
    within(120, move || sweep::<f32>(&case, &outer(&[3, 5], &[2, 2]), &mut Rng::new("outer")));
}

#[test]
fn random_cases_on_random_storage() {
    within(120, || {
        let mut rng = Rng::new("random split");
        for _ in 0..150 {
            let kernel = *rng.one_of(&cases::kernels());
            let case = cases::random(kernel, &mut rng);
            let op = block_op::<i16>(&case.request);
            let voxels = random_voxels::<i16>(count(case.source_shape), &mut rng);
            let expected = expected(&case.request, &voxels, case.source_shape);
            let layout = rng.one_of(&sources::<i16>(case.source_shape, &Outer::default())).clone();
            let target = rng.one_of(&targets::<i16>(&case, &layout)).clone();
            let threads = rng.within(1, 5) as usize;
            let request = Request {
                footprint: op.as_ref(),
                source: &layout,
                target: &target,
                sample_bytes: 2,
                budget: budget(AMPLE, threads),
                todo: None,
            };
            assert!(Plan::new(&request).unwrap().totals.amplification() == 1.0);
            let smallest = smallest_budget(&request);
            let memory = smallest + rng.below(smallest);
            let source = Counted::new(MemorySource::new(layout, voxels));
            check(&source, op.as_ref(), &target, memory, threads, &expected, &case);
        }
    });
}

/// 64000 chunks under one block: looking through all of them for each decode would take hours.
#[test]
fn regression_work_on_a_block_grows_with_its_chunks_and_not_with_their_square() {
    within(100, || {
        let source_shape = [160, 160, 160];
        let case = cases::resized(LINEAR, source_shape, [0, 1, 2], [10.0; 3], 0.0);
        let op = block_op::<u8>(&case.request);
        let voxels = random_voxels::<u8>(count(source_shape), &mut Rng::new("many chunks"));
        let expected = expected(&case.request, &voxels, source_shape);
        let layout = volumes::layout(u8::DTYPE, source_shape, Access::Chunked, [4; 3]);
        let target = target_layout::<u8>(&case, &layout, Access::Chunked, [16; 3]);
        let source = Counted::new(MemorySource::new(layout, voxels));
        check(&source, op.as_ref(), &target, AMPLE, 3, &expected, &case);
    });
}

/// Each volume of a group is a step of its own: asking for all of them at each would take hours.
#[test]
fn regression_work_on_a_group_grows_with_its_volumes_and_not_with_their_square() {
    within(100, || {
        let together = outer(&[40_000], &[40_000]);
        let case = cases::resized(LINEAR, [1, 1, 3], [0, 1, 2], [1.0, 1.0, 0.5], 0.0);
        let op = block_op::<u8>(&case.request);
        let voxels = random_voxels::<u8>(3 * 40_000, &mut Rng::new("many volumes"));
        let expected = expected(&case.request, &voxels, [1, 1, 3]);
        let layout = Layout { outer: together, ..volumes::layout(u8::DTYPE, [1, 1, 3], Access::Chunked, [1, 1, 3]) };
        let target = target_layout::<u8>(&case, &layout, Access::Chunked, [1, 1, 6]);
        let source = MemorySource::new(layout, voxels);
        let sink = MemorySink::new(target);
        run_with(&source, op.as_ref(), &sink, budget(AMPLE, 3), &AtomicBool::new(false)).unwrap();
        assert!(sink.into_voxels() == expected);
    });
}
