//! What a target takes over, and the header that is made of it.

use std::{ffi::OsStr, path::Path};

use crate::{
    error::Result,
    io::{
        around::Around,
        format::Format,
        gzip::Framing,
        input::Input,
        nifti::{self, FormsOf, Header, TargetSpec},
        plain,
        zarr::{AsNifti, HeaderBytes},
    },
    job::{PyramidRequest, Values},
    layout::{Axis, Layout, Outer},
};

/// What a target takes over from its source and reference.
pub struct Inherited<'a> {
    /// What the image is called: the source's name, so that the target's bytes do not depend on the target's name.
    pub name: &'a str,
    pub input: &'a Input,
    /// Whose place the target takes, with `--like`.
    pub reference: Option<&'a Input>,
    /// The slowest axis of the source is resampled or reordered.
    pub slices_resampled: bool,
    pub pyramid: Option<PyramidRequest>,
    /// Axes of the target that the source, or the reference, lacks.
    pub lacking: [bool; 3],
}

/// The header and extensions of a NIfTI.
pub(super) fn nifti_header(
    path: &Path,
    format: Format,
    layout: &Layout,
    values: &Values,
    inherited: &Inherited<'_>,
    warnings: &mut Vec<String>,
) -> Result<Around> {
    let described = described(layout, inherited, |described| {
        let spec = TargetSpec {
            path,
            outer: &layout.outer,
            components: layout.components,
            slope: values.kept_slope,
            single_file: format != Format::Pair,
            ..described
        };
        let (header, prefix) = nifti::target_header(&spec)?;
        Ok((nifti::target_remarks(&spec, &header), prefix))
    });
    let (remarks, prefix) = described?;
    warnings.extend(remarks);
    Ok(match format {
        Format::Pair => Around { beside: Some(prefix), ..Around::default() },
        _ => Around::leading(prefix),
    })
}

/// The NIfTI header that stands beside the levels of an OME-Zarr image: where the source or the reference has one, and where the
/// voxels have a place in the body. Nothing where the unit is no length, or where the axes are refused later.
pub(super) fn header_beside(
    path: &Path,
    layout: &Layout,
    inherited: &Inherited<'_>,
    warnings: &mut Vec<String>,
) -> Result<Option<HeaderBytes>> {
    let Some(outer) = outer_beside(layout).filter(|_| is_with_header(layout, inherited)) else { return Ok(None) };
    let (remark, bytes) = described(layout, inherited, |described| {
        let spec = TargetSpec { path, outer: &outer, components: 1, slope: None, single_file: true, ..described };
        Ok((nifti::extension_remark(&spec), nifti::lone_header(&spec)?))
    })?;
    warnings.extend(remark);
    Ok(Some(HeaderBytes(bytes.into())))
}

/// Whether the target has all three axes of space, as a NIfTI has, even where the image is one plane.
pub(super) fn has_all_axes(layout: &Layout, inherited: &Inherited<'_>) -> bool {
    form_codes(inherited).is_some() && is_with_header(layout, inherited)
}

/// Whether a NIfTI header belongs to the image: its place in the body is known, or a header came with the source or the reference.
fn is_with_header(layout: &Layout, inherited: &Inherited<'_>) -> bool {
    let of_nifti =
        |input: &Input| input.nifti_header().is_some() || input.zarr().is_some_and(|file| file.nifti.is_some());
    let is_said = layout.grid.anatomical || of_nifti(inherited.input) || inherited.reference.is_some_and(of_nifti);
    is_said && layout.grid.unit.metres().is_some()
}

/// The axes beyond space as NIfTI-Zarr has them in its header: time is the fourth dimension, and any other one the fifth.
fn outer_beside(layout: &Layout) -> Option<Outer> {
    let colours = Axis { name: "c".into(), len: layout.components as u64, step: 1.0, start: 0.0, unit: None };
    let all = layout.outer.axes.iter().chain((layout.components > 1).then_some(&colours));
    let (times, others): (Vec<&Axis>, Vec<&Axis>) = all.partition(|axis| axis.name == "t");
    let channels = others.iter().map(|&axis| Axis { name: "c".into(), ..axis.clone() });
    let axes = channels.chain(times.iter().map(|&axis| axis.clone())).collect();
    (times.len() <= 1 && others.len() <= 1).then(|| Outer::separate(axes))
}

/// What a target's header takes over, with its grid and sample type; path, outer axes, components and slope are left to `use_it`.
fn described<R>(
    layout: &Layout,
    inherited: &Inherited<'_>,
    use_it: impl FnOnce(TargetSpec<'_>) -> Result<R>,
) -> Result<R> {
    let source = inherited.input.nifti_header();
    let is_label = inherited.input.is_label() && !layout.stored.is_float();
    let is_vector = inherited.input.layout().components == 3 && layout.components == 1;
    let intent = if is_label { Some(INTENT_LABEL) } else { is_vector.then_some(INTENT_VECTOR) };
    let blank = intent.map(blank_header);
    use_it(TargetSpec {
        path: Path::new(""),
        like: source.map(|(header, _)| header).or(blank.as_ref()),
        place: place(inherited).or(blank.as_ref().map(|_| FormsOf::Codes { qform: 1, sform: 1 })),
        extensions: source.map_or(&[][..], |(_, extensions)| extensions),
        grid: &layout.grid,
        outer: &layout.outer,
        stored: layout.stored,
        components: 1,
        slope: None,
        slice_axis_resampled: inherited.slices_resampled,
        single_file: true,
    })
}

/// The header of NRRD, MetaImage or MGH.
pub(super) fn plain_header(
    path: &Path,
    format: Format,
    layout: &Layout,
    framing: Option<Framing>,
    input: &Input,
    warnings: &mut Vec<String>,
) -> Result<Around> {
    let files = format.files(path);
    let data_file =
        files.first().filter(|_| files.len() > 1).and_then(|file| file.file_name()).map(OsStr::to_string_lossy);
    let spec = plain::TargetSpec {
        path,
        layout,
        is_compressed: framing.is_some(),
        segments: match input {
            Input::Plain(file) => &file.segments,
            _ => &[],
        },
        data_file: data_file.as_deref(),
    };
    warnings.extend(spec.remarks());
    match format {
        Format::Nrrd | Format::Nhdr => plain::nrrd_header(&spec),
        Format::Mha | Format::Mhd => plain::metaimage_header(&spec),
        _ => plain::mgh_header(&spec),
    }
}

/// Whose forms the target takes after: the reference's with `--like`, else the source's.
fn place<'a>(inherited: &Inherited<'a>) -> Option<FormsOf<'a>> {
    let of = |input: &'a Input| {
        if let Some(file) = input.nifti() {
            return Some(FormsOf::Like(&file.header));
        }
        if let Some(file) = input.zarr() {
            return file.nifti.as_ref().map(|nifti| match nifti {
                AsNifti::Header(lone) => FormsOf::Like(&lone.header),
                AsNifti::Attribute(_) => {
                    let (sform, qform) = nifti.codes();
                    FormsOf::Codes { qform, sform }
                }
            });
        }
        // Voxels of a program's own have a place in the body only where it says so.
        let is_anatomical = input.layout().grid.anatomical;
        let code = i16::from(is_anatomical).into();
        (is_anatomical || input.own_name().is_none()).then_some(FormsOf::Codes { qform: code, sform: code })
    };
    inherited.reference.and_then(of).or_else(|| of(inherited.input))
}

/// NIFTI_INTENT_LABEL.
const INTENT_LABEL: i32 = 1002;

/// NIFTI_INTENT_VECTOR.
const INTENT_VECTOR: i32 = 1007;

/// A header for labels or vectors that never had one: three axes, millimetres.
fn blank_header(intent_code: i32) -> Header {
    Header { dim: [3, 1, 1, 1, 1, 1, 1, 1], xyzt_units: 2, intent_code, ..Header::new(nifti::Version::One) }
}

/// The codes of the target's two forms, sform first.
fn form_codes(inherited: &Inherited<'_>) -> Option<(i32, i32)> {
    place(inherited).map(|place| match place {
        FormsOf::Like(header) => (header.sform_code, header.qform_code),
        FormsOf::Codes { qform, sform } => (sform, qform),
    })
}
