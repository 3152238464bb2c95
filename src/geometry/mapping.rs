//! From target index to source index.

use std::sync::Arc;

use super::{Affine, AxisMap, Grid, VectorRanges, Warp, assignment::best_assignment};
use crate::error::{Error, Result};

/// Effects over the whole target grid below this many source voxels are noise: headers are f32.
const NOISE_VOXELS: f64 = 1e-4;

/// The source index that a target index looks at, composed once in f64.
#[derive(Clone, Debug, PartialEq)]
pub enum Mapping {
    /// Entry `a` belongs to target axis `a` (storage order); the source axes are a permutation.
    AxisAligned([AxisMap; 3]),
    /// Target index to source index, both in storage order.
    Affine(Affine),
    /// Through displacements.
    Warped(Warp),
}

/// A mapping after the snap rule, and what the rule did.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapped {
    pub mapping: Mapping,
    /// Largest displacement along a source axis, in source voxels over the target grid, that snapping took away; 0
    /// when nothing changed.
    pub removed_voxels: f64,
}

impl Mapping {
    /// The mapping between two grids in one world: target index -> world -> source index, snapped.
    ///
    /// Lengths are converted from the target's unit to the source's; where [`super::Unit::factor_to`] knows no factor, the
    /// numbers are taken as they stand. Shapes matter only for the snap rule. Errors: an entry that is not finite, a
    /// source whose axes do not span space, a target axis of several voxels without a step.
    pub fn between(target: &Grid, source: &Grid) -> Result<Snapped> {
        let factor = target.unit.factor_to(&source.unit).unwrap_or(1.0);
        compose(target, source, &scaled(&target.index_to_world, factor), &source.index_to_world)
    }

    /// The mapping between two grids by way of `world`, from target world to source world in millimetres (columns x, y,
    /// z): target index -> target world -> source world -> source index, snapped.
    ///
    /// Both grids are converted to millimetres; a unit that is not known is taken for one. Errors: as above.
    pub fn through(target: &Grid, source: &Grid, world: &Affine) -> Result<Snapped> {
        let [target_mm, source_mm] = [target, source].map(Grid::index_to_millimetres);
        compose(target, source, &world.after(&target_mm), &source_mm)
    }

    /// The continuous source index of a target index, both in storage order; without the displacement where there is one.
    pub fn source_index(&self, target_index: [f64; 3]) -> [f64; 3] {
        match self {
            Mapping::AxisAligned(axes) => {
                let mut source_index = [0.0; 3];
                for (axis, i) in axes.iter().zip(target_index) {
                    source_index[axis.source_axis] = axis.scale.mul_add(i, axis.offset);
                }
                source_index
            }
            Mapping::Affine(affine) => affine.apply(target_index),
            Mapping::Warped(warp) => warp.base.apply(target_index),
        }
    }

    /// Source voxels per target voxel along each source axis, as far as any direction in the target goes: 1 for a rotation.
    pub fn ratio(&self) -> [f64; 3] {
        match self {
            Mapping::AxisAligned(axes) => {
                let mut ratio = [1.0; 3];
                axes.iter().for_each(|axis| ratio[axis.source_axis] = axis.scale.abs());
                ratio
            }
            Mapping::Affine(affine) | Mapping::Warped(Warp { base: affine, .. }) => {
                affine.m.map(|row| row[..3].iter().map(|x| x * x).sum::<f64>().sqrt())
            }
        }
    }

    /// The mapping as a matrix, the same indices to the last bit; without the displacement where there is one.
    pub fn affine(&self) -> Affine {
        match self {
            Mapping::Affine(affine) | Mapping::Warped(Warp { base: affine, .. }) => *affine,
            Mapping::AxisAligned(maps) => {
                let mut affine = Affine { m: [[0.0; 4]; 3] };
                for (t, map) in maps.iter().enumerate() {
                    affine.m[map.source_axis][t] = map.scale;
                    affine.m[map.source_axis][3] = map.offset;
                }
                affine
            }
        }
    }

    /// Takes in what has become known of the displacement fields that it leads through, in the order in which points meet them.
    pub fn know(&mut self, ranges: &[Arc<VectorRanges>]) {
        if let Mapping::Warped(warp) = self {
            *warp = warp.with_ranges(ranges);
        }
    }

    /// Whether each source axis follows one target axis.
    pub fn is_axis_aligned(&self) -> bool {
        matches!(self, Mapping::AxisAligned(_))
    }

    /// Whether each target index looks at the same source index. The shapes may still differ.
    pub fn is_identity(&self) -> bool {
        match self {
            Mapping::AxisAligned(axes) => {
                axes.iter().enumerate().all(|(a, axis)| (axis.source_axis, axis.scale, axis.offset) == (a, 1.0, 0.0))
            }
            Mapping::Affine(_) | Mapping::Warped(_) => false,
        }
    }
}

/// The affine in a unit of which `factor` make one of its own.
fn scaled(affine: &Affine, factor: f64) -> Affine {
    Affine { m: affine.m.map(|row| row.map(|x| x * factor)) }
}

/// Checks both grids and solves for the source index; the affines lead to one world.
fn compose(target: &Grid, source: &Grid, target_to_world: &Affine, source_to_world: &Affine) -> Result<Snapped> {
    for (name, grid) in [("target", target), ("source", source)] {
        if !grid.index_to_world.is_finite() {
            return Err(Error::usage(format!("the affine of the {name} is not finite: {:?}", grid.index_to_world.m)));
        }
    }
    if let Some(a) = (0..3).find(|&a| target.shape[a] > 1 && target.index_to_world.column_norm(a) == 0.0) {
        let axis = ['k', 'j', 'i'][a];
        return Err(Error::usage(format!("the target has {} voxels along {axis}, but no step", target.shape[a])));
    }
    let composed = source_to_world
        .solve(target_to_world)
        .ok_or_else(|| Error::usage(format!("the affine of the source is singular: {:?}", source.index_to_world.m)))?;
    if !composed.is_finite() {
        return Err(Error::usage(format!("the map from target to source index is not finite: {:?}", composed.m)));
    }
    Ok(Snapped::new(&composed, target.shape))
}

impl Snapped {
    /// The snap rule: what changes no source index by 1e-4 voxel, over a target of this shape, is noise.
    ///
    /// `composed` maps target index to source index and is finite. Off-axis coefficients that small become 0, scales that
    /// close to +-1 become it, offsets that close to an integer become it. The mapping is axis-aligned when what is left
    /// allows it. The scale of an axis of one voxel, which has no effect, is kept for the kernels that have a width.
    pub fn new(composed: &Affine, target_shape: [u64; 3]) -> Snapped {
        let reach = target_shape.map(|n| n.saturating_sub(1) as f64);
        let axes = source_axes(composed, reach);
        let mut snapped = *composed;
        for (s, row) in snapped.m.iter_mut().enumerate() {
            for t in 0..3 {
                if axes[t] == s {
                    row[t] = snap_scale(row[t], reach[t]);
                } else if is_noise(row[t], reach[t]) {
                    row[t] = 0.0;
                }
            }
            if (row[3] - row[3].round()).abs() < NOISE_VOXELS {
                row[3] = row[3].round() + 0.0;
            }
        }
        let aligned = (0..3).all(|t| (0..3).all(|s| s == axes[t] || snapped.m[s][t] == 0.0));
        let axis = |t: usize| {
            let source_axis = axes[t];
            AxisMap { source_axis, scale: snapped.m[source_axis][t], offset: snapped.m[source_axis][3] }
        };
        let mapping = if aligned { Mapping::AxisAligned([0, 1, 2].map(axis)) } else { Mapping::Affine(snapped) };
        Snapped { mapping, removed_voxels: largest_difference(composed, &snapped, reach) }
    }

    /// Whether snapping took away more than the rounding of the composition itself.
    pub fn is_changed(&self) -> bool {
        self.removed_voxels > 1e-9
    }
}

/// Whether a coefficient moves no voxel of an axis of `reach + 1` voxels by as much as the noise.
fn is_noise(coefficient: f64, reach: f64) -> bool {
    coefficient.abs() * reach < NOISE_VOXELS
}

fn snap_scale(scale: f64, reach: f64) -> f64 {
    let one = 1.0f64.copysign(scale);
    if is_noise(scale - one, reach.max(1.0)) || (scale == 0.0 && reach == 0.0) { one } else { scale }
}

/// The source axis of each target axis: by the cosines, noise counting for little.
///
/// A target axis of one voxel takes what the others leave, however it points.
fn source_axes(composed: &Affine, reach: [f64; 3]) -> [usize; 3] {
    const LITTLE: f64 = 1e-9;
    best_assignment(|t, s| {
        let cosine = composed.m[s][t].abs() / composed.column_norm(t).max(f64::MIN_POSITIVE);
        if reach[t] == 0.0 {
            cosine.max(LITTLE)
        } else if is_noise(composed.m[s][t], reach[t]) {
            cosine * LITTLE
        } else {
            cosine
        }
    })
}

/// Largest difference along a source axis between two affines, over the corners of the target.
fn largest_difference(a: &Affine, b: &Affine, reach: [f64; 3]) -> f64 {
    let mut largest = 0.0f64;
    for (row_a, row_b) in a.m.iter().zip(&b.m) {
        let change: [f64; 4] = std::array::from_fn(|c| row_b[c] - row_a[c]);
        let (mut low, mut high) = (change[3], change[3]);
        for t in 0..3 {
            low += (change[t] * reach[t]).min(0.0);
            high += (change[t] * reach[t]).max(0.0);
        }
        largest = largest.max(-low).max(high);
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Unit;

    fn grid(shape: [u64; 3], columns: [[f64; 3]; 3], origin: [f64; 3]) -> Grid {
        Grid::new(shape, Affine::from_columns(columns, origin), Unit::Millimetre)
    }

    fn steps(shape: [u64; 3], step: [f64; 3], origin: [f64; 3]) -> Grid {
        grid(shape, [[0.0, 0.0, step[0]], [0.0, step[1], 0.0], [step[2], 0.0, 0.0]], origin)
    }

    fn oblique(origin: [f64; 3]) -> Grid {
        let (s, c) = 0.3f64.sin_cos();
        grid([120, 512, 512], [[0.0, -1.5 * s, 1.5 * c], [0.0, 0.41 * c, 0.41 * s], [-0.41, 0.0, 0.0]], origin)
    }

    fn to_f32(grid: &Grid) -> Grid {
        let m = grid.index_to_world.m.map(|row| row.map(|x| f64::from(x as f32)));
        Grid { index_to_world: Affine { m }, ..grid.clone() }
    }

    fn aligned(snapped: &Snapped) -> [AxisMap; 3] {
        match &snapped.mapping {
            Mapping::AxisAligned(axes) => *axes,
            other => panic!("not axis-aligned: {other:?}"),
        }
    }

    #[test]
    fn equal_origins_give_no_offset_and_the_plain_ratio() {
        let origin = [-104.98, 87.1, -63.27];
        let source = steps([120, 512, 512], [1.5, 0.4101562, 0.4101562], origin);
        let snapped = Mapping::between(&steps([450, 525, 525], [0.4; 3], origin), &source).unwrap();
        assert_eq!(snapped.removed_voxels, 0.0);
        for (a, (axis, step)) in aligned(&snapped).iter().zip([1.5, 0.4101562, 0.4101562]).enumerate() {
            assert_eq!((axis.source_axis, axis.scale, axis.offset), (a, 0.4 / step, 0.0));
        }
    }

    #[test]
    fn headers_in_f32_are_the_same_grid() {
        for origin in [[-104.98, 87.1, -63.27], [0.0; 3]] {
            for source in [oblique(origin), steps([120, 512, 512], [1.5, 0.4101562, 0.4101562], origin)] {
                for (t, s) in [(to_f32(&source), source.clone()), (source.clone(), to_f32(&source))] {
                    let snapped = Mapping::between(&t, &s).unwrap();
                    assert!(snapped.mapping.is_identity() && snapped.removed_voxels < 4e-4, "{snapped:?}");
                }
            }
        }
    }

    #[test]
    fn far_origins_snap() {
        let far = oblique([1e4, -1e4, 1e4]);
        let shifted_by = |step: [f64; 3]| {
            let mut target = to_f32(&far);
            let origin = to_f32(&far).index_to_world.apply(step);
            (0..3).for_each(|r| target.index_to_world.m[r][3] = origin[r]);
            Mapping::between(&target, &to_f32(&far)).unwrap()
        };
        assert!(shifted_by([0.0; 3]).mapping.is_identity());
        let moved = shifted_by([3.0, -7.0, 500.0]);
        assert_eq!(aligned(&moved).map(|axis| axis.offset), [3.0, -7.0, 500.0]);
        assert!(!moved.is_changed());
    }

    #[test]
    fn effects_of_a_thousandth_stay() {
        let source = steps([101; 3], [1.0; 3], [0.0; 3]);
        let between = |change: &dyn Fn(&mut Grid)| {
            let mut target = source.clone();
            change(&mut target);
            Mapping::between(&target, &source).unwrap()
        };
        assert!(!between(&|t| t.index_to_world.m[0][3] = 1e-3).mapping.is_identity());
        assert!(!between(&|t| t.index_to_world.m[0][2] = 1.0 + 1e-5).mapping.is_identity());
        assert!(!between(&|t| t.index_to_world.m[1][2] = 1e-5).mapping.is_axis_aligned());
        let small = between(&|t| {
            t.index_to_world.m[0][3] = -9e-5;
            t.index_to_world.m[0][2] = 1.0 - 9e-7;
            t.index_to_world.m[0][1] = -9e-7;
        });
        assert!(small.mapping.is_identity() && small.is_changed());
        assert!((small.removed_voxels - 2.7e-4).abs() < 1e-12);
    }

    #[test]
    fn flips_and_permutations_are_axis_aligned() {
        let source = steps([5, 7, 11], [1.5, 0.5, 0.25], [-10.0, -20.0, 30.0]);
        let target = "SLP".parse::<crate::geometry::Orientation>().unwrap().reorient(&source);
        let axes = aligned(&Mapping::between(&target, &source).unwrap());
        let expected = [(1, -1.0, 6.0), (2, -1.0, 10.0), (0, 1.0, 0.0)];
        assert_eq!(axes.map(|axis| (axis.source_axis, axis.scale, axis.offset)), expected);
        assert_eq!(axes[1].at(10), 0.0);
    }

    #[test]
    fn one_slice_needs_no_direction() {
        // One slice whose normal leans: only its place counts, the in-plane axes are aligned.
        let source = steps([9, 9, 9], [2.0, 1.0, 1.0], [0.0; 3]);
        let leaning = grid([1, 9, 9], [[5.0, 5.0, 0.1], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], [0.0, 0.0, 4.0]);
        let axes = aligned(&Mapping::between(&leaning, &source).unwrap());
        assert_eq!(axes.map(|axis| axis.source_axis), [0, 1, 2]);
        assert_eq!((axes[0].scale, axes[0].offset), (0.05, 2.0));
        let flat = grid([1, 9, 9], [[0.0; 3], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], [0.0; 3]);
        assert!(Mapping::between(&flat, &source).unwrap().mapping.is_identity());
    }

    #[test]
    fn units_are_converted() {
        let source = steps([10; 3], [2.0; 3], [1.0, 2.0, 3.0]);
        let mut target = steps([10; 3], [500.0; 3], [1000.0, 2000.0, 3000.0]);
        target.unit = Unit::Micrometre;
        let axes = aligned(&Mapping::between(&target, &source).unwrap());
        assert!(axes.iter().all(|axis| (axis.scale, axis.offset) == (0.25, 0.0)), "{axes:?}");
        target.unit = Unit::Unknown;
        assert_eq!(aligned(&Mapping::between(&target, &source).unwrap())[0].scale, 250.0);
    }

    #[test]
    fn through_a_map_of_the_world_in_millimetres() {
        let source = steps([10; 3], [2.0; 3], [1.0, 2.0, 3.0]);
        let mut target = steps([10; 3], [500.0; 3], [1000.0, 2000.0, 3000.0]);
        target.unit = Unit::Micrometre;
        let quarter = Affine::from_columns([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], [3.0, 1.0, 4.0]);
        let axes = aligned(&Mapping::through(&target, &source, &quarter).unwrap());
        // World (1 + i/2, 2 + j/2, 3 + k/2) becomes (3 - y, 1 + x, 4 + z).
        let expected = [(0, 0.25, 2.0), (2, -0.25, 0.0), (1, 0.25, 0.0)];
        assert_eq!(axes.map(|axis| (axis.source_axis, axis.scale, axis.offset)), expected);
        target.unit = Unit::Unknown;
        assert_eq!(aligned(&Mapping::through(&target, &source, &quarter).unwrap())[0].scale, 250.0);
        assert!(Mapping::through(&source, &source, &Affine::identity()).unwrap().mapping.is_identity());
    }

    #[test]
    fn broken_affines_are_refused() {
        let good = steps([4; 3], [1.0; 3], [0.0; 3]);
        let flat = steps([4; 3], [1.0, 0.0, 1.0], [0.0; 3]);
        let nan = steps([4; 3], [1.0, f64::NAN, 1.0], [0.0; 3]);
        let huge = steps([4; 3], [1e300; 3], [0.0; 3]);
        let tiny = steps([4; 3], [1e-90; 3], [0.0; 3]);
        for (target, source, says) in [
            (&good, &flat, "singular"),
            (&flat, &good, "4 voxels along j, but no step"),
            (&nan, &good, "target is not finite"),
            (&good, &nan, "source is not finite"),
            (&huge, &tiny, "target to source index is not finite"),
        ] {
            let error = Mapping::between(target, source).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
