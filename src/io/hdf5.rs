//! Images of microscopes in HDF5: Imaris (`.ims`), and BigDataViewer (`.h5` with an `.xml`).
//!
//! What is read of HDF5 is what these two have: groups and attributes, and datasets of three axes in chunks that a tree finds. Of a file nothing is held but where the
//! tree of each volume stands: a chunk is looked up from the root of its tree each time, some reads of a few KiB, whatever the number of chunks. `hdf5-pure`, which reads ITK's
//! transforms, lists all chunks of a dataset first, and tells neither fill values nor where a tree stands (docs/architecture.md).
//!
//! World is (x, y, z) in the unit of the file: nothing says how it lies in a body.
//!
//! Source: HDF5 File Format Specification 3.0; those of `imaris` and `bdv`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{convert::Conversion, tiff::fault::Fault, view::View};
use crate::{
    error::{Error, Result},
    geometry::{Affine, Grid},
    layout::{Layout, Outer},
    voxel::Dtype,
};

mod attribute;
mod bdv;
mod bytes;
mod dataset;
mod filters;
mod group;
mod header;
mod imaris;
mod matrix;
mod source;
mod tree;
mod volumes;

use bytes::Bytes;
use dataset::Storage;
pub use source::Hdf5Source;
use volumes::{Described, Volumes};

/// Chunks that an image may have, whatever the file is: of more than that, a file of as many bytes may be.
const LEAST_CHUNKS: u64 = 1 << 20;

/// An image of a file, and one of its levels: its grid, and where its volumes stand.
#[derive(Clone, Debug)]
pub struct Hdf5File {
    /// The file with the voxels.
    pub path: PathBuf,
    kind: &'static str,
    /// Of all volumes, or of those of a view.
    pub layout: Layout,
    /// Stored samples as they stand.
    pub conversion: Conversion,
    /// The volumes that `layout` has of those in the file, where it does not have them all.
    pub view: Option<View>,
    /// Which level was chosen, and how many there are.
    pub level: (usize, usize),
    /// What a user should know of this file, one line each.
    pub warnings: Vec<String>,
    table: Arc<Table>,
}

/// The open file and its volumes.
#[derive(Debug)]
struct Table {
    bytes: Bytes,
    volumes: Volumes,
    storage: Storage,
}

/// Opens an image in HDF5, or the `.xml` of BigDataViewer beside one, told by its content; `None` where it is neither. No voxel is read. `image` is the number or
/// name of one of several images, `level` one of its levels, 0 being the finest.
///
/// # Errors
/// What is wrong with the file, with the structure and its value, and what is not read here.
pub fn open(path: &Path, image: Option<&str>, level: Option<usize>) -> Result<Option<Hdf5File>> {
    let described = match bdv::document(path).map_err(|fault| fault.of(path))? {
        Some(document) => Some((document.file.clone(), Some(document))),
        None => None,
    };
    let (file, document) = described.unwrap_or_else(|| (path.to_path_buf(), None));
    let is_named = document.is_some();
    read(&file, document, image, level).map_err(|fault| fault.of(&file)).and_then(|read| {
        if read.is_none() && is_named {
            return Err(Error::malformed(&file, "the file", "no HDF5 of BigDataViewer", "what its XML names"));
        }
        Ok(read)
    })
}

fn read(
    path: &Path,
    document: Option<bdv::Document>,
    image: Option<&str>,
    level: Option<usize>,
) -> Result<Option<Hdf5File>, Fault> {
    let Some(bytes) = Bytes::open(path)? else { return Ok(None) };
    let root = match group::links(&bytes, bytes.root)? {
        Some(root) => root,
        None => return Err(Fault::wrong("the root of the file", "no group", "a group")),
    };
    let described = match imaris::describe(&bytes, &root, level)? {
        Some(_) if image.is_some() => {
            let what = "?image= is for files of several images, and one of Imaris has one".to_string();
            return Err(Fault::Asked(what, "leave it out".into()));
        }
        Some(described) => Some(described),
        None => bdv::describe(path, &bytes, &root, document, image, level)?,
    };
    described.map(|described| finish(path, bytes, described)).transpose()
}

fn finish(path: &Path, bytes: Bytes, mut described: Described) -> Result<Hdf5File, Fault> {
    let storage = described.volumes.storage()?.clone();
    let is_unsigned = described.is_unsigned && storage.dtype == Dtype::I16;
    let stored = if is_unsigned { Dtype::U16 } else { storage.dtype };
    let grid = grid(&mut described);
    let outer = Outer::separate(std::mem::take(&mut described.axes));
    let table_bytes = described.volumes.trees.capacity() * size_of::<Option<u64>>();
    let layout = Layout {
        outer,
        transfer_bytes: filters::memory_bytes(storage.chunk_bytes()).saturating_add(tree::MEMORY_BYTES),
        resident_bytes: table_bytes as u64,
        ..Layout::of(grid, stored)
    };
    let layout = layout.in_chunks(storage.chunk);
    let chunks = layout.chunk_counts().iter().fold(layout.outer.groups(), |n, &count| n.saturating_mul(count));
    if chunks > bytes.len().max(LEAST_CHUNKS) {
        let expected = format!("no more than its {} bytes", bytes.len());
        return Err(Fault::wrong("the file", format!("of {chunks} chunks"), expected));
    }
    Ok(Hdf5File {
        path: path.to_path_buf(),
        kind: described.kind,
        layout,
        conversion: Conversion { big_endian: storage.big_endian, ..Conversion::plain(stored) },
        view: None,
        level: described.level,
        warnings: described.warnings,
        table: Arc::new(Table { bytes, volumes: described.volumes, storage }),
    })
}

fn grid(described: &mut Described) -> Grid {
    let steps = described.steps;
    let names = ["z", "y", "x"];
    let unstated: Vec<&str> =
        names.into_iter().zip(steps).filter(|(_, step)| step.is_none()).map(|(name, _)| name).collect();
    if !unstated.is_empty() {
        let (axes, symbol) = (unstated.join(", "), described.unit.symbol());
        described.warnings.push(format!(
            "no step is stated along {axes}: 1 {} is taken; --spacing-in states it",
            symbol.trim_end_matches('s')
        ));
    }
    let step = steps.map(|step| step.unwrap_or(1.0));
    let columns = [[0.0, 0.0, step[0]], [0.0, step[1], 0.0], [step[2], 0.0, 0.0]];
    let [z, y, x] = described.origin;
    Grid {
        stated_spacing: Some(step),
        anatomical: false,
        ..Grid::new(described.shape, Affine::from_columns(columns, [x, y, z]), described.unit.clone())
    }
}

impl Storage {
    /// Bytes of a chunk, decoded.
    fn chunk_bytes(&self) -> u64 {
        self.chunk.iter().fold(self.dtype.bytes() as u64, |n, &extent| n.saturating_mul(extent))
    }
}

impl Hdf5File {
    /// The names of the groups of all levels, finest first.
    pub fn level_names(&self) -> Vec<String> {
        let name = |level: usize| match self.kind {
            imaris::KIND => format!("ResolutionLevel {level}"),
            _ => level.to_string(),
        };
        (0..self.level.1).map(name).collect()
    }

    /// The format, for summaries.
    pub fn format_name(&self) -> String {
        let filters: Vec<&str> = self.table.storage.filters.iter().map(|filter| filter.name()).collect();
        let filters = if filters.is_empty() { "raw".into() } else { filters.join(" + ") };
        let levels =
            if self.level.1 > 1 { format!(", level {} of {}", self.level.0, self.level.1) } else { String::new() };
        format!("{} (HDF5), {filters}{levels}", self.kind)
    }
}
