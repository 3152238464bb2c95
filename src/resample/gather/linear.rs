//! Linear interpolation at the points of a strip: eight corners collected voxel by voxel, weighed together.

use multiversion::multiversion;

use super::look::{STRIP, Strip};
use crate::{
    block::BlockRef,
    region::Region,
    voxel::{Real, Rounding, Voxel, num::Arithmetic},
};

/// Along one axis: offsets of the two voxels next to each point, and the weight of the second.
pub struct Pairs<A> {
    pub offsets: [[u32; 2]; STRIP],
    pub part: [A; STRIP],
    pub rest: [A; STRIP],
}

impl<A: Real> Pairs<A> {
    fn new() -> Pairs<A> {
        Pairs { offsets: [[0; 2]; STRIP], part: [A::ZERO; STRIP], rest: [A::ZERO; STRIP] }
    }
}

/// The pairs of every axis for a strip over `samples`.
pub fn pairs<S: Voxel, A: Real>(samples: &BlockRef<'_, S>, bounds: Region, strip: &Strip) -> [Pairs<A>; 3] {
    let region = samples.region;
    let [_, ny, nx] = region.shape();
    let strides = [ny * nx, nx, 1];
    let mut pairs = [Pairs::new(), Pairs::new(), Pairs::new()];
    for (a, pairs) in pairs.iter_mut().enumerate() {
        let last = (bounds.hi[a] - 1) as f64;
        let ends = [bounds.lo[a] as f64, last];
        place(&strip.at[a][..strip.len], ends, region.lo[a] as f64, strides[a] as f64, pairs);
    }
    pairs
}

/// `x + WHOLE` has the whole number `x`, which is not negative, in its lowest bits: unlike a cast, whole vectors at once.
const WHOLE: f64 = (1u64 << 52) as f64;

/// Offsets are worked out as floats, which are exact far beyond any block.
#[multiversion(targets("x86_64+avx2"))]
fn place<A: Real>(at: &[f64], [low, high]: [f64; 2], origin: f64, stride: f64, pairs: &mut Pairs<A>) {
    for (n, &c) in at.iter().enumerate() {
        let whole = c.floor();
        pairs.part[n] = A::of_f64(c - whole);
        pairs.rest[n] = A::of_f64(1.0 - (c - whole));
        let offset = |i: f64| {
            let i = if i < low { low } else { i };
            let i = if i > high { high } else { i };
            ((i - origin) * stride + WHOLE).to_bits() as u32
        };
        pairs.offsets[n] = [offset(whole), offset(whole + 1.0)];
    }
}

/// Interpolates at each point of the strip; voxels beyond the border repeat the edge.
pub fn strip<S: Voxel, T: Voxel<Acc = S::Acc>>(
    samples: BlockRef<'_, S>,
    bounds: Region,
    strip: &Strip,
    rounding: Rounding,
    out: &mut [T],
) {
    let [_, ny, nx] = samples.region.shape();
    if is_within(strip, bounds) {
        let points = inner(strip, samples.region.lo.map(|n| n as f64), [(ny * nx) as f64, nx as f64]);
        let rows = collect_rows(samples.voxels, &points.offsets[..strip.len], [ny * nx, nx]);
        return weigh_rows(&rows, &points, rounding, out);
    }
    let pairs = pairs::<S, S::Acc>(&samples, bounds, strip);
    let corners = collect(samples.voxels, &pairs, strip.len);
    weigh(&corners, &pairs, rounding, out);
}

/// Points with all eight voxels around them within the source: one offset each, of the lowest corner.
struct Inner<A> {
    offsets: [u32; STRIP],
    /// Along each axis, the weight of the second voxel and that of the first.
    part: [[A; STRIP]; 3],
    rest: [[A; STRIP]; 3],
}

/// Whether no point of the strip looks at a voxel beyond the source's border.
#[multiversion(targets("x86_64+avx2"))]
fn is_within(strip: &Strip, bounds: Region) -> bool {
    let mut within = true;
    for a in 0..3 {
        let (low, last) = (bounds.lo[a] as f64, (bounds.hi[a] - 1) as f64);
        for &c in &strip.at[a][..strip.len] {
            within &= low <= c && c < last;
        }
    }
    within
}

/// As [`place`], for all axes at once.
#[multiversion(targets("x86_64+avx2"))]
fn inner<A: Real>(strip: &Strip, [z0, y0, x0]: [f64; 3], [plane, row]: [f64; 2]) -> Inner<A> {
    let mut points = Inner { offsets: [0; STRIP], part: [[A::ZERO; STRIP]; 3], rest: [[A::ZERO; STRIP]; 3] };
    for n in 0..STRIP {
        let whole = [strip.at[0][n].floor(), strip.at[1][n].floor(), strip.at[2][n].floor()];
        for (a, whole) in whole.iter().enumerate() {
            let part = strip.at[a][n] - whole;
            points.part[a][n] = A::of_f64(part);
            points.rest[a][n] = A::of_f64(1.0 - part);
        }
        let offset = (whole[0] - z0) * plane + (whole[1] - y0) * row + (whole[2] - x0);
        points.offsets[n] = (offset + WHOLE).to_bits() as u32;
    }
    points
}

/// The eight voxels around each point as pairs along x: near and far plane, in each the first and the second row.
fn collect_rows<S: Voxel>(voxels: &[S], offsets: &[u32], [plane, row]: [usize; 2]) -> [[[S; 2]; STRIP]; 4] {
    let mut rows = [[[S::default(); 2]; STRIP]; 4];
    let [near, near_next, far, far_next] = &mut rows;
    for (n, &offset) in offsets.iter().enumerate() {
        let pair = |at: usize| [voxels[at], voxels[at + 1]];
        let at = offset as usize;
        (near[n], near_next[n]) = (pair(at), pair(at + row));
        (far[n], far_next[n]) = (pair(at + plane), pair(at + plane + row));
    }
    rows
}

/// As [`weigh`], to the same bits.
#[multiversion(targets("x86_64+avx2"))]
fn weigh_rows<S: Voxel, T: Voxel<Acc = S::Acc>>(
    rows: &[[[S; 2]; STRIP]; 4],
    Inner { part: [z, y, x], rest: [rest_z, rest_y, rest_x], .. }: &Inner<S::Acc>,
    rounding: Rounding,
    out: &mut [T],
) {
    let mut sums = [S::Acc::ZERO; STRIP];
    for n in 0..STRIP {
        let along = |k: usize| blend::<S>(rest_x[n], x[n], rows[k][n][0].to_acc(), rows[k][n][1].to_acc());
        let near = blend::<S>(rest_y[n], y[n], along(0), along(1));
        let far = blend::<S>(rest_y[n], y[n], along(2), along(3));
        sums[n] = blend::<S>(rest_z[n], z[n], near, far);
    }
    crate::resample::rows::store(&sums[..out.len()], out, rounding);
}

/// The eight voxels around each point, corner by corner: z slowest, x fastest.
pub fn collect<S: Voxel, A: Real>(voxels: &[S], [z, y, x]: &[Pairs<A>; 3], len: usize) -> [[S; STRIP]; 8] {
    let mut corners = [[S::default(); STRIP]; 8];
    let [c0, c1, c2, c3, c4, c5, c6, c7] = &mut corners;
    for n in 0..len.min(STRIP) {
        let ([z0, z1], [y0, y1], [x0, x1]) = (z.offsets[n], y.offsets[n], x.offsets[n]);
        let at = |row: u32, x: u32| voxels[(row + x) as usize];
        (c0[n], c1[n]) = (at(z0 + y0, x0), at(z0 + y0, x1));
        (c2[n], c3[n]) = (at(z0 + y1, x0), at(z0 + y1, x1));
        (c4[n], c5[n]) = (at(z1 + y0, x0), at(z1 + y0, x1));
        (c6[n], c7[n]) = (at(z1 + y1, x0), at(z1 + y1, x1));
    }
    corners
}

#[multiversion(targets("x86_64+avx2"))]
fn weigh<S: Voxel, T: Voxel<Acc = S::Acc>>(
    corners: &[[S; STRIP]; 8],
    [z, y, x]: &[Pairs<S::Acc>; 3],
    rounding: Rounding,
    out: &mut [T],
) {
    let mut sums = [S::Acc::ZERO; STRIP];
    for n in 0..STRIP {
        let row = |k: usize| blend::<S>(x.rest[n], x.part[n], corners[k][n].to_acc(), corners[k + 1][n].to_acc());
        let near = blend::<S>(y.rest[n], y.part[n], row(0), row(2));
        let far = blend::<S>(y.rest[n], y.part[n], row(4), row(6));
        sums[n] = blend::<S>(z.rest[n], z.part[n], near, far);
    }
    crate::resample::rows::store(&sums[..out.len()], out, rounding);
}

/// `a * rest + b * part`; a weight of 0 is no tap, which matters where voxels may be NaN or infinite.
#[inline(always)]
fn blend<S: Voxel>(rest: S::Acc, part: S::Acc, a: S::Acc, b: S::Acc) -> S::Acc {
    let sum = a * rest + b * part;
    if S::DTYPE.is_float() && part == S::Acc::ZERO { a } else { sum }
}
