//! From what was asked to the op that does it.

use std::ops::Range;

use super::{
    Area, BlockOp, Kernel, KernelShape, Method, Nearest, OpRequest, Outside, Separable, TapTable,
    axes::Axes,
    cover::{Covered, Extreme, Pick},
    gather,
    taps::inside_range,
};
use crate::{
    geometry::{AxisMap, Mapping},
    voxel::{Real, Voxel},
};

/// Source voxels overlapped by no more than this are not covered, for methods that do not weigh.
const LEAST_OVERLAP: f64 = 1e-6;
/// The same for methods that weigh: rounding errors of the mapping, relative to the smaller of source and target voxel.
const NOISE_OVERLAP: f64 = 1e-9;

/// Target indices that are looked at for others.
const LOOKED_AT: i64 = 256;
/// What looks farther, in source voxels, looks at more than one of them.
const FARTHEST: f64 = 64.0;
/// Whole numbers up to this are exact, and so are their sums.
const WHOLE: f64 = (1u64 << 50) as f64;

/// The op for voxels of type `T`.
pub fn block_op<T: Voxel>(request: &OpRequest) -> Box<dyn BlockOp<T>> {
    match (&request.mapping, request.method) {
        (_, Method::Label(weights)) => Box::new(gather::labels(request, weights)),
        (Mapping::AxisAligned(maps), Method::Nearest) => Box::new(nearest(request, maps)),
        // Interpolating would only copy: this way 64-bit integers stay exact.
        (Mapping::AxisAligned(maps), _) if selects_for_certain(request) => Box::new(nearest(request, maps)),
        (Mapping::AxisAligned(maps), Method::Kernel(shape)) => {
            separable(request, maps, kernel_tables(request, maps, shape))
        }
        (Mapping::AxisAligned(maps), Method::Area(cover)) => covered(request, maps, cover.of_samples(request.order)),
        (Mapping::Affine(_) | Mapping::Warped(_), Method::Nearest) => Box::new(gather::nearest(request)),
        (Mapping::Affine(_) | Mapping::Warped(_), Method::Kernel(shape)) => Box::new(gather::kernel(request, shape)),
        (Mapping::Affine(_) | Mapping::Warped(_), Method::Area(cover)) => {
            Box::new(gather::covering(request, cover.of_samples(request.order)))
        }
    }
}

/// Whether every target voxel inside the source is one source voxel, unchanged, whatever the method.
pub fn passes_through(request: &OpRequest) -> bool {
    request.method == Method::Nearest || selects(request)
}

/// The same for methods with tap tables; told by some indices at either end of each axis and in its middle.
fn selects(request: &OpRequest) -> bool {
    let Mapping::AxisAligned(maps) = &request.mapping else { return false };
    maps.iter().zip(request.target_shape).all(|(map, len)| selects_along(request, map, len))
}

fn selects_along(request: &OpRequest, map: &AxisMap, len: u64) -> bool {
    let Range { start, end } = inside_range(map, len, &bounds(request, map), false);
    let middle = start + (end - start) / 2;
    [start, middle, end - LOOKED_AT].into_iter().all(|from| {
        let from = from.max(start);
        is_single(request, map, from..(from + LOOKED_AT).min(end))
    })
}

/// Whether each target index looks at one source index alone, where that can be told without tables. An axis with whole steps is tested at a
/// few indices, which stand for all; a short axis is tested at every index.
pub(super) fn selects_for_certain(request: &OpRequest) -> bool {
    let Mapping::AxisAligned(maps) = &request.mapping else { return false };
    let is_whole = |x: f64| x.fract() == 0.0 && x.abs() < WHOLE;
    let is_short = |len: u64| len <= LOOKED_AT as u64;
    let is_certain = |(map, len): (&AxisMap, u64)| {
        is_short(len) || is_whole(map.scale) && is_whole(map.offset) && is_whole(map.scale * len as f64)
    };
    let selects = |(map, len): (&AxisMap, u64)| {
        if !is_short(len) {
            return selects_along(request, map, len);
        }
        // Those beyond the source too, where they look at its edge.
        let run = inside_range(map, len, &bounds(request, map), request.outside == Outside::Edge);
        run.is_empty() || is_single(request, map, run)
    };
    let axes = || maps.iter().zip(request.target_shape);
    axes().all(is_certain) && axes().all(selects)
}

/// Whether each target index of a run looks at one source index alone.
fn is_single(request: &OpRequest, map: &AxisMap, run: Range<i64>) -> bool {
    let from_start = AxisMap { offset: map.at(run.start), ..*map };
    let (len, bounds) = ((run.end - run.start) as u64, bounds(request, map));
    match request.method {
        Method::Kernel(shape) => {
            let kernel = kernel(request, map, shape);
            kernel.support() < FARTHEST && TapTable::<f64>::new(&from_start, len, bounds, &kernel, true).selects()
        }
        Method::Area(cover) => {
            let table = || TapTable::<f64>::covering(&from_start, len, bounds, least_overlap(cover, map), true);
            map.scale.abs() < FARTHEST && table().selects()
        }
        Method::Nearest | Method::Label(_) => false,
    }
}

fn nearest<T: Voxel>(request: &OpRequest, maps: &[AxisMap; 3]) -> Nearest<T> {
    Nearest::new(request.target_shape, *maps, request.bounds, request.outside)
}

fn separable<T: Voxel>(request: &OpRequest, maps: &[AxisMap; 3], tables: [TapTable<T::Acc>; 3]) -> Box<dyn BlockOp<T>> {
    if tables.iter().all(TapTable::selects) {
        // Interpolating would only copy: this way 64-bit integers stay exact.
        return Box::new(nearest(request, maps).instead_of(&tables));
    }
    let op = Separable::new(request.target_shape, maps, tables, request.outside, request.rounding);
    let overshoots = matches!(request.method, Method::Kernel(shape) if shape.overshoots());
    Box::new(op.with_overshoot(overshoots))
}

fn covered<T: Voxel>(request: &OpRequest, maps: &[AxisMap; 3], cover: Area) -> Box<dyn BlockOp<T>> {
    let pick = match cover {
        Area::Mean => return separable(request, maps, cover_tables(request, maps, cover)),
        Area::Mode => Pick::Mode(request.order),
        Area::Min => Pick::Extreme(Extreme::Min),
        Area::Max => Pick::Extreme(Extreme::Max),
        Area::Median => Pick::Median,
    };
    let tables = cover_tables::<f64>(request, maps, cover);
    if tables.iter().all(TapTable::selects) {
        return Box::new(nearest(request, maps).instead_of(&tables));
    }
    let axes = Axes::new(request.target_shape, maps, tables);
    Box::new(Covered::new(axes, pick, request.outside, request.rounding))
}

fn kernel_tables<A: Real>(request: &OpRequest, maps: &[AxisMap; 3], shape: KernelShape) -> [TapTable<A>; 3] {
    tables(request, maps, |map, len, bounds, extend| {
        TapTable::new(map, len, bounds, &kernel(request, map, shape), extend)
    })
}

/// The kernel along one axis.
pub(super) fn kernel(request: &OpRequest, map: &AxisMap, shape: KernelShape) -> Kernel {
    Kernel { shape, stretch: if request.antialias { map.scale.abs().max(1.0) } else { 1.0 } }
}

fn cover_tables<A: Real>(request: &OpRequest, maps: &[AxisMap; 3], cover: Area) -> [TapTable<A>; 3] {
    tables(request, maps, |map, len, bounds, extend| {
        TapTable::covering(map, len, bounds, least_overlap(cover, map), extend)
    })
}

fn least_overlap(cover: Area, map: &AxisMap) -> f64 {
    match cover {
        Area::Mean | Area::Mode => NOISE_OVERLAP * map.scale.abs().min(1.0),
        Area::Min | Area::Max | Area::Median => LEAST_OVERLAP,
    }
}

/// Source voxels that exist along the source axis of `map`.
pub(super) fn bounds(request: &OpRequest, map: &AxisMap) -> Range<i64> {
    request.bounds.lo[map.source_axis]..request.bounds.hi[map.source_axis]
}

/// One table per target axis, made of its map, its length, the source voxels that exist and whether the edge is extended.
fn tables<A: Real>(
    request: &OpRequest,
    maps: &[AxisMap; 3],
    table: impl Fn(&AxisMap, u64, Range<i64>, bool) -> TapTable<A>,
) -> [TapTable<A>; 3] {
    let extend = request.outside == Outside::Edge;
    std::array::from_fn(|t| table(&maps[t], request.target_shape[t], bounds(request, &maps[t]), extend))
}
