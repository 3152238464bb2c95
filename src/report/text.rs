//! What a page says in sentences: its title, grids and what changed, the outside value, the methods.

use super::{Material, Side, words};
use crate::{
    job::{GridSummary, Summary, TargetState},
    pictures::Pictures,
};

const WAYS: [(char, &str); 6] = [
    ('R', "right"),
    ('L', "left"),
    ('A', "front (anterior)"),
    ('P', "back (posterior)"),
    ('S', "head (superior)"),
    ('I', "feet (inferior)"),
];

/// `scan.nii.gz → scan-1mm.nii.gz`, or the name alone.
pub(super) fn title(material: &Material<'_>) -> String {
    match &material.before {
        Some(before) => format!("{} → {}", before.name, material.after.name),
        None => material.after.name.clone(),
    }
}

/// One row of the table of grids: what, before, after, and what changed.
pub(super) struct Row {
    pub what: &'static str,
    pub before: String,
    pub after: String,
    pub change: String,
}

/// The grids of both volumes, row by row; what was before is empty where there is one volume only.
pub(super) fn grid_rows(material: &Material<'_>) -> Vec<Row> {
    let (before, after) = (material.before.as_ref(), &material.after);
    let row = |what, text: &dyn Fn(&Side) -> String, change: &dyn Fn(&Side) -> String| Row {
        what,
        before: before.map(text).unwrap_or_default(),
        after: text(after),
        change: before.map(change).unwrap_or_default(),
    };
    let same = |b: &Side, text: &dyn Fn(&Side) -> String| if text(b) == text(after) { "the same" } else { "" };
    let plain = |what, text: &dyn Fn(&Side) -> String| row(what, text, &|b| same(b, text).to_string());
    let grid = &after.grid;
    vec![
        row("Voxels (i × j × k)", &|s| times(s.grid.shape.map(words::count)), &|b| {
            ratios([0, 1, 2].map(|a| grid.shape[a] as f64 / b.grid.shape[a].max(1) as f64))
        }),
        row("Step", &|s| format!("{} {}", times(s.grid.spacing.map(words::number)), words::unit(&s.grid)), &|b| {
            steps(&b.grid, grid)
        }),
        plain("Field of view", &|s| {
            let extent = [0, 1, 2].map(|a| words::short(s.grid.shape[a] as f64 * s.grid.spacing[a]));
            format!("{} {}", times(extent), words::unit(&s.grid))
        }),
        row(
            "First voxel",
            &|s| format!("{} {}", s.grid.origin.map(words::short).join(", "), words::unit(&s.grid)),
            &|b| moved(&b.grid, grid),
        ),
        plain("Axes", &axes),
        plain("Frame", &frame),
        plain("Samples", &|s| {
            let parts = if s.components > 1 { format!("{} × ", s.components) } else { String::new() };
            format!("{parts}{}", s.dtype)
        }),
        plain("Volumes", &|s| words::count(s.volumes)),
        plain("Format", &|s| s.format.clone()),
    ]
}

fn times(parts: [String; 3]) -> String {
    parts.join(" × ")
}

fn ratios(ratios: [f64; 3]) -> String {
    if ratios == [1.0; 3] {
        "the same".into()
    } else {
        ratios.map(|r| format!("×\u{202f}{}", words::short(r))).join(", ")
    }
}

fn steps(before: &GridSummary, after: &GridSummary) -> String {
    let factor = after.unit.factor_to(&before.unit).unwrap_or(1.0);
    let told = |a: usize| {
        let ratio = after.spacing[a] * factor / before.spacing[a];
        match ratio {
            r if (r - 1.0).abs() < 1e-4 => format!("{} the same", ['i', 'j', 'k'][a]),
            r if r < 1.0 => format!("{} {} times finer", ['i', 'j', 'k'][a], words::short(1.0 / r)),
            r => format!("{} {} times coarser", ['i', 'j', 'k'][a], words::short(r)),
        }
    };
    if before.orientation != after.orientation {
        return "along other axes".into();
    }
    let all = [0, 1, 2].map(told);
    if all.iter().all(|told| told.ends_with("the same")) { "the same".into() } else { all.join("; ") }
}

fn moved(before: &GridSummary, after: &GridSummary) -> String {
    let factor = after.unit.factor_to(&before.unit).unwrap_or(1.0);
    let apart = [0, 1, 2].map(|a| after.origin[a] * factor - before.origin[a]);
    let by = apart.iter().map(|x| x * x).sum::<f64>().sqrt();
    let least = before.spacing.iter().copied().fold(f64::INFINITY, f64::min);
    if by < 1e-4 * least { "the same".into() } else { format!("moved by {} {}", words::short(by), words::unit(before)) }
}

fn axes(side: &Side) -> String {
    if !side.anatomical {
        return "not stated for a body".into();
    }
    let way = |c: char| WAYS.iter().find(|(letter, _)| *letter == c).map_or("", |(_, way)| way);
    let [i, j, k] = std::array::from_fn(|n| side.grid.orientation.chars().nth(n).map_or("", way));
    format!("{}: i to the {i}, j to the {j}, k to the {k}", side.grid.orientation)
}

fn frame(side: &Side) -> String {
    match side.anatomical {
        true => "x to the right, y to the front, z to the head (RAS+)".into(),
        false => "x, y, z as the file has them".into(),
    }
}

/// Where the outside value was used, in sentences.
pub(super) fn outside(summary: &Summary, pictures: &Pictures) -> String {
    let (counts, view) = (&summary.outside, &summary.outside_view);
    let value = view.value.map_or("the value at the source's border".to_string(), words::number);
    if view.value.is_none() {
        return "Target voxels beyond the source hold the value at its border; none holds an outside value.".into();
    }
    if counts.outside == 0 {
        return "No voxel of the target lies outside the source: the outside value was not used.".into();
    }
    let drawn = match pictures.leaves_out_field {
        true => "They cannot be drawn, since a displacement field says where they look.",
        false => "The pictures show them hatched.",
    };
    format!(
        "{} of the target ({} voxels) lies outside the source and holds {value}. {drawn}",
        words::percent(counts.outside as f64 / summary.outside_of.max(1) as f64),
        words::count(counts.outside)
    )
}

/// What the pictures of a run leave out.
pub(super) fn notes_of_run(summary: &Summary, pictures: &Pictures) -> Vec<String> {
    let mut notes = Vec::new();
    if summary.volumes > 1 {
        notes.push(format!("The pictures show the first of {} volumes.", words::count(summary.volumes)));
    }
    if summary.components > 1 {
        let parts = if summary.components > 2 && summary.source_dtype.bytes() == 1 {
            "Colours are shown as brightness."
        } else {
            "The pictures show the first part of each voxel."
        };
        notes.push(parts.into());
    }
    if pictures.leaves_out_field {
        notes.push(
            "The picture before is taken without the displacement field, through the other transforms alone.".into(),
        );
    } else if !summary.chain.is_empty() || summary.transform_list.is_some() {
        notes.push("The picture before is taken through the same transforms.".into());
    }
    let lacking = |rasters: &mut dyn Iterator<Item = usize>| rasters.sum::<usize>();
    let before =
        lacking(&mut pictures.pairs.iter().filter_map(|pair| pair.before.as_ref()).map(|raster| raster.lacking()));
    let after = lacking(&mut pictures.pairs.iter().map(|pair| pair.after.lacking()));
    let because = match (summary.target_state, summary.rank) {
        (TargetState::FinishedBefore, _) => "the target was finished before this run",
        (_, Some(_)) => "other ranks made the rest of the target",
        _ if summary.stored_before > 0 => "an earlier run had stored a part of the target",
        _ => "the run had no need of them",
    };
    if before > 0 {
        notes.push(format!(
            "{} pixels of the pictures before were not read by this run, since {because}.",
            words::count(before as u64)
        ));
    }
    if after > 0 {
        notes.push(format!(
            "{} pixels of the pictures after were not made by this run, since {because}.",
            words::count(after as u64)
        ));
    }
    notes
}

/// What a paper says of the run.
pub(super) fn methods(material: &Material<'_>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let Some(summary) = material.summary else {
        return format!("Volumes were compared with reslice {version}.");
    };
    let grid = |grid: &GridSummary| {
        format!(
            "{} voxels of {} {}",
            times(grid.shape.map(|n| n.to_string())),
            times(grid.spacing.map(words::number)),
            words::unit(grid)
        )
    };
    let mut text = format!(
        "Volumes were resampled with reslice {version}: from a grid of {} onto a grid of {}, by {}{}.",
        grid(&summary.source),
        grid(&summary.target),
        method(&summary.interpolation),
        if summary.antialias { ", with the kernel stretched along down-sampled axes to prevent aliasing" } else { "" }
    );
    let transforms = summary.chain.len() + usize::from(summary.transform_list.is_some());
    if transforms > 0 {
        text += &format!(
            " {} composed into one map, so that voxels were interpolated once.",
            if transforms == 1 {
                "The transform and both grids were".to_string()
            } else {
                format!("{transforms} transforms and both grids were")
            }
        );
    }
    text += &match summary.outside_view.value {
        Some(value) if summary.outside.outside > 0 => {
            format!(" Voxels outside the source were set to {}.", words::number(value))
        }
        Some(_) => String::new(),
        None => " Voxels outside the source got the value at its border.".into(),
    };
    if summary.target_dtype != summary.source_dtype {
        text += &format!(" Samples of type {} were stored as {}.", summary.source_dtype, summary.target_dtype);
    }
    text
}

/// A method of resampling as a sentence has it.
fn method(name: &str) -> String {
    match name {
        "nearest" => "nearest-neighbour interpolation".into(),
        "linear" => "trilinear interpolation".into(),
        "cubic" => "cubic convolution (Catmull-Rom)".into(),
        "label" => "a vote of the eight labels around each point, by linear weights".into(),
        "mean" => "the mean of the source voxels that each target voxel covers".into(),
        "mode" => "the most frequent of the source voxels that each target voxel covers".into(),
        "min" | "max" | "median" => format!("the {name} of the source voxels that each target voxel covers"),
        other => format!("{other} interpolation"),
    }
}

/// The format that a target's name says.
pub(super) fn format_of(name: &str) -> String {
    let name = name.to_lowercase();
    let formats = [
        (".nii.gz", "NIfTI-1, gzip"),
        (".nii", "NIfTI-1"),
        (".hdr", "NIfTI-1, two files"),
        (".img", "NIfTI-1, two files"),
        (".zarr", "OME-Zarr"),
        (".ozx", "OME-Zarr, zip"),
        (".zarr.zip", "OME-Zarr, zip"),
    ];
    formats.into_iter().find(|(ending, _)| name.ends_with(ending)).map_or("", |(_, format)| format).to_string()
}
