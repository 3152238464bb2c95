//! Where the points of a target box are at each stage of a warp, from the ranges of what the stages before add.

use super::look;
use crate::{
    geometry::{self, Affine, Hull, MOST_STAGES, Stage, Warp},
    region::Region,
};

/// What the points of a target box meet.
pub(super) struct Passage {
    /// The own indices at each stage that vectors are looked up at.
    looked: [Hull; MOST_STAGES],
    /// The source indices.
    pub source: Hull,
}

impl Passage {
    /// Of a box that is not empty.
    pub(super) fn of(warp: &Warp, target: Region) -> Passage {
        let (mut vectors, mut looked) = ([[[0.0; 2]; 3]; MOST_STAGES], [[[0.0; 2]; 3]; MOST_STAGES]);
        let mut source = look::hull(&warp.base, target);
        for (n, stage) in warp.stages.iter().enumerate() {
            let base = look::hull(&stage.target_to_own, target);
            // In the order in which points are displaced, so that rounding goes the same way.
            let own = stage.earlier.iter().zip(&vectors).fold(base, |own, (matrix, &of)| step(own, matrix, of));
            looked[n] = stage.looked_at(own);
            vectors[n] = stage.vectors_within(looked[n]);
            source = step(source, &stage.vector_to_source, vectors[n]);
        }
        Passage { looked, source }
    }

    /// The voxels of the field of stage `n` that points are interpolated from.
    pub(super) fn field_region(&self, n: usize, stage: &Stage) -> Region {
        let (hull, shape) = (self.looked[n], stage.ranges().shape());
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
}

fn step(hull: Hull, matrix: &geometry::Matrix, vectors: Hull) -> Hull {
    geometry::sum(hull, geometry::moved(matrix, vectors))
}

/// What no target box of a shape exceeds.
pub(super) struct Spread {
    /// Extents of the part of each stage's grid that is looked at.
    pub looked: Vec<[u64; 3]>,
    /// How far apart along each source axis displacements are.
    pub displacements: [f64; 3],
}

impl Spread {
    /// Of target boxes of `shape` voxels. `widest` says how wide the vectors of a stage are in any part of it that meets so many boxes.
    pub(super) fn of(warp: &Warp, shape: [u64; 3], mut widest: impl FnMut(usize, [u64; 3]) -> [f64; 3]) -> Spread {
        let (mut widths, mut spread) = (Vec::new(), Spread { looked: Vec::new(), displacements: [0.0; 3] });
        for (n, stage) in warp.stages.iter().enumerate() {
            let own =
                stage.earlier.iter().zip(&widths).fold(image(&stage.target_to_own, shape), |own, (matrix, &of)| {
                    let moved = geometry::widths_moved(matrix, of);
                    [0, 1, 2].map(|a| own[a] + moved[a])
                });
            let (looked, width) = stage.widest(own, |met| widest(n, met));
            let moved = geometry::widths_moved(&stage.vector_to_source, width);
            (0..3).for_each(|a| spread.displacements[a] += moved[a]);
            spread.looked.push(looked);
            widths.push(width);
        }
        spread
    }
}

/// Extents of the image of a target box of `shape` voxels, between the centres of its voxels.
pub(super) fn image(mapping: &Affine, shape: [u64; 3]) -> [f64; 3] {
    mapping.m.map(|row| (0..3).map(|t| row[t].abs() * (shape[t].max(1) - 1) as f64).sum())
}
