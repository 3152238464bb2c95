//! Imaris and BigDataViewer in HDF5 made by hand: voxels, axes, places and levels, and what is refused.

use std::{fs, time::Instant};

use serde_json::Value;

use crate::kit::{
    damaged,
    folder::{Folder, numbers, read},
    hdf5s::{Cells, Hdf5, bdv, imaris, xml},
    rng::Rng,
};

const IMAGE: [(&str, &str); 7] = [
    ("Unit", "um"),
    ("ExtMin0", "10"),
    ("ExtMin1", "-3.5"),
    ("ExtMin2", "0"),
    ("ExtMax0", "21"),
    ("ExtMax1", "1"),
    ("ExtMax2", "14"),
];

fn bytes_of(voxels: &[u16]) -> Vec<u8> {
    voxels.iter().flat_map(|voxel| voxel.to_le_bytes()).collect()
}

/// 11 x 9 x 7 voxels in whole chunks of 8 x 4 x 4.
fn padded() -> Cells {
    Cells { stored: [8, 12, 16], ..Cells::new([7, 9, 11], [4, 4, 8]) }
}

#[test]
fn imaris_has_its_voxels_where_its_edges_say() {
    let folder = Folder::new();
    for packing in [0, 1, 2] {
        let fine = Cells { packing, ..padded() };
        let coarse = Cells { base: 5, ..Cells::new([3, 4, 5], [4, 4, 8]) };
        let coarse = Cells { stored: [4, 4, 8], ..coarse };
        let file = imaris(&[vec![vec![fine.clone()]], vec![vec![coarse.clone()]]], &IMAGE);
        fs::write(folder.path("a.ims"), file).unwrap();
        let (info, copy) = read(&folder, "a.ims");
        assert_eq!(copy, bytes_of(&fine.expected()), "{packing}");
        assert_eq!(numbers(&info["grid"]["shape"]), [11.0, 9.0, 7.0]);
        assert_eq!(numbers(&info["grid"]["spacing"]), [1.0, 0.5, 2.0]);
        assert_eq!(numbers(&info["grid"]["origin"]), [10.5, -3.25, 1.0]);
        assert_eq!((&info["grid"]["unit"], &info["dtype"]), (&Value::from("micrometer"), &Value::from("u16")));
        let filters = ["raw", "deflate", "shuffle + deflate"][usize::from(packing)];
        assert_eq!(info["format"], format!("Imaris (HDF5), {filters}, level 0 of 2"));
        assert_eq!(numbers(&info["levels"][1]["shape"]), [5.0, 4.0, 3.0]);
        assert_eq!(numbers(&info["levels"][1]["spacing"]), [2.2, 1.125, 14.0 / 3.0]);
        assert_eq!(info["levels"][1]["path"], "ResolutionLevel 1");
        folder.run(&["resample", "a.ims", "b.nii", "--level", "1", "--scale", "1", "--overwrite"]).expect(0);
        assert_eq!(fs::read(folder.path("b.nii")).unwrap()[352..], bytes_of(&coarse.expected()));
        let absent = folder.run(&["resample", "a.ims", "c.nii", "--level", "2", "--scale", "1"]).expect(2);
        assert!(absent.stderr.contains("the file has 2") && absent.stderr.contains("from 0 to 1"), "{}", absent.stderr);
        assert!(folder.run(&["info", "a.ims?image=1"]).expect(2).stderr.contains("one of Imaris has one"));
    }
}

#[test]
fn times_and_channels_are_axes_and_are_chosen() {
    let folder = Folder::new();
    let of = |n: u16| Cells { base: 1000 * n, ..padded() };
    let file = imaris(&[vec![vec![of(0), of(1), of(2)], vec![of(3), of(4), of(5)]]], &IMAGE);
    fs::write(folder.path("a.ims"), file).unwrap();
    let (info, copy) = read(&folder, "a.ims");
    let axes: Vec<&Value> = info["outer"].as_array().unwrap().iter().map(|axis| &axis["name"]).collect();
    assert_eq!(axes, ["t", "c"]);
    assert_eq!((&info["outer"][0]["step"], &info["outer"][0]["unit"]), (&Value::from(2.5), &Value::from("second")));
    assert_eq!(copy.len(), 6 * 7 * 9 * 11 * 2);
    for (time, channel) in [(0, 2), (1, 0)] {
        let [t, c] = [time, channel].map(|n: u16| n.to_string());
        folder
            .run(&["resample", "a.ims", "b.nii", "--time", &t, "--channel", &c, "--scale", "1", "--overwrite"])
            .expect(0);
        let expected = bytes_of(&of(3 * time + channel).expected());
        assert_eq!(fs::read(folder.path("b.nii")).unwrap()[352..], expected, "{time} {channel}");
    }
}

#[test]
fn chunks_that_were_never_stored_are_the_fill_value() {
    let folder = Folder::new();
    let cells = Cells { absent: vec![0, 4, 11], fill: 77, ..padded() };
    fs::write(folder.path("a.ims"), imaris(&[vec![vec![cells.clone()]]], &IMAGE)).unwrap();
    assert_eq!(read(&folder, "a.ims").1, bytes_of(&cells.expected()));
    let report = folder.run(&["verify", "a.ims", "--json"]).expect(0).json();
    assert_eq!((&report["ok"], &report["arrays"][0]["missing"]), (&Value::from(true), &Value::from(3)));
    let none = Cells { absent: (0..12).collect(), fill: 3, ..padded() };
    fs::write(folder.path("b.ims"), imaris(&[vec![vec![none.clone()]]], &IMAGE)).unwrap();
    assert_eq!(read(&folder, "b.ims").1, bytes_of(&none.expected()));
}

/// Two times of two setups of two levels.
fn viewed(setups: usize) -> (Vec<Vec<Vec<Cells>>>, Vec<u8>) {
    let levels = |n: u16| {
        let fine = Cells { is_signed: true, base: 40_000 + 300 * n, ..Cells::new([7, 9, 11], [4, 4, 8]) };
        vec![fine, Cells { is_signed: true, base: n, ..Cells::new([4, 5, 6], [4, 4, 4]) }]
    };
    let times: Vec<Vec<Vec<Cells>>> =
        (0..2).map(|t| (0..setups).map(|s| levels((setups * t + s) as u16)).collect()).collect();
    let file = bdv(&times, &[[1.0; 3], [2.0, 2.0, 4.0]]);
    (times, file)
}

#[test]
fn bigdataviewer_has_its_steps_in_the_document() {
    let folder = Folder::new();
    let (times, file) = viewed(2);
    fs::write(folder.path("a.h5"), &file).unwrap();
    fs::write(folder.path("a.xml"), xml("a.h5", [7, 9, 11], &[[1, 0], [0, 0]])).unwrap();
    for name in ["a.h5", "a.xml"] {
        let (info, copy) = read(&folder, name);
        assert_eq!(info["format"], "BigDataViewer (HDF5), deflate, level 0 of 2");
        assert_eq!(numbers(&info["grid"]["spacing"]), [0.5, 0.5, 2.0]);
        assert_eq!((&info["grid"]["unit"], &info["dtype"]), (&Value::from("micrometer"), &Value::from("u16")));
        assert_eq!(info["warnings"], Value::from(Vec::<String>::new()));
        // Channels in the order of their numbers, not of the setups.
        let axes: Vec<u64> =
            info["outer"].as_array().unwrap().iter().map(|axis| axis["len"].as_u64().unwrap()).collect();
        assert_eq!(axes, [2, 2]);
        let channel = |c: usize, t: usize| bytes_of(&times[t][1 - c][0].expected());
        let volume = channel(0, 0).len();
        folder
            .run(&["resample", name, "b.nii", "--time", "1", "--channel", "0", "--scale", "1", "--overwrite"])
            .expect(0);
        assert_eq!(fs::read(folder.path("b.nii")).unwrap()[352..], channel(0, 1));
        assert_eq!(copy.len(), 4 * volume);
        folder
            .run(&["resample", name, "c.zarr", "--level", "1", "--time", "0", "--scale", "1", "--overwrite"])
            .expect(0);
        let info = folder.run(&["info", "c.zarr", "--json"]).expect(0).json();
        assert_eq!(numbers(&info["grid"]["spacing"]), [1.0, 1.0, 8.0]);
        assert_eq!(numbers(&info["grid"]["origin"]), [0.25, 0.25, 3.0]);
    }
}

#[test]
fn setups_that_are_no_channels_are_images() {
    let folder = Folder::new();
    let (times, file) = viewed(3);
    fs::write(folder.path("a.h5"), &file).unwrap();
    let several = folder.run(&["info", "a.h5"]).expect(2).stderr;
    assert!(several.contains("has 3 images") && several.contains("2 setup 2"), "{several}");
    let alone = folder.run(&["info", "a.h5?image=2", "--json"]).expect(0).json();
    assert!(alone["warnings"][0].as_str().unwrap().contains("no step is stated"), "{alone}");
    fs::write(folder.path("a.xml"), xml("a.h5", [7, 9, 11], &[[0, 0], [1, 0], [0, 5]])).unwrap();
    let several = folder.run(&["info", "a.h5"]).expect(2).stderr;
    assert!(several.contains("has 2 images") && several.contains("0 setup 0 and 1 channels more"), "{several}");
    for name in ["a.h5?image=1", "a.xml?image=setup 2"] {
        folder.run(&["resample", name, "b.nii", "--time", "1", "--scale", "1", "--overwrite"]).expect(0);
        assert_eq!(fs::read(folder.path("b.nii")).unwrap()[352..], bytes_of(&times[1][2][0].expected()));
    }
    fs::write(folder.path("a.xml"), xml("other.h5", [7, 9, 11], &[[0, 0]])).unwrap();
    assert!(folder.run(&["info", "a.xml"]).expect(1).stderr.contains("other.h5"));
    assert!(folder.run(&["info", "a.h5"]).expect(2).stderr.contains("has 3 images"));
}

#[test]
fn what_is_not_read_is_named() {
    let folder = Folder::new();
    let mut file = Hdf5::default();
    let cells = file.cells(&padded());
    let root = file.group(&[("image".into(), cells)], &[]);
    fs::write(folder.path("plain.h5"), file.finish(root)).unwrap();
    let told = folder.run(&["info", "plain.h5"]).expect(1).stderr;
    assert!(told.contains("no image of Imaris or BigDataViewer in it, and no transform of ITK"), "{told}");
    let blosc = |bytes: &mut Vec<u8>| {
        let filter = [1, 0, 0, 0, 0, 0, 1, 0, 6, 0];
        let at = bytes.windows(filter.len()).position(|part| part == filter).unwrap();
        bytes[at..at + 2].copy_from_slice(&32001u16.to_le_bytes());
    };
    let mut file = imaris(&[vec![vec![padded()]]], &IMAGE);
    blosc(&mut file);
    fs::write(folder.path("a.ims"), file).unwrap();
    let told = folder.run(&["info", "a.ims"]).expect(1).stderr;
    assert!(told.contains("the filter Blosc (32001), which is not read") && told.contains("bioformats2raw"), "{told}");
    let differ = imaris(&[vec![vec![padded(), Cells { packing: 2, ..padded() }]]], &IMAGE);
    fs::write(folder.path("b.ims"), differ).unwrap();
    let told = folder.run(&["info", "b.ims"]).expect(1).stderr;
    assert!(told.contains("(deflate), and") && told.contains("(shuffle, deflate)"), "{told}");
    let document = xml("a.h5", [7, 9, 11], &[[0, 0]]).replace("bdv.hdf5", "bdv.n5");
    fs::write(folder.path("n5.xml"), document).unwrap();
    assert!(folder.run(&["info", "n5.xml"]).expect(1).stderr.contains("images are in bdv.n5"));
    let (_, mut file) = viewed(1);
    let place = file.windows(6).position(|part| part == b"cells\0").unwrap();
    file[place] = b'd';
    fs::write(folder.path("c.h5"), file).unwrap();
    let told = folder.run(&["info", "c.h5"]).expect(1).stderr;
    assert!(told.contains("is not in this file: it is missing, or a link to another file"), "{told}");
}

#[test]
fn damage_is_found_by_verify() {
    let folder = Folder::new();
    let raw = Cells { packing: 0, ..Cells::new([3, 4, 5], [4, 4, 8]) };
    let file = imaris(&[vec![vec![padded()]], vec![vec![raw]]], &IMAGE);
    fs::write(folder.path("a.ims"), &file).unwrap();
    let whole = folder.run(&["verify", "a.ims", "--json"]).expect(0).json();
    assert_eq!((&whole["ok"], whole["arrays"].as_array().unwrap().len()), (&Value::from(true), 2));
    assert_eq!(whole["arrays"][0]["chunks"], 12);
    // Which filters were left out of a chunk was counted too, 4 bytes each.
    assert_eq!(whole["arrays"][1]["stored_bytes"], 4 * 4 * 8 * 2);
    let mut bad = file;
    // Within the first chunk.
    bad[96 + 20] ^= 0x55;
    fs::write(folder.path("bad.ims"), bad).unwrap();
    let damaged = folder.run(&["verify", "bad.ims", "--json"]).expect(1).json();
    assert_eq!((&damaged["ok"], &damaged["arrays"][0]["bad"]), (&Value::from(false), &Value::from(1)));
    assert_eq!(damaged["arrays"][0]["problems"][0]["chunk"], "volume 0, [0, 0, 0]");
}

/// Opens whatever the bytes are and reads its first chunks; every error will do.
fn body(folder: &Folder, bytes: &[u8]) -> bool {
    let path = folder.path("mutant.h5");
    fs::write(&path, bytes).unwrap();
    damaged::reads(&path, 20)
}

/// Changes of what HDF5 is made of: numbers of any width, addresses, structures that are copied to other places.
fn mutated(seed: &[u8], rng: &mut Rng) -> Vec<u8> {
    const VALUES: [u64; 12] = [0, 1, 2, 3, 8, 255, 65535, 0x7fff_ffff, 0xffff_ffff, 1 << 40, u64::MAX - 1, u64::MAX];
    let mut bytes = seed.to_vec();
    for _ in 0..=rng.below(3) {
        let len = bytes.len() as u64;
        // Half of the changes are where structures stand that are not voxels.
        let marks: Vec<usize> =
            (8..bytes.len().saturating_sub(8)).step_by(8).filter(|&at| bytes[at + 7] == 0).collect();
        let at = if rng.below(2) == 0 || marks.is_empty() { rng.below(len) as usize } else { *rng.one_of(&marks) };
        match rng.below(6) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes.truncate(at.max(16)),
            2 | 3 => {
                let width = [1, 2, 4, 8][rng.below(4) as usize].min(bytes.len() - at);
                let value = *rng.one_of(&VALUES);
                let value = if rng.below(2) == 0 { value } else { rng.below(2 * len) };
                bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
            }
            4 => {
                let from = rng.below(len) as usize;
                let count = [8, 40, 48][rng.below(3) as usize].min(bytes.len() - at).min(bytes.len() - from);
                let piece = bytes[from..from + count].to_vec();
                bytes[at..at + count].copy_from_slice(&piece);
            }
            _ => {
                // An address that leads to another structure.
                let any = rng.below(len) / 8 * 8;
                let to = *rng.one_of(&[96, at as u64 / 8 * 8, any]);
                let place = at / 8 * 8;
                if place + 8 <= bytes.len() {
                    bytes[place..place + 8].copy_from_slice(&to.to_le_bytes());
                }
            }
        }
    }
    bytes
}

/// `RESLICE_HDF5_ROUNDS` of each seed (150).
#[test]
fn damaged_files_are_errors_or_voxels() {
    let folder = Folder::new();
    let rounds: u64 = std::env::var("RESLICE_HDF5_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(150);
    let seeds = [
        imaris(&[vec![vec![Cells { absent: vec![3], ..padded() }]]], &IMAGE),
        imaris(&vec![vec![vec![Cells { packing: 2, ..Cells::new([3, 4, 5], [4, 4, 4]) }; 2]; 2]; 2], &IMAGE),
        viewed(1).1,
    ];
    let (mut slowest, mut read) = (0, 0);
    for (n, seed) in seeds.iter().enumerate() {
        assert!(body(&folder, seed), "seed {n}");
        for round in 0..rounds {
            let mut rng = Rng::of(round * 31 + n as u64);
            let begun = Instant::now();
            read += u64::from(body(&folder, &mutated(seed, &mut rng)));
            slowest = slowest.max(begun.elapsed().as_millis());
        }
    }
    println!("slowest {slowest} ms, {read} read");
    assert!(slowest < 5_000, "{slowest} ms");
}
