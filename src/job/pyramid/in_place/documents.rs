//! The documents of a store's group: read as programs write them, replaced in one step.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use serde_json::Value;

use crate::{
    checkpoint::staging::Staging,
    error::{Error, Result},
    io::zarr,
    storage::{DirStore, nfs},
};

/// The warning where the group's document has numbers that JSON does not know: it is written anew.
pub(super) fn rewritten_literals(store: &Path) -> Option<String> {
    let path = ["zarr.json", ".zattrs"].map(|name| store.join(name)).into_iter().find(|path| path.is_file())?;
    let has_literals = nfs::open(&path).and_then(zarr::document_text).is_ok_and(|text| zarr::has_literals(&text));
    has_literals.then(|| format!("{}: NaN and Infinity become strings, since JSON does not know them", path.display()))
}

/// A JSON document; `None` where there is no such file.
pub(super) fn read_document(path: &Path) -> Result<Option<Value>> {
    let text = match nfs::open(path).and_then(zarr::document_text) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    let document = zarr::parse_document(&text);
    document.map(Some).map_err(|e| Error::malformed(path, "document", e, "JSON"))
}

/// Replaces a document in one step.
pub(super) fn replace_document(staging: &Staging, path: &Path, document: &Value) -> Result<()> {
    let built = staging.path("group.json");
    let text = serde_json::to_vec_pretty(document).map_err(|e| Error::io("write", path)(e.into()))?;
    let write = |mut file: fs::File| file.write_all(&text).and_then(|()| file.sync_all());
    DirStore::create(&built).and_then(write).map_err(Error::io("write", &built))?;
    nfs::rename(&built, path).map_err(Error::io("rename to", path))
}
