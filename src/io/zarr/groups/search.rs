//! The first image, or else the first array of voxels, below a group that names none.

use std::{collections::VecDeque, fs, sync::Arc};

use super::{
    super::{
        document,
        node::{self, Node},
    },
    holds_image, is_image,
};
use crate::storage::Store;

/// Folders that are looked into, and how deep.
const MOST_FOLDERS: usize = 500;
const MOST_DEPTH: usize = 3;

/// A path below `store` that can be opened.
pub(super) fn first(store: &Arc<dyn Store>) -> Option<String> {
    consolidated(store).or_else(|| listed(store))
}

/// The first image that consolidated metadata name, and that is there. Values are made of one node at a time.
pub(super) fn consolidated(store: &Arc<dyn Store>) -> Option<String> {
    let text = |key: &str| {
        let text = store.get(key, document::most_bytes()).ok()??;
        document::check(&text).ok().map(|()| text)
    };
    let (v3, v2) = (text("zarr.json").unwrap_or_default(), text(".zmetadata").unwrap_or_default());
    let member = |text, name| document::member(text, name).unwrap_or_default();
    let v3 = document::members(member(member(&v3, "consolidated_metadata"), "metadata"));
    let v3 = v3.map(|(path, node)| (path.into_owned(), member(node, "attributes")));
    let v2 = document::members(member(&v2, "metadata"));
    let v2 = v2.filter_map(|(key, value)| Some((key.strip_suffix("/.zattrs")?.to_string(), value)));
    let holds = |attributes: &[u8]| {
        document::parse(attributes).is_ok_and(|attributes| attributes.as_object().is_some_and(holds_image))
    };
    let mut images = v3.chain(v2).filter(|(_, attributes)| holds(attributes));
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
