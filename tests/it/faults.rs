//! Sources, ops and sinks that stall, fail or panic: the run ends, in time, with the first error.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::kit::{
    cases::{self, Case},
    faulty::{Fault, FaultyOp, FaultySink, FaultySource, INJECTED, Trigger},
    rng::Rng,
    runs::{AMPLE, StrictSink, budget, expected, run_with, smallest_budget, target_layout},
    timeout::within,
    volumes::{self, count, random_voxels},
};
use reslice::{
    error::{Error, Result},
    io::{Sink, Source, memory::MemorySource},
    layout::{Access, Layout},
    pipeline::{Pass, run},
    plan::{Budget, Plan, Request},
    resample::{KernelShape, Method, block_op},
};

/// Where a fault is put.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Read,
    Apply,
    Encode,
    Put,
    Finish,
}

const STAGES: [Stage; 5] = [Stage::Read, Stage::Apply, Stage::Encode, Stage::Put, Stage::Finish];

fn case() -> Case {
    cases::resized(Method::Kernel(KernelShape::Linear), [11, 13, 17], [0, 1, 2], [0.7, 0.9, 0.6], 0.3)
}

/// Every combination of ways to reach source and target.
fn storages(case: &Case) -> Vec<(Layout, Layout)> {
    let [_, ny, nx] = case.source_shape;
    let [_, my, mx] = case.request.target_shape;
    let sources = [
        (Access::Random, [1, 1, nx]),
        (Access::Chunked, [4, 5, 6]),
        (Access::Ascending, [1, 5, nx]),
        (Access::Ascending, [2, ny, nx]),
    ];
    let targets = [
        (Access::Random, [1, 1, mx]),
        (Access::Chunked, [5, 6, 9]),
        (Access::Ascending, [1, 4, mx]),
        (Access::Ascending, [1, my, mx]),
    ];
    let mut storages = Vec::new();
    for (access, chunk) in sources {
        let source = volumes::layout(reslice::voxel::Dtype::F32, case.source_shape, access, chunk);
        for (access, chunk) in targets {
            storages.push((source.clone(), target_layout::<f32>(case, &source, access, chunk)));
        }
    }
    storages
}

/// One run with one fault.
struct Outcome {
    result: Result<()>,
    finishes: u64,
    /// Calls of the stage that the fault was put in.
    calls: u64,
    voxels: Vec<f32>,
}

/// A tight budget: small blocks, small windows, a narrow gate.
fn tight(case: &Case, source: &Layout, target: &Layout, threads: usize) -> Budget {
    let op = block_op::<f32>(&case.request);
    let request =
        Request { footprint: op.as_ref(), source, target, sample_bytes: 4, budget: budget(0, threads), todo: None };
    // Half a MiB for each worker beyond the first, and some for blocks.
    budget(smallest_budget(&request) + (threads as u64 - 1) * (700 << 10), threads)
}

fn run_faulty(
    case: &Case,
    voxels: &[f32],
    (source, target): &(Layout, Layout),
    budget: Budget,
    fault: (Stage, Fault),
    stop_at: Option<u64>,
) -> Outcome {
    let trigger = |stage| Trigger::new(if fault.0 == stage { fault.1 } else { Fault::None });
    let op = block_op::<f32>(&case.request);
    let memory = MemorySource::new(source.clone(), voxels.to_vec());
    let strict = StrictSink::<f32>::new(target.clone());
    let stop = AtomicBool::new(false);
    let source = FaultySource { inner: &memory, read: trigger(Stage::Read), stop: stop_at.map(|call| (call, &stop)) };
    let op = FaultyOp { inner: op.as_ref(), apply: trigger(Stage::Apply) };
    let sink = FaultySink {
        inner: &strict,
        encode: trigger(Stage::Encode),
        put: trigger(Stage::Put),
        finish: trigger(Stage::Finish),
    };
    let result = run_with(&source, &op, &sink, budget, &stop).map(drop);
    let calls = match fault.0 {
        Stage::Read => source.read.calls(),
        Stage::Apply => op.apply.calls(),
        Stage::Encode => sink.encode.calls(),
        Stage::Put => sink.put.calls(),
        Stage::Finish => sink.finish.calls(),
    };
    let finishes = sink.finish.calls();
    let voxels = if result.is_ok() { strict.into_voxels() } else { Vec::new() };
    Outcome { result, finishes, calls, voxels }
}

/// The message of an error and all of its causes.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

#[test]
fn stalls_change_nothing() {
    within(60, || {
        let mut rng = Rng::new("stalls");
        let case = case();
        let voxels = random_voxels::<f32>(count(case.source_shape), &mut rng);
        let expected = expected(&case.request, &voxels, case.source_shape);
        for storage in storages(&case) {
            for stage in STAGES {
                let threads = rng.within(1, 5) as usize;
                let budget = tight(&case, &storage.0, &storage.1, threads);
                let outcome = run_faulty(&case, &voxels, &storage, budget, (stage, Fault::Stall(400)), None);
                assert!(outcome.result.is_ok(), "{:?} at {stage:?}", outcome.result);
                assert!(outcome.voxels == expected && outcome.finishes == 1, "{stage:?} {storage:?}");
            }
        }
    });
}

#[test]
fn failures_and_panics_end_the_run_with_their_own_error() {
    let mut rng = Rng::new("faults");
    let case = case();
    let voxels = random_voxels::<f32>(count(case.source_shape), &mut rng);
    for storage in storages(&case) {
        for stage in STAGES {
            for threads in 1..=5 {
                let ample = budget(AMPLE, threads);
                let budget = *rng.one_of(&[tight(&case, &storage.0, &storage.1, threads), ample]);
                let call = if stage == Stage::Finish { 0 } else { rng.below(6) };
                let fault = *rng.one_of(&[Fault::Fail(call), Fault::Panic(call)]);
                if (stage, fault) == (Stage::Finish, Fault::Panic(0)) {
                    continue;
                }
                let (case, voxels, storage) = (case.clone(), voxels.clone(), storage.clone());
                let what = format!("{fault:?} at {stage:?}, {budget:?}, {storage:?}");
                let outcome = within(5, move || run_faulty(&case, &voxels, &storage, budget, (stage, fault), None));
                if outcome.calls <= call {
                    assert!(outcome.result.is_ok(), "{what}: {:?}", outcome.result);
                    continue;
                }
                let error = outcome.result.expect_err(&what);
                assert!(chain(&error).contains(INJECTED), "{what}: {}", chain(&error));
                let fits = match (stage, fault) {
                    (_, Fault::Panic(_)) | (Stage::Apply, _) => matches!(error, Error::Panic { .. }),
                    (Stage::Read, _) => matches!(error, Error::Read { .. }),
                    (Stage::Finish, _) => matches!(error, Error::Usage { .. }),
                    _ => matches!(error, Error::Write { .. }),
                };
                assert!(fits, "{what}: {error:?}");
                assert_eq!(outcome.finishes, u64::from(stage == Stage::Finish), "{what}");
            }
        }
    }
}

#[test]
fn a_stop_in_the_middle_ends_the_run() {
    let mut rng = Rng::new("stop");
    let case = case();
    let voxels = random_voxels::<f32>(count(case.source_shape), &mut rng);
    for storage in storages(&case) {
        for threads in [1, 3, 5] {
            let budget = tight(&case, &storage.0, &storage.1, threads);
            let (case, voxels, storage) = (case.clone(), voxels.clone(), storage.clone());
            let what = format!("{storage:?}");
            // Slow enough that the request to stop comes before the end.
            let outcome = within(20, move || {
                run_faulty(&case, &voxels, &storage, budget, (Stage::Put, Fault::Stall(15_000)), Some(1))
            });
            match outcome.result {
                Err(Error::Stopped { blocks_done, blocks }) => {
                    assert!(blocks_done <= blocks);
                    assert_eq!(outcome.finishes, 0, "{what}");
                }
                // A run of a few blocks can be over before anybody looks.
                Ok(()) => assert_eq!(outcome.finishes, 1, "{what}"),
                Err(error) => panic!("{error:?}: {what}"),
            }
        }
    }
}

#[test]
fn a_stop_before_the_start_writes_no_end() {
    within(20, || {
        let case = case();
        let voxels = vec![1.0; count(case.source_shape)];
        for (source, target) in storages(&case) {
            let op = block_op::<f32>(&case.request);
            let memory = MemorySource::new(source, voxels.clone());
            let slow = FaultySource { inner: &memory, read: Trigger::new(Fault::Stall(250_000)), stop: None };
            let strict = StrictSink::<f32>::new(target);
            let none = || Trigger::new(Fault::None);
            let sink = FaultySink { inner: &strict, encode: none(), put: none(), finish: none() };
            let stop = AtomicBool::new(true);
            let result = run_with(&slow, op.as_ref(), &sink, budget(AMPLE, 2), &stop);
            assert!(matches!(result, Err(Error::Stopped { .. })), "{result:?}");
            assert_eq!(sink.finish.calls(), 0);
        }
    });
}

#[test]
fn a_panic_in_on_progress_ends_the_run() {
    for threads in 1..=5 {
        within(10, move || {
            let case = case();
            let voxels = vec![1.0f32; count(case.source_shape)];
            for (source, target) in storages(&case) {
                let budget = tight(&case, &source, &target, threads);
                let op = block_op::<f32>(&case.request);
                let source = MemorySource::new(source, voxels.clone());
                let sink = StrictSink::<f32>::new(target);
                let request = Request {
                    footprint: op.as_ref(),
                    source: source.layout(),
                    target: sink.layout(),
                    sample_bytes: 4,
                    budget,
                    todo: None,
                };
                let plan = Plan::new(&request).unwrap();
                let touch = plan.touch(&request);
                let pass = Pass {
                    plan: &plan,
                    touch: &touch,
                    source: &source,
                    op: op.as_ref(),
                    sink: &sink,
                    fields: &[],
                    coarser: None,
                };
                let stop = AtomicBool::new(false);
                let ended = catch_unwind(AssertUnwindSafe(|| run(&pass, &stop, |_| panic!("no progress today"))));
                assert!(ended.is_err());
                assert!(!stop.load(Ordering::Relaxed));
            }
        });
    }
}
