//! Streaming, out-of-core resampling of huge 3-D volumes.

pub mod block;
pub mod cli;
pub mod compare;
pub mod error;
pub mod geometry;
pub mod info;
pub mod io;
pub mod job;
pub mod phantom;
pub mod pipeline;
pub mod plan;
pub mod region;
pub mod resample;
pub mod sys;
pub mod voxel;
