//! Neuroglancer's precomputed volumes made by hand: voxels, places and scales, shards, and what is refused.

use std::{fs, io::Write, path::Path, time::Instant};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::kit::{
    damaged,
    folder::{Folder, numbers, read},
    rng::Rng,
};

const SIZE: [usize; 3] = [11, 9, 7];
const CHUNK: [usize; 3] = [8, 4, 4];
const OFFSET: [i64; 3] = [-5, 100, 3];

/// A volume of words of 16 bits.
#[derive(Clone)]
struct Volume {
    channels: usize,
    /// Each file is gzip, with or without an ending that says so.
    gzip: Option<&'static str>,
    /// Bits before the hash, of minishards and of shards, and whether indexes and chunks are gzip.
    shards: Option<([u32; 3], bool)>,
    absent: Vec<usize>,
}

const PLAIN: Volume = Volume { channels: 1, gzip: None, shards: None, absent: Vec::new() };

fn gzip(raw: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(raw).unwrap();
    encoder.finish().unwrap()
}

fn voxel(c: usize, [x, y, z]: [usize; 3]) -> u16 {
    (((c * 7 + z) * 9 + y) * 11 + x) as u16 * 3 + 1
}

fn counts() -> [usize; 3] {
    [0, 1, 2].map(|a| SIZE[a].div_ceil(CHUNK[a]))
}

/// The bits of a place by turns.
fn morton(at: [usize; 3]) -> u64 {
    let (mut number, mut bit) = (0, 0);
    for level in 0..8 {
        for (at, count) in at.into_iter().zip(counts()) {
            if 1 << level < count {
                number |= (at as u64 >> level & 1) << bit;
                bit += 1;
            }
        }
    }
    number
}

fn words(all: &[u64]) -> Vec<u8> {
    all.iter().flat_map(|word| word.to_le_bytes()).collect()
}

impl Volume {
    fn info(&self) -> Value {
        let mut info = json!({
            "@type": "neuroglancer_multiscale_volume", "type": "image", "data_type": "uint16", "num_channels": self.channels,
            "scales": [
                {"key": "4_4_40", "size": SIZE, "resolution": [4, 4, 40], "voxel_offset": OFFSET, "chunk_sizes": [CHUNK], "encoding": "raw"},
                {"key": "8_8_40", "size": [6, 5, 7], "resolution": [8, 8, 40], "voxel_offset": [-2, 50, 3], "chunk_sizes": [[64, 64, 64]], "encoding": "raw"}
            ]
        });
        if let Some(([before, mini, shard], packed)) = self.shards {
            let encoding = if packed { "gzip" } else { "raw" };
            info["scales"][0]["sharding"] = json!({
                "@type": "neuroglancer_uint64_sharded_v1", "preshift_bits": before, "hash": "identity", "minishard_bits": mini,
                "shard_bits": shard, "minishard_index_encoding": encoding, "data_encoding": encoding
            });
        }
        info
    }

    /// All chunks that are stored: place and samples.
    fn chunks(&self) -> Vec<([usize; 3], Vec<u8>)> {
        let [cx, cy, cz] = counts();
        let places = (0..cx * cy * cz).filter(|n| !self.absent.contains(n));
        let samples = |at: [usize; 3]| {
            let first = [0, 1, 2].map(|a| at[a] * CHUNK[a]);
            let [nx, ny, nz] = [0, 1, 2].map(|a| CHUNK[a].min(SIZE[a] - first[a]));
            let one = |n: usize| {
                let [x, y, z] = [n % nx, n / nx % ny, n / (nx * ny) % nz];
                voxel(n / (nx * ny * nz), [first[0] + x, first[1] + y, first[2] + z]).to_le_bytes()
            };
            (0..nx * ny * nz * self.channels).flat_map(one).collect()
        };
        places.map(|n| [n % cx, n / cx % cy, n / (cx * cy)]).map(|at| (at, samples(at))).collect()
    }

    fn put(&self, folder: &Path) {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder.join("4_4_40")).unwrap();
        fs::create_dir_all(folder.join("8_8_40")).unwrap();
        fs::write(folder.join("info"), self.info().to_string()).unwrap();
        let coarse: Vec<u8> = (0..6 * 5 * 7 * self.channels as u16).flat_map(u16::to_le_bytes).collect();
        fs::write(folder.join("8_8_40/-2-4_50-55_3-10"), coarse).unwrap();
        if self.shards.is_some() {
            return self.put_shards(&folder.join("4_4_40"));
        }
        for (at, samples) in self.chunks() {
            let part = |a: usize| {
                let first = OFFSET[a] + (at[a] * CHUNK[a]) as i64;
                format!("{first}-{}", (first + CHUNK[a] as i64).min(OFFSET[a] + SIZE[a] as i64))
            };
            let name = format!("4_4_40/{}_{}_{}{}", part(0), part(1), part(2), self.gzip.unwrap_or_default());
            fs::write(folder.join(name), if self.gzip.is_some() { gzip(&samples) } else { samples }).unwrap();
        }
    }

    fn put_shards(&self, folder: &Path) {
        let Some(([before, mini, bits], packed)) = self.shards else { return };
        let pack = |bytes: &[u8]| if packed { gzip(bytes) } else { bytes.to_vec() };
        let mut chunks: Vec<(u64, Vec<u8>)> =
            self.chunks().into_iter().map(|(at, samples)| (morton(at), pack(&samples))).collect();
        chunks.sort();
        for shard in 0..1u64 << bits {
            let (mut index, mut data) = (Vec::new(), Vec::new());
            for of in 0..1u64 << mini {
                let is_here = |number: u64| {
                    let hash = number >> before;
                    hash & ((1 << mini) - 1) == of && hash >> mini & ((1 << bits) - 1) == shard
                };
                let own: Vec<&(u64, Vec<u8>)> = chunks.iter().filter(|chunk| is_here(chunk.0)).collect();
                let mut lists = [Vec::new(), Vec::new(), Vec::new()];
                let (mut number, mut end) = (0, 0u64);
                for (own, bytes) in own {
                    // Some bytes that nobody needs stand between chunks.
                    data.extend([1, 2, 3]);
                    lists[0].push(own - number);
                    lists[1].push(data.len() as u64 - end);
                    lists[2].push(bytes.len() as u64);
                    data.extend(bytes);
                    (number, end) = (*own, data.len() as u64);
                }
                let list = pack(&words(&lists.concat()));
                let is_empty = lists[0].is_empty();
                let span = [data.len() as u64, (data.len() + list.len()) as u64];
                index.extend(if is_empty { [0, 0] } else { span });
                data.extend(if is_empty { Vec::new() } else { list });
            }
            let digits = bits.div_ceil(4) as usize;
            fs::write(folder.join(format!("{shard:0digits$x}.shard")), [words(&index), data].concat()).unwrap();
        }
    }

    /// What a copy as NIfTI has.
    fn expected(&self) -> Vec<u8> {
        let [cx, cy, _] = counts();
        let one = |n: usize| {
            let at = [n % 11, n / 11 % 9, n / 99 % 7];
            let [x, y, z] = [0, 1, 2].map(|a| at[a] / CHUNK[a]);
            let is_absent = self.absent.contains(&((z * cy + y) * cx + x));
            if is_absent { [0; 2] } else { voxel(n / 693, at).to_le_bytes() }
        };
        (0..693 * self.channels).flat_map(one).collect()
    }
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
    ]
}

#[test]
fn chunks_and_shards_give_the_same_voxels() {
    let folder = Folder::new();
    for (n, volume) in volumes().into_iter().enumerate() {
        volume.put(&folder.path("a"));
        let (info, copy) = read(&folder, "a");
        assert!(copy == volume.expected(), "volume {n}");
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
    let jpeg = told(&|info| info["scales"][0]["encoding"] = "jpeg".into());
    assert!(jpeg.contains("encoded as \"jpeg\", which is not read") && jpeg.contains("tensorstore"), "{jpeg}");
    assert!(told(&|info| info["scales"][0]["key"] = "../../etc".into()).contains("leads out of its folder"));
    assert!(told(&|info| info["data_type"] = "complex64".into()).contains("data_type"));
    assert!(told(&|info| info["@type"] = "neuroglancer_skeletons".into()).contains("without a volume"));
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
