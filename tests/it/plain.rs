//! NRRD, MetaImage and MGH: voxels, places and types as their headers say, and what is refused.

use std::{fs, io::Write};

use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use serde_json::Value;

use crate::kit::folder::{Folder, numbers, read};

/// 2 x 3 x 4 voxels of 16 bits, first axis fastest.
fn voxels() -> Vec<u8> {
    (0..24u16).flat_map(|n| (n * 100).to_le_bytes()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn holds(folder: &Folder, name: &str, orientation: &str, origin: [f64; 3]) {
    let (info, copy) = read(folder, name);
    assert_eq!(copy, voxels(), "{name}");
    let grid = &info["grid"];
    assert_eq!(numbers(&grid["shape"]), [2.0, 3.0, 4.0], "{name}");
    assert_eq!(numbers(&grid["spacing"]), [0.5, 1.5, 2.0], "{name}");
    assert_eq!(numbers(&grid["origin"]), origin, "{name}");
    assert_eq!(grid["orientation"], orientation, "{name}");
}

const NRRD: &str = "NRRD0004\n# a comment\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 3 4\n\
    space directions: (0.5,0,0) (0,1.5,0) (0,0,2)\nkinds: domain domain domain\nendian: little\nspace origin: (10,-20,30)\n";

#[test]
fn nrrd_raw_compressed_and_detached() {
    let folder = Folder::new();
    let put = |name: &str, header: &str, data: &[u8]| {
        fs::write(folder.path(name), [header.as_bytes(), data].concat()).unwrap();
    };
    put("raw.nrrd", &format!("{NRRD}encoding: raw\n\n"), &voxels());
    put("gzip.nrrd", &format!("{NRRD}encoding: gzip\n\n"), &gzip(&voxels()));
    put("crlf.nrrd", &format!("{NRRD}encoding: raw\n\n").replace('\n', "\r\n"), &voxels());
    put("beside.nhdr", &format!("{NRRD}encoding: raw\nbyte skip: -1\ndata file: beside.raw\n\n"), &[]);
    put("beside.raw", "some header of another program", &voxels());
    for name in ["raw.nrrd", "gzip.nrrd", "crlf.nrrd", "beside.nhdr"] {
        holds(&folder, name, "LPS", [-10.0, 20.0, 30.0]);
    }
    put("ras.nrrd", &format!("{NRRD}encoding: raw\n\n").replace("left-posterior-superior", "RAS"), &voxels());
    holds(&folder, "ras.nrrd", "RAS", [10.0, -20.0, 30.0]);
    // Vectors with the number of time.
    let timed = NRRD.replace("superior\n", "superior-time\n").replace("0)", "0,0)").replace("0,2)", "0,2,0)");
    put("time.nrrd", &format!("{timed}encoding: raw\n\n"), &voxels());
    holds(&folder, "time.nrrd", "LPS", [-10.0, 20.0, 30.0]);
    // Segmentations of Slicer are labels.
    put("cells.seg.nrrd", &format!("{NRRD}encoding: raw\nSegment0_ID:=Segment_1\n\n"), &voxels());
    let run = ["resample", "cells.seg.nrrd", "cells.nii", "--scale", "2", "--interp", "auto", "--summary", "run.json"];
    folder.run(&run).expect(0);
    let summary: Value = serde_json::from_slice(&fs::read(folder.path("run.json")).unwrap()).unwrap();
    assert_eq!(summary["interpolation"], "label");
}

/// `axis mins` are the borders of cells and the places of nodes; what is neither is taken for cells, as ITK does.
#[test]
fn nrrd_axis_mins_are_borders_of_cells() {
    let folder = Folder::new();
    for (lines, step, origin) in [
        ("spacings: 1 2 3\naxis mins: 10 20 30\n", [1.0, 2.0, 3.0], [-10.5, -21.0, 31.5]),
        ("spacings: 1 2 3\naxis mins: 10 20 30\ncenterings: cell ??? node\n", [1.0, 2.0, 3.0], [-10.5, -21.0, 30.0]),
        ("axis mins: 10 20 30\naxis maxs: 12 29 50\n", [1.0, 3.0, 5.0], [-10.5, -21.5, 32.5]),
        ("axis mins: 10 20 30\naxis maxs: 12 29 45\ncenters: node node node\n", [2.0, 4.5, 5.0], [-10.0, -20.0, 30.0]),
        ("spacings: 1 2 3\n", [1.0, 2.0, 3.0], [0.0; 3]),
    ] {
        let header = format!("NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 3 4\nencoding: raw\n{lines}\n");
        fs::write(folder.path("a.nrrd"), [header.as_bytes(), &[0; 24]].concat()).unwrap();
        let grid = folder.run(&["info", "a.nrrd", "--json"]).expect(0).json()["grid"].clone();
        assert_eq!((numbers(&grid["spacing"]), numbers(&grid["origin"])), (step.to_vec(), origin.to_vec()), "{lines}");
    }
}

/// Slicer has the volumes of a sequence in front of space.
#[test]
fn nrrd_lists_are_volumes_wherever_they_stand() {
    let folder = Folder::new();
    let (shape, volumes) = ([2, 5, 4], [2, 3, 5, 67]);
    fs::write(folder.path("still.txt"), "1 0 0 0\n0 1 0 0\n0 0 1 0\n").unwrap();
    for n in volumes {
        let header = format!(
            "NRRD0005\ntype: short\ndimension: 4\nspace: RAS\nsizes: {n} 2 5 4\nspace directions: none (1,0,0) (0,1,0) (0,0,1)\n\
             kinds: list domain domain domain\nendian: little\n"
        );
        let sample = |voxel: usize, volume: usize| ((voxel * 100 + volume) as u16).to_le_bytes();
        let voxels: usize = shape.iter().product();
        let together: Vec<u8> = (0..voxels * n).flat_map(|i| sample(i / n, i % n)).collect();
        let apart: Vec<u8> = (0..voxels * n).flat_map(|i| sample(i % voxels, i / voxels)).collect();
        for (coding, data) in [("raw", together.clone()), ("gzip", gzip(&together))] {
            let header = format!("{header}encoding: {coding}\n\n");
            fs::write(folder.path("a.nrrd"), [header.as_bytes(), &data].concat()).unwrap();
            let (info, copy) = read(&folder, "a.nrrd");
            assert_eq!((&info["components"], copy), (&Value::from(1), apart.clone()), "{n} volumes, {coding}");
            let run = ["resample", "a.nrrd", "one.nii", "--time", "1", "--overwrite", "-q"];
            folder.run(&run).expect(0);
            let one = &fs::read(folder.path("one.nii")).unwrap()[352..];
            assert_eq!(one, &apart[2 * voxels..][..2 * voxels], "{n} volumes, {coding}");
            folder.run(&["verify", "a.nrrd"]).expect(0);
            // Each volume by itself: what is no stream.
            fs::write(folder.path("list.txt"), "still.txt\n".repeat(n)).unwrap();
            let each = ["resample", "a.nrrd", "each.nii", "--transform-list", "list.txt", "--overwrite", "-q"];
            if coding == "raw" {
                folder.run(&each).expect(0);
                assert_eq!(fs::read(folder.path("each.nii")).unwrap()[352..], apart, "{n} volumes");
            } else {
                assert!(folder.run(&each).expect(2).stderr.contains("write it volume by volume first"));
            }
        }
    }
}

#[test]
fn nrrd_samples_first_and_volumes_last() {
    let folder = Folder::new();
    let header = "NRRD0005\ntype: uchar\ndimension: 4\nspace: RAS\nsizes: 3 2 3 4\n\
        space directions: none (1,0,0) (0,1,0) (0,0,1)\nkinds: RGB-color domain domain domain\nencoding: raw\n\n";
    let colours: Vec<u8> = (0..72).collect();
    fs::write(folder.path("rgb.nrrd"), [header.as_bytes(), &colours].concat()).unwrap();
    let (info, copy) = read(&folder, "rgb.nrrd");
    assert_eq!((&info["components"], copy), (&Value::from(3), colours.clone()));
    let series = header
        .replace("sizes: 3 2 3 4", "sizes: 2 3 4 3")
        .replace("none (1,0,0) (0,1,0) (0,0,1)", "(1,0,0) (0,1,0) (0,0,1) none");
    let series = series.replace("RGB-color domain domain domain", "domain domain domain time");
    fs::write(folder.path("series.nrrd"), [series.as_bytes(), &colours].concat()).unwrap();
    let (info, copy) = read(&folder, "series.nrrd");
    assert_eq!((&info["outer"][0]["len"], copy), (&Value::from(3), colours));
    assert_eq!(info["outer"][0]["name"], "t");
}

const META: &str = "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n\
    TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 10 -20 30\nElementSpacing = 0.5 1.5 2\nDimSize = 2 3 4\nElementType = MET_SHORT\n";

#[test]
fn metaimage_raw_compressed_and_detached() {
    let folder = Folder::new();
    let put = |name: &str, header: &str, data: &[u8]| {
        fs::write(folder.path(name), [header.as_bytes(), data].concat()).unwrap();
    };
    put("raw.mha", &format!("{META}CompressedData = False\nElementDataFile = LOCAL\n"), &voxels());
    put("zlib.mha", &format!("{META}CompressedData = True\nElementDataFile = LOCAL\n"), &zlib(&voxels()));
    put("local.mha", &format!("{META}CompressedData = False\nElementDataFile = local\n"), &voxels());
    put("colons.mha", &format!("{META}ElementDataFile = LOCAL\n").replace(" =", ":"), &voxels());
    put("beside.mhd", &format!("{META}HeaderSize = -1\nElementDataFile = beside.raw\n"), &[]);
    put("beside.raw", "anything", &voxels());
    put("zraw.mhd", &format!("{META}CompressedData = True\nElementDataFile = beside.zraw\n"), &[]);
    put("beside.zraw", "", &zlib(&voxels()));
    for name in ["raw.mha", "local.mha", "colons.mha", "zlib.mha", "beside.mhd", "zraw.mhd"] {
        holds(&folder, name, "LPS", [-10.0, 20.0, 30.0]);
    }
    // Each line of the matrix is the direction of one axis.
    let turned = META.replace("1 0 0 0 1 0 0 0 1", "0 1 0 1 0 0 0 0 1");
    put("turned.mha", &format!("{turned}ElementDataFile = LOCAL\n"), &voxels());
    holds(&folder, "turned.mha", "PLS", [-10.0, 20.0, 30.0]);
}

/// A header of FreeSurfer: sizes, a type, steps, directions and the place of voxel n/2.
fn mgh(sizes: [i32; 4], kind: i32, is_good: bool) -> Vec<u8> {
    let mut header = Vec::new();
    let [width, height, depth, frames] = sizes;
    for n in [1, width, height, depth, frames, kind, 0] {
        header.extend(n.to_be_bytes());
    }
    header.extend(i16::from(is_good).to_be_bytes());
    let floats = [0.5f32, 1.5, 2.0, -1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 3.0];
    floats.iter().for_each(|x| header.extend(x.to_be_bytes()));
    header.resize(284, 0);
    header
}

#[test]
fn mgh_and_mgz() {
    let folder = Folder::new();
    let swapped: Vec<u8> = voxels().chunks(2).flat_map(|pair| [pair[1], pair[0]]).collect();
    let file = [mgh([2, 3, 4, 1], 4, true), swapped, b"tags of any kind".to_vec()].concat();
    fs::write(folder.path("a.mgh"), &file).unwrap();
    fs::write(folder.path("a.mgz"), gzip(&file)).unwrap();
    for name in ["a.mgh", "a.mgz"] {
        // Voxel (1, 1.5, 2) stands at (1, 2, 3).
        holds(&folder, name, "LPS", [1.5, 4.25, -1.0]);
    }
    fs::write(folder.path("lost.mgh"), [mgh([2, 3, 4, 1], 0, false), vec![7; 24]].concat()).unwrap();
    let info = folder.run(&["info", "lost.mgh"]).expect(0);
    assert!(
        format!("{}{}", info.stdout, info.stderr).contains("coronal slices of 1 mm are assumed"),
        "{}",
        info.stderr
    );
    fs::write(folder.path("series.mgh"), [mgh([2, 3, 4, 2], 0, true), (0..48).collect()].concat()).unwrap();
    let (info, copy) = read(&folder, "series.mgh");
    assert_eq!((&info["outer"][0]["len"], copy), (&Value::from(2), (0..48).collect::<Vec<u8>>()));
}

/// Headers that lie, or ask for what is not read.
#[test]
fn what_is_wrong_is_named() {
    let folder = Folder::new();
    let nrrd = format!("{NRRD}encoding: raw\n\n");
    let meta = format!("{META}ElementDataFile = LOCAL\n");
    for (name, header, says) in [
        ("a.nrrd", nrrd.replace("sizes: 2 3 4", "sizes: 2 3 4000"), "file size is"),
        ("b.nrrd", nrrd.replace("sizes: 2 3 4", "sizes: 2 3"), "expected 3 numbers"),
        ("c.nrrd", nrrd.replace("sizes: 2 3 4", "sizes: 4294967296 4294967296 4294967296"), "the size is"),
        ("d.nrrd", nrrd.replace("(0,1.5,0)", "(1,0,0)"), "the directions of the axes"),
        ("e.nrrd", nrrd.replace("raw", "bzip2"), "'bzip2', of which raw and gzip are read"),
        ("f.nrrd", nrrd.replace("endian: little\n", ""), "'endian' is missing"),
        ("g.nrrd", nrrd.replace("type: short", "type: block"), "'type' is 'block'"),
        ("h.nrrd", nrrd.replace("encoding: raw", "encoding: raw\ndata file: LIST\na\nb"), "in several files"),
        ("i.nrrd", nrrd.replace("encoding: raw", "encoding: raw\ndata file: nowhere.raw"), "cannot open"),
        ("a.mha", meta.replace("DimSize = 2 3 4", "DimSize = 2 3 40"), "file size is"),
        ("b.mha", meta.replace("NDims = 3", "NDims = 9"), "2 to 4 dimensions"),
        ("c.mha", meta.replace("MET_SHORT", "MET_STRING"), "'ElementType' is 'MET_STRING'"),
        ("d.mha", meta.replace("LOCAL", "LIST\na.raw"), "a file for each slice"),
        ("e.mha", meta.replace("DimSize = 2 3 4\n", ""), "'DimSize' is missing"),
        ("f.mha", meta.replace("BinaryData = True", "BinaryData = False"), "its voxels are text"),
        ("g.mha", meta.replace("ElementDataFile = LOCAL\n", ""), "'ElementDataFile' is nowhere"),
    ] {
        fs::write(folder.path(name), [header.as_bytes(), &voxels()].concat()).unwrap();
        let refused = folder.run(&["info", name]).expect(1);
        assert!(refused.stderr.contains(says), "{name}: {}", refused.stderr);
    }
    fs::write(
        folder.path("reserve.mgh"),
        [mgh([2, 3, 4, 1], 4, true), voxels()]
            .concat()
            .iter()
            .enumerate()
            .map(|(n, &byte)| if n == 100 { 1 } else { byte })
            .collect::<Vec<u8>>(),
    )
    .unwrap();
    let refused = folder.run(&["info", "reserve.mgh"]).expect(1);
    assert!(refused.stderr.contains("its header is cut or damaged"), "{}", refused.stderr);
    // A stream that is cut off is an error of the run, and leaves nothing.
    let cut = gzip(&voxels().repeat(40));
    let header = format!("{NRRD}encoding: gzip\n\n").replace("sizes: 2 3 4", "sizes: 2 3 160");
    fs::write(folder.path("cut.nrrd"), [header.as_bytes(), &cut[..cut.len() / 2]].concat()).unwrap();
    let refused = folder.run(&["resample", "cut.nrrd", "out.nii", "--scale", "1"]).expect(1);
    assert!(refused.stderr.contains("gzip stream is cut off"), "{}", refused.stderr);
    assert!(!folder.path("out.nii").exists());
}

/// A scan of 3 x 5 x 7 voxels, oblique, as NIfTI; its name.
fn scan(folder: &Folder, dtype: &str) -> &'static str {
    let header = NRRD.replace("sizes: 2 3 4", "sizes: 7 5 3").replace("(0.5,0,0)", "(0.3,0.4,0)");
    let header = header.replace("(0,1.5,0)", "(-1.2,0.9,0)");
    let samples: Vec<u8> = (0..105u16).flat_map(|n| (n * 100).to_le_bytes()).collect();
    fs::write(folder.path("scan.nrrd"), [format!("{header}encoding: raw\n\n").as_bytes(), &samples].concat()).unwrap();
    folder.run(&["resample", "scan.nrrd", "scan.nii", "--scale", "1", "--dtype", dtype, "--overwrite"]).expect(0);
    "scan.nii"
}

/// Places are in doubles, so that a copy is on the very grid of its source.
#[test]
fn targets_state_the_grid_exactly() {
    let folder = Folder::new();
    scan(&folder, "i16");
    let grid = |name: &str| folder.run(&["info", name, "--json"]).expect(0).json()["grid"].clone();
    let expected = grid("scan.nrrd");
    for name in ["a.nrrd", "a.nhdr", "a.mha", "b.mhd", "a.mgh", "a.mgz"] {
        folder.run(&["resample", "scan.nrrd", name, "--scale", "1"]).expect(0);
        let found = grid(name);
        for field in ["shape", "orientation"] {
            assert_eq!(found[field], expected[field], "{name}");
        }
        for field in ["spacing", "origin"] {
            // MGH has floats of 32 bits.
            let most = if name.contains(".mg") { 1e-5 } else { 1e-14 };
            let pairs = numbers(&found[field]).into_iter().zip(numbers(&expected[field]));
            assert!(pairs.clone().all(|(a, b)| (a - b).abs() <= most * b.abs().max(1.0)), "{name}: {found} {expected}");
        }
        folder.run(&["compare", "scan.nrrd", name]).expect(0);
        let report = folder.run(&["verify", name]).expect(0);
        assert!(report.stdout.contains("complete"), "{name}: {}", report.stdout);
    }
}

/// What a file is by its name, and what of `--gzip` it has.
#[test]
fn compression_of_targets_is_as_their_names_and_gzip_say() {
    let folder = Folder::new();
    let source = scan(&folder, "i16");
    let written = |name: &str, gzip: &[&str]| {
        folder.run(&[&["resample", source, name, "--scale", "1", "--overwrite"], gzip].concat()).expect(0);
        String::from_utf8_lossy(&fs::read(folder.path(name)).unwrap()).into_owned()
    };
    assert!(written("a.nrrd", &[]).contains("\nencoding: gzip\n"));
    assert!(written("a.nrrd", &["--gzip", "none"]).contains("\nencoding: raw\n"));
    assert!(written("a.mha", &[]).contains("\nCompressedData = True\n"));
    assert!(written("a.mha", &["--gzip", "single:9"]).contains("\nCompressedData = True\n"));
    assert!(written("a.mha", &["--gzip", "none"]).contains("\nCompressedData = False\n"));
    assert!(written("a.mhd", &[]).contains("\nElementDataFile = a.raw\n") && folder.path("a.raw").exists());
    assert!(written("d.nhdr", &[]).contains("\ndata file: d.raw\n"));
    for (name, gzip, says) in [
        ("b.nrrd", "bgzf", "not every reader of .nrrd"),
        ("b.mha", "bgzf", "one zlib stream"),
        ("b.mgz", "none", "end the name in .mgh"),
        ("b.nii.gz", "none", "end the name in .nii"),
        ("b.mhd", "single", "--gzip is for"),
        ("b.mgh", "none", "--gzip is for"),
    ] {
        let refused = folder.run(&["resample", source, name, "--scale", "1", "--gzip", gzip]).expect(2);
        assert!(refused.stderr.contains(says), "{name}: {}", refused.stderr);
        assert!(!folder.path(name).exists());
    }
    let refused = folder.run(&["resample", source, "b.nrrd", "--scale", "1", "--chunk", "4"]).expect(2);
    assert!(refused.stderr.contains("for Zarr targets"), "{}", refused.stderr);
}

/// The length of the stream is in the header of a MetaImage, and nothing stands behind the stream.
#[test]
fn the_length_of_a_metaimage_stream_is_stated() {
    let folder = Folder::new();
    let source = scan(&folder, "i16");
    folder.run(&["resample", source, "a.mha", "--scale", "1"]).expect(0);
    let bytes = fs::read(folder.path("a.mha")).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let stated = text.split_once("CompressedDataSize = ").unwrap().1.split_once('\n').unwrap().0;
    let end = b"ElementDataFile = LOCAL\n";
    let at = bytes.windows(end.len()).position(|window| window == end).unwrap() + end.len();
    assert_eq!(stated.parse::<usize>().unwrap(), bytes.len() - at);
    let mut raw = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::ZlibDecoder::new(&bytes[at..]), &mut raw).unwrap();
    assert_eq!(raw, fs::read(folder.path("scan.nii")).unwrap()[352..]);
    // A changed byte of the stream is found.
    let mut damaged = bytes.clone();
    damaged[at + 40] ^= 4;
    fs::write(folder.path("b.mha"), damaged).unwrap();
    let report = folder.run(&["verify", "b.mha"]).expect(1);
    assert!(report.stdout.contains("zlib stream is damaged"), "{}{}", report.stdout, report.stderr);
}

#[test]
fn what_a_format_does_not_hold_is_refused_with_a_way_out() {
    let folder = Folder::new();
    for (dtype, instead) in [("u16", "i32"), ("f64", "f32"), ("i8", "i16"), ("u64", "i32 or f32")] {
        let source = scan(&folder, dtype);
        for name in ["a.mgh", "a.mgz"] {
            let refused = folder.run(&["resample", source, name, "--scale", "1"]).expect(1);
            assert!(refused.stderr.contains(&format!("not of {dtype}")), "{}", refused.stderr);
            assert!(refused.stderr.contains(&format!("--dtype {instead}")), "{}", refused.stderr);
        }
    }
    let header = "NRRD0005\ntype: uchar\ndimension: 5\nspace: RAS\nsizes: 2 3 4 2 3\n\
        space directions: (1,0,0) (0,1,0) (0,0,1) none none\nkinds: domain domain domain time list\nencoding: raw\n\n";
    let samples: Vec<u8> = (0..144).collect();
    fs::write(folder.path("five.nrrd"), [header.as_bytes(), &samples].concat()).unwrap();
    for name in ["b.mha", "b.mgh"] {
        let refused = folder.run(&["resample", "five.nrrd", name, "--scale", "1"]).expect(1);
        assert!(refused.stderr.contains("four axes, and 5 are to be written"), "{}", refused.stderr);
    }
    folder.run(&["resample", "five.nrrd", "b.nrrd", "--scale", "1"]).expect(0);
    assert_eq!(read(&folder, "b.nrrd").1, samples);
    let refused = folder.run(&["resample", "five.nrrd", "s3://b/a.nrrd", "--scale", "1"]).expect(2);
    assert!(refused.stderr.contains("would be a NRRD file"), "{}", refused.stderr);
}

/// Names and colours of segments go along; where they are is said of the new grid.
#[test]
fn segments_of_slicer_are_kept_by_name() {
    let folder = Folder::new();
    let said = "Segment0_ID:=Segment_1\nSegment0_Extent:=0 1 0 2 0 3\nSegment0_Name:=left \\n lung\nSegment0_LabelValue:=100\n\
        Segmentation_ReferenceImageExtentOffset:=7 0 0\n";
    fs::write(folder.path("a.seg.nrrd"), [format!("{NRRD}encoding: raw\n{said}\n").as_bytes(), &voxels()].concat())
        .unwrap();
    folder
        .run(&["resample", "a.seg.nrrd", "b.seg.nrrd", "--scale", "2", "--interp", "label", "--gzip", "none"])
        .expect(0);
    let text = String::from_utf8_lossy(&fs::read(folder.path("b.seg.nrrd")).unwrap()).into_owned();
    let kept = "Segment0_ID:=Segment_1\nSegment0_Extent:=0 3 0 5 0 7\nSegment0_Name:=left \\n lung\nSegment0_LabelValue:=100\n";
    assert!(text.contains(kept) && !text.contains("ExtentOffset"), "{text:.900}");
    let floats = ["resample", "a.seg.nrrd", "c.seg.nrrd", "--scale", "2", "--interp", "label", "--dtype", "f32"];
    let refused = folder.run(&floats).expect(1);
    assert!(refused.stderr.contains("whole numbers"), "{}", refused.stderr);
    fs::write(folder.path("plain.nrrd"), [format!("{NRRD}encoding: raw\n\n").as_bytes(), &voxels()].concat()).unwrap();
    let refused = folder.run(&["resample", "plain.nrrd", "c.seg.nrrd", "--scale", "2"]).expect(1);
    assert!(refused.stderr.contains("no segmentation of Slicer"), "{}", refused.stderr);
}
