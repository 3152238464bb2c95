//! Where a point falls in a displacement field, and what the vectors there mean. No voxels pass through here.
//!
//! A field is a volume of three components: at each voxel a displacement in millimetres, relative to the voxel's place, or
//! the position in the source itself. It is interpolated linearly. Beyond the faces of displacements there is no
//! displacement; positions say nothing of what lies beyond them, which looks nowhere.
//!
//! Source: ITK 5.4, `itkDisplacementFieldTransform`, `itkVectorLinearInterpolateImageFunction`, `itkNiftiImageIO`; SPM12,
//! `spm_deformations`; NiftyReg, `NREG_TRANS_TYPE`.

use std::path::Path;

use super::{FieldKind, positions::Displacements};
use crate::{
    error::{Error, Result},
    geometry::{self, Affine, Grid, Hull, Matrix, Unit, inside},
    io::{
        Source,
        nifti::Header,
        plain::{NODE_NUMBERS, Nodes},
        view::components::Components,
    },
    layout::Layout,
    voxel::Voxel,
};

/// NIFTI_INTENT_DISPVECT.
const DISPLACEMENT: i32 = 1006;
/// NIFTI_INTENT_VECTOR, which ITK and ANTs write.
const VECTOR: i32 = 1007;

/// What SPM writes into `intent_name`: positions.
const SPM: &str = "Mapping";
/// What NiftyReg writes there; `intent_p1` has the kind.
pub(super) const NIFTYREG: &str = "NREG_TRANS";
/// LIN_SPLINE_GRID: places between which lines go.
pub(super) const LINEAR: f64 = 6.0;
/// FNIRT's displacements and coefficients, topup's too.
const FSL: [i32; 7] = [2006, 2007, 2008, 2009, 2016, 2017, 2018];

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

/// What there is beyond the faces of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    Nothing,
    /// The vectors of its edge.
    Edge,
}

/// The geometry of a displacement field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldGrid {
    /// Storage order.
    pub shape: [u64; 3],
    /// World (x, y, z in RAS mm) to index (storage order).
    pub world_to_index: Affine,
    /// Index to what positions would be there, in the field's own numbers.
    index_to_position: Affine,
    pub kind: FieldKind,
    /// From the field's numbers to RAS mm.
    vector_to_world: Matrix,
}

impl FieldGrid {
    /// Checks that a file says that it is a displacement field; `header` is that of a NIfTI file, `None` for any other.
    ///
    /// # Errors
    /// Not three components, another intent, a singular affine.
    pub(super) fn new(path: &Path, layout: &Layout, header: Option<&Header>) -> Result<FieldGrid> {
        let kind = match header {
            Some(header) => kind(path, header)?,
            None => FieldKind::DisplacementsLps,
        };
        let (volumes, components) = (layout.outer.volumes(), layout.components);
        if !matches!((volumes, components), (3, 1) | (1, 3)) {
            let found = format!("{volumes} volumes of {components} samples a voxel");
            return Err(Error::malformed(
                path,
                "the displacement field",
                found,
                "3 volumes, or 3 samples a voxel: x, y and z of the vectors",
            ));
        }
        FieldGrid::of_grid(&layout.grid, kind).ok_or_else(|| singular(path, &layout.grid))
    }

    /// The geometry of a grid; `None` where its axes do not span space.
    pub fn of_grid(grid: &Grid, kind: FieldKind) -> Option<FieldGrid> {
        let unit_mm = grid.unit.factor_to(&Unit::Millimetre).unwrap_or(1.0);
        let world_to_index = grid.index_to_millimetres().inverse()?;
        let turned = if kind == FieldKind::DisplacementsLps { -unit_mm } else { unit_mm };
        let vector_to_world = [[turned, 0.0, 0.0], [0.0, turned, 0.0], [0.0, 0.0, unit_mm]];
        Some(FieldGrid {
            shape: grid.shape,
            world_to_index,
            index_to_position: grid.index_to_world,
            kind,
            vector_to_world,
        })
    }

    /// Of the coefficients of a spline whose displacements are in a frame of their own.
    pub(super) fn of_spline(shape: [u64; 3], world_to_index: Affine, vector_to_world: Matrix) -> FieldGrid {
        let (index_to_position, kind) = (Affine::identity(), FieldKind::FslDisplacements);
        FieldGrid { shape, world_to_index, index_to_position, kind, vector_to_world }
    }

    /// The same with numbers of a frame of their own.
    pub(super) fn in_frame(self, index_to_position: Affine, vector_to_world: Matrix) -> FieldGrid {
        FieldGrid { index_to_position, vector_to_world, ..self }
    }

    /// The field's voxels as displacements, whatever they are in the file: three volumes.
    pub fn displacements<T: Voxel>(&self, voxels: Box<dyn Source<T>>) -> Box<dyn Source<T>> {
        let voxels: Box<dyn Source<T>> = match voxels.layout().components {
            1 => voxels,
            NODE_NUMBERS => Box::new(Nodes::new(voxels)),
            _ => Box::new(Components::new(voxels)),
        };
        if self.kind.is_positions() {
            Box::new(Displacements { inner: voxels, index_to_position: self.index_to_position })
        } else {
            voxels
        }
    }

    /// Whether points beyond the field look nowhere, instead of being left where they are.
    pub fn ends_at_faces(&self) -> bool {
        self.kind.is_positions()
    }

    /// Whether `world` (RAS mm) is within the faces of the field.
    pub fn is_inside(&self, world: [f64; 3]) -> bool {
        self.stencil(world, Beyond::Nothing).is_some()
    }

    /// The voxels that the displacement at `world` (RAS mm) is taken from; `None` outside, unless the edge goes on there.
    pub fn stencil(&self, world: [f64; 3], beyond: Beyond) -> Option<Stencil> {
        let index = self.world_to_index.apply(world);
        let mut stencil = Stencil { voxels: [[0; 2]; 3], second: [0.0; 3] };
        for (a, &c) in index.iter().enumerate() {
            let last = i64::try_from(self.shape[a]).unwrap_or(i64::MAX) - 1;
            let c = if beyond == Beyond::Edge { c.clamp(0.0, last as f64) } else { c };
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

    /// What turns a vector of [`FieldGrid::displacements`] to RAS mm.
    pub fn vector_to_world(&self) -> Matrix {
        self.vector_to_world
    }

    /// Ranges that hold every vector within `vectors` in RAS mm, along x, y and z.
    pub fn displacements_within(&self, vectors: Hull) -> Hull {
        geometry::moved(&self.vector_to_world, vectors)
    }

    /// A vector of [`FieldGrid::displacements`] in RAS mm.
    pub fn displacement(&self, vector: [f64; 3]) -> [f64; 3] {
        geometry::apply(&self.vector_to_world, vector)
    }
}

/// What the vectors of a NIfTI file are, by its name of the intent, then by its code.
pub(super) fn kind(path: &Path, header: &Header) -> Result<FieldKind> {
    let dim = header.dim;
    refuse_fsl(path, header)?;
    if dim[0] != 5 || dim[4] != 1 || dim[5] != 3 {
        let found = format!("{:?}", &dim[..=dim[0].clamp(0, 7) as usize]);
        return Err(Error::malformed(path, "dim", found, "[5, x, y, z, 1, 3], a displacement field"));
    }
    let name = text(&header.intent_name);
    if name == NIFTYREG {
        return kind_of_niftyreg(path, header.intent_p[0]);
    }
    if text(&header.descrip).contains("Flow Field") {
        let what = "SPM's flow fields (u_*.nii) are not read";
        return Err(unsupported(path, what, "write the deformation that it makes, y_*.nii, by SPM's Deformations"));
    }
    match header.intent_code {
        VECTOR | DISPLACEMENT if name == SPM => Ok(FieldKind::PositionsRas),
        VECTOR => Ok(FieldKind::DisplacementsLps),
        DISPLACEMENT => Ok(FieldKind::DisplacementsRas),
        other => Err(Error::malformed(
            path,
            "intent_code",
            other,
            "1007 (vectors in LPS, as ITK and ANTs write them) or 1006 (displacements in RAS)",
        )),
    }
}

/// What the vectors of a NIfTI file are, where it is a field at all.
pub fn kind_of(header: &Header) -> Option<FieldKind> {
    kind(Path::new(""), header).ok()
}

fn kind_of_niftyreg(path: &Path, kind: f64) -> Result<FieldKind> {
    let what = match kind {
        0.0 | LINEAR => return Ok(FieldKind::PositionsRas),
        1.0 => return Ok(FieldKind::DisplacementsRas),
        2.0 => "a grid of cubic splines",
        3.0 | 4.0 => "a field of velocities",
        5.0 => "a grid of splines of velocities",
        _ => "of a kind that is not known",
    };
    let what = format!("NiftyReg's transform is {what} (intent_p1 {kind}), which is not read");
    Err(unsupported(path, &what, "write it as a deformation field: reg_transform -ref REF -def FILE NEW.nii"))
}

/// FNIRT's files are 4-D, and speak of scaled voxels.
fn refuse_fsl(path: &Path, header: &Header) -> Result<()> {
    let code = header.intent_code;
    if FSL.contains(&code) {
        let what = format!("coefficients or a field of FSL (intent_code {code}) are not read so");
        let hint = "make a field of displacements of them: fnirtfileutils --in=FILE --ref=REF --out=NEW --withaff";
        Err(unsupported(path, &what, hint))
    } else if is_four(header) {
        let what = "a 4-D image with 3 volumes does not say whether they are a field, and of whom";
        let file = path.display();
        let hint =
            format!("say so: --transform {file},ras for a warp of MRtrix, --transform {file},fsl for a field of FSL");
        Err(unsupported(path, what, &hint))
    } else {
        Ok(())
    }
}

/// Whether a file has three volumes along its fourth axis.
pub(super) fn is_four(header: &Header) -> bool {
    header.dim[0] == 4 && header.dim[4] == 3
}

pub(super) fn singular(path: &Path, grid: &Grid) -> Error {
    let found = format!("singular: {:?}", grid.index_to_world.m);
    Error::malformed(path, "the affine of the displacement field", found, "axes that span space")
}

fn unsupported(path: &Path, what: &str, hint: &str) -> Error {
    Error::Unsupported { path: path.to_path_buf(), what: what.into(), hint: Some(hint.into()) }
}

/// A field of letters, up to the first NUL.
pub(super) fn text(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame that is turned mixes the components: two corners of the ranges are not enough.
    #[test]
    fn displacements_of_a_turned_frame_are_within_their_ranges() {
        let grid = Grid::with_spacing([3, 4, 5], [2.0; 3], Unit::Millimetre);
        let field = FieldGrid::of_grid(&grid, FieldKind::DisplacementsLps).unwrap();
        let turned = field.in_frame(Affine::identity(), [[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]]);
        let ranges = turned.displacements_within([[0.0, 5.0], [-5.0, 0.0], [0.0, 0.0]]);
        for vector in [[0.0, 0.0, 0.0], [5.0, 0.0, 0.0], [0.0, -5.0, 0.0], [5.0, -5.0, 0.0]] {
            let moved = turned.displacement(vector);
            assert!((0..3).all(|r| (ranges[r][0]..=ranges[r][1]).contains(&moved[r])), "{vector:?} {ranges:?}");
        }
        let expected = [[0.0, 7.0], [-3.0, 4.0], [0.0, 0.0]];
        assert!(
            ranges.iter().flatten().zip(expected.iter().flatten()).all(|(a, b)| (a - b).abs() < 1e-7),
            "{ranges:?}"
        );
    }
}
