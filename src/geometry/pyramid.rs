//! The grids of a pyramid: which axes are halved from level to level, and where the coarser voxels are.

use super::{Affine, Grid};

/// Axes whose step is at most this many times the smallest are halved; the others wait until they are.
const HALVED_UP_TO: f64 = 1.5;

/// One level of a pyramid.
#[derive(Clone, Debug, PartialEq)]
pub struct PyramidLevel {
    /// Voxels of the level above that one voxel spans along each axis: 1 or 2, storage order.
    pub factors: [u64; 3],
    pub grid: Grid,
}

/// The levels below `finest`, each made from the one above it.
///
/// Anisotropic grids are halved along their finest axes only, until they are isotropic. Levels are added until the longest
/// side fits one chunk of `chunk` voxels, or until there are `count` of them; a single voxel is the end in any case.
/// `centred`: a voxel stands at the centre of those that it spans (averages), else at the first of them (strides).
pub fn pyramid(finest: &Grid, chunk: [u64; 3], count: Option<usize>, centred: bool) -> Vec<PyramidLevel> {
    let mut levels: Vec<PyramidLevel> = Vec::new();
    loop {
        let above = levels.last().map_or(finest, |level| &level.grid);
        let fits = (0..3).all(|a| above.shape[a] <= chunk[a]);
        if above.voxels() <= 1 || count.map_or(fits, |count| levels.len() >= count) {
            return levels;
        }
        let factors = halvings(above);
        let grid = coarser(above, factors, centred);
        levels.push(PyramidLevel { factors, grid });
    }
}

/// 2 along the axes that are halved: those of more than one voxel with a step of at most 1.5 times the smallest.
fn halvings(grid: &Grid) -> [u64; 3] {
    let spacing = grid.spacing();
    let smallest = (0..3).filter(|&a| grid.shape[a] > 1).map(|a| spacing[a]).fold(f64::INFINITY, f64::min);
    // Steps that differ by rounding only are the same.
    let is_fine = |a: usize| spacing[a] <= HALVED_UP_TO * smallest * (1.0 + 1e-9);
    std::array::from_fn(|a| if grid.shape[a] > 1 && is_fine(a) { 2 } else { 1 })
}

fn coarser(above: &Grid, factors: [u64; 3], centred: bool) -> Grid {
    let mut from_coarse = Affine::identity();
    for (a, &factor) in factors.iter().enumerate() {
        from_coarse.m[a][a] = factor as f64;
        from_coarse.m[a][3] = if centred { (factor - 1) as f64 / 2.0 } else { 0.0 };
    }
    Grid {
        shape: std::array::from_fn(|a| above.shape[a].div_ceil(factors[a])),
        index_to_world: above.index_to_world.after(&from_coarse),
        stated_spacing: above.stated_spacing.map(|stated| std::array::from_fn(|a| stated[a] * factors[a] as f64)),
        ..above.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Unit;

    fn grid(shape: [u64; 3], steps: [f64; 3]) -> Grid {
        let columns = [[0.0, 0.0, steps[0]], [0.0, steps[1], 0.0], [steps[2], 0.0, 0.0]];
        Grid::new(shape, Affine::from_columns(columns, [10.0, 20.0, 30.0]), Unit::Micrometre)
    }

    #[test]
    fn isotropic_grids_are_halved_along_all_axes_until_they_fit_a_chunk() {
        let levels = pyramid(&grid([1001, 515, 64], [1.0; 3]), [128; 3], None, true);
        let shapes: Vec<_> = levels.iter().map(|level| level.grid.shape).collect();
        assert_eq!(shapes, [[501, 258, 32], [251, 129, 16], [126, 65, 8]]);
        assert!(levels.iter().all(|level| level.factors == [2; 3]));
    }

    #[test]
    fn anisotropic_grids_become_isotropic_first() {
        let levels = pyramid(&grid([100, 4000, 4000], [4.0, 1.0, 1.0]), [64; 3], None, true);
        let factors: Vec<_> = levels.iter().map(|level| level.factors).collect();
        assert_eq!(factors, [[1, 2, 2], [1, 2, 2], [2; 3], [2; 3], [2; 3], [2; 3]]);
        assert_eq!(levels[1].grid.spacing(), [4.0; 3]);
        let steep = pyramid(&grid([100, 100, 100], [1.6, 1.5, 1.0]), [64; 3], Some(2), true);
        assert_eq!(steep.iter().map(|level| level.factors).collect::<Vec<_>>(), [[1, 2, 2], [2, 1, 2]]);
    }

    #[test]
    fn averages_stand_between_their_voxels_and_strides_on_the_first() {
        let finest = grid([9, 9, 9], [4.0, 1.0, 1.0]);
        let averaged = pyramid(&finest, [4; 3], Some(2), true);
        // (scale_n - scale_0) / 2 is added to the translation (x, y, z).
        assert_eq!(averaged[0].grid.origin(), [10.5, 20.5, 30.0]);
        assert_eq!(averaged[1].grid.origin(), [11.5, 21.5, 30.0]);
        let strided = pyramid(&finest, [4; 3], Some(2), false);
        assert_eq!(strided[1].grid.origin(), [10.0, 20.0, 30.0]);
    }

    #[test]
    fn axes_of_one_voxel_stay_and_a_single_voxel_is_the_end() {
        let levels = pyramid(&grid([1, 5, 300], [0.1, 1.0, 1.0]), [64; 3], Some(99), true);
        assert_eq!(levels.last().unwrap().grid.shape, [1, 1, 1]);
        assert!(levels.iter().all(|level| level.factors[0] == 1));
        assert!(pyramid(&grid([1, 1, 1], [1.0; 3]), [64; 3], Some(3), true).is_empty());
        assert!(pyramid(&grid([64, 5, 64], [1.0; 3]), [64; 3], None, true).is_empty());
    }
}
