//! From an array's dimensions and their names, units and placements to our grid and outer axes.

use std::path::Path;

use super::meta::ArrayMeta;
use crate::{
    error::{Error, Result},
    geometry::{Affine, Grid, Unit},
    io::{
        Axis, Outer,
        ome::{AxisRole, OmeAxis, Placed, axis_roles},
    },
};

/// Which dimension of the array is which of our axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Dims {
    /// Dimensions along z, y, x; `None` where the array has none and the extent is 1.
    pub space: [Option<usize>; 3],
    /// Dimensions of the outer axes, slowest first.
    pub outer: Vec<usize>,
}

impl Dims {
    pub fn from_roles(roles: &[AxisRole]) -> Dims {
        let mut dims = Dims { space: [None; 3], outer: Vec::new() };
        for (d, role) in roles.iter().enumerate() {
            match role {
                AxisRole::Space(a) => dims.space[*a] = Some(d),
                AxisRole::Outer => dims.outer.push(d),
            }
        }
        dims
    }

    /// Values along z, y, x out of a list per dimension.
    pub fn spatial<V: Copy>(&self, list: &[V], absent: V) -> [V; 3] {
        self.space.map(|d| d.map_or(absent, |d| list[d]))
    }
}

/// Axes of an array that no image describes: by its dimension names where `y` and `x` are among them, else the last
/// three dimensions are z, y, x.
pub fn bare_axes(meta: &ArrayMeta, names: &[Option<String>]) -> (Vec<OmeAxis>, Vec<AxisRole>) {
    let dims = meta.shape.len();
    let name = |d: usize| names.get(d).cloned().flatten();
    let is_space = |name: &str| ["z", "y", "x"].iter().any(|axis| axis.eq_ignore_ascii_case(name));
    let named: Vec<OmeAxis> = (0..dims)
        .map(|d| {
            let name = name(d).unwrap_or_else(|| format!("dim{d}"));
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
/// It is the unit of x, or where that has none, of y, or of z. An axis without a unit is taken to be in that of the others.
pub fn spatial_unit(
    path: &Path,
    axes: &[OmeAxis],
    dims: &Dims,
    warnings: &mut Vec<String>,
) -> Result<(Unit, [f64; 3])> {
    let units = dims.space.map(|d| d.and_then(|d| axes[d].unit.as_deref()).map(Unit::from_ome_name));
    let Some(unit) = units.iter().rev().flatten().next().cloned() else {
        warnings.push(format!("{}: the axes have no unit", path.display()));
        return Ok((Unit::Unknown, [1.0; 3]));
    };
    let mut factors = [1.0; 3];
    for a in 0..3 {
        let Some(d) = dims.space[a] else { continue };
        let Some(own) = &units[a] else {
            let (name, symbol) = (&axes[d].name, unit.symbol());
            warnings.push(format!("{}: axis '{name}' has no unit, taken as {symbol}", path.display()));
            continue;
        };
        factors[a] = own.factor_to(&unit).ok_or_else(|| {
            let field = format!("unit of axis '{}'", axes[d].name);
            Error::malformed(path, field, own.symbol(), format!("a length, as the {} of another axis", unit.symbol()))
        })?;
    }
    Ok((unit, factors))
}

/// The grid of axis-aligned placements along z, y, x; world order is (x, y, z).
pub fn grid(shape: [u64; 3], placed: [Placed; 3], unit: Unit) -> Grid {
    let [z, y, x] = placed;
    let columns = [[0.0, 0.0, z.scale], [0.0, y.scale, 0.0], [x.scale, 0.0, 0.0]];
    let affine = Affine::from_columns(columns, [x.translation, y.translation, z.translation]);
    Grid { stated_spacing: Some(placed.map(|p| p.scale.abs())), ..Grid::new(shape, affine, unit) }
}

/// The outer axes and how many of each one chunk spans.
pub fn outer(meta: &ArrayMeta, dims: &Dims, axes: &[OmeAxis], placed: &[Placed]) -> Outer {
    let mut taken = Vec::new();
    let mut axis = |&d: &usize| Axis {
        name: outer_name(&axes[d], &mut taken),
        len: meta.shape[d],
        step: placed[d].scale,
        start: placed[d].translation,
        unit: axes[d].unit.clone(),
    };
    Outer {
        axes: dims.outer.iter().map(&mut axis).collect(),
        chunk: dims.outer.iter().map(|&d| meta.chunk[d].min(meta.shape[d])).collect(),
    }
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
