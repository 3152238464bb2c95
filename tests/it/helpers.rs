//! Blocks filled by more threads than there are workers: the same voxels and counts, the first error, memory as planned.

use std::sync::atomic::AtomicBool;

use crate::kit::{
    cases::{self, Case},
    faulty::{Fault, FaultyOp, FaultySource, INJECTED, Trigger},
    rng::Rng,
    runs::{StrictSink, budget, expected, run_with, smallest_budget, target_layout},
    timeout::within,
    volumes::{self, count, random_voxels},
};
use reslice::{
    error::{Error, Result},
    geometry::{Affine, Mapping},
    io::memory::MemorySource,
    layout::{Access, Layout},
    pipeline::Progress,
    plan::{Plan, Request},
    resample::{Area, KernelShape, Method, block_op},
    voxel::Voxel,
};

const SHAPE: [u64; 3] = [70, 80, 90];
const THREADS: usize = 4;

fn cases() -> Vec<Case> {
    let cubic = Method::Kernel(KernelShape::CatmullRom);
    let mut turned = cases::identity(cubic, SHAPE);
    let m = [[0.8, -0.3, 0.1, 4.1], [0.3, 0.9, -0.2, 1.7], [-0.1, 0.2, 1.0, -2.3]];
    turned.request.mapping = Mapping::Affine(Affine { m });
    vec![
        cases::resized(cubic, SHAPE, [0, 1, 2], [0.9, 0.8, 0.7], 0.3),
        cases::resized(Method::Kernel(KernelShape::BSpline { order: 3 }), SHAPE, [2, 0, 1], [0.8, -0.9, 0.7], 0.2),
        cases::resized(Method::Area(Area::Mode), SHAPE, [0, 2, 1], [0.9, 0.8, 0.9], 0.1),
        turned,
    ]
}

fn layouts<T: Voxel>(case: &Case) -> [(Layout, Layout); 2] {
    let [_, _, nx] = case.source_shape;
    [(Access::Random, [1, 1, nx]), (Access::Chunked, [40, 40, 40])].map(|(access, chunk)| {
        let source = volumes::layout(T::DTYPE, case.source_shape, access, chunk);
        let target = target_layout::<T>(case, &source, Access::Chunked, [128; 3]);
        (source, target)
    })
}

/// A budget in which one block has room, and pieces of it for more threads.
fn room_for_one_block<T: Voxel>(case: &Case, source: &Layout, target: &Layout) -> u64 {
    let op = block_op::<T>(&case.request);
    let request = |memory_bytes| Request {
        footprint: op.as_ref(),
        source,
        target,
        sample_bytes: size_of::<T>(),
        budget: budget(memory_bytes, THREADS),
        todo: None,
    };
    let smallest = smallest_budget(&request(0));
    let mut budgets = (0..8).map(|n| smallest + smallest * n / 8);
    let helped = budgets.find(|&memory| Plan::new(&request(memory)).is_ok_and(|plan| plan.helpers > 0));
    helped.unwrap_or_else(|| panic!("no helpers from {smallest} bytes on: {source:?}, {case:?}"))
}

fn counts(progress: &Progress) -> [u64; 6] {
    let p = progress;
    [p.blocks_done, p.voxels_done, p.decodes, p.outside, p.clipped_below, p.clipped_above]
}

#[test]
fn voxels_and_counts_do_not_depend_on_who_fills_a_block() {
    within(120, || {
        for case in cases() {
            let mut rng = Rng::new("helpers");
            let voxels = random_voxels::<u8>(count(case.source_shape), &mut rng);
            let (op, expected) = (block_op::<u8>(&case.request), expected(&case.request, &voxels, case.source_shape));
            for (source, target) in layouts::<u8>(&case) {
                let memory = room_for_one_block::<u8>(&case, &source, &target);
                let source = MemorySource::new(source, voxels.clone());
                let run = |threads| {
                    let sink = StrictSink::new(target.clone());
                    let budget = budget(memory, threads);
                    let (plan, progress) =
                        run_with(&source, op.as_ref(), &sink, budget, &AtomicBool::new(false)).unwrap();
                    assert!(sink.into_voxels() == expected, "{threads} threads: {plan:?}, {case:?}");
                    (plan, progress)
                };
                let ((alone, of_one), (helped, of_many)) = (run(1), run(THREADS));
                assert!(alone.helpers == 0 && helped.helpers > 0);
                assert!(helped.helpers + helped.workers.count <= THREADS, "{helped:?}");
                assert!(helped.projected_bytes() <= memory, "{helped:?}");
                assert_eq!(counts(&of_one), counts(&of_many), "{case:?}");
            }
        }
    });
}

fn run_faulty(read: Fault, apply: Fault, stop_at: Option<u64>) -> Result<()> {
    let case = &cases()[0];
    let voxels = random_voxels::<f32>(count(case.source_shape), &mut Rng::new("helpers that fail"));
    let [(source, target), _] = layouts::<f32>(case);
    let memory = room_for_one_block::<f32>(case, &source, &target);
    let (op, source) = (block_op::<f32>(&case.request), MemorySource::new(source, voxels));
    let stop = AtomicBool::new(false);
    let source = FaultySource { inner: &source, read: Trigger::new(read), stop: stop_at.map(|call| (call, &stop)) };
    let op = FaultyOp { inner: op.as_ref(), apply: Trigger::new(apply) };
    run_with(&source, &op, &StrictSink::new(target), budget(memory, THREADS), &stop).map(drop)
}

#[test]
fn what_goes_wrong_in_any_piece_ends_the_run() {
    for call in [0, 1, 2, 5] {
        let failed = within(60, move || run_faulty(Fault::Fail(call), Fault::None, None));
        let Err(Error::Read { source, .. }) = failed else { panic!("{failed:?}") };
        assert_eq!(source.to_string(), INJECTED);
        let panicked = within(60, move || run_faulty(Fault::None, Fault::Panic(call), None));
        assert!(matches!(&panicked, Err(Error::Panic { message }) if message == INJECTED), "{panicked:?}");
        let stopped = within(60, move || run_faulty(Fault::Stall(400_000), Fault::None, Some(call)));
        assert!(matches!(stopped, Err(Error::Stopped { .. })), "{stopped:?}");
    }
}
