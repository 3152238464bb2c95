//! A grid: how many voxels, where they stand, and in which unit.

use super::{Affine, Unit};

/// Voxel counts and the index-to-world affine, both in storage order (slowest axis first).
///
/// An integer index is the centre of a voxel.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    pub shape: [u64; 3],
    pub index_to_world: Affine,
    /// Spacing as the file states it, where that agrees with the affine; the grid rules prefer it over the rounded norm.
    pub stated_spacing: Option<[f64; 3]>,
    pub unit: Unit,
    /// Whether the file says that world is the body's right, anterior, superior; else x, y, z are only taken for them.
    pub anatomical: bool,
}

impl Grid {
    /// The affine takes an index (slice, row, column) to a place (x, y, z) in `unit`.
    pub fn new(shape: [u64; 3], index_to_world: Affine, unit: Unit) -> Grid {
        Grid { shape, index_to_world, stated_spacing: None, unit, anatomical: false }
    }

    /// A grid without rotation: voxel (0, 0, 0) at 0; columns run along x, rows along y, slices along z. `spacing` is the step between
    /// slices, rows and columns.
    pub fn with_spacing(shape: [u64; 3], spacing: [f64; 3], unit: Unit) -> Grid {
        let [k, j, i] = spacing;
        let columns = [[0.0, 0.0, k], [0.0, j, 0.0], [i, 0.0, 0.0]];
        Grid::new(shape, Affine::from_columns(columns, [0.0; 3]), unit)
    }

    /// Step along each axis: the stated spacing where it agrees with the column norm to 1e-6, else the norm.
    pub fn spacing(&self) -> [f64; 3] {
        std::array::from_fn(|a| {
            let norm = self.index_to_world.column_norm(a);
            match self.stated_spacing {
                Some(stated) if (stated[a] - norm).abs() <= 1e-6 * norm.abs() => stated[a],
                _ => norm,
            }
        })
    }

    /// Index to world in millimetres; a unit that is not known is taken for one.
    pub fn index_to_millimetres(&self) -> Affine {
        let factor = self.unit.factor_to(&Unit::Millimetre).unwrap_or(1.0);
        Affine { m: self.index_to_world.m.map(|row| row.map(|x| x * factor)) }
    }

    /// World position of voxel (0, 0, 0).
    pub fn origin(&self) -> [f64; 3] {
        self.index_to_world.translation()
    }

    /// Gives the grid these steps, storage order; directions and origin stay.
    pub fn set_spacing(&mut self, spacing: [f64; 3]) {
        for (c, &step) in spacing.iter().enumerate() {
            let factor = step / self.index_to_world.column_norm(c);
            self.index_to_world.m.iter_mut().for_each(|row| row[c] *= factor);
        }
        self.stated_spacing = Some(spacing);
    }

    /// Number of voxels, saturating.
    pub fn voxels(&self) -> u64 {
        self.shape.iter().fold(1u64, |n, &extent| n.saturating_mul(extent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_spacing_counts_where_the_affine_agrees() {
        let columns = [[0.0, 0.0, 3.0], [0.0, 2.0, 0.0], [1.0, 0.0, 0.0]];
        let mut grid = Grid::new([2; 3], Affine::from_columns(columns, [0.0; 3]), Unit::Millimetre);
        assert_eq!(grid.spacing(), [3.0, 2.0, 1.0]);
        grid.stated_spacing = Some([2.9999998, 2.1, 1.0]);
        assert_eq!(grid.spacing(), [2.9999998, 2.0, 1.0]);
    }
}
