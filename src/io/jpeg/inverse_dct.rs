//! The inverse cosine transform of blocks of 8x8: ITU-T T.81, A.3.3.
//!
//! By its definition, in 32-bit floats and in one order on every machine: what comes out is the exact transform but for some 1e-5 of a step.

use std::{array, f64::consts::SQRT_2};

/// Samples of a block along one side.
pub(super) const SIDE: usize = 8;
/// Samples of a block.
pub(super) const BLOCK: usize = SIDE * SIDE;

/// cos(k pi / 16) for k of 0 to 8, from the addition theorem's table to 17 digits.
const COSINES: [f64; 9] = [
    1.0,
    0.980_785_280_403_230_4,
    0.923_879_532_511_286_7,
    0.831_469_612_302_545_2,
    SQRT_2 / 2.0,
    0.555_570_233_019_602_2,
    0.382_683_432_365_089_8,
    0.195_090_322_016_128_27,
    0.0,
];

/// Weights of the transform along one axis: by frequency, then sample.
pub(super) struct InverseDct([[f32; SIDE]; SIDE]);

impl InverseDct {
    /// The weights C(u)/2 cos((2x + 1) u pi / 16).
    pub(super) fn new() -> InverseDct {
        InverseDct(array::from_fn(|u| {
            array::from_fn(|x| {
                let scale = if u == 0 { SQRT_2 / 4.0 } else { 0.5 };
                (scale * cosine((2 * x + 1) * u)) as f32
            })
        }))
    }

    /// Samples of a block, by row, without the shift to positive ones, from its coefficients by row.
    pub(super) fn apply(&self, coefficients: &[f32; BLOCK]) -> [f32; BLOCK] {
        let mut rows = [0.0; BLOCK];
        for (v, (row, out)) in coefficients.chunks_exact(SIDE).zip(rows.chunks_exact_mut(SIDE)).enumerate() {
            // Most rows of high frequency are empty.
            if v == 0 || row.iter().any(|&c| c != 0.0) {
                add_weighted(out, row, &self.0);
            }
        }
        let mut samples = [0.0; BLOCK];
        for (y, out) in samples.chunks_exact_mut(SIDE).enumerate() {
            for (v, row) in rows.chunks_exact(SIDE).enumerate() {
                let weight = self.0[v][y];
                out.iter_mut().zip(row).for_each(|(sample, &value)| *sample += weight * value);
            }
        }
        samples
    }
}

fn add_weighted(out: &mut [f32], row: &[f32], weights: &[[f32; SIDE]; SIDE]) {
    for (&coefficient, weights) in row.iter().zip(weights) {
        out.iter_mut().zip(weights).for_each(|(sample, &weight)| *sample += coefficient * weight);
    }
}

/// cos(k pi / 16).
fn cosine(k: usize) -> f64 {
    match k % 32 {
        k @ 0..=8 => COSINES[k],
        k @ 9..=16 => -COSINES[16 - k],
        k @ 17..=24 => -COSINES[k - 16],
        k => COSINES[32 - k],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_are_those_of_the_library() {
        for k in 0..64 {
            let expected = (k as f64 * std::f64::consts::PI / 16.0).cos();
            assert!((cosine(k) - expected).abs() < 1e-14, "{k}");
        }
    }

    #[test]
    fn one_coefficient_is_one_wave() {
        let transform = InverseDct::new();
        let angle = |x: usize, u: usize| ((2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0).cos();
        for at in 0..BLOCK {
            let (v, u) = (at / SIDE, at % SIDE);
            let mut coefficients = [0.0; BLOCK];
            coefficients[at] = 100.0;
            let scale = |n: usize| if n == 0 { 0.5f64.sqrt() } else { 1.0 };
            for (n, &sample) in transform.apply(&coefficients).iter().enumerate() {
                let expected = 25.0 * scale(u) * scale(v) * angle(n / SIDE, v) * angle(n % SIDE, u);
                assert!((f64::from(sample) - expected).abs() < 1e-4, "{u} {v} {n}");
            }
        }
    }
}
