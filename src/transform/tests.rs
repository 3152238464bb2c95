use std::path::Path;

use super::{file::Text, *};
use crate::{
    geometry::{Grid, Unit},
    io::nifti::{Header, Version},
};

/// What a text under this name holds, given images.
fn read_text(name: &str, text: &str, ends: Option<&Ends>) -> Result<Affine> {
    let request = TransformRequest::new(name);
    match of_text(&request, &Text::new(Path::new(name), text), ends)?.0[..] {
        [Map::Affine(affine)] => Ok(affine),
        ref maps => panic!("{maps:?} is no affine"),
    }
}

fn itk(class: &str, parameters: &str, fixed: &str) -> Result<Affine> {
    let text = format!(
        "#Insight Transform File V1.0\n#Transform 0\nTransform: {class}\nParameters: {parameters}\nFixedParameters: {fixed}\n"
    );
    read_text("a.tfm", &text, None)
}

fn assert_near(found: &Affine, expected: &Affine) {
    let off = |r: usize, c: usize| (found.m[r][c] - expected.m[r][c]).abs();
    assert!((0..12).all(|n| off(n / 4, n % 4) < 1e-12), "{found:?} is not {expected:?}");
}

/// Sends LPS `p` to LPS `q`.
fn assert_sends(map: &Affine, p: [f64; 3], q: [f64; 3]) {
    let turn = |[x, y, z]: [f64; 3]| [-x, -y, z];
    let found = turn(map.apply(turn(p)));
    assert!((0..3).all(|a| (found[a] - q[a]).abs() < 1e-12), "{found:?} is not {q:?}");
}

fn rejects(outcome: Result<Affine>, says: &[&str]) {
    let error = outcome.unwrap_err();
    let text = format!("{error}; {}", error.hint().unwrap_or_default());
    assert!(says.iter().all(|word| text.contains(word)), "{text} lacks one of {says:?}");
}

#[test]
fn translations_turn_to_ras() {
    let map = itk("TranslationTransform_double_3_3", "1 2 3", "").unwrap();
    assert_eq!(map.translation(), [-1.0, -2.0, 3.0]);
    assert_eq!(itk("IdentityTransform_double_3_3", "", "").unwrap(), Affine::identity());
}

#[test]
fn affines_turn_about_their_centre() {
    let map = itk("AffineTransform_float_3_3", "0 -1 0 1 0 0 0 0 2 10 20 30", "1 2 3").unwrap();
    assert_sends(&map, [1.0, 2.0, 3.0], [11.0, 22.0, 33.0]);
    assert_sends(&map, [2.0, 2.0, 4.0], [11.0, 23.0, 35.0]);
    let scale = itk("ScaleTransform_double_3_3", "2 3 4", "1 1 1").unwrap();
    assert_sends(&scale, [2.0, 2.0, 2.0], [3.0, 4.0, 5.0]);
}

#[test]
fn rotations_agree_with_each_other() {
    // A turn of 0.6 about x by every class that can say it.
    let (half_sine, half_cosine) = (0.3f64.sin(), 0.3f64.cos());
    let euler = itk("Euler3DTransform_double_3_3", "0.6 0 0 4 5 6", "1 2 3").unwrap();
    assert_sends(&euler, [1.0, 3.0, 3.0], [5.0, 7.0 + 0.6f64.cos(), 9.0 + 0.6f64.sin()]);
    let versor = format!("{half_sine} 0 0");
    for (class, parameters) in [
        ("VersorRigid3DTransform_double_3_3", format!("{versor} 4 5 6")),
        ("Similarity3DTransform_double_3_3", format!("{versor} 4 5 6 1")),
        ("ScaleVersor3DTransform_double_3_3", format!("{versor} 4 5 6 1 1 1")),
        ("ScaleSkewVersor3DTransform_double_3_3", format!("{versor} 4 5 6 1 1 1 0 0 0 0 0 0")),
        ("QuaternionRigidTransform_double_3_3", format!("{versor} {half_cosine} 4 5 6")),
    ] {
        assert_near(&itk(class, &parameters, "1 2 3").unwrap(), &euler);
    }
    let turned = itk("VersorTransform_double_3_3", &versor, "1 2 3").unwrap();
    assert_sends(&turned, [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]);
    let same = |r: usize| (turned.m[r][1] - euler.m[r][1]).abs() < 1e-12;
    assert!((0..3).all(same), "{turned:?}");
}

#[test]
fn angles_have_two_orders() {
    let quarter = std::f64::consts::FRAC_PI_2;
    let parameters = format!("{quarter} {quarter} 0 0 0 0");
    // Rx Ry sends z to x; Ry Rx sends z to -y.
    let zxy = itk("Euler3DTransform_double_3_3", &parameters, "0 0 0 0").unwrap();
    assert_sends(&zxy, [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]);
    let zyx = itk("Euler3DTransform_double_3_3", &parameters, "0 0 0 1").unwrap();
    assert_sends(&zyx, [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]);
}

#[test]
fn the_last_part_of_a_composite_comes_first() {
    let scale = "Transform: ScaleTransform_double_3_3\nParameters: 2 2 2\nFixedParameters: 0 0 0\n";
    let shift = "Transform: TranslationTransform_double_3_3\nParameters: 1 0 0\nFixedParameters:\n";
    let composite = "#Transform 0\nTransform: CompositeTransform_double_3_3\n";
    let text = format!("#Insight Transform File V1.0\r\n{composite}{scale}#Transform 2\n{shift}");
    assert_sends(&read_text("a.txt", &text, None).unwrap(), [0.0; 3], [2.0, 0.0, 0.0]);
    // Without a composite they are no product.
    let series = format!("#Insight Transform File V1.0\n{scale}#Transform 1\n{shift}");
    rejects(read_text("a.txt", &series, None), &["a.txt holds 2 transforms", "--transform-list a.txt"]);
    let nested = format!("#Insight Transform File V1.0\n{shift}Transform: CompositeTransform_double_3_3\n");
    rejects(read_text("a.tfm", &nested, None), &["a.tfm: line 5", "parts that follow it"]);
}

#[test]
fn itk_texts_that_are_wrong_name_the_line() {
    rejects(
        itk("AffineTransform_double_3_3", "1 2 3", "0 0 0"),
        &["line 3", "3 parameters of Affine", "12 parameters"],
    );
    rejects(itk("AffineTransform_double_2_2", "1 0 0 1 0 0", "0 0"), &["line 3", "3 dimensions"]);
    rejects(itk("VersorTransform_double_3_3", "0 0 0", "0 0"), &["2 fixed parameters", "a centre of 3"]);
    rejects(itk("VersorTransform_double_3_3", "0 0 nan", "0 0 0"), &["line 4", "'0 0 nan'", "numbers"]);
    rejects(itk("TranslationTransform_double_3_3", "0 0 1e999", ""), &["line 4", "numbers"]);
    rejects(itk("BSplineTransform_double_3_3", "0", "0"), &["1 fixed parameters of BSplineTransform"]);
    let head = "#Insight Transform File V1.0\n";
    rejects(read_text("a.tfm", head, None), &["line 2", "end of the file", "Transform:"]);
    rejects(read_text("a.tfm", &format!("{head}Parameters: 1\n"), None), &["line 2", "Transform: first"]);
    rejects(read_text("a.tfm", &format!("{head}\n\nhello\n"), None), &["line 4", "'hello'"]);
}

#[test]
fn plain_texts_are_ras() {
    let rows = "# made by hand\n0 -1 0 5\n1 0 0 6\n0 0 1 7\n";
    let expected = Affine { m: [[0.0, -1.0, 0.0, 5.0], [1.0, 0.0, 0.0, 6.0], [0.0, 0.0, 1.0, 7.0]] };
    assert_eq!(read_text("a.txt", rows, None).unwrap(), expected);
    assert_eq!(read_text("a", &format!("{rows}0 0 0 1\n"), None).unwrap(), expected);
    assert_eq!(read_text("a", &rows.replace("made by hand\n0 -1 0 5", "\n0,-1,0,\t5"), None).unwrap(), expected);
    rejects(read_text("a", &format!("{rows}0 0 1 1\n"), None), &["line 5", "0 0 0 1"]);
    rejects(read_text("a", &format!("{rows}0 0 0 1\n1\n"), None), &["line 6", "end of the file"]);
    rejects(read_text("a", "1 0 0 0\n0 1 0\n", None), &["line 2", "'0 1 0'", "4 numbers"]);
    rejects(read_text("a", "1 0 0 0\n", None), &["line 2", "a 4x4 matrix"]);
    rejects(read_text("a", "#\n", None), &["line 2", "a 4x4 matrix"]);
    rejects(read_text("a", &"x".repeat(500), None), &["xxx...'"]);
}

/// A grid with steps (i, j, k), axes along RAS except that `flip` turns i round.
fn grid(shape: [u64; 3], [i, j, k]: [f64; 3], flip: bool, origin: [f64; 3]) -> Grid {
    let columns = [[0.0, 0.0, k], [0.0, j, 0.0], [if flip { -i } else { i }, 0.0, 0.0]];
    Grid::new(shape, Affine::from_columns(columns, origin), Unit::Millimetre)
}

#[test]
fn flirt_speaks_of_scaled_voxels() {
    // Moving: radiological; its scaled x is (origin - world x). Reference: neurological, its x counts from the far end.
    let source = grid([5, 7, 11], [2.0, 3.0, 4.0], true, [50.0, -10.0, 20.0]);
    let target = grid([13, 17, 19], [1.0, 1.5, 2.5], false, [-9.0, 4.0, 6.0]);
    let flirt = "1 0 0 10\n0 1 0 20\n0 0 1 30\n0 0 0 1\n";
    let ends = |target: &Grid| Ends { target: image(target), source: image(&source) };
    let map = read_text("flirt.mat", flirt, Some(&ends(&target))).unwrap();
    // Target world (1, 8, 12): scaled (18 - 10, 4, 6); less the shift (-2, -16, -24); world of the source from that.
    let found = map.apply([1.0, 8.0, 12.0]);
    assert_eq!(found, [52.0, -26.0, -4.0]);
    let mut micro = target.clone();
    micro.unit = Unit::Micrometre;
    micro.index_to_world = Affine { m: micro.index_to_world.m.map(|row| row.map(|x| x * 1000.0)) };
    let same = read_text("flirt.mat", flirt, Some(&ends(&micro))).unwrap();
    assert_near(&same, &map);
    let flat = "1 0 0 10\n0 0 0 20\n0 0 1 30\n0 0 0 1\n";
    rejects(read_text("a.mat", flat, Some(&ends(&target))), &["singular"]);
}

fn image(grid: &Grid) -> RoleImage {
    RoleImage::of_grid(Path::new("image"), grid)
}

#[test]
fn fsl_scales_by_pixdim_and_takes_no_form_as_radiological() {
    let plain = grid([5, 7, 11], [2.0, 3.0, 4.0], false, [0.0; 3]);
    let shift = "1 0 0 6\n0 1 0 0\n0 0 1 0\n0 0 0 1\n";
    let moved = |change: &dyn Fn(&mut RoleImage)| {
        let mut image = image(&plain);
        change(&mut image);
        let ends = Ends { target: image.clone(), source: image };
        read_text("a.mat", shift, Some(&ends)).unwrap().apply([0.0; 3])[0]
    };
    // From the other end of i, and by its own end; 6 mm are 2 voxels of 3 mm, which the affine has 2 mm apart.
    assert_eq!(moved(&|_| {}), 6.0);
    assert_eq!(moved(&|image| image.is_coded = false), -6.0);
    assert_eq!(moved(&|image| image.steps = Some([3.0, 3.0, 4.0])), 4.0);
    assert_eq!(moved(&|image| image.steps = Some([0.0, f64::NAN, 4.0])), 6.0);
}

#[test]
fn an_inverted_matrix_exchanges_the_roles_of_the_run() {
    let (a, b) = (grid([5, 7, 11], [2.0, 3.0, 4.0], true, [9.0; 3]), grid([6, 8, 9], [1.0; 3], false, [0.0; 3]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mat");
    std::fs::write(&path, "1 0.1 0 6\n0 1 0 2\n0.2 0 1 0\n0 0 0 1\n").unwrap();
    let read = |request: &TransformRequest, ends: &Ends| match Transform::read(request, Some(ends)).unwrap().maps[..] {
        [Map::Affine(affine)] => affine,
        _ => panic!("no field"),
    };
    let there = read(&TransformRequest::new(&path), &Ends { target: image(&b), source: image(&a) });
    let inverted = TransformRequest { inverse: true, ..TransformRequest::new(&path) };
    let back = read(&inverted, &Ends { target: image(&a), source: image(&b) });
    assert_near(&back.after(&there), &Affine::identity());
}

#[test]
fn a_matrix_is_fsl_s_by_name_unless_it_says_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mat");
    std::fs::write(&path, "1 0 0 6\n0 1 0 2\n0 0 1 0\n").unwrap();
    let parsed = |suffix: &str| {
        let argument = format!("{}{suffix}", path.display());
        TransformRequest::parse(std::ffi::OsStr::new(&argument), Path::new(""))
    };
    let refusal = Chain::read(&[parsed("")], None).unwrap_err();
    assert!(refusal.to_string().contains("it is not said which"), "{refusal}");
    let hint = refusal.hint().unwrap().to_string();
    // Each way out is followed.
    assert!(hint.contains(&format!("--transform {},ras", path.display())), "{hint}");
    assert_eq!(Chain::read(&[parsed(",ras")], None).unwrap().steps[0].convention, Convention::Ras);
    let ends = Ends {
        target: image(&grid([2; 3], [1.0; 3], true, [0.0; 3])),
        source: image(&grid([2; 3], [1.0; 3], true, [0.0; 3])),
    };
    let chain = Chain::read(&[parsed("")], Some(&ends)).unwrap();
    assert!(chain.warnings[0].contains("is taken for an FSL matrix") && chain.warnings[0].contains(",ras"));
    assert!(Chain::read(&[parsed(",fsl")], Some(&ends)).unwrap().warnings.is_empty());
    // In a chain the ends of the run are nobody's roles.
    assert!(Chain::read(&[parsed(""), parsed(",ras")], Some(&ends)).is_err());
    let refusal = Chain::read(&[parsed(",ras,src=x.nii")], None).unwrap_err();
    assert!(refusal.to_string().contains("is not an FSL matrix, and src= and ref= are for those"), "{refusal}");
    let refusal = Chain::read(&[parsed(",lps")], None).unwrap_err();
    assert!(refusal.hint().unwrap().contains(",ras ,fsl"), "{refusal}");
}

#[test]
fn files_of_other_programs_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (text, says) in [
        (
            "(Transform \"SplineKernelTransform\")\n(TransformParameters 1)\n",
            "elastix' transforms of the class 'SplineKernel",
        ),
        ("// made by elastix\n\n(Transform \"EulerTransform\")\n", "(TransformParameters ...) is not there"),
        ("(Transform \"EulerTransform\")\n(TransformParameters \"a.dat\")\n", "in a file of their own"),
        ("(Transform)\n", "(Key value ...)"),
        ("mrtrix image\n", "MRtrix"),
        ("MATLAB 7.3 MAT-file", "level 7"),
        ("# 3dAllineate matrices\n1 0 0 0 0 1 0 0 0 0 1 0\n", "AFNI"),
        ("", "0 bytes"),
        (" \n\n", "0 bytes"),
    ] {
        let path = folder.path().join("a.txt");
        std::fs::write(&path, text).unwrap();
        let error = Transform::read(&TransformRequest::new(&path), None).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_matrix_of_afni_can_be_written_as_itk_s() {
    // Rows of three and a shift each, and the ITK text that the hint asks for.
    let map = itk("AffineTransform_double_3_3", "1 0.1 0 0 1 0 0 0 2 4 5 6", "0 0 0").unwrap();
    assert_sends(&map, [1.0, 2.0, 3.0], [1.0 + 0.2 + 4.0, 7.0, 12.0]);
}

#[test]
fn fields_are_told_apart_by_the_name_of_their_intent() {
    let kind = |change: &dyn Fn(&mut Header)| {
        let mut header = Header { intent_code: 1007, ..Header::new(Version::One) };
        header.dim = [5, 7, 6, 5, 1, 3, 1, 1];
        change(&mut header);
        field::kind(Path::new("w.nii"), &header)
    };
    let named = |header: &mut Header, name: &str| header.intent_name[..name.len()].copy_from_slice(name.as_bytes());
    assert_eq!(kind(&|_| {}).unwrap(), FieldKind::DisplacementsLps);
    assert_eq!(kind(&|h| h.intent_code = 1006).unwrap(), FieldKind::DisplacementsRas);
    assert_eq!(kind(&|h| named(h, "Mapping")).unwrap(), FieldKind::PositionsRas);
    let both = |h: &mut Header| {
        h.intent_code = 1006;
        named(h, "Mapping");
    };
    assert_eq!(kind(&both).unwrap(), FieldKind::PositionsRas);
    assert_eq!(kind(&|h| named(h, "NREG_TRANS")).unwrap(), FieldKind::PositionsRas);
    let niftyreg = |p1: f64| {
        kind(&|h| {
            named(h, "NREG_TRANS");
            h.intent_p[0] = p1;
        })
    };
    assert_eq!(niftyreg(1.0).unwrap(), FieldKind::DisplacementsRas);
    assert_eq!(niftyreg(6.0).unwrap(), FieldKind::PositionsRas);
    for (p1, says) in [(2.0, "cubic splines"), (3.0, "velocities"), (5.0, "velocities"), (9.0, "not known")] {
        assert!(niftyreg(p1).unwrap_err().to_string().contains(says), "{p1}");
    }
    for code in FSL_INTENTS {
        let error = kind(&|h| h.intent_code = code).unwrap_err().to_string();
        assert!(error.contains("of FSL"), "{error}");
    }
    let four = kind(&|h| h.dim = [4, 7, 6, 5, 3, 1, 1, 1]).unwrap_err();
    assert!(four.to_string().contains("4-D") && four.hint().unwrap().contains(",ras for a warp of MRtrix"), "{four}");
    let flow = kind(&|h| h.descrip[..10].copy_from_slice(b"Flow Field")).unwrap_err().to_string();
    assert!(flow.contains("flow fields"), "{flow}");
}

const FSL_INTENTS: [i32; 3] = [2006, 2009, 2016];

#[test]
fn ltas_of_several_go_one_by_one_into_a_list() {
    let folder = tempfile::tempdir().unwrap();
    let several = LTA.replace("nxforms   = 1", "nxforms = 2");
    rejects(read_text("a.lta", &several, None), &["line 2", "nxforms = 2", "--transform-list"]);
    for name in ["one.lta", "two.lta"] {
        std::fs::write(folder.path().join(name), LTA).unwrap();
    }
    std::fs::write(folder.path().join("list.txt"), "one.lta\ntwo.lta,inverse\n").unwrap();
    let list = TransformList::read(&folder.path().join("list.txt")).unwrap();
    let ends = Ends {
        target: image(&grid([2; 3], [1.0; 3], true, [0.0; 3])),
        source: image(&grid([2; 3], [1.0; 3], true, [0.0; 3])),
    };
    let (affines, conventions) = list.affines(2, &ends).unwrap();
    assert_near(&affines[0].after(&affines[1]), &Affine::identity());
    assert_eq!(conventions, [Convention::FreeSurfer]);
}

const LTA: &str = "type      = 1 # LINEAR_RAS_TO_RAS
nxforms   = 1
mean      = 0.0000 0.0000 0.0000
sigma     = 1.0000
1 4 4
1 0 0 10
0 1 0 20
0 0 2 30
0 0 0 1
src volume info
valid = 1  # volume info valid
filename = /a/b.mgz
volume = 10 12 14
voxelsize = 1 2 3
xras   = -1 0 0
yras   = 0 0 -1
zras   = 0 1 0
cras   = 5 6 7
dst volume info
valid = 1
filename = c.mgz
volume = 20 20 20
voxelsize = 1 1 1
xras   = 1 0 0
yras   = 0 1 0
zras   = 0 0 1
cras   = 1 2 3
subject fsaverage
fscale 0.15
";

#[test]
fn lta_is_turned_round() {
    let map = read_text("a.lta", LTA, None).unwrap();
    assert_eq!(map.apply([11.0, 22.0, 36.0]), [1.0, 2.0, 3.0]);
    // Voxels: dst (3, 4, 5) is src ((3, 4, 5) - (10, 20, 30)) / (1, 1, 2).
    let map = read_text("a", &LTA.replace("type      = 1", "type = 0"), None).unwrap();
    let (target, index) = ([3.0 - 10.0 + 1.0, 4.0 - 10.0 + 2.0, 5.0 - 10.0 + 3.0], [-7.0, -16.0, -12.5]);
    let source = [5.0 - (index[0] - 5.0), 6.0 + (index[2] - 7.0) * 3.0, 7.0 - (index[1] - 6.0) * 2.0];
    let found = map.apply(target);
    assert!((0..3).all(|a| (found[a] - source[a]).abs() < 1e-12), "{found:?} is not {source:?}");
}

#[test]
fn ltas_that_are_wrong_name_what() {
    let change = |from: &str, to: &str| read_text("a.lta", &LTA.replace(from, to), None);
    rejects(change("type      = 1", "type = 14"), &["type 14 is not read", "lta_convert"]);
    rejects(change("1 4 4", "1 3 4"), &["line 5", "1 4 4"]);
    rejects(change("0 0 2 30", "0 0 2"), &["line 8", "4 numbers"]);
    rejects(change("0 0 2 30", "0 0 0 30"), &["singular"]);
    let voxels = LTA.replace("type      = 1", "type = 0");
    rejects(read_text("a.lta", &voxels.replace("valid = 1\n", "valid = 0\n"), None), &["dst volume info", "not valid"]);
    rejects(read_text("a.lta", &voxels.replace("cras   = 5 6 7\n", ""), None), &["src volume info"]);
    rejects(
        read_text("a.lta", &voxels.replace("xras   = -1 0 0\n", "xras = 0 0 0\n"), None),
        &["src volume", "singular"],
    );
    rejects(read_text("a.lta", "type = 1\n", None), &["line 2", "end of the file"]);
}

#[test]
fn a_stencil_is_trilinear_and_ends_at_the_faces() {
    let grid = grid([3, 4, 5], [2.0; 3], false, [0.0; 3]);
    let field = FieldGrid::of_grid(&grid, FieldKind::DisplacementsLps).unwrap();
    let stencil = |world| field.stencil(world, Beyond::Nothing);
    let found = stencil([1.0, 0.5, 4.9]).unwrap();
    assert_eq!(found.voxels, [[2, 2], [0, 1], [0, 1]]);
    let sum: [f64; 3] =
        found.taps().fold([0.0; 3], |sum, (at, weight)| std::array::from_fn(|a| sum[a] + weight * at[a] as f64));
    assert!((0..3).all(|a| (sum[a] - [2.0, 0.25, 0.5][a]).abs() < 1e-12), "{sum:?}");
    assert_eq!(stencil([2.0, 4.0, 2.0]).unwrap().taps().collect::<Vec<_>>(), [([1, 2, 1], 1.0)]);
    assert!(stencil([-1.0, 0.0, 0.0]).is_some() && stencil([-1.01, 0.0, 0.0]).is_none());
    assert!(stencil([8.9, 0.0, 0.0]).is_some() && stencil([9.0, 0.0, 0.0]).is_none());
    assert!(stencil([f64::NAN, 0.0, 0.0]).is_none() && stencil([1e300, 0.0, 0.0]).is_none());
    assert_eq!(field.displacement([1.0, 2.0, 3.0]), [-1.0, -2.0, 3.0]);
}
