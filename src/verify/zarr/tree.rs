//! The arrays of a path: a level, an image with its labels, a well, a plate, a series of images.
//!
//! Metadata name them (NGFF 0.4 and 0.5: "multiscales", "labels", "plate", "well", "bioformats2raw.layout"); folders are
//! not searched. Each kind is looked for within its own parent only, so that links back up end.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{
    error::{Error, Result},
    io::{
        ome::{Multiscale, OmeMetadata, ome_member},
        zarr::{
            HEADER_NAME, groups,
            node::{self, Node},
        },
    },
    storage::Store,
};

/// Images that a plate, or a series, may have at most.
const MOST_IMAGES: usize = 1 << 20;

/// The arrays below a path, in the order in which the metadata name them.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// What the path is, for people.
    pub kind: String,
    /// Paths of arrays below the root; one empty path where the root is an array.
    pub arrays: Vec<String>,
    /// Paths of groups below the root.
    pub groups: Vec<String>,
    pub images: Vec<Image>,
    /// Nodes that the metadata name and that are not there or cannot be read, with the reason.
    pub faults: Vec<(String, Error)>,
}

/// An image at several resolutions.
#[derive(Debug)]
pub(crate) struct Image {
    /// Path below the root.
    pub path: String,
    pub multiscale: Multiscale,
    /// Numbers of its levels' arrays in [`Tree::arrays`].
    pub arrays: std::ops::Range<usize>,
}

impl Tree {
    /// What `root` stands for; metadata are read, but for those of the arrays.
    ///
    /// # Errors
    /// [`Error::Io`] where there is nothing, [`Error::Malformed`] for the root's own metadata, [`Error::Unsupported`] for a
    /// group that names no image. Trouble further down is kept in `faults`.
    pub(crate) fn of(root: &Arc<dyn Store>) -> Result<Tree> {
        let missing = || std::io::Error::new(std::io::ErrorKind::NotFound, "no zarr array or group here");
        let mut tree = Tree::default();
        match node::read(root)?.ok_or_else(|| Error::io("open", root.describe(""))(missing()))? {
            Node::Array { .. } => {
                tree.kind = "Zarr array".into();
                tree.arrays.push(String::new());
            }
            Node::Group { attributes } => tree.root_group(root, &attributes)?,
        }
        Ok(tree)
    }

    fn root_group(&mut self, root: &Arc<dyn Store>, attributes: &Map<String, Value>) -> Result<()> {
        self.groups.push(String::new());
        let of_ome = |what: &str| format!("OME-Zarr {what}");
        if self.image(root, "", attributes, true)? {
            self.kind = of_ome("image");
        } else if let Some(plate) = ome_member(attributes, "plate") {
            self.kind = of_ome("plate");
            self.children(root, "", &paths(plate, "wells"), |tree, well, attributes| tree.well(root, well, attributes));
        } else if ome_member(attributes, "well").is_some() {
            self.kind = of_ome("well");
            self.well(root, "", attributes);
        } else if let Some(labels) = ome_member(attributes, "labels") {
            self.kind = of_ome("labels");
            self.children(root, "", &names(labels), |tree, label, attributes| tree.label(root, label, attributes));
        } else if ome_member(attributes, "bioformats2raw.layout").is_some() {
            self.kind = of_ome("series of images");
            let series = self.series(root)?;
            self.children(root, "", &series, |tree, image, attributes| tree.listed_image(root, image, attributes));
        } else {
            return Err(groups::not_an_image(root, attributes));
        }
        Ok(())
    }

    /// Takes the levels of an image, and its labels; whether it is one.
    fn image(
        &mut self,
        root: &Arc<dyn Store>,
        path: &str,
        attributes: &Map<String, Value>,
        labelled: bool,
    ) -> Result<bool> {
        let malformed = |what| Error::malformed(root.describe(path), "multiscales", what, "NGFF 0.4 or 0.5 metadata");
        let Some(ome) = OmeMetadata::from_attributes(attributes).map_err(malformed)? else { return Ok(false) };
        if ome.multiscales.is_empty() {
            return Ok(false);
        }
        for multiscale in ome.multiscales {
            let start = self.arrays.len();
            for dataset in &multiscale.datasets {
                let below = join(path, &dataset.path);
                node::descend(root.as_ref(), &below)?;
                self.arrays.push(below);
            }
            self.images.push(Image { path: path.to_string(), multiscale, arrays: start..self.arrays.len() });
        }
        self.header(root, path);
        if labelled {
            self.labels(root, path);
        }
        Ok(true)
    }

    /// Takes the NIfTI header beside the levels of an image, where there is one.
    fn header(&mut self, root: &Arc<dyn Store>, image: &str) {
        let path = join(image, HEADER_NAME);
        match node::read(&root.below(&path)) {
            Ok(Some(Node::Array { .. })) => self.arrays.push(path),
            Ok(_) => {}
            Err(error) if node::is_denied(&error) && root.folder().is_none() => {}
            Err(error) => self.faults.push((path, error)),
        }
    }

    fn labels(&mut self, root: &Arc<dyn Store>, image: &str) {
        let path = join(image, "labels");
        match unlisted_group_at(root, &path) {
            Ok(Some(attributes)) => {
                let list = ome_member(&attributes, "labels").map(names).unwrap_or_default();
                self.groups.push(path.clone());
                self.children(root, &path, &list, |tree, label, attributes| tree.label(root, label, attributes));
            }
            Ok(None) => {}
            Err(error) => self.faults.push((path, error)),
        }
    }

    fn label(&mut self, root: &Arc<dyn Store>, path: &str, attributes: &Map<String, Value>) {
        let found = self.image(root, path, attributes, false);
        self.expect_image(root, path, found);
    }

    fn listed_image(&mut self, root: &Arc<dyn Store>, path: &str, attributes: &Map<String, Value>) {
        let found = self.image(root, path, attributes, true);
        self.expect_image(root, path, found);
    }

    fn expect_image(&mut self, root: &Arc<dyn Store>, path: &str, found: Result<bool>) {
        let error = match found {
            Ok(true) => return,
            Ok(false) => {
                Error::malformed(root.describe(path), "image", "without multiscales", "NGFF 0.4 or 0.5 metadata")
            }
            Err(error) => error,
        };
        self.faults.push((path.to_string(), error));
    }

    fn well(&mut self, root: &Arc<dyn Store>, path: &str, attributes: &Map<String, Value>) {
        let list = ome_member(attributes, "well").map(|well| paths(well, "images")).unwrap_or_default();
        self.children(root, path, &list, |tree, image, attributes| tree.listed_image(root, image, attributes));
    }

    /// Visits the groups `list` below `path`; one that is not there is a fault.
    fn children(
        &mut self,
        root: &Arc<dyn Store>,
        path: &str,
        list: &[String],
        visit: impl Fn(&mut Tree, &str, &Map<String, Value>),
    ) {
        for child in list {
            let below = join(path, child);
            match group_at(root, &below) {
                Ok(_) if self.images.len() >= MOST_IMAGES => {
                    let most = format!("at most {MOST_IMAGES}");
                    self.faults.push((below, Error::malformed(root.describe(path), "number of images", "more", most)));
                    return;
                }
                Ok(Some(attributes)) => {
                    self.groups.push(below.clone());
                    visit(self, &below, &attributes);
                }
                Ok(None) => {
                    let error =
                        Error::malformed(root.describe(path), "child", format!("{child:?}"), "the path of a group");
                    self.faults.push((below, error));
                }
                Err(error) => self.faults.push((below, error)),
            }
        }
    }

    /// The images of a bioformats2raw layout: those that `OME` lists, else 0, 1, 2 and on as long as there are.
    fn series(&mut self, root: &Arc<dyn Store>) -> Result<Vec<String>> {
        let listed =
            unlisted_group_at(root, "OME")?.and_then(|attributes| ome_member(&attributes, "series").map(names));
        if let Some(list) = listed {
            return Ok(list);
        }
        let mut list = Vec::new();
        while list.len() < MOST_IMAGES && unlisted_group_at(root, &list.len().to_string())?.is_some() {
            list.push(list.len().to_string());
        }
        Ok(list)
    }
}

/// Attributes of the group at `path` below `root`; `None` where there is none.
fn group_at(root: &Arc<dyn Store>, path: &str) -> Result<Option<Map<String, Value>>> {
    match node::read(&root.below(&node::descend(root.as_ref(), path)?))? {
        Some(Node::Group { attributes }) => Ok(Some(attributes)),
        Some(Node::Array { .. }) | None => Ok(None),
    }
}

/// The same for a group that no metadata name: where it may not be read, it is taken not to be there. Servers that hide their
/// keys refuse what is absent.
fn unlisted_group_at(root: &Arc<dyn Store>, path: &str) -> Result<Option<Map<String, Value>>> {
    match group_at(root, path) {
        Err(error) if node::is_denied(&error) && root.folder().is_none() => Ok(None),
        found => found,
    }
}

/// The strings of a list.
fn names(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_string).collect()
}

/// The members `path` of a list of objects.
fn paths(of: &Value, list: &str) -> Vec<String> {
    let list = of.get(list).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|entry| entry.get("path").and_then(Value::as_str)).map(str::to_string).collect()
}

/// `below` under `path`, without parts that are empty or `.`.
fn join(path: &str, below: &str) -> String {
    let parts = path.split('/').chain(below.split('/'));
    parts.filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}
