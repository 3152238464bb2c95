//! Whether the numbers of a field are displacements or places, where its file does not say.
//!
//! Places rise with the voxels: less is left of their spread when the voxels' own places are taken away. Of displacements more is.
//! As fslpy's `detectDeformationType`, from some lines of voxels instead of all.

use std::path::Path;

use crate::{
    block::BlockMut,
    error::{Error, Result},
    geometry::Affine,
    io::{
        convert::Conversion,
        input::{Input, IoMode},
        reader::RegionReader,
    },
    region::Region,
};

/// Planes and rows of a component that are looked at, of any field.
const LINES: [u64; 2] = [8, 16];

/// Whether the numbers of a field of three volumes are places, where `place` says which place each voxel (storage order) has itself.
///
/// # Errors
/// Those of reading; numbers that are one along an axis and the other along another.
pub(super) fn are_places(path: &Path, input: &Input, place: &Affine) -> Result<bool> {
    let conversion = Conversion { slope: input.slope(), ..input.conversion() };
    let source = input.source::<f64>(conversion, IoMode::Auto)?;
    let layout = source.layout();
    let [nz, ny, nx] = layout.grid.shape;
    let mut reader = RegionReader::new(source.as_ref());
    let mut voxels = vec![0.0; nx as usize];
    let mut rises = Vec::new();
    for (component, row) in place.m.iter().enumerate() {
        let (mut as_is, mut without) = (Spread::default(), Spread::default());
        for z in picked(nz, LINES[0]) {
            for y in picked(ny, LINES[1]) {
                let region = Region::new([z, y, 0], [z + 1, y + 1, nx as i64]);
                reader.read(component as u64, BlockMut::new(region, 1, &mut voxels))?;
                for (x, &voxel) in voxels.iter().enumerate().filter(|(_, voxel)| voxel.is_finite()) {
                    as_is.add(voxel);
                    without.add(voxel - (row[0] * z as f64 + row[1] * y as f64 + row[2] * x as f64 + row[3]));
                }
            }
        }
        // Along an axis of one voxel nothing rises.
        if layout.grid.shape[2 - component] > 1 && as_is.count > 1.0 {
            rises.push(without.variance() < as_is.variance());
        }
    }
    match (rises.iter().all(|&rises| rises), rises.iter().any(|&rises| rises)) {
        (true, true) => Ok(true),
        (_, false) => Ok(false),
        _ => Err(Error::Unsupported {
            path: path.to_path_buf(),
            what: format!(
                "is a field that rises with the voxels along {} of {} axes: displacements rise along none, places along all",
                rises.iter().filter(|&&rises| rises).count(),
                rises.len()
            ),
            hint: Some("write it anew as displacements: convertwarp --relout, or warpconvert".into()),
        }),
    }
}

/// So many indices of `len`, in the middle of parts of the same size.
fn picked(len: u64, count: u64) -> impl Iterator<Item = i64> {
    let count = count.min(len);
    (0..count).map(move |n| (u128::from(2 * n + 1) * u128::from(len) / u128::from(2 * count)) as i64)
}

/// Mean and squares of what was seen (Welford 1962).
#[derive(Default)]
struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Spread {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let off = value - self.mean;
        self.mean += off / self.count;
        self.squares += off * (value - self.mean);
    }

    fn variance(&self) -> f64 {
        self.squares / self.count.max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_picked_all_over() {
        assert_eq!(picked(3, 8).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(picked(100, 4).collect::<Vec<_>>(), [12, 37, 62, 87]);
    }

    #[test]
    fn spread_is_the_variance() {
        let mut spread = Spread::default();
        [1.0, 2.0, 3.0, 4.0].into_iter().for_each(|value| spread.add(value));
        assert_eq!((spread.mean, spread.variance()), (2.5, 1.25));
    }
}
