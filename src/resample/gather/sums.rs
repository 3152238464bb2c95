//! Weighted sums around the points of a strip.

use multiversion::multiversion;

use super::{
    look::{STRIP, Strip},
    stencil::{Stencil, Taps},
};
use crate::{
    block::BlockRef,
    region::Region,
    resample::rows,
    voxel::{Real, Rounding, Voxel, num::Arithmetic},
};

/// Sums the taps of `stencil` around each point: along y first, then along z, then along x.
///
/// Returns how many sums are below and above what the type holds.
/// Points whose taps all exist and all count take a loop of fixed length, the others a list of taps; which of them depends on the point
/// and the source's bounds alone.
pub(super) fn strip<T: Voxel>(
    samples: BlockRef<'_, T::Acc>,
    bounds: Region,
    stencil: &Stencil<T::Acc>,
    strip: &Strip,
    rounding: Rounding,
    out: &mut [T],
) -> [u64; 2] {
    let mut sums = [T::Acc::ZERO; STRIP];
    let sums = &mut sums[..out.len()];
    let points = Around { samples, bounds, stencil, strip, are_finite: !T::DTYPE.is_float() };
    match stencil.taps {
        3 => fixed::<3, 4, 3, _>(&points, sums),
        4 => fixed::<4, 4, 4, _>(&points, sums),
        5 => fixed::<5, 8, 5, _>(&points, sums),
        6 => fixed::<6, 6, 1, _>(&points, sums),
        8 => fixed::<8, 8, 1, _>(&points, sums),
        10 => fixed::<10, 10, 1, _>(&points, sums),
        _ => listed(&points, sums),
    }
    rows::store(sums, out, rounding);
    rows::count_beyond::<T>(sums)
}

/// The points of a strip, and what they look at.
struct Around<'a, A> {
    samples: BlockRef<'a, A>,
    bounds: Region,
    stencil: &'a Stencil<A>,
    strip: &'a Strip,
    /// Whether no sample is NaN or infinite.
    are_finite: bool,
}

#[multiversion(targets("x86_64+avx2"))]
fn listed<A: Real>(points: &Around<'_, A>, sums: &mut [A]) {
    let (mut taps, mut lanes) = ([Taps::new(), Taps::new(), Taps::new()], Lanes::new());
    for (n, sum) in sums.iter_mut().enumerate() {
        *sum = points.sum_listed(n, &mut taps, &mut lanes);
    }
}

/// As [`listed`] for `K` taps along each axis. Rows are read `L` voxels at a time, whole vectors, and `G` planes, a part of `K`, are under way at once:
/// as many partial sums as registers hold.
#[multiversion(targets("x86_64+avx2"))]
fn fixed<const K: usize, const L: usize, const G: usize, A: Real>(points: &Around<'_, A>, sums: &mut [A]) {
    let Around { samples, stencil, .. } = points;
    let [_, ny, nx] = samples.region.shape();
    // Of 32 bits, of which the compiler sees that no sum of them overflows: it then checks whole planes, not each row.
    let Ok(plane) = u32::try_from(ny * nx) else { return listed(points, sums) };
    let strides = [plane, nx as u32];
    let span = (K - 1) * (strides[0] as usize + strides[1] as usize);
    let places = Places::of(points, sums.len());
    // Of all points first: sums then wait for voxels alone.
    let mut weights = [[[A::ZERO; K]; 3]; STRIP];
    let mut all_count = [false; STRIP];
    for (n, weights) in weights.iter_mut().enumerate().take(sums.len()) {
        for (a, weights) in weights.iter_mut().enumerate() {
            stencil.weigh(places.rows[a][n], [places.rests[a][n], places.parts[a][n]], weights);
        }
        // A weight of 0 is no tap, which matters where voxels may be NaN or infinite.
        all_count[n] = points.are_finite || weights.iter().flatten().all(|weight| *weight != A::ZERO);
    }
    let (mut taps, mut lanes) = ([Taps::new(), Taps::new(), Taps::new()], Lanes::new());
    for (n, sum) in sums.iter_mut().enumerate() {
        let offset = places.offsets[n];
        *sum = if offset >= 0.0 && all_count[n] && stencil.cut.is_none() {
            let voxels = &samples.voxels[offset as usize..];
            if voxels.len() >= span + L {
                sum_fixed::<K, L, G, A>(voxels, strides, &weights[n])
            } else {
                sum_fixed::<K, K, G, A>(voxels, strides, &weights[n])
            }
        } else {
            points.sum_listed(n, &mut taps, &mut lanes)
        };
    }
}

/// Where the points of a strip lie, axis by axis.
struct Places<A> {
    rows: [[u32; STRIP]; 3],
    rests: [[A; STRIP]; 3],
    parts: [[A; STRIP]; 3],
    /// From the first voxel of the region to the first tap; NaN where some taps do not exist.
    offsets: [f64; STRIP],
}

impl<A: Real> Places<A> {
    /// Of the first `len` points.
    #[inline(always)]
    fn of(points: &Around<'_, A>, len: usize) -> Places<A> {
        let &Around { samples: BlockRef { region, .. }, bounds, stencil, strip, .. } = points;
        let mut places = Places {
            rows: [[0; STRIP]; 3],
            rests: [[A::ZERO; STRIP]; 3],
            parts: [[A::ZERO; STRIP]; 3],
            offsets: [0.0; STRIP],
        };
        let [_, ny, nx] = region.shape().map(|extent| extent as f64);
        for (a, stride) in [ny * nx, nx, 1.0].into_iter().enumerate() {
            let (lo, origin) = (bounds.lo[a] as f64, region.lo[a] as f64);
            let last = bounds.hi[a] as f64 - stencil.taps as f64;
            for n in 0..len {
                let phase = stencil.phase(strip.at[a][n]);
                places.rows[a][n] = phase.row;
                places.rests[a][n] = phase.rest;
                places.parts[a][n] = phase.part;
                let first = stencil.first_tap(phase.whole);
                let all_exist = (first >= lo) & (first <= last);
                let offset = places.offsets[n] + (first - origin) * stride;
                places.offsets[n] = if all_exist { offset } else { f64::NAN };
            }
        }
        places
    }
}

/// The sum over `K` taps along each axis from the first voxel on. What rows have beyond them, up to `L`, is left out.
#[inline(always)]
fn sum_fixed<const K: usize, const L: usize, const G: usize, A: Real>(
    voxels: &[A],
    strides: [u32; 2],
    [along_z, along_y, along_x]: &[[A; K]; 3],
) -> A {
    let [plane, row] = strides.map(|stride| stride as usize);
    let mut lanes = [A::ZERO; L];
    for (group, along_z) in along_z.chunks_exact(G).enumerate() {
        let mut of_planes = [[A::ZERO; L]; G];
        for (z, sums) in of_planes.iter_mut().enumerate() {
            let voxels = &voxels[(group * G + z) * plane..][..(K - 1) * row + L];
            for (y, &weight) in along_y.iter().enumerate() {
                let of_row = &voxels[y * row..y * row + L];
                for (sum, &voxel) in sums.iter_mut().zip(of_row) {
                    *sum += voxel * weight;
                }
            }
        }
        for (sums, &weight) in of_planes.iter().zip(along_z) {
            for (lane, &sum) in lanes.iter_mut().zip(sums) {
                *lane += sum * weight;
            }
        }
    }
    let mut sum = A::ZERO;
    for (&lane, &weight) in lanes.iter().zip(along_x) {
        sum += lane * weight;
    }
    sum
}

/// Partial sums of the taps along x, and those of one plane.
struct Lanes<A> {
    sums: Vec<A>,
    of_plane: Vec<A>,
}

impl<A> Lanes<A> {
    fn new() -> Lanes<A> {
        Lanes { sums: Vec::new(), of_plane: Vec::new() }
    }
}

impl<A: Real> Around<'_, A> {
    /// The same sum at point `n`, over lists of taps.
    #[inline(always)]
    fn sum_listed(&self, n: usize, taps: &mut [Taps<A>; 3], lanes: &mut Lanes<A>) -> A {
        self.stencil.taps_around(self.strip.index(n), self.bounds, self.samples.region, taps);
        let ([zs, ys, xs], Lanes { sums, of_plane }) = (&*taps, lanes);
        let (first, taps) = (xs.list[0].0, xs.list.len());
        let is_run = xs.list.iter().zip(first..).all(|(&(x, _), at)| x == at);
        sums.clear();
        sums.resize(taps, A::ZERO);
        for &(z, wz) in &zs.list {
            of_plane.clear();
            of_plane.resize(taps, A::ZERO);
            for &(y, wy) in &ys.list {
                let row = &self.samples.voxels[z + y..];
                if is_run {
                    for (lane, &voxel) in of_plane.iter_mut().zip(&row[first..first + taps]) {
                        *lane += voxel * wy;
                    }
                } else {
                    for (lane, &(x, _)) in of_plane.iter_mut().zip(&xs.list) {
                        *lane += row[x] * wy;
                    }
                }
            }
            for (lane, &sum) in sums.iter_mut().zip(&*of_plane) {
                *lane += sum * wz;
            }
        }
        let mut sum = A::ZERO;
        for (&lane, &(_, wx)) in sums.iter().zip(&xs.list) {
            sum += lane * wx;
        }
        sum
    }
}
