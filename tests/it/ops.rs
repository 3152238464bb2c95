//! Every op against its definition: values, footprints, and what it must not touch.

mod algebra;
mod covers;
mod order;

use crate::kit::{
    apply::{apply, cut, whole},
    cases::{self, Case},
    reference,
    rng::Rng,
    timeout::within,
    volumes::{count, magnitude, random_voxels},
};
use reslice::{
    block::{BlockMut, BlockRef},
    region::Region,
    resample::{Area, KernelShape, Method, Workspace, block_op},
    voxel::{Dtype, Rounding, Voxel},
};

const LINEAR: Method = Method::Kernel(KernelShape::Linear);

/// How far rounding errors may go: 1e-5 of the largest source value in floats, and of integers what decides over ties. The
/// splines' finite filter adds 1.2e-6 per axis to what the recursion gives.
fn tolerance<T: Voxel>(method: Method) -> f64 {
    let is_spline = matches!(method, Method::Kernel(KernelShape::BSpline { .. }));
    let relative = match (T::DTYPE.is_float(), T::DTYPE.real()) {
        (true, Dtype::F32) => 1e-5,
        _ if is_spline => 5e-6,
        (false, Dtype::F32) => 2e-6,
        _ => 1e-13,
    };
    relative * magnitude(T::DTYPE)
}

/// Random voxels; of few different values where their frequency counts.
fn suitable_voxels<T: Voxel>(case: &Case, rng: &mut Rng) -> Vec<T> {
    let count = count(case.source_shape);
    if case.request.method == Method::Area(Area::Mode) {
        let values = random_voxels::<T>(3, rng);
        return (0..count).map(|_| *rng.one_of(&values)).collect();
    }
    random_voxels::<T>(count, rng)
}

fn compare<T: Voxel>(case: &Case, rng: &mut Rng) {
    compare_voxels(case, &suitable_voxels::<T>(case, rng));
}

fn compare_voxels<T: Voxel>(case: &Case, source: &[T]) {
    let exact = reference::resample(&case.request, source, case.source_shape);
    let got = whole(&case.request, source, case.source_shape);
    assert_eq!(got.len(), exact.len());
    for (n, (&got, &exact)) in got.iter().zip(&exact).enumerate() {
        let tolerance = tolerance::<T>(case.request.method);
        if let Err(wrong) = reference::check(got, exact, case.request.rounding, tolerance) {
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
            for _ in 0..if cases::is_wide(kernel) { 4 } else { 12 } {
                let case = cases::random(kernel, &mut rng);
                compare::<f32>(&case, &mut rng);
                compare::<i16>(&case, &mut rng);
            }
            compare::<f64>(&cases::random(kernel, &mut rng), &mut rng);
        }
    });
}

/// Stretched twice, kernels are 0 at every other voxel within their support.
#[test]
fn nan_does_not_pass_through_weights_of_zero() {
    let mut rng = Rng::new("zero weights");
    for kernel in cases::kernels().into_iter().filter(|kernel| kernel.stretches()) {
        for ratio in [[2.0, 2.0, 2.0], [2.0, 0.5, 2.0], [0.5, 2.0, -2.0], [1.0, 0.7, 4.0]] {
            let mut case = cases::resized(kernel, [13, 11, 17], rng.permutation(), ratio, 0.0);
            case.request.antialias = true;
            let mut source = random_voxels::<f32>(count(case.source_shape), &mut rng);
            (0..3).for_each(|_| source[rng.below(13 * 11 * 17) as usize] = f32::NAN);
            compare_voxels(&case, &source);
        }
    }
}

#[test]
fn source_regions_are_the_hull_of_the_taps() {
    within(60, || {
        let mut rng = Rng::new("hulls");
        for kernel in cases::kernels() {
            for _ in 0..12 {
                let case = cases::random(kernel, &mut rng);
                let op = block_op::<f64>(&case.request);
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
    let op = block_op::<f32>(&case.request);
    let all = Region::of_shape(case.request.target_shape);
    let mut got = vec![f32::NAN; expected.len()];
    for piece in all.tiles([2, 9, 9]) {
        apply(op.as_ref(), &source, case.source_shape, &mut BlockMut::new(all, 1, &mut got), piece);
    }
    assert_eq!(got, expected);
}

/// Fills a guarded target piece by piece in random order; `NaN` poison stands in scratch and, for floats, in the target.
fn piecewise<T: Voxel>(case: &Case, rng: &mut Rng) {
    let source = suitable_voxels::<T>(case, rng);
    let expected = whole(&case.request, &source, case.source_shape);
    let op = block_op::<T>(&case.request);
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
            let op = block_op::<f32>(&case.request);
            let source = random_voxels::<f32>(count(case.source_shape), &mut rng);
            let piece = cases::sub_box(case.request.target_shape, &mut rng);
            let needed = op.source_region(piece);
            assert!(case.request.bounds.contains(&needed), "{needed} in {case:?}");
            let mut poisoned = vec![f32::NAN; source.len()];
            let kept = cut(&source, case.source_shape, needed);
            BlockMut::new(Region::of_shape(case.source_shape), 1, &mut poisoned)
                .copy_from(BlockRef::new(needed, 1, &kept), 0);
            let clean = whole(&case.request, &source, case.source_shape);
            let mut got = vec![f32::NAN; piece.voxels() as usize];
            apply(op.as_ref(), &poisoned, case.source_shape, &mut BlockMut::new(piece, 1, &mut got), piece);
            assert_eq!(got, cut(&clean, case.request.target_shape, piece), "{piece} of {case:?}");
        }
    }
}

#[test]
fn stacked_volumes_are_computed_like_single_ones() {
    let mut rng = Rng::new("stacked");
    for kernel in cases::kernels() {
        let case = cases::random(kernel, &mut rng);
        let op = block_op::<u16>(&case.request);
        let all = Region::of_shape(case.request.target_shape);
        let volumes: Vec<Vec<u16>> = (0..3).map(|_| random_voxels(count(case.source_shape), &mut rng)).collect();
        let region = op.source_region(all);
        let stacked: Vec<u16> = volumes.iter().flat_map(|v| cut(v, case.source_shape, region)).collect();
        let mut target = vec![0u16; 3 * all.voxels() as usize];
        let mut block = BlockMut::new(all, 3, &mut target);
        op.apply(BlockRef::new(region, 3, &stacked), &mut block, all, &mut Workspace::default());
        let expected: Vec<u16> = volumes.iter().flat_map(|v| whole(&case.request, v, case.source_shape)).collect();
        assert_eq!(target, expected, "{case:?}");
    }
}
