//! From a request to a job: the source opened, grid, mapping, values and target decided. Nothing is written.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

mod warnings;

use warnings::{warn_of_ends, warn_of_other_space};

use super::{
    GridChoice, Request, Values,
    disk::TargetSize,
    fields::{self, Fields},
    idle,
    method::{Kind, copies, method, warn_of_aliasing},
    moved,
    output::{Inherited, Output},
    outside::{self, OutsideView},
    reads,
    series::{Between, Series},
    turn::Turn,
    values::handed_over,
};
use crate::{
    error::{Error, Result},
    geometry::{FaceCounts, Grid, GridRequest, Mapping, Resolved, Sizing, Snapped, Unit},
    io::{
        format::{self, Format},
        input::Input,
        own::OwnSource,
        zarr::OpenOptions,
    },
    layout::Layout,
    pictures::Pictures,
    region::Region,
    resample::{Method, OpRequest},
    storage::{Location, split_image},
    sys,
    transform::{Chain, Ends, RoleImage},
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
    /// As if displacement fields moved nothing, until they are read.
    pub op: OpRequest,
    /// The mappings, where each volume has its own; that of `op` is then the first.
    pub series: Option<Series>,
    /// What turns the vectors of the source.
    pub turn: Option<Turn>,
    /// The transforms between target and source, as they were read.
    pub chain: Chain,
    /// The displacements to look through.
    pub fields: Option<Fields>,
    pub output: Output,
    /// Target voxels that look outside the source, per face.
    pub outside: FaceCounts,
    pub outside_view: OutsideView,
    /// What a user should know before the run.
    pub warnings: Vec<String>,
    /// What the run samples for pictures, where they are asked for.
    pub pictures: Option<Arc<Pictures>>,
    /// What jobs before this one have left resident of the margin that a plan keeps for new code and heaps.
    pub settled_bytes: u64,
}

impl Job {
    /// Opens the source and decides everything but the schedule.
    ///
    /// # Errors
    /// Whatever is wrong with the request or the source's metadata.
    pub fn resolve(mut request: Request) -> Result<Job> {
        sys::tune_unless_tuned(request.memory_bytes);
        let (format, input, is_in_place) = open(&mut request)?;
        Job::of(request, format, input, is_in_place)
    }

    /// The same for a source of the program's own, which takes the place of the request's input.
    ///
    /// Such a job has all that jobs from files have: staging, resuming, ranks. The source hands samples over in the type of [`handed_over`].
    ///
    /// # Errors
    /// Whatever is wrong with the request, or samples of another type than it takes.
    pub fn from_source(source: OwnSource, mut request: Request) -> Result<Job> {
        sys::tune_unless_tuned(request.memory_bytes);
        let stored = source.layout().stored;
        let needed = handed_over(stored, &request);
        if needed != stored {
            let what = format!("{} has samples of {stored}, and this job takes samples of {needed}", source.name());
            return Err(Error::usage_hint(what, "ask for no other sample type, or hand the samples over in that one"));
        }
        request.input = source.name().into();
        request.output = target_path(&request.output)?;
        let format = Format::of_name(&request.output)?;
        idle::refuse(&request)?;
        Job::of(request, format, Input::Own(Box::new(source)), false)
    }

    fn of(request: Request, format: Format, input: Input, is_in_place: bool) -> Result<Job> {
        let mut warnings: Vec<String> = input.warnings().to_vec();
        let source_grid = input.layout().grid.clone();
        let reference = reference(&request.grid)?;
        warn_of_reference(reference.as_ref(), &mut warnings);
        warn_of_no_forms(&request, &input, reference.as_ref(), &mut warnings);
        let mut chain = chain(&request, &input, reference.as_ref(), &mut warnings)?;
        let Resolved { target, bounds, lacking } = target_grid(&request, &input, reference.as_ref(), &chain)?;
        let fields = Fields::open(&mut chain, &target, &source_grid)?;
        fields.iter().for_each(|fields| warn_of_order(&chain, fields, &target, &mut warnings));
        let between =
            Between { target: &target, reference: reference.as_ref(), chain: &chain, fields: fields.as_ref() };
        let series = series(&request, &input, between, &mut warnings)?;
        let mapping = match series.as_ref().and_then(|series| series.mappings.first()) {
            Some(first) => first.clone(),
            None => mapping(between, &source_grid, &mut warnings)?,
        };
        let kind = Kind::of(&request, &input);
        let is_copy =
            !matches!(kind, Kind::Quantities) && series.is_none() && copies(&request, &mapping, &target, bounds);
        let method = method(&request, &input, &kind, is_copy, &mut warnings)?;
        let outside = outside::before_the_run(&request, (&mapping, series.as_ref()), target.shape, bounds);
        let counted = outside.map(|counts| counts.outside);
        let values = Values::resolve(&request, &input, method, format.is_nifti(), counted, &mut warnings)?;
        idle::refuse_for(&request, &input, (values.target, is_in_place))?;
        let turn = Turn::resolve(&request, &input, &chain, (&values, method), &mut warnings)?;
        let op = operation(&request, (method, mapping), (target.shape, bounds), &values);
        warn_of_aliasing(&op, series.as_ref(), (&kind, input.layout().components), &mut warnings);
        let output = output(&request, format, (&input, reference.as_ref()), (&target, lacking), &values)?;
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
            fields,
            output,
            outside,
            outside_view,
            warnings,
            pictures: None,
            settled_bytes: 0,
        };
        job.size = job.target_size();
        job.pictures = job.request.pictures.map(|asked| Arc::new(job.pictures(asked)));
        Ok(job)
    }
}

/// What is computed for each target voxel; `bounds` are the source voxels that there are.
fn operation(
    request: &Request,
    (method, mapping): (Method, Mapping),
    (target_shape, bounds): ([u64; 3], Region),
    values: &Values,
) -> OpRequest {
    let &Request { antialias, rounding, .. } = request;
    let &Values { outside, order, .. } = values;
    OpRequest { method, antialias, mapping, target_shape, bounds, outside, rounding, order }
}

/// The target that a request describes, with what it takes over from the source or the reference.
fn output(
    request: &Request,
    format: Format,
    (input, reference): (&Input, Option<&Input>),
    (target, lacking): (&Grid, [bool; 3]),
    values: &Values,
) -> Result<Output> {
    let (name, source) = (image_name(&request.input), &input.layout().grid);
    let inherited = Inherited {
        name: &name,
        input,
        reference,
        pyramid: request.pyramid,
        lacking,
        slices_resampled: source.shape[0] != target.shape[0]
            || source.index_to_world.column(0) != target.index_to_world.column(0),
    };
    Output::describe(&request.output, format, target, values, &request.target, &inherited)
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
    format::stem(&name).to_string()
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

fn target_grid(request: &Request, input: &Input, reference: Option<&Input>, chain: &Chain) -> Result<Resolved> {
    let source = &input.layout().grid;
    if let GridChoice::Rules(rules) = &request.grid
        && rules.transformed
    {
        if request.transform_list.is_some() {
            let what =
                "--grid transformed: --transform-list moves each volume by itself, and there is one grid for all";
            return Err(Error::usage_hint(what, "give the grid by --like"));
        }
        let ranges = fields::ranges(chain, request.memory_bytes)?;
        let rules = GridRequest { lacking: input.lacking(), ..rules.clone() };
        return rules.covering(source, |base, bounds| moved::hull(chain, &ranges, source, base, bounds));
    }
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
    let source = RoleImage::of(&request.input, input);
    let target = role_of_reference(request, reference).filter(|_| request.transform_list.is_none());
    let ends = target.map(|target| Ends { source, target });
    let chain = Chain::read(&request.transforms, ends.as_ref())?;
    warnings.extend_from_slice(&chain.warnings);
    Ok(chain)
}

fn role_of_reference(request: &Request, reference: Option<&Input>) -> Option<RoleImage> {
    match (&request.grid, reference) {
        (GridChoice::Like { path, .. }, Some(reference)) => Some(RoleImage::of(path, reference)),
        _ => None,
    }
}

fn mapping(between: Between<'_>, source: &Grid, warnings: &mut Vec<String>) -> Result<Mapping> {
    let Between { target, chain, fields, .. } = between;
    let snapped = if chain.steps.is_empty() {
        directly(target, source, warnings)?
    } else {
        warn_of_units(target, source, warnings);
        if let Some(fields) = fields {
            return Ok(Mapping::Warped(fields.still(None)));
        }
        Mapping::through(target, source, &chain.after)?
    };
    warn_of_snapping(snapped.removed_voxels, warnings);
    Ok(snapped.mapping)
}

/// Registration writes its field over the reference, so that a field over the target grid is one to be met first.
fn warn_of_order(chain: &Chain, fields: &Fields, target: &Grid, warnings: &mut Vec<String>) {
    let is_over = |field: &Grid| {
        let between = Mapping::between(target, field);
        field.shape == target.shape && between.is_ok_and(|snapped| snapped.mapping.is_identity())
    };
    let Some((_, before)) = fields.grids().find(|(field, _)| is_over(field)) else { return };
    let Some(step) = chain.steps.get(before).filter(|_| before > 0) else { return };
    let file = step.file.display();
    warnings.push(format!(
        "{file} lies over the target grid, and a point meets {before} other {} before it; if it is to be met first, give --transform {file} first",
        if before == 1 { "transform" } else { "transforms" }
    ));
}

fn series(
    request: &Request,
    input: &Input,
    between: Between<'_>,
    warnings: &mut Vec<String>,
) -> Result<Option<Series>> {
    let of_reference = role_of_reference(request, between.reference);
    let Some((series, removed_voxels)) = Series::open(request, input, between, of_reference)? else {
        return Ok(None);
    };
    let Layout { grid, outer, .. } = input.layout();
    warn_of_units(between.target, grid, warnings);
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
