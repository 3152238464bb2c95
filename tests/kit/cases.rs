//! Random requests: permutations, flips, up, down and mixed, borders and the far outside.

use reslice::{
    geometry::{AxisMap, Mapping},
    region::Region,
    resample::{Area, KernelShape, Method, OpRequest, Order, Outside, Window},
    voxel::Rounding,
};

use super::rng::Rng;

/// A request and the shape of the source it is about.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub request: OpRequest,
    pub source_shape: [u64; 3],
}

pub(crate) const LANCZOS: [KernelShape; 5] = [
    KernelShape::Lanczos { lobes: 2 },
    KernelShape::Lanczos { lobes: 3 },
    KernelShape::Lanczos { lobes: 4 },
    KernelShape::Lanczos { lobes: 5 },
    KernelShape::Lanczos { lobes: 6 },
];

pub(crate) const SHAPES: [[u64; 3]; 6] = [[13, 11, 17], [20, 23, 29], [1, 7, 13], [5, 1, 11], [3, 19, 1], [1, 1, 1]];

/// Every method that axis-aligned mappings know.
pub(crate) fn kernels() -> Vec<Method> {
    let splines = (2..=5).map(|order| KernelShape::BSpline { order });
    let sincs =
        Window::ALL.into_iter().zip([5, 3, 4, 5, 2]).map(|(window, radius)| KernelShape::Sinc { window, radius });
    // A sigma that cuts at no voxel that these cases look at: there rounding decides over a tap.
    let gaussian = KernelShape::Gaussian { sigma: 0.83 };
    let sums = [KernelShape::Linear, KernelShape::CatmullRom, gaussian].into_iter().chain(LANCZOS).chain(splines);
    let kernels = sums.chain(sincs).map(Method::Kernel);
    std::iter::once(Method::Nearest).chain(kernels).chain(Area::ALL.map(Method::Area)).collect()
}

/// The methods that copy where a target voxel stands on a source voxel: all but the Gaussian, which smooths.
pub(crate) fn copying() -> Vec<Method> {
    let smooths = |method: &Method| matches!(method, Method::Kernel(KernelShape::Gaussian { .. }));
    kernels().into_iter().filter(|method| !smooths(method)).collect()
}

/// Whether a method looks at so many voxels that fewer cases must do.
pub(crate) fn is_wide(method: Method) -> bool {
    matches!(method, Method::Kernel(shape) if shape.support() > 2.0)
}

/// The same grid, every voxel looking at itself.
pub(crate) fn identity(kernel: Method, shape: [u64; 3]) -> Case {
    let map = |source_axis| AxisMap { source_axis, scale: 1.0, offset: 0.0 };
    Case { request: request(kernel, [map(0), map(1), map(2)], shape, shape), source_shape: shape }
}

pub(crate) fn request(kernel: Method, maps: [AxisMap; 3], target_shape: [u64; 3], source_shape: [u64; 3]) -> OpRequest {
    OpRequest {
        method: kernel,
        antialias: false,
        mapping: Mapping::AxisAligned(maps),
        target_shape,
        bounds: Region::of_shape(source_shape),
        outside: Outside::Value(0.0),
        rounding: Rounding::Nearest,
        order: Order::Rising,
    }
}

/// Steps `ratio[t]` along each target axis, permuted and flipped, covering the source with `margin` voxels beyond it.
pub(crate) fn resized(
    kernel: Method,
    source_shape: [u64; 3],
    permutation: [usize; 3],
    ratio: [f64; 3],
    shift: f64,
) -> Case {
    let mut target_shape = [0; 3];
    let maps = std::array::from_fn(|t| {
        let len = source_shape[permutation[t]];
        target_shape[t] = ((len as f64 / ratio[t].abs()).round() as u64).max(1);
        let first = if ratio[t] < 0.0 { (len - 1) as f64 } else { 0.0 };
        AxisMap { source_axis: permutation[t], scale: ratio[t], offset: first + shift }
    });
    Case { request: request(kernel, maps, target_shape, source_shape), source_shape }
}

/// Anything that is axis-aligned.
pub(crate) fn random(kernel: Method, rng: &mut Rng) -> Case {
    let source_shape = *rng.one_of(&SHAPES);
    let permutation = rng.permutation();
    let kind = rng.below(4);
    let ratio = std::array::from_fn(|_| {
        let size = match (kind, rng.below(2)) {
            (0, _) | (2, 0) => rng.between(0.4, 1.0),
            (1, _) | (2, _) => rng.between(1.0, 4.5),
            _ => *rng.one_of(&[0.5, 1.0, 2.0, 1.5]),
        };
        if rng.below(3) == 0 { -size } else { size }
    });
    let shift = *rng.one_of(&[0.0, 0.25, -0.5, 1.3, -2.7]);
    let mut case = resized(kernel, source_shape, permutation, ratio, shift);
    case.request.antialias = kernel.stretches() && rng.below(2) == 0;
    case.request.outside = *rng.one_of(&[Outside::Value(0.0), Outside::Value(7.0), Outside::Edge]);
    case.request.rounding = *rng.one_of(&[Rounding::Nearest, Rounding::Truncate]);
    if rng.below(4) == 0 {
        case.request.bounds = sub_box(source_shape, rng);
    }
    case
}

/// A box within a grid of this shape, not empty.
pub(crate) fn sub_box(shape: [u64; 3], rng: &mut Rng) -> Region {
    let lo: [i64; 3] = shape.map(|n| rng.below(n) as i64);
    Region::new(lo, std::array::from_fn(|a| rng.within(lo[a] as u64 + 1, shape[a]) as i64))
}
