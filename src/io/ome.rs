//! OME-Zarr metadata (NGFF 0.4 to 0.6): the `multiscales` of a group, what they say of one level, and our own attribute.
//!
//! Numbers are f64 and unknown members are kept. Nothing here reads files or knows Zarr; documents come and go as JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod anatomy;
mod body;
mod carried;
mod nifti;
mod place;
mod systems;
mod tolerant;

pub use anatomy::{Anatomy, Directions, orientation_member};
pub use body::{Body, world_system};
pub use carried::{Carried, CarriedTo, ome_member};
pub use nifti::{NiftiAttribute, index_between};
pub use place::{AxisRole, Placed, axis_roles, finer_level, level_placement};

/// A version of NGFF that is written, with the version of Zarr that it stands on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OmeVersion {
    /// On Zarr v2.
    V04,
    /// On Zarr v3.
    #[default]
    V05,
    /// On Zarr v3, with coordinate systems.
    V06,
}

impl OmeVersion {
    /// `0.4`, `0.5`, `0.6`
    pub fn name(self) -> &'static str {
        match self {
            OmeVersion::V04 => "0.4",
            OmeVersion::V05 => "0.5",
            OmeVersion::V06 => "0.6",
        }
    }

    /// The version of Zarr below it.
    pub fn zarr_format(self) -> u8 {
        if self == OmeVersion::V04 { 2 } else { 3 }
    }
}

/// Images and levels of one group that are read at most: each is opened by its own, and a level that is a tenth coarser than the
/// one before needs 300 to come from 10^12 voxels to one.
const MOST_LEVELS: usize = 512;

/// The member of a group's or array's attributes that is ours.
pub const OWN_ATTRIBUTE: &str = "reslice";

/// What a group says of its images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OmeMetadata {
    #[serde(default, deserialize_with = "tolerant::text", skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    pub multiscales: Vec<Multiscale>,
    /// `omero` and whatever else stands beside `multiscales` (0.5) or among the attributes (0.4).
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One image at several resolutions, finest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Multiscale {
    #[serde(default, deserialize_with = "tolerant::text", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "tolerant::list", skip_serializing_if = "Vec::is_empty")]
    pub axes: Vec<OmeAxis>,
    pub datasets: Vec<Dataset>,
    #[serde(
        default,
        rename = "coordinateTransformations",
        deserialize_with = "tolerant::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub transformations: Vec<Transformation>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One axis of an image; NGFF 0.3 has the bare name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "AxisForm")]
pub struct OmeAxis {
    pub name: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AxisForm {
    Name(String),
    Full {
        name: String,
        #[serde(default, rename = "type", deserialize_with = "tolerant::text")]
        kind: Option<String>,
        #[serde(default, deserialize_with = "tolerant::text")]
        unit: Option<String>,
        #[serde(flatten)]
        other: Map<String, Value>,
    },
}

impl From<AxisForm> for OmeAxis {
    fn from(form: AxisForm) -> OmeAxis {
        match form {
            AxisForm::Name(name) => {
                let kind = match name.as_str() {
                    "t" => "time",
                    "c" => "channel",
                    _ => "space",
                };
                OmeAxis { name, kind: Some(kind.into()), ..OmeAxis::default() }
            }
            AxisForm::Full { name, kind, unit, other } => OmeAxis { name, kind, unit, other },
        }
    }
}

/// One level of an image: an array and where its voxels are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    #[serde(deserialize_with = "tolerant::word")]
    pub path: String,
    #[serde(
        default,
        rename = "coordinateTransformations",
        deserialize_with = "tolerant::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub transformations: Vec<Transformation>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One step from array indices to world coordinates, per axis in the order of the axes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transformation {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Vec<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translation: Option<Vec<f64>>,
    /// The steps of a `sequence` (OME-Zarr 0.6), the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transformations: Vec<Transformation>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Transformation {
    /// A factor for each dimension.
    pub fn scale(factors: Vec<f64>) -> Transformation {
        Transformation { kind: "scale".into(), scale: Some(factors), ..Transformation::default() }
    }

    /// An offset for each dimension, in world units.
    pub fn translation(offsets: Vec<f64>) -> Transformation {
        Transformation { kind: "translation".into(), translation: Some(offsets), ..Transformation::default() }
    }
}

impl OmeMetadata {
    /// The metadata among a group's attributes: below `ome` (0.5) or at the top (0.4 and before). `None` where there are
    /// no `multiscales`.
    ///
    /// # Errors
    ///
    /// The message of the JSON reader, where `multiscales` are there but not of the right form; more images or levels than any
    /// image has.
    pub fn from_attributes(attributes: &Map<String, Value>) -> Result<Option<OmeMetadata>, String> {
        let within = attributes
            .get("ome")
            .and_then(Value::as_object)
            .filter(|ome| ome.get("multiscales").is_some_and(|member| !member.is_null()));
        let list = within.unwrap_or(attributes).get("multiscales").and_then(Value::as_array);
        let levels = list.map_or(0, |images| images.iter().map(levels).fold(0, usize::saturating_add));
        if levels > MOST_LEVELS {
            return Err(format!("a list of {levels} images and levels (at most {MOST_LEVELS} are read)"));
        }
        let members = match within {
            Some(ome) => ome.clone(),
            None if attributes.get("multiscales").is_some_and(|member| !member.is_null()) => {
                // At the top the members are mixed with other people's attributes; only OME's own are taken.
                let own = |key: &str| matches!(key, "multiscales" | "omero");
                attributes.iter().filter(|(key, _)| own(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
            }
            None => return Ok(None),
        };
        let ome: OmeMetadata = serde_json::from_value(Value::Object(members)).map_err(|e| e.to_string())?;
        Ok(Some(ome))
    }
}

/// An image and its levels, counted.
fn levels(image: &Value) -> usize {
    1 + image.get("datasets").and_then(Value::as_array).map_or(0, Vec::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(attributes: Value) -> OmeMetadata {
        OmeMetadata::from_attributes(attributes.as_object().unwrap()).unwrap().unwrap()
    }

    fn multiscales() -> Value {
        json!([{"name": "head", "axes": [{"name": "y", "type": "space", "unit": "micrometer"}, {"name": "x", "type": "space"}],
            "datasets": [{"path": "0", "coordinateTransformations": [
                {"type": "scale", "scale": [150000.123456, 0.1]}], "note": 1}], "type": "gaussian"}])
    }

    #[test]
    fn numbers_stay_exact_and_unknown_members_stay() {
        for attributes in [
            json!({"multiscales": multiscales(), "omero": {"channels": []}}),
            json!({"ome": {"version": "0.5", "multiscales": multiscales(), "omero": {"channels": []}}}),
        ] {
            let ome = parse(attributes);
            let scale = &ome.multiscales[0].datasets[0].transformations[0].scale;
            assert_eq!(scale.as_deref(), Some(&[150000.123456, 0.1][..]));
            assert_eq!(ome.other["omero"], json!({"channels": []}));
            let back = serde_json::to_value(&ome).unwrap();
            assert_eq!(back["multiscales"], multiscales());
        }
    }

    #[test]
    fn bare_axis_names_of_version_0_3() {
        let ome = parse(json!({"multiscales": [{"axes": ["t", "y", "x"], "datasets": [{"path": "0"}]}]}));
        let kinds: Vec<_> = ome.multiscales[0].axes.iter().map(|a| a.kind.as_deref().unwrap()).collect();
        assert_eq!(kinds, ["time", "space", "space"]);
    }

    #[test]
    fn null_members_are_absent_and_numbers_are_names() {
        let ome = parse(json!({"ome": {"version": 0.5, "omero": null, "multiscales": [{
            "name": 0, "type": null, "metadata": null, "version": 0.5, "coordinateTransformations": null,
            "axes": [{"name": "c", "type": "channel", "unit": null}, {"name": "x", "type": null}],
            "datasets": [{"path": 0, "coordinateTransformations": null}, {"path": "1"}]}]}}));
        let image = &ome.multiscales[0];
        assert_eq!((ome.version.as_deref(), image.name.as_deref()), (Some("0.5"), Some("0")));
        assert_eq!((&image.axes[0].unit, &image.axes[1].kind), (&None, &None));
        assert_eq!((image.datasets[0].path.as_str(), image.datasets[0].transformations.len()), ("0", 0));
        assert!(image.transformations.is_empty());
        let none = json!({"multiscales": null, "ome": {"multiscales": null}});
        assert_eq!(OmeMetadata::from_attributes(none.as_object().unwrap()), Ok(None));
        let bare = parse(json!({"multiscales": [{"axes": null, "name": true, "datasets": [{"path": "0"}]}]}));
        assert_eq!((bare.multiscales[0].axes.len(), bare.multiscales[0].name.as_deref()), (0, Some("true")));
    }

    #[test]
    fn more_levels_than_an_image_can_have_are_refused() {
        let levels = |count: usize| vec![json!({"path": "0"}); count];
        let image = |count| json!({"axes": ["z", "y", "x"], "datasets": levels(count)});
        let read = |images: Value| OmeMetadata::from_attributes(json!({"multiscales": images}).as_object().unwrap());
        assert_eq!(read(json!([image(511)])).unwrap().unwrap().multiscales[0].datasets.len(), 511);
        for images in [json!([image(20_000)]), json!(vec![image(1); 3000]), json!([image(512)])] {
            let told = read(images).unwrap_err();
            assert!(told.contains("images and levels (at most 512 are read)"), "{told}");
        }
    }

    #[test]
    fn malformed_multiscales_are_an_error_and_none_are_none() {
        let bad = json!({"multiscales": [{"datasets": 3}]});
        assert!(OmeMetadata::from_attributes(bad.as_object().unwrap()).is_err());
        assert_eq!(OmeMetadata::from_attributes(&Map::new()), Ok(None));
        let levels = |n: usize| json!({"datasets": vec![json!({"path": "0"}); n]});
        let read = |images: Value| OmeMetadata::from_attributes(json!({"multiscales": images}).as_object().unwrap());
        assert!(read(json!([levels(500)])).is_ok());
        assert!(read(json!([levels(600)])).unwrap_err().contains("at most 512 are read"));
        assert!(read(Value::from(vec![levels(1); 600])).is_err());
    }
}
