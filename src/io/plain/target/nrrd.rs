//! NRRD: the lines that ITK writes, with axes beyond space as lists, which ITK and Slicer read; of kind `time` ITK refuses them beside three
//! axes of space.

use super::{TargetSpec, words};
use crate::{
    error::Result,
    io::{around::Around, plain::header::turned},
    layout::Axis,
    voxel::Dtype,
};

/// The header of `.nrrd`, up to the voxels, or all of `.nhdr`.
///
/// # Errors
/// A segmentation (`.seg.nrrd`) whose segments the source does not name, or that is no map of labels.
pub fn header(spec: &TargetSpec<'_>) -> Result<Around> {
    let is_segmentation = spec.path.to_string_lossy().to_lowercase().ends_with(".seg.nrrd");
    let segments = if is_segmentation { segments(spec)? } else { Vec::new() };
    let text = text(spec, &segments).into_bytes();
    Ok(match spec.data_file {
        Some(_) => Around { beside: Some(text), ..Around::default() },
        None => Around { head: text, ..Around::default() },
    })
}

/// The lines of the segments, of which any may be anywhere in the new grid.
fn segments(spec: &TargetSpec<'_>) -> Result<Vec<String>> {
    let (layout, [nx, ny, nz]) = (spec.layout, spec.shape());
    let what = match () {
        () if spec.segments.is_empty() => "the source is no segmentation of Slicer, whose segments a .seg.nrrd names",
        () if layout.components > 1 || !layout.outer.axes.is_empty() => {
            "its segments overlap in layers, of which only one is written as .seg.nrrd"
        }
        () if layout.stored.is_float() => "the labels of a .seg.nrrd are whole numbers",
        () => {
            let extent = format!("0 {} 0 {} 0 {}", nx - 1, ny - 1, nz - 1);
            let renewed = |line: &String| match line.split_once(":=") {
                Some((key, _)) if key.ends_with("_Extent") => Some(format!("{key}:={extent}")),
                Some(("Segmentation_ReferenceImageExtentOffset", _)) => None,
                _ => Some(line.clone()),
            };
            return Ok(spec.segments.iter().filter_map(renewed).collect());
        }
    };
    Err(spec.unsupported(what.into(), "end the name in .nrrd: Slicer makes a segmentation of it"))
}

fn text(spec: &TargetSpec<'_>, segments: &[String]) -> String {
    let layout = spec.layout;
    let (columns, origin) = spec.place();
    // Fastest first.
    let samples = (layout.components > 1).then_some(layout.components as u64);
    let outer: Vec<&Axis> = layout.outer.axes.iter().rev().collect();
    let sizes = samples.into_iter().chain(spec.shape()).chain(outer.iter().map(|axis| axis.len));
    let sizes: Vec<String> = sizes.map(|n| n.to_string()).collect();
    let none = |count: usize| vec!["none".to_string(); count];
    let steps = columns.map(|column| vector(turned(column)));
    let directions = [none(samples.iter().count()), steps.to_vec(), none(outer.len())].concat();
    let kind = samples.map(|count| kind_of_samples(count, layout.stored));
    let kinds = kind.into_iter().chain(["domain"; 3]).chain(outer.iter().map(|_| "list"));
    let mut lines = vec![
        "NRRD0004".to_string(),
        "# Complete NRRD file format specification at:".into(),
        "# http://teem.sourceforge.net/nrrd/format.html".into(),
        format!("type: {}", type_name(layout.stored)),
        format!("dimension: {}", sizes.len()),
        "space: left-posterior-superior".into(),
        format!("sizes: {}", sizes.join(" ")),
        format!("space directions: {}", directions.join(" ")),
        format!("kinds: {}", kinds.collect::<Vec<_>>().join(" ")),
    ];
    lines.extend(steps_of_outer(sizes.len() - outer.len(), &outer));
    lines.extend([
        "endian: little".into(),
        format!("encoding: {}", if spec.is_compressed { "gzip" } else { "raw" }),
        format!("space origin: {}", vector(turned(origin))),
    ]);
    lines.extend_from_slice(segments);
    lines.extend(spec.data_file.map(|name| format!("data file: {name}")));
    let mut text = lines.join("\n");
    text.push('\n');
    // The voxels stand behind an empty line.
    text.push_str(if spec.data_file.is_some() { "" } else { "\n" });
    text
}

/// The steps of axes beyond space, where one says something.
fn steps_of_outer(before: usize, outer: &[&Axis]) -> Option<String> {
    let says = outer.iter().any(|axis| is_time(axis) && axis.step != 1.0);
    let steps = outer.iter().map(|axis| if is_time(axis) { words(&[axis.step]) } else { "nan".into() });
    says.then(|| format!("spacings: {}{}", "nan ".repeat(before), steps.collect::<Vec<_>>().join(" ")))
}

fn is_time(axis: &Axis) -> bool {
    axis.name == "t"
}

fn kind_of_samples(count: u64, stored: Dtype) -> &'static str {
    match (count, stored) {
        (3, Dtype::U8) => "RGB-color",
        (4, Dtype::U8) => "RGBA-color",
        _ => "vector",
    }
}

fn vector(numbers: [f64; 3]) -> String {
    format!("({})", numbers.map(|x| words(&[x])).join(","))
}

fn type_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::I8 => "signed char",
        Dtype::U8 => "unsigned char",
        Dtype::I16 => "short",
        Dtype::U16 => "unsigned short",
        Dtype::I32 => "int",
        Dtype::U32 => "unsigned int",
        Dtype::I64 => "long long int",
        Dtype::U64 => "unsigned long long int",
        Dtype::F32 => "float",
        Dtype::F64 => "double",
    }
}
