//! The vectors of a stage at the points of a strip.

use multiversion::multiversion;

use super::{
    linear::{Cell, Neighbours},
    look::{Points, STRIP, Strip},
};
use crate::{
    block::BlockRef,
    geometry::{self, Matrix, Spline, Stage, inside},
    region::Region,
};

impl Strip {
    /// Sends points nowhere.
    pub(super) fn look_nowhere(&mut self, points: std::ops::Range<usize>) {
        self.at.iter_mut().for_each(|at| at[points.clone()].fill(f64::NAN));
    }
}

/// What a stage has at each point of a strip.
pub(super) struct AtStage {
    /// Vectors, component by component.
    pub found: [[f64; STRIP]; 3],
    /// Whether a point is inside the stage's grid: the vectors of others do not count.
    pub is_inside: [bool; STRIP],
    corners: Neighbours<f32, f64>,
}

impl AtStage {
    /// Room for one strip.
    pub(super) fn new() -> AtStage {
        AtStage { found: [[0.0; STRIP]; 3], is_inside: [false; STRIP], corners: Neighbours::new() }
    }

    /// Finds the vectors of a stage at the first points of `at`; a `field` that is not there is one that no point is inside of.
    pub(super) fn look_up<P: Points>(&mut self, stage: &Stage, field: Option<BlockRef<'_, f32>>, at: &P, len: usize) {
        match (&stage.vectors, field) {
            (geometry::Vectors::Field(ranges), Some(field)) => self.interpolate(field, ranges.shape(), at, len),
            (geometry::Vectors::Field(_), None) => self.is_inside[..len].fill(false),
            (geometry::Vectors::Spline(spline), _) => self.evaluate(spline, at, len),
        }
    }

    fn interpolate<P: Points>(&mut self, field: BlockRef<'_, f32>, shape: [u64; 3], at: &P, len: usize) {
        let bounds = Region::of_shape(shape);
        for (component, found) in self.found.iter_mut().enumerate() {
            self.corners.look(field.volume(component), bounds, at, len);
            weigh(&self.corners, found);
        }
        are_inside(at, bounds, &mut self.is_inside[..len]);
    }

    fn evaluate<P: Points>(&mut self, spline: &Spline, at: &P, len: usize) {
        for n in 0..len {
            let vector = spline.at([0, 1, 2].map(|a| at.at(a, n)));
            self.is_inside[n] = vector.is_some();
            (0..3).for_each(|c| self.found[c][n] = vector.unwrap_or_default()[c]);
        }
    }

    /// Adds what was found to the points of `strip`, by a matrix.
    pub(super) fn add(&self, stage: &Stage, matrix: &Matrix, strip: &mut Strip) {
        let AtStage { found, is_inside, .. } = self;
        for (n, &is_inside) in is_inside[..strip.len].iter().enumerate() {
            if is_inside {
                let moved = geometry::apply(matrix, [found[0][n], found[1][n], found[2][n]]);
                (0..3).for_each(|a| strip.at[a][n] += moved[a]);
            } else if stage.ends_at_faces {
                strip.look_nowhere(n..n + 1);
            }
        }
    }
}

/// Whether each of the first points looks inside `bounds`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq+fma", "x86_64+avx2+fma"))]
pub fn are_inside<P: Points>(at: &P, bounds: Region, found: &mut [bool]) {
    found.fill(true);
    for a in 0..3 {
        let (lo, hi) = (bounds.lo[a], bounds.hi[a]);
        for (n, found) in found.iter_mut().enumerate() {
            *found &= inside(at.at(a, n), lo, hi);
        }
    }
}

/// Vectors are weighed in f64, which points are.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq", "x86_64+avx2"))]
fn weigh(corners: &Neighbours<f32, f64>, found: &mut [f64; STRIP]) {
    let ([z, y, x], [near, far]) = corners.group::<STRIP>(0);
    for (n, found) in found.iter_mut().enumerate() {
        let plane = |cell: &Cell<f32>| {
            let [first, second] = cell.map(|[a, b]| blend(f64::from(a), f64::from(b), x[n]));
            blend(first, second, y[n])
        };
        *found = blend(plane(&near[n]), plane(&far[n]), z[n]);
    }
}

/// From `a` to `b` by `part`; a part of 0 is exactly `a`, whatever stands for a voxel beyond.
#[inline(always)]
fn blend(a: f64, b: f64, part: f64) -> f64 {
    let sum = a * (1.0 - part) + b * part;
    if part == 0.0 { a } else { sum }
}
