//! What is fuzzed: functions of bytes, which must neither panic nor hang nor take much memory, whatever the bytes are.
//!
//! `tests/fuzz/main.rs` runs them on stable over changed seeds, `fuzz/` under libFuzzer. Each body keeps one folder for as long as its
//! thread lives. The seeds are valid minimal cases, made by code.
#![allow(dead_code)]

#[path = "../kit/fuzzed.rs"]
pub(crate) mod kit;

mod dicom;
mod gzip;
mod hdf5;
mod journal;
mod nifti;
mod plain;
mod plan;
mod precomputed;
pub(crate) mod reading;
mod state;
mod tiff;
mod transforms;
mod zarr;
mod zip;

/// One body with the cases that it begins from.
pub(crate) struct Target {
    pub name: &'static str,
    pub body: fn(&[u8]),
    pub seeds: fn() -> Vec<Vec<u8>>,
}

pub(crate) const NIFTI: Target = Target { name: "nifti", body: nifti::body, seeds: nifti::seeds };
pub(crate) const GZIP: Target = Target { name: "gzip", body: gzip::body, seeds: gzip::seeds };
pub(crate) const ZARR_METADATA: Target = Target { name: "zarr_metadata", body: zarr::body, seeds: zarr::documents };
pub(crate) const ZARR_CHUNKS: Target = Target { name: "zarr_chunks", body: zarr::body, seeds: zarr::chunks };
pub(crate) const ZIP: Target = Target { name: "zip", body: zip::body, seeds: zip::seeds };
pub(crate) const TIFF: Target = Target { name: "tiff", body: tiff::body, seeds: tiff::seeds };
pub(crate) const HDF5: Target = Target { name: "hdf5", body: hdf5::body, seeds: hdf5::seeds };
pub(crate) const DICOM: Target = Target { name: "dicom", body: dicom::body, seeds: dicom::seeds };
pub(crate) const PRECOMPUTED: Target =
    Target { name: "precomputed", body: precomputed::body, seeds: precomputed::seeds };
pub(crate) const PLAIN: Target = Target { name: "plain", body: plain::body, seeds: plain::seeds };
pub(crate) const TRANSFORMS: Target = Target { name: "transforms", body: transforms::body, seeds: transforms::seeds };
pub(crate) const JOURNAL: Target = Target { name: "journal", body: journal::body, seeds: journal::seeds };
pub(crate) const STATE: Target = Target { name: "state", body: state::body, seeds: state::seeds };
pub(crate) const PLAN: Target = Target { name: "plan", body: plan::body, seeds: plan::seeds };

/// The first byte chooses, the others are what is looked at.
fn chosen(bytes: &[u8], of: usize) -> (usize, &[u8]) {
    bytes.split_first().map_or((0, &[]), |(&first, rest)| (usize::from(first) % of.max(1), rest))
}

/// A seed that chooses `n`.
fn choosing(n: usize, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    [&[n as u8][..], bytes.as_ref()].concat()
}
