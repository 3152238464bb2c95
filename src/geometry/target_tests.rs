//! Whole requests, with numbers computed by hand, and the properties of each alignment.

use proptest::prelude::*;

use super::*;
use crate::region::Region;

fn steps(shape: [u64; 3], step: [f64; 3], origin: [f64; 3]) -> Grid {
    let columns = [[0.0, 0.0, step[0]], [0.0, step[1], 0.0], [step[2], 0.0, 0.0]];
    Grid::new(shape, Affine::from_columns(columns, origin), Unit::Millimetre)
}

fn head() -> Grid {
    steps([120, 512, 512], [1.5, 0.4101562, 0.4101562], [-104.9, -90.3, 12.7])
}

fn ask(sizing: Sizing) -> GridRequest {
    GridRequest { sizing, ..GridRequest::default() }
}

fn target(request: &GridRequest, source: &Grid) -> Grid {
    request.resolve(source).unwrap().target
}

#[test]
fn nothing_asked_is_the_same_grid() {
    let resolved = GridRequest::default().resolve(&head()).unwrap();
    assert_eq!(resolved, Resolved { target: head(), bounds: Region::of_shape([120, 512, 512]), lacking: [false; 3] });
}

#[test]
fn the_recipe() {
    // 120 * 1.5 / 0.4 = 450; 512 * 0.4101562 / 0.4 = 524.999936, which counts as 525.
    let grid = target(&ask(Sizing::Spacing([0.4; 3])), &head());
    assert_eq!(grid.shape, [450, 525, 525]);
    assert_eq!(grid.index_to_world, steps([1; 3], [0.4; 3], head().origin()).index_to_world);
    assert_eq!(grid.stated_spacing, Some([0.4; 3]));
    let Mapping::AxisAligned(axes) = Mapping::between(&grid, &head()).unwrap().mapping else { panic!("not aligned") };
    assert_eq!(
        axes.map(|axis| (axis.scale, axis.offset)),
        [(0.4 / 1.5, 0.0), (0.4 / 0.4101562, 0.0), (0.4 / 0.4101562, 0.0)]
    );
    // k: 119.5 * 1.5 / 0.4 = 448.125, so index 449 is outside; j, i: 511.5 / 0.97523 = 524.49, so index 524 is inside.
    let faces = outside_per_face(&axes, grid.shape, Region::of_shape(head().shape));
    assert_eq!((faces.low, faces.high), ([0; 3], [525 * 525, 0, 0]));
}

#[test]
fn isotropic_takes_the_smallest_step_or_the_given() {
    let grid = target(&ask(Sizing::Isotropic(None)), &head());
    // 180 / 0.4101562 = 438.857...
    assert_eq!((grid.shape, grid.stated_spacing), ([439, 512, 512], Some([0.4101562; 3])));
    assert_eq!(grid.index_to_world.column(2), head().index_to_world.column(2));
    // 209.9999744 / 2 counts as 105.
    let grid = target(&ask(Sizing::Isotropic(Some(2.0))), &head());
    assert_eq!((grid.shape, grid.spacing()), ([90, 105, 105], [2.0; 3]));
}

#[test]
fn headers_in_f32_count_as_meant() {
    let mut source = steps([61, 10, 10], [f64::from(2.9999998f32), 1.0, 1.0], [0.0; 3]);
    let grid = target(&ask(Sizing::Spacing([6.0, 1.0, 1.0])), &source);
    assert_eq!(grid.shape, [30, 10, 10]); // 30.5, half to even
    source.stated_spacing = Some([3.0, 1.0, 1.0]);
    let grid = target(&ask(Sizing::Spacing([3.0, 1.0, 1.0])), &source);
    assert_eq!((grid.shape, grid.stated_spacing), (source.shape, source.stated_spacing));
    assert_eq!(grid.index_to_world, source.index_to_world);
}

#[test]
fn sizes_are_at_least_one() {
    assert_eq!(target(&ask(Sizing::Spacing([1e6; 3])), &head()).shape, [1; 3]);
    assert_eq!(target(&ask(Sizing::Scale([1e-9; 3])), &head()).shape, [1; 3]);
}

#[test]
fn a_crop_comes_first() {
    let region = Region::new([10, 20, 30], [20, 40, 60]);
    let request = GridRequest { region: Some(region), ..ask(Sizing::Size([10, 10, 10])) };
    let source = steps([120, 512, 512], [1.5, 0.5, 0.25], [-10.0, -20.0, 30.0]);
    let resolved = request.resolve(&source).unwrap();
    assert_eq!(resolved.bounds, region);
    let expected = steps([10; 3], [1.5, 1.0, 0.75], [-10.0 + 7.5, -20.0 + 10.0, 30.0 + 15.0]);
    assert_eq!(resolved.target.index_to_world, expected.index_to_world);
    assert_eq!((resolved.target.shape, resolved.target.stated_spacing), ([10; 3], Some([1.5, 1.0, 0.75])));
}

#[test]
fn sizes_speak_of_the_new_axes() {
    let source = steps([5, 7, 11], [1.5, 0.5, 0.25], [0.0; 3]);
    let request = GridRequest { orient: "SLP".parse().ok(), ..ask(Sizing::Size([7, 22, 5])) };
    let grid = target(&request, &source);
    assert_eq!((grid.shape, grid.spacing()), ([7, 22, 5], [0.5, 0.125, 1.5]));
    assert_eq!(Orientation::of(&grid).to_string(), "SLP");
    assert_eq!(grid.origin(), [2.5, 3.0, 0.0]);
}

#[test]
fn a_lacking_axis_stays_wherever_it_goes() {
    let source = steps([1, 20, 30], [1.0, 2.0, 4.0], [0.0; 3]);
    let lacking = [true, false, false];
    for (sizing, shape, spacing) in [
        (Sizing::Spacing([0.5; 3]), [1, 80, 240], [1.0, 0.5, 0.5]),
        (Sizing::Size([10; 3]), [1, 10, 10], [1.0, 4.0, 12.0]),
        (Sizing::Scale([2.0; 3]), [1, 40, 60], [1.0, 1.0, 2.0]),
        (Sizing::Isotropic(None), [1, 20, 60], [1.0, 2.0, 2.0]),
    ] {
        let grid = target(&GridRequest { lacking, ..ask(sizing) }, &source);
        assert_eq!((grid.shape, grid.spacing()), (shape, spacing));
    }
    let turned = GridRequest { lacking, orient: "SAR".parse().ok(), ..ask(Sizing::Size([10; 3])) };
    let turned = turned.resolve(&source).unwrap();
    assert_eq!((turned.target.shape, turned.lacking), ([10, 10, 1], [false, false, true]));
}

#[test]
fn a_single_plane_has_no_step_to_make_isotropic() {
    let source = steps([1, 40, 30], [1.0, 5.0, 2.5], [0.0; 3]);
    let smallest = target(&ask(Sizing::Isotropic(None)), &source);
    assert_eq!((smallest.shape, smallest.spacing()), ([1, 80, 30], [1.0, 2.5, 2.5]));
    let given = target(&ask(Sizing::Isotropic(Some(0.5))), &source);
    assert_eq!((given.shape, given.spacing()), ([1, 400, 150], [1.0, 0.5, 0.5]));
    assert_eq!(target(&ask(Sizing::Spacing([0.5; 3])), &source).shape[0], 2);
    let voxel = steps([1; 3], [3.0, 2.0, 1.0], [0.0; 3]);
    assert_eq!(target(&ask(Sizing::Isotropic(None)), &voxel), voxel);
}

#[test]
fn a_reference_is_taken_whole() {
    let mut reference = steps([3, 4, 5], [9.0, 8.0, 7.0], [1.0; 3]);
    reference.unit = Unit::Micrometre;
    let region = Region::new([0; 3], [5; 3]);
    let request = GridRequest { region: Some(region), ..ask(Sizing::Like(reference.clone())) };
    assert_eq!(
        request.resolve(&head()).unwrap(),
        Resolved { target: reference.clone(), bounds: region, lacking: [false; 3] }
    );
    for request in [
        GridRequest { align: Align::Edges, ..ask(Sizing::Like(reference.clone())) },
        GridRequest { orient: "RAS".parse().ok(), ..ask(Sizing::Like(reference.clone())) },
    ] {
        let error = request.resolve(&head()).unwrap_err();
        assert!(error.exit_code() == 2 && error.hint().is_some(), "{error}");
    }
}

#[test]
fn refusals_hold_the_number() {
    let crop = |lo, hi| GridRequest { region: Some(Region::new(lo, hi)), ..GridRequest::default() };
    for (request, says) in [
        (ask(Sizing::Spacing([1.0, 1.0, 0.0])), "spacing 0 along i is not a positive number"),
        (ask(Sizing::Spacing([1.0, -2.5, 1.0])), "spacing -2.5 along j is not a positive number"),
        (ask(Sizing::Spacing([f64::NAN, 1.0, 1.0])), "spacing NaN along k is not a positive number"),
        (ask(Sizing::Isotropic(Some(f64::INFINITY))), "spacing inf along k is not a positive number"),
        (ask(Sizing::Size([4, 0, 4])), "size 0 along j is not a positive number"),
        (ask(Sizing::Scale([1.0, 1.0, -1.0])), "scale -1 along i is not a positive number"),
        (ask(Sizing::Spacing([1e-300, 1.0, 1.0])), "along k makes no grid of 120 voxels of 1.5"),
        (ask(Sizing::Size([1, 1 << 40, 1 << 23])), "a target of 8388608 x 1099511627776 x 1 voxels is more than 2^62"),
        (ask(Sizing::Size([u64::MAX; 3])), "is more than 2^62"),
        (crop([0, 5, 0], [1, 5, 1]), "region 5:5 along j is empty"),
        (crop([0, 0, -1], [1, 1, 1]), "region -1:1 along i reaches outside the source, 0:512"),
        (crop([0, 0, 0], [121, 1, 1]), "region 0:121 along k reaches outside the source, 0:120"),
    ] {
        let error = request.resolve(&head()).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
    let flat = steps([4; 3], [0.0, 1.0, 1.0], [0.0; 3]);
    let error = ask(Sizing::Scale([2.0; 3])).resolve(&flat).unwrap_err().to_string();
    assert_eq!(error, "the source's step along k is 0");
}

/// A rotation by a quaternion, its columns permuted, flipped and stretched.
fn any_grid() -> impl Strategy<Value = Grid> {
    let quaternion =
        prop::array::uniform4(-1.0..1.0f64).prop_filter("too short", |q| q.iter().map(|x| x * x).sum::<f64>() > 0.01);
    let steps = prop::array::uniform3(prop_oneof![0.1..5.0f64, -5.0..-0.1f64]);
    let origin = prop::array::uniform3(-500.0..500.0f64);
    (quaternion, steps, 0usize..3, origin, prop::array::uniform3(1u64..300), any::<bool>()).prop_map(
        |(q, steps, turn, origin, shape, straight)| {
            let q = if straight { [1.0, 0.0, 0.0, 0.0] } else { q };
            let norm = q.iter().map(|x| x * x).sum::<f64>().sqrt();
            let [w, x, y, z] = q.map(|x| x / norm);
            let axes = [
                [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y)],
                [2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x)],
                [2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y)],
            ];
            let columns = std::array::from_fn(|a| axes[(a + turn) % 3].map(|x| x * steps[a]));
            Grid::new(shape, Affine::from_columns(columns, origin), Unit::Millimetre)
        },
    )
}

fn any_sizing() -> impl Strategy<Value = Sizing> {
    let factors = || prop::array::uniform3(0.1..10.0f64);
    prop_oneof![
        factors().prop_map(Sizing::Spacing),
        prop::array::uniform3(1u64..500).prop_map(Sizing::Size),
        factors().prop_map(Sizing::Scale),
        prop::option::of(0.1..10.0f64).prop_map(Sizing::Isotropic),
    ]
}

fn any_orientation() -> impl Strategy<Value = Orientation> {
    (0usize..6, prop::array::uniform3(any::<bool>())).prop_map(|(order, flips)| {
        let order = ["012", "021", "102", "120", "201", "210"][order];
        let letter = |c: char| ["LR", "PA", "IS"][c as usize - '0' as usize];
        let code: String =
            order.chars().zip(flips).map(|(c, up)| letter(c).as_bytes()[usize::from(up)] as char).collect();
        code.parse().unwrap()
    })
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|r| (a[r] - b[r]).powi(2)).sum::<f64>().sqrt()
}

/// World position of the point at `fraction` of the field of view on each axis: 0 and 1 are the outer faces.
fn at_fraction(grid: &Grid, fraction: [f64; 3]) -> [f64; 3] {
    grid.index_to_world.apply(std::array::from_fn(|a| grid.shape[a] as f64 * fraction[a] - 0.5))
}

proptest! {
    #[test]
    fn each_alignment_keeps_its_points(source in any_grid(), sizing in any_sizing()) {
        let at = |align| target(&GridRequest { align, ..ask(sizing.clone()) }, &source);
        let (origin, edges, center) = (at(Align::Origin), at(Align::Edges), at(Align::Center));
        prop_assert_eq!(origin.origin(), source.origin());
        for corner in [[0.0; 3], [1.0; 3], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]] {
            prop_assert!(distance(at_fraction(&edges, corner), at_fraction(&source, corner)) < 1e-9);
        }
        prop_assert!(distance(at_fraction(&center, [0.5; 3]), at_fraction(&source, [0.5; 3])) < 1e-9);
        prop_assert_eq!(origin.shape, edges.shape);
        prop_assert_eq!(origin.shape, center.shape);
        for grid in [origin, edges, center] {
            for a in 0..3 {
                let norm = grid.index_to_world.column_norm(a);
                // A step within 1e-6 of the old one keeps the column.
                prop_assert!((grid.spacing()[a] - norm).abs() <= 1e-6 * norm);
                let direction = |g: &Grid| g.index_to_world.column(a).map(|x| x / g.index_to_world.column_norm(a));
                prop_assert!(distance(direction(&grid), direction(&source)) < 1e-12);
            }
        }
    }

    #[test]
    fn orienting_there_and_back_is_the_identity(source in any_grid(), there in any_orientation()) {
        let turned = there.reorient(&source);
        prop_assert_eq!(Orientation::of(&turned), there);
        let back = Orientation::of(&source).reorient(&turned);
        prop_assert_eq!(back.shape, source.shape);
        for a in 0..3 {
            prop_assert_eq!(back.index_to_world.column(a), source.index_to_world.column(a));
        }
        prop_assert!(distance(back.origin(), source.origin()) < 1e-9);
        prop_assert!(Mapping::between(&back, &source).unwrap().mapping.is_identity());
        let Mapping::AxisAligned(axes) = Mapping::between(&turned, &source).unwrap().mapping else {
            return Err(TestCaseError::fail("not axis-aligned"));
        };
        for (axis, (source_axis, flipped)) in axes.iter().zip(there.axes_from(&source)) {
            prop_assert_eq!(axis.source_axis, source_axis);
            let last = (source.shape[source_axis] - 1) as f64;
            let expected = if flipped { (-1.0, last) } else { (1.0, 0.0) };
            prop_assert_eq!((axis.scale, axis.offset), expected);
        }
    }

    #[test]
    fn mappings_keep_world_positions(target in any_grid(), source in any_grid(), p in prop::array::uniform3(0.0..1.0f64)) {
        let index = std::array::from_fn(|a| p[a] * (target.shape[a] - 1) as f64);
        let snapped = Mapping::between(&target, &source).unwrap();
        let reached = source.index_to_world.apply(snapped.mapping.source_index(index));
        let moved: f64 = snapped.removed_voxels * source.spacing().iter().sum::<f64>();
        prop_assert!(snapped.removed_voxels < 4e-4);
        prop_assert!(distance(reached, target.index_to_world.apply(index)) < 1e-9 + moved);
    }

    #[test]
    fn resized_grids_map_axis_by_axis(source in any_grid(), sizing in any_sizing(), orient in prop::option::of(any_orientation())) {
        let grid = target(&GridRequest { orient, ..ask(sizing) }, &source);
        let mapping = Mapping::between(&grid, &source).unwrap().mapping;
        prop_assert!(mapping.is_axis_aligned());
        for (a, wanted) in orient.unwrap_or(Orientation::of(&source)).axes_from(&source).iter().enumerate() {
            let Mapping::AxisAligned(axes) = &mapping else { continue };
            prop_assert_eq!(axes[a].source_axis, wanted.0);
            prop_assert_eq!(axes[a].scale < 0.0, wanted.1);
        }
    }
}
