//! The command as its users meet it: exit codes, what goes to stdout and what to stderr, messages, memory.
#![allow(unsafe_code, reason = "a pipe is made by the C library")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::kit::folder::Folder;
use reslice::{
    geometry::{Affine, Grid, Unit},
    io::nifti::{TargetSpec, target_header},
    layout::Outer,
    voxel::{Dtype, Voxel},
};
use serde_json::Value;

const SHAPE: [u64; 3] = [20, 23, 29];

impl Folder {
    /// A scan of `SHAPE` with ramps in it.
    fn scan(&self, name: &str) -> PathBuf {
        let voxels: Vec<i16> = (0..20 * 23 * 29).map(|n| (n * 7 % 1000) as i16).collect();
        write(&self.path(name), &Scan::default(), &voxels)
    }
}

/// What a NIfTI file of a test says.
struct Scan {
    shape: [u64; 3],
    spacing: [f64; 3],
    components: usize,
    slope: Option<(f64, f64)>,
}

impl Default for Scan {
    fn default() -> Self {
        Scan { shape: SHAPE, spacing: [3.0, 0.75, 0.5], components: 1, slope: None }
    }
}

fn prefix(path: &Path, scan: &Scan, stored: Dtype) -> Vec<u8> {
    let [dz, dy, dx] = scan.spacing;
    let affine = Affine::from_columns([[0.0, 0.0, dz], [0.0, dy, 0.0], [dx, 0.0, 0.0]], [-7.0, 8.0, 9.5]);
    let spec = TargetSpec {
        path,
        like: None,
        place: None,
        extensions: &[],
        grid: &Grid::new(scan.shape, affine, Unit::Millimetre),
        outer: &Outer::default(),
        stored,
        components: scan.components,
        slope: scan.slope,
        slice_axis_resampled: false,
        single_file: true,
    };
    target_header(&spec).unwrap().1
}

fn write<T: Voxel>(path: &Path, scan: &Scan, voxels: &[T]) -> PathBuf {
    let mut bytes = prefix(path, scan, T::DTYPE);
    bytes.extend_from_slice(bytemuck::cast_slice(voxels));
    fs::write(path, bytes).unwrap();
    path.to_path_buf()
}

#[test]
fn help_goes_to_stdout_and_usage_errors_to_stderr() {
    let folder = Folder::new();
    let help = folder.run(&["resample", "--help"]).expect(0);
    for heading in ["Grid:", "Values:", "Output:", "Run:", "--spacing", "--memory"] {
        assert!(help.stdout.contains(heading), "{}", help.stdout);
    }
    assert!(help.stderr.is_empty());
    let long = folder.run(&["--version", "--verbose"]).expect(0).stdout;
    let begins: Vec<&str> = long.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(begins, ["reslice", "features", "system", "CPU", "threads", "memory"], "{long}");
    let version = folder.run(&["--version"]).expect(0);
    assert_eq!(version.stdout.trim(), format!("reslice {}", env!("CARGO_PKG_VERSION")));
    for args in [&[][..], &["nonsense"], &["resample"], &["resample", "a.nii", "b.nii", "--nonsense"]] {
        let answer = folder.run(args).expect(2);
        assert!(answer.stdout.is_empty() && !answer.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn resample_tells_both_grids_on_stderr() {
    let folder = Folder::new();
    folder.scan("scan.nii");
    let answer = folder.run(&["resample", "scan.nii", "out.nii.gz", "--spacing", "0.5"]).expect(0);
    assert!(answer.stdout.is_empty(), "{}", answer.stdout);
    assert!(answer.stderr.contains("source  29x23x20 voxels of 0.5x0.75x3 mm, RAS, i16"), "{}", answer.stderr);
    assert!(answer.stderr.contains("target  29x34x120 voxels of 0.5x0.5x0.5 mm, RAS, i16"), "{}", answer.stderr);
    let info = folder.run(&["info", "out.nii.gz", "--json"]).expect(0).json();
    assert_eq!(info["grid"]["shape"], serde_json::json!([29, 34, 120]));
    let quiet = folder.run(&["resample", "scan.nii", "quiet.nii", "--size", "10", "-q"]).expect(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    assert!(!folder.path("out.nii.gz.reslice").exists());
}

#[test]
fn an_existing_target_is_refused_unless_it_may_be_replaced() {
    let folder = Folder::new();
    folder.scan("scan.nii");
    fs::write(folder.path("out.nii"), "mine").unwrap();
    let refused = folder.run(&["resample", "scan.nii", "out.nii"]).expect(2);
    assert_eq!(refused.stderr, "error: out.nii already exists\nhint: use --overwrite to replace it, or another name\n");
    assert_eq!(fs::read(folder.path("out.nii")).unwrap(), b"mine");
    folder.run(&["resample", "scan.nii", "out.nii", "--overwrite"]).expect(0);
    folder.run(&["compare", "scan.nii", "out.nii"]).expect(0);
    folder.run(&["resample", "scan.nii", "out.zarr"]).expect(0);
    folder.run(&["resample", "scan.nii", "out.zarr"]).expect(2);
    folder.run(&["resample", "scan.nii", "out.zarr", "--overwrite", "--size", "5"]).expect(0);
    let info = folder.run(&["info", "out.zarr", "--json"]).expect(0).json();
    assert_eq!(info["grid"]["shape"], serde_json::json!([5, 5, 5]));
}

#[test]
fn plans_and_summaries_are_json() {
    let folder = Folder::new();
    folder.scan("scan.nii");
    let plan = folder.run(&["resample", "scan.nii", "out.zarr", "--scale", "2", "--dry-run=json"]).expect(0).json();
    assert_eq!(plan["target"]["shape"], serde_json::json!([58, 46, 40]));
    assert!(plan["passes"][0]["projected_bytes"].as_u64() > Some(0) && plan["passes"][0]["done"].is_null());
    let text = folder.run(&["resample", "scan.nii", "out.zarr", "--scale", "2", "--dry-run"]).expect(0);
    assert!(text.stdout.contains("output  out.zarr: 58x46x40 voxels"), "{}", text.stdout);
    assert!(!folder.path("out.zarr").exists() && !folder.path("out.zarr.reslice").exists());
    folder.run(&["resample", "scan.nii", "out.zarr", "--scale", "2", "--summary", "run.json"]).expect(0);
    let summary: Value = serde_json::from_slice(&fs::read(folder.path("run.json")).unwrap()).unwrap();
    assert_eq!(summary["target"], plan["target"]);
    assert!(summary["peak_bytes"].as_u64() > Some(0) && summary["passes"][0]["done"]["blocks_done"].as_u64() > Some(0));
}

#[test]
fn bad_arguments_are_usage_errors() {
    let folder = Folder::new();
    folder.scan("scan.nii");
    for (args, says) in [
        (&["--spacing", "1", "--size", "9"][..], "cannot be used with"),
        (&["--interp", "magic"], "expected nearest, linear, cubic"),
        (&["--interp", "nearest", "--antialias"], "--antialias stretches a kernel, and nearest"),
        (&["--region", "100:120,0:5,0:5"], "region"),
        (&["--region", "0:5"], "expected x0:x1,y0:y1,z0:z1"),
        (&["--spacing", "0"], "error:"),
        (&["--isotropic=none"], "no step for --isotropic"),
        (&["--memory", "much"], "expected a size such as"),
        (&["--threads", "0"], "--threads"),
        (&["--dtype", "u8", "--outside", "300"], "the outside value 300"),
        (&["--level", "1"], "--level is for multiscale images"),
    ] {
        let answer = folder.run(&[&["resample", "scan.nii", "out.nii"], args].concat()).expect(2);
        assert!(answer.stderr.starts_with("error:") && answer.stderr.contains(says), "{args:?}: {}", answer.stderr);
        assert!(answer.stdout.is_empty() && !folder.path("out.nii").exists());
    }
    let unnamed = folder.run(&["resample", "scan.nii", "out"]).expect(2);
    assert!(unnamed.stderr.contains("hint: end it in .nii"), "{}", unnamed.stderr);
}

#[test]
fn errors_name_their_cause_and_the_way_out() {
    let folder = Folder::new();
    folder.scan("scan.nii");
    let missing = folder.run(&["resample", "none.nii", "out.nii"]).expect(1);
    assert_eq!(missing.stderr, "error: cannot open none.nii\ncaused by: No such file or directory (os error 2)\n");
    let small = folder.run(&["resample", "scan.nii", "out.nii", "--memory", "1MiB"]).expect(2);
    assert!(small.stderr.starts_with("error: memory budget 1.0 MiB is too small"), "{}", small.stderr);
    assert!(small.stderr.contains("\nhint: use --memory "), "{}", small.stderr);
    assert!(!small.stderr.contains("--chunk"), "a NIfTI has no chunks: {}", small.stderr);
    fs::write(folder.path("cut.nii"), &fs::read(folder.path("scan.nii")).unwrap()[..5000]).unwrap();
    folder.run(&["resample", "cut.nii", "out.nii"]).expect(1);
    assert!(!folder.path("out.nii").exists());
    folder.run(&["resample", "scan.nii", "no/such/folder/out.nii"]).expect(1);
}

#[test]
fn foreign_files_are_named_by_every_command() {
    let folder = Folder::new();
    folder.scan("scan.nii");
    fs::write(folder.path("s.vtk"), b"# vtk DataFile Version 3.0").unwrap();
    // One entry, x, of no bytes.
    let entry = [&b"PK\x03\x04"[..], &[0; 26], b"PK\x01\x02", &[0; 24], &[1, 0], &[0; 16], b"x"].concat();
    let end = [&b"PK\x05\x06\0\0\0\0\x01\0\x01\0"[..], &[47, 0, 0, 0, 30, 0, 0, 0, 0, 0]].concat();
    fs::write(folder.path("a.zarr.zip"), [entry, end].concat()).unwrap();
    fs::create_dir(folder.path("dicom")).unwrap();
    fs::write(folder.path("dicom/1"), [&[0; 128][..], b"DICM"].concat()).unwrap();
    let fifo = std::ffi::CString::new(folder.path("pipe").to_str().unwrap()).unwrap();
    // SAFETY: the name is a C string.
    assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
    for (name, what, way_out) in [
        ("s.vtk", "is a VTK file", "hint: convert it: python -c"),
        ("a.zarr.zip", "is a zip archive with no Zarr", "a.zarr.zip/NAME.zarr; or unpack it: unzip a.zarr.zip -d a"),
        ("dicom", "holds 1 DICOM file", "hint: convert them: dcm2niix -z y dicom"),
        ("pipe", "is a pipe", "hint: sources are read by position"),
    ] {
        for (args, code) in [
            (vec!["info", name], 1),
            (vec!["resample", name, "out.nii"], 1),
            (vec!["resample", "scan.nii", "out.nii", "--like", name], 1),
            (vec!["compare", "scan.nii", name], 2),
            (vec!["verify", name], 2),
        ] {
            let answer = folder.run(&args).expect(code);
            assert!(answer.stderr.contains(what) && answer.stderr.contains(way_out), "{args:?}: {}", answer.stderr);
        }
    }
}

#[test]
fn info_says_what_reading_costs() {
    let folder = Folder::new();
    let voxels: Vec<i16> = (0..20 * 23 * 29).collect();
    write(&folder.path("scan.nii"), &Scan { slope: Some((0.5, -3.0)), ..Scan::default() }, &voxels);
    folder.run(&["resample", "scan.nii", "scan.nii.gz"]).expect(0);
    folder.run(&["resample", "scan.nii", "blocks.nii.gz", "--gzip", "bgzf"]).expect(0);
    folder.run(&["resample", "scan.nii", "scan.ome.zarr", "--chunk", "8", "--shard", "16"]).expect(0);
    let json = |file: &str| folder.run(&["info", file, "--json"]).expect(0).json();
    let raw = json("scan.nii");
    assert_eq!(raw["cost"]["access"], "random");
    assert_eq!((&raw["raw_bytes"], &raw["cost"]["full_read_bytes"]), (&Value::from(26680), &Value::from(26680)));
    assert_eq!((&raw["slope"], &raw["grid"]["orientation"]), (&serde_json::json!([0.5, -3.0]), &"RAS".into()));
    assert_eq!(json("scan.nii.gz")["cost"]["access"], "forward_only");
    assert_eq!(json("blocks.nii.gz")["cost"]["access"], "chunked");
    let zarr = json("scan.ome.zarr");
    assert_eq!((&zarr["dtype"], &zarr["cost"]["access"]), (&"f32".into(), &"chunked".into()));
    assert_eq!((&zarr["cost"]["chunks"], &zarr["cost"]["chunk_bytes"]), (&Value::from(36), &Value::from(2048)));
    assert_eq!(zarr["zarr"]["shard"], serde_json::json!([16, 16, 16]));
    assert_eq!(zarr["zarr"]["levels"][0]["shape"], serde_json::json!([29, 23, 20]));
    let text = folder.run(&["info", "scan.nii.gz"]).expect(0);
    assert!(text.stdout.contains("one inflate of ") && text.stderr.is_empty(), "{}", text.stdout);
    let text = folder.run(&["info", "scan.ome.zarr"]).expect(0);
    assert!(text.stdout.contains("36 chunks in any order (8x8x8 voxels, 2.0 KiB decoded each)"), "{}", text.stdout);
    let missing = folder.run(&["info", "none"]).expect(1);
    assert!(missing.stdout.is_empty() && missing.stderr.starts_with("error: cannot open none\n"));
    fs::create_dir(folder.path("empty")).unwrap();
    folder.run(&["info", "empty"]).expect(1);
}

#[test]
fn compare_tells_equal_from_different_from_trouble() {
    let folder = Folder::new();
    folder.scan("a.nii");
    let mut voxels: Vec<i16> = (0..20 * 23 * 29).map(|n| (n * 7 % 1000) as i16).collect();
    voxels[100] += 3;
    voxels[200] -= 1;
    write(&folder.path("b.nii"), &Scan::default(), &voxels);
    let equal = folder.run(&["compare", "a.nii", "a.nii"]).expect(0);
    assert!(equal.stdout.contains("all 13340 are equal") && equal.stderr.is_empty(), "{}", equal.stdout);
    let answer = folder.run(&["compare", "a.nii", "b.nii"]).expect(1);
    let stdout = &answer.stdout;
    assert!(stdout.contains("2 of 13340 differ") && stdout.contains("at most 3 apart"), "{stdout}");
    let found = folder.run(&["compare", "a.nii", "b.nii", "--json", "--tolerance", "1"]).expect(1).json();
    assert_eq!((&found["differences"]["different"], &found["differences"]["beyond"]), (&2.into(), &1.into()));
    assert_eq!(found["differences"]["mean_difference"], 4.0 / 13340.0);
    let psnr = 20.0 * (999.0 / (10.0f64 / 13340.0).sqrt()).log10();
    assert!((found["differences"]["psnr_db"].as_f64().unwrap() - psnr).abs() < 1e-9);
    folder.run(&["compare", "a.nii", "b.nii", "--tolerance", "3"]).expect(0);
    folder.run(&["resample", "a.nii", "small.nii", "--size", "7"]).expect(0);
    let shapes = folder.run(&["compare", "a.nii", "small.nii"]).expect(1);
    assert!(shapes.stdout.contains("different shapes"), "{}", shapes.stdout);
    let missing = folder.run(&["compare", "a.nii", "none.nii"]).expect(2);
    assert!(missing.stdout.is_empty() && missing.stderr.starts_with("error: cannot open none.nii"));
    folder.run(&["compare", "a.nii", "b.nii", "--tolerance=-1"]).expect(2);
    folder.run(&["compare", "a.nii", "b.nii", "--memory", "1MiB"]).expect(2);
    folder.run(&["compare", "a.nii"]).expect(2);
}

#[test]
fn compare_reads_real_values_of_any_format() {
    let folder = Folder::new();
    let voxels: Vec<i16> = (0..20 * 23 * 29).collect();
    write(&folder.path("a.nii"), &Scan { slope: Some((0.5, -3.0)), ..Scan::default() }, &voxels);
    let targets = ["b.nii.gz", "b.ome.zarr", "b.hdr"];
    for target in targets {
        let chunk = if target.ends_with(".zarr") { &["--chunk", "7"][..] } else { &[] };
        folder.run(&[&["resample", "a.nii", target, "--dtype", "f32"], chunk].concat()).expect(0);
    }
    folder.run(&["resample", "a.nii", "blocks.nii.gz", "--gzip", "bgzf"]).expect(0);
    for a in ["a.nii", "b.nii.gz", "blocks.nii.gz", "b.ome.zarr"] {
        for b in ["b.nii.gz", "blocks.nii.gz", "b.ome.zarr", "b.hdr"] {
            let answer = folder.run(&["compare", a, b, "--json", "--threads", "2"]).expect(0).json();
            assert_eq!(answer["geometry"]["same"], true, "{a} {b}: {answer}");
            assert_eq!(answer["differences"]["compared"], 13340);
        }
    }
    let moved = Scan { spacing: [3.0, 0.75, 0.51], slope: Some((0.5, -3.0)), ..Scan::default() };
    write(&folder.path("moved.nii"), &moved, &voxels);
    let answer = folder.run(&["compare", "a.nii", "moved.nii", "--json"]).expect(0).json();
    assert_eq!((&answer["geometry"]["same"], &answer["geometry"]["same_spacing"]), (&false.into(), &false.into()));
}

#[test]
fn nan_equals_nan_and_colours_are_an_axis_elsewhere() {
    let folder = Folder::new();
    let mut voxels: Vec<f32> = (0..20 * 23 * 29).map(|n| n as f32).collect();
    voxels[17] = f32::NAN;
    write(&folder.path("a.nii"), &Scan::default(), &voxels);
    voxels[18] = f32::NAN;
    write(&folder.path("b.nii"), &Scan::default(), &voxels);
    folder.run(&["compare", "a.nii", "a.nii"]).expect(0);
    let found = folder.run(&["compare", "a.nii", "b.nii", "--json"]).expect(1).json();
    assert_eq!((&found["differences"]["nan_in_one"], &found["differences"]["nan_in_both"]), (&1.into(), &1.into()));
    assert_eq!(found["differences"]["max_difference"], 0.0);
    let rgb: Vec<u8> = (0..3 * 20 * 23 * 29).map(|n| (n % 251) as u8).collect();
    write(&folder.path("rgb.nii"), &Scan { components: 3, ..Scan::default() }, &rgb);
    folder.run(&["resample", "rgb.nii", "rgb.nii.gz"]).expect(0);
    folder.run(&["resample", "rgb.nii", "rgb.ome.zarr"]).expect(0);
    for (a, b) in [("rgb.nii", "rgb.nii.gz"), ("rgb.nii", "rgb.ome.zarr"), ("rgb.ome.zarr", "rgb.nii.gz")] {
        let found = folder.run(&["compare", a, b, "--json"]).expect(0).json();
        assert_eq!(found["differences"]["compared"], 3 * 13340, "{a} {b}");
    }
}

#[test]
fn the_demo_runs_twice_over_its_own_files() {
    let folder = Folder::new();
    fs::create_dir(folder.path("here")).unwrap();
    fs::write(folder.path("here/mine.txt"), "mine").unwrap();
    for _ in 0..2 {
        let answer = folder.run(&["demo", "here"]).expect(0);
        for says in ["230x230x180 voxels of 1x1x1 mm", "are found again", "Try next:", "Mvoxel/s", "peak memory"] {
            assert!(answer.stdout.contains(says), "{}", answer.stdout);
        }
    }
    assert_eq!(fs::read(folder.path("here/mine.txt")).unwrap(), b"mine");
    let names: Vec<String> = fs::read_dir(folder.path("here"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".reslice"))
        .collect();
    assert_eq!(names, Vec::<String>::new());
}

#[test]
fn completions_and_manual_pages() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(folder.run(&["completions", shell]).expect(0).stdout.contains("resample"), "{shell}");
    }
    folder.run(&["completions", "dos"]).expect(2);
    assert!(folder.run(&["man"]).expect(0).stdout.contains(".TH reslice 1"));
    let page = folder.run(&["man", "resample"]).expect(0).stdout;
    for section in ["spacing", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO"] {
        assert!(page.contains(section), "{section}: {page}");
    }
    assert!(folder.run(&["man", "nonsense"]).expect(2).stderr.contains("hint: the commands are resample, pyramid"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = Folder::new();
    folder.scan("scan.nii");
    for args in [&["completions", "zsh"][..], &["info", "scan.nii"], &["compare", "scan.nii", "scan.nii"], &["man"]] {
        let mut command = folder.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{args:?}");
    }
}

#[test]
fn resident_memory_stays_within_the_budget() {
    let folder = Folder::new();
    let scan = Scan { shape: [149, 367, 379], spacing: [1.0, 0.5, 0.5], ..Scan::default() };
    let mut state = 1u32;
    let voxels: Vec<u16> = (0..149 * 367 * 379)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u16
        })
        .collect();
    write(&folder.path("scan.nii"), &scan, &voxels);
    drop(voxels);
    for (n, (budget, args)) in [
        (29, &["scan.nii", "scan.nii.gz"][..]),
        (32, &["scan.nii", "scan.zarr", "--chunk", "64"]),
        (32, &["scan.nii", "scan.nii", "--in-place", "--io", "pread"]),
        (32, &["scan.nii.gz", "a.nii", "--scale", "0.7,0.6,0.9"]),
        (40, &["scan.zarr", "b.nii.gz", "--scale", "0.6", "--interp", "cubic", "--antialias"]),
        (48, &["scan.nii.gz", "c.zarr", "--scale", "0.8", "--chunk", "64"]),
    ]
    .into_iter()
    .enumerate()
    {
        let (memory, summary) = (format!("{budget}MiB"), format!("{n}.json"));
        let run = ["--memory", &memory, "--threads", "2", "--summary", &summary];
        folder.run(&[&["resample"], args, &run].concat()).expect(0);
        let summary: Value = serde_json::from_slice(&fs::read(folder.path(&summary)).unwrap()).unwrap();
        assert!(summary["peak_bytes"].as_u64().unwrap() <= budget << 20, "{args:?}: {}", summary["peak_bytes"]);
    }
    for (budget, a, b) in
        [(24, "scan.nii", "scan.nii.gz"), (26, "scan.nii", "scan.zarr"), (48, "scan.nii.gz", "scan.zarr")]
    {
        let memory = format!("{budget}MiB");
        let found = folder.run(&["compare", a, b, "--memory", &memory, "--threads", "2", "--json"]).expect(0).json();
        assert!(found["peak_bytes"].as_u64().unwrap() <= budget << 20, "{a} {b}: {}", found["peak_bytes"]);
    }
}
