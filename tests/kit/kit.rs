//! What the contract tests share: seeds, a timeout, volumes, the naive reference, and wrappers that count or break.
#![allow(dead_code)]

pub(crate) mod apply;
pub(crate) mod cases;
pub(crate) mod counted;
pub(crate) mod damaged;
pub(crate) mod dicoms;
pub(crate) mod faulty;
pub(crate) mod folder;
pub(crate) mod hdf5s;
pub(crate) mod jpeg_lossless;
pub(crate) mod jpeg_lossy;
pub(crate) mod nifti;
pub(crate) mod oblique;
pub(crate) mod peak;
pub(crate) mod plans;
pub(crate) mod precomputeds;
pub(crate) mod reference;
pub(crate) mod rng;
pub(crate) mod runs;
pub(crate) mod spline;
pub(crate) mod stores;
pub(crate) mod tiffs;
pub(crate) mod timeout;
pub(crate) mod volumes;
pub(crate) mod zarrs_folder;
