//! The first image, or else the first array of voxels, below a group that names none.

use std::{collections::VecDeque, fs, sync::Arc};

use serde_json::{Map, Value};

use super::{
    super::{
        document,
        node::{self, Node},
        store::Store,
    },
    holds_image, is_image,
};

/// Folders that are looked into, and how deep.
const MOST_FOLDERS: usize = 500;
const MOST_DEPTH: usize = 3;
/// Consolidated metadata that are larger are not looked through.
const DOCUMENT_LIMIT: u64 = 16 << 20;

/// A path below `store` that can be opened.
pub fn first(store: &Arc<dyn Store>) -> Option<String> {
    consolidated(store).or_else(|| listed(store))
}

/// The first image that consolidated metadata name, and that is there.
pub fn consolidated(store: &Arc<dyn Store>) -> Option<String> {
    let object = |key: &str| match document::parse(&store.get(key, DOCUMENT_LIMIT).ok()??).ok()? {
        Value::Object(document) => Some(document),
        _ => None,
    };
    let metadata = |document: Option<Map<String, Value>>| match document?.remove("metadata")? {
        Value::Object(metadata) => Some(metadata),
        _ => None,
    };
    let within = object("zarr.json").and_then(|mut document| match document.remove("consolidated_metadata")? {
        Value::Object(consolidated) => Some(consolidated),
        _ => None,
    });
    let v3 = metadata(within).unwrap_or_default().into_iter();
    let v3 = v3.map(|(path, mut node)| (path, node.get_mut("attributes").map(Value::take).unwrap_or_default()));
    let v2 = metadata(object(".zmetadata")).unwrap_or_default().into_iter();
    let v2 = v2.filter_map(|(key, value)| Some((key.strip_suffix("/.zattrs")?.to_string(), value)));
    let mut images = v3.chain(v2).filter(|(_, attributes)| attributes.as_object().is_some_and(holds_image));
    images.find_map(|(path, _)| is_image(store, &path).then_some(path))
}

/// The first image in the folders of a local store, the uppermost first; else the first array of two dimensions or more.
fn listed(store: &Arc<dyn Store>) -> Option<String> {
    let root = store.folder()?;
    let mut array = None;
    let mut waiting = VecDeque::from([(String::new(), 0)]);
    let mut looked = 0;
    while let Some((path, depth)) = waiting.pop_front() {
        for name in folders(&root.join(&path)) {
            looked += 1;
            if looked > MOST_FOLDERS {
                return array;
            }
            let below = if path.is_empty() { name } else { format!("{path}/{name}") };
            match node::read(&store.below(&below)) {
                Ok(Some(Node::Group { attributes })) if holds_image(&attributes) => return Some(below),
                Ok(Some(Node::Array { meta, .. })) => {
                    if meta.shape.len() > 1 && array.is_none() {
                        array = Some(below);
                    }
                }
                // Metadata that are not understood.
                Err(_) => {}
                Ok(_) if depth < MOST_DEPTH => waiting.push_back((below, depth + 1)),
                Ok(_) => {}
            }
        }
    }
    array
}

/// Names of the folders in a folder, sorted.
fn folders(path: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let names =
        entries.take(MOST_FOLDERS).filter(is_folder).map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}
