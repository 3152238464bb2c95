//! Chunks that pass by: the same voxels as where all chunks of a block are held, in memory that does not grow with the reduction.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use crate::kit::{
    cases::{self, Case},
    counted::Counted,
    rng::Rng,
    runs::{AMPLE, StrictSink, budget, expected, run_with, smallest_budget, target_layout},
    timeout::within,
    volumes::{self, count, outer, random_voxels},
};
use reslice::{
    block::BlockMut,
    error::Result,
    io::{Fetched, Source, memory::MemorySource},
    layout::{Access, Layout, Outer},
    plan::{Plan, Request},
    region::Region,
    resample::{Area, KernelShape, Method, Outside, block_op},
    voxel::Voxel,
};

const SHAPE: [u64; 3] = [47, 61, 53];

fn request<'a, T: Voxel>(
    op: &'a dyn reslice::resample::BlockOp<T>,
    source: &'a Layout,
    target: &'a Layout,
    memory: u64,
    threads: usize,
) -> Request<'a> {
    Request { footprint: op, source, target, sample_bytes: size_of::<T>(), budget: budget(memory, threads), todo: None }
}

/// What takes chunks one after the other, stretched where it can be.
fn methods() -> Vec<Method> {
    let kernels = [
        KernelShape::Linear,
        KernelShape::CatmullRom,
        KernelShape::Lanczos { lobes: 3 },
        KernelShape::Gaussian { sigma: 0.83 },
        KernelShape::BSpline { order: 3 },
    ];
    let covers = Area::ALL.map(Method::Area);
    std::iter::once(Method::Nearest).chain(kernels.map(Method::Kernel)).chain(covers).collect()
}

fn reduced(method: Method, ratio: [f64; 3], permutation: [usize; 3], shift: f64) -> Case {
    let mut case = cases::resized(method, SHAPE, permutation, ratio, shift);
    case.request.antialias = method.stretches();
    case
}

/// Two kinds of targets, others for other `number`s.
fn targets<T: Voxel>(case: &Case, source: &Layout, number: usize) -> Vec<Layout> {
    let [_, ny, nx] = case.request.target_shape;
    let layout = |access, chunk| target_layout::<T>(case, source, access, chunk);
    let all = [
        layout(Access::Chunked, [3, 2, 4]),
        layout(Access::Chunked, [64; 3]),
        Layout { shard: Some([4, 6, 8]), ..layout(Access::Chunked, [2, 3, 4]) },
        layout(Access::Random, [1, 1, nx]),
        layout(Access::Ascending, [2, ny, nx]),
    ];
    [0, 2].map(|n| all[(number + n) % all.len()].clone()).to_vec()
}

/// Runs under several budgets; how many of the plans had chunks pass by.
fn check<T: Voxel>(case: &Case, chunk: [u64; 3], volumes_outside: &Outer, rng: &mut Rng) -> usize {
    let op = block_op::<T>(&case.request);
    let volumes = volumes_outside.volumes() as usize;
    let voxels = random_voxels::<T>(count(case.source_shape) * volumes, rng);
    let expected = expected(&case.request, &voxels, case.source_shape);
    let layout = volumes::layout(T::DTYPE, case.source_shape, Access::Chunked, chunk);
    let layout = Layout { outer: volumes_outside.clone(), ..layout };
    let mut passing = 0;
    for target in targets::<T>(case, &layout, rng.below(5) as usize) {
        for threads in [1, 3] {
            let smallest = smallest_budget(&request(op.as_ref(), &layout, &target, 0, threads));
            for memory in [smallest, smallest + rng.below(60 << 10), AMPLE] {
                let what = || format!("{memory} bytes, {threads} threads, {chunk:?} to {target:?}, {case:?}");
                let source = Counted::new(MemorySource::new(layout.clone(), voxels.clone()));
                let sink = StrictSink::new(target.clone());
                let (plan, progress) =
                    run_with(&source, op.as_ref(), &sink, budget(memory, threads), &AtomicBool::new(false))
                        .unwrap_or_else(|error| panic!("{error:?}: {}", what()));
                assert!(sink.into_voxels() == expected, "other voxels: {}", what());
                assert!(plan.projected_bytes() <= memory, "{plan:?}");
                let decodes: u64 = source.counts().iter().sum();
                assert_eq!((decodes, progress.decodes), (plan.totals.decodes, decodes), "{}", what());
                assert_eq!(source.counts().len() as u64, plan.totals.distinct, "{}", what());
                assert_eq!((progress.blocks_done, progress.blocks), (plan.blocks, plan.blocks), "{}", what());
                let chunk_bytes = count(Source::<T>::layout(&source).chunk) * size_of::<T>();
                let held = source.buffers() * chunk_bytes as u64 * volumes_outside.largest_group();
                assert!(held <= plan.window_bytes, "{} buffers: {}", source.buffers(), what());
                passing += usize::from(plan.passing);
            }
        }
    }
    passing
}

#[test]
fn voxels_are_those_of_blocks_whose_chunks_are_held() {
    for (n, method) in methods().into_iter().enumerate() {
        within(170, move || {
            let mut rng = Rng::new(&format!("passing {n}"));
            let mut passing = 0;
            for (ratio, permutation, shift) in [
                ([6.7, 9.3, 5.1], [0, 1, 2], 0.3),
                ([-11.0, 4.0, -7.9], [2, 0, 1], 0.0),
                ([3.0, 1.7, 12.6], [1, 2, 0], -2.6),
            ] {
                let case = reduced(method, ratio, permutation, shift);
                passing += check::<u16>(&case, [8, 7, 9], &Outer::default(), &mut rng);
                passing += check::<f32>(&case, [5, 16, 11], &Outer::default(), &mut rng);
            }
            assert!(passing > 0, "{method}: {passing} plans had chunks pass by");
        });
    }
}

/// Whole ratios, at which rows of more than eight taps and single taps stand side by side; sums in f64; an axis that is kept.
#[test]
fn whole_ratios_kept_axes_and_edges() {
    within(170, || {
        let mut rng = Rng::new("whole ratios");
        for method in methods() {
            let mut kept = reduced(method, [1.0, 8.0, 10.0], [0, 1, 2], 0.0);
            kept.request.outside = Outside::Edge;
            // A Gaussian smooths along the axis that is kept, and that comes last.
            let smooths = matches!(method, Method::Kernel(KernelShape::Gaussian { .. }));
            let passing = check::<f64>(&kept, [8, 8, 8], &Outer::default(), &mut rng);
            assert!(passing == 0 || !smooths, "{method}: {passing} plans had chunks pass by");
            check::<f64>(&reduced(method, [9.0, 12.0, 9.0], [0, 1, 2], 4.0), [6, 10, 7], &Outer::default(), &mut rng);
        }
    });
}

#[test]
fn volumes_that_share_chunks_pass_by_together() {
    within(170, || {
        let mut rng = Rng::new("passing volumes");
        let case = reduced(Method::Area(Area::Mean), [9.0, 7.5, 8.2], [0, 2, 1], 0.4);
        assert!(check::<u16>(&case, [9, 8, 7], &outer(&[3, 2], &[2, 2]), &mut rng) > 0);
    });
}

/// A source of which some chunks are absent.
struct Holed<T: Voxel> {
    source: MemorySource<T>,
    holes: HashSet<[u64; 3]>,
    fill: T,
    /// Chunks that were read voxel by voxel.
    read: AtomicU64,
}

impl<T: Voxel> Source<T> for Holed<T> {
    fn layout(&self) -> &Layout {
        self.source.layout()
    }

    fn read(&self, group: u64, into: BlockMut<'_, T>) -> Result<()> {
        self.read.fetch_add(1, Ordering::Relaxed);
        self.source.read(group, into)
    }

    fn fetch(&self, group: u64, region: Region) -> Result<Option<Fetched>> {
        let at = std::array::from_fn(|a| region.lo[a] as u64 / self.layout().chunk[a]);
        let stored = (!self.holes.contains(&at)).then(Vec::new);
        Ok(Some(Fetched::new(group, region, stored)))
    }

    fn read_absent(&self, fetched: &Fetched) -> Result<Option<T>> {
        Ok(fetched.stored.is_none().then_some(self.fill))
    }
}

/// Runs over a source of which about half of the chunks are absent; whether they passed by.
fn check_holes<T: Voxel>(case: &Case, chunk: [u64; 3], fill: T, rng: &mut Rng) -> bool {
    let op = block_op::<T>(&case.request);
    let layout = volumes::layout(T::DTYPE, case.source_shape, Access::Chunked, chunk);
    let mut voxels = random_voxels::<T>(count(case.source_shape), rng);
    let [nz, ny, nx] = layout.chunk_counts();
    let mut holes = HashSet::new();
    for number in 0..nz * ny * nx {
        let at = [number / (ny * nx), number / nx % ny, number % nx];
        // Whole neighbourhoods, and single ones.
        if (at[0] / 2 + at[1] / 2 + at[2] / 2) % 2 == 0 || rng.below(9) == 0 {
            holes.insert(at);
            let region = layout.chunk_region(at);
            let mut block = BlockMut::new(Region::of_shape(case.source_shape), 1, &mut voxels);
            for z in region.lo[0]..region.hi[0] {
                (region.lo[1]..region.hi[1]).for_each(|y| block.row(0, z, y, region.lo[2]..region.hi[2]).fill(fill));
            }
        }
    }
    let expected = expected(&case.request, &voxels, case.source_shape);
    let target = target_layout::<T>(case, &layout, Access::Chunked, [64; 3]);
    let memory = smallest_budget(&request(op.as_ref(), &layout, &target, 0, 2));
    let read = AtomicU64::new(0);
    let source = Holed { source: MemorySource::new(layout, voxels), holes, fill, read };
    let sink = StrictSink::new(target);
    let (plan, progress) = run_with(&source, op.as_ref(), &sink, budget(memory, 2), &AtomicBool::new(false)).unwrap();
    assert!(sink.into_voxels() == expected, "other voxels: fill {fill:?}, {chunk:?}, {case:?}");
    assert_eq!(progress.decodes, plan.totals.decodes, "absent chunks count as well");
    let read = source.read.into_inner();
    assert!(!plan.passing || read < progress.decodes * 3 / 4, "{read} of {} were read", progress.decodes);
    plan.passing
}

#[test]
fn absent_chunks_give_the_bits_of_chunks_that_are_all_fill() {
    for (n, method) in methods().into_iter().enumerate() {
        within(170, move || {
            let mut rng = Rng::new(&format!("holes {n}"));
            let mut passing = 0;
            for (ratio, permutation, shift) in
                [([6.7, 9.3, 5.1], [0, 1, 2], 0.3), ([-21.0, 14.0, -17.9], [2, 0, 1], 0.0)]
            {
                let case = reduced(method, ratio, permutation, shift);
                passing += usize::from(check_holes::<u16>(&case, [8, 7, 9], 0, &mut rng));
                passing += usize::from(check_holes::<u16>(&case, [5, 6, 4], 1207, &mut rng));
                passing += usize::from(check_holes::<f32>(&case, [4, 8, 3], 0.0, &mut rng));
                passing += usize::from(check_holes::<f32>(&case, [4, 8, 3], -0.1, &mut rng));
            }
            assert!(passing > 0, "{method}: no plan had chunks pass by");
        });
    }
}

/// A stronger reduction needs no more memory, but for the tables of its taps.
#[test]
fn memory_does_not_grow_with_the_reduction() {
    let smallest = |ratio: f64, method| {
        let shape = [4096, 4096, 4096];
        let mut case = cases::resized(method, shape, [0, 1, 2], [ratio; 3], 0.0);
        case.request.antialias = true;
        let op = block_op::<u16>(&case.request);
        let layout = volumes::layout(u16::DTYPE, shape, Access::Chunked, [64; 3]);
        let target = target_layout::<u16>(&case, &layout, Access::Chunked, [32; 3]);
        smallest_budget(&request(op.as_ref(), &layout, &target, 0, 2))
    };
    for method in [Method::Kernel(KernelShape::Linear), Method::Area(Area::Mean), Method::Area(Area::Max)] {
        let bytes: Vec<u64> = [8.0, 16.0, 64.0, 128.0].into_iter().map(|ratio| smallest(ratio, method)).collect();
        assert!(bytes.iter().all(|&strong| strong < bytes[0] + (64 << 10)), "{method}: {bytes:?}");
        assert!(bytes[0] < 8 << 20, "{method}: {bytes:?}");
    }
}

/// With room for the target and some chunks, each chunk is decoded once.
#[test]
fn one_column_decodes_each_chunk_once() {
    let shape = [1024, 1536, 1536];
    let mut case = cases::resized(Method::Kernel(KernelShape::Linear), shape, [0, 1, 2], [4.0, 6.0, 6.0], 0.0);
    case.request.antialias = true;
    let op = block_op::<u16>(&case.request);
    let layout = volumes::layout(u16::DTYPE, shape, Access::Chunked, [128; 3]);
    let target = target_layout::<u16>(&case, &layout, Access::Chunked, [64; 3]);
    let plan = Plan::new(&request(op.as_ref(), &layout, &target, 48 << 20, 2)).unwrap();
    assert!(plan.passing && plan.exact, "{plan:?}");
    assert_eq!((plan.totals.decodes, plan.totals.distinct), (1152, 1152));
}
