//! A symmetric separable filter over a fetched block, before points are gathered from it: the prefilter of splines, and the
//! low-pass of down-sampling.

use crate::{
    block::BlockRef,
    region::Region,
    resample::{Border, bspline, rows, taps::mirrored},
    voxel::{Real, Voxel},
};

/// Sigma over the step ratio r: a full width at half maximum of one source voxel becomes one target voxel,
/// `sqrt((r^2 - 1) / (8 ln 2))` (Cardoso et al. 2015).
const SIGMA_OF_RATIO: f64 = 0.424_660_900_144_009_5;
/// Pairs of taps that take as long as copying a voxel, about.
const PAIRS_PER_COPY: f64 = 6.0;
/// Where the low-pass is cut, in sigmas.
const LOW_PASS_CUT: f64 = 4.0;

fn low_pass_sigma(ratio: f64) -> f64 {
    SIGMA_OF_RATIO * (ratio * ratio - 1.0).max(0.0).sqrt()
}

/// Voxels to either side that the low-pass for a step ratio looks at.
pub(super) fn low_pass_reach(ratio: f64) -> f64 {
    (LOW_PASS_CUT * low_pass_sigma(ratio)).floor()
}

/// One side of a symmetric filter per source axis; a single tap of 1 leaves an axis as it is.
#[derive(Clone, Debug)]
pub(super) struct Filter<A> {
    sides: [Vec<A>; 3],
    border: Border,
}

impl<A: Real> Filter<A> {
    /// Samples to the coefficients of an interpolating B-spline.
    pub(super) fn spline(order: u8) -> Filter<A> {
        let side: Vec<A> = bspline::inverse_filter(order).iter().copied().map(A::of_f64).collect();
        Filter { sides: [side.clone(), side.clone(), side], border: Border::Mirror }
    }

    /// A Gaussian low-pass for `ratio` source voxels per target voxel along each source axis; none where no axis is
    /// down-sampled.
    pub(super) fn low_pass(ratio: [f64; 3]) -> Option<Filter<A>> {
        let side = |ratio: f64| -> Vec<A> {
            let (sigma, reach) = (low_pass_sigma(ratio), low_pass_reach(ratio) as i64);
            let weight = |k: i64| if k == 0 { 1.0 } else { libm::exp(-0.5 * (k as f64 / sigma).powi(2)) };
            let sum: f64 = (-reach..=reach).map(weight).sum();
            (0..=reach).map(|k| A::of_f64(weight(k) / sum)).collect()
        };
        let sides = ratio.map(side);
        sides.iter().any(|side| side.len() > 1).then_some(Filter { sides, border: Border::Repeat })
    }

    /// Source voxels that filtering looks at beyond each voxel, per axis.
    pub(super) fn halo(&self) -> [i64; 3] {
        [0, 1, 2].map(|a| self.sides[a].len() as i64 - 1)
    }

    /// Time of a voxel, against that of copying it.
    pub(super) fn cost(&self) -> f64 {
        1.0 + self.sides.iter().map(Vec::len).sum::<usize>() as f64 / PAIRS_PER_COPY
    }

    /// Memory of the taps.
    pub(super) fn bytes(&self) -> u64 {
        self.sides.iter().map(|side| (side.len() * size_of::<A>()) as u64).sum()
    }

    /// Samples of scratch for a block of `source` voxels: two rounds of passes, and two rows.
    pub(super) fn scratch_len(&self, source: [usize; 3]) -> usize {
        let [z, y, x] = source;
        2 * z * y * x + 2 * (x + 2 * self.sides[2].len())
    }

    /// The filtered voxels of `kept`, which `source` holds with its halo as far as `bounds` go.
    pub(super) fn apply<'s, T: Voxel<Acc = A>>(
        &self,
        source: BlockRef<'_, T>,
        kept: Region,
        bounds: Region,
        scratch: &'s mut [A],
    ) -> BlockRef<'s, A> {
        let [sz, sy, _] = source.region.shape();
        let [kz, ky, kx] = kept.shape();
        let half = source.voxels.len();
        let (first, rest) = scratch.split_at_mut(half);
        let (second, rest) = rest.split_at_mut(half);
        let place = |a: usize, i: i64| (self.fold(a, i, bounds) - source.region.lo[a]) as usize;
        // Along rows, then across rows, then across planes.
        let along =
            first[..sz * sy * kx].chunks_exact_mut(kx).zip(source.voxels.chunks_exact(source.region.shape()[2]));
        along.for_each(|(out, row)| self.row(row, source.region, kept, bounds, rest, out));
        for z in 0..sz {
            let plane = &first[z * sy * kx..(z + 1) * sy * kx];
            for y in 0..ky {
                let out = &mut second[(z * ky + y) * kx..][..kx];
                let row = |i: i64| &plane[place(1, i) * kx..][..kx];
                symmetric(&self.sides[1], kept.lo[1] + y as i64, row, out);
            }
        }
        let plane_len = ky * kx;
        for z in 0..kz {
            let out = &mut first[z * plane_len..(z + 1) * plane_len];
            let plane = |i: i64| &second[place(0, i) * plane_len..][..plane_len];
            symmetric(&self.sides[0], kept.lo[0] + z as i64, plane, out);
        }
        BlockRef::new(kept, 1, &first[..kz * plane_len])
    }

    /// The index that stands for `i` along source axis `a`.
    fn fold(&self, a: usize, i: i64, bounds: Region) -> i64 {
        match self.border {
            Border::Mirror => mirrored(i, &(bounds.lo[a]..bounds.hi[a])),
            Border::Repeat | Border::LeaveOut => i.clamp(bounds.lo[a], bounds.hi[a] - 1),
        }
    }

    /// Filters one row; `memory` takes the row with what stands for voxels beyond the border.
    fn row<T: Voxel<Acc = A>>(
        &self,
        row: &[T],
        source: Region,
        kept: Region,
        bounds: Region,
        memory: &mut [A],
        out: &mut [A],
    ) {
        let (len, halo) = (out.len(), self.sides[2].len() as i64 - 1);
        let (samples, padded) = memory.split_at_mut(row.len());
        rows::load(row, samples);
        let padded = &mut padded[..len + 2 * halo as usize];
        let first = kept.lo[2] - halo;
        let exist = first.max(bounds.lo[2])..(first + padded.len() as i64).min(bounds.hi[2]);
        let (before, rest) = padded.split_at_mut((exist.start - first) as usize);
        let (copied, behind) = rest.split_at_mut((exist.end - exist.start) as usize);
        copied.copy_from_slice(&samples[(exist.start - source.lo[2]) as usize..][..copied.len()]);
        for (sample, i) in before.iter_mut().zip(first..).chain(behind.iter_mut().zip(exist.end..)) {
            *sample = samples[(self.fold(2, i, bounds) - source.lo[2]) as usize];
        }
        symmetric(&self.sides[2], kept.lo[2], |i| &padded[(i - first) as usize..][..len], out);
    }
}

/// The filter of one side `side` around index `i`: `out = side[0] * at(i) + sum_k side[k] * (at(i - k) + at(i + k))`, in ascending k.
fn symmetric<'a, A: Real>(side: &[A], i: i64, at: impl Fn(i64) -> &'a [A], out: &mut [A]) {
    rows::symmetric(side, at(i), |k| [at(i - k as i64), at(i + k as i64)], out);
}
