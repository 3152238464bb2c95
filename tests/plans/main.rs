//! Plans of odd and huge volumes end soon, in little memory, and there is one wherever there can be one.
#![allow(unsafe_code, reason = "processor time is read by the C library")]

#[path = "../kit/kit.rs"]
mod kit;

use std::time::Duration;

use kit::{
    cases,
    plans::Setting,
    rng::Rng,
    runs::{budget, target_layout},
    timeout::within,
    volumes,
};
use reslice::{
    error::PlanError,
    geometry::{Affine, Mapping},
    io::raw,
    layout::{Access, Layout},
    plan::{Plan, Request},
    resample::{KernelShape, Method, most_table_bytes},
    sys,
    voxel::Dtype,
};

const MIB: u64 = 1 << 20;
/// Some seconds on a busy machine without optimisation; with it, a fraction of a second.
const MOST_CPU: Duration = Duration::from_secs(20);
const LINEAR: Method = Method::Kernel(KernelShape::Linear);

/// CPU time of this thread.
fn cpu() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec of ours.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) }, 0);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn timed<R>(what: &str, work: impl FnOnce() -> R) -> R {
    let begun = cpu();
    let result = work();
    let took = cpu() - begun;
    eprintln!("{what}: {took:.2?} of CPU, peak so far {} MiB", sys::resident().peak_bytes / MIB);
    assert!(took < MOST_CPU, "{what}: planning took {took:?}");
    result
}

/// Where a job writes to.
#[derive(Clone, Copy, Debug)]
enum To {
    Raw,
    Chunks([u64; 3]),
}

/// A job on u16, from chunks or, without any, from a raw file.
fn setting(mut case: cases::Case, chunk: Option<[u64; 3]>, to: To) -> Setting {
    case.request.target_shape = case.request.target_shape.map(|n| n.max(1));
    let shape = case.source_shape;
    let source = match chunk {
        Some(chunk) => volumes::layout(Dtype::U16, shape, Access::Chunked, chunk),
        None => Layout { transfer_bytes: MIB, ..volumes::layout(Dtype::U16, shape, Access::Random, [1, 1, shape[2]]) },
    };
    let target = match to {
        To::Raw => raw::target_layout(target_layout::<u16>(&case, &source, Access::Random, [1; 3])),
        To::Chunks(chunk) => target_layout::<u16>(&case, &source, Access::Chunked, chunk),
    };
    Setting::new(case, source, target)
}

/// Turned about two axes, the target grid being the source's.
fn turned(method: Method, shape: [u64; 3]) -> cases::Case {
    let mut case = cases::identity(method, shape);
    let m = [[0.94, -0.3, 0.1, 3.0], [0.33, 0.9, -0.28, 2.0], [-0.01, 0.28, 0.96, 1.0]];
    case.request.mapping = Mapping::Affine(Affine { m });
    case
}

fn resized(shape: [u64; 3], ratio: [f64; 3]) -> cases::Case {
    cases::resized(LINEAR, shape, [0, 1, 2], ratio, 0.2)
}

fn check(what: &str, setting: &Setting, memory: u64) -> Plan {
    let request = setting.request(memory, 2);
    let plan = timed(what, || Plan::new(&request)).unwrap_or_else(|refusal| panic!("{what}: {refusal:?}"));
    assert!(plan.projected_bytes() <= memory, "{what}: {plan:?}");
    let totals = plan.totals;
    assert!(totals.decodes >= totals.distinct && totals.amplification() >= 1.0, "{what}: {totals:?}");
    plan
}

#[test]
fn oblique_chunks_plan_soon() {
    within(300, || {
        let spline = Method::Kernel(KernelShape::BSpline { order: 3 });
        for (method, shape, memory) in [
            (spline, [1024, 1536, 1536], 256 * MIB),
            (LINEAR, [20_000; 3], 1024 * MIB),
            (LINEAR, [80_000; 3], 1024 * MIB),
        ] {
            for to in [To::Raw, To::Chunks([128; 3])] {
                let setting = setting(turned(method, shape), Some([128; 3]), to);
                check(&format!("{shape:?} {method} to {to:?}"), &setting, memory);
            }
        }
    });
}

#[test]
fn long_axes_plan_soon() {
    within(300, || {
        for axis in 0..3 {
            let (mut shape, mut chunk) = ([1; 3], [1; 3]);
            (shape[axis], chunk[axis]) = (4_000_000, 8192);
            for chunk in [Some(chunk), None] {
                for (to, kind) in [(To::Raw, "raw"), (To::Chunks(chunk.unwrap_or([64; 3])), "chunks")] {
                    let from = if chunk.is_some() { "chunks" } else { "raw" };
                    let what = format!("{shape:?} from {from} to {kind}");
                    check(&what, &setting(resized(shape, [0.7; 3]), chunk, to), 400 * MIB);
                    check(&format!("{what}, turned"), &setting(turned(LINEAR, shape), chunk, to), 400 * MIB);
                }
            }
        }
    });
}

#[test]
fn what_only_copies_has_no_tables_however_long() {
    within(300, || {
        for (shape, chunk) in [
            ([1, 1 << 40, 1], [1, 1 << 20, 1]),
            ([1, 1, 1 << 30], [1, 1, 1 << 20]),
            ([512, 1 << 20, 1 << 31], [16, 64, 1 << 14]),
        ] {
            let job = setting(cases::identity(LINEAR, shape), Some(chunk), To::Chunks(chunk));
            check(&format!("{shape:?}"), &job, 400 * MIB);
        }
    });
}

/// Blocks joined 256 units along z and y at most, and none below 128 KiB: thin and tiny raw targets had no block at all, and were
/// refused with any budget.
#[test]
fn regression_thin_and_tiny_volumes_have_a_plan() {
    within(300, || {
        let rng = &mut Rng::new("thin");
        let extent = |rng: &mut Rng| match rng.below(4) {
            0 => 1,
            1 => rng.within(1, 12),
            _ => rng.within(1, 900),
        };
        for n in 0..200 {
            let shape: [u64; 3] = std::array::from_fn(|_| extent(rng));
            let permutation = *rng.one_of(&[[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]]);
            let ratio: [f64; 3] = std::array::from_fn(|_| *rng.one_of(&[0.08, -1.0, 1.0, 0.6, 2.7]));
            let case = match rng.below(3) {
                0 => turned(LINEAR, shape),
                _ => cases::resized(LINEAR, shape, permutation, ratio, 0.0),
            };
            let chunk = (rng.below(2) == 0).then_some([16, 32, 64]);
            check(
                &format!("{n}: {shape:?} to {:?}", case.request.target_shape),
                &setting(case, chunk, To::Raw),
                64 * MIB,
            );
        }
        let narrow = cases::resized(LINEAR, [11, 40, 52], [0, 1, 2], [0.104, 3.11, 2.67], 0.0);
        check("long in z", &setting(narrow, None, To::Raw), 64 * MIB);
    });
}

/// Tables of chunks and blocks are counted, and refused before they are made.
#[test]
fn tables_that_do_not_fit_are_refused_by_their_size() {
    within(120, || {
        let shape = [1, 1 << 40, 1];
        let job = setting(cases::identity(LINEAR, shape), Some([1, 64, 1]), To::Chunks([1, 64, 1]));
        let refused = timed("many small chunks", || Plan::new(&job.request(96 * MIB, 2)));
        let Err(PlanError::TooSmall { smallest_bytes, .. }) = refused else { panic!("{refused:?}") };
        assert!(smallest_bytes > 1 << 35, "{smallest_bytes}");
        let long = resized([1, 1, 1 << 30], [1.0, 1.0, 0.7]);
        assert!(most_table_bytes::<u16>(&long.request) > 1 << 34);
        assert!(sys::resident().peak_bytes < 256 * MIB, "{}", sys::resident().peak_bytes);
    });
}

/// A spline of order 5 fetches the box around an oblique piece many times over where the pieces must be small: a little more memory
/// is told with what it buys.
#[test]
fn offers_tell_of_voxels_that_are_fetched_many_times() {
    let spline = turned(Method::Kernel(KernelShape::BSpline { order: 5 }), [400, 512, 512]);
    let job = setting(spline, None, To::Raw);
    let request = Request { budget: budget(6 * MIB + 9 * MIB / 2, 1), ..job.request(0, 1) };
    let plan = Plan::new(&request).unwrap();
    assert!(plan.fetches_often(), "{plan:?}");
    let offers = timed("offers", || plan.offers(&request));
    let fetched = |offer: &reslice::plan::Offer| offer.fetch_ratio.unwrap_or(f64::INFINITY);
    let best = offers.iter().map(fetched).fold(f64::INFINITY, f64::min);
    assert!(best < plan.fetch_ratio / 4.0, "{offers:?}");
    assert!(offers.iter().all(|offer| offer.fits == offer.fetch_ratio.is_some()));
}
