//! Where the source comes to stand behind the transforms: the box that `--grid transformed` makes a target of.
//!
//! Transforms lead from target to source; the source goes the way back. Affines move its outer faces exactly. A displacement field or a
//! spline moves no point farther than its vectors are long: the whole range of its vectors is added, so that nothing of the source falls
//! outside, and where vectors are long somewhere only, the box is larger than it need be.

use crate::{
    error::{Error, Result},
    geometry::{Affine, Grid, Hull, Solid},
    region::Region,
    transform::{By, Chain, FieldGrid},
};

/// The box in indices of `base` that the voxels within `bounds` of `source` take, from face to face. `ranges` are those of the vectors of
/// each field of the chain, in their order.
///
/// # Errors
/// An affine without an inverse; vectors that are not finite.
pub(super) fn hull(
    chain: &Chain,
    ranges: &[(FieldGrid, Hull)],
    source: &Grid,
    base: &Grid,
    bounds: Region,
) -> Result<Hull> {
    let faces = std::array::from_fn(|a| [bounds.lo[a] as f64 - 0.5, bounds.hi[a] as f64 - 0.5]);
    let mut solid = Solid::of_box(faces).moved(&source.index_to_millimetres());
    solid = solid.moved(&inverse(&chain.after)?);
    let mut fields = ranges.iter().rev();
    for met in chain.moves.iter().rev() {
        let vectors = match &met.what.by {
            By::Field(_) => fields.next().map(|(grid, vectors)| in_millimetres(grid, *vectors)),
            By::Spline(of) => Some(in_millimetres(&of.grid, of.spline.ranges().all())),
        };
        let vectors = vectors.unwrap_or_default();
        if vectors.iter().flatten().any(|x| !x.is_finite()) {
            return Err(Error::usage_hint(
                "--grid transformed: a displacement has vectors that are not finite, and the source may be anywhere",
                "give the grid by --like",
            ));
        }
        // From target to source a vector is added, or taken away where the displacement is inverted; back it is the other way round.
        let back = if met.what.is_inverse { vectors } else { vectors.map(|[low, high]| [-high, -low]) };
        solid = solid.plus(back).moved(&inverse(&met.before)?);
    }
    let world_to_base = base.index_to_millimetres().inverse();
    let world_to_base = world_to_base.ok_or_else(|| Error::usage("the affine of the source is singular"))?;
    Ok(solid.moved(&world_to_base).hull())
}

/// Ranges of vectors as they are stored, in RAS millimetres; no displacement, as beyond the field, is among them.
fn in_millimetres(grid: &FieldGrid, vectors: Hull) -> Hull {
    grid.displacements_within(vectors).map(|[least, most]| [least.min(0.0), most.max(0.0)])
}

fn inverse(affine: &Affine) -> Result<Affine> {
    affine.inverse().ok_or_else(|| {
        Error::usage_hint(
            format!(
                "--grid transformed needs the way back from source to target, and a transform has none: its matrix is {:?}, of determinant {}",
                affine.m.map(|[a, b, c, _]| [a, b, c]),
                affine.determinant()
            ),
            "give the grid by --like",
        )
    })
}
