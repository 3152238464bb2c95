//! Metadata of an image when levels are added to it.
//!
//! Documents come and go as JSON; only what concerns the levels is changed.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::{
    error::{Error, Result},
    io::ome::{Multiscale, Placed, Transformation, level_placement},
};

/// One level below the finest, as the metadata tell it.
#[derive(Clone, Debug, PartialEq)]
pub struct AddedLevel {
    pub path: String,
    /// Voxels of the finest level that one voxel spans, per dimension of the array.
    pub factors: Vec<u64>,
}

/// The attributes of an image's group with `levels` below its finest, in place of those that it had.
///
/// `centred`: voxels stand at the centre of those that they span. Scale and translation are those of the finest level's own
/// transformations, so that what the image states for all its levels still holds.
///
/// # Errors
/// [`Error::Malformed`] where the attributes describe no image.
pub fn with_levels(
    path: &Path,
    attributes: &Map<String, Value>,
    levels: &[AddedLevel],
    method: Option<&str>,
    centred: bool,
) -> Result<Map<String, Value>> {
    let mut attributes = attributes.clone();
    let multiscales = match attributes.get_mut("ome").and_then(|ome| ome.get_mut("multiscales")) {
        Some(_) => attributes.get_mut("ome").and_then(|ome| ome.get_mut("multiscales")),
        None => attributes.get_mut("multiscales"),
    };
    let malformed = |what: String| Error::malformed(path, "multiscales", what, "NGFF 0.4 or 0.5 metadata");
    let image = multiscales.and_then(|images| images.get_mut(0)).ok_or_else(|| malformed("none".into()))?;
    let parsed: Multiscale = serde_json::from_value(image.clone()).map_err(|e| malformed(e.to_string()))?;
    // OME-Zarr before 0.3 names no axes.
    let dims = levels.first().map_or(parsed.axes.len(), |level| level.factors.len());
    let own = Multiscale { transformations: Vec::new(), ..parsed };
    let finest = level_placement(&own, 0, dims).map_err(malformed)?;
    let datasets = image.get_mut("datasets").and_then(Value::as_array_mut);
    let datasets = datasets.ok_or_else(|| malformed("no datasets".into()))?;
    datasets.truncate(1);
    datasets.extend(levels.iter().map(|level| dataset(level, &finest, centred)));
    if let (Some(method), Some(image)) = (method, image.as_object_mut()) {
        image.insert("type".into(), json!(method));
        // It described how the former levels were made.
        image.remove("metadata");
    }
    Ok(attributes)
}

fn dataset(level: &AddedLevel, finest: &[Placed], centred: bool) -> Value {
    let scale = |(p, &factor): (&Placed, &u64)| p.scale * factor as f64;
    let translation = |(p, &factor): (&Placed, &u64)| {
        let shift = if centred { (factor - 1) as f64 / 2.0 } else { 0.0 };
        p.translation + p.scale * shift
    };
    let along = |value: &dyn Fn((&Placed, &u64)) -> f64| finest.iter().zip(&level.factors).map(value).collect();
    json!({
        "path": level.path,
        "coordinateTransformations": [
            Transformation::scale(along(&scale)), Transformation::translation(along(&translation))],
    })
}

/// Consolidated metadata of Zarr v2 without the documents of the `former` levels and with those `added`, by their keys.
pub fn reconsolidate(document: &mut Value, former: &[String], added: Vec<(String, Value)>) {
    let Some(copies) = document.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    copies.retain(|key, _| !former.iter().any(|path| key.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))));
    copies.extend(added);
}

/// The path of level `n` beside the finest level's: its last digit counts, where that is 0.
pub fn level_path(finest: &str, n: usize) -> String {
    match finest.strip_suffix('0') {
        Some(stem) if !stem.ends_with(|c: char| c.is_ascii_digit()) => format!("{stem}{n}"),
        _ => format!("{finest}-level{n}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn images_without_named_axes_get_a_number_for_each() {
        let attributes = object(json!({"multiscales": [{"version": "0.1", "datasets": [{"path": "0"}]}]}));
        let level = AddedLevel { path: "1".into(), factors: vec![1, 1, 2, 2, 2] };
        let found = with_levels(Path::new("a"), &attributes, &[level], None, true).unwrap();
        let steps = &found["multiscales"][0]["datasets"][1]["coordinateTransformations"];
        assert_eq!(steps[0]["scale"], json!([1.0, 1.0, 2.0, 2.0, 2.0]));
        assert_eq!(steps[1]["translation"], json!([0.0, 0.0, 0.5, 0.5, 0.5]));
    }

    #[test]
    fn levels_are_placed_by_the_finest_levels_own_transformations() {
        let attributes = object(json!({"ome": {"version": "0.5", "omero": {"id": 1}, "multiscales": [{
            "axes": [{"name": "c", "type": "channel"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}],
            "datasets": [{"path": "0", "coordinateTransformations": [
                {"type": "scale", "scale": [1.0, 2.0, -3.0]}, {"type": "translation", "translation": [0.0, 5.0, 7.0]}]},
                {"path": "old"}],
            "coordinateTransformations": [{"type": "scale", "scale": [1.0, 10.0, 10.0]}],
            "metadata": {"method": "other"}, "mine": 1}]}, "theirs": [1]}));
        let level = AddedLevel { path: "1".into(), factors: vec![1, 4, 2] };
        let added = with_levels(Path::new("a"), &attributes, &[level], Some("mean"), true).unwrap();
        let image = &added["ome"]["multiscales"][0];
        assert_eq!(image["datasets"].as_array().unwrap().len(), 2);
        assert_eq!(image["datasets"][0], attributes["ome"]["multiscales"][0]["datasets"][0]);
        assert_eq!(
            image["datasets"][1],
            json!({"path": "1", "coordinateTransformations": [
            {"type": "scale", "scale": [1.0, 8.0, -6.0]}, {"type": "translation", "translation": [0.0, 8.0, 5.5]}]})
        );
        assert_eq!((&image["type"], &image["mine"], image.get("metadata")), (&json!("mean"), &json!(1), None));
        assert_eq!((&added["ome"]["omero"], &added["theirs"]), (&json!({"id": 1}), &json!([1])));
        assert!(with_levels(Path::new("a"), &Map::new(), &[], None, true).is_err());
    }

    #[test]
    fn paths_of_levels() {
        assert_eq!(
            ["0", "s0", "scale0", "10", "full"].map(|path| level_path(path, 2)),
            ["2", "s2", "scale2", "10-level2", "full-level2"]
        );
    }
}
