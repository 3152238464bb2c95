//! The naive reference: semantics.md read literally, in f64, one voxel at a time.

use std::f64::consts::PI;

use reslice::{
    geometry::{AxisMap, Mapping},
    region::Region,
    resample::{Area, KernelShape, Method, OpRequest, Outside, Window},
    voxel::{Rounding, Voxel},
};

use super::spline;

pub(crate) fn maps(request: &OpRequest) -> [AxisMap; 3] {
    match &request.mapping {
        Mapping::AxisAligned(maps) => *maps,
        other => panic!("oblique: {other:?}"),
    }
}

/// Weights of the kernels that are given by their value at a distance.
fn weight(shape: KernelShape, x: f64) -> f64 {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
    let x = x.abs();
    match shape {
        KernelShape::Linear => (1.0 - x).max(0.0),
        KernelShape::CatmullRom if x < 1.0 => 1.5 * x.powi(3) - 2.5 * x.powi(2) + 1.0,
        KernelShape::CatmullRom if x < 2.0 => -0.5 * x.powi(3) + 2.5 * x.powi(2) - 4.0 * x + 2.0,
        KernelShape::Lanczos { lobes } if x < f64::from(lobes) => sinc(x) * sinc(x / f64::from(lobes)),
        KernelShape::Sinc { window, radius } if x < f64::from(radius) => {
            let u = x / f64::from(radius);
            sinc(x)
                * match window {
                    Window::Hamming => 0.54 + 0.46 * (PI * u).cos(),
                    Window::Cosine => (PI * u / 2.0).cos(),
                    Window::Welch => 1.0 - u * u,
                    Window::Lanczos => sinc(u),
                    Window::Blackman => 0.42 + 0.5 * (PI * u).cos() + 0.08 * (2.0 * PI * u).cos(),
                }
        }
        KernelShape::Gaussian { sigma } if x < 4.0 * sigma + 0.5 => {
            let below = |x: f64| 0.5 * (1.0 + libm::erf(x / sigma / 2f64.sqrt()));
            below(x + 0.5) - below(x - 0.5)
        }
        _ => 0.0,
    }
}

/// Weights that small are 0, but for rounding.
const ZERO: f64 = 1e-14;

type Taps = Vec<(i64, f64)>;

/// Source indices and weights that the target index `i` along target axis `t` looks at; `None` outside.
pub(crate) fn taps(request: &OpRequest, t: usize, i: i64) -> Option<Taps> {
    match request.method {
        Method::Kernel(KernelShape::BSpline { order }) => {
            let (c, [lo, hi]) = look(request, t, i)?;
            let inside = settled(c) >= lo as f64 - 0.5 && settled(c) < hi as f64 - 0.5;
            Some(if inside { spline::taps(order, c, lo, hi) } else { vec![((c as i64).clamp(lo, hi - 1), 1.0)] })
        }
        _ => taps_over(request, t, i, ZERO),
    }
}

fn settled(c: f64) -> f64 {
    let half = (c - 0.5).round() + 0.5;
    if (c - half).abs() <= 1e-6 { half } else { c }
}

/// The source index that target index `i` along target axis `t` looks at, and the bounds there; `None` outside.
fn look(request: &OpRequest, t: usize, i: i64) -> Option<(f64, [i64; 2])> {
    let map = maps(request)[t];
    let (lo, hi) = (request.bounds.lo[map.source_axis], request.bounds.hi[map.source_axis]);
    let c = map.scale.mul_add(i as f64, map.offset);
    let inside = settled(c) >= lo as f64 - 0.5 && settled(c) < hi as f64 - 0.5;
    (inside || request.outside == Outside::Edge).then_some((c, [lo, hi]))
}

/// The taps with the weights above `least`; all within the support, its ends included, where that is negative.
fn taps_over(request: &OpRequest, t: usize, i: i64, least: f64) -> Option<Taps> {
    let (c, [lo, hi]) = look(request, t, i)?;
    let clamp = |k: f64| (k as i64).clamp(lo, hi - 1);
    let edge = vec![(clamp((settled(c) + 0.5).floor()), 1.0)];
    let scale = maps(request)[t].scale.abs();
    let shape = match request.method {
        Method::Kernel(shape) => shape,
        Method::Area(cover) => return Some(overlaps(cover, c, scale, lo, hi, least < 0.0).unwrap_or(edge)),
        _ => return Some(edge),
    };
    let stretch = if request.antialias { scale.max(1.0) } else { 1.0 };
    let reach = shape.support() * stretch + 1e-9;
    let (first, last, c) = match shape {
        KernelShape::Sinc { radius, .. } => {
            // Farther out than the radius all taps are the edge voxel.
            let reach = f64::from(radius) + 1.0;
            let c = c.clamp(lo as f64 - reach, (hi - 1) as f64 + reach);
            (c.floor() as i64 + 1 - i64::from(radius), c.floor() as i64 + i64::from(radius), c)
        }
        _ => ((c - reach).ceil() as i64, (c + reach).floor() as i64, c),
    };
    let leaves_out = matches!(shape, KernelShape::Gaussian { .. });
    let mut taps: Taps = (first..=last)
        .filter(|k| !leaves_out || (lo..hi).contains(k))
        .map(|k| match shape {
            // For hulls alone: the support of the cut filter.
            KernelShape::BSpline { .. } if c < lo as f64 - 0.5 - 1e-6 => (lo, 1.0),
            KernelShape::BSpline { .. } if c >= hi as f64 - 0.5 - 1e-6 => (hi - 1, 1.0),
            KernelShape::BSpline { .. } => (spline::mirror(k, lo, hi), shape.weight(k as f64 - c)),
            _ => (clamp(k as f64), weight(shape, (k as f64 - c) / stretch)),
        })
        .filter(|(_, w)| w.abs() > least)
        .collect();
    if taps.is_empty() {
        return Some(edge);
    }
    if !matches!(shape, KernelShape::Sinc { .. }) {
        let sum: f64 = taps.iter().map(|(_, w)| w).sum();
        taps.iter_mut().for_each(|(_, w)| *w /= sum);
    }
    Some(taps)
}

/// The parts of [c - scale/2, c + scale/2] that lie in each source voxel; `None` where no voxel counts.
fn overlaps(cover: Area, c: f64, scale: f64, lo: i64, hi: i64, all: bool) -> Option<Taps> {
    let least = match cover {
        _ if all => 0.0,
        Area::Mean | Area::Mode => 1e-9,
        Area::Min | Area::Max | Area::Median => 1e-6,
    };
    let overlap = |k: i64| (c + scale / 2.0).min(k as f64 + 0.5) - (c - scale / 2.0).max(k as f64 - 0.5);
    let mut taps: Taps = (lo..hi).map(|k| (k, overlap(k))).filter(|(_, part)| *part > least).collect();
    let sum: f64 = taps.iter().map(|(_, w)| w).sum();
    taps.iter_mut().for_each(|(_, w)| *w /= sum);
    (!taps.is_empty()).then_some(taps)
}

/// Source voxels that any voxel of `target` weighs: at least, and with weights that are 0 but for rounding.
pub(crate) fn hulls(request: &OpRequest, target: Region) -> [Region; 2] {
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
pub(crate) fn resample<T: Voxel>(request: &OpRequest, source: &[T], source_shape: [u64; 3]) -> Vec<f64> {
    let tables: [Vec<Option<Taps>>; 3] =
        std::array::from_fn(|t| (0..request.target_shape[t] as i64).map(|i| taps(request, t, i)).collect());
    let source: Vec<f64> = source.iter().map(|v| v.to_f64()).collect();
    let at_target: Box<dyn Fn([usize; 3]) -> f64> = match request.method {
        Method::Area(cover) if cover != Area::Mean => gathered(request, cover, &tables, source, source_shape),
        _ => summed(request, &tables, source, source_shape),
    };
    let outside = match request.outside {
        Outside::Value(value) => value,
        Outside::Edge => f64::NAN,
    };
    let voxels = Region::of_shape(request.target_shape).tiles([1; 3]).map(|voxel| voxel.lo.map(|n| n as usize));
    voxels.map(|at| if (0..3).all(|t| tables[t][at[t]].is_some()) { at_target(at) } else { outside }).collect()
}

/// Weighed sums, one axis after the other.
fn summed(
    request: &OpRequest,
    tables: &[Vec<Option<Taps>>; 3],
    mut values: Vec<f64>,
    source_shape: [u64; 3],
) -> Box<dyn Fn([usize; 3]) -> f64> {
    let mut shape = source_shape.map(|n| n as usize);
    let maps = maps(request);
    for (t, map) in maps.iter().enumerate() {
        let s = map.source_axis;
        let (outer, inner): (usize, usize) = (shape[..s].iter().product(), shape[s + 1..].iter().product());
        let mut sums = Vec::new();
        for o in 0..outer {
            for taps in &tables[t] {
                let value = |k: i64, n: usize| values[(o * shape[s] + k as usize) * inner + n];
                let taps = taps.as_deref().unwrap_or(&[]);
                sums.extend((0..inner).map(|n| taps.iter().map(|&(k, w)| w * value(k, n)).sum::<f64>()));
            }
        }
        (shape[s], values) = (tables[t].len(), sums);
    }
    Box::new(move |at| {
        let mut index = [0; 3];
        (0..3).for_each(|t| index[maps[t].source_axis] = at[t]);
        values[(index[0] * shape[1] + index[1]) * shape[2] + index[2]]
    })
}

/// What is made of all voxels of a box at once.
fn gathered(
    request: &OpRequest,
    cover: Area,
    tables: &[Vec<Option<Taps>>; 3],
    source: Vec<f64>,
    source_shape: [u64; 3],
) -> Box<dyn Fn([usize; 3]) -> f64> {
    let strides = [source_shape[1] * source_shape[2], source_shape[2], 1];
    let stride: [i64; 3] = std::array::from_fn(|t| strides[maps(request)[t].source_axis] as i64);
    let tables = tables.clone();
    Box::new(move |at| {
        let taps = |t: usize| tables[t][at[t]].iter().flatten();
        let mut samples = Vec::new();
        for (kz, wz) in taps(0) {
            for (ky, wy) in taps(1) {
                for (kx, wx) in taps(2) {
                    let n = kz * stride[0] + ky * stride[1] + kx * stride[2];
                    samples.push((source[n as usize], wz * wy * wx));
                }
            }
        }
        made_of(cover, samples)
    })
}

fn made_of(cover: Area, mut samples: Vec<(f64, f64)>) -> f64 {
    samples.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or_else(|| a.0.is_nan().cmp(&b.0.is_nan())));
    let value = |n: usize| samples[n].0;
    let last = samples.len() - 1;
    match cover {
        Area::Mode => {
            let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
            let weight = |v: f64| samples.iter().filter(|s| same(s.0, v)).map(|s| s.1).sum::<f64>();
            let highest = samples.iter().map(|s| weight(s.0)).fold(0.0, f64::max);
            samples.iter().find(|s| weight(s.0) >= highest * (1.0 - 1e-9)).map_or(f64::NAN, |s| s.0)
        }
        _ if value(last).is_nan() => f64::NAN,
        Area::Min => value(0),
        Area::Max => value(last),
        _ => (value(last / 2) + value(samples.len() / 2)) / 2.0,
    }
}

/// `got` against the exact value: floats within `tolerance`, integers equal unless within `tolerance` of a tie, and then
/// off by at most 1.
pub(crate) fn check<T: Voxel>(got: T, exact: f64, rounding: Rounding, tolerance: f64) -> Result<(), String> {
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
