//! FreeSurfer's warps in MGH files, and its morphs (`.m3z`): numbers at the voxels or nodes of the target's grid, which lead to places in the
//! source.
//!
//! Source: FreeSurfer, `warpfield.cpp`, `gcamorph.cpp`.

use std::path::Path;

use super::{
    Convention, FieldGrid, FieldKind, Map, Transform, TransformRequest, directed, field::singular, refuse_suffixes,
};
use crate::{
    error::{Error, Result},
    geometry::{Affine, Grid, Matrix},
    io::{
        input::Input,
        plain::{Numbers, PlainFile, Warp},
    },
};

/// The way out of what is not read here.
const HINT: &str = "write it in RAS mm: mri_warp_convert --inwarp FILE --outras NEW.nii.gz";

/// The file of FreeSurfer that an input is.
pub(super) fn file_of(input: &Input) -> Option<&PlainFile> {
    if let Input::Plain(file) = input {
        Some(file.as_ref()).filter(|file| matches!(file.format, "MGH" | "M3Z"))
    } else {
        None
    }
}

/// The warp. Voxel steps start at the same column, row and slice of the source: behind them comes the affine from a voxel's place in the target to
/// its place in the source.
///
/// # Errors
/// A file that does not say that it is a warp, or does not know the image that it leads to.
pub(super) fn transform(request: &TransformRequest, file: &PlainFile, field: Map) -> Result<Transform> {
    let convention = Convention::Field { vectors: None };
    refuse_suffixes(request, &convention)?;
    let warp = warp(&request.path, file)?;
    let mut maps = vec![field];
    if warp.numbers == Numbers::VoxelSteps {
        let grid = &file.layout.grid;
        let world_to_voxel = in_file_order(grid).inverse().ok_or_else(|| singular(&request.path, grid))?;
        maps.push(Map::Affine(source(&request.path, warp)?.after(&world_to_voxel)));
    }
    Ok(Transform { maps: directed(request, maps)?, convention })
}

/// Its geometry, and what its numbers are.
///
/// # Errors
/// As for [`transform`]; an affine without an inverse.
pub(super) fn grid(path: &Path, file: &PlainFile) -> Result<FieldGrid> {
    let (warp, grid) = (warp(path, file)?, &file.layout.grid);
    let of = |kind| FieldGrid::of_grid(grid, kind).ok_or_else(|| singular(path, grid));
    match warp.numbers {
        Numbers::Places => of(FieldKind::PositionsRas),
        Numbers::Moves => of(FieldKind::DisplacementsRas),
        Numbers::VoxelSteps => {
            Ok(of(FieldKind::VoxelDisplacements)?.in_frame(Affine::identity(), linear(&in_file_order(grid))))
        }
        Numbers::Voxels => {
            let to_world = source(path, warp)?;
            let to_voxel = to_world.inverse().ok_or_else(|| singular(path, grid))?;
            let place = to_voxel.after(&grid.index_to_millimetres());
            Ok(of(FieldKind::VoxelPositions)?.in_frame(place, linear(&to_world)))
        }
    }
}

fn warp<'a>(path: &Path, file: &'a PlainFile) -> Result<&'a Warp> {
    file.warp.as_ref().ok_or_else(|| unsupported(path, "is an MGH file that does not say that it is a warp"))
}

fn source(path: &Path, warp: &Warp) -> Result<Affine> {
    warp.source.ok_or_else(|| unsupported(path, "is a warp that counts voxels of an image that it does not describe"))
}

fn unsupported(path: &Path, what: &str) -> Error {
    Error::Unsupported { path: path.to_path_buf(), what: what.into(), hint: Some(HINT.into()) }
}

/// Voxel (column, row, slice) to RAS mm.
fn in_file_order(grid: &Grid) -> Affine {
    let affine = grid.index_to_millimetres();
    Affine { m: affine.m.map(|[slice, row, column, origin]| [column, row, slice, origin]) }
}

fn linear(affine: &Affine) -> Matrix {
    affine.m.map(|row| [row[0], row[1], row[2]])
}
