//! Reports, previews and the server for viewers, as the command makes them.

use std::{collections::HashMap, fs, io::Cursor, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::kit::{folder::Folder, nifti::samples};

/// The pictures of a page by name (`0-after`): red, green, blue of each pixel.
fn sprites(html: &str) -> HashMap<String, Vec<u8>> {
    let parts = html.split("<img id=\"sprite-").skip(1);
    let sprite = |part: &str| {
        let (name, rest) = part.split_once('"').unwrap();
        let (_, rest) = rest.split_once("data:image/png;base64,").unwrap();
        let file = STANDARD.decode(rest.split_once('"').unwrap().0).unwrap();
        let mut reader = png::Decoder::new(Cursor::new(file)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut bytes).unwrap();
        (name.to_string(), bytes)
    };
    parts.map(sprite).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// A u16 `.nii` without rotation: its shape, steps and first voxel (x, y, z), and its voxels.
struct Volume {
    shape: Vec<f64>,
    spacing: Vec<f64>,
    origin: Vec<f64>,
    voxels: Vec<u16>,
}

impl Volume {
    fn of(side: &Value, path: &Path) -> Volume {
        let grid = &side["grid"];
        let voxels = samples(path).chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        let [shape, spacing, origin] = ["shape", "spacing", "origin"].map(|name| numbers(&grid[name]));
        Volume { shape, spacing, origin, voxels }
    }

    /// The voxel nearest to a place in the world; nothing outside, and where two are as near.
    fn nearest(&self, world: &[f64]) -> Option<u16> {
        let index: Vec<f64> = (0..3).map(|a| (world[a] - self.origin[a]) / self.spacing[a]).collect();
        let is_tie = index.iter().any(|c| ((c + 0.5) - (c + 0.5).round()).abs() < 1e-6);
        let inside = (0..3).all(|a| index[a].round() >= 0.0 && index[a].round() < self.shape[a]);
        let [i, j, k] = [0, 1, 2].map(|a| index[a].round().max(0.0) as usize);
        let at = (k * self.shape[1] as usize + j) * self.shape[0] as usize + i;
        (inside && !is_tie).then(|| self.voxels[at])
    }
}

/// Each pixel of each picture shows the voxel that is stored at its place in the world, before and after.
#[test]
fn pictures_are_the_stored_voxels() {
    let folder = Folder::new();
    folder.phantom("packed.nii.gz", [24, 50, 60]);
    folder.run(&["resample", "packed.nii.gz", "scan.nii"]).expect(0);
    let grid = ["--spacing", "0.6,0.9,1.1", "--align", "center", "--threads", "3"];
    let pages = ["--report", "page.html", "--report-json", "page.json", "--preview", "planes.png"];
    folder.run(&[&["resample", "scan.nii", "out.nii"], &grid[..], &pages].concat()).expect(0);
    let html = fs::read_to_string(folder.path("page.html")).unwrap();
    let page: Value = serde_json::from_slice(&fs::read(folder.path("page.json")).unwrap()).unwrap();
    assert!(html.len() < 3_000_000);
    let sides = [("before", "scan.nii"), ("after", "out.nii")];
    let sprites = sprites(&html);
    assert_eq!(sprites.len(), 6);
    for (side, file) in sides {
        let volume = Volume::of(&page[side], &folder.path(file));
        let mut seen = 0;
        for (n, picture) in page["pictures"].as_array().unwrap().iter().enumerate() {
            let [width, height] = ["width", "height"].map(|name| picture[name].as_u64().unwrap() as usize);
            let rows: Vec<Vec<f64>> = picture["to_world"].as_array().unwrap().iter().map(numbers).collect();
            let pixels = &sprites[&format!("{n}-{side}")];
            assert_eq!(pixels.len(), 3 * width * height);
            for (at, pixel) in pixels.chunks(3).enumerate() {
                let (column, row) = ((at % width) as f64, (at / width) as f64);
                let world: Vec<f64> = rows.iter().map(|r| r[0] * column + r[1] * row + r[2]).collect();
                let Some(expected) = volume.nearest(&world) else { continue };
                let code = f64::from(u16::from_be_bytes([pixel[0], pixel[1]]));
                let value = page["code"]["offset"].as_f64().unwrap() + code * page["code"]["step"].as_f64().unwrap();
                assert_eq!((value, pixel[2] & 6), (f64::from(expected), 0), "{side} {n} at {column}, {row}");
                seen += 1;
            }
        }
        assert!(seen > 5000, "{seen}");
    }
    assert_eq!(&fs::read(folder.path("planes.png")).unwrap()[1..4], b"PNG");
}

/// The same run makes the same page, but for what depends on time.
#[test]
fn pages_are_the_same_but_for_times() {
    let folder = Folder::new();
    folder.phantom("scan.nii.gz", [20, 40, 40]);
    let page = |threads: &str| {
        let run = ["resample", "scan.nii.gz", "out.ome.zarr", "--spacing", "1", "--overwrite", "--threads", threads];
        folder.run(&[&run[..], &["--report", "page.html", "--report-json", "page.json"]].concat()).expect(0);
        let html = fs::read_to_string(folder.path("page.html")).unwrap();
        let mut page: Value = serde_json::from_slice(&fs::read(folder.path("page.json")).unwrap()).unwrap();
        for timed in ["memory", "run", "arguments"] {
            page.as_object_mut().unwrap().remove(timed);
        }
        (sprites(&html), page)
    };
    assert_eq!(page("1"), page("4"));
}

#[test]
fn two_stored_volumes_make_a_page_whatever_their_formats() {
    let folder = Folder::new();
    folder.phantom("scan.nii.gz", [20, 60, 60]);
    folder
        .run(&["resample", "scan.nii.gz", "out.ome.zarr", "--spacing", "1", "--chunk", "16", "--pyramid=2"])
        .expect(0);
    let both = ["report", "scan.nii.gz", "out.ome.zarr", "--report", "two.html", "--report-json", "two.json"];
    folder.run(&both).expect(0);
    let run = ["resample", "scan.nii.gz", "again.nii", "--spacing", "1", "--report", "run.html"];
    folder.run(&run).expect(0);
    let read = |name: &str| fs::read_to_string(folder.path(name)).unwrap();
    // What is read afterwards is what the run has seen; only the run knows what looks outside.
    let without_flags = |html: &str| -> HashMap<String, Vec<u8>> {
        let cleared = |mut pixels: Vec<u8>| {
            pixels.iter_mut().skip(2).step_by(3).for_each(|flags| *flags &= !1);
            pixels
        };
        sprites(html).into_iter().map(|(name, pixels)| (name, cleared(pixels))).collect()
    };
    assert_eq!(without_flags(&read("two.html")), without_flags(&read("run.html")));
    folder.run(&["report", "out.ome.zarr", "--report", "one.html"]).expect(0);
    assert_eq!(sprites(&read("one.html")).len(), 3);
    let json: Value = serde_json::from_str(&read("two.json")).unwrap();
    assert_eq!((&json["schema"], json["run"].is_null()), (&Value::from(1), true));
}

#[test]
fn chunks_that_are_absent_are_told() {
    let folder = Folder::new();
    folder.phantom("scan.nii", [16, 32, 32]);
    folder.run(&["resample", "scan.nii", "out.zarr", "--chunk", "16", "--shard", "none"]).expect(0);
    let page = || {
        folder.run(&["report", "out.zarr", "--report", "page.html"]).expect(0);
        fs::read_to_string(folder.path("page.html")).unwrap()
    };
    assert!(!page().contains("chunks that the pictures show are absent"));
    // As another program leaves chunks out.
    let document = folder.path("out.zarr/0/zarr.json");
    let mut array: Value = serde_json::from_slice(&fs::read(&document).unwrap()).unwrap();
    array["attributes"].as_object_mut().unwrap().remove("reslice");
    fs::write(&document, array.to_string()).unwrap();
    fs::remove_file(folder.path("out.zarr/0/c/0/0/0")).unwrap();
    assert!(page().contains("1 chunks that the pictures show are absent"));
}

#[test]
fn labels_have_colours_and_a_table() {
    let folder = Folder::new();
    folder.phantom("scan.nii", [20, 60, 60]);
    let run = ["resample", "scan.nii", "out.nii", "--scale", "0.7", "--interp", "label", "--report", "p.html"];
    folder.run(&[&run[..], &["--report-json", "p.json"]].concat()).expect(0);
    let page: Value = serde_json::from_slice(&fs::read(folder.path("p.json")).unwrap()).unwrap();
    assert_eq!((&page["content"], &page["windows"][0]["colours"]), (&Value::from("labels"), &Value::from(true)));
    assert!(page["label_values"].as_array().unwrap().len() > 2 && !page["labels"].as_array().unwrap().is_empty());
}

#[test]
fn memory_stays_within_the_budget_with_pictures() {
    let folder = Folder::new();
    folder.phantom("scan.nii.gz", [120, 300, 300]);
    for memory in ["48MiB", "64MiB", "300MiB"] {
        let run = ["resample", "scan.nii.gz", "out.ome.zarr", "--overwrite", "--spacing", "0.7", "--memory", memory];
        let pages = ["--threads", "2", "--report", "page.html", "--preview", "highest.png,mip"];
        let (answer, peak_bytes) = folder.run_measured(&[&run[..], &pages].concat(), &[]);
        answer.expect(0);
        let most_bytes = memory.trim_end_matches("MiB").parse::<u64>().unwrap() << 20;
        assert!(peak_bytes <= most_bytes, "{peak_bytes} with {memory}");
        let (answer, peak_bytes) = folder
            .run_measured(&["report", "scan.nii.gz", "out.ome.zarr", "--report", "two.html", "--memory", memory], &[]);
        answer.expect(0);
        assert!(peak_bytes <= most_bytes, "{peak_bytes} with {memory} for two volumes");
    }
}

#[test]
fn files_that_cannot_be_are_refused_before_the_run() {
    let folder = Folder::new();
    folder.phantom("scan.nii", [10, 20, 20]);
    for wrong in [
        ["--report", "none/page.html"],
        ["--report", "scan.nii"],
        ["--report", "out.nii"],
        ["--report-json", "none/page.json"],
        ["--preview", "scan.nii,mip"],
    ] {
        let answer = folder.run(&[&["resample", "scan.nii", "out.nii"], &wrong[..]].concat()).expect(2);
        assert!(answer.stderr.contains("hint: name"), "{}", answer.stderr);
        assert!(!folder.path("out.nii").exists() && !folder.path("out.nii.reslice").exists());
    }
    let twice = ["--report", "page.html", "--summary", "page.html"];
    folder.run(&[&["resample", "scan.nii", "out.nii"], &twice[..]].concat()).expect(2);
    assert!(
        folder.run(&["report", "scan.nii", "--report", "scan.nii"]).expect(2).stderr.contains("a volume that is read")
    );
}

#[test]
fn a_part_that_another_run_stored_is_told() {
    let folder = Folder::new();
    folder.phantom("scan.nii", [40, 64, 64]);
    let rank = |rank: &str, page: &str| {
        let run =
            ["resample", "scan.nii", "out.zarr", "--spacing", "1", "--chunk", "16", "--shard", "none", "--rank", rank];
        folder.run(&[&run[..], &["--report", page]].concat()).expect(0);
        fs::read_to_string(folder.path(page)).unwrap()
    };
    let lacking = |page: &str| {
        let pixels: Vec<u8> = sprites(page).into_values().flatten().collect();
        pixels.chunks(3).filter(|pixel| pixel[2] & 2 != 0).count()
    };
    // The second completes the target, and reads what the first made.
    let (first, second) = (rank("0/2", "a.html"), rank("1/2", "b.html"));
    let told = "other ranks made the rest of the target";
    assert!(first.contains(told) && lacking(&first) > 1000);
    assert!(!second.contains(told) && lacking(&second) < lacking(&first) / 10, "{}", lacking(&second));
}
