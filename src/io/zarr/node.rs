//! Nodes of a hierarchy: which folder is an array, which a group, and the documents that say so.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::meta::ArrayMeta;
use crate::error::{Error, Result};

/// Documents larger than this are not metadata.
const DOCUMENT_LIMIT: u64 = 64 << 20;

/// How many folders up a node's relatives are looked for.
pub const ANCESTORS: usize = 4;

/// A folder of a Zarr hierarchy.
#[derive(Debug)]
pub enum Node {
    Array { meta: Box<ArrayMeta>, attributes: Map<String, Value> },
    Group { attributes: Map<String, Value> },
}

/// The node in folder `dir`; `None` where there is none.
pub fn read(dir: &Path) -> Result<Option<Node>> {
    if let Some(document) = read_document(&dir.join("zarr.json"))? {
        return read_v3(dir, document).map(Some);
    }
    if let Some(document) = read_v2_document(dir, ".zarray")? {
        let meta = Box::new(ArrayMeta::from_v2(&dir.join(".zarray"), &document)?);
        let attributes = read_v2_document(dir, ".zattrs")?.unwrap_or_default();
        return Ok(Some(Node::Array { meta, attributes }));
    }
    match (read_v2_document(dir, ".zgroup")?, read_v2_document(dir, ".zattrs")?) {
        (None, None) => Ok(None),
        (_, attributes) => Ok(Some(Node::Group { attributes: attributes.unwrap_or_default() })),
    }
}

fn read_v3(dir: &Path, document: Map<String, Value>) -> Result<Node> {
    let path = dir.join("zarr.json");
    if document.get("node_type").and_then(Value::as_str) == Some("group") {
        let attributes = document.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default();
        return Ok(Node::Group { attributes });
    }
    let meta = Box::new(ArrayMeta::from_v3(&path, &document)?);
    let attributes = meta.attributes.clone();
    Ok(Node::Array { meta, attributes })
}

/// A v2 document of its own, or out of the consolidated metadata of the folder or one above it.
fn read_v2_document(dir: &Path, name: &str) -> Result<Option<Map<String, Value>>> {
    if let Some(document) = read_document(&dir.join(name))? {
        return Ok(Some(document));
    }
    for ancestor in dir.ancestors().take(ANCESTORS + 1) {
        let Some(consolidated) = read_document(&ancestor.join(".zmetadata"))? else { continue };
        let Ok(below) = dir.strip_prefix(ancestor) else { continue };
        let key = below.join(name);
        let document = consolidated.get("metadata").and_then(|m| m.get(key.to_string_lossy().as_ref()));
        if let Some(document) = document.and_then(Value::as_object) {
            return Ok(Some(document.clone()));
        }
    }
    Ok(None)
}

/// A JSON object in a file; `None` where there is no such file.
fn read_document(path: &Path) -> Result<Option<Map<String, Value>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(Error::io("open", path)(e)),
    };
    let bytes = file.metadata().map_err(Error::io("inspect", path))?.len();
    if bytes > DOCUMENT_LIMIT {
        let expected = format!("at most {DOCUMENT_LIMIT} bytes of metadata");
        return Err(Error::malformed(path, "size", format!("{bytes} bytes"), expected));
    }
    let mut text = Vec::new();
    file.take(DOCUMENT_LIMIT).read_to_end(&mut text).map_err(Error::io("read", path))?;
    match serde_json::from_slice(&text) {
        Ok(Value::Object(document)) => Ok(Some(document)),
        Ok(_) => Err(Error::malformed(path, "document", "not an object", "a JSON object")),
        Err(e) => Err(Error::malformed(path, "document", e, "a JSON object")),
    }
}

/// `below` as a folder under `root`, refused where it would climb out.
pub fn descend(root: &Path, below: &str) -> Result<PathBuf> {
    let mut path = root.to_path_buf();
    for part in below.split('/').filter(|part| !part.is_empty()) {
        if part == "." || part == ".." || part.contains(['\\', '\0']) {
            return Err(Error::malformed(root, "path of a level", format!("{below:?}"), "a path below the group"));
        }
        path.push(part);
    }
    Ok(path)
}
