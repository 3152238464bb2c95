//! The header of a target, and all the bytes that go before its voxels.

use std::path::Path;

use super::{
    affine, axes, datatype, extension,
    header::{Header, Version},
};
use crate::{
    error::{Error, Result},
    geometry::{Affine, Grid},
    io::Outer,
    voxel::Dtype,
};

/// What a target should be.
#[derive(Clone, Copy, Debug)]
pub struct TargetSpec<'a> {
    /// The target's name, for messages.
    pub path: &'a Path,
    /// The header to take after, as it was read: intent, descrip, calibration, units, form codes and the like.
    pub like: Option<&'a Header>,
    /// Extensions to carry over, as in [`super::NiftiFile::extensions`], in the byte order of `like`; may be empty.
    pub extensions: &'a [u8],
    pub grid: &'a Grid,
    /// Volumes are written in C order of these axes.
    pub outer: &'a Outer,
    pub stored: Dtype,
    pub components: usize,
    /// `(scl_slope, scl_inter)` of the stored samples; `None` for samples that mean themselves.
    pub slope: Option<(f64, f64)>,
    /// The acquired slices are no more: slice_code, slice_start, slice_end and slice_duration are reset. They are also
    /// reset where `grid` has its axes other than `like`.
    pub slice_axis_resampled: bool,
    /// `.nii`; otherwise the header of an `.hdr` and `.img` pair.
    pub single_file: bool,
}

/// The header of a target and the bytes before its voxels: header and extensions, up to `vox_offset`; of a pair, the
/// whole `.hdr`, `vox_offset` being 0.
///
/// Little-endian. NIfTI-2 if `like` is, or if an axis is longer than 32767. `vox_offset` is a multiple of 16. Errors:
/// samples or axes that NIfTI does not have, an extension chain that does not hold together.
pub fn target_header(spec: &TargetSpec<'_>) -> Result<(Header, Vec<u8>)> {
    let mut header = carried_over(spec);
    header.datatype = datatype::data_type_code(spec.stored, spec.components)?;
    header.bitpix = (8 * spec.stored.bytes() * spec.components) as i16;
    set_dims(spec, &mut header)?;
    set_geometry(spec, &mut header);
    set_slope(spec, &mut header);
    let big_endian = spec.like.is_some_and(|like| like.big_endian);
    let extensions = extension::encode(&extension::chain(spec.path, spec.extensions, big_endian)?);
    header.vox_offset = match spec.single_file {
        true => (header.version.header_bytes() + extensions.len()) as i64,
        false => 0,
    };
    let mut prefix = header.encode();
    prefix.extend_from_slice(&extensions);
    Ok((header, prefix))
}

/// The source's header in the version and byte order of the target.
fn carried_over(spec: &TargetSpec<'_>) -> Header {
    let longest = spec.grid.shape.iter().copied().chain(spec.outer.axes.iter().map(|axis| axis.len)).max();
    let version = match spec.like {
        Some(like) if like.version == Version::Two => Version::Two,
        _ if longest > Some(Version::One.max_dim()) => Version::Two,
        _ => Version::One,
    };
    let like = spec.like.cloned().unwrap_or_else(|| Header { xyzt_units: 2, ..Header::new(version) });
    Header { version, big_endian: false, single_file: spec.single_file, ..like }
}

fn set_dims(spec: &TargetSpec<'_>, header: &mut Header) -> Result<()> {
    let [nz, ny, nx] = spec.grid.shape;
    let lens = [nx, ny, nz].into_iter().chain(spec.outer.axes.iter().map(|axis| axis.len));
    for len in lens {
        if !(1..=header.version.max_dim()).contains(&len) {
            let what = format!("NIfTI holds axes of 1 to {} voxels, not {len}", header.version.max_dim());
            return Err(Error::Unsupported { path: spec.path.to_path_buf(), what, hint: None });
        }
    }
    let rank = spatial_rank(spec);
    header.dim = [rank, nx as i64, ny as i64, nz as i64, 1, 1, 1, 1];
    axes::set_outer(spec.path, header, spec.outer)
}

/// 3, or the source's 1 or 2 where the axes that it lacks are still of one voxel.
fn spatial_rank(spec: &TargetSpec<'_>) -> i64 {
    let rank = spec.like.map_or(3, |like| like.dim[0].clamp(1, 3));
    let lacks_only_single_axes = (rank as usize..3).all(|n| spec.grid.shape[2 - n] == 1);
    if lacks_only_single_axes { rank } else { 3 }
}

fn set_geometry(spec: &TargetSpec<'_>, header: &mut Header) {
    let (code, factor) = affine::spatial_code(&spec.grid.unit, header.xyzt_units);
    header.xyzt_units = header.xyzt_units & !7 | code;
    let affine = Affine { m: spec.grid.index_to_world.m.map(|row| row.map(|x| x * factor)) };
    let axes = spec.like.and_then(source_affine).map(|source| compare_axes(&source, &affine));
    let (same_axes, same_directions) = axes.unwrap_or((true, true));
    if !same_axes {
        header.dim_info = 0;
    }
    if spec.slice_axis_resampled || !same_directions {
        (header.slice_code, header.slice_start, header.slice_end, header.slice_duration) = (0, 0, 0, 0.0);
    }
    let codes = spec.like.map_or((1, 1), |like| (like.qform_code, like.sform_code));
    affine::set_forms(header, &affine, spec.grid.spacing().map(|x| x * factor), codes);
}

/// The affine of the header that the target takes after, where it has a valid one.
fn source_affine(like: &Header) -> Option<Affine> {
    let shape = [like.dim[3], like.dim[2], like.dim[1]].map(|n| n.max(1).unsigned_abs());
    affine::grid(Path::new(""), like, shape, &mut Vec::new()).ok().map(|grid| grid.index_to_world)
}

/// Whether the axes of two affines lie along each other (within 25 degrees), and also point the same way.
fn compare_axes(a: &Affine, b: &Affine) -> (bool, bool) {
    let cosines: [f64; 3] = std::array::from_fn(|c| {
        let dot: f64 = a.column(c).into_iter().zip(b.column(c)).map(|(x, y)| x * y).sum();
        dot / (a.column_norm(c) * b.column_norm(c))
    });
    (cosines.iter().all(|c| c.abs() > 0.9), cosines.iter().all(|&c| c > 0.9))
}

/// A source that said nothing in its own way (slope 0 or 1) still does.
fn set_slope(spec: &TargetSpec<'_>, header: &mut Header) {
    match spec.slope {
        Some(slope) => (header.scl_slope, header.scl_inter) = slope,
        None if header.slope().is_some() || !header.scl_slope.is_finite() || !header.scl_inter.is_finite() => {
            (header.scl_slope, header.scl_inter) = (1.0, 0.0);
        }
        None => {}
    }
}
