//! NIfTI files with any voxels.

use std::{fs, io::Write, path::Path};

use flate2::{Compression, write::GzEncoder};
use reslice::{
    geometry::{Affine, Grid, Unit},
    io::nifti::{Header, TargetSpec, Version, target_header},
    layout::{Axis, Outer},
    voxel::{Dtype, Voxel},
};

/// What a file says beside its voxels.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub grid: Grid,
    /// Names and lengths, slowest first.
    pub outer: Vec<(&'static str, u64)>,
    pub components: usize,
    pub intent: i32,
    pub slope: Option<(f64, f64)>,
}

impl Said {
    /// An oblique grid of this shape, one volume.
    pub(crate) fn new(shape: [u64; 3]) -> Said {
        let columns = [[0.2, -0.3, 2.5], [0.1, 1.9, 0.2], [1.5, -0.1, 0.1]];
        let grid = Grid::new(shape, Affine::from_columns(columns, [-12.0, 7.5, 30.0]), Unit::Millimetre);
        Said { grid, outer: Vec::new(), components: 1, intent: 0, slope: None }
    }

    pub(crate) fn with_outer(self, outer: &[(&'static str, u64)]) -> Said {
        Said { outer: outer.to_vec(), ..self }
    }

    /// A linear map about the grid's centre, moved a little, as a text of the world.
    pub(crate) fn about_centre(&self, linear: [[f64; 3]; 3]) -> String {
        let centre = self.grid.index_to_world.apply(self.grid.shape.map(|n| (n - 1) as f64 / 2.0));
        let row = |(row, (c, moved)): ([f64; 3], (f64, f64))| {
            let shift = c - (0..3).map(|n| row[n] * centre[n]).sum::<f64>() + moved;
            format!("{} {} {} {shift}\n", row[0], row[1], row[2])
        };
        linear.into_iter().zip(centre.into_iter().zip([0.7, -1.1, 0.4])).map(row).collect()
    }

    /// Samples of the file.
    pub(crate) fn samples(&self) -> usize {
        let volumes = self.outer.iter().map(|(_, len)| len).product::<u64>() as usize;
        super::volumes::count(self.grid.shape) * volumes * self.components
    }

    /// Writes a `.nii` whose voxels are a hole in the file: all 0.
    pub(crate) fn write_hole<T: Voxel>(&self, path: &Path) {
        let header = self.header(path, T::DTYPE);
        let file = fs::File::create(path).unwrap();
        (&file).write_all(&header).unwrap();
        file.set_len((header.len() + self.samples() * size_of::<T>()) as u64).unwrap();
    }

    /// Writes `.nii` or `.nii.gz`, by the name. Samples of a voxel stand together.
    pub(crate) fn write<T: Voxel>(&self, path: &Path, voxels: &[T]) {
        assert_eq!(voxels.len(), self.samples());
        let mut bytes = self.header(path, T::DTYPE);
        bytes.extend_from_slice(bytemuck::cast_slice(voxels));
        if path.extension().is_some_and(|ending| ending == "gz") {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(&bytes).unwrap();
            bytes = gzip.finish().unwrap();
        }
        fs::write(path, bytes).unwrap();
    }

    fn header(&self, path: &Path, stored: Dtype) -> Vec<u8> {
        let axis = |&(name, len): &(&str, u64)| Axis { name: name.into(), len, step: 1.0, start: 0.0, unit: None };
        let like = Header { intent_code: self.intent, ..Header::new(Version::One) };
        let spec = TargetSpec {
            path,
            like: Some(&like),
            place: None,
            extensions: &[],
            grid: &self.grid,
            outer: &Outer::separate(self.outer.iter().map(axis).collect()),
            stored,
            components: self.components,
            slope: self.slope,
            slice_axis_resampled: false,
            single_file: true,
        };
        target_header(&spec).unwrap().1
    }
}

/// The samples of a `.nii`, as they stand in it; most of them are not 0.
pub(crate) fn samples(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let offset = f32::from_le_bytes(bytes[108..112].try_into().unwrap()) as usize;
    let samples = &bytes[offset..];
    assert!(samples.iter().filter(|&&byte| byte != 0).count() > samples.len() / 5, "{}", path.display());
    samples.to_vec()
}
