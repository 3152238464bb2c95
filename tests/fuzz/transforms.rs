//! Transform files: ITK text and MATLAB, plain and FSL matrices, FreeSurfer arrays, and lists of them.

use std::path::Path;

use reslice::{
    geometry::{Affine, Grid, Unit},
    transform::{Ends, Map, RoleImage, Transform, TransformList, TransformRequest},
};

use super::{
    choosing, chosen,
    reading::{in_folder, put},
};

const NAMES: [&str; 5] = ["a.tfm", "b.mat", "c.lta", "d.txt", "MAT_0000"];

pub fn body(bytes: &[u8]) {
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
                let Map::Affine(affine) = map else { continue };
                assert!(affine.m.iter().flatten().all(|number| number.is_finite()), "{affine:?}");
            }
        }
        // Names in a list are read by whoever uses it; there is nothing beside it here.
        let _ = TransformList::read(&path);
    });
}

pub fn seeds() -> Vec<Vec<u8>> {
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
    seeds
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
