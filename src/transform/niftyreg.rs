//! NiftyReg's grids of control points (`reg_f3d -cpp`): the places in the floating image, RAS mm, that they lead to. Between them go cubic
//! B-splines or straight lines. The first extension of a symmetric registration's file holds the affine that a point meets before.
//!
//! Source: NiftyReg, `reg_spline_getDeformationField` and `NREG_TRANS_TYPE`.

use std::path::Path;

use super::{
    Convention, Displacing, FieldGrid, FieldKind, Map, Transform, TransformRequest, directed, field, itk_spline,
    refuse_suffixes,
};
use crate::{
    block::BlockMut,
    error::{Error, Result},
    geometry::{Affine, MOST_COEFFICIENTS},
    io::{
        convert::Conversion,
        input::{Input, IoMode},
        nifti::{Header, NiftiFile},
        reader::RegionReader,
    },
    region::Region,
};

/// CUB_SPLINE_GRID.
const CUBIC: f64 = 2.0;
/// A matrix of 4 x 4 numbers of 32 bits, row by row.
const AFFINE_BYTES: usize = 64;

/// What goes between the control points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Between {
    Splines,
    Lines,
}

impl Between {
    /// `None` where the file is no grid of control points.
    pub(super) fn of(header: &Header) -> Option<Between> {
        let is_grid = field::text(&header.intent_name) == field::NIFTYREG && header.dim[0] == 5 && header.dim[5] == 3;
        match header.intent_p[0] {
            CUBIC if is_grid => Some(Between::Splines),
            field::LINEAR if is_grid => Some(Between::Lines),
            _ => None,
        }
    }
}

/// The affine before, where there is one, and the places; `lines` is the file as a field.
///
/// # Errors
/// More control points than are held in memory, or too few; those of reading; an affine that is none.
pub(super) fn transform(
    request: &TransformRequest,
    input: &Input,
    file: &NiftiFile,
    (between, lines): (Between, Map),
) -> Result<Transform> {
    let path = &request.path;
    let mut maps: Vec<Map> = affine_before(path, file)?.map(Map::Affine).into_iter().collect();
    let convention = match between {
        Between::Splines => {
            maps.push(Map::Displacing(spline(path, input)?));
            Convention::NiftyRegSpline
        }
        Between::Lines => {
            maps.push(lines);
            Convention::Field { vectors: None }
        }
    };
    refuse_suffixes(request, &convention)?;
    Ok(Transform { maps: directed(request, maps)?, convention })
}

fn affine_before(path: &Path, file: &NiftiFile) -> Result<Option<Affine>> {
    let Some(bytes) = file.first_extension().and_then(|content| content.get(..AFFINE_BYTES)) else { return Ok(None) };
    let number = |n: usize| {
        let bytes = [bytes[4 * n], bytes[4 * n + 1], bytes[4 * n + 2], bytes[4 * n + 3]];
        f64::from(if file.header.big_endian { f32::from_be_bytes(bytes) } else { f32::from_le_bytes(bytes) })
    };
    let rows: [[f64; 4]; 4] = std::array::from_fn(|r| std::array::from_fn(|c| number(4 * r + c)));
    let [x, y, z, last] = rows;
    let affine = Affine { m: [x, y, z] };
    if last != [0.0, 0.0, 0.0, 1.0] || !affine.is_finite() {
        return Err(Error::malformed(path, "the first extension", format!("{rows:?}"), "an affine of 4 x 4 numbers"));
    }
    Ok(Some(affine))
}

fn spline(path: &Path, input: &Input) -> Result<Displacing> {
    let grid = &input.layout().grid;
    let count = grid.shape.iter().fold(3u64, |count, &len| count.saturating_mul(len));
    if count > MOST_COEFFICIENTS {
        let what =
            format!("has {count} numbers for its control points, and at most {MOST_COEFFICIENTS} are held in memory");
        let hint = "write it as a deformation field: reg_transform -ref REF -def FILE NEW.nii";
        return Err(Error::Unsupported { path: path.to_path_buf(), what, hint: Some(hint.into()) });
    }
    let places = FieldGrid::of_grid(grid, FieldKind::PositionsRas).ok_or_else(|| field::singular(path, grid))?;
    let conversion = Conversion { slope: input.slope(), ..input.conversion() };
    let moves = places.displacements(input.source::<f64>(conversion, IoMode::Auto)?);
    let mut reader = RegionReader::new(moves.as_ref());
    let mut coefficients = vec![0.0; count as usize];
    for (component, part) in coefficients.chunks_exact_mut((count as usize / 3).max(1)).enumerate() {
        reader.read(component as u64, BlockMut::new(Region::of_shape(grid.shape), 1, part))?;
    }
    itk_spline::on_grid(path, "the control points", (grid.clone(), FieldKind::PositionsRas), coefficients)
}
