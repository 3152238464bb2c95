//! Transform files as files: composition, inverses, damage, and fields read in every way.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use reslice::{
    error::Result,
    geometry::{Affine, Grid, Unit},
    io::nifti::{FormsOf, Header, TargetSpec, Version, target_header},
    job::{GridChoice, Job, Request},
    layout::{Axis, Outer},
    points::{Frame, PointMap, Sent},
    transform::{Chain, Displacing, Ends, Map, RoleImage, Transform, TransformRequest},
    voxel::Dtype,
};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn put(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> TransformRequest {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    TransformRequest::new(path)
}

fn inverse(request: &TransformRequest) -> TransformRequest {
    TransformRequest { inverse: true, ..request.clone() }
}

fn grid(step: f64) -> Grid {
    let columns = [[0.1, 0.3, step], [0.0, 2.0, 0.1], [-step, 0.2, 0.0]];
    Grid::new([5, 7, 11], Affine::from_columns(columns, [10.0, -20.0, 30.0]), Unit::Millimetre)
}

fn plain(affine: &Affine) -> String {
    affine.m.iter().map(|[a, b, c, t]| format!("{a} {b} {c} {t}\n")).collect()
}

fn itk_text() -> String {
    let affine =
        "Transform: AffineTransform_double_3_3\nParameters: 1 0.5 0 0 1 0.25 0 0 2 3 4 5\nFixedParameters: 7 8 9\n";
    let euler = "Transform: Euler3DTransform_double_3_3\nParameters: 0.1 0.2 0.3 4 5 6\nFixedParameters: 1 2 3 0\n";
    let versor =
        "Transform: VersorRigid3DTransform_double_3_3\nParameters: 0.1 0.2 0.3 4 5 6\nFixedParameters: 1 2 3\n";
    let composite = "Transform: CompositeTransform_double_3_3\n";
    format!("#Insight Transform File V1.0\n#Transform 0\n{composite}#Transform 1\n{affine}{euler}{versor}")
}

/// A MATLAB file of level 4 with one affine.
fn itk_mat(big_endian: bool, single: bool) -> Vec<u8> {
    let int = |x: i32| if big_endian { x.to_be_bytes() } else { x.to_le_bytes() };
    let number = |x: f64| match (single, big_endian) {
        (false, false) => x.to_le_bytes().to_vec(),
        (false, true) => x.to_be_bytes().to_vec(),
        (true, false) => (x as f32).to_le_bytes().to_vec(),
        (true, true) => (x as f32).to_be_bytes().to_vec(),
    };
    let kind = if big_endian { 1000 } else { 0 } + if single { 10 } else { 0 };
    let mut bytes = Vec::new();
    let parameters = [1.0, 0.5, 0.0, 0.0, 1.0, 0.25, 0.0, 0.0, 2.0, 3.0, 4.0, 5.0];
    for (name, numbers) in [("AffineTransform_double_3_3\0", &parameters[..]), ("fixed\0", &[7.0, 8.0, 9.0])] {
        for field in [kind, numbers.len() as i32, 1, 0, name.len() as i32] {
            bytes.extend(int(field));
        }
        bytes.extend(name.as_bytes());
        numbers.iter().for_each(|&x| bytes.extend(number(x)));
    }
    bytes
}

fn lta() -> String {
    let volume = "valid = 1\nfilename = a.mgz\nvolume = 5 7 11\nvoxelsize = 1 2 3\nxras = -1 0 0\nyras = 0 0 -1\nzras = 0 1 0\ncras = 5 6 7\n";
    format!(
        "type = 0 # LINEAR_VOX_TO_VOX\nnxforms = 1\nmean = 0 0 0\nsigma = 1\n1 4 4\n1 0 0 10\n0 1 0 20\n0 0 2 30\n0 0 0 1\nsrc volume info\n{volume}dst volume info\n{volume}"
    )
}

fn affine_of(request: &TransformRequest) -> Affine {
    let Ends { source, target } = ends();
    // What is inverted leads from the source to the target.
    let ends = if request.inverse { Ends { source: target, target: source } } else { Ends { source, target } };
    match Transform::read(request, Some(&ends)).unwrap().maps[..] {
        [Map::Affine(affine)] => affine,
        ref maps => panic!("{maps:?} is no affine"),
    }
}

fn ends() -> Ends {
    let [target, source] = [1.0, 2.0].map(|step| RoleImage::of_grid(Path::new("image"), &grid(step)));
    Ends { target, source }
}

fn near(a: [f64; 3], b: [f64; 3]) -> bool {
    (0..3).all(|n| (a[n] - b[n]).abs() <= 1e-9 * (1.0 + b[n].abs()))
}

#[test]
fn matlab_files_say_what_texts_say() {
    let folder = folder();
    let text = "#Insight Transform File V1.0\nTransform: AffineTransform_double_3_3\nParameters: 1 0.5 0 0 1 0.25 0 0 2 3 4 5\nFixedParameters: 7 8 9\n";
    let expected = affine_of(&put(&folder, "a.tfm", text));
    for (big_endian, single) in [(false, false), (false, true), (true, false), (true, true)] {
        assert_eq!(affine_of(&put(&folder, "a.mat", itk_mat(big_endian, single))), expected);
    }
}

#[test]
fn broken_matlab_files_name_the_byte() {
    let folder = folder();
    let says = |change: &dyn Fn(&mut Vec<u8>), words: &str| {
        let mut bytes = itk_mat(false, false);
        change(&mut bytes);
        let error = Transform::read(&put(&folder, "a.mat", bytes), None).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    says(&|b| b.truncate(100), "byte 47 is 53 bytes to the end of the file, expected numbers (96 bytes)");
    says(&|b| b[1] = 9, "byte 0 is type 2304, expected a full matrix");
    says(&|b| b[7] = 127, "byte 4 is 2130706444x1, imaginary 0, expected a real vector of at most 4096");
    says(&|b| b[19] = 127, "byte 16 is 2130706459, expected a name");
    says(&|b| b[163] = b'F', "byte 143 is 'Fixed', expected 'fixed'");
    says(&|b| b.truncate(143), "byte 143 is 0 bytes to the end");
    says(&|b| b[53..55].fill(0xff), "byte 0 is NaN in 'AffineTransform_double_3_3', expected finite");
}

/// What both say is followed: the same numbers as text.
#[test]
fn matrices_of_matlab_have_to_be_text() {
    let folder = folder();
    let header: Vec<u8> = [0i32, 4, 4, 0, 2].iter().flat_map(|n| n.to_le_bytes()).collect();
    let numbers: Vec<u8> = (0..16).flat_map(|n| f64::from(u8::from(n % 5 == 0)).to_le_bytes()).collect();
    let level_4 = [header, b"M\0".to_vec(), numbers].concat();
    for (bytes, says) in [(&level_4[..], "with the matrix 'M' alone"), (b"MATLAB 5.0 MAT-file", "level 5")] {
        let error = Transform::read(&put(&folder, "a.mat", bytes), None).unwrap_err();
        let hint = error.hint().unwrap();
        assert!(error.to_string().contains(says) && hint.contains("numpy.savetxt('m.txt', M)"), "{error} {hint}");
    }
    let text = b"1.0e+00 0.0e+00 0.0e+00 2.0e+00\n0 1 0 0\n0 0 1 0\n0 0 0 1\n";
    assert!(Transform::read(&put(&folder, "m.txt", text), None).is_ok());
}

#[test]
fn other_containers_are_named() {
    let folder = folder();
    for (bytes, says) in [
        (&b"\x89HDF\r\n\x1a\n"[..], "HDF5"),
        (b"MATLAB 5.0 MAT-file", "level 5"),
        (b"MNI Transform File\n", ".xfm"),
        (b"1 0 0 0\n0 1 0 \xff", "no UTF-8"),
    ] {
        let error = Transform::read(&put(&folder, "a.mat", bytes), None).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn images_are_fields_by_name_or_content() {
    let folder = folder();
    let header = Header::new(Version::One).encode();
    for (name, bytes) in [("a.nii", &b""[..]), ("a.nii.gz", b""), ("warp", b"\x1f\x8b\x08"), ("other", &header)] {
        let request = put(&folder, name, bytes);
        let field = Displacing::field(request.path.clone());
        assert_eq!(Transform::read(&request, None).unwrap().maps, [Map::Displacing(field.clone())]);
        assert_eq!(Transform::read(&inverse(&request), None).unwrap().maps, [Map::Displacing(field.inverted())]);
    }
    let request = TransformRequest::new(folder.path().to_path_buf());
    assert_eq!(Transform::read(&request, None).unwrap().maps, [Map::Displacing(Displacing::field(request.path))]);
    let request = TransformRequest::new("s3://bucket/warp.zarr");
    assert_eq!(Transform::read(&request, None).unwrap().maps, [Map::Displacing(Displacing::field(request.path))]);
}

#[test]
fn the_first_transform_meets_the_point_first() {
    let folder = folder();
    let scale = put(&folder, "scale.txt", "2 0 0 0\n0 2 0 0\n0 0 2 0\n");
    let shift = put(&folder, "shift.txt", "1 0 0 1\n0 1 0 0\n0 0 1 0\n");
    let field = put(&folder, "warp.nii", "");
    let chain = Chain::read(&[shift.clone(), scale.clone()], None).unwrap();
    assert_eq!(chain.affine().unwrap().apply([0.0; 3]), [2.0, 0.0, 0.0]);
    let chain = Chain::read(&[shift.clone(), field.clone(), shift.clone(), scale.clone()], None).unwrap();
    let before = chain.moves[0].before.apply([0.0; 3]);
    assert_eq!((before, chain.after.apply([0.0; 3])), ([1.0, 0.0, 0.0], [4.0 - 2.0, 0.0, 0.0]));
    assert_eq!((chain.affine(), chain.moves[0].what.clone()), (None, Displacing::field(field.path.clone())));
    let files: Vec<&Path> = chain.steps.iter().map(|step| step.file.as_path()).collect();
    assert_eq!(files, [&shift.path, &field.path, &shift.path, &scale.path]);
    assert_eq!(chain.moves[0].step, 1);
    let chain = Chain::read(&[field.clone(), scale, inverse(&field)], None).unwrap();
    let befores: Vec<[f64; 3]> = chain.moves.iter().map(|met| met.before.apply([1.0; 3])).collect();
    assert_eq!((befores, chain.after), (vec![[1.0; 3], [2.0; 3]], Affine::identity()));
    assert!(!chain.moves[0].what.is_inverse && chain.moves[1].what.is_inverse);
}

/// A matrix near enough to a rotation with scales to be inverted.
fn any_affine() -> impl Strategy<Value = Affine> {
    let entries = prop::array::uniform9(-0.4..0.4f64);
    (entries, prop::array::uniform3(-200.0..200.0f64)).prop_map(|(e, t)| {
        let column = |c: usize| std::array::from_fn(|r| e[3 * c + r] + if r == c { 1.5 } else { 0.0 });
        Affine::from_columns([column(0), column(1), column(2)], t)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn chains_compose_and_inverses_undo(
        affines in prop::collection::vec((any_affine(), any::<bool>()), 1..5),
        point in prop::array::uniform3(-300.0..300.0f64),
    ) {
        let folder = folder();
        let requests: Vec<TransformRequest> = affines.iter().enumerate().map(|(n, (affine, inverse))| {
            TransformRequest { inverse: *inverse, ..put(&folder, &format!("{n}.txt"), plain(affine)) }
        }).collect();
        let mut expected = point;
        for (affine, inverse) in &affines {
            expected = if *inverse { affine.inverse().unwrap() } else { *affine }.apply(expected);
        }
        let found = Chain::read(&requests, None).unwrap().affine().unwrap().apply(point);
        prop_assert!(near(found, expected), "{found:?} {expected:?}");
        let undone: Vec<TransformRequest> =
            requests.iter().rev().map(|request| TransformRequest { inverse: !request.inverse, ..request.clone() }).collect();
        let back = Chain::read(&undone, None).unwrap().affine().unwrap().apply(found);
        prop_assert!((0..3).all(|a| (back[a] - point[a]).abs() < 1e-6), "{back:?} {point:?}");
    }
}

#[test]
fn every_format_has_an_inverse() {
    let folder = folder();
    for (name, bytes) in formats() {
        let request = put(&folder, name, bytes);
        let (there, back) = (affine_of(&request), affine_of(&inverse(&request)));
        assert!(near(back.apply(there.apply([11.0, -7.0, 5.0])), [11.0, -7.0, 5.0]), "{name}");
    }
}

fn formats() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a.tfm", itk_text().into()),
        ("a.mat", itk_mat(false, false)),
        ("big.mat", itk_mat(true, true)),
        ("a.h5", crate::itk_hdf5::affine_file()),
        ("flirt.mat", "1 0.1 0 10\n0 1 0.2 20\n0 0 1 30\n0 0 0 1\n".into()),
        ("a.lta", lta().into()),
        ("a.txt", "# world\n1 0.1 0 10\n0 1 0.2 20\n0 0 1 30\n0 0 0 1\n".into()),
    ]
}

#[test]
fn damage_is_an_error_or_a_map() {
    let folder = folder();
    let ends = ends();
    let read =
        |name: &str, bytes: &[u8]| Transform::read(&put(&folder, name, bytes), Some(&ends)).map(|read| read.maps);
    let check = |name: &str, bytes: &[u8]| match read(name, bytes) {
        Ok(maps) => {
            for map in maps {
                let Map::Affine(affine) = map else { continue };
                assert!(affine.is_finite() && affine.inverse().is_some(), "{name}");
            }
        }
        Err(error) => assert!(error.to_string().contains(name), "{error}"),
    };
    for (name, bytes) in formats() {
        for n in 0..bytes.len() {
            check(name, &bytes[..n]);
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[n] ^= flip;
                check(name, &damaged);
            }
        }
    }
}

const SHAPE: [u64; 3] = [3, 5, 7];

/// The displacement along `c` at voxel (z, y, x): linear, so that interpolation is exact.
fn displacement(c: usize, [z, y, x]: [f64; 3]) -> f64 {
    [1.0 + 0.25 * x - 0.5 * z, 2.0 * y - 3.0, 0.125 * x + y - z][c]
}

/// A field of 7 x 5 x 3 voxels with steps of 2 mm from (10, 20, 30), as `.nii` or `.nii.gz`.
fn field(folder: &TempDir, name: &str, intent: i32) -> PathBuf {
    let columns = [[0.0, 0.0, 2.0], [0.0, 2.0, 0.0], [2.0, 0.0, 0.0]];
    let grid = Grid::new(SHAPE, Affine::from_columns(columns, [10.0, 20.0, 30.0]), Unit::Millimetre);
    let axis = |name: &str, len| Axis { name: name.into(), len, step: 1.0, start: 0.0, unit: None };
    let like = Header { intent_code: intent, ..Header::new(Version::One) };
    let path = folder.path().join(name);
    let outer = Outer::separate(vec![axis("c", 3), axis("t", 1)]);
    let spec = TargetSpec {
        path: &path,
        like: Some(&like),
        place: Some(FormsOf::Codes { qform: 1, sform: 1 }),
        extensions: &[],
        grid: &grid,
        outer: &outer,
        stored: Dtype::F64,
        components: 1,
        slope: None,
        slice_axis_resampled: false,
        single_file: true,
    };
    let (_, mut bytes) = target_header(&spec).unwrap();
    for c in 0..3 {
        for n in 0..105u64 {
            let [z, y, x] = [n / 35, n / 7 % 5, n % 7].map(|i| i as f64);
            bytes.extend(displacement(c, [z, y, x]).to_le_bytes());
        }
    }
    if name.ends_with(".gz") {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&bytes).unwrap();
        bytes = gzip.finish().unwrap();
    }
    fs::write(&path, bytes).unwrap();
    path
}

fn sent(path: &Path, points: &[[f64; 3]]) -> Result<Vec<[f64; 3]>> {
    let mut chain = Chain::read(&[TransformRequest::new(path)], None)?;
    let mut points = points.to_vec();
    PointMap::open(&mut chain)?.send(&mut points)?;
    Ok(points)
}

#[test]
fn fields_are_linear_between_voxels_and_nothing_outside() {
    let folder = folder();
    let inside = [[10.0, 20.0, 30.0], [13.5, 21.25, 33.0], [22.0, 28.0, 34.0], [11.0, 27.9, 30.1]];
    let outside = [[8.9, 20.0, 30.0], [10.0, 29.1, 30.0], [1e300, 0.0, 0.0]];
    let points: Vec<[f64; 3]> = inside.into_iter().chain(outside).collect();
    for (name, intent, sign) in
        [("a.nii", 1007, -1.0), ("a.nii.gz", 1007, -1.0), ("b.nii", 1006, 1.0), ("b.nii.gz", 1006, 1.0)]
    {
        let found = sent(&field(&folder, name, intent), &points).unwrap();
        for ([x, y, z], found) in inside.into_iter().zip(&found) {
            let index = [(z - 30.0) / 2.0, (y - 20.0) / 2.0, (x - 10.0) / 2.0];
            let [dx, dy, dz] = [0, 1, 2].map(|c| displacement(c, index));
            let expected = [x + sign * dx, y + sign * dy, z + dz];
            assert!(near(*found, expected), "{name}: {found:?} is not {expected:?}");
        }
        assert_eq!(found[inside.len()..], outside);
    }
    for name in ["a.nii", "a.nii.gz"] {
        let whole = fs::read(folder.path().join(name)).unwrap();
        for n in (0..whole.len() - 9).step_by(19) {
            fs::write(folder.path().join(format!("cut-{name}")), &whole[..n]).unwrap();
            assert!(sent(&folder.path().join(format!("cut-{name}")), &points).is_err(), "{name} cut at {n}");
        }
    }
    let error = sent(&field(&folder, "c.nii", 0), &points).unwrap_err().to_string();
    assert!(error.contains("intent_code is 0, expected 1007"), "{error}");
}

#[test]
fn tables_go_through_in_either_frame() {
    let folder = folder();
    let shift = put(&folder, "shift.txt", "1 0 0 1\n0 1 0 2\n0 0 1 3\n");
    let map = PointMap::open(&mut Chain::read(&[shift], None).unwrap()).unwrap();
    let table = "z,name,y,x\n1,a,2,3\n4,\"b,c\",5,6\n";
    let through = |frame| {
        let mut out = Vec::new();
        assert_eq!(
            map.table(Path::new("p.csv"), table.as_bytes(), &mut out, frame).unwrap(),
            Sent { points: 2, unsettled: 0 }
        );
        String::from_utf8(out).unwrap()
    };
    assert_eq!(through(Frame::Ras), "z,name,y,x\n4,a,4,4\n7,\"b,c\",7,7\n");
    assert_eq!(through(Frame::Lps), "z,name,y,x\n4,a,0,2\n7,\"b,c\",3,5\n");
}

#[test]
fn jobs_take_transforms() {
    let folder = folder();
    let input = field(&folder, "in.nii", 0);
    let quarter = put(&folder, "turn.txt", "0 -1 0 0\n1 0 0 0\n0 0 1 0\n");
    let mut request = Request::new(&input, folder.path().join("out.nii"), 64 << 20, 1);
    request.transforms = vec![quarter.clone(), inverse(&quarter)];
    assert!(Job::resolve(request.clone()).unwrap().op.mapping.is_identity());
    request.transforms = vec![quarter];
    assert!(Job::resolve(request.clone()).unwrap().op.mapping.is_axis_aligned());
    assert!(matches!(request.grid, GridChoice::Rules(_)));
}
