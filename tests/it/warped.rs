//! Gathering through displacements, one and several.

use std::sync::Arc;

use crate::kit::{
    oblique::{SHAPES, index, methods, request},
    rng::Rng,
    timeout::within,
    volumes::{count, random_voxels},
};
use reslice::{
    block::{BlockMut, BlockRef},
    geometry::{self, Affine, Mapping, Spline, Stage, VectorRanges, Warp, apply, inside},
    region::Region,
    resample::{self, KernelShape, Method, OpRequest, Outside, Workspace, block_op},
};

/// A stage and the vectors of its field, which are none of a spline: half as fine as the target, or on its voxels; smaller than it,
/// and shifted.
fn stage(request: &OpRequest, earlier: usize, kind: Kind, rng: &mut Rng) -> (Stage, Option<Vec<f32>>) {
    let is_aligned = rng.within(0, 1) == 1;
    let least = if kind == Kind::Spline { 4 } else { 1 };
    let shape =
        request.target_shape.map(|n| if is_aligned { n.saturating_sub(rng.within(0, 3)) } else { n / 2 }.max(least));
    // Changes of less than a voxel from one to the next have an inverse.
    let size = if kind == Kind::Inverse { 0.2 } else { 1.7 };
    let vectors: Vec<f32> = (0..3 * count(shape)).map(|_| rng.between(-size, size) as f32).collect();
    let mut target_to_own = Affine::identity();
    for (a, row) in target_to_own.m.iter_mut().enumerate() {
        (row[a], row[3]) = if is_aligned { (1.0, a as f64 - 1.0) } else { (0.5, 0.2) };
    }
    let matrix = [[0.0, 0.1, 1.0], [0.0, 0.9, 0.0], [-1.1, 0.0, 0.2]];
    let of = match kind {
        Kind::Spline => {
            let coefficients = vectors.iter().map(|&x| f64::from(x)).collect();
            geometry::Vectors::Spline(Arc::new(Spline::new(shape, coefficients).unwrap()))
        }
        Kind::Field | Kind::Inverse => geometry::Vectors::Field(Arc::new(ranges_of(shape, &vectors))),
    };
    let stage = Stage {
        target_to_own,
        earlier: vec![matrix; earlier],
        vector_to_own: matrix,
        vector_to_source: matrix,
        vectors: of,
        is_inverse: kind == Kind::Inverse,
        ends_at_faces: false,
    };
    (stage, (kind != Kind::Spline).then_some(vectors))
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Field,
    Inverse,
    Spline,
}

fn ranges_of(shape: [u64; 3], vectors: &[f32]) -> VectorRanges {
    let (all, mut ranges) = (Region::of_shape(shape), VectorRanges::new(shape));
    for (c, values) in vectors.chunks_exact(count(shape)).enumerate() {
        let found = ranges.of(all, BlockRef::new(all, 1, values));
        ranges.add(c, &found);
    }
    ranges
}

/// The same request through stages of these kinds, and the vectors of the fields among them.
fn warped(request: &OpRequest, kinds: &[Kind], rng: &mut Rng) -> (OpRequest, Vec<Vec<f32>>) {
    let Mapping::Affine(base) = request.mapping else { panic!("not oblique") };
    let stages = kinds.iter().enumerate().map(|(n, &kind)| stage(request, n, kind, rng));
    let (stages, vectors): (Vec<Stage>, Vec<Option<Vec<f32>>>) = stages.unzip();
    (
        OpRequest { mapping: Mapping::Warped(Warp { base, stages }), ..request.clone() },
        vectors.into_iter().flatten().collect(),
    )
}

const WAYS: [&[Kind]; 8] = [
    &[Kind::Field],
    &[Kind::Field],
    &[Kind::Field, Kind::Field],
    &[Kind::Inverse],
    &[Kind::Field, Kind::Inverse, Kind::Field],
    &[Kind::Spline],
    &[Kind::Inverse, Kind::Spline, Kind::Field],
    &[Kind::Field, Kind::Field, Kind::Field],
];

#[test]
fn pieces_of_any_shape_make_the_whole_through_a_field() {
    within(120, || {
        let mut rng = Rng::new("warped pieces");
        for method in methods() {
            for kinds in WAYS {
                let of = *rng.one_of(&SHAPES);
                let (request, vectors) = warped(&request(method, of, &mut rng), kinds, &mut rng);
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
                if let (Method::Kernel(KernelShape::Linear), false) =
                    (method, kinds.iter().any(|&kind| kind != Kind::Field))
                {
                    let exact = linear_through_field(&request, &vectors, &source, of);
                    assert!(whole.iter().zip(&exact).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-2), "{request:?}");
                }
            }
        }
    });
}

/// Computed piece by piece, each from no more of source and field than the op asks for.
fn through_field(
    request: &OpRequest,
    vectors: &[Vec<f32>],
    source: &[f32],
    of: [u64; 3],
    step: [usize; 3],
) -> Vec<f32> {
    let Mapping::Warped(warp) = &request.mapping else { panic!("not warped") };
    let fields: Vec<&Stage> = warp.stages.iter().filter(|stage| stage.is_field()).collect();
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
        let regions = op.field_regions(piece);
        let needed: u64 = regions.iter().map(|region| 3 * 4 * region.voxels()).sum();
        assert!(needed <= op.scratch_bytes(piece), "vectors of {piece}: {needed} bytes in {request:?}");
        for ((stage, vectors), region) in fields.iter().zip(vectors).zip(regions) {
            let all = BlockRef::new(Region::of_shape(stage.ranges().shape()), 3, vectors);
            let mut field = resample::Vectors { region, voxels: vec![f32::NAN; 3 * region.voxels() as usize] };
            BlockMut::new(region, 3, &mut field.voxels).copy_from(all, 0);
            scratch.fields.push(field);
        }
        op.apply(BlockRef::new(region, 1, &cut), &mut BlockMut::new(all, 1, &mut voxels), piece, &mut scratch);
    }
    voxels
}

/// Linear interpolation in a grid of values, the edge repeated.
fn value(at: [f64; 3], values: &[f32], of: [u64; 3]) -> f64 {
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
}

/// The vector of a field at an own index.
fn vector_at(stage: &Stage, vectors: &[f32], at: [f64; 3]) -> [f64; 3] {
    let shape = stage.ranges().shape();
    let is_inside = (0..3).all(|a| inside(at[a], 0, shape[a] as i64));
    let of = |c: usize| value(at, &vectors[c * count(shape)..(c + 1) * count(shape)], shape);
    if is_inside { [of(0), of(1), of(2)] } else { [0.0; 3] }
}

fn linear_through_field(request: &OpRequest, vectors: &[Vec<f32>], source: &[f32], of: [u64; 3]) -> Vec<f64> {
    let Mapping::Warped(warp) = &request.mapping else { panic!("not warped") };
    let voxel = |at: [i64; 3]| {
        let oblique = |mapping: Affine| OpRequest { mapping: Mapping::Affine(mapping), ..request.clone() };
        let (mut c, mut added) = (index(&oblique(warp.base), at), Vec::new());
        for (stage, vectors) in warp.stages.iter().zip(vectors) {
            let mut own = index(&oblique(stage.target_to_own), at);
            for (matrix, &vector) in stage.earlier.iter().zip(&added) {
                let moved = apply(matrix, vector);
                (0..3).for_each(|a| own[a] += moved[a]);
            }
            let vector = vector_at(stage, vectors, own);
            let moved = apply(&stage.vector_to_source, vector);
            (0..3).for_each(|a| c[a] += moved[a]);
            added.push(vector);
        }
        match request.outside {
            Outside::Value(outside) if !(0..3).all(|a| inside(c[a], 0, of[a] as i64)) => outside,
            _ => value(c, source, of),
        }
    };
    Region::of_shape(request.target_shape).tiles([1; 3]).map(|at| voxel(at.lo)).collect()
}
