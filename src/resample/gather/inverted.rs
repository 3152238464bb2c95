//! The inverse of a stage by fixed point: the y that a point x was displaced from, `y <- x - u(y)`, from `y = x` on.
//!
//! Each point takes its own steps: it stops where one is short enough, and its bits depend on nothing but its place. A field whose
//! vectors change by less than their distance everywhere, which one without folds does, settles every point.

use super::{
    at_stage::AtStage,
    look::{Points, STRIP, Strip},
};
use crate::{
    block::BlockRef,
    geometry::{MOST_STEPS, SETTLED_VOXELS, Stage, apply},
};

/// Finds the inverse displacements of the first points of `at`; how many of them did not settle and stay where the last step led.
pub(super) fn look<P: Points>(
    at_stage: &mut AtStage,
    stage: &Stage,
    field: Option<BlockRef<'_, f32>>,
    at: &P,
    len: usize,
) -> u64 {
    let (mut guess, mut vectors, mut is_inside) = (Strip::new(), [[0.0; STRIP]; 3], [false; STRIP]);
    guess.len = len;
    guess.at.iter_mut().enumerate().for_each(|(a, guess)| (0..len).for_each(|n| guess[n] = at.at(a, n)));
    let points = guess.at;
    // A point that is nowhere has no inverse to find.
    let mut is_open: [bool; STRIP] = std::array::from_fn(|n| n < len && (0..3).all(|a| points[a][n].is_finite()));
    for _ in 0..MOST_STEPS {
        at_stage.look_up(stage, field, &guess, len);
        for n in (0..len).filter(|&n| is_open[n]).collect::<Vec<usize>>() {
            is_inside[n] = at_stage.is_inside[n];
            // Beyond a field of positions its faces go on, so that points find their way into it.
            let counts = is_inside[n] || (stage.ends_at_faces && field.is_some());
            let vector = if counts { [0, 1, 2].map(|c| at_stage.found[c][n]) } else { [0.0; 3] };
            let step = apply(&stage.vector_to_own, vector);
            let next: [f64; 3] = std::array::from_fn(|a| points[a][n] - step[a]);
            is_open[n] = !(0..3).all(|a| (next[a] - guess.at[a][n]).abs() < SETTLED_VOXELS);
            (0..3).for_each(|a| (vectors[a][n], guess.at[a][n]) = (-vector[a], next[a]));
        }
        if is_open.iter().all(|open| !open) {
            break;
        }
    }
    (at_stage.found, at_stage.is_inside) = (vectors, is_inside);
    // Those that look nowhere are told as such.
    (0..len).filter(|&n| is_open[n] && (is_inside[n] || !stage.ends_at_faces)).count() as u64
}
