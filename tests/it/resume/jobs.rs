//! The sources and targets of these tests, and how runs of them end early.

use super::*;

pub(super) const SHAPE: [u64; 3] = [41, 67, 59];

/// Sources, and how they become targets.
pub(super) struct Set {
    pub folder: tempfile::TempDir,
}

/// One kind of target of one kind of source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub input: &'static str,
    pub output: &'static str,
    pub adapt: fn(&mut Request),
}

pub(super) fn small_shards(request: &mut Request) {
    request.target.chunk = Some([8, 8, 16]);
    request.target.shard = Some(Some([16, 32, 32]));
}

pub(super) fn chunks(request: &mut Request) {
    request.target.chunk = Some([8, 16, 16]);
    request.target.shard = Some(None);
}

pub(super) fn plain(request: &mut Request) {
    // Large samples: several blocks and units.
    request.dtype = Some(Dtype::F64);
}

pub(super) fn bgzf(request: &mut Request) {
    plain(request);
    request.target.framing = Some(Framing::Bgzf { level: 1 });
}

pub(super) fn floats(request: &mut Request) {
    request.dtype = Some(Dtype::F32);
}

pub(super) fn cubic(request: &mut Request) {
    plain(request);
    request.method = Some(Method::Kernel(KernelShape::CatmullRom));
}

pub(super) fn pyramid(request: &mut Request) {
    small_shards(request);
    request.pyramid = Some(PyramidRequest { levels: Some(2), method: None });
}

pub(super) fn chunk_pyramid(request: &mut Request) {
    chunks(request);
    request.pyramid = Some(PyramidRequest { levels: Some(2), method: None });
}

pub(super) const CASES: [Case; 14] = [
    Case { input: "a.nii", output: "out.nii", adapt: plain },
    Case { input: "a.nii.gz", output: "out.nii", adapt: cubic },
    Case { input: "a.nii", output: "out.nii.gz", adapt: plain },
    Case { input: "a.nii.gz", output: "out.nii.gz", adapt: bgzf },
    Case { input: "a.zarr", output: "out.nii.gz", adapt: plain },
    Case { input: "a.zarr", output: "out.hdr", adapt: plain },
    Case { input: "a.nii.gz", output: "out.zarr", adapt: small_shards },
    Case { input: "a.zarr", output: "out.zarr", adapt: small_shards },
    Case { input: "series.nii", output: "out.zarr", adapt: chunks },
    Case { input: "series.nii.gz", output: "out.nii.gz", adapt: plain },
    Case { input: "a.nii", output: "out.nrrd", adapt: plain },
    Case { input: "a.nii.gz", output: "out.mha", adapt: plain },
    Case { input: "a.nii", output: "out.mhd", adapt: plain },
    Case { input: "series.nii.gz", output: "out.mgz", adapt: floats },
];
pub(super) const PYRAMIDS: [Case; 2] = [
    Case { input: "a.nii", output: "out.zarr", adapt: pyramid },
    Case { input: "a.zarr", output: "out.zarr", adapt: chunk_pyramid },
];

impl Set {
    pub(super) fn new() -> Set {
        let folder = tempfile::tempdir().unwrap();
        let (said, mut rng) = (Said::new(SHAPE), Rng::new("resume"));
        let series = Said::new([17, 31, 29]).with_outer(&[("t", 3)]);
        for (name, said) in [("a", &said), ("series", &series)] {
            let mut voxels = random_voxels::<u16>(said.samples(), &mut rng);
            // Some of it is fill, and left out of chunked targets.
            let (from, to) = (voxels.len() / 3, voxels.len() / 2);
            voxels[from..to].fill(0);
            for ending in ["nii", "nii.gz"] {
                said.write(&folder.path().join(format!("{name}.{ending}")), &voxels);
            }
        }
        let set = Set { folder };
        let mut request = set.request("a.nii", "a.zarr", 1 << 30, 2);
        request.grid = GridChoice::Rules(GridRequest::default());
        request.target = TargetOptions { chunk: Some([8, 16, 16]), shard: Some(None), ..TargetOptions::default() };
        run(request, usize::MAX).unwrap();
        set
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn request(&self, input: &str, output: &str, memory_bytes: u64, threads: usize) -> Request {
        let mut request = Request::new(self.at(input), self.at(output), memory_bytes, threads);
        let sizing = Sizing::Scale([1.3, 0.9, 1.1]);
        request.grid = GridChoice::Rules(GridRequest { sizing, ..GridRequest::default() });
        request
    }

    pub(super) fn of(&self, case: Case, memory_bytes: u64, threads: usize) -> Request {
        let mut request = self.request(case.input, case.output, memory_bytes, threads);
        (case.adapt)(&mut request);
        request.resume = true;
        request
    }

    /// What one run from end to end makes.
    pub(super) fn expected(&self, case: Case) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut request = self.of(case, 1 << 30, 2);
        request.resume = false;
        run(request, usize::MAX).unwrap();
        let made = self.take(case);
        assert!(!self.state(case).exists(), "{case:?}");
        made
    }

    pub(super) fn state(&self, case: Case) -> PathBuf {
        self.at(&format!("{}.reslice", case.output))
    }

    /// The target's files, which are removed, and the note of its job with them.
    pub(super) fn take(&self, case: Case) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.file_name().unwrap().to_str().unwrap().to_string();
            if !name.starts_with("out.") || name.ends_with(".reslice") {
                continue;
            }
            if entry.is_dir() {
                files(&entry, &entry, &mut found);
                fs::remove_dir_all(&entry).unwrap();
            } else {
                found.insert(name.into(), fs::read(&entry).unwrap());
                fs::remove_file(&entry).unwrap();
            }
        }
        let left =
            |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
        if self.state(case).exists() {
            let notes = left(&self.state(case));
            assert!(notes.len() == 1 && notes[0].to_str().unwrap().ends_with("finished.json"), "{case:?}: {notes:?}");
            fs::remove_dir_all(self.state(case)).unwrap();
        }
        found
    }
}

pub(super) fn files(root: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files(root, &path, found);
        } else {
            found.insert(path.strip_prefix(root).unwrap().to_path_buf(), fs::read(&path).unwrap());
        }
    }
}

/// Runs a job until so many blocks of any pass are done; to its end where there are not as many.
pub(super) fn run(request: Request, most_blocks: usize) -> Result<Summary> {
    let (stop, mut blocks) = (AtomicBool::new(false), 0);
    let mut last = 0;
    Job::resolve(request)?.run(&stop, |event| {
        if let Event::Progress { progress, .. } = event {
            blocks += progress.blocks_done.saturating_sub(last);
            last = progress.blocks_done;
            stop.store(blocks as usize >= most_blocks, Ordering::SeqCst);
        }
    })
}

/// The same, ended by a panic: nothing is put on record any more.
pub(super) fn killed(request: Request, most_blocks: u64) {
    let stop = AtomicBool::new(false);
    let job = Job::resolve(request).unwrap();
    let run = || {
        job.run(&stop, |event| {
            if let Event::Progress { progress, .. } = event {
                assert!(progress.blocks_done < most_blocks, "killed");
            }
        })
    };
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
}

/// Memory that jobs of this size find narrow, or not, beside what the tests hold.
pub(super) fn memory(rng: &mut Rng) -> u64 {
    reslice::sys::resident().now_bytes + ((300 + rng.below(300)) << 20)
}
