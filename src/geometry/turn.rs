//! What a linear map does to directions: its rotation.

use super::Affine;

/// Entries this near those of the identity are rounding.
const NOISE: f64 = 1e-12;
const MOST_STEPS: usize = 64;

/// The rotation nearest to the linear part of `map`: the orthogonal factor of its polar decomposition, a reflection among it where
/// the map mirrors. Exactly the identity where it is that but for rounding. `None` where the map has no inverse.
///
/// By Newton's iteration X <- (X + X^-T) / 2, which doubles the correct digits each time (Higham 1986, "Computing the polar
/// decomposition", section 3).
pub fn rotation_of(map: &Affine) -> Option<[[f64; 3]; 3]> {
    let mut x = linear(map);
    for _ in 0..MOST_STEPS {
        let inverse = x.inverse()?;
        // Larger steps while the columns are far from unit length.
        let scale = if is_orthogonal(&x) { 1.0 } else { x.determinant().abs().cbrt().recip() };
        let next = |r: usize, c: usize| 0.5 * (scale * x.m[r][c] + inverse.m[c][r] / scale);
        let m = std::array::from_fn(|r| [next(r, 0), next(r, 1), next(r, 2), 0.0]);
        let moved = distance(&Affine { m }, &x);
        x = Affine { m };
        if moved < 1e-15 {
            break;
        }
    }
    if distance(&x, &Affine::identity()) < NOISE {
        x = Affine::identity();
    }
    x.is_finite().then(|| x.m.map(|[a, b, c, _]| [a, b, c]))
}

fn linear(map: &Affine) -> Affine {
    Affine { m: map.m.map(|[a, b, c, _]| [a, b, c, 0.0]) }
}

fn is_orthogonal(x: &Affine) -> bool {
    (0..3).all(|c| (x.column_norm(c) - 1.0).abs() < 0.1) && x.shear() < 0.1
}

/// Largest difference between two entries.
fn distance(a: &Affine, b: &Affine) -> f64 {
    a.m.iter().flatten().zip(b.m.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(a: usize, b: usize, angle: f64) -> Affine {
        let mut turn = Affine::identity();
        (turn.m[a][a], turn.m[a][b], turn.m[b][a], turn.m[b][b]) =
            (angle.cos(), -angle.sin(), angle.sin(), angle.cos());
        turn
    }

    fn stretch(by: [f64; 3]) -> Affine {
        Affine::from_columns([[by[0], 0.0, 0.0], [0.0, by[1], 0.0], [0.0, 0.0, by[2]]], [0.0; 3])
    }

    fn is_near(found: [[f64; 3]; 3], expected: &Affine) -> bool {
        (0..9).all(|n| (found[n / 3][n % 3] - expected.m[n / 3][n % 3]).abs() < 1e-13)
    }

    #[test]
    fn a_rotation_after_any_stretch_is_found_again() {
        let rotation = turn(0, 1, 0.3).after(&turn(1, 2, -1.1)).after(&turn(0, 2, 2.5));
        let oblique = turn(0, 2, 0.7).after(&turn(0, 1, 0.2));
        let back = oblique.inverse().unwrap();
        for by in [[1.0, 1.0, 1.0], [2.0, 0.5, 1.0], [1e-3, 1.0, 40.0], [1e4, 1e4, 1e4]] {
            let symmetric = oblique.after(&stretch(by)).after(&back);
            let found = rotation_of(&rotation.after(&symmetric)).unwrap();
            assert!(is_near(found, &rotation), "{by:?}: {found:?}");
        }
        let mirror = rotation.after(&stretch([-1.0, 1.0, 1.0]));
        assert!(is_near(rotation_of(&mirror).unwrap(), &mirror));
    }

    #[test]
    fn scalings_and_shifts_turn_nothing() {
        let mut moved = stretch([2.0, 0.7, 1.3]);
        moved.m[1][3] = 40.0;
        assert_eq!(rotation_of(&moved), Some([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]));
        assert_eq!(rotation_of(&stretch([1.0, 0.0, 1.0])), None);
    }
}
