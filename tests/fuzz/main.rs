//! The bodies of `fuzz/` on stable: valid minimal cases, changed at random. `RESLICE_FUZZ_SECONDS` per body (2), `RESLICE_SEED`.
//! A failure is told with the smallest input that was found, in hexadecimal; `RESLICE_FUZZ_INPUT=HEX` runs just that one;
//! `RESLICE_FUZZ_CORPUS=FOLDER` writes the seeds there. `tests/fuzz-long` is the long run.

#[path = "bodies.rs"]
mod bodies;
mod mutate;
mod runner;

use runner::fuzz;

/// Seeds that are refused at once would find nothing.
#[test]
fn seeds_are_valid() {
    use bodies::{DICOM, GZIP, HDF5, NIFTI, PLAIN, PRECOMPUTED, TIFF, ZARR_CHUNKS, ZARR_METADATA, ZIP};
    for target in [NIFTI, GZIP, ZARR_METADATA, ZARR_CHUNKS, ZIP, TIFF, HDF5, DICOM, PRECOMPUTED, PLAIN] {
        for (n, seed) in (target.seeds)().iter().enumerate() {
            let before = bodies::reading::files_read();
            (target.body)(seed);
            assert!(bodies::reading::files_read() > before, "seed {n} of {} is not read", target.name);
        }
    }
}

#[test]
fn nifti() {
    fuzz(&bodies::NIFTI);
}

#[test]
fn gzip() {
    fuzz(&bodies::GZIP);
}

#[test]
fn zarr_metadata() {
    fuzz(&bodies::ZARR_METADATA);
}

#[test]
fn zarr_chunks() {
    fuzz(&bodies::ZARR_CHUNKS);
}

#[test]
fn zip() {
    fuzz(&bodies::ZIP);
}

#[test]
fn tiff() {
    fuzz(&bodies::TIFF);
}

#[test]
fn hdf5() {
    fuzz(&bodies::HDF5);
}

#[test]
fn dicom() {
    fuzz(&bodies::DICOM);
}

#[test]
fn precomputed() {
    fuzz(&bodies::PRECOMPUTED);
}

#[test]
fn plain() {
    fuzz(&bodies::PLAIN);
}

#[test]
fn transforms() {
    fuzz(&bodies::TRANSFORMS);
}

#[test]
fn journal() {
    fuzz(&bodies::JOURNAL);
}

#[test]
fn state() {
    fuzz(&bodies::STATE);
}

#[test]
fn plan() {
    fuzz(&bodies::PLAN);
}
