//! Attributes of a source that its copy keeps.

use serde_json::{Map, Value, json};

use super::{OWN_ATTRIBUTE, OmeMetadata, OmeVersion};
use crate::io::view::Pick;

/// Attributes of a source that its copy keeps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Carried {
    /// Members that belong beside `multiscales`: `omero`, `image-label`.
    pub ome: Map<String, Value>,
    /// Members of the group's attributes that are not OME's.
    pub attributes: Map<String, Value>,
}

/// What of a target decides whether attributes still fit it.
#[derive(Clone, Copy, Debug)]
pub struct CarriedTo {
    pub version: OmeVersion,
    /// Extent of the channel axis, 1 without one.
    pub channels: u64,
    /// Planes along z of the source and of the target.
    pub planes: (u64, u64),
    /// Whether samples are integers, which labels are.
    pub integers: bool,
}

impl OmeMetadata {
    /// The attributes that a written group can take over: OME's own (`omero`, `image-label` without its source), and
    /// everybody else's.
    ///
    /// Left out is what describes the source's own structure: multiscales, versions, labels, plates, our attribute.
    pub fn carried(attributes: &Map<String, Value>) -> Carried {
        const STRUCTURE: [&str; 10] = [
            "ome",
            "multiscales",
            "omero",
            "labels",
            "plate",
            "well",
            "image-label",
            "bioformats2raw.layout",
            "_ARRAY_DIMENSIONS",
            OWN_ATTRIBUTE,
        ];
        let mut ome = Map::new();
        if let Some(omero) = ome_member(attributes, "omero") {
            ome.insert("omero".into(), omero.clone());
        }
        if let Some(Value::Object(label)) = ome_member(attributes, "image-label") {
            let members = label.iter().filter(|(key, _)| *key != "source");
            ome.insert("image-label".into(), members.map(|(key, value)| (key.clone(), value.clone())).collect());
        }
        let other = attributes.iter().filter(|(key, _)| !STRUCTURE.contains(&key.as_str()));
        Carried { ome, attributes: other.map(|(key, value)| (key.clone(), value.clone())).collect() }
    }

    /// What a copy of labels says that another format marks as such.
    pub fn label() -> Carried {
        let marked = json!({"version": OmeVersion::V04.name()});
        Carried { ome: [("image-label".to_string(), marked)].into_iter().collect(), ..Carried::default() }
    }

    /// Whether a group's attributes say that voxels are labels (NGFF 0.4 and 0.5, "image-label").
    pub fn is_label(attributes: &Map<String, Value>) -> bool {
        ome_member(attributes, "image-label").is_some()
    }
}

/// A member of OME's metadata: below `ome` (0.5) or at the top (0.4). One that is null is absent.
pub fn ome_member<'a>(attributes: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let member = attributes.get("ome").and_then(|ome| ome.get(key)).or(attributes.get(key));
    member.filter(|member| !member.is_null())
}

impl Carried {
    /// Drops the display settings of all channels but those picked.
    pub fn keep_channels(&mut self, pick: Pick) {
        let range = match pick {
            Pick::Index(index) => index..index.saturating_add(1),
            Pick::Range(first, end) => first..end,
        };
        let channels = self.ome.get_mut("omero").and_then(|omero| omero.get_mut("channels")?.as_array_mut());
        if let Some(channels) = channels {
            let mut n = 0..;
            channels.retain(|_| n.next().is_some_and(|n| range.contains(&n)));
        }
    }

    /// What fits the target. Channel windows are in real units and stay; settings for another number of channels go,
    /// with a warning, and the plane that viewers show first is the middle one where planes are new.
    pub fn fitting(&self, to: &CarriedTo, warnings: &mut Vec<String>) -> Carried {
        let mut carried = self.clone();
        if let Some(channels) = carried.ome.get("omero").and_then(|omero| omero.get("channels")?.as_array())
            && channels.len() as u64 != to.channels
        {
            warnings.push(format!(
                "the display settings (omero) are for {} channels and the target has {}: left out",
                channels.len(),
                to.channels
            ));
            carried.ome.remove("omero");
        }
        if !to.integers && carried.ome.remove("image-label").is_some() {
            warnings.push("the target's samples are no integers: it is not marked as a label image".into());
        }
        for member in carried.ome.values_mut() {
            restate_version(member, to.version);
        }
        let first_plane = carried.ome.get_mut("omero").and_then(|omero| omero.get_mut("rdefs")?.get_mut("defaultZ"));
        if let Some(plane) = first_plane
            && (to.planes.0 != to.planes.1 || plane.as_u64().is_none_or(|z| z >= to.planes.1))
        {
            *plane = json!(to.planes.1 / 2);
        }
        carried
    }
}

/// 0.4 has a version in each member, 0.5 one for all.
fn restate_version(member: &mut Value, version: OmeVersion) {
    let Some(members) = member.as_object_mut() else { return };
    if members.contains_key("version") {
        members.remove("version");
        if version == OmeVersion::V04 {
            members.insert("version".into(), json!(version.name()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(attributes: Value) -> Carried {
        OmeMetadata::carried(attributes.as_object().unwrap())
    }

    const TO: CarriedTo = CarriedTo { version: OmeVersion::V05, channels: 2, planes: (9, 9), integers: true };

    #[test]
    fn what_is_carried() {
        let all = carried(json!({"multiscales": [], "omero": {"id": 1}, "mine": [2], "reslice": {}, "labels": ["a"]}));
        assert_eq!(Value::Object(all.ome), json!({"omero": {"id": 1}}));
        assert_eq!(Value::Object(all.attributes), json!({"mine": [2]}));
        let label = json!({"ome": {"image-label": {"colors": [], "source": {"image": "../../"}}}});
        assert!(OmeMetadata::is_label(label.as_object().unwrap()));
        assert_eq!(Value::Object(carried(label).ome), json!({"image-label": {"colors": []}}));
    }

    #[test]
    fn windows_stay_and_a_wrong_number_of_channels_goes() {
        let window = json!({"window": {"min": 0.0, "max": 4095.0, "start": 12.5, "end": 800.0}, "color": "FF0000"});
        let two = carried(json!({"omero": {"channels": [window, window]}}));
        let mut warnings = Vec::new();
        assert_eq!(two.fitting(&TO, &mut warnings), two);
        assert!(warnings.is_empty());
        assert!(two.fitting(&CarriedTo { channels: 3, ..TO }, &mut warnings).ome.is_empty());
        assert!(warnings[0].contains('2') && warnings[0].contains('3'), "{warnings:?}");
    }

    #[test]
    fn versions_planes_and_labels_follow_the_target() {
        let source =
            carried(json!({"omero": {"version": "0.4", "rdefs": {"defaultZ": 7, "defaultT": 1}}, "image-label": {}}));
        let mut warnings = Vec::new();
        let same = source.fitting(&TO, &mut warnings);
        assert_eq!(same.ome["omero"], json!({"rdefs": {"defaultZ": 7, "defaultT": 1}}));
        let to = CarriedTo { version: OmeVersion::V04, planes: (9, 5), integers: false, ..TO };
        let other = source.fitting(&to, &mut warnings);
        assert_eq!(other.ome["omero"], json!({"rdefs": {"defaultZ": 2, "defaultT": 1}, "version": "0.4"}));
        assert_eq!((other.ome.len(), warnings.len()), (1, 1));
        let label = OmeMetadata::label().fitting(&TO, &mut warnings);
        assert!(OmeMetadata::is_label(json!({"ome": label.ome}).as_object().unwrap()));
        let odd = carried(json!({"omero": 3, "image-label": "x"}));
        assert_eq!(odd.fitting(&to, &mut warnings).ome["omero"], json!(3));
    }
}
