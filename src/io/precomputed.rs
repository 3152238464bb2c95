//! Neuroglancer's precomputed volumes, in local folders and behind URLs: a document `info`, and scales whose chunks are files of their own or parts of shards.
//!
//! Axes are x, y, z with x fastest, and channels slowest; all channels of a chunk stand together. World is (x, y, z) in nanometres: nothing says how it lies in a body.
//!
//! Source: Neuroglancer, `src/datasource/precomputed`, 2026.

use std::{path::PathBuf, sync::Arc};

use super::{
    convert::Conversion,
    jpeg::lossy_warning,
    tiff::fault::Fault,
    view::View,
    zarr::{OpenOptions, parse_document},
};
use crate::{
    error::{Error, Result},
    geometry::{Affine, Grid, Unit},
    layout::{Access, Ahead, Axis, Layout, Outer},
    storage::{Store, StoreError},
};

mod images;
mod info;
mod segmentation;
mod shard;
mod source;

use info::{Encoding, Info, is_volume};
use shard::Minishard;
pub use source::PrecomputedSource;

/// The document of a volume, and how many bytes of it are read.
const DOCUMENT: &str = "info";
const DOCUMENT_BYTES: u64 = 1 << 20;
/// Bytes of the index of a minishard, at most: some 170 000 chunks.
const MOST_INDEX_BYTES: u64 = 4 << 20;

/// One scale of a volume: its grid, and how its chunks are stored.
#[derive(Clone, Debug)]
pub struct PrecomputedFile {
    /// The folder or URL of the volume.
    pub path: PathBuf,
    /// Of all channels, or of those of a view.
    pub layout: Layout,
    /// Stored samples as they stand.
    pub conversion: Conversion,
    /// The channels that `layout` has of those in the volume, where it does not have them all.
    pub view: Option<View>,
    /// Which scale was chosen, and how many there are.
    pub level: (usize, usize),
    /// What a user should know of this volume, one line each.
    pub warnings: Vec<String>,
    /// The scale's key below the volume.
    key: String,
    info: Arc<Info>,
    store: Arc<dyn Store>,
}

/// Opens the volume at the root of `store`, told by its document; `None` where there is none. No voxel is read. `--level` chooses a scale, 0 being the finest.
///
/// # Errors
/// A document that lies, or of what is not read; no such scale.
pub fn open_in(store: Arc<dyn Store>, options: &OpenOptions) -> Result<Option<PrecomputedFile>> {
    let path = store.describe("");
    let document = match store.get(DOCUMENT, DOCUMENT_BYTES) {
        Ok(Some(text)) => text,
        // No document, a folder of this name, or something larger than such documents are.
        Ok(None) | Err(StoreError::TooLarge { .. }) => return Ok(None),
        Err(StoreError::Io(error)) if error.kind() == std::io::ErrorKind::IsADirectory => return Ok(None),
        Err(error) if error.is_denied() => return Ok(None),
        Err(error) => return Err(error.at("read", store.describe(DOCUMENT))),
    };
    let Ok(document) = parse_document(&document) else { return Ok(None) };
    if !is_volume(&document) {
        return Ok(None);
    }
    if options.image.is_some() {
        return Err(Error::usage_hint(
            "?image= is for groups of several images, and this is one volume",
            "leave it out",
        ));
    }
    let file = Info::read(&document, options.level.unwrap_or(0)).and_then(|info| finish(store, info, options));
    file.map(Some).map_err(|fault| match fault {
        Fault::Unread(what) => {
            let hint = "write it as OME-Zarr first: tensorstore and cloud-volume read it".to_string();
            Error::Unsupported { path, what, hint: Some(hint) }
        }
        other => other.of(&path.join(DOCUMENT)),
    })
}

fn finish(store: Arc<dyn Store>, info: Info, options: &OpenOptions) -> Result<PrecomputedFile, Fault> {
    let scale = &info.scale;
    // Keys may lead beside the volume, not out of what is above it.
    let key = scale.key.trim_end_matches('/').to_string();
    if key.is_empty()
        || key.starts_with('/')
        || key.split('/').any(|part| part.is_empty() || part == "." || part == "..")
    {
        return Err(Fault::Unread(format!(
            "has a scale with the key {}, which leads out of its folder",
            info::short(&key)
        )));
    }
    let outer = match info.channels {
        1 => Outer::default(),
        len => {
            Outer { axes: vec![Axis { name: "c".into(), len, step: 1.0, start: 0.0, unit: None }], chunk: vec![len] }
        }
    };
    let [x, y, z] = scale.chunk;
    let memory = store.memory();
    let file = PrecomputedFile {
        path: store.describe(""),
        layout: Layout { outer, access: Access::Chunked, ..Layout::of(grid(&info), info.dtype) }.in_chunks([z, y, x]),
        // Chunks are little endian whatever the machine is.
        conversion: Conversion { big_endian: false, ..Conversion::plain(info.dtype) },
        view: None,
        level: (options.level.unwrap_or(0), info.keys.len()),
        warnings: if scale.encoding == Encoding::Jpeg { vec![lossy_warning("JPEG")] } else { Vec::new() },
        key,
        info: Arc::new(info),
        store,
    };
    let most_stored = file.most_stored();
    let index = if file.info.scale.sharding.is_some() { file.most_index() } else { 0 };
    let times = if file.info.scale.encoding.is_image() { 1 + images::TIMES } else { 1 };
    let decoded = file.chunk_bytes().saturating_mul(times);
    let decoding = most_stored.saturating_mul(2).saturating_add(decoded).saturating_add(64 << 10);
    let layout = Layout {
        // An index that is read, inflated and taken apart.
        transfer_bytes: decoding.saturating_add(index.saturating_mul(3)).saturating_add(memory.request_bytes),
        resident_bytes: index.saturating_mul(source::KEPT as u64).saturating_add(memory.resident_bytes),
        ahead: Ahead { chunks: file.store.requests(), chunk_bytes: most_stored.saturating_add(memory.request_bytes) },
        ..file.layout.clone()
    };
    Ok(PrecomputedFile { layout, ..file })
}

/// The centre of the finest scale's first voxel is at its offset; scales share their edges.
fn grid(info: &Info) -> Grid {
    let scale = &info.scale;
    let at = |a: usize| (scale.offset[a] as f64 + 0.5) * scale.steps[a] - 0.5 * info.finest[a];
    let [x, y, z] = scale.steps;
    let columns = [[0.0, 0.0, z], [0.0, y, 0.0], [x, 0.0, 0.0]];
    let [nx, ny, nz] = scale.size;
    Grid {
        stated_spacing: Some([z, y, x]),
        anatomical: false,
        ..Grid::new([nz, ny, nx], Affine::from_columns(columns, [at(0), at(1), at(2)]), Unit::Nanometre)
    }
}

impl PrecomputedFile {
    /// The format, for summaries.
    pub fn format_name(&self) -> String {
        let scale = &self.info.scale;
        let encoding = scale.encoding.name();
        let shards = if scale.sharding.is_some() { " in shards" } else { "" };
        let levels =
            if self.level.1 > 1 { format!(", level {} of {}", self.level.0, self.level.1) } else { String::new() };
        format!("Neuroglancer precomputed, {encoding}{shards}{levels}")
    }

    /// The keys of all scales.
    pub fn level_names(&self) -> Vec<String> {
        self.info.keys.clone()
    }

    /// Whether voxels are labels.
    pub fn is_label(&self) -> bool {
        self.info.is_label
    }

    /// Decoded bytes of a chunk with all channels.
    fn chunk_bytes(&self) -> u64 {
        let scale = &self.info.scale;
        let voxels = (0..3).fold(self.info.channels, |n, a| n.saturating_mul(scale.chunk[a].min(scale.size[a])));
        voxels.saturating_mul(self.info.dtype.bytes() as u64)
    }

    /// The most bytes that a chunk is stored in; labels of a block may take three times theirs: a table and places of 32 bits. Images of
    /// noise take more than their samples.
    fn most_stored(&self) -> u64 {
        let raw = self.chunk_bytes();
        let times = match self.info.scale.encoding {
            Encoding::Raw => 1,
            Encoding::Jpeg | Encoding::Png => 2,
            Encoding::Segmentation(_) => 4,
        };
        raw.saturating_mul(times).saturating_add(raw / 64).saturating_add(64 << 10)
    }

    /// The most bytes of the index of a minishard.
    fn most_index(&self) -> u64 {
        let chunks = self.info.scale.counts().iter().fold(1u64, |n, &count| n.saturating_mul(count));
        chunks.saturating_mul(Minishard::ENTRY_BYTES).saturating_add(1024).min(MOST_INDEX_BYTES)
    }
}
