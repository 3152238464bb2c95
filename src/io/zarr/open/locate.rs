//! From a path to an array, and the image that it is a level of.

use std::{path::Path, sync::Arc};

use serde_json::{Map, Value};

use super::{
    super::{
        groups,
        meta::ArrayMeta,
        node::{self, ANCESTORS, Node},
    },
    OpenOptions,
};
use crate::{
    error::{Error, Result},
    io::ome::{Dataset, Multiscale, OmeMetadata},
    storage::Store,
};

/// An array and the image around it.
pub(super) struct Located {
    pub store: Arc<dyn Store>,
    pub array_path: String,
    pub meta: ArrayMeta,
    pub array_attributes: Map<String, Value>,
    pub image: Option<Image>,
    pub warnings: Vec<String>,
    /// Why the image around the array is not known.
    pub refused: Option<Error>,
}

impl Located {
    /// The store of the array itself.
    pub(super) fn array_store(&self) -> Arc<dyn Store> {
        if self.array_path.is_empty() { self.store.clone() } else { self.store.below(&self.array_path) }
    }

    /// An array at the root of `store`, without an image.
    pub(super) fn array(store: Arc<dyn Store>, meta: ArrayMeta) -> Located {
        let (array_path, array_attributes, warnings) = (String::new(), Map::new(), Vec::new());
        Located { store, array_path, meta, array_attributes, image: None, warnings, refused: None }
    }

    /// The array without the image around it.
    pub(super) fn alone(&self) -> Located {
        Located {
            store: self.array_store(),
            array_path: String::new(),
            meta: self.meta.clone(),
            array_attributes: self.array_attributes.clone(),
            image: None,
            warnings: Vec::new(),
            refused: None,
        }
    }
}

/// An image of a group, and which of its levels was named.
pub(super) struct Image {
    pub attributes: Map<String, Value>,
    /// The image in question stands first, whatever the order in the group.
    pub ome: OmeMetadata,
    pub level: usize,
    /// Whether it was found by one of its levels, which was named.
    pub is_by_level: bool,
}

impl Image {
    /// The entry of `multiscales`.
    pub(super) fn multiscale(&self) -> &Multiscale {
        &self.ome.multiscales[0]
    }
}

/// The array that the root of `store` is, or stands for as an image.
pub(super) fn locate(store: Arc<dyn Store>, options: &OpenOptions) -> Result<Located> {
    let missing = || std::io::Error::new(std::io::ErrorKind::NotFound, "no zarr array or group here");
    let path = store.describe("");
    match node::read(&store)?.ok_or_else(|| Error::io("open", &path)(missing()))? {
        Node::Group { attributes } => locate_level(store, attributes, options),
        Node::Array { meta, attributes } => {
            if let Some(image) = &options.image {
                let what = format!("{} is one array, and has no image {image}", path.display());
                return Err(Error::usage_hint(what, "leave ?image= out, or name the group"));
            }
            if options.level.is_some() {
                let hint = "name the group to choose a level, or the array alone";
                return Err(Error::usage_hint(format!("{} is one array, without levels", path.display()), hint));
            }
            locate_parent(store, *meta, attributes)
        }
    }
}

fn read_ome(store: &dyn Store, attributes: &Map<String, Value>) -> Result<Option<OmeMetadata>> {
    let ome = OmeMetadata::from_attributes(attributes)
        .map_err(|what| Error::malformed(store.describe(""), "multiscales", what, "NGFF 0.4 or 0.5 metadata"))?;
    Ok(ome.filter(|ome| !ome.multiscales.is_empty()))
}

/// Puts the image of this number or name first.
fn pick_image(path: &Path, ome: &mut OmeMetadata, image: &str) -> Result<()> {
    let images = &mut ome.multiscales;
    let by_name = images.iter().position(|multiscale| multiscale.name.as_deref() == Some(image));
    let number = by_name.or_else(|| image.parse().ok().filter(|&n: &usize| n < images.len()));
    let Some(number) = number else {
        let names: Vec<&str> = images.iter().filter_map(|multiscale| multiscale.name.as_deref()).collect();
        let named = if names.is_empty() { String::new() } else { format!(" ({:.200})", names.join(", ")) };
        let what = format!("{} has {} images{named}, and none is {image:.60}", path.display(), images.len());
        return Err(Error::usage_hint(what, format!("give a name, or a number: {}?image=0", path.display())));
    };
    images.swap(0, number);
    Ok(())
}

fn locate_level(store: Arc<dyn Store>, attributes: Map<String, Value>, options: &OpenOptions) -> Result<Located> {
    let (path, level) = (store.describe(""), options.level.unwrap_or(0));
    let Some(mut ome) = read_ome(store.as_ref(), &attributes)? else {
        return Err(groups::not_an_image(&store, &attributes));
    };
    if let Some(image) = &options.image {
        pick_image(&path, &mut ome, image)?;
    }
    let levels = &ome.multiscales[0].datasets;
    let Some(dataset) = levels.get(level) else {
        return Err(Error::usage(format!("{} has {} levels, there is no level {level}", path.display(), levels.len())));
    };
    let array_path = node::descend(store.as_ref(), &dataset.path)?;
    match node::read(&store.below(&array_path))? {
        Some(Node::Array { meta, attributes: array_attributes }) => {
            let image = Some(Image { attributes, ome, level, is_by_level: false });
            Ok(Located { store, array_path, meta: *meta, array_attributes, image, warnings: Vec::new(), refused: None })
        }
        _ => Err(Error::malformed(path, format!("level {level}"), format!("{array_path:?}"), "the path of an array")),
    }
}

/// The image that lists this array as a level, up to four folders above; else the array by itself.
fn locate_parent(store: Arc<dyn Store>, meta: ArrayMeta, array_attributes: Map<String, Value>) -> Result<Located> {
    let (mut ancestor, mut array_path, mut refused) = (store.clone(), String::new(), None);
    for _ in 0..ANCESTORS {
        let Some((above, name)) = ancestor.above() else { break };
        array_path = if array_path.is_empty() { name } else { format!("{name}/{array_path}") };
        ancestor = above;
        let node = match node::read_as(meta.zarr_format, &ancestor) {
            Err(error) if node::is_denied(&error) => continue,
            Err(error @ (Error::Malformed { .. } | Error::Unsupported { .. })) => {
                refused.get_or_insert(error);
                continue;
            }
            other => other?,
        };
        let Some(Node::Group { attributes }) = node else { continue };
        let mut ome = match read_ome(ancestor.as_ref(), &attributes) {
            Ok(Some(ome)) => ome,
            Ok(None) => continue,
            Err(error) => {
                refused.get_or_insert(error);
                continue;
            }
        };
        let within = ancestor.as_ref();
        let is_this = |dataset: &Dataset| node::descend(within, &dataset.path).is_ok_and(|path| path == array_path);
        let level_of = |multiscale: &Multiscale| multiscale.datasets.iter().position(is_this);
        let found = ome.multiscales.iter().enumerate().find_map(|(n, multiscale)| Some((n, level_of(multiscale)?)));
        if let Some((number, level)) = found {
            ome.multiscales.swap(0, number);
            let image = Some(Image { attributes, ome, level, is_by_level: true });
            let (warnings, refused) = (Vec::new(), None);
            return Ok(Located { store: ancestor, array_path, meta, array_attributes, image, warnings, refused });
        }
    }
    let warnings = refused.iter().map(|error| by_itself(&store.describe(""), error)).collect();
    Ok(Located { store, array_path: String::new(), meta, array_attributes, image: None, warnings, refused })
}

/// The warning of an array that is opened without the image around it.
pub(super) fn by_itself(path: &Path, error: &Error) -> String {
    format!("{}: opened as an array without an image: {error}", path.display())
}
