//! The part of the kit that needs neither the command nor a test runner, for bodies that are fuzzed.
#![allow(dead_code)]

pub(crate) mod cases;
pub(crate) mod dicoms;
pub(crate) mod hdf5s;
pub(crate) mod jpeg_lossless;
pub(crate) mod jpeg_lossy;
pub(crate) mod nifti;
pub(crate) mod plans;
pub(crate) mod precomputeds;
pub(crate) mod rng;
pub(crate) mod runs;
pub(crate) mod stores;
pub(crate) mod tiffs;
pub(crate) mod volumes;
