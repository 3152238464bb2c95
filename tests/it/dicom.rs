//! DICOM series written by hand: voxels, places and values as their files say, and what is refused.

use std::fs;

use reslice::{
    block::BlockMut,
    io::{
        input::{Input, IoMode},
        zarr::OpenOptions,
    },
    region::Region,
};
use serde_json::Value;

use crate::kit::{
    dicoms::{BIG, DEFLATED, EXPLICIT, IMPLICIT, JPEG_LOSSLESS, JPEG_LS, RLE, Slice, slice, text, voxels},
    folder::{Folder, numbers, read},
    jpeg_lossless::{Coding, encode},
};

mod jpeg2000;
mod lossy;
mod volumes;

/// Writes a series with names that tell nothing of its order.
pub(crate) fn put(folder: &Folder, name: &str, slices: &[Slice]) {
    fs::create_dir_all(folder.path(name)).unwrap();
    for (n, slice) in slices.iter().enumerate() {
        let path = folder.path(&format!("{name}/{}.dcm", (n * 7 + 3) % 11));
        assert!(!path.exists());
        fs::write(path, slice.bytes()).unwrap();
    }
}

fn refused(folder: &Folder, name: &str, code: i32) -> String {
    folder.run(&["info", name]).expect(code).stderr
}

#[test]
fn every_syntax_gives_the_same_voxels() {
    let folder = Folder::new();
    for (name, syntax, says) in [
        ("implicit", IMPLICIT, "implicit little endian"),
        ("explicit", EXPLICIT, "explicit little endian"),
        ("big", BIG, "explicit big endian"),
        ("deflated", DEFLATED, "deflated"),
        ("rle", RLE, "RLE"),
        ("lossless", JPEG_LOSSLESS, "JPEG lossless"),
        ("ls", JPEG_LS, "JPEG-LS"),
    ] {
        let slices: Vec<Slice> = (0..4).map(|k| Slice { syntax, ..slice(k) }).collect();
        put(&folder, name, &slices);
        fs::write(folder.path(&format!("{name}/readme.txt")), "no image").unwrap();
        let (info, copy) = read(&folder, name);
        assert_eq!(copy, voxels(4), "{name}");
        let grid = &info["grid"];
        assert_eq!(numbers(&grid["shape"]), [3.0, 2.0, 4.0], "{name}");
        assert_eq!(numbers(&grid["spacing"]), [0.5, 1.5, 2.0], "{name}");
        assert_eq!(numbers(&grid["origin"]), [-10.0, 20.0, 30.0], "{name}");
        assert_eq!(grid["orientation"], "LPS", "{name}");
        assert_eq!(info["format"], format!("DICOM, CT, 4 files, {says}"));
        // A file stands for its series.
        assert_eq!(read(&folder, &format!("{name}/3.dcm")), (with_file(&info, &format!("{name}/3.dcm")), copy));
    }
}

fn with_file(info: &Value, name: &str) -> Value {
    let mut info = info.clone();
    info["file"] = name.into();
    info
}

#[test]
fn samples_are_the_bits_that_count() {
    let folder = Folder::new();
    let of = |bits, voxels: Vec<u16>| Slice { bits, voxels, ..slice(0) };
    put(&folder, "signed", &[of([16, 12, 11, 1], vec![0x0fff, 0x7ff, 0xf800, 1, 2, 3])]);
    let (info, copy) = read(&folder, "signed");
    let expected: Vec<u8> = [-1i16, 2047, -2048, 1, 2, 3].iter().flat_map(|n| n.to_le_bytes()).collect();
    assert_eq!((&info["dtype"], copy), (&Value::from("i16"), expected));
    for (name, syntax) in [("bytes", EXPLICIT), ("bytes-big", BIG)] {
        put(&folder, name, &[Slice { syntax, ..of([8, 8, 7, 0], vec![1, 2, 3, 4, 5, 6]) }]);
        assert_eq!(read(&folder, name).1, [1, 2, 3, 4, 5, 6], "{name}");
    }
    let odd = Slice { syntax: BIG, size: [3, 1], ..of([8, 8, 7, 0], vec![7, 8, 9]) };
    put(&folder, "odd-big", &[odd]);
    assert_eq!(read(&folder, "odd-big").1, [7, 8, 9]);
    let rgb = Slice { samples: 3, ..of([8, 8, 7, 0], (0..18).collect()) };
    put(&folder, "rgb", std::slice::from_ref(&rgb));
    let (info, copy) = read(&folder, "rgb");
    assert_eq!((&info["components"], copy), (&Value::from(3), (0..18).collect::<Vec<u8>>()));
    // A plane for each colour.
    let apart = (0..18).map(|n| n % 6 * 3 + n / 6).collect();
    put(&folder, "planes", &[Slice { voxels: apart, extra: vec![(0x0028_0006, b"US", vec![1, 0])], ..rgb }]);
    assert_eq!(read(&folder, "planes").1, (0..18).collect::<Vec<u8>>());
}

#[test]
fn slopes_are_kept_where_they_are_one_and_applied_where_they_differ() {
    let folder = Folder::new();
    let of = |name: &str, slope: fn(u16) -> (f64, f64)| {
        let slices: Vec<Slice> = (0..3).map(|k| Slice { slope: Some(slope(k)), ..slice(k) }).collect();
        put(&folder, name, &slices);
        read(&folder, name)
    };
    let (info, copy) = of("ct", |_| (1.0, -1024.0));
    assert_eq!((numbers(&info["slope"]), copy), (vec![1.0, -1024.0], voxels(3)));
    let header = fs::read(folder.path("copy.nii")).unwrap();
    assert_eq!(header[116..120], (-1024f32).to_le_bytes());
    let (info, copy) = of("pet", |k| (0.5 + f64::from(k), 1.0));
    let values =
        (0..3).flat_map(|k| slice(k).voxels.into_iter().map(move |v| f32::from(v) * (0.5 + f32::from(k)) + 1.0));
    assert_eq!(copy, values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>());
    assert_eq!((&info["dtype"], &info["slope"]), (&Value::from("f32"), &Value::Null));
    assert!(info["warnings"].to_string().contains("slopes of their own"), "{info}");
}

#[test]
fn places_are_those_of_the_files() {
    let folder = Folder::new();
    // Sagittal slices, from left to right.
    let slices: Vec<Slice> = (0..3)
        .map(|k| Slice { orientation: "0\\1\\0\\0\\0\\-1", position: [-4.0 * f64::from(k), 5.0, 6.0], ..slice(k) })
        .collect();
    put(&folder, "sagittal", &slices);
    let (info, copy) = read(&folder, "sagittal");
    assert_eq!(info["grid"]["orientation"], "PIR", "{info}");
    assert_eq!(numbers(&info["grid"]["origin"]), [0.0, -5.0, 6.0]);
    assert_eq!((numbers(&info["grid"]["spacing"]), copy), (vec![0.5, 1.5, 4.0], voxels(3)));
    // An oblique plane, and slices that are shifted along their columns.
    let (c, s) = (0.8, 0.6);
    let tilted: Vec<Slice> =
        (0..3).map(|k| Slice { position: [0.0, s * 2.0 * f64::from(k), c * 2.0 * f64::from(k)], ..slice(k) }).collect();
    put(&folder, "tilted", &tilted);
    let (info, copy) = read(&folder, "tilted");
    assert_eq!((numbers(&info["grid"]["spacing"])[2], copy), (2.0, voxels(3)));
    assert!(info["warnings"].to_string().contains("a gantry tilt of 36.9 degrees"), "{info}");
    let affine = fs::read(folder.path("copy.nii")).unwrap()[280..328].to_vec();
    let affine: Vec<f32> = affine.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!(affine, [-0.5, 0.0, 0.0, 0.0, 0.0, -1.5, -1.2, 0.0, 0.0, 0.0, 1.6, 0.0]);
}

#[test]
fn what_makes_no_volume_is_told_with_its_places() {
    let folder = Folder::new();
    let of = |name: &str, numbers: &[u16]| {
        put(&folder, name, &numbers.iter().map(|&k| slice(k)).collect::<Vec<_>>());
    };
    of("gap", &[0, 1, 3, 4]);
    let told = refused(&folder, "gap", 1);
    assert!(told.contains("lacks slices between 32.000 and 36.000 mm (steps of 2.000 mm)"), "{told}");
    let mut uneven: Vec<Slice> = (0..4).map(slice).collect();
    uneven[2].position[2] += 0.3;
    put(&folder, "uneven", &uneven);
    let told = refused(&folder, "uneven", 1);
    assert!(told.contains("has uneven steps") && told.contains("2.300 mm between"), "{told}");
    // The same slice twice is taken once; another one at its place is not.
    of("double", &[0, 1, 1, 2]);
    let (info, copy) = read(&folder, "double");
    assert!(info["warnings"].to_string().contains("taken once (1 left out)"), "{info}");
    assert_eq!(copy, voxels(3));
    let mut double: Vec<Slice> = [0, 1, 1, 2].map(slice).into();
    double[2].voxels[0] += 1;
    put(&folder, "clash", &double);
    assert!(refused(&folder, "clash", 1).contains("has 1 slice at most places and 2 at 32.000 mm"));
}

#[test]
fn series_are_told_apart_and_named() {
    let folder = Folder::new();
    let mut slices: Vec<Slice> = (0..3).map(slice).collect();
    slices.push(Slice { uid: "1.2.4", size: [2, 3], ..slice(0) });
    slices.push(Slice { uid: "1.2.4", size: [2, 3], orientation: "0\\1\\0\\0\\0\\-1", ..slice(0) });
    put(&folder, "two", &slices);
    let told = refused(&folder, "two", 2);
    assert!(told.contains("two holds 3 DICOM series:") && told.contains("1.2.3 3 files, 3x2, CT"), "{told}");
    assert!(told.contains("hint: name one of them: 'two?series="), "{told}");
    assert_eq!(read(&folder, "two?series=1.2.3").1, voxels(3));
    let told = refused(&folder, "two?series=1.2.4", 2);
    assert!(told.contains("has images of 2 kinds") && told.contains("1.2.4:2 1 file"), "{told}");
    assert_eq!(read(&folder, "two?series=1.2.4:1").1, voxels(1));
    assert!(refused(&folder, "two?series=9", 2).contains("has no series 9"));
}

#[test]
fn volumes_of_the_same_places_become_times() {
    let folder = Folder::new();
    let mut slices = Vec::new();
    for k in 0..3 {
        for t in [1u16, 0] {
            let extra = vec![(0x0020_0100, b"IS", text(t + 1)), (0x0018_0081, b"DS", text(30))];
            let voxels = slice(k).voxels.iter().map(|voxel| voxel + 1000 * t).collect();
            slices.push(Slice { extra, voxels, ..slice(k) });
        }
    }
    put(&folder, "times", &slices);
    let (info, copy) = read(&folder, "times");
    assert_eq!((&info["outer"][0]["name"], &info["outer"][0]["len"]), (&Value::from("t"), &Value::from(2)));
    let later = (0..3).flat_map(|k| slice(k).voxels).flat_map(|voxel| (voxel + 1000).to_le_bytes());
    assert_eq!(copy, voxels(3).into_iter().chain(later).collect::<Vec<u8>>());
    folder.run(&["resample", "times", "one.nii", "--scale", "1", "--time", "0"]).expect(0);
    assert_eq!(fs::read(folder.path("one.nii")).unwrap()[352..], voxels(3));
}

#[test]
fn what_is_not_read_is_named() {
    let folder = Folder::new();
    for (name, syntax, says) in [
        ("video", "1.2.840.10008.1.2.4.102", "MPEG-4, which is not read"),
        ("strange", "1.2.3.4.5", "a transfer syntax that is not known"),
    ] {
        put(&folder, name, &[Slice { syntax, ..slice(0) }]);
        let told = refused(&folder, name, 1);
        assert!(
            told.contains(says) && told.contains("hint: write it with plain voxels first: gdcmconv --raw"),
            "{told}"
        );
    }
    let whole = slice(0).bytes();
    fs::create_dir(folder.path("cut")).unwrap();
    for (cut, says) in [
        (whole.len() - 1, "the length of (7fe0,0010) is 12, expected 11 at most"),
        (200, "the length of (0020,000e) is 6, expected 2 at most"),
    ] {
        fs::write(folder.path("cut/a"), &whole[..cut]).unwrap();
        let told = refused(&folder, "cut", 1);
        assert!(told.contains(says), "{told}");
    }
    put(&folder, "bits", &[Slice { bits: [16, 17, 15, 0], ..slice(0) }]);
    assert!(refused(&folder, "bits", 1).contains("17 bits up to bit 15 of 16"));
}

/// Frames of one file, with their places in the groups of each frame.
#[test]
fn enhanced_files_have_their_slices_in_one() {
    let folder = Folder::new();
    let base = slice(0);
    let item = |value: Vec<u8>| base.element(0xfffe_e000, b"  ", &value, None);
    let within = |tag, value: Vec<u8>| base.element(tag, b"SQ", &item(value), None);
    let order = [2u16, 0, 1];
    let frames: Vec<u8> = order
        .iter()
        .flat_map(|&k| {
            let [x, y, z] = slice(k).position;
            item(within(0x0020_9113, base.element(0x0020_0032, b"DS", &text(format!("{x}\\{y}\\{z}")), None)))
        })
        .collect();
    let direction = within(0x0020_9116, base.element(0x0020_0037, b"DS", &text("1\\0\\0\\0\\1\\0"), None));
    let measures = within(0x0028_9110, base.element(0x0028_0030, b"DS", &text("1.5\\0.5"), None));
    let extra = vec![
        (0x0028_0008, b"IS", text(3)),
        (0x5200_9229, b"SQ", item([direction, measures].concat())),
        (0x5200_9230, b"SQ", frames),
    ];
    let voxels_in_file = order.iter().flat_map(|&k| slice(k).voxels).collect();
    put(&folder, "enhanced", &[Slice { extra, voxels: voxels_in_file, ..base.clone() }]);
    let (info, copy) = read(&folder, "enhanced");
    assert_eq!(
        (&info["format"], copy),
        (&Value::from("DICOM, CT, 1 file with 3 frames, explicit little endian"), voxels(3))
    );
    assert_eq!(numbers(&info["grid"]["spacing"]), [0.5, 1.5, 2.0]);
}

/// Reads all slices of a file, within what its bytes can stand for.
fn read_all(path: &std::path::Path, bytes: usize) -> Result<(), reslice::error::Error> {
    let input = Input::open(path, &OpenOptions::default())?;
    let layout = input.layout();
    let [slices, rows, columns] = layout.grid.shape;
    let samples = rows * columns * layout.components as u64;
    assert!(samples <= 1032 * bytes as u64, "{samples} samples of {bytes} bytes");
    let source = input.source::<f64>(input.conversion(), IoMode::Auto)?;
    let mut voxels = vec![0.0; samples as usize];
    for k in 0..slices as i64 {
        let region = Region::new([k, 0, 0], [k + 1, rows as i64, columns as i64]);
        source.read(0, BlockMut::new(region, layout.components, &mut voxels))?;
    }
    Ok(())
}

#[test]
fn damaged_files_are_errors_or_images_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.dcm");
    for syntax in [IMPLICIT, EXPLICIT, BIG, DEFLATED, RLE, JPEG_LOSSLESS, JPEG_LS] {
        let whole = Slice { syntax, slope: Some((2.0, 1.0)), ..slice(0) }.bytes();
        assert!(images_of_damaged(&path, &whole, 128) > 0, "{syntax}");
    }
}

/// Reads a file with each of its bytes from `begin` on changed, and cut off there; how many changed ones are still images.
fn images_of_damaged(path: &std::path::Path, whole: &[u8], begin: usize) -> usize {
    fs::write(path, whole).unwrap();
    read_all(path, whole.len()).unwrap();
    let mut images = 0;
    for at in begin..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = whole.to_vec();
            damaged[at] ^= flip;
            fs::write(path, &damaged).unwrap();
            images += usize::from(read_all(path, damaged.len()).is_ok());
        }
        fs::write(path, &whole[..at]).unwrap();
        let _ = read_all(path, at);
    }
    images
}

/// Of any predictor, precision and sign; begun anew, with low bits left out, in scans and fragments of their own.
#[test]
fn jpeg_lossless_in_all_its_ways() {
    let folder = Folder::new();
    let size = [13, 11];
    let values = |bits: u32| -> Vec<u16> {
        (0..143u32).map(|n| ((n * n * 40_503 + n * 7) & ((1 << bits) - 1)) as u16).collect()
    };
    let mut number = 0;
    let mut holds = |bits: [u16; 4], stream: Vec<Vec<u8>>, expected: Vec<u8>, samples| {
        number += 1;
        let name = format!("a{number}");
        let slice =
            Slice { syntax: JPEG_LOSSLESS, size, bits, samples, streams: stream, voxels: Vec::new(), ..slice(0) };
        put(&folder, &name, &[slice]);
        assert_eq!(read(&folder, &name).1, expected, "{bits:?} {name}");
    };
    let whole = Coding::default();
    for predictor in 1..=7 {
        for (precision, restart_rows) in [(16, 0), (12, 3), (16, 1)] {
            let voxels = values(precision);
            let coding = Coding { predictor, precision, restart_rows, ..whole };
            let stored = precision as u16;
            let bytes = voxels.iter().flat_map(|n| n.to_le_bytes()).collect();
            holds([16, stored, stored - 1, 0], vec![encode(&voxels, size, 1, coding)], bytes, 1);
        }
    }
    // Twelve bits with a sign, stored as they are.
    let voxels = values(12);
    let signed = voxels.iter().flat_map(|&n| (((n << 4) as i16) >> 4).to_le_bytes()).collect();
    holds([16, 12, 11, 1], vec![encode(&voxels, size, 1, Coding { precision: 12, ..whole })], signed, 1);
    // The two lowest bits are left out.
    let shifted = voxels.iter().flat_map(|&n| (n & !3).to_le_bytes()).collect();
    let coding = Coding { precision: 12, shift: 2, predictor: 4, ..whole };
    holds([16, 12, 11, 0], vec![encode(&voxels, size, 1, coding)], shifted, 1);
    // Colours of eight bits, in one scan or three, and in fragments.
    let colours: Vec<u16> = (0..3 * 143u32).map(|n| (n * n * 77 % 256) as u16).collect();
    let bytes: Vec<u8> = colours.iter().map(|&n| n as u8).collect();
    for is_interleaved in [true, false] {
        let stream = encode(&colours, size, 3, Coding { precision: 8, predictor: 6, is_interleaved, ..whole });
        let parts = stream.chunks(100).map(<[u8]>::to_vec).collect();
        holds([8, 8, 7, 0], vec![stream], bytes.clone(), 3);
        holds([8, 8, 7, 0], parts, bytes.clone(), 3);
    }
}

/// Streams are held against the data set before anything is made of them.
#[test]
fn streams_that_are_not_as_the_data_set_says_are_errors() {
    let folder = Folder::new();
    let of = |name: &str, slice: Slice| {
        put(&folder, name, &[slice]);
        folder.run(&["resample", name, "out.nii", "--scale", "1"]).expect(1).stderr
    };
    let voxels = slice(0).voxels;
    let stream = encode(&voxels, [3, 2], 1, Coding::default());
    for (name, syntax, size, bits, streams, says) in [
        ("wide", JPEG_LOSSLESS, [2, 2], [16, 16, 15, 0], vec![stream.clone()], "3x2 voxels of 1 samples of 16 bits"),
        ("deep", JPEG_LOSSLESS, [3, 2], [8, 8, 7, 0], vec![stream.clone()], "of 2 to 8 bits"),
        ("other", JPEG_LS, [3, 2], [16, 16, 15, 0], vec![stream.clone()], "process 0xc3"),
        ("cut", JPEG_LOSSLESS, [3, 2], [16, 16, 15, 0], vec![stream[..stream.len() - 8].to_vec()], "missing"),
        ("none", JPEG_LOSSLESS, [3, 2], [16, 16, 15, 0], vec![vec![7; 40]], "no beginning of a JPEG stream"),
        ("huge", JPEG_LOSSLESS, [30_000, 30_000], [16, 16, 15, 0], vec![stream], "a fragment of the voxels"),
    ] {
        let said = of(name, Slice { syntax, size, bits, streams, voxels: voxels.clone(), ..slice(0) });
        assert!(said.contains(says), "{name}: {said}");
        assert!(!folder.path("out.nii").exists());
    }
    let colours = Slice { syntax: JPEG_LS, samples: 3, bits: [8, 8, 7, 0], ..slice(0) };
    let colours = Slice { streams: vec![vec![0xff; 200]], ..colours };
    let said = of("colours", colours);
    assert!(said.contains("3 samples of a voxel in JPEG-LS, of which one is read"), "{said}");
}
