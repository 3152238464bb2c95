//! Vectors that turn along with their image: by the rotation of the transforms, in the frame that the file says.

use std::{fs, path::PathBuf, sync::atomic::AtomicBool};

use crate::kit::{
    folder::Folder,
    nifti::{Said, samples},
    rng::Rng,
    volumes::{count, random_voxels},
};
use reslice::{
    error::Result,
    geometry::GridRequest,
    job::{GridChoice, Job, PassKind, Request, Summary},
    resample::{Area, KernelShape, LabelWeights, Method},
    transform::TransformRequest,
    voxel::{Dtype, Voxel},
};
use tempfile::TempDir;

const SHAPE: [u64; 3] = [9, 11, 13];
/// Target world to source world: about x by 0.7 and then about z by 0.3, after a stretch along x, y and z.
const ANGLES: (f64, f64) = (0.7, 0.3);

struct Set {
    folder: TempDir,
}

impl Set {
    fn new() -> Set {
        let set = Set { folder: tempfile::tempdir().unwrap() };
        let stretched = rotation().map(|row| [1.2 * row[0], 0.9 * row[1], 1.1 * row[2]]);
        fs::write(set.at("turn.txt"), Said::new(SHAPE).about_centre(stretched)).unwrap();
        set
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn request(&self, input: &str, output: &str) -> Request {
        let mut request = Request::new(self.at(input), self.at(output), 1 << 30, 2);
        request.transforms = vec![TransformRequest::new(self.at("turn.txt"))];
        request.target.overwrite = true;
        request
    }

    fn turning(&self, input: &str, output: &str) -> Request {
        Request { reorient_vectors: true, ..self.request(input, output) }
    }

    /// The vectors of `input`, resampled to `.nii`: x, y and z of each voxel.
    fn vectors(&self, request: Request) -> Vec<[f64; 3]> {
        let path = request.output.clone();
        done(request).unwrap();
        let floats: Vec<f32> =
            samples(&path).chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let n = floats.len() / 3;
        (0..n).map(|i| [i, n + i, 2 * n + i].map(|i| f64::from(floats[i]))).collect()
    }
}

fn rotation() -> [[f64; 3]; 3] {
    let ((a, b), (c, d)) = (ANGLES.0.sin_cos(), ANGLES.1.sin_cos());
    // Rz(0.3) Rx(0.7)
    [[d, -c * b, c * a], [c, d * b, -d * a], [0.0, a, b]]
}

fn done(request: Request) -> Result<Summary> {
    Job::resolve(request)?.run(&AtomicBool::new(false), |_| {})
}

fn vector_file(intent: i32) -> Said {
    Said { intent, ..Said::new(SHAPE).with_outer(&[("c", 3), ("t", 1)]) }
}

fn random(said: &Said) -> Vec<f32> {
    random_voxels(said.samples(), &mut Rng::new("vectors"))
}

fn is_near(a: [f64; 3], b: [f64; 3]) -> bool {
    (0..3).all(|n| (a[n] - b[n]).abs() < 5e-3)
}

#[test]
fn vectors_turn_back_by_the_rotation_of_the_map_to_the_source() {
    let set = Set::new();
    for (intent, signs) in [(1006, [1.0, 1.0, 1.0]), (1007, [-1.0, -1.0, 1.0])] {
        let said = vector_file(intent);
        said.write(&set.at("in.nii"), &random(&said));
        for method in
            [Method::Nearest, Method::Kernel(KernelShape::Linear), Method::Kernel(KernelShape::BSpline { order: 3 })]
        {
            let with = |request: Request| Request { method: Some(method), ..request };
            let plain = set.vectors(with(set.request("in.nii", "plain.nii")));
            let turned = set.vectors(with(set.turning("in.nii", "turned.nii")));
            assert!(plain.iter().zip(&turned).any(|(plain, turned)| !is_near(*plain, *turned)));
            for (plain, turned) in plain.into_iter().zip(turned) {
                let ras: [f64; 3] = std::array::from_fn(|n| signs[n] * plain[n]);
                let back: [f64; 3] = std::array::from_fn(|r| (0..3).map(|c| rotation()[c][r] * ras[c]).sum());
                let expected = std::array::from_fn(|n| signs[n] * back[n]);
                assert!(is_near(turned, expected), "{intent}, {method}: {turned:?}, not {expected:?}");
            }
        }
    }
}

#[test]
fn the_same_vectors_whatever_the_formats_and_threads() {
    let set = Set::new();
    let said = Said { outer: vec![("c", 3), ("t", 2)], ..vector_file(1007) };
    for name in ["in.nii", "in.nii.gz"] {
        said.write(&set.at(name), &random(&said));
    }
    done(set.turning("in.nii", "expected.nii")).unwrap();
    let expected = samples(&set.at("expected.nii"));
    for input in ["in.nii", "in.nii.gz"] {
        for output in ["out.nii", "out.nii.gz", "out.zarr"] {
            for threads in [1, 3] {
                let summary = done(Request { threads, ..set.turning(input, output) }).unwrap();
                assert!(summary.vectors_turned);
                let unpacked = summary.passes[0].kind == PassKind::Unpack;
                assert_eq!((unpacked, summary.scratch_bytes > 0), (input.ends_with("gz"), input.ends_with("gz")));
                let mut copy = Request::new(set.at(output), set.at("copy.nii"), 1 << 30, 1);
                copy.target.overwrite = true;
                done(copy).unwrap();
                let found = samples(&set.at("copy.nii"));
                let volume = 4 * count(SHAPE);
                let same =
                    (0..6).all(|n| found[n * volume..(n + 1) * volume] == expected[n * volume..(n + 1) * volume]);
                assert!(same, "{input} to {output}");
            }
        }
    }
}

#[test]
fn grids_and_scalings_turn_nothing() {
    let set = Set::new();
    let said = vector_file(1007);
    said.write(&set.at("in.nii"), &random(&said));
    fs::write(set.at("larger.txt"), "1.5 0 0 1\n0 0.5 0 2\n0 0 1.25 3\n").unwrap();
    let larger = vec![TransformRequest::new(set.at("larger.txt"))];
    for transforms in [Vec::new(), larger] {
        let rules = GridRequest { orient: Some("LIP".parse().unwrap()), ..GridRequest::default() };
        let grid = GridChoice::Rules(rules);
        let with = |request: Request| Request { transforms: transforms.clone(), grid: grid.clone(), ..request };
        let plain = set.vectors(with(set.request("in.nii", "plain.nii")));
        assert_eq!(set.vectors(with(set.turning("in.nii", "turned.nii"))), plain);
        let job = Job::resolve(with(set.turning("in.nii", "turned.nii"))).unwrap();
        assert!(job.warnings.iter().any(|w| w.contains("turns nothing")), "{:?}", job.warnings);
    }
}

#[test]
fn what_cannot_be_turned_is_refused() {
    let set = Set::new();
    let refusal = |change: &dyn Fn(&mut Request)| {
        let mut request = set.turning("in.nii", "refused.nii");
        change(&mut request);
        let error = done(request).unwrap_err().to_string();
        assert!(!set.at("refused.nii").exists());
        error
    };
    let written = |said: Said| said.write(&set.at("in.nii"), &random(&said));
    let says = |error: String, words: &str| assert!(error.contains(words), "{error}");

    written(vector_file(0));
    says(refusal(&|_| {}), "in.nii does not say that it holds vectors");
    written(Said { intent: 1007, ..Said::new(SHAPE).with_outer(&[("c", 2), ("t", 1)]) });
    says(refusal(&|_| {}), "in.nii does not say that it holds vectors");
    written(Said { slope: Some((2.0, 5.0)), ..vector_file(1007) });
    says(refusal(&|_| {}), "an intercept of 5 does not turn along");
    written(vector_file(1007));
    says(refusal(&|request| request.dtype = Some(Dtype::I16)), "they would be i16");
    for method in [Method::Label(LabelWeights::Linear), Method::Area(Area::Median), Method::Area(Area::Max)] {
        says(
            refusal(&|request| request.method = Some(method)),
            "would take the components of a vector from different voxels",
        );
    }
    let field = TransformRequest::new(set.at("in.nii"));
    says(
        refusal(&|request| request.transforms.push(field.clone())),
        "through a displacement field every voxel has a rotation",
    );
    let list = set.at("list.txt");
    fs::write(&list, "turn.txt\nturn.txt\nturn.txt\n").unwrap();
    says(refusal(&|request| request.transform_list = Some(list.clone())), "does not go with --transform-list");
    let said = vector_file(1007);
    said.write(&set.at("in.nii"), &random_voxels::<i16>(said.samples(), &mut Rng::new("integers")));
    assert_eq!(i16::DTYPE, Dtype::I16);
    says(refusal(&|_| {}), "they would be i16");
    done(Request { dtype: Some(Dtype::F32), ..set.turning("in.nii", "floats.nii") }).unwrap();
}

/// As ITK writes them: the numbers of a vector are the fifth dimension.
#[test]
fn vectors_of_floats_become_nifti_of_five_dimensions() {
    let folder = Folder::new();
    let header = "NRRD0005\ntype: float\ndimension: 4\nspace: LPS\nsizes: 3 2 3 4\nspace directions: none (1,0,0) (0,1,0) (0,0,1)\n\
        kinds: vector domain domain domain\nendian: little\nencoding: raw\n\n";
    let samples: Vec<u8> = (0..72u16).flat_map(|n| f32::from(n).to_le_bytes()).collect();
    std::fs::write(folder.path("v.nrrd"), [header.as_bytes(), &samples].concat()).unwrap();
    let apart: Vec<u8> = (0..72u16).flat_map(|n| f32::from(n % 24 * 3 + n / 24).to_le_bytes()).collect();
    for name in ["v.nii", "v.mha", "w.nii.gz", "w.nii"] {
        let source = if name == "v.mha" || name == "v.nii" { "v.nrrd" } else { "v.mha" };
        folder.run(&["resample", source, name, "-q"]).expect(0);
    }
    folder.run(&["compare", "v.nii", "w.nii.gz"]).expect(0);
    for name in ["v.nii", "w.nii"] {
        let bytes = std::fs::read(folder.path(name)).unwrap();
        let short = |at: usize| i16::from_le_bytes([bytes[at], bytes[at + 1]]);
        assert_eq!([40, 42, 44, 46, 48, 50, 68, 70].map(short), [5, 2, 3, 4, 1, 3, 1007, 16], "{name}");
        assert_eq!(bytes[352..], apart, "{name}");
    }
    // Numbers of voxels that are no vectors of floats have no such form.
    let refused = folder.run(&["resample", "v.nrrd", "x.nii", "--dtype", "i16"]).expect(2);
    assert!(refused.stderr.contains("end the name in .nrrd"), "{}", refused.stderr);
}
