//! From a request to a job: the source opened, grid, mapping, values and target decided. Nothing is written.

use std::path::{Path, PathBuf};

use super::{
    Format, GridChoice, Input, IoMode, Request, Values,
    disk::TargetSize,
    field::Field,
    idle,
    method::{Kind, copies, method, warn_of_aliasing},
    output::{Heritage, Output},
    outside::{self, OutsideView},
    reads,
    series::Series,
    turn::Turn,
};
use crate::{
    error::{Error, Result},
    geometry::{FaceCounts, Grid, GridRequest, Mapping, Resolved, Sizing, Snapped, Unit},
    io::{
        Layout,
        zarr::{
            OpenOptions,
            store::{Location, split_image},
        },
    },
    resample::OpRequest,
    sys,
    transform::{self, Chain, Ends, FieldKind, RoleImage},
};

/// A job that can be planned and run.
#[derive(Debug)]
pub struct Job {
    pub request: Request,
    pub input: Input,
    /// Whether the target takes the place of the source.
    pub is_in_place: bool,
    /// How large the target becomes.
    pub size: TargetSize,
    pub source_grid: Grid,
    pub values: Values,
    /// Through the base of the field alone, where there is one, until it is read.
    pub op: OpRequest,
    /// The mappings, where each volume has its own; that of `op` is then the first.
    pub series: Option<Series>,
    /// What turns the vectors of the source.
    pub turn: Option<Turn>,
    /// The transforms between target and source, as they were read.
    pub chain: Chain,
    /// The displacement field to look through.
    pub field: Option<Field>,
    pub output: Output,
    /// Target voxels that look outside the source, per face.
    pub outside: FaceCounts,
    pub outside_view: OutsideView,
    /// What a user should know before the run.
    pub warnings: Vec<String>,
}

impl Job {
    /// Opens the source and decides everything but the schedule.
    ///
    /// # Errors
    /// Whatever is wrong with the request or the source's metadata.
    pub fn resolve(mut request: Request) -> Result<Job> {
        let (format, input, is_in_place) = open(&mut request)?;
        let mut warnings: Vec<String> = input.warnings().to_vec();
        let source_grid = input.layout().grid.clone();
        let reference = reference(&request.grid)?;
        warn_of_reference(reference.as_ref(), &mut warnings);
        warn_of_no_forms(&request, &input, reference.as_ref(), &mut warnings);
        let Resolved { target, bounds, lacking } = target_grid(&request, &input, reference.as_ref())?;
        let mut chain = chain(&request, &input, reference.as_ref(), &mut warnings)?;
        let series = series(&request, &input, (&target, reference.as_ref()), &chain, &mut warnings)?;
        let (mapping, mut field) = match series.as_ref().and_then(|series| series.mappings.first()) {
            Some(first) => (first.clone(), None),
            None => mapping(&mut chain, &target, &source_grid, &mut warnings)?,
        };
        field.iter_mut().for_each(|field| field.checks_disk = request.checks_disk);
        let kind = Kind::of(&request, &input);
        let is_copy =
            !matches!(kind, Kind::Quantities) && series.is_none() && copies(&request, &mapping, &target, bounds);
        let method = method(&request, &input, &kind, is_copy, &mut warnings)?;
        let outside = outside::before_the_run(&request, (&mapping, series.as_ref()), target.shape, bounds);
        let counted = outside.map(|counts| counts.outside);
        let values = Values::resolve(&request, &input, method, format.is_nifti(), counted, &mut warnings)?;
        idle::refuse_for(&request, &input, (values.target, is_in_place))?;
        let turn = Turn::resolve(&request, &input, &chain, (&values, method), &mut warnings)?;
        let op = OpRequest {
            method,
            antialias: request.antialias,
            mapping,
            target_shape: target.shape,
            bounds,
            outside: values.outside,
            rounding: request.rounding,
            order: values.order,
        };
        warn_of_aliasing(&op, series.as_ref(), (&kind, input.layout().components), &mut warnings);
        let name = image_name(&request.input);
        let heritage = Heritage {
            name: &name,
            input: &input,
            reference: reference.as_ref(),
            pyramid: request.pyramid,
            lacking,
            slices_resampled: source_grid.shape[0] != target.shape[0]
                || source_grid.index_to_world.column(0) != target.index_to_world.column(0),
        };
        let output = Output::describe(&request.output, format, &target, &values, &request.target, &heritage)?;
        warnings.extend_from_slice(&output.warnings);
        warn_of_ends(&request, &input, &output, is_in_place, &mut warnings);
        let outside =
            outside.or_else(|| Some(series.as_ref()?.outside_of_aligned(target.shape, bounds))).unwrap_or_default();
        let outside_view = OutsideView::of(&request, &input, &op, series.is_some(), &values);
        warn_of_other_space(&outside, &output, series.is_some(), &mut warnings);
        let mut job = Job {
            request,
            input,
            is_in_place,
            size: TargetSize::default(),
            source_grid,
            values,
            op,
            series,
            turn,
            chain,
            field,
            output,
            outside,
            outside_view,
            warnings,
        };
        job.size = job.target_size();
        Ok(job)
    }
}

/// Opens the source, and decides whether the target takes its place.
fn open(request: &mut Request) -> Result<(Format, Input, bool)> {
    let (source, image) = split_image(&request.input);
    request.open.image = image.or(request.open.image.take());
    request.input = Location::of(&source)?.into_path();
    request.output = target_path(&request.output)?;
    let format = Format::of_name(&request.output)?;
    idle::refuse(request)?;
    let opened = Input::open(&request.input, &request.open);
    let input = opened.map_err(|error| reads::missing_source(request, error))?;
    let is_in_place = reads::takes_place_of_source(request, &input, format)?;
    request.target.overwrite |= is_in_place;
    Ok((format, input, is_in_place))
}

/// A target's path or URL, without a slash behind it.
fn target_path(output: &Path) -> Result<PathBuf> {
    Ok(match Location::of(output)? {
        Location::Folder(path) => path.components().collect(),
        url => url.into_path(),
    })
}

/// The name of a file or folder without what says its format.
fn image_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let endings = [".nii.gz", ".nii", ".hdr", ".img", ".ome.zarr", ".zarr"];
    let ending = endings.into_iter().find(|ending| name.ends_with(ending)).unwrap_or("");
    name[..name.len() - ending.len()].to_string()
}

fn reference(choice: &GridChoice) -> Result<Option<Input>> {
    match choice {
        GridChoice::Like { path, .. } => Ok(Some(Input::open(path, &OpenOptions::default())?)),
        GridChoice::Rules(_) => Ok(None),
    }
}

/// What is wrong with the reference's own header.
fn warn_of_reference(reference: Option<&Input>, warnings: &mut Vec<String>) {
    let own = reference.map(Input::warnings).unwrap_or_default();
    warnings.extend(own.iter().map(|warning| format!("of the reference: {warning}")));
}

/// Files without form codes meet another place: each program has its own idea of where they are.
fn warn_of_no_forms(request: &Request, input: &Input, reference: Option<&Input>, warnings: &mut Vec<String>) {
    let has_transforms = !request.transforms.is_empty() || request.transform_list.is_some();
    if reference.is_none() && !has_transforms {
        return;
    }
    for (name, file) in [("source", Some(input)), ("reference", reference)] {
        if file.is_some_and(Input::lacks_forms) {
            warnings.push(format!(
                "the {name} has no form codes: its first voxel is taken to stand at 0, with axes to the right, anterior and \
                 superior; other programs place such files otherwise"
            ));
        }
    }
}

fn target_grid(request: &Request, input: &Input, reference: Option<&Input>) -> Result<Resolved> {
    let source = &input.layout().grid;
    let rules = match (&request.grid, reference) {
        (GridChoice::Rules(rules), _) => GridRequest { lacking: input.lacking(), ..rules.clone() },
        (GridChoice::Like { rules, .. }, Some(reference)) => {
            GridRequest { sizing: Sizing::Like(reference.layout().grid.clone()), ..rules.clone() }
        }
        (GridChoice::Like { path, .. }, None) => return Err(Error::usage(format!("no grid in {}", path.display()))),
    };
    let resolved = rules.resolve(source)?;
    Ok(Resolved { lacking: reference.map_or(resolved.lacking, Input::lacking), ..resolved })
}

/// The transforms of a request. One FSL matrix by itself, with `--like`, has source and reference of the run for its roles.
fn chain(request: &Request, input: &Input, reference: Option<&Input>, warnings: &mut Vec<String>) -> Result<Chain> {
    let source = input.role_image(&request.input);
    let target = role_of_reference(request, reference).filter(|_| request.transform_list.is_none());
    let ends = target.map(|target| Ends { source, target });
    let chain = Chain::read(&request.transforms, ends.as_ref())?;
    warnings.extend_from_slice(&chain.warnings);
    Ok(chain)
}

fn role_of_reference(request: &Request, reference: Option<&Input>) -> Option<RoleImage> {
    match (&request.grid, reference) {
        (GridChoice::Like { path, .. }, Some(reference)) => Some(reference.role_image(path)),
        _ => None,
    }
}

fn mapping(
    chain: &mut Chain,
    target: &Grid,
    source: &Grid,
    warnings: &mut Vec<String>,
) -> Result<(Mapping, Option<Field>)> {
    let snapped = if chain.steps.is_empty() {
        directly(target, source, warnings)?
    } else {
        warn_of_units(target, source, warnings);
        if let Some(field) = Field::open(chain, target, source)? {
            warn_of_order(chain, field.grid(), target, warnings);
            return Ok((Mapping::Affine(field.base), Some(field)));
        }
        Mapping::through(target, source, &chain.after.after(&chain.before))?
    };
    warn_of_snapping(snapped.removed_voxels, warnings);
    Ok((snapped.mapping, None))
}

/// Registration writes its field over the reference, so that a field over the target grid is one to be met first.
fn warn_of_order(chain: &Chain, field: &Grid, target: &Grid, warnings: &mut Vec<String>) {
    let before = chain.steps_before_field();
    let is_over = || {
        let between = Mapping::between(target, field);
        field.shape == target.shape && between.is_ok_and(|snapped| snapped.mapping.is_identity())
    };
    let Some(step) = chain.steps.get(before).filter(|_| before > 0 && is_over()) else { return };
    let file = step.file.display();
    warnings.push(format!(
        "{file} lies over the target grid, and a point meets {before} other {} before it; if it is to be met first, give --transform {file} first",
        if before == 1 { "transform" } else { "transforms" }
    ));
}

fn series(
    request: &Request,
    input: &Input,
    (target, reference): (&Grid, Option<&Input>),
    chain: &Chain,
    warnings: &mut Vec<String>,
) -> Result<Option<Series>> {
    let of_reference = role_of_reference(request, reference);
    let Some((series, removed_voxels)) = Series::open(request, input, target, chain, of_reference)? else {
        return Ok(None);
    };
    let Layout { grid, outer, .. } = input.layout();
    warn_of_units(target, grid, warnings);
    warn_of_snapping(removed_voxels, warnings);
    warnings.extend(series.taken_for_granted.clone());
    let shared = outer.largest_group();
    if shared > 1 {
        warnings.push(format!("chunks of the source span {shared} volumes, each of which is resampled by itself: they are decoded as often"));
    }
    Ok(Some(series))
}

fn warn_of_snapping(removed_voxels: f64, warnings: &mut Vec<String>) {
    if removed_voxels > 1e-6 {
        warnings.push(format!("snapped away {removed_voxels:.1e} voxel of rounding in the headers"));
    }
}

fn directly(target: &Grid, source: &Grid, warnings: &mut Vec<String>) -> Result<Snapped> {
    if target.unit.factor_to(&source.unit).is_none() {
        warnings.push(format!(
            "the target's unit ({}) and the source's ({}) cannot be compared: numbers are taken as they stand",
            target.unit.symbol(),
            source.unit.symbol()
        ));
    }
    Mapping::between(target, source)
}

/// Transform files are in millimetres, so both grids are taken there.
fn warn_of_units(target: &Grid, source: &Grid, warnings: &mut Vec<String>) {
    for (name, unit) in [("target", &target.unit), ("source", &source.unit)] {
        if unit.factor_to(&Unit::Millimetre).is_none() {
            let unit = unit.symbol();
            warnings.push(format!(
                "transform files are in millimetres, and the {name}'s unit ({unit}) is not known: taken for millimetres"
            ));
        }
    }
}

/// Known before the run where axes stay aligned: nobody should wait for the end to learn of it.
fn warn_of_other_space(outside: &FaceCounts, output: &Output, is_series: bool, warnings: &mut Vec<String>) {
    let Layout { grid, outer, .. } = &output.layout;
    let volumes = if is_series { outer.volumes() } else { 1 };
    warnings.extend(outside::other_space(outside.outside, grid.voxels().saturating_mul(volumes)));
}

/// What source and target lack of each other.
fn warn_of_ends(request: &Request, input: &Input, output: &Output, is_in_place: bool, warnings: &mut Vec<String>) {
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
        && format.is_nifti()
    {
        warnings.extend(file.assumed_frame().map(|what| format!("the source {what}")));
    }
}

/// A Zarr states nothing of vectors, and is read as displacements in LPS.
fn warn_of_field(input: &Input, format: Format, warnings: &mut Vec<String>) {
    let Input::Nifti(file) = input else { return };
    let what = match transform::kind_of(&file.header).filter(|_| !format.is_nifti()) {
        Some(FieldKind::PositionsRas) => "positions",
        Some(FieldKind::DisplacementsRas) => "displacements in RAS",
        Some(FieldKind::DisplacementsLps) | None => return,
    };
    warnings.push(format!(
        "the source is a field of {what}, which a Zarr cannot state: --transform would take it for displacements in LPS; write .nii.gz to keep it a transform"
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
    let Input::Zarr(file) = input else { return };
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
    let Input::Zarr(file) = input else { return };
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
