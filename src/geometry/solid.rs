//! Parallelepipeds to which boxes are added: what becomes of a volume on its way through affines and displacements.

use super::{Affine, Hull, Matrix, apply};

/// A centre, and vectors by which it reaches to either side: the sum of segments (a zonotope). Affine maps of such, and their sums with
/// boxes, are such again, so nothing is lost on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Solid {
    centre: [f64; 3],
    halves: Vec<[f64; 3]>,
}

impl Solid {
    /// A box between its ends along each axis.
    pub fn of_box(ends: Hull) -> Solid {
        let centre = ends.map(|[low, high]| (low + high) / 2.0);
        let half = |a: usize| std::array::from_fn(|r| if r == a { (ends[a][1] - ends[a][0]) / 2.0 } else { 0.0 });
        Solid { centre, halves: (0..3).map(half).collect() }
    }

    /// Where an affine takes it.
    pub fn moved(&self, by: &Affine) -> Solid {
        let matrix: Matrix = by.m.map(|[a, b, c, _]| [a, b, c]);
        Solid { centre: by.apply(self.centre), halves: self.halves.iter().map(|half| apply(&matrix, *half)).collect() }
    }

    /// All places that a vector within `ends` leads to from one of its own.
    pub fn plus(mut self, ends: Hull) -> Solid {
        let Solid { centre, halves } = Solid::of_box(ends);
        self.centre = std::array::from_fn(|r| self.centre[r] + centre[r]);
        self.halves.extend(halves);
        self
    }

    /// The smallest box around it.
    pub fn hull(&self) -> Hull {
        std::array::from_fn(|r| {
            let reach: f64 = self.halves.iter().map(|half| half[r].abs()).sum();
            [self.centre[r] - reach, self.centre[r] + reach]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turned_box_and_what_is_added() {
        let cube = Solid::of_box([[-1.0, 1.0]; 3]);
        let (c, s) = (0.6, 0.8);
        let turn = Affine::from_columns([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]], [10.0, 0.0, 0.0]);
        let turned = cube.moved(&turn);
        let close = |found: Hull, expected: Hull| {
            for (found, expected) in found.into_iter().flatten().zip(expected.into_iter().flatten()) {
                assert!((found - expected).abs() < 1e-12, "{found} {expected}");
            }
        };
        close(turned.hull(), [[8.6, 11.4], [-1.4, 1.4], [-1.0, 1.0]]);
        close(turned.moved(&turn.inverse().unwrap()).hull(), [[-1.0, 1.0]; 3]);
        close(turned.plus([[0.0, 2.0], [-1.0, 0.0], [0.0; 2]]).hull(), [[8.6, 13.4], [-2.4, 1.4], [-1.0, 1.0]]);
    }
}
