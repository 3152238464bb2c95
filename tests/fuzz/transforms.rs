//! Transform files: ITK text and MATLAB, plain and FSL matrices, FreeSurfer arrays, warps and morphs, NiftyReg's control points, and lists of
//! them.

use std::path::Path;

use reslice::{
    block::BlockMut,
    geometry::{Affine, Grid, Unit},
    io::{
        input::{Input, IoMode},
        reader::RegionReader,
    },
    region::Region,
    transform::{
        By, Displacing, Ends, FieldFile, FieldGrid, Map, RoleImage, Transform, TransformList, TransformRequest,
    },
};

use super::{
    choosing, chosen,
    kit::nifti::Said,
    reading::{in_folder, put},
};

const NAMES: [&str; 8] = ["a.tfm", "b.mat", "c.lta", "d.txt", "MAT_0000", "e.m3d", "f.mgh", "g.nii"];
/// Voxels of a field that is read.
const MOST_VOXELS: u64 = 1 << 12;

pub(super) fn body(bytes: &[u8]) {
    let (kind, bytes) = chosen(bytes, 2 * NAMES.len());
    let grid = Grid::new([5, 7, 11], Affine::identity(), Unit::Millimetre);
    let image = RoleImage::of_grid(Path::new("grid"), &grid);
    let ends = Ends { target: image.clone(), source: image };
    in_folder(|folder| {
        let path = folder.join(NAMES[kind / 2]);
        put(&path, bytes);
        let request = TransformRequest { inverse: kind % 2 == 1, ..TransformRequest::new(&path) };
        for ends in [None, Some(&ends)] {
            let read = Transform::read(&request, ends);
            for map in read.map_or(Vec::new(), |read| read.maps) {
                match map {
                    Map::Affine(affine) => {
                        assert!(affine.m.iter().flatten().all(|number| number.is_finite()), "{affine:?}");
                    }
                    Map::Displacing(Displacing { by: By::Field(file), .. }) => read_field(&file),
                    Map::Displacing(_) => {}
                }
            }
        }
        // Names in a list are read by whoever uses it; there is nothing beside it here.
        let _ = TransformList::read(&path);
    });
}

fn read_field(file: &FieldFile) {
    let Ok(input) = Input::open_field(&file.path) else { return };
    let Ok(grid) = FieldGrid::of(file, &input) else { return };
    let voxels = grid.shape.iter().fold(1u64, |voxels, &len| voxels.saturating_mul(len));
    let Ok(source) = input.source::<f32>(input.conversion(), IoMode::Auto) else { return };
    if voxels > MOST_VOXELS {
        return;
    }
    let source = grid.displacements(source);
    let mut reader = RegionReader::new(source.as_ref());
    let mut vectors = vec![0.0; voxels as usize];
    for volume in 0..3 {
        let _ = reader.read(volume, BlockMut::new(Region::of_shape(grid.shape), 1, &mut vectors));
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let affine =
        "Transform: AffineTransform_double_3_3\nParameters: 1 0.5 0 0 1 0.25 0 0 2 3 4 5\nFixedParameters: 7 8 9\n";
    let euler = "Transform: Euler3DTransform_double_3_3\nParameters: 0.1 0.2 0.3 4 5 6\nFixedParameters: 1 2 3 0\n";
    let versor =
        "Transform: VersorRigid3DTransform_double_3_3\nParameters: 0.1 0.2 0.3 4 5 6\nFixedParameters: 1 2 3\n";
    let head = "#Insight Transform File V1.0\n#Transform 0\n";
    let composite = "Transform: CompositeTransform_double_3_3\n";
    let rows = "1 0 0 5\n0 1 0 -3\n0 0 1 2.5\n0 0 0 1\n";
    let info =
        "valid = 1\nvolume = 11 7 5\nvoxelsize = 1 1 1\nxras = -1 0 0\nyras = 0 0 -1\nzras = 0 1 0\ncras = 1 2 3\n";
    let lta = |kind: u8| {
        format!(
            "type      = {kind}\nnxforms   = 1\nmean      = 0 0 0\nsigma     = 1\n1 4 4\n{rows}src volume info\n{info}dst volume info\n{info}"
        )
    };
    let texts = [
        (0, format!("{head}{affine}")),
        (0, format!("{head}{euler}")),
        (0, format!("{head}{versor}")),
        (0, format!("{head}{composite}#Transform 1\n{affine}{euler}")),
        (2, rows.to_string()),
        (4, lta(0)),
        (5, lta(1)),
        (6, rows.to_string()),
        (6, "a.tfm\nb.mat,inverse\n# none\n".to_string()),
        (8, rows.to_string()),
    ];
    let mut seeds: Vec<Vec<u8>> = texts.into_iter().map(|(kind, text)| choosing(kind, text)).collect();
    seeds.extend([false, true].map(|big_endian| choosing(3, matlab(big_endian))));
    seeds.extend([choosing(10, morph()), choosing(12, warp()), choosing(14, control_points())]);
    seeds
}

/// Valid, extents, steps, directions, centre and a name, twice.
fn geometries() -> Vec<u8> {
    let mut one = [1, 2, 3, 4].map(i32::to_be_bytes).concat();
    let floats = [1f32, 1.0, 2.0, -1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0, 4.0, 5.0, 6.0];
    one.extend(floats.map(f32::to_be_bytes).concat());
    one.resize(one.len() + 512, 0);
    [&10i32.to_be_bytes()[..], &one, &one].concat()
}

fn morph() -> Vec<u8> {
    let header = [&1f32.to_be_bytes()[..], &[2, 3, 4, 1].map(i32::to_be_bytes).concat(), &[0; 4]].concat();
    let nodes: Vec<u8> = (0..2 * 3 * 4 * 9).flat_map(|n| (n as f32).to_be_bytes()).collect();
    [header, nodes, geometries(), [11, 1].map(i32::to_be_bytes).concat()].concat()
}

fn warp() -> Vec<u8> {
    let mut file = [0x301, 2, 3, 4, 3, 3, 0].map(i32::to_be_bytes).concat();
    file.extend(1i16.to_be_bytes());
    file.extend(&geometries()[20..80]);
    file.resize(284, 0);
    file.extend((0..2 * 3 * 4 * 3).flat_map(|n| (n as f32).to_be_bytes()));
    file.resize(file.len() + 20, 0);
    let meta = [&13i32.to_be_bytes()[..], &12i64.to_be_bytes(), &[0; 3].map(i32::to_be_bytes).concat()].concat();
    [file, geometries(), meta].concat()
}

/// Four along each axis, cubic, with an affine before.
fn control_points() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seed.nii");
    let said = Said { intent: 1007, ..Said::new([4, 4, 4]).with_outer(&[("t", 3)]) };
    said.write::<f32>(&path, &vec![1.0; said.samples()]);
    let mut file = std::fs::read(&path).unwrap();
    file[40..42].copy_from_slice(&5i16.to_le_bytes());
    file[48..52].copy_from_slice(&[1, 0, 3, 0]);
    file[56..60].copy_from_slice(&2f32.to_le_bytes());
    file[328..338].copy_from_slice(b"NREG_TRANS");
    file[108..112].copy_from_slice(&432f32.to_le_bytes());
    file[348] = 1;
    let affine = [1f32, 0.0, 0.0, 2.0, 0.0, 1.0, 0.0, 3.0, 0.0, 0.0, 1.0, 4.0, 0.0, 0.0, 0.0, 1.0];
    let extension = [&80i32.to_le_bytes()[..], &[0; 4], &affine.map(f32::to_le_bytes).concat(), &[0; 8]].concat();
    file.splice(352..352, extension);
    file
}

/// MATLAB of level 4, as ITK writes it: names, then numbers.
fn matlab(big_endian: bool) -> Vec<u8> {
    let int = |x: i32| if big_endian { x.to_be_bytes() } else { x.to_le_bytes() };
    let number = |x: f64| if big_endian { x.to_be_bytes() } else { x.to_le_bytes() };
    let mut bytes = Vec::new();
    let parameters = [1.0, 0.5, 0.0, 0.0, 1.0, 0.25, 0.0, 0.0, 2.0, 3.0, 4.0, 5.0];
    for (name, numbers) in [("AffineTransform_double_3_3\0", &parameters[..]), ("fixed\0", &[7.0, 8.0, 9.0])] {
        for field in [if big_endian { 1000 } else { 0 }, numbers.len() as i32, 1, 0, name.len() as i32] {
            bytes.extend(int(field));
        }
        bytes.extend(name.as_bytes());
        numbers.iter().for_each(|&x| bytes.extend(number(x)));
    }
    bytes
}
