//! The method of a job: what the voxels are, which method suits them, and what a user should know of the choice.

use std::path::Path;

use super::{
    InPlaceRequest, Request,
    names::{self, Names},
    series::Series,
};
use crate::{
    error::{Error, Result},
    geometry::{Grid, Mapping},
    io::{input::Input, zarr::ZarrFile},
    region::Region,
    resample::{KernelShape, LabelWeights, Method, OpRequest, Order, Outside, Reduction, passes_through},
};

/// Down-sampling beyond this factor is warned about where the method passes voxels over.
const ALIASING_FACTOR: f64 = 1.5;

/// With a smaller budget the voxels are not looked at where only a warning depends on them.
const LEAST_MEMORY_TO_LOOK: u64 = 48 << 20;

/// What the voxels are.
pub(super) enum Kind {
    /// Names, by what the file says.
    Labels,
    /// Names, by the look of some voxels.
    Alike(Names),
    Quantities,
}

impl Kind {
    /// What the source holds, as it says or as a sample of it looks.
    pub(super) fn of(request: &Request, input: &Input) -> Kind {
        if input.is_label() && !input.layout().stored.is_float() {
            return Kind::Labels;
        }
        let makes_levels =
            request.pyramid.is_some_and(|pyramid| pyramid.method.is_none_or(|method| method != Reduction::Mode));
        if request.method.is_some_and(|method| !method.mixes()) && !makes_levels {
            return Kind::Quantities;
        }
        // The method is given, so only a warning depends on the look, which takes half a mebibyte.
        if request.method.is_some() && request.memory_bytes < LEAST_MEMORY_TO_LOOK {
            return Kind::Quantities;
        }
        names::look(input, request).map_or(Kind::Quantities, Kind::Alike)
    }
}

/// Whether a kernel would only copy, so that nothing is mixed.
pub(super) fn copies(request: &Request, mapping: &Mapping, target: &Grid, bounds: Region) -> bool {
    passes_through(&OpRequest {
        method: Method::Kernel(KernelShape::Linear),
        antialias: request.antialias,
        mapping: mapping.clone(),
        target_shape: target.shape,
        bounds,
        outside: Outside::Edge,
        rounding: request.rounding,
        order: Order::default(),
    })
}

/// The method asked for, or the one that suits the voxels. Nothing is mixed where the target `is_copy`.
pub(super) fn method(
    request: &Request,
    input: &Input,
    kind: &Kind,
    is_copy: bool,
    warnings: &mut Vec<String>,
) -> Result<Method> {
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
    let (looks, is_mask) = (looks_like(&request.input, names), names.is_mask);
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
        warnings.push(level_warning(&looks));
    }
}

/// `seg.nii looks like labels (5 whole values in 2.6 M voxels)`
fn looks_like(path: &Path, Names { values, voxels, is_mask }: Names) -> String {
    let looks = if is_mask { "a mask" } else { "labels" };
    let seen =
        if voxels < 1_000_000 { format!("{voxels} voxels") } else { format!("{:.1} M voxels", voxels as f64 / 1e6) };
    format!("{} looks like {looks} ({values} whole values in {seen})", path.display())
}

fn level_warning(looks: &str) -> String {
    format!("{looks}; the levels by mean make new ones: --method mode")
}

/// The warning of an image that does not say that it holds labels and looks so, where its levels are to be made by mean.
pub(super) fn warning_of_levels(finest: &ZarrFile, request: &InPlaceRequest) -> Option<String> {
    let makes_mean = request.method.unwrap_or(Reduction::Mean) == Reduction::Mean;
    if finest.is_label || !makes_mean || request.memory_bytes < LEAST_MEMORY_TO_LOOK {
        return None;
    }
    let look = Request::new(&request.store, &request.store, request.memory_bytes, request.threads);
    let names = names::look(&Input::Zarr(Box::new(finest.clone())), &look)?;
    Some(level_warning(&looks_like(&request.store, names)))
}

/// Says where a coarser grid makes the method pass voxels over, and which method does not.
pub(super) fn warn_of_aliasing(
    op: &OpRequest,
    series: Option<&Series>,
    (kind, components): (&Kind, usize),
    warnings: &mut Vec<String>,
) {
    let mappings = series.map_or(std::slice::from_ref(&op.mapping), |series| &series.mappings);
    let largest = mappings.iter().flat_map(Mapping::ratio).fold(0.0, f64::max);
    let is_nearest = op.method == Method::Nearest;
    if op.antialias || !op.method.skips() || largest <= ALIASING_FACTOR || !is_nearest && passes_through(op) {
        return;
    }
    // Nothing counts or averages the labels that are colours.
    let (what, way_out) = match (op.method, kind) {
        (Method::Nearest, Kind::Labels | Kind::Alike(_)) if components > 1 => ("so small labels may be missed", ""),
        (Method::Label(_), _) | (Method::Nearest, Kind::Labels | Kind::Alike(_)) => {
            ("so small labels may be missed", "; --interp mode counts all voxels")
        }
        (Method::Nearest, _) if components > 1 => ("so fine detail aliases", "; --interp mean averages it"),
        (Method::Nearest, _) => ("so fine detail aliases", "; --interp mean averages it, mode counts labels"),
        (method, _) if method.stretches() => ("so fine detail aliases", "; --antialias smooths it"),
        _ => ("so fine detail aliases", "; --interp mean, or linear with --antialias, smooths it"),
    };
    let method = op.method;
    warnings.push(format!(
        "an axis is down-sampled {largest:.2} times by {method}, which passes voxels over, {what}{way_out}"
    ));
}
