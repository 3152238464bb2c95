//! The grid that holds the whole source where transforms move it.

use super::{Affine, Align, Grid, GridRequest, Hull, Resolved, Sizing, target::voxels_within};
use crate::{
    error::{Error, Result},
    region::Region,
};

/// In voxels of the target: what counts as rounding.
const ROUNDING: f64 = 1e-6;

/// Voxels along an axis, far more than a grid may have.
const MOST: f64 = 1e18;

impl GridRequest {
    /// The target along the axes of the source (after `orient`) that holds all of it, from outer face to outer face; what is left
    /// of the last voxel is shared by both ends.
    ///
    /// `hull` is where the voxels within a region of the source come to stand, in indices of a grid: a box from face to face.
    ///
    /// # Errors
    /// Those of [`GridRequest::resolve`]; a size, an alignment or a reference; a box without an end.
    pub fn covering(&self, source: &Grid, hull: impl FnOnce(&Grid, Region) -> Result<Hull>) -> Result<Resolved> {
        let refuse = |what: &str| {
            Err(Error::usage_hint(
                format!(
                    "--grid transformed finds how many voxels the moved source takes, and where: {what} cannot go with it"
                ),
                format!("leave out {what}, or --grid transformed"),
            ))
        };
        match (&self.sizing, self.align) {
            (Sizing::Size(_), _) => return refuse("--size"),
            (Sizing::Like(_), _) => return refuse("--like"),
            (_, Align::Edges | Align::Center) => return refuse("--align"),
            _ => {}
        }
        let bounds = self.bounds(source)?;
        let (base, lacking) = self.base(source, bounds);
        let (old, new) = (base.spacing(), self.steps(&base, lacking)?);
        let hull = hull(&base, bounds)?;
        let (mut shape, mut columns, mut first) = ([0; 3], [[0.0; 3]; 3], [0.0; 3]);
        for a in 0..3 {
            let (step, [low, high]) = (new[a] / old[a], hull[a]);
            let voxels = ((high - low) / step - ROUNDING).ceil().max(1.0);
            if !low.is_finite() || !high.is_finite() || voxels >= MOST {
                let what =
                    format!("the moved source reaches from {low} to {high} voxels along an axis, which makes no grid");
                return Err(Error::usage_hint(what, "check the transforms, or give the grid by --like"));
            }
            shape[a] = voxels as u64;
            columns[a] = base.index_to_world.column(a).map(|x| if new[a] == old[a] { x } else { x * step });
            first[a] = whole((low + high) / 2.0 - (voxels - 1.0) / 2.0 * step);
        }
        let origin = base.index_to_world.apply(first);
        let target = Grid {
            shape,
            index_to_world: Affine::from_columns(columns, origin),
            stated_spacing: if new == old { base.stated_spacing } else { Some(new) },
            ..base
        };
        voxels_within(&target)?;
        Ok(Resolved { lacking: std::array::from_fn(|a| lacking[a] && target.shape[a] == 1), target, bounds })
    }
}

/// A place without the rounding of a place that is whole.
fn whole(place: f64) -> f64 {
    if (place - place.round()).abs() <= ROUNDING { place.round() + 0.0 } else { place }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{Solid, Unit};

    fn source() -> Grid {
        let columns = [[0.0, 0.0, 3.0], [0.0, -2.0, 0.0], [1.0, 0.0, 0.0]];
        Grid::new([5, 7, 11], Affine::from_columns(columns, [10.0, 20.0, 30.0]), Unit::Millimetre)
    }

    /// The hull of a source that `inverse` takes from its world to the target's.
    fn covered(request: &GridRequest, inverse: Affine) -> Result<Resolved> {
        let source = source();
        request.covering(&source, |base, bounds| {
            let faces = std::array::from_fn(|a| [bounds.lo[a] as f64 - 0.5, bounds.hi[a] as f64 - 0.5]);
            let world = Solid::of_box(faces).moved(&source.index_to_world).moved(&inverse);
            Ok(world.moved(&base.index_to_world.inverse().unwrap()).hull())
        })
    }

    fn turn(degrees: f64) -> Affine {
        let (s, c) = degrees.to_radians().sin_cos();
        Affine::from_columns([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]], [4.0, -3.0, 1.0])
    }

    #[test]
    fn a_source_that_stays_keeps_its_grid() {
        let resolved = covered(&GridRequest::default(), Affine::identity()).unwrap();
        assert_eq!(resolved.target, source());
        let moved = Affine { m: [[1.0, 0.0, 0.0, 2.5], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]] };
        let target = covered(&GridRequest::default(), moved).unwrap().target;
        assert_eq!(target.shape, [5, 7, 11]);
        assert!((0..3).all(|r| (target.origin()[r] - [12.5, 20.0, 30.0][r]).abs() < 1e-12), "{:?}", target.origin());
    }

    #[test]
    fn every_corner_of_a_turned_source_is_within_the_faces() {
        for (degrees, sizing) in [
            (30.0, Sizing::Keep),
            (90.0, Sizing::Keep),
            (77.0, Sizing::Spacing([1.1, 0.7, 2.0])),
            (10.0, Sizing::Scale([2.0; 3])),
        ] {
            let target = covered(&GridRequest { sizing, ..GridRequest::default() }, turn(degrees)).unwrap().target;
            let to_index = target.index_to_world.inverse().unwrap();
            let mut hull = [[f64::INFINITY, f64::NEG_INFINITY]; 3];
            for corner in 0..8 {
                let index =
                    std::array::from_fn(|a| if corner >> a & 1 == 1 { source().shape[a] as f64 - 0.5 } else { -0.5 });
                let found = to_index.apply(turn(degrees).apply(source().index_to_world.apply(index)));
                for a in 0..3 {
                    hull[a] = [hull[a][0].min(found[a]), hull[a][1].max(found[a])];
                }
            }
            for (a, [first, last]) in hull.into_iter().enumerate() {
                let (low, high) = (first + 0.5, target.shape[a] as f64 - 0.5 - last);
                assert!(
                    low > -1e-6 && high > -1e-6 && (low - high).abs() < 1e-6 && low < 0.5,
                    "{degrees} {low} {high}"
                );
            }
        }
    }

    #[test]
    fn what_decides_the_grid_otherwise_is_refused() {
        let size = GridRequest { sizing: Sizing::Size([1; 3]), ..GridRequest::default() };
        let align = GridRequest { align: Align::Center, ..GridRequest::default() };
        for (request, what) in [(size, "--size"), (align, "--align")] {
            assert!(covered(&request, turn(3.0)).unwrap_err().to_string().contains(what));
        }
        let far = Affine { m: [[1e30, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]] };
        assert!(covered(&GridRequest::default(), far).unwrap_err().to_string().contains("makes no grid"));
        let large = Affine { m: [[1e9, 0.0, 0.0, 0.0], [0.0, 1e9, 0.0, 0.0], [0.0, 0.0, 1e9, 0.0]] };
        assert!(covered(&GridRequest::default(), large).unwrap_err().to_string().contains("2^62"));
    }
}
