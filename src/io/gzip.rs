//! Voxels in a gzip stream (RFC 1952): read forward, written in order, compressed in parallel.

mod bgzf;
mod check;
mod compressor;
mod framing;
mod inflate;
mod reopen;
mod sink;
mod source;

pub use bgzf::{BgzfSource, is_bgzf};
pub use check::{Inflated, inflate_all};
pub use framing::{DEFAULT_BGZF_LEVEL, DEFAULT_LEVEL, Framing};
pub use inflate::{Coding, Start};
pub use sink::{GzipSink, holds, reaches, stored_regions, target_layout};
pub use source::GzipSource;
