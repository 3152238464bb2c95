//! What the tables of an op take, told from what was asked alone: before anything is allocated by a number in an argument or a file.

use std::ops::Range;

use super::{
    KernelShape, LabelWeights, Method, OpRequest, Outside,
    build::{bounds, kernel, selects_for_certain},
    gather,
    taps::{inside_range, most_covered, most_of_kernel},
};
use crate::{
    geometry::{AxisMap, Mapping},
    voxel::Voxel,
};

/// First index and place of each target index along an axis.
const ENTRY_BYTES: f64 = 12.5;
/// Weights of an axis at most: their places are 32-bit numbers.
const MOST_WEIGHTS: f64 = u32::MAX as f64;
/// Bytes of the f64 weights of one target index while they are made, folded ones among them.
const MAKING_BYTES: f64 = 24.0;

/// Bytes that the tables of an op for voxels of type `T` take at most, and making them; `u64::MAX` where they cannot be.
pub fn most_table_bytes<T: Voxel>(request: &OpRequest) -> u64 {
    let weight_bytes = size_of::<T::Acc>() as f64;
    let bytes = match (&request.mapping, request.method) {
        (_, Method::Label(LabelWeights::Gaussian { sigma })) => gather::gaussian_bytes(sigma, size_of::<f64>()),
        (_, Method::Label(LabelWeights::Linear) | Method::Nearest) => 0.0,
        (Mapping::AxisAligned(maps), Method::Kernel(shape)) => {
            let taps = |map: &AxisMap, bounds: &Range<i64>| most_of_kernel(&kernel(request, map, shape), bounds);
            aligned(request, maps, taps, weight_bytes)
        }
        (Mapping::AxisAligned(maps), Method::Area(_)) => aligned(request, maps, most_covered, size_of::<f64>() as f64),
        (Mapping::Affine(_) | Mapping::Warped(_), Method::Kernel(shape)) => {
            let stencil = match shape {
                KernelShape::Gaussian { sigma } => gather::gaussian_bytes(sigma, size_of::<T::Acc>()),
                _ => 0.0,
            };
            let ratio = if request.antialias { request.mapping.ratio() } else { [1.0; 3] };
            stencil + gather::low_pass_bytes(ratio, size_of::<T::Acc>())
        }
        (Mapping::Affine(_) | Mapping::Warped(_), Method::Area(_)) => 0.0,
    };
    // The cast saturates.
    if bytes.is_nan() { u64::MAX } else { bytes.ceil() as u64 }
}

/// The tables of three axes, with at most so many taps for each target index; of these the table keeps those in the source.
fn aligned(
    request: &OpRequest,
    maps: &[AxisMap; 3],
    most: impl Fn(&AxisMap, &Range<i64>) -> f64,
    weight_bytes: f64,
) -> f64 {
    let along = |t: usize| {
        let (map, bounds) = (&maps[t], bounds(request, &maps[t]));
        let extend = request.outside == Outside::Edge;
        let inside = inside_range(map, request.target_shape[t], &bounds, extend);
        let (entries, taps) = ((inside.end - inside.start) as f64, most(map, &bounds));
        let weights = entries * taps.min((bounds.end - bounds.start) as f64);
        if weights > MOST_WEIGHTS {
            return f64::INFINITY;
        }
        entries * ENTRY_BYTES + weights * weight_bytes + taps * MAKING_BYTES
    };
    if selects_for_certain(request) { 0.0 } else { (0..3).map(along).sum() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        geometry::Affine,
        region::Region,
        resample::{Area, Border, Order, block_op},
        voxel::Rounding,
    };

    fn request(method: Method, mapping: Mapping, antialias: bool, extent: u64) -> OpRequest {
        OpRequest {
            method,
            antialias,
            mapping,
            target_shape: [extent; 3],
            bounds: Region::of_shape([40, 50, 60]),
            outside: Outside::Edge,
            rounding: Rounding::Nearest,
            order: Order::default(),
        }
    }

    fn mappings(scale: f64) -> [Mapping; 2] {
        let maps = [0, 1, 2].map(|source_axis| AxisMap { source_axis, scale, offset: 0.3 });
        let m = [[scale, 0.1, 0.0, 0.0], [-0.1, scale, 0.0, 1.0], [0.0, 0.0, scale, 0.3]];
        [Mapping::AxisAligned(maps), Mapping::Affine(Affine { m })]
    }

    #[test]
    fn tables_never_take_more_than_was_told() {
        let shapes = [
            KernelShape::Linear,
            KernelShape::Lanczos { lobes: 3 },
            KernelShape::BSpline { order: 3 },
            KernelShape::Gaussian { sigma: 2.5 },
        ];
        for scale in [0.4, 1.0, 3.7, 11.0] {
            for mapping in mappings(scale) {
                for antialias in [false, true] {
                    let kernels = shapes.iter().filter(|shape| !antialias || shape.border() != Border::Mirror);
                    let kernels = kernels.map(|&shape| Method::Kernel(shape));
                    for method in kernels.chain([Method::Area(Area::Mean), Method::Area(Area::Mode)]) {
                        let request = request(method, mapping.clone(), antialias, 30);
                        let op = block_op::<u16>(&request);
                        let (told, taken) = (most_table_bytes::<u16>(&request), op.table_bytes());
                        // What gathers has weights of 4096 phases, whatever is asked.
                        let beside = if matches!(mapping, Mapping::AxisAligned(_)) { 1 << 10 } else { 1 << 20 };
                        assert!(taken <= told + beside, "{method} x{scale}: {taken} instead of {told}");
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_beyond_all_bounds_are_told_at_once() {
        let linear = Method::Kernel(KernelShape::Linear);
        for scale in [1e12, 1e300] {
            for mapping in mappings(scale) {
                assert!(most_table_bytes::<u16>(&request(linear, mapping, true, 1)) > 1 << 40);
            }
        }
        let wide = Method::Kernel(KernelShape::Gaussian { sigma: 1e9 });
        let [aligned, affine] = mappings(1.0);
        assert!(most_table_bytes::<u16>(&request(wide, affine, false, 1)) > 1 << 33);
        // Of this one only the weights within the source are made.
        assert!(most_table_bytes::<u16>(&request(wide, aligned, false, 1)) < 1 << 14);
        let [long, _] = mappings(1e-9);
        assert!(most_table_bytes::<u16>(&request(linear, long, false, 1 << 40)) == u64::MAX);
        // What only copies has no tables, however long.
        let copy = Mapping::AxisAligned([0, 1, 2].map(|source_axis| AxisMap { source_axis, scale: 1.0, offset: 0.0 }));
        assert_eq!(most_table_bytes::<u16>(&request(linear, copy, false, 1 << 40)), 0);
    }
}
