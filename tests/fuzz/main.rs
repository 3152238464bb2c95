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
    for target in [bodies::NIFTI, bodies::GZIP, bodies::ZARR_METADATA, bodies::ZARR_CHUNKS, bodies::ZIP, bodies::TIFF] {
        let (seeds, before) = ((target.seeds)(), bodies::reading::files_read());
        seeds.iter().for_each(|bytes| (target.body)(bytes));
        assert_eq!(bodies::reading::files_read() - before, seeds.len() as u64, "{}", target.name);
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
