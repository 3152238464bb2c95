//! Documents and tables whose size somebody else decides: the peak of a child process stays within `--memory`.

use std::{fmt::Write as _, fs, path::Path};

use crate::kit::folder::{Answer, Folder};
use serde_json::json;

const MIB: u64 = 1 << 20;

/// Runs within `budget_mib`.
fn within(folder: &Folder, budget_mib: u64, args: &[&str]) -> Answer {
    let memory = format!("{budget_mib}MiB");
    let (answer, peak) = folder.run_measured(&[args, &["--memory", &memory]].concat(), &[]);
    assert!(peak <= budget_mib * MIB, "{args:?}: {} of {budget_mib} MiB: {}", peak / MIB, answer.stderr);
    assert!(!answer.stderr.contains("panicked"), "{}", answer.stderr);
    answer
}

fn put(root: &Path, key: &str, text: &str) {
    let path = root.join(key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Lists and maps of next to nothing once took a hundred times their text: 861 MiB for 8 MB.
#[test]
fn documents_of_many_small_values_are_refused() {
    let folder = Folder::new();
    for unit in ["[0]", "{}", "[]", "\"\"", "{\"a\":1}"] {
        let count = 8_000_000 / (unit.len() + 1);
        let many = format!("[{}0]", format!("{unit},").repeat(count));
        for (name, text) in [
            ("zarr.json", format!("{{\"a\": {many}}}")),
            (".zattrs", format!("{{\"multiscales\": {many}}}")),
            (".zarray", many.clone()),
            (".zgroup", many.clone()),
            (".zmetadata", many.clone()),
        ] {
            let root = folder.path("hostile.zarr");
            let _ = fs::remove_dir_all(&root);
            put(&root, name, &text);
            let answer = within(&folder, 96, &["resample", "hostile.zarr", "out.nii"]);
            assert_ne!(answer.code, 0, "{name} of {unit}");
            let answer = within(&folder, 96, &["verify", "hostile.zarr", "-q"]);
            assert_ne!(answer.code, 0, "{name} of {unit}");
        }
    }
    put(&folder.path("n5"), "attributes.json", &format!("[{}0]", "[0],".repeat(200_000)));
    assert_ne!(within(&folder, 96, &["resample", "n5", "out.nii"]).code, 0);
}

/// The metadata of a large collection, which is read for one of its arrays.
#[test]
fn consolidated_metadata_of_some_mebibytes_are_read() {
    let folder = Folder::new();
    let array = json!({"zarr_format": 2, "shape": [2, 3, 4], "chunks": [2, 3, 4], "dtype": "|u1", "compressor": null,
        "fill_value": 7, "order": "C", "filters": null});
    let image = json!({"multiscales": [{"axes": ["z", "y", "x"], "datasets": [{"path": "0"}]}]});
    let mut entries = serde_json::Map::new();
    for n in 0..14_000 {
        entries.insert(format!("plate/A/{n}/.zattrs"), image.clone());
        entries.insert(format!("plate/A/{n}/0/.zarray"), array.clone());
        entries.insert(format!("plate/A/{n}/.zgroup"), json!({"zarr_format": 2}));
    }
    let text = json!({"zarr_consolidated_format": 1, "metadata": entries}).to_string();
    assert!(text.len() > 3_000_000);
    put(&folder.path("all.zarr"), ".zmetadata", &text);
    fs::create_dir_all(folder.path("all.zarr/plate/A/11999/0")).unwrap();
    for path in ["all.zarr/plate/A/11999", "all.zarr/plate/A/11999/0"] {
        within(&folder, 32, &["resample", path, "out.nii", "--overwrite"]).expect(0);
        assert!(fs::read(folder.path("out.nii")).unwrap().ends_with(&[7; 24]));
    }
    // A group that names no image: the hint names one that the metadata know.
    put(&folder.path("all.zarr"), ".zgroup", "{\"zarr_format\": 2}");
    let told = within(&folder, 32, &["resample", "all.zarr", "out.nii", "--overwrite"]).stderr;
    assert!(told.contains("all.zarr/plate/A/"), "{told}");
}

#[test]
fn more_levels_than_an_image_can_have_are_refused_in_a_moment() {
    let folder = Folder::new();
    let level = |n: u32| json!({"path": n.to_string()});
    let image = |levels| json!({"axes": ["z", "y", "x"], "datasets": (0..levels).map(level).collect::<Vec<_>>()});
    for (name, images) in [("levels.zarr", json!([image(20_000)])), ("images.zarr", json!(vec![image(1); 3000]))] {
        put(&folder.path(name), ".zgroup", "{\"zarr_format\": 2}");
        put(&folder.path(name), ".zattrs", &json!({"multiscales": images}).to_string());
        for args in [["info", name], ["verify", name]] {
            let answer = folder.run(&args);
            assert!(
                answer.code != 0 && (answer.stdout + &answer.stderr).contains("at most 512 are read"),
                "{name} {args:?}"
            );
        }
    }
}

/// Rows were requests for as long as the batch ran: 1.8 KiB each.
#[test]
fn tables_of_many_rows_are_not_kept() {
    let folder = Folder::new();
    let mut table = String::from("input\toutput\tspacing\n");
    for n in 0..20_000 {
        writeln!(table, "scans/of/somebody/{n}.nii\tresults/of/this/{n}.nii\t1.5").unwrap();
    }
    fs::write(folder.path("jobs.tsv"), &table).unwrap();
    let mut done = String::new();
    for n in 0..20_000 {
        writeln!(done, "{:064x}\t{}", n, folder.path(&format!("results/of/this/{n}.nii")).display()).unwrap();
    }
    fs::write(folder.path("jobs.tsv.done"), &done).unwrap();
    let answer = within(&folder, 40, &["batch", "jobs.tsv"]).expect(1);
    assert!(answer.stderr.contains("line 2") && answer.stderr.contains("scans/of/somebody/0.nii"), "{}", answer.stderr);
    // Clashes are found over all of it.
    table += "a.nii\tresults/of/this/19999.nii\t\n";
    fs::write(folder.path("jobs.tsv"), &table).unwrap();
    let told = within(&folder, 40, &["batch", "jobs.tsv"]).expect(2).stderr;
    assert!(told.contains("line 20002, column output: line 20001 writes results/of/this/19999.nii"), "{told}");
    let told = folder.run(&["batch", "jobs.tsv", "--memory", "9MiB"]).expect(2).stderr;
    assert!(told.contains("has 20001 rows") && told.contains("hint: use --memory 10MiB"), "{told}");
}

#[test]
fn a_row_of_many_mebibytes_is_none() {
    let folder = Folder::new();
    let long = "x".repeat(60_000_000);
    for table in [format!("input\toutput\na\t{long}\n"), format!("{long}\n"), format!("input\toutput\n#{long}\n")] {
        fs::write(folder.path("jobs.tsv"), table).unwrap();
        let told = within(&folder, 48, &["batch", "jobs.tsv"]).expect(2).stderr;
        assert!(told.contains("more than 65536 bytes: no row of a table of jobs"), "{told}");
    }
}
