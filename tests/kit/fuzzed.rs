//! The part of the kit that needs neither the command nor a test runner, for bodies that are fuzzed.
#![allow(dead_code)]

pub mod cases;
pub mod dicoms;
pub mod hdf5s;
pub mod jpeg_lossless;
pub mod jpeg_lossy;
pub mod nifti;
pub mod plans;
pub mod precomputeds;
pub mod rng;
pub mod runs;
pub mod stores;
pub mod tiffs;
pub mod volumes;
