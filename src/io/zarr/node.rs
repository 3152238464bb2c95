//! Nodes of a hierarchy: what is an array, what a group, and the documents that say so.

use std::{collections::HashMap, io::ErrorKind, sync::Arc};

use serde_json::{Map, Value};

use super::{document, meta::ArrayMeta};
use crate::{
    error::{Error, Result},
    storage::{Store, StoreError},
};

/// How many folders up a node's relatives are looked for.
pub(crate) const ANCESTORS: usize = 4;

/// A folder of a Zarr hierarchy.
#[derive(Debug)]
pub(crate) enum Node {
    Array { meta: Box<ArrayMeta>, attributes: Map<String, Value> },
    Group { attributes: Map<String, Value> },
}

/// The node at the root of `store`; `None` where there is none.
pub(crate) fn read(store: &Arc<dyn Store>) -> Result<Option<Node>> {
    node_of(&[3, 2], store)
}

/// The same, of one version only: half the documents are asked for.
pub(crate) fn read_as(zarr_format: u8, store: &Arc<dyn Store>) -> Result<Option<Node>> {
    node_of(&[zarr_format], store)
}

/// The array at the root of `store` by a document of its own; `None` where there is none, or where it may not be read.
pub(crate) fn read_array(zarr_format: u8, store: &Arc<dyn Store>) -> Result<Option<ArrayMeta>> {
    let name = if zarr_format == 2 { ".zarray" } else { "zarr.json" };
    let mut documents = Documents { store, consolidated: None, denied: None };
    let Some(document) = documents.own(name)? else { return Ok(None) };
    if zarr_format == 2 {
        return ArrayMeta::from_v2(&store.describe(name), &document).map(Some);
    }
    match documents.v3(document)? {
        Node::Array { meta, .. } => Ok(Some(*meta)),
        Node::Group { .. } => Ok(None),
    }
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

/// What the nearest consolidated metadata say of this node. They may be large: values are made of what is looked for alone.
fn consolidated(store: &Arc<dyn Store>) -> Result<HashMap<&'static str, Map<String, Value>>> {
    let mut found = HashMap::new();
    let (mut store, mut below) = (store.clone(), String::new());
    for _ in 0..=ANCESTORS {
        if let Some(text) = text_if_allowed(store.as_ref(), ".zmetadata")? {
            let path = || store.describe(".zmetadata");
            document::check(&text).map_err(|e| Error::malformed(path(), "document", e, "a JSON object"))?;
            let metadata = document::member(&text, "metadata").unwrap_or_default();
            for name in [".zarray", ".zattrs", ".zgroup"] {
                let Some(entry) = document::member(metadata, &format!("{below}{name}")) else { continue };
                let entry = document::parse(entry);
                let entry =
                    entry.map_err(|e| Error::malformed(path(), format!("{below}{name}"), e, "a JSON object"))?;
                if let Value::Object(entry) = entry {
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
fn text_if_allowed(store: &dyn Store, name: &str) -> Result<Option<Vec<u8>>> {
    match document_text(store, name) {
        Err(error) if is_denied(&error) => Ok(None),
        other => other,
    }
}

/// Whether the error is a refusal of access.
pub(crate) fn is_denied(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied)
}

/// The text of a document; `None` where there is none.
fn document_text(store: &dyn Store, key: &str) -> Result<Option<Vec<u8>>> {
    let (path, limit) = (|| store.describe(key), document::most_bytes());
    match store.get(key, limit) {
        // A server that answers with a page has no such document.
        Ok(Some(text)) if store.folder().is_none() && document::is_page(&text) => Ok(None),
        Ok(text) => Ok(text),
        Err(StoreError::TooLarge { bytes, .. }) => {
            let expected = format!("at most {limit} bytes of metadata");
            Err(Error::malformed(path(), "size", format!("{bytes} bytes"), expected))
        }
        Err(e) => Err(e.at("read", path())),
    }
}

/// A JSON object under a key; `None` where there is none. What it repeats of the nodes below it is left out.
fn read_document(store: &dyn Store, key: &str) -> Result<Option<Map<String, Value>>> {
    let Some(text) = document_text(store, key)? else { return Ok(None) };
    let malformed = |found: String| Error::malformed(store.describe(key), "document", found, "a JSON object");
    let whole = match document::member(&text, "consolidated_metadata") {
        Some(_) => {
            document::check(&text).map_err(|e| malformed(e.to_string()))?;
            document::parse(&document::without(&text, "consolidated_metadata"))
        }
        None => document::parse(&text),
    };
    match whole {
        Ok(Value::Object(document)) => Ok(Some(document)),
        // As programs dump what was never set.
        Ok(Value::Null) => Ok(None),
        Ok(_) => Err(malformed("not an object".into())),
        Err(e) => Err(malformed(e.to_string())),
    }
}

/// `below` without parts that are empty or `.`, refused where it would climb out of `store`.
pub(crate) fn descend(store: &dyn Store, below: &str) -> Result<String> {
    let parts: Vec<&str> = below.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.iter().any(|part| *part == ".." || part.contains(['\\', '\0'])) {
        let found = format!("{below:?}");
        return Err(Error::malformed(store.describe(""), "path of a level", found, "a path below the group"));
    }
    Ok(parts.join("/"))
}
