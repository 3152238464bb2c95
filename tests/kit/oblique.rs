//! Requests with oblique mappings.

use reslice::{
    geometry::{Affine, Mapping},
    region::Region,
    resample::{Area, KernelShape, LabelWeights, Method, OpRequest, Order, Outside, Window},
    voxel::Rounding,
};

use super::rng::Rng;

pub(crate) const SHAPES: [[u64; 3]; 5] = [[13, 11, 17], [20, 23, 9], [1, 7, 13], [5, 1, 11], [1, 1, 1]];

pub(crate) fn methods() -> Vec<Method> {
    let splines = (2..=5).map(|order| KernelShape::BSpline { order });
    let sinc = KernelShape::Sinc { window: Window::Hamming, radius: 5 };
    let others = [KernelShape::Linear, KernelShape::CatmullRom, KernelShape::Lanczos { lobes: 3 }, sinc];
    let gaussian = KernelShape::Gaussian { sigma: 0.8 };
    let kernels = splines.chain(others).chain([gaussian]).map(Method::Kernel);
    let labels = [LabelWeights::Linear, LabelWeights::Gaussian { sigma: 1.0 }].map(Method::Label);
    kernels.chain(labels).chain(Area::ALL.map(Method::Area)).chain([Method::Nearest]).collect()
}

/// A rotation by random angles, scaled, onto a grid of random size around the source's centre.
pub(crate) fn request(method: Method, shape: [u64; 3], rng: &mut Rng) -> OpRequest {
    let (mut m, target_shape) = ([[0.0; 4]; 3], [0; 3].map(|_| rng.within(1, 17)));
    let angles = [0; 3].map(|_| *rng.one_of(&[0.0, 0.3, -1.1, 0.02, 2.5]) + 0.1 * rng.unit());
    let turn = |a: usize, b: usize, angle: f64| {
        let mut turn = Affine::identity();
        (turn.m[a][a], turn.m[a][b], turn.m[b][a], turn.m[b][b]) =
            (angle.cos(), -angle.sin(), angle.sin(), angle.cos());
        turn
    };
    // Every other time one axis stays where it is, at whole indices.
    let kept = rng.below(2) == 0;
    let turned = if kept {
        turn(1, 2, angles[0])
    } else {
        turn(1, 2, angles[0]).after(&turn(0, 2, angles[1])).after(&turn(0, 1, angles[2]))
    };
    for (r, row) in m.iter_mut().enumerate() {
        let step = if kept && r == 0 { 1.0 } else { *rng.one_of(&[0.6, 1.0, 1.9]) };
        (0..3).for_each(|c| row[c] = turned.m[r][c] * step);
        let image: f64 = (0..3).map(|c| row[c] * (target_shape[c] - 1) as f64 / 2.0).sum();
        row[3] = (shape[r] - 1) as f64 / 2.0 - image + if kept && r == 0 { 0.0 } else { rng.between(-2.0, 2.0) };
        if kept && r == 0 {
            row[3] = row[3].round();
        }
    }
    OpRequest {
        method,
        antialias: false,
        mapping: Mapping::Affine(Affine { m }),
        target_shape,
        bounds: Region::of_shape(shape),
        outside: *rng.one_of(&[Outside::Value(7.0), Outside::Edge]),
        rounding: *rng.one_of(&[Rounding::Nearest, Rounding::Truncate]),
        order: Order::Rising,
    }
}

/// The continuous index of a target voxel; outer roundings as the crate defines them.
pub(crate) fn index(request: &OpRequest, at: [i64; 3]) -> [f64; 3] {
    let Mapping::Affine(affine) = &request.mapping else { panic!("axis-aligned") };
    affine.m.map(|m| {
        let base = m[1].mul_add(at[1] as f64, m[0].mul_add(at[0] as f64, m[3]));
        m[2].mul_add(at[2] as f64, base)
    })
}
