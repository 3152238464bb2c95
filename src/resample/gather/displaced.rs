//! What a displacement field adds to the points of a strip, and the part of the field that this takes.
//!
//! Vectors are interpolated linearly, the edge vectors repeated; beyond the field's faces there is no displacement, as ITK's displacement
//! field transform has it, or points look nowhere (NaN), as the warp says. Where the field's voxels lie on those of the target, which is
//! how registrations write them, vectors are taken as they stand.

use multiversion::multiversion;

use super::{
    linear::{Cell, Neighbours},
    look::{Line, Points, STRIP, Strip, hull},
};
use crate::{
    block::BlockRef,
    geometry::{Warp, inside},
    region::Region,
};

/// Vectors of a strip that is interpolated, component by component, and what they are interpolated from.
pub struct Vectors {
    found: [[f64; STRIP]; 3],
    corners: Neighbours<f32, f64>,
}

impl Vectors {
    /// Room for one strip.
    pub fn new() -> Vectors {
        Vectors { found: [[0.0; STRIP]; 3], corners: Neighbours::new() }
    }
}

/// Adds the displacements of the field at the points of `strip`, the voxels of row `y` of plane `z` from `x` on.
///
/// `field` holds the three components of the vectors around those points.
pub fn displace(warp: &Warp, field: BlockRef<'_, f32>, row: [i64; 3], strip: &mut Strip, vectors: &mut Vectors) {
    if field.region.is_empty() {
        if warp.ends_at_faces {
            strip.look_nowhere(0..strip.len);
        }
    } else if let Some(shift) = warp.target_to_field.whole_shift() {
        let [z, y, x] = [0, 1, 2].map(|a| row[a] + shift[a]);
        take(warp, field, [z, y, x], strip);
    } else {
        interpolate(warp, field, row, strip, vectors);
    }
}

impl Strip {
    fn look_nowhere(&mut self, points: std::ops::Range<usize>) {
        self.at.iter_mut().for_each(|at| at[points.clone()].fill(f64::NAN));
    }
}

/// Takes the vectors of row `y` of plane `z` of the field from `x` on, one for each point.
fn take(warp: &Warp, field: BlockRef<'_, f32>, [z, y, x]: [i64; 3], strip: &mut Strip) {
    let (shape, len) = (warp.ranges.shape().map(|n| n as i64), strip.len as i64);
    let is_row = (0..shape[0]).contains(&z) && (0..shape[1]).contains(&y);
    // Points whose vector exists.
    let start = if is_row { (-x).clamp(0, len) } else { 0 };
    let end = if is_row { (shape[2] - x).clamp(start, len) } else { 0 };
    let points = start as usize..end as usize;
    if !points.is_empty() {
        let row = [0, 1, 2].map(|component| field.row(component, z, y, x + start..x + end));
        add_row(&warp.vector_to_source, row, strip.at.each_mut().map(|at| &mut at[points.clone()]));
    }
    if warp.ends_at_faces {
        strip.look_nowhere(0..points.start);
        strip.look_nowhere(points.end..strip.len);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+avx512dq", "x86_64+avx2"))]
fn add_row(vector_to_source: &[[f64; 3]; 3], row: [&[f32]; 3], at: [&mut [f64]; 3]) {
    let [first, second, third] = row;
    for (at, factors) in at.into_iter().zip(vector_to_source) {
        for (((at, &a), &b), &c) in at.iter_mut().zip(first).zip(second).zip(third) {
            *at += factors[0] * f64::from(a) + factors[1] * f64::from(b) + factors[2] * f64::from(c);
        }
    }
}

/// Interpolates the vector at each point that is inside the field.
fn interpolate(warp: &Warp, field: BlockRef<'_, f32>, row: [i64; 3], strip: &mut Strip, vectors: &mut Vectors) {
    let (line, bounds) = (Line::new(&warp.target_to_field, row), Region::of_shape(warp.ranges.shape()));
    let Vectors { found, corners } = vectors;
    for (component, found) in found.iter_mut().enumerate() {
        corners.look(field.volume(component), bounds, &line, strip.len);
        weigh(corners, found);
    }
    let mut is_inside = [false; STRIP];
    are_inside(&line, bounds, &mut is_inside[..strip.len]);
    for (n, &is_inside) in is_inside[..strip.len].iter().enumerate() {
        if is_inside {
            let moved = warp.displacement([found[0][n], found[1][n], found[2][n]]);
            (0..3).for_each(|a| strip.at[a][n] += moved[a]);
        } else if warp.ends_at_faces {
            strip.look_nowhere(n..n + 1);
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

/// The field's voxels that the points of `target` are interpolated from.
pub fn field_region(warp: &Warp, target: Region) -> Region {
    if target.is_empty() {
        return Region::EMPTY;
    }
    let (hull, shape) = (hull(&warp.target_to_field, target), warp.ranges.shape());
    let mut region = Region::EMPTY;
    for (a, [low, high]) in hull.into_iter().enumerate() {
        let last = shape[a] as i64 - 1;
        if high < -1.0 || low > (last + 1) as f64 {
            return Region::EMPTY;
        }
        region.lo[a] = (low.floor() as i64).clamp(0, last);
        region.hi[a] = (high.floor() as i64).saturating_add(1).clamp(0, last) + 1;
    }
    region
}

/// Extents that no field region of a target box of `shape` voxels exceeds.
pub fn field_extents(warp: &Warp, shape: [u64; 3]) -> [u64; 3] {
    std::array::from_fn(|a| {
        let row = warp.target_to_field.m[a];
        let image: f64 = (0..3).map(|t| row[t].abs() * (shape[t].max(1) - 1) as f64).sum();
        (image.ceil() as u64 + 3).min(warp.ranges.shape()[a])
    })
}
