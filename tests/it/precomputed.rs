//! Neuroglancer's precomputed volumes made by hand: voxels, places and scales, shards, and what is refused.

use std::{fs, time::Instant};

use serde_json::{Value, json};

use crate::kit::{
    damaged,
    folder::{Folder, numbers, read},
    jpeg_lossy::{self, Coding},
    precomputeds::{CHUNK, PLAIN, Volume, counts, voxel},
    rng::Rng,
};

/// What a copy as NIfTI has.
fn expected(volume: &Volume) -> Vec<u8> {
    let [cx, cy, _] = counts();
    let one = |n: usize| {
        let at = [n % 11, n / 11 % 9, n / 99 % 7];
        let [x, y, z] = [0, 1, 2].map(|a| at[a] / CHUNK[a]);
        let is_absent = volume.absent.contains(&((z * cy + y) * cx + x));
        if is_absent { [0; 2] } else { voxel(n / 693, at).to_le_bytes() }
    };
    (0..693 * volume.channels).flat_map(one).collect()
}

fn volumes() -> Vec<Volume> {
    let sharded = |bits, packed| Volume { shards: Some((bits, packed)), ..PLAIN };
    vec![
        PLAIN,
        Volume { channels: 3, ..PLAIN },
        Volume { gzip: Some(""), ..PLAIN },
        Volume { gzip: Some(".gz"), ..PLAIN },
        Volume { absent: vec![0, 7], ..PLAIN },
        sharded([0, 0, 0], false),
        sharded([1, 2, 1], true),
        sharded([0, 1, 5], false),
        Volume { absent: vec![0, 7], channels: 2, ..sharded([2, 1, 1], true) },
        Volume { png: true, absent: vec![3], ..PLAIN },
        Volume { png: true, channels: 3, ..sharded([1, 1, 1], true) },
    ]
}

#[test]
fn chunks_and_shards_give_the_same_voxels() {
    let folder = Folder::new();
    for (n, volume) in volumes().into_iter().enumerate() {
        volume.put(&folder.path("a"));
        let (info, copy) = read(&folder, "a");
        assert!(copy == expected(&volume), "volume {n}");
        assert_eq!(numbers(&info["grid"]["shape"]), [11.0, 9.0, 7.0]);
        assert_eq!(numbers(&info["grid"]["spacing"]), [4.0, 4.0, 40.0]);
        assert_eq!(numbers(&info["grid"]["origin"]), [-20.0, 400.0, 120.0]);
        assert_eq!(info["grid"]["unit"], "nanometer");
        let report = folder.run(&["verify", "a", "--json"]).expect(0).json();
        assert_eq!(report["arrays"][0]["missing"], volume.absent.len());
        assert_eq!(report["arrays"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn scales_share_their_edges() {
    let folder = Folder::new();
    PLAIN.put(&folder.path("a"));
    let info = folder.run(&["info", "a", "--json"]).expect(0).json();
    assert_eq!(info["format"], "Neuroglancer precomputed, raw, level 0 of 2");
    assert_eq!(
        (&info["levels"][1]["path"], numbers(&info["levels"][1]["shape"])),
        (&Value::from("8_8_40"), vec![6.0, 5.0, 7.0])
    );
    folder.run(&["resample", "a", "b.zarr", "--level", "1", "--scale", "1"]).expect(0);
    let info = folder.run(&["info", "b.zarr", "--json"]).expect(0).json();
    // Its first voxel begins at -16 nm, and the finest one's at -20 - 2.
    let off = numbers(&info["grid"]["origin"]).into_iter().zip([-14.0, 402.0, 120.0]).map(|(a, b)| (a - b).abs());
    assert!(off.fold(0.0, f64::max) < 1e-9, "{info}");
    assert!(
        folder
            .run(&["resample", "a", "c.nii", "--level", "2", "--scale", "1"])
            .expect(2)
            .stderr
            .contains("the volume has 2")
    );
    folder.run(&["resample", "a", "d.nii", "--channel", "0", "--scale", "1"]).expect(2);
}

#[test]
fn what_is_not_read_is_named() {
    let folder = Folder::new();
    let told = |change: &dyn Fn(&mut Value)| {
        PLAIN.put(&folder.path("a"));
        let mut info = PLAIN.info();
        change(&mut info);
        fs::write(folder.path("a/info"), info.to_string()).unwrap();
        let answer = folder.run(&["info", "a"]);
        assert!(answer.code == 1, "{}", answer.stdout);
        answer.stderr
    };
    let jxl = told(&|info| info["scales"][0]["encoding"] = "jxl".into());
    assert!(jxl.contains("encoded as \"jxl\", which is not read") && jxl.contains("tensorstore"), "{jxl}");
    let jpeg = told(&|info| info["scales"][0]["encoding"] = "jpeg".into());
    assert!(jpeg.contains("data_type is u16, expected u8 for jpeg"), "{jpeg}");
    assert!(told(&|info| info["scales"][0]["key"] = "../../etc".into()).contains("leads out of its folder"));
    assert!(told(&|info| info["data_type"] = "complex64".into()).contains("data_type"));
    assert!(told(&|info| info["@type"] = "neuroglancer_skeletons".into()).contains("without a volume"));
}

/// A volume of one chunk of 16x8x4 bytes, of one or three channels, in a JPEG of 32 columns; its voxels, channels slowest.
fn put_jpeg(folder: &Folder, channels: usize, change: impl Fn(&mut Vec<u8>)) -> Vec<u16> {
    let smooth = |n: usize, c: usize| (20 + c * 30 + n % 32 * 3 + n / 32 * 5) as u16;
    let components: Vec<Vec<u16>> = (0..channels).map(|c| (0..512).map(|n| smooth(n, c)).collect()).collect();
    let mut stream = jpeg_lossy::encode(&components, [32, 16], Coding::default());
    change(&mut stream);
    let info = json!({
        "@type": "neuroglancer_multiscale_volume", "type": "image", "data_type": "uint8", "num_channels": channels,
        "scales": [{"key": "s", "size": [16, 8, 4], "resolution": [8, 8, 8], "chunk_sizes": [[16, 8, 4]], "encoding": "jpeg"}]
    });
    fs::create_dir_all(folder.path("j/s")).unwrap();
    fs::write(folder.path("j/info"), info.to_string()).unwrap();
    fs::write(folder.path("j/s/0-16_0-8_0-4"), stream).unwrap();
    components.concat()
}

#[test]
fn chunks_of_jpeg_are_near_their_voxels() {
    let folder = Folder::new();
    let near = |copy: &[u8], voxels: &[u16]| copy.iter().zip(voxels).all(|(&a, &b)| u16::from(a).abs_diff(b) <= 1);
    let voxels = put_jpeg(&folder, 1, |_| {});
    let (info, copy) = read(&folder, "j");
    assert!(copy.len() == 512 && near(&copy, &voxels));
    assert_eq!(info["format"], "Neuroglancer precomputed, jpeg");
    assert!(info["warnings"].to_string().contains("decoded from lossy JPEG"), "{info}");
    // Components of these names are colours as they stand; others are luminance and differences.
    let names = |stream: &mut Vec<u8>| {
        let frame = stream.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
        let scan = stream.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap();
        (0..3).for_each(|n| (stream[frame + 10 + 3 * n], stream[scan + 5 + 2 * n]) = (b"RGB"[n], b"RGB"[n]));
    };
    let voxels = put_jpeg(&folder, 3, names);
    assert!(near(&read(&folder, "j").1, &voxels));
    put_jpeg(&folder, 3, |_| {});
    assert!(!near(&read(&folder, "j").1, &voxels));
    // Adobe's segment goes before names.
    let adobe = [&[0xff, 0xd8, 0xff, 0xee, 0, 14][..], b"Adobe", &[0, 100, 0, 0, 0, 0, 0]].concat();
    put_jpeg(&folder, 3, |stream| drop(stream.splice(..2, adobe.clone())));
    assert!(near(&read(&folder, "j").1, &voxels));
    let told = |change: &dyn Fn(&mut Vec<u8>)| {
        put_jpeg(&folder, 1, change);
        folder.run(&["resample", "j", "k.nii", "--scale", "1", "--overwrite"]).expect(1).stderr
    };
    let frame = |stream: &[u8]| stream.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    assert!(told(&|stream| stream.truncate(stream.len() / 2)).contains("cannot read chunk"));
    let progressive = told(&|stream| {
        let at = frame(stream) + 1;
        stream[at] = 0xc2;
    });
    assert!(progressive.contains("a progressive JPEG, which is not read"), "{progressive}");
    let wide = told(&|stream| {
        let at = frame(stream) + 8;
        stream[at] = 33;
    });
    assert!(wide.contains("an image of 33x16 pixels of 1 samples of 8 bits, expected 512 pixels"), "{wide}");
}

#[test]
fn damage_is_found_by_verify() {
    let folder = Folder::new();
    let sharded = Volume { shards: Some(([0, 0, 0], true)), ..PLAIN };
    for (volume, name) in [(PLAIN, "-5-3_100-104_3-7"), (sharded, "0.shard")] {
        volume.put(&folder.path("a"));
        let path = folder.path("a/4_4_40").join(name);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let report = folder.run(&["verify", "a", "--json"]).expect(1).json();
        assert_eq!(report["ok"], false, "{name}");
        assert!(report["arrays"][0]["bad"].as_u64().unwrap() >= 1, "{name}");
    }
}

/// Documents and shards with bytes changed, numbers replaced and ends cut off: errors or voxels.
#[test]
fn damaged_volumes_are_errors_or_voxels() {
    let folder = Folder::new();
    let path = folder.path("a");
    let (mut slowest, mut read) = (0, 0);
    for (n, volume) in volumes().into_iter().enumerate().filter(|(n, _)| [0, 3, 6].contains(n)) {
        volume.put(&path);
        assert!(damaged::reads(&path, 20), "volume {n}");
        let chunk = ["4_4_40/-5-3_100-104_3-7", "4_4_40/-5-3_100-104_3-7.gz", "4_4_40/0.shard"][n / 3];
        for (name, rounds) in [("info", 80), (chunk, 80)] {
            let whole = fs::read(path.join(name)).unwrap();
            for round in 0..rounds {
                let mut rng = Rng::of(round * 31 + n as u64);
                let (mut bytes, at) = (whole.clone(), rng.below(whole.len() as u64) as usize);
                match rng.below(4) {
                    0 => bytes[at] ^= 1 << rng.below(8),
                    1 => bytes.truncate(at),
                    2 => bytes[at] = *rng.one_of(b"09-\"[]}x\xff\0"),
                    _ => {
                        let word = rng.one_of(&[0, 1, 255, 1 << 31, u64::MAX]).to_le_bytes();
                        let count = 8.min(bytes.len() - at);
                        bytes[at..at + count].copy_from_slice(&word[..count]);
                    }
                }
                fs::write(path.join(name), bytes).unwrap();
                let begun = Instant::now();
                read += u64::from(damaged::reads(&path, 20));
                slowest = slowest.max(begun.elapsed().as_millis());
            }
            fs::write(path.join(name), whole).unwrap();
        }
    }
    println!("slowest {slowest} ms, {read} read");
    assert!(slowest < 5_000, "{slowest} ms");
}
