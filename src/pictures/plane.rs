//! Which planes are shown, how large, and which way up.

use crate::geometry::{Affine, Grid, Mapping, Orientation};

/// Steps of no length count as this.
const NO_STEP: f64 = 1.0;

/// Letters of the world axes of a body, toward lower and toward higher coordinates (RAS+).
const LETTERS: [[&str; 2]; 3] = [["L", "R"], ["P", "A"], ["I", "S"]];
const BODY_NAMES: [&str; 3] = ["Sagittal", "Coronal", "Axial"];
const AXES: [&str; 3] = ["x", "y", "z"];

/// A middle plane of a grid, cut into pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    /// `Axial`, `Coronal`, `Sagittal`; `xy`, `xz`, `yz` where the file says nothing of a body.
    pub name: String,
    /// Columns and rows of pixels.
    pub size: [usize; 2],
    /// Extent of a pixel along columns and rows, in the unit of the grid; equal but for rounding to whole pixels.
    pub pixel: [f64; 2],
    /// From (column, row, 0) of a pixel's centre to the target's index, in storage order.
    pub to_index: Affine,
    /// What lies at the left, right, top and bottom edge.
    pub edges: [String; 4],
    /// The target axis (storage order) that the plane cuts, and where.
    pub cut: (usize, u64),
}

/// An axis of a picture: the storage axis that it runs along, and whether from its last voxel to its first.
#[derive(Clone, Copy, Debug)]
struct Direction {
    axis: usize,
    reversed: bool,
}

impl Plane {
    /// From (column, row, 0) of a pixel's centre to the source's index, in storage order; of a displacement field its base alone.
    pub fn through(&self, mapping: &Mapping) -> Affine {
        let at = |column: f64, row: f64| mapping.source_index(self.to_index.apply([column, row, 0.0]));
        let origin = at(0.0, 0.0);
        let toward = |[z, y, x]: [f64; 3]| [z - origin[0], y - origin[1], x - origin[2]];
        Affine::from_columns([toward(at(1.0, 0.0)), toward(at(0.0, 1.0)), [0.0; 3]], origin)
    }
}

/// The three middle planes of `target`, of at most `most` pixels along either side. A pixel is as small as the finest step in the plane, of the
/// target or of the source behind `mapping`, where that fits.
///
/// Bodies are shown as radiologists see them: the right at the left, the front or the head at the top, and a face that looks to the left.
/// Other volumes have x to the right and y or z down, as they are stored.
pub fn planes(target: &Grid, mapping: &Mapping, most: usize) -> Vec<Plane> {
    let steps = target.spacing().map(|step| if step > 0.0 && step.is_finite() { step } else { NO_STEP });
    let finest = source_steps(mapping, steps);
    let along = Orientation::of(target).along();
    let axis_of = |world: usize| along.iter().position(|(axis, _)| *axis == world).unwrap_or(2 - world);
    // Columns, rows, cut: world axes of a body, axes x, y, z of anything else.
    [(0, 1, 2), (0, 2, 1), (1, 2, 0)]
        .into_iter()
        .map(|(columns, rows, cut)| {
            if !target.anatomical {
                let [columns, rows, cut] = [columns, rows, cut].map(|axis| 2 - axis);
                let name = format!("{}{}", AXES[2 - columns], AXES[2 - rows]);
                let forward = |axis| Direction { axis, reversed: false };
                let edges =
                    [String::new(), format!("{} →", AXES[2 - columns]), String::new(), format!("{} ↓", AXES[2 - rows])];
                return plane(target, name, [forward(columns), forward(rows)], cut, (steps, finest, most), edges);
            }
            // Pictures run from right to left, from front to back, from head to feet: toward lower coordinates.
            let falling = |world: usize| {
                let axis = axis_of(world);
                Direction { axis, reversed: along[axis].1 }
            };
            let [[right, left], [bottom, top]] = [LETTERS[columns], LETTERS[rows]];
            let edges = [left, right, top, bottom].map(String::from);
            let name = BODY_NAMES[cut].to_string();
            plane(target, name, [falling(columns), falling(rows)], axis_of(cut), (steps, finest, most), edges)
        })
        .collect()
}

fn plane(
    target: &Grid,
    name: String,
    directions: [Direction; 2],
    cut: usize,
    (steps, finest, most): ([f64; 3], [f64; 3], usize),
    edges: [String; 4],
) -> Plane {
    let axes = directions.map(|direction| direction.axis);
    let extents = axes.map(|a| target.shape[a] as f64 * steps[a]);
    let smallest = axes.map(|a| steps[a].min(finest[a])).into_iter().fold(f64::INFINITY, f64::min);
    let longest = extents[0].max(extents[1]);
    let pixel = smallest.max(longest / most as f64);
    let size = extents.map(|extent| ((extent / pixel).round() as usize).clamp(1, most));
    let middle = target.shape[cut] / 2;
    let (mut columns, mut origin) = ([[0.0; 3]; 3], [0.0; 3]);
    origin[cut] = middle as f64;
    for (n, Direction { axis, reversed }) in directions.into_iter().enumerate() {
        let voxels = target.shape[axis] as f64 / size[n] as f64;
        let first = 0.5 * voxels - 0.5;
        (columns[n][axis], origin[axis]) = match reversed {
            false => (voxels, first),
            true => (-voxels, target.shape[axis] as f64 - 1.0 - first),
        };
    }
    let pixel = [0, 1].map(|n| extents[n] / size[n] as f64);
    Plane { name, size, pixel, to_index: Affine::from_columns(columns, origin), edges, cut: (cut, middle) }
}

/// How far apart source voxels stand along each target axis, in the target's unit.
fn source_steps(mapping: &Mapping, steps: [f64; 3]) -> [f64; 3] {
    let origin = mapping.source_index([0.0; 3]);
    std::array::from_fn(|a| {
        let mut index = [0.0; 3];
        index[a] = 1.0;
        let next = mapping.source_index(index);
        let voxels = (0..3).map(|s| (next[s] - origin[s]).powi(2)).sum::<f64>().sqrt();
        if voxels > 0.0 && voxels.is_finite() { steps[a] / voxels } else { steps[a] }
    })
}
