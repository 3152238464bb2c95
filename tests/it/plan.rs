//! The plan: blocks tile the target, every chunk is there when it is needed, and the numbers are true.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::kit::{
    cases,
    plans::{Setting, left, simulate},
    rng::Rng,
    runs::{AMPLE, smallest_budget, target_layout},
    timeout::within,
    volumes,
};
use proptest::{prelude::*, test_runner::RngSeed};
use reslice::{
    error::PlanError,
    layout::Access,
    plan::{Budget, Chunk, Plan, Request},
    resample::{KernelShape, Method},
    voxel::Dtype,
};

/// Decodes of the same schedule with a window of the same size that lets the least recently used chunk go.
fn lru_decodes(uses: &[Vec<Chunk>], capacity: u64, gate: u64) -> Option<u64> {
    let mut held: HashMap<Chunk, u64> = HashMap::new();
    let mut decodes = 0;
    for (number, chunks) in uses.iter().enumerate() {
        let number = number as u64;
        for chunk in chunks {
            decodes += u64::from(held.insert(*chunk, number).is_none());
        }
        while held.len() as u64 > capacity {
            let (&oldest, &used) = held.iter().min_by_key(|(chunk, used)| (**used, **chunk))?;
            if used + gate > number {
                return None;
            }
            held.remove(&oldest);
        }
    }
    Some(decodes)
}

fn check_plan(setting: &Setting, memory: u64, threads: usize) -> Plan {
    check_request(setting, &setting.request(memory, threads))
}

fn check_request(setting: &Setting, request: &Request<'_>) -> Plan {
    let Budget { memory_bytes: memory, threads, .. } = request.budget;
    let plan = Plan::new(request).unwrap_or_else(|e| panic!("{e:?}: {}", setting.describe()));
    assert!(plan.projected_bytes() <= memory, "{plan:?}: {}", setting.describe());
    assert!(plan.exact && (1..=threads).contains(&plan.workers.count), "{plan:?}");
    let touch = plan.touch(request);
    if touch.todo.is_everything() {
        assert_eq!(touch.needed_chunks(), plan.totals.distinct, "{}", setting.describe());
    }
    let walked = simulate(setting, &plan, &touch);
    if setting.source.access == Access::Chunked
        && !plan.passing
        && let Some(lru) = lru_decodes(&walked.uses, plan.window_bytes / touch.chunk_bytes, plan.workers.gate)
    {
        assert!(walked.decodes <= lru, "{} decodes, {lru} by LRU: {}", walked.decodes, setting.describe());
    }
    plan
}

fn config() -> ProptestConfig {
    let seed = crate::kit::rng::seed();
    eprintln!("RESLICE_SEED={seed}");
    ProptestConfig {
        cases: 200,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_plan_that_tiles_or_a_refusal_that_tells_the_truth(
        seed in any::<u64>(), threads in 1usize..6, more in 0.0f64..1.0,
    ) {
        let setting = Setting::random(&mut Rng::of(seed));
        let smallest = smallest_budget(&setting.request(0, threads));
        let refused = Plan::new(&setting.request(smallest - 1, threads));
        prop_assert!(
            matches!(refused, Err(PlanError::TooSmall { smallest_bytes, .. }) if smallest_bytes == smallest),
            "{:?} with one byte less than {}: {}", refused, smallest, setting.describe()
        );
        check_plan(&setting, smallest, threads);
        check_plan(&setting, smallest + (more * 50_000.0) as u64, threads);
        let ample = check_plan(&setting, AMPLE, threads);
        prop_assert_eq!(ample.totals.amplification(), 1.0);
    }

    #[test]
    fn ranks_make_everything_once_and_nothing_that_is_done(
        seed in any::<u64>(), of in 1u64..7, threads in 1usize..4, more in 0u64..50_000,
    ) {
        let rng = &mut Rng::of(seed);
        let setting = Setting::random(rng);
        for share in setting.shares(of) {
            let todo = left(&setting, Some(&share), setting.random_done(rng));
            let ample = check_request(&setting, &Request { todo: Some(&todo), ..setting.request(AMPLE, threads) });
            prop_assert_eq!(ample.totals.amplification(), 1.0);
            let smallest = smallest_budget(&Request { todo: Some(&todo), ..setting.request(0, threads) });
            for memory in [smallest, smallest + more] {
                check_request(&setting, &Request { todo: Some(&todo), ..setting.request(memory, threads) });
            }
        }
    }

    #[test]
    fn more_memory_never_costs_more(seed in any::<u64>(), threads in 1usize..3) {
        let setting = Setting::random(&mut Rng::of(seed));
        let smallest = smallest_budget(&setting.request(0, threads));
        let (mut last, mut passing) = (f64::INFINITY, false);
        for more in [0, 2 << 10, 5 << 10, 11 << 10, 23 << 10, 64 << 10, 700 << 10] {
            let plan = Plan::new(&setting.request(smallest + more, threads)).unwrap();
            if passing && !plan.passing {
                // Chunks are held as soon as that decodes next to nothing twice, or is not much dearer.
                last = f64::INFINITY;
            }
            passing = plan.passing;
            prop_assert!(plan.cost <= last * (1.0 + 1e-9), "{} after {last} at +{more}: {}", plan.cost, setting.describe());
            last = plan.cost;
        }
    }
}

/// 1.5 times as many voxels per axis, from chunks of `chunk` to chunks of 64.
fn large(shape: [u64; 3], access: Access, chunk: [u64; 3]) -> Setting {
    let case = cases::resized(Method::Kernel(KernelShape::Linear), shape, [0, 1, 2], [0.8, 0.8, 0.8], 0.0);
    let source = volumes::layout(Dtype::U16, shape, access, chunk);
    let target = target_layout::<u16>(&case, &source, Access::Chunked, [64; 3]);
    Setting::new(case, source, target)
}

fn timed(setting: &Setting, memory: u64, seconds: u64) -> Plan {
    let begun = Instant::now();
    let plan = Plan::new(&setting.request(memory, 2)).unwrap();
    let took = begun.elapsed();
    eprintln!("{:?}: {took:?}, {} blocks, exact {}", setting.case.source_shape, plan.blocks, plan.exact);
    assert!(took < Duration::from_secs(seconds), "planning took {took:?}");
    assert!(plan.projected_bytes() <= memory);
    plan
}

#[test]
fn large_volumes_plan_in_seconds() {
    within(120, || {
        let chunked = large([640, 896, 896], Access::Chunked, [128; 3]);
        assert_eq!(timed(&chunked, 256 << 20, 30).totals.amplification(), 1.0);
        timed(&large([10_000; 3], Access::Chunked, [64; 3]), 8 << 30, 30);
    });
}

/// The first stretch of a long schedule was taken for all of it: deeper down, blocks need two layers of chunks.
#[test]
fn regression_long_plans_can_be_walked() {
    within(60, || {
        walk_all(Access::Chunked, false);
        // A stream cannot be read again, so its schedule is walked whole beforehand.
        walk_all(Access::Ascending, true);
    });
}

/// Walks a plan of 122 500 blocks to its end.
fn walk_all(access: Access, exact: bool) {
    let shape = [24, 1400, 1400];
    let case = cases::resized(Method::Kernel(KernelShape::Linear), shape, [0, 1, 2], [1.0, 1.0, 1.0], 0.25);
    let chunk = if access == Access::Chunked { [8, 56, 56] } else { [8, 1400, 1400] };
    let source = volumes::layout(Dtype::U16, shape, access, chunk);
    let mut target = target_layout::<u16>(&case, &source, Access::Chunked, [4, 4, 4]);
    target.shard = Some([4, 4, 4]);
    let setting = Setting::new(case, source, target);
    let request = setting.request(256 << 20, 1);
    let plan = Plan::new(&request).unwrap();
    assert_eq!(plan.exact, exact, "{access:?}");
    let touch = plan.touch(&request);
    let mut walk = plan.walk(&touch);
    let mut blocks = 0;
    while walk.step().unwrap_or_else(|_| panic!("left the plan at block {blocks}: {plan:?}")).is_some() {
        blocks += 1;
    }
    assert_eq!(blocks, plan.blocks);
}
