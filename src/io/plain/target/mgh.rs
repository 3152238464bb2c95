//! MGH: 284 bytes, big-endian, and the repetition time behind the voxels of a series.

use super::TargetSpec;
use crate::{
    error::Result,
    io::{around::Around, plain::mgh::HEADER_BYTES},
    layout::Axis,
    voxel::Dtype,
};

/// The header of `.mgh` and, in the stream, of `.mgz`.
///
/// # Errors
/// Samples that it does not have, more than one axis beyond space, more voxels along an axis than it counts.
pub fn header(spec: &TargetSpec<'_>) -> Result<Around> {
    let outer = spec.only_outer("MGH")?;
    let code = sample_code(spec)?;
    let [nx, ny, nz] = spec.shape();
    let frames = outer.map_or(1, |axis| axis.len);
    let mut bytes = Vec::with_capacity(HEADER_BYTES as usize);
    let mut int = |n: i32| bytes.extend_from_slice(&n.to_be_bytes());
    int(1);
    for extent in [nx, ny, nz, frames] {
        int(i32::try_from(extent).map_err(|_| {
            let what = format!("MGH holds axes of 1 to {} voxels, not {extent}", i32::MAX);
            spec.unsupported(what, "end the name in .nii.gz, .nrrd or .zarr")
        })?);
    }
    int(code);
    // Degrees of freedom, which nothing reads.
    int(0);
    // What follows says where the volume is (goodRASFlag).
    bytes.extend_from_slice(&1i16.to_be_bytes());
    let (columns, origin) = spec.place();
    let norms = columns.map(|column| column.iter().map(|x| x * x).sum::<f64>().sqrt());
    let half = [nx, ny, nz].map(|n| n as f64 / 2.0);
    let centre = std::array::from_fn(|c| origin[c] + (0..3).map(|a| columns[a][c] * half[a]).sum::<f64>());
    let directions: [[f64; 3]; 3] = std::array::from_fn(|a| columns[a].map(|x| x / norms[a]));
    for vector in [norms].into_iter().chain(directions).chain([centre]) {
        floats(&vector, &mut bytes);
    }
    bytes.resize(HEADER_BYTES as usize, 0);
    let mut tail = Vec::new();
    if let Some(step) = outer.and_then(milliseconds) {
        // TR, flip angle, TE, TI, field of view.
        floats(&[step, 0.0, 0.0, 0.0, 0.0], &mut tail);
    }
    Ok(Around { lead: bytes, tail, ..Around::default() })
}

fn floats(numbers: &[f64], bytes: &mut Vec<u8>) {
    numbers.iter().for_each(|&x| bytes.extend_from_slice(&(x as f32 + 0.0).to_be_bytes()));
}

fn sample_code(spec: &TargetSpec<'_>) -> Result<i32> {
    let layout = spec.layout;
    if layout.components > 1 {
        let what = format!("MGH has one sample a voxel, and {} are to be written", layout.components);
        return Err(spec.unsupported(what, "end the name in .nrrd, .mha or .nii.gz"));
    }
    Ok(match layout.stored {
        Dtype::U8 => 0,
        Dtype::I32 => 1,
        Dtype::F32 => 3,
        Dtype::I16 => 4,
        other => {
            let instead = match other {
                Dtype::I8 => "i16",
                Dtype::U16 => "i32",
                Dtype::F64 => "f32",
                _ => "i32 or f32",
            };
            let what = format!("MGH has samples of u8, i16, i32 and f32, and not of {other}");
            return Err(spec.unsupported(what, &format!("give --dtype {instead}")));
        }
    })
}

/// The step of an axis of time, where its unit is known.
fn milliseconds(axis: &Axis) -> Option<f64> {
    let factor = match axis.unit.as_deref()? {
        "second" => 1e3,
        "millisecond" => 1.0,
        "microsecond" => 1e-3,
        _ => return None,
    };
    (axis.name == "t").then_some(axis.step * factor)
}
