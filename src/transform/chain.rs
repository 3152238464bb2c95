//! Several transforms in a row.

use std::path::PathBuf;

use serde::Serialize;

use super::{Convention, Displacing, Ends, FieldKind, Map, MatrixKind, Transform, TransformRequest};
use crate::{
    error::{Error, Result},
    geometry::{Affine, MOST_STAGES},
};

/// All transforms of a command line, from target world to source world, RAS mm.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// What displaces points, in the order in which they meet it.
    pub moves: Vec<Move>,
    /// The affine behind the last move: all of a chain that has none.
    pub after: Affine,
    /// One for each file, from target to source.
    pub steps: Vec<Step>,
    /// What was taken for granted, one line each.
    pub warnings: Vec<String>,
}

/// A displacement on the way, and the affine between the one before and it.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    pub before: Affine,
    pub what: Displacing,
    /// The number of the step that it belongs to.
    pub step: usize,
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
    /// `ends` are for an FSL matrix or field that stands alone.
    ///
    /// # Errors
    /// Those of [`Transform::read`]; more than 16 displacements; a product that is not finite.
    pub fn read(requests: &[TransformRequest], ends: Option<&Ends>) -> Result<Chain> {
        let ends = ends.filter(|_| requests.len() == 1);
        let mut chain = Chain::empty();
        for (step, request) in requests.iter().enumerate() {
            let Transform { maps, convention } = Transform::read(request, ends)?;
            for map in maps {
                match map {
                    Map::Affine(affine) => chain.after = affine.after(&chain.after),
                    Map::Displacing(what) => {
                        let before = std::mem::replace(&mut chain.after, Affine::identity());
                        chain.moves.push(Move { before, what, step });
                    }
                }
            }
            chain.warnings.extend(taken_for_granted(request, &convention));
            chain.steps.push(Step { file: request.path.clone(), inverse: request.inverse, convention });
        }
        if chain.moves.len() > MOST_STAGES {
            return Err(too_many(chain.moves.len()));
        }
        if chain.after.is_finite() && chain.moves.iter().all(|met| met.before.is_finite()) {
            return Ok(chain);
        }
        Err(Error::usage(format!("the product of {} transforms is not finite", requests.len())))
    }

    /// Nothing between target and source.
    pub fn empty() -> Chain {
        Chain { moves: Vec::new(), after: Affine::identity(), steps: Vec::new(), warnings: Vec::new() }
    }

    /// Target world to source world, where nothing displaces.
    pub fn affine(&self) -> Option<Affine> {
        self.moves.is_empty().then_some(self.after)
    }

    /// Notes what the vectors of move `n` mean, which the metadata of its field say.
    pub fn learn(&mut self, n: usize, kind: FieldKind) {
        match &mut self.steps[self.moves[n].step].convention {
            Convention::Field { vectors } | Convention::FslField { vectors, .. } => *vectors = Some(kind),
            _ => {}
        }
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

fn too_many(found: usize) -> Error {
    Error::usage_hint(
        format!("the transforms hold {found} displacements, of which {MOST_STAGES} are taken"),
        "make one of some of them first: antsApplyTransforms -o [warp.nii.gz,1]",
    )
}
