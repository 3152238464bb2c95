//! A transform for each volume of a series: the same as each volume resampled by itself, whatever the formats and the budget.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use crate::kit::{
    counted::Counted,
    nifti::{Said, samples},
    oblique,
    rng::Rng,
    runs::{AMPLE, StrictSink, budget, expected, run_with, smallest_budget},
    timeout::within,
    volumes::{self, count, outer, random_voxels},
};
use reslice::{
    error::Result,
    io::{
        memory::MemorySource,
        view::{
            ViewSource,
            entry::{EntrySink, entry_layout},
        },
    },
    job::{GridChoice, Job, PassKind, PyramidRequest, Request, Summary},
    layout::{Access, Layout, Outer},
    plan::Request as PlanRequest,
    resample::{KernelShape, Method, block_op},
    transform::{ListEntry, TransformList, TransformRequest},
};
use tempfile::TempDir;

const SHAPE: [u64; 3] = [9, 11, 13];
const VOLUMES: u64 = 5;

/// Small rotations and shifts; the second entry is the identity, and the last two are the same.
fn entries(folder: &Path) -> PathBuf {
    let mut rng = Rng::new("entries");
    let mut names = vec!["# motion\n\n".to_string()];
    let mut last = String::new();
    for n in 0..VOLUMES {
        let [a, b, x, y, z] = [0; 5].map(|_| rng.between(-0.2, 0.2));
        let (s, c) = (f64::sin(a), f64::cos(a));
        let (t, d) = (f64::sin(b), f64::cos(b));
        let moved = format!("{c} {} {} {x}\n{s} {} {} {y}\n0 {t} {d} {z}\n", -s * d, s * t, c * d, -c * t);
        last = match n {
            1 => "1 0 0 0\n0 1 0 0\n0 0 1 0\n".into(),
            n if n + 1 == VOLUMES => last,
            _ => moved,
        };
        fs::write(folder.join(format!("moved{n}.txt")), &last).unwrap();
        names.push(format!("  moved{n}.txt{}\n", if n == 2 { ",inverse" } else { "" }));
    }
    let list = folder.join("list.txt");
    fs::write(&list, names.concat()).unwrap();
    list
}

struct Set {
    folder: TempDir,
    list: PathBuf,
    turn: TransformRequest,
}

impl Set {
    fn new() -> Set {
        let folder = tempfile::tempdir().unwrap();
        let list = entries(folder.path());
        let path = folder.path().join("turn.txt");
        let turn = Said::new(SHAPE).about_centre([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]);
        fs::write(&path, turn).unwrap();
        Set { folder, list, turn: TransformRequest::new(path) }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn request(&self, input: &str, output: &str) -> Request {
        let mut request = Request::new(self.at(input), self.at(output), 1 << 30, 2);
        request.transforms = vec![self.turn.clone()];
        request.transform_list = Some(self.list.clone());
        request.method = Some(Method::Kernel(KernelShape::CatmullRom));
        request
    }

    /// `series.nii` and `series.nii.gz`, and what a job on each volume by itself makes of it, as a `.nii` has it.
    fn expected(&self, said: &Said) -> Vec<u8> {
        let voxels = random_voxels::<i16>(said.samples(), &mut Rng::new("series"));
        said.write(&self.at("series.nii"), &voxels);
        said.write(&self.at("series.nii.gz"), &voxels);
        let one = Said { outer: Vec::new(), ..said.clone() };
        let mut expected = Vec::new();
        let list = TransformList::read(&self.list).unwrap();
        for (n, entry) in list.entries.into_iter().enumerate() {
            one.write(&self.at("one.nii"), &voxels[n * one.samples()..(n + 1) * one.samples()]);
            let mut request = self.request("one.nii", "one-out.nii");
            let ListEntry::File(entry) = entry else { panic!("the list names files") };
            // The last one given is nearest the source.
            request.transforms.push(entry);
            request.transform_list = None;
            request.target.overwrite = true;
            done(request).unwrap();
            expected.extend(samples(&self.at("one-out.nii")));
        }
        expected
    }
}

fn done(request: Request) -> Result<Summary> {
    Job::resolve(request)?.run(&AtomicBool::new(false), |_| {})
}

/// A copy as `.nii`, to look at.
fn unpacked(set: &Set, name: &str) -> Vec<u8> {
    let mut request = Request::new(set.at(name), set.at("unpacked.nii"), 1 << 30, 1);
    request.target.overwrite = true;
    done(request).unwrap();
    samples(&set.at("unpacked.nii"))
}

#[test]
fn every_volume_is_resampled_by_its_own_transform() {
    within(120, || {
        let set = Set::new();
        let expected = set.expected(&Said::new(SHAPE).with_outer(&[("t", VOLUMES)]));
        let mut copy = Request::new(set.at("series.nii"), set.at("series.zarr"), 1 << 30, 1);
        copy.target.chunk = Some([4, 5, 6]);
        done(copy).unwrap();
        let mut outside = Vec::new();
        for input in ["series.nii", "series.nii.gz", "series.zarr"] {
            for output in ["out.nii", "out.nii.gz", "out.zarr"] {
                for threads in [1, 3] {
                    let mut request = Request { threads, ..set.request(input, output) };
                    request.target.overwrite = true;
                    let summary = done(request).unwrap();
                    assert!(unpacked(&set, output) == expected, "{input} to {output}");
                    assert_eq!((summary.mapping, summary.passes.len()), ("per_volume", VOLUMES as usize));
                    assert!(summary.passes.iter().enumerate().all(|(n, pass)| pass.volume == Some(n as u64)));
                    outside.push(summary.outside.outside);
                }
            }
        }
        assert!(outside[0] > 0 && outside.iter().all(|&n| n == outside[0]), "{outside:?}");
    });
}

#[test]
fn levels_are_made_of_the_finished_series() {
    let set = Set::new();
    let expected = set.expected(&Said::new(SHAPE).with_outer(&[("t", VOLUMES)]));
    let pyramid = Some(PyramidRequest { levels: Some(2), method: None });
    let summary = done(Request { pyramid, ..set.request("series.nii", "levels.zarr") }).unwrap();
    let kinds: Vec<PassKind> = summary.passes.iter().map(|pass| pass.kind).collect();
    assert_eq!(kinds, [&[PassKind::Resample; VOLUMES as usize][..], &[PassKind::Pyramid; 2]].concat());
    assert!(unpacked(&set, "levels.zarr") == expected);
    assert!(set.at("levels.zarr/2").is_dir());
}

#[test]
fn colours_of_a_volume_have_one_transform() {
    let set = Set::new();
    let list = set.at("two.txt");
    fs::write(&list, "moved0.txt\nmoved3.txt\n").unwrap();
    let said = Said { components: 3, ..Said::new(SHAPE).with_outer(&[("t", 2)]) };
    said.write(&set.at("rgb.nii"), &random_voxels::<u8>(said.samples(), &mut Rng::new("rgb")));
    said.write(&set.at("rgb.nii.gz"), &random_voxels::<u8>(said.samples(), &mut Rng::new("rgb")));
    let run = |input: &str, output: &str| {
        let mut request = Request { transform_list: Some(list.clone()), ..set.request(input, output) };
        request.target.overwrite = true;
        done(request).unwrap();
    };
    run("rgb.nii", "rgb-out.nii");
    let interleaved = samples(&set.at("rgb-out.nii"));
    // By the header beside the levels, time comes before channels.
    let planar: Vec<u8> = (0..3).flat_map(|c| interleaved.iter().skip(c).step_by(3).copied()).collect();
    for input in ["rgb.nii", "rgb.nii.gz"] {
        run(input, "rgb-out.zarr");
        assert!(unpacked(&set, "rgb-out.zarr") == planar, "{input}");
    }
}

#[test]
fn matrices_of_mcflirt_are_found_by_number() {
    let set = Set::new();
    set.expected(&Said::new(SHAPE).with_outer(&[("t", VOLUMES)]));
    let mats = set.at("series.mat");
    fs::create_dir(&mats).unwrap();
    fs::write(mats.join("notes.txt"), "not a matrix").unwrap();
    let mut one_by_one = String::new();
    // Numbers of different lengths: by name, 10 would stand before 2.
    for (n, number) in ["0000", "1", "2", "0010", "00011"].into_iter().enumerate() {
        let matrix = format!("1 0 0 {n}\n0 1 0 0.5\n0 0 1 0\n0 0 0 1\n");
        fs::write(mats.join(format!("MAT_{number}")), &matrix).unwrap();
        fs::write(set.at(&format!("fsl{n}.mat")), &matrix).unwrap();
        one_by_one += &format!("fsl{n}.mat\n");
    }
    fs::write(set.at("fsl.txt"), one_by_one).unwrap();
    let run = |list: &str, output: &str| {
        done(Request { transform_list: Some(set.at(list)), ..set.request("series.nii", output) }).unwrap();
        samples(&set.at(output))
    };
    assert!(run("series.mat", "a.nii") == run("fsl.txt", "b.nii"));
    fs::write(mats.join("MAT_00002"), "1 0 0 0\n0 1 0 0\n0 0 1 0\n").unwrap();
    let error = TransformList::read(&mats).unwrap_err().to_string();
    assert!(error.contains("MAT_00002") && error.contains("expected one matrix for each"), "{error}");
    fs::write(mats.join("MAT_old"), "").unwrap();
    let error = TransformList::read(&mats).unwrap_err().to_string();
    assert!(error.contains("a matrix is MAT_old, expected MAT_ and a number"), "{error}");
}

#[test]
fn lists_that_do_not_fit_are_refused() {
    let set = Set::new();
    set.expected(&Said::new(SHAPE).with_outer(&[("t", VOLUMES)]));
    let refusal = |change: &dyn Fn(&mut Request)| {
        let mut request = set.request("series.nii", "refused.nii");
        change(&mut request);
        let error = done(request).unwrap_err();
        assert!(!set.at("refused.nii").exists());
        error.to_string()
    };
    let list = |text: &str| {
        fs::write(set.at("bad.txt"), text).unwrap();
        let path = set.at("bad.txt");
        refusal(&move |request| request.transform_list = Some(path.clone()))
    };
    let said = list("moved0.txt\nmoved1.txt\n");
    assert!(said.contains("bad.txt has 2 transforms, and the source has 5 volumes"), "{said}");
    let said = list("# nothing\n");
    assert!(said.contains("the transform list is no entries, expected a transform a line"), "{said}");
    let said = list("moved0.txt\nmoved1.txt\nmissing.txt\nmoved1.txt\nmoved1.txt\n");
    assert!(said.contains("missing.txt"), "{said}");
    let field = Said { intent: 1007, ..Said::new(SHAPE).with_outer(&[("c", 3), ("t", 1)]) };
    field.write(&set.at("field.nii"), &vec![0.5f32; field.samples()]);
    let said = list("moved0.txt\nmoved1.txt\nfield.nii\nmoved1.txt\nmoved1.txt\n");
    assert!(said.contains("field.nii, which is no affine, and a list takes affines"), "{said}");
    fs::create_dir(set.at("empty")).unwrap();
    let said = refusal(&|request| request.transform_list = Some(set.at("empty")));
    assert!(said.contains("no files MAT_0000"), "{said}");
    let said = refusal(&|request| request.transform_list = Some(set.at("series.nii")));
    assert!(said.contains("the transform list is no text"), "{said}");
}

#[test]
fn fsl_matrices_of_a_list_speak_of_the_series_unless_a_reference_is_given() {
    let set = Set::new();
    // Neurological storage: FSL counts i from the other end, so that the number of voxels matters.
    let said = Said::new(SHAPE).with_outer(&[("t", 1)]);
    said.write(&set.at("one.nii"), &random_voxels::<i16>(said.samples(), &mut Rng::new("fsl")));
    let wider = Said::new([9, 11, 20]);
    wider.write(&set.at("wider.nii"), &vec![0i16; wider.samples()]);
    fs::write(set.at("a.mat"), "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n").unwrap();
    fs::write(set.at("fsl.txt"), "a.mat\n").unwrap();
    let mapping = |list: bool, like: bool| {
        let mut request = Request::new(set.at("one.nii"), set.at("out.nii"), 1 << 30, 1);
        let path = set.at(if list { "fsl.txt" } else { "a.mat" });
        match list {
            true => request.transform_list = Some(path),
            false => request.transforms = vec![TransformRequest::new(path)],
        }
        if like {
            request.grid = GridChoice::Like { path: set.at("wider.nii"), rules: Default::default() };
        }
        Job::resolve(request).unwrap().op.mapping
    };
    assert_eq!(mapping(true, true), mapping(false, true));
    assert!(!mapping(true, true).is_identity() && mapping(true, false).is_identity());
}

/// Whole runs over views, for every storage.
#[test]
fn views_read_and_write_what_is_theirs_within_any_budget() {
    within(120, || {
        let mut rng = Rng::new("views");
        let all = outer(&[3, 2], &[2, 2]);
        let voxels = random_voxels::<f32>(count(SHAPE) * 6, &mut rng);
        let method = Method::Kernel(KernelShape::Linear);
        let first = oblique::request(method, SHAPE, &mut rng);
        let requests: Vec<_> = (0..6)
            .map(|_| oblique::request(method, SHAPE, &mut rng))
            .map(|other| reslice::resample::OpRequest { mapping: other.mapping, ..first.clone() })
            .collect();
        let wanted: Vec<f32> = requests
            .iter()
            .zip(voxels.chunks_exact(count(SHAPE)))
            .flat_map(|(request, volume)| expected(request, volume, SHAPE))
            .collect();
        let layout = |outer: &Outer, shape, access, chunk| Layout {
            outer: outer.clone(),
            ..volumes::layout(reslice::voxel::Dtype::F32, shape, access, chunk)
        };
        let separate = Outer::separate(all.axes.clone());
        let sources = [
            layout(&separate, SHAPE, Access::Random, [1, 1, 13]),
            layout(&separate, SHAPE, Access::Ascending, [1, 4, 13]),
            layout(&separate, SHAPE, Access::Chunked, [4, 4, 4]),
            layout(&all, SHAPE, Access::Chunked, [5, 3, 6]),
        ];
        let [ty, tx] = [first.target_shape[1], first.target_shape[2]];
        for source in &sources {
            for (access, chunk) in
                [(Access::Random, [1, 1, tx]), (Access::Ascending, [2, ty, tx]), (Access::Chunked, [3, 4, 5])]
            {
                for (threads, tight) in [(1, true), (4, true), (3, false)] {
                    let from = Counted::new(MemorySource::new(source.clone(), voxels.clone()));
                    let to = StrictSink::new(layout(&separate, first.target_shape, access, chunk));
                    for (n, request) in requests.iter().enumerate() {
                        let op = block_op::<f32>(request);
                        let (from, to) = (ViewSource::entry(&from, 6, n as u64), EntrySink::new(&to, 6, n as u64));
                        let [reading, writing] = [source, &layout(&separate, first.target_shape, access, chunk)]
                            .map(|l| entry_layout::<f32>(l, 6));
                        let budget = |memory| budget(memory, threads);
                        let plan = PlanRequest {
                            footprint: op.as_ref(),
                            source: &reading,
                            target: &writing,
                            sample_bytes: 4,
                            budget: budget(0),
                            todo: None,
                        };
                        let memory = if tight { smallest_budget(&plan) } else { AMPLE };
                        run_with(&from, op.as_ref(), &to, budget(memory), &AtomicBool::new(false)).unwrap();
                    }
                    assert!(to.into_voxels() == wanted, "{source:?} to {access:?}");
                }
            }
        }
    });
}
