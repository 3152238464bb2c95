//! What a file is, and what reading it would cost, without reading a voxel; and what its values are, by reading all ([`Values`]).

use std::path::Path;

use serde::Serialize;

use crate::{
    dispatch,
    error::Result,
    io::{
        input::{Input, IoMode},
        nifti::{Header, NiftiFile, Version},
        zarr::{self, OpenOptions, ZarrFile},
    },
    job::GridSummary,
    layout::{Access, Layout},
    voxel::Dtype,
};

mod values;

pub use values::{Values, ValuesRequest};

/// Everything about a file but its voxels. Triples follow the file's axes i, j, k (x, y, z).
#[derive(Clone, Debug, Serialize)]
pub struct Info {
    pub file: String,
    pub format: String,
    pub grid: GridSummary,
    /// Whether x, y, z point to the right, the front and the head of a body (RAS+), as the file says.
    pub anatomical: bool,
    /// Slowest first.
    pub outer: Vec<OuterAxis>,
    pub dtype: Dtype,
    /// Samples per voxel: 1, 2 (complex), 3 (RGB), 4 (RGBA).
    pub components: usize,
    /// `(slope, intercept)` from stored samples to real values.
    pub slope: Option<(f64, f64)>,
    pub is_label: bool,
    pub raw_bytes: u64,
    /// On the disk, metadata included; nothing behind a URL, where it is not counted.
    pub stored_bytes: Option<u64>,
    pub nifti: Option<NiftiInfo>,
    pub zarr: Option<ZarrInfo>,
    /// The levels of an image with several of them that is no Zarr, finest first; else empty.
    pub levels: Vec<LevelInfo>,
    pub cost: Cost,
    /// Where they were asked for.
    pub values: Option<Values>,
    pub warnings: Vec<String>,
}

/// A non-spatial axis.
#[derive(Clone, Debug, Serialize)]
pub struct OuterAxis {
    pub name: String,
    pub len: u64,
    pub step: f64,
    pub start: f64,
    pub unit: Option<String>,
}

/// What only NIfTI has.
#[derive(Clone, Debug, Serialize)]
pub struct NiftiInfo {
    /// 1 or 2.
    pub version: u8,
    pub big_endian: bool,
    pub data_file: String,
    /// First byte of the voxels, in the decompressed stream if there is one.
    pub data_offset: u64,
    pub sform_code: i32,
    pub qform_code: i32,
    pub intent_code: i32,
    pub description: String,
}

/// What only Zarr has.
#[derive(Clone, Debug, Serialize)]
pub struct ZarrInfo {
    /// 2 or 3.
    pub version: u8,
    pub codecs: String,
    pub chunk: [u64; 3],
    pub shard: Option<[u64; 3]>,
    /// Chunks that were left out on writing because they are all fill, where the file says so.
    pub empty_chunks: Option<u64>,
    /// Whether the file says how x, y, z lie in the body.
    pub has_nifti_affine: bool,
    /// The version of the NIfTI header beside the levels, where there is one: 1 or 2.
    pub nifti_header: Option<u8>,
    /// The levels of a multiscale image, finest first; empty for a single array.
    pub levels: Vec<LevelInfo>,
}

/// One level of a multiscale image.
#[derive(Clone, Debug, Serialize)]
pub struct LevelInfo {
    pub path: String,
    pub shape: [u64; 3],
    pub spacing: [f64; 3],
    pub dtype: Dtype,
    pub chunk: [u64; 3],
}

/// What reading takes.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    pub access: AccessKind,
    /// Extent of what is read as one; of files with random access a hint.
    pub chunk: [u64; 3],
    /// Of all volumes.
    pub chunks: u64,
    /// Decoded bytes of one chunk, with all the volumes that it spans.
    pub chunk_bytes: u64,
    /// Decoded bytes of one pass over the whole file.
    pub full_read_bytes: u64,
    /// Held while the file is read: indexes, decoder states.
    pub resident_bytes: u64,
}

/// In which order voxels can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessKind {
    /// Any voxel at any time.
    Random,
    /// Whole chunks in any order.
    Chunked,
    /// From the first voxel to the last.
    ForwardOnly,
}

impl Info {
    /// Opens the file; of compressed NIfTI files the voxels' stream as well, to see how it is cut.
    ///
    /// # Errors
    /// Whatever is wrong with its metadata.
    pub fn of(path: &Path) -> Result<Info> {
        let input = Input::open(path, &OpenOptions::default())?;
        let layout = input.layout();
        let mut warnings = input.warnings().to_vec();
        let nifti = input.nifti().map(nifti_info);
        let zarr = input.zarr().map(|file| zarr_info(path, file, &mut warnings));
        let levels = other_levels(path, &input, &mut warnings);
        let stored_bytes = input.zarr().map_or(Ok(layout.stored_bytes), |file| file.stored_size())?;
        Ok(Info {
            file: path.display().to_string(),
            format: input.format_name(),
            grid: GridSummary::new(&layout.grid),
            anatomical: layout.grid.anatomical,
            outer: outer(layout),
            dtype: layout.stored,
            components: layout.components,
            slope: input.slope(),
            is_label: input.is_label(),
            raw_bytes: raw_bytes(layout),
            stored_bytes,
            nifti,
            zarr,
            levels,
            cost: cost(&input)?,
            values: None,
            warnings,
        })
    }
}

fn outer(layout: &Layout) -> Vec<OuterAxis> {
    let axis = |axis: &crate::layout::Axis| OuterAxis {
        name: axis.name.clone(),
        len: axis.len,
        step: axis.step,
        start: axis.start,
        unit: axis.unit.clone(),
    };
    layout.outer.axes.iter().map(axis).collect()
}

fn voxel_bytes(layout: &Layout) -> u64 {
    (layout.components * layout.stored.bytes()) as u64
}

fn raw_bytes(layout: &Layout) -> u64 {
    layout.grid.voxels().saturating_mul(layout.outer.volumes()).saturating_mul(voxel_bytes(layout))
}

fn reversed<N: Copy>([z, y, x]: [N; 3]) -> [N; 3] {
    [x, y, z]
}

fn version(header: &Header) -> u8 {
    if header.version == Version::One { 1 } else { 2 }
}

fn nifti_info(file: &NiftiFile) -> NiftiInfo {
    let header = &file.header;
    let text = String::from_utf8_lossy(&header.descrip);
    NiftiInfo {
        version: version(header),
        big_endian: header.big_endian,
        data_file: file.data_path.display().to_string(),
        data_offset: file.data_offset,
        sform_code: header.sform_code,
        qform_code: header.qform_code,
        intent_code: header.intent_code,
        description: text.split('\0').next().unwrap_or_default().trim().to_string(),
    }
}

fn zarr_info(path: &Path, file: &ZarrFile, warnings: &mut Vec<String>) -> ZarrInfo {
    ZarrInfo {
        version: file.zarr_format,
        codecs: file.codecs.clone(),
        chunk: reversed(file.layout.chunk),
        shard: file.shard().map(reversed),
        empty_chunks: file.empty_chunks,
        has_nifti_affine: file.nifti.is_some(),
        nifti_header: file.header().map(|lone| version(&lone.header)),
        levels: levels(path, file, warnings),
    }
}

/// The levels of an image that is no Zarr.
fn other_levels(path: &Path, input: &Input, warnings: &mut Vec<String>) -> Vec<LevelInfo> {
    let count = input.level_names().len();
    if count < 2 {
        return Vec::new();
    }
    let mut levels = Vec::new();
    for (level, name) in input.level_names().into_iter().enumerate() {
        match Input::open(path, &OpenOptions { level: Some(level), ..OpenOptions::default() }) {
            Ok(input) => levels.push(level_info(name, input.layout())),
            Err(error) => warnings.push(format!("level {level} cannot be opened: {error}")),
        }
    }
    levels
}

fn level_info(path: String, layout: &Layout) -> LevelInfo {
    LevelInfo {
        path,
        shape: reversed(layout.grid.shape),
        spacing: reversed(layout.grid.spacing()),
        dtype: layout.stored,
        chunk: reversed(layout.chunk),
    }
}

/// The levels of the image, where `path` is the image and not one of its arrays.
fn levels(path: &Path, file: &ZarrFile, warnings: &mut Vec<String>) -> Vec<LevelInfo> {
    let Some((_, count)) = file.level else { return Vec::new() };
    let open = |level| zarr::open(path, &OpenOptions { level: Some(level), ..OpenOptions::default() });
    if open(0).is_err() {
        return Vec::new();
    }
    let mut levels = Vec::new();
    for level in 0..count {
        match open(level) {
            Ok(file) => levels.push(level_info(file.array_path.clone(), &file.layout)),
            Err(error) => warnings.push(format!("level {level} cannot be opened: {error}")),
        }
    }
    levels
}

fn cost(input: &Input) -> Result<Cost> {
    let layout = dispatch!(input.layout().stored, T => {
        input.source::<T>(input.conversion(), IoMode::Position).map(|source| source.layout().clone())
    })?;
    let chunk_voxels = layout.chunk.iter().fold(1u64, |n, &extent| n.saturating_mul(extent));
    let spatial = layout.chunk_counts().iter().fold(1u64, |n, &count| n.saturating_mul(count));
    Ok(Cost {
        access: match layout.access {
            Access::Random => AccessKind::Random,
            Access::Chunked => AccessKind::Chunked,
            Access::Ascending => AccessKind::ForwardOnly,
        },
        chunk: reversed(layout.chunk),
        chunks: spatial.saturating_mul(layout.outer.groups()),
        chunk_bytes: chunk_voxels.saturating_mul(layout.outer.largest_group()).saturating_mul(voxel_bytes(&layout)),
        full_read_bytes: raw_bytes(&layout),
        resident_bytes: layout.resident_bytes,
    })
}
