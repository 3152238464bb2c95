//! Plans of large volumes: few decodes under tight budgets, and petabytes in seconds.

#[path = "../kit/kit.rs"]
mod kit;

use std::time::{Duration, Instant};

use kit::{cases, runs::target_layout, timeout::within, volumes};
use reslice::{
    geometry::AxisMap,
    layout::{Access, Layout},
    plan::{Budget, Plan, Request},
    resample::{BlockOp, KernelShape, Method, block_op},
    sys,
    voxel::Dtype,
};

const MIB: u64 = 1 << 20;

/// A job on u16 chunks, with what a process and blosc-zstd take.
struct Job {
    op: Box<dyn BlockOp<u16>>,
    source: Layout,
    target: Layout,
}

impl Job {
    /// `ratio` source steps per target step, both grids aligned at their outer edges.
    fn new(shape: [u64; 3], chunk: [u64; 3], ratio: [f64; 3], target: ([u64; 3], Option<[u64; 3]>)) -> Job {
        let maps = [0, 1, 2].map(|a| AxisMap { source_axis: a, scale: ratio[a], offset: (ratio[a] - 1.0) / 2.0 });
        let target_shape = [0, 1, 2].map(|a| (shape[a] as f64 / ratio[a]).round() as u64);
        let request = cases::request(Method::Kernel(KernelShape::Linear), maps, target_shape, shape);
        let case = cases::Case { request, source_shape: shape };
        let mut source = volumes::layout(Dtype::U16, shape, Access::Chunked, chunk);
        let (chunk, shard) = target;
        let mut target = target_layout::<u16>(&case, &source, Access::Chunked, chunk);
        let bytes = |chunk: [u64; 3]| 2 * chunk.iter().product::<u64>();
        source.transfer_bytes = 2 * bytes(source.chunk) + 3 * MIB;
        target.transfer_bytes = 2 * bytes(chunk) + 5 * MIB;
        target.shard = shard;
        target.resident_bytes = if shard.is_some() { (4 * bytes(chunk)).min(16 * MIB) + MIB } else { 0 };
        Job { op: block_op::<u16>(&case.request), source, target }
    }

    fn request(&self, memory_bytes: u64) -> Request<'_> {
        Request {
            footprint: self.op.as_ref(),
            source: &self.source,
            target: &self.target,
            sample_bytes: 2,
            budget: Budget::new(memory_bytes, 2, 10 * MIB),
            todo: None,
        }
    }
}

/// 4.8 GB in chunks of 128 to 0.8 and 1.6 times their step.
fn microscopy(chunk: [u64; 3], shard: Option<[u64; 3]>) -> Job {
    Job::new([1024, 1536, 1536], [128; 3], [0.8, 1.6, 1.6], (chunk, shard))
}

/// The plan, its time told.
fn planned(job: &Job, memory_bytes: u64) -> Plan {
    let begun = Instant::now();
    let plan = Plan::new(&job.request(memory_bytes)).unwrap();
    eprintln!(
        "{:?} voxels in chunks of {:?}, {} MiB: {:.2?}, amplification {:.3}{}, blocks {:?}, window {} MiB, peak so far {} MiB",
        job.source.grid.shape,
        job.source.chunk,
        memory_bytes / MIB,
        begun.elapsed(),
        plan.totals.amplification(),
        if plan.exact { "" } else { " or so" },
        plan.block,
        plan.window_bytes / MIB,
        sys::resident().peak_bytes / MIB
    );
    assert!(plan.projected_bytes() <= memory_bytes, "{plan:?}");
    plan
}

#[test]
fn chunks_are_decoded_about_once_under_tight_budgets() {
    within(300, || {
        for (chunk, shard) in [
            ([128; 3], None),
            ([128; 3], Some([512; 3])),
            ([128; 3], Some([512, 512, 1024])),
            ([64; 3], None),
            ([64; 3], Some([512, 512, 960])),
        ] {
            let job = microscopy(chunk, shard);
            for (memory_bytes, most) in [(256 * MIB, 1.25), (512 * MIB, 1.02)] {
                let plan = planned(&job, memory_bytes);
                let amplification = plan.totals.amplification();
                assert!(plan.exact && plan.workers.count == 2, "{plan:?}");
                assert!(amplification <= most, "{amplification} for {chunk:?} in {shard:?}: {plan:?}");
            }
        }
    });
}

#[test]
fn offers_tell_what_memory_buys() {
    let job = microscopy([128; 3], None);
    let request = job.request(256 * MIB);
    let plan = Plan::new(&request).unwrap();
    let offers = plan.offers(&request);
    assert!(offers.is_sorted_by(|a, b| a.memory_bytes < b.memory_bytes), "{offers:?}");
    let given = offers.iter().find(|offer| offer.memory_bytes == 256 * MIB).unwrap();
    assert_eq!(given.amplification, Some(plan.totals.amplification()));
    assert!(offers.is_sorted_by_key(|offer| -offer.amplification.unwrap_or(f64::INFINITY)), "{offers:?}");
    assert_eq!(offers.last().unwrap().amplification, Some(1.0));
    let smallest = offers.iter().find(|offer| offer.fits).unwrap().memory_bytes;
    assert!(smallest < 128 * MIB && Plan::new(&job.request(smallest / 5 * 4)).is_err());
    for offer in &offers {
        let again = Plan::new(&job.request(offer.memory_bytes)).ok();
        assert_eq!(again.map(|plan| plan.totals.amplification()), offer.amplification);
    }
}

#[test]
fn a_petabyte_plans_in_seconds_and_little_memory() {
    within(300, || {
        // 10^10, 2 * 10^9 and 2.4 * 10^8 chunks of 80 000^3 voxels, to shards of 1 GiB.
        for chunk in [37, 64, 128] {
            let job = Job::new([80_000; 3], [chunk; 3], [1.25, 1.6, 1.6], ([64; 3], Some([512, 1024, 1024])));
            for gib in [1, 8, 64] {
                let begun = Instant::now();
                let plan = planned(&job, gib << 30);
                assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
                check_sampled(&job, &plan);
            }
        }
        assert!(sys::resident().peak_bytes < 64 * MIB, "{}", sys::resident().peak_bytes);
    });
}

/// A plan that was not walked whole: its sums, and a stretch of its walk.
fn check_sampled(job: &Job, plan: &Plan) {
    let touch = plan.touch(&job.request(plan.projected_bytes()));
    let blocks: u64 = (0..3).map(|a| job.target.grid.shape[a].div_ceil(plan.block[a])).product();
    assert_eq!((plan.blocks, plan.totals.blocks, plan.exact), (blocks, blocks, false));
    assert_eq!(plan.totals.distinct, job.source.chunk_counts().iter().product::<u64>());
    assert!((1.0..1.5).contains(&plan.totals.amplification()), "{plan:?}");
    let most_pinned = plan.workers.gate * touch.most_chunks_per_block();
    assert!(plan.window_bytes >= most_pinned * touch.chunk_bytes, "{plan:?}");
    let mut walk = plan.walk(&touch);
    for _ in 0..2000 {
        assert!(walk.step().unwrap().is_some());
    }
}

/// Plans that say "about" are held to it: a walk to the end with their window decodes as much, within a tenth.
#[test]
fn sampled_plans_come_true() {
    within(300, || {
        for (chunk, target) in [(24, ([64; 3], Some([512; 3]))), (25, ([64; 3], None))] {
            let job = Job::new([2400; 3], [chunk; 3], [1.25, 1.6, 1.6], target);
            for memory_bytes in [64 * MIB, 256 * MIB] {
                let plan = planned(&job, memory_bytes);
                assert!(!plan.exact, "{plan:?}");
                let touch = plan.touch(&job.request(memory_bytes));
                let mut walk = plan.walk(&touch);
                while walk.step().unwrap().is_some() {}
                let (done, about) = (walk.totals(), plan.totals);
                eprintln!("decodes {} about {}: {:.3}", done.decodes, about.decodes, done.amplification());
                assert_eq!((done.blocks, done.distinct), (about.blocks, about.distinct));
                let ratio = done.decodes as f64 / about.decodes as f64;
                assert!((0.9..1.1).contains(&ratio), "{done:?} for {plan:?}");
            }
        }
    });
}
