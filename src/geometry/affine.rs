//! A 3x4 affine map in f64.

/// `world[r] = sum_c m[r][c] * index[c] + m[r][3]`, columns in storage order (slowest axis first).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    pub m: [[f64; 4]; 3],
}

impl Affine {
    /// The matrix with these columns and this translation.
    pub fn from_columns(columns: [[f64; 3]; 3], translation: [f64; 3]) -> Affine {
        let row = |r: usize| [columns[0][r], columns[1][r], columns[2][r], translation[r]];
        Affine { m: [row(0), row(1), row(2)] }
    }

    /// Sends each point to itself.
    pub fn identity() -> Affine {
        Affine::from_columns([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [0.0; 3])
    }

    /// How many whole steps each axis is shifted by, where that is all that the map does.
    pub fn whole_shift(&self) -> Option<[i64; 3]> {
        let is_unit = (0..3).all(|r| (0..3).all(|c| self.m[r][c] == f64::from(u8::from(r == c))));
        // Whole numbers up to there are exact.
        let is_whole = self.m.iter().all(|row| row[3].fract() == 0.0 && row[3].abs() < (1u64 << 52) as f64);
        (is_unit && is_whole).then(|| self.m.map(|row| row[3] as i64))
    }

    /// Column `c` of the linear part: where one step along axis `c` leads.
    pub fn column(&self, c: usize) -> [f64; 3] {
        [self.m[0][c], self.m[1][c], self.m[2][c]]
    }

    /// Where (0, 0, 0) goes.
    pub fn translation(&self) -> [f64; 3] {
        self.column(3)
    }

    /// Euclidean length of column `c`: the step between neighbours along that axis.
    pub fn column_norm(&self, c: usize) -> f64 {
        self.column(c).iter().map(|x| x * x).sum::<f64>().sqrt()
    }

    /// Where `p` goes.
    pub fn apply(&self, p: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|r| {
            let [a, b, c, t] = self.m[r];
            a.mul_add(p[0], b.mul_add(p[1], c.mul_add(p[2], t)))
        })
    }

    /// `self` after `first`: `(self * first)(p) = self(first(p))`.
    pub fn after(&self, first: &Affine) -> Affine {
        let mut m = [[0.0; 4]; 3];
        for (r, row) in m.iter_mut().enumerate() {
            for (c, out) in row.iter_mut().enumerate() {
                *out = (0..3).map(|k| self.m[r][k] * first.m[k][c]).sum();
            }
            row[3] += self.m[r][3];
        }
        Affine { m }
    }

    /// Of the linear part; negative where it mirrors.
    pub fn determinant(&self) -> f64 {
        let [a, b, c] = self.m;
        a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0])
    }

    /// The inverse, or `None` when an entry of either is not finite or the columns do not span space.
    pub fn inverse(&self) -> Option<Affine> {
        let norms = self.column_norm(0) * self.column_norm(1) * self.column_norm(2);
        let det = self.determinant();
        if !self.is_finite() || norms == 0.0 || det.is_nan() || det.abs() <= 1e-9 * norms {
            return None;
        }
        let minor = |r: usize, c: usize| {
            let [r1, r2] = [(r + 1) % 3, (r + 2) % 3];
            let [c1, c2] = [(c + 1) % 3, (c + 2) % 3];
            self.m[r1][c1] * self.m[r2][c2] - self.m[r1][c2] * self.m[r2][c1]
        };
        let mut m = [[0.0; 4]; 3];
        for (r, row) in m.iter_mut().enumerate() {
            for (c, out) in row.iter_mut().take(3).enumerate() {
                *out = minor(c, r) / det;
            }
            row[3] = -(0..3).map(|c| row[c] * self.m[c][3]).sum::<f64>();
        }
        Some(Affine { m }).filter(Affine::is_finite)
    }

    /// The map `x` for which `self.after(x)` is `rhs`, or `None` where there is no inverse.
    ///
    /// As `inverse().after(rhs)`, with less rounding: translations are subtracted first, so that equal ones cancel, and
    /// where each row and column of `self` holds one number, each entry is one quotient. Gauss-Jordan, full pivoting.
    pub fn solve(&self, rhs: &Affine) -> Option<Affine> {
        self.inverse()?;
        let (mut left, mut right) = (self.m, rhs.m);
        for (right, left) in right.iter_mut().zip(&left) {
            right[3] -= left[3];
        }
        let mut row_of: [Option<usize>; 3] = [None; 3];
        for _ in 0..3 {
            let free =
                (0..9).map(|n| (n / 3, n % 3)).filter(|(r, c)| row_of[*c].is_none() && !row_of.contains(&Some(*r)));
            let (row, column) = free.max_by(|a, b| left[a.0][a.1].abs().total_cmp(&left[b.0][b.1].abs()))?;
            row_of[column] = Some(row);
            for other in (0..3).filter(|&other| other != row) {
                let factor = left[other][column] / left[row][column];
                if factor != 0.0 {
                    (0..3).for_each(|c| left[other][c] -= factor * left[row][c]);
                    (0..4).for_each(|c| right[other][c] -= factor * right[row][c]);
                }
            }
        }
        let mut m = [[0.0; 4]; 3];
        for (c, out) in m.iter_mut().enumerate() {
            let row = row_of[c]?;
            *out = right[row].map(|x| x / left[row][c]);
        }
        Some(Affine { m })
    }

    /// Whether no entry is NaN or infinite.
    pub fn is_finite(&self) -> bool {
        self.m.iter().flatten().all(|x| x.is_finite())
    }

    /// Largest cosine between two different columns: 0 for a rotation with spacings, more for a shear.
    pub fn shear(&self) -> f64 {
        [(0, 1), (0, 2), (1, 2)]
            .map(|(a, b)| {
                let dot: f64 = (0..3).map(|r| self.m[r][a] * self.m[r][b]).sum();
                (dot / (self.column_norm(a) * self.column_norm(b))).abs()
            })
            .into_iter()
            .fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oblique() -> Affine {
        Affine::from_columns([[0.1, 0.3, 2.0], [-1.2, 0.2, 0.1], [0.4, 1.5, -0.3]], [-90.0, 12.5, 33.0])
    }

    #[test]
    fn inverse_undoes() {
        let a = oblique();
        let back = a.inverse().unwrap().after(&a);
        for r in 0..3 {
            for c in 0..4 {
                assert!((back.m[r][c] - Affine::identity().m[r][c]).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn regression_an_inverse_beyond_the_largest_number_is_none() {
        let tiny = Affine::from_columns([[1e-200, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [1e150, 0.0, 0.0]);
        assert!(tiny.is_finite() && tiny.inverse().is_none());
    }

    #[test]
    fn solving_is_inverting_and_composing() {
        let (a, b) = (oblique(), Affine::from_columns([[0.2, 0.1, 3.0], [1.0, -2.0, 0.3], [4.0, 0.1, 0.2]], [1.0; 3]));
        let (solved, composed) = (a.solve(&b).unwrap(), a.inverse().unwrap().after(&b));
        for r in 0..3 {
            for c in 0..4 {
                assert!((solved.m[r][c] - composed.m[r][c]).abs() < 1e-12);
            }
        }
        assert_eq!(a.solve(&a).unwrap().translation(), [0.0; 3]);
    }

    #[test]
    fn solving_rounds_once_where_axes_are_aligned() {
        let turned = Affine::from_columns([[0.0, 0.3, 0.0], [0.0, 0.0, -0.7], [1.1, 0.0, 0.0]], [0.1; 3]);
        let x = turned.solve(&Affine::identity()).unwrap();
        assert_eq!(x.column(0), [0.0, 0.0, 1.0 / 1.1]);
        assert_eq!(x.column(1), [1.0 / 0.3, 0.0, 0.0]);
        assert_eq!(x.column(2), [0.0, -1.0 / 0.7, 0.0]);
    }

    #[test]
    fn singular_and_not_finite_have_no_inverse() {
        let flat = Affine::from_columns([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 1.0]], [0.0; 3]);
        assert!(flat.inverse().is_none());
        let mut nan = oblique();
        nan.m[1][2] = f64::NAN;
        assert!(nan.inverse().is_none());
    }

    #[test]
    fn after_composes_in_reading_order() {
        let (a, b) = (oblique(), Affine::from_columns([[0.0, 2.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 3.0]], [1.0; 3]));
        let p = [3.0, -4.0, 5.5];
        let (once, twice) = (a.after(&b).apply(p), a.apply(b.apply(p)));
        assert!((0..3).all(|r| (once[r] - twice[r]).abs() < 1e-12));
    }
}
