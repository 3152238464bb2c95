//! How the axes of an image lie in the body (NGFF RFC-4, "orientation"): read and written.

use serde_json::{Value, json};

use super::OmeAxis;
use crate::geometry::{Grid, Orientation};

/// The member of an axis.
const MEMBER: &str = "orientation";

/// The senses in which an index may grow along each world axis (RAS+), first toward lower coordinates.
const SENSES: [[&str; 2]; 3] = [
    ["right-to-left", "left-to-right"],
    ["anterior-to-posterior", "posterior-to-anterior"],
    ["superior-to-inferior", "inferior-to-superior"],
];

/// Axes of a grid lie along those of the body where the cosines of the angles between them are greater.
const ALONG: f64 = 0.9;

/// The world axis (x, y, z of RAS+) along which each axis runs, in storage order, and whether its index grows toward higher
/// coordinates.
pub type Directions = [(usize, bool); 3];

/// What the axes of an image say of the body.
#[derive(Clone, Debug, PartialEq)]
pub enum Anatomy {
    Unstated,
    Stated(Directions),
    /// Something that is no orientation of the axes, and what.
    Odd(String),
}

impl Anatomy {
    /// What the axes z, y, x say; an image may lack some of them.
    pub fn of(axes: [Option<&OmeAxis>; 3]) -> Anatomy {
        let stated = axes.map(|axis| axis.and_then(|axis| axis.other.get(MEMBER)).filter(|value| !value.is_null()));
        if stated.iter().all(Option::is_none) {
            return Anatomy::Unstated;
        }
        let mut found = [None; 3];
        for (a, axis) in axes.iter().enumerate() {
            let Some(axis) = axis else { continue };
            let Some(value) = stated[a] else {
                return Anatomy::Odd(format!("axis '{}' has no orientation, and others have", axis.name));
            };
            let word = value.as_str().or_else(|| value.get("value")?.as_str());
            found[a] = word.and_then(direction);
            if found[a].is_none() {
                let told = word.map_or_else(|| value.to_string(), str::to_string);
                return Anatomy::Odd(format!("axis '{}' runs {told:.60}", axis.name));
            }
        }
        for (world, senses) in SENSES.iter().enumerate() {
            let times = found.iter().flatten().filter(|(axis, _)| *axis == world).count();
            if times > 1 {
                return Anatomy::Odd(format!("{times} axes run {} or back", senses[0]));
            }
        }
        // Axes that the image lacks take what is left.
        let mut left: Vec<usize> = (0..3).filter(|w| !found.iter().flatten().any(|(axis, _)| axis == w)).collect();
        Anatomy::Stated(found.map(|direction| direction.unwrap_or_else(|| (left.pop().unwrap_or_default(), true))))
    }

    /// Along which axes of the body those of `grid` lie, where it is known and they lie close to them.
    pub fn along(grid: &Grid) -> Option<Directions> {
        let directions = Orientation::of(grid).along();
        let affine = &grid.index_to_world;
        let is_close = |a: usize| affine.m[directions[a].0][a].abs() > ALONG * affine.column_norm(a);
        (grid.anatomical && (0..3).all(is_close)).then_some(directions)
    }
}

fn direction(word: &str) -> Option<(usize, bool)> {
    let word = word.trim().to_ascii_lowercase().replace('_', "-");
    let world = SENSES.iter().position(|senses| senses.contains(&word.as_str()))?;
    Some((world, SENSES[world][1] == word))
}

/// The member that says how an axis lies, for its other members.
pub fn orientation_member((world, positive): (usize, bool)) -> (String, Value) {
    (MEMBER.into(), json!({"type": "anatomical", "value": SENSES[world][usize::from(positive)]}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anatomy(values: [Value; 3]) -> Anatomy {
        let axes = values.map(|value| {
            let other =
                if value.is_null() { Default::default() } else { [(MEMBER.to_string(), value)].into_iter().collect() };
            OmeAxis { name: "a".into(), other, ..OmeAxis::default() }
        });
        Anatomy::of([Some(&axes[0]), Some(&axes[1]), Some(&axes[2])])
    }

    #[test]
    fn objects_and_bare_words() {
        let object = |value: &str| json!({"type": "anatomical", "value": value});
        let lps = Anatomy::Stated([(2, true), (1, false), (0, false)]);
        let words = ["inferior-to-superior", "anterior-to-posterior", "right-to-left"];
        assert_eq!(anatomy(words.map(object)), lps);
        assert_eq!(anatomy(words.map(Value::from)), lps);
        assert_eq!(anatomy([Value::Null, Value::Null, Value::Null]), Anatomy::Unstated);
    }

    #[test]
    fn what_is_no_orientation_is_told() {
        for values in [
            ["inferior-to-superior", "dorsal-to-ventral", "right-to-left"].map(Value::from),
            ["inferior-to-superior", "left-to-right", "right-to-left"].map(Value::from),
            [Value::Null, "anterior-to-posterior".into(), "right-to-left".into()],
            [json!(3), "anterior-to-posterior".into(), "right-to-left".into()],
        ] {
            assert!(matches!(anatomy(values.clone()), Anatomy::Odd(_)), "{values:?}");
        }
    }

    #[test]
    fn an_axis_that_is_not_there_takes_what_is_left() {
        let axis = |value: &str| OmeAxis {
            other: [(MEMBER.to_string(), json!(value))].into_iter().collect(),
            ..OmeAxis::default()
        };
        let found = Anatomy::of([None, Some(&axis("superior-to-inferior")), Some(&axis("right-to-left"))]);
        assert_eq!(found, Anatomy::Stated([(1, true), (2, false), (0, false)]));
    }
}
