//! Warnings before a run about how source and target go together.

use crate::{
    geometry::{FaceCounts, Grid},
    io::{
        format::Format,
        input::{Input, IoMode},
    },
    job::{Request, output::Output, outside},
    layout::Layout,
    sys,
    transform::{self, FieldKind},
};

/// Warns where most of the target lies outside the source; known before the run where axes stay aligned.
pub(super) fn warn_of_other_space(outside: &FaceCounts, output: &Output, is_series: bool, warnings: &mut Vec<String>) {
    let Layout { grid, outer, .. } = &output.layout;
    let volumes = if is_series { outer.volumes() } else { 1 };
    warnings.extend(outside::other_space(outside.outside, grid.voxels().saturating_mul(volumes)));
}

/// What source and target lack of each other.
pub(super) fn warn_of_ends(
    request: &Request,
    input: &Input,
    output: &Output,
    is_in_place: bool,
    warnings: &mut Vec<String>,
) {
    warn_of_shear(output, warnings);
    warn_of_frame(input, output.format, warnings);
    warn_of_length(&output.layout.grid, output.format, warnings);
    warn_of_labels(input, warnings);
    warn_of_lost_levels(request, input, is_in_place, warnings);
    warn_of_map(request, warnings);
    warn_of_field(input, output.format, warnings);
}

fn warn_of_shear(output: &Output, warnings: &mut Vec<String>) {
    if output.format.is_nifti() && output.layout.grid.index_to_world.shear() > 1e-4 {
        warnings.push("the target's axes are sheared: readers built on ITK refuse such files".into());
    }
}

/// A map of a file on a server waits for a page at a time, and a server that goes away ends the run.
fn warn_of_map(request: &Request, warnings: &mut Vec<String>) {
    let network = sys::network_file_system(&request.input).filter(|_| request.io == IoMode::Map);
    warnings.extend(network.map(|network| {
        format!(
            "{} is on {network}, where --io mmap is slow, and ends the run should the server fail",
            request.input.display()
        )
    }));
}

fn warn_of_frame(input: &Input, format: Format, warnings: &mut Vec<String>) {
    if let Input::Zarr(file) = input
        && format.is_file()
    {
        warnings.extend(file.assumed_frame().map(|what| format!("the source {what}")));
    }
}

/// Other formats state nothing of vectors, and are read as displacements in LPS.
fn warn_of_field(input: &Input, format: Format, warnings: &mut Vec<String>) {
    if let Input::Plain(file) = input
        && file.warp.is_some()
    {
        warnings.push(
            "the source is a warp of FreeSurfer, and a copy does not say so: give the .mgz itself to --transform"
                .into(),
        );
    }
    let Some((header, _)) = input.nifti_header() else { return };
    let is_stated = format.is_nifti() || format.is_store();
    let what = match transform::kind_of(header).filter(|_| !is_stated) {
        Some(FieldKind::PositionsRas) => "positions",
        Some(FieldKind::DisplacementsRas) => "displacements in RAS",
        Some(FieldKind::FslDisplacements | FieldKind::FslPositions) => "scaled voxels of FSL",
        Some(FieldKind::DisplacementsLps | FieldKind::VoxelDisplacements | FieldKind::VoxelPositions) | None => return,
    };
    warnings.push(format!(
        "the source is a field of {what}, which {} cannot state: --transform would take it for displacements in LPS; write .nii.gz to keep it a transform",
        format.name()
    ));
}

/// What reads a NIfTI without a unit takes it for millimetres.
fn warn_of_length(target: &Grid, format: Format, warnings: &mut Vec<String>) {
    if format.is_nifti() && target.unit.metres().is_none() {
        warnings.push(format!(
            "the target's unit ({}) is no length that NIfTI has: it states none, and readers take its numbers for millimetres",
            target.unit.symbol()
        ));
    }
}

/// Levels of an image that is replaced go with it.
fn warn_of_lost_levels(request: &Request, input: &Input, is_in_place: bool, warnings: &mut Vec<String>) {
    let Some(file) = input.zarr() else { return };
    let levels = file.level.map_or(1, |(_, levels)| levels);
    if is_in_place && request.pyramid.is_none() && levels > 1 {
        warnings.push(format!(
            "{} has {levels} levels, and one takes their place; --pyramid makes the others anew",
            request.output.display()
        ));
    }
}

/// Labels are images of their own beside the image.
fn warn_of_labels(input: &Input, warnings: &mut Vec<String>) {
    let Some(file) = input.zarr() else { return };
    let labels = file.labels();
    if let Some((first, path)) = labels.first() {
        let names: Vec<&str> = labels.iter().map(|(name, _)| name.as_str()).collect();
        let path = path.display();
        warnings.push(format!(
            "labels of the image are not taken along ({:.200}): resample {path} with --interp label for {first}",
            names.join(", ")
        ));
    }
}
