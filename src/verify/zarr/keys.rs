//! What a key below a hierarchy is: a document, a chunk of a known array, or a stray.

use std::collections::{BTreeMap, BTreeSet};

use crate::io::zarr::meta::{ArrayMeta, KeyEncoding};

/// Documents that Zarr v2 and v3 know.
const DOCUMENTS: [&str; 5] = ["zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"];
/// What bioformats2raw keeps beside the images (NGFF, "bioformats2raw.layout").
const COMPANION: &str = "OME";

/// What a file is to a hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Document,
    /// A chunk or shard within the grid of the array of this number.
    Chunk(usize),
    /// Nothing that is known. Of folders that hold no known node the folder is named, with a `/`.
    Stray(String),
}

/// The grid of keys of one array.
#[derive(Clone, Debug)]
struct KeyGrid {
    keys: KeyEncoding,
    /// Chunks or shards along each dimension.
    objects: Vec<u64>,
}

/// The nodes of a hierarchy, to tell files apart by their keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    arrays: BTreeMap<String, (usize, Option<KeyGrid>)>,
    groups: BTreeSet<String>,
}

impl Known {
    /// The group at `path` below the root, and those around it.
    pub(crate) fn group(&mut self, path: &str) {
        self.groups.insert(String::new());
        let slashes = path.match_indices('/').map(|(n, _)| n);
        self.groups.extend(slashes.chain([path.len()]).map(|end| path[..end].to_string()));
    }

    /// Array number `n` at `path` below the root; without metadata where those cannot be read.
    pub(crate) fn array(&mut self, path: &str, n: usize, meta: Option<&ArrayMeta>) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.group(parent);
        }
        self.arrays.insert(path.to_string(), (n, meta.map(KeyGrid::new)));
    }

    /// What the file of `key` is.
    pub(crate) fn role(&self, key: &str) -> Role {
        let mut folders: Vec<&str> = key.match_indices('/').map(|(n, _)| &key[..n]).collect();
        folders.insert(0, "");
        for folder in folders.iter().rev() {
            let rest = key[folder.len()..].trim_start_matches('/');
            if let Some((n, grid)) = self.arrays.get(*folder) {
                return match grid {
                    _ if DOCUMENTS.contains(&rest) => Role::Document,
                    // An array that cannot be read may own anything below it.
                    None => Role::Chunk(*n),
                    Some(grid) if grid.coordinates(rest).is_some() => Role::Chunk(*n),
                    Some(_) => Role::Stray(key.to_string()),
                };
            }
            if self.groups.contains(*folder) {
                return match rest.split_once('/') {
                    None if DOCUMENTS.contains(&rest) => Role::Document,
                    None => Role::Stray(key.to_string()),
                    Some((COMPANION, _)) => Role::Document,
                    Some((child, _)) => Role::Stray(format!("{}{child}/", &key[..key.len() - rest.len()])),
                };
            }
        }
        Role::Stray(key.to_string())
    }
}

impl KeyGrid {
    fn new(meta: &ArrayMeta) -> KeyGrid {
        let objects = meta.shape.iter().zip(&meta.object).map(|(extent, object)| extent.div_ceil(*object)).collect();
        KeyGrid { keys: meta.keys.clone(), objects }
    }

    /// The coordinates of the chunk or shard within the grid that has `key` below the array.
    fn coordinates(&self, key: &str) -> Option<Vec<u64>> {
        let mut parts = key.split(self.keys.separator);
        if self.keys.prefix.is_some_and(|prefix| parts.next() != Some(prefix)) {
            return None;
        }
        let within = |objects: &u64| parts.next().and_then(index).filter(|n| n < objects);
        let at = self.objects.iter().map(within).collect::<Option<Vec<u64>>>()?;
        parts.next().is_none().then_some(at)
    }
}

/// The coordinates of the chunk or shard of an array that has `key` below the array; `None` for what is none.
pub(crate) fn coordinates(meta: &ArrayMeta, key: &str) -> Option<Vec<u64>> {
    KeyGrid::new(meta).coordinates(key)
}

/// Chunks or shards in the grid of an array.
pub(crate) fn objects(meta: &ArrayMeta) -> u64 {
    KeyGrid::new(meta).objects.iter().fold(1, |n, &count| n.saturating_mul(count))
}

/// A chunk index as keys have it: digits without leading zeros.
fn index(part: &str) -> Option<u64> {
    let plain = part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
    if plain { part.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let mut known = Known::default();
        known.group("");
        known.group("labels/cells");
        for (n, (path, prefix, separator)) in
            [("0", Some("c"), '/'), ("1", None, '.'), ("labels/cells/0", None, '/')].into_iter().enumerate()
        {
            known.array(path, n, None);
            let keys = KeyEncoding { prefix, separator };
            known.arrays.get_mut(path).unwrap().1 = Some(KeyGrid { keys, objects: vec![2, 11] });
        }
        known.array("broken", 3, None);
        known
    }

    #[test]
    fn documents_and_chunks_within_the_grid() {
        let known = known();
        for (key, role) in [
            ("zarr.json", Role::Document),
            (".zattrs", Role::Document),
            ("labels/zarr.json", Role::Document),
            ("0/zarr.json", Role::Document),
            ("OME/METADATA.ome.xml", Role::Document),
            ("0/c/1/10", Role::Chunk(0)),
            ("1/1.10", Role::Chunk(1)),
            ("labels/cells/0/0/0", Role::Chunk(2)),
            ("broken/what/ever", Role::Chunk(3)),
        ] {
            assert_eq!(known.role(key), role, "{key}");
        }
    }

    #[test]
    fn everything_else_is_a_stray() {
        let known = known();
        for key in [
            "0/c/2/0",
            "0/c/0/11",
            "0/c/0",
            "0/c/0/0/0",
            "0/c/0/0.part",
            "0/c/00/1",
            "0/c/+1/1",
            "0/0/0",
            "0/__tmp/1",
            "1/0.0.side",
            "1/c.0.0",
            "0/c/18446744073709551617/0",
            "notes.txt",
        ] {
            assert_eq!(known.role(key), Role::Stray(key.to_string()), "{key}");
        }
        assert_eq!(known.role("tables/a/zarr.json"), Role::Stray("tables/".into()));
        assert_eq!(known.role("labels/old/0/zarr.json"), Role::Stray("labels/old/".into()));
    }
}
