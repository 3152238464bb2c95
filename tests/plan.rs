//! The plan: blocks tile the target, every chunk is there when it is needed, and the numbers are true.

#[path = "kit/kit.rs"]
mod kit;

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use kit::{
    cases::{self, Case},
    rng::Rng,
    runs::{AMPLE, budget, smallest_budget, target_layout},
    timeout::within,
    volumes,
};
use proptest::{prelude::*, test_runner::RngSeed};
use reslice::{
    io::{Access, Layout},
    plan::{Chunk, Plan, PlanError, Request, Touch},
    region::Region,
    resample::{BlockOp, KernelShape, Method, block_op},
    voxel::Dtype,
};

/// Everything a plan is made from, owned.
struct Setting {
    case: Case,
    op: Box<dyn BlockOp<u16>>,
    source: Layout,
    target: Layout,
}

impl Setting {
    fn new(case: Case, source: Layout, target: Layout) -> Setting {
        let op = block_op::<u16>(&case.request);
        Setting { case, op, source, target }
    }

    fn random(rng: &mut Rng) -> Setting {
        let kernel = *rng.one_of(&cases::kernels());
        let case = cases::random(kernel, rng);
        let chunk = |shape: [u64; 3], access, rng: &mut Rng| match access {
            Access::Chunked => shape.map(|n| rng.within(n.div_ceil(5), n)),
            _ if rng.below(2) == 0 => [1, rng.within(1, shape[1]), shape[2]],
            _ => [rng.within(1, shape[0]), shape[1], shape[2]],
        };
        let accesses = [Access::Random, Access::Chunked, Access::Chunked, Access::Ascending];
        let (from, to) = (*rng.one_of(&accesses), *rng.one_of(&accesses));
        let source_chunk = chunk(case.source_shape, from, rng);
        let mut source = volumes::layout(Dtype::U16, case.source_shape, from, source_chunk);
        if rng.below(3) == 0 {
            let together = if from == Access::Chunked { rng.within(1, 2) } else { 1 };
            source.outer = volumes::outer(&[rng.within(1, 3), rng.within(1, 3)], &[together, together]);
        }
        let target_chunk = chunk(case.request.target_shape, to, rng);
        let mut target = target_layout::<u16>(&case, &source, to, target_chunk);
        if to == Access::Chunked && rng.below(2) == 0 {
            target.shard = Some(target.chunk.map(|n| n * rng.within(1, 3)));
        }
        Setting::new(case, source, target)
    }

    fn request(&self, memory_bytes: u64, threads: usize) -> Request<'_> {
        Request {
            footprint: self.op.as_ref(),
            source: &self.source,
            target: &self.target,
            sample_bytes: 2,
            budget: budget(memory_bytes, threads),
            todo: None,
        }
    }

    fn describe(&self) -> String {
        format!("{:?} to {:?}, {:?}", self.source, self.target, self.case)
    }
}

/// What walking a plan to its end showed.
struct Walked {
    /// Chunks of each block, in order.
    uses: Vec<Vec<Chunk>>,
    decodes: u64,
}

/// Walks a plan as the pipeline would and checks every promise of its steps.
fn simulate(setting: &Setting, plan: &Plan, touch: &Touch) -> Walked {
    let mut walk = plan.walk(touch);
    let mut held: HashMap<Chunk, u64> = HashMap::new();
    let mut seen: HashSet<(u64, Region)> = HashSet::new();
    let mut walked = Walked { uses: Vec::new(), decodes: 0 };
    let (mut voxels, mut last) = (0, None);
    let capacity = plan.window_bytes / touch.chunk_bytes;
    let what = setting.describe();
    while let Some(step) = walk.step().unwrap_or_else(|_| panic!("left the plan: {what}")) {
        assert_eq!(step.number, walked.uses.len() as u64);
        assert!(seen.insert((step.volume, step.region)), "{} twice: {what}", step.region);
        assert!(!step.region.is_empty() && touch.target.contains(&step.region), "{}: {what}", step.region);
        for a in 0..3 {
            let unit = setting.target.chunk[a] as i64;
            let ends = step.region.hi[a] % unit == 0 || step.region.hi[a] == touch.target.hi[a];
            assert!(step.region.lo[a] % unit == 0 && ends, "{} cuts a write unit: {what}", step.region);
        }
        voxels += step.region.voxels();
        assert_eq!(setting.source.outer.locate(step.volume), (step.group, step.member as usize));
        for chunk in &step.frees {
            let last_use = held.remove(chunk).unwrap_or_else(|| panic!("{chunk:?} freed, not held: {what}"));
            assert!(last_use + plan.workers.gate <= step.number, "{chunk:?} freed while pinned: {what}");
        }
        for &chunk in &step.loads {
            assert!(held.insert(chunk, step.number).is_none(), "{chunk:?} loaded, but held: {what}");
            if setting.source.access == Access::Ascending {
                assert!(last < Some(chunk), "{chunk:?} after {last:?}: {what}");
                last = Some(chunk);
            }
        }
        assert!(held.len() as u64 <= capacity, "{} chunks held, not {capacity}: {what}", held.len());
        let uses: Vec<Chunk> = step.chunks.iter().map(|at| Chunk { group: step.group, at }).collect();
        for chunk in &uses {
            *held.get_mut(chunk).unwrap_or_else(|| panic!("{chunk:?} is needed, not held: {what}")) = step.number;
        }
        if setting.source.access != Access::Random {
            let needed = setting.op.source_region(step.region);
            let hull = uses.iter().fold(Region::EMPTY, |hull, c| hull.hull(&setting.source.chunk_region(c.at)));
            assert!(hull.contains(&needed), "{needed} is not in the chunks of {}: {what}", step.region);
        }
        walked.decodes += step.loads.len() as u64;
        walked.uses.push(uses);
    }
    assert_eq!(voxels, touch.target.voxels() * setting.target.outer.volumes(), "{what}");
    assert_eq!((seen.len() as u64, walked.decodes), (plan.blocks, plan.totals.decodes), "{what}");
    assert_eq!(touch.needed_chunks(), plan.totals.distinct, "{what}");
    walked
}

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
    let request = setting.request(memory, threads);
    let plan = Plan::new(&request).unwrap_or_else(|e| panic!("{e:?}: {}", setting.describe()));
    assert!(plan.projected_bytes() <= memory, "{plan:?}: {}", setting.describe());
    assert!(plan.exact && (1..=threads).contains(&plan.workers.count), "{plan:?}");
    let touch = plan.touch(&request);
    let walked = simulate(setting, &plan, &touch);
    if setting.source.access == Access::Chunked
        && let Some(lru) = lru_decodes(&walked.uses, plan.window_bytes / touch.chunk_bytes, plan.workers.gate)
    {
        assert!(walked.decodes <= lru, "{} decodes, {lru} by LRU: {}", walked.decodes, setting.describe());
    }
    plan
}

fn config() -> ProptestConfig {
    let seed = kit::rng::seed();
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
    fn more_memory_never_costs_more(seed in any::<u64>(), threads in 1usize..3) {
        let setting = Setting::random(&mut Rng::of(seed));
        let smallest = smallest_budget(&setting.request(0, threads));
        let mut last = f64::INFINITY;
        for more in [0, 2 << 10, 5 << 10, 11 << 10, 23 << 10, 64 << 10, 700 << 10] {
            let plan = Plan::new(&setting.request(smallest + more, threads)).unwrap();
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
