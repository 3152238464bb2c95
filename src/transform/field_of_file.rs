//! What the vectors of a field's file are: by its header, by what the request says of it, by its values.

use std::path::Path;

use super::{
    FieldFile, FieldGrid, FieldKind, MatrixKind,
    field::{is_four, singular},
    freesurfer, fsl_field, rising,
};
use crate::{error::Result, io::input::Input};

impl FieldGrid {
    /// Checks that a file is a displacement field; of FSL's, reads some voxels too. A header beside a Zarr counts where it has an intent.
    ///
    /// # Errors
    /// Not three components, another intent, a singular affine; those of reading.
    pub fn of(file: &FieldFile, input: &Input) -> Result<FieldGrid> {
        let path = &file.path;
        if let Some(file) = freesurfer::file_of(input) {
            return freesurfer::grid(path, file);
        }
        let header = input.nifti().map(|file| &file.header);
        match (header.filter(|header| is_four(header)).map(|header| header.intent_code), file.said) {
            (Some(fsl_field::FIELD), _) | (Some(0), Some(MatrixKind::Fsl)) => fsl_field::grid(path, input),
            (Some(0), Some(MatrixKind::Ras)) => FieldGrid::in_world(path, input),
            _ => {
                let beside = input.nifti_header().map(|(header, _)| header).filter(|header| header.intent_code != 0);
                FieldGrid::new(path, input.layout(), header.or(beside))
            }
        }
    }

    /// Of vectors in RAS, as MRtrix writes them: displacements, or places.
    fn in_world(path: &Path, input: &Input) -> Result<FieldGrid> {
        let grid = &input.layout().grid;
        let places = rising::are_places(path, input, &grid.index_to_world)?;
        let kind = if places { FieldKind::PositionsRas } else { FieldKind::DisplacementsRas };
        FieldGrid::of_grid(grid, kind).ok_or_else(|| singular(path, grid))
    }
}
