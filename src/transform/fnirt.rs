//! FNIRT's coefficients (`--cout`): cubic B-splines of displacements of the reference's scaled voxels, and the affine that they began with.
//!
//! The header speaks of the reference: steps of the knots in its voxels (`pixdim`), its extents (`qoffset`), its steps (`intent_p`), and FLIRT's
//! matrix (`sform`). Coefficient 1 stands on its first voxel. A place x of the reference looks at `A^-1 x + d(x)` of the source, as
//! FNIRT, applywarp and fnirtfileutils have it.
//!
//! Source: FSL, FNIRT user guide, `fnirt_file_writer`; Andersson, Jenkinson, Smith 2007, FMRIB report TR07JA2; fslpy, `transform.fnirt`.

use std::{path::Path, sync::Arc};

use super::{
    By, Convention, Displacing, Ends, FieldGrid, Map, SplineGrid, Transform, TransformRequest, directed, fsl,
    refuse_suffixes,
    role::{RoleImage, Roles},
};
use crate::{
    block::BlockMut,
    error::{Error, Result},
    geometry::{Affine, MOST_COEFFICIENTS, Spline, product},
    io::{
        convert::Conversion,
        input::{Input, IoMode},
        nifti::Header,
        reader::RegionReader,
    },
    region::Region,
};

/// FSL_CUBIC_SPLINE_COEFFICIENTS.
pub(super) const CUBIC: i32 = 2007;

/// The spline, and behind it the way from the reference's world into the source's where nothing is displaced.
///
/// # Errors
/// No images, or others than the header speaks of; those of reading.
pub(super) fn transform(request: &TransformRequest, input: &Input, ends: Option<&Ends>) -> Result<Transform> {
    let path = &request.path;
    let Some(header) = input.nifti().map(|file| &file.header) else {
        return Err(Error::usage(format!("{} is no NIfTI file", path.display())));
    };
    let roles = Roles::of(request, ends)?;
    check_reference(path, header, &roles.reference)?;
    let [x, y, z] = header.srow;
    let flirt = Affine { m: [x, y, z] };
    let between = fsl::to_world(path, &flirt, &roles)?;
    let grid = grid(path, header, &flirt, &roles.reference, input.layout().grid.shape)?;
    let spline = SplineGrid { grid, spline: Arc::new(spline(path, input)?) };
    let convention =
        Convention::FslSpline { source: roles.source.path.clone(), reference: roles.reference.path.clone() };
    refuse_suffixes(request, &convention)?;
    let spline = Displacing { by: By::Spline(Arc::new(spline)), is_inverse: false };
    Ok(Transform { maps: directed(request, vec![Map::Displacing(spline), Map::Affine(between)])?, convention })
}

/// Refuses another reference than that of the registration, and one whose first axis FSL counts from the other end.
fn check_reference(path: &Path, header: &Header, reference: &RoleImage) -> Result<()> {
    let [nk, nj, ni] = reference.grid.shape.map(|n| n as f64);
    let (extents, steps) = ([ni, nj, nk], fsl::steps(reference));
    let is_it = header.qoffset == extents && (0..3).all(|a| (header.intent_p[a] - steps[a]).abs() < 1e-3);
    if !is_it {
        let found = format!("{:?} voxels of {:?} mm", header.qoffset, header.intent_p);
        let expected = format!("{extents:?} voxels of {steps:?} mm, as {} has", reference.path.display());
        return Err(Error::malformed(path, "the reference", found, expected));
    }
    if fsl::is_neurological(reference) {
        return Err(unsupported(
            path,
            "are FNIRT's coefficients for a reference whose first axis runs from left to right, which FSL counts from the other end",
        ));
    }
    Ok(())
}

/// Where coefficients stand in the world of the reference, and what they mean there.
fn grid(path: &Path, header: &Header, flirt: &Affine, reference: &RoleImage, shape: [u64; 3]) -> Result<FieldGrid> {
    let scaled = fsl::world_to_scaled(reference)?;
    let steps = fsl::steps(reference);
    let knots: [f64; 3] = std::array::from_fn(|a| header.pixdim[a + 1] * steps[a]);
    if knots.iter().any(|knot| !(knot.is_finite() && *knot > 0.0)) {
        return Err(Error::malformed(path, "the steps of the knots", format!("{:?}", header.pixdim), "positive ones"));
    }
    let index = |a: usize| {
        let row = scaled.m[a].map(|x| x / knots[a]);
        [row[0], row[1], row[2], row[3] + 1.0]
    };
    let linear = |affine: &Affine| affine.m.map(|row| [row[0], row[1], row[2]]);
    let to_world = scaled.inverse().map(|inverse| product(&linear(&inverse), &linear(flirt)));
    let to_world = to_world.ok_or_else(|| unsupported(path, "have a reference whose axes do not span space"))?;
    Ok(FieldGrid::of_spline(padded(shape), Affine { m: [index(2), index(1), index(0)] }, to_world))
}

/// The coefficients, and behind the last ones along each axis some of 0: the last voxels of a reference may look at them, and FNIRT does not
/// write them.
fn spline(path: &Path, input: &Input) -> Result<Spline> {
    let conversion = Conversion { slope: input.slope(), ..input.conversion() };
    let source = input.source::<f64>(conversion, IoMode::Auto)?;
    let shape = source.layout().grid.shape;
    let more = padded(shape);
    let count = more.iter().fold(3u64, |count, &len| count.saturating_mul(len));
    let expected = || format!("3 for each step of a grid with at least 3 along each axis, {MOST_COEFFICIENTS} at most");
    let malformed = |found: String| Error::malformed(path, "the coefficients", found, expected());
    if count > MOST_COEFFICIENTS {
        return Err(malformed(format!("{count}")));
    }
    let [nz, ny, nx] = shape.map(|n| n as usize);
    let mut coefficients = vec![0.0; count as usize];
    let mut part = vec![0.0; nz * ny * nx];
    let mut reader = RegionReader::new(source.as_ref());
    for (component, into) in coefficients.chunks_exact_mut(count as usize / 3).enumerate() {
        reader.read(component as u64, BlockMut::new(Region::of_shape(shape), 1, &mut part))?;
        for (n, row) in part.chunks_exact(nx.max(1)).enumerate() {
            let start = ((n / ny) * (ny + 1) + n % ny) * (nx + 1);
            into[start..start + nx].copy_from_slice(row);
        }
    }
    if let Some(found) = coefficients.iter().find(|value| !value.is_finite()) {
        return Err(malformed(format!("a coefficient of {found}")));
    }
    Spline::new(more, coefficients).ok_or_else(|| malformed(format!("{count} on a grid of {shape:?}")))
}

fn padded(shape: [u64; 3]) -> [u64; 3] {
    shape.map(|n| n.saturating_add(1))
}

fn unsupported(path: &Path, what: &str) -> Error {
    let hint = "make a field of them: fnirtfileutils --in=COEFFICIENTS --ref=REF --out=FIELD --withaff";
    Error::Unsupported { path: path.to_path_buf(), what: what.into(), hint: Some(hint.into()) }
}
