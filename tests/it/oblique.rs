//! Gathering on oblique mappings, and labels on any, against their definitions.

use crate::kit::{
    oblique::{SHAPES, index, methods, request},
    rng::Rng,
    timeout::within,
    volumes::{count, random_voxels},
};
use reslice::{
    block::{BlockMut, BlockRef},
    geometry::{Affine, AxisMap, Mapping, inside, settle},
    region::Region,
    resample::{KernelShape, LabelWeights, Method, OpRequest, Outside, Workspace, block_op},
    voxel::{Rounding, Voxel},
};

fn smoothing() -> Vec<Method> {
    methods().into_iter().filter(|method| matches!(method, Method::Kernel(_))).collect()
}

/// Voxels and weights along one axis around index `c`, by the definitions of each kernel; `n` voxels exist.
fn taps(shape: KernelShape, c: f64, n: i64) -> Vec<(i64, f64)> {
    let is_outside = !inside(c, 0, n);
    let c = if is_outside && matches!(shape, KernelShape::BSpline { .. }) { c.clamp(0.0, (n - 1) as f64) } else { c };
    let reach = shape.support();
    let mut taps = Vec::new();
    for i in (c - reach).ceil() as i64..=(c + reach).floor() as i64 {
        let period = (2 * (n - 1)).max(1);
        let mirrored = if n == 1 { 0 } else { (i.rem_euclid(period)).min(period - i.rem_euclid(period)) };
        let at = match shape {
            KernelShape::BSpline { .. } => mirrored,
            KernelShape::Gaussian { .. } if !(0..n).contains(&i) => continue,
            _ => i.clamp(0, n - 1),
        };
        taps.push((at, shape.weight(i as f64 - c)));
    }
    let sum: f64 = taps.iter().map(|tap| tap.1).sum();
    if matches!(shape, KernelShape::Gaussian { .. } | KernelShape::Lanczos { .. }) && !taps.is_empty() {
        taps.iter_mut().for_each(|tap| tap.1 /= sum);
    }
    if taps.is_empty() { vec![(c.round().clamp(0.0, (n - 1) as f64) as i64, 1.0)] } else { taps }
}

fn reference(request: &OpRequest, shape: KernelShape, source: &[f32], of: [u64; 3], at: [i64; 3]) -> f64 {
    let c = index(request, at);
    let is_inside = (0..3).all(|a| inside(c[a], 0, of[a] as i64));
    if let (false, Outside::Value(value)) = (is_inside, request.outside) {
        return value;
    }
    let [zs, ys, xs] = [0, 1, 2].map(|a| taps(shape, c[a], of[a] as i64));
    let mut sum = 0.0;
    for (z, wz) in &zs {
        for (y, wy) in &ys {
            for (x, wx) in &xs {
                sum += wz * wy * wx * f64::from(source[((z * of[1] as i64 + y) * of[2] as i64 + x) as usize]);
            }
        }
    }
    sum
}

/// Fills `piece` from the source region that the op asks for, surrounded by nothing.
fn apply<T: Voxel>(request: &OpRequest, source: &[T], of: [u64; 3], target: &mut BlockMut<'_, T>, piece: Region) {
    let op = block_op::<T>(request);
    let region = op.source_region(piece);
    let mut voxels = vec![T::default(); region.voxels() as usize];
    BlockMut::new(region, 1, &mut voxels).copy_from(BlockRef::new(Region::of_shape(of), 1, source), 0);
    let mut scratch = Workspace::default();
    scratch.poison(op.scratch_bytes(piece) as usize / 4 + 64, T::Acc::from_f64(f64::NAN, Rounding::Nearest));
    op.apply(BlockRef::new(region, 1, &voxels), target, piece, &mut scratch);
}

fn whole<T: Voxel>(request: &OpRequest, source: &[T], of: [u64; 3]) -> Vec<T> {
    let all = Region::of_shape(request.target_shape);
    let mut voxels = vec![T::from_f64(f64::NAN, Rounding::Nearest); all.voxels() as usize];
    apply(request, source, of, &mut BlockMut::new(all, 1, &mut voxels), all);
    voxels
}

#[test]
fn kernels_equal_their_definition() {
    within(120, || {
        let mut rng = Rng::new("oblique kernels");
        for method in smoothing() {
            let Method::Kernel(shape) = method else { continue };
            for _ in 0..6 {
                let of = *rng.one_of(&SHAPES);
                let request = OpRequest { rounding: Rounding::Nearest, ..request(method, of, &mut rng) };
                let source = random_voxels::<f32>(count(of), &mut rng);
                let got = whole(&request, &source, of);
                for (got, voxel) in got.iter().zip(Region::of_shape(request.target_shape).tiles([1; 3])) {
                    let exact = reference(&request, shape, &source, of, voxel.lo);
                    // Of values up to 1000; the table between its phases and three sums in f32.
                    assert!((f64::from(*got) - exact).abs() < 1e-2, "{got}, not {exact}, at {voxel} of {request:?}");
                }
            }
        }
    });
}

#[test]
fn pieces_of_any_shape_make_the_whole() {
    within(120, || {
        let mut rng = Rng::new("oblique pieces");
        for method in methods() {
            for antialias in [false, true] {
                if antialias && !method.stretches() {
                    continue;
                }
                for _ in 0..5 {
                    let of = *rng.one_of(&SHAPES);
                    let request = OpRequest { antialias, ..request(method, of, &mut rng) };
                    piecewise::<f32>(&request, of, &mut rng);
                    piecewise::<u16>(&request, of, &mut rng);
                    piecewise::<u64>(&request, of, &mut rng);
                }
            }
        }
    });
}

fn piecewise<T: Voxel>(request: &OpRequest, of: [u64; 3], rng: &mut Rng) {
    let source = random_voxels::<T>(count(of), rng);
    let expected = whole(request, &source, of);
    let all = Region::of_shape(request.target_shape);
    let guard = T::from_f64(-12345.0, Rounding::Nearest);
    let guarded = Region::new(all.lo.map(|n| n - 1), all.hi.map(|n| n + 2));
    let mut voxels = vec![guard; guarded.voxels() as usize];
    let step = request.target_shape.map(|n| rng.within(1, n) as usize);
    for piece in all.tiles(step) {
        apply(request, &source, of, &mut BlockMut::new(guarded, 1, &mut voxels), piece);
    }
    let mut got = vec![T::default(); expected.len()];
    BlockMut::new(all, 1, &mut got).copy_from(BlockRef::new(guarded, 1, &voxels), 0);
    assert!(bytemuck::cast_slice::<T, u8>(&got) == bytemuck::cast_slice::<T, u8>(&expected), "{step:?} of {request:?}");
    let inner: usize = voxels.iter().filter(|&&voxel| voxel != guard).count();
    assert!(inner <= expected.len(), "guard cells were touched in {request:?}");
}

/// Linear, almost along the rows of a source of `of` voxels, onto rows of several strips.
fn along_rows(of: [u64; 3], rounding: Rounding, rng: &mut Rng) -> OpRequest {
    let m = std::array::from_fn(|r| {
        let slope = |c: usize| if c == r { rng.between(0.6, 1.3) } else { rng.between(-0.03, 0.03) };
        let [z, y, x] = [0, 1, 2].map(slope);
        [z, y, x, rng.between(-2.0, 2.0)]
    });
    OpRequest {
        mapping: Mapping::Affine(Affine { m }),
        target_shape: [3, 5, 397],
        rounding,
        outside: Outside::Edge,
        ..request(Method::Kernel(KernelShape::Linear), of, rng)
    }
}

#[test]
fn long_rows_equal_their_definition_in_pieces_of_any_length() {
    within(120, || {
        let mut rng = Rng::new("oblique rows");
        for of in [[5, 7, 331], [2, 2, 2], [1, 1, 331], [1, 7, 64], [5, 1, 331]] {
            let request = along_rows(of, Rounding::Nearest, &mut rng);
            let source = random_voxels::<f32>(count(of), &mut rng);
            for (got, voxel) in
                whole(&request, &source, of).iter().zip(Region::of_shape(request.target_shape).tiles([1; 3]))
            {
                let exact = reference(&request, KernelShape::Linear, &source, of, voxel.lo);
                assert!((f64::from(*got) - exact).abs() < 1e-2, "{got}, not {exact}, at {voxel} of {request:?}");
            }
            piecewise::<u8>(&request, of, &mut rng);
            piecewise::<u16>(&request, of, &mut rng);
            piecewise::<i16>(&request, of, &mut rng);
            piecewise::<i32>(&request, of, &mut rng);
            piecewise::<i64>(&request, of, &mut rng);
            piecewise::<f32>(&request, of, &mut rng);
            piecewise::<f64>(&request, of, &mut rng);
        }
    });
}

/// Regression: the two weights of a pair, each rounded to f32, did not add to 1, and truncation told.
#[test]
fn a_truncated_constant_stays_what_it_is() {
    let mut rng = Rng::new("oblique constants");
    let of = [5, 7, 331];
    for rounding in [Rounding::Nearest, Rounding::Truncate] {
        for constant in [1u16, 777, 40_000, 65_535] {
            let request = along_rows(of, rounding, &mut rng);
            let source = vec![constant; count(of)];
            assert!(whole(&request, &source, of).iter().all(|&voxel| voxel == constant), "{constant}, {rounding:?}");
        }
    }
}

#[test]
fn footprints_hold_what_points_look_at_and_their_bounds_hold_them() {
    let mut rng = Rng::new("oblique footprints");
    for method in methods() {
        for _ in 0..10 {
            let of = *rng.one_of(&SHAPES);
            let request = request(method, of, &mut rng);
            let op = block_op::<f32>(&request);
            let reach = op.reach().expect("an oblique mapping has regions of its own");
            let all = Region::of_shape(request.target_shape);
            let step = request.target_shape.map(|n| rng.within(1, n) as usize);
            let extents = reach.largest_extents(step.map(|n| n as u64));
            for piece in all.tiles(step) {
                let region = op.source_region(piece);
                assert!(request.bounds.contains(&region) && reach.source_region(piece) == region);
                let shape = region.shape();
                assert!((0..3).all(|a| shape[a] as u64 <= extents[a]), "{region} beyond {extents:?} in {request:?}");
                for part in region.tiles([3; 3]) {
                    let users = reach.target_region(part, step.map(|n| n as u64));
                    assert!(!users.intersect(&piece).is_empty(), "{piece} needs {part}, not only {users}: {request:?}");
                }
                for voxel in piece.tiles([1; 3]) {
                    assert!(region.contains(&op.source_region(voxel)), "{voxel} of {piece} in {request:?}");
                }
            }
        }
    }
}

/// A turn about one axis leaves its indices whole: neighbours along it have a weight of 0 and must not matter.
#[test]
fn a_weight_of_0_lets_no_nan_through() {
    let of = [3, 8, 8];
    let (s, c) = 0.3f64.sin_cos();
    let m = [[1.0, 0.0, 0.0, 0.0], [0.0, c, -s, 2.0], [0.0, s, c, 1.0]];
    for method in [Method::Kernel(KernelShape::Linear), Method::Kernel(KernelShape::CatmullRom)] {
        let request = OpRequest {
            mapping: Mapping::Affine(Affine { m }),
            target_shape: of,
            outside: Outside::Value(0.0),
            ..request(method, of, &mut Rng::of(1))
        };
        let mut source = vec![5.0f32; count(of)];
        source[..64].fill(f32::NAN);
        source[128..].fill(f32::INFINITY);
        let got = whole(&request, &source, of);
        assert!(got[64..128].iter().all(|&v| v == 0.0 || (v - 5.0).abs() < 1e-5), "{method}: {:?}", &got[64..128]);
    }
}

#[test]
fn labels_are_those_of_the_naive_vote_on_any_mapping() {
    let mut rng = Rng::new("labels");
    for round in 0..40 {
        let of = *rng.one_of(&SHAPES);
        let mut request = request(Method::Label(LabelWeights::Linear), of, &mut rng);
        if round % 2 == 0 {
            let maps = [0, 1, 2].map(|a| AxisMap {
                source_axis: (a + round / 2) % 3,
                scale: rng.between(-1.3, 1.3),
                offset: 2.3,
            });
            request.mapping = Mapping::AxisAligned(maps);
        }
        // Ids beyond 2^53, few of them, so that they meet.
        let source: Vec<u64> = (0..count(of)).map(|_| u64::MAX - rng.below(4)).collect();
        let got = whole(&request, &source, of);
        for (got, voxel) in got.iter().zip(Region::of_shape(request.target_shape).tiles([1; 3])) {
            let c = request.mapping.source_index(voxel.lo.map(|n| n as f64));
            let is_inside = (0..3).all(|a| inside(c[a], 0, of[a] as i64));
            if !is_inside && request.outside != Outside::Edge {
                assert_eq!(*got, 7);
                continue;
            }
            assert!(vote(&source, of, c).contains(got), "{got} at {voxel} of {request:?}");
        }
    }
}

/// Regression: where NaN, which has no vote, left less than 1e-6 to others, a voxel beyond the far border won by a weight of 0, and which
/// voxel that was depended on the block.
#[test]
fn regression_labels_beyond_the_border_have_no_vote() {
    let of = [1, 2, 3];
    let source = [9.0f32, 9.0, 9.0, 5.0, f32::NAN, 3.0];
    let map = |source_axis, offset| AxisMap { source_axis, scale: 1.0, offset };
    let request = OpRequest {
        mapping: Mapping::AxisAligned([map(0, 0.0), map(1, 0.0), map(2, -1e-8)]),
        target_shape: of,
        outside: Outside::Value(0.0),
        ..request(Method::Label(LabelWeights::Linear), of, &mut Rng::of(1))
    };
    let all = Region::of_shape(of);
    let mut alone = [0.0f32; 6];
    for piece in all.tiles([1; 3]) {
        apply(&request, &source, of, &mut BlockMut::new(all, 1, &mut alone), piece);
    }
    assert_eq!((whole(&request, &source, of)[4], alone[4]), (5.0, 5.0));
}

/// The labels whose linear weights come within 2e-6 of the most.
fn vote(source: &[u64], of: [u64; 3], c: [f64; 3]) -> Vec<u64> {
    let mut sums: Vec<(u64, f64)> = Vec::new();
    for corner in 0..8 {
        let (mut at, mut weight) = (0, 1.0);
        for a in 0..3 {
            let (whole, upper) = (c[a].floor(), corner >> a & 1);
            weight *= if upper == 1 { c[a] - whole } else { 1.0 - (c[a] - whole) };
            at = at * of[a] as usize + (whole as i64 + upper).clamp(0, of[a] as i64 - 1) as usize;
        }
        match sums.iter_mut().find(|sum| sum.0 == source[at]) {
            Some(sum) => sum.1 += weight,
            None => sums.push((source[at], weight)),
        }
    }
    let most = sums.iter().map(|sum| sum.1).fold(0.0, f64::max);
    sums.into_iter().filter(|sum| sum.1 > most - 2e-6).map(|sum| sum.0).collect()
}

#[test]
fn nearest_takes_the_voxel_next_to_the_point() {
    let mut rng = Rng::new("oblique nearest");
    for _ in 0..20 {
        let of = *rng.one_of(&SHAPES);
        let request = request(Method::Nearest, of, &mut rng);
        let source = random_voxels::<i64>(count(of), &mut rng);
        for (got, voxel) in
            whole(&request, &source, of).iter().zip(Region::of_shape(request.target_shape).tiles([1; 3]))
        {
            let c = index(&request, voxel.lo);
            let at: [i64; 3] =
                std::array::from_fn(|a| ((settle(c[a]) + 0.5).floor() as i64).clamp(0, of[a] as i64 - 1));
            let nearest = source[((at[0] * of[1] as i64 + at[1]) * of[2] as i64 + at[2]) as usize];
            let is_inside = (0..3).all(|a| inside(c[a], 0, of[a] as i64));
            let expected = if is_inside || request.outside == Outside::Edge { nearest } else { 7 };
            assert_eq!(*got, expected, "{voxel} of {request:?}");
        }
    }
}
