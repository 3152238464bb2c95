//! Linear interpolation at the points of a strip: eight voxels collected point by point, weighed together.
//!
//! Three passes over arrays that the caller keeps. Where points are and how far between voxels, and the weighing, are plain
//! loops that the vectoriser takes whole; only the loads in between are one by one, two neighbours along x at a time.

use multiversion::multiversion;

use super::look::{Points, STRIP};
use crate::{
    block::BlockRef,
    region::Region,
    voxel::{Dtype, Real, Rounding, Voxel, num::Arithmetic},
};

/// Voxels weighed by one loop of a fixed length, which has no remainder; divides [`STRIP`].
const GROUP: usize = 32;

/// Of one plane around a point: the first and the second row, of which there are two neighbours along x.
pub(super) type Cell<S> = [[S; 2]; 2];

/// The eight voxels around each point of a strip, and how far into the cell between them it is.
pub(super) struct Neighbours<S, A> {
    /// Of the lowest corner of each point, in the block.
    offsets: [u32; STRIP],
    /// Along each axis, the weight of the second voxel; the first has the rest.
    part: [[A; STRIP]; 3],
    /// Near and far plane.
    planes: [[Cell<S>; STRIP]; 2],
}

impl<S: Voxel, A: Real> Neighbours<S, A> {
    /// Room for one strip.
    pub(super) fn new() -> Neighbours<S, A> {
        let cells = [[[S::default(); 2]; 2]; STRIP];
        Neighbours { offsets: [0; STRIP], part: [[A::ZERO; STRIP]; 3], planes: [cells, cells] }
    }

    /// Collects what is around the first `len` points of `at`; beyond the border the edge is repeated.
    pub(super) fn look<P: Points>(&mut self, samples: BlockRef<'_, S>, bounds: Region, at: &P, len: usize) {
        place(samples.region, bounds, at, len.min(STRIP), &mut self.offsets, &mut self.part);
        collect(samples, &self.offsets[..len], &mut self.planes);
    }

    /// The parts of the `k`th `N` points along each axis, and their near and far planes.
    #[inline(always)]
    pub(super) fn group<const N: usize>(&self, k: usize) -> ([&[A; N]; 3], [&[Cell<S>; N]; 2]) {
        (
            self.part.each_ref().map(|part| &part.as_chunks::<N>().0[k]),
            self.planes.each_ref().map(|plane| &plane.as_chunks::<N>().0[k]),
        )
    }
}

/// Interpolates at the first points of `at`, as many as `out` has voxels.
pub(super) fn strip<S: Voxel, T: Voxel<Acc = S::Acc>, P: Points>(
    samples: BlockRef<'_, S>,
    bounds: Region,
    at: &P,
    corners: &mut Neighbours<S, S::Acc>,
    rounding: Rounding,
    out: &mut [T],
) {
    corners.look(samples, bounds, at, out.len());
    weigh(corners, rounding, out);
}

/// `x + WHOLE` has the whole number `x`, which is not negative, in its lowest bits: unlike a cast, whole vectors at once.
const WHOLE: f64 = (1u64 << 52) as f64;

/// The lowest corner of each point and how far it is from there, for as many points as fill whole vectors.
///
/// A point beyond the border is moved onto it, which repeats the edge: voxels farther out weigh 0 there. A strip that stays
/// within the border is spared that, to the same bits.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+fma", "x86_64+avx2+fma"))]
fn place<A: Real, P: Points>(
    region: Region,
    bounds: Region,
    at: &P,
    len: usize,
    offsets: &mut [u32; STRIP],
    part: &mut [[A; STRIP]; 3],
) {
    let low = [bounds.lo[0] as f64, bounds.lo[1] as f64, bounds.lo[2] as f64];
    let last = [(bounds.hi[0] - 1) as f64, (bounds.hi[1] - 1) as f64, (bounds.hi[2] - 1) as f64];
    let vectors = len.next_multiple_of(GROUP / 2).min(STRIP);
    if is_within(at, len, low, last) {
        place_each(region, at, vectors, offsets, part);
    } else {
        place_each(region, &Clamped { at, low, last }, vectors, offsets, part);
    }
}

#[inline(always)]
fn place_each<A: Real, P: Points>(
    region: Region,
    at: &P,
    len: usize,
    offsets: &mut [u32; STRIP],
    [part_z, part_y, part_x]: &mut [[A; STRIP]; 3],
) {
    let [_, ny, nx] = region.shape();
    let (plane, row) = ((ny * nx) as f64, nx as f64);
    let [z0, y0, x0] = [region.lo[0] as f64, region.lo[1] as f64, region.lo[2] as f64];
    // Worked out as floats, which are exact far beyond any block.
    let shift = WHOLE - (z0 * plane + y0 * row + x0);
    for n in 0..len {
        let (z, y, x) = (at.at(0, n), at.at(1, n), at.at(2, n));
        let (whole_z, whole_y, whole_x) = (z.floor(), y.floor(), x.floor());
        offsets[n] = (plane * whole_z + (row * whole_y + (whole_x + shift))).to_bits() as u32;
        (part_z[n], part_y[n]) = (A::of_f64(z - whole_z), A::of_f64(y - whole_y));
        part_x[n] = A::of_f64(x - whole_x);
    }
}

/// Points moved onto the border where they are beyond it.
struct Clamped<'a, P> {
    at: &'a P,
    low: [f64; 3],
    last: [f64; 3],
}

impl<P: Points> Points for Clamped<'_, P> {
    const STRAIGHT: bool = P::STRAIGHT;

    #[inline(always)]
    fn at(&self, a: usize, n: usize) -> f64 {
        let c = self.at.at(a, n);
        let c = if c < self.low[a] { self.low[a] } else { c };
        if c > self.last[a] { self.last[a] } else { c }
    }
}

/// Whether none of the points looks at a voxel beyond the source's border; of a straight line its ends are enough, because
/// rounding is monotone.
#[inline(always)]
fn is_within<P: Points>(at: &P, len: usize, low: [f64; 3], last: [f64; 3]) -> bool {
    let mut within = true;
    let step = if P::STRAIGHT { len.max(2) - 1 } else { 1 };
    for a in 0..3 {
        for n in (0..len).step_by(step) {
            let c = at.at(a, n);
            within &= low[a] <= c && c < last[a];
        }
    }
    within
}

/// The voxels around each point. At the border any voxel stands in for those that do not exist: they weigh 0.
fn collect<S: Voxel>(samples: BlockRef<'_, S>, offsets: &[u32], [near, far]: &mut [[Cell<S>; STRIP]; 2]) {
    let [_, ny, nx] = samples.region.shape();
    let (voxels, row, plane) = (samples.voxels, nx, ny * nx);
    // Cut to the same length, so that one check serves for the four.
    let len = voxels.len().saturating_sub(plane + row);
    let from = |start: usize| &voxels.get(start..).unwrap_or_default()[..len];
    let (first, second, third, fourth) = (from(0), from(row), from(plane), from(plane + row));
    for (&offset, (near, far)) in offsets.iter().zip(near.iter_mut().zip(far)) {
        let at = offset as usize;
        if at + 2 <= len {
            *near = joined(pair(first, at), pair(second, at));
            *far = joined(pair(third, at), pair(fourth, at));
        } else {
            [*near, *far] = at_the_end(voxels, at, [row, plane]);
        }
    }
}

#[inline(always)]
fn pair<S: Voxel>(row: &[S], at: usize) -> [S; 2] {
    let pair = &row[at..at + 2];
    [pair[0], pair[1]]
}

/// The voxels around a point of the block's last plane, or close to it: some may be beyond.
#[cold]
fn at_the_end<S: Voxel>(voxels: &[S], at: usize, [row, plane]: [usize; 2]) -> [Cell<S>; 2] {
    let voxel = |at: usize| voxels[at.min(voxels.len() - 1)];
    let pair = |at: usize| [voxel(at), voxel(at + 1)];
    [[pair(at), pair(at + row)], [pair(at + plane), pair(at + plane + row)]]
}

/// `[a, b]`, small samples in one register: half as many stores, which is what [`collect`] waits for.
#[inline(always)]
fn joined<S: Voxel>(a: [S; 2], b: [S; 2]) -> Cell<S> {
    if cfg!(target_endian = "big") {
        return [a, b];
    }
    match size_of::<S>() {
        1 => {
            let (a, b): (u16, u16) = (bytemuck::cast(a), bytemuck::cast(b));
            bytemuck::cast(u32::from(a) | u32::from(b) << 16)
        }
        2 => {
            let (a, b): (u32, u32) = (bytemuck::cast(a), bytemuck::cast(b));
            bytemuck::cast(u64::from(a) | u64::from(b) << 32)
        }
        _ => [a, b],
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq", "x86_64+avx2"))]
fn weigh<S: Voxel, T: Voxel<Acc = S::Acc>>(corners: &Neighbours<S, S::Acc>, rounding: Rounding, out: &mut [T]) {
    match rounding {
        Rounding::Nearest => weigh_groups(corners, Rounding::Nearest, out),
        Rounding::Truncate => weigh_groups(corners, Rounding::Truncate, out),
    }
}

#[inline(always)]
fn weigh_groups<S: Voxel, T: Voxel<Acc = S::Acc>>(corners: &Neighbours<S, S::Acc>, rounding: Rounding, out: &mut [T]) {
    let (groups, rest) = out.as_chunks_mut::<GROUP>();
    let whole = groups.len();
    for (k, group) in groups.iter_mut().enumerate() {
        weigh_group(corners, k, rounding, group);
    }
    if !rest.is_empty() {
        let mut group = [T::default(); GROUP];
        weigh_group(corners, whole, rounding, &mut group);
        rest.copy_from_slice(&group[..rest.len()]);
    }
}

#[inline(always)]
fn weigh_group<S: Voxel, T: Voxel<Acc = S::Acc>>(
    corners: &Neighbours<S, S::Acc>,
    k: usize,
    rounding: Rounding,
    out: &mut [T; GROUP],
) {
    let ([z, y, x], [near, far]) = corners.group::<GROUP>(k);
    for n in 0..GROUP {
        let front = blend::<S>(along::<S>(near[n][0], x[n]), along::<S>(near[n][1], x[n]), y[n]);
        let back = blend::<S>(along::<S>(far[n][0], x[n]), along::<S>(far[n][1], x[n]), y[n]);
        out[n] = T::from_acc(blend::<S>(front, back, z[n]), rounding);
    }
}

#[inline(always)]
fn along<S: Voxel>(pair: [S; 2], part: S::Acc) -> S::Acc {
    let [a, b] = to_acc(pair);
    blend::<S>(a, b, part)
}

/// Both of a pair; of 16 bits as halves of one number, which vectors take apart in one step each.
#[inline(always)]
fn to_acc<S: Voxel>(pair: [S; 2]) -> [S::Acc; 2] {
    match S::DTYPE {
        Dtype::U16 if cfg!(target_endian = "little") => {
            let both: u32 = bytemuck::cast(pair);
            [S::Acc::of_i32((both & 0xffff) as i32), S::Acc::of_i32((both >> 16) as i32)]
        }
        Dtype::I16 if cfg!(target_endian = "little") => {
            let both: i32 = bytemuck::cast(pair);
            [S::Acc::of_i32(both << 16 >> 16), S::Acc::of_i32(both >> 16)]
        }
        _ => [pair[0].to_acc(), pair[1].to_acc()],
    }
}

/// From `a` to `b` by `part`: equal voxels of integer types stay what they are, and a `part` of 0 is exactly `a`.
///
/// Differences of integers of up to 32 bits are exact. Others may not be, or overflow, so that both are weighed; a weight of
/// 0 is no tap, which matters where voxels may be NaN or infinite.
#[inline(always)]
fn blend<S: Voxel>(a: S::Acc, b: S::Acc, part: S::Acc) -> S::Acc {
    if !matches!(S::DTYPE, Dtype::F32 | Dtype::F64 | Dtype::U64 | Dtype::I64) {
        return a + (b - a) * part;
    }
    let rest = S::Acc::ONE - part;
    let sum = a * rest + b * part;
    let sum = if part == S::Acc::ZERO { a } else { sum };
    if rest == S::Acc::ZERO { b } else { sum }
}
