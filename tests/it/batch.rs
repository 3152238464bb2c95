//! `reslice batch` as its users meet it: the same bytes as one by one, one budget, refusals, failures, and stops.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Condvar, Mutex, atomic::AtomicBool},
    time::Duration,
};

use crate::kit::folder::{Answer, Folder};
use reslice::{
    GridRequest, Request,
    job::{Batch, Event, GridChoice, Outcome},
    transform::TransformRequest,
};
use serde_json::Value;

impl Answer {
    fn says(&self, words: &str) {
        assert!(self.stderr.contains(words), "no '{words}' in: {}", self.stderr);
    }
}

impl Folder {
    fn table(&self, rows: &[&str]) {
        fs::write(self.path("jobs.tsv"), rows.join("\n") + "\n").unwrap();
    }

    fn summaries(&self, name: &str) -> Vec<Value> {
        let text = fs::read(self.path(name)).unwrap();
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&text)))
    }

    /// Names that end so, sorted.
    fn names(&self, ending: &str) -> Vec<String> {
        let names = fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(ending)).collect();
        names.sort();
        names
    }
}

/// Every file below a path, with its bytes.
fn bytes_below(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    if path.is_file() {
        return vec![(PathBuf::new(), fs::read(path).unwrap())];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let name = PathBuf::from(entry.unwrap().file_name());
        found.extend(bytes_below(&path.join(&name)).into_iter().map(|(rest, bytes)| (name.join(rest), bytes)));
    }
    found.sort();
    found
}

#[test]
fn a_batch_writes_the_bytes_of_its_jobs_one_by_one() {
    let folder = Folder::new();
    folder.phantom("a.nii", [20, 23, 29]);
    folder.phantom("b.nii.gz", [31, 37, 41]);
    let jobs = [
        ("a.nii", "a.nii.gz", &["--spacing", "0.6"][..]),
        ("b.nii.gz", "b.ome.zarr", &["--scale", "1.3", "--interp", "cubic", "--pyramid=1", "--chunk", "16"]),
        ("b.nii.gz", "c.hdr", &["--like", "a.nii", "--interp", "nearest", "--outside", "7"]),
        ("a.nii", "d.nii", &["--size", "17", "--antialias", "--dtype", "f32"]),
    ];
    for (input, output, options) in jobs {
        let alone = format!("alone-{output}");
        folder.run(&[&["resample", input, &alone, "--threads", "2", "-q"], options].concat()).expect(0);
    }
    folder.table(&[
        "# a set of scans",
        "input\toutput\tspacing\tscale\tsize\tlike\tinterp\tpyramid\tchunk\toutside\tantialias\tdtype",
        "a.nii\ta.nii.gz\t\t\t\t\t\t\t\t\t\t",
        "b.nii.gz\tb.ome.zarr\t\t1.3\t\t\tcubic\t1\t16\t\t\t",
        "",
        "b.nii.gz\tc.hdr\t\t\t\ta.nii\tnearest\t\t\t7\t\t",
        "a.nii\td.nii\t\t\t17\t\t\t\t\t\tyes\tf32",
    ]);
    for threads in ["1", "4"] {
        let run = ["--spacing", "0.6", "--threads", threads, "--memory", "200MiB", "--overwrite"];
        let answer = folder.run(&[&["batch", "jobs.tsv"], &run[..]].concat()).expect(0);
        for says in ["1 of 4, a.nii.gz: 29x23x20 voxels of 0.5x0.75x3 mm", "4 of 4, d.nii: ", "4 jobs: 4 done in "] {
            answer.says(says);
        }
        assert!(answer.stdout.is_empty());
        for (_, output, _) in jobs {
            let alone = bytes_below(&folder.path(&format!("alone-{output}")));
            assert!(bytes_below(&folder.path(output)) == alone, "{output} with {threads} threads");
        }
        assert!(bytes_below(&folder.path("c.img")) == bytes_below(&folder.path("alone-c.img")));
    }
    assert_eq!(folder.names(".reslice"), Vec::<String>::new());
}

/// The highest resident memory that any job saw, and how many had one worker.
fn measured(summaries: &[Value]) -> (u64, usize) {
    let peak = summaries.iter().map(|job| job["peak_bytes"].as_u64().unwrap()).max().unwrap();
    let single = |job: &&Value| job["passes"][0]["plan"]["workers"]["count"] == 1;
    (peak, summaries.iter().filter(single).count())
}

#[test]
fn small_jobs_side_by_side_stay_within_one_budget() {
    let folder = Folder::new();
    folder.phantom("raw.nii", [60, 83, 97]);
    folder.phantom("stream.nii.gz", [60, 83, 97]);
    folder.run(&["resample", "raw.nii", "chunks.zarr", "--chunk", "32", "-q"]).expect(0);
    let mut rows = vec!["input\toutput\tscale".to_string()];
    for n in 0..40 {
        let input = ["raw.nii", "stream.nii.gz", "chunks.zarr"][n % 3];
        let ending = [".nii", ".nii.gz", ".zarr", "-b.nii.gz"][n % 4];
        rows.push(format!("{input}\tout-{n}{ending}\t{}", 0.7 + 0.02 * n as f64));
    }
    folder.table(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    for (memory, threads) in [(48u64, "2"), (64, "4"), (96, "8")] {
        let memory_text = format!("{memory}MiB");
        let run = ["--memory", &memory_text, "--threads", threads, "--chunk", "32", "--overwrite"];
        let plans = folder.run(&[&["batch", "jobs.tsv", "--dry-run"], &run[..]].concat()).expect(0).stdout;
        assert_eq!(plans.matches("1 worker beside other jobs").count(), 40, "{plans}");
        folder.run(&[&["batch", "jobs.tsv", "--summary", "done.json"], &run[..]].concat()).expect(0);
        let summaries = folder.summaries("done.json");
        assert!(summaries.len() == 40 && summaries.iter().all(|job| job["status"] == "done"));
        let (peak, single) = measured(&summaries);
        assert!(peak <= memory << 20, "{peak} bytes of {memory} MiB with {threads} threads");
        assert!(single >= 39, "{single} of 40 ran side by side");
    }
}

#[test]
fn small_jobs_are_under_way_at_the_same_time() {
    let folder = Folder::new();
    folder.phantom("a.nii", [20, 23, 29]);
    let jobs: Vec<Request> =
        (0..3).map(|n| Request::new(folder.path("a.nii"), folder.path(&format!("out-{n}.nii")), 1 << 30, 3)).collect();
    let batch = Batch { jobs: &jobs, memory_bytes: 1 << 30, threads: 3, keep_going: false };
    let begun = (Mutex::new(0), Condvar::new());
    // Each job waits here for the other two.
    let on_event = |_: usize, event: Event<'_>| {
        if matches!(event, Event::Planned(_)) {
            let mut count = begun.0.lock().unwrap();
            *count += 1;
            begun.1.notify_all();
            let waited = begun.1.wait_timeout_while(count, Duration::from_secs(20), |count| *count < 3).unwrap();
            assert!(!waited.1.timed_out(), "they run one after the other");
        }
    };
    let mut done = Vec::new();
    batch.run(&AtomicBool::new(false), &on_event, &mut |n, outcome| {
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
        done.push(n);
    });
    done.sort_unstable();
    assert_eq!(done, [0, 1, 2]);
}

#[test]
fn a_tight_budget_is_as_good_for_the_last_job_as_for_the_first() {
    let folder = Folder::new();
    folder.phantom("scan.nii.gz", [90, 140, 150]);
    let rows: Vec<String> = (61..77).map(|n| format!("scan.nii.gz\tout-{n}.nii.gz\t0.{n}")).collect();
    folder.table(&[&["input\toutput\tscale"], &rows.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
    let run = ["batch", "jobs.tsv", "--memory", "34MiB", "--threads", "4", "--summary", "done.json"];
    // Without giving back what ended jobs left, the third one was refused.
    folder.run(&run).expect(0).says("16 jobs: 16 done");
    let (peak, _) = measured(&folder.summaries("done.json"));
    assert!(peak <= 34 << 20, "{peak}");
}

#[test]
fn a_refused_batch_names_what_its_most_demanding_job_needs() {
    let folder = Folder::new();
    folder.phantom("small.nii", [31, 37, 41]);
    folder.phantom("large.nii", [60, 83, 97]);
    folder.table(&[
        "input\toutput\tscale\tchunk\tshard",
        "small.nii\ta.nii\t1.5\t\t",
        "large.nii\tb.zarr\t4\t192\tnone",
        "small.nii\tc.nii\t0.7\t\t",
    ]);
    let refused = folder.run(&["batch", "jobs.tsv", "--dry-run", "--memory", "1MiB"]).expect(2);
    assert!(refused.stderr.contains("2 of 3, b.zarr: memory budget"), "{}", refused.stderr);
    let enough = format!("{}MiB", refused.named_mib());
    folder.run(&["batch", "jobs.tsv", "--dry-run", "--memory", &enough]).expect(0);
}

#[test]
fn a_large_job_among_small_ones_runs_alone_within_the_budget() {
    let folder = Folder::new();
    folder.phantom("small.nii", [31, 37, 41]);
    folder.phantom("large.nii", [60, 83, 97]);
    let mut rows = vec!["input\toutput\tscale\tchunk\tshard".to_string()];
    rows.extend((0..9).map(|n| format!("small.nii\tout-{n}.nii.gz\t1.5\t\t")));
    // More voxels than a small job has.
    rows.insert(5, "large.nii\tlarge.zarr\t8.3\t96\tnone".into());
    folder.table(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    let run = ["--memory", "80MiB", "--threads", "4", "--codec", "none", "--summary", "done.json"];
    folder.run(&[&["batch", "jobs.tsv"], &run[..]].concat()).expect(0).says("10 jobs: 10 done");
    let summaries = folder.summaries("done.json");
    let (peak, _) = measured(&summaries);
    assert!(peak <= 80 << 20, "{peak}");
    let at = summaries.iter().position(|job| job["output"] == "large.zarr").unwrap();
    assert_eq!(at, 4, "it waits for those before it, and those behind it wait for it");
    assert!(summaries[at]["passes"][0]["plan"]["workers"]["count"].as_u64() > Some(1));
}

#[test]
fn a_table_that_makes_no_sense_starts_nothing() {
    let folder = Folder::new();
    folder.phantom("a.nii", [20, 23, 29]);
    fs::write(folder.path("old.nii"), "mine").unwrap();
    for (rows, code, says) in [
        (
            &["input\toutput\tspacing", "a.nii\tb.nii\t1", "a.nii\tc.nii\tx"][..],
            2,
            "jobs.tsv, line 3, column spacing: invalid value 'x'",
        ),
        (
            &["input\toutput\tspeed", "a.nii\tb.nii\t1"],
            2,
            "jobs.tsv, line 1, column 3 ('speed'): no option of resample",
        ),
        (&["input\toutput\tthreads", "a.nii\tb.nii\t1"], 2, "give --threads on the command line"),
        (&["input\toutput", "a.nii\tb.nii", "a.nii\t./b.nii"], 2, "line 3, column output: line 2 writes ./b.nii"),
        (&["input\toutput", "a.nii\tb.nii", "b.nii\tc.nii"], 2, "line 3, column input: line 2 writes b.nii"),
        (
            &["input\toutput", "a.nii\tb.nii", "a.nii\tc.txt"],
            2,
            "cannot run the job in line 3 of jobs.tsv\ncaused by: the name",
        ),
        (
            &["input\toutput", "a.nii\tb.nii", "none.nii\tc.nii"],
            1,
            "caused by: cannot open none.nii\ncaused by: No such file",
        ),
        (
            &["input\toutput", "a.nii\tb.nii", "a.nii\told.nii"],
            2,
            "line 3 of jobs.tsv\ncaused by: old.nii already exists\nhint:",
        ),
        (&["# nothing"], 2, "jobs.tsv has no header"),
    ] {
        folder.table(rows);
        let answer = folder.run(&["batch", "jobs.tsv"]).expect(code);
        assert!(answer.stderr.starts_with("error: "), "{}", answer.stderr);
        answer.says(says);
        assert!(!folder.path("b.nii").exists());
    }
    folder.run(&["batch", "none.tsv"]).expect(1).says("cannot open none.tsv");
    folder.table(&["input\toutput"]);
    folder.run(&["batch", "jobs.tsv"]).expect(0).says("0 jobs: 0 done");
}

#[test]
fn failures_end_the_batch_or_not() {
    let folder = Folder::new();
    folder.phantom("a.nii.gz", [20, 23, 29]);
    let whole = fs::read(folder.path("a.nii.gz")).unwrap();
    fs::write(folder.path("cut.nii.gz"), &whole[..whole.len() / 2]).unwrap();
    let mut rows = vec!["input\toutput", "cut.nii.gz\tcut.nii"];
    let later: Vec<String> = (0..20).map(|n| format!("a.nii.gz\tout-{n}.nii")).collect();
    rows.extend(later.iter().map(String::as_str));
    folder.table(&rows);
    let run = ["batch", "jobs.tsv", "--threads", "2", "--summary", "done.json"];
    let answer = folder.run(&run).expect(1);
    answer.says("error: 1 of 21, cut.nii: ");
    answer.says("1 failed");
    let summaries = folder.summaries("done.json");
    let count = |status: &str| summaries.iter().filter(|job| job["status"] == status).count();
    assert_eq!((summaries.len(), count("failed")), (21, 1));
    assert!(count("not_begun") > 0 && folder.names(".nii").len() == count("done"));

    folder.table(&[&rows[..], &["none.nii\tnone-out.nii"]].concat());
    // A job that was under way when the first run ended may have stored something.
    let answer = folder.run(&[&run[..], &["--keep-going", "--overwrite", "--restart", "--quiet"]].concat()).expect(1);
    assert_eq!(answer.stderr.matches("error: ").count(), 2, "{}", answer.stderr);
    let summaries = folder.summaries("done.json");
    let failed: Vec<&Value> = summaries.iter().filter(|job| job["status"] == "failed").collect();
    assert_eq!(failed.iter().map(|job| &job["job"]).collect::<Vec<_>>(), [1, 22]);
    assert_eq!(failed[1]["error"], "cannot open none.nii: No such file or directory (os error 2)");
    assert_eq!((summaries.len(), folder.names(".nii").len()), (22, 20));
}

#[cfg(unix)]
#[test]
fn a_signal_stops_it_and_what_is_done_stays() {
    let folder = Folder::new();
    folder.phantom("a.nii", [60, 83, 97]);
    let rows: Vec<String> = (0..60).map(|n| format!("a.nii\tout-{n}.nii.gz")).collect();
    folder.table(&[&["input\toutput"], &rows.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
    let run = ["batch", "jobs.tsv", "--threads", "2", "--scale", "1.3", "--gzip", "single:9", "--summary", "done.json"];
    let mut child = folder.command(&run).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains(" of 60, out-"), "{first}");
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let last = lines.last().unwrap().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(75), "{last}");
    assert!(last.starts_with("60 jobs: ") && last.contains("not begun"), "{last}");
    assert!(last.ends_with("; the same command with --resume continues"), "{last}");
    folder.run(&run).expect(2).says("an earlier run has finished; --resume passes over them");
    let summaries = folder.summaries("done.json");
    let done = summaries.iter().filter(|job| job["status"] == "done").count();
    assert!(summaries.len() == 60 && (1..60).contains(&done));
    let targets = folder.names(".nii.gz");
    assert_eq!(targets.len(), done);
    targets.iter().for_each(|target| assert_eq!(folder.run(&["verify", target]).code, 0, "{target}"));
    // It is gone on with, though nobody gave --resume the first time.
    let again = folder.run(&[&run[..], &["--resume"]].concat()).expect(0);
    assert_eq!(again.stderr.matches(": already done").count(), done, "{}", again.stderr);
    assert_eq!(folder.names(".nii.gz").len(), 60);
    assert_eq!(folder.names(".reslice"), Vec::<String>::new());
    let third = folder.run(&[&run[..], &["--resume"]].concat()).expect(0);
    assert_eq!(third.stderr.matches(": already done").count(), 60);
    // Another job's target is none of this one's.
    folder.run(&[&run[..], &["--resume", "--interp", "nearest"]].concat()).expect(2).says("already exists");
}

#[test]
fn folders_are_looked_for_before_the_first_job() {
    let folder = Folder::new();
    folder.phantom("a.nii", [20, 23, 29]);
    folder.table(&["input\toutput", "a.nii\tb.nii", "a.nii\tout/sub-1/c.nii"]);
    for more in [&["--dry-run"][..], &[]] {
        let refused = folder.run(&[&["batch", "jobs.tsv"], more].concat()).expect(1);
        refused.says("cannot write into out/sub-1");
        refused.says("hint: --parents makes the folder");
    }
    assert!(!folder.path("b.nii").exists());
    folder.run(&["batch", "jobs.tsv", "--parents", "--dry-run"]).expect(0);
    assert!(!folder.path("out").exists());
    folder.run(&["batch", "jobs.tsv", "--parents"]).expect(0);
    assert!(folder.path("out/sub-1/c.nii").is_file());
    assert_eq!(folder.names(".done"), Vec::<String>::new());
}

#[test]
fn plans_and_progress_are_told_per_job() {
    let folder = Folder::new();
    folder.phantom("a.nii", [20, 23, 29]);
    folder.table(&["input\toutput\tsize", "a.nii\tb.nii\t9", "a.nii\tc.nii\t8"]);
    let answer = folder.run(&["batch", "jobs.tsv", "--threads", "2", "--dry-run"]).expect(0);
    assert!(answer.stdout.starts_with("1 of 2, b.nii: 29x23x20 voxels") && answer.stdout.lines().count() == 2);
    let json: Value =
        serde_json::from_str(&folder.run(&["batch", "jobs.tsv", "--dry-run=json"]).expect(0).stdout).unwrap();
    assert_eq!(json[1]["summary"]["target"]["shape"], serde_json::json!([8, 8, 8]));
    assert!(!folder.path("b.nii").exists());
    let answer = folder.run(&["batch", "jobs.tsv", "--progress", "json"]).expect(0);
    let progress: Vec<Value> = answer.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!([1, 2].iter().all(|job| progress.iter().any(|line| line["job"] == *job)), "{}", answer.stderr);
}

const SHIFT: &str = "#Insight Transform File V1.0\nTransform: AffineTransform_double_3_3\n\
                     Parameters: 1 0 0 0 1 0 0 0 1 3 0 0\nFixedParameters: 0 0 0\n";

/// The transform of the second job is only there when the first one ends: had its box been looked for beside the first one, it would be missing.
#[test]
fn a_box_around_a_moved_source_is_looked_for_when_nothing_else_runs() {
    let folder = Folder::new();
    folder.phantom("a.nii", [20, 23, 29]);
    let mut moved = Request::new(folder.path("a.nii"), folder.path("moved.nii"), 4 << 30, 2);
    moved.transforms = vec![TransformRequest::new(folder.path("shift.txt"))];
    moved.grid = GridChoice::Rules(GridRequest { transformed: true, ..GridRequest::default() });
    let first = Request::new(folder.path("a.nii"), folder.path("b.nii"), 4 << 30, 2);
    let jobs = vec![first, moved];
    let batch = Batch { jobs: &jobs, memory_bytes: 4 << 30, threads: 2, keep_going: true };
    let on_event = |n: usize, event: Event<'_>| {
        if let (0, Event::Begin(_)) = (n, event) {
            std::thread::sleep(Duration::from_millis(300));
            fs::write(folder.path("shift.txt"), SHIFT).unwrap();
        }
    };
    let mut outcomes = Vec::new();
    batch.run(&AtomicBool::new(false), &on_event, &mut |n, outcome| outcomes.push((n, outcome)));
    assert!(matches!(outcomes[..], [(0, Outcome::Done(_)), (1, Outcome::Done(_))]), "{outcomes:?}");
}
