//! Where target voxels look: continuous source indices, a strip of a row at a time.

use multiversion::multiversion;

use crate::{
    geometry::{Affine, inside},
    region::Region,
};

/// Voxels of a row that are computed together.
pub const STRIP: usize = 64;

/// The continuous source indices of a strip of target voxels, axis by axis in storage order.
pub struct Strip {
    pub len: usize,
    pub at: [[f64; STRIP]; 3],
}

impl Strip {
    pub fn new() -> Strip {
        Strip { len: 0, at: [[0.0; STRIP]; 3] }
    }

    /// The continuous source index of voxel `n`.
    pub fn index(&self, n: usize) -> [f64; 3] {
        [self.at[0][n], self.at[1][n], self.at[2][n]]
    }
}

/// `m[0] z + m[1] y + m[3]`: what the indices of a row have in common, from global indices.
fn base(row: &[f64; 4], z: i64, y: i64) -> f64 {
    row[1].mul_add(y as f64, row[0].mul_add(z as f64, row[3]))
}

/// The source index of target index `at`; every other function here gives the same bits.
pub fn source_index(mapping: &Affine, at: [i64; 3]) -> [f64; 3] {
    mapping.m.map(|row| row[2].mul_add(at[2] as f64, base(&row, at[0], at[1])))
}

/// Fills `strip` with the indices of row `y` of plane `z` from `x` on.
pub fn fill(mapping: &Affine, [z, y, x]: [i64; 3], strip: &mut Strip) {
    for (row, at) in mapping.m.iter().zip(&mut strip.at) {
        along(row[2], base(row, z, y), x, &mut at[..strip.len]);
    }
}

#[multiversion(targets("x86_64+avx2+fma"))]
fn along(step: f64, base: f64, x: i64, out: &mut [f64]) {
    for (n, out) in out.iter_mut().enumerate() {
        *out = step.mul_add((x + n as i64) as f64, base);
    }
}

/// The lowest and highest source index of any voxel of `target` along each axis; exact, because every rounding on the way is
/// monotone.
pub fn hull(mapping: &Affine, target: Region) -> [[f64; 2]; 3] {
    let mut hull = [[f64::INFINITY, f64::NEG_INFINITY]; 3];
    for corner in 0..8 {
        let at = std::array::from_fn(|a| if corner >> a & 1 == 0 { target.lo[a] } else { target.hi[a] - 1 });
        for (range, c) in hull.iter_mut().zip(source_index(mapping, at)) {
            *range = [range[0].min(c), range[1].max(c)];
        }
    }
    hull
}

/// The voxels `x` of a row that look inside `bounds`: a run, since indices are monotone along a row.
pub fn inside_run(mapping: &Affine, [z, y]: [i64; 2], x: std::ops::Range<i64>, bounds: Region) -> std::ops::Range<i64> {
    let bases = mapping.m.map(|row| base(&row, z, y));
    let (mut start, mut end) = (x.start, x.end);
    for a in 0..3 {
        let step = mapping.m[a][2];
        let is_in = |x: i64| inside(step.mul_add(x as f64, bases[a]), bounds.lo[a], bounds.hi[a]);
        if start < end && is_in(start) && is_in(end - 1) {
            continue;
        }
        let low = |x: i64| step.mul_add(x as f64, bases[a]) < (bounds.lo[a] as f64 + bounds.hi[a] as f64 - 1.0) / 2.0;
        // Not inside, and on the side that the row comes from.
        let enters = |x: i64| !is_in(x) && low(x) == (step >= 0.0);
        start = first_not(start..end, enters);
        end = first_not(start..end, is_in);
    }
    start..end.max(start)
}

/// First index of `range` for which `holds` is false; `holds` is true, then false.
fn first_not(range: std::ops::Range<i64>, holds: impl Fn(i64) -> bool) -> i64 {
    let (mut lo, mut hi) = (range.start, range.end);
    while lo < hi {
        let middle = lo + (hi - lo) / 2;
        if holds(middle) { lo = middle + 1 } else { hi = middle }
    }
    lo
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mapping() -> impl Strategy<Value = Affine> {
        let row = prop::array::uniform4(prop_oneof![-1.5..1.5f64, Just(0.0), Just(1.0)]);
        let offset = prop::array::uniform3(-9.0..15.0f64);
        (prop::array::uniform3(row), offset).prop_map(|(mut m, offset)| {
            (0..3).for_each(|r| m[r][3] = offset[r]);
            Affine { m }
        })
    }

    proptest! {
        #[test]
        fn strips_hulls_and_runs_agree_with_single_voxels(
            mapping in mapping(),
            lo in prop::array::uniform3(-4i64..4),
            size in prop::array::uniform3(1i64..9),
        ) {
            let target = Region::new(lo, std::array::from_fn(|a| lo[a] + size[a]));
            let bounds = Region::new([0, 1, -2], [7, 9, 5]);
            let mut found = [[f64::INFINITY, f64::NEG_INFINITY]; 3];
            for voxel in target.tiles([1; 3]) {
                let c = source_index(&mapping, voxel.lo);
                for a in 0..3 {
                    found[a] = [found[a][0].min(c[a]), found[a][1].max(c[a])];
                }
                let [z, y, x] = voxel.lo;
                let run = inside_run(&mapping, [z, y], target.lo[2]..target.hi[2], bounds);
                prop_assert_eq!(run.contains(&x), (0..3).all(|a| inside(c[a], bounds.lo[a], bounds.hi[a])));
                let mut strip = Strip::new();
                strip.len = 3;
                fill(&mapping, [z, y, x - 2], &mut strip);
                prop_assert_eq!(strip.index(2), c);
            }
            prop_assert_eq!(hull(&mapping, target), found);
        }
    }
}
