//! Several transforms in a row.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Convention, Ends, FieldKind, Map, MatrixKind, Transform, TransformRequest};
use crate::{
    error::{Error, Result},
    geometry::Affine,
};

/// All transforms of a command line: target world -> `before` -> `field` -> `after` -> source world, RAS mm.
///
/// Without a field all of it stands in `before`, and `after` is the identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    pub before: Affine,
    pub field: Option<PathBuf>,
    pub after: Affine,
    /// One for each file, from target to source.
    pub steps: Vec<Step>,
    /// What was taken for granted, one line each.
    pub warnings: Vec<String>,
}

/// One file of a chain, and how it was read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    pub file: PathBuf,
    pub inverse: bool,
    #[serde(flatten)]
    pub convention: Convention,
}

impl Chain {
    /// Reads and composes: the first one given meets the target point first, the last is nearest the source, as
    /// antsApplyTransforms, greedy and OME-Zarr have it.
    ///
    /// `ends` are for an FSL matrix that stands alone.
    ///
    /// # Errors
    /// Those of [`Transform::read`]; more than one displacement field; a product that is not finite.
    pub fn read(requests: &[TransformRequest], ends: Option<&Ends>) -> Result<Chain> {
        let ends = ends.filter(|_| requests.len() == 1);
        let mut chain = Chain::empty();
        for request in requests {
            let Transform { maps, convention } = Transform::read(request, ends)?;
            for map in maps {
                match (map, &chain.field) {
                    (Map::Affine(affine), None) => chain.before = affine.after(&chain.before),
                    (Map::Affine(affine), Some(_)) => chain.after = affine.after(&chain.after),
                    (Map::Field(path), None) => chain.field = Some(path),
                    (Map::Field(second), Some(first)) => return Err(two_fields(first, &second)),
                }
            }
            chain.warnings.extend(taken_for_granted(request, &convention));
            chain.steps.push(Step { file: request.path.clone(), inverse: request.inverse, convention });
        }
        if chain.before.is_finite() && chain.after.is_finite() {
            return Ok(chain);
        }
        Err(Error::usage(format!("the product of {} transforms is not finite", requests.len())))
    }

    /// Nothing between target and source.
    pub fn empty() -> Chain {
        let (before, after) = (Affine::identity(), Affine::identity());
        Chain { before, field: None, after, steps: Vec::new(), warnings: Vec::new() }
    }

    /// Target world to source world, where no field stands between.
    pub fn affine(&self) -> Option<Affine> {
        self.field.is_none().then(|| self.after.after(&self.before))
    }

    /// Notes what the vectors of the field mean, which its own metadata say.
    pub fn learn(&mut self, kind: FieldKind) {
        let field = self.steps.iter_mut().find(|step| matches!(step.convention, Convention::Field { .. }));
        if let Some(step) = field {
            step.convention = Convention::Field { vectors: Some(kind) };
        }
    }

    /// How many transforms a point meets before the field.
    pub fn steps_before_field(&self) -> usize {
        self.steps.iter().take_while(|step| !step.convention.has_field()).count()
    }
}

/// FSL's matrices and those of greedy and c3d have the same names, and roles may come from the run.
fn taken_for_granted(request: &TransformRequest, convention: &Convention) -> Option<String> {
    let Convention::Fsl { source, reference } = convention else { return None };
    let is_said = request.matrix == Some(MatrixKind::Fsl) || (request.source.is_some() && request.reference.is_some());
    (!is_said).then(|| {
        let file = request.path.display();
        format!(
            "{file} is taken for an FSL matrix, of -in {} and -ref {}; for one that greedy or c3d wrote, give {file},ras",
            source.display(),
            reference.display()
        )
    })
}

fn two_fields(first: &Path, second: &Path) -> Error {
    Error::usage_hint(
        format!("{} and {} are both displacement fields, and one is taken", first.display(), second.display()),
        "make one of them first: antsApplyTransforms -o [warp.nii.gz,1] with both",
    )
}
