//! Where target voxels look: continuous source indices, a strip of a row at a time.

use multiversion::multiversion;

use crate::{
    block::BlockRef,
    geometry::{Affine, Warp, inside},
    region::Region,
    resample::taps::bisect,
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

/// Adds the displacements of the field at the points of `strip`, the voxels of row `y` of plane `z` from `x` on.
///
/// Vectors are interpolated linearly, the edge vectors repeated; beyond the field's faces there is no displacement, as
/// ITK's displacement field transform has it. `field` holds the three components around those points.
pub fn displace(warp: &Warp, field: BlockRef<'_, f32>, [z, y, x]: [i64; 3], strip: &mut Strip) {
    let shape = warp.ranges.shape();
    if field.region.is_empty() {
        return;
    }
    for n in 0..strip.len {
        let at = source_index(&warp.target_to_field, [z, y, x + n as i64]);
        if (0..3).all(|a| inside(at[a], 0, shape[a] as i64)) {
            let moved = warp.displacement(vector(field, at, shape));
            (0..3).for_each(|a| strip.at[a][n] += moved[a]);
        }
    }
}

/// The vector at a field index inside the field.
fn vector(field: BlockRef<'_, f32>, at: [f64; 3], shape: [u64; 3]) -> [f64; 3] {
    let [nz, ny, nx] = field.region.shape();
    let strides = [ny * nx, nx, 1];
    let (mut offsets, mut weights) = ([[0; 2]; 3], [[0.0; 2]; 3]);
    for a in 0..3 {
        let whole = at[a].floor();
        let offset = |i: i64| (i.clamp(0, shape[a] as i64 - 1) - field.region.lo[a]) as usize * strides[a];
        let part = at[a] - whole;
        // A weight of 0 is no tap: the voxel beyond need not be there.
        offsets[a] = [offset(whole as i64), if part > 0.0 { offset(whole as i64 + 1) } else { offset(whole as i64) }];
        weights[a] = [1.0 - part, part];
    }
    std::array::from_fn(|component| {
        let values = &field.voxels[component * nz * ny * nx..];
        let mut sum = 0.0;
        for (z, wz) in offsets[0].into_iter().zip(weights[0]) {
            for (y, wy) in offsets[1].into_iter().zip(weights[1]) {
                for (x, wx) in offsets[2].into_iter().zip(weights[2]) {
                    if wz * wy * wx != 0.0 {
                        sum += f64::from(values[z + y + x]) * (wz * wy * wx);
                    }
                }
            }
        }
        sum
    })
}

/// The field's voxels that the points of `target` are interpolated from.
pub fn field_region(warp: &Warp, target: Region) -> Region {
    if target.is_empty() {
        return Region::EMPTY;
    }
    let (hull, shape) = (hull(&warp.target_to_field, target), warp.ranges.shape());
    let mut region = Region::EMPTY;
    for (a, [low, high]) in hull.into_iter().enumerate() {
        let last = shape[a] as i64 - 1;
        if high < -1.0 || low > (last + 1) as f64 {
            return Region::EMPTY;
        }
        region.lo[a] = (low.floor() as i64).clamp(0, last);
        region.hi[a] = (high.floor() as i64).saturating_add(1).clamp(0, last) + 1;
    }
    region
}

/// Extents that no field region of a target box of `shape` voxels exceeds.
pub fn field_extents(warp: &Warp, shape: [u64; 3]) -> [u64; 3] {
    std::array::from_fn(|a| {
        let row = warp.target_to_field.m[a];
        let image: f64 = (0..3).map(|t| row[t].abs() * (shape[t].max(1) - 1) as f64).sum();
        (image.ceil() as u64 + 3).min(warp.ranges.shape()[a])
    })
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
    for (a, base) in bases.into_iter().enumerate() {
        let step = mapping.m[a][2];
        let is_in = |x: i64| inside(step.mul_add(x as f64, base), bounds.lo[a], bounds.hi[a]);
        if start < end && is_in(start) && is_in(end - 1) {
            continue;
        }
        let low = |x: i64| step.mul_add(x as f64, base) < (bounds.lo[a] as f64 + bounds.hi[a] as f64 - 1.0) / 2.0;
        // Not inside, and on the side that the row comes from.
        let enters = |x: i64| !is_in(x) && low(x) == (step >= 0.0);
        start = bisect(start..end, enters);
        end = bisect(start..end, is_in);
    }
    start..end.max(start)
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
