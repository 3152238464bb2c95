//! The grid rules: from what was asked to the target grid.
//!
//! In this order: crop, permute and flip, then size and step per axis (in `target_axis`).

use super::{
    Affine, Grid, Orientation,
    target_axis::{Align, AxisRule, MAX_VOXELS},
};
use crate::{
    error::{Error, Result},
    region::Region,
};

/// The file's names of the storage axes.
const AXIS_NAMES: [char; 3] = ['k', 'j', 'i'];

/// How the number of voxels and the step of the target are found. Triples in storage order.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Sizing {
    /// Same grid.
    #[default]
    Keep,
    /// Steps, in the source's unit.
    Spacing([f64; 3]),
    /// Numbers of voxels over the same field of view.
    Size([u64; 3]),
    /// Factors on the numbers of voxels.
    Scale([f64; 3]),
    /// The given step, or the smallest of the source; an axis of one voxel has none, and stays.
    Isotropic(Option<f64>),
    /// This grid, whole.
    Like(Grid),
}

/// What was asked of the target grid. Triples of `sizing` in storage order, after `orient`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GridRequest {
    pub sizing: Sizing,
    pub align: Align,
    pub orient: Option<Orientation>,
    /// Source voxels to crop to first, in the source's own storage order.
    pub region: Option<Region>,
    /// Axes that the file lacks, in the source's own storage order: they keep their size and step, unless with `Like`.
    pub lacking: [bool; 3],
    /// The target holds the whole source as transforms move it: see [`GridRequest::covering`].
    pub transformed: bool,
}

/// The answer: the target grid, and the source voxels that exist for it (the crop, or the whole grid).
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    pub target: Grid,
    /// In source indices.
    pub bounds: Region,
    /// Axes of the target that the file lacks; none of a reference's.
    pub lacking: [bool; 3],
}

impl GridRequest {
    /// The target grid, in the source's unit (`Like`: the reference's own), its stated spacing the exact step.
    ///
    /// Errors, all of usage: a region that is empty or reaches outside the source; a spacing, size or factor that is not a
    /// positive number; `Like` with an alignment or orientation; more than 2^62 voxels; a source without a step.
    pub fn resolve(&self, source: &Grid) -> Result<Resolved> {
        let bounds = self.bounds(source)?;
        let (target, lacking) = match &self.sizing {
            Sizing::Like(reference) => (self.like(reference)?, [false; 3]),
            _ => {
                let (base, lacking) = self.base(source, bounds);
                (resized(&base, self.rules(&base, lacking)?, self.align)?, lacking)
            }
        };
        voxels_within(&target)?;
        Ok(Resolved { target, bounds, lacking })
    }

    pub(super) fn bounds(&self, source: &Grid) -> Result<Region> {
        let whole = Region::of_shape(source.shape);
        let Some(region) = self.region else { return Ok(whole) };
        for (a, name) in AXIS_NAMES.iter().enumerate() {
            let (lo, hi, extent) = (region.lo[a], region.hi[a], whole.hi[a]);
            if lo >= hi {
                return Err(Error::usage(format!("region {lo}:{hi} along {name} is empty")));
            }
            if lo < 0 || hi > extent {
                return Err(Error::usage(format!(
                    "region {lo}:{hi} along {name} reaches outside the source, 0:{extent}"
                )));
            }
        }
        Ok(region)
    }

    fn like(&self, reference: &Grid) -> Result<Grid> {
        let refuse = |what: &str| {
            Err(Error::usage_hint(
                format!("the grid of a reference is taken whole: {what} cannot go with it"),
                format!("leave out {what}, or the reference"),
            ))
        };
        match (self.orient, self.align) {
            (Some(_), _) => refuse("an orientation"),
            (None, Align::Edges | Align::Center) => refuse("an alignment"),
            (None, Align::Origin) => Ok(reference.clone()),
        }
    }

    /// The cropped grid along the axes that the sizing speaks of, and which of those the file lacks.
    pub(super) fn base(&self, source: &Grid, bounds: Region) -> (Grid, [bool; 3]) {
        let cropped = cropped(source, bounds);
        match self.orient {
            Some(orient) => (orient.reorient(&cropped), orient.axes_from(&cropped).map(|(a, _)| self.lacking[a])),
            None => (cropped, self.lacking),
        }
    }

    /// The steps that are asked for; of an axis that the file lacks its own.
    pub(super) fn steps(&self, base: &Grid, lacking: [bool; 3]) -> Result<[f64; 3]> {
        let (rules, old) = (self.rules(base, lacking)?, base.spacing());
        Ok(std::array::from_fn(|a| match rules[a] {
            AxisRule::Keep | AxisRule::Size(_) => old[a],
            AxisRule::Spacing(step) => step,
            AxisRule::Scale(factor) => old[a] / factor,
        }))
    }

    fn rules(&self, base: &Grid, lacking: [bool; 3]) -> Result<[AxisRule; 3]> {
        let spacing = base.spacing();
        // A single plane has no step along its normal, whatever the file says.
        let is_isotropic = matches!(self.sizing, Sizing::Isotropic(_));
        let stays: [bool; 3] = std::array::from_fn(|a| lacking[a] || is_isotropic && base.shape[a] == 1);
        let mut rules = match self.sizing {
            Sizing::Keep | Sizing::Like(_) => [AxisRule::Keep; 3],
            Sizing::Spacing(step) => step.map(AxisRule::Spacing),
            Sizing::Size(size) => size.map(AxisRule::Size),
            Sizing::Scale(factor) => factor.map(AxisRule::Scale),
            Sizing::Isotropic(Some(step)) => [AxisRule::Spacing(step); 3],
            Sizing::Isotropic(None) => {
                let steps = (0..3).filter(|&a| !stays[a]).map(|a| spacing[a]);
                [AxisRule::Spacing(steps.fold(f64::INFINITY, f64::min)); 3]
            }
        };
        for a in 0..3 {
            if stays[a] {
                rules[a] = AxisRule::Keep;
            }
            let name = AXIS_NAMES[a];
            rules[a].check(name)?;
            if rules[a] != AxisRule::Keep && !(spacing[a] > 0.0 && spacing[a].is_finite()) {
                return Err(Error::usage(format!("the source's step along {name} is {}", spacing[a])));
            }
        }
        Ok(rules)
    }
}

/// Refuses a target of more voxels than can be counted.
pub(super) fn voxels_within(target: &Grid) -> Result<()> {
    let voxels = target.shape.iter().try_fold(1u64, |n, &extent| n.checked_mul(extent));
    if voxels.is_some_and(|voxels| voxels <= MAX_VOXELS) {
        return Ok(());
    }
    let [k, j, i] = target.shape;
    Err(Error::usage(format!("a target of {i} x {j} x {k} voxels is more than 2^62")))
}

/// The voxels `bounds` of `source` as a grid of their own.
fn cropped(source: &Grid, bounds: Region) -> Grid {
    if bounds == Region::of_shape(source.shape) {
        return source.clone();
    }
    let affine = &source.index_to_world;
    let columns = [0, 1, 2].map(|a| affine.column(a));
    let origin = affine.apply(bounds.lo.map(|i| i as f64));
    Grid {
        shape: std::array::from_fn(|a| bounds.hi[a].abs_diff(bounds.lo[a])),
        index_to_world: Affine::from_columns(columns, origin),
        ..source.clone()
    }
}

/// `base` with each axis resized by its rule; the direction stays.
fn resized(base: &Grid, rules: [AxisRule; 3], align: Align) -> Result<Grid> {
    let (affine, old) = (&base.index_to_world, base.spacing());
    let (mut columns, mut origin) = ([0, 1, 2].map(|a| affine.column(a)), affine.translation());
    let (mut shape, mut stated) = (base.shape, old);
    for (a, rule) in rules.into_iter().enumerate().filter(|(_, rule)| *rule != AxisRule::Keep) {
        let norm = affine.column_norm(a);
        let axis = rule.resolve(base.shape[a], old[a], norm, align).ok_or_else(|| {
            Error::usage(format!(
                "{rule} along {} makes no grid of {} voxels of {}",
                AXIS_NAMES[a], base.shape[a], old[a]
            ))
        })?;
        let direction = affine.column(a).map(|x| x / norm);
        if let Some(length) = axis.length {
            columns[a] = direction.map(|x| x * length);
        }
        origin = std::array::from_fn(|r| direction[r].mul_add(axis.shift, origin[r]));
        (shape[a], stated[a]) = (axis.size, axis.step);
    }
    let stated_spacing = if rules == [AxisRule::Keep; 3] { base.stated_spacing } else { Some(stated) };
    let index_to_world = Affine::from_columns(columns, origin);
    Ok(Grid { shape, index_to_world, stated_spacing, ..base.clone() })
}
