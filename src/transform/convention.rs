//! How a transform file was read.

use std::path::PathBuf;

use serde::Serialize;

/// Whose rules the numbers of a file follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "convention")]
pub enum Convention {
    /// ITK or ANTs, target to source, LPS mm.
    Itk,
    /// Several transforms of ITK in one file: their classes, from target to source.
    ItkComposite { parts: Vec<String> },
    /// elastix, target to source, LPS mm: its classes, from target to source, and the files that it begins with.
    Elastix { parts: Vec<String>, initial: Vec<PathBuf> },
    /// FreeSurfer's linear transform array, source to target.
    FreeSurfer,
    /// A bare matrix, target to source, RAS mm.
    Ras,
    /// A matrix between the scaled voxels of two images, source to reference.
    Fsl { source: PathBuf, reference: PathBuf },
    /// FNIRT's coefficients and the affine that they began with, from the reference to the source.
    FslSpline { source: PathBuf, reference: PathBuf },
    /// FSL's displacement field, from the reference, on whose voxels it lies, to the source; `vectors` is known once it is opened.
    FslField { source: PathBuf, vectors: Option<FieldKind> },
    /// NiftyReg's control points of cubic B-splines, target to source, RAS mm.
    NiftyRegSpline,
    /// A displacement field; `vectors` is known once it is opened.
    Field { vectors: Option<FieldKind> },
}

/// What the vectors of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Displacements in LPS mm, as ITK and ANTs hold them: NIfTI files of intent 1007, NRRD, MetaImage and Zarr.
    DisplacementsLps,
    /// Displacements in RAS mm: NIfTI files of intent 1006, NiftyReg's displacement fields.
    DisplacementsRas,
    /// The place in the source that each voxel looks at, in RAS mm: SPM's `y_*.nii`, NiftyReg's deformation fields and control points between which lines go.
    PositionsRas,
    /// FreeSurfer's steps of voxels: the voxel of the source less that of the target.
    VoxelDisplacements,
    /// FreeSurfer's voxels of the source.
    VoxelPositions,
    /// Displacements of FSL's scaled voxels of the reference.
    FslDisplacements,
    /// The place in FSL's scaled voxels of the source that each voxel looks at.
    FslPositions,
}

impl FieldKind {
    /// Whether a vector is the place that a voxel looks at, and not the way there.
    pub fn is_positions(self) -> bool {
        match self {
            FieldKind::PositionsRas | FieldKind::VoxelPositions | FieldKind::FslPositions => true,
            FieldKind::DisplacementsLps
            | FieldKind::DisplacementsRas
            | FieldKind::VoxelDisplacements
            | FieldKind::FslDisplacements => false,
        }
    }
}
