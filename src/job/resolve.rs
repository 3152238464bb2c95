//! From a request to a job: the source opened, grid, mapping, values and target decided. Nothing is written.

use std::path::Path;

use super::{
    Format, GridChoice, Input, IoMode, OutsideRequest, Request, Values,
    field::Field,
    names::{self, Names},
    output::{Heritage, Output},
    series::Series,
    turn::Turn,
};
use crate::{
    error::{Error, Result},
    geometry::{FaceCounts, Grid, GridRequest, Mapping, Resolved, Sizing, Snapped, Unit, outside_per_face},
    io::{
        Layout,
        nifti::Header,
        zarr::{OpenOptions, store::Location},
    },
    region::Region,
    resample::{KernelShape, LabelWeights, Method, OpRequest, Outside, Reduction, passes_through},
    sys,
    transform::{Chain, TransformRequest},
};

/// Down-sampling beyond this factor by an interpolating kernel is warned about.
const ALIASING_FACTOR: f64 = 1.5;

/// A job that can be planned and run.
#[derive(Debug)]
pub struct Job {
    pub request: Request,
    pub input: Input,
    pub source_grid: Grid,
    pub values: Values,
    /// Through the base of the field alone, where there is one, until it is read.
    pub op: OpRequest,
    /// The mappings, where each volume has its own; that of `op` is then the first.
    pub series: Option<Series>,
    /// What turns the vectors of the source.
    pub turn: Option<Turn>,
    /// The displacement field to look through.
    pub field: Option<Field>,
    pub output: Output,
    /// Target voxels that look outside the source, per face.
    pub outside: FaceCounts,
    /// What a user should know before the run.
    pub warnings: Vec<String>,
}

impl Job {
    /// Opens the source and decides everything but the schedule.
    ///
    /// # Errors
    /// Whatever is wrong with the request or the source's metadata.
    pub fn resolve(mut request: Request) -> Result<Job> {
        request.input = Location::of(&request.input)?.into_path();
        request.output = Location::of(&request.output)?.into_path();
        let format = Format::of_name(&request.output)?;
        let input = Input::open(&request.input, &request.open)?;
        let mut warnings: Vec<String> = input.warnings().to_vec();
        let source_grid = input.layout().grid.clone();
        let reference = reference(&request.grid)?;
        let Resolved { target, bounds } = target_grid(&request, &input, reference.as_ref())?;
        let series = series(&request, &input, &target, &mut warnings)?;
        let (mapping, field) = match series.as_ref().and_then(|series| series.mappings.first()) {
            Some(first) => (first.clone(), None),
            None => mapping(&request.transforms, &target, &source_grid, &mut warnings)?,
        };
        let kind = Kind::of(&request, &input);
        let is_copy = series.is_none() && copies(&request, &mapping, &target, bounds);
        let method = method(&request, &input, &kind, is_copy, &mut warnings)?;
        let values = Values::resolve(&request, &input, method, format.is_nifti(), &mut warnings)?;
        let turn = Turn::resolve(&request, &input, &target, (&values, method), &mut warnings)?;
        let op = OpRequest {
            method,
            antialias: request.antialias,
            mapping,
            target_shape: target.shape,
            bounds,
            outside: values.outside,
            rounding: request.rounding,
        };
        warn_of_aliasing(&op, series.as_ref(), &kind, &mut warnings);
        let name = image_name(&request.input);
        let heritage = Heritage {
            name: &name,
            input: &input,
            reference: reference.as_ref().and_then(nifti_header),
            pyramid: request.pyramid,
            slices_resampled: source_grid.shape[0] != target.shape[0]
                || source_grid.index_to_world.column(0) != target.index_to_world.column(0),
        };
        let output = Output::describe(&request.output, format, &target, &values, &request.target, &heritage)?;
        warnings.extend_from_slice(&output.warnings);
        warn_of_shear(&output, &mut warnings);
        warn_of_frame(&input, format, &mut warnings);
        warn_of_map(&request, &mut warnings);
        let outside = match (&series, &op.mapping) {
            _ if request.outside == OutsideRequest::Edge => FaceCounts::default(),
            (Some(series), _) => series.outside_of_aligned(target.shape, bounds),
            (None, Mapping::AxisAligned(maps)) => outside_per_face(maps, target.shape, bounds),
            (None, _) => FaceCounts::default(),
        };
        Ok(Job { request, input, source_grid, values, op, series, turn, field, output, outside, warnings })
    }
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

fn nifti_header(input: &Input) -> Option<&Header> {
    match input {
        Input::Nifti(file) => Some(&file.header),
        Input::Zarr(_) => None,
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
    rules.resolve(source)
}

/// What the voxels are.
enum Kind {
    /// Names, by what the file says.
    Labels,
    /// Names, by the look of some voxels.
    Alike(Names),
    Quantities,
}

impl Kind {
    fn of(request: &Request, input: &Input) -> Kind {
        if input.is_label() && !input.layout().stored.is_float() {
            return Kind::Labels;
        }
        let makes_levels =
            request.pyramid.is_some_and(|pyramid| pyramid.method.is_none_or(|method| method != Reduction::Mode));
        if request.method.is_some_and(|method| !method.mixes()) && !makes_levels {
            return Kind::Quantities;
        }
        names::look(input, request).map_or(Kind::Quantities, Kind::Alike)
    }
}

/// Whether a kernel would only copy, so that nothing is mixed.
fn copies(request: &Request, mapping: &Mapping, target: &Grid, bounds: Region) -> bool {
    passes_through(&OpRequest {
        method: Method::Kernel(KernelShape::Linear),
        antialias: request.antialias,
        mapping: mapping.clone(),
        target_shape: target.shape,
        bounds,
        outside: Outside::Edge,
        rounding: request.rounding,
    })
}

/// The method asked for, or the one that suits the voxels. Nothing is mixed where the target `is_copy`.
fn method(request: &Request, input: &Input, kind: &Kind, is_copy: bool, warnings: &mut Vec<String>) -> Result<Method> {
    let (path, components) = (request.input.display(), input.layout().components);
    let is_label = matches!(kind, Kind::Labels);
    let method = request.method.unwrap_or(match kind {
        Kind::Quantities => Method::Kernel(KernelShape::Linear),
        _ if components > 1 => Method::Nearest,
        _ => Method::Label(LabelWeights::Linear),
    });
    if is_label && method.mixes() && !is_copy {
        let hint = match components {
            1 => "use --interp label (what --interp auto takes here), or mode to down-sample",
            _ => "use --interp nearest (what --interp auto takes here)",
        };
        return Err(Error::usage_hint(format!("{path} holds labels, and {method} would mix their numbers"), hint));
    }
    if components > 1 && method.picks() {
        let hint = match is_label {
            true => "use nearest for labels that are colours",
            false => "use nearest, mean or a kernel, such as linear, for colours and complex numbers",
        };
        let what = format!(
            "{method} would make each of the {components} parts of a voxel from other voxels: they belong together"
        );
        return Err(Error::usage_hint(what, hint));
    }
    if request.antialias && !method.stretches() {
        let hint = match kind {
            Kind::Quantities => "use --interp linear, cubic, lanczos or gaussian with it, or --interp mean without it",
            _ if components > 1 => "leave --antialias out",
            _ => "leave --antialias out: --interp mode counts all labels that a voxel covers",
        };
        let what = format!("--antialias stretches a kernel, and {method} has none that could be stretched");
        return Err(Error::usage_hint(what, hint));
    }
    if is_label && components > 1 && request.method.is_none() {
        warnings.push(format!("{path} holds labels that are colours: --interp auto takes nearest"));
    }
    if let Kind::Alike(names) = kind {
        warn_of_names(request, method, *names, is_copy, warnings);
    }
    Ok(method)
}

/// Labels that the file does not call so, where something would mix them.
fn warn_of_names(request: &Request, method: Method, names: Names, is_copy: bool, warnings: &mut Vec<String>) {
    let Names { values, voxels, is_mask } = names;
    let path = request.input.display();
    let looks = if is_mask { "a mask" } else { "labels" };
    let seen =
        if voxels < 1_000_000 { format!("{voxels} voxels") } else { format!("{:.1} M voxels", voxels as f64 / 1e6) };
    let looks = format!("{path} looks like {looks} ({values} whole values in {seen})");
    match request.method {
        None => warnings.push(format!("{looks}: --interp auto takes {method}; --interp linear treats them as quantities")),
        Some(_) if !method.mixes() || is_copy => {}
        Some(_) if is_mask => warnings.push(format!(
            "{looks}; {method} makes fractions, which an integer type rounds: --interp label keeps it a mask, or mode for a coarser grid"
        )),
        Some(_) => warnings.push(format!("{looks}; {method} makes new ones: --interp label, or mode for a coarser grid")),
    }
    if let Some(pyramid) = request.pyramid
        && pyramid.method.unwrap_or(Reduction::Mean) == Reduction::Mean
    {
        warnings.push(format!("{looks}; the levels by mean make new ones: --method mode"));
    }
}

fn mapping(
    transforms: &[TransformRequest],
    target: &Grid,
    source: &Grid,
    warnings: &mut Vec<String>,
) -> Result<(Mapping, Option<Field>)> {
    let snapped = match transforms {
        [] => directly(target, source, warnings)?,
        _ => {
            let chain = Chain::read(transforms, target, source)?;
            warn_of_units(target, source, warnings);
            if let Some(field) = Field::open(&chain, target, source)? {
                return Ok((Mapping::Affine(field.base), Some(field)));
            }
            Mapping::through(target, source, &chain.after.after(&chain.before))?
        }
    };
    warn_of_snapping(snapped.removed_voxels, warnings);
    Ok((snapped.mapping, None))
}

fn series(request: &Request, input: &Input, target: &Grid, warnings: &mut Vec<String>) -> Result<Option<Series>> {
    let Some((series, removed_voxels)) = Series::open(request, input, target)? else { return Ok(None) };
    let Layout { grid, outer, .. } = input.layout();
    warn_of_units(target, grid, warnings);
    warn_of_snapping(removed_voxels, warnings);
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

fn warn_of_aliasing(op: &OpRequest, series: Option<&Series>, kind: &Kind, warnings: &mut Vec<String>) {
    let mappings = series.map_or(std::slice::from_ref(&op.mapping), |series| &series.mappings);
    let largest = mappings.iter().flat_map(Mapping::ratio).fold(0.0, f64::max);
    let is_nearest = op.method == Method::Nearest;
    if op.antialias || !op.method.skips() || largest <= ALIASING_FACTOR || !is_nearest && passes_through(op) {
        return;
    }
    let (what, way_out) = match (op.method, kind) {
        (Method::Label(_), _) | (Method::Nearest, Kind::Labels | Kind::Alike(_)) => {
            ("so small labels may be missed", "--interp mode counts all voxels")
        }
        (Method::Nearest, _) => ("so fine detail aliases", "--interp mean averages it, mode counts labels"),
        (method, _) if method.stretches() => ("so fine detail aliases", "--antialias smooths it"),
        _ => ("so fine detail aliases", "--interp mean, or linear with --antialias, smooths it"),
    };
    let method = op.method;
    warnings.push(format!(
        "an axis is down-sampled {largest:.2} times by {method}, which passes voxels over, {what}; {way_out}"
    ));
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
        && file.nifti.is_none()
        && format.is_nifti()
    {
        warnings.push("the source does not say how x, y, z lie in the body: taken as right, anterior, superior".into());
    }
}
