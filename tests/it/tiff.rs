//! TIFF files written by hand: voxels, steps and axes as their directories say, and what is refused.

use std::{fs, time::Instant};

use reslice::{
    geometry::{Affine, Grid, Unit},
    io::tiff::{TargetSpec, open, target_header},
    layout::{Axis, Layout, Outer},
    voxel::Dtype,
};
use serde_json::Value;

use crate::kit::{
    damaged,
    folder::{Folder, numbers, read},
    rng::Rng,
    tiffs::Tiff,
};

fn put(folder: &Folder, name: &str, tiff: &Tiff) {
    fs::write(folder.path(name), tiff.bytes()).unwrap();
}

fn told(folder: &Folder, tiff: &Tiff) -> String {
    put(folder, "bad.tif", tiff);
    let answer = folder.run(&["info", "bad.tif"]);
    assert!(answer.code == 1 || answer.code == 2, "{}{}", answer.stdout, answer.stderr);
    assert!(!answer.stderr.contains("panicked"), "{}", answer.stderr);
    answer.stderr
}

#[test]
fn strips_and_tiles_of_any_kind_give_the_same_voxels() {
    let folder = Folder::new();
    let whole = Tiff::new([3, 7, 9]);
    let expected: Vec<u8> = whole.pages.concat();
    for big_endian in [false, true] {
        for wide in [false, true] {
            let own = Tiff { wide, ..Tiff::of([3, 7, 9], big_endian) };
            for compression in [1, 8, 32773, 50000] {
                for (name, tiff) in [
                    ("page", Tiff { compression, ..own.clone() }),
                    ("strips", Tiff { compression, strip: 2, ..own.clone() }),
                    ("tiles", Tiff { compression, tile: Some([4, 16]), ..own.clone() }),
                    ("small tiles", Tiff { compression, tile: Some([2, 4]), ..own.clone() }),
                ] {
                    put(&folder, "a.tif", &tiff);
                    let (info, copy) = read(&folder, "a.tif");
                    assert_eq!(copy, expected, "{name} {compression} {big_endian} {wide}");
                    assert_eq!(numbers(&info["grid"]["shape"]), [9.0, 7.0, 3.0]);
                    let format = info["format"].as_str().unwrap();
                    assert!(format.starts_with(if wide { "BigTIFF, " } else { "TIFF, " }), "{format}");
                }
            }
        }
    }
}

#[test]
fn imagej_stacks_stand_behind_one_directory() {
    let folder = Folder::new();
    let text = "ImageJ=1.54f\nimages=12\nchannels=2\nslices=3\nframes=2\nhyperstack=true\nunit=um\nspacing=1.5\nfinterval=0.25\n";
    let resolution = Some(([4, 1, 2, 1], 1));
    let stack = Tiff { is_one: true, description: text.into(), resolution, ..Tiff::of([12, 3, 4], true) };
    put(&folder, "a.tif", &stack);
    let (info, _) = read(&folder, "a.tif");
    assert_eq!(info["format"], "ImageJ TIFF, raw");
    assert_eq!(numbers(&info["grid"]["spacing"]), [0.25, 0.5, 1.5]);
    assert_eq!(info["grid"]["unit"], "micrometer");
    let outer: Vec<(&str, u64)> = info["outer"]
        .as_array()
        .unwrap()
        .iter()
        .map(|axis| (axis["name"].as_str().unwrap(), axis["len"].as_u64().unwrap()))
        .collect();
    assert_eq!(outer, [("t", 2), ("c", 2)]);
    // A file that is cut off, or that claims more planes than it has, is told so.
    let more =
        Tiff { description: text.replace("images=12", "images=240").replace("frames=2", "frames=40"), ..stack.clone() };
    assert!(told(&folder, &more).contains("planes of 24 bytes"));
    // Each plane has a directory of its own in files below 4 GB that are compressed.
    let apart = Tiff { is_one: false, compression: 8, ..stack };
    put(&folder, "b.tif", &apart);
    let one = folder.run(&["compare", "a.tif", "b.tif"]);
    one.expect(0);
}

#[test]
fn colours_are_components_and_other_samples_an_axis() {
    let folder = Folder::new();
    let page = |p: u8| (0..4 * 5 * 3).map(|n| n + 60 * p).collect::<Vec<u8>>();
    let colours =
        Tiff { sample: [1, 3, 1], photometric: 2, pages: vec![page(0), page(1)], size: [4, 5], ..Tiff::new([2, 4, 5]) };
    put(&folder, "rgb.tif", &colours);
    let (info, copy) = read(&folder, "rgb.tif");
    assert_eq!((&info["components"], copy), (&Value::from(3), colours.pages.concat()));
    let tiled = Tiff { tile: Some([16, 16]), compression: 8, ..colours.clone() };
    put(&folder, "tiled.tif", &tiled);
    assert_eq!(read(&folder, "tiled.tif").1, colours.pages.concat());
    put(&folder, "three.tif", &Tiff { photometric: 1, ..colours });
    let (info, _) = read(&folder, "three.tif");
    assert_eq!((&info["components"], &info["outer"][0]["name"]), (&Value::from(1), &Value::from("c")));
}

#[test]
fn levels_are_chosen() {
    let folder = Folder::new();
    let finer = Tiff::new([2, 8, 12]);
    let coarse = Tiff::new([2, 4, 6]).pages;
    let resolution = Some(([10, 1, 10, 1], 3));
    let pyramid = Tiff { levels: vec![([4, 6], coarse.clone())], resolution, ..finer.clone() };
    put(&folder, "a.tif", &pyramid);
    let (info, copy) = read(&folder, "a.tif");
    assert_eq!((copy, numbers(&info["grid"]["spacing"])), (finer.pages.concat(), vec![1.0, 1.0, 1.0]));
    assert_eq!(info["format"], "TIFF, raw, level 0 of 2");
    let copied = folder.run(&["resample", "a.tif", "b.nii", "--level", "1", "--scale", "1"]);
    copied.expect(0);
    assert_eq!(fs::read(folder.path("b.nii")).unwrap()[352..], coarse.concat());
    folder.run(&["resample", "a.tif", "b.zarr", "--level", "1", "--scale", "1"]).expect(0);
    let info = folder.run(&["info", "b.zarr", "--json"]).expect(0).json();
    assert_eq!(numbers(&info["grid"]["spacing"]), [2.0, 2.0, 1.0]);
    assert_eq!(numbers(&info["grid"]["origin"]), [0.5, 0.5, 0.0]);
    let absent = folder.run(&["resample", "a.tif", "c.nii", "--level", "2", "--scale", "1"]).expect(2);
    assert!(absent.stderr.contains("the file has 2") && absent.stderr.contains("from 0 to 1"), "{}", absent.stderr);
}

#[test]
fn what_is_not_read_is_named() {
    let folder = Folder::new();
    let plain = Tiff::new([2, 4, 5]);
    for (says, tiff) in [
        ("JPEG (compression 7)", Tiff { compression: 7, ..plain.clone() }),
        ("LERC", Tiff { compression: 34887, ..plain.clone() }),
        ("floats of 16 bits", Tiff { sample: [2, 1, 3], ..plain.clone() }),
        ("YCbCr", Tiff { photometric: 6, ..plain.clone() }),
        ("Zeiss LSM", Tiff { more: vec![(34412, 4, vec![1, 2, 3, 4])], ..plain.clone() }),
        ("pages of 5 planes", Tiff { more: vec![(32997, 4, vec![5])], ..plain.clone() }),
        ("predictor 7", Tiff { compression: 8, more: vec![(317, 3, vec![7])], ..plain.clone() }),
        ("several files of an image (bad.tif, b.tif)", {
            let data = "<TiffData IFD='0'><UUID FileName='bad.tif'>1</UUID></TiffData><TiffData IFD='0' FirstZ='1'><UUID FileName='b.tif'>2</UUID></TiffData>";
            let text = format!(
                "<?xml version='1.0'?><OME UUID='1'><Image><Pixels SizeZ='2' SizeC='1' SizeT='1'>{data}</Pixels></Image></OME>"
            );
            Tiff { description: text, ..plain.clone() }
        }),
    ] {
        let message = told(&folder, &tiff);
        let way_out = if says == "LERC" { "tifffile" } else { "bioformats2raw" };
        assert!(message.contains(says) && message.contains(way_out), "{says}: {message}");
    }
    let mut differ = plain.bytes();
    // The second page gets a row less.
    let second = differ.windows(12).rposition(|field| field[..8] == [1, 1, 4, 0, 1, 0, 0, 0]).unwrap();
    differ[second + 8] = 3;
    fs::write(folder.path("differ.tif"), differ).unwrap();
    let message = folder.run(&["info", "differ.tif"]).expect(1).stderr;
    assert!(message.contains("page 1 is 5x4 u16 raw, page 2 is 5x3 u16 raw"), "{message}");
}

/// A file of `pages` directories that all have the same plane.
fn chain(pages: usize, last: u32) -> Vec<u8> {
    let fields: [(u16, u16, u32); 8] =
        [(256, 4, 2), (257, 4, 2), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (278, 4, 2), (279, 4, 4)];
    let mut file = b"II*\0\x0c\0\0\0abcd".to_vec();
    for n in 0..pages {
        file.extend(8u16.to_le_bytes());
        for (tag, kind, value) in fields {
            file.extend(tag.to_le_bytes());
            file.extend(kind.to_le_bytes());
            file.extend(1u32.to_le_bytes());
            file.extend(value.to_le_bytes());
        }
        let next = if n + 1 == pages { last } else { (file.len() + 4) as u32 };
        file.extend(next.to_le_bytes());
    }
    file
}

#[test]
fn a_hundred_thousand_pages_are_walked_once_and_circles_end() {
    let folder = Folder::new();
    fs::write(folder.path("long.tif"), chain(100_000, 0)).unwrap();
    let begun = Instant::now();
    let info = folder.run(&["info", "long.tif", "--json"]).expect(0).json();
    assert_eq!(numbers(&info["grid"]["shape"]), [2.0, 2.0, 100_000.0]);
    assert!(info["cost"]["resident_bytes"].as_u64().unwrap() < 5 << 20, "{info}");
    fs::write(folder.path("circle.tif"), chain(100_000, 12)).unwrap();
    assert!(folder.run(&["info", "circle.tif"]).expect(1).stderr.contains("circle"));
    // The table is a part of the budget.
    let small = folder.run(&["resample", "long.tif", "out.nii", "--scale", "1", "--memory", "8MiB"]);
    assert!(small.code == 2 || small.code == 1, "{}", small.stderr);
    assert!(begun.elapsed().as_secs() < 60);
}

/// Opens whatever the bytes are and reads its first chunks; every error will do.
fn body(folder: &Folder, bytes: &[u8]) -> bool {
    let path = folder.path("mutant.tif");
    fs::write(&path, bytes).unwrap();
    damaged::reads(&path, 4)
}

/// Changes of what a TIFF file is made of: fields of directories, lists, links, descriptions, streams.
fn mutated(seed: &[u8], rng: &mut Rng) -> Vec<u8> {
    const VALUES: [u64; 14] =
        [0, 1, 2, 3, 7, 8, 12, 255, 65535, 65536, 0x7fff_ffff, 0xffff_ffff, 0x1_0000_0000, u64::MAX];
    let mut bytes = seed.to_vec();
    for _ in 0..=rng.below(3) {
        let len = bytes.len() as u64;
        let at = rng.below(len) as usize;
        match rng.below(8) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes.truncate(at.max(8)),
            2..=4 => {
                // A number somewhere, of any width: half of the bytes of such small files are in directories.
                let width = [1, 2, 4, 8][rng.below(4) as usize].min(bytes.len() - at);
                let value = *rng.one_of(&VALUES);
                let value = if rng.below(2) == 0 { value } else { rng.below(2 * len) };
                bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
            }
            5 => {
                // A field becomes another one of the same file.
                let from = rng.below(len) as usize;
                let count = 12.min(bytes.len() - at).min(bytes.len() - from);
                let field = bytes[from..from + count].to_vec();
                bytes[at..at + count].copy_from_slice(&field);
            }
            6 => {
                // A number in text.
                let digit = bytes.iter().skip(at).position(u8::is_ascii_digit).map(|n| n + at);
                if let Some(place) = digit {
                    let text = *rng.one_of(&["0", "99999999999", "-1", "1e9", "x", "18446744073709551615"]);
                    bytes.splice(place..=place, text.bytes());
                }
            }
            _ => {
                let more = bytes[at..].to_vec();
                bytes.extend(more);
            }
        }
        bytes.truncate(1 << 16);
        if bytes.len() < 8 {
            bytes.resize(8, 0);
        }
    }
    bytes
}

fn seeds() -> Vec<Vec<u8>> {
    let plain = Tiff::new([3, 6, 7]);
    let ome = "<?xml version=\"1.0\"?><OME><Image ID=\"Image:0\"><Pixels DimensionOrder=\"XYZCT\" SizeX=\"7\" SizeY=\"6\" SizeZ=\"3\" SizeC=\"1\" \
        SizeT=\"1\" PhysicalSizeX=\"0.5\"><Channel ID=\"Channel:0:0\" SamplesPerPixel=\"1\"/><TiffData IFD=\"0\" PlaneCount=\"3\"/></Pixels></Image></OME>";
    let imagej = "ImageJ=1.54f\nimages=3\nslices=3\nunit=um\nspacing=2\n";
    let coarse = Tiff::new([3, 3, 4]).pages;
    [
        plain.clone(),
        Tiff { strip: 2, compression: 8, ..plain.clone() },
        Tiff { tile: Some([4, 4]), compression: 50000, wide: true, ..plain.clone() },
        Tiff { strip: 4, compression: 32773, ..Tiff::of([3, 6, 7], true) },
        Tiff {
            description: ome.into(),
            tile: Some([4, 4]),
            compression: 8,
            more: vec![(317, 3, vec![2])],
            ..plain.clone()
        },
        Tiff { description: imagej.into(), is_one: true, resolution: Some(([4, 1, 4, 1], 1)), ..plain.clone() },
        Tiff { description: r#"{"shape": [3, 6, 7]}"#.into(), is_one: true, ..plain.clone() },
        Tiff { levels: vec![([3, 4], coarse)], ..plain },
    ]
    .iter()
    .map(Tiff::bytes)
    .collect()
}

/// `RESLICE_TIFF_ROUNDS` of each seed (40).
#[test]
fn damaged_files_are_errors_or_voxels() {
    let folder = Folder::new();
    let rounds: u64 = std::env::var("RESLICE_TIFF_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let (mut slowest, mut read) = (0, 0);
    for (n, seed) in seeds().iter().enumerate() {
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

#[test]
fn damage_is_found_by_verify() {
    let folder = Folder::new();
    let tiff = Tiff { strip: 2, compression: 8, ..Tiff::new([2, 8, 9]) };
    put(&folder, "a.tif", &tiff);
    let whole = folder.run(&["verify", "a.tif", "--json"]).expect(0).json();
    assert_eq!((&whole["ok"], &whole["arrays"][0]["bad"]), (&Value::from(true), &Value::from(0)));
    let mut bytes = tiff.bytes();
    // Within the first strip.
    bytes[8 + 6] ^= 0x55;
    fs::write(folder.path("bad.tif"), bytes).unwrap();
    let damaged = folder.run(&["verify", "bad.tif", "--json"]).expect(1).json();
    assert_eq!((&damaged["ok"], &damaged["arrays"][0]["bad"]), (&Value::from(false), &Value::from(1)));
}

#[test]
fn what_is_written_is_read_again() {
    let folder = Folder::new();
    let text = "ImageJ=1.54f\nimages=12\nchannels=2\nslices=3\nframes=2\nunit=um\nspacing=1.5\nfinterval=0.25\n";
    let stack = Tiff { description: text.into(), resolution: Some(([4, 1, 2, 1], 1)), ..Tiff::new([12, 5, 4]) };
    put(&folder, "a.tif", &stack);
    let page = |p: u8| (0..4 * 5 * 4).map(|n: u8| n.wrapping_mul(3).wrapping_add(p)).collect::<Vec<u8>>();
    let pages = vec![page(0), page(9)];
    let colours = Tiff { sample: [1, 4, 1], photometric: 2, pages, size: [4, 5], ..Tiff::new([2, 4, 5]) };
    put(&folder, "rgba.tif", &colours);
    put(&folder, "plane.tif", &Tiff::new([1, 6, 7]));
    for source in ["a.tif", "rgba.tif", "plane.tif"] {
        folder.run(&["resample", source, "b.ome.tif", "--scale", "1", "--overwrite", "-q"]).expect(0);
        folder.run(&["compare", source, "b.ome.tif"]).expect(0);
        folder.run(&["verify", "b.ome.tif"]).expect(0);
        let info = |name: &str| folder.run(&["info", name, "--json"]).expect(0).json();
        let (before, after) = (info(source), info("b.ome.tif"));
        assert_eq!(after["format"], "OME-TIFF, raw");
        for member in ["grid", "outer", "dtype", "components"] {
            assert_eq!(before[member], after[member], "{source} {member}");
        }
        assert_eq!(after["cost"]["access"], "random");
    }
    for dtype in ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "f64"] {
        let as_type = ["resample", "a.tif", "c.tif", "--scale", "2", "--dtype", dtype, "--overwrite", "-q"];
        folder.run(&as_type).expect(0);
        assert_eq!(folder.run(&["info", "c.tif", "--json"]).expect(0).json()["dtype"], dtype);
    }
    let wide = folder.run(&["resample", "a.tif", "d.tif", "--scale", "1", "--dtype", "u64"]).expect(2);
    assert!(wide.stderr.contains("no samples of u64") && wide.stderr.contains("--dtype f64"), "{}", wide.stderr);
}

#[test]
fn large_targets_are_bigtiff() {
    let folder = Folder::new();
    let outer =
        Outer::separate(vec![Axis { name: "t".into(), len: 2, step: 0.5, start: 0.0, unit: Some("second".into()) }]);
    let columns = [[0.0, 0.0, 2.0], [0.0, 0.5, 0.0], [0.25, 0.0, 0.0]];
    for (depth, wide) in [(3, false), (2000, true)] {
        let grid = Grid::new([depth, 1024, 1024], Affine::from_columns(columns, [0.0; 3]), Unit::Micrometre);
        let layout = Layout { outer: outer.clone(), ..Layout::of(grid, Dtype::U16) };
        let path = folder.path("a.ome.tif");
        let spec = TargetSpec { path: &path, name: "a < b", layout: &layout, big_endian: depth == 3 };
        let header = target_header(&spec).unwrap();
        assert!(header.len() as u64 <= 1024 + 360 * 2 * depth && header.len().is_multiple_of(64), "{}", header.len());
        fs::write(&path, &header).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(header.len() as u64 + layout.raw_bytes()).unwrap();
        let read = open(&path, None, None).unwrap().unwrap();
        assert_eq!(read.format_name(), if wide { "OME-BigTIFF, raw" } else { "OME-TIFF, raw" });
        assert_eq!(read.data_offset, Some(header.len() as u64));
        assert_eq!((&read.layout.outer, read.layout.grid.index_to_world), (&layout.outer, layout.grid.index_to_world));
        assert_eq!(read.conversion.big_endian, depth == 3);
        assert!(read.warnings.is_empty(), "{:?}", read.warnings);
    }
}
