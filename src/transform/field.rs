//! Where a point falls in a displacement field, and what the vectors there mean. No voxels pass through here.
//!
//! A field is a volume of three components, a displacement in millimetres at each voxel, relative to the voxel's place. It is
//! interpolated linearly; beyond its faces there is no displacement. Source: ITK 5.4, `itkDisplacementFieldTransform`,
//! `itkVectorLinearInterpolateImageFunction`, `itkNiftiImageIO`.

use std::path::Path;

use crate::{
    error::{Error, Result},
    geometry::{Affine, Grid, Unit, inside},
    io::{Layout, nifti::Header},
};

/// NIFTI_INTENT_DISPVECT.
const DISPLACEMENT: i32 = 1006;
/// NIFTI_INTENT_VECTOR, which ITK and ANTs write.
const VECTOR: i32 = 1007;

/// The frame of a field's vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VectorFrame {
    /// As ITK holds them: NIfTI files of intent 1007, and Zarr.
    Lps,
    /// As NIfTI defines them: files of intent 1006.
    Ras,
}

/// The voxels whose vectors a point takes, and with which weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stencil {
    /// First and second voxel along each axis, storage order; the same where the field ends or the second has no weight.
    pub voxels: [[i64; 2]; 3],
    /// Weight of the second; the first has the rest of 1.
    pub second: [f64; 3],
}

impl Stencil {
    /// The voxels with a weight, each once.
    pub fn taps(&self) -> impl Iterator<Item = ([i64; 3], f64)> + use<> {
        let Stencil { voxels, second } = *self;
        (0..8usize).filter_map(move |corner| {
            let side: [usize; 3] = std::array::from_fn(|a| corner >> a & 1);
            let repeated = (0..3).any(|a| side[a] == 1 && voxels[a][0] == voxels[a][1]);
            let weight = |a: usize| match (voxels[a][0] == voxels[a][1], side[a]) {
                (true, _) => 1.0,
                (_, 0) => 1.0 - second[a],
                _ => second[a],
            };
            let tap = (std::array::from_fn(|a| voxels[a][side[a]]), weight(0) * weight(1) * weight(2));
            (!repeated).then_some(tap)
        })
    }
}

/// The geometry of a displacement field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldGrid {
    /// Storage order.
    pub shape: [u64; 3],
    /// World (x, y, z in RAS mm) to index (storage order).
    pub world_to_index: Affine,
    frame: VectorFrame,
    /// From the field's unit to millimetres.
    unit_mm: f64,
}

impl FieldGrid {
    /// Checks that a file is a displacement field; `header` is that of a NIfTI file, `None` for a Zarr.
    ///
    /// # Errors
    /// Not three components, another intent, a singular affine.
    pub fn new(path: &Path, layout: &Layout, header: Option<&Header>) -> Result<FieldGrid> {
        let frame = match header {
            Some(header) => vector_frame(path, header)?,
            None => VectorFrame::Lps,
        };
        let vectors = layout.outer.volumes();
        if vectors != 3 || layout.components != 1 {
            let found = format!("{vectors} volumes of {} samples a voxel", layout.components);
            return Err(Error::malformed(
                path,
                "the displacement field",
                found,
                "3 volumes: x, y and z of the vectors",
            ));
        }
        FieldGrid::of_grid(&layout.grid, frame).ok_or_else(|| {
            let found = format!("singular: {:?}", layout.grid.index_to_world.m);
            Error::malformed(path, "the affine of the displacement field", found, "axes that span space")
        })
    }

    /// The geometry of a grid; `None` where its axes do not span space.
    pub fn of_grid(grid: &Grid, frame: VectorFrame) -> Option<FieldGrid> {
        let unit_mm = grid.unit.factor_to(&Unit::Millimetre).unwrap_or(1.0);
        let world_to_index = grid.index_to_millimetres().inverse()?;
        Some(FieldGrid { shape: grid.shape, world_to_index, frame, unit_mm })
    }

    /// The voxels that the displacement at `world` (RAS mm) is taken from; `None` outside, where there is none.
    pub fn stencil(&self, world: [f64; 3]) -> Option<Stencil> {
        let index = self.world_to_index.apply(world);
        let mut stencil = Stencil { voxels: [[0; 2]; 3], second: [0.0; 3] };
        for (a, &c) in index.iter().enumerate() {
            let last = i64::try_from(self.shape[a]).unwrap_or(i64::MAX) - 1;
            if !inside(c, 0, last + 1) {
                return None;
            }
            let first = c.floor() as i64;
            let second = c - c.floor();
            let next = if second > 0.0 { first + 1 } else { first };
            stencil.voxels[a] = [first.clamp(0, last), next.clamp(0, last)];
            stencil.second[a] = second;
        }
        Some(stencil)
    }

    /// A vector of the file as a displacement in RAS mm.
    pub fn displacement(&self, vector: [f64; 3]) -> [f64; 3] {
        let [x, y, z] = vector.map(|v| v * self.unit_mm);
        match self.frame {
            VectorFrame::Lps => [-x, -y, z],
            VectorFrame::Ras => [x, y, z],
        }
    }
}

fn vector_frame(path: &Path, header: &Header) -> Result<VectorFrame> {
    let dim = header.dim;
    if dim[0] != 5 || dim[4] != 1 || dim[5] != 3 {
        let found = format!("{:?}", &dim[..=dim[0].clamp(0, 7) as usize]);
        return Err(Error::malformed(path, "dim", found, "[5, x, y, z, 1, 3], a displacement field"));
    }
    match header.intent_code {
        VECTOR => Ok(VectorFrame::Lps),
        DISPLACEMENT => Ok(VectorFrame::Ras),
        other => Err(Error::malformed(
            path,
            "intent_code",
            other,
            "1007 (vectors in LPS, as ITK and ANTs write them) or 1006 (displacements in RAS)",
        )),
    }
}
