//! The headers of targets: what they are made of, and what they share. Places are in millimetres.

use std::path::Path;

use crate::{
    error::{Error, Result},
    layout::{Axis, Layout},
};

mod metaimage;
mod mgh;
mod nrrd;

pub use metaimage::header as metaimage_header;
pub use mgh::header as mgh_header;
pub use nrrd::header as nrrd_header;

/// What a target should be.
#[derive(Clone, Copy, Debug)]
pub struct TargetSpec<'a> {
    /// The target's name, for messages.
    pub path: &'a Path,
    /// Grid, volumes (in C order of the outer axes) and samples.
    pub layout: &'a Layout,
    /// Whether the voxels are a stream: gzip in NRRD and MGZ, zlib in MetaImage.
    pub is_compressed: bool,
    /// What the source says of its segments, as it stands there; nothing where it is no segmentation.
    pub segments: &'a [String],
    /// The name of the file of the voxels, where the header is a file of its own.
    pub data_file: Option<&'a str>,
}

impl TargetSpec<'_> {
    /// What the target does not say, in words for its user.
    pub fn remarks(&self) -> Vec<String> {
        let unit = &self.layout.grid.unit;
        let is_length = unit.metres().is_some();
        let told =
            format!("the target's unit ({}) is no length: readers take its numbers for millimetres", unit.symbol());
        if is_length { Vec::new() } else { vec![told] }
    }

    /// Extents, fastest axis first.
    fn shape(&self) -> [u64; 3] {
        let [nz, ny, nx] = self.layout.grid.shape;
        [nx, ny, nz]
    }

    /// Where one step along each axis leads, fastest first, and where the first voxel stands: RAS, mm.
    fn place(&self) -> ([[f64; 3]; 3], [f64; 3]) {
        let affine = self.layout.grid.index_to_millimetres();
        ([affine.column(2), affine.column(1), affine.column(0)], affine.translation())
    }

    /// The one axis beyond space, those of one volume left out; `None` without one.
    ///
    /// # Errors
    /// There are several.
    fn only_outer(&self, format: &str) -> Result<Option<&Axis>> {
        let mut longer = self.layout.outer.axes.iter().filter(|axis| axis.len != 1);
        match (longer.next(), longer.count()) {
            (axis, 0) => Ok(axis),
            (_, more) => {
                let what = format!("{format} has four axes, and {} are to be written", 4 + more);
                Err(self.unsupported(what, "end the name in .nrrd, .nii.gz or .zarr, or pick with --time or --channel"))
            }
        }
    }

    fn unsupported(&self, what: String, hint: &str) -> Error {
        Error::Unsupported { path: self.path.to_path_buf(), what, hint: Some(hint.into()) }
    }
}

/// Numbers with blanks between them, each as short as it reads back the same; without negative zeros.
fn words(numbers: &[f64]) -> String {
    numbers.iter().map(|x| (x + 0.0).to_string()).collect::<Vec<_>>().join(" ")
}
