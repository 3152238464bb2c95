//! Nodes of a hierarchy: what is an array, what a group, and the documents that say so.

use std::{collections::HashMap, io::ErrorKind, sync::Arc};

use serde_json::{Map, Value};

use super::{
    document,
    meta::ArrayMeta,
    store::{Store, StoreError},
};
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

/// The node at the root of `store`; `None` where there is none.
pub fn read(store: &Arc<dyn Store>) -> Result<Option<Node>> {
    node_of(&[3, 2], store)
}

/// The same, of one version only: half the documents are asked for.
pub fn read_as(zarr_format: u8, store: &Arc<dyn Store>) -> Result<Option<Node>> {
    node_of(&[zarr_format], store)
}

fn node_of(formats: &[u8], store: &Arc<dyn Store>) -> Result<Option<Node>> {
    let mut documents = Documents { store, consolidated: None, denied: None };
    let node = documents.node(formats)?;
    match (node, documents.denied) {
        (None, Some(denied)) => Err(denied),
        (node, _) => Ok(node),
    }
}

/// The documents of one node.
struct Documents<'a> {
    store: &'a Arc<dyn Store>,
    /// What consolidated metadata here and above have of this node, by name; read when it is first needed.
    consolidated: Option<HashMap<&'static str, Map<String, Value>>>,
    /// The first document that may not be read. Object stores answer so for keys that are absent where keys may not be listed:
    /// it counts when nothing else is found.
    denied: Option<Error>,
}

impl Documents<'_> {
    fn node(&mut self, formats: &[u8]) -> Result<Option<Node>> {
        if formats.contains(&3)
            && let Some(document) = self.own("zarr.json")?
        {
            return self.v3(document).map(Some);
        }
        if !formats.contains(&2) {
            return Ok(None);
        }
        if let Some(document) = self.v2(".zarray")? {
            let meta = Box::new(ArrayMeta::from_v2(&self.store.describe(".zarray"), &document)?);
            let attributes = self.v2(".zattrs")?.unwrap_or_default();
            return Ok(Some(Node::Array { meta, attributes }));
        }
        match (self.v2(".zgroup")?, self.v2(".zattrs")?) {
            (None, None) => Ok(None),
            (_, attributes) => Ok(Some(Node::Group { attributes: attributes.unwrap_or_default() })),
        }
    }

    fn v3(&self, document: Map<String, Value>) -> Result<Node> {
        if document.get("node_type").and_then(Value::as_str) == Some("group") {
            let attributes = document.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default();
            return Ok(Node::Group { attributes });
        }
        let meta = Box::new(ArrayMeta::from_v3(&self.store.describe("zarr.json"), &document)?);
        let attributes = meta.attributes.clone();
        Ok(Node::Array { meta, attributes })
    }

    fn own(&mut self, name: &str) -> Result<Option<Map<String, Value>>> {
        match read_document(self.store.as_ref(), name) {
            Err(error) if is_denied(&error) && self.store.folder().is_none() => {
                self.denied.get_or_insert(error);
                Ok(None)
            }
            other => other,
        }
    }

    /// A v2 document of its own, or out of the consolidated metadata here or above.
    fn v2(&mut self, name: &'static str) -> Result<Option<Map<String, Value>>> {
        if let Some(document) = self.own(name)? {
            return Ok(Some(document));
        }
        if self.consolidated.is_none() {
            self.consolidated = Some(consolidated(self.store)?);
        }
        Ok(self.consolidated.as_ref().and_then(|documents| documents.get(name)).cloned())
    }
}

/// What the nearest consolidated metadata say of this node.
fn consolidated(store: &Arc<dyn Store>) -> Result<HashMap<&'static str, Map<String, Value>>> {
    let mut found = HashMap::new();
    let (mut store, mut below) = (store.clone(), String::new());
    for _ in 0..=ANCESTORS {
        if let Some(mut document) = read_if_allowed(store.as_ref(), ".zmetadata")? {
            for name in [".zarray", ".zattrs", ".zgroup"] {
                let entry = document.get_mut("metadata").and_then(|m| m.get_mut(format!("{below}{name}")));
                if let Some(Value::Object(entry)) = entry.map(Value::take) {
                    found.entry(name).or_insert(entry);
                }
            }
        }
        let Some((above, name)) = store.above() else { break };
        (store, below) = (above, format!("{name}/{below}"));
    }
    Ok(found)
}

/// `None` also where access is denied.
fn read_if_allowed(store: &dyn Store, name: &str) -> Result<Option<Map<String, Value>>> {
    match read_document(store, name) {
        Err(error) if is_denied(&error) => Ok(None),
        other => other,
    }
}

/// Whether the error is a refusal of access.
pub fn is_denied(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied)
}

/// A JSON object under a key; `None` where there is none.
fn read_document(store: &dyn Store, key: &str) -> Result<Option<Map<String, Value>>> {
    let path = || store.describe(key);
    let text = match store.get(key, DOCUMENT_LIMIT) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(None),
        Err(StoreError::TooLarge { bytes, .. }) => {
            let expected = format!("at most {DOCUMENT_LIMIT} bytes of metadata");
            return Err(Error::malformed(path(), "size", format!("{bytes} bytes"), expected));
        }
        Err(e) => return Err(e.at("read", path())),
    };
    if store.folder().is_none() && document::is_page(&text) {
        // A server that answers with a page has no such document.
        return Ok(None);
    }
    match document::parse(&text) {
        Ok(Value::Object(document)) => Ok(Some(document)),
        // As programs dump what was never set.
        Ok(Value::Null) => Ok(None),
        Ok(_) => Err(Error::malformed(path(), "document", "not an object", "a JSON object")),
        Err(e) => Err(Error::malformed(path(), "document", e, "a JSON object")),
    }
}

/// `below` without parts that are empty or `.`, refused where it would climb out of `store`.
pub fn descend(store: &dyn Store, below: &str) -> Result<String> {
    let parts: Vec<&str> = below.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.iter().any(|part| *part == ".." || part.contains(['\\', '\0'])) {
        let found = format!("{below:?}");
        return Err(Error::malformed(store.describe(""), "path of a level", found, "a path below the group"));
    }
    Ok(parts.join("/"))
}
