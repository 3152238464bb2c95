//! DICOM with lossy JPEG, JPEG 2000 and HTJ2K: voxels as encoders of other kinds made them.

use serde_json::Value;

use super::{
    images_of_damaged,
    jpeg2000::{COLOURS, FAST_16, LOSSY, WHOLE_12_SIGNED, WHOLE_16, colours, noise, ramp, stream},
    put, refused,
};
use crate::kit::{
    dicoms::{HTJ2K, JPEG_2000, JPEG_2000_LOSSY, JPEG_BASELINE, JPEG_EXTENDED, Slice, slice},
    folder::{Folder, read},
    jpeg_lossy::{Coding, encode},
};

const SIZE: [u16; 2] = [13, 11];

fn coded(syntax: &'static str, bits: [u16; 4], stream: Vec<u8>) -> Slice {
    Slice { syntax, size: SIZE, bits, streams: vec![stream], voxels: Vec::new(), ..slice(0) }
}

/// Waves of so many bits.
fn waves(bits: u32, [columns, rows]: [u16; 2]) -> Vec<u16> {
    let most = f64::from((1u32 << bits) - 1);
    let at = |x: u16, y: u16| (f64::from(x) / 5.0).sin() * (f64::from(y) / 7.0).cos() * 0.4 + 0.5;
    (0..rows).flat_map(|y| (0..columns).map(move |x| (most * at(x, y)) as u16)).collect()
}

fn numbers_of(bytes: &[u8], bits: [u16; 4]) -> Vec<i32> {
    match bits[0] {
        8 => bytes.iter().map(|&n| i32::from(n)).collect(),
        _ => bytes.chunks(2).map(|b| i32::from(u16::from_le_bytes([b[0], b[1]]))).collect(),
    }
}

fn largest_difference(a: &[i32], b: impl IntoIterator<Item = i32>) -> i32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).max().unwrap()
}

/// Of any size, depth, step and interval: no further from what was coded than the steps of its coefficients allow.
#[test]
fn lossy_jpeg_is_what_was_coded_within_its_steps() {
    let folder = Folder::new();
    let mut number = 0;
    for size in [[13, 11], [8, 8], [1, 1], [17, 3], [64, 40]] {
        for (syntax, precision, step, restart) in [
            (JPEG_BASELINE, 8, 1, 0),
            (JPEG_BASELINE, 8, 1, 1),
            (JPEG_BASELINE, 8, 6, 3),
            (JPEG_EXTENDED, 8, 1, 0),
            (JPEG_EXTENDED, 12, 1, 0),
            (JPEG_EXTENDED, 12, 5, 2),
        ] {
            number += 1;
            let name = format!("a{number}");
            let bits = if precision == 8 { [8, 8, 7, 0] } else { [16, 12, 11, 0] };
            let voxels = waves(precision, size);
            let stream =
                encode(std::slice::from_ref(&voxels), size, Coding { precision, step, restart, ..Coding::default() });
            put(&folder, &name, &[Slice { size, ..coded(syntax, bits, stream) }]);
            let (info, copy) = read(&folder, &name);
            let found = numbers_of(&copy, bits);
            let off = largest_difference(&found, voxels.iter().map(|&n| i32::from(n)));
            assert!(off <= 4 * i32::from(step) && (off <= 2 || step > 1), "{size:?} {precision} {step}: {off}");
            assert!(info["warnings"].to_string().contains("decoded from lossy JPEG"), "{info}");
        }
    }
}

/// Luminance and colour differences become RGB, whatever voxels share; RGB stays.
#[test]
fn colours_of_lossy_jpeg_are_rgb() {
    let folder = Folder::new();
    let planes: [Vec<u16>; 3] = [[40, 128, 90], [200, 100, 160], [76, 85, 255]]
        .map(|[y, b, r]| (0..3).flat_map(|_| [y; 7].into_iter().chain([b; 3]).chain([r; 9])).collect());
    let size = [19, 3];
    let mut number = 0;
    for (name, shared, is_interleaved) in [
        ("YBR_FULL", [1, 1], true),
        ("YBR_FULL_422", [2, 1], true),
        ("YBR_FULL_422", [2, 2], true),
        ("YBR_FULL", [1, 2], false),
    ] {
        number += 1;
        let flat: Vec<Vec<u16>> = [76, 85, 255].iter().map(|&n| vec![n; 57]).collect();
        let stream = encode(&flat, size, Coding { shared, is_interleaved, ..Coding::default() });
        let slice = Slice { samples: 3, colours: Some(name), size, ..coded(JPEG_BASELINE, [8, 8, 7, 0], stream) };
        put(&folder, &format!("y{number}"), &[slice]);
        let (info, copy) = read(&folder, &format!("y{number}"));
        assert_eq!((&info["components"], copy), (&Value::from(3), [254, 0, 0].repeat(57)), "{name} {shared:?}");
    }
    let stream = encode(&planes, size, Coding { is_interleaved: false, ..Coding::default() });
    put(&folder, "rgb", &[Slice { samples: 3, size, ..coded(JPEG_BASELINE, [8, 8, 7, 0], stream) }]);
    let found = numbers_of(&read(&folder, "rgb").1, [8, 8, 7, 0]);
    let voxels = (0..57).flat_map(|n| planes.iter().map(move |plane| i32::from(plane[n])).collect::<Vec<_>>());
    assert!(largest_difference(&found, voxels) <= 2);
}

#[test]
fn jpeg_2000_is_what_was_coded() {
    let folder = Folder::new();
    let bytes = |voxels: Vec<u16>| voxels.into_iter().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let signed = noise(12).into_iter().map(|n| (((n << 4) as i16) >> 4) as u16).collect();
    for (name, syntax, bits, samples, text, expected) in [
        ("whole", JPEG_2000, [16, 16, 15, 0], 1, WHOLE_16, bytes(noise(16))),
        ("other", JPEG_2000_LOSSY, [16, 16, 15, 0], 1, WHOLE_16, bytes(noise(16))),
        ("signed", JPEG_2000, [16, 12, 11, 1], 1, WHOLE_12_SIGNED, bytes(signed)),
        // The data set is right where the stream says another sign.
        ("unsigned", JPEG_2000, [16, 12, 11, 0], 1, WHOLE_12_SIGNED, bytes(noise(12))),
        ("minus", JPEG_2000, [16, 16, 15, 1], 1, WHOLE_16, bytes(noise(16))),
        ("fast", HTJ2K, [16, 16, 15, 0], 1, FAST_16, bytes(noise(16))),
        ("colours", JPEG_2000, [8, 8, 7, 0], 3, COLOURS, colours()),
    ] {
        let colours = (samples == 3).then_some("YBR_RCT");
        put(&folder, name, &[Slice { samples, colours, ..coded(syntax, bits, stream(text)) }]);
        let (info, copy) = read(&folder, name);
        assert_eq!(copy, expected, "{name}");
        assert!(!info["warnings"].to_string().contains("lossy"), "{name}: {info}");
    }
    put(&folder, "lossy", &[coded(JPEG_2000_LOSSY, [8, 8, 7, 0], stream(LOSSY))]);
    let (info, copy) = read(&folder, "lossy");
    let off = largest_difference(&numbers_of(&copy, [8, 8, 7, 0]), ramp().into_iter().map(i32::from));
    assert!(off <= 3, "{off}");
    assert!(info["warnings"].to_string().contains("decoded from lossy JPEG 2000"), "{info}");
}

/// Streams are held against the data set, and against what is read, before a decoder sees them.
#[test]
fn streams_that_are_not_read_are_named() {
    let folder = Folder::new();
    let bits = [16, 16, 15, 0];
    let with = |at: usize, bytes: &[u8]| {
        let mut stream = stream(WHOLE_16);
        stream[at..at + bytes.len()].copy_from_slice(bytes);
        stream
    };
    let whole = stream(WHOLE_16);
    let lossy = encode(&[waves(8, SIZE)], SIZE, Coding::default());
    for (name, slice, says) in [
        ("fast", coded(HTJ2K, bits, whole.clone()), "a stream of JPEG 2000, 13x11 voxels"),
        ("slow", coded(JPEG_2000, bits, stream(FAST_16)), "a stream of HTJ2K, 13x11 voxels"),
        ("deep", coded(JPEG_2000, [8, 8, 7, 0], whole.clone()), "samples of 16 bits, where the data set has"),
        ("wide", coded(JPEG_2000, bits, with(8, &[0, 0, 0, 12])), "12x11 voxels"),
        ("tiles", coded(JPEG_2000, bits, with(24, &[0, 0, 0, 1, 0, 0, 0, 1])), "tile 1 of 143 is missing"),
        ("gone", coded(JPEG_2000, bits, whole[..100].to_vec()), "a tile of"),
        ("none", coded(JPEG_2000, bits, vec![7; 400]), "no beginning of a JPEG 2000 stream"),
        (
            "region",
            coded(JPEG_2000, bits, [&whole[..45], &[0xff, 0x5e, 0, 5, 0, 0, 3], &whole[45..]].concat()),
            "a region of interest",
        ),
        ("progressive", coded(JPEG_BASELINE, [8, 8, 7, 0], swapped(&lossy, 0xc2)), "a stream of process 0xc2"),
        ("sign", coded(JPEG_BASELINE, [8, 8, 7, 1], lossy), "samples with a sign in lossy JPEG"),
    ] {
        put(&folder, name, &[slice]);
        let said = folder.run(&["resample", name, "out.nii", "--scale", "1"]).expect(1).stderr;
        assert!(said.contains(says), "{name}: {said}");
        assert!(!folder.path("out.nii").exists());
    }
    put(&folder, "jpip", &[Slice { syntax: "1.2.840.10008.1.2.4.94", ..slice(0) }]);
    let told = refused(&folder, "jpip", 1);
    assert!(told.contains("JPIP, which is not read"), "{told}");
}

/// The stream with another process in the marker of its frame.
fn swapped(stream: &[u8], process: u8) -> Vec<u8> {
    let at = stream.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    [&stream[..=at], &[process], &stream[at + 2..]].concat()
}

#[test]
fn damaged_streams_are_errors_or_images_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.dcm");
    let lossy = encode(&[waves(12, SIZE)], SIZE, Coding { precision: 12, step: 9, restart: 2, ..Coding::default() });
    let planes = [waves(8, SIZE), waves(8, SIZE), waves(8, SIZE)];
    let shared = encode(&planes, SIZE, Coding { shared: [2, 2], step: 20, ..Coding::default() });
    let of_colours =
        |syntax, name, stream| Slice { samples: 3, colours: Some(name), ..coded(syntax, [8, 8, 7, 0], stream) };
    for slice in [
        coded(JPEG_EXTENDED, [16, 12, 11, 0], lossy),
        of_colours(JPEG_BASELINE, "YBR_FULL_422", shared),
        coded(JPEG_2000, [16, 16, 15, 0], stream(WHOLE_16)),
        coded(HTJ2K, [16, 16, 15, 0], stream(FAST_16)),
        of_colours(JPEG_2000, "YBR_RCT", stream(COLOURS)),
        coded(JPEG_2000_LOSSY, [8, 8, 7, 0], stream(LOSSY)),
    ] {
        let whole = slice.bytes();
        let begin = whole.len() - slice.streams[0].len().next_multiple_of(2) - 16;
        assert!(images_of_damaged(&path, &whole, begin) > 0, "{}", slice.syntax);
    }
}
