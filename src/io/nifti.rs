//! NIfTI-1 and NIfTI-2 headers: fields, validation, geometry, extensions, and the header of a target.
//!
//! No voxels pass through here: `open` says where they stand and how to read them, `target_header` gives the bytes
//! that go before them. File axes i, j, k become storage axes k, j, i (slowest first) here and nowhere else. World is
//! RAS+, as the format has it.
//!
//! Sources: `nifti1.h` (2007), `nifti2.h` (2011), `nifti1_io.c` for the quaternion formulas.

mod affine;
mod axes;
mod check;
mod codec;
mod datatype;
#[cfg(feature = "nifti")]
mod exchange;
mod extension;
mod forms;
mod header;
mod lone;
mod open;
mod quaternion;
mod target;
mod wire;

pub use datatype::data_type_code;
#[cfg(feature = "nifti")]
pub use exchange::{NiftiStreamSource, NiftiVolumeSource, nifti_header};
pub use extension::MAX_EXTENSION_BYTES;
pub use forms::FormsOf;
pub use header::{Header, Version};
pub use lone::{LoneHeader, lone_header};
pub use open::{NiftiFile, is_file_name, open, open_with, pair_behind_url};
pub use target::{TargetSpec, extension_remark, target_header, target_remarks};
