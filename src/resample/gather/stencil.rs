//! Weights around a point, from a table over its phase: what any kernel does where no axis has its own taps.
//!
//! Between the phases of the table weights are interpolated linearly, which is off by less than 1e-7.

use std::ops::Range;

use super::reach::Span;
use crate::{
    geometry::inside,
    region::Region,
    resample::{
        Border, KernelShape, bspline,
        kernel::{GAUSSIAN_CUT, gaussian_over_voxel},
        taps::mirrored,
    },
    voxel::Real,
};

/// Phases of the table over one voxel.
const PHASES: usize = 4096;
/// A whole number below 2^52 that is added to it stands in its lowest bits, which is faster than a conversion.
const WHOLE: f64 = (1u64 << 52) as f64;

/// Where a point lies between voxels along an axis, and between two rows of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase<A> {
    /// The voxel before it.
    pub whole: f64,
    pub row: u32,
    /// Shares of that row and of the next one.
    pub rest: A,
    pub part: A,
}

/// The taps of a kernel around any continuous index along an axis.
///
/// Tap `k` of index `c` is voxel `floor(c + shift) + first + k`.
#[derive(Clone, Debug)]
pub(super) struct Stencil<A> {
    shift: f64,
    first: i64,
    pub taps: usize,
    /// `PHASES + 1` rows of `taps` weights.
    table: Vec<A>,
    /// Distance from which on taps do not count; those that do, and exist, are normalised.
    pub cut: Option<f64>,
    pub border: Border,
}

impl<A: Real> Stencil<A> {
    /// `shape` itself or, for a B-spline, its basis: the source is then the filtered coefficients.
    pub(super) fn new(shape: KernelShape) -> Stencil<A> {
        match shape {
            KernelShape::Gaussian { sigma } => Stencil::gaussian(sigma, GAUSSIAN_CUT),
            KernelShape::BSpline { order } => {
                let shift = if order % 2 == 0 { 0.5 } else { 0.0 };
                Stencil::build(usize::from(order) + 1, shift, shape.border(), |x| bspline::basis(order, x), false)
            }
            shape => {
                let taps = 2 * shape.support() as usize;
                Stencil::build(taps, 0.0, shape.border(), |x| shape.weight(x), shape.is_normalised())
            }
        }
    }

    /// A Gaussian of `sigma` voxels, integrated over each voxel of which any part is within `cut` sigmas.
    pub(super) fn gaussian(sigma: f64, cut: f64) -> Stencil<A> {
        let reach = cut * sigma + 0.5;
        let taps = 2 * reach.floor() as usize + 2;
        // The cut is made where the taps are used: a table would smear it over neighbouring phases.
        let stencil = Stencil::build(taps, 0.0, Border::LeaveOut, |x| gaussian_over_voxel(sigma, x), false);
        Stencil { cut: Some(reach), ..stencil }
    }

    /// Entries of the table of such a Gaussian, about.
    pub(super) fn gaussian_len(sigma: f64, cut: f64) -> f64 {
        (PHASES + 1) as f64 * (2.0 * (cut * sigma + 0.5) + 2.0)
    }

    fn build(taps: usize, shift: f64, border: Border, weight: impl Fn(f64) -> f64, normalise: bool) -> Stencil<A> {
        let first = if shift == 0.0 { 1 - taps as i64 / 2 } else { -(taps as i64 / 2) };
        let mut table = Vec::with_capacity((PHASES + 1) * taps);
        for phase in 0..=PHASES {
            let from = first as f64 + shift - phase as f64 / PHASES as f64;
            let weights: Vec<f64> = (0..taps).map(|k| weight(from + k as f64)).collect();
            let sum = if normalise { weights.iter().sum() } else { 1.0 };
            table.extend(weights.into_iter().map(|weight| A::of_f64(weight / sum)));
        }
        Stencil { shift, first, taps, table, cut: None, border }
    }

    /// Where `c` lies. Without branches, for loops over many.
    #[inline(always)]
    pub(super) fn phase(&self, c: f64) -> Phase<A> {
        let c = c + self.shift;
        let whole = c.floor();
        let place = (c - whole) * PHASES as f64;
        let (row, last) = (place.floor(), (PHASES - 1) as f64);
        let row = if row > last { last } else { row };
        let part = place - row;
        let number = (row + WHOLE).to_bits() as u32 & (PHASES as u32 - 1);
        Phase { whole, row: number, rest: A::of_f64(1.0 - part), part: A::of_f64(part) }
    }

    /// The first voxel of the taps behind voxel `whole`.
    #[inline(always)]
    pub(super) fn first_tap(&self, whole: f64) -> f64 {
        whole + self.first as f64
    }

    /// The weights of a phase into `weights`, one for each tap.
    #[inline(always)]
    pub(super) fn weigh(&self, row: u32, [rest, part]: [A; 2], weights: &mut [A]) {
        let taps = weights.len();
        let rows = &self.table[row as usize * taps..][..2 * taps];
        for (k, weight) in weights.iter_mut().enumerate() {
            *weight = rows[k] * rest + rows[taps + k] * part;
        }
    }

    /// First voxel of the taps at `c`, and their weights into `weights`, one for each tap.
    fn at(&self, c: f64, weights: &mut [A]) -> i64 {
        let Phase { whole, row, rest, part } = self.phase(c);
        self.weigh(row, [rest, part], weights);
        whole as i64 + self.first
    }

    /// How far the taps lie around any index.
    pub(super) fn span(&self) -> Span {
        Span { shift: self.shift, first: self.first, count: self.taps as i64 }
    }

    /// The taps that count at index `c` of an axis whose voxels are `bounds`: offsets from voxel `origin` on, `stride` apart, and
    /// weights that are not 0.
    pub(super) fn taps(&self, c: f64, bounds: Range<i64>, [origin, stride]: [i64; 2], taps: &mut Taps<A>) {
        let c = self.settled(c, &bounds);
        taps.row.resize(self.taps, A::ZERO);
        let first = self.at(c, &mut taps.row);
        taps.list.clear();
        for (i, &weight) in (first..).zip(&taps.row) {
            let beyond_cut = self.cut.is_some_and(|cut| (i as f64 - c).abs() >= cut);
            let left_out = self.border == Border::LeaveOut && !bounds.contains(&i);
            if weight != A::ZERO && !beyond_cut && !left_out {
                let i = if self.border == Border::Mirror { mirrored(i, &bounds) } else { i };
                let i = i.clamp(bounds.start, bounds.end - 1);
                taps.list.push((((i - origin) * stride) as usize, weight));
            }
        }
        if self.cut.is_some() {
            taps.normalise();
        }
        if taps.list.is_empty() {
            let nearest = (c.round() as i64).clamp(bounds.start, bounds.end - 1);
            taps.list.push((((nearest - origin) * stride) as usize, A::of_f64(1.0)));
        }
    }

    /// The taps along every axis at a point, as offsets into the voxels of `region`.
    pub(super) fn taps_around(&self, c: [f64; 3], bounds: Region, region: Region, taps: &mut [Taps<A>; 3]) {
        let [_, ny, nx] = region.shape();
        let strides = [(ny * nx) as i64, nx as i64, 1];
        for (a, taps) in taps.iter_mut().enumerate() {
            self.taps(c[a], bounds.lo[a]..bounds.hi[a], [region.lo[a], strides[a]], taps);
        }
    }

    /// Beyond the border, where a spline has nothing to mirror, the edge voxel goes on.
    fn settled(&self, c: f64, bounds: &Range<i64>) -> f64 {
        let is_outside = !inside(c, bounds.start, bounds.end);
        if is_outside && self.border == Border::Mirror {
            c.clamp(bounds.start as f64, (bounds.end - 1) as f64)
        } else {
            c
        }
    }

    /// Memory of the table.
    pub(super) fn bytes(&self) -> u64 {
        (self.table.len() * size_of::<A>()) as u64
    }
}

/// Taps of one axis at one point: offsets and weights.
#[derive(Clone, Debug, Default)]
pub(super) struct Taps<A> {
    pub list: Vec<(usize, A)>,
    row: Vec<A>,
}

impl<A: Real> Taps<A> {
    /// Room for one point.
    pub(super) fn new() -> Taps<A> {
        Taps { list: Vec::new(), row: Vec::new() }
    }

    /// Divides the weights by their sum.
    fn normalise(&mut self) {
        let sum: f64 = self.list.iter().map(|tap| tap.1.to_f64()).sum();
        self.list.iter_mut().for_each(|tap| tap.1 = A::of_f64(tap.1.to_f64() / sum));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resample::{Kernel, Window};

    #[test]
    fn the_table_is_the_kernel() {
        let shapes = [
            KernelShape::CatmullRom,
            KernelShape::Lanczos { lobes: 3 },
            KernelShape::Sinc { window: Window::Welch, radius: 5 },
            KernelShape::Gaussian { sigma: 0.8 },
        ];
        for shape in shapes {
            let stencil = Stencil::<f64>::new(shape);
            let mut taps = Taps::new();
            for n in 0..500 {
                let c = 50.0 + f64::from(n) * 0.00731;
                stencil.taps(c, 0..100, [0, 1], &mut taps);
                let (first, weights) = Kernel { shape, stretch: 1.0 }.taps(c);
                for (i, weight) in (first..).zip(weights) {
                    let got = taps.list.iter().find(|tap| tap.0 as i64 == i).map_or(0.0, |tap| tap.1);
                    assert!((got - weight).abs() < 1e-7, "{shape:?} at {c}, tap {i}: {got} instead of {weight}");
                }
            }
        }
    }

    #[test]
    fn whole_indices_are_single_taps() {
        for shape in [KernelShape::CatmullRom, KernelShape::Sinc { window: Window::Hamming, radius: 4 }] {
            let mut taps = Taps::<f32>::new();
            Stencil::new(shape).taps(7.0, 0..20, [5, 3], &mut taps);
            assert_eq!(taps.list, [(6, 1.0)]);
        }
    }
}
