//! Plans of large volumes: few decodes under tight budgets, and petabytes in seconds.

#[path = "kit/kit.rs"]
mod kit;

use std::time::Instant;

use kit::{cases, runs::target_layout, timeout::within, volumes};
use reslice::{
    geometry::AxisMap,
    io::{Access, Layout},
    plan::{Budget, Plan, Request},
    resample::{BlockOp, KernelShape, block_op},
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
        let request = cases::request(Some(KernelShape::Linear), maps, target_shape, shape);
        let case = cases::Case { request, source_shape: shape };
        let mut source = volumes::layout(Dtype::U16, shape, Access::Chunked, chunk);
        let (chunk, shard) = target;
        let mut target = target_layout::<u16>(&case, &source, Access::Chunked, chunk);
        let bytes = |chunk: [u64; 3]| 2 * chunk.iter().product::<u64>();
        source.transfer_bytes = 2 * bytes(source.chunk) + 3 * MIB;
        target.transfer_bytes = 2 * bytes(chunk) + 5 * MIB;
        target.shard = shard;
        target.resident_bytes = if shard.is_some() { (4 * bytes(chunk)).min(16 * MIB) + MIB } else { 0 };
        Job { op: block_op::<u16>(&case.request).unwrap(), source, target }
    }

    fn request(&self, memory_bytes: u64) -> Request<'_> {
        Request {
            footprint: self.op.as_ref(),
            source: &self.source,
            target: &self.target,
            sample_bytes: 2,
            budget: Budget { memory_bytes, threads: 2, reserved_bytes: 10 * MIB },
        }
    }
}

/// 4.8 GB in chunks of 128 to 0.8 and 1.6 times their step.
fn microscopy(chunk: [u64; 3], shard: Option<[u64; 3]>) -> Job {
    Job::new([1024, 1536, 1536], [128; 3], [0.8, 1.6, 1.6], (chunk, shard))
}

fn amplification(job: &Job, memory_bytes: u64) -> f64 {
    let begun = Instant::now();
    let plan = Plan::new(&job.request(memory_bytes)).unwrap();
    eprintln!(
        "{:?} {} {:?} {:?} {:?} {:?}",
        begun.elapsed(),
        plan.totals.amplification(),
        plan.block,
        plan.workers,
        plan.order.levels.iter().map(|l| (l.axis, l.width)).collect::<Vec<_>>(),
        plan.piece
    );
    assert!(plan.exact && plan.projected_bytes() <= memory_bytes);
    plan.totals.amplification()
}

#[test]
fn chunks_are_decoded_about_once_under_tight_budgets() {
    within(300, || {
        for (chunk, shard) in [
            ([128; 3], None),
            ([128; 3], Some([512; 3])),
            ([128; 3], Some([512, 512, 1024])),
            ([64; 3], Some([512, 512, 960])),
        ] {
            let job = microscopy(chunk, shard);
            let tight = amplification(&job, 256 * MIB);
            let better = amplification(&job, 512 * MIB);
            assert!(tight <= 1.25, "{tight} with 256 MiB for {chunk:?} in {shard:?}");
            assert!(better <= 1.02, "{better} with 512 MiB for {chunk:?} in {shard:?}");
        }
    });
}
