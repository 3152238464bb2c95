//! `resample` and its options, as typed.

use std::path::{Path, PathBuf};

use clap::{
    Args, ValueEnum,
    builder::{OsStringValueParser, TypedValueParser},
};

use super::{
    habits,
    parse::{
        CodecArg, DryRun, Extents, GzipArg, InterpArg, LevelsArg, OutsideArg, PickArg, RegionArg, ShardArg, Size,
        Triple, scale,
    },
    pictures::PictureArgs,
    progress::ProgressArg,
    rank::RankArg,
};
use reslice::{
    error::Error,
    geometry::{Align, Orientation},
    io::{input::IoMode, ome::OmeVersion},
    resample::Reduction,
    transform::TransformRequest,
    voxel::{Dtype, Rounding},
};

/// Triples follow the file's own axes i,j,k (x,y,z of an OME-Zarr); one number stands for all three.
#[derive(Debug, Args)]
pub(crate) struct ResampleArgs {
    /// NIfTI, NRRD, MetaImage, MGH, TIFF, HDF5 (Imaris, BigDataViewer) or DICOM file or folder, or Zarr folder, archive (.ozx) or URL
    ///
    /// .nii, .nii.gz, .hdr with .img; a Zarr array, an OME-Zarr image, or a level of it. What a file is goes by its content.
    pub input: PathBuf,
    /// .nii, .nii.gz, .hdr, .nrrd, .nhdr, .mha, .mhd, .mgh, .mgz, .ome.tif, .zarr or .ozx: the name says the format
    ///
    /// .zarr also as s3://bucket/a.zarr, gs:// or az://
    pub output: PathBuf,
    #[command(flatten)]
    pub grid: GridArgs,
    #[command(flatten)]
    pub values: ValueArgs,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub pictures: PictureArgs,
    /// Make one share of the target beside other processes, on any machines that share its folder or store: I of N, from 0, or
    /// auto by the variables of Slurm, Kubernetes or MPI; implies --resume
    #[arg(hide_short_help = true, long, value_name = "I/N|auto", help_heading = "Run")]
    pub rank: Option<RankArg>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Grid")]
pub(crate) struct GridArgs {
    /// New step, in the file's own unit: 1 or 0.4,0.4,1
    ///
    /// The unit is mm, unless a NIfTI says um or m; see the grid line of a run.
    #[arg(long, value_name = "S", group = "sizing")]
    pub spacing: Option<Triple>,
    /// New number of voxels
    #[arg(long, value_name = "N", group = "sizing")]
    pub size: Option<Extents>,
    /// Factor on the number of voxels: 0.5 or 50%
    #[arg(long, value_name = "F", group = "sizing", value_parser = scale)]
    pub scale: Option<Triple>,
    /// Same step along all axes: the smallest of the source, or S
    #[arg(long, value_name = "S", group = "sizing", num_args = 0..=1, require_equals = true, default_missing_value = "smallest")]
    pub isotropic: Option<String>,
    /// The grid of another file
    #[arg(long, value_name = "REF", group = "sizing")]
    pub like: Option<PathBuf>,
    /// What the grid holds: the source's own place, or all of the source where the transforms move it
    ///
    /// Transformed: along the source's axes, from outer face to outer face of the moved source, with the source's step or that of
    /// --spacing, --scale or --isotropic.
    #[arg(hide_short_help = true, long, value_enum, default_value_t = GridArg::Source, conflicts_with_all = ["like", "size"])]
    pub grid: GridArg,
    /// What keeps its place: the first voxel's centre, the outer faces, or the centre
    ///
    /// Edges changes the step, so that the outer faces fit; center keeps the centre of the field of view.
    #[arg(long, value_enum, default_value_t = AlignArg::Origin)]
    pub align: AlignArg,
    /// Permute and flip the axes to these codes first, such as RAS
    #[arg(long, value_name = "CODES", value_parser = orientation)]
    pub orient: Option<Orientation>,
    /// Crop to these source voxels first: x0:x1,y0:y1,z0:z1
    #[arg(long, value_name = "BOX")]
    pub region: Option<RegionArg>,
}

/// The way out belongs to the message: what is wrong with a value is told in one line.
fn orientation(text: &str) -> Result<Orientation, String> {
    let told =
        |error: Error| [Some(error.to_string()), error.hint()].into_iter().flatten().collect::<Vec<_>>().join(": ");
    text.parse().map_err(told)
}

/// Values of `--grid`.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum GridArg {
    Source,
    Transformed,
}

/// Values of `--align`.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum AlignArg {
    Origin,
    Edges,
    Center,
}

impl From<AlignArg> for Align {
    fn from(arg: AlignArg) -> Align {
        match arg {
            AlignArg::Origin => Align::Origin,
            AlignArg::Edges => Align::Edges,
            AlignArg::Center => Align::Center,
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Values")]
pub(crate) struct ValueArgs {
    /// Transform of ITK, ANTs, FSL or FreeSurfer; repeated in the order of ANTs
    ///
    /// HOW is inverse, ras, fsl, src=A, ref=B, or several with commas. Where target voxels look in the source, from target world to source world: ITK or ANTs .tfm, .txt, .mat, .h5, elastix .txt, FSL .mat,
    /// FreeSurfer .lta, .mgz or .m3z, a 4x4 matrix as text (RAS mm), a displacement field of ITK, SPM, NiftyReg, FSL or MRtrix; repeated, the first one given
    /// meets the target point first, the last is nearest the source, as in antsApplyTransforms. A bare matrix called .mat is
    /// FSL's, any other RAS: ,ras and ,fsl say otherwise; src= and ref= name the images (-in, -ref) that FLIRT had, which are
    /// needed in a chain and without --like
    #[arg(long, value_name = TRANSFORM, value_parser = transform_parser())]
    pub transform: Vec<TransformRequest>,
    /// An affine for each volume of a series, such as motion correction writes, nearest the source: a text with a transform a line,
    /// as --transform takes them, a folder of FSL matrices MAT_0000, MAT_0001, ..., or an ITK text with a transform for each
    #[arg(hide_short_help = true, long, value_name = "FILE")]
    pub transform_list: Option<PathBuf>,
    /// Turn the vectors of a NIfTI file of vectors (intent 1006 or 1007) by the rotation in the transforms; else they stay as they are
    #[arg(hide_short_help = true, long)]
    pub reorient_vectors: bool,
    /// How voxels are made: linear, nearest, cubic, bspline3, lanczos3, mean, label, mode, ...
    ///
    /// All of them: nearest, linear, cubic, bspline2 to bspline5 (bspline is 3), lanczos2 to lanczos6 (lanczos is 3),
    /// sinc-hamming, -cosine, -welch, -lanczos, -blackman (:RADIUS, 5), gaussian (:SIGMA in voxels, 0.8); for labels label,
    /// label-gaussian (:SIGMA, 1); of the voxels covered mean, mode, min, max, median; auto takes label for labels, else linear
    #[arg(long, value_name = "METHOD", default_value = "linear")]
    pub interp: InterpArg,
    /// Stretch the kernel along down-sampled axes, so that fine detail is averaged
    #[arg(long)]
    pub antialias: bool,
    /// Value of target voxels outside the source: a number, nan, or edge
    ///
    /// In real units; else 0, or the nearest value that the sample type holds. Edge repeats the outermost voxel.
    #[arg(long, value_name = "V", allow_hyphen_values = true)]
    pub outside: Option<OutsideArg>,
    /// How sums become integers: floor(x + 0.5), or toward zero as ITK does
    #[arg(hide_short_help = true, long, value_enum, default_value_t = RoundingArg::Nearest)]
    pub rounding: RoundingArg,
    /// Sample type of the target: same, u8, i8, u16, i16, u32, i32, u64, i64, f32, f64
    #[arg(long, value_name = "TYPE", default_value = "same", value_parser = dtype)]
    pub dtype: DtypeArg,
    /// Ignore the source's slope and intercept
    #[arg(hide_short_help = true, long)]
    pub raw: bool,
    /// Step of a source that does not say it (a bare Zarr array)
    #[arg(hide_short_help = true, long, value_name = "S")]
    pub spacing_in: Option<Triple>,
    /// Level of a multiscale image, 0 the finest
    #[arg(long, value_name = "N")]
    pub level: Option<usize>,
    /// Channels to take (of NIfTI: dimension 5), counted from 0: one, or a range A:B without B
    #[arg(hide_short_help = true, long, value_name = "N|A:B")]
    pub channel: Option<PickArg>,
    /// Times to take (of NIfTI: dimension 4), counted from 0: one, or a range A:B without B
    #[arg(hide_short_help = true, long, value_name = "N|A:B")]
    pub time: Option<PickArg>,
}

/// How a transform is given; the help says which HOWs there are.
pub(super) const TRANSFORM: &str = "FILE[,HOW]";

/// Paths need not be UTF-8.
pub(super) fn transform_parser() -> impl TypedValueParser<Value = TransformRequest> {
    OsStringValueParser::new().map(|argument| TransformRequest::parse(&argument, Path::new("")))
}

/// `None` is "same".
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DtypeArg(pub Option<Dtype>);

fn dtype(text: &str) -> Result<DtypeArg, String> {
    let name = habits::dtype(text).unwrap_or(text);
    if name == "same" { Ok(DtypeArg(None)) } else { name.parse().map(|dtype| DtypeArg(Some(dtype))) }
}

/// Values of `--rounding`.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum RoundingArg {
    Nearest,
    Truncate,
}

impl From<RoundingArg> for Rounding {
    fn from(arg: RoundingArg) -> Rounding {
        match arg {
            RoundingArg::Nearest => Rounding::Nearest,
            RoundingArg::Truncate => Rounding::Truncate,
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct TargetArgs {
    /// Chunk of a Zarr target, in voxels
    #[arg(long, value_name = "N")]
    pub chunk: Option<Extents>,
    /// Shard of a Zarr target, in voxels (a multiple of the chunk), or none for a file per chunk
    #[arg(hide_short_help = true, long, value_name = "N|none")]
    pub shard: Option<ShardArg>,
    /// zstd, blosc-zstd, blosc-lz4, gzip or none, with :LEVEL
    #[arg(long, value_name = "CODEC", default_value = "zstd")]
    pub codec: CodecArg,
    /// Version of OME-Zarr to write: 0.5 (Zarr v3), 0.6 (Zarr v3, with coordinate systems), or 0.4 (Zarr v2, without shards)
    #[arg(hide_short_help = true, long, value_enum, default_value_t = OmeArg::V05)]
    pub ome: OmeArg,
    /// One gzip stream, or BGZF blocks (.nii.gz and .mgz; faster to write, and to read in parallel), with :LEVEL, or none (.nrrd and .mha)
    #[arg(hide_short_help = true, long, value_name = "single|bgzf|none", default_value = "single")]
    pub gzip: GzipArg,
    /// Coarser levels of a Zarr target, each half the size of the one above
    ///
    /// So many, or until the longest side fits one chunk.
    #[arg(long, value_name = "LEVELS", num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    pub pyramid: Option<LevelsArg>,
    /// How coarser levels are made: mean, mode (labels), gaussian or stride; default: mode for labels, else mean
    #[arg(hide_short_help = true, long, value_name = "METHOD", requires = "pyramid")]
    pub method: Option<Reduction>,
    /// Replace an existing target when the new one is complete
    #[arg(long)]
    pub overwrite: bool,
    /// Let the target take the place of the source, when it is complete; OUTPUT is INPUT then
    #[arg(hide_short_help = true, long)]
    pub in_place: bool,
    /// Make the folder of the target, should it not be there
    #[arg(hide_short_help = true, long)]
    pub parents: bool,
}

/// Values of `--ome`.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum OmeArg {
    #[value(name = "0.5")]
    V05,
    #[value(name = "0.6")]
    V06,
    #[value(name = "0.4")]
    V04,
}

impl From<OmeArg> for OmeVersion {
    fn from(arg: OmeArg) -> OmeVersion {
        match arg {
            OmeArg::V05 => OmeVersion::V05,
            OmeArg::V06 => OmeVersion::V06,
            OmeArg::V04 => OmeVersion::V04,
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
pub(crate) struct RunArgs {
    /// Ceiling of the memory of the whole process, such as 512MiB
    ///
    /// Resident memory, as the system counts it; default: half of what the job may use.
    #[arg(long, value_name = "SIZE", env = "RESLICE_MEMORY")]
    pub memory: Option<Size>,
    /// Workers; default: the CPUs this process may use
    #[arg(long, value_name = "N", env = "RESLICE_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Folder for a scratch file, should one be needed; default: $SLURM_TMPDIR, else beside the target, for URLs the system's
    /// folder for temporary files
    #[arg(hide_short_help = true, long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// Begin even where target or scratch file cannot fit the disk
    #[arg(hide_short_help = true, long)]
    pub no_disk_check: bool,
    /// How uncompressed files are read
    #[arg(hide_short_help = true, long, value_enum, default_value_t = IoArg::Auto)]
    pub io: IoArg,
    /// Continue an unfinished run of the same job; begin where there is none
    ///
    /// Nothing is done where the job is finished.
    #[arg(long)]
    pub resume: bool,
    /// Begin anew where an unfinished run has stored something; without this and --resume that is refused
    #[arg(hide_short_help = true, long, conflicts_with = "resume")]
    pub restart: bool,
    /// Print what would be done, as text or JSON, and stop
    #[arg(long, value_name = "json", num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    pub dry_run: Option<DryRun>,
    /// Write the summary of the run to this file, as JSON; - is stdout
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
    /// How to show progress on stderr
    #[arg(hide_short_help = true, long, value_enum, default_value_t = ProgressArg::Auto)]
    pub progress: ProgressArg,
    /// Say more
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Say nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
}

/// Values of `--io`.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum IoArg {
    /// By position
    Auto,
    /// Through a memory map
    Mmap,
    /// By position
    Pread,
}

impl From<IoArg> for IoMode {
    fn from(arg: IoArg) -> IoMode {
        match arg {
            IoArg::Auto => IoMode::Auto,
            IoArg::Mmap => IoMode::Map,
            IoArg::Pread => IoMode::Position,
        }
    }
}
