//! Interpolation kernels: a support and a weight function each, nothing more.

use std::{
    f64::consts::{PI, SQRT_2},
    ops::{Range, RangeInclusive},
};

use super::bspline;

/// Where Gaussians are cut, in sigmas.
pub(super) const GAUSSIAN_CUT: f64 = 4.0;

/// A symmetric weight function with finite support, on distances in source voxels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KernelShape {
    /// The triangle: interpolates linearly.
    Linear,
    /// Cubic convolution, a = -1/2 (Keys 1981, eq. 4). Interpolating; overshoots a unit step by 2/27.
    CatmullRom,
    /// The interpolating B-spline of `order` 2 to 5, its inverse filter cut (see `bspline.rs`).
    BSpline { order: u8 },
    /// sinc windowed by the central lobe of a wider sinc, radius `lobes` (Duchon 1979), normalised.
    Lanczos { lobes: u8 },
    /// sinc under one of ITK's windows, cut at `radius` voxels (Meijering et al. 1999), not normalised.
    Sinc { window: Window, radius: u8 },
    /// The integral of a Gaussian over each voxel, cut at 4 sigma; `sigma` in source voxels. Smooths, does not interpolate.
    Gaussian { sigma: f64 },
}

/// The windows of ITK's windowed sinc, over distances up to the radius.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    Hamming,
    Cosine,
    Welch,
    Lanczos,
    Blackman,
}

impl Window {
    /// Every window.
    pub const ALL: [Window; 5] = [Window::Hamming, Window::Cosine, Window::Welch, Window::Lanczos, Window::Blackman];

    /// As `--interp` has it.
    pub fn name(self) -> &'static str {
        match self {
            Window::Hamming => "hamming",
            Window::Cosine => "cosine",
            Window::Welch => "welch",
            Window::Lanczos => "lanczos",
            Window::Blackman => "blackman",
        }
    }

    /// Its value at `x`, in parts of the radius, 0 to 1. Exactly 1 at 0, where Blackman's parts would sum to less.
    fn at(self, x: f64) -> f64 {
        match self {
            _ if x == 0.0 => 1.0,
            Window::Hamming => 0.54 + 0.46 * libm::cos(PI * x),
            Window::Cosine => libm::cos(PI * x / 2.0),
            Window::Welch => 1.0 - x * x,
            Window::Lanczos => sinc(x),
            Window::Blackman => 0.42 + 0.5 * libm::cos(PI * x) + 0.08 * libm::cos(2.0 * PI * x),
        }
    }
}

/// Positions between two voxels whose weights are kept.
const MOST_PHASES: usize = 8;

/// What stands for the voxels that a kernel asks for beyond the source's border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// The edge voxel.
    Repeat,
    /// The voxels before it: index -1 is 1, whole-sample.
    Mirror,
    /// Nothing: the rest is normalised.
    LeaveOut,
}

/// A kernel stretched for down-sampling: `weight(x) = shape(x / stretch)`, before normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kernel {
    pub shape: KernelShape,
    /// At least 1; the step ratio with anti-aliasing, else 1.
    pub stretch: f64,
}

impl KernelShape {
    /// Distance beyond which the weight is 0, in source voxels.
    pub fn support(self) -> f64 {
        match self {
            KernelShape::Linear => 1.0,
            KernelShape::CatmullRom => 2.0,
            KernelShape::BSpline { order } => f64::from(order + 1) / 2.0 + bspline::half_length(order) as f64,
            KernelShape::Lanczos { lobes } => f64::from(lobes),
            KernelShape::Sinc { radius, .. } => f64::from(radius),
            // Voxels of which any part is within 4 sigma.
            KernelShape::Gaussian { sigma } => GAUSSIAN_CUT * sigma + 0.5,
        }
    }

    /// Weight at signed distance `x` from the centre.
    pub fn weight(self, x: f64) -> f64 {
        let x = x.abs();
        if x >= self.support() {
            return 0.0;
        }
        match self {
            KernelShape::Linear => 1.0 - x,
            KernelShape::CatmullRom if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            KernelShape::CatmullRom => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            KernelShape::BSpline { order } => bspline::weights(order, x, 0..=0)[0],
            KernelShape::Lanczos { lobes } => sinc(x) * sinc(x / f64::from(lobes)),
            KernelShape::Sinc { window, radius } => sinc(x) * window.at(x / f64::from(radius)),
            KernelShape::Gaussian { sigma } => gaussian_over_voxel(sigma, x),
        }
    }

    /// What stands beyond the outermost voxels.
    pub fn border(self) -> Border {
        match self {
            KernelShape::BSpline { .. } => Border::Mirror,
            KernelShape::Gaussian { .. } => Border::LeaveOut,
            _ => Border::Repeat,
        }
    }

    /// Whether it may be stretched over the voxels that are averaged when an axis is down-sampled.
    pub fn stretches(self) -> bool {
        !matches!(self, KernelShape::BSpline { .. } | KernelShape::Sinc { .. })
    }

    /// Whether some weights are negative, so that sums leave the range of the samples.
    pub(super) fn overshoots(self) -> bool {
        !matches!(self, KernelShape::Linear | KernelShape::Gaussian { .. })
    }

    /// Whether the weights are divided by their sum: those of the others sum to 1 at any phase, or are meant not to.
    pub(super) fn is_normalised(self) -> bool {
        matches!(self, KernelShape::Lanczos { .. } | KernelShape::Gaussian { .. })
    }
}

impl Kernel {
    /// Half of the kernel's width, in voxels.
    pub fn support(&self) -> f64 {
        self.shape.support() * self.stretch
    }

    /// The taps at continuous index `c`: source index of the first one, and the weights, which sum to 1.
    ///
    /// Indices may lie outside the source; weights of 0 may be among them.
    pub fn taps(&self, c: f64) -> (i64, Vec<f64>) {
        let taps = self.around(c);
        (*taps.start(), self.weights(c, taps))
    }

    /// The same of the voxels `within` alone, which sum to 1 among themselves; none where it reaches none of them.
    pub(super) fn taps_within(&self, c: f64, within: &Range<i64>) -> (i64, Vec<f64>) {
        let taps = self.around(c);
        let first = (*taps.start()).max(within.start);
        (first, self.weights(c, first..=(*taps.end()).min(within.end - 1)))
    }

    fn around(&self, c: f64) -> RangeInclusive<i64> {
        let support = self.support();
        (c - support).ceil() as i64..=(c + support).floor() as i64
    }

    fn weights(&self, c: f64, taps: RangeInclusive<i64>) -> Vec<f64> {
        let mut weights: Vec<f64> = match self.shape {
            KernelShape::BSpline { order } => bspline::weights(order, c, taps),
            shape => taps.map(|i| shape.weight((i as f64 - c) / self.stretch)).collect(),
        };
        if self.stretch != 1.0 || self.shape.is_normalised() {
            let sum: f64 = weights.iter().sum();
            weights.iter_mut().for_each(|w| *w /= sum);
        }
        weights
    }
}

/// The taps of a kernel at one index after another. Weights depend on the position between two voxels only. Where steps have a simple ratio
/// the same positions come again, and their weights are copied.
pub(super) struct Repeating<'a> {
    pub kernel: &'a Kernel,
    /// The last positions, each with its first and last tap counted from the voxel before it, and the weights.
    known: Vec<([u64; 3], Vec<f64>)>,
    next: usize,
}

impl<'a> Repeating<'a> {
    /// Nothing is known yet.
    pub(super) fn new(kernel: &'a Kernel) -> Repeating<'a> {
        Repeating { kernel, known: Vec::new(), next: 0 }
    }

    /// [`Kernel::taps`].
    pub(super) fn taps(&mut self, c: f64) -> (i64, Vec<f64>) {
        // Those of a B-spline are not those of a distance alone, and of a line they are quickly done.
        if matches!(self.kernel.shape, KernelShape::BSpline { .. } | KernelShape::Linear) {
            return self.kernel.taps(c);
        }
        let (taps, whole) = (self.kernel.around(c), c.floor());
        let (first, last) = (*taps.start(), *taps.end());
        let from_whole = |i: i64| i.wrapping_sub(whole as i64) as u64;
        let phase = [(c - whole).to_bits(), from_whole(first), from_whole(last)];
        if let Some((_, weights)) = self.known.iter().find(|(known, _)| *known == phase) {
            return (first, weights.clone());
        }
        let weights = self.kernel.weights(c, taps);
        if self.known.len() < MOST_PHASES {
            self.known.push((phase, weights.clone()));
        } else {
            self.known[self.next] = (phase, weights.clone());
            self.next = (self.next + 1) % MOST_PHASES;
        }
        (first, weights)
    }
}

/// The integral of a Gaussian of `sigma` voxels over the voxel at distance `x`.
pub(super) fn gaussian_over_voxel(sigma: f64, x: f64) -> f64 {
    let below = |x: f64| libm::erf(x / (sigma * SQRT_2));
    0.5 * (below(x + 0.5) - below(x - 0.5))
}

/// `sin(pi x) / (pi x)`, exactly 0 at every whole number but 0 and exactly 1 there.
fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        1.0
    } else if x == x.trunc() {
        0.0
    } else {
        libm::sin(PI * x) / (PI * x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interpolating() -> Vec<KernelShape> {
        let lanczos = (2..=6).map(|lobes| KernelShape::Lanczos { lobes });
        let splines = bspline::ORDERS.map(|order| KernelShape::BSpline { order });
        let sincs = Window::ALL.map(|window| KernelShape::Sinc { window, radius: 5 });
        [KernelShape::Linear, KernelShape::CatmullRom].into_iter().chain(lanczos).chain(splines).chain(sincs).collect()
    }

    #[test]
    fn repeated_weights_are_those_of_each_place() {
        let steps = [1.0, 0.5, 2.0 / 3.0, 0.8, 1.0 / 7.0, 2.5, 0.123_456_7];
        for shape in interpolating().into_iter().chain(gaussians()) {
            for (step, from) in steps.into_iter().flat_map(|step| [0.0, -7.25, 1e6 + 0.1, 3e9].map(|from| (step, from)))
            {
                let stretch = if shape.stretches() { f64::max(step, 1.0) } else { 1.0 };
                let kernel = Kernel { shape, stretch };
                let mut repeating = Repeating::new(&kernel);
                for n in 0..40 {
                    let c = from + step * f64::from(n);
                    assert_eq!(repeating.taps(c), kernel.taps(c), "{shape:?} at {c}");
                }
            }
        }
    }

    fn gaussians() -> [KernelShape; 3] {
        [0.1, 0.8, 3.0].map(|sigma| KernelShape::Gaussian { sigma })
    }

    #[test]
    fn interpolating_kernels_are_1_at_0_and_0_at_other_whole_numbers() {
        for shape in interpolating() {
            assert_eq!(shape.weight(0.0), 1.0, "{shape:?}");
            for n in 1..25 {
                assert!(shape.weight(f64::from(n)).abs() < 1e-15, "{shape:?} at {n}");
            }
        }
    }

    #[test]
    fn symmetric_and_zero_outside_the_support() {
        for shape in interpolating().into_iter().chain(gaussians()) {
            for n in 0..2500 {
                let x = f64::from(n) * 0.01;
                assert_eq!(shape.weight(x), shape.weight(-x));
                assert!(x < shape.support() || shape.weight(x) == 0.0, "{shape:?} at {x}");
            }
        }
    }

    #[test]
    fn taps_partition_unity_at_any_phase_and_stretch() {
        let is_sinc = |shape: &KernelShape| matches!(shape, KernelShape::Sinc { .. });
        for shape in interpolating().into_iter().chain(gaussians()).filter(|shape| !is_sinc(shape)) {
            let stretches: &[f64] = if shape.stretches() { &[1.0, 1.37, 2.0, 5.5] } else { &[1.0] };
            for &stretch in stretches {
                for n in 0..100 {
                    let c = -3.0 + f64::from(n) * 0.0731;
                    let (first, weights) = Kernel { shape, stretch }.taps(c);
                    assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{shape:?} x{stretch} at {c}");
                    assert!(first as f64 >= c - shape.support() * stretch);
                }
            }
        }
    }

    /// Values worked out by hand: sinc(1/2) is 2/pi, at half of the radius the windows have closed forms.
    #[test]
    fn windows_have_the_values_of_their_formulas() {
        let root_half = 0.5f64.sqrt();
        for (window, half, end) in [
            (Window::Hamming, 0.54, 0.08),
            (Window::Cosine, root_half, 0.0),
            (Window::Welch, 0.75, 0.0),
            (Window::Lanczos, 2.0 / PI, 0.0),
            (Window::Blackman, 0.34, 0.0),
        ] {
            assert!((window.at(0.0), (window.at(1.0) - end).abs() < 1e-15) == (1.0, true), "{window:?}");
            // At 2.5 voxels of 5 sinc is 1 / (2.5 pi).
            let weight = KernelShape::Sinc { window, radius: 5 }.weight(2.5);
            assert!((weight - half / (2.5 * PI)).abs() < 1e-15, "{window:?}: {weight}");
        }
        let lanczos = KernelShape::Lanczos { lobes: 3 }.weight(0.5);
        assert!((lanczos - 2.0 / PI * 3.0 / PI).abs() < 1e-15);
    }

    /// 2 R of them, also where the outermost is next to nothing; what they sum to is left as it is.
    #[test]
    fn the_taps_of_windowed_sincs_are_those_of_itk() {
        for window in Window::ALL {
            for radius in [1, 4, 5] {
                for c in [7.3, -2.81, 0.5, 3.999] {
                    let (first, weights) = Kernel { shape: KernelShape::Sinc { window, radius }, stretch: 1.0 }.taps(c);
                    assert_eq!(
                        (first, weights.len()),
                        (c.floor() as i64 + 1 - i64::from(radius), 2 * usize::from(radius))
                    );
                }
            }
        }
        let kernel = Kernel { shape: KernelShape::Sinc { window: Window::Hamming, radius: 5 }, stretch: 1.0 };
        let sum: f64 = kernel.taps(0.5).1.iter().sum();
        assert!(sum != 1.0 && (sum - 1.0).abs() < 0.01, "{sum}");
    }

    #[test]
    fn the_taps_of_gaussians_are_the_voxels_within_4_sigma() {
        for sigma in [0.1, 0.8, 1.37] {
            let kernel = Kernel { shape: KernelShape::Gaussian { sigma }, stretch: 1.0 };
            for c in [0.0, 4.21, -2.83, 0.5] {
                let (first, weights) = kernel.taps(c);
                let weighed = |n: usize| weights[n] > 0.0;
                let (lo, hi) = ((0..weights.len()).find(|&n| weighed(n)), (0..weights.len()).rfind(|&n| weighed(n)));
                let at = |n: Option<usize>| n.map(|n| first + n as i64);
                assert_eq!(at(lo), Some((c + 0.5 - 4.0 * sigma).floor() as i64), "{sigma} at {c}");
                assert_eq!(at(hi), Some((c + 0.5 + 4.0 * sigma).ceil() as i64 - 1), "{sigma} at {c}");
            }
        }
        // The integral over the voxel from -1/2 to 1/2 at sigma 1/2 is that of one sigma: erf(1 / sqrt 2).
        let weight = KernelShape::Gaussian { sigma: 0.5 }.weight(0.0);
        assert!((weight - 0.682_689_492_137_086).abs() < 1e-14, "{weight}");
    }

    #[test]
    fn cubic_reproduces_quadratics_and_overshoots_by_two_in_27() {
        let kernel = Kernel { shape: KernelShape::CatmullRom, stretch: 1.0 };
        let (first, weights) = kernel.taps(10.3);
        let value: f64 = weights.iter().enumerate().map(|(k, w)| w * (first + k as i64).pow(2) as f64).sum();
        assert!((value - 10.3 * 10.3).abs() < 1e-12);
        let step_peak = (0..1000)
            .map(|n| {
                let (first, weights) = kernel.taps(f64::from(n) * 1e-3 + 5.0);
                weights.iter().enumerate().filter(|(k, _)| first + *k as i64 >= 5).map(|(_, w)| w).sum::<f64>()
            })
            .fold(0.0, f64::max);
        assert!((step_peak - 1.0 - 2.0 / 27.0).abs() < 1e-5, "{step_peak}");
    }
}
