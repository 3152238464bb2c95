//! Reports: one page of HTML with pictures of a volume before and after, its grids in words, its values, and the run.
//!
//! The page needs no network and no other file. What it shows is in it as JSON, too ([`Page::json`]).

mod chart;
mod encode;
mod escape;
mod html;
mod labels;
mod picture;
mod rest;
mod run;
mod seen;
mod text;
mod volumes;
pub mod words;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    error::{Error, Result},
    geometry::{Affine, Unit},
    job::{GridSummary, Summary},
    pictures::Pictures,
    voxel::Dtype,
};

pub use picture::preview;
pub use rest::bring_rest;
pub use volumes::{Volumes, of_volumes};

use encode::Sprites;
use seen::{Content, Seen, Window};

/// Of the JSON.
pub const SCHEMA: u64 = 1;

/// One volume, as a report tells of it.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    pub name: String,
    pub format: String,
    pub grid: GridSummary,
    pub dtype: Dtype,
    pub volumes: u64,
    pub components: usize,
    /// Whether the file says how its axes lie in a body.
    pub anatomical: bool,
}

/// What a report is made of.
#[derive(Debug)]
pub struct Material<'a> {
    /// Nothing where there is one volume only.
    pub before: Option<Side>,
    pub after: Side,
    pub pictures: &'a Pictures,
    /// The run that made the one of the other, where this is a report of a run.
    pub summary: Option<&'a Summary>,
    /// The arguments of the command, without the program.
    pub arguments: &'a [String],
    /// What a reader must know first.
    pub warnings: Vec<String>,
    /// What is to be known of the pictures.
    pub notes: Vec<String>,
    /// Whether voxels are names and not quantities, as far as the file or the method says.
    pub is_label: bool,
}

/// A report.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub html: String,
    pub json: String,
}

/// What the parts of a page are made from.
struct Facts<'a> {
    material: &'a Material<'a>,
    seen: Seen,
    content: Content,
    windows: Vec<Window>,
    sprites: Sprites,
    notes: Vec<String>,
}

/// Of a finished run whose request asked for pictures. `remarks` are those that the run was told with.
///
/// # Errors
/// The run sampled no pictures.
pub fn of_run(summary: &Summary, arguments: &[String], remarks: &[String]) -> Result<Page> {
    let Some(pictures) = summary.pictures.as_deref() else {
        return Err(Error::usage_hint("the run sampled no pictures", "ask for them by Request::pictures"));
    };
    let side = |name: &str, format: &str, grid: &GridSummary, dtype, anatomical| Side {
        name: words::file_name(name),
        format: format.to_string(),
        grid: grid.clone(),
        dtype,
        volumes: summary.volumes,
        components: summary.components,
        anatomical,
    };
    let [source, target] = pictures.anatomical;
    let warnings = summary.warnings.iter().chain(remarks).cloned().collect();
    page(&Material {
        before: Some(side(&summary.input, &summary.source_format, &summary.source, summary.source_dtype, source)),
        after: side(&summary.output, &text::format_of(&summary.output), &summary.target, summary.target_dtype, target),
        pictures,
        summary: Some(summary),
        arguments,
        warnings,
        notes: text::notes_of_run(summary, pictures),
        is_label: pictures.is_label,
    })
}

/// What the voxels of a run are.
fn page_content(summary: &Summary, pictures: &Pictures, seen: &Seen) -> Content {
    let is_body = pictures.anatomical[1];
    seen.content(pictures.is_label, is_body, &summary.target.unit)
}

/// The page of a report.
///
/// # Errors
/// A picture that cannot be made.
pub fn page(material: &Material<'_>) -> Result<Page> {
    let seen = Seen::of(material.pictures);
    let content = seen.content(material.is_label, material.after.anatomical, &material.after.grid.unit);
    let windows = seen::windows(content, &seen);
    let sprites = encode::sprites(material.pictures, &seen, content)?;
    let mut notes = material.notes.clone();
    notes.extend(sprites.notes());
    let facts = Facts { material, seen, content, windows, sprites, notes };
    let data = data(&facts);
    let json = serde_json::to_string_pretty(&data)
        .map_err(|error| Error::usage(format!("no JSON for the report: {error}")))?;
    Ok(Page { html: html::page(&facts, &data), json })
}

/// All that the page shows, but the pictures.
fn data(facts: &Facts<'_>) -> Value {
    let Facts { material, seen, content, windows, sprites, notes } = facts;
    let summary = material.summary;
    let points = material.pictures.track.points();
    json!({
        "schema": SCHEMA,
        "program": format!("reslice {}", env!("CARGO_PKG_VERSION")),
        "title": text::title(material),
        "arguments": material.arguments,
        "warnings": material.warnings,
        "notes": notes,
        "methods": text::methods(material),
        "before": material.before,
        "after": material.after,
        "has_before": material.before.is_some(),
        "anatomical": material.after.anatomical,
        "unit": unit(&material.after.grid),
        "content": content,
        "windows": windows,
        "range": { "low": seen.low, "high": seen.high },
        "code": sprites.code,
        "label_values": sprites.labels,
        "labels": labels::shares(sprites.labels.as_deref(), material.pictures),
        "pictures": pictures(material, sprites),
        "histogram": seen.histogram,
        "memory": summary.map(|summary| json!({ "ceiling_bytes": summary.memory_bytes, "peak_bytes": summary.peak_bytes, "points": points })),
        "run": summary,
    })
}

/// What the script needs to know of each picture. `to_world` has rows x, y, z and columns pixel column, pixel row, 1.
fn pictures(material: &Material<'_>, sprites: &Sprites) -> Vec<Value> {
    let to_world = &material.after.grid.index_to_world;
    let pairs = material.pictures.pairs.iter().zip(&sprites.sizes);
    let picture = |(pair, &[width, height]): (&crate::pictures::Pair, &[usize; 2])| {
        let plane = &pair.plane;
        let shrink = [plane.size[0] as f64 / width as f64, plane.size[1] as f64 / height as f64];
        let to_index = shrunk(&plane.to_index, shrink);
        // The grid of a summary has its columns in the order i, j, k.
        let world: Vec<[f64; 3]> = to_world
            .iter()
            .map(|row| {
                let along = |c: usize| (0..3).map(|a| row[2 - a] * to_index.m[a][c]).sum::<f64>();
                [along(0), along(1), along(3) + row[3]]
            })
            .collect();
        let (axis, at) = (["k", "j", "i"][plane.cut.0], plane.cut.1);
        json!({
            "name": plane.name,
            "width": width,
            "height": height,
            "pixel": [plane.pixel[0] * shrink[0], plane.pixel[1] * shrink[1]],
            "cut": { "axis": axis, "index": at },
            "edges": plane.edges,
            "outside_pixels": pair.outside.iter().filter(|&&outside| outside).count(),
            "to_world": world,
        })
    };
    pairs.map(picture).collect()
}

/// The map of a picture of which a pixel spans so many.
fn shrunk(to_index: &Affine, [columns, rows]: [f64; 2]) -> Affine {
    let mut by = Affine::identity();
    (by.m[0][0], by.m[0][3]) = (columns, 0.5 * columns - 0.5);
    (by.m[1][1], by.m[1][3]) = (rows, 0.5 * rows - 0.5);
    to_index.after(&by)
}

/// As it stands behind numbers; empty where the file does not say it.
fn unit(grid: &GridSummary) -> &str {
    if grid.unit == Unit::Unknown { "" } else { words::unit(grid) }
}

#[cfg(test)]
mod tests;
