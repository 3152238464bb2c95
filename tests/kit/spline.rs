//! B-spline interpolation as Unser 1999 has it: the recursive prefilter, and the basis by its recursion.

/// Mirrored samples before and after, so that the recursion forgets how it began.
const LEAD: i64 = 100;

fn poles(order: u8) -> &'static [f64] {
    match order {
        2 => &[-0.171_572_875_253_809_9],
        3 => &[-0.267_949_192_431_122_7],
        4 => &[-0.361_341_225_900_220_2, -0.013_725_429_297_339_121],
        _ => &[-0.430_575_347_099_973_8, -0.043_096_288_203_264_65],
    }
}

/// The centred basis (de Boor's recursion).
fn basis(order: u8, x: f64) -> f64 {
    if order == 0 {
        return if (-0.5..0.5).contains(&x) { 1.0 } else { 0.0 };
    }
    let (n, half) = (f64::from(order), f64::from(order + 1) / 2.0);
    ((half + x) * basis(order - 1, x + 0.5) + (half - x) * basis(order - 1, x - 0.5)) / n
}

/// The index that `k` mirrors, the edge voxels standing for themselves.
pub(crate) fn mirror(mut k: i64, lo: i64, hi: i64) -> i64 {
    while hi - lo > 1 && !(lo..hi).contains(&k) {
        k = if k < lo { 2 * lo - k } else { 2 * (hi - 1) - k };
    }
    k.clamp(lo, hi - 1)
}

/// The coefficients of the spline through `samples`, mirrored [`LEAD`] samples beyond both ends.
pub(crate) fn coefficients(order: u8, samples: &[f64]) -> Vec<f64> {
    let n = samples.len() as i64;
    let mut c: Vec<f64> = (-LEAD..n + LEAD).map(|k| samples[mirror(k, 0, n) as usize]).collect();
    for z in poles(order) {
        let gain = (1.0 - z) * (1.0 - 1.0 / z);
        c.iter_mut().for_each(|c| *c *= gain);
        for k in 1..c.len() {
            c[k] += z * c[k - 1];
        }
        for k in (0..c.len() - 1).rev() {
            c[k] = z * (c[k + 1] - c[k]);
        }
    }
    c
}

/// The spline through `samples` at `x`.
pub(crate) fn value(order: u8, samples: &[f64], x: f64) -> f64 {
    let c = coefficients(order, samples);
    let near = x.floor() as i64 - 3..=x.floor() as i64 + 4;
    near.map(|k| basis(order, x - k as f64) * c[(k + LEAD) as usize]).sum()
}

/// How much each of the voxels `lo..hi` counts at `c`.
pub(crate) fn taps(order: u8, c: f64, lo: i64, hi: i64) -> Vec<(i64, f64)> {
    let impulse = |k: i64| (lo..hi).map(|n| if n == k { 1.0 } else { 0.0 }).collect::<Vec<f64>>();
    (lo..hi).map(|k| (k, value(order, &impulse(k), c - lo as f64))).filter(|(_, w)| w.abs() > 1e-11).collect()
}
