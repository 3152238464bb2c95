//! What holds between an op and itself: identities, constants, ramps, turns and flips.

use std::f64::consts::E;

use reslice::{
    geometry::{AxisMap, Mapping},
    region::Region,
    resample::{KernelShape, Method, OpRequest, Outside},
    voxel::{Dtype, Rounding, Voxel},
};

use super::LINEAR;
use crate::kit::{
    apply::whole,
    cases::{self, Case},
    reference,
    rng::Rng,
    volumes::{count, random_voxels},
};

#[test]
fn identity_copies_bits_in_every_dtype() {
    let mut rng = Rng::new("identity");
    for kernel in cases::copying() {
        for shape in cases::SHAPES {
            let case = cases::identity(kernel, shape);
            for dtype in Dtype::ALL {
                reslice::dispatch!(dtype, T => {
                    let source = random_voxels::<T>(count(shape), &mut rng);
                    assert_eq!(whole(&case.request, &source, shape), source, "{case:?}");
                });
            }
        }
    }
    let exact = [i64::MAX, i64::MIN, (1 << 53) + 1];
    assert_eq!(whole(&cases::identity(LINEAR, [1, 1, 3]).request, &exact, [1, 1, 3]), exact);
}

/// How far a constant may move: the windowed sincs are not normalised, and short ones make 6 % of it along each axis.
fn ripple(method: Method) -> f64 {
    match method {
        Method::Kernel(KernelShape::Sinc { radius, .. }) if radius < 4 => 0.2,
        Method::Kernel(KernelShape::Sinc { .. }) => 0.03,
        _ => 0.0,
    }
}

#[test]
fn a_constant_stays() {
    let mut rng = Rng::new("constant");
    for kernel in cases::kernels() {
        for _ in 0..6 {
            let mut case = cases::random(kernel, &mut rng);
            case.request.outside = Outside::Edge;
            let source = vec![1234.5f32; count(case.source_shape)];
            for got in whole(&case.request, &source, case.source_shape) {
                // The f32 weights of three passes: a few units of 2^-24 each.
                let allowed = 1234.5 * (3e-6 + ripple(kernel) as f32);
                assert!((got - 1234.5).abs() <= allowed, "{got} in {case:?}");
            }
            if ripple(kernel) > 0.0 {
                continue;
            }
            let integers = whole(
                &OpRequest { rounding: Rounding::Nearest, ..case.request.clone() },
                &vec![1234u16; count(case.source_shape)],
                case.source_shape,
            );
            assert!(integers.iter().all(|&v| v == 1234), "{case:?}");
        }
    }
}

#[test]
fn a_ramp_stays_a_ramp_away_from_borders() {
    let mut rng = Rng::new("ramp");
    for kernel in [LINEAR, Method::Kernel(KernelShape::CatmullRom)] {
        for _ in 0..20 {
            let case = cases::random(kernel, &mut rng);
            let case = Case { request: OpRequest { antialias: false, ..case.request }, ..case };
            let shape = case.source_shape;
            let value = |[z, y, x]: [f64; 3]| 3.0 * z - 2.0 * y + 0.5 * x + 10.0;
            let source: Vec<f32> =
                Region::of_shape(shape).tiles([1; 3]).map(|v| value(v.lo.map(|n| n as f64)) as f32).collect();
            let got = whole(&case.request, &source, shape);
            let bounds = case.request.bounds;
            for (got, at) in got.iter().zip(Region::of_shape(case.request.target_shape).tiles([1; 3])) {
                let c = case.request.mapping.source_index(at.lo.map(|n| n as f64));
                let reach = reach(kernel);
                if (0..3).any(|a| c[a] - reach < bounds.lo[a] as f64 - 1e-9 || c[a] + reach > bounds.hi[a] as f64 - 1.0)
                {
                    continue;
                }
                // Values up to 150, a few roundings of 2^-24 each.
                assert!((f64::from(*got) - value(c)).abs() < 1e-4, "{got} at {c:?} in {case:?}");
            }
        }
    }
}

/// How far a method looks, in source voxels.
fn reach(method: Method) -> f64 {
    match method {
        Method::Kernel(shape) => shape.support(),
        _ => 1.0,
    }
}

/// A quarter turn in the plane of axes `a` and `b`: target axis `a` runs along source axis `b`, backwards.
fn quarter_turn(kernel: Method, shape: [u64; 3], a: usize, b: usize) -> Case {
    let mut case = cases::identity(kernel, shape);
    let mut maps = reference::maps(&case.request);
    maps[a] = AxisMap { source_axis: b, scale: -1.0, offset: (shape[b] - 1) as f64 };
    maps[b] = AxisMap { source_axis: a, scale: 1.0, offset: 0.0 };
    case.request.mapping = Mapping::AxisAligned(maps);
    case.request.target_shape.swap(a, b);
    case
}

#[test]
fn four_quarter_turns_are_the_identity() {
    let mut rng = Rng::new("turns");
    for kernel in cases::copying() {
        for (a, b) in [(0, 1), (1, 2), (2, 0)] {
            let mut shape = [5, 7, 11];
            let source = random_voxels::<f32>(count(shape), &mut rng);
            let mut voxels = source.clone();
            for turn in 0..4 {
                let case = quarter_turn(kernel, shape, a, b);
                voxels = whole(&case.request, &voxels, shape);
                shape = case.request.target_shape;
                assert!(turn == 3 || voxels != source);
            }
            assert_eq!(voxels, source);
        }
    }
}

/// The voxels of a volume, run backwards along `axis`.
fn flipped<T: Voxel>(volume: &[T], shape: [u64; 3], axis: usize) -> Vec<T> {
    let at = |at: [i64; 3]| ((at[0] as u64 * shape[1] + at[1] as u64) * shape[2] + at[2] as u64) as usize;
    let mirrored = |mut lo: [i64; 3]| {
        lo[axis] = shape[axis] as i64 - 1 - lo[axis];
        lo
    };
    Region::of_shape(shape).tiles([1; 3]).map(|v| volume[at(mirrored(v.lo))]).collect()
}

#[test]
fn a_flip_commutes() {
    let mut rng = Rng::new("flips");
    for kernel in cases::kernels() {
        for axis in 0..3 {
            // An irrational shift keeps indices away from ties, which a flip does not keep.
            let ratio = std::array::from_fn(|_| rng.between(0.45, 2.3));
            let case = cases::resized(kernel, [13, 11, 17], rng.permutation(), ratio, E - 2.5);
            let source = random_voxels::<f32>(count(case.source_shape), &mut rng);
            let mut back = case.clone();
            let mut maps = reference::maps(&case.request);
            let t = (0..3).find(|&t| maps[t].source_axis == axis).unwrap();
            let last = (case.source_shape[axis] - 1) as f64;
            maps[t] = AxisMap { source_axis: axis, scale: -maps[t].scale, offset: last - maps[t].offset };
            back.request.mapping = Mapping::AxisAligned(maps);
            let straight = whole(&case.request, &source, case.source_shape);
            let mirrored = whole(&back.request, &flipped(&source, case.source_shape, axis), case.source_shape);
            for (a, b) in straight.iter().zip(&mirrored) {
                assert!((a - b).abs() <= 1e-5 * 1000.0, "{a} and {b} in {case:?}");
            }
            // Flipping the target instead: the same voxels in reverse.
            let mut reverse = case.clone();
            let mut maps = reference::maps(&case.request);
            let far = (case.request.target_shape[t] - 1) as i64;
            maps[t] = AxisMap { source_axis: axis, scale: -maps[t].scale, offset: maps[t].at(far) };
            reverse.request.mapping = Mapping::AxisAligned(maps);
            let reversed = whole(&reverse.request, &source, case.source_shape);
            for (a, b) in straight.iter().zip(flipped(&reversed, case.request.target_shape, t)) {
                assert!((a - b).abs() <= 1e-5 * 1000.0, "{a} and {b} in {case:?}");
            }
        }
    }
}

#[test]
fn a_target_beyond_the_source_is_all_outside_or_all_edge() {
    for kernel in cases::copying() {
        for offset in [1e3, -1e3, 1e15, -1e15] {
            let mut case = cases::identity(kernel, [2, 3, 5]);
            let mut maps = reference::maps(&case.request);
            maps[1].offset = offset;
            case.request.mapping = Mapping::AxisAligned(maps);
            let source: Vec<i16> = (1..31).collect();
            case.request.outside = Outside::Value(-7.0);
            assert!(whole(&case.request, &source, [2, 3, 5]).iter().all(|&v| v == -7), "{case:?}");
            case.request.outside = Outside::Edge;
            let row = if offset < 0.0 { 0 } else { 2 };
            let expected: Vec<i16> = (0..30).map(|n| (n / 15 * 15 + row * 5 + n % 5 + 1) as i16).collect();
            assert_eq!(whole(&case.request, &source, [2, 3, 5]), expected, "{case:?}");
        }
    }
}
