//! The naive reference: semantics.md read literally, in f64, one voxel at a time.

use std::f64::consts::PI;

use reslice::{
    geometry::{AxisMap, Mapping},
    region::Region,
    resample::{KernelShape, Method, OpRequest, Outside},
    voxel::{Rounding, Voxel},
};

pub fn maps(request: &OpRequest) -> [AxisMap; 3] {
    match &request.mapping {
        Mapping::AxisAligned(maps) => *maps,
        other => panic!("oblique: {other:?}"),
    }
}

fn weight(shape: KernelShape, x: f64) -> f64 {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
    let x = x.abs();
    match shape {
        KernelShape::Linear => (1.0 - x).max(0.0),
        KernelShape::CatmullRom if x < 1.0 => 1.5 * x.powi(3) - 2.5 * x.powi(2) + 1.0,
        KernelShape::CatmullRom if x < 2.0 => -0.5 * x.powi(3) + 2.5 * x.powi(2) - 4.0 * x + 2.0,
        KernelShape::Lanczos { lobes } if x < f64::from(lobes) => sinc(x) * sinc(x / f64::from(lobes)),
        _ => 0.0,
    }
}

/// Weights that small are 0, but for rounding.
const ZERO: f64 = 1e-14;

/// Source indices and weights that the target index `i` along target axis `t` looks at; `None` outside.
pub fn taps(request: &OpRequest, t: usize, i: i64) -> Option<Vec<(i64, f64)>> {
    taps_over(request, t, i, ZERO)
}

/// The same with the weights above `least`; all within the support, its ends included, where that is negative.
fn taps_over(request: &OpRequest, t: usize, i: i64, least: f64) -> Option<Vec<(i64, f64)>> {
    let map = maps(request)[t];
    let (lo, hi) = (request.bounds.lo[map.source_axis], request.bounds.hi[map.source_axis]);
    let c = map.scale.mul_add(i as f64, map.offset);
    let half = (c - 0.5).round() + 0.5;
    let settled = if (c - half).abs() <= 1e-6 { half } else { c };
    let inside = settled >= lo as f64 - 0.5 && settled < hi as f64 - 0.5;
    if !inside && request.outside != Outside::Edge {
        return None;
    }
    let clamp = |k: f64| (k as i64).clamp(lo, hi - 1);
    let Method::Kernel(shape) = request.method else {
        return Some(vec![(clamp((settled + 0.5).floor()), 1.0)]);
    };
    let stretch = if request.antialias { map.scale.abs().max(1.0) } else { 1.0 };
    let reach = if least < 0.0 { shape.support() * stretch + 1e-9 } else { 7.0 * stretch };
    let mut taps: Vec<(i64, f64)> = ((c - reach).ceil() as i64..=(c + reach).floor() as i64)
        .map(|k| (clamp(k as f64), weight(shape, (k as f64 - c) / stretch)))
        .filter(|(_, w)| w.abs() > least)
        .collect();
    let sum: f64 = taps.iter().map(|(_, w)| w).sum();
    taps.iter_mut().for_each(|(_, w)| *w /= sum);
    Some(taps)
}

/// Source voxels that any voxel of `target` weighs: at least, and with weights that are 0 but for rounding.
pub fn hulls(request: &OpRequest, target: Region) -> [Region; 2] {
    [ZERO, -1.0].map(|least| hull(request, target, least))
}

fn hull(request: &OpRequest, target: Region, least: f64) -> Region {
    let mut region = Region::EMPTY;
    for t in 0..3 {
        let s = maps(request)[t].source_axis;
        let seen =
            (target.lo[t]..target.hi[t]).filter_map(|i| taps_over(request, t, i, least)).flatten().map(|(k, _)| k);
        let (lo, hi) = seen.fold((i64::MAX, i64::MIN), |(lo, hi), k| (lo.min(k), hi.max(k)));
        if lo > hi {
            return Region::EMPTY;
        }
        (region.lo[s], region.hi[s]) = (lo, hi + 1);
    }
    region
}

/// The exact values of the whole target, before rounding; `source` holds `source_shape` voxels from index 0.
pub fn resample<T: Voxel>(request: &OpRequest, source: &[T], source_shape: [u64; 3]) -> Vec<f64> {
    let maps = maps(request);
    let table: [Vec<_>; 3] =
        std::array::from_fn(|t| (0..request.target_shape[t] as i64).map(|i| taps(request, t, i)).collect());
    let strides = [(source_shape[1] * source_shape[2]) as i64, source_shape[2] as i64, 1];
    let stride: [i64; 3] = std::array::from_fn(|t| strides[maps[t].source_axis]);
    let outside = match request.outside {
        Outside::Value(value) => value,
        Outside::Edge => f64::NAN,
    };
    let mut target = Vec::new();
    for z in &table[0] {
        for y in &table[1] {
            for x in &table[2] {
                let (Some(z), Some(y), Some(x)) = (z, y, x) else {
                    target.push(outside);
                    continue;
                };
                let mut sum = 0.0;
                for (kz, wz) in z {
                    for (ky, wy) in y {
                        for (kx, wx) in x {
                            let at = kz * stride[0] + ky * stride[1] + kx * stride[2];
                            sum += wz * wy * wx * source[at as usize].to_f64();
                        }
                    }
                }
                target.push(sum);
            }
        }
    }
    target
}

/// `got` against the exact value: floats within `tolerance`, integers equal unless within `tolerance` of a tie, and then
/// off by at most 1.
pub fn check<T: Voxel>(got: T, exact: f64, rounding: Rounding, tolerance: f64) -> Result<(), String> {
    let value = got.to_f64();
    let wrong = || Err(format!("{got:?} instead of {exact}"));
    if T::DTYPE.is_float() {
        return if (value - exact).abs() <= tolerance || (value.is_nan() && exact.is_nan()) { Ok(()) } else { wrong() };
    }
    let exact = exact.clamp(T::range().0, T::range().1);
    let (expected, tie) = match rounding {
        Rounding::Nearest => ((exact + 0.5).floor(), (exact - 0.5).round() + 0.5),
        Rounding::Truncate => (exact.trunc(), exact.round()),
    };
    let near_tie = (exact - tie).abs() <= tolerance;
    if value == expected || (near_tie && (value - expected).abs() <= 1.0) { Ok(()) } else { wrong() }
}
