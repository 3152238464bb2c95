//! Pictures of a run: the three middle planes of a target and the same places of its source, sampled while both pass by.
//!
//! A picture is a plane of the target's world, cut into square pixels. Each pixel shows the voxel in which its centre lies, of the source and
//! of the target, so the two lie over each other and have the right aspect ratio. Nothing is interpolated. Workers write
//! samples without locks; which samples a pixel gets depends on its place alone, so pictures do not depend on threads or memory.

mod highest;
mod plane;
mod raster;
mod read;
mod track;
mod watched;

use crate::{
    geometry::{Grid, Mapping, inside},
    region::Region,
    voxel::{Dtype, Rounding, Voxel},
};

pub use highest::Highest;
pub use plane::{Plane, planes};
pub use raster::Raster;
pub use read::{Bound, Filled, fill};
pub use track::{MemoryPoint, Track};
pub use watched::{WatchedSink, WatchedSource};

/// Pixels along the longer side of a picture, by the least budget for so many: six pictures of f32 are 13.5, 4 and 0.9 MiB. There are few steps,
/// so that a slightly larger budget, as a refusal asks for, makes no larger pictures.
const PIXELS: [(u64, usize); 3] = [(256 << 20, 768), (64 << 20, 416), (0, 192)];

/// Pixels along the longer side of a picture, at most, within a budget.
pub fn pixels_within(memory_bytes: u64) -> usize {
    PIXELS.into_iter().find(|(least, _)| memory_bytes >= *least).map_or(0, |(_, pixels)| pixels)
}

/// What samples of a volume stand for: what they become in storage, and the real values of that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Values {
    pub stored: Dtype,
    pub rounding: Rounding,
    /// `(slope, intercept)` from stored samples to real values.
    pub slope: Option<(f64, f64)>,
}

impl Values {
    /// The real value of a sample as it is stored.
    pub fn of<T: Voxel>(&self, sample: T) -> f64 {
        let stored = match T::DTYPE == self.stored {
            true => sample.to_f64(),
            false => crate::dispatch!(self.stored, U => U::from_f64(sample.to_f64(), self.rounding).to_f64()),
        };
        self.slope.map_or(stored, |(slope, intercept)| stored * slope + intercept)
    }
}

/// One plane with its samples before and after.
#[derive(Debug)]
pub struct Pair {
    pub plane: Plane,
    /// Nothing where there is one volume only.
    pub before: Option<Raster>,
    pub after: Raster,
    /// Pixels whose target voxel looks outside the source and holds the outside value; empty where only the run could tell.
    pub outside: Vec<bool>,
}

/// The pictures of one volume, while they are made and after.
#[derive(Debug)]
pub struct Pictures {
    pub pairs: Vec<Pair>,
    /// Of the source and of the target.
    pub values: [Values; 2],
    /// Whether the place in the source is exact, or leaves out a displacement.
    pub leaves_out_field: bool,
    /// What projections of the target along its axes are made of, where they are asked for.
    pub highest: Option<Highest>,
    /// Resident memory over the run.
    pub track: Track,
    /// Whether source and target say how their axes lie in a body.
    pub anatomical: [bool; 2],
    /// Whether voxels are names and not quantities, as far as the file or the method says.
    pub is_label: bool,
}

/// What pictures are made of.
#[derive(Clone, Debug)]
pub struct Scene<'a> {
    pub source: &'a Grid,
    pub target: &'a Grid,
    pub mapping: &'a Mapping,
    /// Source voxels that count as inside.
    pub bounds: Region,
    /// Whether target voxels that look outside hold a value of their own.
    pub has_outside: bool,
    pub values: [Values; 2],
    pub is_label: bool,
    /// Pixels along the longer side, at most.
    pub pixels: usize,
}

impl Pictures {
    /// Pictures without a sample; all of their memory is taken now.
    pub fn new(scene: &Scene<'_>) -> Pictures {
        let planes = planes(scene.target, scene.mapping, scene.pixels);
        let pair = |plane: Plane| {
            let to_source = plane.through(scene.mapping);
            Pair {
                before: Some(Raster::new(plane.size, to_source, scene.source.shape)),
                after: Raster::new(plane.size, plane.to_index, scene.target.shape),
                outside: outside(scene, &plane),
                plane,
            }
        };
        Pictures {
            pairs: planes.into_iter().map(pair).collect(),
            values: scene.values,
            leaves_out_field: matches!(scene.mapping, Mapping::Warped(_)),
            highest: None,
            track: Track::new(),
            anatomical: [scene.source.anatomical, scene.target.anatomical],
            is_label: scene.is_label,
        }
    }

    /// Adds projections of a target of this shape.
    pub fn with_highest(self, shape: [u64; 3], pixels: usize) -> Pictures {
        Pictures { highest: Some(Highest::new(shape, pixels)), ..self }
    }

    fn befores(&self) -> impl Iterator<Item = &Raster> {
        self.pairs.iter().filter_map(|pair| pair.before.as_ref())
    }

    /// Memory of the samples.
    pub fn bytes(&self) -> u64 {
        let rasters = self.pairs.iter().flat_map(|pair| pair.before.iter().chain([&pair.after]));
        let pixels: usize = rasters.map(Raster::pixels).sum();
        (pixels * size_of::<u32>()) as u64 + self.highest.as_ref().map_or(0, Highest::bytes)
    }
}

/// Pixels whose target voxel looks outside the source.
fn outside(scene: &Scene<'_>, plane: &Plane) -> Vec<bool> {
    if !scene.has_outside || matches!(scene.mapping, Mapping::Warped(_)) {
        return Vec::new();
    }
    let [width, height] = plane.size;
    let looks_outside = |at: [i64; 3]| {
        let index = scene.mapping.source_index(at.map(|i| i as f64));
        (0..3).any(|a| !inside(index[a], scene.bounds.lo[a], scene.bounds.hi[a]))
    };
    let pixels = (0..height).flat_map(|row| (0..width).map(move |column| [column, row]));
    pixels.map(|pixel| looks_outside(raster::nearest(&plane.to_index, pixel))).collect()
}

#[cfg(test)]
mod tests;
