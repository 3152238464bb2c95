//! ITK's transforms in HDF5: composites, and displacement fields within them.

use std::path::{Path, PathBuf};

use hdf5_pure::FileBuilder;
use reslice::{
    block::BlockMut,
    geometry::Affine,
    io::{
        input::{Input, IoMode},
        zarr::OpenOptions,
    },
    points::PointMap,
    region::Region,
    transform::{By, Chain, Convention, Displacing, Map, Transform, TransformRequest},
};

/// x, y, z of a field with steps of 2, 3 and 4 mm from (10, 20, 30) LPS, turned about z by a quarter.
const SIZE: [usize; 3] = [4, 3, 5];
const SHIFT: [f64; 12] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 5.0, 6.0, 7.0];
const SCALE: [f64; 12] = [2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0];

/// One transform of a file: its class, fixed parameters and parameters.
pub(crate) struct Group<'a> {
    pub class: &'a str,
    pub fixed: Vec<f64>,
    pub parameters: Vec<f64>,
}

impl<'a> Group<'a> {
    fn affine(parameters: [f64; 12]) -> Group<'a> {
        Group { class: "AffineTransform_double_3_3", fixed: vec![0.0; 3], parameters: parameters.to_vec() }
    }

    fn composite() -> Group<'a> {
        Group { class: "CompositeTransform_double_3_3", fixed: Vec::new(), parameters: Vec::new() }
    }

    /// On the grid of the field.
    fn spline() -> Group<'a> {
        let mut fixed = Group::field().fixed;
        fixed[..3].fill(4.0);
        Group { class: "BSplineTransform_double_3_3", fixed, parameters: vec![0.5; 192] }
    }

    fn field() -> Group<'a> {
        let [x, y, z] = SIZE.map(|n| n as f64);
        let fixed = vec![x, y, z, 10.0, 20.0, 30.0, 2.0, 3.0, 4.0, 0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        let parameters = (0..3 * SIZE.iter().product::<usize>()).map(|n| n as f64 / 4.0).collect();
        Group { class: "DisplacementFieldTransform_double_3_3", fixed, parameters }
    }
}

/// How a file is written.
#[derive(Clone, Copy)]
struct Style {
    single: bool,
    /// Numbers in a chunk, deflated.
    chunk: Option<u64>,
    /// As older files spell it.
    misspelt: bool,
}

const PLAIN: Style = Style { single: false, chunk: None, misspelt: false };

fn file(groups: &[Group<'_>], style: Style) -> Vec<u8> {
    let mut builder = FileBuilder::new();
    let mut all = builder.create_group("TransformGroup");
    for (n, of) in groups.iter().enumerate() {
        let mut group = all.create_group(&n.to_string());
        group.create_dataset("TransformType").with_vlen_strings(&[of.class]);
        let word = if style.misspelt { "Tranform" } else { "Transform" };
        if !of.fixed.is_empty() {
            group.create_dataset(&format!("{word}FixedParameters")).with_f64_data(&of.fixed);
        }
        if !of.parameters.is_empty() {
            let dataset = group.create_dataset(&format!("{word}Parameters"));
            match style.single {
                true => dataset.with_f32_data(&of.parameters.iter().map(|&x| x as f32).collect::<Vec<_>>()),
                false => dataset.with_f64_data(&of.parameters),
            };
            if let Some(chunk) = style.chunk.filter(|&chunk| chunk <= of.parameters.len() as u64) {
                dataset.with_shape(&[of.parameters.len() as u64]).with_chunks(&[chunk]).with_deflate(5);
            }
        }
        all.add_group(group.finish());
    }
    builder.add_group(all.finish());
    builder.finish().unwrap()
}

/// A file of one affine, which the tests of all formats damage too.
pub(crate) fn affine_file() -> Vec<u8> {
    file(&[Group::affine([1.0, 0.5, 0.0, 0.0, 1.0, 0.25, 0.0, 0.0, 2.0, 3.0, 4.0, 5.0])], PLAIN)
}

fn put(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn read(path: &Path) -> reslice::Result<Transform> {
    Transform::read(&TransformRequest::new(path), None)
}

#[test]
fn the_last_part_of_a_composite_meets_the_point_first() {
    let folder = tempfile::tempdir().unwrap();
    for misspelt in [false, true] {
        let bytes =
            file(&[Group::composite(), Group::affine(SCALE), Group::affine(SHIFT)], Style { misspelt, ..PLAIN });
        let path = put(&folder, "a.h5", &bytes);
        let chain = Chain::read(&[TransformRequest::new(&path)], None).unwrap();
        // Shifted by -5, -6, 7 in RAS, then scaled.
        assert_eq!(chain.affine().unwrap().apply([0.0; 3]), [-10.0, -12.0, 14.0]);
        let kinds = vec!["AffineTransform".to_string(); 2];
        assert_eq!(chain.steps[0].convention, Convention::ItkComposite { parts: kinds });
        let inverse = TransformRequest { inverse: true, ..TransformRequest::new(&path) };
        let back = Chain::read(&[inverse], None).unwrap().affine().unwrap();
        assert_eq!(back.apply([-10.0, -12.0, 14.0]), [0.0; 3]);
    }
}

#[test]
fn a_transform_that_stands_alone_is_one_map() {
    let folder = tempfile::tempdir().unwrap();
    let path = put(&folder, "a.h5", &file(&[Group::affine(SHIFT)], PLAIN));
    let Transform { maps, convention } = read(&path).unwrap();
    let expected = Affine::from_columns([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [-5.0, -6.0, 7.0]);
    assert_eq!((maps, convention), (vec![Map::Affine(expected)], Convention::Itk));
}

#[test]
fn a_field_in_a_composite_is_an_image_of_three_volumes() {
    let folder = tempfile::tempdir().unwrap();
    let styles = [
        PLAIN,
        Style { single: true, ..PLAIN },
        Style { chunk: Some(7), ..PLAIN },
        Style { single: true, chunk: Some(64), ..PLAIN },
    ];
    for style in styles {
        let groups = [Group::composite(), Group::affine(SCALE), Group::field(), Group::affine(SHIFT)];
        let path = put(&folder, "a.h5", &file(&groups, style));
        let place = PathBuf::from(format!("{}?transform=2", path.display()));
        let maps = read(&path).unwrap().maps;
        assert!(
            matches!(&maps[..], [Map::Affine(_), Map::Displacing(field), Map::Affine(_)] if *field == Displacing::field(place.clone())),
            "{maps:?}"
        );
        let chain = Chain::read(&[TransformRequest::new(&path)], None).unwrap();
        let before = chain.moves[0].before.apply([0.0; 3]);
        assert_eq!((before, chain.after.apply([1.0; 3])), ([-5.0, -6.0, 7.0], [2.0; 3]));
        assert_eq!((chain.moves.len(), chain.moves[0].step), (1, 0));
        for name in [&path, &place] {
            check_vectors(name);
        }
    }
}

/// The geometry in RAS, and every vector in its place.
fn check_vectors(path: &Path) {
    let input = Input::open(path, &OpenOptions::default()).unwrap();
    let layout = input.layout();
    assert_eq!((layout.grid.shape, layout.outer.volumes()), ([5, 3, 4], 3));
    // Along x the field goes by 2 mm towards LPS y, which is posterior.
    assert_eq!(layout.grid.index_to_world.apply([0.0, 0.0, 0.0]), [-10.0, -20.0, 30.0]);
    assert_eq!(layout.grid.index_to_world.apply([1.0, 0.0, 1.0]), [-10.0, -22.0, 34.0]);
    let source = input.source::<f64>(input.conversion(), IoMode::Auto).unwrap();
    let all = Region::of_shape(layout.grid.shape);
    let mut voxels = vec![0.0; 3 * all.voxels() as usize];
    source.read(0, BlockMut::new(all, 3, &mut voxels)).unwrap();
    for (component, volume) in voxels.chunks_exact(60).enumerate() {
        for (n, &value) in volume.iter().enumerate() {
            assert_eq!(value, (3 * n + component) as f64 / 4.0);
        }
    }
}

#[test]
fn a_spline_is_held_and_has_an_inverse() {
    let folder = tempfile::tempdir().unwrap();
    for style in [PLAIN, Style { single: true, chunk: Some(64), ..PLAIN }] {
        let path = put(&folder, "a.h5", &file(&[Group::composite(), Group::spline(), Group::affine(SCALE)], style));
        for inverse in [false, true] {
            let request = TransformRequest { inverse, ..TransformRequest::new(&path) };
            let mut chain = Chain::read(&[request], None).unwrap();
            let By::Spline(of) = &chain.moves[0].what.by else { panic!("{:?}", chain.moves) };
            // The domain is a voxel smaller on either side.
            let at = of.spline.at([1.5, 1.0, 2.0]).unwrap();
            assert!(at.iter().all(|x| (x - 0.5).abs() < 1e-12), "{at:?}");
            assert_eq!(of.spline.at([0.5, 1.0, 2.0]), None);
            let middle = of.grid.world_to_index.inverse().unwrap().apply([1.5; 3]);
            let there = if inverse { middle } else { middle.map(|x| x / 2.0) };
            let mut points = [there];
            assert_eq!(PointMap::open(&mut chain).unwrap().send(&mut points).unwrap(), 0);
            let moved = [-0.5, -0.5, 0.5].map(|x| if inverse { -x } else { x });
            let scale = if inverse { 0.5 } else { 1.0 };
            let expected = [0, 1, 2].map(|a| scale * (middle[a] + moved[a]));
            assert!((0..3).all(|a| (points[0][a] - expected[a]).abs() < 1e-9), "{points:?} is not {expected:?}");
        }
    }
}

#[test]
fn what_is_not_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let says = |groups: &[Group<'_>], words: &[&str]| {
        let path = put(&folder, "a.h5", &file(groups, PLAIN));
        let error = Chain::read(&[TransformRequest::new(&path)], None).unwrap_err();
        let text = format!("{error} {}", error.hint().unwrap_or_default());
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    let of = |class: &'static str| Group { class, ..Group::affine(SHIFT) };
    let spline = |class: &'static str| Group { class, ..Group::spline() };
    says(&[spline("BSplineTransform_double_3_3_2")], &["order 2", "TransformToDisplacementField"]);
    says(&[spline("BSplineTransform_double_2_2")], &["3 dimensions"]);
    says(&[of("GaussianExponentialDiffeomorphicTransform_double_3_3")], &["Gaussian", "TransformToDisplacementField"]);
    says(&[Group::composite(), Group { parameters: SHIFT.to_vec(), ..Group::spline() }], &["12 coefficients", "grid"]);
    says(&[Group::affine(SHIFT), Group::affine(SHIFT)], &["2 transforms", "--transform-list"]);
    let many: Vec<Group<'_>> = std::iter::once(Group::composite()).chain((0..17).map(|_| Group::field())).collect();
    says(&many, &["17 displacements, of which 16 are taken"]);
    says(&[Group::composite()], &["without parts"]);
    says(&[], &["TransformGroup"]);
    let affine = put(&folder, "c.h5", &affine_file());
    let error = Input::open(&affine, &OpenOptions::default()).unwrap_err();
    assert!(error.to_string().contains("AffineTransform") && error.hint().unwrap().contains("--transform"), "{error}");
}

#[test]
fn sizes_that_lie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (at, value) in
        [(0, 5.0), (0, 1e300), (1, 0.0), (2, 1.5), (1, f64::NAN), (6, 0.0), (9, f64::INFINITY), (3, f64::NAN)]
    {
        let mut field = Group::field();
        field.fixed[at] = value;
        let path = put(&folder, "a.h5", &file(&[field], PLAIN));
        let error = Input::open(&path, &OpenOptions::default()).unwrap_err();
        assert!(error.to_string().contains("/TransformGroup/0"), "{error}");
    }
    let field = Group { fixed: vec![1.0; 17], ..Group::field() };
    let path = put(&folder, "a.h5", &file(&[field], PLAIN));
    assert!(Input::open(&path, &OpenOptions::default()).unwrap_err().to_string().contains("17 fixed parameters"));
}

#[test]
fn damaged_fields_are_an_error_or_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = file(&[Group::composite(), Group::field()], Style { chunk: Some(32), single: true, ..PLAIN });
    let path = folder.path().join("a.h5");
    for n in 0..bytes.len() {
        if n % 16 == 0 {
            std::fs::write(&path, &bytes[..n]).unwrap();
            let _ = Input::open(&path, &OpenOptions::default());
        }
        let mut damaged = bytes.clone();
        damaged[n] ^= [0x01, 0x80, 0xff][n % 3];
        std::fs::write(&path, &damaged).unwrap();
        let Ok(input) = Input::open(&path, &OpenOptions::default()) else { continue };
        let layout = input.layout();
        assert!(layout.grid.shape.iter().product::<u64>() <= bytes.len() as u64, "{:?}", layout.grid.shape);
        let source = input.source::<f32>(input.conversion(), IoMode::Auto).unwrap();
        let chunk = layout.chunk_region([0; 3]);
        let mut voxels = vec![0.0; 3 * chunk.voxels() as usize];
        let _ = source.read(0, BlockMut::new(chunk, 3, &mut voxels));
    }
}
