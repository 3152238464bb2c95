//! Dimensions 4 to 7 as outer axes, slowest first: dimension 7 comes first.

use std::path::Path;

use super::header::Header;
use crate::{
    error::{Error, Result},
    layout::{Axis, Outer},
};

/// Bits 3-5 of `xyzt_units` and their OME names.
const TIMES: [(i32, &str); 4] = [(8, "second"), (16, "millisecond"), (24, "microsecond"), (32, "hertz")];

/// Time units that NIfTI lacks: name, name of one that it has, factor.
const LONGER_TIMES: [(&str, &str, f64); 4] = [
    ("minute", "second", 60.0),
    ("hour", "second", 3600.0),
    ("day", "second", 86_400.0),
    ("nanosecond", "microsecond", 1e-3),
];

/// The outer axes of a checked header: dimension 4 is `t`, 5 is `c` (`dim5` when it has one index), then `dim6`, `dim7`.
pub(super) fn outer(header: &Header) -> Outer {
    let rank = header.dim[0].clamp(0, 7) as usize;
    Outer::separate((4..=rank).rev().map(|n| axis(header, n)).collect())
}

fn axis(header: &Header, n: usize) -> Axis {
    let len = header.dim[n].unsigned_abs();
    let name = match n {
        4 => "t".into(),
        5 if len > 1 => "c".into(),
        _ => format!("dim{n}"),
    };
    let is_time = n == 4;
    Axis {
        name,
        len,
        step: step(header.pixdim[n]),
        start: if is_time && header.toffset.is_finite() { header.toffset } else { 0.0 },
        unit: if is_time { time_unit(header.xyzt_units) } else { None },
    }
}

/// What a `pixdim` beyond the third says: 0, negative and non-numbers say nothing.
fn step(pixdim: f64) -> f64 {
    if pixdim.is_finite() && pixdim > 0.0 { pixdim } else { 1.0 }
}

fn time_unit(xyzt_units: i32) -> Option<String> {
    TIMES.iter().find(|(code, _)| *code == xyzt_units & 0x38).map(|(_, name)| name.to_string())
}

/// Writes the outer axes into `dim`, `pixdim`, `toffset` and the time bits of `xyzt_units`.
///
/// The spatial `dim[1..4]` stand already. A value that says the same as the one in the header leaves it as it is.
pub(super) fn set_outer(path: &Path, header: &mut Header, outer: &Outer) -> Result<()> {
    for (n, axis) in place(path, outer)? {
        header.dim[n] = axis.len as i64;
        header.dim[0] = header.dim[0].max(n as i64);
        let (time_code, factor) = time_code(axis.unit.as_deref());
        if step(header.pixdim[n]) != axis.step * factor {
            header.pixdim[n] = axis.step * factor;
        }
        if axis.name == "t" {
            header.toffset = axis.start * factor;
            if axis.unit.is_some() {
                header.xyzt_units = header.xyzt_units & !0x38 | time_code;
            }
        }
    }
    Ok(())
}

/// Time code of an axis unit and the factor to it; 0 for anything that NIfTI cannot say.
fn time_code(unit: Option<&str>) -> (i32, f64) {
    let Some(unit) = unit else { return (0, 1.0) };
    let (name, factor) = LONGER_TIMES
        .iter()
        .find(|(longer, ..)| *longer == unit)
        .map_or((unit, 1.0), |(_, name, factor)| (*name, *factor));
    let code = TIMES.iter().find(|(_, known)| *known == name).map_or(0, |(code, _)| *code);
    (code, factor)
}

/// The dimension of each outer axis, fastest first.
///
/// Every axis goes to the dimension of its name where that keeps the order of the volumes: `t` to 4, `c` to 5, others to
/// the next free one. So (t, c) with c the faster becomes dimensions 6 and 5. Axes with one index are left out when
/// there are more than four.
fn place<'a>(path: &Path, outer: &'a Outer) -> Result<Vec<(usize, &'a Axis)>> {
    let crowded = outer.axes.len() > 4;
    let axes: Vec<&Axis> = outer.axes.iter().rev().filter(|axis| !crowded || axis.len > 1).collect();
    if axes.len() > 4 {
        return Err(Error::Unsupported {
            path: path.to_path_buf(),
            what: format!("NIfTI holds at most 4 axes beside the spatial ones, not {}", axes.len()),
            hint: Some("write a .zarr instead".into()),
        });
    }
    let mut next = 4;
    let mut placed = Vec::with_capacity(axes.len());
    for (n, &axis) in axes.iter().enumerate() {
        let last_possible = 7 - (axes.len() - 1 - n);
        let at = named_dimension(&axis.name).unwrap_or(next).clamp(next, last_possible);
        placed.push((at, axis));
        next = at + 1;
    }
    Ok(placed)
}

fn named_dimension(name: &str) -> Option<usize> {
    match name {
        "t" => Some(4),
        "c" | "dim5" => Some(5),
        "dim6" => Some(6),
        "dim7" => Some(7),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::nifti::Version;

    fn named(names: &[&str]) -> Outer {
        let axis = |(n, name): (usize, &&str)| Axis {
            name: name.to_string(),
            len: n as u64 + 2,
            step: 1.0,
            start: 0.0,
            unit: None,
        };
        Outer::separate(names.iter().enumerate().map(axis).collect())
    }

    fn dims(names: &[&str]) -> Vec<usize> {
        place(Path::new("x"), &named(names)).unwrap().iter().map(|(n, _)| *n).collect()
    }

    #[test]
    fn axes_come_slowest_first_and_go_back() {
        let mut header = Header::new(Version::One);
        header.dim = [7, 9, 9, 9, 5, 3, 1, 2];
        header.pixdim[4..].copy_from_slice(&[1.5, 0.0, 2.0, -1.0]);
        (header.toffset, header.xyzt_units) = (0.25, 2 | 16);
        let outer = outer(&header);
        let names: Vec<_> = outer.axes.iter().map(|a| (a.name.as_str(), a.len, a.step)).collect();
        assert_eq!(names, [("dim7", 2, 1.0), ("dim6", 1, 2.0), ("c", 3, 1.0), ("t", 5, 1.5)]);
        assert_eq!((outer.axes[3].start, outer.axes[3].unit.as_deref()), (0.25, Some("millisecond")));
        let mut back = Header { dim: [3, 9, 9, 9, 1, 1, 1, 1], ..header.clone() };
        set_outer(Path::new("x"), &mut back, &outer).unwrap();
        assert_eq!(back, header);
    }

    #[test]
    fn order_of_the_volumes_is_kept() {
        assert_eq!(dims(&["t"]), [4]);
        assert_eq!(dims(&["c"]), [5]);
        assert_eq!(dims(&["c", "t"]), [4, 5]);
        assert_eq!(dims(&["t", "c"]), [5, 6]);
        assert_eq!(dims(&["a", "dim7", "t", "c"]), [4, 5, 6, 7]);
        assert_eq!(dims(&["t", "dim7"]), [6, 7]);
        assert_eq!(dims(&["angle", "t"]), [4, 5]);
    }

    #[test]
    fn five_axes_do_not_fit_unless_one_is_single() {
        let mut outer = named(&["a", "b", "c", "d", "t"]);
        assert!(matches!(place(Path::new("x"), &outer), Err(Error::Unsupported { .. })));
        outer.axes[0].len = 1;
        assert_eq!(place(Path::new("x"), &outer).unwrap().len(), 4);
    }

    #[test]
    fn minutes_become_seconds() {
        let mut outer = named(&["t"]);
        (outer.axes[0].unit, outer.axes[0].step, outer.axes[0].start) = (Some("minute".into()), 0.5, 2.0);
        let mut header = Header { xyzt_units: 2 | 16, ..Header::new(Version::Two) };
        set_outer(Path::new("x"), &mut header, &outer).unwrap();
        assert_eq!((header.pixdim[4], header.toffset, header.xyzt_units), (30.0, 120.0, 2 | 8));
    }
}
