//! Compares two volumes voxel by voxel, in bounded memory.
//!
//! Both are walked in the same boxes ([`Walk`]), each read through a [`RegionReader`](crate::io::reader::RegionReader).
//! Real values are compared in f64; volumes of one stored type without slopes in that type. Where the numbers of voxels differ, B is
//! interpolated at the places of A's voxels ([`By::Place`]).

use std::{path::PathBuf, sync::atomic::AtomicBool};

use serde::Serialize;

use crate::{
    dispatch,
    error::{Error, PlanError, Result, mebibytes},
    io::{
        Source,
        convert::Conversion,
        input::{Input, IoMode},
        view::{View, ViewSource, components::Components},
        zarr::OpenOptions,
    },
    job::GridSummary,
    layout::{Access, Layout},
    sys,
    voxel::{Dtype, Voxel},
};

mod difference;
mod placed;
mod run;
mod walk;

pub use difference::{Differences, Largest, Tally};
use placed::Placed;
use run::Other;
pub use walk::Walk;

/// Farthest that two grids may put a voxel apart, in voxels, and still be the same.
const SAME_PLACE_VOXELS: f64 = 1e-4;

/// What to compare, and with what.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub a: PathBuf,
    pub b: PathBuf,
    /// Differences up to this are no difference, in real units.
    pub tolerance: f64,
    /// Ceiling of the resident memory of the whole process.
    pub memory_bytes: u64,
    pub threads: usize,
    pub io: IoMode,
    /// `None` takes the index where the numbers of voxels are the same, and the place where they are not.
    pub by: Option<By>,
}

/// Which voxels of B those of A are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The ones of the same index.
    Index,
    /// Values of B at the same places of the world: labels of the nearest voxel, anything else by linear interpolation. Where A's
    /// voxels lie outside of B, B is NaN.
    Place,
}

/// One of the two volumes.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    pub file: String,
    pub format: String,
    pub grid: GridSummary,
    /// Lengths of the outer axes, slowest first, single ones left out; components are the last of them.
    pub outer: Vec<u64>,
    pub dtype: Dtype,
    pub slope: Option<(f64, f64)>,
}

/// Whether the voxels of two grids are in the same places.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Geometry {
    pub same: bool,
    pub same_shape: bool,
    /// Steps within 1e-4 voxel over the grid, lengths converted.
    pub same_spacing: bool,
    /// Farthest distance of the two places of a voxel of A along an axis, in voxels; nothing where the shapes differ.
    pub apart_voxels: Option<f64>,
    /// Whether the units are the same; different ones are converted.
    pub same_unit: bool,
    /// Whether lengths can be compared; otherwise numbers are taken as they stand.
    pub comparable_units: bool,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    pub a: Side,
    pub b: Side,
    pub geometry: Geometry,
    pub tolerance: f64,
    /// Nothing where nothing was compared.
    pub by: Option<By>,
    /// Nothing where volumes, components or units do not belong together, or the numbers of voxels differ and the index was asked for.
    pub differences: Option<Differences>,
    pub memory_bytes: u64,
    /// Highest resident memory of the process so far, as the kernel counts it.
    pub peak_bytes: u64,
    pub warnings: Vec<String>,
}

impl Comparison {
    /// Whether both have as many voxels, and none of A is farther than the tolerance from what it was held against. Places do not count.
    pub fn agrees(&self) -> bool {
        self.geometry.same_shape && self.differences.as_ref().is_some_and(|found| found.beyond == 0)
    }
}

/// Compares two files of any format; `stop` is looked at between boxes.
///
/// # Errors
/// Files that cannot be read, a budget that is too small, two gzip streams whose volumes stand in different orders, and
/// [`Error::Stopped`].
pub fn compare(request: &Request, stop: &AtomicBool) -> Result<Comparison> {
    if request.tolerance.is_nan() || request.tolerance < 0.0 {
        return Err(Error::usage(format!("the tolerance is {}, expected 0 or more", request.tolerance)));
    }
    let a = Input::open(&request.a, &OpenOptions::default())?;
    let b = Input::open(&request.b, &OpenOptions::default())?;
    let pairing = Pairing::of(a.layout(), b.layout());
    let mut warnings = Vec::new();
    for (name, input, other) in [("A", &a, &b), ("B", &b, &a)] {
        let assumed = assumed_frame(input, other);
        warnings.extend(input.warnings().iter().chain(&assumed).map(|warning| format!("{name}: {warning}")));
    }
    warnings.extend(pairing.told.clone());
    let mut comparison = Comparison {
        geometry: geometry(a.layout(), b.layout()),
        a: side(request.a.display().to_string(), &a),
        b: side(request.b.display().to_string(), &b),
        tolerance: request.tolerance,
        by: None,
        differences: None,
        memory_bytes: request.memory_bytes,
        peak_bytes: 0,
        warnings,
    };
    comparison.by = chosen(request.by, &comparison.geometry, &pairing, (&a, &b));
    comparison.differences = match comparison.by {
        Some(By::Index) => Some(dispatch!(common_dtype(&a, &b), T => voxels::<T>(request, (&a, &b), pairing, stop))?),
        Some(By::Place) => Some(between_voxels(request, (&a, &b), stop)?),
        None => None,
    };
    comparison.peak_bytes = sys::resident().peak_bytes;
    Ok(comparison)
}

/// How voxels are held against each other, where they can be.
fn chosen(asked: Option<By>, geometry: &Geometry, pairing: &Pairing, (a, b): (&Input, &Input)) -> Option<By> {
    let as_stored = pairing.views.iter().all(Option::is_none) && a.layout().components == b.layout().components;
    let by = asked.unwrap_or(if geometry.same_shape { By::Index } else { By::Place });
    let can = match by {
        By::Index => geometry.same_shape,
        By::Place => geometry.comparable_units && as_stored,
    };
    (can && pairing.same_lengths).then_some(by)
}

fn side(file: String, input: &Input) -> Side {
    let layout = input.layout();
    Side {
        file,
        format: input.format_name(),
        grid: GridSummary::new(&layout.grid),
        outer: outer_lengths(layout),
        dtype: layout.stored,
        slope: input.slope(),
    }
}

fn outer_lengths(layout: &Layout) -> Vec<u64> {
    let lengths = layout.outer.axes.iter().map(|axis| axis.len).chain([layout.components as u64]);
    lengths.filter(|&len| len > 1).collect()
}

/// The stored type where both files have it and say no slope, else f64.
fn common_dtype(a: &Input, b: &Input) -> Dtype {
    let plain = a.slope().is_none() && b.slope().is_none();
    if plain && a.layout().stored == b.layout().stored { a.layout().stored } else { Dtype::F64 }
}

fn voxels<T: Voxel>(
    request: &Request,
    (a, b): (&Input, &Input),
    pairing: Pairing,
    stop: &AtomicBool,
) -> Result<Differences> {
    let components = if a.layout().components == b.layout().components { a.layout().components } else { 1 };
    let [a_view, b_view] = pairing.views;
    let open = |input: &Input, view: Option<View>| -> Result<Box<dyn Source<T>>> {
        let source = source::<T>(input, components, request.io)?;
        Ok(match view {
            Some(view) => Box::new(ViewSource::owned(source, view)),
            None => source,
        })
    };
    let (a, b) = (open(a, a_view)?, open(b, b_view)?);
    let walk = Walk::new(a.layout(), b.layout(), size_of::<T>(), request.memory_bytes, request.threads)?;
    run::differences(&walk, a.as_ref(), Other::Stored(b.as_ref()), request, stop)
}

fn between_voxels(request: &Request, (a, b): (&Input, &Input), stop: &AtomicBool) -> Result<Differences> {
    let source = source::<f64>(a, a.layout().components, request.io)?;
    let prepared_within = |memory_bytes| prepared(request, (a, b), memory_bytes, stop);
    let (walk, placed) = match prepared_within(request.memory_bytes) {
        Err(error) => return Err(with_least(error, request.memory_bytes, |bytes| prepared_within(bytes).map(drop))),
        Ok(both) => both,
    };
    run::differences(&walk, source.as_ref(), Other::Placed(&placed), request, stop)
}

/// Half of what is left of the budget is for boxes of both, the rest for B's voxels around them; one voxel is tried.
fn prepared(
    request: &Request,
    (a, b): (&Input, &Input),
    memory_bytes: u64,
    stop: &AtomicBool,
) -> Result<(Walk, Placed)> {
    let held_bytes = sys::reserved_bytes();
    let half_bytes = memory_bytes.saturating_sub(held_bytes) / 2;
    let made = Layout {
        access: Access::Random,
        chunk: a.layout().grid.shape,
        shard: None,
        transfer_bytes: 0,
        resident_bytes: 0,
        ..a.layout().clone()
    };
    let twice = |bytes: u64| held_bytes.saturating_add(bytes.saturating_sub(held_bytes).saturating_mul(2));
    let whole = |error| match smallest_bytes(&error) {
        Some(bytes) => too_small(memory_bytes, twice(bytes)),
        None => error,
    };
    let walk = Walk::new(a.layout(), &made, size_of::<f64>(), held_bytes + half_bytes, request.threads);
    let walk = walk.map_err(whole)?;
    let boxes_bytes = walk.projected_bytes.saturating_sub(held_bytes);
    let placed = Placed::open(request, b, memory_bytes - boxes_bytes, stop).map_err(whole)?;
    placed.try_one(stop).map_err(whole)?;
    Ok((walk, placed))
}

/// A refusal with a budget that was tried: what the boxes need is refused before what B's voxels around them need.
fn with_least(error: Error, memory_bytes: u64, tried: impl Fn(u64) -> Result<()>) -> Error {
    let Some(mut smallest_bytes) = smallest_bytes(&error) else { return error };
    while let Err(again) = tried(mebibytes(smallest_bytes) << 20) {
        match self::smallest_bytes(&again) {
            Some(more) if more > smallest_bytes => smallest_bytes = more,
            _ => break,
        }
    }
    too_small(memory_bytes, smallest_bytes)
}

fn too_small(memory_bytes: u64, smallest_bytes: u64) -> Error {
    PlanError::WalkTooSmall { what: "the comparison", memory_bytes, smallest_bytes }.into()
}

/// What a refusal of a budget asks for.
fn smallest_bytes(error: &Error) -> Option<u64> {
    match error {
        Error::Plan(PlanError::TooSmall { smallest_bytes, .. } | PlanError::WalkTooSmall { smallest_bytes, .. }) => {
            Some(*smallest_bytes)
        }
        _ => None,
    }
}

/// Real values; components that the other file has as an axis become one.
fn source<T: Voxel>(input: &Input, components: usize, io: IoMode) -> Result<Box<dyn Source<T>>> {
    let conversion = Conversion { slope: input.slope(), ..input.conversion() };
    let source = input.source::<T>(conversion, io)?;
    if source.layout().components == components { Ok(source) } else { Ok(Box::new(Components::new(source))) }
}

/// How the outer axes of two volumes belong together.
struct Pairing {
    /// For A and B, where one has its axes in another order than the other: the one that can be read so, in that order.
    views: [Option<View>; 2],
    /// Whether the axes have the same lengths then.
    same_lengths: bool,
    told: Option<String>,
}

impl Pairing {
    /// By name, where both have axes of the same names; else by place. Components that the other file has as an axis are one of the name `c`.
    fn of(a: &Layout, b: &Layout) -> Pairing {
        let long = |layout: &Layout, other: &Layout| -> Vec<String> {
            let axes = layout.outer.axes.iter().filter(|axis| axis.len > 1).map(|axis| axis.name.clone());
            let components = (layout.components > 1 && other.components == 1).then(|| "c".to_string());
            axes.chain(components).collect()
        };
        let (a_names, b_names) = (long(a, b), long(b, a));
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort_unstable();
            names
        };
        let by_place = Pairing { views: [None, None], same_lengths: outer_lengths(a) == outer_lengths(b), told: None };
        if a_names == b_names {
            return by_place;
        }
        let (a_told, b_told) = (a_names.join(", "), b_names.join(", "));
        let can_turn = |layout: &Layout, other: &Layout| {
            layout.access != Access::Ascending && (layout.components == 1 || layout.components == other.components)
        };
        let (turns_b, turns_a) = (can_turn(b, a), can_turn(a, b));
        if !(turns_a || turns_b) || sorted(&a_names) != sorted(&b_names) {
            let told =
                format!("the outer axes have different names (A {a_told}; B {b_told}) and are paired by their places");
            let is_worth_telling = by_place.same_lengths && a.components == b.components;
            return Pairing { told: is_worth_telling.then_some(told), ..by_place };
        }
        let in_order = |layout: &Layout, names: &[String]| {
            View::all(&layout.outer).in_order_of(&names.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let told = Some(format!("the outer axes are paired by their names (A {a_told}; B {b_told})"));
        let lengths = |view: &View, layout: &Layout| outer_lengths(&Layout { outer: view.outer(), ..layout.clone() });
        if turns_b {
            let view = in_order(b, &a_names);
            return Pairing { same_lengths: lengths(&view, b) == outer_lengths(a), views: [None, Some(view)], told };
        }
        let view = in_order(a, &b_names);
        Pairing { same_lengths: lengths(&view, a) == outer_lengths(b), views: [Some(view), None], told }
    }
}

/// What is taken for granted of a file's frame where the other file has one.
fn assumed_frame(input: &Input, other: &Input) -> Option<String> {
    match input {
        Input::Zarr(file) if other.layout().grid.anatomical => file.assumed_frame(),
        _ => None,
    }
}

/// Whether the grids are the same, over all voxels: an affine difference is largest at a corner.
pub fn geometry(a: &Layout, b: &Layout) -> Geometry {
    let factor = b.grid.unit.factor_to(&a.grid.unit);
    let mut b_to_world = b.grid.index_to_world;
    b_to_world.m.iter_mut().flatten().for_each(|x| *x *= factor.unwrap_or(1.0));
    let same_shape = a.grid.shape == b.grid.shape;
    let extent = a.grid.shape.map(|n| n.saturating_sub(1).max(1) as f64);
    let there_and_back = a.grid.index_to_world.solve(&b_to_world).filter(|_| same_shape);
    let apart_voxels = there_and_back.map(|map| {
        let corners = (0..8).map(|n| std::array::from_fn(|axis| if n >> axis & 1 == 1 { extent[axis] } else { 0.0 }));
        let apart = corners.flat_map(|corner: [f64; 3]| {
            let found = map.apply(corner);
            (0..3).map(move |axis| (found[axis] - corner[axis]).abs())
        });
        apart.fold(0.0, f64::max)
    });
    let (from, to) = (b_to_world, a.grid.index_to_world);
    let same_spacing = (0..3).all(|c| {
        let (old, new) = (to.column_norm(c), from.column_norm(c));
        (old - new).abs() * extent[c] <= SAME_PLACE_VOXELS * old
    });
    Geometry {
        same: apart_voxels.is_some_and(|voxels| voxels <= SAME_PLACE_VOXELS),
        same_shape,
        same_spacing,
        apart_voxels,
        same_unit: a.grid.unit == b.grid.unit,
        comparable_units: factor.is_some(),
    }
}
