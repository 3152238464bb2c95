//! What the contract tests share: seeds, a timeout, volumes, the naive reference, and wrappers that count or break.
#![allow(dead_code)]

pub mod apply;
pub mod cases;
pub mod counted;
pub mod damaged;
pub mod dicoms;
pub mod faulty;
pub mod folder;
pub mod hdf5s;
pub mod jpeg_lossless;
pub mod jpeg_lossy;
pub mod nifti;
pub mod oblique;
pub mod peak;
pub mod plans;
pub mod precomputeds;
pub mod reference;
pub mod rng;
pub mod runs;
pub mod spline;
pub mod stores;
pub mod tiffs;
pub mod timeout;
pub mod volumes;
pub mod zarrs_folder;
