//! Jobs as asked for.

use std::path::PathBuf;

use crate::{
    geometry::GridRequest,
    io::{
        gzip::{self, Framing},
        input::IoMode,
        ome::OmeVersion,
        zarr::{Codec, DEFAULT_ZSTD_LEVEL, OpenOptions},
    },
    rank::Rank,
    resample::{KernelShape, Method, Reduction},
    transform::TransformRequest,
    voxel::{Dtype, Rounding},
};

/// The value of target voxels that look outside the source, in real units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OutsideRequest {
    /// Nothing was asked for: 0, or the nearest value that the samples can stand for.
    Default,
    Value(f64),
    Edge,
}

/// The target grid as asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum GridChoice {
    /// By the rules of [`GridRequest`]; what the file lacks is filled in when it is opened.
    Rules(GridRequest),
    /// The grid of another file; of the rules only a region goes with it.
    Like { path: PathBuf, rules: GridRequest },
}

impl GridChoice {
    /// Whether the grid holds the source where the transforms move it.
    pub(super) fn is_transformed(&self) -> bool {
        matches!(self, GridChoice::Rules(rules) if rules.transformed)
    }
}

/// Coarser levels as asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PyramidRequest {
    /// How many; `None` adds levels until the longest side fits one chunk.
    pub levels: Option<usize>,
    /// `None` takes the mode of labels and the mean of anything else.
    pub method: Option<Reduction>,
}

/// Pictures of source and target, sampled while the job runs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PicturesRequest {
    /// Projections of the target's highest values too, for which each of its voxels is looked at.
    pub highest: bool,
}

/// A job as asked for. Triples in storage order (slowest axis first).
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub input: PathBuf,
    pub output: PathBuf,
    /// Level of a multiscale image, and the step of a source that does not say it.
    pub open: OpenOptions,
    pub io: IoMode,
    pub grid: GridChoice,
    /// From target world to source world; the first one meets the target point first.
    pub transforms: Vec<TransformRequest>,
    /// A text or folder with a transform for each volume, applied after the others.
    pub transform_list: Option<PathBuf>,
    /// Turn the vectors of a volume of vectors along with the image.
    pub reorient_vectors: bool,
    /// `None` takes `label` for integer volumes that say that they hold labels, else `linear`.
    pub method: Option<Method>,
    pub antialias: bool,
    pub outside: OutsideRequest,
    pub rounding: Rounding,
    /// Sample type of the target; `None` keeps the source's.
    pub dtype: Option<Dtype>,
    /// Ignore the source's slope and intercept.
    pub raw: bool,
    pub target: TargetOptions,
    /// Coarser levels of an OME-Zarr target, made in the same run.
    pub pyramid: Option<PyramidRequest>,
    pub memory_bytes: u64,
    pub threads: usize,
    /// Folder for a scratch file, should one be needed; `None` takes the folder in which the target is built.
    pub scratch: Option<PathBuf>,
    /// Go on with what an earlier run of the same job has stored, and be content with a finished target.
    pub resume: bool,
    /// Begin anew where an unfinished run has stored something, which is refused without this and without `resume`.
    pub restart: bool,
    /// Leave a note beside the finished target of what it is of, as `resume` does too.
    pub keeps_note: bool,
    /// The fingerprint of the job that made the target that is there, as far as the caller knows.
    pub made_by: Option<String>,
    /// Make the folder of the target, should it not be there.
    pub parents: bool,
    /// The target may take the place of the source, when it is complete.
    pub in_place: bool,
    /// Refuse a target or a scratch file that cannot fit the disk, before anything is written.
    pub checks_disk: bool,
    /// Options of the command that were named for this job, without dashes: refused where they cannot matter to it.
    pub named: Vec<String>,
    /// Make only a share of the target; goes with `resume`.
    pub rank: Option<Rank>,
    /// Sample pictures of the middle planes, which [`Summary::pictures`](super::Summary::pictures) has after the run. Their memory is a part of
    /// `memory_bytes`.
    pub pictures: Option<PicturesRequest>,
}

impl Request {
    /// Linear, same grid, default formats.
    pub fn new(input: impl Into<PathBuf>, output: impl Into<PathBuf>, memory_bytes: u64, threads: usize) -> Request {
        Request {
            input: input.into(),
            output: output.into(),
            open: OpenOptions::default(),
            io: IoMode::Auto,
            grid: GridChoice::Rules(GridRequest::default()),
            transforms: Vec::new(),
            transform_list: None,
            reorient_vectors: false,
            method: Some(Method::Kernel(KernelShape::Linear)),
            antialias: false,
            outside: OutsideRequest::Default,
            rounding: Rounding::Nearest,
            dtype: None,
            raw: false,
            target: TargetOptions::default(),
            pyramid: None,
            memory_bytes,
            threads,
            scratch: None,
            resume: false,
            restart: false,
            keeps_note: false,
            made_by: None,
            parents: false,
            in_place: false,
            checks_disk: true,
            named: Vec::new(),
            rank: None,
            pictures: None,
        }
    }
}

/// How the target is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetOptions {
    pub overwrite: bool,
    /// How voxels are compressed where the format leaves that open; `None`: not at all.
    pub framing: Option<Framing>,
    /// Chunk of a Zarr target, storage order; `None` chooses.
    pub chunk: Option<[u64; 3]>,
    /// Shard of a Zarr target: `None` chooses, `Some(None)` writes chunks as files.
    pub shard: Option<Option<[u64; 3]>>,
    pub codec: Codec,
    /// Version of a Zarr target.
    pub ome: OmeVersion,
}

impl Default for TargetOptions {
    fn default() -> Self {
        TargetOptions {
            overwrite: false,
            framing: Some(Framing::Single { level: gzip::DEFAULT_LEVEL }),
            chunk: None,
            shard: None,
            codec: Codec::Zstd(DEFAULT_ZSTD_LEVEL),
            ome: OmeVersion::V05,
        }
    }
}

/// Levels to be added to the image in `store`.
#[derive(Clone, Debug, PartialEq)]
pub struct InPlaceRequest {
    pub store: PathBuf,
    /// `None` adds levels until the longest side fits one chunk.
    pub levels: Option<usize>,
    /// `None` takes the mode of labels and the mean of anything else.
    pub method: Option<Reduction>,
    /// Replace the levels that the image has below its finest.
    pub overwrite: bool,
    /// Go on with what an earlier run has stored, and be content with levels that one has finished.
    pub resume: bool,
    /// Begin anew where an unfinished run has stored something.
    pub restart: bool,
    /// Refuse levels that cannot fit the disk, before anything is written.
    pub checks_disk: bool,
    pub memory_bytes: u64,
    pub threads: usize,
}
