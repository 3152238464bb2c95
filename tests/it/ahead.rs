//! Read-ahead: the same voxels and decodes when storage answers late, requests side by side within the plan's bound, and an
//! end when a request fails or hangs back.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use crate::kit::{
    cases,
    rng::Rng,
    runs::{StrictSink, budget, expected, run_with, target_layout},
    timeout::within,
    volumes::{self, count, outer, random_voxels},
};
use reslice::{
    block::BlockMut,
    error::{Error, Result},
    io::{Fetched, Source, memory::MemorySource},
    layout::{Access, Ahead, Layout},
    plan::{Plan, Request},
    region::Region,
    resample::{KernelShape, Method, block_op},
};

const SHAPE: [u64; 3] = [20, 23, 29];
const CHUNK: [u64; 3] = [7, 5, 8];

/// A source that answers late, as a store behind a network does.
struct Distant {
    inner: MemorySource<u16>,
    delay: Duration,
    /// The request that fails, counted from 0.
    fails_at: Option<u64>,
    requests: AtomicU64,
    under_way: AtomicU64,
    most_under_way: AtomicU64,
    decoded: AtomicU64,
}

impl Distant {
    fn new(layout: &Layout, voxels: &[u16], fails_at: Option<u64>) -> Distant {
        Distant {
            inner: MemorySource::new(layout.clone(), voxels.to_vec()),
            delay: Duration::from_micros(500),
            fails_at,
            requests: AtomicU64::new(0),
            under_way: AtomicU64::new(0),
            most_under_way: AtomicU64::new(0),
            decoded: AtomicU64::new(0),
        }
    }
}

impl Source<u16> for Distant {
    fn layout(&self) -> &Layout {
        self.inner.layout()
    }

    fn read(&self, _: u64, _: BlockMut<'_, u16>) -> Result<()> {
        panic!("read without having been fetched");
    }

    fn fetch(&self, group: u64, region: Region) -> Result<Option<Fetched>> {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_under_way.fetch_max(now, Ordering::SeqCst);
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        // Later requests may overtake earlier ones.
        thread::sleep(self.delay * (1 + number as u32 % 5));
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        if self.fails_at == Some(number) {
            return Err(Error::usage("the store has gone away"));
        }
        let volumes = self.inner.layout().outer.members(group).len();
        let mut voxels = vec![0u16; region.voxels() as usize * volumes];
        self.inner.read(group, BlockMut::new(region, volumes, &mut voxels))?;
        let stored = voxels.iter().flat_map(|voxel| voxel.to_le_bytes()).collect();
        Ok(Some(Fetched::new(group, region, Some(stored))))
    }

    fn read_fetched(&self, fetched: Fetched, into: BlockMut<'_, u16>) -> Result<()> {
        self.decoded.fetch_add(1, Ordering::SeqCst);
        assert_eq!(fetched.region, into.region);
        let stored = fetched.stored.unwrap();
        let samples = stored.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        into.voxels.iter_mut().zip(samples).for_each(|(voxel, sample)| *voxel = sample);
        Ok(())
    }
}

fn distant_layout() -> Layout {
    let stored = CHUNK.iter().product::<u64>() * 2 * 4;
    let layout = volumes::layout(reslice::voxel::Dtype::U16, SHAPE, Access::Chunked, CHUNK);
    Layout { outer: outer(&[3], &[2]), ahead: Ahead { chunks: 6, chunk_bytes: stored }, ..layout }
}

fn case() -> cases::Case {
    cases::resized(Method::Kernel(KernelShape::Linear), SHAPE, [0, 1, 2], [0.8, 1.3, 0.9], 0.1)
}

#[test]
fn the_same_voxels_and_decodes_with_many_requests_under_way() {
    within(120, || {
        let (case, layout) = (case(), distant_layout());
        let voxels = random_voxels::<u16>(count(SHAPE) * 3, &mut Rng::new("ahead"));
        let expected = expected(&case.request, &voxels, SHAPE);
        let op = block_op::<u16>(&case.request);
        for (access, chunk) in
            [(Access::Chunked, [6, 11, 8]), (Access::Random, [1, 1, 32]), (Access::Ascending, [2, 18, 32])]
        {
            let chunk = std::array::from_fn(|a| chunk[a].min(case.request.target_shape[a]));
            let target = target_layout::<u16>(&case, &layout, access, chunk);
            for (threads, memory) in [(1, 8 << 20), (3, 8 << 20), (2, 64 << 20)] {
                let source = Distant::new(&layout, &voxels, None);
                let sink = StrictSink::new(target.clone());
                let budget = budget(memory, threads);
                let (plan, done) = run_with(&source, op.as_ref(), &sink, budget, &AtomicBool::new(false)).unwrap();
                assert!(sink.into_voxels() == expected, "{access:?}, {threads} threads, {memory} bytes");
                assert!(plan.projected_bytes() <= memory);
                let most = source.most_under_way.load(Ordering::SeqCst);
                assert!(plan.ahead > 1 && most > 1 && most <= plan.ahead, "{most} of {}", plan.ahead);
                assert_eq!(done.decodes, plan.totals.decodes);
                assert_eq!(source.decoded.load(Ordering::SeqCst), done.decodes);
                assert_eq!(source.requests.load(Ordering::SeqCst), done.decodes);
            }
        }
    });
}

#[test]
fn a_request_that_fails_ends_the_run_with_its_error() {
    within(60, || {
        let (case, layout) = (case(), distant_layout());
        let voxels = random_voxels::<u16>(count(SHAPE) * 3, &mut Rng::new("ahead"));
        let op = block_op::<u16>(&case.request);
        let target = target_layout::<u16>(&case, &layout, Access::Chunked, [6, 11, 8]);
        for fails_at in [0, 1, 7, 40] {
            let source = Distant::new(&layout, &voxels, Some(fails_at));
            let sink = StrictSink::new(target.clone());
            let outcome = run_with(&source, op.as_ref(), &sink, budget(32 << 20, 2), &AtomicBool::new(false));
            let Err(error @ Error::Read { .. }) = outcome else { panic!("{outcome:?}") };
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(cause.contains("gone away"), "{cause}");
        }
    });
}

#[test]
fn chunks_fetched_ahead_are_counted_in_the_budget_and_given_up_where_it_is_tight() {
    let (case, layout) = (case(), distant_layout());
    let op = block_op::<u16>(&case.request);
    let target = target_layout::<u16>(&case, &layout, Access::Chunked, [6, 11, 8]);
    let plan = |memory: u64, layout: &Layout| {
        let (footprint, sample_bytes) = (op.as_ref(), 2);
        Plan::new(&Request {
            footprint,
            source: layout,
            target: &target,
            sample_bytes,
            budget: budget(memory, 2),
            todo: None,
        })
    };
    let ample = plan(64 << 20, &layout).unwrap();
    assert_eq!(ample.ahead, 6);
    assert!(ample.memory.ahead >= 6 * layout.ahead.chunk_bytes);
    let local = Layout { ahead: Ahead::default(), ..layout.clone() };
    assert_eq!(plan(64 << 20, &local).unwrap().ahead, 0);
    let huge = Layout { ahead: Ahead { chunks: 6, chunk_bytes: 64 << 20 }, ..layout };
    assert_eq!(plan(64 << 20, &huge).unwrap().ahead, 0);
}
