//! What the metadata of a written image say of its axes and levels.

use std::path::Path;

use serde_json::{Map, json};

use super::{
    ZarrTarget,
    axes::{SPACE, outer_axis, space_axis},
};
use crate::{
    error::{Error, Result},
    geometry::{Affine, Grid},
    io::ome::{Anatomy, Dataset, Directions, Multiscale, OmeAxis, OmeVersion, Transformation, world_system},
    layout::Axis,
};

/// The system that the levels of an image of 0.6 lead to.
const OWN_SYSTEM: &str = "physical";

impl ZarrTarget {
    pub(super) fn multiscale(&self, order: &[usize]) -> Multiscale {
        let outer = order.iter().map(|&n| outer_axis(&self.outer[n]));
        let directions = Anatomy::along(&self.grid);
        let space = self.space().map(|a| space_axis(a, &self.grid.unit, directions));
        let axes: Vec<OmeAxis> = outer.chain(space).collect();
        let grids = std::iter::once(&self.grid).chain(&self.levels.coarser).enumerate();
        let datasets = grids.map(|(level, grid)| self.dataset(level, grid)).collect();
        let mut other = Map::new();
        if let Some(method) = self.levels.method.filter(|_| !self.levels.coarser.is_empty()) {
            other.insert("type".into(), json!(method));
        }
        let image = Multiscale { name: Some(self.name.clone()), axes, datasets, other, ..Multiscale::default() };
        if self.version == OmeVersion::V06 { self.with_systems(image) } else { image }
    }

    /// OME-Zarr 0.6 has no steps below 0, which earlier versions have for axes that run backwards.
    pub(super) fn check_steps(&self, path: &Path) -> Result<()> {
        let scale = self.spatial_scale(&self.grid);
        let backwards = (0..3).find(|&a| self.version == OmeVersion::V06 && scale[a] < 0.0);
        let Some(a) = backwards else { return Ok(()) };
        Err(Error::Unsupported {
            path: path.to_path_buf(),
            what: format!("OME-Zarr 0.6 has no steps below 0, and that of axis {} is {}", SPACE[a], scale[a]),
            hint: Some("turn the axis round with --orient RAS, or write --ome 0.5".into()),
        })
    }

    /// The image of 0.5 as 0.6 has it: systems in place of axes, one transformation a level, and where the body is if scale and
    /// translation do not say it.
    fn with_systems(&self, mut image: Multiscale) -> Multiscale {
        let axes = std::mem::take(&mut image.axes);
        for level in &mut image.datasets {
            let steps = std::mem::take(&mut level.transformations);
            let ends = json!({"input": {"path": level.path}, "output": {"name": OWN_SYSTEM}});
            let other = ends.as_object().cloned().unwrap_or_default();
            let sequence =
                Transformation { kind: "sequence".into(), transformations: steps, other, ..Transformation::default() };
            level.transformations = vec![sequence];
        }
        let mut systems = vec![json!({"name": OWN_SYSTEM, "axes": axes})];
        if let Some(body) = self.body() {
            let (system, step) = world_system(OWN_SYSTEM, &axes[..axes.len() - 3], self.grid.unit.ome_name(), &body);
            systems.push(system);
            image.transformations = vec![step];
        }
        image.set_systems(systems);
        image
    }

    /// From coordinates of the image's own system (z, y, x) to the world, where that is the body's and more than the directions that
    /// the axes state.
    fn body(&self) -> Option<Affine> {
        if !self.grid.anatomical || self.lacking != [false; 3] {
            return None;
        }
        let affine = &self.grid.index_to_world;
        let along = Anatomy::along(&self.grid);
        let is_on_axes = |along: Directions| (0..3).all(|a| (0..3).all(|r| r == along[a].0 || affine.m[r][a] == 0.0));
        if along.is_some_and(is_on_axes) {
            return None;
        }
        let (scale, start) = (self.spatial_scale(&self.grid), self.starts());
        let columns = std::array::from_fn(|a| affine.column(a).map(|x| x / scale[a]));
        let origin = affine.translation();
        let offset = std::array::from_fn(|r| (0..3).fold(origin[r], |sum, a| sum - columns[a][r] * start[a]));
        Some(Affine::from_columns(columns, offset))
    }

    /// The place of the first voxel along z, y, x of the image's own system.
    fn starts(&self) -> [f64; 3] {
        let (origin, directions) = (self.grid.origin(), Anatomy::along(&self.grid));
        std::array::from_fn(|a| match directions.map(|directions| directions[a]) {
            Some((world, true)) => origin[world],
            Some((world, false)) => 0.0 - origin[world],
            None => origin[2 - a],
        })
    }

    fn dataset(&self, level: usize, grid: &Grid) -> Dataset {
        // Levels lie over each other in the space of the axes, whatever direction these have in the world.
        let (finest, own) = (self.spatial_scale(&self.grid), self.spatial_scale(grid));
        let shift = |a: usize| if self.levels.centred { (own[a] - finest[a]) / 2.0 } else { 0.0 };
        let start = self.starts();
        // A step of 0 is what NIfTI headers say where there is none; a scale must not be 0.
        let step = |axis: &Axis| if axis.step == 0.0 { 1.0 } else { axis.step };
        let scale = Transformation::scale(self.along(&step, own));
        let places = std::array::from_fn(|a| start[a] + shift(a));
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
