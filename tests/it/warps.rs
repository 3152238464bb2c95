//! Warps of FSL and MRtrix: told by their header, their values or a suffix, and refused by name. Their values are held against an evaluation of
//! their rules by `tests/e2e/test_other_warps.py`.

use std::fs;

use crate::kit::{folder::Folder, nifti::Said};

const SHAPE: [u64; 3] = [6, 8, 10];

fn said(intent: i32) -> Said {
    Said { intent, ..Said::new(SHAPE).with_outer(&[("t", 3)]) }
}

fn folder() -> Folder {
    let folder = Folder::new();
    let scan = Said::new(SHAPE);
    scan.write::<f32>(&folder.path("scan.nii"), &(0..480).map(|n| (n * n % 97) as f32).collect::<Vec<_>>());
    folder
}

/// The vectors of a field: `at` of the component and the voxel (i, j, k).
fn vectors(at: impl Fn(usize, [u64; 3]) -> f32) -> Vec<f32> {
    let [nz, ny, nx] = SHAPE;
    let voxels = (0..nz).flat_map(|z| (0..ny).flat_map(move |y| (0..nx).map(move |x| [x, y, z])));
    let voxels: Vec<[u64; 3]> = voxels.collect();
    (0..3).flat_map(|c| voxels.iter().map(|&voxel| at(c, voxel)).collect::<Vec<_>>()).collect()
}

/// FSL's steps of the axes i, j, k.
fn steps() -> [f64; 3] {
    let [k, j, i] = Said::new(SHAPE).grid.spacing();
    [i, j, k]
}

fn run(folder: &Folder, transform: &str, code: i32) -> String {
    folder
        .run(&["resample", "scan.nii", "out.nii", "--like", "scan.nii", "--transform", transform, "--overwrite"])
        .expect(code)
        .stderr
}

#[test]
fn displacements_and_places_of_nothing_leave_an_image_as_it_is() {
    let folder = folder();
    let whole = fs::read(folder.path("scan.nii")).unwrap();
    said(2006).write::<f32>(&folder.path("still.nii.gz"), &vec![0.0; 1440]);
    let flipped = Said::new(SHAPE).grid.index_to_world.determinant() < 0.0;
    let place = |c: usize, voxel: [u64; 3]| {
        let n = if c == 0 && flipped { SHAPE[2] - 1 - voxel[0] } else { voxel[c] };
        (n as f64 * steps()[c]) as f32
    };
    said(2006).write::<f32>(&folder.path("places.nii"), &vectors(place));
    for (name, says) in [("still.nii.gz", "FSL displacement field, src="), ("places.nii", "FSL field of places, src=")]
    {
        for transform in [name.to_string(), format!("{name},inverse"), format!("{name},src=scan.nii")] {
            let told = run(&folder, &transform, 0);
            assert!(told.contains(says), "{told}");
            let found = fs::read(folder.path("out.nii")).unwrap();
            let values = |bytes: &[u8]| -> Vec<f32> { bytemuck::pod_collect_to_vec(&bytes[352..]) };
            let off = values(&found).iter().zip(values(&whole)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 0.01, "{transform}: {off}");
        }
    }
}

#[test]
fn what_cannot_be_told_is_asked_for() {
    let folder = folder();
    said(0).write::<f32>(&folder.path("bare.nii"), &vec![0.0; 1440]);
    let told = run(&folder, "bare.nii", 1);
    assert!(told.contains("does not say whether they are a field, and of whom"), "{told}");
    assert!(told.contains("--transform bare.nii,ras for a warp of MRtrix") || told.contains("bare.nii,ras"), "{told}");
    assert!(run(&folder, "bare.nii,ras", 0).contains("displacement field, RAS"));
    assert!(run(&folder, "bare.nii,fsl", 0).contains("FSL displacement field"));
    // Places along one axis only.
    said(2006).write::<f32>(&folder.path("mixed.nii"), &vectors(|c, voxel| if c == 1 { voxel[1] as f32 } else { 0.0 }));
    let told = run(&folder, "mixed.nii", 1);
    assert!(told.contains("rises with the voxels along 1 of 3 axes"), "{told}");
    said(2006).write::<f32>(&folder.path("warp.nii"), &vec![0.0; 1440]);
    let args = ["resample", "scan.nii", "out.nii", "--transform", "warp.nii", "--transform", "warp.nii", "--overwrite"];
    let told = folder.run(&args).expect(2).stderr;
    assert!(told.contains("name applywarp's -i: --transform") && told.contains("warp.nii,src=IN.nii"), "{told}");
    let told = run(&folder, "warp.nii,ref=scan.nii", 2);
    assert!(
        told.contains("is a field, which lies on the voxels of its reference") && told.contains("leave them out"),
        "{told}"
    );
    for (intent, says) in [(2008, "of FSL (intent_code 2008)"), (2009, "of FSL (intent_code 2009)")] {
        said(intent).write::<f32>(&folder.path("dct.nii"), &vec![0.0; 1440]);
        assert!(run(&folder, "dct.nii", 1).contains(says));
    }
    // Coefficients of another reference.
    said(2007).write::<f32>(&folder.path("coefficients.nii"), &vec![0.0; 1440]);
    let told = run(&folder, "coefficients.nii", 1);
    assert!(told.contains("the reference is"), "{told}");
}

/// Headers with any byte changed: an answer, and no panic.
#[test]
fn damaged_headers_are_errors_or_fields() {
    let folder = folder();
    for intent in [2006, 2007] {
        said(intent).write::<f32>(&folder.path("whole.nii"), &vec![f32::NAN; 1440]);
        let whole = fs::read(folder.path("whole.nii")).unwrap();
        for at in (40..340).step_by(3) {
            let mut damaged = whole.clone();
            damaged[at] ^= if at % 2 == 0 { 0x80 } else { 0x7f };
            fs::write(folder.path("warp.nii"), &damaged).unwrap();
            let answer = folder.run(&[
                "resample",
                "scan.nii",
                "out.nii",
                "--like",
                "scan.nii",
                "--transform",
                "warp.nii",
                "--dry-run",
            ]);
            assert!((0..=2).contains(&answer.code) && !answer.stderr.contains("panicked"), "{at}: {}", answer.stderr);
        }
    }
}
