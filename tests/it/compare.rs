//! `compare` across grids, and `info --stats`.

use reslice::geometry::{Affine, Grid, Unit};
use serde_json::json;

use crate::kit::{folder::Folder, nifti::Said};

const FINE: [u64; 3] = [10, 12, 16];
const COARSE: [u64; 3] = [9, 9, 11];

/// A file of this shape whose voxels are `step` mm apart, the first one at `begin` mm to the left, the front and the head.
fn said(shape: [u64; 3], step: f64, begin: f64) -> Said {
    let columns = [[0.0, 0.0, step], [0.0, step, 0.0], [-step, 0.0, 0.0]];
    Said {
        grid: Grid::new(shape, Affine::from_columns(columns, [-begin, begin, begin]), Unit::Millimetre),
        ..Said::new(shape)
    }
}

/// A value that grows linearly in space, at each voxel.
fn ramp(said: &Said) -> Vec<f32> {
    let [nz, ny, nx] = said.grid.shape;
    let value = |[x, y, z]: [f64; 3]| 3.0 * x - 2.0 * y + 0.5 * z;
    let voxels = (0..nx * ny * nz).map(|n| [n / nx / ny, n / nx % ny, n % nx]);
    voxels.map(|index| value(said.grid.index_to_world.apply(index.map(|n| n as f64))) as f32).collect()
}

#[test]
fn other_grids_are_held_against_each_other_in_space() {
    let folder = Folder::new();
    let (fine, coarse) = (said(FINE, 1.0, 2.0), said(COARSE, 2.0, 0.5));
    fine.write(&folder.path("fine.nii"), &ramp(&fine));
    coarse.write(&folder.path("coarse.nii"), &ramp(&coarse));
    coarse.write(&folder.path("coarse.nii.gz"), &ramp(&coarse));
    for b in ["coarse.nii", "coarse.nii.gz"] {
        let found = folder.run(&["compare", "fine.nii", b, "--json", "--tolerance", "1e-4"]).expect(1).json();
        let differences = &found["differences"];
        assert_eq!((&found["by"], &differences["compared"]), (&json!("place"), &json!(1920)));
        assert_eq!((&differences["nan_in_one"], &differences["beyond"]), (&json!(0), &json!(0)), "{differences}");
        assert!(differences["max_difference"].as_f64().unwrap() < 1e-5, "{differences}");
    }
    let text = folder.run(&["compare", "fine.nii", "coarse.nii", "--tolerance", "1e-4"]).expect(1).stdout;
    assert!(text.contains("different shapes") && text.contains("at the same places"), "{text}");
    assert!(text.contains("none of 1920 differs by more than 0.0001"), "{text}");
    let by_index = folder.run(&["compare", "fine.nii", "coarse.nii", "--by", "index"]).expect(1).stdout;
    assert!(by_index.contains("not compared: their numbers differ"), "{by_index}");
    // A corner of 8 x 4 x 2 voxels lies within this one.
    let beside = said(COARSE, 2.0, 10.2);
    beside.write(&folder.path("beside.nii"), &ramp(&beside));
    let text = folder.run(&["compare", "fine.nii", "beside.nii", "--tolerance", "2"]).expect(1).stdout;
    assert!(text.contains("none of 64 differs by more than 2"), "{text}");
    assert!(text.contains("outside of B or NaN in one of them 1856"), "{text}");
}

#[test]
fn the_largest_difference_is_named_with_its_voxel_and_its_place() {
    let folder = Folder::new();
    let fine = said(FINE, 1.0, 0.5);
    let mut voxels = ramp(&fine);
    fine.write(&folder.path("plain.nii"), &voxels);
    voxels[(4 * 12 + 6) * 16 + 8] += 100.0;
    fine.write(&folder.path("spot.nii"), &voxels);
    for by in ["index", "place"] {
        let found = folder.run(&["compare", "spot.nii", "plain.nii", "--by", by, "--json"]).expect(1).json();
        let largest = &found["differences"]["largest"];
        assert_eq!((&largest["index"], &largest["position"]), (&json!([8, 6, 4]), &json!([-8.5, 6.5, 4.5])), "{by}");
        let signed = found["differences"]["mean_signed_difference"].as_f64().unwrap();
        assert!((signed + 100.0 / 1920.0).abs() < 1e-9, "{by}: {signed}");
    }
    let text = folder.run(&["compare", "spot.nii", "plain.nii"]).expect(1).stdout;
    assert!(text.contains("largest   at voxel 8, 6, 4 of A, -8.5, 6.5, 4.5 mm: 63.75 in A, -36.25 in B"), "{text}");
}

#[test]
fn a_comparison_in_space_keeps_to_its_budget_and_refuses_one_that_is_too_small() {
    let folder = Folder::new();
    let (fine, coarse) = (said(FINE, 1.0, 0.0), said(COARSE, 2.0, 0.5));
    fine.write(&folder.path("fine.nii"), &ramp(&fine));
    coarse.write(&folder.path("coarse.nii"), &ramp(&coarse));
    let arguments = ["compare", "fine.nii", "coarse.nii", "--memory"];
    let refused = folder.run(&[&arguments[..], &["1MiB"]].concat()).expect(2);
    let named = format!("{}MiB", refused.named_mib());
    let found = folder.run(&[&arguments[..], &[named.as_str(), "--json"]].concat()).expect(1).json();
    let bytes = |name: &str| found[name].as_u64().unwrap();
    assert!(bytes("peak_bytes") <= bytes("memory_bytes"), "{found}");
}

#[test]
fn values_are_told_where_they_are_asked_for() {
    let folder = Folder::new();
    let mut voxels = vec![2i16; 20 * 23 * 29];
    voxels[..10].fill(0);
    voxels[5] = 9;
    Said { slope: Some((0.5, 0.0)), ..said([20, 23, 29], 1.0, 0.0) }.write(&folder.path("scan.nii"), &voxels);
    let text = folder.run(&["info", "scan.nii", "--stats"]).expect(0).stdout;
    assert!(text.contains("values    0 to 4.5, mean 0.9996, standard deviation"), "{text}");
    let found = folder.run(&["info", "scan.nii", "--stats", "--json", "--memory", "64MiB"]).expect(0).json();
    assert_eq!((&found["values"]["counted"], &found["values"]["zero"]), (&13340.into(), &9.into()));
    assert_eq!(folder.run(&["info", "scan.nii", "--json"]).expect(0).json()["values"], json!(null));
    let idle = folder.run(&["info", "scan.nii", "--threads", "2"]).expect(2);
    assert!(idle.stderr.contains("--threads does nothing here"), "{}", idle.stderr);
    folder.run(&["info", "scan.nii", "--stats", "--memory", "1MiB"]).expect(2);
}

/// By its header, OME-Zarr made of it has times before channels.
#[test]
fn colours_of_a_series_are_held_against_channels_by_name() {
    let folder = Folder::new();
    let rgb = Said { components: 3, ..said([4, 5, 6], 1.0, 0.0) }.with_outer(&[("t", 2)]);
    let voxels: Vec<u8> = (0..rgb.samples()).map(|n| (n * 7 % 251) as u8).collect();
    rgb.write(&folder.path("rgb.nii"), &voxels);
    rgb.write(&folder.path("rgb.nii.gz"), &voxels);
    folder.run(&["resample", "rgb.nii", "rgb.zarr"]).expect(0);
    for [a, b] in
        [["rgb.nii", "rgb.zarr"], ["rgb.zarr", "rgb.nii"], ["rgb.nii.gz", "rgb.zarr"], ["rgb.zarr", "rgb.nii.gz"]]
    {
        let found = folder.run(&["compare", a, b, "--json"]).expect(0).json();
        assert_eq!(found["differences"]["compared"], 720, "{a} {b}");
    }
}
