//! Several transforms in a row.

use std::path::PathBuf;

use super::{Ends, Transform, TransformRequest};
use crate::{
    error::{Error, Result},
    geometry::{Affine, Grid},
};

/// All transforms of a command line: target world -> `before` -> `field` -> `after` -> source world, RAS mm.
///
/// Without a field all of it stands in `before`, and `after` is the identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    pub before: Affine,
    pub field: Option<PathBuf>,
    pub after: Affine,
}

impl Chain {
    /// Reads and composes; the last one given is applied first to a point, as antsApplyTransforms has it.
    ///
    /// The grids are the two ends of the whole chain; an FSL matrix takes them for its own, wherever it stands.
    ///
    /// # Errors
    /// Those of [`Transform::read`]; more than one displacement field; a product that is not finite.
    pub fn read(requests: &[TransformRequest], target: &Grid, source: &Grid) -> Result<Chain> {
        Chain::compose(requests, Some(Ends { target, source }))
    }

    /// The same where there are no grids: FSL matrices are refused.
    pub fn without_grids(requests: &[TransformRequest]) -> Result<Chain> {
        Chain::compose(requests, None)
    }

    /// Target world to source world, where no field stands between.
    pub fn affine(&self) -> Option<Affine> {
        self.field.is_none().then(|| self.after.after(&self.before))
    }

    fn compose(requests: &[TransformRequest], ends: Option<Ends<'_>>) -> Result<Chain> {
        let mut chain = Chain { before: Affine::identity(), field: None, after: Affine::identity() };
        for request in requests.iter().rev() {
            match (Transform::read(request, ends)?, &chain.field) {
                (Transform::Affine(affine), None) => chain.before = affine.after(&chain.before),
                (Transform::Affine(affine), Some(_)) => chain.after = affine.after(&chain.after),
                (Transform::Field(path), None) => chain.field = Some(path),
                (Transform::Field(second), Some(first)) => return Err(two_fields(first, &second)),
            }
        }
        if chain.before.is_finite() && chain.after.is_finite() {
            return Ok(chain);
        }
        Err(Error::usage(format!("the product of {} transforms is not finite", requests.len())))
    }
}

fn two_fields(first: &std::path::Path, second: &std::path::Path) -> Error {
    Error::usage_hint(
        format!("{} and {} are both displacement fields, and one is taken", second.display(), first.display()),
        "make one of them first: antsApplyTransforms -o [warp.nii.gz,1] with both",
    )
}
