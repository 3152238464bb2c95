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
    let pairs = pairs::<S, S::Acc>(&samples, bounds, strip);
    let corners = collect(samples.voxels, &pairs, strip.len);
    weigh(&corners, &pairs, rounding, out);
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
