//! Groups that hold images without being one: what to name instead (NGFF 0.4 and 0.5, "plate", "well", "labels").

use std::path::Path;

use serde_json::{Map, Value};

use crate::{error::Error, io::ome::ome_member};

/// Names listed at most, and characters of each.
const LISTED: usize = 8;
const NAME_CHARS: usize = 64;

/// The error for a group without `multiscales`: what it is, the first of what it holds, and a path that would do.
pub fn not_an_image(path: &Path, attributes: &Map<String, Value>) -> Error {
    let member = |key: &str| ome_member(attributes, key);
    let (what, hint) = if let Some(plate) = member("plate") {
        let wells = names(plate.get("wells"), "path");
        let first = wells.first.first().map_or("A/1", String::as_str);
        let example = path.join(first).join("0");
        (
            format!("a plate of {}, not one image", wells.tell("wells")),
            format!("name a field of a well, such as {}", example.display()),
        )
    } else if let Some(well) = member("well") {
        let fields = names(well.get("images"), "path");
        (format!("a well of {}, not one image", fields.tell("fields")), such_as("a field", path, &fields, "0"))
    } else if let Some(labels) = member("labels") {
        let labels = names(Some(labels), "");
        (format!("a group of {}, not one image", labels.tell("label images")), such_as("one", path, &labels, "NAME"))
    } else if member("bioformats2raw.layout").is_some() {
        (
            "a collection of images (bioformats2raw.layout), not one image".into(),
            such_as("one", path, &Names::default(), "0"),
        )
    } else {
        let hint = such_as("one of the images or arrays in it", path, &Names::default(), "0");
        ("a zarr group that is not an OME-Zarr image".into(), hint)
    };
    Error::Unsupported { path: path.to_path_buf(), what, hint: Some(hint) }
}

fn such_as(what: &str, path: &Path, names: &Names, otherwise: &str) -> String {
    let name = names.first.first().map_or(otherwise, String::as_str);
    format!("name {what}, such as {}", path.join(name).display())
}

/// How many names there are, and the first of them.
#[derive(Default)]
struct Names {
    count: usize,
    first: Vec<String>,
}

impl Names {
    /// "12 wells: A/1, A/2 and 10 more".
    fn tell(&self, what: &str) -> String {
        if self.first.is_empty() {
            return format!("{} {what}", self.count);
        }
        let more = match self.count - self.first.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{} {what} ({}{more})", self.count, self.first.join(", "))
    }
}

/// The strings of a list, or of the member `key` of its objects; only those that stay below the group.
fn names(list: Option<&Value>, key: &str) -> Names {
    let list = list.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let name = |entry: &Value| entry.as_str().or_else(|| entry.get(key)?.as_str()).map(str::to_string);
    let stays = |name: &String| !name.starts_with('/') && name.split('/').all(|part| part != "..");
    let short = |name: String| name.chars().take(NAME_CHARS).collect::<String>();
    Names { count: list.len(), first: list.iter().filter_map(name).filter(stays).take(LISTED).map(short).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(attributes: Value) -> (String, String) {
        let error = not_an_image(Path::new("p.zarr"), attributes.as_object().unwrap());
        (error.to_string(), error.hint().unwrap())
    }

    #[test]
    fn plates_and_wells_list_what_they_hold() {
        let wells: Vec<Value> = (1..=12).map(|n| json!({"path": format!("A/{n}"), "rowIndex": 0})).collect();
        for attributes in [json!({"plate": {"wells": wells}}), json!({"ome": {"plate": {"wells": wells}}})] {
            let (what, hint) = told(attributes);
            assert!(what.contains("12 wells (A/1, A/2, A/3") && what.contains("A/8 and 4 more)"), "{what}");
            assert_eq!(hint, "name a field of a well, such as p.zarr/A/1/0");
        }
        let (what, hint) = told(json!({"well": {"images": [{"path": "0"}, {"path": "1"}]}}));
        assert!(what.contains("2 fields (0, 1)") && hint.ends_with("p.zarr/0"), "{what} {hint}");
    }

    #[test]
    fn labels_collections_and_the_rest() {
        let (what, hint) = told(json!({"ome": {"labels": ["cells", "nuclei"]}}));
        assert!(what.contains("2 label images (cells, nuclei)") && hint.ends_with("p.zarr/cells"), "{what} {hint}");
        assert!(told(json!({"bioformats2raw.layout": 3})).1.ends_with("p.zarr/0"));
        assert!(told(json!({})).0.contains("not an OME-Zarr image"));
    }

    #[test]
    fn odd_lists_are_told_within_bounds() {
        let (what, hint) = told(json!({"labels": ["../../etc", "/x", 3, {}, "y".repeat(1000)]}));
        assert!(what.len() < 200 && !hint.contains("etc"), "{what} {hint}");
        assert!(told(json!({"plate": 3})).0.contains("0 wells"));
    }
}
