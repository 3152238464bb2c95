//! Where an image is by what it says as NIfTI: the header beside its levels, or the attribute of earlier versions of ours.

use std::path::Path;

use super::{
    super::{as_nifti::AsNifti, header, place},
    locate::Located,
};
use crate::{
    geometry::{Affine, Grid, Orientation, Unit},
    io::{
        nifti::LoneHeader,
        ome::{Anatomy, NiftiAttribute, Placed, index_between, level_placement},
    },
};

/// Relative difference up to which the header's steps are those of the image.
const STEP_DIFFERENCE: f64 = 1e-3;

/// In steps: how far the two may place the first voxel apart without a word.
const MAX_APART: f64 = 1e-3;

/// What is known of the level that is opened.
pub(super) struct Level<'a> {
    pub located: &'a Located,
    /// Placements of all axes to those of z, y, x in the grid's unit.
    pub in_unit: &'a dyn Fn(&[Placed]) -> [Placed; 3],
    /// As the metadata place the level.
    pub own: [Placed; 3],
    pub anatomy: &'a Anatomy,
}

impl Level<'_> {
    /// Puts `grid`, which is as OME's metadata have it, where NIfTI has it; nothing where the image says nothing of it, or says it of
    /// another image. `beside` are the bytes of the header beside the levels; `by_attribute` says whether the attribute may count.
    pub(super) fn place(
        &self,
        grid: &mut Grid,
        beside: Option<Vec<u8>>,
        by_attribute: bool,
        warnings: &mut Vec<String>,
    ) -> Option<AsNifti> {
        let image = self.located.image.as_ref()?;
        let finest = level_placement(image.multiscale(), 0, self.located.meta.shape.len()).ok()?;
        let finest = (self.in_unit)(&finest);
        if let Some(bytes) = beside {
            let beside = self.located.store.describe(header::NAME);
            let lone = LoneHeader::parse(&beside, &bytes, warnings);
            let placed = lone.map_err(|e| e.to_string()).and_then(|lone| {
                self.by_header(&beside, &lone, finest, grid, warnings)?;
                Ok(lone)
            });
            match placed {
                Ok(lone) => return Some(AsNifti::Header(Box::new(lone))),
                Err(what) => warnings.push(format!(
                    "{}: this NIfTI header is not the image's, and the OME metadata count: {what}",
                    beside.display()
                )),
            }
        }
        let attribute = NiftiAttribute::from_attributes(&image.attributes).filter(|_| by_attribute)?;
        let shape = (image.level == 0).then_some(grid.shape);
        let origin = place::grid(grid.shape, finest, grid.unit.clone(), self.anatomy).origin();
        grid.index_to_world = attribute.resolve(finest, origin, self.own, shape, &grid.unit)?;
        grid.anatomical = attribute.sform_code > 0 || attribute.qform_code > 0;
        Some(AsNifti::Attribute(attribute))
    }

    /// The header counts before OME's metadata, as NIfTI-Zarr has it, where it is of this image: of its extents and steps.
    fn by_header(
        &self,
        beside: &Path,
        lone: &LoneHeader,
        finest: [Placed; 3],
        grid: &mut Grid,
        warnings: &mut Vec<String>,
    ) -> Result<(), String> {
        let mut remarks = Vec::new();
        let stated = lone.grid(beside, &mut remarks).map_err(|e| e.to_string())?;
        let ratio: [f64; 3] = std::array::from_fn(|a| (self.own[a].scale / finest[a].scale).abs());
        let is_finest = ratio == [1.0; 3];
        let differs = |a: usize| {
            let (said, found) = (stated.shape[a] as f64, grid.shape[a] as f64 * ratio[a]);
            (said - found).abs() > if is_finest { 0.0 } else { ratio[a] }
        };
        if (0..3).any(differs) {
            let ([z, y, x], [nz, ny, nx]) = (stated.shape, grid.shape);
            return Err(format!("it is of {x}x{y}x{z} voxels, and the level has {nx}x{ny}x{nz}"));
        }
        if grid.unit == Unit::Unknown {
            grid.unit = stated.unit.clone();
        }
        let factor = stated.unit.factor_to(&grid.unit);
        let factor = factor
            .ok_or_else(|| format!("it is in {}, and the axes in {}", stated.unit.symbol(), grid.unit.symbol()))?;
        let affine = Affine { m: stated.index_to_world.m.map(|row| row.map(|x| x * factor)) };
        for (a, placed) in finest.iter().enumerate() {
            let (step, scale) = (affine.column_norm(a), placed.scale.abs());
            if (step - scale).abs() > STEP_DIFFERENCE * step {
                return Err(format!("its step along {} is {step}, and that of the image {scale}", ["z", "y", "x"][a]));
            }
        }
        warnings.extend(remarks.into_iter().map(|remark| format!("{}: {remark}", beside.display())));
        let spacing = stated.spacing();
        let level_spacing = std::array::from_fn(|a| spacing[a] * factor * ratio[a]);
        if !lone.has_forms() {
            // Its codes say that no form counts: where the axes begin is left to OME's metadata.
            grid.stated_spacing = Some(level_spacing);
            return Ok(());
        }
        let placed = Grid { index_to_world: affine, anatomical: true, ..grid.clone() };
        warnings.extend(self.contradiction(beside, finest, &placed));
        let level = if is_finest { affine } else { affine.after(&index_between(finest, self.own)) };
        *grid = Grid { index_to_world: level, anatomical: true, stated_spacing: Some(level_spacing), ..grid.clone() };
        Ok(())
    }

    /// What OME's metadata say otherwise than the header, which counts; `placed` is the finest level's grid by the header.
    fn contradiction(&self, beside: &Path, finest: [Placed; 3], placed: &Grid) -> Option<String> {
        let path = beside.display();
        if let Anatomy::Stated(directions) = self.anatomy
            && Orientation::of(placed).along() != *directions
        {
            let codes = Orientation::of(placed);
            return Some(format!(
                "{path}: by this NIfTI header the axes run {codes}, and their orientation in the OME metadata is another: the header counts"
            ));
        }
        let by_ome = place::grid(placed.shape, finest, placed.unit.clone(), self.anatomy).origin();
        let by_header = placed.origin();
        let step = (0..3).map(|a| placed.index_to_world.column_norm(a)).fold(f64::INFINITY, f64::min);
        let apart = (0..3).any(|r| (by_ome[r] - by_header[r]).abs() > MAX_APART * step);
        // Images of other programs say nothing of the origin in OME's metadata.
        let is_said = finest.iter().any(|p| p.translation != 0.0);
        (apart && is_said).then(|| {
            format!(
                "{path}: this NIfTI header has the first voxel at {by_header:?}, and the OME metadata at {by_ome:?}: the header counts"
            )
        })
    }
}

/// The names of the outer axes in the order of NIfTI's volumes: time the fastest.
pub(super) fn order_of_volumes(names: &[(String, bool)]) -> Vec<String> {
    let of = |time: bool| names.iter().filter(move |(_, is_time)| *is_time == time).map(|(name, _)| name.clone());
    of(false).chain(of(true)).collect()
}
