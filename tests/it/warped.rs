//! Gathering through displacement fields.

use std::sync::Arc;

use crate::kit::{
    oblique::{SHAPES, index, methods, request},
    rng::Rng,
    timeout::within,
    volumes::{count, random_voxels},
};
use reslice::{
    block::{BlockMut, BlockRef},
    geometry::{Affine, Mapping, VectorRanges, Warp, inside},
    region::Region,
    resample::{KernelShape, Method, OpRequest, Outside, Workspace, block_op},
};

/// A field of random vectors: half as fine as the target, or on its voxels; smaller than it, and shifted.
fn warped(request: &OpRequest, rng: &mut Rng) -> (OpRequest, Vec<f32>) {
    let Mapping::Affine(base) = request.mapping else { panic!("not oblique") };
    let is_aligned = rng.within(0, 1) == 1;
    let shape =
        request.target_shape.map(|n| if is_aligned { n.saturating_sub(rng.within(0, 3)) } else { n / 2 }.max(1));
    let vectors: Vec<f32> = (0..3 * count(shape)).map(|_| rng.between(-1.7, 1.7) as f32).collect();
    let mut ranges = VectorRanges::new(shape);
    for (c, values) in vectors.chunks_exact(count(shape)).enumerate() {
        let all = Region::of_shape(shape);
        let found = ranges.of(all, BlockRef::new(all, 1, values));
        ranges.add(c, &found);
    }
    let mut target_to_field = Affine::identity();
    for (a, row) in target_to_field.m.iter_mut().enumerate() {
        (row[a], row[3]) = if is_aligned { (1.0, a as f64 - 1.0) } else { (0.5, 0.2) };
    }
    let vector_to_source = [[0.0, 0.1, 1.0], [0.0, 0.9, 0.0], [-1.1, 0.0, 0.2]];
    let ranges = Arc::new(ranges);
    let warp = Warp { base, target_to_field, vector_to_source, ends_at_faces: false, ranges };
    (OpRequest { mapping: Mapping::Warped(warp), ..request.clone() }, vectors)
}

#[test]
fn pieces_of_any_shape_make_the_whole_through_a_field() {
    within(120, || {
        let mut rng = Rng::new("warped pieces");
        for method in methods() {
            for _ in 0..6 {
                let of = *rng.one_of(&SHAPES);
                let (request, vectors) = warped(&request(method, of, &mut rng), &mut rng);
                let source = random_voxels::<f32>(count(of), &mut rng);
                let all = Region::of_shape(request.target_shape);
                let whole = through_field(&request, &vectors, &source, of, [99; 3]);
                let step = request.target_shape.map(|n| rng.within(1, n) as usize);
                let pieces = through_field(&request, &vectors, &source, of, step);
                assert!(
                    bytemuck::cast_slice::<f32, u32>(&whole) == bytemuck::cast_slice::<f32, u32>(&pieces),
                    "{step:?} of {request:?}"
                );
                assert_eq!(whole.len() as u64, all.voxels());
                if let Method::Kernel(KernelShape::Linear) = method {
                    let exact = linear_through_field(&request, &vectors, &source, of);
                    assert!(whole.iter().zip(&exact).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-2), "{request:?}");
                }
            }
        }
    });
}

/// Computed piece by piece, each from no more of source and field than the op asks for.
fn through_field(request: &OpRequest, vectors: &[f32], source: &[f32], of: [u64; 3], step: [usize; 3]) -> Vec<f32> {
    let Mapping::Warped(warp) = &request.mapping else { panic!("not warped") };
    let field = Region::of_shape(warp.ranges.shape());
    let op = block_op::<f32>(request);
    let all = Region::of_shape(request.target_shape);
    let mut voxels = vec![f32::NAN; all.voxels() as usize];
    for piece in all.tiles(step) {
        let region = op.source_region(piece);
        let extents = op.reach().unwrap().largest_extents(piece.shape().map(|n| n as u64));
        assert!((0..3).all(|a| region.shape()[a] as u64 <= extents[a]), "{region} beyond {extents:?} in {request:?}");
        let mut cut = vec![0.0; region.voxels() as usize];
        BlockMut::new(region, 1, &mut cut).copy_from(BlockRef::new(Region::of_shape(of), 1, source), 0);
        let mut scratch = Workspace::default();
        scratch.field.region = op.field_region(piece);
        scratch.field.voxels = vec![f32::NAN; 3 * scratch.field.region.voxels() as usize];
        BlockMut::new(scratch.field.region, 3, &mut scratch.field.voxels)
            .copy_from(BlockRef::new(field, 3, vectors), 0);
        op.apply(BlockRef::new(region, 1, &cut), &mut BlockMut::new(all, 1, &mut voxels), piece, &mut scratch);
    }
    voxels
}

fn linear_through_field(request: &OpRequest, vectors: &[f32], source: &[f32], of: [u64; 3]) -> Vec<f64> {
    let Mapping::Warped(warp) = &request.mapping else { panic!("not warped") };
    let shape = warp.ranges.shape();
    let oblique = OpRequest { mapping: Mapping::Affine(warp.base), ..request.clone() };
    let value = |at: [f64; 3], values: &[f32], of: [u64; 3]| {
        let mut sum = 0.0;
        for corner in 0..8 {
            let (mut offset, mut weight) = (0, 1.0);
            for a in 0..3 {
                let (whole, upper) = (at[a].floor(), corner >> a & 1);
                weight *= if upper == 1 { at[a] - whole } else { 1.0 - (at[a] - whole) };
                offset = offset * of[a] as usize + (whole as i64 + upper).clamp(0, of[a] as i64 - 1) as usize;
            }
            sum += weight * f64::from(values[offset]);
        }
        sum
    };
    let voxel = |at: [i64; 3]| {
        let mut c = index(&oblique, at);
        let f: [f64; 3] = std::array::from_fn(|a| {
            let row = warp.target_to_field.m[a];
            row[a] * at[a] as f64 + row[3]
        });
        if (0..3).all(|a| inside(f[a], 0, shape[a] as i64)) {
            let parts: Vec<f64> = vectors.chunks_exact(count(shape)).map(|values| value(f, values, shape)).collect();
            let moved = warp.displacement([parts[0], parts[1], parts[2]]);
            (0..3).for_each(|a| c[a] += moved[a]);
        }
        match request.outside {
            Outside::Value(outside) if !(0..3).all(|a| inside(c[a], 0, of[a] as i64)) => outside,
            _ => value(c, source, of),
        }
    };
    Region::of_shape(request.target_shape).tiles([1; 3]).map(|at| voxel(at.lo)).collect()
}
