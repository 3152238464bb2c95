//! A report of one or two volumes that are there already. A bounded number of chunks is read: of an image with levels those of the
//! level that the pixels need.

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use super::{Material, Page, Side, page, words};
use crate::{
    dispatch,
    error::{Error, Result},
    geometry::{Grid, Mapping},
    io::{
        input::{Input, IoMode},
        zarr::OpenOptions,
    },
    job::GridSummary,
    layout::{Access, Layout},
    pictures::{Bound, Filled, Pair, Pictures, Plane, Raster, Track, Values, fill, pixels_within, planes},
    sys,
    voxel::{Rounding, Voxel},
};

/// What the page and the encoding of pictures take besides.
const MARGIN_BYTES: u64 = 16 << 20;

/// Volumes to report on.
#[derive(Clone, Debug)]
pub struct Volumes {
    pub a: PathBuf,
    /// Nothing for one volume; else `a` is the one before.
    pub b: Option<PathBuf>,
    pub memory_bytes: u64,
    pub io: IoMode,
    /// The arguments of the command, without the program.
    pub arguments: Vec<String>,
}

/// One volume, and the level of it that is looked at.
struct Opened {
    path: PathBuf,
    /// The finest level.
    input: Input,
    /// A coarser one, and which, where pixels are as large.
    coarser: Option<(usize, Input)>,
}

/// The page of these volumes.
///
/// # Errors
/// A file that cannot be read, a budget that holds no chunk of it, or a request to stop.
pub fn of_volumes(request: &Volumes, stop: &AtomicBool) -> Result<Page> {
    let open = |path: &PathBuf| Input::open(path, &OpenOptions::default());
    let (before, after) = match &request.b {
        Some(b) => (Some((request.a.clone(), open(&request.a)?)), (b.clone(), open(b)?)),
        None => (None, (request.a.clone(), open(&request.a)?)),
    };
    let target = after.1.layout().grid.clone();
    let mapping = match &before {
        Some((_, input)) => Mapping::between(&target, &input.layout().grid)?.mapping,
        None => Mapping::between(&target, &target)?.mapping,
    };
    let planes = planes(&target, &mapping, pixels_within(request.memory_bytes));
    let finest = planes.iter().map(|plane| plane.pixel[0].min(plane.pixel[1])).fold(f64::INFINITY, f64::min);
    let opened = |(path, input): (PathBuf, Input)| {
        let coarser = coarser(&path, &input, finest * target.unit.factor_to(&input.layout().grid.unit).unwrap_or(1.0));
        Opened { path, input, coarser }
    };
    let (before, after) = (before.map(opened), opened(after));
    let rasters = |side: &Opened| side.rasters(&target, &planes);
    let befores = before.as_ref().map(rasters).transpose()?;
    let afters = rasters(&after)?;
    let (mut notes, mut warnings) = (Vec::new(), Vec::new());
    for (side, rasters) in before.iter().zip(&befores).chain([(&after, &afters)]) {
        let filled = side.fill(rasters, request, stop)?;
        side.tell(filled, &mut notes);
        let name = words::file_name(&side.path.display().to_string());
        warnings.extend(side.input.warnings().iter().map(|warning| format!("{name}: {warning}")));
        let absent =
            format!("{name}: {} chunks that the pictures show are absent, and stand for the fill value", filled.absent);
        warnings.extend((filled.absent > 0).then_some(absent));
    }
    let mut befores = befores.map(Vec::into_iter);
    let pairs = planes.into_iter().zip(afters).map(|(plane, after)| {
        let before = befores.as_mut().and_then(Iterator::next);
        Pair { plane, before, after, outside: Vec::new() }
    });
    let is_label = after.input.is_label();
    let pictures = Pictures {
        pairs: pairs.collect(),
        values: [before.as_ref().unwrap_or(&after), &after].map(Opened::values),
        leaves_out_field: false,
        highest: None,
        track: Track::new(),
        anatomical: [before.as_ref().unwrap_or(&after), &after].map(|side| side.input.layout().grid.anatomical),
        is_label,
    };
    page(&Material {
        before: before.as_ref().map(Opened::side),
        after: after.side(),
        pictures: &pictures,
        summary: None,
        arguments: &request.arguments,
        warnings,
        notes,
        is_label,
    })
}

/// The coarsest level whose voxels are no larger than a pixel of `pixel`, in the image's own unit; nothing where that is the finest.
fn coarser(path: &Path, input: &Input, pixel: f64) -> Option<(usize, Input)> {
    let (0, levels) = input.zarr()?.level? else { return None };
    let open = |level| Input::open(path, &OpenOptions { level: Some(level), ..OpenOptions::default() }).ok();
    let finest = input.layout().grid.spacing();
    // An axis with large steps may stay as it is.
    let is_fine = |input: &Input| {
        let steps = input.layout().grid.spacing();
        (0..3).all(|a| steps[a] <= 1.001 * pixel.max(finest[a]))
    };
    (1..levels).filter_map(|level| Some((level, open(level)?))).take_while(|(_, input)| is_fine(input)).last()
}

/// What samples of an input are that were read without its slope.
pub(super) fn raw_values(input: &Input) -> Values {
    Values { stored: input.layout().stored, rounding: Rounding::Nearest, slope: input.slope() }
}

/// Whether a budget holds what one read at a time takes.
///
/// # Errors
/// The bytes that it takes, where they are more.
pub(super) fn fits<T: Voxel>(layout: &Layout, memory_bytes: u64) -> Result<(), u64> {
    let sample = (layout.components * size_of::<T>()) as u64 * layout.outer.largest_group();
    let chunk =
        if layout.access == Access::Random { 0 } else { layout.chunk.iter().fold(sample, |n, &e| n.saturating_mul(e)) };
    let parts = [chunk, layout.transfer_bytes, layout.resident_bytes, sys::reserved_bytes(), MARGIN_BYTES];
    let needed = parts.into_iter().fold(0, u64::saturating_add);
    if needed <= memory_bytes { Ok(()) } else { Err(needed) }
}

impl Opened {
    fn shown(&self) -> &Input {
        self.coarser.as_ref().map_or(&self.input, |(_, input)| input)
    }

    fn values(&self) -> Values {
        raw_values(self.shown())
    }

    /// Pictures without a sample, of the places of these planes of `target`.
    fn rasters(&self, target: &Grid, planes: &[Plane]) -> Result<Vec<Raster>> {
        let grid = &self.shown().layout().grid;
        let mapping = Mapping::between(target, grid)?.mapping;
        Ok(planes.iter().map(|plane| Raster::new(plane.size, plane.through(&mapping), grid.shape)).collect())
    }

    fn fill(&self, rasters: &[Raster], request: &Volumes, stop: &AtomicBool) -> Result<Filled> {
        let (shown, rasters) = (self.shown(), rasters.iter().collect::<Vec<_>>());
        dispatch!(shown.layout().stored, T => {
            let source = shown.source::<T>(shown.conversion(), request.io)?;
            fits::<T>(source.layout(), request.memory_bytes).map_err(|needed| self.too_small(needed, request.memory_bytes))?;
            fill(&rasters, source.as_ref(), &self.values(), Bound::default(), stop)
        })
    }

    fn too_small(&self, needed: u64, memory_bytes: u64) -> Error {
        let what = format!(
            "memory budget {} is too small: what is held at once of {}, a chunk among it, takes {}",
            words::bytes(memory_bytes),
            self.path.display(),
            words::bytes(needed)
        );
        // The pictures of a larger budget are larger.
        Error::usage_hint(what, format!("use --memory {}MiB or more", (needed + MARGIN_BYTES).div_ceil(1 << 20)))
    }

    /// What a reader is to know of how the volume was looked at.
    fn tell(&self, filled: Filled, notes: &mut Vec<String>) {
        let name = words::file_name(&self.path.display().to_string());
        let layout = self.shown().layout();
        if let Some((level, _)) = &self.coarser {
            let grid = GridSummary::new(&layout.grid);
            let [x, y, z] = grid.spacing.map(words::short);
            notes.push(format!(
                "Of {name} level {level} is shown, with voxels of {x} × {y} × {z} {}.",
                words::unit(&grid)
            ));
        }
        if filled.read < filled.needed {
            notes.push(format!(
                "Of the {} chunks of {name} that the planes cross, {} were read; the others are left blank. A pyramid (reslice pyramid) makes them few.",
                words::count(filled.needed),
                words::count(filled.read)
            ));
        }
        let volumes = layout.outer.volumes();
        if volumes > 1 {
            notes.push(format!("Of {name} the first of {} volumes is shown.", words::count(volumes)));
        }
        if layout.components > 1 {
            let shown = if layout.components > 2 && layout.stored.bytes() == 1 {
                "colours are shown as brightness"
            } else {
                "the first part of each voxel is shown"
            };
            notes.push(format!("Of {name} {shown}."));
        }
    }

    fn side(&self) -> Side {
        let layout = self.input.layout();
        Side {
            name: words::file_name(&self.path.display().to_string()),
            format: self.input.format_name(),
            grid: GridSummary::new(&layout.grid),
            dtype: layout.stored,
            volumes: layout.outer.volumes(),
            components: layout.components,
            anatomical: layout.grid.anatomical,
        }
    }
}
