//! Rotations as the three numbers of a qform (`nifti1.h`, "QUATERNION REPRESENTATION OF ROTATION MATRIX").

/// Rows of a rotation matrix, or of one with its third column negated.
pub(super) type Matrix = [[f64; 3]; 3];

/// `[a, b, c, d]` of unit length, `a >= 0`, from the stored b, c, d.
///
/// As in `nifti_quatern_to_mat44`: where 1 - (b2+c2+d2) is under 1e-7 (rounding of a half turn, or more than unit
/// length), a is 0 and b, c, d are normalised.
pub(super) fn complete([b, c, d]: [f64; 3]) -> [f64; 4] {
    let square = b * b + c * c + d * d;
    let rest = 1.0 - square;
    if rest < 1e-7 {
        let scale = 1.0 / square.sqrt();
        return [0.0, b * scale, c * scale, d * scale];
    }
    [rest.sqrt(), b, c, d]
}

/// The rotation of a unit quaternion.
pub(super) fn rotation([a, b, c, d]: [f64; 4]) -> Matrix {
    [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ]
}

/// `[a, b, c, d]` of a proper rotation, `a >= 0` (`nifti_mat44_to_quatern`: the largest component divides).
pub(super) fn from_rotation(r: &Matrix) -> [f64; 4] {
    let squares = [
        1.0 + r[0][0] + r[1][1] + r[2][2],
        1.0 + r[0][0] - r[1][1] - r[2][2],
        1.0 - r[0][0] + r[1][1] - r[2][2],
        1.0 - r[0][0] - r[1][1] + r[2][2],
    ];
    let (sums, differences) = (
        [r[1][0] + r[0][1], r[2][0] + r[0][2], r[2][1] + r[1][2]],
        [r[2][1] - r[1][2], r[0][2] - r[2][0], r[1][0] - r[0][1]],
    );
    let ([bc, bd, cd], [ab, ac, ad]) = (sums, differences);
    // Each row is 4 times one component times (a, b, c, d).
    let rows = [[squares[0], ab, ac, ad], [ab, squares[1], bc, bd], [ac, bc, squares[2], cd], [ad, bd, cd, squares[3]]];
    let largest = (1..4).fold(0, |best, n| if squares[n] > squares[best] { n } else { best });
    let row = rows[largest];
    let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
    let sign = if row[0] < 0.0 { -1.0 } else { 1.0 };
    row.map(|x| sign * x / norm)
}

/// The b, c, d that read back closest to `q` when they are stored as f32.
///
/// Near a half turn, a is the root of a small difference, and plain rounding may turn the volume by 3e-4 rad. Making up
/// for the rounding of two numbers in the third brings most of that back.
pub(super) fn round_to_f32(q: [f64; 4]) -> [f64; 3] {
    let error = |bcd: [f64; 3]| complete(bcd).iter().zip(q).map(|(x, y)| (x - y) * (x - y)).sum::<f64>();
    let rounded = [q[1], q[2], q[3]].map(|x| f64::from(x as f32));
    let mut best = rounded;
    for n in 0..3 {
        let others: f64 = (0..3).filter(|&m| m != n).map(|m| rounded[m] * rounded[m]).sum();
        let made_up = (1.0 - q[0] * q[0] - others).max(0.0).sqrt().copysign(rounded[n]);
        let mut candidate = rounded;
        candidate[n] = f64::from(made_up as f32);
        if error(candidate) < error(best) {
            best = candidate;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(found: Matrix, expected: Matrix) {
        for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
        }
    }

    #[test]
    fn known_rotations() {
        assert_near(rotation(complete([0.0; 3])), [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        let quarter_z = [0.0, 0.0, std::f64::consts::FRAC_1_SQRT_2];
        assert_near(rotation(complete(quarter_z)), [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]);
        assert_near(rotation(complete([0.5; 3])), [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
        let half_y = [[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]];
        assert_near(rotation(complete([0.0, 1.0, 0.0])), half_y);
        assert_near(rotation(complete([0.0, 3.0, 0.0])), half_y);
    }

    #[test]
    fn rotations_come_back() {
        let steps = [-1.0, -0.6, -0.001, 0.0, 0.3, 0.9];
        for b in steps {
            for c in steps {
                for d in steps {
                    let norm = (0.2f64 * 0.2 + b * b + c * c + d * d).sqrt();
                    let q = [0.2, b, c, d].map(|x| x / norm);
                    let back = from_rotation(&rotation(q));
                    assert!((0..4).all(|n| (q[n] - back[n]).abs() < 1e-12), "{q:?} {back:?}");
                }
            }
        }
    }

    #[test]
    fn f32_keeps_a_tilt_near_the_half_turn() {
        for n in 1..200 {
            let a = f64::from(n) * 1e-4 + 4e-4;
            let rest = (1.0 - a * a).sqrt();
            let q = [a, 0.1 * rest, 0.2 * rest, (1.0 - 0.05f64).sqrt() * rest];
            let error = (complete(round_to_f32(q))[0] - a).abs();
            assert!(error < 3e-9 / a, "a {a} off by {error}");
        }
    }
}
