//! Zarr and OME-Zarr of versions 2 and 3: one file of a small store, a document or a chunk or shard, is other than it was.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    chosen,
    kit::stores::{self, Form, files},
    reading::{in_folder, read_all},
};

/// Files with their bytes.
type Files = Vec<(PathBuf, Vec<u8>)>;

thread_local! {
    /// The files of each store that stands in this thread's folder, documents first, as they were written.
    static STORES: RefCell<HashMap<usize, Files>> = RefCell::default();
    /// The file that was changed last.
    static CHANGED: RefCell<Option<(PathBuf, Vec<u8>)>> = const { RefCell::new(None) };
}

/// The first byte chooses the store, the second one the file.
pub(super) fn body(bytes: &[u8]) {
    let forms = stores::forms();
    let (form, bytes) = chosen(bytes, forms.len());
    in_folder(|folder| {
        if let Some((path, before)) = CHANGED.take() {
            fs::write(path, before).unwrap();
        }
        let store = folder.join(format!("{form}.zarr"));
        let files =
            STORES.with_borrow_mut(|stores| stores.entry(form).or_insert_with(|| write(&store, forms[form])).clone());
        let (file, bytes) = chosen(bytes, files.len());
        CHANGED.set(Some(files[file].clone()));
        fs::write(&files[file].0, bytes).unwrap();
        read_all(&store);
    });
}

fn write(store: &Path, form: Form) -> Files {
    stores::write(store, form);
    let all = [files(store, true), files(store, false)].concat();
    all.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

pub(super) fn documents() -> Vec<Vec<u8>> {
    seeds(true)
}

pub(super) fn chunks() -> Vec<Vec<u8>> {
    seeds(false)
}

/// Each store with each of its documents, or two of its chunks.
fn seeds(documents: bool) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let mut seeds = Vec::new();
    for (n, form) in stores::forms().into_iter().enumerate() {
        let store = folder.path().join(format!("{n}.zarr"));
        let all = write(&store, form);
        let count = files(&store, true).len();
        let chosen = if documents { 0..count } else { count..(count + 2).min(all.len()) };
        seeds.extend(chosen.map(|m| [&[n as u8, m as u8][..], &all[m].1].concat()));
    }
    seeds
}
