//! Every op against its definition: values, footprints, and what it must not touch.

#[path = "kit/kit.rs"]
mod kit;

use kit::{
    cases::{self, Case},
    reference,
    rng::Rng,
    timeout::within,
    volumes::{count, magnitude, random_voxels},
};
use reslice::{
    block::{BlockMut, BlockRef},
    geometry::AxisMap,
    region::Region,
    resample::{BlockOp, KernelShape, Method, OpRequest, Outside, Scratch, block_op},
    voxel::{Dtype, Rounding, Voxel},
};

const LINEAR: Method = Method::Kernel(KernelShape::Linear);

/// The part of `volume` (all voxels of `shape`) that lies in `region`.
fn cut<T: Voxel>(volume: &[T], shape: [u64; 3], region: Region) -> Vec<T> {
    let mut voxels = vec![T::default(); region.voxels() as usize];
    BlockMut::new(region, 1, &mut voxels).copy_from(BlockRef::new(Region::of_shape(shape), 1, volume), 0);
    voxels
}

/// Computes `piece` into a block `target`, from the source region that the op asks for and nothing else.
fn apply<T: Voxel>(op: &dyn BlockOp<T>, source: &[T], shape: [u64; 3], target: &mut BlockMut<'_, T>, piece: Region) {
    let region = op.source_region(piece);
    let voxels = cut(source, shape, region);
    let mut scratch = Scratch::default();
    scratch.poison(op.scratch_bytes(piece) as usize + 4096, T::Acc::from_f64(f64::NAN, Rounding::Nearest));
    op.apply(BlockRef::new(region, 1, &voxels), target, piece, &mut scratch);
}

fn whole<T: Voxel>(request: &OpRequest, source: &[T], shape: [u64; 3]) -> Vec<T> {
    let op = block_op::<T>(request).unwrap();
    let region = Region::of_shape(request.target_shape);
    let mut voxels = vec![T::from_f64(f64::NAN, Rounding::Nearest); region.voxels() as usize];
    apply(op.as_ref(), source, shape, &mut BlockMut::new(region, 1, &mut voxels), region);
    voxels
}

/// How far rounding errors may go: 1e-5 of the largest source value in floats, and of integers what decides over ties.
fn tolerance<T: Voxel>() -> f64 {
    let relative = match (T::DTYPE.is_float(), T::DTYPE.real()) {
        (true, Dtype::F32) => 1e-5,
        (false, Dtype::F32) => 2e-6,
        _ => 1e-13,
    };
    relative * magnitude(T::DTYPE)
}

fn compare<T: Voxel>(case: &Case, rng: &mut Rng) {
    let source = random_voxels::<T>(count(case.source_shape), rng);
    let exact = reference::resample(&case.request, &source, case.source_shape);
    let got = whole(&case.request, &source, case.source_shape);
    assert_eq!(got.len(), exact.len());
    for (n, (&got, &exact)) in got.iter().zip(&exact).enumerate() {
        if let Err(wrong) = reference::check(got, exact, case.request.rounding, tolerance::<T>()) {
            panic!("{:?} voxel {n}: {wrong} in {case:?}", T::DTYPE);
        }
    }
}

#[test]
fn nearest_and_linear_equal_the_reference_in_every_dtype() {
    within(60, || {
        let mut rng = Rng::new("dtypes");
        for dtype in Dtype::ALL {
            for kernel in [Method::Nearest, LINEAR] {
                for _ in 0..6 {
                    let case = cases::random(kernel, &mut rng);
                    reslice::dispatch!(dtype, T => compare::<T>(&case, &mut rng));
                }
            }
        }
    });
}

#[test]
fn every_kernel_equals_the_reference() {
    within(60, || {
        let mut rng = Rng::new("kernels");
        for kernel in cases::kernels() {
            let heavy = matches!(kernel, Method::Kernel(KernelShape::Lanczos { .. }));
            for _ in 0..if heavy { 4 } else { 12 } {
                let case = cases::random(kernel, &mut rng);
                compare::<f32>(&case, &mut rng);
                compare::<i16>(&case, &mut rng);
            }
            compare::<f64>(&cases::random(kernel, &mut rng), &mut rng);
        }
    });
}

#[test]
fn source_regions_are_the_hull_of_the_taps() {
    within(60, || {
        let mut rng = Rng::new("hulls");
        for kernel in cases::kernels() {
            for _ in 0..12 {
                let case = cases::random(kernel, &mut rng);
                let op = block_op::<f64>(&case.request).unwrap();
                for _ in 0..8 {
                    let piece = cases::sub_box(case.request.target_shape, &mut rng);
                    let (region, [least, most]) = (op.source_region(piece), reference::hulls(&case.request, piece));
                    let fits = region.contains(&least) && most.contains(&region);
                    assert!(fits, "{region}, not {least} to {most}, for {piece} of {case:?}");
                }
            }
        }
    });
}

#[test]
fn pieces_of_any_shape_make_the_whole_and_touch_nothing_else() {
    within(60, || {
        let mut rng = Rng::new("pieces");
        for kernel in cases::kernels() {
            for _ in 0..5 {
                let case = cases::random(kernel, &mut rng);
                piecewise::<f32>(&case, &mut rng);
                piecewise::<u16>(&case, &mut rng);
            }
        }
    });
}

/// Up-sampling along axis 0 left planes out where a piece began at a whole source index, whose one tap hid that the next
/// target plane reaches farther back.
#[test]
fn regression_pieces_that_begin_at_a_whole_index() {
    let case = cases::resized(Method::Kernel(KernelShape::CatmullRom), [11, 3, 5], [0, 1, 2], [0.5, 0.7, 0.9], 0.0);
    let source = random_voxels::<f32>(count(case.source_shape), &mut Rng::new("whole index"));
    let expected = whole(&case.request, &source, case.source_shape);
    let op = block_op::<f32>(&case.request).unwrap();
    let all = Region::of_shape(case.request.target_shape);
    let mut got = vec![f32::NAN; expected.len()];
    for piece in all.tiles([2, 9, 9]) {
        apply(op.as_ref(), &source, case.source_shape, &mut BlockMut::new(all, 1, &mut got), piece);
    }
    assert_eq!(got, expected);
}

/// Fills a guarded target piece by piece in random order; `NaN` poison stands in scratch and, for floats, in the target.
fn piecewise<T: Voxel>(case: &Case, rng: &mut Rng) {
    let source = random_voxels::<T>(count(case.source_shape), rng);
    let expected = whole(&case.request, &source, case.source_shape);
    let op = block_op::<T>(&case.request).unwrap();
    let all = Region::of_shape(case.request.target_shape);
    let guarded = Region::new(all.lo.map(|n| n - 2), all.hi.map(|n| n + 3));
    let guard = T::from_f64(-12345.0, Rounding::Nearest);
    let mut voxels = vec![guard; guarded.voxels() as usize];
    let mut target = BlockMut::new(guarded, 1, &mut voxels);
    target.copy_from(BlockRef::new(all, 1, &vec![T::from_f64(f64::NAN, Rounding::Nearest); expected.len()]), 0);
    let step = case.request.target_shape.map(|n| rng.within(1, n) as usize);
    let mut pieces: Vec<Region> = all.tiles(step).collect();
    while !pieces.is_empty() {
        let piece = pieces.swap_remove(rng.below(pieces.len() as u64) as usize);
        let before = target.voxels.to_vec();
        apply(op.as_ref(), &source, case.source_shape, &mut target, piece);
        for (voxel, at) in guarded.tiles([1; 3]).enumerate() {
            let (was, is) = (before[voxel].to_f64(), target.voxels[voxel].to_f64());
            assert!(piece.contains(&at) || was.to_bits() == is.to_bits(), "{at} outside {piece} changed, {case:?}");
        }
    }
    let mut got = vec![T::default(); expected.len()];
    BlockMut::new(all, 1, &mut got).copy_from(BlockRef::new(guarded, 1, &voxels), 0);
    let equal = bytemuck::cast_slice::<T, u8>(&got) == bytemuck::cast_slice::<T, u8>(&expected);
    assert!(equal, "pieces of {step:?} differ from the whole in {case:?}");
}

#[test]
fn voxels_outside_the_source_region_do_not_matter() {
    let mut rng = Rng::new("poison");
    for kernel in cases::kernels() {
        for _ in 0..6 {
            let case = cases::random(kernel, &mut rng);
            let op = block_op::<f32>(&case.request).unwrap();
            let source = random_voxels::<f32>(count(case.source_shape), &mut rng);
            let piece = cases::sub_box(case.request.target_shape, &mut rng);
            let needed = op.source_region(piece);
            assert!(case.request.bounds.contains(&needed), "{needed} in {case:?}");
            let mut poisoned = vec![f32::NAN; source.len()];
            let kept = cut(&source, case.source_shape, needed);
            BlockMut::new(Region::of_shape(case.source_shape), 1, &mut poisoned)
                .copy_from(BlockRef::new(needed, 1, &kept), 0);
            let exact = reference::resample(&case.request, &poisoned, case.source_shape);
            let exact: Vec<f32> = exact.iter().map(|&x| x as f32).collect();
            let mut got = vec![f32::NAN; piece.voxels() as usize];
            apply(op.as_ref(), &poisoned, case.source_shape, &mut BlockMut::new(piece, 1, &mut got), piece);
            for (got, exact) in got.iter().zip(cut(&exact, case.request.target_shape, piece)) {
                assert!((got - exact).abs() <= 1e-2, "{got} instead of {exact} in {case:?}");
            }
        }
    }
}

#[test]
fn stacked_volumes_are_computed_like_single_ones() {
    let mut rng = Rng::new("stacked");
    for kernel in cases::kernels() {
        let case = cases::random(kernel, &mut rng);
        let op = block_op::<u16>(&case.request).unwrap();
        let all = Region::of_shape(case.request.target_shape);
        let volumes: Vec<Vec<u16>> = (0..3).map(|_| random_voxels(count(case.source_shape), &mut rng)).collect();
        let region = op.source_region(all);
        let stacked: Vec<u16> = volumes.iter().flat_map(|v| cut(v, case.source_shape, region)).collect();
        let mut target = vec![0u16; 3 * all.voxels() as usize];
        let mut block = BlockMut::new(all, 3, &mut target);
        op.apply(BlockRef::new(region, 3, &stacked), &mut block, all, &mut Scratch::default());
        let expected: Vec<u16> = volumes.iter().flat_map(|v| whole(&case.request, v, case.source_shape)).collect();
        assert_eq!(target, expected, "{case:?}");
    }
}

#[test]
fn identity_copies_bits_in_every_dtype() {
    let mut rng = Rng::new("identity");
    for kernel in cases::kernels() {
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
                assert!((got - 1234.5).abs() <= 1234.5 * 2e-6, "{got} in {case:?}");
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
    case.request.mapping = reslice::geometry::Mapping::AxisAligned(maps);
    case.request.target_shape.swap(a, b);
    case
}

#[test]
fn four_quarter_turns_are_the_identity() {
    let mut rng = Rng::new("turns");
    for kernel in cases::kernels() {
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
            let case = cases::resized(kernel, [13, 11, 17], rng.permutation(), ratio, std::f64::consts::E - 2.5);
            let source = random_voxels::<f32>(count(case.source_shape), &mut rng);
            let mut back = case.clone();
            let mut maps = reference::maps(&case.request);
            let t = (0..3).find(|&t| maps[t].source_axis == axis).unwrap();
            let last = (case.source_shape[axis] - 1) as f64;
            maps[t] = AxisMap { source_axis: axis, scale: -maps[t].scale, offset: last - maps[t].offset };
            back.request.mapping = reslice::geometry::Mapping::AxisAligned(maps);
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
            reverse.request.mapping = reslice::geometry::Mapping::AxisAligned(maps);
            let reversed = whole(&reverse.request, &source, case.source_shape);
            for (a, b) in straight.iter().zip(flipped(&reversed, case.request.target_shape, t)) {
                assert!((a - b).abs() <= 1e-5 * 1000.0, "{a} and {b} in {case:?}");
            }
        }
    }
}

#[test]
fn a_target_beyond_the_source_is_all_outside_or_all_edge() {
    for kernel in cases::kernels() {
        for offset in [1e3, -1e3, 1e15, -1e15] {
            let mut case = cases::identity(kernel, [2, 3, 5]);
            let mut maps = reference::maps(&case.request);
            maps[1].offset = offset;
            case.request.mapping = reslice::geometry::Mapping::AxisAligned(maps);
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
