//! Groups that hold images without being one: what to name instead (NGFF 0.4 and 0.5, "plate", "well", "labels").

use std::sync::Arc;

use serde_json::{Map, Value};

use super::node::{self, Node};
use crate::{
    error::Error,
    io::ome::{OmeMetadata, ome_member},
    storage::Store,
};

mod search;

/// Names listed at most, and characters of each.
const LISTED: usize = 8;
const NAME_CHARS: usize = 64;

/// The error for a group without `multiscales`: what it is, the first of what it holds, and a path that can be opened.
pub(crate) fn not_an_image(store: &Arc<dyn Store>, attributes: &Map<String, Value>) -> Error {
    let told = Told::of(store, attributes);
    let stated = told.stated.iter().find(|path| is_image(store, path));
    let found = stated.cloned().or_else(|| search::first(store)).or_else(|| told.stated.into_iter().next());
    let hint = match found {
        Some(below) => Some(format!("name {}, such as {}", told.to_name, store.describe(&below).display())),
        None => told.otherwise.map(str::to_string),
    };
    Error::Unsupported { path: store.describe(""), what: told.what, hint }
}

/// What a group says of itself.
struct Told {
    what: String,
    /// What to name in its place.
    to_name: &'static str,
    /// Paths of images in it, by its metadata.
    stated: Vec<String>,
    /// The way out where no image is found.
    otherwise: Option<&'static str>,
}

impl Told {
    fn of(store: &Arc<dyn Store>, attributes: &Map<String, Value>) -> Told {
        let member = |key: &str| ome_member(attributes, key);
        let told = |what: String, to_name, stated| Told { what, to_name, stated, otherwise: None };
        if let Some(plate) = member("plate") {
            let wells = names(plate.get("wells"), "path");
            let what = format!("a plate of {}, not one image", wells.tell("wells"));
            let fields = wells.first.iter().flat_map(|well| fields(store, well)).collect();
            return told(what, "a field of a well", fields);
        }
        if let Some(well) = member("well") {
            let fields = names(well.get("images"), "path");
            return told(format!("a well of {}, not one image", fields.tell("fields")), "a field", fields.first);
        }
        if let Some(labels) = member("labels") {
            let labels = names(Some(labels), "");
            return told(format!("a group of {}, not one image", labels.tell("label images")), "one", labels.first);
        }
        if member("bioformats2raw.layout").is_some() {
            let what = "a collection of images (bioformats2raw.layout), not one image".into();
            return told(what, "one", series(store));
        }
        let kind = attributes.get("encoding-type").and_then(Value::as_str).unwrap_or_default();
        let what = match kind {
            _ if attributes.contains_key("spatialdata_attrs") => "a SpatialData store, not one image",
            "anndata" | "MuData" => "a table (AnnData) and no OME-Zarr image",
            _ => "a zarr group that is not an OME-Zarr image",
        };
        let otherwise = Some("name an image (a group with multiscales) or an array of voxels: none was found in it");
        Told { otherwise, ..told(what.into(), "one of the images or arrays in it", Vec::new()) }
    }
}

/// Paths of the fields of a well; of one that does not tell, the usual first.
fn fields(store: &Arc<dyn Store>, well: &str) -> Vec<String> {
    let of_well = match node::read(&store.below(well)) {
        Ok(Some(Node::Group { attributes })) => {
            ome_member(&attributes, "well").map(|well| names(well.get("images"), "path"))
        }
        _ => None,
    };
    let fields = of_well.map(|names| names.first).filter(|fields| !fields.is_empty());
    fields.unwrap_or_else(|| vec!["0".into()]).iter().map(|field| format!("{well}/{field}")).collect()
}

/// Images of a bioformats2raw layout, as its group `OME` lists them.
fn series(store: &Arc<dyn Store>) -> Vec<String> {
    let listed = match node::read(&store.below("OME")) {
        Ok(Some(Node::Group { attributes })) => names(ome_member(&attributes, "series"), "").first,
        _ => Vec::new(),
    };
    if listed.is_empty() { vec!["0".into()] } else { listed }
}

/// Whether there is an image at `path`.
fn is_image(store: &Arc<dyn Store>, path: &str) -> bool {
    let Ok(path) = node::descend(store.as_ref(), path) else { return false };
    match node::read(&store.below(&path)) {
        Ok(Some(Node::Group { attributes })) => holds_image(&attributes),
        _ => false,
    }
}

fn holds_image(attributes: &Map<String, Value>) -> bool {
    matches!(OmeMetadata::from_attributes(attributes), Ok(Some(ome)) if !ome.multiscales.is_empty())
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
        told_in(&store("p.zarr"), attributes)
    }

    fn store(path: impl Into<std::path::PathBuf>) -> Arc<dyn Store> {
        Arc::new(crate::storage::DirStore::new(path))
    }

    fn told_in(store: &Arc<dyn Store>, attributes: Value) -> (String, String) {
        let error = not_an_image(store, attributes.as_object().unwrap());
        (error.to_string(), error.hint().unwrap_or_default())
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

    /// Puts documents, by keys.
    fn tree(documents: &[(&str, Value)]) -> (tempfile::TempDir, Arc<dyn Store>) {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        for (key, document) in documents {
            store.put(key, document.to_string().into_bytes()).unwrap();
        }
        (dir, store)
    }

    fn image() -> Value {
        json!({"multiscales": [{"axes": ["z", "y", "x"], "datasets": [{"path": "0"}]}]})
    }

    fn array() -> Value {
        json!({"zarr_format": 2, "shape": [2, 3, 4], "chunks": [2, 3, 4], "dtype": "|u1", "compressor": null,
            "fill_value": 0, "order": "C", "filters": null})
    }

    #[test]
    fn the_path_in_a_hint_is_there() {
        let bf = json!({"bioformats2raw.layout": 3});
        let (_dir, store) = tree(&[("OME/.zattrs", json!({"series": ["gone", "b"]})), ("b/.zattrs", image())]);
        assert!(told_in(&store, bf.clone()).1.ends_with("/b"), "{:?}", told_in(&store, bf));
        let plate = json!({"plate": {"wells": [{"path": "A/1"}, {"path": "B/2"}]}});
        let well = json!({"well": {"images": [{"path": "f0"}]}});
        let (_dir, store) = tree(&[("B/2/.zattrs", well), ("B/2/f0/.zattrs", image())]);
        assert!(told_in(&store, plate.clone()).1.ends_with("/B/2/f0"), "{:?}", told_in(&store, plate));
    }

    #[test]
    fn images_below_folders_are_found() {
        let group = || json!({"zarr_format": 2});
        let (_dir, store) =
            tree(&[("images/.zgroup", group()), ("images/blobs/.zattrs", image()), ("a/0/.zarray", array())]);
        let (what, hint) = told_in(&store, json!({"spatialdata_attrs": {"version": "0.1"}}));
        assert!(what.contains("SpatialData") && hint.ends_with("/images/blobs"), "{what} {hint}");
        // An array where there is no image.
        let (_dir, store) = tree(&[("a/0/.zarray", array())]);
        assert!(told_in(&store, json!({})).1.ends_with("/a/0"), "{:?}", told_in(&store, json!({})));
        let (_dir, store) = tree(&[("obs/.zgroup", group())]);
        let (what, hint) = told_in(&store, json!({"encoding-type": "anndata"}));
        assert!(what.contains("AnnData") && !hint.contains("such as"), "{what} {hint}");
    }

    #[test]
    fn consolidated_metadata_lead_to_images_where_nothing_can_be_listed() {
        let v2 = json!({"metadata": {".zattrs": {}, "x/.zgroup": {}, "x/y/.zattrs": image()}});
        let (_dir, store) = tree(&[(".zmetadata", v2), ("x/y/.zattrs", image())]);
        assert_eq!(search::consolidated(&store).as_deref(), Some("x/y"));
        let node = json!({"node_type": "group", "attributes": {"ome": image()}});
        let v3 = json!({"node_type": "group", "consolidated_metadata": {"metadata": {"i": node.clone()}}});
        let (_dir, store) = tree(&[("zarr.json", v3), ("i/zarr.json", node)]);
        assert_eq!(search::consolidated(&store).as_deref(), Some("i"));
    }
}
