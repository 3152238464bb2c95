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
    },
    job::{PyramidRequest, Values},
    layout::Layout,
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
    let source = inherited.input.nifti();
    let is_label = inherited.input.is_label() && !layout.stored.is_float();
    let blank = is_label.then(blank_label_header);
    let spec = TargetSpec {
        path,
        like: source.map(|file| &file.header).or(blank.as_ref()),
        place: place(inherited).or(blank.as_ref().map(|_| FormsOf::Codes { qform: 1, sform: 1 })),
        extensions: source.map_or(&[][..], |file| &file.extensions),
        grid: &layout.grid,
        outer: &layout.outer,
        stored: layout.stored,
        components: layout.components,
        slope: values.kept_slope,
        slice_axis_resampled: inherited.slices_resampled,
        single_file: format != Format::Pair,
    };
    let (header, prefix) = nifti::target_header(&spec)?;
    warnings.extend(nifti::target_remarks(&spec, &header));
    Ok(match format {
        Format::Pair => Around { beside: Some(prefix), ..Around::default() },
        _ => Around::leading(prefix),
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
            let nifti = file.nifti.as_ref()?;
            return Some(FormsOf::Codes { qform: nifti.qform_code.into(), sform: nifti.sform_code.into() });
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

/// A header for labels that never had one: three axes, millimetres.
fn blank_label_header() -> Header {
    Header {
        dim: [3, 1, 1, 1, 1, 1, 1, 1],
        xyzt_units: 2,
        intent_code: INTENT_LABEL,
        ..Header::new(nifti::Version::One)
    }
}

/// The codes of the target's two forms, sform first.
pub(super) fn form_codes(inherited: &Inherited<'_>) -> Option<(i32, i32)> {
    place(inherited).map(|place| match place {
        FormsOf::Like(header) => (header.sform_code, header.qform_code),
        FormsOf::Codes { qform, sform } => (sform, qform),
    })
}
