//! Axis codes such as RAS and LPI.

use std::{fmt, str::FromStr};

use super::{Affine, Grid, assignment::best_assignment};
use crate::error::{Error, Result};

/// The letters of each world axis, toward lower and toward higher coordinates: world is RAS+.
const LETTERS: [[char; 2]; 3] = [['L', 'R'], ['P', 'A'], ['I', 'S']];
const NAMES: [&str; 3] = ["left-right", "posterior-anterior", "inferior-superior"];

/// Which world axis each axis of a grid runs along, and which way.
///
/// Written as three letters for the file's own axes i, j, k, each the way *toward* which the index grows: "RAS" means
/// that i grows to the right, j to the front, k to the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orientation {
    /// In storage order: k, j, i. The world axes are a permutation.
    axes: [Direction; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Direction {
    world_axis: usize,
    positive: bool,
}

impl Orientation {
    /// The closest codes of `grid`: the assignment of axes with the largest product of cosines.
    ///
    /// Each world axis is taken once, however oblique the grid; where two assignments are equally close, the one nearest
    /// to i, j, k along x, y, z.
    pub fn of(grid: &Grid) -> Orientation {
        let affine = &grid.index_to_world;
        let cosine = |a: usize, r: usize| (affine.m[r][a] / affine.column_norm(a)).abs();
        let reversed = best_assignment(|a, b| cosine(a, 2 - b));
        let axes = std::array::from_fn(|a| {
            let world_axis = 2 - reversed[a];
            Direction { world_axis, positive: affine.m[world_axis][a] >= 0.0 }
        });
        Orientation { axes }
    }

    /// The axis of `grid`, in storage order, that each axis of the reoriented grid comes from, and whether it is flipped.
    pub fn axes_from(&self, grid: &Grid) -> [(usize, bool); 3] {
        let own = Orientation::of(grid).axes;
        self.axes.map(|wanted| {
            let a = own.iter().position(|d| d.world_axis == wanted.world_axis).unwrap_or_default();
            (a, own[a].positive != wanted.positive)
        })
    }

    /// `grid` with its axes permuted and flipped to these codes: the same voxels at the same world positions.
    pub fn reorient(&self, grid: &Grid) -> Grid {
        let from = self.axes_from(grid);
        let affine = &grid.index_to_world;
        let mut origin = affine.translation();
        let columns = from.map(|(a, flipped)| {
            let column = affine.column(a);
            if !flipped {
                return column;
            }
            let last = grid.shape[a].saturating_sub(1) as f64;
            origin = std::array::from_fn(|r| column[r].mul_add(last, origin[r]));
            column.map(|x| 0.0 - x)
        });
        Grid {
            shape: from.map(|(a, _)| grid.shape[a]),
            index_to_world: Affine::from_columns(columns, origin),
            stated_spacing: grid.stated_spacing.map(|stated| from.map(|(a, _)| stated[a])),
            ..grid.clone()
        }
    }

    /// The world axis that each axis runs along, in storage order, and whether toward higher coordinates.
    pub fn along(&self) -> [(usize, bool); 3] {
        self.axes.map(|d| (d.world_axis, d.positive))
    }
}

impl fmt::Display for Orientation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [k, j, i] = self.axes.map(|d| LETTERS[d.world_axis][usize::from(d.positive)]);
        write!(f, "{i}{j}{k}")
    }
}

impl FromStr for Orientation {
    type Err = Error;

    /// Three letters, in either case, one of each of LR, PA and IS.
    fn from_str(text: &str) -> Result<Orientation> {
        let refuse = |why: String| {
            Error::usage_hint(
                format!("orientation \"{text}\" {why}"),
                "give three letters for the axes i, j, k, one of each of L or R, P or A, I or S, such as RAS",
            )
        };
        let letters: Vec<char> = text.chars().collect();
        let [i, j, k] = letters[..] else {
            return Err(refuse(format!("has {} letters, expected 3", letters.len())));
        };
        let mut axes = [Direction { world_axis: 0, positive: true }; 3];
        for (axis, letter) in axes.iter_mut().zip([k, j, i]) {
            *axis = direction(letter).ok_or_else(|| refuse(format!("has the letter {letter}")))?;
        }
        for (world_axis, name) in NAMES.iter().enumerate() {
            let times = axes.iter().filter(|d| d.world_axis == world_axis).count();
            if times > 1 {
                return Err(refuse(format!("names the {name} axis {times} times")));
            }
        }
        Ok(Orientation { axes })
    }
}

fn direction(letter: char) -> Option<Direction> {
    let upper = letter.to_ascii_uppercase();
    let world_axis = LETTERS.iter().position(|pair| pair.contains(&upper))?;
    Some(Direction { world_axis, positive: LETTERS[world_axis][1] == upper })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Unit;

    fn ras() -> Grid {
        let columns = [[0.0, 0.0, 1.5], [0.0, 0.5, 0.0], [0.25, 0.0, 0.0]];
        let mut grid = Grid::new([5, 7, 11], Affine::from_columns(columns, [-10.0, -20.0, 30.0]), Unit::Millimetre);
        grid.stated_spacing = Some([1.5, 0.5, 0.25]);
        grid
    }

    fn code(text: &str) -> Orientation {
        text.parse().unwrap()
    }

    #[test]
    fn letters_follow_i_j_k() {
        assert_eq!(Orientation::of(&ras()).to_string(), "RAS");
        let turned = code("SLP").reorient(&ras());
        assert_eq!(turned.shape, [7, 11, 5]);
        assert_eq!(turned.stated_spacing, Some([0.5, 0.25, 1.5]));
        assert_eq!(turned.index_to_world.column(2), [0.0, 0.0, 1.5]);
        assert_eq!(turned.index_to_world.column(1), [-0.25, 0.0, 0.0]);
        assert_eq!(turned.origin(), [-10.0 + 2.5, -20.0 + 3.0, 30.0]);
        assert_eq!(Orientation::of(&turned).to_string(), "SLP");
    }

    #[test]
    fn oblique_axes_take_each_world_axis_once() {
        // Both in-plane axes are closest to x; together the better one keeps it.
        let columns = [[0.0, 0.0, 1.0], [0.75, -0.66, 0.0], [0.8, 0.6, 0.0]];
        let grid = Grid::new([3, 3, 3], Affine::from_columns(columns, [0.0; 3]), Unit::Unknown);
        assert_eq!(Orientation::of(&grid).to_string(), "RPS");
    }

    #[test]
    fn case_does_not_matter() {
        assert_eq!(code("lPi"), code("LPI"));
        assert_eq!(code("lpi").to_string(), "LPI");
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        for (text, expected) in [
            ("RA", "orientation \"RA\" has 2 letters, expected 3"),
            ("", "orientation \"\" has 0 letters, expected 3"),
            ("RAX", "orientation \"RAX\" has the letter X"),
            ("RAß", "orientation \"RAß\" has the letter ß"),
            ("RLS", "orientation \"RLS\" names the left-right axis 2 times"),
            ("SSI", "orientation \"SSI\" names the inferior-superior axis 3 times"),
        ] {
            let error = text.parse::<Orientation>().unwrap_err();
            assert_eq!((error.to_string().as_str(), error.exit_code()), (expected, 2));
            assert!(error.hint().is_some());
        }
    }
}
