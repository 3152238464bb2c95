//! The target of a job: its format by its name, its layout before anything is created, and its creation.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{TargetOptions, Values, pyramid::levels::Pyramid};

mod build;
mod bytes;
mod halves;
mod inherited;
mod replace;
mod stored;

use crate::{
    checkpoint::Identity,
    error::{Error, Result},
    geometry::Grid,
    io::{
        around::Around,
        convert::Conversion,
        format::Format,
        gzip::{self, Framing},
        input::Input,
        ome::{Carried, CarriedTo, OmeMetadata, OmeVersion},
        packed::Packed,
        raw, tiff,
        zarr::{Levels, MANY_FILES, ZarrTarget, chunk_of_shard, default_chunking, default_file_chunk, file_count},
    },
    layout::{Access, Axis, Layout, Outer},
    resample::Reduction,
    storage::{self, Location, Store},
};
pub(super) use inherited::Inherited;
use inherited::{has_all_axes, header_beside, nifti_header, plain_header};
pub(super) use stored::Whose;

/// A target that is described in full, but not created yet.
#[derive(Debug)]
pub struct Output {
    pub path: PathBuf,
    pub format: Format,
    pub layout: Layout,
    /// What a user should know of the target before the run.
    pub warnings: Vec<String>,
    options: TargetOptions,
    recipe: Recipe,
    /// Where the target is, if that is not a folder.
    store: Option<Arc<dyn Store>>,
    /// The levels below the finest, of an image that is to have some.
    pub pyramid: Option<Pyramid>,
}

#[derive(Debug)]
enum Recipe {
    /// Voxels in C order, what stands around them, and how they are compressed.
    File {
        around: Around,
        packed: Packed,
        framing: Option<Framing>,
    },
    Zarr(Box<ZarrTarget>),
}

impl Output {
    /// The target in full, nothing of it made.
    pub fn describe(
        path: &Path,
        format: Format,
        grid: &Grid,
        values: &Values,
        options: &TargetOptions,
        inherited: &Inherited<'_>,
    ) -> Result<Output> {
        let store = store_of(path, format)?;
        let source = inherited.input.layout();
        let layout = Layout {
            grid: grid.clone(),
            outer: Outer::separate(source.outer.axes.clone()),
            components: source.components,
            stored: values.target,
            access: Access::Random,
            chunk: grid.shape,
            shard: None,
            transfer_bytes: 0,
            resident_bytes: 0,
            stored_bytes: None,
            ahead: Default::default(),
        };
        let about = About { path, format, values, options, inherited };
        let mut warnings = Vec::new();
        let (layout, recipe, pyramid) = match format.is_store() {
            true => about.store(&layout, store.as_deref(), &mut warnings)?,
            false => about.file(layout, &mut warnings)?,
        };
        let (path, options) = (path.to_path_buf(), options.clone());
        Ok(Output { path, format, layout, warnings, options, recipe, store, pyramid })
    }

    /// An error where the folder of a local target is not there.
    pub fn check_folder(&self) -> Result<()> {
        let folder = self.folder();
        if self.store.is_some() {
            return Ok(());
        }
        let meta = std::fs::metadata(folder).map_err(Error::io("write into", folder))?;
        let is_folder = if meta.is_dir() { Ok(()) } else { Err(std::io::ErrorKind::NotADirectory.into()) };
        is_folder.map_err(Error::io("write into", folder))
    }

    /// Makes the folder of a local target, where it is not there.
    pub fn make_folder(&self) -> Result<()> {
        if self.store.is_some() {
            return Ok(());
        }
        std::fs::create_dir_all(self.folder()).map_err(Error::io("create", self.folder()))
    }

    /// What of the target decides its bytes.
    pub fn identify(&self, identity: &mut Identity) {
        identity.add("format", format!("{:?}", self.format));
        match &self.recipe {
            Recipe::File { around, packed, framing } => {
                let framing = framing.map_or(String::new(), |framing| format!("{framing:?}"));
                let header = around.crc32();
                identity.add("header and framing", format!("{header:08x} {packed:?} {framing}"));
            }
            Recipe::Zarr(target) => {
                let ZarrTarget { version, chunk, shard, codec, .. } = target.as_ref();
                identity.add("chunk, shard, codec", format!("{chunk:?} {shard:?} {codec:?} {version:?}"));
                identity.add("image", format!("{target:?}"));
            }
        }
        if let Some(pyramid) = &self.pyramid {
            identity.add("pyramid", format!("{:?} {:?}", pyramid.method, pyramid.factors));
        }
    }

    /// Where scratch files go that are needed before there is a staging folder.
    pub fn scratch_folder(&self, scratch: Option<&Path>) -> PathBuf {
        match (scratch, &self.store) {
            (Some(folder), _) => folder.to_path_buf(),
            (None, Some(_)) => std::env::temp_dir(),
            (None, None) => self.folder().to_path_buf(),
        }
    }

    /// Whether the target is a file or folder of this machine.
    pub fn is_local(&self) -> bool {
        self.store.is_none()
    }

    /// The folder that it is in.
    pub fn folder(&self) -> &Path {
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// Whether it is one compressed stream.
    pub fn is_stream(&self) -> bool {
        matches!(self.recipe, Recipe::File { framing: Some(_), .. })
    }

    /// Whether another target may be replaced.
    pub fn overwrites(&self) -> bool {
        self.options.overwrite
    }
}

/// What a target is described by.
struct About<'a> {
    path: &'a Path,
    format: Format,
    values: &'a Values,
    options: &'a TargetOptions,
    inherited: &'a Inherited<'a>,
}

impl About<'_> {
    /// A Zarr image, or what becomes an archive of one, with its levels.
    fn store(
        &self,
        layout: &Layout,
        store: Option<&dyn Store>,
        warnings: &mut Vec<String>,
    ) -> Result<(Layout, Recipe, Option<Pyramid>)> {
        let About { path, format, values, options, inherited } = *self;
        refuse_old_archive(path, format, options.ome)?;
        let mut target = zarr_target(path, layout, values, options, inherited, warnings)?;
        let mut pyramid = None;
        if let Some(asked) = inherited.pyramid {
            let method = asked.method.unwrap_or_else(|| default_method(inherited.input));
            let below = Pyramid::new(path, &target, method, asked.levels)?;
            target.levels = below.target.levels.clone();
            pyramid = Some(below);
        }
        let mut layout = target.layout(path)?;
        if let Some(store) = store {
            target.add_memory(store.memory(), &mut layout);
            pyramid.iter_mut().for_each(|pyramid| pyramid.memory = store.memory());
        }
        if format == Format::Zarr {
            warn_of_files(&layout, warnings);
        }
        Ok((layout, Recipe::Zarr(Box::new(target)), pyramid))
    }

    /// Voxels in C order with a header, raw or compressed.
    fn file(&self, layout: Layout, warnings: &mut Vec<String>) -> Result<(Layout, Recipe, Option<Pyramid>)> {
        let About { path, format, values, options, inherited } = *self;
        if inherited.pyramid.is_some() {
            let what = format!("{} files have no levels", format.name());
            return Err(Error::usage_hint(what, "give --pyramid with a .zarr target"));
        }
        if let Some((what, hint)) = format.refuses(options.framing) {
            return Err(Error::usage_hint(what, hint));
        }
        let framing = format.framing(options.framing);
        let layout = if format.is_nifti() { vectors_apart(layout, inherited.input) } else { layout };
        let around = match format {
            Format::Tiff => Around::leading(tiff_header(path, &layout, values, inherited, warnings)?),
            _ if format.is_nifti() => nifti_header(path, format, &layout, values, inherited, warnings)?,
            _ => plain_header(path, format, &layout, framing, inherited.input, warnings)?,
        };
        let conversion = Conversion { big_endian: format.is_big_endian(), ..values.writing };
        let packed = Packed::new(&layout, around.offset(), conversion);
        let layout = match framing {
            Some(_) => gzip::target_layout(layout),
            // The directories of many pages count.
            None if format == Format::Tiff => Layout { resident_bytes: around.bytes(), ..raw::target_layout(layout) },
            None => raw::target_layout(layout),
        };
        Ok((layout, Recipe::File { around, packed, framing }, None))
    }
}

/// Vectors of floats, which NIfTI has no datatype for: their numbers are its fifth dimension, as ITK writes them.
fn vectors_apart(layout: Layout, input: &Input) -> Layout {
    let is_vector = layout.components == 3 && layout.stored.is_float() && layout.outer.axes.is_empty();
    if !is_vector || !matches!(input, Input::Plain(_)) {
        return layout;
    }
    let numbers = Axis { name: "c".into(), len: 3, step: 1.0, start: 0.0, unit: None };
    Layout { components: 1, outer: Outer::separate(vec![numbers]), ..layout }
}

/// The store of a target behind a URL.
fn store_of(path: &Path, format: Format) -> Result<Option<Arc<dyn Store>>> {
    let location = Location::of(path)?;
    let Location::Url(url) = &location else { return Ok(None) };
    if format != Format::Zarr {
        let hint = "write it to a local path and copy it, or write .zarr";
        let kind = if format == Format::Ozx { "zip archive".into() } else { format!("{} file", format.name()) };
        return Err(Error::usage_hint(format!("{url} would be a {kind}: only .zarr is written to a URL"), hint));
    }
    if url.scheme.starts_with("http") {
        let hint = "write to s3://, gs://, az:// or a local path";
        return Err(Error::usage_hint(format!("{url} cannot be written: web servers are read only"), hint));
    }
    storage::connect(&location).map(Some)
}

/// The archive of RFC-9 holds Zarr v3.
fn refuse_old_archive(path: &Path, format: Format, version: OmeVersion) -> Result<()> {
    if format == Format::Ozx && version == OmeVersion::V04 {
        let what = format!("{} would be a zip archive of OME-Zarr 0.4: those have 0.5 or later", path.display());
        return Err(Error::usage_hint(what, "leave out --ome 0.4, or write .zarr"));
    }
    Ok(())
}

/// What stands before the voxels of a TIFF file.
fn tiff_header(
    path: &Path,
    layout: &Layout,
    values: &Values,
    inherited: &Inherited<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<u8>> {
    warnings.extend(tiff::target_remarks(&layout.grid));
    tiff::target_header(&tiff::TargetSpec { path, name: inherited.name, layout, big_endian: values.writing.big_endian })
}

/// Labels must not be averaged.
fn default_method(input: &Input) -> Reduction {
    if input.is_label() { Reduction::Mode } else { Reduction::Mean }
}

fn zarr_target(
    path: &Path,
    layout: &Layout,
    values: &Values,
    options: &TargetOptions,
    inherited: &Inherited<'_>,
    warnings: &mut Vec<String>,
) -> Result<ZarrTarget> {
    let grid = &layout.grid;
    let (chunk, shard) = chunking(layout, options);
    let nifti = header_beside(path, layout, inherited, warnings)?;
    Ok(ZarrTarget {
        version: options.ome,
        grid: grid.clone(),
        outer: layout.outer.axes.clone(),
        lacking: if has_all_axes(layout, inherited) { [false; 3] } else { left_out(inherited.lacking, grid.shape) },
        components: layout.components,
        conversion: values.writing,
        chunk,
        shard,
        codec: options.codec,
        name: inherited.name.to_string(),
        carried: match inherited.input.zarr() {
            Some(file) => file.carried.fitting(&carried_to(layout, options, inherited), warnings),
            _ if inherited.input.is_label() => {
                OmeMetadata::label().fitting(&carried_to(layout, options, inherited), warnings)
            }
            _ => Carried::default(),
        },
        nifti,
        levels: Levels::default(),
    })
}

/// Axes that the target is written without: of one voxel, where two of space are left.
fn left_out(lacking: [bool; 3], shape: [u64; 3]) -> [bool; 3] {
    let left_out: [bool; 3] = std::array::from_fn(|a| lacking[a] && shape[a] == 1);
    if left_out.iter().filter(|&&out| out).count() < 2 { left_out } else { [false; 3] }
}

fn carried_to(layout: &Layout, options: &TargetOptions, inherited: &Inherited<'_>) -> CarriedTo {
    let channels = layout.outer.axes.iter().filter(|axis| axis.name == "c").map(|axis| axis.len);
    CarriedTo {
        version: options.ome,
        channels: channels.fold(layout.components as u64, u64::saturating_mul),
        planes: (inherited.input.layout().grid.shape[0], layout.grid.shape[0]),
        integers: !layout.stored.is_float(),
    }
}

fn warn_of_files(layout: &Layout, warnings: &mut Vec<String>) {
    let object = layout.shard.unwrap_or(layout.chunk);
    let files = file_count(layout.grid.shape, layout.outer.volumes(), object);
    if files > MANY_FILES {
        let [z, y, x] = object;
        warnings.push(format!(
            "the target is {files} files of {x}x{y}x{z} voxels: file systems and copies are slow with more than \
             {MANY_FILES}; use larger ones with --shard (--ome 0.5) or --chunk"
        ));
    }
}

/// Chunk and shard as asked for, the rest chosen: a given chunk is gathered in shards that are about as large as those
/// of the default.
fn chunking(layout: &Layout, options: &TargetOptions) -> ([u64; 3], Option<[u64; 3]>) {
    let (shape, volumes, bytes) = (layout.grid.shape, layout.outer.volumes(), layout.stored.bytes());
    let (mut default_chunk, mut default_shard) = default_chunking(shape, volumes, bytes);
    if options.ome == OmeVersion::V04 {
        default_shard = None;
    }
    if options.shard.map_or(default_shard.is_none(), |shard| shard.is_none()) {
        default_chunk = default_file_chunk(shape, volumes, bytes);
    }
    if let Some(Some(shard)) = options.shard {
        default_chunk = chunk_of_shard(shard, default_chunk);
    }
    let chunk = options.chunk.unwrap_or(default_chunk);
    let whole_chunks = |shard: [u64; 3]| std::array::from_fn(|a| shard[a].next_multiple_of(chunk[a].max(1)));
    let shard = options.shard.unwrap_or_else(|| default_shard.map(whole_chunks));
    (chunk, shard)
}
