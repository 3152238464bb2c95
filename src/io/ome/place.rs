//! Which dimension of an array is which axis, and where the voxels of one level are.

use super::{Multiscale, OmeAxis, Transformation};

/// What a dimension is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AxisRole {
    /// Index into storage order: 0 is z, 1 is y, 2 is x.
    Space(usize),
    /// Time, channel or any other axis, kept in its stored order.
    Outer,
}

/// World coordinate along one axis: `scale * index + translation`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    pub scale: f64,
    pub translation: f64,
}

/// Roles by name (`z`, `y`, `x` in either case); other axes of type `space` take what is left, the last one fastest.
///
/// # Errors
///
/// A message where a name comes twice, more than three axes are spatial, or none is.
pub fn axis_roles(axes: &[OmeAxis]) -> Result<Vec<AxisRole>, String> {
    let mut taken = [false; 3];
    let mut roles = vec![AxisRole::Outer; axes.len()];
    for (role, axis) in roles.iter_mut().zip(axes) {
        let is_space = axis.kind.as_deref().is_none_or(|kind| kind == "space");
        let place = ["z", "y", "x"].iter().position(|name| axis.name.eq_ignore_ascii_case(name));
        let Some(place) = place.filter(|_| is_space) else { continue };
        if std::mem::replace(&mut taken[place], true) {
            return Err(format!("axis '{}' comes twice", axis.name));
        }
        *role = AxisRole::Space(place);
    }
    for (role, axis) in roles.iter_mut().zip(axes).rev() {
        if axis.kind.as_deref() != Some("space") || *role != AxisRole::Outer {
            continue;
        }
        let place = taken.iter().rposition(|taken| !taken).ok_or("more than three axes are spatial")?;
        taken[place] = true;
        *role = AxisRole::Space(place);
    }
    if taken == [false; 3] {
        return Err("no axis is spatial".into());
    }
    Ok(roles)
}

/// Scale and translation of level `level`, per axis in the order of the axes: the level's own transformations, then
/// those of the whole image that are steps (NGFF 0.4 and 0.5, "multiscales metadata").
///
/// # Errors
///
/// A message where a transformation is of another kind, of another length, or not finite.
pub fn level_placement(multiscale: &Multiscale, level: usize, dims: usize) -> Result<Vec<Placed>, String> {
    let dataset = multiscale.datasets.get(level).ok_or_else(|| format!("there is no level {level}"))?;
    let mut placed = vec![Placed { scale: 1.0, translation: 0.0 }; dims];
    for step in dataset.steps()?.iter().chain(multiscale.steps()) {
        compose(&mut placed, step)?;
    }
    if placed.iter().any(|p| !p.scale.is_finite() || !p.translation.is_finite()) {
        return Err(format!("scale and translation of level {level} are not finite"));
    }
    Ok(placed)
}

/// The first level with a smaller scale than level 0, along any axis.
pub fn finer_level(multiscale: &Multiscale, dims: usize) -> Option<usize> {
    let finest = level_placement(multiscale, 0, dims).ok()?;
    (1..multiscale.datasets.len()).find(|&level| {
        let Ok(placed) = level_placement(multiscale, level, dims) else { return false };
        placed.iter().zip(&finest).any(|(own, finest)| own.scale.abs() < finest.scale.abs() * (1.0 - 1e-6))
    })
}

fn compose(placed: &mut [Placed], step: &Transformation) -> Result<(), String> {
    let dims = placed.len();
    let numbers = |list: &Option<Vec<f64>>| -> Result<Vec<f64>, String> {
        let list = list.as_ref().ok_or_else(|| format!("a {} without its numbers is not supported", step.kind))?;
        if list.len() != dims {
            return Err(format!("a {} has {} numbers, expected {dims}", step.kind, list.len()));
        }
        Ok(list.clone())
    };
    match step.kind.as_str() {
        "identity" => {}
        "sequence" => step.transformations.iter().try_for_each(|step| compose(placed, step))?,
        "scale" => {
            for (p, factor) in placed.iter_mut().zip(numbers(&step.scale)?) {
                *p = Placed { scale: p.scale * factor, translation: p.translation * factor };
            }
        }
        "translation" => {
            for (p, offset) in placed.iter_mut().zip(numbers(&step.translation)?) {
                p.translation += offset;
            }
        }
        other => return Err(format!("transformation '{other}' is not supported")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::ome::Dataset;

    fn axes(names: &[(&str, Option<&str>)]) -> Vec<OmeAxis> {
        names
            .iter()
            .map(|(name, kind)| OmeAxis {
                name: name.to_string(),
                kind: kind.map(str::to_string),
                ..OmeAxis::default()
            })
            .collect()
    }

    #[test]
    fn roles_in_any_order() {
        use AxisRole::{Outer, Space};
        let space = Some("space");
        let roles = |names: &[(&str, Option<&str>)]| axis_roles(&axes(names));
        let xyz = roles(&[("x", space), ("t", Some("time")), ("y", space), ("z", space)]);
        assert_eq!(xyz.unwrap(), [Space(2), Outer, Space(1), Space(0)]);
        assert_eq!(roles(&[("Y", None), ("X", None)]).unwrap(), [Space(1), Space(2)]);
        assert_eq!(roles(&[("depth", space), ("y", space), ("x", space)]).unwrap(), [Space(0), Space(1), Space(2)]);
        assert_eq!(roles(&[("row", space), ("column", space)]).unwrap(), [Space(1), Space(2)]);
        assert!(roles(&[("x", space), ("x", space)]).is_err());
        assert!(roles(&[("t", Some("time"))]).is_err());
        assert!(roles(&[("a", space), ("b", space), ("c", space), ("d", space)]).is_err());
    }

    #[test]
    fn both_levels_of_transformations_compose_in_order() {
        let dataset = Dataset {
            path: "0".into(),
            transformations: vec![Transformation::scale(vec![2.0, 4.0]), Transformation::translation(vec![1.0, -1.0])],
            ..Dataset::default()
        };
        let mut image = Multiscale {
            datasets: vec![dataset],
            transformations: vec![Transformation::scale(vec![10.0, 0.5])],
            ..Multiscale::default()
        };
        let placed = level_placement(&image, 0, 2).unwrap();
        assert_eq!(placed[0], Placed { scale: 20.0, translation: 10.0 });
        assert_eq!(placed[1], Placed { scale: 2.0, translation: -0.5 });
        assert!(level_placement(&image, 1, 2).is_err());
        assert!(level_placement(&image, 0, 3).is_err());
        let steps = std::mem::take(&mut image.datasets[0].transformations);
        let sequence = Transformation { kind: "sequence".into(), transformations: steps, ..Transformation::default() };
        image.datasets[0].transformations = vec![sequence];
        assert_eq!(level_placement(&image, 0, 2).unwrap(), placed);
        image.datasets[0].transformations = std::mem::take(&mut image.datasets[0].transformations[0].transformations);
        image.transformations[0].scale = Some(vec![1e300, 1.0]);
        image.datasets[0].transformations[0].scale = Some(vec![1e300, 1.0]);
        assert!(level_placement(&image, 0, 2).is_err());
        image.transformations[0].kind = "rotation".into();
        assert!(level_placement(&image, 0, 2).is_err());
    }
}
