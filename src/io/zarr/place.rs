//! From an array's dimensions and their names, units and placements to our grid and outer axes.

use std::path::Path;

use super::meta::ArrayMeta;
use crate::{
    geometry::{Affine, Grid, Unit, time_name},
    io::ome::{Anatomy, AxisRole, OmeAxis, Placed, axis_roles},
    layout::{Axis, Outer},
};

/// Which dimension of the array is which of our axes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dims {
    /// Dimensions along z, y, x; `None` where the array has none and the extent is 1.
    pub space: [Option<usize>; 3],
    /// Dimensions of the outer axes, slowest first.
    pub outer: Vec<usize>,
}

impl Dims {
    /// Which dimension is which, by their roles in the array's order.
    pub(crate) fn from_roles(roles: &[AxisRole]) -> Dims {
        let mut dims = Dims { space: [None; 3], outer: Vec::new() };
        for (d, role) in roles.iter().enumerate() {
            match role {
                AxisRole::Space(a) => dims.space[*a] = Some(d),
                AxisRole::Outer => dims.outer.push(d),
            }
        }
        dims
    }

    /// Has the outer axes in the order of these names, where they are the same.
    pub(crate) fn reorder_outer(&mut self, axes: &[OmeAxis], names: &[String]) {
        let place = |d: &usize| names.iter().position(|name| *name == axes[*d].name);
        let mut places: Vec<Option<usize>> = self.outer.iter().map(place).collect();
        places.sort_unstable();
        if places == (0..names.len()).map(Some).collect::<Vec<_>>() {
            self.outer.sort_by_key(place);
        }
    }

    /// Axes that the array has no dimension for.
    pub(crate) fn lacking(&self) -> [bool; 3] {
        self.space.map(|d| d.is_none())
    }

    /// Values along z, y, x out of a list per dimension.
    pub(crate) fn spatial<V: Copy>(&self, list: &[V], absent: V) -> [V; 3] {
        self.space.map(|d| d.map_or(absent, |d| list[d]))
    }
}

/// Axes of an array that no image describes: by its dimension names where `y` and `x` are among them, else the last
/// three dimensions are z, y, x. Five dimensions without names are t, c, z, y, x, as microscopes write them.
pub(super) fn bare_axes(meta: &ArrayMeta, names: &[Option<String>]) -> (Vec<OmeAxis>, Vec<AxisRole>) {
    let dims = meta.shape.len();
    let name = |d: usize| names.get(d).cloned().flatten();
    let is_space = |name: &str| ["z", "y", "x"].iter().any(|axis| axis.eq_ignore_ascii_case(name));
    let is_unnamed = (0..dims).all(|d| name(d).is_none());
    let usual = |d: usize| if dims == 5 && is_unnamed { ["t", "c", "z", "y", "x"].get(d).copied() } else { None };
    let named: Vec<OmeAxis> = (0..dims)
        .map(|d| {
            let name = name(d).unwrap_or_else(|| usual(d).map_or_else(|| format!("dim{d}"), str::to_string));
            let kind = if is_space(&name) { "space" } else { "" };
            OmeAxis { name, kind: Some(kind.into()), ..OmeAxis::default() }
        })
        .collect();
    let has = |wanted: &str| named.iter().any(|axis| axis.name.eq_ignore_ascii_case(wanted));
    if has("y")
        && has("x")
        && let Ok(roles) = axis_roles(&named)
    {
        return (named, roles);
    }
    let first_space = dims.saturating_sub(3);
    let role = |d: usize| if d < first_space { AxisRole::Outer } else { AxisRole::Space(d + 3 - dims) };
    (named, (0..dims).map(role).collect())
}

/// The unit of space and the factors from each spatial axis' own unit to it.
///
/// It is the first known length among the units of x, y and z; where there is none, the first word that stands for one.
/// An axis without a unit, or with a word that is no length, is taken to be in that unit.
pub(super) fn spatial_unit(path: &Path, axes: &[OmeAxis], dims: &Dims, warnings: &mut Vec<String>) -> (Unit, [f64; 3]) {
    let units = dims.space.map(|d| d.and_then(|d| axes[d].unit.as_deref()).map_or(Unit::Unknown, Unit::from_name));
    let first = |is: &dyn Fn(&Unit) -> bool| units.iter().rev().find(|unit| is(unit)).cloned();
    let length = first(&|unit| unit.metres().is_some());
    let Some(unit) = length.or_else(|| first(&|unit| *unit != Unit::Unknown)) else {
        warnings.push(format!("{}: the axes have no unit", path.display()));
        return (Unit::Unknown, [1.0; 3]);
    };
    let mut factors = [1.0; 3];
    if unit.metres().is_none() {
        let (path, symbol) = (path.display(), unit.symbol());
        warnings
            .push(format!("{path}: the unit \"{symbol}\" is no length that is known: numbers are taken as they stand"));
    }
    for a in 0..3 {
        let Some(d) = dims.space[a] else { continue };
        match (units[a].factor_to(&unit), &units[a]) {
            (Some(factor), _) => factors[a] = factor,
            (None, own) => {
                let (path, name, symbol) = (path.display(), &axes[d].name, unit.symbol());
                let has =
                    if *own == Unit::Unknown { "no unit".into() } else { format!("the unit \"{}\"", own.symbol()) };
                warnings.push(format!("{path}: axis '{name}' has {has}, taken as {symbol}"));
            }
        }
    }
    (unit, factors)
}

/// The grid of axis-aligned placements along z, y, x; world order is (x, y, z).
///
/// Axes that state how they lie in the body make its right, anterior, superior the world: the place of a voxel is then
/// counted along each axis, in the sense in which its index grows.
pub(super) fn grid(shape: [u64; 3], placed: [Placed; 3], unit: Unit, anatomy: &Anatomy) -> Grid {
    let directions = match anatomy {
        Anatomy::Stated(directions) => Some(*directions),
        _ => None,
    };
    let (mut columns, mut origin) = ([[0.0; 3]; 3], [0.0; 3]);
    for (a, p) in placed.iter().enumerate() {
        let (world, sign) = match directions {
            None => (2 - a, 1.0),
            Some(directions) => {
                let (world, positive) = directions[a];
                (world, p.scale.signum() * if positive { 1.0 } else { -1.0 })
            }
        };
        // Adding 0 keeps -0 out of headers.
        columns[a][world] = sign * p.scale + 0.0;
        origin[world] = sign * p.translation + 0.0;
    }
    let affine = Affine::from_columns(columns, origin);
    let stated_spacing = Some(placed.map(|p| p.scale.abs()));
    Grid { stated_spacing, anatomical: directions.is_some(), ..Grid::new(shape, affine, unit) }
}

/// The outer axes and how many of each one chunk spans.
pub(super) fn outer(meta: &ArrayMeta, dims: &Dims, axes: &[OmeAxis], placed: &[Placed]) -> Outer {
    let mut taken = Vec::new();
    let mut axis = |&d: &usize| Axis {
        name: outer_name(&axes[d], &mut taken),
        len: meta.shape[d],
        step: placed[d].scale,
        start: placed[d].translation,
        unit: axes[d].unit.as_deref().and_then(outer_unit),
    };
    Outer {
        axes: dims.outer.iter().map(&mut axis).collect(),
        chunk: dims.outer.iter().map(|&d| meta.chunk[d].min(meta.shape[d])).collect(),
    }
}

/// A unit of time by its name in the vocabulary, anything else as it stands; nothing for a blank.
fn outer_unit(unit: &str) -> Option<String> {
    let unit = unit.trim();
    time_name(unit).or(Some(unit)).filter(|unit| !unit.is_empty()).map(str::to_string)
}

/// `t` for time and `c` for channels, whatever the axis is called; a second one keeps its own name.
fn outer_name(axis: &OmeAxis, taken: &mut Vec<&'static str>) -> String {
    let kind = axis.kind.as_deref().filter(|kind| !kind.is_empty());
    let is = |names: [&str; 2]| {
        kind == Some(names[1]) || kind.is_none() && names.iter().any(|name| axis.name.eq_ignore_ascii_case(name))
    };
    let short = if is(["t", "time"]) {
        "t"
    } else if is(["c", "channel"]) {
        "c"
    } else {
        return axis.name.clone();
    };
    if taken.contains(&short) {
        return axis.name.clone();
    }
    taken.push(short);
    short.into()
}
