//! Most tests, in one program: what they share is built once.

#[path = "../kit/kit.rs"]
mod kit;

mod advice;
mod ahead;
mod batch;
mod bounded_input;
mod cli;
mod compound;
mod dicom;
mod faults;
mod formats;
mod guide;
mod hostile;
mod hostile_servers;
mod in_place;
mod lost;
mod memory;
mod nifti_header;
mod nifti_oracle;
mod oblique;
mod ops;
mod overshoot;
mod passing;
mod plain;
mod plan;
mod pyramid;
mod refusals;
mod resume;
mod scratch;
mod security;
mod series;
mod servers;
mod signals;
mod split;
mod status;
mod transforms;
mod vectors;
mod verify;
mod warped;
mod zarr_damage;
mod zarr_damage_flips;
mod zarr_foreign;
mod zarr_read;
mod zarr_v2;
mod zarr_write;
