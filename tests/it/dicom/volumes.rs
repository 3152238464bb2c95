//! Slices of several volumes: what they are told apart by, where they lie, and images that hold several.

use super::*;

/// Of one series, all in one image.
#[test]
fn mosaics_are_refused_by_name() {
    let folder = Folder::new();
    let kind = (0x0008_0008, b"CS", text("ORIGINAL\\PRIMARY\\M\\MOSAIC"));
    let other = (0x0008_0008, b"CS", text("DERIVED\\PRIMARY\\MOSAICS"));
    let numbered = |block: u32, n: u8| {
        let creator = (0x0019_0000 | block, b"LO", text("SIEMENS MR HEADER"));
        vec![creator, (0x0019_000a | block << 8, b"US", vec![n, 0])]
    };
    let of = |name: &str, extra| put(&folder, name, &[Slice { extra, ..slice(0) }]);
    of("stated", [vec![kind.clone()], numbered(0x10, 4)].concat());
    of("kind", vec![kind]);
    of("number", [vec![other.clone()], numbered(0x11, 4)].concat());
    for (name, says) in [("stated", "4 slices"), ("kind", "slices"), ("number", "4 slices")] {
        let told = refused(&folder, name, 1);
        let what = format!("is a mosaic of Siemens ({says} side by side in one image), which is not read");
        assert!(told.contains(&what) && told.contains(&format!("hint: dcm2niix -z y {name}")), "{told}");
    }
    // One slice, and the same element of another maker.
    of("one", [vec![other], numbered(0x10, 1)].concat());
    of("foreign", vec![(0x0019_0010, b"LO", text("GEMS_ACQU_01")), (0x0019_100a, b"US", vec![4, 0])]);
    for name in ["one", "foreign"] {
        assert_eq!(read(&folder, name).1, voxels(1), "{name}");
    }
}

/// Slices of so many times, each with its voxels and what `extra` says of time and place.
fn at_times(times: u16, places: u16, extra: impl Fn(u16, u16) -> Vec<(u32, &'static [u8; 2], Vec<u8>)>) -> Vec<Slice> {
    let of = |t: u16, k: u16| {
        let voxels = slice(k).voxels.iter().map(|voxel| voxel + 1000 * t).collect();
        Slice { extra: extra(t, k), voxels, ..slice(k) }
    };
    // The last one first: files tell nothing.
    (0..times).rev().flat_map(|t| (0..places).map(move |k| (t, k))).map(|(t, k)| of(t, k)).collect()
}

/// The first voxel of each volume, in thousands.
fn order(copy: &[u8], places: usize) -> Vec<u16> {
    let first = |volume: &[u8]| u16::from_le_bytes([volume[0], volume[1]]) / 1000;
    copy.chunks(places * 12).map(first).collect()
}

#[test]
fn times_go_on_over_midnight() {
    let folder = Folder::new();
    let clock = ["235950", "235955", "000000", "000005"];
    let days = ["20240229", "20240229", "20240301", "20240301"];
    for (name, date, time) in [("acquired", 0x0008_0022, 0x0008_0032), ("content", 0x0008_0023, 0x0008_0033)] {
        let extra = |t: u16, _| vec![(date, b"DA", text(days[t as usize])), (time, b"TM", text(clock[t as usize]))];
        put(&folder, name, &at_times(4, 2, extra));
        let (info, copy) = read(&folder, name);
        assert_eq!(order(&copy, 2), [0, 1, 2, 3], "{name}");
        assert_eq!(info["outer"][0]["step"], 5.0, "{name}: {info}");
    }
    // Where a slice lacks its date, times of a day are all there is.
    let extra = |t: u16, k: u16| {
        let date = (0x0008_0022, b"DA", text(days[t as usize]));
        let time = (0x0008_0032, b"TM", text(clock[t as usize]));
        if (t, k) == (0, 0) { vec![time] } else { vec![date, time] }
    };
    put(&folder, "lacking", &at_times(4, 2, extra));
    assert_eq!(order(&read(&folder, "lacking").1, 2), [2, 3, 0, 1]);
}

/// Phases of a heart: triggered a little later at each place, at the same time of day.
#[test]
fn trigger_times_may_differ_from_place_to_place() {
    let folder = Folder::new();
    let cine = |t: u16, k: u16| {
        vec![
            (0x0008_0032, b"TM", text(format!("1000{k:02}"))),
            (0x0018_1060, b"DS", text(100 * t + k)),
            (0x0020_0012, b"IS", text(1)),
        ]
    };
    put(&folder, "cine", &at_times(3, 3, cine));
    let (info, copy) = read(&folder, "cine");
    assert_eq!(order(&copy, 3), [0, 1, 2]);
    assert!(info["warnings"].to_string().contains("told apart by trigger time"), "{info}");
    assert_eq!((&info["outer"][0]["step"], &info["outer"][0]["unit"]), (&Value::from(0.1), &Value::from("second")));
    // What is the same at all places comes before triggers that jitter.
    let gated = |t: u16, k: u16| {
        let jitter = [103, 101, 102][t as usize] + 10 * k;
        vec![(0x0018_1060, b"DS", text(jitter)), (0x0020_0012, b"IS", text(t + 1))]
    };
    put(&folder, "gated", &at_times(3, 3, gated));
    assert_eq!(order(&read(&folder, "gated").1, 3), [0, 1, 2]);
}

/// Whether a copy is as orthonormal as ITK asks, by its affine.
fn is_square(folder: &Folder, name: &str) -> bool {
    let answer = folder.run(&["resample", name, "square.nii", "--scale", "1", "--overwrite"]).expect(0);
    let file = fs::read(folder.path("square.nii")).unwrap();
    let row = |n: usize| -> Vec<f64> {
        let bytes = &file[280 + 16 * n..292 + 16 * n];
        bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect()
    };
    let rows = [row(0), row(1), row(2)];
    let dot = |a: usize, b: usize| rows.iter().map(|row| row[a] * row[b]).sum::<f64>();
    let cosine = |a, b| dot(a, b).abs() / (dot(a, a) * dot(b, b)).sqrt();
    let is_square = [(0, 1), (0, 2), (1, 2)].iter().all(|&(a, b)| cosine(a, b) < 1e-5);
    assert_eq!(answer.stderr.contains("axes are sheared"), !is_square, "{}", answer.stderr);
    is_square
}

/// Four oblique slices of 3 mm, with places in hundredths; and a tilt of a twentieth of a millimetre over them.
#[test]
fn rounded_places_are_no_tilt() {
    let folder = Folder::new();
    let orientation = "0.663414\\0.556670\\0.500000\\-0.735024\\0.609923\\0.296198";
    let places = [[10.0, 20.0, 30.0], [9.58, 18.31, 32.44], [9.16, 16.62, 34.88], [8.74, 14.92, 37.32]];
    let of = |name: &str, shift: [f64; 3]| {
        let at = |k: usize| std::array::from_fn(|a| places[k][a] + shift[a] * k as f64);
        let slices: Vec<Slice> = (0..4).map(|k| Slice { orientation, position: at(k), ..slice(k as u16) }).collect();
        put(&folder, name, &slices);
    };
    of("rounded", [0.0; 3]);
    assert!(is_square(&folder, "rounded"));
    let steps = numbers(&read(&folder, "rounded").0["grid"]["spacing"]);
    assert!((steps[2] - 3.0).abs() < 0.005, "{steps:?}");
    // Along a row, a sixtieth of a millimetre from slice to slice.
    of("tilted", [0.663414 / 60.0, 0.556670 / 60.0, 0.5 / 60.0]);
    assert!(!is_square(&folder, "tilted"));
}
