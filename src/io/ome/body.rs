//! Where the image is in the body, by a transformation to a coordinate system that says how its axes lie there (OME-Zarr 0.6): what
//! scale and translation of the image's own system cannot say of oblique axes.

use serde_json::{Value, json};

use super::{
    Anatomy, AxisRole, Multiscale, OmeAxis, Placed, Transformation, anatomy::orientation_member, axis_roles, systems,
};
use crate::geometry::{Affine, Unit};

/// The name that we give to the system.
const WORLD: &str = "world";

/// Axes that a matrix of a file may have: OME-Zarr has five at most.
const MOST_AXES: usize = 8;

/// From the coordinates of the image's own system to the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// Of z, y, x in the units of the image's axes, to x, y, z toward right, anterior, superior, each in its unit.
    pub affine: Affine,
    /// Units of right, anterior, superior.
    pub units: [Unit; 3],
}

impl Body {
    /// Index to world of a level that is placed so along z, y, x in its own system; `unit` is that of the result. `None` where a unit
    /// is no length, or the map is none that can be turned round.
    pub fn grid_affine(&self, level: [Placed; 3], unit: &Unit) -> Option<Affine> {
        let mut placed = Affine::identity();
        for (a, own) in level.iter().enumerate() {
            placed.m[a][a] = own.scale;
            placed.m[a][3] = own.translation;
        }
        let mut affine = self.affine.after(&placed);
        for r in 0..3 {
            let factor = if self.units[r] == *unit { 1.0 } else { self.units[r].factor_to(unit)? };
            affine.m[r].iter_mut().for_each(|x| *x *= factor);
        }
        (affine.is_finite() && affine.inverse().is_some()).then_some(affine)
    }
}

impl Multiscale {
    /// The first transformation that says where the image is in the body.
    pub fn body(&self) -> Option<Body> {
        self.transformations.iter().find_map(|step| self.body_of(step))
    }

    /// What a transformation says of the place in the body: one with its numbers in the document, from the image's own system to one
    /// whose axes of space all say how they lie.
    pub(super) fn body_of(&self, step: &Transformation) -> Option<Body> {
        let own = self.stated_axes().ok()?;
        let own_name = self.own_system()?;
        if systems::system_name(step.other.get("input")) != Some(own_name) {
            return None;
        }
        let world = self.axes_of_system(step.output()?)?;
        let dims = own.len();
        if world.len() != dims || dims > MOST_AXES {
            return None;
        }
        let (from, to) = (space(&own)?, space(&world)?);
        let Anatomy::Stated(directions) = Anatomy::of(to.map(|d| Some(&world[d]))) else { return None };
        let matrix = matrix(step, dims, 0)?;
        let mut affine = Affine { m: [[0.0; 4]; 3] };
        let mut units = [const { Unit::Unknown }; 3];
        for (a, (right, positive)) in directions.into_iter().enumerate() {
            let row = &matrix[to[a]];
            let is_of_space = (0..dims).all(|d| from.contains(&d) || row[d] == 0.0);
            if !is_of_space {
                return None;
            }
            let sign = if positive { 1.0 } else { -1.0 };
            affine.m[right] = [row[from[0]], row[from[1]], row[from[2]], row[dims]].map(|x| sign * x + 0.0);
            units[right] = world[to[a]].unit.as_deref().map_or(Unit::Unknown, Unit::from_name);
        }
        Some(Body { affine, units })
    }
}

/// The dimensions of z, y, x, where all three are there.
fn space(axes: &[OmeAxis]) -> Option<[usize; 3]> {
    let mut found = [None; 3];
    for (d, role) in axis_roles(axes).ok()?.into_iter().enumerate() {
        if let AxisRole::Space(a) = role {
            found[a] = Some(d);
        }
    }
    let [z, y, x] = found;
    Some([z?, y?, x?])
}

/// The rows of a transformation of `dims` coordinates, each with its offset behind it; `None` for other kinds and numbers that are
/// elsewhere.
fn matrix(step: &Transformation, dims: usize, depth: usize) -> Option<Vec<Vec<f64>>> {
    let mut rows: Vec<Vec<f64>> =
        (0..dims).map(|r| (0..=dims).map(|c| if r == c { 1.0 } else { 0.0 }).collect()).collect();
    match step.kind.as_str() {
        "identity" => {}
        "scale" => {
            let factors = step.scale.as_ref().filter(|list| list.len() == dims)?;
            factors.iter().enumerate().for_each(|(r, factor)| rows[r][r] = *factor);
        }
        "translation" => {
            let offsets = step.translation.as_ref().filter(|list| list.len() == dims)?;
            offsets.iter().enumerate().for_each(|(r, offset)| rows[r][dims] = *offset);
        }
        kind @ ("affine" | "rotation") => {
            let stated: Vec<Vec<f64>> = serde_json::from_value(step.other.get(kind)?.clone()).ok()?;
            let columns = if kind == "affine" { dims + 1 } else { dims };
            if stated.len() != dims || stated.iter().any(|row| row.len() != columns) {
                return None;
            }
            for (row, stated) in rows.iter_mut().zip(stated) {
                row[..columns].copy_from_slice(&stated);
            }
        }
        "sequence" if depth < 4 => {
            for inner in &step.transformations {
                rows = after(&matrix(inner, dims, depth + 1)?, &rows);
            }
        }
        _ => return None,
    }
    Some(rows)
}

/// First `inner`, then `outer`.
fn after(outer: &[Vec<f64>], inner: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let dims = inner.len();
    let entry = |row: &[f64], c: usize| {
        let sum: f64 = (0..dims).map(|k| row[k] * inner[k][c]).sum();
        if c == dims { sum + row[dims] } else { sum }
    };
    outer.iter().map(|row| (0..=dims).map(|c| entry(row, c)).collect()).collect()
}

/// The system of the world, right, anterior and superior, and the transformation to it from the system `own` of an image with `outer`
/// axes before z, y, x. `affine` is as in [`Body`].
pub fn world_system(own: &str, outer: &[OmeAxis], unit: Option<&str>, affine: &Affine) -> (Value, Transformation) {
    let space = ["z", "y", "x"].into_iter().enumerate().map(|(a, name)| OmeAxis {
        name: name.into(),
        kind: Some("space".into()),
        unit: unit.map(str::to_string),
        other: [orientation_member((2 - a, true))].into_iter().collect(),
    });
    let axes: Vec<OmeAxis> = outer.iter().cloned().chain(space).collect();
    let (before, dims) = (outer.len(), axes.len());
    let row = |r: usize| -> Vec<f64> {
        match r.checked_sub(before) {
            None => (0..=dims).map(|c| if c == r { 1.0 } else { 0.0 }).collect(),
            Some(a) => std::iter::repeat_n(0.0, before).chain(affine.m[2 - a]).collect(),
        }
    };
    let rows: Vec<Vec<f64>> = (0..dims).map(row).collect();
    let ends = json!({"input": {"name": own}, "output": {"name": WORLD}, "affine": rows});
    let other = ends.as_object().cloned().unwrap_or_default();
    (json!({"name": WORLD, "axes": axes}), Transformation { kind: "affine".into(), other, ..Transformation::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(name: &str, kind: &str) -> OmeAxis {
        OmeAxis { name: name.into(), kind: Some(kind.into()), unit: Some("millimeter".into()), ..OmeAxis::default() }
    }

    fn oblique() -> Affine {
        Affine::from_columns([[0.1, 0.3, 2.0], [-1.2, 0.2, 0.1], [0.4, 1.5, -0.3]], [-90.0, 12.5, 33.0])
    }

    fn assert_close(found: [f64; 3], expected: [f64; 3]) {
        assert!((0..3).all(|r| (found[r] - expected[r]).abs() < 1e-9), "{found:?} {expected:?}");
    }

    fn image(transformations: Vec<Transformation>, world: Value) -> Multiscale {
        let own = json!({"name": "own", "axes": [axis("t", "time"), axis("z", "space"), axis("y", "space"), axis("x", "space")]});
        let level =
            json!({"type": "scale", "scale": [1.0, 1.0, 1.0, 1.0], "input": {"path": "0"}, "output": {"name": "own"}});
        let document = json!({"coordinateSystems": [own, world],
            "datasets": [{"path": "0", "coordinateTransformations": [level]}], "coordinateTransformations": transformations});
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let (world, step) = world_system("own", &[axis("t", "time")], Some("millimeter"), &oblique());
        let found = image(vec![step], world);
        let body = found.body().unwrap();
        assert_eq!((body.affine, found.other_systems().len()), (oblique(), 0));
        let level = [2.0, 3.0, 4.0].map(|scale| Placed { scale, translation: 0.5 });
        let affine = body.grid_affine(level, &Unit::Millimetre).unwrap();
        assert_close(affine.apply([1.0, 1.0, 1.0]), oblique().apply([2.5, 3.5, 4.5]));
        assert!(body.grid_affine([Placed { scale: 0.0, translation: 0.0 }; 3], &Unit::Millimetre).is_none());
    }

    /// A left-handed world: its axes are turned, and a rotation counts as an affine does.
    #[test]
    fn axes_of_the_world_lie_as_they_say() {
        let ways = [("z", "inferior-to-superior"), ("y", "anterior-to-posterior"), ("x", "right-to-left")];
        let axes = ways.map(|(name, way)| {
            json!({"name": name, "type": "space", "unit": "micrometer",
            "orientation": {"type": "anatomical", "value": way}})
        });
        let world = json!({"name": "lps", "axes": [axis("t", "time"), axes[0], axes[1], axes[2]]});
        let turn = json!({"type": "rotation", "rotation": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]]});
        let moved = json!({"type": "translation", "translation": [0.0, 1000.0, 2000.0, 3000.0]});
        let step = json!({"type": "sequence", "transformations": [turn, moved], "input": {"name": "own"}, "output": {"name": "lps"}});
        let body = image(vec![serde_json::from_value(step).unwrap()], world).body().unwrap();
        let level = [Placed { scale: 1000.0, translation: 0.0 }; 3];
        let affine = body.grid_affine(level, &Unit::Millimetre).unwrap();
        // z, y, x to z, -x, y in LPS micrometres.
        assert_close(affine.apply([5.0, 6.0, 7.0]), [-9.0, 5.0, 6.0]);
    }

    #[test]
    fn what_is_no_place_in_the_body_is_left() {
        let (world, step) = world_system("own", &[axis("t", "time")], None, &oblique());
        let change = |key: &str, value: Value| {
            let mut step = step.clone();
            step.other.insert(key.into(), value);
            image(vec![step], world.clone())
        };
        for found in [
            change("input", json!({"name": "other"})),
            change("output", json!({"name": "own"})),
            change("affine", json!([[1, 2], [3]])),
            change("affine", json!("numbers")),
            change("affine", json!(vec![vec![1.0; 5]; 4])),
        ] {
            assert_eq!(found.body(), None);
            assert_eq!(found.other_systems().len(), 1);
        }
    }
}
