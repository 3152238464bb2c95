//! Interpolation kernels: a support and a weight function each, nothing more.

use std::f64::consts::{PI, SQRT_2};

/// Where Gaussians are cut, in sigmas.
const GAUSSIAN_CUT: f64 = 4.0;

/// A symmetric weight function with finite support, on distances in source voxels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KernelShape {
    /// The triangle: interpolates linearly.
    Linear,
    /// Cubic convolution, a = -1/2 (Keys 1981, eq. 4). Interpolating; overshoots a unit step by 2/27.
    CatmullRom,
    /// sinc windowed by the central lobe of a wider sinc, radius `lobes` (Duchon 1979).
    Lanczos { lobes: u8 },
    /// The integral of a Gaussian over each voxel, cut at 4 sigma; `sigma` in source voxels. Smooths, does not interpolate.
    Gaussian { sigma: f64 },
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
            KernelShape::Lanczos { lobes } => f64::from(lobes),
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
            KernelShape::Lanczos { lobes } => sinc(x) * sinc(x / f64::from(lobes)),
            KernelShape::Gaussian { sigma } => {
                let below = |x: f64| libm::erf(x / (sigma * SQRT_2));
                0.5 * (below(x + 0.5) - below(x - 0.5))
            }
        }
    }

    /// What taps beyond the source's border are: left out, or the edge voxel repeated.
    pub fn leaves_out_beyond_the_border(self) -> bool {
        matches!(self, KernelShape::Gaussian { .. })
    }

    /// Whether the weights at unit steps sum to 1 for any phase without being normalised.
    fn partitions_unity(self) -> bool {
        !matches!(self, KernelShape::Lanczos { .. } | KernelShape::Gaussian { .. })
    }
}

impl Kernel {
    pub fn support(&self) -> f64 {
        self.shape.support() * self.stretch
    }

    /// The taps at continuous index `c`: source index of the first one, and the weights, which sum to 1.
    ///
    /// Indices may lie outside the source; weights of 0 may be among them.
    pub fn taps(&self, c: f64) -> (i64, Vec<f64>) {
        let support = self.support();
        let first = (c - support).ceil() as i64;
        let last = (c + support).floor() as i64;
        let mut weights: Vec<f64> = (first..=last).map(|i| self.shape.weight((i as f64 - c) / self.stretch)).collect();
        if self.stretch != 1.0 || !self.shape.partitions_unity() {
            let sum: f64 = weights.iter().sum();
            weights.iter_mut().for_each(|w| *w /= sum);
        }
        (first, weights)
    }
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

    fn shapes() -> Vec<KernelShape> {
        let lanczos = (2..=6).map(|lobes| KernelShape::Lanczos { lobes });
        [KernelShape::Linear, KernelShape::CatmullRom].into_iter().chain(lanczos).collect()
    }

    #[test]
    fn interpolating_symmetric_and_zero_outside_support() {
        for shape in shapes() {
            assert_eq!(shape.weight(0.0), 1.0);
            for n in 1..9 {
                assert!(shape.weight(f64::from(n)).abs() < 1e-15, "{shape:?} at {n}");
            }
            for n in 0..700 {
                let x = f64::from(n) * 0.01;
                assert_eq!(shape.weight(x), shape.weight(-x));
                assert!(x < shape.support() || shape.weight(x) == 0.0);
            }
        }
    }

    #[test]
    fn taps_partition_unity_at_any_phase_and_stretch() {
        for shape in shapes() {
            for stretch in [1.0, 1.37, 2.0, 5.5] {
                for n in 0..100 {
                    let c = -3.0 + f64::from(n) * 0.0731;
                    let (first, weights) = Kernel { shape, stretch }.taps(c);
                    assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{shape:?} x{stretch} at {c}");
                    assert!(first as f64 >= c - shape.support() * stretch);
                }
            }
        }
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
