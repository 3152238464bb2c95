//! What the stages of a warp add to the points of a strip.
//!
//! Vectors of a field are interpolated linearly, the edge vectors repeated; beyond the field's faces there is no displacement, as ITK's
//! displacement field transform has it, or points look nowhere (NaN), as the stage says. Where the voxels of the first field lie on those
//! of the target, which is how registrations write them, vectors are taken as they stand.

use multiversion::multiversion;

use super::{
    at_stage::AtStage,
    inverted,
    look::{self, Line, Points, Strip},
};
use crate::{
    block::BlockRef,
    geometry::{Matrix, Stage, Warp},
    resample::Vectors,
};

/// Room for what is found out about the points of one strip.
pub(super) struct Moved {
    /// Where the points are at each stage after the first.
    places: Vec<Strip>,
    at_stage: AtStage,
}

impl Moved {
    /// Room for the stages of `warp`.
    pub(super) fn new(warp: &Warp) -> Moved {
        let places = warp.stages.iter().skip(1).map(|_| Strip::new()).collect();
        Moved { places, at_stage: AtStage::new() }
    }
}

/// Adds the displacements of all stages to the points of `strip`, the voxels of row `y` of plane `z` from `x` on; how many points
/// an inverse did not settle.
///
/// `fields` hold the three components of the vectors around those points, one for each field among the stages.
pub(super) fn displace(warp: &Warp, fields: &[Vectors], row: [i64; 3], strip: &mut Strip, moved: &mut Moved) -> u64 {
    let (Moved { places, at_stage }, len) = (moved, strip.len);
    for (place, stage) in places.iter_mut().zip(&warp.stages[1..]) {
        place.len = len;
        look::fill(&stage.target_to_own, row, place);
    }
    let (mut fields, mut unsettled) = (fields.iter().map(Vectors::block), 0);
    for (n, stage) in warp.stages.iter().enumerate() {
        let field = if stage.is_field() { fields.next().filter(|field| !field.region.is_empty()) } else { None };
        let (met, coming) = places.split_at_mut(n);
        let matrices = warp.stages[n + 1..].iter().map(|later| &later.earlier[n]);
        let later = coming.iter_mut().zip(matrices).chain([(&mut *strip, &stage.vector_to_source)]);
        if let (0, Some(field), Some(shift)) = (n, field, stage.whole_shift()) {
            let at = [0, 1, 2].map(|a| row[a] + shift[a]);
            later.for_each(|(place, matrix)| take(stage, matrix, field, at, place));
            continue;
        }
        let first = Line::new(&stage.target_to_own, row);
        unsettled += match met.last() {
            Some(place) => look(at_stage, stage, field, place, len),
            None => look(at_stage, stage, field, &first, len),
        };
        later.for_each(|(place, matrix)| at_stage.add(stage, matrix, place));
    }
    unsettled
}

/// Takes the vectors of row `y` of plane `z` of the field from `x` on, one for each point.
fn take(stage: &Stage, matrix: &Matrix, field: BlockRef<'_, f32>, [z, y, x]: [i64; 3], strip: &mut Strip) {
    let (shape, len) = (stage.ranges().shape().map(|n| n as i64), strip.len as i64);
    let is_row = (0..shape[0]).contains(&z) && (0..shape[1]).contains(&y);
    // Points whose vector exists.
    let start = if is_row { (-x).clamp(0, len) } else { 0 };
    let end = if is_row { (shape[2] - x).clamp(start, len) } else { 0 };
    let points = start as usize..end as usize;
    if !points.is_empty() {
        let row = [0, 1, 2].map(|component| field.row(component, z, y, x + start..x + end));
        add_row(matrix, row, strip.at.each_mut().map(|at| &mut at[points.clone()]));
    }
    if stage.ends_at_faces {
        strip.look_nowhere(0..points.start);
        strip.look_nowhere(points.end..strip.len);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq", "x86_64+avx2"))]
fn add_row(matrix: &Matrix, row: [&[f32]; 3], at: [&mut [f64]; 3]) {
    let [first, second, third] = row;
    for (at, factors) in at.into_iter().zip(matrix) {
        for (((at, &a), &b), &c) in at.iter_mut().zip(first).zip(second).zip(third) {
            *at += factors[0] * f64::from(a) + factors[1] * f64::from(b) + factors[2] * f64::from(c);
        }
    }
}

/// Finds what a stage adds to the first points of `at`; how many points an inverse did not settle.
fn look<P: Points>(at_stage: &mut AtStage, stage: &Stage, field: Option<BlockRef<'_, f32>>, at: &P, len: usize) -> u64 {
    if stage.is_inverse {
        return inverted::look(at_stage, stage, field, at, len);
    }
    at_stage.look_up(stage, field, at, len);
    0
}
