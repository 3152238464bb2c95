//! A mapping through displacements: an affine, and stages on the way that move points.
//!
//! A stage is a grid of vectors, a field or a grid of spline coefficients, which a point meets where all before it have moved it
//! to. All is linear between stages, so the place of a point at each of them, and in the source, is that of the affines alone and
//! the sum of what the stages before have added, each by a matrix of its own.

use std::sync::Arc;

use super::{Affine, Spline, VectorRanges};

/// Rows by axis, storage order; columns by component of a vector.
pub type Matrix = [[f64; 3]; 3];
/// The lowest and highest value along each axis, or of each component.
pub type Hull = [[f64; 2]; 3];

/// Stages that a mapping has at most.
pub const MOST_STAGES: usize = 16;
/// Steps of an inverse at most.
pub const MOST_STEPS: usize = 50;
/// An inverse has settled when its last step is shorter along each axis, in voxels of the field.
pub const SETTLED_VOXELS: f64 = 1e-3;

/// Target index to source index: an affine, and displacements that are met on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Warp {
    /// Target index to source index where nothing is displaced.
    pub base: Affine,
    /// In the order in which a point meets them; 1 to [`MOST_STAGES`].
    pub stages: Vec<Stage>,
}

/// A place on the way where points are displaced.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Target index to the index of this stage's grid, where no stage before displaces.
    pub target_to_own: Affine,
    /// For each stage before, its vectors to steps of this grid.
    pub earlier: Vec<Matrix>,
    /// A vector of this stage to steps of its own grid.
    pub vector_to_own: Matrix,
    /// A vector of this stage to source voxels along each axis.
    pub vector_to_source: Matrix,
    pub vectors: Vectors,
    /// Whether points go to where they would have been displaced from: to the y with `y + u(y) = x`.
    pub is_inverse: bool,
    /// Whether points beyond the grid look nowhere, instead of being left where they are.
    pub ends_at_faces: bool,
}

/// Where the vectors of a stage come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Vectors {
    /// Interpolated linearly between vectors that are read during the run.
    Field(Arc<VectorRanges>),
    Spline(Arc<Spline>),
}

impl Warp {
    /// The same with what is known of the fields, in the order of their stages.
    pub fn with_ranges(&self, ranges: &[Arc<VectorRanges>]) -> Warp {
        let mut warp = self.clone();
        let fields = warp.stages.iter_mut().filter_map(|stage| match &mut stage.vectors {
            Vectors::Field(known) => Some(known),
            Vectors::Spline(_) => None,
        });
        fields.zip(ranges).for_each(|(known, ranges)| *known = ranges.clone());
        warp
    }

    /// Memory of what is held of all stages.
    pub fn bytes(&self) -> u64 {
        self.stages.iter().map(|stage| stage.vectors.bytes()).sum()
    }

    /// The lowest and highest displacement along each source axis that there is at all.
    pub fn all_displacements(&self) -> Hull {
        let moved = self.stages.iter().map(|stage| moved(&stage.vector_to_source, stage.signed(stage.ranges().all())));
        moved.fold([[0.0; 2]; 3], sum)
    }
}

impl Stage {
    /// What is known of its vectors, voxel by voxel of its grid.
    pub fn ranges(&self) -> &VectorRanges {
        match &self.vectors {
            Vectors::Field(ranges) => ranges,
            Vectors::Spline(spline) => spline.ranges(),
        }
    }

    /// How far its voxels are from those of the target, where it is a field whose vectors are taken as they stand.
    pub fn whole_shift(&self) -> Option<[i64; 3]> {
        if self.is_field() && !self.is_inverse { self.target_to_own.whole_shift() } else { None }
    }

    /// Whether its vectors are read during the run.
    pub fn is_field(&self) -> bool {
        matches!(self.vectors, Vectors::Field(_))
    }

    /// The ranges of the vectors that are added to points, where those are looked up at own indices within `looked`.
    pub fn vectors_within(&self, looked: Hull) -> Hull {
        self.signed(self.known_within(looked))
    }

    /// The own indices that vectors are looked up at, for points within `hull`: an inverse looks along its way too.
    pub fn looked_at(&self, hull: Hull) -> Hull {
        let mut looked = hull;
        if !self.is_inverse {
            return looked;
        }
        // As many as an inverse has steps: so far no step of it gets beyond.
        for _ in 0..MOST_STEPS {
            let moved = moved(&self.vector_to_own, self.vectors_within(looked));
            let next = std::array::from_fn(|a| [hull[a][0] + moved[a][0].min(0.0), hull[a][1] + moved[a][1].max(0.0)]);
            if next == looked {
                break;
            }
            looked = next;
        }
        looked
    }

    /// Extents of the part of the grid that is looked at, and the widths of the vectors there at most, for points within a box
    /// whose own indices are so far apart. `widest` says how wide vectors are in any part that meets so many boxes.
    pub fn widest(&self, spread: [f64; 3], mut widest: impl FnMut([u64; 3]) -> [f64; 3]) -> ([u64; 3], [f64; 3]) {
        let (ranges, margin) = (self.ranges(), self.margin());
        let shape = ranges.shape();
        let extents = |spread: [f64; 3]| -> [u64; 3] {
            std::array::from_fn(|a| ((spread[a] + 2.0 * margin).ceil() as u64).saturating_add(3).min(shape[a]))
        };
        let mut looked = extents(spread);
        for _ in 0..MOST_STEPS {
            let widths = widest(ranges.boxes_met(looked));
            if !self.is_inverse {
                return (looked, widths);
            }
            let moved = widths_moved(&self.vector_to_own, widths);
            let next = extents([0, 1, 2].map(|a| spread[a] + moved[a]));
            if next == looked {
                return (looked, widths);
            }
            looked = next;
        }
        (shape, widest(ranges.boxes_met(shape)))
    }

    fn known_within(&self, hull: Hull) -> Hull {
        let margin = self.margin();
        self.ranges().within(hull.map(|[low, high]| [low - margin, high + margin]))
    }

    /// Voxels of the grid, beyond the two around a point, that its vector is made of.
    fn margin(&self) -> f64 {
        if self.is_field() { 0.0 } else { 1.0 }
    }

    /// Of vectors as they are stored, those that are added.
    fn signed(&self, vectors: Hull) -> Hull {
        if self.is_inverse { vectors.map(|[low, high]| [-high, -low]) } else { vectors }
    }
}

impl Vectors {
    fn bytes(&self) -> u64 {
        match self {
            Vectors::Field(ranges) => ranges.bytes(),
            Vectors::Spline(spline) => spline.bytes(),
        }
    }
}

/// Where a matrix sends a vector.
#[inline(always)]
pub fn apply(matrix: &Matrix, vector: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2])
}

/// The lowest and highest step along each axis that a matrix makes of vectors within these ranges.
pub fn moved(matrix: &Matrix, vectors: Hull) -> Hull {
    matrix.map(|row| {
        let (mut low, mut high, mut size) = (0.0, 0.0, 0.0);
        for (factor, [least, most]) in row.into_iter().zip(vectors) {
            let ends = [factor * least, factor * most];
            low += ends[0].min(ends[1]);
            high += ends[0].max(ends[1]);
            size += ends[0].abs().max(ends[1].abs());
        }
        // What is computed voxel by voxel is rounded otherwise.
        let slack = 1e-9 * size;
        // Vectors that are no numbers, or have no end, may lead anywhere.
        let end = |x: f64, end: f64| if x.is_nan() { end } else { x };
        [end(low - slack, f64::NEG_INFINITY), end(high + slack, f64::INFINITY)]
    })
}

/// How far apart along each axis the steps are at most that a matrix makes of vectors whose components are so far apart.
pub fn widths_moved(matrix: &Matrix, widths: [f64; 3]) -> [f64; 3] {
    moved(matrix, widths.map(|width| [0.0, width])).map(|[low, high]| high - low)
}

/// Both steps after each other.
pub fn sum(a: Hull, b: Hull) -> Hull {
    [0, 1, 2].map(|axis| [a[axis][0] + b[axis][0], a[axis][1] + b[axis][1]])
}

/// `a` after `b`.
pub fn product(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|r| std::array::from_fn(|c| (0..3).map(|k| a[r][k] * b[k][c]).sum()))
}
