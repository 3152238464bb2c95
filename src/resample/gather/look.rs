//! Where target voxels look: continuous source indices, a strip of a row at a time.

use std::ops::Range;

use multiversion::multiversion;

use crate::{
    geometry::{Affine, inside},
    region::Region,
    resample::taps::bisect,
};

/// Voxels of a row that are computed together.
pub(super) const STRIP: usize = 128;

/// Points in the source, by number.
pub(super) trait Points {
    /// Whether the index along each axis changes in one direction only.
    const STRAIGHT: bool;

    /// The continuous source index of point `n` along axis `a`.
    fn at(&self, a: usize, n: usize) -> f64;
}

/// The points of a row of target voxels, worked out where they are looked at.
pub(super) struct Line {
    step: [f64; 3],
    base: [f64; 3],
    first: f64,
}

impl Line {
    /// The voxels of row `y` of plane `z` from `x` on.
    #[inline(always)]
    pub(super) fn new(mapping: &Affine, [z, y, x]: [i64; 3]) -> Line {
        Line { step: mapping.m.map(|row| row[2]), base: mapping.m.map(|row| base(&row, z, y)), first: x as f64 }
    }
}

impl Points for Line {
    const STRAIGHT: bool = true;

    /// The bits of [`source_index`]: whole numbers add exactly. From 32 bits, since AVX2 converts no others.
    #[inline(always)]
    fn at(&self, a: usize, n: usize) -> f64 {
        self.step[a].mul_add(self.first + f64::from(n as i32), self.base[a])
    }
}

/// Points that stand in memory, axis by axis in storage order: displaced ones, or those of ops that look at each by itself.
pub(super) struct Strip {
    pub len: usize,
    pub at: [[f64; STRIP]; 3],
}

impl Strip {
    /// Room for one strip.
    pub(super) fn new() -> Strip {
        Strip { len: 0, at: [[0.0; STRIP]; 3] }
    }

    /// The continuous source index of voxel `n`.
    #[inline(always)]
    pub(super) fn index(&self, n: usize) -> [f64; 3] {
        [self.at[0][n], self.at[1][n], self.at[2][n]]
    }
}

impl Points for Strip {
    const STRAIGHT: bool = false;

    #[inline(always)]
    fn at(&self, a: usize, n: usize) -> f64 {
        self.at[a][n]
    }
}

/// `m[0] z + m[1] y + m[3]`: what the indices of a row have in common, from global indices.
#[inline(always)]
fn base(row: &[f64; 4], z: i64, y: i64) -> f64 {
    row[1].mul_add(y as f64, row[0].mul_add(z as f64, row[3]))
}

/// The source index of target index `at`; every other function here gives the same bits.
#[cfg(test)]
fn source_index(mapping: &Affine, at: [i64; 3]) -> [f64; 3] {
    mapping.m.map(|row| row[2].mul_add(at[2] as f64, base(&row, at[0], at[1])))
}

/// Fills `strip` with the indices of row `y` of plane `z` from `x` on.
#[multiversion(targets("x86_64+avx2+fma"))]
pub fn fill(mapping: &Affine, row: [i64; 3], strip: &mut Strip) {
    let line = Line::new(mapping, row);
    for (a, at) in strip.at.iter_mut().enumerate() {
        for (n, c) in at[..strip.len].iter_mut().enumerate() {
            *c = line.at(a, n);
        }
    }
}

/// The lowest and highest source index of any voxel of `target` along each axis; exact, because every rounding on the way is
/// monotone.
#[multiversion(targets("x86_64+avx2+fma"))]
pub fn hull(mapping: &Affine, target: Region) -> [[f64; 2]; 3] {
    let (first, last) = (target.lo, target.hi.map(|end| end - 1));
    // Along each axis the lowest index is at one corner, which the signs tell, and the highest at the opposite one.
    mapping.m.map(|row| {
        let corner = |rising: bool| -> [i64; 3] {
            std::array::from_fn(|t| if (row[t] >= 0.0) == rising { first[t] } else { last[t] })
        };
        [true, false].map(|rising| {
            let at = corner(rising);
            row[2].mul_add(at[2] as f64, base(&row, at[0], at[1]))
        })
    })
}

/// The voxels `x` of a row that look inside `bounds`: a run, since indices are monotone along a row.
#[multiversion(targets("x86_64+avx2+fma"))]
pub fn inside_run(mapping: &Affine, [z, y]: [i64; 2], x: Range<i64>, bounds: Region) -> Range<i64> {
    let (mut start, mut end) = (x.start, x.end);
    for a in 0..3 {
        let (step, base) = (mapping.m[a][2], base(&mapping.m[a], z, y));
        let is_in = |x: i64| inside(step.mul_add(x as f64, base), bounds.lo[a], bounds.hi[a]);
        if start < end && is_in(start) && is_in(end - 1) {
            continue;
        }
        let faces = [bounds.lo[a] as f64 - 0.5, bounds.hi[a] as f64 - 0.5];
        let low = |x: i64| step.mul_add(x as f64, base) < (faces[0] + faces[1]) / 2.0;
        // Not inside, and on the side that the row comes from.
        let enters = |x: i64| !is_in(x) && low(x) == (step >= 0.0);
        let [from, to] = if step >= 0.0 { faces } else { [faces[1], faces[0]] };
        start = bisect_near((from - base) / step, start..end, enters);
        end = bisect_near((to - base) / step, start..end, is_in);
    }
    start..end.max(start)
}

/// As [`bisect`], in a few steps where the answer is within a voxel of `guess`, which may be anything.
#[inline(always)]
fn bisect_near(guess: f64, range: Range<i64>, holds: impl Fn(i64) -> bool) -> i64 {
    let (mut lo, mut hi) = (range.start, range.end.max(range.start));
    let guess = (guess as i64).clamp(lo, hi);
    for probe in [guess.saturating_sub(2), guess.saturating_add(2)] {
        if (lo..hi).contains(&probe) {
            if holds(probe) { lo = probe + 1 } else { hi = probe }
        }
    }
    bisect(lo..hi, holds)
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
