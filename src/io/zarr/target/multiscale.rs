//! What the metadata of a written image say of its axes and levels.

use serde_json::{Map, json};

use super::{
    ZarrTarget,
    axes::{outer_axis, space_axis},
};
use crate::{
    geometry::Grid,
    io::ome::{Anatomy, Dataset, Multiscale, Transformation},
    layout::Axis,
};

impl ZarrTarget {
    pub(super) fn multiscale(&self, order: &[usize]) -> Multiscale {
        let outer = order.iter().map(|&n| outer_axis(&self.outer[n]));
        let directions = Anatomy::along(&self.grid);
        let space = self.space().map(|a| space_axis(a, &self.grid.unit, directions));
        let axes = outer.chain(space).collect();
        let grids = std::iter::once(&self.grid).chain(&self.levels.coarser).enumerate();
        let datasets = grids.map(|(level, grid)| self.dataset(level, grid)).collect();
        let mut other = Map::new();
        if let Some(method) = self.levels.method.filter(|_| !self.levels.coarser.is_empty()) {
            other.insert("type".into(), json!(method));
        }
        Multiscale { name: Some(self.name.clone()), axes, datasets, other, ..Multiscale::default() }
    }

    fn dataset(&self, level: usize, grid: &Grid) -> Dataset {
        // Levels lie over each other in the space of the axes, whatever direction these have in the world.
        let (finest, own) = (self.spatial_scale(&self.grid), self.spatial_scale(grid));
        let shift = |a: usize| if self.levels.centred { (own[a] - finest[a]) / 2.0 } else { 0.0 };
        let (origin, directions) = (self.grid.origin(), Anatomy::along(&self.grid));
        let start = |a: usize| match directions.map(|directions| directions[a]) {
            Some((world, true)) => origin[world],
            Some((world, false)) => 0.0 - origin[world],
            None => origin[2 - a],
        };
        // A step of 0 is what NIfTI headers say where there is none; a scale must not be 0.
        let step = |axis: &Axis| if axis.step == 0.0 { 1.0 } else { axis.step };
        let scale = Transformation::scale(self.along(&step, own));
        let places = std::array::from_fn(|a| start(a) + shift(a));
        let translation = Transformation::translation(self.along(&|axis| axis.start, places));
        let transformations = vec![scale, translation];
        Dataset { path: level.to_string(), transformations, ..Dataset::default() }
    }

    fn spatial_scale(&self, grid: &Grid) -> [f64; 3] {
        let m = &grid.index_to_world.m;
        let diagonal = (0..3).all(|r| (0..3).all(|c| r + c == 2 || m[r][c] == 0.0));
        let spacing = grid.spacing();
        if diagonal && self.nifti.is_none() && Anatomy::along(&self.grid).is_none() {
            return std::array::from_fn(|a| spacing[a].copysign(m[2 - a][a]));
        }
        spacing
    }
}
