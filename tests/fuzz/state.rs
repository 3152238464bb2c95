//! A run that goes on where another was killed, over a folder one file of which is anything: it fails with an error, or the
//! target is right; and nothing beside the target is touched.

use std::{
    cell::RefCell,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::{Duration, SystemTime},
};

use reslice::{Error, Job, Request, Summary, job::TargetOptions, rank::Rank};

use super::{
    choosing, chosen,
    journal::summed,
    kit::nifti::Said,
    reading::{in_folder, put},
};

const NAMES: [&str; 3] = ["out.zarr", "out.nii", "out.nii.gz"];
/// What is changed; of the journal's lines also with right checksums.
const FILES: [&str; 6] = ["journal-a", "journal-a", "job.json", "ranks.json", "finished.json", "lease-0-of-1"];
const SUMMED: usize = 1;
const FINISHED: usize = 4;
const PRECIOUS: &[u8] = b"not yours";

/// A folder as the first of two ranks left it, and the whole target.
#[derive(Clone)]
struct Begun {
    files: Vec<(PathBuf, Vec<u8>)>,
    whole: Vec<(PathBuf, Vec<u8>)>,
}

thread_local! {
    static BEGUN: RefCell<[Option<Begun>; 3]> = const { RefCell::new([None, None, None]) };
}

pub(super) fn body(bytes: &[u8]) {
    let (kind, bytes) = chosen(bytes, NAMES.len() * FILES.len());
    let (name, file) = (kind / FILES.len(), kind % FILES.len());
    in_folder(|folder| {
        let begun = BEGUN.with_borrow_mut(|all| all[name].get_or_insert_with(|| begin(folder, name)).clone());
        let folder = &folder.join("resumed");
        let _ = fs::remove_dir_all(folder);
        source(folder);
        put(&folder.join("precious"), PRECIOUS);
        begun.files.iter().for_each(|(path, bytes)| put(&folder.join(path), bytes));
        let state = folder.join(format!("{}.reslice", NAMES[name]));
        if name == 0 {
            put(&state.join("target/0/c/0/0/1.a.part"), &[7; 64]);
            put(&state.join("target/0/c/0/0/1.a.side"), &[7; 64]);
        }
        put(&state.join(FILES[file]), &if file == SUMMED { summed(bytes) } else { bytes.to_vec() });
        let old = SystemTime::now() - Duration::from_secs(600);
        File::options().write(true).open(state.join(FILES[file])).unwrap().set_modified(old).unwrap();

        let outcome = run(folder, name, None);
        assert!(!matches!(outcome, Err(Error::Panic { .. })), "{outcome:?}");
        assert_eq!(fs::read(folder.join("precious")).unwrap(), PRECIOUS, "{outcome:?}");
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.retain(|found| !found.to_string_lossy().starts_with(NAMES[name]));
        assert_eq!(names.len(), 2, "{names:?}");
        // Whoever writes right checksums, or the note that all is done, can say that anything is stored.
        if outcome.is_ok() && file != SUMMED && file != FINISHED {
            let found = all_files(folder, &folder.join(NAMES[name]));
            let differs = |file: &&(PathBuf, Vec<u8>)| !found.contains(file) || !begun.whole.contains(file);
            let other: Vec<_> = found.iter().chain(&begun.whole).filter(differs).map(|(path, _)| path).collect();
            assert!(other.is_empty(), "{other:?}");
        }
    });
}

/// The same source each time, of the same age: a run goes on with its own job only.
fn source(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let path = folder.join("source.nii");
    let said = Said::new([4, 8, 8]);
    said.write::<u16>(&path, &(0..256).collect::<Vec<_>>());
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
}

fn begin(folder: &Path, name: usize) -> Begun {
    let folder = &folder.join(format!("begun-{name}"));
    let _ = fs::remove_dir_all(folder);
    source(folder);
    run(folder, name, Some(Rank { index: 0, of: 2 })).unwrap();
    let files = all_files(folder, &folder.join(format!("{}.reslice", NAMES[name])));
    run(folder, name, None).unwrap();
    Begun { files, whole: all_files(folder, &folder.join(NAMES[name])) }
}

fn run(folder: &Path, name: usize, rank: Option<Rank>) -> reslice::Result<Summary> {
    let target = TargetOptions { chunk: Some([2, 4, 4]), shard: Some(Some([4, 8, 4])), ..TargetOptions::default() };
    let (input, output) = (folder.join("source.nii"), folder.join(NAMES[name]));
    let request = Request { target, resume: true, rank, ..Request::new(input, output, 256 << 20, 1) };
    Job::resolve(request)?.run(&AtomicBool::new(false), |_| {})
}

/// Files at or below `path` with their bytes, named from `folder` on.
fn all_files(folder: &Path, path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut found, mut open) = (Vec::new(), vec![path.to_path_buf()]);
    while let Some(path) = open.pop() {
        match path.is_dir() {
            true => open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path())),
            false => found.push((path.strip_prefix(folder).unwrap().into(), fs::read(&path).unwrap())),
        }
    }
    found.sort();
    found
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let mut seeds = Vec::new();
    let by_hand = [
        "C 0 0 0 0 4 2 4 8 0 part 0 20 0/c/0/0/1\nC 0 0 0 4 4 2 8 8 1 side 0 20 0/c/0/0/1",
        "C 0 0 0 0 4 2 4 8 0 part 0 5 ../../precious\nC 0 0 0 0 4 2 4 8 0 part 0 5 /tmp/precious",
        "R 0 0 0 0 0 4 8 8 0\nR 0 0 0 0 4 4 8 8 0\nR 7 9 0 0 0 4 8 8 0",
        "U 0 0 0 50 3 140\nU 1 0 50 20 1 140",
    ];
    for name in 0..NAMES.len() {
        let begun = begin(folder.path(), name);
        for (path, bytes) in &begun.files {
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            let number = FILES.iter().position(|known| file.starts_with(known.split('-').next().unwrap()));
            let Some(number) = number.filter(|_| !file.starts_with("lease")) else { continue };
            seeds.push(choosing(name * FILES.len() + number, bytes));
            if number == 0 {
                let text = String::from_utf8(bytes.clone()).unwrap();
                let lines: Vec<&str> = text.lines().filter_map(|line| line.get(9..)).collect();
                seeds.push(choosing(name * FILES.len() + SUMMED, lines.join("\n")));
            }
            if number == 2 {
                // A note that all is done.
                seeds.push(choosing(name * FILES.len() + FINISHED, bytes));
            }
        }
        seeds.extend(by_hand.map(|text| choosing(name * FILES.len() + SUMMED, text)));
        let lease = r#"{"host":"node7","boot":"b","namespace":"n","pid":7,"started":3,"writer":"node7-7-0-0","of":1}"#;
        seeds.push(choosing(name * FILES.len() + 5, lease));
    }
    seeds
}
