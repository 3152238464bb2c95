//! Opening: from a path to an array, the image it belongs to, and the layout that a plan needs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;

use super::{
    as_nifti::AsNifti,
    file::ZarrFile,
    header, index,
    meta::ArrayMeta,
    node,
    place::{self, Dims},
    source::ZarrSource,
};
use crate::{
    block::BlockMut,
    error::{Error, Result},
    geometry::Grid,
    io::{
        Source,
        convert::Conversion,
        nifti::Header,
        ome::{
            Anatomy, AxisRole, OWN_ATTRIBUTE, OmeAxis, OmeMetadata, Placed, axis_roles, finer_level, level_placement,
        },
        view::Pick,
    },
    layout::{Access, Ahead, Layout},
    storage::{self, Location, Store},
    voxel::Rounding,
};

mod locate;
mod place_nifti;

use locate::{Located, by_itself, locate};
use place_nifti::{Level, order_of_volumes};

/// What the user says of the source beyond its path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpenOptions {
    /// Which image of a group that has several: its number, from 0, or its name; the first by default. Of a folder of DICOM files the UID of a series.
    pub image: Option<String>,
    /// Resolution level of an image; the finest by default.
    pub level: Option<usize>,
    /// Step along z, y, x, in place of what the file says; needed by bare arrays, which say nothing.
    pub spacing_in: Option<[f64; 3]>,
    /// Indices of the channels and of the times to take; all by default. [`open`] itself takes all.
    pub channel: Option<Pick>,
    pub time: Option<Pick>,
}

/// Opens an array (`a.zarr`, `image.zarr/1`) or a level of an image (`image.zarr`), Zarr v2 or v3, in a folder or behind
/// a URL (`s3://bucket/image.zarr/1`).
///
/// # Errors
///
/// [`Error::Io`] where there is nothing, [`Error::Malformed`] and [`Error::Unsupported`] with the metadata's file and
/// member, [`Error::Usage`] for options that do not go with what is there. No chunk is read.
pub fn open(path: &Path, options: &OpenOptions) -> Result<ZarrFile> {
    open_in(store_at(path)?, options)
}

/// The store at a path or a URL, or in a zip archive; a path that ends without a name (`.`, `..`) is resolved, so that what is above it is found.
pub fn store_at(path: &Path) -> Result<Arc<dyn Store>> {
    let mut location = Location::of(path)?;
    if let Location::Folder(folder) = &mut location
        && folder.file_name().is_none()
    {
        *folder = folder.canonicalize().map_err(Error::io("open", path))?;
    }
    storage::open(&location)
}

/// Opens the array or the image at the root of `store`; see [`open`].
///
/// An array that is named by its own path is opened by itself, with a warning, where the image around it cannot be.
pub fn open_in(store: Arc<dyn Store>, options: &OpenOptions) -> Result<ZarrFile> {
    let located = locate(store.clone(), options)?;
    let is_named =
        located.image.is_some() && options.level.is_none() && located.array_store().describe("") == store.describe("");
    let alone = is_named.then(|| located.alone());
    match (open_located(located, options), alone) {
        (Err(error @ (Error::Malformed { .. } | Error::Unsupported { .. })), Some(mut alone)) => {
            alone.warnings.push(by_itself(&store.describe(""), &error));
            open_located(alone, options)
        }
        (opened, _) => opened,
    }
}

/// Opens the array at `path` below `root`, a level of an image; trouble with the image's metadata is an error.
pub(crate) fn open_level(root: &Arc<dyn Store>, path: &str) -> Result<ZarrFile> {
    let located = locate(root.below(path), &OpenOptions::default())?;
    match located.refused {
        Some(error) => Err(error),
        None => open_located(located, &OpenOptions::default()),
    }
}

/// The bytes of the NIfTI header beside the levels of an image, where there is one.
fn header_bytes(located: &Located, warnings: &mut Vec<String>) -> Result<Option<Vec<u8>>> {
    if located.image.is_none() {
        return Ok(None);
    }
    let Some(meta) = header::find(&located.store, located.meta.zarr_format, warnings)? else { return Ok(None) };
    let array = Located::array(located.store.below(header::NAME), meta);
    let source = ZarrSource::<u8>::new(open_located(array, &OpenOptions::default())?);
    let layout = source.layout();
    let mut bytes = vec![0; layout.grid.shape[2] as usize];
    for chunk in 0..layout.chunk_counts()[2] {
        let unit = layout.chunk_region([0, 0, chunk]);
        let part = &mut bytes[unit.lo[2] as usize..unit.hi[2] as usize];
        source.read(0, BlockMut::new(unit, 1, part))?;
    }
    Ok(Some(bytes))
}

fn open_located(mut located: Located, options: &OpenOptions) -> Result<ZarrFile> {
    let path = located.store.describe(&node::descend(located.store.as_ref(), &located.array_path)?);
    let mut warnings = std::mem::take(&mut located.warnings);
    let (axes, roles, placed) = axes_of(&path, &located)?;
    let mut dims = Dims::from_roles(&roles);
    let (unit, factors) = place::spatial_unit(&path, &axes, &dims, &mut warnings);
    let anatomy = anatomy(&path, &axes, &dims, &mut warnings);
    let in_unit = |placed: &[Placed]| {
        let own = dims.spatial(placed, Placed { scale: 1.0, translation: 0.0 });
        [0, 1, 2].map(|a| Placed { scale: own[a].scale * factors[a], translation: own[a].translation * factors[a] })
    };
    let mut spatial = in_unit(&placed);
    if let Some(spacing) = options.spacing_in {
        respace(&mut spatial, spacing)?;
    }
    if spatial.iter().any(|p| p.scale == 0.0 || !p.scale.is_finite() || !p.translation.is_finite()) {
        return Err(Error::malformed(&path, "scale (z, y, x)", format!("{:?}", spatial.map(|p| p.scale)), "not 0"));
    }
    let shape = dims.spatial(&located.meta.shape, 1);
    let mut grid = place::grid(shape, spatial, unit, &anatomy);
    let own = dims.spatial(&placed, Placed { scale: 1.0, translation: 0.0 });
    place_in_body(&path, &located, own, &mut grid, &mut warnings);
    let stated = in_unit(&placed);
    let level = Level { located: &located, in_unit: &in_unit, own: stated, anatomy: &anatomy };
    let beside = header_bytes(&located, &mut warnings)?;
    let nifti = level.place(&mut grid, beside, options.spacing_in.is_none(), &mut warnings);
    if let Some(spacing) = options.spacing_in {
        grid.set_spacing(spacing);
    }
    match &nifti {
        Some(AsNifti::Header(_)) => {
            let named = |&d: &usize| (axes[d].name.clone(), is_time(&axes[d]));
            let order = order_of_volumes(&dims.outer.iter().map(named).collect::<Vec<_>>());
            dims.reorder_outer(&axes, &order);
        }
        Some(AsNifti::Attribute(attribute)) => {
            attribute.outer.iter().for_each(|order| dims.reorder_outer(&axes, order));
        }
        None => {}
    }
    warn_of_levels(&path, &located, options, &mut warnings);
    if located.image.is_none() && axes.len() == 5 && dimension_names(&located).iter().all(Option::is_none) {
        warnings.push(format!("{}: five dimensions without names are taken as t, c, z, y, x", path.display()));
    }
    let mut layout = layout(&located.meta, grid, place::outer(&located.meta, &dims, &axes, &placed), &dims);
    let memory = located.store.memory();
    layout.transfer_bytes = layout.transfer_bytes.saturating_add(memory.request_bytes);
    layout.resident_bytes = layout.resident_bytes.saturating_add(memory.resident_bytes);
    let stored_bytes = located.meta.chain.encoded_limit(located.meta.chunk_bytes());
    let chunk_bytes = stored_bytes.saturating_add(memory.request_bytes);
    layout.ahead = Ahead { chunks: located.store.requests(), chunk_bytes };
    Ok(assemble(located, path, layout, dims, nifti, warnings))
}

fn assemble(
    located: Located,
    path: PathBuf,
    layout: Layout,
    dims: Dims,
    nifti: Option<AsNifti>,
    warnings: Vec<String>,
) -> ZarrFile {
    let Located { store, array_path, meta, array_attributes, image, .. } = located;
    let stored = meta.sample.dtype();
    let empty_chunks = array_attributes.get(OWN_ATTRIBUTE).and_then(|own| own.get("empty_chunks")?.as_u64());
    let attributes = image.as_ref().map_or(&array_attributes, |image| &image.attributes);
    ZarrFile {
        stored,
        conversion: Conversion { stored, big_endian: meta.big_endian, slope: None, rounding: Rounding::Nearest },
        carried: OmeMetadata::carried(attributes),
        is_label: OmeMetadata::is_label(attributes)
            || nifti.as_ref().and_then(AsNifti::header).is_some_and(Header::is_label),
        level: image.as_ref().map(|image| (image.level, image.multiscale().datasets.len())),
        zarr_format: meta.zarr_format,
        codecs: describe(&meta),
        codec: meta.codec,
        image_attributes: image.as_ref().map(|image| image.attributes.clone()),
        ome: image.map(|image| image.ome),
        store,
        layout,
        view: None,
        nifti,
        warnings,
        path,
        array_path,
        empty_chunks,
        meta,
        dims,
    }
}

fn describe(meta: &ArrayMeta) -> String {
    let order = if meta.big_endian && meta.sample.bytes() > 1 { ", big-endian" } else { "" };
    let shards = if meta.shard.is_some() { format!(" in shards of {:?}", meta.object) } else { String::new() };
    format!("{}{order}{shards}", meta.chain.describe())
}

type Axes = (Vec<OmeAxis>, Vec<AxisRole>, Vec<Placed>);

fn axes_of(path: &Path, located: &Located) -> Result<Axes> {
    let dims = located.meta.shape.len();
    let Some(image) = &located.image else {
        let names = dimension_names(located);
        let (axes, roles) = place::bare_axes(&located.meta, &names);
        return Ok((axes, roles, vec![Placed { scale: 1.0, translation: 0.0 }; dims]));
    };
    let version = image.ome.version.as_deref().map(|version| format!(" ({version})")).unwrap_or_default();
    let malformed =
        |what| Error::malformed(path, format!("OME metadata{version}"), what, "NGFF 0.4 to 0.6, without rotations");
    let mut axes = image.multiscale().stated_axes().map_err(malformed)?;
    if axes.is_empty() && dims == 5 {
        // NGFF 0.1 and 0.2 have no axes: always t, c, z, y, x.
        axes = ["t", "c", "z", "y", "x"].map(|name| OmeAxis { name: name.into(), ..OmeAxis::default() }).to_vec();
    }
    if axes.len() != dims {
        return Err(Error::malformed(path, "number of OME axes", axes.len(), format!("{dims}, as the array has")));
    }
    let roles = axis_roles(&axes).map_err(malformed)?;
    let placed = level_placement(image.multiscale(), image.level, dims).map_err(malformed)?;
    Ok((axes, roles, placed))
}

/// Names of a bare array's dimensions: v3's own, or xarray's attribute in v2.
fn dimension_names(located: &Located) -> Vec<Option<String>> {
    if !located.meta.dimension_names.is_empty() {
        return located.meta.dimension_names.clone();
    }
    let names = located.array_attributes.get("_ARRAY_DIMENSIONS").and_then(Value::as_array);
    names.map(|names| names.iter().map(|n| n.as_str().map(str::to_string)).collect()).unwrap_or_default()
}

/// Whether an outer axis is time.
fn is_time(axis: &OmeAxis) -> bool {
    axis.kind.as_deref().map_or(axis.name.eq_ignore_ascii_case("t"), |kind| kind == "time")
}

fn respace(placed: &mut [Placed; 3], spacing: [f64; 3]) -> Result<()> {
    if spacing.iter().any(|step| !step.is_finite() || *step <= 0.0) {
        return Err(Error::usage(format!("spacing of the source {spacing:?} is not positive")));
    }
    for (p, step) in placed.iter_mut().zip(spacing) {
        p.scale = step;
    }
    Ok(())
}

/// Puts the grid where a transformation to the body has it (OME-Zarr 0.6); `level` is the level's own placement along z, y, x.
fn place_in_body(path: &Path, located: &Located, level: [Placed; 3], grid: &mut Grid, warnings: &mut Vec<String>) {
    let Some(body) = located.image.as_ref().and_then(|image| image.multiscale().body()) else { return };
    match body.grid_affine(level, &grid.unit) {
        Some(affine) => (grid.index_to_world, grid.anatomical) = (affine, true),
        None => warnings.push(format!(
            "{}: the transformation to the body is left out: its numbers are not finite, span no space, or are of another unit",
            path.display()
        )),
    }
}

/// How the axes lie in the body; what cannot be understood is told, and taken as not stated.
fn anatomy(path: &Path, axes: &[OmeAxis], dims: &Dims, warnings: &mut Vec<String>) -> Anatomy {
    let anatomy = Anatomy::of(dims.space.map(|d| d.map(|d| &axes[d])));
    if let Anatomy::Odd(what) = &anatomy {
        warnings.push(format!("{}: the orientation of the axes is ignored: {what}", path.display()));
    }
    anatomy
}

fn warn_of_levels(path: &Path, located: &Located, options: &OpenOptions, warnings: &mut Vec<String>) {
    let Some(image) = &located.image else { return };
    let images = image.ome.multiscales.len();
    // An array that is named by its own path says which image it is of.
    if images > 1 && options.image.is_none() && !image.is_by_level {
        let group = located.store.describe("");
        warnings.push(format!(
            "{}: the first of {images} images is read; {}?image=1 is the second",
            path.display(),
            group.display()
        ));
    }
    if let Some(finer) = finer_level(image.multiscale(), located.meta.shape.len()) {
        warnings.push(format!("{}: level {finer} is finer than level 0, which is read", path.display()));
    }
    let others = image.multiscale().other_systems();
    if !others.is_empty() {
        warnings.push(format!(
            "{}: places are those of the image's own coordinates; what leads to other coordinate systems ({}) is left out",
            path.display(),
            others.join(", ")
        ));
    }
    if image.multiscale().datasets[image.level].transformations.is_empty()
        && image.multiscale().steps().next().is_none()
    {
        warnings.push(format!("{}: the image states no scale, taken as 1", path.display()));
    }
}

/// The layout of an array for a plan.
pub(super) fn layout(meta: &ArrayMeta, grid: Grid, outer: crate::layout::Outer, dims: &Dims) -> Layout {
    let chunk = dims.spatial(&meta.chunk, 1);
    let chunk = [0, 1, 2].map(|a| chunk[a].min(grid.shape[a]));
    let index = index::memory(meta);
    let row_bytes = grid.shape[2].min(chunk[2]).saturating_mul(8 * super::copy::ROWS as u64);
    Layout {
        grid,
        outer,
        components: 1,
        stored: meta.sample.dtype(),
        access: Access::Chunked,
        chunk,
        shard: None,
        transfer_bytes: meta
            .chain
            .decode_memory(meta.chunk_bytes())
            .saturating_add(index.load_bytes)
            .saturating_add(row_bytes)
            .saturating_add(64 << 10),
        resident_bytes: index.cache_bytes,
        stored_bytes: None,
        ahead: Default::default(),
    }
}
