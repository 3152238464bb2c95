//! Arrays of the `ndarray` crate.

use ndarray::{Array3, ArrayView3};

use super::{Resampling, resample_voxels};
use crate::{
    error::{Error, Result},
    geometry::Grid,
    voxel::Voxel,
};

/// Resamples an array (slices, rows, columns) to another grid: [`resample_voxels`] for arrays.
///
/// A view whose rows do not stand behind each other (transposed, sliced, turned) is copied first.
///
/// # Errors
/// [`Error::Usage`] where the shape is not the grid's; otherwise as [`resample_voxels`].
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use reslice::{Grid, Resampling, Unit, resample_array};
///
/// # fn main() -> reslice::Result<()> {
/// let from = Grid::with_spacing([4, 8, 8], [3.0, 1.0, 1.0], Unit::Millimetre);
/// let to = Grid::with_spacing([12, 8, 8], [1.0; 3], Unit::Millimetre);
/// let slices = Array3::from_shape_fn((4, 8, 8), |(slice, _, _)| slice as f32);
/// let fine = resample_array(slices.view(), &from, &to, &Resampling::default(), 2)?;
/// assert_eq!(fine.dim(), (12, 8, 8));
/// assert!((fine[[1, 0, 0]] - 1.0 / 3.0).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
pub fn resample_array<T: Voxel>(
    voxels: ArrayView3<'_, T>,
    from: &Grid,
    to: &Grid,
    how: &Resampling,
    threads: usize,
) -> Result<Array3<T>> {
    let found = voxels.shape();
    if !found.iter().map(|&len| len as u64).eq(from.shape) {
        return Err(Error::usage(format!(
            "an array of {found:?}, and a grid of {:?} (slices, rows, columns)",
            from.shape
        )));
    }
    let rows = voxels.as_standard_layout();
    let rows = rows.as_slice().ok_or_else(|| Error::usage("the array has no standard layout"))?;
    let made = resample_voxels(rows, from, to, how, threads)?;
    let shape = to.shape.map(|len| len as usize);
    Array3::from_shape_vec(shape, made).map_err(|error| Error::usage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use ndarray::s;

    use super::*;
    use crate::geometry::Unit;

    #[test]
    fn a_view_of_any_layout_is_what_its_indices_say() {
        let from = Grid::with_spacing([3, 4, 5], [2.0, 1.0, 1.5], Unit::Millimetre);
        let to = Grid::with_spacing([6, 4, 7], [1.0; 3], Unit::Millimetre);
        let straight = Array3::from_shape_fn((3, 4, 5), |(z, y, x)| (100 * z + 10 * y + x) as f32);
        let how = Resampling::default();
        let expected = resample_array(straight.view(), &from, &to, &how, 1).unwrap();
        // Axes in another order, every second voxel, backwards.
        let turned =
            Array3::from_shape_fn((5, 3, 8), |(x, z, y)| (100 * z + 10 * (3 - y as i64 / 2) as usize + x) as f32);
        let view = turned.slice(s![.., .., ..;-2]).permuted_axes([1, 2, 0]);
        assert_eq!(view.to_owned(), straight);
        assert_eq!(resample_array(view, &from, &to, &how, 1).unwrap(), expected);
        assert!(resample_array(turned.view(), &from, &to, &how, 1).unwrap_err().to_string().contains("[5, 3, 8]"));
    }
}
