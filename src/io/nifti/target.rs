//! The header of a target, and all the bytes that go before its voxels.

use std::path::Path;

use super::{
    affine, axes, datatype, extension,
    forms::{Forms, FormsOf, Stand},
    header::{Header, Version},
};
use crate::{
    error::{Error, Result},
    geometry::{Affine, Grid},
    layout::Outer,
    voxel::Dtype,
};

/// The code of AFNI's extension, which repeats the grid in AFNI's own terms.
const AFNI: i32 = 4;

/// Cosine from which axes lie along each other: 25 degrees.
const ALONG: f64 = 0.9;

/// What a target should be.
#[derive(Clone, Copy, Debug)]
pub struct TargetSpec<'a> {
    /// The target's name, for messages.
    pub path: &'a Path,
    /// The header to take after, as it was read: intent, descrip, calibration, units and the like.
    pub like: Option<&'a Header>,
    /// Whose forms the target takes after; `None` for those of `like`, or codes of 1 without it.
    pub place: Option<FormsOf<'a>>,
    /// Extensions to carry over, as in [`super::NiftiFile::extensions`], in the byte order of `like`; may be empty. Those of AFNI
    /// are left out where they describe another grid.
    pub extensions: &'a [u8],
    pub grid: &'a Grid,
    /// Volumes are written in C order of these axes.
    pub outer: &'a Outer,
    pub stored: Dtype,
    pub components: usize,
    /// `(scl_slope, scl_inter)` of the stored samples; `None` for samples that mean themselves.
    pub slope: Option<(f64, f64)>,
    /// The acquired slices are no more: slice_code, slice_start, slice_end and slice_duration are reset. They are also
    /// reset where the third axis of `grid` does not run along that of `like`.
    pub slice_axis_resampled: bool,
    /// `.nii`; otherwise the header of an `.hdr` and `.img` pair.
    pub single_file: bool,
}

/// The header of a target and the bytes before its voxels: header and extensions, up to `vox_offset`; of a pair, the
/// whole `.hdr`, `vox_offset` being 0.
///
/// Little-endian. NIfTI-2 if `like` is, or if an axis is longer than 32767. `vox_offset` is a multiple of 16. Errors:
/// samples or axes that NIfTI does not have.
pub fn target_header(spec: &TargetSpec<'_>) -> Result<(Header, Vec<u8>)> {
    header_from(spec, Version::One)
}

/// The same in version `least` or a later one.
pub(super) fn header_from(spec: &TargetSpec<'_>, least: Version) -> Result<(Header, Vec<u8>)> {
    let mut header = carried_over(spec, least);
    header.datatype = datatype::data_type_code(spec.stored, spec.components)?;
    header.bitpix = (8 * spec.stored.bytes() * spec.components) as i16;
    set_dims(spec, &mut header)?;
    set_geometry(spec, &mut header);
    set_slope(spec, &mut header);
    let big_endian = spec.like.is_some_and(|like| like.big_endian);
    let mut chain = extension::chain(spec.extensions, big_endian).extensions;
    chain.retain(|(code, _)| *code != AFNI || keeps_grid(spec));
    let extensions = extension::encode(&chain);
    header.vox_offset = match spec.single_file {
        true => (header.version.header_bytes() + extensions.len()) as i64,
        false => 0,
    };
    let mut prefix = header.encode();
    prefix.extend_from_slice(&extensions);
    Ok((header, prefix))
}

/// The source's header in the version and byte order of the target.
fn carried_over(spec: &TargetSpec<'_>, least: Version) -> Header {
    let longest = spec.grid.shape.iter().copied().chain(spec.outer.axes.iter().map(|axis| axis.len)).max();
    let version = match spec.like {
        Some(like) if like.version == Version::Two => Version::Two,
        _ if longest > Some(Version::One.max_dim()) => Version::Two,
        _ => least,
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
    if let Some(source) = spec.like.and_then(source_grid) {
        header.dim_info = permuted(header.dim_info, axes_between(&source.index_to_world, &affine));
        if spec.slice_axis_resampled || cosine(&source.index_to_world, 0, &affine, 0) < ALONG {
            (header.slice_code, header.slice_start, header.slice_end, header.slice_duration) = (0, 0, 0, 0.0);
        }
    }
    let place = spec.place.or(spec.like.map(FormsOf::Like)).unwrap_or(FormsOf::Codes { qform: 1, sform: 1 });
    let spacing = spec.grid.spacing().map(|x| x * factor);
    let stand = Stand { affine, spacing, unit: &spec.grid.unit, version: header.version };
    Forms::new(place, &stand).put(header);
}

/// Which of the source's extensions is left out, in words for its user.
pub fn extension_remark(spec: &TargetSpec<'_>) -> Option<String> {
    let big_endian = spec.like.is_some_and(|like| like.big_endian);
    let is_afni = |(code, _): &(i32, &[u8])| *code == AFNI;
    let is_left_out = !keeps_grid(spec) && extension::chain(spec.extensions, big_endian).extensions.iter().any(is_afni);
    is_left_out.then(|| "the AFNI extension of the source describes its old grid and is left out".into())
}

/// What of the source the target does not say, in words for its user. `header` is the target's.
pub fn target_remarks(spec: &TargetSpec<'_>, header: &Header) -> Vec<String> {
    let mut remarks: Vec<String> = extension_remark(spec).into_iter().collect();
    let codes = match spec.place.or(spec.like.map(FormsOf::Like)) {
        Some(FormsOf::Like(header)) => (header.qform_code, header.sform_code),
        Some(FormsOf::Codes { qform, sform }) => (qform, sform),
        None => return remarks,
    };
    if codes.0 > 0 || codes.1 > 0 {
        return remarks;
    }
    let [x, y, z] = spec.grid.origin();
    if (header.qform_code, header.sform_code) != (0, 0) {
        remarks.push(
            "the source has no form codes, and only forms can say how the target's axes lie: both codes become 1, by which other \
             programs may place the target apart from the source"
                .into(),
        );
    } else if (x, y, z) != (0.0, 0.0, 0.0) {
        remarks.push(format!(
            "the source has no form codes, and so the target has none: nothing in it says that its first voxel stands {x}, {y}, {z} \
             from the source's"
        ));
    }
    remarks
}

/// The grid of the header that the target takes after, where it has a valid one.
fn source_grid(like: &Header) -> Option<Grid> {
    let shape = [like.dim[3], like.dim[2], like.dim[1]].map(|n| n.max(1).unsigned_abs());
    affine::grid(Path::new(""), like, shape, &mut Vec::new()).ok()
}

/// Whether the target has the voxels of the source where the source has them.
fn keeps_grid(spec: &TargetSpec<'_>) -> bool {
    let place = |grid: &Grid| (grid.shape, grid.index_to_world, grid.unit.clone());
    spec.like.and_then(source_grid).is_some_and(|source| place(&source) == place(spec.grid))
}

/// The cosine between column `i` of `a` and column `j` of `b`.
fn cosine(a: &Affine, i: usize, b: &Affine, j: usize) -> f64 {
    let dot: f64 = a.column(i).into_iter().zip(b.column(j)).map(|(x, y)| x * y).sum();
    dot / (a.column_norm(i) * b.column_norm(j))
}

/// The axis of `target` along which each axis of `source` lies, either way (within 25 degrees); storage order.
fn axes_between(source: &Affine, target: &Affine) -> [Option<usize>; 3] {
    std::array::from_fn(|s| (0..3).find(|&t| cosine(source, s, target, t).abs() > ALONG))
}

/// `dim_info`, two bits each for the file axes of frequency, phase and slice (from 1; 0 says nothing), where axes have gone to
/// `axes`; 0 where one of them is there no more.
fn permuted(dim_info: u8, axes: [Option<usize>; 3]) -> u8 {
    let mut info = 0;
    for shift in [0, 2, 4] {
        let axis = usize::from(dim_info >> shift & 3);
        if axis > 0 {
            let Some(target) = axes[3 - axis] else { return 0 };
            info |= ((3 - target) as u8) << shift;
        }
    }
    info
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Unit;

    /// AFNI repeats the grid in its own terms, and warns where they are not the header's.
    #[test]
    fn extensions_of_afni_stay_where_the_grid_stays() {
        let afni = extension::encode(&[(AFNI, b"<AFNI_attributes/>")]);
        let columns = [[0.0, 0.0, 2.0], [0.0, -0.75, 0.0], [0.5, 0.0, 0.0]];
        let same = Grid::new([2, 3, 5], Affine::from_columns(columns, [-7.0, 8.0, 9.0]), Unit::Millimetre);
        let mut like =
            Header { dim: [3, 5, 3, 2, 1, 1, 1, 1], xyzt_units: 2, sform_code: 1, ..Header::new(Version::One) };
        like.srow = [[0.5, 0.0, 0.0, -7.0], [0.0, -0.75, 0.0, 8.0], [0.0, 0.0, 2.0, 9.0]];
        for (shape, len, remarks) in [([2, 3, 5], 384, 0), ([1, 3, 5], 352, 1)] {
            let grid = Grid { shape, ..same.clone() };
            let spec = TargetSpec {
                path: Path::new("x.nii"),
                like: Some(&like),
                place: None,
                extensions: &afni,
                grid: &grid,
                outer: &Outer::default(),
                stored: Dtype::I16,
                components: 1,
                slope: None,
                slice_axis_resampled: false,
                single_file: true,
            };
            let (header, prefix) = target_header(&spec).unwrap();
            assert_eq!((prefix.len(), target_remarks(&spec, &header).len()), (len, remarks));
        }
    }
}
