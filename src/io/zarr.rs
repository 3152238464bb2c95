//! Zarr v2 and v3 arrays and OME-Zarr 0.4 and 0.5 images, in local folders and behind URLs.
//!
//! Reading brings any axis order to (z, y, x) with the other axes outside. It decodes one chunk, or one inner chunk of a
//! shard, at a time, for all volumes in it. Writing makes OME-Zarr 0.5 on Zarr v3, chunked or sharded, or 0.4 on Zarr v2:
//! the same bytes for any order of arrival.
//!
//! Metadata and stored bytes are not trusted: sizes are checked before anything is allocated by them, keys stay below the
//! root, and every error names the array, the chunk and its stored bytes. zarrs decodes and encodes Blosc (except frames
//! with zstd, which `blosc` writes). Its partial reads are not used: they skip checksums and sizes.

use std::{path::Path, sync::Arc};

use crate::storage::{DirStore, Store};

mod as_nifti;
mod blosc;
mod chunking;
pub mod chunks;
mod codec;
pub(in crate::io) mod copy;
pub(in crate::io) mod deflated;
mod document;
mod encode;
pub(crate) mod file;
mod filter;
pub(crate) mod groups;
mod header;
pub(crate) mod index;
mod levels;
pub(in crate::io) mod limit;
pub(crate) mod meta;
pub(crate) mod node;
pub(crate) mod open;
mod place;
pub(in crate::io) mod sample;
mod shard;
mod sink;
pub(crate) mod source;
mod stored;
mod target;

pub use as_nifti::AsNifti;
pub use chunking::{MANY_FILES, chunk_of_shard, default_chunking, default_file_chunk, file_count};
pub use document::{has_literals, parse as parse_document, text_of as document_text};
pub use encode::{Codec, DEFAULT_ZSTD_LEVEL};
pub use file::ZarrFile;
pub use header::{HeaderBytes, NAME as HEADER_NAME};
pub use levels::{AddedLevel, level_path, reconsolidate, with_levels};
pub use open::{OpenOptions, open, open_in, store_at};
pub use sink::{ZarrSink, adopt};
pub use source::ZarrSource;
pub use stored::StoredLevel;
pub use target::{Levels, ZarrTarget};

/// Whether `path` is a folder that holds a Zarr array or group, by its content.
pub fn is_zarr(path: &Path) -> bool {
    let store: Arc<dyn Store> = Arc::new(DirStore::new(path));
    ["zarr.json", ".zarray", ".zgroup", ".zmetadata"].iter().any(|name| path.join(name).is_file())
        || (path.is_dir() && matches!(node::read(&store), Ok(Some(_))))
}
