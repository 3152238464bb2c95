//! MetaImage: the lines that ITK writes, in its order.

use super::{TargetSpec, words};
use crate::{
    error::Result,
    geometry::Unit,
    io::{around::Around, plain::header::turned},
    layout::Axis,
    voxel::Dtype,
};

/// Digits of the largest length of a stream.
const LENGTH_DIGITS: usize = 20;

/// The header of `.mha`, up to the voxels, or all of `.mhd`.
///
/// # Errors
/// Other axes than one of time beyond space.
pub fn header(spec: &TargetSpec<'_>) -> Result<Around> {
    let layout = spec.layout;
    let outer = spec.only_outer("MetaImage")?;
    if let Some(Axis { name, len, .. }) = outer.filter(|axis| axis.name != "t") {
        let what =
            format!("the fourth axis of a MetaImage is time, and {len} volumes along '{name}' are to be written");
        return Err(spec.unsupported(what, "end the name in .nrrd, .nii.gz or .zarr, or pick one with --channel"));
    }
    let (columns, origin) = spec.place();
    let dims = 3 + outer.iter().count();
    let grid = &layout.grid;
    let factor = grid.unit.factor_to(&Unit::Millimetre).unwrap_or(1.0);
    let stated = grid.spacing();
    let mut spacing: Vec<f64> = (0..3).map(|a| stated[2 - a] * factor).collect();
    let mut matrix = vec![vec![0.0; dims]; dims];
    for (a, column) in columns.iter().enumerate() {
        let direction = turned(column.map(|x| x / spacing[a]));
        matrix[a][..3].copy_from_slice(&direction);
    }
    let mut offset = turned(origin).to_vec();
    let mut sizes = spec.shape().to_vec();
    if let Some(axis) = outer {
        matrix[3][3] = 1.0;
        spacing.push(axis.step);
        offset.push(axis.start);
        sizes.push(axis.len);
    }
    let mut text = format!("ObjectType = Image\nNDims = {dims}\nBinaryData = True\nBinaryDataByteOrderMSB = False\n");
    let mut length_at = None;
    if spec.is_compressed {
        text.push_str("CompressedData = True\nCompressedDataSize = ");
        length_at = Some(text.len()..text.len() + LENGTH_DIGITS);
        text.push_str(&"0".repeat(LENGTH_DIGITS));
        text.push('\n');
    } else {
        text.push_str("CompressedData = False\n");
    }
    let sizes: Vec<String> = sizes.iter().map(u64::to_string).collect();
    let mut line = |key: &str, value: &str| text.push_str(&format!("{key} = {value}\n"));
    line("TransformMatrix", &words(&matrix.concat()));
    line("Offset", &words(&offset));
    line("CenterOfRotation", &words(&vec![0.0; dims]));
    line("ElementSpacing", &words(&spacing));
    line("DimSize", &sizes.join(" "));
    if layout.components > 1 {
        line("ElementNumberOfChannels", &layout.components.to_string());
    }
    line("ElementType", type_name(layout.stored));
    line("ElementDataFile", spec.data_file.unwrap_or("LOCAL"));
    let text = text.into_bytes();
    Ok(match spec.data_file {
        Some(_) => Around { beside: Some(text), ..Around::default() },
        None => Around { head: text, length_at, ..Around::default() },
    })
}

fn type_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::I8 => "MET_CHAR",
        Dtype::U8 => "MET_UCHAR",
        Dtype::I16 => "MET_SHORT",
        Dtype::U16 => "MET_USHORT",
        Dtype::I32 => "MET_INT",
        Dtype::U32 => "MET_UINT",
        Dtype::I64 => "MET_LONG_LONG",
        Dtype::U64 => "MET_ULONG_LONG",
        Dtype::F32 => "MET_FLOAT",
        Dtype::F64 => "MET_DOUBLE",
    }
}
