//! Neuroglancer's precomputed volumes made by hand.

use std::{fs, io::Write, path::Path};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

const SIZE: [usize; 3] = [11, 9, 7];
pub(crate) const CHUNK: [usize; 3] = [8, 4, 4];
const OFFSET: [i64; 3] = [-5, 100, 3];

/// A volume of words of 16 bits.
#[derive(Clone)]
pub(crate) struct Volume {
    pub channels: usize,
    /// Each file is gzip, with or without an ending that says so.
    pub gzip: Option<&'static str>,
    /// Bits before the hash, of minishards and of shards, and whether indexes and chunks are gzip.
    pub shards: Option<([u32; 3], bool)>,
    pub absent: Vec<usize>,
    /// Whether chunks are PNG.
    pub png: bool,
}

pub(crate) const PLAIN: Volume = Volume { channels: 1, gzip: None, shards: None, absent: Vec::new(), png: false };

/// The words of a chunk, channels slowest, as an image of half as many rows as there are along y and z, where these are even.
fn image(samples: &[u8], channels: usize, [x, y, z]: [usize; 3]) -> Vec<u8> {
    let voxels = x * y * z;
    let fold = if (y * z).is_multiple_of(2) { 2 } else { 1 };
    let colour = [png::ColorType::Grayscale, png::ColorType::GrayscaleAlpha, png::ColorType::Rgb][channels - 1];
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, (x * fold) as u32, (y * z / fold) as u32);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Sixteen);
    let of = |n: usize| (0..channels).flat_map(move |c| [1, 0].map(|byte| samples[2 * (c * voxels + n) + byte]));
    let pixels: Vec<u8> = (0..voxels).flat_map(of).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    file
}

fn gzip(raw: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(raw).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn voxel(c: usize, [x, y, z]: [usize; 3]) -> u16 {
    (((c * 7 + z) * 9 + y) * 11 + x) as u16 * 3 + 1
}

pub(crate) fn counts() -> [usize; 3] {
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
    pub(crate) fn info(&self) -> Value {
        let mut info = json!({
            "@type": "neuroglancer_multiscale_volume", "type": "image", "data_type": "uint16", "num_channels": self.channels,
            "scales": [
                {"key": "4_4_40", "size": SIZE, "resolution": [4, 4, 40], "voxel_offset": OFFSET, "chunk_sizes": [CHUNK],
                 "encoding": if self.png { "png" } else { "raw" }},
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
            let samples: Vec<u8> = (0..nx * ny * nz * self.channels).flat_map(one).collect();
            if self.png { image(&samples, self.channels, [nx, ny, nz]) } else { samples }
        };
        places.map(|n| [n % cx, n / cx % cy, n / (cx * cy)]).map(|at| (at, samples(at))).collect()
    }

    pub(crate) fn put(&self, folder: &Path) {
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
}
