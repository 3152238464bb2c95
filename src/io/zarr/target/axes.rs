//! The axes of an image as NGFF has them.

use std::path::Path;

use crate::{
    error::{Error, Result},
    geometry::Unit,
    io::ome::{Directions, OmeAxis, orientation_member},
    layout::Axis,
};

/// Names of the axes of space, storage order.
pub(super) const SPACE: [&str; 3] = ["z", "y", "x"];

/// Axis `a` of space (z, y, x), and how it lies in the body, where that is known.
pub(super) fn space_axis(a: usize, unit: &Unit, directions: Option<Directions>) -> OmeAxis {
    OmeAxis {
        name: SPACE[a].into(),
        kind: Some("space".into()),
        unit: unit.ome_name().map(str::to_string),
        other: directions.map(|directions| orientation_member(directions[a])).into_iter().collect(),
    }
}

/// Whether an outer axis is time.
pub(super) fn is_time(axis: &Axis) -> bool {
    axis.name == "t"
}

/// An axis without a type would be taken for space by the schemas of 0.4 and 0.5.
pub(super) fn outer_axis(axis: &Axis) -> OmeAxis {
    let kind = match axis.name.as_str() {
        "t" => "time",
        "c" => "channel",
        _ => "custom",
    };
    OmeAxis { name: axis.name.clone(), kind: Some(kind.into()), unit: axis.unit.clone(), ..OmeAxis::default() }
}

/// The outer axes with the components as the innermost; NGFF 0.4 and 0.5 allow one time and one other axis.
pub(super) fn outer_axes(path: &Path, outer: &[Axis], components: usize) -> Result<Vec<Axis>> {
    let refuse =
        |what: String, hint: &str| Err(Error::Unsupported { path: path.to_path_buf(), what, hint: Some(hint.into()) });
    let mut axes = outer.to_vec();
    match components {
        1 => {}
        3 | 4 => {
            let colour = Axis { name: "c".into(), len: components as u64, step: 1.0, start: 0.0, unit: None };
            axes.push(colour);
        }
        2 => return refuse("OME-Zarr has no complex samples".into(), "write NIfTI, or convert to magnitude and phase"),
        n => return refuse(format!("{n} components per voxel cannot be written"), "write 1, 3 or 4"),
    }
    let times = axes.iter().filter(|axis| is_time(axis)).count();
    if times > 1 || axes.len() - times > 1 {
        let names: Vec<&str> = axes.iter().map(|axis| axis.name.as_str()).collect();
        let what = format!("OME-Zarr holds one time and one other axis beside space, not {}", names.join(", "));
        return refuse(what, "write NIfTI, or pick with --channel or --time until one of each is left");
    }
    if let Some(axis) = axes.iter().find(|axis| axis.len == 0 || !axis.step.is_finite() || !axis.start.is_finite()) {
        return refuse(format!("axis '{}' is empty or has no finite step", axis.name), "give it a length and a step");
    }
    Ok(axes)
}
