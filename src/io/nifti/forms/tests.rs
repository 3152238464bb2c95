use proptest::prelude::*;

use super::*;

const SHAPE: [u64; 3] = [9, 8, 7];

/// What a header says once it was stored.
fn stored(header: &Header) -> Header {
    Header::parse(Path::new("x"), &header.encode()).unwrap()
}

/// A header with these codes, stored, both of its forms made of an affine.
fn header(affine: &Affine, (qform_code, sform_code): (i32, i32)) -> Header {
    let mut header = Header { dim: [3, 7, 8, 9, 1, 1, 1, 1], xyzt_units: 2, ..Header::new(Version::One) };
    let spacing = std::array::from_fn(|a| affine.column_norm(a));
    let stand = Stand { affine: *affine, spacing, unit: &Unit::Millimetre, version: Version::One };
    Forms::new(FormsOf::Codes { qform: 1, sform: 1 }, &stand).put(&mut header);
    (header.qform_code, header.sform_code) = (qform_code, sform_code);
    stored(&header)
}

/// The affine that a header states, as this program reads it.
fn read(header: &Header) -> Affine {
    affine::place(Path::new("x"), header, SHAPE, &mut Vec::new()).unwrap().1
}

/// The header of a target whose indices `step` takes to those of `source`.
fn moved(source: &Header, step: &Affine) -> Header {
    let affine = read(source).after(step);
    let spacing = std::array::from_fn(|a| affine.column_norm(a));
    let stand = Stand { affine, spacing, unit: &Unit::Millimetre, version: Version::One };
    let mut target = source.clone();
    Forms::new(FormsOf::Like(source), &stand).put(&mut target);
    stored(&target)
}

/// Axes turned by a quaternion, of steps `steps`, mirrored or not.
fn turned(q: [f64; 4], steps: [f64; 3], origin: [f64; 3]) -> Affine {
    let norm = q.iter().map(|x| x * x).sum::<f64>().sqrt();
    let r = quaternion::rotation(q.map(|x| x / norm));
    let column = |c: usize| [0, 1, 2].map(|row| r[row][c] * steps[c]);
    Affine::from_columns([column(0), column(1), column(2)], origin)
}

/// Steps, flips and shifts along axes in this order.
fn along_axes(order: [usize; 3], scales: [f64; 3], offsets: [f64; 3]) -> Affine {
    let mut step = Affine { m: [[0.0; 4]; 3] };
    for t in 0..3 {
        step.m[order[t]][t] = scales[t];
        step.m[t][3] = offsets[t];
    }
    step
}

fn tilted() -> Affine {
    turned([0.9, 0.1, -0.2, 0.3], [2.0, 1.25, 0.75], [-90.5, 40.25, 7.0])
}

/// Farthest distance between the places that two affines give the corners of the grid.
fn apart(a: &Affine, b: &Affine) -> f64 {
    let corner = |n: usize| std::array::from_fn(|axis| (n >> axis & 1) as f64 * SHAPE[axis] as f64);
    let distance =
        |at: [f64; 3]| a.apply(at).into_iter().zip(b.apply(at)).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
    (0..8).map(|n| distance(corner(n))).fold(0.0, f64::max)
}

#[test]
fn the_same_grid_copies_every_field() {
    for codes in [(1, 1), (1, 0), (0, 1), (1, 2), (4, 4), (2, 300)] {
        let mut source = header(&tilted(), codes);
        // A quaternion slightly longer than 1, as others write half turns.
        source.quatern = [0.6f32, 0.8, 0.0].map(|x| f64::from(x * 1.000_000_2));
        assert_eq!(moved(&source, &Affine::identity()), source, "{codes:?}");
    }
    let none = header(&affine::scaling([2.0, 2.0, 3.0]), (0, 0));
    assert_eq!(moved(&none, &Affine::identity()), none);
}

#[test]
fn a_crop_or_another_step_keeps_the_quaternion() {
    let source = header(&tilted(), (1, 2));
    let cropped = moved(&source, &along_axes([0, 1, 2], [1.0; 3], [2.0, 3.0, 1.0]));
    assert_eq!((cropped.quatern, cropped.pixdim[0]), (source.quatern, source.pixdim[0]));
    let finer = moved(&source, &along_axes([0, 1, 2], [0.5, 2.0, 1.5], [0.0; 3]));
    assert_eq!((finer.quatern, finer.qoffset), (source.quatern, source.qoffset));
    assert_eq!(finer.pixdim[..4], [source.pixdim[0], 1.125, 2.5, 1.0]);
}

/// A copy keeps even that; what is written anew does not.
#[test]
fn a_quaternion_longer_than_1_is_set_right_where_the_grid_changes() {
    let mut source = header(&tilted(), (1, 0));
    source.quatern = [0.6f32, 0.8, 0.0].map(|x| f64::from(x * 1.000_000_4));
    let source = stored(&source);
    let target = moved(&source, &along_axes([0, 1, 2], [0.5; 3], [0.0; 3]));
    assert!(target.quatern.iter().map(|x| x * x).sum::<f64>() <= 1.0 + LONG, "{:?}", target.quatern);
}

/// Two forms that mean two places: a scanner's, and a template's.
#[test]
fn each_form_moves_in_its_own_place() {
    let mut source = header(&tilted(), (1, 4));
    let template = turned([0.2, 0.9, 0.1, 0.3], [2.0, 1.25, 0.75], [5.0, -60.0, 3.0]);
    source.srow = rows(&template);
    let source = stored(&source);
    let step = along_axes([1, 0, 2], [0.5, -1.0, 2.0], [3.0, 1.0, 0.0]);
    let target = moved(&source, &step);
    assert_eq!((target.qform_code, target.sform_code), (1, 4));
    let scanner = good_qform(&source, SHAPE).unwrap();
    assert!(apart(&good_qform(&target, SHAPE).unwrap(), &scanner.after(&step)) < 1e-3);
    assert!(apart(&read(&target), &read(&source).after(&step)) < 1e-4);
}

/// An sform sheared by rounding does not cost the qform, which is what ITK reads of such a file.
#[test]
fn a_slightly_sheared_sform_keeps_a_good_qform() {
    for (shear, sform_code, kept) in [(2e-5, 1, true), (1e-3, 2, true), (1e-3, 1, false), (0.3, 1, false)] {
        let mut source = header(&tilted(), (1, sform_code));
        for row in &mut source.srow {
            row[2] += shear * row[1];
        }
        let source = stored(&source);
        let target = moved(&source, &along_axes([0, 1, 2], [0.5; 3], [0.0; 3]));
        assert_eq!(target.qform_code, i32::from(kept), "shear {shear}, sform code {sform_code}");
        assert_eq!(target.sform_code, sform_code);
    }
}

#[test]
fn files_without_codes_stay_without_unless_axes_turn() {
    let source = header(&affine::scaling([2.0, 2.0, 3.0]), (0, 0));
    let codes = |header: &Header| (header.qform_code, header.sform_code);
    let shifted = moved(&source, &along_axes([0, 1, 2], [2.0; 3], [0.5; 3]));
    assert_eq!((codes(&shifted), &shifted.pixdim[1..4]), ((0, 0), &[4.0, 4.0, 6.0][..]));
    assert_eq!(codes(&moved(&source, &along_axes([0, 1, 2], [1.0, 1.0, -1.0], [0.0, 0.0, 6.0]))), (1, 1));
}

#[test]
fn an_sform_that_is_no_geometry_is_made_anew_from_the_qform() {
    let mut source = header(&tilted(), (1, 1));
    source.srow = [[0.0; 4]; 3];
    let target = moved(&source, &Affine::identity());
    assert!(apart(&read(&target), &read(&source)) < 1e-4);
    assert_eq!((target.quatern, target.sform_code), (source.quatern, 1));
    assert_ne!(target.srow, source.srow);
}

#[test]
fn steps_that_are_no_part_of_a_form_are_set_right() {
    let mut source = header(&tilted(), (0, 1));
    source.pixdim[3] = 0.5;
    assert_eq!(moved(&source, &Affine::identity()).pixdim[3], 2.0);
}

#[test]
fn a_sheared_target_without_a_qform_has_none() {
    let mut affine = tilted();
    affine.m[1][0] += 0.4;
    let stand = Stand { affine, spacing: [2.0, 1.25, 0.75], unit: &Unit::Millimetre, version: Version::One };
    let forms = Forms::new(FormsOf::Codes { qform: 3, sform: 0 }, &stand);
    assert_eq!((forms.qform_code, forms.sform_code), (0, 3));
}

proptest! {
    /// Both forms of a target, read back, are where the forms of its source are.
    #[test]
    fn forms_stay_in_place(
        q in prop::array::uniform4(-1.0..1.0f64).prop_filter("a rotation", |q| q.iter().map(|x| x * x).sum::<f64>() > 0.01),
        steps in prop::array::uniform3(0.2..5.0f64),
        mirror in any::<bool>(),
        origin in prop::array::uniform3(-300.0..300.0f64),
        codes in prop::sample::select(vec![(1, 1), (1, 0), (0, 1), (1, 2), (4, 4), (2, 1)]),
        order in prop::sample::select(vec![[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0]]),
        scales in prop::array::uniform3(prop::sample::select(vec![1.0, -1.0, 0.5, 1.7, -2.0])),
        offsets in prop::array::uniform3(prop::sample::select(vec![0.0, 3.0, -0.25])),
    ) {
        let steps = [steps[0] * if mirror { -1.0 } else { 1.0 }, steps[1], steps[2]];
        let source = header(&turned(q, steps, origin), codes);
        let step = along_axes(order, scales, offsets);
        let target = moved(&source, &step);
        prop_assert_eq!((target.qform_code, target.sform_code), codes);
        prop_assert!(apart(&read(&target), &read(&source).after(&step)) < 5e-3);
        if let Some(qform) = good_qform(&source, SHAPE) {
            let found = good_qform(&target, SHAPE).unwrap();
            prop_assert!(apart(&found, &qform.after(&step)) < 2e-2);
        }
    }
}
